/*
 * The watch: drafts, which are told, and known to whoever asks later. A text is never that of
 * another draft.
 */
#include "watched.h"

#include <pthread.h>

/* What the watch has of a draft, for whoever asks. */
static void must_have_draft(struct set *s, uint64_t turn, usec_t until, const char *wanted)
{
	char text[WATCH_TEXT_MAX];
	struct watch_draft draft;

	assert_int_equal(watch_look_draft(s->watch, FIRST_NUMBER, &draft, text), 0);
	assert_int_equal(draft.turn, turn);
	assert_int_equal(draft.until, until);
	assert_ptr_equal(draft.text, text);
	assert_int_equal(draft.length, strlen(wanted));
	assert_memory_equal(text, wanted, draft.length);
}

static void test_draft(void **state)
{
	struct set *s = *state;
	struct watch_draft draft = {.turn = 3, .until = 4711, .text = "Oui", .length = 3};
	char text[WATCH_TEXT_MAX];
	struct told told;

	assert_int_equal(watch_look_draft(s->watch, FIRST_NUMBER, &draft, text), -ENOENT);
	come(s, 0, false);
	must_have_draft(s, 0, 0, "");
	/* It is known, whether somebody listens or not. */
	watch_draft(s->watch, &s->c[0], &draft);
	must_be_quiet(s);
	must_have_draft(s, 3, 4711, "Oui");
	watch_listen(s->watch, true);
	draft = (struct watch_draft){.turn = 4, .text = "", .length = 0};
	watch_draft(s->watch, &s->c[0], &draft);
	told = must_be(s, WATCH_DRAFT, 0, "");
	assert_int_equal(told.event.turn, 4);
	assert_int_equal(told.event.until, 0);
	must_have_draft(s, 4, 0, "");
	draft = (struct watch_draft){.turn = 5, .until = 1, .text = "Non", .length = 3};
	watch_draft(s->watch, &s->c[0], &draft);
	told = must_be(s, WATCH_DRAFT, 0, "Non");
	assert_int_equal(told.event.turn, 5);
	assert_int_equal(told.event.until, 1);
	assert_int_equal(told.event.whole, 3);
	watch_draft(s->watch, &s->c[0], NULL);
	assert_int_equal(must_be(s, WATCH_DRAFT, 0, "").event.turn, 0);
	must_have_draft(s, 0, 0, "");
	/* The next one in the slot has none of it. */
	watch_draft(s->watch, &s->c[0], &draft);
	go(s, 0, END_HANDOVER);
	assert_int_equal(watch_look_draft(s->watch, FIRST_NUMBER, &draft, text), -ENOENT);
	come(s, 0, true);
	must_have_draft(s, 0, 0, "");
	assert_int_equal(must_be(s, WATCH_DRAFT, 0, "Non").event.turn, 5);
	must_be_quiet(s);
}

static void test_long_draft(void **state)
{
	struct set *s = *state;
	auto_free char *bytes = malloc((size_t)2 * WATCH_TEXT_MAX);
	struct watch_draft draft = {.turn = 1, .text = bytes, .length = (size_t)2 * WATCH_TEXT_MAX};
	char text[WATCH_TEXT_MAX];
	struct told told;

	assert_non_null(bytes);
	(void)memset(bytes, 'd', (size_t)2 * WATCH_TEXT_MAX);
	watch_listen(s->watch, true);
	come(s, 0, true);
	watch_draft(s->watch, &s->c[0], &draft);
	assert_true(next(s, &told));
	assert_int_equal(told.event.length, WATCH_TEXT_MAX);
	assert_int_equal(told.event.whole, (size_t)2 * WATCH_TEXT_MAX);
	assert_int_equal(watch_look_draft(s->watch, FIRST_NUMBER, &draft, text), 0);
	assert_int_equal(draft.length, WATCH_TEXT_MAX);
	assert_int_equal(draft.whole, (size_t)2 * WATCH_TEXT_MAX);
	assert_memory_equal(text, bytes, WATCH_TEXT_MAX);
}

#define ROUNDS 20000

/* A conversation's thread, which has one draft after the other: of turn N, N % 100 letters. */
static void *propose(void *context)
{
	struct set *s = context;
	char text[100];

	for (uint64_t turn = 1; turn <= ROUNDS; turn++) {
		struct watch_draft draft = {
			.turn = turn,
			.until = turn,
			.text = text,
			.length = turn % sizeof(text),
		};

		(void)memset(text, (char)('a' + turn % 26), draft.length);
		watch_draft(s->watch, &s->c[0], turn % 10 != 0 || turn == ROUNDS ? &draft : NULL);
	}
	return NULL;
}

static void test_looked_at_meanwhile(void **state)
{
	struct set *s = *state;
	char text[WATCH_TEXT_MAX];
	struct watch_draft draft = {.turn = 0};
	pthread_t thread;
	uint64_t last = 0;

	come(s, 0, false);
	watch_listen(s->watch, true);
	assert_int_equal(pthread_create(&thread, NULL, propose, s), 0);
	while (last < ROUNDS) {
		struct told told;

		assert_int_equal(watch_look_draft(s->watch, FIRST_NUMBER, &draft, text), 0);
		if (draft.turn != 0) {
			assert_true(draft.turn >= last);
			last = draft.turn;
			assert_int_equal(draft.until, draft.turn);
			assert_int_equal(draft.length, draft.turn % 100);
			for (size_t i = 0; i < draft.length; i++)
				assert_int_equal(text[i], (char)('a' + draft.turn % 26));
		}
		(void)next(s, &told);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_draft),
		TEST(test_long_draft),
		TEST(test_looked_at_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
