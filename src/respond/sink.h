/*
 * The sink: where a responder's replies become the bytes that are sent.
 *
 * A sink lies over the free part of a conversation's output buffer. It appends and never
 * writes past its room; a small buffer that gets full is given up for a larger
 * one; committing what it holds is the conversation's work.
 * One thread, for the time of one call of a responder.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "marcel/responder.h"

/* Told of each reply as it is put in; for the transcript. TEXT has no line end added. */
typedef void sink_said_fn(void *context, const char *text, size_t length);

/* Told of marcel_note(). */
typedef void sink_note_fn(void *context, enum marcel_note note, const char *rule, const char *text,
			  size_t length);

struct marcel_sink {
	char *bytes;   /* the output buffer's free part */
	size_t room;   /* bytes there */
	size_t used;   /* bytes filled so far */
	size_t before; /* bytes right before them that must stay together with them */
	char *spill;   /* a larger buffer to go on in when these are full; NULL: none */
	size_t spill_room;
	bool spilled;         /* it was necessary: everything is in the larger buffer now */
	const char *line_end; /* what marcel_say() adds: "\n", "\r\n" or "" */
	size_t line_end_length;
	size_t prefix; /* instead, a length of so many bytes stands in front (MARCEL_FRAMING_PREFIX)
			*/
	char join; /* instead, this stands between replies, and a line end after the last one; 0: no
		    */
	bool joined;        /* a line of joined replies has begun and waits for its end */
	sink_said_fn *said; /* may be NULL */
	sink_note_fn *note; /* may be NULL */
	void *context;      /* for both */
};

/*
 * Ends a line of joined replies, if one has begun. Returns 0 or -ENOSPC, as marcel_say() does.
 */
int sink_end_line(struct marcel_sink *sink);
