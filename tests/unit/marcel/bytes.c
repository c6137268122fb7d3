/* The queue of bytes, against a plain array that is never moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "marcel/bytes.h"

static void an_empty_queue(void **state)
{
	struct bytes bytes = BYTES_INIT;
	size_t length = 4711;

	(void)state;
	assert_int_equal(bytes_length(&bytes), 0);
	assert_non_null(bytes_first(&bytes));
	assert_false(bytes_line(&bytes, &length));
	assert_int_equal(length, 4711);
	assert_int_equal(bytes_append(&bytes, NULL, 0), 0);
	bytes_drop(&bytes, 0);
	bytes_done(&bytes);
	bytes_done(&bytes);
}

static void what_goes_in_comes_out(void **state)
{
	enum {
		SIZE = 300000
	};
	struct bytes bytes = BYTES_INIT;
	uint32_t random = 1;
	size_t in = 0;
	size_t out = 0;
	char *all = malloc(SIZE);

	(void)state;
	assert_non_null(all);
	for (size_t i = 0; i < SIZE; i++)
		all[i] = (char)(i * 31 + i / 256);
	while (out < SIZE) {
		size_t n;

		random = random * 1664525 + 1013904223;
		n = random >> 18;
		if (n > SIZE - in)
			n = SIZE - in;
		assert_int_equal(bytes_append(&bytes, all + in, n), 0);
		in += n;
		assert_int_equal(bytes_length(&bytes), in - out);
		assert_memory_equal(bytes_first(&bytes), all + out, in - out);
		random = random * 1664525 + 1013904223;
		n = random >> 18;
		if (n > in - out)
			n = in - out;
		bytes_drop(&bytes, n);
		out += n;
	}
	assert_int_equal(bytes_length(&bytes), 0);
	/* It was used as a queue: what was dropped made room again. */
	assert_true(bytes.capacity < SIZE);
	bytes_done(&bytes);
	free(all);
}

static void lines_are_found(void **state)
{
	static const char text[] = "one\n\ntw\0o\nthree";
	struct bytes bytes = BYTES_INIT;
	size_t length;

	(void)state;
	assert_int_equal(bytes_append(&bytes, text, sizeof(text) - 1), 0);
	assert_true(bytes_line(&bytes, &length));
	assert_int_equal(length, 3);
	/* Asking again gives the same. */
	assert_true(bytes_line(&bytes, &length));
	assert_int_equal(length, 3);
	bytes_drop(&bytes, 4);
	assert_true(bytes_line(&bytes, &length));
	assert_int_equal(length, 0);
	bytes_drop(&bytes, 1);
	assert_true(bytes_line(&bytes, &length));
	assert_int_equal(length, 4);
	bytes_drop(&bytes, 5);
	assert_false(bytes_line(&bytes, &length));
	assert_int_equal(bytes_append(&bytes, "s\n", 2), 0);
	assert_true(bytes_line(&bytes, &length));
	assert_int_equal(length, 6);
	assert_memory_equal(bytes_first(&bytes), "threes\n", 7);
	bytes_done(&bytes);
}

static void a_search_goes_on_where_it_ended(void **state)
{
	struct bytes bytes = BYTES_INIT;
	size_t length;

	(void)state;
	assert_int_equal(bytes_append(&bytes, "aaaa", 4), 0);
	assert_false(bytes_line(&bytes, &length));
	assert_int_equal(bytes.searched, 4);
	/* Dropping a part keeps the place. */
	bytes_drop(&bytes, 3);
	assert_int_equal(bytes_append(&bytes, "b\nc\n", 4), 0);
	assert_true(bytes_line(&bytes, &length));
	assert_int_equal(length, 2);
	bytes_drop(&bytes, 3);
	assert_true(bytes_line(&bytes, &length));
	assert_int_equal(length, 1);
	bytes_done(&bytes);
}

static void impossible_room(void **state)
{
	struct bytes bytes = BYTES_INIT;

	(void)state;
	assert_int_equal(bytes_append(&bytes, "kept", 4), 0);
	assert_null(bytes_reserve(&bytes, SIZE_MAX));
	assert_null(bytes_reserve(&bytes, SIZE_MAX / 2));
	assert_int_equal(bytes_length(&bytes), 4);
	assert_memory_equal(bytes_first(&bytes), "kept", 4);
	bytes_done(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_queue),
		cmocka_unit_test(what_goes_in_comes_out),
		cmocka_unit_test(lines_are_found),
		cmocka_unit_test(a_search_goes_on_where_it_ended),
		cmocka_unit_test(impossible_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
