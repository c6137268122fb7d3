/*
 * The leftover file: records that one process could not send before it had to end, for the next
 * one. It holds entries (entry.h), one after the other, and is readable by its owner alone.
 *
 * It is written aside and then renamed: the file at the path is always whole. A file that is not
 * plain, not ours, or makes no sense is not read further than it does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "record/entry.h"
#include "record/ring.h"

/* A leftover file being read; the caller's struct. Begin with LEFTOVER_NONE. */
struct leftover {
	FILE *file; /* NULL: there is nothing (more) to read */
	bool found; /* there was a file of ours, whatever is in it */
	uint8_t *entry;
	uint32_t size;
	uint64_t damaged; /* bytes that made no sense */
};

#define LEFTOVER_NONE        \
	{                    \
		.file = NULL \
	}

/* Opens the file at PATH, if there is one. Whatever is wrong with it: then there is nothing to
 * read. */
void leftover_open(struct leftover *leftover, const char *path);

/*
 * The next entry and its size, or NULL at the end. It belongs to LEFTOVER and stays until
 * leftover_advance().
 */
const uint8_t *leftover_peek(struct leftover *leftover, size_t *ret_size);
void leftover_advance(struct leftover *leftover);

/* Frees what LEFTOVER holds. */
void leftover_done(struct leftover *leftover);

/*
 * Writes the file at PATH anew: what OLD still had to give, what RING holds, and one record of
 * what was refused. RING is empty afterwards. Past LEFTOVER_SIZE_MAX bytes records are counted as
 * refused. Returns 0, or a negative errno with RING and the file at PATH as they were.
 */
#define LEFTOVER_SIZE_MAX ((uint64_t)128 * 1024 * 1024)
int leftover_write(const char *path, struct leftover *old, struct ring *ring);

/* Adds ENTRY to the file at PATH, which is made if need be. Returns 0 or a negative errno. */
int leftover_append(const char *path, const struct entry *entry);
