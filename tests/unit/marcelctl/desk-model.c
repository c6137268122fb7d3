/* What the desk knows: order, open turns, dialogues, merging. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "desk-talks.h"

static void expect_order(struct desk_model *model, const char *wanted)
{
	uint64_t numbers[16];

	desk_model_tidy(model, 0);
	assert_true(model->count <= 16);
	for (size_t i = 0; i < model->count; i++)
		numbers[i] = model->order[i]->number;
	expect_numbers(numbers, model->count, wanted);
}

static void who_waits_longest_is_first(void **state)
{
	struct desk_model model = {.talks = NULL};
	uint64_t since;

	(void)state;
	(void)add(&model, 5, "fifo", 0, 0);
	(void)add(&model, 3, "fifo", 1, NOW - 1 * MINUTE);
	(void)add(&model, 4, "fifo", 1, NOW - 2 * MINUTE);
	(void)add(&model, 1, "echo", 0, 0);
	expect_order(&model, "4 3 1 5 ");
	assert_int_equal(desk_model_waiting(&model, &since), 2);
	assert_int_equal(since, NOW - 2 * MINUTE);
	assert_int_equal(desk_model_next_waiting(&model, 1, false), 4);
	assert_int_equal(desk_model_next_waiting(&model, 4, false), 3);
	assert_int_equal(desk_model_next_waiting(&model, 3, false), 4);
	assert_int_equal(desk_model_next_waiting(&model, 1, true), 3);
	tell(&model, "Waiting", 4, 0, NULL);
	tell(&model, "Waiting", 3, 0, NULL);
	expect_order(&model, "1 3 4 5 ");
	assert_int_equal(desk_model_next_waiting(&model, 1, false), 0);
	desk_model_done(&model);
}

static void talks_are_searched(void **state)
{
	struct desk_model model = {.talks = NULL};

	(void)state;
	(void)add(&model, 1, "fifo", 0, 0);
	(void)add(&model, 2, "echo", 0, 0);
	(void)add(&model, 12, "fifo", 0, 0);
	(void)say(&model, 12, NOW, "C", 1, "Un Thé");
	expect_order(&model, "1 2 12 ");
	assert_int_equal(desk_model_search(&model, 1, "2"), 2);
	assert_int_equal(desk_model_search(&model, 2, "1"), 1);
	assert_int_equal(desk_model_search(&model, 2, "thé"), 12);
	assert_int_equal(desk_model_search(&model, 12, "ECHO"), 2);
	assert_int_equal(desk_model_search(&model, 12, "127.0"), 1);
	assert_int_equal(desk_model_search(&model, 12, "café"), 0);
	desk_model_done(&model);
}

static void turns_open_and_are_answered(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 0, 0);

	(void)state;
	assert_int_equal(desk_talk_target(talk), 0);
	(void)say(&model, 1, NOW, "C", 1, "un");
	tell(&model, "Waiting", 1, 1, NULL);
	(void)say(&model, 1, NOW + 1, "C", 2, "deux");
	(void)say(&model, 1, NOW + 2, "C", 3, "trois");
	expect_open(talk, "1 2 3 ");
	assert_int_equal(talk->waiting_since, NOW);
	assert_int_equal(talk->unread, 3);
	/* Who is absent says so, and the message waits. */
	(void)say(&model, 1, NOW + 3, "S", 3, "personne");
	expect_open(talk, "1 2 3 ");
	tell(&model, "Waiting", 1, 3, NULL);
	expect_open(talk, "3 ");
	assert_int_equal(talk->waiting_since, NOW + 2);
	tell(&model, "Waiting", 1, 0, NULL);
	expect_open(talk, "");
	desk_model_done(&model);
}

static void nothing_is_open_where_a_script_answers(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "script", 0, 0);

	(void)state;
	assert_false(desk_talk_held(talk));
	(void)say(&model, 1, NOW, "C", 1, "un");
	expect_open(talk, "");
	tell(&model, "Switched", 1, 0, "fifo");
	assert_true(desk_talk_held(talk));
	(void)say(&model, 1, NOW, "C", 2, "deux");
	expect_open(talk, "2 ");
	tell(&model, "Switched", 1, 0, "script");
	assert_false(desk_talk_held(talk));
	expect_open(talk, "");
	desk_model_done(&model);
}

static void a_script_lets_an_operator_answer(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct link_conversation one = listed(1, "script", 0, 0);
	static char speaker[] = "fifo";

	(void)state;
	one.speaker = speaker;
	assert_true(desk_talk_held(desk_model_listed(&model, &one)));
	assert_string_equal(desk_talk_speaker(desk_model_find(&model, 1)), "fifo");
	desk_model_done(&model);
}

static void the_past_finds_its_place_once(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 2, NOW);

	(void)state;
	assert_non_null(say(&model, 1, NOW + 5, "C", 3, "trois"));
	assert_non_null(past(&model, 1, NOW + 1, "C", 1, "un"));
	assert_non_null(past(&model, 1, NOW + 3, "C", 2, "deux"));
	assert_non_null(past(&model, 1, NOW + 2, "S", 1, "oui"));
	assert_null(past(&model, 1, NOW + 5, "C", 3, "trois"));
	assert_null(say(&model, 1, NOW + 5, "C", 3, "trois"));
	assert_int_equal(talk->count, 4);
	assert_string_equal(talk->lines[0].text, "un");
	assert_string_equal(talk->lines[1].text, "oui");
	assert_string_equal(talk->lines[2].text, "deux");
	assert_string_equal(talk->lines[3].text, "trois");
	/* One that waited in the list, and one that came. */
	assert_int_equal(talk->unread, 2);
	expect_open(talk, "2 3 ");
	assert_int_equal(desk_talk_search(talk, talk->count, "U", 1), 2);
	assert_int_equal(desk_talk_search(talk, 1, "U", 1), 1);
	assert_int_equal(desk_talk_search(talk, 0, "deux", 4), -1);
	desk_model_done(&model);
}

static void the_past_knows_of_what_no_signal_has_told_yet(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 0, 0);

	(void)state;
	assert_non_null(past(&model, 1, NOW + 1, "C", 1, "un"));
	assert_non_null(past(&model, 1, NOW + 2, "C", 2, "deux"));
	/* It may be answered as well. */
	expect_open(talk, "");
	assert_int_equal(talk->unread, 0);
	assert_null(say(&model, 1, NOW + 1, "C", 1, "un"));
	tell(&model, "Waiting", 1, 1, NULL);
	assert_null(say(&model, 1, NOW + 2, "C", 2, "deux"));
	assert_null(say(&model, 1, NOW + 2, "C", 2, "deux"));
	assert_int_equal(talk->count, 2);
	assert_int_equal(talk->unread, 2);
	expect_open(talk, "1 2 ");
	desk_model_done(&model);
}

/* News that come behind the past they belong before. */
static void late_news_find_their_place(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 0, 0);
	char long_line[4097];
	char cut[2049];

	(void)state;
	memset(long_line, 'x', sizeof(long_line) - 1);
	long_line[sizeof(long_line) - 1] = '\0';
	memset(cut, 'x', sizeof(cut) - 1);
	cut[sizeof(cut) - 1] = '\0';
	assert_non_null(past(&model, 1, NOW + 3, "C", 3, "trois"));
	assert_non_null(past(&model, 1, NOW + 4, "C", 4, cut));
	assert_non_null(say(&model, 1, NOW + 1, "C", 1, "un"));
	assert_int_equal(talk->added, 3);
	assert_non_null(say(&model, 1, NOW + 2, "C", 2, "deux"));
	assert_int_equal(talk->added, 3);
	assert_null(say(&model, 1, NOW + 3, "C", 3, "trois"));
	/* Of a long line the past has less. */
	assert_null(say(&model, 1, NOW + 4, "C", 4, long_line));
	assert_null(past(&model, 1, NOW + 4, "C", 4, cut));
	/* What news have told of stays where it is, even if the clock was set back. */
	assert_non_null(say(&model, 1, NOW, "S", 4, "oui"));
	assert_int_equal(talk->added, 1);
	assert_int_equal(talk->count, 5);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(talk->lines[i].turn, i + 1);
	assert_string_equal(talk->lines[3].text, long_line);
	assert_string_equal(talk->lines[4].text, "oui");
	assert_int_equal(talk->bytes, strlen("undeuxtroisoui") + strlen(long_line));
	expect_open(talk, "1 2 3 4 ");
	desk_model_done(&model);
}

/* The lines of a greeting have one time. */
static void what_begins_alike_is_not_the_same(void **state)
{
	static const char *const lines[] = {"Marcel", "", "Marcel is here", "M"};
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 0, 0);

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_non_null(past(&model, 1, NOW, "S", 0, lines[i]));
	for (size_t i = 0; i < 4; i++)
		assert_null(say(&model, 1, NOW, "S", 0, lines[i]));
	assert_int_equal(talk->count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(talk->lines[i].text, lines[i]);
	desk_model_done(&model);
}

static void as_many_turns_are_open_as_marceld_knows(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 1, NOW);

	(void)state;
	for (uint64_t turn = 2; turn <= DESK_OPEN_MAX + 2; turn++)
		(void)say(&model, 1, NOW + turn, "C", turn, "x");
	assert_int_equal(talk->n_open, DESK_OPEN_MAX);
	assert_true(desk_talk_is_open(talk, 1));
	assert_false(desk_talk_is_open(talk, 3));
	assert_true(desk_talk_is_open(talk, 4));
	assert_true(desk_talk_is_open(talk, DESK_OPEN_MAX + 2));
	desk_talk_aim(talk, true);
	assert_int_equal(desk_talk_target(talk), 0);
	desk_talk_aim(talk, true);
	assert_int_equal(desk_talk_target(talk), DESK_OPEN_MAX + 2);
	tell(&model, "Waiting", 1, DESK_OPEN_MAX, NULL);
	expect_open(talk, "1024 1025 1026 ");
	desk_model_done(&model);
}

static void dialogues_are_bounded(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 0, 0);
	char text[4097];

	(void)state;
	for (uint64_t i = 0; i < DESK_LINES_MAX + 7; i++)
		(void)say(&model, 1, NOW + i, "S", i, "x");
	assert_int_equal(talk->count, DESK_LINES_MAX);
	assert_int_equal(talk->lines[0].turn, 7);
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (uint64_t i = 0; i < 100; i++)
		(void)say(&model, 1, 2 * NOW + i, "S", i, text);
	assert_true(talk->bytes <= DESK_BYTES_MAX);
	assert_int_equal(talk->count, DESK_BYTES_MAX / 4096);
	desk_model_done(&model);
}

static void what_lives_on_keeps_what_was_said_and_typed(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 0, 0);
	struct link_conversation other;

	(void)state;
	(void)add(&model, 2, "fifo", 1, NOW);
	(void)say(&model, 1, NOW, "C", 1, "un");
	assert_true(desk_edit_insert(&talk->input, "half", 4));
	desk_model_list_begin(&model);
	(void)add(&model, 1, "fifo", 1, NOW);
	desk_model_list_end(&model, NOW);
	assert_ptr_equal(desk_model_find(&model, 1), talk);
	desk_talk_read(desk_model_find(&model, 2));
	assert_int_equal(talk->count, 1);
	assert_string_equal(desk_edit_text(&talk->input), "half");
	assert_true(desk_model_find(&model, 2)->ended);
	expect_order(&model, "1 ");
	/* The same number after a start of the system is another one. */
	desk_model_list_begin(&model);
	other = listed(1, "fifo", 0, 0);
	other.id[0] = 'f';
	assert_ptr_not_equal(desk_model_listed(&model, &other), talk);
	assert_int_equal(desk_model_find(&model, 1)->count, 0);
	/* What is looked at stays, with a line that tells its end. */
	assert_ptr_equal(desk_model_find(&model, desk_model_moved(&model, 1)), talk);
	assert_int_equal(desk_model_moved(&model, 1), 1);
	assert_int_equal(desk_talk_number(talk), 1);
	assert_int_equal(talk->count, 2);
	assert_string_equal(talk->lines[1].text, "ended: while marceld was away");
	assert_string_equal(desk_edit_text(&talk->input), "half");
	desk_model_done(&model);
}

static void one_whose_list_was_never_seen_is_told_from_its_successor(void **state)
{
	struct desk_model model = {.talks = NULL};
	const struct link_event opened = {.name = "Opened", .number = 1, .responder = "fifo"};
	struct link_conversation same = listed(1, "fifo", 1, NOW);
	struct desk_talk *talk = desk_model_event(&model, &opened, NOW + 5);

	(void)state;
	(void)say(&model, 1, NOW + 6, "C", 1, "un");
	tell(&model, "Waiting", 1, 1, NULL);
	/* It began a moment before its signal came. */
	assert_ptr_equal(desk_model_listed(&model, &same), talk);
	(void)memset(talk->id, 0, sizeof(talk->id));
	same.opened = NOW + 7;
	assert_ptr_not_equal(desk_model_listed(&model, &same), talk);
	assert_true(talk->missed);
	desk_model_list_begin(&model);
	desk_model_list_end(&model, NOW + 8);
	/* The next one is told by a signal. */
	assert_false(desk_model_event(&model, &opened, NOW + 9)->ended);
	expect_order(&model, "1 281474976710657 562949953421313 ");
	desk_model_done(&model);
}

static void what_has_ended_goes_unless_it_is_looked_at(void **state)
{
	struct desk_model model = {.talks = NULL};

	(void)state;
	(void)add(&model, 1, "fifo", 1, NOW);
	(void)add(&model, 2, "fifo", 0, 0);
	tell(&model, "Closed", 1, 0, "end-word");
	desk_model_tidy(&model, 1);
	assert_int_equal(model.count, 2);
	assert_int_equal(model.order[1]->number, 1);
	assert_int_equal(desk_model_waiting(&model, NULL), 0);
	assert_string_equal(model.order[1]->lines[0].text, "ended: end-word");
	assert_false(desk_talk_held(model.order[1]));
	assert_true(model.order[1]->missed);
	desk_talk_read(model.order[1]);
	expect_order(&model, "2 ");
	desk_model_done(&model);
}

static void who_left_unread_stays_until_looked_at(void **state)
{
	struct desk_model model = {.talks = NULL};

	(void)state;
	(void)add(&model, 1, "fifo", 0, 0);
	(void)add(&model, 2, "echo", 0, 0);
	(void)say(&model, 1, NOW, "C", 1, "un");
	(void)say(&model, 2, NOW, "C", 1, "un");
	tell(&model, "Waiting", 1, 1, NULL);
	tell(&model, "Closed", 1, 0, "peer-closed");
	tell(&model, "Closed", 2, 0, "peer-closed");
	/* Where a script answers nothing is missed. */
	expect_order(&model, "1 ");
	desk_talk_read(model.order[0]);
	expect_order(&model, "");
	for (uint64_t i = 1; i <= DESK_MISSED_MAX + 5; i++) {
		(void)add(&model, i, "fifo", 1, NOW);
		tell(&model, "Closed", i, 0, "peer-closed");
	}
	desk_model_tidy(&model, 0);
	assert_int_equal(model.count, DESK_MISSED_MAX);
	assert_null(desk_model_find(&model, 5));
	desk_model_done(&model);
}

static void ages(void **state)
{
	char text[16];

	(void)state;
	assert_int_equal(desk_age(text, sizeof(text), NOW, NOW), NOW + 10 * USEC_PER_SEC);
	assert_string_equal(text, "0s");
	(void)desk_age(text, sizeof(text), NOW, NOW + 39 * USEC_PER_SEC);
	assert_string_equal(text, "30s");
	assert_int_equal(desk_age(text, sizeof(text), NOW, NOW + MINUTE - 1), NOW + MINUTE);
	assert_string_equal(text, "50s");
	assert_int_equal(desk_age(text, sizeof(text), NOW, NOW + MINUTE), NOW + 2 * MINUTE);
	assert_string_equal(text, "1m");
	(void)desk_age(text, sizeof(text), NOW, NOW + 59 * MINUTE);
	assert_string_equal(text, "59m");
	assert_int_equal(desk_age(text, sizeof(text), NOW, NOW + 60 * MINUTE), NOW + 120 * MINUTE);
	assert_string_equal(text, "1h");
	(void)desk_age(text, sizeof(text), NOW, NOW + UINT64_C(24) * 60 * MINUTE);
	assert_string_equal(text, "1d");
	/* A clock that was set back. */
	(void)desk_age(text, sizeof(text), NOW, NOW - MINUTE);
	assert_string_equal(text, "0s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waits_longest_is_first),
		cmocka_unit_test(talks_are_searched),
		cmocka_unit_test(turns_open_and_are_answered),
		cmocka_unit_test(nothing_is_open_where_a_script_answers),
		cmocka_unit_test(a_script_lets_an_operator_answer),
		cmocka_unit_test(the_past_finds_its_place_once),
		cmocka_unit_test(the_past_knows_of_what_no_signal_has_told_yet),
		cmocka_unit_test(late_news_find_their_place),
		cmocka_unit_test(what_begins_alike_is_not_the_same),
		cmocka_unit_test(as_many_turns_are_open_as_marceld_knows),
		cmocka_unit_test(dialogues_are_bounded),
		cmocka_unit_test(what_lives_on_keeps_what_was_said_and_typed),
		cmocka_unit_test(one_whose_list_was_never_seen_is_told_from_its_successor),
		cmocka_unit_test(what_has_ended_goes_unless_it_is_looked_at),
		cmocka_unit_test(who_left_unread_stays_until_looked_at),
		cmocka_unit_test(ages),
	};

	/* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
