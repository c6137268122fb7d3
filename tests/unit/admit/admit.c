/*
 * Admission: the limits hold at their very edge, what ends makes room, and counts come out even
 * after any number of comings and goings.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "admit/admit.h"
#include "converse/dialogue.h"

#define HOSTS 1000U
#define STEPS 100000U

/* The key of host number N; the numbers differ in the last bytes, as an attacker would choose. */
static const uint8_t *key_of(unsigned n)
{
	static uint8_t key[16];

	memset(key, 0, sizeof(key));
	memcpy(key + 12, &n, sizeof(n));
	return key;
}

static int make(void **state)
{
	static struct admit admit;
	size_t face;

	admit = (struct admit)ADMIT_INIT;
	*state = &admit;
	return admit_face(&admit, "", &face) == 0 && face == 0 ? 0 : -1;
}

static int end(void **state)
{
	struct admit *admit = *state;

	admit_done(admit);
	admit_done(admit); /* an empty one is fine */
	return 0;
}

static void holds_the_limit_of_a_face(void **state)
{
	const struct limits limits = {.conversations = 2};
	struct admit *admit = *state;

	assert_int_equal(admit_take(admit, 0, &limits, key_of(1)), ADMIT_OK);
	assert_int_equal(admit_take(admit, 0, &limits, NULL), ADMIT_OK);
	assert_int_equal(admit_take(admit, 0, &limits, key_of(2)), ADMIT_FULL);
	assert_int_equal(admit_take(admit, 0, &limits, NULL), ADMIT_FULL);
	assert_int_equal(admit_count(admit, 0), 2);
	admit_drop(admit, 0, key_of(1));
	assert_int_equal(admit_take(admit, 0, &limits, key_of(2)), ADMIT_OK);
	admit_drop(admit, 0, NULL);
	admit_drop(admit, 0, key_of(2));
	assert_int_equal(admit_count(admit, 0), 0);
	assert_int_equal(admit->total, 0);
}

static void holds_the_limit_of_an_address(void **state)
{
	const struct limits limits = {.conversations = 100, .per_address = 2};
	struct admit *admit = *state;

	assert_int_equal(admit_take(admit, 0, &limits, key_of(1)), ADMIT_OK);
	assert_int_equal(admit_take(admit, 0, &limits, key_of(1)), ADMIT_OK);
	assert_int_equal(admit_take(admit, 0, &limits, key_of(1)), ADMIT_ADDRESS);
	assert_int_equal(admit_count(admit, 0), 2);
	assert_int_equal(admit_take(admit, 0, &limits, key_of(2)), ADMIT_OK);
	/* Who has no address is under no limit by address. */
	for (int i = 0; i < 5; i++)
		assert_int_equal(admit_take(admit, 0, &limits, NULL), ADMIT_OK);
	admit_drop(admit, 0, key_of(1));
	assert_int_equal(admit_take(admit, 0, &limits, key_of(1)), ADMIT_OK);
	assert_int_equal(admit_take(admit, 0, &limits, key_of(1)), ADMIT_ADDRESS);
}

/* A reload may set a limit by address: who is here already counts. */
static void counts_addresses_without_a_limit(void **state)
{
	const struct limits without = {.conversations = 100};
	const struct limits with = {.conversations = 100, .per_address = 3};
	struct admit *admit = *state;

	for (int i = 0; i < 4; i++)
		assert_int_equal(admit_take(admit, 0, &without, key_of(1)), ADMIT_OK);
	assert_int_equal(admit_take(admit, 0, &with, key_of(1)), ADMIT_ADDRESS);
	admit_drop(admit, 0, key_of(1));
	admit_drop(admit, 0, key_of(1));
	assert_int_equal(admit_take(admit, 0, &with, key_of(1)), ADMIT_OK);
	assert_int_equal(admit_take(admit, 0, &with, key_of(1)), ADMIT_ADDRESS);
}

static void keeps_faces_apart(void **state)
{
	const struct limits limits = {.conversations = 2, .per_address = 1};
	struct admit *admit = *state;
	char name[] = "desk";
	size_t desk = 0;
	size_t again = 0;

	assert_int_equal(admit_face(admit, name, &desk), 0);
	assert_int_not_equal(desk, 0);
	name[0] = 'x'; /* the name was copied */
	assert_int_equal(admit_face(admit, "desk", &again), 0);
	assert_int_equal(again, desk);
	assert_int_equal(admit_face(admit, "", &again), 0);
	assert_int_equal(again, 0);

	assert_int_equal(admit_take(admit, 0, &limits, key_of(1)), ADMIT_OK);
	assert_int_equal(admit_take(admit, desk, &limits, key_of(1)), ADMIT_OK);
	assert_int_equal(admit_take(admit, desk, &limits, key_of(1)), ADMIT_ADDRESS);
	assert_int_equal(admit_take(admit, desk, &limits, key_of(2)), ADMIT_OK);
	assert_int_equal(admit_take(admit, desk, &limits, key_of(3)), ADMIT_FULL);
	assert_int_equal(admit_take(admit, 0, &limits, key_of(3)), ADMIT_OK);
	assert_int_equal(admit_count(admit, 0), 2);
	assert_int_equal(admit_count(admit, desk), 2);
	assert_int_equal(admit->total, 4);
}

static void counts_without_judging(void **state)
{
	const struct limits limits = {.conversations = 1, .per_address = 1};
	struct admit *admit = *state;

	for (int i = 0; i < 3; i++)
		assert_int_equal(admit_take(admit, 0, NULL, key_of(1)), ADMIT_OK);
	assert_int_equal(admit_count(admit, 0), 3);
	assert_int_equal(admit_take(admit, 0, &limits, key_of(2)), ADMIT_FULL);
}

/* Hosts come and go in a fixed disorder; a plain array counts along. */
static void counts_along_with_an_array(void **state)
{
	const struct limits limits = {.conversations = UINT64_MAX, .per_address = 5};
	static uint64_t counts[HOSTS];
	struct admit *admit = *state;
	uint64_t total = 0;
	uint32_t random = 1;

	memset(counts, 0, sizeof(counts));
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned host;

		random = random * UINT32_C(1664525) + UINT32_C(1013904223);
		host = (random >> 8) % HOSTS;
		if ((random >> 30) == 0 && counts[host] > 0) {
			admit_drop(admit, 0, key_of(host));
			counts[host]--;
			total--;
		} else if (counts[host] >= limits.per_address) {
			assert_int_equal(admit_take(admit, 0, &limits, key_of(host)),
					 ADMIT_ADDRESS);
		} else {
			assert_int_equal(admit_take(admit, 0, &limits, key_of(host)), ADMIT_OK);
			counts[host]++;
			total++;
		}
		assert_int_equal(admit->total, total);
	}
	for (unsigned host = 0; host < HOSTS; host++) {
		for (; counts[host] > 0; counts[host]--)
			admit_drop(admit, 0, key_of(host));
	}
	assert_int_equal(admit_count(admit, 0), 0);
}

/* Whether dropping KEY ends the process, tried in a child. */
static bool drop_aborts(struct admit *admit, const uint8_t *key)
{
	int status;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_DUMPABLE, 0); /* no core file */
		admit_drop(admit, 0, key);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* A host is forgotten with its last conversation, and dropping what was never taken is a bug. */
static void ends_at_a_wrong_drop(void **state)
{
	const struct limits limits = {.conversations = 100};
	struct admit *admit = *state;

	assert_true(drop_aborts(admit, NULL));
	assert_int_equal(admit_take(admit, 0, &limits, key_of(1)), ADMIT_OK);
	assert_int_equal(admit_take(admit, 0, &limits, key_of(2)), ADMIT_OK);
	assert_true(drop_aborts(admit, key_of(3)));
	assert_false(drop_aborts(admit, key_of(1)));
	admit_drop(admit, 0, key_of(1));
	assert_true(drop_aborts(admit, key_of(1)));
}

/* Each reason is there, one word for filters, and none twice. */
static void names_its_reasons(void **state)
{
	(void)state;
	for (int i = 0; i < ADMIT_VERDICT_COUNT; i++) {
		const char *reason = admit_reason((enum admit_verdict)i);

		assert_non_null(reason);
		assert_true(reason[0] != '\0');
		assert_null(strchr(reason, ' '));
		assert_true(strlen(admit_sentence((enum admit_verdict)i)) > strlen(reason));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(reason, admit_reason((enum admit_verdict)j));
	}
	assert_string_equal(admit_reason(ADMIT_FULL), "full");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(holds_the_limit_of_a_face, make, end),
		cmocka_unit_test_setup_teardown(holds_the_limit_of_an_address, make, end),
		cmocka_unit_test_setup_teardown(counts_addresses_without_a_limit, make, end),
		cmocka_unit_test_setup_teardown(keeps_faces_apart, make, end),
		cmocka_unit_test_setup_teardown(counts_without_judging, make, end),
		cmocka_unit_test_setup_teardown(counts_along_with_an_array, make, end),
		cmocka_unit_test_setup_teardown(ends_at_a_wrong_drop, make, end),
		cmocka_unit_test(names_its_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
