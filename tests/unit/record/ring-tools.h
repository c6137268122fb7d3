/*
 * What the tests of the ring share: memory as a table's memfd would give it, records whose bytes
 * follow from their number, and numbers at random that are the same in every run.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "record/ring.h"

#define SMALL_SPACE RING_SPACE_MIN
/* Large enough to give memory back in chunks of 64 KiB. */
#define CHUNKED_SPACE   (RING_HEADER_SIZE + 1024 * 1024)
#define RECORD_SIZE_MAX 4096

/* Shared memory that is zeroed; munmap() it, or leave it to the end. */
static inline void *shared_memory(size_t space)
{
	void *memory = mmap(NULL, space, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	return memory;
}

/* xorshift: enough to vary a test. *STATE must not be 0. */
static inline uint64_t at_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The size of record NUMBER: mostly small, sometimes not. */
static inline size_t numbered_size(uint64_t number)
{
	uint64_t state = number * 2 + 1;
	uint64_t chance = at_random(&state) * UINT64_C(0x9e3779b97f4a7c15) >> 32;

	return sizeof(number) +
	       (size_t)(chance % 16 == 0 ? chance % (RECORD_SIZE_MAX - 8) : chance % 200);
}

static inline void fill_numbered(uint8_t *bytes, uint64_t number)
{
	size_t size = numbered_size(number);

	memcpy(bytes, &number, sizeof(number));
	for (size_t i = sizeof(number); i < size; i++)
		bytes[i] = (uint8_t)(number * 31 + i);
}

/* Whether SIZE bytes are record NUMBER and nothing else. */
static inline bool is_numbered(const uint8_t *bytes, size_t size, uint64_t number)
{
	uint8_t wanted[RECORD_SIZE_MAX];

	if (size != numbered_size(number))
		return false;
	fill_numbered(wanted, number);
	return memcmp(bytes, wanted, size) == 0;
}

/* Appends record NUMBER. Returns whether there was room. */
static inline bool append_numbered(struct ring *ring, enum record_class class, uint64_t number)
{
	size_t size = numbered_size(number);
	uint8_t *bytes = ring_reserve(ring, class, size);

	if (bytes == NULL)
		return false;
	fill_numbered(bytes, number);
	(void)ring_publish(ring, size);
	return true;
}

/* Takes one record, which must be NUMBER. */
static inline void take_numbered(struct ring *ring, uint64_t number)
{
	size_t size = 0;
	const uint8_t *bytes = ring_peek(ring, &size);

	assert_non_null(bytes);
	assert_true(is_numbered(bytes, size, number));
	ring_consume(ring);
}
