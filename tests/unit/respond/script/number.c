/*
 * Numbers: what is one, how two compare, what fits a property and how it is said; in any locale.
 */
#include "respond/script/number.h"

#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct span span(const char *text)
{
	return (struct span){.bytes = text, .length = strlen(text)};
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		double number;
	} rows[] = {
		{"0", 0},   {"-1", -1},    {"+1", 1},      {"1.5", 1.5},   {".5", 0.5},
		{"5.", 5},  {"1e3", 1000}, {"1E+3", 1000}, {"15e-1", 1.5}, {" 1\t", 1},
		{"007", 7}, {"1e-400", 0}, {"-0", 0},      {"1.50", 1.5},
	};
	static const char *const others[] = {
		"",      " ",   "-",   ".",   "+.",  "e5",       "1e",    "1e+",
		"0x10",  "inf", "nan", "1 2", "1,5", "--1",      "1.2.3", "1e5.5",
		"1e999", "a",   "1a",  "- 1", "\n1", "INFINITY",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double number = -99;

		if (!number_parse(rows[i].text, strlen(rows[i].text), &number) ||
		    number < rows[i].number || number > rows[i].number)
			fail_msg("'%s' gives %g", rows[i].text, number);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		double number = -99;

		if (number_parse(others[i], strlen(others[i]), &number))
			fail_msg("'%s' gives %g", others[i], number);
	}
	/* Nothing behind the length is read. */
	assert_true(number_parse("12", 1, &(double){0}));
	assert_false(number_parse("1\0", 2, &(double){0}));
}

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void test_comparisons(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		int order;
	} rows[] = {
		{"1", "1.0", 0},
		{"2", "10", -1},
		{"-2", "-10", 1},
		{"-1", "1", -1},
		{"0", "-0", 0},
		{"0", "0.000", 0},
		{"0", "-0.001", 1},
		{"0e99", "0", 0},
		{"1e3", "1000", 0},
		{"1e3", "1001", -1},
		{"0.1e1", "1", 0},
		{"100e-2", "1", 0},
		{"00012", "12", 0},
		{"1.25", "1.3", -1},
		{"1.25", "1.250001", -1},
		{" 5 ", "5", 0},
		{"18446744073709551615", "18446744073709551616", -1},
		{"9007199254740993", "9007199254740992", 1},
		{"1e999", "1e1000", -1},
		{"1e99999999999999999999", "9", 1},
		{"1e-99999999999999999999", "9", -1},
		{"-1e999", "5", -1},
		/* as bytes */
		{"2", "10x", 1},
		{"a", "B", 1},
		{"a", "a", 0},
		{"a", "ab", -1},
		{"", "", 0},
		{"", "0", -1},
		{"\377", "a", 1},
		{"0x10", "16", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int there = sign(value_compare(span(rows[i].a), span(rows[i].b)));
		int back = sign(value_compare(span(rows[i].b), span(rows[i].a)));

		if (there != rows[i].order || back != -there)
			fail_msg("'%s' and '%s' give %d and %d", rows[i].a, rows[i].b, there, back);
	}
}

static void test_fits(void **state)
{
	static const struct {
		enum property_kind kind;
		double least, most; /* the same: no limits */
		const char *value;
		const char *kept; /* NULL: it does not fit */
	} rows[] = {
		{PROPERTY_INT, 0, 0, "5", "5"},
		{PROPERTY_INT, 0, 0, " -5 ", "-5"},
		{PROPERTY_INT, 0, 0, "5.0", "5.0"},
		{PROPERTY_INT, 0, 0, "5e3", "5e3"},
		{PROPERTY_INT, 0, 0, "5.5", NULL},
		{PROPERTY_INT, 0, 0, "9223372036854775807", "9223372036854775807"},
		{PROPERTY_INT, 0, 0, "9223372036854775808", NULL},
		{PROPERTY_INT, 0, 0, "-9223372036854775808", "-9223372036854775808"},
		{PROPERTY_INT, 0, 0, "1e30", NULL},
		{PROPERTY_INT, 0, 0, "x", NULL},
		{PROPERTY_INT, 0, 0, "", NULL},
		{PROPERTY_INT, 0, 0, "0x5", NULL},
		{PROPERTY_INT, 1, 9, "1", "1"},
		{PROPERTY_INT, 1, 9, "9", "9"},
		{PROPERTY_INT, 1, 9, "0", NULL},
		{PROPERTY_INT, 1, 9, "10", NULL},
		{PROPERTY_FLOAT, 0, 30, "5.25", "5.25"},
		{PROPERTY_FLOAT, 0, 30, "30", "30"},
		{PROPERTY_FLOAT, 0, 30, "30.01", NULL},
		{PROPERTY_FLOAT, 0, 30, "-0.01", NULL},
		{PROPERTY_FLOAT, 0, 30, "nan", NULL},
		{PROPERTY_FLOAT, 0, 0, "1e999", NULL},
		{PROPERTY_FLOAT, 0, 0, "1e300", "1e300"},
		{PROPERTY_BOOL, 0, 0, "0", "0"},
		{PROPERTY_BOOL, 0, 0, " On", "On"},
		{PROPERTY_BOOL, 0, 0, "OFF", "OFF"},
		{PROPERTY_BOOL, 0, 0, "2", NULL},
		{PROPERTY_BOOL, 0, 0, "o", NULL},
		{PROPERTY_BOOL, 0, 0, "", NULL},
		{PROPERTY_TEXT, 0, 0, " a ", " a "},
		{PROPERTY_TEXT, 0, 0, "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct property property = {.kind = rows[i].kind,
					    .limited = rows[i].least < rows[i].most,
					    .least = rows[i].least,
					    .most = rows[i].most};
		struct span kept = {.bytes = NULL, .length = 0};
		bool fits = property_fits(&property, rows[i].value, strlen(rows[i].value), &kept);

		if (fits != (rows[i].kept != NULL) ||
		    (fits && (kept.length != strlen(rows[i].kept) ||
			      memcmp(kept.bytes, rows[i].kept, kept.length) != 0)))
			fail_msg("row %zu, '%s'", i, rows[i].value);
	}
}

static void test_said(void **state)
{
	static const struct {
		enum property_kind kind;
		const char *format;
		const char *value;
		const char *said;
	} rows[] = {
		{PROPERTY_INT, NULL, "5", "5"},
		{PROPERTY_INT, "%d", "5.0", "5"},
		{PROPERTY_INT, "%+05d", "5", "+0005"},
		{PROPERTY_INT, "%.3i", "-7", "-007"},
		{PROPERTY_INT, "0x%X", "255", "0xFF"},
		{PROPERTY_INT, "%#o", "8", "010"},
		{PROPERTY_INT, "%d", "9007199254740993", "9007199254740993"},
		{PROPERTY_FLOAT, NULL, "5.50", "5.50"},
		{PROPERTY_FLOAT, "%+.6E", "5", "+5.000000E+00"},
		{PROPERTY_FLOAT, "%f", "-1.5", "-1.500000"},
		{PROPERTY_FLOAT, "%-8.1fV", "2.25", "2.2     V"},
		{PROPERTY_FLOAT, "%g%%", "50", "50%"},
		{PROPERTY_FLOAT, "%% %g", "50", "% 50"},
		{PROPERTY_BOOL, NULL, "ON", "1"},
		{PROPERTY_BOOL, NULL, "off", "0"},
		{PROPERTY_BOOL, "state %d", "on", "state 1"},
		{PROPERTY_TEXT, NULL, "a", "a"},
		{PROPERTY_TEXT, "<%s>", "a%d", "<a%d>"},
		{PROPERTY_TEXT, "<%5s>", "ab", "<   ab>"},
		{PROPERTY_TEXT, "<%-5s>", "ab", "<ab   >"},
		{PROPERTY_TEXT, "<%.1s>", "ab", "<a>"},
		{PROPERTY_TEXT, "<%.s>", "ab", "<>"},
		/* a value that is none */
		{PROPERTY_INT, "%d", "x", "x"},
		{PROPERTY_BOOL, NULL, "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct property property = {.kind = rows[i].kind, .format = rows[i].format};
		struct expansion to = {.length = 0};
		char fault[FORMAT_FAULT_MAX];

		if (rows[i].format != NULL)
			assert_int_equal(property_check_format(rows[i].kind, rows[i].format, fault),
					 0);
		assert_int_equal(property_say(&property, span(rows[i].value), &to), 0);
		if (to.length != strlen(rows[i].said) ||
		    (to.length > 0 && memcmp(to.bytes, rows[i].said, to.length) != 0))
			fail_msg("row %zu: '%.*s'", i, (int)to.length, to.bytes);
		expansion_done(&to);
	}
}

static void test_formats(void **state)
{
	static const struct {
		enum property_kind kind;
		const char *format;
		const char *fault; /* a part of it */
	} rows[] = {
		{PROPERTY_INT, "", "no conversion in the format; one like %d"},
		{PROPERTY_FLOAT, "x%%", "no conversion in the format; one like %e"},
		{PROPERTY_INT, "%", "a % at the end"},
		{PROPERTY_INT, "%d%", "a % at the end"},
		{PROPERTY_INT, "%%%", "a % at the end"},
		{PROPERTY_INT, "%d %d", "more than one"},
		{PROPERTY_INT, "%f", "does not fit"},
		{PROPERTY_FLOAT, "%d", "does not fit"},
		{PROPERTY_FLOAT, "%s", "does not fit"},
		{PROPERTY_TEXT, "%d", "does not fit"},
		{PROPERTY_BOOL, "%s", "does not fit"},
		{PROPERTY_INT, "%n", "does not fit"},
		{PROPERTY_INT, "%ld", "does not fit"},
		{PROPERTY_INT, "%hhd", "does not fit"},
		{PROPERTY_INT, "%*d", "does not fit"},
		{PROPERTY_INT, "%1$d", "does not fit"},
		{PROPERTY_INT, "%c", "does not fit"},
		{PROPERTY_FLOAT, "%a", "does not fit"},
		{PROPERTY_FLOAT, "%Lf", "does not fit"},
		{PROPERTY_INT, "%100d", "width above 99"},
		{PROPERTY_INT, "%.100d", "precision above 99"},
		{PROPERTY_INT, "%5", "does not fit"},
		{PROPERTY_INT, "%++++++++++++++++++++++++++++++++d", "too many flags"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char fault[FORMAT_FAULT_MAX] = "";

		if (property_check_format(rows[i].kind, rows[i].format, fault) != -EINVAL ||
		    strstr(fault, rows[i].fault) == NULL)
			fail_msg("'%s' gives '%s'", rows[i].format, fault);
	}
}

/* What is largest in its kind. */
static void test_wide(void **state)
{
	struct property property = {.kind = PROPERTY_FLOAT, .format = "%+-99.99f"};
	struct expansion to = {.length = 0};

	(void)state;
	assert_int_equal(property_say(&property, span("-1.7e308"), &to), 0);
	assert_int_equal(to.length, 1 + 309 + 1 + 99);
	to.length = SCRIPT_REPLY_MAX - 10;
	assert_int_equal(property_say(&property, span("1"), &to), -ENOSPC);
	expansion_done(&to);
}

/* All again where a comma stands before the fraction, if there is such a locale (CMakeLists.txt
 * makes one). */
static void test_locale(void **state)
{
	static const char *const names[] = {"fr_FR.UTF-8", "de_DE.UTF-8", "fr_FR", "de_DE"};
	const char *found = NULL;

	for (size_t i = 0; i < 4 && found == NULL; i++)
		found = setlocale(LC_ALL, names[i]); /* NOLINT(concurrency-mt-unsafe): one thread */
	if (found == NULL)
		skip();
	test_numbers(state);
	test_said(state);
	(void)setlocale(LC_ALL, "C"); /* NOLINT(concurrency-mt-unsafe): one thread */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_comparisons),
		cmocka_unit_test(test_fits),    cmocka_unit_test(test_said),
		cmocka_unit_test(test_formats), cmocka_unit_test(test_wide),
		cmocka_unit_test(test_locale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
