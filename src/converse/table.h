/*
 * The table: one memfd that holds the state of every conversation (slot.h) and the ring of records
 * that were not sent yet.
 *
 * It is mapped shared, so its contents are those of the file at every instant; whoever holds the
 * descriptor after the process died finds them. It is sparse: its size is that of all slots with
 * their largest messages, its memory only what was used.
 *
 * Layout: a header page, the ring, then the heads, the near parts, the states, the far parts and
 * what was said last of all slots, each kind side by side. The header says the size of all
 * and of each part but the last, so that a later version can tell whether it reads the table as it
 * is. The first tables of version 1 end with the far parts.
 */
#pragma once

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "converse/slot.h"

#define TABLE_MAGIC     UINT64_C(0x314c45435241004d) /* "M\0ARCEL1" in memory */
#define TABLE_VERSION   1
#define TABLE_RING_SIZE ((size_t)64 * 1024 * 1024)

/*
 * The beginning, up to handed_over_at, is the same in every version: whoever takes over looks at it
 * before it knows the rest.
 */
struct table_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_size;
	uint64_t generation;       /* of two tables the higher one counts */
	_Atomic uint32_t complete; /* 1 once all slots are in it */
	_Atomic uint32_t attempts; /* starts with this table since the last that got ready */
	_Atomic uint64_t
		handed_over_at; /* CLOCK_MONOTONIC microseconds of an orderly handover, else 0 */

	uint32_t capacity; /* slots */
	_Atomic uint32_t
		used;  /* slots from this one on have never been used: nobody need look at them */
	uint64_t size; /* of the whole file */
	uint64_t ring_offset;
	uint64_t ring_size;
	uint64_t heads_offset;
	uint64_t head_size;
	uint64_t near_offset;
	uint64_t near_size;
	uint64_t states_offset;
	uint64_t states_size;
	uint64_t far_offset;
	uint64_t far_size;
	_Atomic uint64_t next_number; /* for the next conversation, where no file keeps it */
};
static_assert(offsetof(struct table_header, version) == 8, "the beginning never changes");
static_assert(offsetof(struct table_header, header_size) == 12, "the beginning never changes");
static_assert(offsetof(struct table_header, generation) == 16, "the beginning never changes");
static_assert(offsetof(struct table_header, complete) == 24, "the beginning never changes");
static_assert(offsetof(struct table_header, attempts) == 28, "the beginning never changes");
static_assert(offsetof(struct table_header, handed_over_at) == 32, "the beginning never changes");

struct table {
	int fd;
	struct table_header *header; /* the mapping's beginning */
	uint64_t size;               /* of the mapping */
	struct slot_head *heads;
	struct slot_near *near;
	struct slot_states *states;
	struct slot_far *far;
	struct marcel_past *past;
	void *ring;
};

/*
 * Makes a table of CAPACITY empty slots (1 to TABLE_CAPACITY_MAX). Returns 0 or a negative errno
 * (-ENOMEM: no address space). The caller owns *RET_TABLE, and calls table_done().
 */
#define TABLE_CAPACITY_MAX 65536
int table_init(struct table *ret_table, uint32_t capacity);

/*
 * Maps the table behind the descriptor FD, which it owns then, as it is. Returns 0 or a negative
 * errno: -EINVAL when its layout is not this version's (table_header_fits()).
 */
int table_adopt(struct table *ret_table, int fd);

/* Whether HEADER is that of a table of CAPACITY slots as this version lays them out, in SIZE bytes.
 */
bool table_header_fits(const struct table_header *header, uint32_t capacity, uint64_t size);

/* The same for a table that does not have what was said last, and else is like this version's. */
bool table_header_fits_without_past(const struct table_header *header, uint32_t capacity,
				    uint64_t size);

/* Unmaps and closes the table; its contents live on while others hold the descriptor. */
void table_done(struct table *table);

/* The parts of slot INDEX. */
struct slot table_slot(const struct table *table, uint32_t index);

/*
 * Gives the memory of slot INDEX back but for its head; it reads as zeroes afterwards. Only while
 * no thread uses the slot. Failure costs memory only, and is ignored.
 */
void table_release_slot(struct table *table, uint32_t index);

/* The same for SIZE bytes at FROM, whole pages of a far part. */
void table_release_range(void *from, size_t size);
