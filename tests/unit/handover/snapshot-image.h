/*
 * Images of tables as text: what tests/snapshots/ holds of every released version.
 *
 * A table is large and nearly all of it zeroes. An image says its size and the bytes that are not,
 * a line each: "OFFSET: HEX", the offset in hex. '#' begins a comment. Failures end the test.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A table in memory that belongs to nobody else, as an image says. */
struct image {
	char *map;
	uint64_t size;
};

/* Loads the image at PATH; the caller releases *RET with image_done(). */
void image_load(const char *path, struct image *ret);
void image_done(struct image *image);

/* Writes what is not zero in SIZE bytes of MAP from OFFSET on to STREAM, WHAT as a comment first.
 */
void image_write(FILE *stream, const char *what, const void *map, uint64_t offset, size_t size);
