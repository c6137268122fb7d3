/* Explaining answers; see explain.h. */
#include "marcelctl/explain.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "marcelctl/file.h"

/* So many bytes in common, without regard to case, make a pattern one that nearly matched. */
#define NEAR 2
/* When no pattern matches, each of the present state's is told, if they are so few; else those that
 * nearly did. */
#define FEW 10
/* A value is shown up to so many bytes. */
#define SHOWN_MAX 200

static char folded(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

void explain_begin(struct explanation *explanation, const char *state, const char *message,
		   size_t length)
{
	const struct script *script = explanation->script;

	free(explanation->message);
	explanation->count = 0;
	explanation->scope = &script->scopes[0];
	for (size_t i = 0; i < script->n_scopes; i++) {
		if (strcmp(script->scopes[i].name, state) == 0)
			explanation->scope = &script->scopes[i];
	}
	explanation->message = malloc(length + 1);
	if (explanation->message == NULL)
		return;
	if (length > 0)
		memcpy(explanation->message, message, length);
	explanation->message[length] = '\0';
	explanation->length = length;
}

void explain_trace(struct explanation *explanation, enum script_trace trace,
		   const struct rule *rule)
{
	if (explanation->message == NULL || trace == TRACE_OTHER)
		return;
	if (explanation->count == explanation->room) {
		const size_t room = explanation->room > 0 ? 2 * explanation->room : 16;
		struct explained *more = reallocarray(explanation->traces, room, sizeof(*more));

		if (more == NULL)
			return;
		explanation->traces = more;
		explanation->room = room;
	}
	explanation->traces[explanation->count++] =
		(struct explained){.rule = rule, .trace = trace};
}

static void write_rule(FILE *out, const struct rule *rule, const char *what)
{
	(void)fputs("# ", out);
	file_put_escaped(out, rule->name, strlen(rule->name));
	(void)fputs(": on ", out);
	if (rule->text != NULL)
		file_put_escaped(out, rule->text, strlen(rule->text));
	(void)fprintf(out, ": %s\n", what);
}

static const char *meaning_of(enum script_trace trace)
{
	switch (trace) {
	case TRACE_MATCHED:
		return _("answers");
	case TRACE_WHEN:
		return _("matches, but its condition does not hold");
	case TRACE_STOPPED:
		return _("was given up: too much work");
	case TRACE_OTHER:
		return _("does not match");
	}
	abort();
}

static const struct explained *traced(const struct explanation *explanation,
				      const struct rule *rule)
{
	for (size_t i = 0; i < explanation->count; i++) {
		if (explanation->traces[i].rule == rule)
			return &explanation->traces[i];
	}
	return NULL;
}

/* Whether the pattern of RULE, as it is written, begins as the message does. */
static bool is_near(const struct explanation *explanation, const struct rule *rule)
{
	const char *text = rule->text != NULL ? rule->text : "";
	const size_t length = strlen(text);
	size_t common = 0;

	if (length > 0 && strchr("'\"/", text[0]) != NULL)
		text++;
	while (text[common] != '\0' && common < explanation->length &&
	       folded(text[common]) == folded(explanation->message[common]))
		common++;
	return common >= NEAR || (common > 0 && common == explanation->length);
}

static bool has_pattern_that_answers(const struct explanation *explanation)
{
	for (size_t i = 0; i < explanation->count; i++) {
		if (explanation->traces[i].trace == TRACE_MATCHED &&
		    explanation->traces[i].rule->kind != RULE_OTHERWISE)
			return true;
	}
	return false;
}

/* Tells of the rules of SCOPE; *FOUND says whether one has answered already. */
static void write_scope(const struct explanation *explanation, const struct scope *scope,
			bool *found, FILE *out)
{
	bool tells_all = scope == explanation->scope && scope->n_rules <= FEW &&
			 !has_pattern_that_answers(explanation);
	struct capture captures[PATTERN_CAPTURES_MAX];

	for (size_t i = 0; i < scope->n_rules; i++) {
		const struct rule *rule = &explanation->script->rules[scope->rules[i]];
		const struct explained *known = traced(explanation, rule);

		if (known != NULL) {
			write_rule(out, rule, meaning_of(known->trace));
			*found = *found || known->trace == TRACE_MATCHED;
		} else if (*found && pattern_match(rule->pattern, explanation->message,
						   explanation->length, captures) == MATCH_YES) {
			write_rule(out, rule, _("would match, too, but an earlier one answers"));
		} else if (tells_all || is_near(explanation, rule)) {
			write_rule(out, rule, meaning_of(TRACE_OTHER));
		}
	}
}

void explain_write(struct explanation *explanation, FILE *out)
{
	const struct scope *always = &explanation->script->scopes[0];
	bool found = false;

	if (explanation->message == NULL)
		return;
	if (explanation->scope != always)
		write_scope(explanation, explanation->scope, &found, out);
	write_scope(explanation, always, &found, out);
	for (size_t i = 0; i < explanation->count; i++) {
		const struct explained *other = &explanation->traces[i];

		if (other->rule->kind != RULE_OTHERWISE)
			continue;
		write_rule(out, other->rule, meaning_of(other->trace));
		found = found || other->trace == TRACE_MATCHED;
	}
	if (!found)
		(void)fprintf(out, "# %s\n", _("no rule answers"));
	free(explanation->message);
	explanation->message = NULL;
}

void explain_state(const struct script *script, const struct player *player, FILE *out)
{
	size_t used;
	const void *state = player_state(player, &used);
	char *value;

	if (script->is_list)
		return;
	value = malloc(SCRIPT_VALUES_MAX);
	if (value == NULL)
		return;
	(void)fprintf(out, _("# state %s"), script_state_name(script, state));
	for (size_t i = 0; i < script->n_variables; i++) {
		const ssize_t length = script_state_value(script, state, used, (uint32_t)i, value,
							  SCRIPT_VALUES_MAX);

		if (length < 0)
			continue;
		(void)fprintf(out, "; %s = \"", script->variables[i].name);
		file_put_escaped(out, value, length < SHOWN_MAX ? (size_t)length : SHOWN_MAX);
		(void)fputs(length < SHOWN_MAX ? "\"" : "...\"", out);
	}
	(void)fputc('\n', out);
	free(value);
}

void explain_done(struct explanation *explanation)
{
	free(explanation->message);
	free(explanation->traces);
	*explanation = (struct explanation){.script = NULL};
}
