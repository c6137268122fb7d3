/* The row of the cursor, on a screen of ten columns behind a prompt of three. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <wchar.h>

#include <cmocka.h>

#include "marcel/screen.h"

#define COLUMNS 10

static unsigned row(const wchar_t *line, size_t cursor)
{
	return screen_row(L"C> ", line, line + cursor, line + wcslen(line), COLUMNS);
}

static void rows(void **state)
{
	static const struct {
		const wchar_t *line;
		size_t cursor;
		unsigned row;
	} cases[] = {
		{L"", 0, 0},
		{L"123456", 6, 0},
		{L"1234567", 0, 0},
		{L"1234567", 6, 0},
		/* The row is full: what comes next stands on the next one. */
		{L"1234567", 7, 1},
		{L"12345678901234567", 16, 1},
		{L"12345678901234567", 17, 2},
		{L"éé", 2, 0},
		/* Two columns each; the fourth does not fit into the one that is left. */
		{L"日本語", 3, 0},
		{L"日本語日", 3, 1},
		{L"日本語日", 4, 1},
		{L"1日本語", 3, 0},
		{L"1日本語", 4, 1},
		/* ^A, ^[ and an unassigned one, \U+0378. */
		{L"\1\1\1", 3, 0},
		{L"\1\1\1\x1b", 4, 1},
		{L"\x378", 1, 1},
		{L"\x10ffff", 1, 1},
		/* Tabs lead to columns 8, 16, ... of the line as it stands on the screen. */
		{L"\t", 1, 0},
		{L"\t\t", 2, 1},
		{L"a\nb", 1, 0},
		{L"a\nb", 2, 1},
		/* libedit gives a combining accent a column of its own. */
		{L"123456\x301", 7, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(row(cases[i].line, cases[i].cursor), cases[i].row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(rows)};

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread exists */
	if (setlocale(LC_ALL, "C.UTF-8") == NULL)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
