/*
 * The lines that clients of the checker say, and the answers they expect: pure text.
 *
 *	said       [COMMAND ]cI N padding          the N-th line of client I
 *	answered   [COMMAND ]cI N padding          by the echo
 *	           N [COMMAND ]cI N padding        `counted`: by a responder that counts
 *	           N.k [COMMAND ]cI N padding      the k-th of several replies
 *	tick M                                     by a timer
 *
 * Nothing here fails but line_parse(). Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line_form {
	unsigned index; /* the client's */
	const char *command;
	size_t size; /* padded to so many bytes */
	bool counted;
	unsigned replies;
};

/* What an answer says. */
struct line_parts {
	uint64_t count;  /* the responder's */
	uint64_t part;   /* k; 1 where there is only one */
	uint64_t number; /* N */
};

/* Bytes that any line of FORM, or answer to one, fits into. */
size_t line_room(const struct line_form *form);

/* Writes line NUMBER with its LF to TO, without NUL; returns its length. */
size_t line_make(const struct line_form *form, uint64_t number, char *to);

/* Whether LENGTH bytes at TEXT are the answer at PLACE, counted from 1 over all answers. */
bool line_is(const struct line_form *form, uint64_t place, const char *text, size_t length);

/* Reads what looks like any answer to this client. Returns 0, or -EINVAL for anything else. */
int line_parse(const struct line_form *form, const char *text, size_t length,
	       struct line_parts *ret);

/* Whether TEXT is `tick NUMBER`. */
bool line_is_tick(const char *text, size_t length, uint64_t *ret_number);
