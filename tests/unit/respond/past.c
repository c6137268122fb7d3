/* What was said last: which lines stay, what is cut, and what a process that died left. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "respond/past.h"

static struct marcel_past past;

static int set_up(void **state)
{
	(void)state;
	past_init(&past);
	return 0;
}

static void add(uint64_t turn, char who, const char *text)
{
	past_add(&past, &(struct marcel_line){
				.time = 1000 + turn,
				.turn = turn,
				.who = who,
				.text = text,
				.length = strlen(text),
			});
}

#define LINES_MAX 8192

/* Writes the lines down, "C1:text " each. */
static void write_down(void *context, const struct marcel_line *line)
{
	char *text = context;
	size_t used = strlen(text);

	assert_int_equal(line->time, 1000 + line->turn);
	used += (size_t)snprintf(text + used, 16, "%c%d:", line->who, (int)line->turn);
	if (line->length == MARCEL_WITHHELD) {
		text[used++] = '-';
	} else if (line->length > 0) {
		assert_true(used + line->length < LINES_MAX - 2);
		(void)memcpy(text + used, line->text, line->length);
		used += line->length;
	}
	text[used++] = ' ';
	text[used] = '\0';
}

static void expect_lines(const char *expected)
{
	char text[LINES_MAX] = "";

	past_each(&past, write_down, text);
	assert_string_equal(text, expected);
}

static void test_lines(void **state)
{
	(void)state;
	assert_true(past_is_empty(&past));
	expect_lines("");
	add(0, MARCEL_SERVER, "hello");
	add(1, MARCEL_CLIENT, "");
	past_add(&past, &(struct marcel_line){.time = 1002,
					      .turn = 2,
					      .who = MARCEL_CLIENT,
					      .length = MARCEL_WITHHELD});
	assert_false(past_is_empty(&past));
	assert_true(past_is_sound(&past));
	expect_lines("S0:hello C1: C2:- ");
	past_init(&past);
	assert_true(past_is_empty(&past));
	expect_lines("");
	add(3, MARCEL_CLIENT, "on");
	expect_lines("C3:on ");
}

static void keep_last(void *context, const struct marcel_line *line)
{
	*(struct marcel_line *)context = *line;
}

static void test_what_is_long_is_cut(void **state)
{
	auto_free char *text = malloc((size_t)3 * PAST_SIZE);
	struct marcel_line last = {.length = 0};

	(void)state;
	assert_non_null(text);
	for (size_t length = PAST_TEXT_MAX - 3; length < PAST_TEXT_MAX + 3; length++) {
		(void)memset(text, 'a' + (int)(length % 26), length);
		add(1, MARCEL_CLIENT, "before");
		past_add(&past, &(struct marcel_line){.text = text, .length = length});
		assert_true(past_is_sound(&past));
		past_each(&past, keep_last, &last);
		assert_int_equal(last.whole, length);
		assert_int_equal(last.length, length < PAST_TEXT_MAX ? length : PAST_TEXT_MAX);
	}
	(void)memset(text, 'z', (size_t)3 * PAST_SIZE);
	past_add(&past, &(struct marcel_line){.text = text, .length = (size_t)3 * PAST_SIZE});
	past_each(&past, keep_last, &last);
	assert_int_equal(last.length, PAST_TEXT_MAX);
	assert_int_equal(last.whole, (size_t)3 * PAST_SIZE);
}

struct counted {
	uint64_t first, next;
};

/* Lines are without a gap. */
static void count(void *context, const struct marcel_line *line)
{
	struct counted *counted = context;

	if (counted->next == 0)
		counted->first = line->turn;
	else
		assert_int_equal(line->turn, counted->next);
	counted->next = line->turn + 1;
	assert_int_equal(line->length, line->turn * 37 % 300);
	for (size_t i = 0; i < line->length; i++)
		assert_int_equal(line->text[i], 'a' + (char)(line->turn % 26));
}

static void test_the_oldest_are_dropped(void **state)
{
	char text[300];

	(void)state;
	for (uint64_t turn = 1; turn < 5000; turn++) {
		struct counted counted = {0, 0};

		(void)memset(text, 'a' + (char)(turn % 26), sizeof(text));
		past_add(&past, &(struct marcel_line){.turn = turn,
						      .who = MARCEL_CLIENT,
						      .text = text,
						      .length = turn * 37 % 300});
		past_each(&past, count, &counted);
		assert_int_equal(counted.next, turn + 1);
		assert_true(counted.first == 1 || turn - counted.first >= 10);
		assert_true(past_is_sound(&past));
	}
}

static void test_turns_that_are_not_in_force_are_dropped(void **state)
{
	(void)state;
	add(0, MARCEL_SERVER, "hello");
	add(1, MARCEL_CLIENT, "a");
	add(1, MARCEL_SERVER, "b");
	add(2, MARCEL_CLIENT, "c");
	add(2, MARCEL_SERVER, "d");
	past_trim(&past, 1000, 2);
	expect_lines("S0:hello C1:a S1:b C2:c S2:d ");
	past_trim(&past, 1000, 1);
	expect_lines("S0:hello C1:a S1:b ");
	past_trim(&past, 1000, 0);
	expect_lines("S0:hello ");
	add(1, MARCEL_CLIENT, "a");
	expect_lines("S0:hello C1:a ");
	/* What another conversation said here. */
	past_trim(&past, 1001, 1);
	expect_lines("C1:a ");
	past_trim(&past, 1002, 1);
	expect_lines("");
}

/* Whatever a word of it is, reading stays within, and who goes on finds nothing or whole lines. */
static void test_nonsense(void **state)
{
	static const uint64_t words[] = {1,          31,
					 32,         4095,
					 UINT64_MAX, UINT64_C(1) << 63,
					 0xffffffff, UINT64_MAX - 31};
	struct marcel_past good;

	(void)state;
	for (int i = 0; i < 200; i++)
		add((uint64_t)i, MARCEL_CLIENT, "some text or other");
	past_copy(&past, &good);
	for (size_t at = 0; at < PAST_SIZE; at += 4) {
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			past_copy(&good, &past);
			(void)memcpy((char *)&past + at, &words[i],
				     at + 8 <= PAST_SIZE ? 8 : PAST_SIZE - at);
			past_trim(&past, 1000, 150);
			assert_true(past_is_sound(&past));
			add(1, MARCEL_CLIENT, "on");
			assert_true(past_is_sound(&past));
		}
	}
}

/* A process may die between any two stores: those of past_add() one after another. */
static void test_dying(void **state)
{
	struct marcel_past before;

	(void)state;
	for (int i = 0; i < 300; i++) {
		past_copy(&past, &before);
		add((uint64_t)i, MARCEL_CLIENT, "some text or other");
		/* Room was made and written to, but nothing was added. */
		atomic_store(&before.begin, atomic_load(&past.begin));
		(void)memcpy(before.bytes, past.bytes, sizeof(before.bytes));
		assert_true(past_is_sound(&before));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_lines, set_up),
		cmocka_unit_test_setup(test_what_is_long_is_cut, set_up),
		cmocka_unit_test_setup(test_the_oldest_are_dropped, set_up),
		cmocka_unit_test_setup(test_turns_that_are_not_in_force_are_dropped, set_up),
		cmocka_unit_test_setup(test_nonsense, set_up),
		cmocka_unit_test_setup(test_dying, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
