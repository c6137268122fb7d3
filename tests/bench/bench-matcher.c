/*
 * What a script with many rules costs more than one with few: bench-matcher [ROUNDS
 * [MILLISECONDS]].
 *
 * Two matchers of 10 and of 1,000 patterns are asked about messages of which each matches one of
 * their patterns, in turn, so that all of them are used. Both take turns, in the order A B B A, for
 * MILLISECONDS each. Asked for literals, for globs with different beginnings, and, to compare with,
 * for globs that begin with * and can only be gone through.
 *
 * For each it prints one line: {"kind": "literal", "few": 41.2, "many": 45.0, "ratio": 1.09}, in
 * nanoseconds of processor time for one message, medians of the rounds; the ratio is the median of
 * those of neighbours. Exit status 1 when something does not match as it should.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "respond/script/pattern.h"

#define FEW        10
#define MANY       1000
#define ROUNDS_MAX 1000
#define TEXT_MAX   64
#define BATCH      256 /* messages between two looks at the clock */

struct rule {
	struct pattern *pattern;
	char message[TEXT_MAX];
	size_t length;
};

struct set {
	struct rule rules[MANY];
	size_t count;
	struct matcher *matcher;
	size_t next; /* the message whose turn it is */
};

struct kind {
	const char *name;
	enum pattern_kind kind;
	const char *before; /* and after the number that tells one from another */
	const char *after;
	const char *message_after;
};

static const struct kind kinds[] = {
	{"literal", PATTERN_LITERAL, "COMMAND ", "", ""},
	{"beginning", PATTERN_GLOB, "COMMAND ", " {x:int}*", " 12 and more"},
	{"none", PATTERN_GLOB, "*", " {x}", " 12"},
};

static void set_free(struct set *set)
{
	if (set == NULL)
		return;
	matcher_free(set->matcher);
	for (size_t i = 0; i < set->count; i++)
		pattern_free(set->rules[i].pattern);
	free(set);
}

static struct set *set_new(const struct kind *kind, size_t count)
{
	struct set *set = calloc(1, sizeof(*set));
	const struct pattern *patterns[MANY];

	if (set == NULL)
		return NULL;
	for (; set->count < count; set->count++) {
		struct rule *rule = &set->rules[set->count];
		struct pattern_error error;
		char text[TEXT_MAX];
		int n = snprintf(text, sizeof(text), "%s%04zu%s", kind->before, set->count,
				 kind->after);

		if (pattern_compile(kind->kind, text, (size_t)n, PATTERN_NOCASE, &rule->pattern,
				    &error) < 0)
			break;
		rule->length = (size_t)snprintf(rule->message, sizeof(rule->message), "%s%04zu%s",
						kind->before, set->count, kind->message_after);
		patterns[set->count] = rule->pattern;
	}
	if (set->count < count || matcher_new(patterns, count, &set->matcher) < 0) {
		set_free(set);
		return NULL;
	}
	return set;
}

/* What this process has used, in nanoseconds: others on the machine don't count. */
static uint64_t processor_time(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Nanoseconds for one message of SET, asked for DURATION; negative if an answer was wrong. */
static double measure(struct set *set, usec_t duration)
{
	uint64_t start = processor_time();
	uint64_t now;
	size_t asked = 0;

	do {
		for (size_t i = 0; i < BATCH; i++) {
			const struct rule *rule = &set->rules[set->next];
			struct capture captures[PATTERN_CAPTURES_MAX];
			struct effort effort = {.work = 0};
			size_t number = 0;

			if (matcher_find(set->matcher, rule->message, rule->length, &effort,
					 &number, captures) != MATCH_YES ||
			    number != set->next)
				return -1;
			set->next = set->next + 1 < set->count ? set->next + 1 : 0;
		}
		asked += BATCH;
		now = processor_time();
	} while (now - start < duration * NSEC_PER_USEC);
	return (double)(now - start) / (double)asked;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare_doubles);
	return values[n / 2];
}

static int bench(const struct kind *kind, size_t rounds, usec_t duration)
{
	static double results[2][2 * ROUNDS_MAX];
	static double ratios[2 * ROUNDS_MAX];
	static const unsigned char order[] = {0, 1, 1, 0};
	struct set *sets[2] = {set_new(kind, FEW), set_new(kind, MANY)};
	int r = sets[0] != NULL && sets[1] != NULL ? 0 : -1;

	for (size_t round = 0; r == 0 && round < rounds; round++) {
		size_t counts[2] = {2 * round, 2 * round};

		for (size_t i = 0; r == 0 && i < sizeof(order); i++) {
			double each = measure(sets[order[i]], duration);

			results[order[i]][counts[order[i]]++] = each;
			r = each < 0 ? -1 : 0;
		}
		for (size_t i = 2 * round; i < 2 * round + 2; i++)
			ratios[i] = results[1][i] / results[0][i];
	}
	if (r == 0)
		(void)printf("{\"kind\": \"%s\", \"few\": %.1f, \"many\": %.1f, \"ratio\": %.3f}\n",
			     kind->name, median(results[0], 2 * rounds),
			     median(results[1], 2 * rounds), median(ratios, 2 * rounds));
	else
		(void)fprintf(stderr, "bench-matcher: %s went wrong\n", kind->name);
	set_free(sets[0]);
	set_free(sets[1]);
	return r;
}

int main(int argc, char *argv[])
{
	uint64_t rounds = 20;
	uint64_t milliseconds = 20;

	if (argc > 3 || (argc > 1 && text_parse_unsigned(argv[1], ROUNDS_MAX, &rounds) < 0) ||
	    (argc > 2 && text_parse_unsigned(argv[2], 10000, &milliseconds) < 0) || rounds == 0) {
		(void)fprintf(stderr, "usage: bench-matcher [ROUNDS [MILLISECONDS]]\n");
		return 1;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (bench(&kinds[i], rounds, milliseconds * USEC_PER_MSEC) < 0)
			return 1;
	return 0;
}
