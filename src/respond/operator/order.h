/*
 * Orders: what a line means that an operator wrote (marcel-operator(7), "Orders").
 *
 *	Bonjour		said to the client
 *	#12 Bonjour	said only while turn 12 is open, as an answer to it alone
 *			an empty line: an empty message
 *	/done		/done 12	all open turns, or that one, want no answer
 *	/close		/reset		/give NAME	/note TEXT
 *	//x  /#x	said: "/x", "#x"
 *
 * What follows `#12 ` is said as it is, whatever it begins with. Pure; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum order_kind {
	ORDER_SAY,       /* text; turn */
	ORDER_EMPTY,     /* an empty line */
	ORDER_DONE,      /* no answer is wanted; turn */
	ORDER_CLOSE,     /* end the dialogue with the farewell */
	ORDER_RESET,     /* break it off */
	ORDER_GIVE,      /* text: the responder's name, not ended by NUL */
	ORDER_NOTE,      /* text: for the journal */
	ORDER_UNKNOWN,   /* begins with a slash, and there is no such order */
	ORDER_MALFORMED, /* a NUL, a number that is none, an order without what it needs */
};

struct order {
	enum order_kind kind;
	uint64_t turn; /* SAY, DONE: the turn it is for; 0: all that are open */
	const char *text;
	size_t length;
};

/* The orders that begin with a slash, for who wrote another one. */
#define ORDER_SLASHES "/done, /close, /reset, /give NAME, /note TEXT"

/* What the LENGTH bytes at LINE, without LF, mean. Of a CR at the end nothing is kept. What is
 * returned points into LINE. */
struct order order_parse(const char *line, size_t length);

/* Puts what journal and control show of a refusal, "[#TURN ]WORD: TEXT", into BUFFER, without NUL:
 * WORD is a short one for why, "not-open", LENGTH bytes of TEXT what was refused; what is longer is
 * cut. Returns its length. */
#define ORDER_REFUSAL_MAX ((size_t)4096 + 64)
size_t order_refusal(char buffer[ORDER_REFUSAL_MAX], uint64_t turn, const char *word,
		     const char *text, size_t length);
