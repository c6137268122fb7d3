/*
 * The matcher against the plain way: comparing with each pattern, one after another. Random sets of
 * patterns over a small alphabet, so that much collides; the seeds are fixed.
 */
#include "respond/script/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS   300
#define SETS_MAX 200
#define MESSAGES 40

struct set {
	struct pattern *patterns[SETS_MAX];
	size_t count;
	struct matcher *matcher;
};

/* Numbers that are the same in each run. */
static uint32_t draw(uint64_t *seed, uint32_t limit)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % limit;
}

static size_t draw_text(uint64_t *seed, char *text, size_t max, const char *alphabet)
{
	size_t length = draw(seed, (uint32_t)max + 1);

	for (size_t i = 0; i < length; i++)
		text[i] = alphabet[draw(seed, (uint32_t)strlen(alphabet))];
	text[length] = '\0';
	return length;
}

static struct pattern *draw_pattern(uint64_t *seed)
{
	static const struct {
		enum pattern_kind kind;
		size_t max;
		const char *alphabet;
	} kinds[] = {
		{PATTERN_LITERAL, 4, "aAbB*"},   {PATTERN_LITERAL, 90, "a"},
		{PATTERN_GLOB, 5, "aAbB**?"},    {PATTERN_GLOB, 90, "aaaaaaaaaaaaaaaaaaaaaaaaa*"},
		{PATTERN_REGEX, 6, "aAbB.*|^$"}, {PATTERN_HOLE, 3, "aAb"},
	};
	struct pattern *pattern = NULL;
	struct pattern_error error;

	/* What is no pattern is drawn again. */
	while (pattern == NULL) {
		size_t kind = draw(seed, sizeof(kinds) / sizeof(kinds[0]));
		char text[128];
		size_t n = draw_text(seed, text, kinds[kind].max, kinds[kind].alphabet);
		unsigned flags = draw(seed, 3) == 0 ? PATTERN_NOCASE : 0;

		if (kinds[kind].kind == PATTERN_HOLE)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "{}");
		if (kinds[kind].kind == PATTERN_REGEX && draw(seed, 8) == 0)
			flags |= PATTERN_UNANCHORED;
		(void)pattern_compile(kinds[kind].kind, text, n, flags, &pattern, &error);
	}
	return pattern;
}

static void make_set(uint64_t *seed, struct set *set)
{
	set->count = draw(seed, SETS_MAX + 1);
	for (size_t i = 0; i < set->count; i++)
		set->patterns[i] = draw_pattern(seed);
	assert_int_equal(matcher_new((const struct pattern *const *)set->patterns, set->count,
				     &set->matcher),
			 0);
}

static void free_set(struct set *set)
{
	matcher_free(set->matcher);
	for (size_t i = 0; i < set->count; i++)
		pattern_free(set->patterns[i]);
}

static enum match find_plainly(const struct set *set, size_t from, const char *message,
			       size_t length, size_t *ret_index,
			       struct capture captures[PATTERN_CAPTURES_MAX])
{
	for (size_t i = from; i < set->count; i++) {
		enum match match = pattern_match(set->patterns[i], message, length, captures);

		if (match != MATCH_NO) {
			*ret_index = i;
			return match;
		}
	}
	return MATCH_NO;
}

/* All that match, in order, as an interpreter whose conditions fail would ask for them. */
static void compare(const struct set *set, const char *message, size_t length)
{
	size_t from = 0;

	for (;;) {
		struct capture wanted[PATTERN_CAPTURES_MAX];
		struct capture found[PATTERN_CAPTURES_MAX];
		size_t index_wanted = 0;
		size_t index_found = from;
		enum match match = find_plainly(set, from, message, length, &index_wanted, wanted);

		assert_int_equal(matcher_find(set->matcher, message, length, NULL, &index_found,
					      found),
				 match);
		if (match == MATCH_NO)
			break;
		assert_int_equal(index_found, index_wanted);
		if (match == MATCH_YES)
			assert_memory_equal(found, wanted,
					    pattern_captures(set->patterns[index_wanted]) *
						    sizeof(found[0]));
		from = index_found + 1;
	}
	assert_true(from <= set->count);
}

static void test_random(void **state)
{
	uint64_t seed = 4711;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct set set = {.count = 0};

		make_set(&seed, &set);
		for (int i = 0; i < MESSAGES; i++) {
			char message[128];
			size_t length = i % 4 == 0 ? draw_text(&seed, message, 100, "a")
						   : draw_text(&seed, message, 6, "aAbB*?");

			compare(&set, message, length);
		}
		free_set(&set);
	}
}

/* The longest beginnings, and literals beside them, at the edge of what is indexed. */
static void test_edges(void **state)
{
	char text[130];
	struct set set = {.count = 0};
	struct pattern_error error;

	(void)state;
	(void)memset(text, 'x', sizeof(text));
	for (size_t length = 0; length <= 66; length++) {
		text[length] = '*';
		assert_int_equal(pattern_compile(PATTERN_GLOB, text, length + 1, 0,
						 &set.patterns[set.count++], &error),
				 0);
		text[length] = 'x';
		assert_int_equal(pattern_compile(PATTERN_LITERAL, text, length, PATTERN_NOCASE,
						 &set.patterns[set.count++], &error),
				 0);
	}
	assert_int_equal(matcher_new((const struct pattern *const *)set.patterns, set.count,
				     &set.matcher),
			 0);
	for (size_t length = 0; length <= 70; length++)
		compare(&set, text, length);
	(void)memset(text, 'X', sizeof(text));
	for (size_t length = 0; length <= 70; length++)
		compare(&set, text, length);
	free_set(&set);
}

static void test_empty(void **state)
{
	struct set set = {.count = 0};

	(void)state;
	assert_int_equal(matcher_new(NULL, 0, &set.matcher), 0);
	compare(&set, "", 0);
	compare(&set, "a", 1);
	free_set(&set);
	matcher_free(NULL);
}

/* One that is given up is told, and those after it are still found. */
static void test_stopped(void **state)
{
	static char message[65536];
	struct set set = {.count = 3};
	struct pattern_error error;
	struct capture captures[PATTERN_CAPTURES_MAX];
	size_t number;

	(void)state;
	(void)memset(message, 'a', sizeof(message));
	assert_int_equal(pattern_compile(PATTERN_LITERAL, "b", 1, 0, &set.patterns[0], &error), 0);
	assert_int_equal(pattern_compile(PATTERN_REGEX, "a*[bc]", 6, PATTERN_UNANCHORED,
					 &set.patterns[1], &error),
			 0);
	assert_int_equal(pattern_compile(PATTERN_GLOB, "a*", 2, 0, &set.patterns[2], &error), 0);
	assert_int_equal(matcher_new((const struct pattern *const *)set.patterns, set.count,
				     &set.matcher),
			 0);
	number = 0;
	assert_int_equal(matcher_find(set.matcher, message, sizeof(message), NULL, &number,
				      captures),
			 MATCH_STOPPED);
	assert_int_equal(number, 1);
	number = 2;
	assert_int_equal(matcher_find(set.matcher, message, sizeof(message), NULL, &number,
				      captures),
			 MATCH_YES);
	assert_int_equal(number, 2);
	number = 3;
	assert_int_equal(matcher_find(set.matcher, message, sizeof(message), NULL, &number,
				      captures),
			 MATCH_NO);
	free_set(&set);
}

/* Many that take their time take no more than one message may. */
static void test_exhausted(void **state)
{
	static char message[1000000];
	struct set set = {.count = 200};
	struct pattern_error error;
	struct capture captures[PATTERN_CAPTURES_MAX];
	struct effort effort = {.work = 0};
	size_t number;

	(void)state;
	(void)memset(message, 'a', sizeof(message));
	for (size_t i = 0; i < set.count; i++)
		assert_int_equal(pattern_compile(PATTERN_GLOB, "*aaaaaaaaaaaaaaaaaaaaaaab*", 26,
						 PATTERN_NOCASE, &set.patterns[i], &error),
				 0);
	assert_int_equal(matcher_new((const struct pattern *const *)set.patterns, set.count,
				     &set.matcher),
			 0);
	number = 0;
	assert_int_equal(matcher_find(set.matcher, message, sizeof(message), &effort, &number,
				      captures),
			 MATCH_STOPPED);
	assert_true(effort.is_exhausted);
	assert_in_range(number, 1, set.count - 1);
	/* It stays so. */
	number = 0;
	assert_int_equal(matcher_find(set.matcher, "x", 1, &effort, &number, captures),
			 MATCH_STOPPED);
	assert_int_equal(number, 0);
	effort = (struct effort){.work = 0};
	number = 0;
	assert_int_equal(matcher_find(set.matcher, "x", 1, &effort, &number, captures), MATCH_NO);
	free_set(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),    cmocka_unit_test(test_edges),
		cmocka_unit_test(test_empty),     cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_exhausted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
