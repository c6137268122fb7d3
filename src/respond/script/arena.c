/* Memory that is freed all at once; see arena.h. */
#include "respond/script/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The first block of an arena has so many bytes, each later one twice as many as the one before. */
#define BLOCK_MIN ((size_t)2048)
#define BLOCK_MAX ((size_t)256 * 1024)

struct arena_block {
	struct arena_block *next;
	size_t size;
	size_t used;
	alignas(max_align_t) char bytes[];
};

static void *fail(struct arena *arena)
{
	arena->failed = true;
	return NULL;
}

static struct arena_block *add_block(struct arena *arena, size_t size)
{
	size_t wanted = BLOCK_MIN;
	struct arena_block *block;

	if (arena->blocks != NULL)
		wanted = arena->blocks->size < BLOCK_MAX ? 2 * arena->blocks->size : BLOCK_MAX;
	if (wanted < size)
		wanted = size;
	if (wanted > SIZE_MAX - sizeof(*block))
		return NULL;
	block = calloc(1, sizeof(*block) + wanted);
	if (block == NULL)
		return NULL;
	block->size = wanted;
	block->next = arena->blocks;
	arena->blocks = block;
	return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *block = arena->blocks;
	void *bytes;

	if (size > SIZE_MAX / 2)
		return fail(arena);
	size = size == 0 ? 1 : size;
	size = (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
	if (block == NULL || block->size - block->used < size)
		block = add_block(arena, size);
	if (block == NULL)
		return fail(arena);
	bytes = block->bytes + block->used;
	block->used += size;
	return bytes;
}

void *arena_array(struct arena *arena, size_t n, size_t size)
{
	if (size > 0 && n > SIZE_MAX / size)
		return fail(arena);
	return arena_alloc(arena, n * size);
}

char *arena_copy(struct arena *arena, const char *bytes, size_t length)
{
	char *copy = length < SIZE_MAX ? arena_alloc(arena, length + 1) : fail(arena);

	if (copy != NULL && length > 0)
		(void)memcpy(copy, bytes, length);
	return copy;
}

void *arena_grow(struct arena *arena, void *array, size_t n, size_t *capacity, size_t size)
{
	size_t room = *capacity == 0 ? 8 : 2 * *capacity;
	void *moved;

	if (n < *capacity)
		return array;
	moved = arena_array(arena, room, size);
	if (moved == NULL)
		return NULL;
	if (n > 0)
		(void)memcpy(moved, array, n * size);
	*capacity = room;
	return moved;
}

void arena_done(struct arena *arena)
{
	while (arena->blocks != NULL) {
		struct arena_block *block = arena->blocks;

		arena->blocks = block->next;
		free(block);
	}
	arena->failed = false;
}
