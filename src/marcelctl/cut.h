/*
 * Cutting an exchange: from bytes to what was said. The client's bytes become messages, by the
 * framing that they show; what only carries data (the text of a mail, the body of a request)
 * becomes one piece, for it is not the same the next time; the server's bytes are what was said
 * between them.
 *
 * Pure. The pieces point into the exchange, which must stay.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "marcelctl/exchange.h"

enum cut_framing {
	CUT_LF,   /* lines that end with LF */
	CUT_CRLF, /* lines that end with CR and LF */
	CUT_RAW,  /* no lines: what came in one go is a message */
};

enum piece_kind {
	PIECE_LINE,   /* a message: a line, without its end */
	PIECE_RAW,    /* a message of CUT_RAW, or a last line that had no end */
	PIECE_TEXT,   /* data: lines up to one that is "." */
	PIECE_BYTES,  /* data: so many bytes */
	PIECE_SAID,   /* by the server */
	PIECE_END,    /* the client closed its sending side */
	PIECE_STOP,   /* the server was about to be stopped */
	PIECE_CLOSED, /* the server closed the connection */
	PIECE_RESET,  /* it broke it off */
};

struct piece {
	enum piece_kind kind;
	const char *bytes;
	size_t length;
	usec_t gap; /* SAID, CLOSED, RESET: the time since what the server had said before, if it
		       was long; else 0 */
};

struct cut {
	enum cut_framing framing;
	size_t longest; /* bytes of the longest message */
	usec_t pause;   /* the client's longest silence */
	struct piece *pieces;
	size_t count;
	size_t room;
};

/* A silence of the server that means something. */
#define CUT_GAP USEC_PER_SEC

/*
 * Cuts EXCHANGE by FRAMING, or, if that is NULL, by the framing that its first line shows. Returns
 * 0 with *RET_CUT, which cut_done() frees, or -ENOMEM.
 */
int cut_exchange(const struct exchange *exchange, const enum cut_framing *framing,
		 struct cut *ret_cut);
void cut_done(struct cut *cut);

/*
 * Parts what the server said to several messages in a row among them, where that can be told
 * (reply.c). Returns 0 or -ENOMEM.
 */
int cut_replies(struct cut *cut);

/* The line end of FRAMING: "\n", "\r\n" or "". */
const char *cut_line_end(enum cut_framing framing);

/* Whether a client's message, or what follows from its end, begins with this piece. */
bool piece_is_trigger(const struct piece *piece);

/*
 * The next line of LENGTH bytes at TEXT: its length without its line end (that of FRAMING);
 * *RET_USED is its length with it. -1 if no line ends there.
 */
ssize_t cut_line(enum cut_framing framing, const char *text, size_t length, size_t *ret_used);
