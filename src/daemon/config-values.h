/*
 * The kinds of values that keys of marcel.ini take: each is read, written, copied and freed by its
 * entry of one table.
 *
 * Private to the configuration. Main thread.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "daemon/config-keys.h"

/* A kind of value. FIELD points to where a value is kept, zeroed before its first use. */
struct config_kind {
	/*
	 * Sets FIELD, which belongs to KEY, to what TEXT means and frees what was there. Returns 0,
	 * -EINVAL with the fault told at PLACE, or -ENOMEM; FIELD is untouched then.
	 */
	int (*parse)(const struct config_key *key, const char *text, void *field,
		     const struct config_place *place);
	/* Writes FIELD to STREAM in the form that parse() reads. */
	void (*print)(const void *field, FILE *stream);
	/* Sets TO to a copy of FROM: 0 or -ENOMEM. NULL: the bytes are copied as they are. */
	int (*copy)(void *to, const void *from);
	/* Frees what FIELD holds and leaves it zeroed. NULL: there is nothing to free. */
	void (*done)(void *field);
	/* Bytes of a value without copy(). */
	size_t size;
};

/* By enum config_type. */
extern const struct config_kind config_kinds[];
