/*
 * Faults of a script: what is wrong, where, and what would be right.
 *
 * A list takes up to FAULTS_MAX errors and as many warnings, so that one reading of a script tells
 * all of them. Each knows its place and carries a copy of its line, so that it can be shown when
 * the text is gone.
 *
 *	mail.script:12:9: unknown action 'sya' (did you mean 'say'?)
 *	   12 |         sya "250 OK"
 *	      |         ^
 *	expected an action: say, send, ignore, ...
 *
 * One thread at a time uses a list.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define FAULTS_MAX 20

/* A place in a script. */
struct place {
	const char *file; /* as it was named; lives as long as what the place belongs to */
	unsigned line;    /* from 1; 0: the file as a whole */
	unsigned column;  /* in bytes, from 1; a caret under it counts characters */
};

struct fault {
	struct place where; /* file is owned by the fault */
	bool warning;
	char *text;     /* one sentence without a full stop, escaped: fit for a terminal */
	char *expected; /* what would be right, or NULL */
	char *line; /* the line it stands on (of a long one the part around the place), or NULL */
	size_t line_cut; /* so many bytes of the line are missing before it */
};

struct faults {
	struct fault list[2 * FAULTS_MAX];
	size_t count;
	size_t errors;   /* all that were found, also those that are not in the list */
	size_t warnings; /* the same */
};

/* Writes FAULT in the form above to BUFFER of SIZE bytes, ended by NUL and cut if need be; no line
 * end at the end. Returns the length of the whole, as snprintf(3) does. */
size_t fault_format(const struct fault *fault, char *buffer, size_t size);

/* Frees what LIST owns, and empties it. */
void faults_done(struct faults *list);
