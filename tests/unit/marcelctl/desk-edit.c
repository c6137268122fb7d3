/* The desk's input line: characters, columns, editing, cutting, the past; and breaking of lines. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "marcelctl/desk-edit.h"
#include "marcelctl/desk-text.h"

#define LENGTH(text) (sizeof(text) - 1)

/* e with an acute accent that combines; a family of three joined; a flag of two letters. */
#define E_ACUTE "e\xCC\x81"
#define FAMILY  "\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7"
#define FLAG    "\xF0\x9F\x87\xAB\xF0\x9F\x87\xB7"

static void put(struct desk_edit *edit, const char *text)
{
	assert_true(desk_edit_insert(edit, text, strlen(text)));
}

/* The text with "|" where the cursor is. */
static void expect(const struct desk_edit *edit, const char *wanted)
{
	const char *text = desk_edit_text(edit);
	char *seen = NULL;

	assert_true(asprintf(&seen, "%.*s|%s", (int)edit->cursor, text, text + edit->cursor) > 0);
	assert_string_equal(seen, wanted);
	free(seen);
	assert_int_equal(edit->length, strlen(text));
}

static void columns_are_those_of_characters(void **state)
{
	(void)state;
	assert_int_equal(desk_columns("abc", 3), 3);
	assert_int_equal(desk_columns("été", LENGTH("été")), 3);
	assert_int_equal(desk_columns(E_ACUTE, LENGTH(E_ACUTE)), 1);
	assert_int_equal(desk_columns("漢字", LENGTH("漢字")), 4);
	/* What is no text counts as one, each byte. */
	assert_int_equal(desk_columns("\xFF\xC3", 2), 2);
	assert_int_equal(desk_columns("\x01", 1), 1);
	/* A mark without a letter takes a place. */
	assert_int_equal(desk_columns("\xCC\x81", 2), 1);
}

static void characters_are_those_that_people_see(void **state)
{
	static const char text[] = "a" E_ACUTE FAMILY FLAG FLAG "z";
	const size_t ends[] = {1,
			       1 + LENGTH(E_ACUTE),
			       1 + LENGTH(E_ACUTE) + LENGTH(FAMILY),
			       1 + LENGTH(E_ACUTE) + LENGTH(FAMILY) + LENGTH(FLAG),
			       1 + LENGTH(E_ACUTE) + LENGTH(FAMILY) + 2 * LENGTH(FLAG),
			       LENGTH(text)};
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		const size_t next = desk_next(text, LENGTH(text), at, NULL);

		assert_int_equal(next, ends[i]);
		assert_int_equal(desk_previous(text, LENGTH(text), next), at);
		at = next;
	}
}

static void what_fits(void **state)
{
	(void)state;
	assert_int_equal(desk_fit("漢字", 6, 3), 3);
	assert_int_equal(desk_fit("漢字", 6, 1), 0);
	assert_int_equal(desk_fit("abc", 3, 9), 3);
	assert_int_equal(desk_fit_end("127.0.0.1:4711", 14, 5), 9);
	assert_int_equal(desk_fit_end("漢字", 6, 3), 3);
}

static void lines_are_broken_between_words(void **state)
{
	static const char text[] = "un deux  troisquatre 漢字漢";
	static const char *const rows[] = {"un deux", "troisqua", "tre", "漢字漢"};
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t next = 0;
		const size_t shown = desk_wrap(text + at, LENGTH(text) - at, 8, &next);

		assert_int_equal(shown, strlen(rows[i]));
		assert_memory_equal(text + at, rows[i], shown);
		assert_true(next > 0);
		at += next;
	}
	assert_int_equal(at, LENGTH(text));
}

static void breaking_always_goes_on(void **state)
{
	size_t next = 0;

	(void)state;
	assert_int_equal(desk_wrap("漢字", 6, 1, &next), 3);
	assert_int_equal(next, 3);
	(void)desk_wrap("          ", 10, 3, &next);
	assert_int_equal(next, 10);
	(void)desk_wrap("", 0, 3, &next);
	assert_int_equal(next, 0);
}

static void finding_takes_capitals_and_small_letters_alike(void **state)
{
	static const char text[] = "Vous ÊTES là";

	(void)state;
	assert_int_equal(desk_find(text, LENGTH(text), "êtes", LENGTH("êtes")), 5);
	assert_int_equal(desk_find(text, LENGTH(text), "LÀ", LENGTH("LÀ")), LENGTH("Vous ÊTES "));
	assert_int_equal(desk_find(text, LENGTH(text), "lac", 3), -1);
}

static void typing_and_moving(void **state)
{
	struct desk_edit edit = {.text = NULL};
	struct desk_cut cut = {.text = NULL};

	(void)state;
	assert_string_equal(desk_edit_text(&edit), "");
	assert_false(desk_edit_do(&edit, EDIT_LEFT, &cut));
	put(&edit, "a" E_ACUTE "z");
	expect(&edit, "a" E_ACUTE "z|");
	assert_true(desk_edit_do(&edit, EDIT_LEFT, &cut));
	assert_true(desk_edit_do(&edit, EDIT_LEFT, &cut));
	expect(&edit, "a|" E_ACUTE "z");
	put(&edit, "漢");
	expect(&edit, "a漢|" E_ACUTE "z");
	assert_true(desk_edit_do(&edit, EDIT_ERASE_RIGHT, &cut));
	expect(&edit, "a漢|z");
	assert_true(desk_edit_do(&edit, EDIT_ERASE_LEFT, &cut));
	expect(&edit, "a|z");
	assert_true(desk_edit_do(&edit, EDIT_HOME, &cut));
	assert_false(desk_edit_do(&edit, EDIT_ERASE_LEFT, &cut));
	expect(&edit, "|az");
	assert_true(desk_edit_do(&edit, EDIT_END, &cut));
	assert_false(desk_edit_do(&edit, EDIT_ERASE_RIGHT, &cut));
	expect(&edit, "az|");
	desk_edit_done(&edit);
	desk_cut_done(&cut);
}

static void words(void **state)
{
	struct desk_edit edit = {.text = NULL};
	struct desk_cut cut = {.text = NULL};

	(void)state;
	put(&edit, "deux étés, bleus");
	assert_true(desk_edit_do(&edit, EDIT_WORD_LEFT, &cut));
	assert_true(desk_edit_do(&edit, EDIT_WORD_LEFT, &cut));
	expect(&edit, "deux |étés, bleus");
	assert_true(desk_edit_do(&edit, EDIT_WORD_RIGHT, &cut));
	expect(&edit, "deux étés|, bleus");
	assert_true(desk_edit_do(&edit, EDIT_CUT_WORD_RIGHT, &cut));
	expect(&edit, "deux étés|");
	assert_true(desk_edit_do(&edit, EDIT_CUT_WORD_LEFT, &cut));
	expect(&edit, "deux |");
	assert_true(desk_edit_do(&edit, EDIT_YANK, &cut));
	expect(&edit, "deux étés|");
	desk_edit_done(&edit);
	desk_cut_done(&cut);
}

static void cutting_and_putting_back(void **state)
{
	struct desk_edit edit = {.text = NULL};
	struct desk_edit other = {.text = NULL};
	struct desk_cut cut = {.text = NULL};

	(void)state;
	assert_false(desk_edit_do(&edit, EDIT_YANK, &cut));
	put(&edit, "un deux");
	edit.cursor = 3;
	assert_true(desk_edit_do(&edit, EDIT_CUT_RIGHT, &cut));
	expect(&edit, "un |");
	assert_false(desk_edit_do(&edit, EDIT_CUT_RIGHT, &cut));
	assert_true(desk_edit_do(&other, EDIT_YANK, &cut));
	expect(&other, "deux|");
	assert_true(desk_edit_do(&edit, EDIT_CUT_LEFT, &cut));
	expect(&edit, "|");
	assert_true(desk_edit_do(&other, EDIT_YANK, &cut));
	expect(&other, "deuxun |");
	desk_edit_done(&edit);
	desk_edit_done(&other);
	desk_cut_done(&cut);
}

static void no_control_characters_come_in(void **state)
{
	struct desk_edit edit = {.text = NULL};

	(void)state;
	assert_true(desk_edit_insert(&edit, "a\x1b[2J\x7f\0b\xC2\x9B\xFF\n", 12));
	expect(&edit, "a[2Jb\n|");
	desk_edit_done(&edit);
}

static void a_line_is_no_longer_than_an_order(void **state)
{
	struct desk_edit edit = {.text = NULL};
	char many[DESK_LINE_MAX];

	(void)state;
	memset(many, 'x', sizeof(many));
	assert_true(desk_edit_insert(&edit, many, sizeof(many) - 1));
	/* Not half of a character. */
	assert_false(desk_edit_insert(&edit, "é", 2));
	assert_int_equal(edit.length, DESK_LINE_MAX - 1);
	assert_true(desk_edit_insert(&edit, "e", 1));
	assert_int_equal(edit.length, DESK_LINE_MAX);
	assert_int_equal(edit.left_out, 1);
	/* Until it is another line. */
	assert_true(desk_edit_do(&edit, EDIT_ERASE_LEFT, &(struct desk_cut){.text = NULL}));
	assert_int_equal(edit.left_out, 1);
	desk_edit_clear(&edit);
	assert_int_equal(edit.left_out, 0);
	desk_edit_done(&edit);
}

static void the_past(void **state)
{
	struct desk_edit edit = {.text = NULL};
	struct desk_history history = {.lines = NULL};

	(void)state;
	assert_false(desk_edit_older(&edit, &history));
	desk_history_add(&history, "un", 2);
	desk_history_add(&history, "deux", 4);
	desk_history_add(&history, "deux", 4);
	put(&edit, "begun");
	assert_false(desk_edit_newer(&edit, &history));
	assert_true(desk_edit_older(&edit, &history));
	expect(&edit, "deux|");
	assert_true(desk_edit_older(&edit, &history));
	expect(&edit, "un|");
	assert_false(desk_edit_older(&edit, &history));
	assert_true(desk_edit_newer(&edit, &history));
	expect(&edit, "deux|");
	assert_true(desk_edit_newer(&edit, &history));
	expect(&edit, "begun|");
	assert_false(desk_edit_newer(&edit, &history));
	desk_edit_done(&edit);
	desk_history_done(&history);
}

static void the_past_is_bounded(void **state)
{
	struct desk_history history = {.lines = NULL};
	char line[32];

	(void)state;
	for (int i = 0; i < DESK_HISTORY_MAX + 10; i++) {
		(void)snprintf(line, sizeof(line), "%d", i);
		desk_history_add(&history, line, strlen(line));
	}
	assert_int_equal(history.count, DESK_HISTORY_MAX);
	assert_string_equal(history.lines[0], "10");
	desk_history_done(&history);
}

static void the_cursor_stays_in_sight(void **state)
{
	struct desk_edit edit = {.text = NULL};
	size_t first = 99;

	(void)state;
	assert_int_equal(desk_edit_window(&edit, 10, &first), 0);
	assert_int_equal(first, 0);
	put(&edit, "123456789");
	assert_int_equal(desk_edit_window(&edit, 10, &first), 9);
	assert_int_equal(first, 0);
	put(&edit, "漢字漢字漢字漢字");
	for (edit.cursor = 0; edit.cursor <= edit.length;
	     edit.cursor = edit.cursor < edit.length
				   ? desk_next(edit.text, edit.length, edit.cursor, NULL)
				   : edit.length + 1) {
		const unsigned column = desk_edit_window(&edit, 10, &first);

		assert_true(column < 10);
		assert_true(first <= edit.cursor);
		assert_int_equal(desk_columns(edit.text + first, edit.cursor - first), column);
	}
	desk_edit_done(&edit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_those_of_characters),
		cmocka_unit_test(characters_are_those_that_people_see),
		cmocka_unit_test(what_fits),
		cmocka_unit_test(lines_are_broken_between_words),
		cmocka_unit_test(breaking_always_goes_on),
		cmocka_unit_test(finding_takes_capitals_and_small_letters_alike),
		cmocka_unit_test(typing_and_moving),
		cmocka_unit_test(words),
		cmocka_unit_test(cutting_and_putting_back),
		cmocka_unit_test(no_control_characters_come_in),
		cmocka_unit_test(a_line_is_no_longer_than_an_order),
		cmocka_unit_test(the_past),
		cmocka_unit_test(the_past_is_bounded),
		cmocka_unit_test(the_cursor_stays_in_sight),
	};

	/* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
