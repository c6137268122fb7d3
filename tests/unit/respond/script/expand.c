/*
 * Expansion: every kind of part and every filter against tables; limits; and that a value is never
 * looked at again.
 */
#include "respond/script/expand.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

/* Variables of the tests. */
enum {
	PLAIN,
	EMPTY,
	UNSET,
	LIST,
	INITIAL,
	HOSTILE,
	COLLECTED,
	VARIABLES,
};

static const struct variable variables[VARIABLES] = {
	[PLAIN] = {.name = "plain"},
	[EMPTY] = {.name = "empty"},
	[UNSET] = {.name = "unset"},
	[LIST] = {.name = "list", .kind = VARIABLE_LIST},
	[INITIAL] = {.name = "initial",
		     .has_initial = true,
		     .initial = "first",
		     .initial_length = 5},
	[HOSTILE] = {.name = "hostile"},
	[COLLECTED] = {.name = "collected"},
};

struct stage {
	char bytes[16384];
	struct heap heap;
	struct script_world world;
	struct view view;
};

static void set(struct stage *stage, uint32_t variable, const char *value)
{
	assert_int_equal(heap_set(&stage->heap, variable, value, strlen(value)), 0);
}

static int make_stage(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	static char much[6000];

	assert_non_null(stage);
	stage->heap = (struct heap){.bytes = stage->bytes, .room = sizeof(stage->bytes)};
	stage->world = (struct script_world){
		.realtime = UINT64_C(1793459022) * USEC_PER_SEC + 999999,
		.peer = "[2001:db8::1]:4711",
		.conversation = 17,
		.turn = 3,
	};
	stage->view = (struct view){
		.variables = variables,
		.n_variables = VARIABLES,
		.heap = &stage->heap,
		.message = {.bytes = "a\0b", .length = 3},
		.world = &stage->world,
		.random = 1,
	};
	set(stage, PLAIN, "Hello");
	set(stage, EMPTY, "");
	assert_int_equal(heap_add(&stage->heap, LIST, "a", 1), 0);
	assert_int_equal(heap_add(&stage->heap, LIST, "", 0), 0);
	assert_int_equal(heap_add(&stage->heap, LIST, "bc", 2), 0);
	set(stage, HOSTILE, "${plain} $(id) %s {x} \\n");
	assert_int_equal(heap_append(&stage->heap, COLLECTED, much, sizeof(much), true), 0);
	*state = stage;
	return 0;
}

static int free_stage(void **state)
{
	free(*state);
	return 0;
}

static void check(struct stage *stage, struct part part, const char *wanted, size_t length)
{
	struct expansion to = {.length = 0};
	struct text text = {.parts = &part, .n_parts = 1};

	assert_int_equal(expand_text(&text, &stage->view, &to), 0);
	if (to.length != length || (length > 0 && memcmp(to.bytes, wanted, length) != 0))
		fail_msg("'%.*s', not '%s'", (int)to.length, to.bytes, wanted);
	expansion_done(&to);
}

static void test_parts(void **state)
{
	static const struct {
		struct part part;
		const char *wanted;
	} rows[] = {
		{{.kind = PART_TEXT, .bytes = "${plain}", .length = 8}, "${plain}"},
		{{.kind = PART_TEXT}, ""},
		{{.kind = PART_VARIABLE, .variable = PLAIN}, "Hello"},
		{{.kind = PART_VARIABLE, .variable = EMPTY}, ""},
		{{.kind = PART_VARIABLE, .variable = UNSET}, ""},
		{{.kind = PART_VARIABLE, .variable = LIST}, "a, , bc"},
		{{.kind = PART_VARIABLE, .variable = INITIAL}, "first"},
		{{.kind = PART_VARIABLE, .variable = HOSTILE}, "${plain} $(id) %s {x} \\n"},
		{{.kind = PART_PEER}, "2001:db8::1"},
		{{.kind = PART_PORT}, "4711"},
		{{.kind = PART_TURN}, "3"},
		{{.kind = PART_CONVERSATION}, "17"},
		{{.kind = PART_DATE}, "Sat, 31 Oct 2026 15:03:42 +0000"},
		{{.kind = PART_TIME, .bytes = "%H:%M %A %%"}, "15:03 Saturday %"},
		{{.kind = PART_TIME, .bytes = ""}, ""},
		{{.kind = PART_RANDOM, .number = 1}, "0"},
		{{.kind = PART_RANDOM, .number = 0}, "0"},
	};
	struct stage *stage = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(stage, rows[i].part, rows[i].wanted, strlen(rows[i].wanted));
	check(stage, (struct part){.kind = PART_MESSAGE}, "a\0b", 3);
	/* Without a heap, while a script is loaded. */
	stage->view.heap = NULL;
	check(stage, (struct part){.kind = PART_VARIABLE, .variable = INITIAL}, "first", 5);
	check(stage, (struct part){.kind = PART_VARIABLE, .variable = PLAIN}, "", 0);
	stage->view.world = NULL;
	check(stage, (struct part){.kind = PART_DATE}, "", 0);
	stage->view.heap = &stage->heap;
	stage->view.world = &stage->world;
}

/* An initial value gives way to what is set, even to nothing, and comes back with clear. */
static void test_initial(void **state)
{
	struct stage *stage = *state;
	struct part part = {.kind = PART_VARIABLE, .variable = INITIAL};
	struct span value;

	assert_int_equal(view_count(&stage->view, INITIAL), 1);
	set(stage, INITIAL, "");
	check(stage, part, "", 0);
	assert_int_equal(view_count(&stage->view, INITIAL), 1);
	assert_true(heap_shift(&stage->heap, INITIAL));
	check(stage, part, "", 0);
	assert_int_equal(view_count(&stage->view, INITIAL), 0);
	assert_false(view_value(&stage->view, INITIAL, &value));
	heap_clear(&stage->heap, INITIAL);
	check(stage, part, "first", 5);
	assert_true(view_value(&stage->view, INITIAL, &value));
	assert_int_equal(value.length, 5);
	assert_int_equal(view_count(&stage->view, LIST), 3);
	assert_int_equal(view_count(&stage->view, UNSET), 0);
}

static void test_serial(void **state)
{
	struct stage *stage = *state;
	struct part part = {.kind = PART_SERIAL};

	check(stage, part, "17-1", 4);
	check(stage, part, "17-1", 4);
	stage->view.serial_is_used = false;
	check(stage, part, "17-2", 4);
	assert_int_equal(stage->view.serial, 2);
}

static void test_filters(void **state)
{
	static const struct {
		const char *from;
		enum filter filter;
		const char *to;
	} rows[] = {
		{"aZ\303\251{[@`", FILTER_UPPER, "AZ\303\251{[@`"},
		{"aZ\303\211{[@`", FILTER_LOWER, "az\303\211{[@`"},
		{"", FILTER_UPPER, ""},
		{"", FILTER_LENGTH, "0"},
		{"\303\251", FILTER_LENGTH, "2"},
		{"", FILTER_BASE64, ""},
		{"f", FILTER_BASE64, "Zg=="},
		{"fo", FILTER_BASE64, "Zm8="},
		{"foo", FILTER_BASE64, "Zm9v"},
		{"foobar", FILTER_BASE64, "Zm9vYmFy"},
		{"\373\377\276", FILTER_BASE64, "+/++"},
		{"", FILTER_UNBASE64, ""},
		{"Zg==", FILTER_UNBASE64, "f"},
		{"Zm8=", FILTER_UNBASE64, "fo"},
		{"Zm9v", FILTER_UNBASE64, "foo"},
		{"Zm9vYmFy", FILTER_UNBASE64, "foobar"},
		{"+/++", FILTER_UNBASE64, "\373\377\276"},
		/* invalid: nothing */
		{"Zg", FILTER_UNBASE64, ""},
		{"Zg=", FILTER_UNBASE64, ""},
		{"Z===", FILTER_UNBASE64, ""},
		{"====", FILTER_UNBASE64, ""},
		{"Zm9v Zg==", FILTER_UNBASE64, ""},
		{"Zm9\n", FILTER_UNBASE64, ""},
		{"Zg==Zg==", FILTER_UNBASE64, ""},
		{"Zh==", FILTER_UNBASE64, ""},
		{"Zm9=", FILTER_UNBASE64, ""},
		{"-_--", FILTER_UNBASE64, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct expansion to = {.length = 0};

		assert_int_equal(expansion_add(&to, "x", 1), 0);
		assert_int_equal(expansion_add(&to, rows[i].from, strlen(rows[i].from)), 0);
		assert_int_equal(expand_filter(rows[i].filter, &to, 1), 0);
		if (to.length != strlen(rows[i].to) + 1 || to.bytes[0] != 'x' ||
		    memcmp(to.bytes + 1, rows[i].to, to.length - 1) != 0)
			fail_msg("row %zu: '%.*s'", i, (int)to.length, to.bytes);
		expansion_done(&to);
	}
}

static void test_filters_in_texts(void **state)
{
	static const struct {
		uint32_t variable;
		uint8_t n;
		uint8_t filters[SCRIPT_FILTERS_MAX];
		const char *to;
	} rows[] = {
		{PLAIN, 1, {FILTER_UPPER}, "HELLO"},
		{PLAIN, 2, {FILTER_UPPER, FILTER_BASE64}, "SEVMTE8="},
		{PLAIN, 4, {FILTER_BASE64, FILTER_UNBASE64, FILTER_LOWER, FILTER_LENGTH}, "5"},
		{PLAIN, 2, {FILTER_LENGTH, FILTER_LENGTH}, "1"},
		{LIST, 1, {FILTER_LENGTH}, "7"},
		{UNSET, 1, {FILTER_LENGTH}, "0"},
		{INITIAL, 1, {FILTER_LENGTH}, "5"},
		/* more than is kept */
		{COLLECTED, 1, {FILTER_LENGTH}, "6000"},
		{COLLECTED, 2, {FILTER_UPPER, FILTER_LENGTH}, "4096"},
	};
	struct stage *stage = *state;
	struct part message = {.kind = PART_MESSAGE, .n_filters = 1, .filters = {FILTER_LENGTH}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct part part = {.kind = PART_VARIABLE,
				    .variable = rows[i].variable,
				    .n_filters = rows[i].n};

		(void)memcpy(part.filters, rows[i].filters, sizeof(part.filters));
		check(stage, part, rows[i].to, strlen(rows[i].to));
	}
	check(stage, message, "3", 1);
	stage->view.message.length = SCRIPT_REPLY_MAX + 1;
	check(stage, message, "65537", 5);
	stage->view.message.length = 3;
}

/* More than SCRIPT_REPLY_MAX is refused, and what was there stays. */
static void test_limit(void **state)
{
	struct stage *stage = *state;
	auto_free char *large = calloc(1, SCRIPT_REPLY_MAX);
	struct expansion to = {.length = 0};
	struct part parts[] = {
		{.kind = PART_TEXT, .bytes = "x", .length = 1},
		{.kind = PART_TEXT, .bytes = large, .length = SCRIPT_REPLY_MAX - 1},
		{.kind = PART_VARIABLE, .variable = LIST},
	};
	struct text text = {.parts = parts, .n_parts = 2};

	assert_non_null(large);
	assert_int_equal(expand_text(&text, &stage->view, &to), 0);
	assert_int_equal(to.length, SCRIPT_REPLY_MAX);
	assert_int_equal(expansion_add(&to, "x", 1), -ENOSPC);
	to.length -= 3;
	text.n_parts = 3;
	assert_int_equal(expand_text(&text, &stage->view, &to), -ENOSPC);
	assert_int_equal(expand_variable(&stage->view, LIST, &to), -ENOSPC);
	assert_int_equal(to.length, SCRIPT_REPLY_MAX - 3);
	assert_int_equal(expand_filter(FILTER_BASE64, &to, 0), -ENOSPC);
	assert_int_equal(to.length, SCRIPT_REPLY_MAX - 3);
	assert_int_equal(to.bytes[0], 'x');
	expansion_done(&to);
	expansion_done(&to);
}

static void test_peers(void **state)
{
	static const struct {
		const char *peer;
		const char *address;
		const char *port;
	} rows[] = {
		{"127.0.0.1:4711", "127.0.0.1", "4711"},
		{"[::1]:80", "::1", "80"},
		{"[fe80::1%eth0]:80", "fe80::1%eth0", "80"},
		{"::1", "::1", ""},
		{"[::1]", "[::1]", ""},
		{"unix", "unix", ""},
		{"/run/x.sock", "/run/x.sock", ""},
		{"pid 12:", "pid 12:", ""},
		{":12", ":12", ""},
		{"a:b", "a:b", ""},
		{"", "", ""},
		{"[:80", "[:80", ""},
		{"]:80", "]", "80"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span address = peer_address(rows[i].peer);

		assert_int_equal(address.length, strlen(rows[i].address));
		assert_memory_equal(address.bytes, rows[i].address, address.length);
		assert_string_equal(peer_port(rows[i].peer), rows[i].port);
	}
}

/* The published first numbers of splitmix64 from seed 1234567; and that all below a limit come. */
static void test_random(void **state)
{
	static const uint64_t first[] = {
		UINT64_C(6457827717110365317),
		UINT64_C(3203168211198807973),
		UINT64_C(9817491932198370423),
	};
	uint64_t word = 1234567;
	unsigned seen[6] = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
		assert_int_equal(random_next(&word), first[i]);
	for (int i = 0; i < 6000; i++)
		seen[random_below(&word, 6)]++;
	for (size_t i = 0; i < 6; i++)
		assert_in_range(seen[i], 850, 1150);
	for (int i = 0; i < 100; i++)
		assert_true(random_below(&word, UINT64_MAX) < UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_parts, make_stage, free_stage),
		cmocka_unit_test_setup_teardown(test_initial, make_stage, free_stage),
		cmocka_unit_test_setup_teardown(test_serial, make_stage, free_stage),
		cmocka_unit_test_setup_teardown(test_filters_in_texts, make_stage, free_stage),
		cmocka_unit_test_setup_teardown(test_limit, make_stage, free_stage),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
