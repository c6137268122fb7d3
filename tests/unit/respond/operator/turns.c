/*
 * Which turns are open, compared with a plain list of all of them.
 */
#include "respond/operator/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "respond/script/expand.h"

#define MOST 5000

static void test_empty(void **state)
{
	struct turns turns = {.last = 0};

	(void)state;
	assert_int_equal(turns_oldest(&turns), 0);
	assert_false(turns_is_open(&turns, 0));
	assert_false(turns_is_open(&turns, 1));
	turns_answer(&turns, 1);
	turns_answer_all(&turns);
	turns_open(&turns, 0);
	assert_int_equal(turns_oldest(&turns), 0);
}

static void test_few(void **state)
{
	struct turns turns = {.last = 0};

	(void)state;
	turns_open(&turns, 3);
	turns_open(&turns, 4);
	turns_open(&turns, 6);
	assert_int_equal(turns_oldest(&turns), 3);
	assert_true(turns_is_open(&turns, 4));
	assert_false(turns_is_open(&turns, 5));
	assert_false(turns_is_open(&turns, 7));
	turns_answer(&turns, 3);
	assert_false(turns_is_open(&turns, 3));
	assert_int_equal(turns_oldest(&turns), 4);
	turns_answer(&turns, 3);
	assert_int_equal(turns_oldest(&turns), 4);
	turns_open(&turns, 6);
	turns_answer_all(&turns);
	assert_int_equal(turns_oldest(&turns), 0);
	turns_open(&turns, 7);
	assert_int_equal(turns_oldest(&turns), 7);
}

/* What fell out of the window waits, but can't be answered alone. */
static void test_window(void **state)
{
	struct turns turns = {.last = 0};

	(void)state;
	turns_open(&turns, 1);
	turns_open(&turns, 2);
	turns_open(&turns, TURNS_WINDOW);
	assert_true(turns_is_open(&turns, 1));
	turns_open(&turns, TURNS_WINDOW + 1);
	assert_false(turns_is_open(&turns, 1));
	assert_true(turns_is_open(&turns, 2));
	assert_int_equal(turns_oldest(&turns), 1);
	turns_answer(&turns, 1);
	assert_int_equal(turns_oldest(&turns), 1);
	turns_open(&turns, 1);
	assert_false(turns_is_open(&turns, 1));
	turns_answer_all(&turns);
	assert_int_equal(turns_oldest(&turns), 0);
	assert_false(turns_is_open(&turns, 2));
}

static void test_leaps(void **state)
{
	struct turns turns = {.last = 0};

	(void)state;
	turns_open(&turns, 10);
	turns_open(&turns, UINT64_C(1) << 40);
	assert_int_equal(turns_oldest(&turns), 10);
	assert_true(turns_is_open(&turns, UINT64_C(1) << 40));
	for (uint64_t i = 1; i < TURNS_WINDOW; i++)
		assert_false(turns_is_open(&turns, (UINT64_C(1) << 40) - i));
	turns_open(&turns, UINT64_MAX);
	assert_true(turns_is_open(&turns, UINT64_MAX));
	assert_int_equal(turns_oldest(&turns), 10);
}

static uint64_t oldest_of(const bool *open)
{
	for (uint64_t turn = 1; turn <= MOST; turn++)
		if (open[turn])
			return turn;
	return 0;
}

static void test_random(void **state)
{
	struct turns turns = {.last = 0};
	bool *open = calloc(MOST + 1, sizeof(*open));
	uint64_t last = 0, dice = 1;

	(void)state;
	assert_non_null(open);
	while (last < MOST) {
		uint64_t turn = last > 0 ? 1 + random_below(&dice, last) : 1;
		uint64_t oldest;

		switch (random_below(&dice, 4)) {
		case 0:
		case 1:
			last += 1 + random_below(&dice, 3);
			if (last > MOST)
				last = MOST;
			turns_open(&turns, last);
			open[last] = true;
			break;
		case 2:
			turns_answer(&turns, turn);
			if (turn + TURNS_WINDOW > last)
				open[turn] = false;
			break;
		default:
			/* Seldom enough that turns get old. */
			if (random_below(&dice, 1000) == 0) {
				turns_answer_all(&turns);
				(void)memset(open, 0, (MOST + 1) * sizeof(*open));
			}
		}
		oldest = oldest_of(open);
		assert_int_equal(turns_oldest(&turns), oldest);
		for (uint64_t i = 0; i < 20; i++) {
			turn = 1 + random_below(&dice, MOST);
			assert_int_equal(turns_is_open(&turns, turn),
					 open[turn] && turn + TURNS_WINDOW > last);
		}
	}
	free(open);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),  cmocka_unit_test(test_few),
		cmocka_unit_test(test_window), cmocka_unit_test(test_leaps),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
