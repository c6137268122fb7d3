/*
 * A ring that some process left, in any state: opened, read, decoded, formatted and used again,
 * nothing may be read or written past its end, and it always works afterwards.
 *
 * The input is a program: each letter says what is done to the ring, the bytes after it with what.
 */
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "record/record-priv.h"
#include "record/ring.h"

#define SPACE (RING_HEADER_SIZE + 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* NOLINT(*-identifier-naming) */

/* Memory as a table gives it, the same for all inputs. */
static alignas(4096) uint8_t memory[SPACE];

struct input {
	const uint8_t *at;
	size_t left;
};

static void check(bool holds)
{
	if (!holds)
		abort();
}

static uint8_t next(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->at++;
}

/* The next bytes of the input, at most *SIZE, which becomes how many there are. */
static const uint8_t *next_bytes(struct input *input, size_t *size)
{
	const uint8_t *bytes = input->at;

	if (*size > input->left)
		*size = input->left;
	input->at += *size;
	input->left -= *size;
	return bytes;
}

static void append(struct ring *ring, enum record_class class, const uint8_t *bytes, size_t size)
{
	uint8_t *room = ring_reserve(ring, class, size);

	if (room == NULL)
		return;
	if (size > 0)
		memcpy(room, bytes, size);
	(void)ring_publish(ring, size);
}

/* Appends a real entry whose texts are of the input. */
static void append_entry(struct ring *ring, struct input *input)
{
	size_t sizes[4] = {next(input), next(input), next(input), next(input)};
	uint8_t kind = next(input), flags = next(input);
	struct span spans[4];
	struct entry_field field;
	struct entry entry;
	uint8_t *room;

	for (size_t i = 0; i < 4; i++) {
		spans[i].bytes = (const char *)next_bytes(input, &sizes[i]);
		spans[i].size = sizes[i];
	}
	field = (struct entry_field){.name = spans[0], .value = spans[1]};
	entry = (struct entry){
		.kind = (enum record_kind)(kind % RECORD_KIND_COUNT),
		.flags = flags & ~(unsigned)ENTRY_ID,
		.said_size = sizes[3] + (flags >> 6),
		.peer = spans[2],
		.text = spans[3],
		.fields = &field,
		.n_fields = 1,
	};
	room = ring_reserve(ring, RECORD_ESSENTIAL, entry_size(&entry));
	if (room != NULL) {
		entry_encode(room, &entry);
		(void)ring_publish(ring, entry_size(&entry));
	}
}

/* Decodes and formats what is one record's. */
static void show(const uint8_t *bytes, size_t size)
{
	struct entry_field fields[ENTRY_FIELDS_MAX];
	struct formatted formatted = {.buffer = NULL};
	uint8_t *copy = malloc(size > 0 ? size : 1); /* so that a sanitizer sees a byte too many */
	struct entry entry;

	check(copy != NULL);
	if (size > 0)
		memcpy(copy, bytes, size);
	if (entry_decode(copy, size, &entry, fields) == 0) {
		for (int output = RECORD_OUTPUT_JOURNAL; output <= RECORD_OUTPUT_JSON; output++) {
			check(format_entry(&formatted, (enum record_output)output, &entry) == 0);
			check(formatted.used < formatted.room);
			check(formatted.n_parts <= FORMATTED_PARTS_MAX);
		}
	}
	formatted_done(&formatted);
	free(copy);
}

/* Takes one record. Returns whether there was one. */
static bool take(struct ring *ring)
{
	size_t size = 0;
	const uint8_t *bytes = ring_peek(ring, &size);

	if (bytes == NULL)
		return false;
	check(bytes >= ring->data && size <= ring_record_max(ring));
	check(bytes + size <= ring->data + ring->capacity);
	show(bytes, size);
	ring_consume(ring);
	return true;
}

/* Puts one of the values that might confuse into a word of the header. */
static void spoil_header(const struct ring *ring, struct input *input)
{
	uint64_t *words = (uint64_t *)(void *)memory;
	size_t at = next(input) % 32;
	uint64_t capacity = ring->capacity;
	const uint64_t values[] = {
		0,
		1,
		8,
		capacity / 2,
		capacity - 8,
		capacity,
		2 * capacity,
		words[8],
		words[16],
		UINT64_MAX,
		UINT64_MAX / 2,
		UINT64_MAX - 7,
	};

	words[at] = values[next(input) % (sizeof(values) / sizeof(values[0]))] +
		    8 * (uint64_t)(next(input) / 16) + next(input) / 128;
}

static void spoil_data(const struct ring *ring, struct input *input)
{
	uint64_t at = ring_position(ring) + (uint64_t)next(input) * 16 + next(input) / 8U;

	ring->data[at % ring->capacity] = next(input);
}

static void reopen(struct ring *ring)
{
	uint64_t position;
	size_t size = 0;

	check(ring_open(ring, memory, SPACE) == 0);
	/* What was kept stays readable to the end. */
	position = ring_position(ring);
	for (size_t n = 0; ring_next(ring, &position, &size) != NULL; n++)
		check(n < SPACE / 8);
}

static void step(struct ring *ring, struct input *input)
{
	size_t size;

	switch (next(input)) {
	case 'r':
		size = next(input);
		append(ring, RECORD_ESSENTIAL, next_bytes(input, &size), size);
		break;
	case 'R':
		size = ring_record_max(ring) - next(input);
		append(ring, RECORD_TRANSCRIPT, memory, size);
		break;
	case 'e':
		append_entry(ring, input);
		break;
	case 't':
		(void)take(ring);
		break;
	case 'w':
		if (ring_is_empty(ring))
			ring_rewind(ring);
		break;
	case 'h':
		spoil_header(ring, input);
		reopen(ring);
		break;
	case 'd':
		spoil_data(ring, input);
		reopen(ring);
		break;
	case 'o':
		reopen(ring);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) /* NOLINT(*-identifier-naming) */
{
	struct input input = {.at = data, .left = size};
	struct ring_losses losses;
	struct ring ring;

	memset(memory, 0, sizeof(memory));
	reopen(&ring);
	while (input.left > 0)
		step(&ring, &input);
	while (take(&ring))
		;
	check(ring_is_empty(&ring));
	if (ring_losses(&ring, &losses))
		ring_told(&ring, &losses);
	check(!ring_losses(&ring, &losses));
	append(&ring, RECORD_TRANSCRIPT, (const uint8_t *)"after", 5);
	check(take(&ring) && !take(&ring));
	return 0;
}
