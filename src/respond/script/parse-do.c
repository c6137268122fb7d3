/* The actions that say, wait and lead elsewhere; those on variables are in parse-store.c. */
#include "respond/script/parse-priv.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define VALUE        "a value: \"text\", 'literal', a number or ${name}"
#define SAID         "what to say: \"text\", 'literal', ${name} or the name of a text"
#define DURATION     "a duration, such as 200ms or 5min"

/* One thing that is said: a value, or a text block by name. */
static bool parse_said(struct parser *p)
{
	uint32_t i = emit(p, ACTION_SAY, p->token.spot);

	if (i == NONE)
		return false;
	if (p->token.kind != TOKEN_WORD || is_reserved(p->token.text, p->token.length))
		return take_value(p, SAID, &p->code[i].in.text);
	p->code[i].kind = DRAFT_BLOCK;
	p->code[i].name = arena_copy(p->keep, p->token.text, p->token.length);
	advance(p);
	return p->code[i].name != NULL;
}

static bool parse_say(struct parser *p, struct spot spot)
{
	size_t first = p->n_code;

	(void)spot;
	do {
		if (!parse_said(p))
			return false;
	} while (take_mark(p, MARK_COMMA));
	if (take_word(p, "stuff")) {
		for (size_t i = first; i < p->n_code; i++)
			p->code[i].in.stuff = true;
	}
	return true;
}

/* A value where no text block can stand; says so if one is named. */
static bool take_one_value(struct parser *p, struct text *ret_text)
{
	if (p->token.kind == TOKEN_WORD && !is_reserved(p->token.text, p->token.length))
		return fault_at(p, p->token.spot, VALUE,
				"a name alone stands for a text, after `say` only (did you mean "
				"'${%.*s}'?)",
				p->token.length < 40 ? (int)p->token.length : 40, p->token.text);
	return take_value(p, VALUE, ret_text);
}

bool emit_value(struct parser *p, enum action action, struct spot spot)
{
	uint32_t i = emit(p, action, spot);
	struct text text;

	if (i == NONE || !take_one_value(p, &text))
		return false;
	p->code[i].in.text = text;
	return true;
}

static bool parse_send(struct parser *p, struct spot spot)
{
	do {
		if (!emit_value(p, ACTION_SEND, spot))
			return false;
	} while (take_mark(p, MARK_COMMA));
	return true;
}

static bool parse_log(struct parser *p, struct spot spot)
{
	return emit_value(p, ACTION_LOG, spot);
}

static bool parse_ignore(struct parser *p, struct spot spot)
{
	return emit(p, ACTION_IGNORE, spot) != NONE;
}

static bool parse_close(struct parser *p, struct spot spot)
{
	return emit(p, ACTION_CLOSE, spot) != NONE;
}

static bool parse_reset(struct parser *p, struct spot spot)
{
	return emit(p, ACTION_RESET, spot) != NONE;
}

static bool parse_drop(struct parser *p, struct spot spot)
{
	return emit(p, ACTION_DROP, spot) != NONE;
}

/* ALT {"|" ALT}, behind instruction I. */
static bool parse_ways(struct parser *p, uint32_t i)
{
	uint32_t *ways = NULL;
	uint32_t *kept;
	size_t capacity = 0;
	size_t n = 0;

	do {
		uint32_t jump;

		ways = arena_grow(p->scratch, ways, n, &capacity, sizeof(uint32_t));
		if (ways == NULL)
			return false;
		ways[n++] = (uint32_t)p->n_code;
		if (!parse_action(p))
			return false;
		jump = emit(p, ACTION_JUMP, p->last_end);
		if (jump == NONE)
			return false;
	} while (take_mark(p, MARK_BAR));
	/* Each JUMP stands before the next way, the last at the end. */
	for (size_t k = 1; k < n; k++)
		p->code[ways[k] - 1].in.target_pc = (uint32_t)p->n_code;
	p->code[p->n_code - 1].in.target_pc = (uint32_t)p->n_code;
	kept = arena_array(p->scratch, n, sizeof(uint32_t));
	if (kept == NULL)
		return false;
	(void)memcpy(kept, ways, n * sizeof(uint32_t));
	p->code[i].ways = kept;
	p->code[i].in.n_ways = (uint32_t)n;
	return true;
}

static bool parse_choice(struct parser *p, enum action action, struct spot spot)
{
	uint32_t i = emit(p, action, spot);

	if (i == NONE)
		return false;
	p->code[i].kind = DRAFT_WAYS;
	if (action == ACTION_CYCLE) {
		if (p->n_counters >= SCRIPT_COUNTERS_MAX)
			return fault_at(p, spot, NULL, "more than %d cycles", SCRIPT_COUNTERS_MAX);
		p->code[i].in.target = p->n_counters++;
	}
	return parse_ways(p, i);
}

static bool parse_cycle(struct parser *p, struct spot spot)
{
	return parse_choice(p, ACTION_CYCLE, spot);
}

static bool parse_pick(struct parser *p, struct spot spot)
{
	return parse_choice(p, ACTION_PICK, spot);
}

static bool parse_wait(struct parser *p, struct spot spot)
{
	uint32_t i = emit(p, ACTION_WAIT, spot);
	struct spot first = p->token.spot;
	usec_t least;
	usec_t most;

	if (i == NONE || !take_duration(p, DURATION, &least))
		return false;
	most = least;
	if (take_mark(p, MARK_DOTS) && !take_duration(p, DURATION, &most))
		return false;
	if (most < least)
		return fault_at(p, first, "the shorter one first", "this range is empty");
	p->code[i].in.least = least;
	p->code[i].in.most = most;
	return true;
}

static bool parse_drip(struct parser *p, struct spot spot)
{
	uint32_t i = emit(p, ACTION_DRIP, spot);
	uint64_t size;
	usec_t pause;
	struct text text;

	if (i == NONE || !take_count(p, "the bytes of a piece", 1, UINT32_MAX, &size))
		return false;
	if (!take_word(p, "every"))
		return fault_token(p, "every and a duration: drip 3 every 20ms \"text\"", NULL, 0);
	if (!take_duration(p, DURATION, &pause) || !take_one_value(p, &text))
		return false;
	p->code[i].in.size = size;
	p->code[i].in.least = p->code[i].in.most = pause;
	p->code[i].in.text = text;
	return true;
}

static bool parse_goto(struct parser *p, struct spot spot)
{
	uint32_t i = emit(p, ACTION_GOTO, spot);

	if (i == NONE)
		return false;
	p->code[i].kind = DRAFT_GOTO;
	p->code[i].spot = p->token.spot;
	return take_name(p, "the name of a state", &p->code[i].name);
}

static bool parse_frame_action(struct parser *p, struct spot spot)
{
	uint32_t i = emit(p, ACTION_FRAME, spot);

	return i != NONE && parse_framing(p, &p->code[i].in.framing);
}

static bool parse_secret(struct parser *p, struct spot spot)
{
	uint32_t i = emit(p, ACTION_SECRET, spot);

	if (i == NONE)
		return false;
	p->code[i].in.next = take_word(p, "next");
	if (!p->code[i].in.next)
		p->rules[p->rule].rule.secret = true;
	return true;
}

static bool parse_strike(struct parser *p, struct spot spot)
{
	uint32_t i = emit(p, ACTION_STRIKE, spot);
	uint64_t size;

	if (i == NONE || !take_count(p, "how many there may be: strike 3", 1, UINT32_MAX, &size))
		return false;
	p->code[i].in.size = size;
	return true;
}

/* hand NAME ["draft" VALUE] ["for" DURATION | "stay"]; `else` is read as that of a condition. */
static bool parse_hand(struct parser *p, struct spot spot)
{
	uint32_t i = emit(p, ACTION_HAND, spot);
	struct spot name = p->token.spot;
	struct text draft = {.n_parts = 0};
	usec_t least = USEC_NEVER;
	const char *responder;

	if (i == NONE || !take_name(p, "the name of a responder", &responder))
		return false;
	p->unknown = p->knows != NULL && !p->knows(responder) ? responder : NULL;
	p->unknown_spot = name;
	if (take_word(p, "draft") && !take_one_value(p, &draft))
		return false;
	if (take_word(p, "stay"))
		p->code[i].in.stay = true;
	else if (take_word(p, "for") && !take_duration(p, DURATION, &least))
		return false;
	p->code[i].in.responder = responder;
	p->code[i].in.text = draft;
	p->code[i].in.least = least;
	return true;
}

/* Also for hints. In the order of actions[]. */
static const char *const words[] = {
	"say",   "send", "ignore", "cycle", "pick",    "wait",   "goto",
	"set",   "add",  "shift",  "clear", "collect", "hand",   "close",
	"reset", "drop", "drip",   "log",   "secret",  "strike", "frame",
};

static bool (*const actions[])(struct parser *p, struct spot spot) = {
	parse_say,    parse_send,   parse_ignore,       parse_cycle, parse_pick,  parse_wait,
	parse_goto,   parse_set,    parse_add,          parse_shift, parse_clear, parse_collect,
	parse_hand,   parse_close,  parse_reset,        parse_drop,  parse_drip,  parse_log,
	parse_secret, parse_strike, parse_frame_action,
};

#define ACTION_WORDS                                                                      \
	"an action: say, send, ignore, cycle, pick, wait, goto, set, add, shift, clear, " \
	"collect, hand, close, reset, drop, drip, log, secret, strike or frame"

_Static_assert(COUNT(words) == COUNT(actions), "each action has its word");

bool is_action_word(const struct parser *p)
{
	for (size_t i = 0; i < COUNT(words); i++) {
		if (is_word(p, words[i]))
			return true;
	}
	return false;
}

bool parse_basic(struct parser *p)
{
	struct spot spot = p->token.spot;
	char meant[HINT_SIZE];
	char word[SCRIPT_NAME_MAX];

	for (size_t i = 0; i < COUNT(words); i++) {
		if (take_word(p, words[i]))
			return actions[i](p, spot);
	}
	if (p->token.kind != TOKEN_WORD || is_reserved(p->token.text, p->token.length))
		return fault_token(p, ACTION_WORDS, NULL, 0);
	(void)snprintf(word, sizeof(word), "%.*s", p->token.length < 60 ? (int)p->token.length : 60,
		       p->token.text);
	return fault_at(p, spot, ACTION_WORDS, "unknown action '%s'%s", word,
			hint(meant, word, words, COUNT(words)));
}
