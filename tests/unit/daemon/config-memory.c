/*
 * Without memory: whichever allocation fails, the configuration is refused and nothing is left
 * behind (the sanitizers see to that); a file with faults is never taken for a right one.
 *
 * The linker leads the allocations of Marcel's own code through the functions below (--wrap); those
 * that the C library and inih make for themselves are not touched.
 */
#include <errno.h>
#include <stdbool.h>

#include "config-helpers.h"

static unsigned countdown; /* the allocation that fails; 0: none */
static bool has_failed;

static bool fails(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	has_failed = true;
	errno = ENOMEM;
	return true;
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c): the linker's names */
#define WRAP(type, name, parameters, arguments)                  \
	type __real_##name parameters;                           \
	type __wrap_##name parameters;                           \
	type __wrap_##name parameters                            \
	{                                                        \
		return fails() ? NULL : __real_##name arguments; \
	}

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *old, size_t size), (old, size))
WRAP(void *, reallocarray, (void *old, size_t n, size_t size), (old, n, size))
WRAP(char *, strdup, (const char *text), (text))
WRAP(char *, strndup, (const char *text, size_t n), (text, n))
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c) */

static const char right[] = "[server]\nlisten = 1 2 /run/x\n"
			    "[dialogue]\ngreeting = a\nend_words = a, b\nresponder = echo\n"
			    "[listener web]\nend_words = c, d, e\nlisten = 3\n"
			    "[listener desk]\ntoo_long = b\n"
			    "[echo]\n";

static const char wrong[] = "[server]\nlisten = 1 x\nbaklog = 1\n"
			    "[dialogue]\nend_words = a,,b\nresponder = ecko\nframing = x\n"
			    "[listener web]\nend_words = c, d\nend_words = e\n"
			    "[listner]\n[echo]\nvolume = 11\n=\n\377\n";

/* Parses TEXT with the AT-th allocation failing; false when there are not so many. */
static bool parse_failing_at(unsigned at, const char *text, int otherwise)
{
	struct report report = REPORT_INIT;
	struct config *config = NULL;
	int r;

	has_failed = false;
	countdown = at;
	r = config_parse("x.ini", text, strlen(text), NULL, &report, &config);
	countdown = 0;
	if (!has_failed)
		assert_int_equal(r, otherwise);
	else if (r != -ENOMEM) /* all that was lost is the text of a fault */
		assert_true(r == -EINVAL && otherwise == -EINVAL && report.count > report.kept);
	assert_int_equal(config != NULL, r == 0);
	config_unref(config);
	report_done(&report);
	return has_failed;
}

static void each_allocation_may_fail(void **state)
{
	unsigned n_right = 0;
	unsigned n_wrong = 0;

	(void)state;
	while (parse_failing_at(n_right + 1, right, 0))
		n_right++;
	while (parse_failing_at(n_wrong + 1, wrong, -EINVAL))
		n_wrong++;
	/* Otherwise nothing was wrapped, and nothing tested. */
	assert_true(n_right > 40 && n_wrong > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("daemon/config-memory", tests, NULL, NULL);
}
