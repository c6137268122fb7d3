/*
 * Durations, sizes, numbers, escaping and near words, as tables: what is written, what it means.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define UNTOUCHED 4711 /* what outputs hold before a call that must not touch them */

static const struct {
	const char *text;
	int result;
	usec_t duration;
} durations[] = {
	{"0", 0, 0},
	{"5", 0, 5000000},
	{"400ms", 0, 400000},
	{"200msec", 0, 200000},
	{"7us", 0, 7},
	{"7usec", 0, 7},
	{"7\302\265s", 0, 7},
	{"7\316\274s", 0, 7},
	{"2.5s", 0, 2500000},
	{".5s", 0, 500000},
	{"0.3min", 0, 18000000},
	{"0.0000019s", 0, 1},
	{"1.99999999999999999999999999999ms", 0, 1999},
	{"5min 30s", 0, 330000000},
	{"5min30s", 0, 330000000},
	{"  5 min\t30 s ", 0, 330000000},
	{"1h 30", 0, 3630000000},
	{"2hours", 0, 7200000000},
	{"1hr 1m", 0, 3660000000},
	{"300ms20s 5day", 0, 432020300000},
	{"1w 1d", 0, 691200000000},
	{"1M", 0, 2629800000000},
	{"1y 12month", 0, 63115200000000},
	{"infinity", 0, USEC_NEVER},
	{"18446744073709551614us", 0, UINT64_MAX - 1},
	{"18446744073709551615us", -ERANGE, 0}, /* would mean "never" */
	{"18446744073709551616us", -ERANGE, 0},
	{"18446744073709s 551616us", -ERANGE, 0},
	{"584555 years", -ERANGE, 0},
	{"99999999999999999999999 years", -ERANGE, 0},
	{"99999999999999999999999 yeers", -EINVAL, 0},
	{"", -EINVAL, 0},
	{"  ", -EINVAL, 0},
	{"s", -EINVAL, 0},
	{".", -EINVAL, 0},
	{".s", -EINVAL, 0},
	{"5.", -EINVAL, 0},
	{"5.s", -EINVAL, 0},
	{"1.2.3s", -EINVAL, 0},
	{"-1s", -EINVAL, 0},
	{"+1s", -EINVAL, 0},
	{"5 apples", -EINVAL, 0},
	{"5S", -EINVAL, 0},
	{"5min, 30s", -EINVAL, 0},
	{"infinity 1s", -EINVAL, 0},
	{"Infinity", -EINVAL, 0},
	{"1e3", -EINVAL, 0},
	{"0x10", -EINVAL, 0},
};

static void durations_are_parsed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(durations); i++) {
		usec_t duration = UNTOUCHED;
		int r = text_parse_duration(durations[i].text, &duration);

		if (r != durations[i].result)
			fail_msg("'%s' gave %d", durations[i].text, r);
		if (duration != (r == 0 ? durations[i].duration : UNTOUCHED))
			fail_msg("'%s' is %llu", durations[i].text, (unsigned long long)duration);
	}
}

static const struct {
	usec_t duration;
	const char *text;
} shown_durations[] = {
	{0, "0"},
	{1, "1us"},
	{400000, "400ms"},
	{5000000, "5s"},
	{330000000, "5min 30s"},
	{1800000000, "30min"},
	{90061001001, "1d 1h 1min 1s 1ms 1us"},
	{UINT64_MAX - 1, "213503982d 8h 1min 49s 551ms 614us"},
	{USEC_NEVER, "infinity"},
};

static void durations_are_written_as_they_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shown_durations); i++) {
		char buffer[64];
		usec_t back = UNTOUCHED;

		assert_ptr_equal(text_format_duration(buffer, sizeof(buffer),
						      shown_durations[i].duration),
				 buffer);
		assert_string_equal(buffer, shown_durations[i].text);
		assert_int_equal(text_parse_duration(buffer, &back), 0);
		assert_int_equal(back, shown_durations[i].duration);
	}
}

static void a_small_buffer_is_not_overrun(void **state)
{
	char buffer[8] = "#######";

	(void)state;
	(void)text_format_duration(buffer, 0, 90061001001);
	assert_string_equal(buffer, "#######");
	(void)text_format_duration(buffer, 4, 90061001001);
	assert_true(strlen(buffer) < 4);
	assert_string_equal(buffer + 4, "###");
	(void)text_format_size(buffer, 3, 123456);
	assert_string_equal(buffer, "12");
}

static const struct {
	const char *text;
	int result;
	uint64_t size;
} sizes[] = {
	{"0", 0, 0},
	{"1000", 0, 1000},
	{"64K", 0, 65536},
	{"64 K", 0, 65536},
	{"1M", 0, 1048576},
	{"3G", 0, 3221225472},
	{"2T", 0, 2199023255552},
	{"0T", 0, 0},
	{"18446744073709551615", 0, UINT64_MAX},
	{"16777215T", 0, 18446742974197923840U},
	{"18446744073709551616", -ERANGE, 0},
	{"16777216T", -ERANGE, 0},
	{"99999999999999999999K", -ERANGE, 0},
	{"", -EINVAL, 0},
	{"K", -EINVAL, 0},
	{" 1", -EINVAL, 0},
	{"1 ", 0, 1},
	{"1KB", -EINVAL, 0},
	{"64k", -EINVAL, 0},
	{"64KiB", -EINVAL, 0},
	{"1.5M", -EINVAL, 0},
	{"-1", -EINVAL, 0},
	{"0x10", -EINVAL, 0},
	{"infinity", -EINVAL, 0},
};

static void sizes_are_parsed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		uint64_t size = UNTOUCHED;
		int r = text_parse_size(sizes[i].text, &size);

		if (r != sizes[i].result)
			fail_msg("'%s' gave %d", sizes[i].text, r);
		if (size != (r == 0 ? sizes[i].size : UNTOUCHED))
			fail_msg("'%s' is %llu", sizes[i].text, (unsigned long long)size);
	}
}

static const struct {
	uint64_t size;
	const char *text;
} shown_sizes[] = {
	{0, "0"},
	{1, "1"},
	{1000, "1000"},
	{1024, "1K"},
	{65536, "64K"},
	{1048576, "1M"},
	{1048577, "1048577"},
	{1572864, "1536K"},
	{UINT64_C(5) << 50, "5120T"},
	{UINT64_MAX, "18446744073709551615"},
};

static void sizes_are_written_as_they_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shown_sizes); i++) {
		char buffer[32];
		uint64_t back = UNTOUCHED;

		(void)text_format_size(buffer, sizeof(buffer), shown_sizes[i].size);
		assert_string_equal(buffer, shown_sizes[i].text);
		assert_int_equal(text_parse_size(buffer, &back), 0);
		assert_int_equal(back, shown_sizes[i].size);
	}
}

static const struct {
	const char *text;
	uint64_t max;
	int result;
	uint64_t number;
} numbers[] = {
	{"0", 0, 0, 0},
	{"007", 10, 0, 7},
	{"65535", 65535, 0, 65535},
	{"65536", 65535, -ERANGE, 0},
	{"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
	{"18446744073709551616", UINT64_MAX, -ERANGE, 0},
	{"18446744073709551616x", UINT64_MAX, -EINVAL, 0},
	{"", 10, -EINVAL, 0},
	{" 1", 10, -EINVAL, 0},
	{"1 ", 10, -EINVAL, 0},
	{"+1", 10, -EINVAL, 0},
	{"-1", 10, -EINVAL, 0},
	{"1.0", 10, -EINVAL, 0},
	{"\331\241", 10, -EINVAL, 0}, /* an Arabic digit */
};

static void numbers_are_parsed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		uint64_t number = UNTOUCHED;
		int r = text_parse_unsigned(numbers[i].text, numbers[i].max, &number);

		if (r != numbers[i].result)
			fail_msg("'%s' gave %d", numbers[i].text, r);
		assert_int_equal(number, r == 0 ? numbers[i].number : UNTOUCHED);
	}
}

static void booleans_are_parsed(void **state)
{
	static const char *const yes[] = {"yes", "true", "on", "1", "YES", "True", "oN"};
	static const char *const no[] = {"no", "false", "off", "0", "NO", "False", "oFf"};
	static const char *const neither[] = {"", "y", "n", "2", "yes ", " no", "ja", "enable"};
	bool value;

	(void)state;
	for (size_t i = 0; i < COUNT(yes); i++) {
		value = false;
		assert_int_equal(text_parse_boolean(yes[i], &value), 0);
		assert_true(value);
	}
	for (size_t i = 0; i < COUNT(no); i++) {
		value = true;
		assert_int_equal(text_parse_boolean(no[i], &value), 0);
		assert_false(value);
	}
	for (size_t i = 0; i < COUNT(neither); i++)
		assert_int_equal(text_parse_boolean(neither[i], &value), -EINVAL);
}

static const struct {
	const char *text;
	size_t length; /* of the sequence; 0: not valid */
} sequences[] = {
	{"a", 1},
	{"\x7f", 1},
	{"\302\200", 2},         /* U+0080 */
	{"\337\277", 2},         /* U+07FF */
	{"\340\240\200", 3},     /* U+0800 */
	{"\355\237\277", 3},     /* U+D7FF, the last before the surrogates */
	{"\356\200\200", 3},     /* U+E000, the first after them */
	{"\357\277\277", 3},     /* U+FFFF */
	{"\360\220\200\200", 4}, /* U+10000 */
	{"\364\217\277\277", 4}, /* U+10FFFF */
	{"", 0},
	{"\200", 0},             /* a continuation alone */
	{"\300\200", 0},         /* overlong NUL */
	{"\301\277", 0},         /* overlong U+007F */
	{"\340\237\277", 0},     /* overlong U+07FF */
	{"\360\217\277\277", 0}, /* overlong U+FFFF */
	{"\355\240\200", 0},     /* the first surrogate */
	{"\355\277\277", 0},     /* the last one */
	{"\364\220\200\200", 0}, /* U+110000 */
	{"\370\210\200\200\200", 0},
	{"\376", 0},
	{"\377", 0},
	{"\303", 0}, /* cut short */
	{"\343\201", 0},
	{"\360\237\230", 0},
	{"\303(", 0},
	{"\343\201(", 0},
};

static void utf8_is_told_from_other_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sequences); i++) {
		size_t length = strlen(sequences[i].text);
		char *exact = malloc(length + 1); /* so that a byte read too far is noticed */

		assert_non_null(exact);
		(void)memcpy(exact, sequences[i].text, length);
		if (text_utf8_length(exact, length) != sequences[i].length)
			fail_msg("sequence %zu", i);
		if (sequences[i].length > 0) /* one byte less is never enough */
			assert_int_equal(text_utf8_length(exact, sequences[i].length - 1), 0);
		free(exact);
	}
}

/* NOLINTBEGIN(misc-misleading-bidirectional): they are here to be escaped */
#define BYTES(text) text, sizeof(text) - 1

static const struct {
	const char *text;
	size_t length;
	const char *escaped;
} escapes[] = {
	{BYTES(""), ""},
	{BYTES("Bonjour \303\240 vous"), "Bonjour \303\240 vous"},
	{BYTES("a\nb\tc\rd\033[1me"), "a\\nb\\tc\\rd\\e[1me"},
	{BYTES("C:\\"), "C:\\\\"},
	{BYTES("\0\001\037\177"), "\\x00\\x01\\x1f\\x7f"},
	{BYTES("\302\205"), "\\xc2\\x85"},            /* U+0085, a line end of C1 */
	{BYTES("\302\240"), "\302\240"},              /* a space that does not break */
	{BYTES("\342\200\256x"), "\\xe2\\x80\\xaex"}, /* right-to-left override */
	{BYTES("\342\200\250"), "\\xe2\\x80\\xa8"},   /* line separator */
	{BYTES("\331\215\330\234"), "\331\215\\xd8\\x9c"},
	{BYTES("\342\201\246\342\201\247"), "\\xe2\\x81\\xa6\\xe2\\x81\\xa7"},
	{BYTES("\377\303"), "\\xff\\xc3"},
	{BYTES("\360\237\230\200"), "\360\237\230\200"},
};

static void what_may_harm_a_terminal_is_escaped(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(escapes); i++) {
		char buffer[128];
		size_t used = UNTOUCHED;
		size_t written = text_escape(buffer, sizeof(buffer), escapes[i].text,
					     escapes[i].length, &used);

		assert_string_equal(buffer, escapes[i].escaped);
		assert_int_equal(written, strlen(escapes[i].escaped));
		assert_int_equal(used, escapes[i].length);
	}
}

/* Whatever the room, whole sequences come out, and none of them is lost or doubled. */
static void escaping_goes_on_where_the_room_ended(void **state)
{
	static const char text[] = "\303\251\n\\\360\237\230\200\342\200\256z\377";

	(void)state;
	for (size_t size = 14; size < 40; size++) {
		char whole[128] = "";
		size_t done = 0;

		while (done < sizeof(text)) {
			char piece[40];
			size_t used = UNTOUCHED;
			size_t written =
				text_escape(piece, size, text + done, sizeof(text) - done, &used);

			assert_true(used > 0);
			assert_true(written < size);
			assert_int_equal(strlen(piece), written);
			(void)memcpy(whole + strlen(whole), piece, written + 1);
			done += used;
		}
		assert_string_equal(whole, "\303\251\\n\\\\\360\237\230\200\\xe2\\x80\\xaez\\xff"
					   "\\x00");
	}
}

/* NOLINTEND(misc-misleading-bidirectional) */

static void escaping_needs_no_room_to_be_safe(void **state)
{
	char buffer[4] = "###";
	size_t used = UNTOUCHED;

	(void)state;
	assert_int_equal(text_escape(buffer, 0, "abc", 3, &used), 0);
	assert_int_equal(used, 0);
	assert_string_equal(buffer, "###");
	assert_int_equal(text_escape(buffer, 3, "abc", 3, NULL), 2);
	assert_string_equal(buffer, "ab");
	assert_int_equal(text_escape(buffer, 2, "\303\251", 2, &used), 0);
	assert_int_equal(used, 0);
	assert_string_equal(buffer, "");
}

static void lines_stay_lines(void **state)
{
	static const struct {
		const char *text;
		const char *escaped;
	} cases[] = {
		{"", ""},
		{"\n", "\n"},
		{"a\033b\n\377\\\n\nc", "a\\eb\n\\xff\\\\\n\nc"},
		{"\377\377\n", "\\xff\\xff\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *lines = text_escape_lines(cases[i].text);

		assert_string_equal(lines, cases[i].escaped);
		free(lines);
	}
}

static const struct {
	const char *word;
	const char *nearest; /* NULL: none */
} near_words[] = {
	{"greeting", "greeting"},
	{"greating", "greeting"},
	{"greting", "greeting"},
	{"greeeting", "greeting"},
	{"rgeeting", "greeting"},
	{"GREETING", "greeting"},
	{"farwell", "farewell"},
	{"end_wrods", "end_words"},
	{"endwords", "end_words"},
	{"idle-timeout", "idle_timeout"},
	{"idle_timeout_s", "idle_timeout"},
	{"fni", "fin"},
	{"fn", NULL}, /* half of it would have changed */
	{"d\303\251j\303\240", "d\303\251ja"},
	{"", NULL},
	{"x", NULL},
	{"colour", NULL},
	{"grXXting", "greeting"},
	{"grXXXing", NULL},
	{"\377\377\377\377\377", NULL},
	{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	 NULL},
};

static void the_nearest_word_is_found(void **state)
{
	static const char *const words[] = {"greeting",     "farewell", "end_words",
					    "idle_timeout", "fin",      "d\303\251ja"};

	(void)state;
	for (size_t i = 0; i < COUNT(near_words); i++) {
		const char *nearest = text_nearest(near_words[i].word, words, COUNT(words));

		if ((nearest == NULL) != (near_words[i].nearest == NULL))
			fail_msg("'%s': %s", near_words[i].word, nearest ? nearest : "none");
		if (nearest != NULL)
			assert_string_equal(nearest, near_words[i].nearest);
	}
	assert_null(text_nearest("fin", words, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_parsed),
		cmocka_unit_test(durations_are_written_as_they_are_read),
		cmocka_unit_test(a_small_buffer_is_not_overrun),
		cmocka_unit_test(sizes_are_parsed),
		cmocka_unit_test(sizes_are_written_as_they_are_read),
		cmocka_unit_test(numbers_are_parsed),
		cmocka_unit_test(booleans_are_parsed),
		cmocka_unit_test(utf8_is_told_from_other_bytes),
		cmocka_unit_test(what_may_harm_a_terminal_is_escaped),
		cmocka_unit_test(escaping_goes_on_where_the_room_ended),
		cmocka_unit_test(escaping_needs_no_room_to_be_safe),
		cmocka_unit_test(lines_stay_lines),
		cmocka_unit_test(the_nearest_word_is_found),
	};

	return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
