/*
 * Reading tables of earlier processes: what is right is read value by value, what is nonsense is
 * refused, and what a released version wrote stays readable.
 *
 * tests/snapshots/v1.txt is a table of version 1. It is written by
 *
 *	test-handover-snapshot --write FILE
 *
 * once, before the version is released, and never again. A new layout gets a new number, an image
 * of its own, and its sizes pinned as in snapshot-v1.h; the images before it go on being read.
 */
#include "handover/snapshot.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "converse/end-reasons.h"
#include "snapshot-image.h"
#include "snapshot-v1.h"

#define IMAGE_V1 MARCEL_SOURCE_DIR "/tests/snapshots/v1.txt"

/* What the bytes at stream offset AT are, in every buffer of these tests; SEED tells them apart. */
static char letter(uint64_t at, unsigned seed)
{
	return (char)('a' + (at * 7 + seed) % 26);
}

#define SEED_IN    1
#define SEED_OUT   2
#define SEED_STATE 3

/* How many bytes of its input buffer mean something. */
static size_t in_size(const struct snapshot *s)
{
	return s->turn.phase == PHASE_LINGER ? 0 : (size_t)(s->in_read - s->turn.in_base);
}

static size_t out_size(const struct snapshot *s)
{
	return (size_t)(s->turn.out_end - s->turn.out_base);
}

/* Writes CONVERSATION, whose buffers are filled with letters, into SLOT. */
static void fill_slot(const struct snapshot *conversation, const struct slot *slot)
{
	struct snapshot s = *conversation;
	size_t size = SLOT_FAR_IN + SLOT_FAR_OUT + MARCEL_STATE_MAX;
	auto_free char *bytes = malloc(size);
	char *out;
	char *state;

	assert_non_null(bytes);
	out = bytes + in_size(&s);
	state = out + out_size(&s);
	for (size_t i = 0; i < in_size(&s); i++)
		bytes[i] = letter(s.turn.in_base + i, SEED_IN);
	for (size_t i = 0; i < out_size(&s); i++)
		out[i] = letter(s.turn.out_base + i, SEED_OUT);
	for (size_t i = 0; i < s.turn.state_size; i++)
		state[i] = letter(i, SEED_STATE);
	s.in = bytes;
	s.out = out;
	s.state = state;
	s.card_responder = s.responder;
	snapshot_write_slot(&s, slot);
}

static void assert_letters(const char *bytes, uint64_t from, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], letter(from + i, seed));
}

static void assert_conversation(const struct snapshot *got, const struct snapshot *expected)
{
	assert_int_equal(got->cookie, expected->cookie);
	assert_int_equal(got->number, expected->number);
	assert_memory_equal(got->id, expected->id, sizeof(got->id));
	assert_int_equal(got->opened, expected->opened);
	assert_int_equal(got->in_read, expected->in_read);
	assert_int_equal(got->out_sent, expected->out_sent);
	assert_int_equal(got->in_consumed, expected->in_consumed);
	assert_int_equal(got->crashes, expected->crashes);
	assert_int_equal(got->in_flight, expected->in_flight);
	assert_memory_equal(&got->turn, &expected->turn, sizeof(got->turn));
	assert_string_equal(got->peer, expected->peer);
	assert_string_equal(got->listener, expected->listener);
	assert_string_equal(got->responder, expected->responder);
	assert_memory_equal(got->key, expected->key, sizeof(got->key));
	assert_int_equal(got->keyed, expected->keyed);
	assert_letters(got->in, got->turn.in_base, in_size(got), SEED_IN);
	assert_letters(got->out, got->turn.out_base, out_size(got), SEED_OUT);
	assert_letters(got->state, 0, got->turn.state_size, SEED_STATE);
}

/* A table and where things lie in it. */
struct fixture {
	struct table table;
	struct snapshot_layout layout;
};

static void read_layout(struct fixture *fixture)
{
	assert_int_equal(snapshot_read_header(fixture->table.header, 4096, fixture->table.size,
					      &fixture->layout),
			 0);
}

/* A table that holds all conversations, all of its slots but the last in use. */
static void make_table(struct fixture *fixture)
{
	struct table_header *header;

	assert_int_equal(table_init(&fixture->table, IMAGE_CAPACITY), 0);
	header = fixture->table.header;
	header->generation = 12;
	header->handed_over_at = 987654321;
	header->next_number = 8;
	header->complete = 1;
	header->used = IMAGE_CAPACITY - 1;
	for (uint32_t i = 0; i < N_CONVERSATIONS; i++) {
		struct slot slot = table_slot(&fixture->table, i);

		fill_slot(&conversations[i], &slot);
	}
	read_layout(fixture);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	make_table(fixture);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	table_done(&fixture->table);
	free(fixture);
	return 0;
}

static int read_slot(const struct fixture *fixture, uint32_t index, struct snapshot *ret)
{
	return snapshot_read_slot(&fixture->layout, fixture->table.header, index, ret);
}

/* Puts the turn in force of SLOT into the other half, under SEQUENCE, and nonsense into this one.
 */
static void turn_over(const struct slot *slot, uint64_t sequence)
{
	size_t to = sequence & 1;
	size_t from = 1 - to;

	slot->head->turn[to] = slot->head->turn[from];
	(void)memcpy(slot->states->area[to], slot->states->area[from], MARCEL_STATE_MAX);
	(void)memset(&slot->head->turn[from], 0xee, 64);
	(void)memset(slot->states->area[from], 'Z', 32);
	slot->head->sequence = sequence;
}

/* The header at HEADER, as one of a file of SIZE bytes. */
static int read_header(const struct table_header *header, uint64_t size)
{
	struct snapshot_layout layout = {.version = 99};
	int r = snapshot_read_header(header, sizeof(*header), size, &layout);

	assert_int_equal(layout.version, r == 0 ? 1 : r == -ENOTSUP ? header->version : 99);
	return r;
}

static void a_good_header_is_read(void **state)
{
	const struct fixture *fixture = *state;
	const struct snapshot_layout *layout = &fixture->layout;

	assert_int_equal(layout->version, 1);
	assert_int_equal(layout->capacity, IMAGE_CAPACITY);
	assert_int_equal(layout->used, IMAGE_CAPACITY - 1);
	assert_int_equal(layout->ring_offset, 4096);
	assert_int_equal(layout->ring_size, 64 * 1024 * 1024);
	assert_int_equal(layout->heads_offset, 4096 + 64 * 1024 * 1024);
	assert_int_equal(layout->near_offset, layout->heads_offset + 4096);
	assert_int_equal(layout->states_offset, layout->near_offset + IMAGE_CAPACITY * 4096);
	assert_int_equal(layout->far_offset, layout->states_offset + IMAGE_CAPACITY * 32768);
	assert_int_equal(layout->past_offset, layout->far_offset + IMAGE_CAPACITY * 3407872);
	assert_int_equal(layout->size, layout->past_offset + IMAGE_CAPACITY * 4096);
	assert_int_equal(layout->generation, 12);
	assert_int_equal(layout->handed_over_at, 987654321);
	assert_int_equal(layout->next_number, 8);
	assert_true(layout->complete);

	fixture->table.header->complete = 0;
	read_layout(*state);
	assert_false(layout->complete);
}

static void a_truncated_table_is_refused(void **state)
{
	const struct fixture *fixture = *state;
	const struct table_header *header = fixture->table.header;
	struct snapshot_layout layout;

	for (size_t size = 0; size < sizeof(*header); size++)
		assert_int_equal(snapshot_read_header(header, size, fixture->table.size, &layout),
				 -EINVAL);
	assert_int_equal(read_header(header, fixture->table.size), 0);
	assert_int_equal(read_header(header, fixture->table.size - 1), -EINVAL);
	assert_int_equal(read_header(header, fixture->table.size + 1), -EINVAL);
	assert_int_equal(read_header(header, fixture->layout.past_offset), -EINVAL);
	assert_int_equal(read_header(header, 4096), -EINVAL);
	assert_int_equal(read_header(header, 0), -EINVAL);
}

static void a_table_of_another_version_is_named(void **state)
{
	const struct fixture *fixture = *state;
	struct table_header *header = fixture->table.header;

	header->version = TABLE_VERSION + 1;
	assert_int_equal(read_header(header, fixture->table.size), -ENOTSUP);
	header->version = 0;
	assert_int_equal(read_header(header, fixture->table.size), -ENOTSUP);
	/* Its sizes are its own affair. */
	header->version = UINT32_MAX;
	header->capacity = 0;
	assert_int_equal(read_header(header, 4096), -ENOTSUP);
}

/* A value, little endian, at an offset. */
struct patch {
	size_t offset;
	size_t size;
	uint64_t value;
};

static void apply(void *to, const struct patch *patch)
{
	(void)memcpy((char *)to + patch->offset, &patch->value, patch->size);
}

#define HEADER(member, value)                                                                      \
	{                                                                                          \
		offsetof(struct table_header, member), sizeof(((struct table_header *)0)->member), \
			value                                                                      \
	}

static void nonsense_in_the_header_is_refused(void **state)
{
	const struct fixture *fixture = *state;
	const struct patch patches[] = {
		HEADER(magic, TABLE_MAGIC + 1),
		HEADER(magic, 0),
		HEADER(header_size, 143),
		HEADER(capacity, 0),
		HEADER(capacity, IMAGE_CAPACITY - 1),
		HEADER(capacity, IMAGE_CAPACITY + 1),
		HEADER(capacity, TABLE_CAPACITY_MAX + 1),
		HEADER(capacity, UINT32_MAX),
		HEADER(used, IMAGE_CAPACITY + 1),
		HEADER(used, UINT32_MAX),
		HEADER(size, 0),
		HEADER(size, fixture->table.size + 4096),
		HEADER(ring_offset, 0),
		HEADER(ring_size, TABLE_RING_SIZE + 4096),
		HEADER(heads_offset, UINT64_MAX),
		HEADER(head_size, 512),
		HEADER(near_offset, 4096),
		HEADER(near_size, 8192),
		HEADER(states_offset, fixture->table.size),
		HEADER(states_size, 0),
		HEADER(far_offset, fixture->layout.far_offset + 1),
		HEADER(far_size, UINT64_MAX),
	};

	for (size_t i = 0; i < sizeof(patches) / sizeof(patches[0]); i++) {
		struct table_header header = *fixture->table.header;

		apply(&header, &patches[i]);
		if (read_header(&header, fixture->table.size) != -EINVAL)
			fail_msg("patch %zu was accepted", i);
	}
}

static void every_conversation_is_read_as_it_was_written(void **state)
{
	const struct fixture *fixture = *state;
	struct snapshot got;

	for (uint32_t i = 0; i < N_CONVERSATIONS; i++) {
		assert_int_equal(read_slot(fixture, i, &got), 1);
		assert_conversation(&got, &conversations[i]);
	}
	assert_int_equal(read_slot(fixture, N_CONVERSATIONS, &got), 0);
}

static void the_half_in_force_is_read(void **state)
{
	const struct fixture *fixture = *state;
	struct slot slot = table_slot(&fixture->table, 1);
	struct snapshot got;

	for (uint64_t sequence = 1; sequence < 5; sequence++) {
		turn_over(&slot, sequence);
		assert_int_equal(read_slot(fixture, 1, &got), 1);
		assert_conversation(&got, &conversations[1]);
	}
}

/* What was read, written into an empty table and read again, is the same: near, far, states. */
static void what_was_read_can_be_written_elsewhere(void **state)
{
	const struct fixture *fixture = *state;
	struct fixture copy = {.table = {.fd = -1}};
	struct slot turned = table_slot(&fixture->table, 1);
	struct snapshot got;

	turn_over(&turned, 5);
	assert_int_equal(table_init(&copy.table, 16), 0);
	copy.table.header->used = 16;
	read_layout(&copy);
	for (uint32_t i = 0; i < N_CONVERSATIONS; i++) {
		struct slot slot = table_slot(&copy.table, 15 - i);

		assert_int_equal(read_slot(fixture, i, &got), 1);
		snapshot_write_slot(&got, &slot);
	}
	for (uint32_t i = 0; i < N_CONVERSATIONS; i++) {
		assert_int_equal(read_slot(&copy, 15 - i, &got), 1);
		assert_conversation(&got, &conversations[i]);
	}
	table_done(&copy.table);
}

#define HEAD(member, value)                                                                        \
	{                                                                                          \
		offsetof(struct slot_head, member), sizeof(((struct slot_head *)0)->member), value \
	}
#define TURN(member, value) HEAD(turn[0].member, value)
/* Two bytes at once: the framing's kind and its line_end. */
#define LINES_ENDED_BY(line_end)                                \
	{                                                       \
		offsetof(struct slot_head, turn[0].framing), 2, \
			MARCEL_FRAMING_LINE | (line_end) << 8   \
	}

/* Reads conversation 1, or with LINGER 6, after PATCH to its head. */
static int read_patched(struct fixture *fixture, bool linger, const struct patch *patch,
			struct snapshot *ret)
{
	uint32_t index = linger ? 6 : 1;
	struct slot slot = table_slot(&fixture->table, index);
	struct slot_head before;
	int r;

	(void)memcpy(&before, slot.head, sizeof(before));
	apply(slot.head, patch);
	r = read_slot(fixture, index, ret);
	(void)memcpy(slot.head, &before, sizeof(before));
	return r;
}

static void nonsense_in_a_slot_is_refused(void **state)
{
	/* Conversation 1: input 4900, 5000, 5007; output 7000, 7100, 7100. */
	static const struct patch patches[] = {
		TURN(phase, PHASE_COUNT),
		TURN(phase, UINT8_MAX),
		TURN(mode, MODE_COUNT),
		TURN(line_end, LINE_END_COUNT),
		TURN(reason, END_REASON_COUNT),
		TURN(framing.kind, MARCEL_FRAMING_BYTES + 1),
		TURN(framing.kind, UINT8_MAX),
		TURN(framing.kind, MARCEL_FRAMING_PREFIX), /* of size 0 */
		TURN(framing.kind, MARCEL_FRAMING_RECORD),
		TURN(framing.kind, MARCEL_FRAMING_BYTES),
		LINES_ENDED_BY(MARCEL_LINE_CRLF + 1),
		TURN(in_taken, 4899),
		TURN(in_taken, 5008),
		TURN(in_taken, UINT64_MAX),
		TURN(in_base, 5001),
		TURN(in_base, 5007 - SLOT_NEAR_IN - 1),
		TURN(in_base, UINT64_MAX),
		TURN(out_base, 7101),
		TURN(out_base, 7100 - SLOT_NEAR_OUT - 1),
		TURN(out_end, 6999),
		TURN(out_end, 7099),
		TURN(out_end, 7001 + SLOT_NEAR_OUT),
		TURN(out_end, UINT64_MAX),
		TURN(state_size, MARCEL_STATE_MAX + 1),
		TURN(state_size, UINT32_MAX),
		HEAD(in_read, 4999),
		HEAD(in_read, 4901 + SLOT_NEAR_IN),
		HEAD(in_read, UINT64_MAX),
		HEAD(out_sent, 6999),
		HEAD(out_sent, 7101),
		HEAD(out_sent, UINT64_MAX),
		HEAD(in_consumed, 5008),
	};
	/* Conversation 6, which lingers: input 0, 5, any; output 0, any, 20. */
	static const struct patch lingering[] = {
		TURN(in_base, 6),
		TURN(in_taken, SLOT_NEAR_IN + 1),
		TURN(out_base, 21),
		TURN(out_end, SLOT_NEAR_OUT + 1),
		TURN(state_size, MARCEL_STATE_MAX + 1),
	};
	size_t n = sizeof(patches) / sizeof(patches[0]);

	for (size_t i = 0; i < n + sizeof(lingering) / sizeof(lingering[0]); i++) {
		const struct snapshot *expected = &conversations[i < n ? 1 : 6];
		struct snapshot got;

		if (read_patched(*state, i >= n, i < n ? &patches[i] : &lingering[i - n], &got) !=
		    -EINVAL)
			fail_msg("patch %zu was accepted", i);
		assert_int_equal(got.cookie, expected->cookie);
		assert_int_equal(got.number, expected->number);
		assert_memory_equal(got.id, expected->id, sizeof(got.id));
	}
}

static void the_last_sensible_values_are_read(void **state)
{
	static const struct patch patches[] = {
		TURN(phase, PHASE_FAREWELL),
		TURN(mode, MODE_RAW_ONLY),
		TURN(reason, END_REASON_COUNT - 1),
		TURN(more, UINT8_MAX),
		TURN(framing.kind, MARCEL_FRAMING_RAW),
		LINES_ENDED_BY(MARCEL_LINE_CRLF),
		TURN(in_base, 5000),
		TURN(in_base, 5007 - SLOT_NEAR_IN),
		TURN(in_taken, 4900),
		TURN(in_taken, 5007),
		TURN(out_base, 7100),
		TURN(out_base, 7100 - SLOT_NEAR_OUT),
		TURN(out_end, 7000 + SLOT_NEAR_OUT),
		TURN(state_size, MARCEL_STATE_MAX),
		HEAD(in_read, 4900 + SLOT_NEAR_IN),
		HEAD(out_sent, 7000),
		HEAD(in_consumed, 5007),
	};
	struct snapshot got;

	for (size_t i = 0; i < sizeof(patches) / sizeof(patches[0]); i++)
		if (read_patched(*state, false, &patches[i], &got) != 1)
			fail_msg("patch %zu was refused", i);
}

static void a_stage_that_is_not_live_is_no_conversation(void **state)
{
	static const struct patch patches[] = {HEAD(stage, STAGE_FREE), HEAD(stage, 2)};
	struct snapshot got;

	for (size_t i = 0; i < sizeof(patches) / sizeof(patches[0]); i++)
		assert_int_equal(read_patched(*state, false, &patches[i], &got), 0);
}

static void texts_without_an_end_are_refused(void **state)
{
	struct fixture *fixture = *state;
	struct slot_card *card = &fixture->table.near[1].card;
	const struct {
		char *text;
		size_t room;
	} texts[] = {
		{card->peer, sizeof(card->peer)},
		{card->listener, sizeof(card->listener)},
		{card->responder, sizeof(card->responder)},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct snapshot got;

		(void)memset(texts[i].text, 'x', texts[i].room);
		assert_int_equal(read_slot(fixture, 1, &got), -EINVAL);
		assert_int_equal(got.number, 2);
		assert_string_equal(got.peer, "");
		texts[i].text[texts[i].room - 1] = '\0';
		assert_int_equal(read_slot(fixture, 1, &got), 1);
	}
}

/* What version 1 wrote; whatever the present version is. */
static void the_image_of_version_1_is_read(void **state)
{
	struct snapshot_layout layout;
	struct snapshot got;
	struct image image;

	(void)state;
	image_load(IMAGE_V1, &image);
	assert_int_equal(snapshot_read_header(image.map, 4096, image.size, &layout), 0);
	/* It comes from before there were any. */
	assert_int_equal(layout.past_offset, 0);
	assert_int_equal(layout.version, 1);
	assert_int_equal(layout.capacity, IMAGE_CAPACITY);
	assert_int_equal(layout.used, IMAGE_CAPACITY - 1);
	assert_int_equal(layout.generation, 12);
	assert_int_equal(layout.handed_over_at, 987654321);
	assert_int_equal(layout.next_number, 8);
	assert_true(layout.complete);
	for (uint32_t i = 0; i < N_CONVERSATIONS; i++) {
		assert_int_equal(snapshot_read_slot(&layout, image.map, i, &got), 1);
		assert_conversation(&got, &conversations[i]);
	}
	assert_int_equal(snapshot_read_slot(&layout, image.map, N_CONVERSATIONS, &got), 0);
	image_done(&image);
}

/* Writes the table of these tests to PATH, as an image; conversation 1 has its second half in
 * force.
 */
static int write_image(const char *path)
{
	auto_fclose FILE *stream = fopen(path, "we");
	struct fixture fixture;
	struct slot turned;
	const char *map;

	if (stream == NULL) {
		perror(path);
		return EXIT_FAILURE;
	}
	make_table(&fixture);
	turned = table_slot(&fixture.table, 1);
	turn_over(&turned, 41);
	map = (const char *)fixture.table.header;
	(void)fprintf(stream,
		      "# A table of version %d, as test-handover-snapshot --write makes it.\n",
		      TABLE_VERSION);
	(void)fprintf(stream, "size: %llx\n", (unsigned long long)fixture.table.size);
	image_write(stream, "header", map, 0, sizeof(struct table_header));
	for (uint32_t i = 0; i < N_CONVERSATIONS; i++) {
		struct slot slot = table_slot(&fixture.table, i);
		const void *parts[] = {slot.head, slot.near, slot.states, slot.far};
		const size_t sizes[] = {sizeof(*slot.head), sizeof(*slot.near),
					sizeof(*slot.states), sizeof(*slot.far)};
		static const char *const names[] = {"head", "near part", "states", "far part"};

		for (size_t part = 0; part < 4; part++) {
			char what[64];

			(void)snprintf(what, sizeof(what), "slot %u: %s", i, names[part]);
			image_write(stream, what, map, (uint64_t)((const char *)parts[part] - map),
				    sizes[part]);
		}
	}
	table_done(&fixture.table);
	return ferror(stream) ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_good_header_is_read),
		TEST(a_truncated_table_is_refused),
		TEST(a_table_of_another_version_is_named),
		TEST(nonsense_in_the_header_is_refused),
		TEST(every_conversation_is_read_as_it_was_written),
		TEST(the_half_in_force_is_read),
		TEST(what_was_read_can_be_written_elsewhere),
		TEST(nonsense_in_a_slot_is_refused),
		TEST(the_last_sensible_values_are_read),
		TEST(a_stage_that_is_not_live_is_no_conversation),
		TEST(texts_without_an_end_are_refused),
		cmocka_unit_test(the_image_of_version_1_is_read),
	};

	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		return write_image(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
