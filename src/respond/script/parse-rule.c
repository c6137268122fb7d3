/* Rules: on PATTERN or EVENT, otherwise; and the patterns. */
#include "respond/script/parse-priv.h"

#include <errno.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AFTER_ON                                                                                \
	"a pattern (\"glob\", 'literal' or /regex/) or an event: connect, early, idle, every, " \
	"overflow, stop or eof"

static const char *const events[] = {
	"connect", "early", "idle", "every", "overflow", "stop", "eof",
};
static const enum rule_kind event_kinds[] = {
	RULE_CONNECT, RULE_EARLY, RULE_IDLE, RULE_EVERY, RULE_OVERFLOW, RULE_STOP, RULE_EOF,
};

/* "file:line" with the last part of the file's name. */
static const char *name_rule(struct parser *p, struct spot spot)
{
	const char *slash = strrchr(spot.source->name, '/');
	const char *file = slash != NULL ? slash + 1 : spot.source->name;
	size_t size = strlen(file) + 12;
	char *name = arena_alloc(p->keep, size);

	if (name != NULL)
		(void)snprintf(name, size, "%s:%u", file, spot.line);
	return name;
}

bool add_rule(struct parser *p, enum rule_kind kind, struct spot spot, const char *text,
	      size_t length)
{
	struct draft_rule *rule;

	p->has_begun = true;
	if (p->n_rules >= SCRIPT_RULES_MAX)
		return fault_at(p, spot, NULL, "more than %d rules", SCRIPT_RULES_MAX);
	if (!ROOM_FOR_ONE(p, rules))
		return false;
	rule = &p->rules[p->n_rules];
	*rule = (struct draft_rule){.spot = spot, .scope = p->scope};
	rule->rule.kind = kind;
	rule->rule.where = place_of(spot);
	rule->rule.when = NONE;
	rule->rule.property = NONE;
	rule->rule.timer = NONE;
	rule->rule.pc = (uint32_t)p->n_code;
	for (size_t i = 0; i < COUNT(rule->rule.captures); i++)
		rule->rule.captures[i] = NONE;
	rule->rule.name = name_rule(p, spot);
	rule->rule.text = arena_copy(p->keep, text, length);
	if (rule->rule.name == NULL || rule->rule.text == NULL)
		return false;
	p->rule = (uint32_t)p->n_rules++;
	return true;
}

/* Where NAME stands as a capture in the LENGTH bytes at TEXT, which lie at SPOT. */
static struct spot find_capture(const char *text, size_t length, struct spot spot, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 1; i + n < length; i++) {
		if ((text[i - 1] == '{' || text[i - 1] == '<' || text[i - 1] == '\'') &&
		    memcmp(text + i, name, n) == 0)
			return spot_after(spot, i);
	}
	return spot;
}

/* Gives the captures of the last rule their variables. */
static bool name_captures(struct parser *p, const char *text, size_t length, struct spot spot)
{
	struct rule *rule = &p->rules[p->n_rules - 1].rule;

	for (size_t i = 0; i < pattern_captures(rule->pattern); i++) {
		const char *name = pattern_capture_name(rule->pattern, i);

		if (*name == '\0')
			continue;
		rule->captures[i] = variable_set(p, name, strlen(name),
						 find_capture(text, length, spot, name),
						 ORIGIN_CAPTURE);
		if (rule->captures[i] == NONE)
			return false;
	}
	return true;
}

/* A pattern is fixed when the script is loaded: tells a ${ in it. */
static bool is_fixed(struct parser *p, enum pattern_kind kind, const char *text, size_t length,
		     struct spot spot)
{
	if (kind != PATTERN_GLOB && kind != PATTERN_REGEX)
		return true;
	for (size_t i = 0; i + 1 < length; i++) {
		if (text[i] == '\\')
			i++;
		else if (text[i] == '$' && text[i + 1] == '{')
			return fault_at(p, spot_after(spot, i),
					kind == PATTERN_GLOB
						? "{name} to capture, \\$ for a dollar sign, or "
						  "`when ${name} == ...` after the pattern"
						: "\\$ for a dollar sign, or `when ${name} == ...` "
						  "after the pattern",
					"a pattern is fixed when the script is loaded: no "
					"variable can stand in it");
	}
	return true;
}

/* A pattern that is wrong: what it would probably have captured is not told as undefined. */
static void guess_captures(struct parser *p, const char *text, size_t length, struct spot spot)
{
	for (size_t i = 1; i < length; i++) {
		size_t n = 0;

		if (text[i - 1] != '{' && text[i - 1] != '<')
			continue;
		while (i + n < length && (text[i + n] == '_' || text[i + n] == '-' ||
					  (text[i + n] >= '0' && text[i + n] <= '9') ||
					  (text[i + n] >= 'A' && text[i + n] <= 'Z') ||
					  (text[i + n] >= 'a' && text[i + n] <= 'z')))
			n++;
		if (n > 0 && (text[i] < '0' || text[i] > '9') && text[i] != '-' &&
		    !is_reserved(text + i, n) && !is_builtin(text + i, n) && n <= SCRIPT_NAME_MAX)
			(void)variable_set(p, text + i, n, spot, ORIGIN_UNKNOWN);
	}
}

bool compile_pattern(struct parser *p, enum pattern_kind kind, const char *text, size_t length,
		     struct spot spot, unsigned flags)
{
	struct pattern_error error = {.offset = 0};
	struct rule *rule = &p->rules[p->n_rules - 1].rule;
	int r;

	if (!is_fixed(p, kind, text, length, spot))
		return false;
	if (p->nocase)
		flags |= PATTERN_NOCASE;
	r = pattern_compile(kind, text, length, flags, &rule->pattern, &error);
	if (r == -ENOMEM) {
		p->scratch->failed = true;
		return false;
	}
	if (r < 0) {
		guess_captures(p, text, length, spot);
		return fault_at(p, spot_after(spot, error.offset < length ? error.offset : length),
				error.expected[0] != '\0' ? error.expected : NULL, "%s",
				error.text);
	}
	return name_captures(p, text, length, spot);
}

static bool read_flags(struct parser *p, unsigned *ret_flags)
{
	static const char letters[] = "iusxm";
	static const unsigned values[] = {
		PATTERN_NOCASE,   PATTERN_UNANCHORED, PATTERN_DOTALL,
		PATTERN_EXTENDED, PATTERN_MULTILINE,
	};
	const struct token *token = &p->token;
	unsigned flags = 0;

	for (size_t i = 0; i < token->n_flags; i++) {
		const char *at = strchr(letters, token->flags[i]);

		if (at == NULL)
			return fault_at(
				p, spot_after(token->spot, (size_t)(token->flags - token->raw) + i),
				"of the flags i (no case), u (unanchored), s (. takes line ends), "
				"x (spaces are for the eye), m (^ and $ at lines)",
				"unknown flag '%c' of a regular expression", token->flags[i]);
		flags |= values[at - letters];
	}
	*ret_flags = flags;
	return true;
}

static bool parse_pattern(struct parser *p)
{
	const struct token token = p->token;
	struct spot inside = spot_after(token.spot, 1);
	unsigned flags = 0;
	enum pattern_kind kind = token.kind == TOKEN_TEXT    ? PATTERN_GLOB
				 : token.kind == TOKEN_REGEX ? PATTERN_REGEX
							     : PATTERN_LITERAL;

	if (kind == PATTERN_REGEX && !read_flags(p, &flags))
		return false;
	if (!add_rule(p, RULE_MESSAGE, token.spot, token.raw, token.raw_length) ||
	    !compile_pattern(p, kind, token.text, token.length, inside, flags))
		return false;
	advance(p);
	return true;
}

/* The duration after `idle` or `every`. */
static bool parse_period(struct parser *p, struct rule *rule)
{
	struct spot spot = p->token.spot;

	if (!take_duration(p, "a duration, such as 30s or 5min", &rule->period))
		return false;
	if (rule->period == 0)
		return fault_at(p, spot, "a duration, such as 30s or 5min",
				"this would happen without end");
	if (rule->kind != RULE_EVERY)
		return true;
	if (p->n_timers >= SCRIPT_TIMERS_MAX)
		return fault_at(p, spot, NULL, "more than %d `on every`", SCRIPT_TIMERS_MAX);
	rule->timer = p->n_timers++;
	return true;
}

static bool parse_event(struct parser *p)
{
	const struct token token = p->token;
	size_t i = 0;
	struct rule *rule;

	while (i < COUNT(events) && !is_word(p, events[i]))
		i++;
	if (i == COUNT(events))
		return fault_token(p, AFTER_ON, events, COUNT(events));
	if (!add_rule(p, event_kinds[i], token.spot, token.raw, token.raw_length))
		return false;
	advance(p);
	rule = &p->rules[p->n_rules - 1].rule;
	if (rule->kind != RULE_IDLE && rule->kind != RULE_EVERY)
		return true;
	if (!parse_period(p, rule))
		return false;
	/* Its text is the word and the duration, as they stand. */
	rule->text = arena_copy(p->keep, token.raw, p->last_end.offset - token.spot.offset);
	return rule->text != NULL;
}

/* ["when" expr] actions, then the end. */
static bool parse_rest(struct parser *p)
{
	uint32_t when;

	if (take_word(p, "when")) {
		if (!parse_expression(p, &when))
			return false;
		p->rules[p->rule].rule.when = when;
	}
	return parse_actions(p) && emit(p, ACTION_END, p->last_end) != NONE;
}

bool parse_on(struct parser *p)
{
	bool is_pattern;

	advance(p);
	is_pattern = p->token.kind == TOKEN_TEXT || p->token.kind == TOKEN_LITERAL ||
		     p->token.kind == TOKEN_REGEX;
	if (!(is_pattern ? parse_pattern(p) : parse_event(p)))
		return false;
	return parse_rest(p);
}

bool parse_otherwise(struct parser *p)
{
	const struct token token = p->token;

	advance(p);
	return add_rule(p, RULE_OTHERWISE, token.spot, token.raw, token.raw_length) &&
	       parse_rest(p);
}
