/*
 * A queue of bytes in memory: what was read and not yet used, or made and not yet sent. It grows
 * as needed and never changes a byte, NUL included.
 *
 * A queue belongs to one thread. Only growing can fail, with -ENOMEM, and then the queue is as it
 * was.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct bytes {
	char *data;
	size_t start;    /* the first byte in use */
	size_t end;      /* one past the last */
	size_t capacity; /* of data */
	size_t searched; /* bytes from start on that are known to hold no LF */
};

#define BYTES_INIT           \
	{                    \
		.data = NULL \
	}

/* Frees what BYTES holds; it is empty and usable afterwards. */
void bytes_done(struct bytes *bytes);

/* How many bytes are in use. */
size_t bytes_length(const struct bytes *bytes);

/* The first byte in use; the rest follow it. Valid until BYTES changes; never NULL. */
const char *bytes_first(const struct bytes *bytes);

/*
 * Makes room for at least ROOM more bytes behind the last one and returns where it begins, or NULL
 * when there is no memory. Write there, then tell bytes_grew() how many.
 */
char *bytes_reserve(struct bytes *bytes, size_t room);

/* Takes N bytes, written where bytes_reserve() said, into use. */
void bytes_grew(struct bytes *bytes, size_t n);

/* Appends N bytes of TEXT (which is not in BYTES). Returns 0 or -ENOMEM. */
int bytes_append(struct bytes *bytes, const char *text, size_t n);

/* Drops the first N bytes (N <= bytes_length()). */
void bytes_drop(struct bytes *bytes, size_t n);

/*
 * Whether BYTES holds a whole line; *RET_LENGTH is then its length without the LF that ends it.
 * What was searched once is not searched again, however long the line grows.
 */
bool bytes_line(struct bytes *bytes, size_t *ret_length);
