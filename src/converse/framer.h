/*
 * The framer: bytes become messages. TCP has none, so something has to say where one ends.
 *
 * Three ways (enum slot_mode): lines ended by LF (a CR before it dropped), raw (what one read gave
 * is a message), and undecided, where the first message shows which of the two it is: an LF makes
 * it lines, silence after bytes without one makes it raw, provisionally, until the first LF
 * appears. In raw a message has no terminator, so an LF that directly follows one already answered
 * was its late line end and is swallowed.
 *
 * A responder may declare another way (struct marcel_framing): lines that end strictly, or that
 * hold several messages; records; lengths in front. framer-declared.c has those.
 *
 * Pure: no I/O, no allocation, no clock; the caller says when it was quiet. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "converse/slot.h"

/* What the caller knows about the bytes after those it has. */
enum framer_input {
	FRAMER_MORE_TO_COME, /* nothing: more may follow at once */
	FRAMER_QUIET,        /* none came for raw_pause */
	FRAMER_END,          /* none will ever come */
};

enum framer_result {
	FRAMER_MESSAGE,  /* a message: use start, length, then drop consumed bytes */
	FRAMER_WAIT,     /* none yet; drop consumed bytes and wait for more */
	FRAMER_PAUSE,    /* the same, but raw_pause of silence would make one */
	FRAMER_SKIPPED,  /* drop consumed bytes, which nobody needs, and call again */
	FRAMER_TOO_LONG, /* the message there is longer than it may be */
};

/* A framer between two calls: all but message_max and scanned is what a turn saves. */
struct framer {
	size_t message_max; /* as configured: bytes of one message without its line end */
	/*
	 * As declared. Of MARCEL_FRAMING_PREFIX the upper 56 bits of size are the framer's own:
	 * bytes still to be skipped of a message that is too long.
	 */
	struct marcel_framing framing;
	size_t scanned; /* bytes at the front known to hold no LF; 0 after anything is dropped */
	enum slot_mode mode;
	enum slot_line_end line_end;
	bool after_raw;
	bool skipping; /* what comes up to the next line end is the rest of a line too long */
};

struct frame {
	size_t start;    /* where the message begins */
	size_t length;   /* its bytes, without line end */
	size_t consumed; /* bytes from the front that are done with, message and line end included
			  */
	size_t line_end; /* of these, bytes of line end behind the message: 0 to 2 */
	bool part;       /* more of the same line follows (MARCEL_FRAMING_LINE with split) */
	bool blank;      /* no message at all, only the end of a line of such parts */
};

/*
 * Whether FRAMING, which a responder declares or another process saved, is one: of a known kind,
 * and no message of no bytes at all.
 */
bool framing_makes_sense(const struct marcel_framing *framing);

/* The size of the lengths in front of messages, MARCEL_FRAMING_PREFIX. */
static inline size_t framer_prefix(const struct marcel_framing *framing)
{
	return (size_t)(framing->size & 7);
}

/*
 * Looks for a message in the LENGTH bytes at BYTES, the first that were not consumed yet. Changes
 * FRAMER, so that a call with the same bytes and more continues; the caller drops ret->consumed
 * bytes unless it is FRAMER_TOO_LONG, which leaves *RET as it was. No byte is looked at twice while
 * waiting. Cannot fail.
 */
enum framer_result framer_next(struct framer *framer, const char *bytes, size_t length,
			       enum framer_input input, struct frame *ret);

/*
 * After FRAMER_TOO_LONG for LENGTH bytes at BYTES: lets the message there be skipped instead, as
 * far as its end can be known.
 */
void framer_skip(struct framer *framer, const char *bytes, size_t length);

/* What framer_next() is for declared framings; for framer.c. */
enum framer_result framer_next_declared(struct framer *framer, const char *bytes, size_t length,
					enum framer_input input, struct frame *ret);
