/* The actions on variables: set, add, shift, clear and collect. */
#include "respond/script/parse-priv.h"

#include <string.h>

/* The name of a variable that is the next token; taken. */
static bool take_variable(struct parser *p, const char *what, struct token *ret_name)
{
	*ret_name = p->token;
	if (p->token.kind != TOKEN_WORD)
		return fault_token(p, what, NULL, 0);
	advance(p);
	return true;
}

static bool store(struct parser *p, enum action action, struct spot spot, enum origin origin,
		  bool takes_sign)
{
	struct token name;
	uint32_t variable;
	size_t i = p->n_code;

	if (!take_variable(p, "the name of a variable", &name))
		return false;
	variable = variable_set(p, name.text, name.length, name.spot, origin);
	if (variable == NONE)
		return false;
	if (takes_sign)
		(void)take_mark(p, MARK_ASSIGN);
	if (!emit_value(p, action, spot))
		return false;
	p->code[i].in.variable = variable;
	return true;
}

bool parse_set(struct parser *p, struct spot spot)
{
	return store(p, ACTION_SET, spot, ORIGIN_SET, true);
}

bool parse_add(struct parser *p, struct spot spot)
{
	return store(p, ACTION_ADD, spot, ORIGIN_ADD, false);
}

bool parse_shift(struct parser *p, struct spot spot)
{
	uint32_t i = emit(p, ACTION_SHIFT, spot);
	uint32_t variable;
	struct token name;

	if (i == NONE || !take_variable(p, "the name of a list", &name))
		return false;
	variable = variable_use(p, name.text, name.length, name.spot, USE_LIST);
	if (variable == NONE)
		return false;
	p->code[i].in.variable = variable;
	if (!take_word(p, "into"))
		return true;
	if (!take_variable(p, "the name of a variable", &name))
		return false;
	variable = variable_set(p, name.text, name.length, name.spot, ORIGIN_INTO);
	p->code[i].in.target = variable;
	return variable != NONE;
}

bool parse_clear(struct parser *p, struct spot spot)
{
	do {
		uint32_t i = emit(p, ACTION_CLEAR, spot);
		struct token name;

		if (i == NONE || !take_variable(p, "the name of a variable", &name))
			return false;
		p->code[i].in.variable =
			variable_use(p, name.text, name.length, name.spot, USE_CLEAR);
		if (p->code[i].in.variable == NONE)
			return false;
	} while (take_mark(p, MARK_COMMA));
	return true;
}

#define UNTIL "until \"LINE\", until empty, or how many bytes: collect NAME 10 bytes"

/* until STRING | until empty | (N | ${reference}) bytes */
static bool parse_extent(struct parser *p, struct instruction *in)
{
	struct spot spot;

	if (take_word(p, "until")) {
		if (take_word(p, "empty")) {
			in->until = COLLECT_EMPTY;
			return true;
		}
		in->until = COLLECT_LINE;
		if (p->token.kind != TOKEN_TEXT && p->token.kind != TOKEN_LITERAL &&
		    p->token.kind != TOKEN_REFERENCE)
			return fault_token(p, "the line that ends it, in quotes, or empty", NULL,
					   0);
		spot = p->token.spot;
		if (!take_value(p, UNTIL, &in->text))
			return false;
		return in->text.n_parts > 0 ||
		       fault_at(p, spot, "until empty", "an empty line is written otherwise");
	}
	in->until = COLLECT_BYTES;
	if (p->token.kind == TOKEN_REFERENCE) {
		if (!take_value(p, UNTIL, &in->text))
			return false;
	} else if (p->token.kind != TOKEN_NUMBER) {
		return fault_token(p, UNTIL, NULL, 0);
	} else if (!take_size(p, UNTIL, 1, INT64_MAX, &in->bytes)) {
		return false;
	}
	return take_word(p, "bytes") || fault_token(p, "bytes", NULL, 0);
}

bool parse_collect(struct parser *p, struct spot spot)
{
	uint32_t i = emit(p, ACTION_COLLECT, spot);
	struct instruction in;
	struct token name;

	if (i == NONE || !take_variable(p, "the name of a variable", &name))
		return false;
	in = p->code[i].in;
	in.variable = variable_set(p, name.text, name.length, name.spot, ORIGIN_COLLECT);
	if (in.variable == NONE || !parse_extent(p, &in))
		return false;
	spot = p->token.spot;
	in.stuff = take_word(p, "unstuff");
	if (in.stuff && in.until == COLLECT_BYTES)
		return fault_at(p, spot, "nothing, or until \"LINE\" instead of bytes",
				"bytes are taken as they are, only lines are unstuffed");
	in.size = COLLECT_MAX;
	if (take_word(p, "max") &&
	    !take_size(p, "the most bytes, such as 10M", 1, INT64_MAX, &in.size))
		return false;
	p->code[i].in = in;
	return true;
}
