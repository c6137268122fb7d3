/*
 * prop NAME KIND [LEAST..MOST] = VALUE {get 'PATTERN' [as "FORMAT"] | set 'PATTERN {}' |
 * error "TEXT"}
 *
 * Each get and each set is a rule of the scope at this place. There may be several of both.
 */
#include "respond/script/parse-priv.h"

#include <string.h>

#include "respond/script/number.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const kinds[] = {
	[PROPERTY_INT] = "int",
	[PROPERTY_FLOAT] = "float",
	[PROPERTY_BOOL] = "bool",
	[PROPERTY_TEXT] = "text",
};

static bool parse_kind(struct parser *p, struct property *property)
{
	for (size_t i = 0; i < COUNT(kinds); i++) {
		if (take_word(p, kinds[i])) {
			property->kind = (enum property_kind)i;
			return true;
		}
	}
	return fault_token(p, "what it is: int, float, bool or text", kinds, COUNT(kinds));
}

static bool parse_limit(struct parser *p, double *ret_limit)
{
	const char *what = "a range, such as 0..30";

	if (p->token.kind != TOKEN_NUMBER)
		return fault_token(p, what, NULL, 0);
	if (!number_parse(p->token.text, p->token.length, ret_limit))
		return fault_at(p, p->token.spot, what, "'%.*s' is no number",
				p->token.length < 40 ? (int)p->token.length : 40, p->token.text);
	advance(p);
	return true;
}

static bool parse_range(struct parser *p, struct property *property)
{
	struct spot spot = p->token.spot;

	if (p->token.kind != TOKEN_NUMBER)
		return true;
	if (property->kind != PROPERTY_INT && property->kind != PROPERTY_FLOAT)
		return fault_at(p, spot, "= and a value", "only int and float have a range");
	if (!parse_limit(p, &property->least))
		return false;
	if (!take_mark(p, MARK_DOTS))
		return fault_token(p, ".. and the largest value", NULL, 0);
	if (!parse_limit(p, &property->most))
		return false;
	if (property->least > property->most)
		return fault_at(p, spot, "the smaller number first", "this range is empty");
	property->limited = true;
	return true;
}

/* Its value at the beginning. */
static bool parse_default(struct parser *p, struct property *property)
{
	const char *what = "a value";
	struct variable *variable = &p->variables[property->variable].variable;
	struct spot spot = p->token.spot;
	struct span kept;
	const char *bytes;
	size_t length;
	struct text text;

	if (property->kind == PROPERTY_BOOL && p->token.kind == TOKEN_WORD) {
		bytes = arena_copy(p->keep, p->token.text, p->token.length);
		length = p->token.length;
		if (bytes == NULL)
			return false;
		advance(p);
	} else {
		if (!take_value(p, what, &text))
			return false;
		if (!text_is_constant(&text, &bytes, &length))
			return fault_at(p, spot, what, "no variable can stand here");
	}
	if (!property_fits(property, bytes, length, &kept))
		return fault_at(p, spot, "a value that fits", "this value is no %s%s",
				kinds[property->kind], property->limited ? " of that range" : "");
	variable->initial = arena_copy(p->keep, kept.bytes, kept.length);
	variable->initial_length = kept.length;
	variable->has_initial = true;
	return variable->initial != NULL;
}

/* The pattern of a get or set. It stands in '...', since all in it is literal but {}. */
static bool parse_pattern(struct parser *p, enum rule_kind kind, uint32_t number)
{
	const char *what = kind == RULE_GET ? "what asks for it, in '...'"
					    : "what sets it, in '...', {} for the value";
	const struct token token = p->token;

	if (token.kind != TOKEN_LITERAL)
		return fault_token(p, what, NULL, 0);
	if (!add_rule(p, kind, token.spot, token.raw, token.raw_length))
		return false;
	p->rules[p->n_rules - 1].rule.property = number;
	if (!compile_pattern(p, kind == RULE_GET ? PATTERN_LITERAL : PATTERN_HOLE, token.text,
			     token.length, spot_after(token.spot, 1), 0))
		return false;
	advance(p);
	return emit(p, ACTION_END, token.spot) != NONE;
}

static bool parse_format(struct parser *p, struct property *property)
{
	const char *what = "a format of printf(3) in quotes, such as \"%+.6E\"";
	struct spot spot = p->token.spot;
	char fault[FORMAT_FAULT_MAX];
	const char *format;
	size_t length;

	if (property->format != NULL)
		return fault_at(p, spot, "one format", "'%s' has a format already", property->name);
	if (!take_constant(p, what, &format, &length))
		return false;
	if (strlen(format) != length)
		return fault_at(p, spot, what, "a format holds no \\0");
	if (property_check_format(property->kind, format, fault) < 0)
		return fault_at(p, spot, what, "%s", fault);
	property->format = format;
	return true;
}

static bool parse_error(struct parser *p, struct property *property)
{
	const char *what = "what is added to the list errors, in quotes";

	if (property->has_error)
		return fault_at(p, p->token.spot, "one error", "'%s' has an error already",
				property->name);
	property->has_error = true;
	return take_constant(p, what, &property->error, &property->error_length) &&
	       variable_set(p, "errors", strlen("errors"), p->last_end, ORIGIN_ADD) != NONE;
}

static bool parse_clauses(struct parser *p, struct property *property, uint32_t number)
{
	for (;;) {
		if (take_word(p, "get")) {
			if (!parse_pattern(p, RULE_GET, number) ||
			    (take_word(p, "as") && !parse_format(p, property)))
				return false;
		} else if (take_word(p, "set")) {
			if (!parse_pattern(p, RULE_SET, number))
				return false;
		} else if (take_word(p, "error")) {
			if (!parse_error(p, property))
				return false;
		} else {
			return true;
		}
	}
}

static bool parse_head(struct parser *p, struct draft_property *draft)
{
	struct property *property = &draft->property;
	const struct token name = p->token;

	draft->spot = name.spot;
	property->where = place_of(name.spot);
	if (!take_name(p, "the name of a property", &property->name))
		return false;
	property->variable = variable_find(p, name.text, name.length, name.spot);
	if (property->variable == NONE)
		return false;
	if (p->variables[property->variable].variable.property != NONE)
		return fault_at(p, name.spot, "another name", "property '%s' was there already",
				property->name);
	(void)variable_set(p, name.text, name.length, name.spot, ORIGIN_PROPERTY);
	if (!parse_kind(p, property) || !parse_range(p, property))
		return false;
	return take_mark(p, MARK_ASSIGN) ? parse_default(p, property)
					 : fault_token(p, "= and a value", NULL, 0);
}

bool parse_property(struct parser *p)
{
	struct draft_property draft = {.property = {.name = NULL}};
	uint32_t number = (uint32_t)p->n_properties;
	struct variable *variable;
	bool is;

	advance(p);
	if (!parse_head(p, &draft))
		return false;
	p->has_begun = true;
	variable = &p->variables[draft.property.variable].variable;
	variable->kind = VARIABLE_PROPERTY;
	variable->property = number;
	variable->is_kept = true;
	if (!ROOM_FOR_ONE(p, properties))
		return false;
	p->properties[p->n_properties++] = draft;
	is = parse_clauses(p, &draft.property, number);
	p->properties[number] = draft;
	return is;
}
