/*
 * Expansion: a text of a script with its variables put in.
 *
 * A view says what a variable stands for at this moment; the result is bytes in a buffer that
 * grows. Values are put in as they are and never looked at again: what a client sent that looks
 * like a variable stays what it is.
 *
 * Pure but for memory. Any thread, each view and expansion by one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "respond/script/heap.h"
#include "respond/script/program.h"
#include "respond/script/run.h"

/* What a text is expanded with. Zero is a view with nothing in it. */
struct view {
	const struct variable *variables; /* for those that are not in the heap: initial */
	size_t n_variables;
	const struct heap *heap; /* NULL: none is set yet, as while a script is loaded */
	struct span message;
	const struct script_world *world; /* NULL: built-ins about it are "" */

	/* Both are kept in the state and come back changed. */
	uint64_t random;     /* of random_next() */
	uint64_t serial;     /* events so far in which ${serial} was used */
	bool serial_is_used; /* in this event, already: serial counts it. false at its beginning */
};

/* Bytes that grow; zero is an empty one. expansion_done() frees them. */
struct expansion {
	char *bytes; /* NULL or `room` of them; no NUL at the end */
	size_t length;
	size_t room;
};

/*
 * Appends LENGTH bytes at BYTES (not of this expansion). Returns 0, -ENOSPC beyond
 * SCRIPT_REPLY_MAX in all, or -ENOMEM; TO is unchanged then.
 */
int expansion_add(struct expansion *to, const char *bytes, size_t length);
void expansion_done(struct expansion *expansion);

/* Appends TEXT as VIEW has it; fails as expansion_add() does. */
int expand_text(const struct text *text, struct view *view, struct expansion *to);

/* Appends the value of VARIABLE, a list joined by ", "; nothing if it is not set. Fails the same.
 */
int expand_variable(const struct view *view, uint32_t variable, struct expansion *to);

/*
 * The value of VARIABLE without copying: its first item, else its initial one. Returns false if it
 * is not set. The same lifetime as heap_get().
 */
bool view_value(const struct view *view, uint32_t variable, struct span *ret_value);

/* count(VARIABLE): how many items it has, initial one included. */
size_t view_count(const struct view *view, uint32_t variable);

/*
 * Applies FILTER to the bytes of TO from START on, in place. Fails as expansion_add() does. Not for
 * the length of a variable, which can be more than is kept (heap_length()); expand_text() knows.
 */
int expand_filter(enum filter filter, struct expansion *to, size_t start);

/* The address in PEER ("127.0.0.1:4711", "[::1]:4711" or another): a part of it, without brackets
 * and port; and the port, or "". */
struct span peer_address(const char *peer);
const char *peer_port(const char *peer);

/* The next 64 random bits of *STATE (any value begins; splitmix64), and a number below LIMIT, each
 * as likely; 0 if LIMIT is 0. */
uint64_t random_next(uint64_t *state);
uint64_t random_below(uint64_t *state, uint64_t limit);
