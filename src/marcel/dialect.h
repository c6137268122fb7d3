/*
 * Which dialect a server speaks: lines that end with LF, lines that end with CRLF, or raw
 * messages, bare reads without any end, as the first teaching server did it. TCP has no messages,
 * so the client listens before it speaks:
 *
 * - a greeting with LF or CRLF in it: lines, which end the same way;
 * - a greeting without LF, then 400 ms of quiet: raw. Until the first message is sent a late LF
 *   still makes it lines (a slow greeting);
 * - no greeting within 400 ms, and a message ready to be sent: lines that end with LF; the first
 *   line end that the server then sends decides between LF and CRLF.
 *
 * In raw the dialogue goes turn by turn for whoever asks dialect_turn(), and a reply that is
 * "fin" alone, in any case, ends it.
 *
 * Pure: no clock and no socket in here; the caller says what it heard and what time it is
 * (clock_now()). Having said "now", it must have heard everything that had come by then. Nothing
 * fails. One thread a struct.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

/* How long a server must be quiet before its silence means something. */
#define DIALECT_PAUSE (400 * USEC_PER_MSEC)

enum dialect_kind {
	DIALECT_UNKNOWN,
	DIALECT_LINE, /* messages end with LF */
	DIALECT_CRLF,
	DIALECT_RAW, /* messages have no end */
};

struct dialect {
	enum dialect_kind kind;
	bool firm;          /* nothing that is heard changes kind any more */
	bool spoken;        /* a message was sent */
	bool cr;            /* the last byte heard was a CR */
	usec_t quiet_since; /* when something was last heard, or the connection's beginning */
	size_t heard;       /* bytes since the last message sent, or the beginning */
	size_t burst;       /* bytes heard together, in one go */
	char burst_head[3];
};

/* Begins at NOW; WANTED other than DIALECT_UNKNOWN is the user's word and never changes. */
void dialect_init(struct dialect *dialect, enum dialect_kind wanted, usec_t now);

/* The server said N bytes of TEXT, all that was there to be read by NOW. */
void dialect_hear(struct dialect *dialect, const char *text, size_t n, usec_t now);

/* A message was sent. */
void dialect_said(struct dialect *dialect);

/*
 * The dialect to speak at NOW; READY says that a message waits to be sent. DIALECT_UNKNOWN means:
 * listen on.
 */
enum dialect_kind dialect_decide(struct dialect *dialect, bool ready, usec_t now);

/*
 * Whether it is the client's turn at NOW, for a client that sends one raw message per reply.
 * In raw a reply must have come since the last message, and all of it: fewer bytes than the
 * smallest TCP segment come in one piece, after more of them comes 400 ms of quiet. Without a
 * greeting the first turn comes after 400 ms. Always true for lines, false while undecided.
 */
bool dialect_turn(const struct dialect *dialect, usec_t now);

/* In raw: the last thing the server said was "fin" and nothing else. */
bool dialect_over(const struct dialect *dialect);

/*
 * When to ask again if nothing is heard: a clock_now() time after NOW, or USEC_NEVER when time
 * alone changes nothing.
 */
usec_t dialect_deadline(const struct dialect *dialect, usec_t now);
