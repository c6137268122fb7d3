/*
 * What was said last is carried with a conversation into another table; and tables from before
 * there was any are read.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handover/snapshot.h"

#define CAPACITY 3

/* A conversation in slot INDEX of TABLE, after so many MESSAGES. */
static void put_conversation(struct table *table, uint32_t index, uint64_t messages)
{
	const struct snapshot conversation = {
		.cookie = 7,
		.number = 1,
		.turn = {.phase = PHASE_DIALOGUE, .messages = messages},
		.peer = "192.0.2.1:4711",
		.listener = "marcel",
		.card_responder = "echo",
		.in = "",
		.out = "",
	};
	struct slot slot = table_slot(table, index);

	snapshot_write_slot(&conversation, &slot);
	atomic_store(&table->header->used, CAPACITY);
}

static int read_slot(const struct table *table, uint32_t index, struct snapshot *ret)
{
	struct snapshot_layout layout;

	assert_int_equal(snapshot_read_header(table->header, sizeof(*table->header), table->size,
					      &layout),
			 0);
	return snapshot_read_slot(&layout, table->header, index, ret);
}

static void count_lines(void *context, const struct marcel_line *line)
{
	int *n = context;

	++*n;
	assert_int_equal(line->length, 4);
	assert_memory_equal(line->text, "kept", 4);
}

static void test_it_comes_along(void **state)
{
	const struct marcel_line line = {.turn = 1, .who = 'C', .text = "kept", .length = 4};
	struct table from, to;
	struct snapshot found;
	struct slot slot;
	int n = 0;

	(void)state;
	assert_int_equal(table_init(&from, CAPACITY), 0);
	assert_int_equal(table_init(&to, CAPACITY), 0);
	put_conversation(&from, 1, 1);
	past_add(table_slot(&from, 1).past, &line);
	assert_int_equal(read_slot(&from, 1, &found), 1);
	slot = table_slot(&to, 2);
	snapshot_write_slot(&found, &slot);
	past_each(slot.past, count_lines, &n);
	assert_int_equal(n, 1);
	/* It is gone with its slot. */
	table_release_slot(&to, 2);
	assert_true(past_is_empty(slot.past));
	table_done(&from);
	table_done(&to);
}

/* Of who has said nothing not even a page is touched. */
static void test_nobody_looks_where_nothing_was_said(void **state)
{
	struct snapshot found;
	struct table table;

	(void)state;
	assert_int_equal(table_init(&table, CAPACITY), 0);
	put_conversation(&table, 0, 0);
	assert_int_equal(read_slot(&table, 0, &found), 1);
	assert_null(found.past);
	table_done(&table);
}

static void test_a_table_without(void **state)
{
	struct snapshot_layout layout;
	struct snapshot found;
	struct table table;
	uint64_t size;

	(void)state;
	assert_int_equal(table_init(&table, CAPACITY), 0);
	put_conversation(&table, 1, 1);
	size = table.size - CAPACITY * sizeof(struct marcel_past);
	/* The file and its header have to agree. */
	assert_int_equal(snapshot_read_header(table.header, 4096, size, &layout), -EINVAL);
	table.header->size = size;
	assert_int_equal(snapshot_read_header(table.header, 4096, table.size, &layout), -EINVAL);
	assert_int_equal(snapshot_read_header(table.header, 4096, size, &layout), 0);
	assert_int_equal(layout.past_offset, 0);
	assert_int_equal(snapshot_read_slot(&layout, table.header, 1, &found), 1);
	assert_null(found.past);
	/* It is read, and not gone on with in place. */
	assert_false(table_header_fits(table.header, CAPACITY, size));
	table_done(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_comes_along),
		cmocka_unit_test(test_nobody_looks_where_nothing_was_said),
		cmocka_unit_test(test_a_table_without),
	};

	return cmocka_run_group_tests_name("handover/snapshot-past", tests, NULL, NULL);
}
