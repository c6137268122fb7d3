/*
 * Actions, and how they become instructions one after another.
 *
 * Before each action there is room (DRAFT_NOTHING) for the UNLESS of its `when`, which is only
 *known after it. ACTION when C else OTHER becomes
 *
 *	UNLESS C -> 1; ACTION; JUMP -> 2; 1: OTHER; 2:
 *
 * and the ways of cycle and pick follow their instruction, each with a JUMP to the end of all.
 */
#include "respond/script/parse-priv.h"

#include <string.h>

#define MORE "an action, ; or the next statement"

uint32_t emit(struct parser *p, enum action action, struct spot spot)
{
	struct draft_instruction *draft;

	if (p->n_code >= SCRIPT_CODE_MAX) {
		(void)fault_at(p, spot, "a shorter script", "more than %zu actions",
			       SCRIPT_CODE_MAX);
		return NONE;
	}
	if (!ROOM_FOR_ONE(p, code))
		return NONE;
	draft = &p->code[p->n_code];
	*draft = (struct draft_instruction){.kind = DRAFT_PLAIN, .spot = spot};
	draft->in.action = action;
	draft->in.where = place_of(spot);
	draft->in.variable = NONE;
	draft->in.target = NONE;
	draft->in.target_pc = NONE;
	draft->in.expression = NONE;
	return (uint32_t)p->n_code++;
}

/* { actions }, from the brace on. */
static bool parse_group(struct parser *p)
{
	struct spot spot = p->token.spot;

	if (!enter(p))
		return false;
	advance(p);
	if (!parse_actions(p))
		return false;
	if (!take_mark(p, MARK_CLOSE)) {
		if (p->token.kind == TOKEN_END ||
		    (p->token.kind == TOKEN_WORD && is_statement(p->token.text, p->token.length)))
			return fault_at(p, spot, "a } after the actions", "this { has no }");
		return fault_token(p, "an action or }", NULL, 0);
	}
	p->depth--;
	return true;
}

/* What follows `else`. The instruction FROM (and HAND, unless NONE) lead there. */
static bool parse_else(struct parser *p, uint32_t from, uint32_t hand)
{
	uint32_t jump = emit(p, ACTION_JUMP, p->last_end);

	if (jump == NONE)
		return false;
	if (from != NONE)
		p->code[from].in.target_pc = (uint32_t)p->n_code;
	if (hand != NONE)
		p->code[hand].in.target_pc = (uint32_t)p->n_code;
	if (!parse_action(p))
		return false;
	p->code[jump].in.target_pc = (uint32_t)p->n_code;
	return true;
}

/* A hand to a responder that is not there: with `else` the script says itself what happens then. */
static bool judge_unknown(struct parser *p, bool has_else)
{
	static const char expected[] = "a responder that exists, such as echo";

	if (!has_else)
		return fault_at(p, p->unknown_spot, expected,
				"there is no responder '%s', and no `else` says what happens then",
				p->unknown);
	warn_at(p, p->unknown_spot, expected, "there is no responder '%s': always `else`",
		p->unknown);
	return true;
}

/* ["when" expr] ["else" ...] after the action whose room is instruction ROOM. */
static bool parse_condition(struct parser *p, uint32_t room)
{
	bool is_hand = room + 1 < p->n_code && p->code[room + 1].in.action == ACTION_HAND &&
		       room + 2 == p->n_code;
	uint32_t unless = NONE;
	uint32_t expression;

	if (take_word(p, "when")) {
		if (!parse_expression(p, &expression))
			return false;
		unless = room;
		p->code[room].kind = DRAFT_PLAIN;
		p->code[room].in.action = ACTION_UNLESS;
		p->code[room].in.expression = expression;
		p->code[room].in.target_pc = (uint32_t)p->n_code;
	}
	if (is_hand && p->unknown != NULL && !judge_unknown(p, is_word(p, "else")))
		return false;
	if (!is_word(p, "else"))
		return true;
	if (unless == NONE && !is_hand)
		return fault_at(p, p->token.spot, "`when` and a condition before it",
				"this 'else' belongs to no 'when'");
	advance(p);
	return parse_else(p, unless, is_hand ? room + 1 : NONE);
}

static bool parse_action_inside(struct parser *p)
{
	uint32_t room = emit(p, ACTION_UNLESS, p->token.spot);

	if (room == NONE)
		return false;
	p->code[room].kind = DRAFT_NOTHING;
	if (!(is_mark(p, MARK_OPEN) ? parse_group(p) : parse_basic(p)))
		return false;
	return parse_condition(p, room);
}

bool parse_action(struct parser *p)
{
	/* cycle cycle cycle ... and else ... else nest without braces. */
	if (!enter(p) || !parse_action_inside(p))
		return false;
	p->depth--;
	return true;
}

static bool ends_actions(struct parser *p)
{
	return p->token.kind == TOKEN_END || is_mark(p, MARK_CLOSE) || is_mark(p, MARK_BAR) ||
	       (p->token.kind == TOKEN_WORD && is_statement(p->token.text, p->token.length) &&
		!is_word(p, "frame"));
}

/* Whether the action whose code begins at START ends the rule in any case. */
static bool is_last(const struct parser *p, size_t start)
{
	return p->n_code == start + 2 && p->code[start].kind == DRAFT_NOTHING &&
	       (p->code[start + 1].in.action == ACTION_CLOSE ||
		p->code[start + 1].in.action == ACTION_RESET);
}

bool parse_actions(struct parser *p)
{
	if (ends_actions(p))
		return fault_token(p, "an action: say, send, ignore, goto, ...", NULL, 0);
	do {
		size_t start = p->n_code;

		if (!parse_action(p))
			return false;
		while (take_mark(p, MARK_SEMICOLON)) {
		}
		if (is_last(p, start) && !ends_actions(p))
			warn_at(p, p->token.spot, "nothing more",
				"this is never done: the rule ends before it");
	} while (!ends_actions(p));
	if (p->depth == 0 && is_mark(p, MARK_BAR))
		return fault_at(p, p->token.spot,
				"{ ... } around an alternative of several actions",
				"this | belongs to no cycle or pick");
	if (p->depth == 0 && is_mark(p, MARK_CLOSE))
		return fault_at(p, p->token.spot, MORE, "this } has no {");
	return true;
}
