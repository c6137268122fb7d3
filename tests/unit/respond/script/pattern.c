/*
 * Patterns against tables: what each construct matches and captures, what is refused and where, and
 * which pattern takes in another. And patterns that would never end.
 */
#include "respond/script/pattern.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define L PATTERN_LITERAL
#define G PATTERN_GLOB
#define R PATTERN_REGEX
#define H PATTERN_HOLE
#define I PATTERN_NOCASE
#define U PATTERN_UNANCHORED

/* A message long enough to be trouble. */
#define LONG 65536

static struct pattern *compiled(enum pattern_kind kind, const char *text, unsigned flags)
{
	struct pattern *pattern = NULL;
	struct pattern_error error;

	if (pattern_compile(kind, text, strlen(text), flags, &pattern, &error) < 0)
		fail_msg("%s: %s", text, error.text);
	return pattern;
}

/* What comes of comparing: "no", "stopped", or captures as name=value| each. */
static void outcome(const struct pattern *pattern, const char *message, size_t length, char *text,
		    size_t size)
{
	struct capture captures[PATTERN_CAPTURES_MAX];
	enum match match = pattern_match(pattern, message, length, captures);
	size_t used = 0;

	text[0] = '\0';
	if (match != MATCH_YES) {
		(void)snprintf(text, size, "%s", match == MATCH_NO ? "no" : "stopped");
		return;
	}
	for (size_t i = 0; i < pattern_captures(pattern); i++) {
		int n;

		assert_true(captures[i].start + captures[i].length <= length);
		n = snprintf(text + used, size - used, "%s=%.*s|", pattern_capture_name(pattern, i),
			     (int)captures[i].length, message + captures[i].start);
		assert_true(n > 0 && (size_t)n < size - used);
		used += (size_t)n;
	}
}

static void test_matches(void **state)
{
	static const struct {
		enum pattern_kind kind;
		const char *text;
		unsigned flags;
		const char *message;
		const char *outcome;
	} rows[] = {
		/* literals: nothing in them means anything */
		{L, "NOOP", 0, "NOOP", ""},
		{L, "NOOP", 0, "noop", "no"},
		{L, "NOOP", I, "nOoP", ""},
		{L, "NOOP", I, "NOOP ", "no"},
		{L, "NOOP", 0, "NOO", "no"},
		{L, "", 0, "", ""},
		{L, "", 0, "x", "no"},
		{L, "a*?{b}\\n", 0, "a*?{b}\\n", ""},
		{L, "\303\211", I, "\303\211", ""},
		{L, "\303\211", I, "\303\251", "no"},
		{L, "[", I, "{", "no"},

		/* holes */
		{H, "VOLT {}", 0, "VOLT 5", "=5|"},
		{H, "VOLT {}", 0, "VOLT ", "=|"},
		{H, "VOLT {}", 0, "VOLT", "no"},
		{H, "VOLT {}", I, "volt 5", "=5|"},
		{H, "a{}b", 0, "ab", "=|"},
		{H, "aba{}aba", 0, "aba", "no"},
		{H, "aba{}aba", 0, "abaaba", "=|"},
		{H, "{}", 0, "*", "=*|"},
		{H, "\\{}*", 0, "\\x*", "=x|"},

		/* globs of * and names: by pieces */
		{G, "", 0, "", ""},
		{G, "*", 0, "", ""},
		{G, "**", 0, "x", ""},
		{G, "HELP*", 0, "HELP", ""},
		{G, "HELP*", 0, "HEL", "no"},
		{G, "HELP*", I, "help me", ""},
		{G, "*HELP", 0, "please HELP", ""},
		{G, "*HELP", 0, "HELP me", "no"},
		{G, "*a*b*", 0, "xaxbx", ""},
		{G, "*a*b*", 0, "xbxax", "no"},
		{G, "*aa*aa", 0, "aaa", "no"},
		{G, "*aa*aa", 0, "aaaa", ""},
		{G, "a*a", 0, "a", "no"},
		{G, "HELO {name}", 0, "HELO there", "name=there|"},
		{G, "MAIL FROM:<{from}>*", 0, "MAIL FROM:<>", "from=|"},
		{G, "MAIL FROM:<{from}>*", 0, "MAIL FROM:<a> X=<b>", "from=a|"},
		{G, "MAIL FROM:<{from}>*", I, "mail from:<A> SIZE=1", "from=A|"},
		{G, "{a} {b}", 0, "x y z", "a=x|b=y z|"},
		{G, "{a}{b}", 0, "xy", "a=|b=xy|"},
		{G, "*{a}", 0, "xy", "a=xy|"},
		{G, "{a}*{b}.", 0, "xy.", "a=|b=xy|"},
		{G, "{a-b_1}", 0, "x", "a-b_1=x|"},
		{G, "a}b", 0, "a}b", ""},
		{G, "\\*\\?\\{\\\"\\$\\\\", 0, "*?{\"$\\", ""},
		{G, "\\r\\n\\t\\x41\\xfF", 0, "\r\n\tA\377", ""},
		{G, "$ $x", 0, "$ $x", ""},
		{G, "*A LONG PIECE THAT STANDS BETWEEN TWO GAPS*", I,
		 "x a long piece that stands between two gaps y", ""},

		/* globs that need more */
		{G, "a?c", 0, "abc", ""},
		{G, "a?c", 0, "ac", "no"},
		{G, "a?c", 0, "a\nc", ""},
		{G, "a?c", 0, "a\303\251c", ""},
		{G, "a?c", 0, "a\360\237\230\200c", ""},
		{G, "a?c", 0, "a\377c", ""},
		{G, "a?c", 0, "a\303\303c", "no"},
		{G, "a??c", 0, "a\303\303c", ""},
		{G, "a??c", 0, "a\303\251c", "no"},
		{G, "?", 0, "\355\240\200", "no"},
		{G, "???", 0, "\355\240\200", ""},
		{G, "A?C", I, "abc", ""},
		{G, "{n:int}", 0, "-12", "n=-12|"},
		{G, "{n:int}", 0, "+12", "n=+12|"},
		{G, "{n:int}", 0, "", "no"},
		{G, "{n:int}", 0, "1.5", "no"},
		{G, "{n:int}*", 0, "12abc", "n=12|"},
		{G, "SIZE={n:int} {w:word}", 0, "SIZE=5 x", "n=5|w=x|"},
		{G, "{x:number}", 0, "1.5e-3", "x=1.5e-3|"},
		{G, "{x:number}", 0, ".5", "x=.5|"},
		{G, "{x:number}", 0, "5.", "x=5.|"},
		{G, "{x:number}", 0, ".", "no"},
		{G, "{x:number}", 0, "1e", "no"},
		{G, "{x:number}", 0, "0x1", "no"},
		{G, "{w:word}", 0, "a.b", "w=a.b|"},
		{G, "{w:word}", 0, "", "no"},
		{G, "{w:word}", 0, "a b", "no"},
		{G, "{w:word} {r}", 0, "a b c", "w=a|r=b c|"},
		{G, "{w:word}\\t{r}", 0, "a b\tc", "no"},
		{G, "{w:word}", 0, "\303\251", "w=\303\251|"},
		{G, "{a}?{b}", 0, "xyz", "a=|b=yz|"},
		{G, "(?.+)", 0, "(x.+)", ""},

		/* regexes */
		{R, "RCPT TO:<(?<to>[^>]+)>", I, "rcpt to:<a@b> x", "to=a@b|"},
		{R, "b", 0, "abc", "no"},
		{R, "b", U, "abc", ""},
		{R, "^b", U, "abc", "no"},
		{R, "b$", U, "ab", ""},
		{R, "", 0, "abc", ""},
		{R, "a.c", 0, "a\nc", "no"},
		{R, "a.c", PATTERN_DOTALL, "a\nc", ""},
		{R, "a c #", PATTERN_EXTENDED, "ac", ""},
		{R, "^b", PATTERN_MULTILINE | U, "a\nb", ""},
		{R, "^b", U, "a\nb", "no"},
		{R, "(a)(?<x>b)(c)", 0, "abc", "x=b|"},
		{R, "(?:(?<x>a)|b)", 0, "b", "x=|"},
		{R, "(.)\\1", 0, "aa", ""},
		{R, "(.)\\1", 0, "ab", "no"},
		{R, ".", 0, "\377", ""},
		{R, "(?<y>b)(?<x>c)", 0, "bc", "x=c|y=b|"},
		{R, "a|b", 0, "b", ""},
		{R, "ab|cd", 0, "cd", ""},
		{R, "a(b|c)", 0, "ac", ""},
		{R, "ab?c", 0, "ac", ""},
		{R, "ab*", 0, "a", ""},
		{R, "ab{0}", 0, "a", ""},
		{R, "a\\.?b", 0, "ab", ""},
		{R, "a[|]b|c", 0, "c", ""},
		{R, "a\\Q|\\E|c", 0, "c", ""},
		{R, "a(?#()|c", 0, "c", ""},
		{R, "a(?i)b", 0, "aB", ""},
		{R, "(?i)ab", 0, "AB", ""},
		{R, "ab(?i:c|d)", 0, "abD", ""},
		{R, "HELO", I, "helo x", ""},
		{R, "ab[[:alpha:]|]|c", 0, "c", ""},
		{R, "a\\|b", 0, "a|b", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pattern *pattern = compiled(rows[i].kind, rows[i].text, rows[i].flags);
		char text[256];

		outcome(pattern, rows[i].message, strlen(rows[i].message), text, sizeof(text));
		if (strcmp(text, rows[i].outcome) != 0)
			fail_msg("'%s' with '%s' gives '%s', not '%s'", rows[i].text,
				 rows[i].message, text, rows[i].outcome);
		pattern_free(pattern);
	}
}

static void test_zero_bytes(void **state)
{
	static const char message[] = {'a', '\0', 'b'};
	struct pattern *patterns[4];
	struct pattern_error error;
	struct capture captures[PATTERN_CAPTURES_MAX];

	(void)state;
	assert_int_equal(pattern_compile(L, message, 3, 0, &patterns[0], &error), 0);
	patterns[1] = compiled(G, "a\\0{x}", 0);
	patterns[2] = compiled(G, "a\\0?", 0);
	patterns[3] = compiled(R, "a\\x00b$", 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pattern_match(patterns[i], message, 3, captures), MATCH_YES);
		assert_int_equal(pattern_match(patterns[i], message, 1, captures), MATCH_NO);
		pattern_free(patterns[i]);
	}
	assert_int_equal(pattern_compile(R, "a\0|b", 4, 0, &patterns[0], &error), 0);
	assert_int_equal(pattern_match(patterns[0], "b", 1, captures), MATCH_YES);
	assert_int_equal(pattern_match(patterns[0], "a", 1, captures), MATCH_NO);
	pattern_free(patterns[0]);
}

static void test_errors(void **state)
{
	static const struct {
		enum pattern_kind kind;
		const char *text;
		size_t offset;
		const char *part; /* of what is said */
	} rows[] = {
		{H, "VOLT", 0, "no {}"},
		{H, "a{}b{}", 4, "more than one {}"},
		{G, "a\\qb", 1, "unknown escape \\q"},
		{G, "a\\", 1, "backslash at the end"},
		{G, "a\\\033b", 1, "unknown escape \\\\e"},
		{G, "\\x4", 0, "two hexadecimal digits"},
		{G, "\\xg0", 0, "two hexadecimal digits"},
		{G, "a{", 1, "without a name"},
		{G, "a{}", 1, "without a name"},
		{G, "a{1}", 1, "without a name"},
		{G, "a{b", 3, "no '}'"},
		{G, "a{b c}", 3, "no '}'"},
		{G, "a{b:}", 4, "unknown kind of capture ''"},
		{G, "a{b:float}", 4, "unknown kind of capture 'float'"},
		{G, "a{b:int", 7, "no '}'"},
		{G, "{a} {a}", 5, "'a' appears twice"},
		{G, "{a:int} {a}", 9, "'a' appears twice"},
		{G, "a ${b}", 2, "fixed when the script is loaded"},
		{R, "a(b", 3, "missing closing parenthesis"},
		{R, "a)b", 1, "unmatched closing parenthesis"},
		{R, "a**", 2, "quantifier"},
		{R, "*", 0, "quantifier"},
		{R, "(*UTF)a", 0, "(*...)"},
		{R, "(*LIMIT_MATCH=1)a", 0, "(*...)"},
		{R, "a\\Cb", 3, "no \\C"},
		{R, "a(?C)b", 5, "callouts"},
		{R, "a(?C'x')b", 8, "callouts"},
		{R, "(?<a>x)|(?J)(?<a>y)", 3, "'a' appears twice"},
		{R, "(?<a>x)(?<a>y)", 12, "two named subpatterns"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pattern *pattern = NULL;
		struct pattern_error error;
		int r = pattern_compile(rows[i].kind, rows[i].text, strlen(rows[i].text), 0,
					&pattern, &error);

		if (r == 0 || strstr(error.text, rows[i].part) == NULL ||
		    error.offset != rows[i].offset)
			fail_msg("'%s' gives %d, '%s' at %zu", rows[i].text, r,
				 r == 0 ? "" : error.text, r == 0 ? 0 : error.offset);
		assert_null(pattern);
	}
}

static void test_limits(void **state)
{
	char text[PATTERN_LENGTH_MAX + 2];
	struct pattern *pattern = NULL;
	struct pattern_error error;
	size_t used = 0;

	(void)state;
	(void)memset(text, 'x', sizeof(text));
	for (unsigned kind = L; kind <= R; kind++) {
		assert_int_equal(pattern_compile(kind, text, PATTERN_LENGTH_MAX + 1, 0, &pattern,
						 &error),
				 -EINVAL);
		assert_int_equal(pattern_compile(kind, text, PATTERN_LENGTH_MAX, I, &pattern,
						 &error),
				 0);
		pattern_free(pattern);
	}
	/* The glob that makes the longest regex. */
	(void)memset(text, '?', sizeof(text));
	pattern = NULL;
	if (pattern_compile(G, text, PATTERN_LENGTH_MAX, 0, &pattern, &error) == 0)
		pattern_free(pattern);
	for (int i = 0; i < PATTERN_CAPTURES_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "{a%d}.", i);
	assert_int_equal(pattern_compile(G, text, used, 0, &pattern, &error), 0);
	pattern_free(pattern);
	used += (size_t)snprintf(text + used, sizeof(text) - used, "{b}");
	assert_int_equal(pattern_compile(G, text, used, 0, &pattern, &error), -EINVAL);
	assert_non_null(strstr(error.text, "more than 32 captures"));
	used = 0;
	for (int i = 0; i < 65; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "()");
	assert_int_equal(pattern_compile(R, text, used, 0, &pattern, &error), -EINVAL);
	assert_int_equal(pattern_compile(R, text, used - 2, 0, &pattern, &error), 0);
	pattern_free(pattern);
}

/*
 * What would take hours comes to an end. The time is not asserted: a test that hangs is stopped by
 * whoever runs it.
 */
static void test_hostile(void **state)
{
	static const struct {
		enum pattern_kind kind;
		const char *text;
		unsigned flags;
		const char *outcome;
	} rows[] = {
		{R, "a*[bc]", U, "stopped"},
		{R, "a*[bc]", 0, "no"},
		{R, "(a+)+b", 0, "no"}, /* no b in it: seen beforehand */
		{R, "(a+)+[bc]", 0, "stopped"},
		{R, "(a+)+[bc]", U, "stopped"},
		{R, "(a|a)*[bc]", 0, "stopped"},
		{R, "(a|a)*b", 0, "stopped"},
		{R, "(?:a*+[bc]|.)*+[de]", 0, "stopped"},
		{R, "(.*)\\1[bc]", 0, "stopped"},
		{R, ".*.*.*.*[xy]", 0, "stopped"},
		{R, "(?R)?b", 0, "stopped"},
		{R, "(?:a|b)*", 0, "stopped"},
		{G, "*a*b*c*d*e*f*", 0, "no"},
		{G, "*a*a*a*a*a*a*b", 0, "no"},
		{G, "*?a*b*c*d*e*f*", 0, "stopped"},
		{G, "{x:int}*?*b", 0, "no"},
	};
	auto_free char *message = malloc(LONG);

	(void)state;
	assert_non_null(message);
	(void)memset(message, 'a', LONG);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pattern *pattern = compiled(rows[i].kind, rows[i].text, rows[i].flags);
		char text[16];

		outcome(pattern, message, LONG, text, sizeof(text));
		if (strcmp(text, rows[i].outcome) != 0 &&
		    (strcmp(rows[i].text, "(a+)+b") != 0 || strcmp(text, "stopped") != 0))
			fail_msg("'%s' gives '%s'", rows[i].text, text);
		pattern_free(pattern);
	}
}

/* Ordinary ones are not stopped by a long message. */
static void test_long(void **state)
{
	static const struct {
		enum pattern_kind kind;
		const char *text;
		unsigned flags;
	} rows[] = {
		{R, "(?<x>a+)$", 0}, {R, "[^b]*$", U}, {R, "a*a$", U}, {G, "{w:word}", 0},
		{G, "{x}", 0},       {G, "a{x}a", I},  {G, "?*", 0},   {R, "(?:a{16})+$", 0},
	};
	auto_free char *message = malloc(LONG);

	(void)state;
	assert_non_null(message);
	(void)memset(message, 'a', LONG);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pattern *pattern = compiled(rows[i].kind, rows[i].text, rows[i].flags);
		struct capture captures[PATTERN_CAPTURES_MAX];

		if (pattern_match(pattern, message, LONG, captures) != MATCH_YES)
			fail_msg("'%s' does not match", rows[i].text);
		pattern_free(pattern);
	}
}

static void test_covers(void **state)
{
	static const struct {
		enum pattern_kind earlier_kind;
		const char *earlier;
		unsigned earlier_flags;
		enum pattern_kind later_kind;
		const char *later;
		unsigned later_flags;
		bool covers;
	} rows[] = {
		{L, "a", 0, L, "a", 0, true},
		{L, "a", 0, L, "b", 0, false},
		{L, "a", I, L, "A", 0, true},
		{L, "a", 0, L, "a", I, false},
		{L, "1", 0, L, "1", I, true},
		{L, "a", I, L, "A", I, true},
		{L, "a", 0, G, "a", 0, true},
		{L, "a", 0, G, "a*", 0, false},
		{G, "a*", 0, L, "a", 0, true},
		{G, "a*", 0, L, "ab", 0, true},
		{G, "a*", 0, L, "b", 0, false},
		{G, "a*", 0, L, "AB", I, false},
		{G, "a*", I, L, "AB", I, true},
		{G, "a{x}", 0, G, "ab*c", 0, true},
		{G, "ab*", 0, G, "a*", 0, false},
		{G, "a*", 0, G, "a?", 0, true},
		{G, "a*", 0, R, "ab+", 0, true},
		{G, "a*", 0, R, "a|b", 0, false},
		{G, "a*", 0, R, "ab", U, false},
		{G, "a*", 0, R, "a?b", 0, false},
		{G, "a*", 0, H, "a {}", 0, true},
		{G, "*", 0, R, "x|y", U, true},
		{G, "*", 0, L, "", 0, true},
		{G, "*x", 0, L, "ax", 0, true},
		{G, "*x", 0, G, "*x", 0, true},
		{G, "a {x} b", 0, G, "a {y} b", 0, true},
		{G, "a {x} b", 0, G, "A {y} b", I, false},
		{G, "a {x} b", I, G, "A {y} b", 0, true},
		{G, "a?", 0, G, "a?", 0, true},
		{G, "a?", 0, L, "ab", 0, true},
		{G, "a?", 0, G, "b?", 0, false},
		{R, "a.", 0, R, "a.", 0, true},
		{R, "a.", 0, R, "a.", I, false},
		{R, "a.", 0, L, "ab", 0, true},
		{R, "a.", 0, L, "b", 0, false},
		{R, "a", I, L, "a", I, false},
		{H, "a {}", 0, H, "a {}", 0, true},
		{H, "a {}", 0, L, "a 1", 0, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pattern *earlier =
			compiled(rows[i].earlier_kind, rows[i].earlier, rows[i].earlier_flags);
		struct pattern *later =
			compiled(rows[i].later_kind, rows[i].later, rows[i].later_flags);

		if (pattern_covers(earlier, later) != rows[i].covers)
			fail_msg("row %zu: '%s' before '%s'", i, rows[i].earlier, rows[i].later);
		pattern_free(earlier);
		pattern_free(later);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches), cmocka_unit_test(test_zero_bytes),
		cmocka_unit_test(test_errors),  cmocka_unit_test(test_limits),
		cmocka_unit_test(test_hostile), cmocka_unit_test(test_long),
		cmocka_unit_test(test_covers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
