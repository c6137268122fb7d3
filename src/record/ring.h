/*
 * The ring: a bounded queue of records in plain memory, which may be shared and outlive us.
 *
 * One side appends (ring_reserve(), ring_publish(), ring_refuse()); it may be many threads under
 * one lock of theirs. The other side takes (ring_peek(), ring_consume(), ring_rewind()); it is one
 * thread and needs the lock for ring_rewind() alone. The ring holds no lock and no pointer, so that
 * a process killed at any instruction leaves every record that was published whole and nothing
 * half, and the next process goes on with ring_open() on the same memory.
 *
 * A record is a run of bytes; what they mean is for entry.h. As the ring fills, it refuses records
 * by class, so that what matters most always finds room: transcript lines at half, informative ones
 * at three quarters, essential ones at the end. Refused ones are counted by kind, in the ring too.
 *
 * Memory: only the part that has been written is ever touched, a backlog that was taken is given
 * back to the kernel chunk by chunk, and an empty ring begins again at its start.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/kinds.h"

/* What comes before the data. Page aligned for every size of page. */
#define RING_HEADER_SIZE 65536

/* The least memory that ring_open() takes, and what its data area is a multiple of. */
#define RING_GRANULE   65536
#define RING_SPACE_MIN (RING_HEADER_SIZE + RING_GRANULE)

/* A kind that the next version adds needs a counter in memory that this version laid out. */
#define RING_KINDS_MAX 64

struct ring_header;

/* One process's view of a ring: the caller's struct, nothing in it needs to be released. */
struct ring {
	struct ring_header *header;
	uint8_t *data;
	uint64_t capacity;  /* bytes of data */
	uint64_t chunk;     /* what is given back at once; 0: nothing ever is */
	uint64_t limits[3]; /* how full a record of each class may make it */
};

/* What was refused since it was last told, and what was found to be damaged. */
struct ring_losses {
	uint64_t kinds[RECORD_KIND_COUNT]; /* records, by kind */
	uint64_t damaged;                  /* bytes that could not be read as records */
};

/*
 * Opens the ring in SPACE bytes at MEMORY (page aligned). Zeroed memory becomes an empty ring. What
 * a dead process left there is checked: records up to the first that makes no sense are kept, the
 * bytes after it are discarded and counted as damaged. Memory that holds no ring of this layout is
 * made an empty one, with that counted. Returns 0, or -EINVAL: SPACE is below RING_SPACE_MIN.
 * Before any other thread knows of the ring.
 */
int ring_open(struct ring *ring, void *memory, size_t space);

/* The most bytes that a record can have. Any thread. */
size_t ring_record_max(const struct ring *ring);

/*
 * Makes room for a record of SIZE bytes and returns where they go, or NULL if the ring is too full
 * for CLASS. Nothing is appended before ring_publish() with the same SIZE; until then the caller
 * keeps its lock, or forgets about it.
 */
uint8_t *ring_reserve(struct ring *ring, enum record_class class, size_t size);

/* Appends what was reserved. Returns whether the ring was empty: then its taker may be asleep. */
bool ring_publish(struct ring *ring, size_t size);

/* Counts a record of KIND that was not recorded. Any thread. */
void ring_refuse(struct ring *ring, enum record_kind kind);

/* Counts SIZE bytes of a record that made no sense to its reader. Any thread. */
void ring_count_damage(struct ring *ring, uint64_t size);

/* Whether nothing is there to take. Any thread; for others than the taker it is a hint. */
bool ring_is_empty(const struct ring *ring);

/*
 * The oldest record and its size, or NULL if there is none. The bytes stay as they are until
 * ring_consume(). Aligned to 8 bytes. The taker's thread.
 */
const uint8_t *ring_peek(const struct ring *ring, size_t *ret_size);

/*
 * Removes the record that ring_peek() returned. A record that was peeked at and not consumed when
 * the process was killed is there again for the next one. The taker's thread.
 */
void ring_consume(struct ring *ring);

/*
 * Reads on without removing anything: the record at *POSITION, which moves past it, or NULL at the
 * end. Begin with ring_position(). Nobody else may use the ring meanwhile.
 */
const uint8_t *ring_next(const struct ring *ring, uint64_t *position, size_t *ret_size);

/*
 * Lets an empty ring begin again at the start of its memory. The taker's thread, with the
 * appenders' lock held.
 */
void ring_rewind(struct ring *ring);

/* Empties the ring, counters too. Nobody else may use it. */
void ring_clear(struct ring *ring);

/*
 * What was refused and not told yet. Returns whether that is anything. ring_told(), with the same
 * losses, says that they have been told. The taker's thread.
 */
bool ring_losses(const struct ring *ring, struct ring_losses *ret_losses);
void ring_told(struct ring *ring, const struct ring_losses *losses);

/* Where the oldest record is, as a number that only grows. Any thread. */
uint64_t ring_position(const struct ring *ring);
