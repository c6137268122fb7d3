/*
 * A table that some process left, in any state: whatever its header and a slot say, reading it
 * never leads outside the table, and a conversation that was accepted is the same when it is
 * written elsewhere and read again.
 *
 * The input is a program that spoils a good table of two slots, slot 0 holding a conversation:
 * each letter says what is spoilt, the bytes after it where and with what.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "handover/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* NOLINT(*-identifier-naming) */

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

static struct table make_table(void)
{
	struct table table;

	check(table_init(&table, 2) == 0);
	return table;
}

/* Slot 0 of TABLE holds a conversation again, and nothing else is used. */
static void make_good(struct table *table)
{
	struct slot_head *head = table->heads;
	struct slot_card *card = &table->near->card;

	table->header->used = 1;
	memset(head, 0, 2 * sizeof(*head));
	memset(table->near, 0, sizeof(*table->near));
	head->stage = STAGE_LIVE;
	head->in_read = 1020;
	head->out_sent = 2030;
	head->in_consumed = 1020;
	for (size_t i = 0; i < 2; i++)
		head->turn[i] = (struct slot_turn){
			.in_base = 1000,
			.in_taken = 1010,
			.out_base = 2000,
			.out_end = 2050,
			.phase = PHASE_DIALOGUE,
			.state_size = 10,
		};
	memcpy(card->peer, "peer", sizeof("peer"));
	memcpy(card->listener, "listener", sizeof("listener"));
	memcpy(card->responder, "responder", sizeof("responder"));
}

/* Puts one of the values that might confuse, or a little more or less, into a word of BYTES. */
static void spoil_word(uint8_t *bytes, size_t size, struct input *input)
{
	static const uint64_t values[] = {
		0,
		1000,
		2000,
		SLOT_NEAR_IN,
		SLOT_NEAR_OUT,
		SLOT_FAR_IN,
		SLOT_FAR_OUT,
		1000 + SLOT_NEAR_IN,
		1000 + SLOT_FAR_IN,
		2000 + SLOT_NEAR_OUT,
		2000 + SLOT_FAR_OUT,
		MARCEL_STATE_MAX,
		UINT32_MAX,
		UINT64_MAX,
		UINT64_MAX / 2,
	};
	size_t at = (size_t)next(input) * 8 % size;
	uint64_t value = values[next(input) % (sizeof(values) / sizeof(values[0]))];

	value += (uint64_t)next(input) - 128;
	memcpy(bytes + at, &value, sizeof(value));
}

static void spoil_byte(uint8_t *bytes, size_t size, struct input *input)
{
	size_t at = (size_t)next(input) << 8;

	at |= next(input);
	bytes[at % size] = next(input);
}

/* Fills a text with bytes, its end perhaps among them. */
static void spoil_text(struct slot_card *card, struct input *input)
{
	size_t at = (size_t)next(input) * 2;
	size_t size = (size_t)next(input) * 2;

	if (at + size > sizeof(*card))
		size = sizeof(*card) - at;
	memset((char *)card + at, 'x', size);
}

/* Checks that SIZE bytes at BYTES lie in TABLE, and looks at the first and the last. */
static void look_at(const struct table *table, const char *bytes, uint64_t size)
{
	const char *from = (const char *)table->header;
	volatile char seen = 0;

	check(bytes >= from && bytes <= from + table->size);
	check(size <= (uint64_t)(from + table->size - bytes));
	if (size > 0)
		seen = (char)(bytes[0] ^ bytes[size - 1]);
	(void)seen;
}

static void check_text(const struct table *table, const char *text, size_t room)
{
	size_t length = strlen(text);

	check(length < room);
	look_at(table, text, length + 1);
}

static uint64_t in_size(const struct snapshot *s)
{
	return s->turn.phase == PHASE_LINGER ? 0 : s->in_read - s->turn.in_base;
}

static uint64_t out_size(const struct snapshot *s)
{
	return s->turn.out_end - s->turn.out_base;
}

static void check_conversation(const struct table *table, const struct snapshot *s)
{
	check_text(table, s->peer, SLOT_PEER_MAX);
	check_text(table, s->listener, SLOT_LISTENER_MAX);
	check_text(table, s->responder, SLOT_RESPONDER_MAX);
	look_at(table, s->state, s->turn.state_size);
	look_at(table, s->in, in_size(s));
	look_at(table, s->out, out_size(s));
	check(s->turn.phase < PHASE_COUNT && s->turn.state_size <= MARCEL_STATE_MAX);
	if (s->turn.phase != PHASE_LINGER)
		check(s->turn.in_base <= s->turn.in_taken && s->turn.in_taken <= s->in_read &&
		      s->turn.out_base <= s->out_sent && s->out_sent <= s->turn.out_end);
}

static void write_elsewhere(const struct snapshot *s)
{
	static struct table table;
	struct snapshot_layout layout;
	struct snapshot again;
	struct slot slot;

	if (table.header == NULL)
		table = make_table();
	table.header->used = 2;
	slot = table_slot(&table, 1);
	memset(slot.head, 0, sizeof(*slot.head));
	snapshot_write_slot(s, &slot);
	check(snapshot_read_header(table.header, 4096, table.size, &layout) == 0);
	check(snapshot_read_slot(&layout, table.header, 1, &again) == 1);
	check_conversation(&table, &again);
	check(memcmp(&s->turn, &again.turn, sizeof(s->turn)) == 0);
	check(s->in_read == again.in_read && s->out_sent == again.out_sent);
	check(strcmp(s->peer, again.peer) == 0 && strcmp(s->responder, again.responder) == 0);
	check(memcmp(s->in, again.in, in_size(s)) == 0);
	check(memcmp(s->out, again.out, out_size(s)) == 0);
	check(memcmp(s->state, again.state, s->turn.state_size) == 0);
	if (((s->turn.flags & (TURN_IN_FAR | TURN_OUT_FAR)) != 0))
		table_release_slot(&table, 1);
}

static void read_slots(const struct table *table, const struct snapshot_layout *layout)
{
	check(layout->used <= layout->capacity && layout->size == table->size);
	for (uint32_t i = 0; i < layout->used; i++) {
		struct snapshot snapshot;
		int r = snapshot_read_slot(layout, table->header, i, &snapshot);

		check(r == 1 || r == 0 || r == -EINVAL);
		if (r != 1)
			continue;
		check_conversation(table, &snapshot);
		write_elsewhere(&snapshot);
	}
}

static void spoil(const struct table *table, uint8_t *header, struct input *input)
{
	switch (next(input)) {
	case 'h':
		spoil_byte(header, sizeof(struct table_header), input);
		break;
	case 'H':
		spoil_word(header, sizeof(struct table_header), input);
		break;
	case 's':
		spoil_byte((uint8_t *)table->heads, sizeof(struct slot_head), input);
		break;
	case 'S':
		spoil_word((uint8_t *)table->heads, sizeof(struct slot_head), input);
		break;
	case 't':
		spoil_text(&table->near->card, input);
		break;
	case 'n':
		spoil_byte((uint8_t *)table->near, sizeof(struct slot_near), input);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) /* NOLINT(*-identifier-naming) */
{
	static struct table table;
	struct input input = {.at = data, .left = size};
	struct snapshot_layout layout = {.version = 0};
	void *header = malloc(sizeof(struct table_header)); /* a sanitizer sees a byte too many */
	int r;

	if (table.header == NULL)
		table = make_table();
	make_good(&table);
	check(header != NULL);
	memcpy(header, table.header, sizeof(struct table_header));
	while (input.left > 0)
		spoil(&table, header, &input);
	r = snapshot_read_header(header, sizeof(struct table_header), table.size, &layout);
	check(r == 0 || r == -EINVAL || (r == -ENOTSUP && layout.version != 1));
	if (r == 0)
		read_slots(&table, &layout);
	free(header);
	return 0;
}
