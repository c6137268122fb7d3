/*
 * Memory that is freed all at once: what a script consists of lies in one arena.
 *
 * Allocations are zeroed and aligned for any type. The first one that fails marks the arena, so
 * that who makes many small ones may look once. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks;
	bool failed; /* an allocation did */
};

/* Gives SIZE zeroed bytes (never NULL for 0), or NULL; they live until arena_done(). */
void *arena_alloc(struct arena *arena, size_t size);

/* Room for N items of SIZE bytes each; the same otherwise. */
void *arena_array(struct arena *arena, size_t n, size_t size);

/* A copy of LENGTH bytes at BYTES with a NUL after it; NULL if there is no memory. */
char *arena_copy(struct arena *arena, const char *bytes, size_t length);

/*
 * Sees to it that ARRAY, which holds N items of SIZE bytes and has room for *CAPACITY, has room for
 * one more. Returns the array, moved if need be (the old one stays until arena_done()), or NULL.
 */
void *arena_grow(struct arena *arena, void *array, size_t n, size_t *capacity, size_t size);

/* Frees everything. */
void arena_done(struct arena *arena);
