/*
 * Which rule answers: the state's patterns in their order, those of always, the state's otherwise,
 * always' otherwise; the first whose pattern matches and whose condition holds.
 *
 * NOTE ON CAPTURES. A condition sees the captures of its own pattern, so they are set before it is
 * evaluated; if it fails they are what they were before. The heap is copied for that, but only for
 * rules that have both. A capture that passes a limit runs `on overflow`, whatever the condition.
 *
 * NOTE ON WHAT IS GIVEN UP. One rule whose pattern takes too long is passed over; when the message
 * as a whole does, all further patterns are, and `otherwise` answers. If one of those passed over
 * would have kept the message secret, it is kept so, since nobody can say whether it was meant.
 *
 * Further decisions. The script's own end words are compared before any rule, ASCII letters without
 * case. A property that is asked for or set is done with that: its rules have no actions.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "respond/script/run-priv.h"

/* A way through the rules of one message. */
struct matching {
	struct run *run;
	struct capture captures[PATTERN_CAPTURES_MAX];
	struct effort effort;
	bool answered;
};

static struct span captured(const struct matching *matching, size_t i)
{
	const struct script_event *event = matching->run->event;
	const struct capture *capture = &matching->captures[i];

	if (capture->length == 0 || capture->start >= event->length ||
	    capture->length > event->length - capture->start)
		return (struct span){.bytes = ""};
	return (struct span){event->bytes + capture->start, capture->length};
}

static size_t captures_of(const struct rule *rule)
{
	return rule->pattern != NULL ? pattern_captures(rule->pattern) : 0;
}

static bool keeps_captures(const struct rule *rule)
{
	for (size_t i = 0; i < captures_of(rule); i++)
		if (rule->captures[i] != NONE)
			return true;
	return false;
}

static int set_captures(struct matching *matching, const struct rule *rule)
{
	for (size_t i = 0; i < captures_of(rule); i++) {
		struct span value = captured(matching, i);
		int r = 0;

		if (rule->captures[i] != NONE)
			r = heap_set(&matching->run->heap, rule->captures[i], value.bytes,
				     value.length);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Sets the captures of RULE and evaluates its condition. Returns 1 if it holds; otherwise nothing
 * has changed but random numbers.
 */
static int take(struct matching *matching, const struct rule *rule)
{
	struct run *run = matching->run;
	struct view view = run->view;
	size_t used = run->heap.used;
	char *before = NULL;
	int r;

	if (rule->when != NONE && keeps_captures(rule)) {
		before = malloc(used + 1);
		if (before == NULL)
			return -ENOMEM;
		(void)memcpy(before, run->heap.bytes, used);
	}
	r = set_captures(matching, rule);
	if (r == 0)
		r = when_holds(run, rule->when);
	if (r <= 0 && before != NULL) {
		(void)memcpy(run->heap.bytes, before, used);
		run->heap.used = used;
	}
	if (r <= 0) {
		run->view.serial = view.serial;
		run->view.serial_is_used = view.serial_is_used;
	}
	free(before);
	return r;
}

/* From now on rule INDEX is what answers. */
static const struct rule *chosen(struct run *run, uint32_t index)
{
	run->rule = &run->script->rules[index];
	run->outcome->rule = run->rule->name;
	run->outcome->secret = run->outcome->secret || run->rule->secret;
	run->state.now.rule = index;
	run_note_stopped(run);
	return run->rule;
}

int match_say_property(struct run *run, uint32_t index)
{
	const struct rule *rule = chosen(run, index);
	const struct property *property = &run->script->properties[rule->property];
	struct expansion line = {.bytes = NULL};
	struct span value = {.bytes = ""};
	int r;

	(void)view_value(&run->view, property->variable, &value);
	r = property_say(property, value, &line);
	if (r == 0)
		r = say_line(run, line.bytes, line.length);
	expansion_done(&line);
	if (r == STEP_ROOM)
		return rule_suspend(run, SUSPENDED_REPLY, 0, run->world->now);
	return r < 0 ? r : 0;
}

/* Sets the property of rule INDEX. A value that doesn't fit is an error of the client's, or else no
 * match. */
static int set_property(struct matching *matching, uint32_t index)
{
	struct run *run = matching->run;
	const struct rule *rule = &run->script->rules[index];
	const struct property *property = &run->script->properties[rule->property];
	struct span value = captured(matching, 0);
	struct span kept;
	bool fits = property_fits(property, value.bytes, value.length, &kept);

	if (!fits && (!property->has_error || run->script->errors_list == NONE)) {
		run_trace(run, TRACE_WHEN, rule);
		return 0;
	}
	matching->answered = true;
	run_trace(run, TRACE_MATCHED, rule);
	(void)chosen(run, index);
	if (fits)
		return heap_set(&run->heap, property->variable, kept.bytes, kept.length);
	return heap_add(&run->heap, run->script->errors_list, property->error,
			property->error_length);
}

/* Rule INDEX has matched: it answers unless its condition fails. */
static int try_rule(struct matching *matching, uint32_t index)
{
	struct run *run = matching->run;
	const struct rule *rule = &run->script->rules[index];
	int r;

	if (rule->kind == RULE_SET) {
		r = when_holds(run, rule->when);
		return r <= 0 ? r : set_property(matching, index);
	}
	r = take(matching, rule);
	if (r == -ENOSPC) {
		matching->answered = true;
		run_trace(run, TRACE_MATCHED, rule);
		(void)chosen(run, index);
		return r;
	}
	if (r <= 0) {
		if (r == 0)
			run_trace(run, TRACE_WHEN, rule);
		return r;
	}
	matching->answered = true;
	run_trace(run, TRACE_MATCHED, rule);
	return rule->kind == RULE_GET ? match_say_property(run, index)
				      : rule_begin(run, index, true);
}

static void trace_others(const struct run *run, const struct scope *scope, size_t from, size_t to)
{
	if (!run->output->explain)
		return;
	for (size_t i = from; i < to; i++)
		run_trace(run, TRACE_OTHER, &run->script->rules[scope->rules[i]]);
}

/* The patterns of SCOPE from FROM to TO - 1 are given up. */
static void give_up(struct run *run, const struct scope *scope, size_t from, size_t to)
{
	for (size_t i = from; i < to && i < scope->n_rules; i++)
		if (run->script->rules[scope->rules[i]].secret)
			run->outcome->secret = true;
}

/* Tries the patterns of SCOPE. */
static int try_patterns(struct matching *matching, const struct scope *scope)
{
	struct run *run = matching->run;
	size_t from = 0;
	int r = 0;

	if (matching->effort.is_exhausted)
		give_up(run, scope, 0, scope->n_rules);
	while (r == 0 && !matching->answered && !matching->effort.is_exhausted &&
	       from < scope->n_rules) {
		size_t index = from;
		enum match match = matcher_find(scope->matcher, run->event->bytes,
						run->event->length, &matching->effort, &index,
						matching->captures);

		trace_others(run, scope, from, match == MATCH_NO ? scope->n_rules : index);
		if (match == MATCH_NO)
			break;
		from = index + 1;
		if (match == MATCH_YES) {
			r = try_rule(matching, scope->rules[index]);
			continue;
		}
		give_up(run, scope, index, matching->effort.is_exhausted ? scope->n_rules : from);
		run_trace(run, TRACE_STOPPED, &run->script->rules[scope->rules[index]]);
		if (run->n_stopped < STOPPED_MAX)
			run->stopped[run->n_stopped++] = scope->rules[index];
	}
	return r;
}

static int try_otherwise(struct matching *matching, const struct scope *scope)
{
	for (size_t i = 0; i < scope->n_others[RULE_OTHERWISE] && !matching->answered; i++) {
		int r = try_rule(matching, scope->others[RULE_OTHERWISE][i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool is_end_word(const struct script *script, const char *message, size_t length)
{
	const struct manners *manners = &script->manners;

	if (!manners->ends)
		return false;
	if (length == 0)
		return manners->end_on_empty;
	for (size_t i = 0; i < manners->n_end_words; i++) {
		const char *word = manners->end_words[i];
		size_t same = 0;

		while (same < length && word[same] != '\0' &&
		       lower(word[same]) == lower(message[same]))
			same++;
		if (same == length && word[same] == '\0')
			return true;
	}
	return false;
}

int match_message(struct run *run)
{
	struct matching matching = {.run = run};
	const struct scope *always = run->script->scopes;
	const struct scope *present = &always[run->state.scope];
	int r;

	run->has_event_message = true;
	run->message_length = run->event->length;
	if (is_end_word(run->script, run->event->bytes, run->event->length)) {
		run_end(run, run_farewell(run->script));
		return 0;
	}
	if (run->script->n_scopes == 0)
		return 0;
	r = try_patterns(&matching, present);
	if (r == 0 && present != always)
		r = try_patterns(&matching, always);
	if (r == 0)
		r = try_otherwise(&matching, present);
	if (r == 0 && present != always)
		r = try_otherwise(&matching, always);
	if (r == -ENOSPC)
		return rule_overflow(run);
	run_note_stopped(run);
	if (r == 0 && !matching.answered)
		run_note(run, NOTE_UNANSWERED, NULL, 0);
	return r;
}

int match_event(struct run *run, enum rule_kind kind, uint32_t *ret_rule)
{
	const struct script *script = run->script;
	const uint32_t scopes[] = {run->state.scope, 0};
	size_t n = run->state.scope != 0 ? 2 : 1;

	*ret_rule = NONE;
	for (size_t s = 0; s < n && s < script->n_scopes; s++) {
		const struct scope *scope = &script->scopes[scopes[s]];

		for (size_t i = 0; i < scope->n_others[kind]; i++) {
			const struct rule *rule = &script->rules[scope->others[kind][i]];
			int r = when_holds(run, rule->when);

			if (r < 0)
				return r;
			if (r > 0) {
				*ret_rule = scope->others[kind][i];
				return 0;
			}
			run_trace(run, TRACE_WHEN, rule);
		}
	}
	return 0;
}
