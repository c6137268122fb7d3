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

/* Of ordinary ones; the thread sanitizer makes processor time many times as long. */
#ifdef __SANITIZE_THREAD__
#define ORDINARY (LONG / 16)
#else
#define ORDINARY LONG
#endif

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

static const struct {
	enum pattern_kind kind;
	unsigned flags;
	const char *text;
	const char *message;
	const char *outcome;
} matches[] = {
	/* literals: nothing in them means anything */
	{L, 0, "NOOP", "NOOP", ""},
	{L, 0, "NOOP", "noop", "no"},
	{L, I, "NOOP", "nOoP", ""},
	{L, I, "NOOP", "NOOP ", "no"},
	{L, 0, "NOOP", "NOO", "no"},
	{L, 0, "", "", ""},
	{L, 0, "", "x", "no"},
	{L, 0, "a*?{b}\\n", "a*?{b}\\n", ""},
	{L, I, "\303\211", "\303\211", ""},
	{L, I, "\303\211", "\303\251", "no"},
	{L, I, "[", "{", "no"},

	/* holes */
	{H, 0, "VOLT {}", "VOLT 5", "=5|"},
	{H, 0, "VOLT {}", "VOLT ", "=|"},
	{H, 0, "VOLT {}", "VOLT", "no"},
	{H, I, "VOLT {}", "volt 5", "=5|"},
	{H, 0, "a{}b", "ab", "=|"},
	{H, 0, "aba{}aba", "aba", "no"},
	{H, 0, "aba{}aba", "abaaba", "=|"},
	{H, 0, "{}", "*", "=*|"},
	{H, 0, "\\{}*", "\\x*", "=x|"},

	/* globs of * and names: by pieces */
	{G, 0, "", "", ""},
	{G, 0, "*", "", ""},
	{G, 0, "**", "x", ""},
	{G, 0, "HELP*", "HELP", ""},
	{G, 0, "HELP*", "HEL", "no"},
	{G, I, "HELP*", "help me", ""},
	{G, 0, "*HELP", "please HELP", ""},
	{G, 0, "*HELP", "HELP me", "no"},
	{G, 0, "*a*b*", "xaxbx", ""},
	{G, 0, "*a*b*", "xbxax", "no"},
	{G, 0, "*aa*aa", "aaa", "no"},
	{G, 0, "*aa*aa", "aaaa", ""},
	{G, 0, "a*a", "a", "no"},
	{G, 0, "HELO {name}", "HELO there", "name=there|"},
	{G, 0, "MAIL FROM:<{from}>*", "MAIL FROM:<>", "from=|"},
	{G, 0, "MAIL FROM:<{from}>*", "MAIL FROM:<a> X=<b>", "from=a|"},
	{G, I, "MAIL FROM:<{from}>*", "mail from:<A> SIZE=1", "from=A|"},
	{G, 0, "{a} {b}", "x y z", "a=x|b=y z|"},
	{G, 0, "{a}{b}", "xy", "a=|b=xy|"},
	{G, 0, "*{a}", "xy", "a=xy|"},
	{G, 0, "{a}*{b}.", "xy.", "a=|b=xy|"},
	{G, 0, "{a-b_1}", "x", "a-b_1=x|"},
	{G, 0, "a}b", "a}b", ""},
	{G, 0, "\\*\\?\\{\\\"\\$\\\\", "*?{\"$\\", ""},
	{G, 0, "\\r\\n\\t\\x41\\xfF", "\r\n\tA\377", ""},
	{G, 0, "$ $x", "$ $x", ""},
	{G, I, "*A LONG PIECE THAT STANDS BETWEEN TWO GAPS*",
	 "x a long piece that stands between two gaps y", ""},

	/* globs that need more */
	{G, 0, "a?c", "abc", ""},
	{G, 0, "a?c", "ac", "no"},
	{G, 0, "a?c", "a\nc", ""},
	{G, 0, "a?c", "a\303\251c", ""},
	{G, 0, "a?c", "a\360\237\230\200c", ""},
	{G, 0, "a?c", "a\377c", ""},
	{G, 0, "a?c", "a\303\303c", "no"},
	{G, 0, "a??c", "a\303\303c", ""},
	{G, 0, "a??c", "a\303\251c", "no"},
	{G, 0, "?", "\355\240\200", "no"},
	{G, 0, "???", "\355\240\200", ""},
	{G, I, "A?C", "abc", ""},
	{G, 0, "{n:int}", "-12", "n=-12|"},
	{G, 0, "{n:int}", "+12", "n=+12|"},
	{G, 0, "{n:int}", "", "no"},
	{G, 0, "{n:int}", "1.5", "no"},
	{G, 0, "{n:int}*", "12abc", "n=12|"},
	{G, 0, "SIZE={n:int} {w:word}", "SIZE=5 x", "n=5|w=x|"},
	{G, 0, "{x:number}", "1.5e-3", "x=1.5e-3|"},
	{G, 0, "{x:number}", ".5", "x=.5|"},
	{G, 0, "{x:number}", "5.", "x=5.|"},
	{G, 0, "{x:number}", ".", "no"},
	{G, 0, "{x:number}", "1e", "no"},
	{G, 0, "{x:number}", "0x1", "no"},
	{G, 0, "{w:word}", "a.b", "w=a.b|"},
	{G, 0, "{w:word}", "", "no"},
	{G, 0, "{w:word}", "a b", "no"},
	{G, 0, "{w:word} {r}", "a b c", "w=a|r=b c|"},
	{G, 0, "{w:word}\\t{r}", "a b\tc", "no"},
	{G, 0, "{w:word}", "\303\251", "w=\303\251|"},
	{G, 0, "{a}?{b}", "xyz", "a=|b=yz|"},
	{G, 0, "(?.+)", "(x.+)", ""},

	/* regexes */
	{R, I, "RCPT TO:<(?<to>[^>]+)>", "rcpt to:<a@b> x", "to=a@b|"},
	{R, 0, "b", "abc", "no"},
	{R, U, "b", "abc", ""},
	{R, U, "^b", "abc", "no"},
	{R, U, "b$", "ab", ""},
	{R, 0, "", "abc", ""},
	{R, 0, "a.c", "a\nc", "no"},
	{R, PATTERN_DOTALL, "a.c", "a\nc", ""},
	{R, PATTERN_EXTENDED, "a c #", "ac", ""},
	{R, PATTERN_MULTILINE | U, "^b", "a\nb", ""},
	{R, U, "^b", "a\nb", "no"},
	{R, 0, "(a)(?<x>b)(c)", "abc", "x=b|"},
	{R, 0, "(?:(?<x>a)|b)", "b", "x=|"},
	{R, 0, "(.)\\1", "aa", ""},
	{R, 0, "(.)\\1", "ab", "no"},
	{R, 0, ".", "\377", ""},
	{R, 0, "(?<y>b)(?<x>c)", "bc", "x=c|y=b|"},
	{R, 0, "a|b", "b", ""},
	{R, 0, "ab|cd", "cd", ""},
	{R, 0, "a(b|c)", "ac", ""},
	{R, 0, "ab?c", "ac", ""},
	{R, 0, "ab*", "a", ""},
	{R, 0, "ab{0}", "a", ""},
	{R, 0, "a\\.?b", "ab", ""},
	{R, 0, "a[|]b|c", "c", ""},
	{R, 0, "a\\Q|\\E|c", "c", ""},
	{R, 0, "a(?#()|c", "c", ""},
	{R, 0, "a(?i)b", "aB", ""},
	{R, 0, "(?i)ab", "AB", ""},
	{R, 0, "ab(?i:c|d)", "abD", ""},
	{R, I, "HELO", "helo x", ""},
	{R, 0, "ab[[:alpha:]|]|c", "c", ""},
	{R, 0, "a[[:alpha:](]|c", "c", ""},
	{R, 0, "a\\|b", "a|b", ""},
};

static void test_matches(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
		struct pattern *pattern =
			compiled(matches[i].kind, matches[i].text, matches[i].flags);
		char text[256];

		outcome(pattern, matches[i].message, strlen(matches[i].message), text,
			sizeof(text));
		if (strcmp(text, matches[i].outcome) != 0)
			fail_msg("'%s' with '%s' gives '%s', not '%s'", matches[i].text,
				 matches[i].message, text, matches[i].outcome);
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
		unsigned flags;
		const char *text;
		const char *outcome;
	} rows[] = {
		{R, U, "a*[bc]", "stopped"},
		{R, 0, "a*[bc]", "no"},
		{R, 0, "(a+)+b", "no"}, /* no b in it: seen beforehand */
		{R, 0, "(a+)+[bc]", "stopped"},
		{R, U, "(a+)+[bc]", "stopped"},
		{R, 0, "(a|a)*[bc]", "stopped"},
		{R, 0, "(a|a)*b", "stopped"},
		{R, 0, "(?:a*+[bc]|.)*+[de]", "stopped"},
		{R, 0, "(.*)\\1[bc]", "stopped"},
		{R, 0, ".*.*.*.*[xy]", "stopped"},
		{R, 0, "(?R)?b", "stopped"},
		{R, 0, "(?:a|b)*", "stopped"},
		{G, 0, "*a*b*c*d*e*f*", "no"},
		{G, 0, "*a*a*a*a*a*a*b", "no"},
		{G, 0, "*?a*b*c*d*e*f*", "stopped"},
		{G, 0, "{x:int}*?*b", "no"},
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
		unsigned flags;
		const char *text;
	} rows[] = {
		{R, 0, "(?<x>a+)$"}, {R, U, "[^b]*$"}, {R, U, "a*a$"}, {G, 0, "{w:word}"},
		{G, 0, "{x}"},       {G, I, "a{x}a"},  {G, 0, "?*"},   {R, 0, "(?:a{16})+$"},
	};
	auto_free char *message = malloc(ORDINARY);

	(void)state;
	assert_non_null(message);
	(void)memset(message, 'a', ORDINARY);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pattern *pattern = compiled(rows[i].kind, rows[i].text, rows[i].flags);
		struct capture captures[PATTERN_CAPTURES_MAX];

		if (pattern_match(pattern, message, ORDINARY, captures) != MATCH_YES)
			fail_msg("'%s' does not match", rows[i].text);
		pattern_free(pattern);
	}
}

static void test_covers(void **state)
{
	static const struct {
		enum pattern_kind earlier_kind;
		unsigned earlier_flags;
		const char *earlier;
		enum pattern_kind later_kind;
		unsigned later_flags;
		const char *later;
		bool covers;
	} rows[] = {
		{L, 0, "a", L, 0, "a", true},
		{L, 0, "a", L, 0, "b", false},
		{L, I, "a", L, 0, "A", true},
		{L, 0, "a", L, I, "a", false},
		{L, 0, "1", L, I, "1", true},
		{L, I, "a", L, I, "A", true},
		{L, 0, "a", G, 0, "a", true},
		{L, 0, "a", G, 0, "a*", false},
		{G, 0, "a*", L, 0, "a", true},
		{G, 0, "a*", L, 0, "ab", true},
		{G, 0, "a*", L, 0, "b", false},
		{G, 0, "a*", L, I, "AB", false},
		{G, I, "a*", L, I, "AB", true},
		{G, 0, "a{x}", G, 0, "ab*c", true},
		{G, 0, "ab*", G, 0, "a*", false},
		{G, 0, "a*", G, 0, "a?", true},
		{G, 0, "a*", R, 0, "ab+", true},
		{G, 0, "a*", R, 0, "a|b", false},
		{G, 0, "a*", R, U, "ab", false},
		{G, 0, "a*", R, 0, "a?b", false},
		{G, 0, "a*", H, 0, "a {}", true},
		{G, 0, "*", R, U, "x|y", true},
		{G, 0, "*", L, 0, "", true},
		{G, 0, "*x", L, 0, "ax", true},
		{G, 0, "*x", G, 0, "*x", true},
		{G, 0, "a {x} b", G, 0, "a {y} b", true},
		{G, 0, "a {x} b", G, I, "A {y} b", false},
		{G, I, "a {x} b", G, 0, "A {y} b", true},
		{G, 0, "a?", G, 0, "a?", true},
		{G, 0, "a?", L, 0, "ab", true},
		{G, 0, "a?", G, 0, "b?", false},
		{R, 0, "a.", R, 0, "a.", true},
		{R, 0, "a.", R, I, "a.", false},
		{R, 0, "a.", L, 0, "ab", true},
		{R, 0, "a.", L, 0, "b", false},
		{R, I, "a", L, I, "a", false},
		{H, 0, "a {}", H, 0, "a {}", true},
		{H, 0, "a {}", L, 0, "a 1", true},
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

/* Numbers that are the same in each run. */
static uint32_t draw(uint64_t *seed, uint32_t limit)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % limit;
}

/* Some of WORDS, N of them, one after another. */
static void draw_text(uint64_t *seed, char text[128], const char *const words[], uint32_t n,
		      uint32_t max)
{
	size_t used = 0;

	text[0] = '\0';
	for (uint32_t left = draw(seed, max + 1); left > 0; left--) {
		const char *word = words[draw(seed, n)];

		assert_true(used + strlen(word) < 128);
		(void)memcpy(text + used, word, strlen(word) + 1);
		used += strlen(word);
	}
}

/* Whether both do the same with some random messages. */
static void compare(uint64_t *seed, const char *text, const struct pattern *a,
		    const struct pattern *b)
{
	static const char *const letters[] = {"a", "A", "b", "|", ".", "1"};

	for (int i = 0; i < 20; i++) {
		char message[128];
		char outcome_a[512];
		char outcome_b[512];

		draw_text(seed, message, letters, 6, 7);
		outcome(a, message, strlen(message), outcome_a, sizeof(outcome_a));
		outcome(b, message, strlen(message), outcome_b, sizeof(outcome_b));
		if (strcmp(outcome_a, outcome_b) != 0)
			fail_msg("'%s' with '%s' gives '%s' and '%s'", text, message, outcome_a,
				 outcome_b);
	}
}

/* A regex and the same in a group, which hides what it begins with. */
static void test_random_regexes(void **state)
{
	static const char *const words[] = {
		"a",   "A",   "b",   "a",    "ab",   "|",    ".",   "?",     "*",     "+",
		"{0}", "{2}", "\\.", "\\|",  "\\d",  "[ab]", "[|]", "[^]|]", "(",     "(?:",
		")",   "^",   "$",   "(?i)", "(?#|", "\\Q",  "\\E", "(?=",   "(?<x>", "\\x61",
	};
	uint64_t seed = 11;
	size_t compared = 0;

	(void)state;
	while (compared < 3000) {
		struct pattern *patterns[2] = {NULL, NULL};
		struct pattern_error error;
		char text[128];
		char grouped[160];
		unsigned flags = draw(&seed, 3) == 0 ? I : 0;
		int n;

		draw_text(&seed, text, words, sizeof(words) / sizeof(words[0]), 8);
		n = snprintf(grouped, sizeof(grouped), "(?:%s)", text);
		if (pattern_compile(R, text, strlen(text), flags, &patterns[0], &error) == 0 &&
		    pattern_compile(R, grouped, (size_t)n, flags, &patterns[1], &error) == 0) {
			compare(&seed, text, patterns[0], patterns[1]);
			compared++;
		}
		pattern_free(patterns[0]);
		pattern_free(patterns[1]);
	}
}

/* A glob, compared by pieces or not, and the regex that it stands for. */
static void test_random_globs(void **state)
{
	static const char *const words[] = {"a", "b", "A", "*", "{x}", "{y}", "|", "ab", "1", "?"};
	static const char *const regexes[] = {"a",         "b",   "A",  ".*?", "(?<x>.*?)",
					      "(?<y>.*?)", "\\|", "ab", "1",   "."};
	uint64_t seed = 12;
	size_t compared = 0;

	(void)state;
	while (compared < 3000) {
		struct pattern *patterns[2] = {NULL, NULL};
		struct pattern_error error;
		char glob[128] = "";
		char regex[128] = "";
		unsigned flags = draw(&seed, 3) == 0 ? I : 0;
		/* One in two has no "?", which makes it a regex at once. */
		uint32_t limit = 9 + draw(&seed, 2);

		for (uint32_t left = draw(&seed, 9); left > 0; left--) {
			uint32_t word = draw(&seed, limit);

			(void)memcpy(glob + strlen(glob), words[word], strlen(words[word]) + 1);
			(void)memcpy(regex + strlen(regex), regexes[word],
				     strlen(regexes[word]) + 1);
		}
		(void)memcpy(regex + strlen(regex), "\\z", 3);
		if (pattern_compile(G, glob, strlen(glob), flags, &patterns[0], &error) == 0) {
			assert_int_equal(pattern_compile(R, regex, strlen(regex),
							 flags | PATTERN_DOTALL, &patterns[1],
							 &error),
					 0);
			if (pattern_captures(patterns[0]) < 2 ||
			    strcmp(pattern_capture_name(patterns[0], 0), "x") == 0) {
				compare(&seed, glob, patterns[0], patterns[1]);
				compared++;
			}
		}
		pattern_free(patterns[0]);
		pattern_free(patterns[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),      cmocka_unit_test(test_zero_bytes),
		cmocka_unit_test(test_errors),       cmocka_unit_test(test_limits),
		cmocka_unit_test(test_hostile),      cmocka_unit_test(test_long),
		cmocka_unit_test(test_covers),       cmocka_unit_test(test_random_regexes),
		cmocka_unit_test(test_random_globs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
