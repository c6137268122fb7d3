/*
 * The numbers of conversations: never used twice while the host is up.
 *
 * The next one is counted in the table, which outlives the process. So that they also outlive a
 * stop, when nobody keeps the table, a file holds a number that none has reached yet; it is written
 * once for many conversations, and exactly at an orderly end. Main thread only.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct numbers {
	_Atomic uint64_t *next; /* in the table */
	uint64_t bound;         /* what the file says: no number up to here is used without it */
	int fd;                 /* the file; -1: there is none */
};

/*
 * Counts on in *NEXT, and in the file PATH (NULL: none), which is made if missing. TRUSTED: *NEXT
 * comes from an earlier process's table and is right; else it begins where the file says, or at 1.
 * A file that cannot be used is done without: returns its negative errno then, and everything works
 * but numbers may come again after a stop. numbers_done() in either case.
 */
int numbers_init(struct numbers *numbers, _Atomic uint64_t *next, bool trusted, const char *path);

/* Gives a number. Cannot fail. */
uint64_t numbers_take(struct numbers *numbers);

/* Writes the exact next number and closes the file. */
void numbers_done(struct numbers *numbers);
