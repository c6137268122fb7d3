/*
 * The ring; see ring.h.
 *
 * Positions (head: where the next record goes, tail: the oldest record) are counts of bytes that
 * only grow; modulo the capacity they are offsets in the data. A record is an 8-byte header and its
 * bytes, rounded up to 8. It never lies across the end of the data: where it would, the rest is one
 * piece of padding. All bytes of a record, and of the padding before it, are written before head is
 * stored over them: that one store is what makes a record exist.
 *
 * The header of a record carries a mark made of its position and size. It is not a checksum, for
 * SIGKILL tears nothing; it tells records from whatever a stray pointer left.
 *
 * Rewinding an empty ring takes two stores, tail first. A process killed between them leaves a
 * tail above head at the start of the data, which nothing else makes; it means empty.
 */
#include "record/ring.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

/* Data that was taken is given back in chunks of at most this size. The first one is kept. */
#define CHUNK_MAX (UINT64_C(2) * 1024 * 1024)

#define MAGIC  UINT64_C(0x474e495263726d00)
#define LAYOUT 1
#define ALIGN  UINT64_C(8)
/* No ring gets there; it leaves room to add to a position without a thought. */
#define POSITION_MAX (UINT64_MAX / 2)
#define PADDING      UINT32_C(0x5a5a5a5a)

/*
 * The layout, without anything left to the compiler. Head and tail are on cache lines of their own:
 * one is the appenders', the other the taker's.
 */
struct ring_header {
	_Atomic uint64_t magic; /* stored last of all by start_empty() */
	uint64_t layout;
	uint64_t capacity;
	uint64_t unused0[5];
	_Atomic uint64_t head;
	uint64_t unused1[7];
	_Atomic uint64_t tail;
	uint64_t unused2[7];
	/* Counts that only grow, and how much of them a record has told. */
	_Atomic uint64_t refused[RING_KINDS_MAX];
	_Atomic uint64_t told[RING_KINDS_MAX];
	_Atomic uint64_t damaged;
	_Atomic uint64_t damage_told;
};

struct piece {
	uint32_t size; /* of what follows, without rounding */
	uint32_t mark;
};

_Static_assert(sizeof(struct ring_header) <= RING_HEADER_SIZE, "the header has its room");
_Static_assert(sizeof(struct piece) == ALIGN, "padding always has room for its header");
_Static_assert(RECORD_KIND_COUNT <= RING_KINDS_MAX, "each kind has its counter");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "atomics in shared memory have no hidden lock");

static uint64_t load(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_acquire);
}

static void store(_Atomic uint64_t *value, uint64_t wanted)
{
	atomic_store_explicit(value, wanted, memory_order_release);
}

static uint64_t footprint(uint64_t size)
{
	return (sizeof(struct piece) + size + ALIGN - 1) / ALIGN * ALIGN;
}

static uint32_t mark_at(uint64_t position, uint32_t size)
{
	return (uint32_t)(position / ALIGN) * UINT32_C(2654435761) ^ size;
}

static struct piece piece_at(const struct ring *ring, uint64_t position)
{
	struct piece piece;

	memcpy(&piece, ring->data + position % ring->capacity, sizeof(piece));
	return piece;
}

static void put_piece(struct ring *ring, uint64_t position, uint64_t size, uint32_t flavour)
{
	struct piece piece = {.size = (uint32_t)size};

	piece.mark = mark_at(position, piece.size) ^ flavour;
	memcpy(ring->data + position % ring->capacity, &piece, sizeof(piece));
}

/* How much padding a record of TOTAL bytes needs before it at POSITION. */
static uint64_t padding_before(const struct ring *ring, uint64_t position, uint64_t total)
{
	uint64_t left = ring->capacity - position % ring->capacity;

	return total > left ? left : 0;
}

static void start_empty(struct ring *ring, uint64_t damaged)
{
	struct ring_header *header = ring->header;

	store(&header->magic, 0);
	memset(ring->header, 0, sizeof(*header));
	header->layout = LAYOUT;
	header->capacity = ring->capacity;
	store(&header->damaged, damaged);
	store(&header->magic, MAGIC);
}

/* Whether the piece at POSITION, which is one, is no record. */
static bool is_padding(const struct ring *ring, uint64_t position)
{
	struct piece piece = piece_at(ring, position);

	return piece.mark != mark_at(position, piece.size);
}

/* Whether one piece begins at POSITION and ends at or before HEAD; *RET_SIZE is what it takes. */
static bool is_piece(const struct ring *ring, uint64_t position, uint64_t head, uint64_t *ret_size)
{
	struct piece piece = piece_at(ring, position);
	uint64_t total = footprint(piece.size);
	uint64_t left = ring->capacity - position % ring->capacity;
	uint32_t flavour = piece.mark ^ mark_at(position, piece.size);

	if (total > left || total > head - position || total > footprint(ring_record_max(ring)))
		return false;
	if (flavour != 0 && (flavour != PADDING || total != left))
		return false;
	*ret_size = total;
	return true;
}

/* Keeps the records that can be read; nobody else uses the ring yet. */
static void check_contents(struct ring *ring)
{
	struct ring_header *header = ring->header;
	uint64_t head = load(&header->head);
	uint64_t tail = load(&header->tail);
	uint64_t position = tail; /* where the next piece begins */
	uint64_t end = tail;      /* where the last record ends: padding alone is nothing */
	uint64_t size = 0;

	if (tail > head && tail - head <= ring->capacity && tail % ring->capacity == 0) {
		store(&header->head, tail); /* killed while it rewound */
		return;
	}
	if (tail > head || head - tail > ring->capacity || head > POSITION_MAX ||
	    tail % ALIGN != 0 || head % ALIGN != 0) {
		start_empty(ring, ring->capacity);
		return;
	}
	for (; position < head && is_piece(ring, position, head, &size); position += size)
		if (!is_padding(ring, position))
			end = position + size;
	if (end < head) {
		ring_count_damage(ring, head - end);
		store(&header->head, end);
	}
}

/* A count that has told more than there was would make the next one huge. */
static void check_counts(struct ring_header *header)
{
	for (size_t kind = 0; kind < RING_KINDS_MAX; kind++)
		if (load(&header->told[kind]) > load(&header->refused[kind]))
			store(&header->told[kind], load(&header->refused[kind]));
	if (load(&header->damage_told) > load(&header->damaged))
		store(&header->damage_told, load(&header->damaged));
}

/* A small ring has no chunks (0): nothing of it is worth giving back. */
static uint64_t chunk_of(uint64_t capacity)
{
	uint64_t chunk = capacity / 16 / RING_GRANULE * RING_GRANULE;

	return chunk < CHUNK_MAX ? chunk : CHUNK_MAX;
}

int ring_open(struct ring *ring, void *memory, size_t space)
{
	struct ring_header *header = memory;
	uint64_t capacity;

	if (space < RING_SPACE_MIN)
		return -EINVAL;
	capacity = (space - RING_HEADER_SIZE) / RING_GRANULE * RING_GRANULE;
	*ring = (struct ring){
		.header = header,
		.data = (uint8_t *)memory + RING_HEADER_SIZE,
		.capacity = capacity,
		.chunk = chunk_of(capacity),
	};
	ring->limits[RECORD_TRANSCRIPT] = capacity / 2;
	ring->limits[RECORD_INFORMATIVE] = capacity / 4 * 3;
	ring->limits[RECORD_ESSENTIAL] = capacity - 2 * ring->chunk; /* see move_tail() */
	if (load(&header->magic) == 0) {
		start_empty(ring, 0);
	} else if (load(&header->magic) != MAGIC || header->layout != LAYOUT ||
		   header->capacity != capacity) {
		start_empty(ring, capacity);
	} else {
		check_counts(header);
		check_contents(ring);
	}
	return 0;
}

size_t ring_record_max(const struct ring *ring)
{
	/* Without chunks: padding before a record may be almost as long as the record itself. */
	uint64_t total = ring->chunk > 0 ? ring->chunk : ring->limits[RECORD_TRANSCRIPT] / 2;

	return (size_t)(total - sizeof(struct piece));
}

uint8_t *ring_reserve(struct ring *ring, enum record_class class, size_t size)
{
	uint64_t head = atomic_load_explicit(&ring->header->head, memory_order_relaxed);
	uint64_t used = head - load(&ring->header->tail);
	uint64_t total, padding;

	if (size > ring_record_max(ring))
		return NULL;
	total = footprint(size);
	padding = padding_before(ring, head, total);
	if (used + padding + total > ring->limits[class])
		return NULL;
	if (padding > 0)
		put_piece(ring, head, padding - sizeof(struct piece), PADDING);
	put_piece(ring, head + padding, size, 0);
	return ring->data + (head + padding) % ring->capacity + sizeof(struct piece);
}

bool ring_publish(struct ring *ring, size_t size)
{
	uint64_t head = atomic_load_explicit(&ring->header->head, memory_order_relaxed);
	uint64_t total = footprint(size);
	uint64_t next = head + padding_before(ring, head, total) + total;
	bool was_empty = load(&ring->header->tail) == head;

	store(&ring->header->head, next);
	return was_empty;
}

void ring_refuse(struct ring *ring, enum record_kind kind)
{
	(void)atomic_fetch_add_explicit(&ring->header->refused[kind], 1, memory_order_relaxed);
}

void ring_count_damage(struct ring *ring, uint64_t size)
{
	(void)atomic_fetch_add_explicit(&ring->header->damaged, size, memory_order_relaxed);
}

bool ring_is_empty(const struct ring *ring)
{
	return load(&ring->header->tail) == load(&ring->header->head);
}

/* Gives back memory between two offsets of the data. Memory that can't be (it is not shared) is
 * used again all the same. */
static void release(struct ring *ring, uint64_t from, uint64_t to)
{
	if (to > from)
		(void)madvise(ring->data + from, (size_t)(to - from), MADV_REMOVE);
}

/*
 * Moves the tail by SIZE bytes from TAIL, then gives back the chunks that end in them. Not the
 * other way round: a process killed in between would leave a tail that points at zeroes.
 *
 * Once the tail has moved, the appenders may write up to it. They keep two chunks away (limits[]),
 * and the first chunk given back begins less than two before the new tail, a record being smaller
 * than a chunk.
 */
static void move_tail(struct ring *ring, uint64_t tail, uint64_t size)
{
	uint64_t offset = tail % ring->capacity;
	uint64_t first, last;

	store(&ring->header->tail, tail + size);
	if (ring->chunk == 0)
		return;
	first = offset / ring->chunk * ring->chunk;
	last = (offset + size) / ring->chunk * ring->chunk;
	if (offset + size == ring->capacity)
		last = ring->capacity;
	release(ring, first > 0 ? first : ring->chunk, last);
}

/* The first record at *POSITION or after it, which is moved over padding; NULL at the head. */
static const uint8_t *find(const struct ring *ring, uint64_t *position, size_t *ret_size)
{
	uint64_t head = load(&ring->header->head);

	while (*position != head) {
		struct piece piece = piece_at(ring, *position);

		if (!is_padding(ring, *position)) {
			*ret_size = piece.size;
			return ring->data + *position % ring->capacity + sizeof(piece);
		}
		*position += footprint(piece.size);
	}
	return NULL;
}

const uint8_t *ring_peek(const struct ring *ring, size_t *ret_size)
{
	uint64_t position = ring_position(ring);

	return find(ring, &position, ret_size);
}

void ring_consume(struct ring *ring)
{
	uint64_t tail = ring_position(ring);
	uint64_t position = tail;
	size_t size = 0;

	if (find(ring, &position, &size) == NULL)
		return;
	if (position > tail)
		move_tail(ring, tail, position - tail);
	move_tail(ring, position, footprint(size));
}

const uint8_t *ring_next(const struct ring *ring, uint64_t *position, size_t *ret_size)
{
	const uint8_t *record = find(ring, position, ret_size);

	if (record != NULL)
		*position += footprint(*ret_size);
	return record;
}

void ring_rewind(struct ring *ring)
{
	uint64_t tail = load(&ring->header->tail);
	uint64_t offset = tail % ring->capacity;
	uint64_t start = tail - offset + ring->capacity;

	/* Not each time: positions are numbers that only grow, and must last for centuries. */
	if (offset < ring->capacity / 64 || tail != load(&ring->header->head))
		return;
	if (ring->chunk > 0 && offset > ring->chunk)
		release(ring, offset / ring->chunk * ring->chunk,
			(offset + RING_GRANULE - 1) / RING_GRANULE * RING_GRANULE);
	store(&ring->header->tail, start);
	store(&ring->header->head, start);
}

void ring_clear(struct ring *ring)
{
	release(ring, 0, ring->capacity);
	start_empty(ring, 0);
}

bool ring_losses(const struct ring *ring, struct ring_losses *ret_losses)
{
	const struct ring_header *header = ring->header;
	struct ring_losses losses;
	uint64_t sum;

	losses.damaged = load(&header->damaged) - load(&header->damage_told);
	sum = losses.damaged;
	for (size_t kind = 0; kind < RECORD_KIND_COUNT; kind++) {
		losses.kinds[kind] = load(&header->refused[kind]) - load(&header->told[kind]);
		sum |= losses.kinds[kind];
	}
	if (sum != 0)
		*ret_losses = losses;
	return sum != 0;
}

void ring_told(struct ring *ring, const struct ring_losses *losses)
{
	struct ring_header *header = ring->header;

	for (size_t kind = 0; kind < RECORD_KIND_COUNT; kind++)
		store(&header->told[kind], load(&header->told[kind]) + losses->kinds[kind]);
	store(&header->damage_told, load(&header->damage_told) + losses->damaged);
}

uint64_t ring_position(const struct ring *ring)
{
	return load(&ring->header->tail);
}
