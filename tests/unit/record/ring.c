/*
 * The ring by itself: order, limits, wrapping, taking over what a dead process left, and giving
 * memory back.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "ring-tools.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define LARGE_RECORDS 3000

/* Where the header keeps things, in words: a ring is damaged by hand here. See struct ring_header.
 */
enum {
	AT_MAGIC = 0,
	AT_LAYOUT = 1,
	AT_CAPACITY = 2,
	AT_HEAD = 8,
	AT_TAIL = 16,
};

static uint64_t *word(void *memory, size_t at)
{
	return (uint64_t *)memory + at;
}

static void open_small(struct ring *ring)
{
	assert_int_equal(ring_open(ring, shared_memory(SMALL_SPACE), SMALL_SPACE), 0);
}

/* Takes what is there; it must be the records FIRST to LAST - 1. */
static void take_all(struct ring *ring, uint64_t first, uint64_t last)
{
	for (uint64_t number = first; number < last; number++)
		take_numbered(ring, number);
	assert_true(ring_is_empty(ring));
}

static void test_zeroes_are_an_empty_ring(void **state)
{
	struct ring_losses losses;
	struct ring ring;
	size_t size = 4711;

	(void)state;
	open_small(&ring);
	assert_true(ring_is_empty(&ring));
	assert_null(ring_peek(&ring, &size));
	assert_int_equal(size, 4711);
	assert_false(ring_losses(&ring, &losses));
	ring_consume(&ring);
	assert_true(ring_is_empty(&ring));
}

static void test_too_little_memory(void **state)
{
	static uint8_t memory[16];
	struct ring ring;

	(void)state;
	assert_int_equal(ring_open(&ring, memory, RING_SPACE_MIN - 1), -EINVAL);
	assert_int_equal(ring_open(&ring, memory, 0), -EINVAL);
}

static void test_records_come_out_as_they_went_in(void **state)
{
	struct ring ring;

	(void)state;
	open_small(&ring);
	for (uint64_t number = 0; number < 100; number++)
		assert_true(append_numbered(&ring, RECORD_ESSENTIAL, number));
	take_all(&ring, 0, 100);
}

static void test_a_record_is_there_only_once_published(void **state)
{
	struct ring ring, again;
	void *memory = shared_memory(SMALL_SPACE);
	size_t size = 0;

	(void)state;
	assert_int_equal(ring_open(&ring, memory, SMALL_SPACE), 0);
	assert_true(append_numbered(&ring, RECORD_ESSENTIAL, 0));
	assert_non_null(ring_reserve(&ring, RECORD_ESSENTIAL, 100));
	assert_int_equal(ring_open(&again, memory, SMALL_SPACE), 0);
	take_all(&again, 0, 1);
	assert_null(ring_peek(&ring, &size));
}

static void test_publishing_says_whether_it_was_empty(void **state)
{
	struct ring ring;

	(void)state;
	open_small(&ring);
	for (int round = 0; round < 3; round++) {
		assert_non_null(ring_reserve(&ring, RECORD_TRANSCRIPT, 10));
		assert_true(ring_publish(&ring, 10));
		assert_non_null(ring_reserve(&ring, RECORD_TRANSCRIPT, 10));
		assert_false(ring_publish(&ring, 10));
		ring_consume(&ring);
		ring_consume(&ring);
		assert_true(ring_is_empty(&ring));
	}
}

/* Appends until it is refused; returns the next number. */
static uint64_t fill(struct ring *ring, enum record_class class, uint64_t number)
{
	while (append_numbered(ring, class, number))
		number++;
	return number;
}

static void test_classes_have_their_limits(void **state)
{
	struct ring ring;
	uint64_t numbers[4] = {0};
	uint64_t used[3];

	(void)state;
	assert_int_equal(ring_open(&ring, shared_memory(CHUNKED_SPACE), CHUNKED_SPACE), 0);
	for (size_t i = 0; i < 3; i++) {
		uint64_t sum = 0;

		numbers[i + 1] = fill(&ring, (enum record_class)i, numbers[i]);
		assert_true(numbers[i + 1] > numbers[i]);
		for (uint64_t number = 0; number < numbers[i + 1]; number++)
			sum += numbered_size(number);
		used[i] = sum;
	}
	assert_in_range(used[0], ring.capacity / 3, ring.capacity / 2);
	assert_in_range(used[1], ring.capacity * 2 / 3, ring.capacity * 3 / 4);
	assert_true(used[2] > ring.capacity * 3 / 4);
	/* Whatever is below its limit goes on finding room as soon as there is some. */
	assert_false(append_numbered(&ring, RECORD_ESSENTIAL, numbers[3]));
	for (uint64_t number = 0; number < numbers[1]; number++)
		take_numbered(&ring, number);
	assert_true(append_numbered(&ring, RECORD_INFORMATIVE, numbers[3]));
	take_all(&ring, numbers[1], numbers[3] + 1);
}

static void test_the_largest_record(void **state)
{
	static const size_t spaces[] = {SMALL_SPACE, CHUNKED_SPACE};

	(void)state;
	for (size_t i = 0; i < COUNT(spaces); i++) {
		struct ring ring;
		size_t max, size = 0;

		assert_int_equal(ring_open(&ring, shared_memory(spaces[i]), spaces[i]), 0);
		max = ring_record_max(&ring);
		assert_null(ring_reserve(&ring, RECORD_ESSENTIAL, max + 1));
		assert_null(ring_reserve(&ring, RECORD_ESSENTIAL, SIZE_MAX - 100));
		/* Wherever the ring stands, it fits when the ring is empty. */
		for (size_t step = 0; step < 200; step++) {
			uint8_t *bytes = ring_reserve(&ring, RECORD_TRANSCRIPT, max);

			assert_non_null(bytes);
			memset(bytes, (int)step, max);
			(void)ring_publish(&ring, max);
			bytes = ring_reserve(&ring, RECORD_ESSENTIAL, step * 8);
			assert_non_null(bytes);
			(void)ring_publish(&ring, step * 8);
			assert_non_null(ring_peek(&ring, &size));
			assert_int_equal(size, max);
			ring_consume(&ring);
			assert_non_null(ring_peek(&ring, &size));
			assert_int_equal(size, step * 8);
			ring_consume(&ring);
			assert_true(ring_is_empty(&ring));
		}
	}
}

/* Appends and takes at random, also with the ring full to the brim, and rewinds when it is empty.
 */
static void wander(size_t space, uint64_t records, uint64_t seed)
{
	uint64_t next = 0, oldest = 0;
	struct ring ring;

	assert_int_equal(ring_open(&ring, shared_memory(space), space), 0);
	while (next < records) {
		uint64_t many = at_random(&seed) % 64 == 0 ? UINT64_MAX : at_random(&seed) % 300;

		for (uint64_t i = 0; i < many && append_numbered(&ring, RECORD_ESSENTIAL, next);
		     i++)
			next++;
		many = at_random(&seed) % 64 == 0 ? UINT64_MAX : at_random(&seed) % 300;
		for (uint64_t i = 0; i < many && oldest < next; i++)
			take_numbered(&ring, oldest++);
		if (oldest == next) {
			assert_true(ring_is_empty(&ring));
			ring_rewind(&ring);
			assert_true(ring_is_empty(&ring));
		}
	}
	take_all(&ring, oldest, next);
}

static void test_wandering_through_a_small_ring(void **state)
{
	(void)state;
	wander(SMALL_SPACE, 100000, 1);
}

static void test_wandering_through_a_ring_that_gives_back(void **state)
{
	(void)state;
	wander(CHUNKED_SPACE, 100000, 2);
}

static void test_wandering_through_an_odd_size(void **state)
{
	(void)state;
	wander(RING_HEADER_SIZE + 23 * RING_GRANULE + 17, 100000, 3);
}

static void test_walking_removes_nothing(void **state)
{
	uint64_t position, number = 30;
	const uint8_t *bytes;
	struct ring ring;
	size_t size = 0;

	(void)state;
	open_small(&ring);
	/* So far that the walk crosses the end of the memory. */
	for (uint64_t i = 0; i < 600; i++) {
		assert_true(append_numbered(&ring, RECORD_ESSENTIAL, i));
		if (i >= 30)
			take_numbered(&ring, i - 30);
		number = i >= 30 ? i - 29 : 0;
	}
	position = ring_position(&ring);
	while ((bytes = ring_next(&ring, &position, &size)) != NULL)
		assert_true(is_numbered(bytes, size, number++));
	assert_int_equal(number, 600);
	take_all(&ring, 570, 600);
}

static void test_losses_are_told_once(void **state)
{
	struct ring_losses losses, none;
	void *memory = shared_memory(SMALL_SPACE);
	struct ring ring;

	(void)state;
	assert_int_equal(ring_open(&ring, memory, SMALL_SPACE), 0);
	for (int i = 0; i < 5; i++)
		ring_refuse(&ring, RECORD_SAID);
	ring_refuse(&ring, RECORD_CLOSED);
	ring_count_damage(&ring, 77);
	/* The counts lie in the ring: a process that dies does not take them along. */
	assert_int_equal(ring_open(&ring, memory, SMALL_SPACE), 0);
	assert_true(ring_losses(&ring, &losses));
	assert_int_equal(losses.kinds[RECORD_SAID], 5);
	assert_int_equal(losses.kinds[RECORD_CLOSED], 1);
	assert_int_equal(losses.kinds[RECORD_OPENED], 0);
	assert_int_equal(losses.damaged, 77);
	ring_refuse(&ring, RECORD_SAID);
	ring_told(&ring, &losses);
	assert_true(ring_losses(&ring, &losses));
	assert_int_equal(losses.kinds[RECORD_SAID], 1);
	assert_int_equal(losses.damaged, 0);
	ring_told(&ring, &losses);
	assert_false(ring_losses(&ring, &none));
}

/* A ring with the records 0 to 9, of which the first three were taken; *RET_MEMORY is its memory.
 */
static void leave_ring(struct ring *ring, void **ret_memory)
{
	*ret_memory = shared_memory(SMALL_SPACE);
	assert_int_equal(ring_open(ring, *ret_memory, SMALL_SPACE), 0);
	for (uint64_t number = 0; number < 10; number++)
		assert_true(append_numbered(ring, RECORD_ESSENTIAL, number));
	for (uint64_t number = 0; number < 3; number++)
		take_numbered(ring, number);
}

/* Takes MEMORY over: N records from 3 on are there, DAMAGED bytes were not; and the ring works. */
static void take_over(void *memory, uint64_t n, uint64_t damaged)
{
	struct ring_losses losses = {.damaged = 0};
	struct ring ring;

	assert_int_equal(ring_open(&ring, memory, SMALL_SPACE), 0);
	for (uint64_t number = 3; number < 3 + n; number++)
		take_numbered(&ring, number);
	assert_true(ring_is_empty(&ring));
	assert_int_equal(ring_losses(&ring, &losses), damaged > 0);
	assert_int_equal(losses.damaged, damaged);
	for (uint64_t number = 100; number < 120; number++)
		assert_true(append_numbered(&ring, RECORD_TRANSCRIPT, number));
	take_all(&ring, 100, 120);
}

static void test_taking_over(void **state)
{
	struct ring ring;
	void *memory;

	(void)state;
	leave_ring(&ring, &memory);
	take_over(memory, 7, 0);
}

static void test_taking_over_a_broken_record(void **state)
{
	/* The header of the sixth record has four bytes of size, then four of mark. */
	static const size_t broken[] = {0, 3, 4, 7};

	(void)state;
	for (size_t i = 0; i < COUNT(broken); i++) {
		struct ring ring;
		uint64_t position, head;
		size_t size = 0;
		void *memory;

		leave_ring(&ring, &memory);
		position = ring_position(&ring);
		for (int skipped = 0; skipped < 2; skipped++)
			assert_non_null(ring_next(&ring, &position, &size));
		head = *word(memory, AT_HEAD);
		ring.data[position + broken[i]] ^= 0x40;
		take_over(memory, 2, head - position);
	}
}

static void test_taking_over_a_broken_header(void **state)
{
	static const struct {
		size_t at;
		uint64_t value;
	} breaks[] = {
		{AT_MAGIC, 1},
		{AT_LAYOUT, 2},
		{AT_CAPACITY, 12345},
		{AT_HEAD, UINT64_MAX - 7},
		{AT_HEAD, 1 << 20},
		{AT_HEAD, 8},
		{AT_TAIL, UINT64_MAX - 7},
		{AT_TAIL, 1 << 20},
		{AT_TAIL, 3},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(breaks); i++) {
		struct ring ring;
		void *memory;

		leave_ring(&ring, &memory);
		*word(memory, breaks[i].at) = breaks[i].value;
		take_over(memory, 0, ring.capacity);
	}
}

static void test_a_head_in_the_middle_of_a_record(void **state)
{
	struct ring ring;
	uint64_t position;
	size_t size = 0;
	void *memory;

	(void)state;
	leave_ring(&ring, &memory);
	position = ring_position(&ring);
	assert_non_null(ring_next(&ring, &position, &size));
	*word(memory, AT_HEAD) = position + 8;
	take_over(memory, 1, 8);
}

static void test_padding_with_nothing_behind_it(void **state)
{
	uint8_t *memory = shared_memory(SMALL_SPACE);
	uint64_t position, damaged;
	struct ring_losses losses;
	struct ring ring;
	size_t size = 0;

	(void)state;
	assert_int_equal(ring_open(&ring, memory, SMALL_SPACE), 0);
	/* One record before the end of the memory, and one that has no room there. */
	for (int i = 0; i < 7; i++) {
		size = i < 6 ? 10000 : 2000;
		assert_non_null(ring_reserve(&ring, RECORD_ESSENTIAL, size));
		(void)ring_publish(&ring, size);
		if (i < 6)
			ring_consume(&ring);
	}
	assert_non_null(ring_reserve(&ring, RECORD_ESSENTIAL, 10000));
	(void)ring_publish(&ring, 10000);
	position = ring_position(&ring);
	assert_non_null(ring_next(&ring, &position, &size));
	damaged = *word(memory, AT_HEAD) - position;
	/* The second, at the start of the memory, is spoilt: the padding before it must go too. */
	ring.data[4] ^= 1;
	assert_int_equal(ring_open(&ring, memory, SMALL_SPACE), 0);
	assert_true(ring_losses(&ring, &losses));
	assert_int_equal(losses.damaged, damaged);
	assert_non_null(ring_peek(&ring, &size));
	assert_int_equal(size, 2000);
	ring_consume(&ring);
	assert_true(ring_is_empty(&ring));
}

static void test_taking_over_an_interrupted_rewind(void **state)
{
	struct ring ring;
	void *memory;

	(void)state;
	leave_ring(&ring, &memory);
	for (uint64_t number = 3; number < 10; number++)
		take_numbered(&ring, number);
	*word(memory, AT_TAIL) = ring.capacity;
	take_over(memory, 0, 0);
}

/* How many bytes of MEMORY the kernel holds pages for. */
static size_t resident(void *memory, size_t space)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t pages = space / page, count = 0;
	unsigned char *map = malloc(pages);

	assert_non_null(map);
	assert_int_equal(mincore(memory, space, map), 0);
	for (size_t i = 0; i < pages; i++)
		count += map[i] & 1;
	free(map);
	return count * page;
}

static void test_a_backlog_that_was_taken_holds_no_memory(void **state)
{
	const size_t mib = (size_t)1024 * 1024, space = 64 * mib;
	void *memory = shared_memory(space);
	uint64_t number, taken = 0;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_open(&ring, memory, space), 0);
	assert_true(resident(memory, space) < mib);
	for (int round = 0; round < 3; round++) {
		number = fill(&ring, RECORD_ESSENTIAL, taken);
		assert_true(resident(memory, space) > 50 * mib);
		while (taken < number)
			take_numbered(&ring, taken++);
		ring_rewind(&ring);
		assert_true(resident(memory, space) < 5 * mib);
	}
	assert_int_equal(munmap(memory, space), 0);
}

static void test_a_ring_that_keeps_up_stays_small(void **state)
{
	const size_t mib = (size_t)1024 * 1024, space = 64 * mib;
	void *memory = shared_memory(space);
	struct ring ring;

	(void)state;
	assert_int_equal(ring_open(&ring, memory, space), 0);
	for (uint64_t number = 0; number < 500000; number++) {
		assert_true(append_numbered(&ring, RECORD_TRANSCRIPT, number));
		take_numbered(&ring, number);
		ring_rewind(&ring);
	}
	assert_true(resident(memory, space) < 2 * mib);
	assert_int_equal(munmap(memory, space), 0);
}

static void test_clearing(void **state)
{
	struct ring_losses losses;
	struct ring ring;
	void *memory;

	(void)state;
	leave_ring(&ring, &memory);
	ring_refuse(&ring, RECORD_SAID);
	ring_clear(&ring);
	assert_true(ring_is_empty(&ring));
	assert_false(ring_losses(&ring, &losses));
	take_over(memory, 0, 0);
}

/* Large records, so that a good part of the ring is given back with each. */
static size_t large_size(const struct ring *ring, uint64_t number)
{
	return ring_record_max(ring) - number % 1000;
}

/* The taker: checks that each record still is what was appended. */
static void *take_large(void *argument)
{
	struct ring *ring = argument;
	uint64_t wrong = 0;

	for (uint64_t number = 0; number < LARGE_RECORDS; number++) {
		const uint8_t *bytes;
		size_t size = 0;

		while ((bytes = ring_peek(ring, &size)) == NULL)
			(void)sched_yield();
		if (size != large_size(ring, number))
			wrong++;
		for (size_t i = 0; i < size; i++)
			wrong += bytes[i] != (uint8_t)(number % 255 + 1);
		ring_consume(ring);
	}
	return (void *)(uintptr_t)wrong; /* NOLINT(performance-no-int-to-ptr) */
}

static void test_appending_while_memory_is_given_back(void **state)
{
	struct ring ring;
	pthread_t taker;
	void *wrong;

	(void)state;
	assert_int_equal(ring_open(&ring, shared_memory(CHUNKED_SPACE), CHUNKED_SPACE), 0);
	assert_int_equal(pthread_create(&taker, NULL, take_large, &ring), 0);
	for (uint64_t number = 0; number < LARGE_RECORDS; number++) {
		size_t size = large_size(&ring, number);
		uint8_t *bytes;

		while ((bytes = ring_reserve(&ring, RECORD_ESSENTIAL, size)) == NULL)
			(void)sched_yield();
		memset(bytes, (int)(number % 255 + 1), size);
		(void)ring_publish(&ring, size);
	}
	assert_int_equal(pthread_join(taker, &wrong), 0);
	assert_null(wrong);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroes_are_an_empty_ring),
		cmocka_unit_test(test_too_little_memory),
		cmocka_unit_test(test_records_come_out_as_they_went_in),
		cmocka_unit_test(test_a_record_is_there_only_once_published),
		cmocka_unit_test(test_publishing_says_whether_it_was_empty),
		cmocka_unit_test(test_classes_have_their_limits),
		cmocka_unit_test(test_the_largest_record),
		cmocka_unit_test(test_wandering_through_a_small_ring),
		cmocka_unit_test(test_wandering_through_a_ring_that_gives_back),
		cmocka_unit_test(test_wandering_through_an_odd_size),
		cmocka_unit_test(test_walking_removes_nothing),
		cmocka_unit_test(test_losses_are_told_once),
		cmocka_unit_test(test_taking_over),
		cmocka_unit_test(test_taking_over_a_broken_record),
		cmocka_unit_test(test_taking_over_a_broken_header),
		cmocka_unit_test(test_a_head_in_the_middle_of_a_record),
		cmocka_unit_test(test_padding_with_nothing_behind_it),
		cmocka_unit_test(test_taking_over_an_interrupted_rewind),
		cmocka_unit_test(test_a_backlog_that_was_taken_holds_no_memory),
		cmocka_unit_test(test_a_ring_that_keeps_up_stays_small),
		cmocka_unit_test(test_clearing),
		cmocka_unit_test(test_appending_while_memory_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
