/* What a server said, cut into lines and made harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "marcel/view.h"

/* The line that TEXT begins with: its length, or -1 for none; *RET_USED what to drop. */
static int first_line(const char *text, enum view_rest rest, size_t *ret_used)
{
	struct bytes bytes = BYTES_INIT;
	size_t length = 0;
	bool found;

	assert_int_equal(bytes_append(&bytes, text, strlen(text)), 0);
	found = view_line(&bytes, rest, &length, ret_used);
	bytes_done(&bytes);
	return found ? (int)length : -1;
}

static void lines(void **state)
{
	static const struct {
		const char *text;
		enum view_rest rest;
		int length;
		size_t used;
	} cases[] = {
		{"", VIEW_KEEP, -1, 0},
		{"", VIEW_TAKE, -1, 0},
		{"", VIEW_ALL, -1, 0},
		{"a\nb", VIEW_KEEP, 1, 2},
		{"a\r\nb", VIEW_KEEP, 1, 3},
		{"\n", VIEW_KEEP, 0, 1},
		{"\r\n", VIEW_KEEP, 0, 2},
		{"a\rb\n", VIEW_KEEP, 3, 4},
		{"a", VIEW_KEEP, -1, 0},
		{"a", VIEW_TAKE, 1, 1},
		{"a\r", VIEW_TAKE, 2, 2},
		/* é lacks its second byte, € its last ones, an emoji its last. */
		{"a\xc3", VIEW_TAKE, 1, 1},
		{"a\xc3", VIEW_ALL, 2, 2},
		{"a\xc3\xa9", VIEW_TAKE, 3, 3},
		{"\xe2\x82", VIEW_TAKE, -1, 0},
		{"a\xe2", VIEW_TAKE, 1, 1},
		{"a\xf0\x9f\x98", VIEW_TAKE, 1, 1},
		{"a\xf0\x9f\x98\x80", VIEW_TAKE, 5, 5},
		/* These are no characters, and waiting would not help. */
		{"\x80\x80\x80\x80", VIEW_TAKE, 4, 4},
		{"a\xff", VIEW_TAKE, 2, 2},
		{"a\xc0", VIEW_TAKE, 2, 2},
		{"\xc3\xa9\xa9", VIEW_TAKE, 3, 3},
		/* A line end leaves no doubt. */
		{"a\xc3\n", VIEW_TAKE, 2, 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t used = 0;

		assert_int_equal(first_line(cases[i].text, cases[i].rest, &used), cases[i].length);
		assert_int_equal(used, cases[i].used);
	}
}

static void harmless(void **state)
{
	static const struct {
		const char *text;
		const char *shown;
	} cases[] = {
		{"", ""},
		{"bonjour à tous", "bonjour à tous"},
		{"\x1b[2J", "\\e[2J"},
		{"a\tb\\n\\", "a\tb\\n\\"},
		{"\\\\\t\t", "\\\\\t\t"},
		{"\x9b\xff", "\\x9b\\xff"},
		{"\x07\r\x7f", "\\x07\\r\\x7f"},
		{"\xc2\x9b", "\\xc2\\x9b"},
		/* It would turn the direction of writing. NOLINTNEXTLINE */
		{"\xe2\x80\xae", "\\xe2\\x80\\xae"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *shown = view_render(cases[i].text, strlen(cases[i].text));

		assert_non_null(shown);
		assert_string_equal(shown, cases[i].shown);
		free(shown);
	}
}

static void every_byte_finds_room(void **state)
{
	char text[3000];
	char *shown;

	(void)state;
	/* The worst: each byte takes four. NUL is a byte like any other. */
	memset(text, 0, sizeof(text));
	shown = view_render(text, sizeof(text));
	assert_non_null(shown);
	assert_int_equal(strlen(shown), 4 * sizeof(text));
	free(shown);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)i;
	shown = view_render(text, sizeof(text));
	assert_non_null(shown);
	for (const char *c = shown; *c != '\0'; c++)
		assert_true((unsigned char)*c >= ' ' || *c == '\t');
	free(shown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(harmless),
		cmocka_unit_test(every_byte_finds_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
