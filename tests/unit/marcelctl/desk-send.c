/* The way of a line at the desk: which turn it answers, orders, drafts, what comes back. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "desk-talks.h"
#include "marcelctl/moment.h"

static void the_oldest_open_turn_is_answered(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 1, NOW);
	size_t length = 0;

	(void)state;
	(void)say(&model, 1, NOW, "C", 2, "deux");
	assert_int_equal(desk_talk_target(talk), 1);
	/* While the first answer is on its way, the next one is for the next turn. */
	assert_true(desk_edit_insert(&talk->input, "oui", 3));
	assert_true(desk_talk_take_input(talk, NOW));
	assert_int_equal(talk->sending[0].turn, 1);
	assert_string_equal(desk_edit_text(&talk->input), "");
	assert_string_equal(desk_talk_next_line(talk, &length), "oui");
	assert_int_equal(length, 3);
	assert_int_equal(desk_talk_target(talk), 2);
	desk_talk_sent(talk, true);
	assert_int_equal(talk->n_sending, 0);
	expect_open(talk, "2 ");
	desk_model_done(&model);
}

static void another_turn_can_be_chosen(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 1, NOW);

	(void)state;
	desk_talk_aim(talk, false);
	assert_int_equal(desk_talk_target(talk), 1);
	(void)say(&model, 1, NOW, "C", 2, "deux");
	desk_talk_aim(talk, false);
	assert_int_equal(desk_talk_target(talk), 2);
	desk_talk_aim(talk, false);
	assert_true(talk->aimed);
	assert_int_equal(desk_talk_target(talk), 0);
	desk_talk_aim(talk, false);
	assert_int_equal(desk_talk_target(talk), 1);
	desk_talk_aim(talk, true);
	assert_int_equal(desk_talk_target(talk), 0);
	desk_model_done(&model);
}

static void what_another_one_answers_is_known_at_once(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 1, NOW);

	(void)state;
	(void)say(&model, 1, NOW, "C", 2, "deux");
	desk_talk_aim(talk, true);
	desk_talk_aim(talk, true);
	desk_talk_aim(talk, true);
	assert_int_equal(talk->aim, 1);
	tell(&model, "Waiting", 1, 2, NULL);
	assert_int_equal(desk_talk_target(talk), 2);
	/* What is typed stays where it was, and is late. */
	desk_talk_aim(talk, false);
	desk_talk_aim(talk, false);
	assert_int_equal(talk->aim, 2);
	assert_true(desk_edit_insert(&talk->input, "x", 1));
	assert_false(desk_talk_is_late(talk));
	tell(&model, "Waiting", 1, 0, NULL);
	assert_true(desk_talk_is_late(talk));
	assert_int_equal(desk_talk_target(talk), 2);
	desk_model_done(&model);
}

static void what_is_refused_comes_back(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 1, NOW);
	size_t length = 0;

	(void)state;
	assert_true(desk_edit_insert(&talk->input, "un\ndeux\ntrois", 13));
	assert_true(desk_talk_take_input(talk, NOW));
	assert_non_null(desk_talk_next_line(talk, &length));
	assert_int_equal(length, 2);
	desk_talk_sent(talk, true);
	/* Only the first line answers the turn. */
	assert_int_equal(talk->sending[0].turn, 0);
	assert_memory_equal(desk_talk_next_line(talk, &length), "deux", 4);
	assert_int_equal(length, 4);
	assert_true(desk_edit_insert(&talk->input, "new", 3));
	desk_talk_sent(talk, false);
	assert_string_equal(desk_edit_text(&talk->input), "deux\ntrois\nnew");
	assert_int_equal(talk->n_sending, 0);
	desk_model_done(&model);
}

/* Types TEXT and presses Enter. */
static void enter(struct desk_talk *talk, const char *text)
{
	assert_true(desk_edit_insert(&talk->input, text, strlen(text)));
	assert_true(desk_talk_take_input(talk, NOW));
}

static void expect_next(struct desk_talk *talk, const char *wanted, uint64_t wanted_turn)
{
	size_t length = 0;
	const char *line = desk_talk_next_line(talk, &length);

	assert_non_null(line);
	assert_int_equal(length, strlen(wanted));
	assert_memory_equal(line, wanted, length);
	assert_int_equal(talk->sending[0].turn, wanted_turn);
}

static void each_enter_takes_its_own_line(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 1, NOW);
	uint64_t next;

	(void)state;
	(void)say(&model, 1, NOW, "C", 2, "deux");
	enter(talk, "aa");
	enter(talk, "bb");
	enter(talk, "cc");
	/* This was never entered. */
	assert_true(desk_edit_insert(&talk->input, "dd", 2));
	assert_int_equal(desk_model_late(&model, NOW, &next), 0);
	assert_int_equal(next, NOW + DESK_MOMENT);
	assert_int_equal(desk_model_late(&model, next, &next), 3);
	assert_int_equal(next, USEC_NEVER);
	expect_next(talk, "aa", 1);
	desk_talk_sent(talk, true);
	expect_next(talk, "bb", 2);
	desk_talk_sent(talk, true);
	expect_next(talk, "cc", 0);
	assert_string_equal(desk_edit_text(&talk->input), "dd");
	/* What follows a refused one comes back as well. */
	enter(talk, "dd");
	assert_true(desk_edit_insert(&talk->input, "ee", 2));
	desk_talk_sent(talk, false);
	assert_string_equal(desk_edit_text(&talk->input), "cc\ndddd\nee");
	assert_int_equal(desk_model_late(&model, next, &next), 0);
	desk_model_done(&model);
}

static void not_too_much_is_sent_at_once(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 0, 0);

	(void)state;
	for (size_t i = 0; i < DESK_SENDING_MAX; i++)
		enter(talk, "x");
	assert_true(desk_edit_insert(&talk->input, "y", 1));
	assert_false(desk_talk_take_input(talk, NOW));
	assert_string_equal(desk_edit_text(&talk->input), "y");
	desk_talk_sent(talk, true);
	assert_true(desk_talk_take_input(talk, NOW));
	desk_model_done(&model);
}

static void other_orders_answer_nothing(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 1, NOW);

	(void)state;
	(void)say(&model, 1, NOW, "C", 2, "deux");
	desk_talk_aim(talk, false);
	enter(talk, "/note un");
	assert_int_equal(desk_talk_target(talk), 2);
	desk_talk_sent(talk, true);
	expect_open(talk, "1 2 ");
	assert_int_equal(desk_talk_target(talk), 2);
	/* The turn is for the first line that says something. */
	enter(talk, "/note deux\noui");
	expect_next(talk, "/note deux", 2);
	desk_talk_sent(talk, true);
	expect_open(talk, "1 2 ");
	expect_next(talk, "oui", 2);
	desk_talk_sent(talk, true);
	expect_open(talk, "1 ");
	enter(talk, "//etc");
	desk_talk_sent(talk, true);
	expect_open(talk, "");
	desk_model_done(&model);
}

static void tell_draft(struct desk_model *model, uint64_t turn, const char *text, uint64_t until)
{
	const struct link_event event = {.name = "Draft",
					 .number = 1,
					 .turn = turn,
					 .text = text,
					 .until = until};

	assert_non_null(desk_model_event(model, &event, NOW));
}

static void drafts_come_and_go(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 1, NOW);
	char wanted[128];
	char clock[MOMENT_SIZE];

	(void)state;
	tell_draft(&model, 0, "", 0);
	assert_false(desk_talk_offers_draft(talk));
	assert_int_equal(talk->count, 0);
	tell_draft(&model, 1, "oui", NOW + 5);
	assert_true(desk_talk_offers_draft(talk));
	(void)snprintf(wanted, sizeof(wanted), "draft for #1: oui (goes out %s)",
		       moment_ahead(clock, NOW + 5));
	assert_string_equal(talk->lines[0].text, wanted);
	/* The same again, from another marceld. */
	tell_draft(&model, 1, "oui", NOW + 6);
	assert_int_equal(talk->count, 1);
	assert_int_equal(talk->draft_until, NOW + 6);
	tell_draft(&model, 1, "non", 0);
	assert_int_equal(talk->count, 2);
	assert_string_equal(talk->lines[1].text, "draft for #1: non");
	tell_draft(&model, 0, "", 0);
	assert_false(desk_talk_offers_draft(talk));
	assert_int_equal(talk->draft_turn, 0);
	tell_draft(&model, 1, "enfin", 0);
	tell(&model, "Waiting", 1, 0, NULL);
	assert_int_equal(talk->draft_turn, 0);
	/* It may be told before its turn is. */
	tell_draft(&model, 2, "si", 0);
	tell(&model, "Waiting", 1, 2, NULL);
	assert_true(desk_talk_offers_draft(talk));
	tell(&model, "Closed", 1, 0, "idle");
	assert_int_equal(talk->draft_turn, 0);
	desk_model_done(&model);
}

/* An empty line says the draft to that turn, and to no other one. */
static void a_draft_is_sent(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 1, NOW);

	(void)state;
	(void)say(&model, 1, NOW, "C", 2, "deux");
	tell_draft(&model, 1, "oui", 0);
	desk_talk_aim(talk, false);
	assert_int_equal(desk_talk_target(talk), 2);
	assert_false(desk_talk_offers_draft(talk));
	assert_false(desk_talk_edit_draft(talk));
	desk_talk_aim(talk, true);
	assert_true(desk_talk_offers_draft(talk));
	enter(talk, "");
	assert_int_equal(talk->sending[0].turn, 1);
	assert_false(desk_talk_offers_draft(talk));
	desk_talk_sent(talk, true);
	expect_open(talk, "2 ");
	desk_model_done(&model);
}

static void a_draft_is_edited(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 1, NOW);

	(void)state;
	assert_false(desk_talk_edit_draft(talk));
	tell_draft(&model, 1, "a\\\\b\\x07", 0);
	assert_string_equal(talk->lines[0].text, "draft for #1: a\\\\b\\x07");
	assert_true(desk_talk_edit_draft(talk));
	assert_string_equal(desk_edit_text(&talk->input), "a\\b");
	assert_false(desk_talk_edit_draft(talk));
	tell(&model, "Waiting", 1, 2, NULL);
	assert_int_equal(talk->draft_turn, 0);
	assert_true(desk_talk_is_late(talk));
	desk_model_done(&model);
}

static void expect_sent(const char *line, uint64_t turn, const char *wanted, uint64_t wanted_turn)
{
	char *text = desk_order(line, strlen(line), &turn);

	assert_string_equal(text, wanted);
	assert_int_equal(turn, wanted_turn);
	free(text);
}

static void what_is_typed_and_what_is_sent(void **state)
{
	(void)state;
	expect_sent("oui", 3, "oui", 3);
	expect_sent("oui", 0, "oui", 0);
	/* Orders are for no turn. */
	expect_sent("/close", 3, "/close", 0);
	expect_sent("/", 3, "/", 0);
	/* An empty one sends the draft of its turn, if there is one. */
	expect_sent("", 3, "", 3);
	expect_sent("", 0, "", 0);
	/* With a turn, marceld takes texts as they are; else it looks at how they begin. */
	expect_sent("//etc", 3, "/etc", 3);
	expect_sent("//etc", 0, "//etc", 0);
	expect_sent("/#4 oui", 3, "#4 oui", 3);
	expect_sent("#4 oui", 3, "#4 oui", 3);
	expect_sent("#4 oui", 0, "/#4 oui", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_open_turn_is_answered),
		cmocka_unit_test(another_turn_can_be_chosen),
		cmocka_unit_test(what_another_one_answers_is_known_at_once),
		cmocka_unit_test(what_is_refused_comes_back),
		cmocka_unit_test(each_enter_takes_its_own_line),
		cmocka_unit_test(not_too_much_is_sent_at_once),
		cmocka_unit_test(other_orders_answer_nothing),
		cmocka_unit_test(what_is_typed_and_what_is_sent),
		cmocka_unit_test(drafts_come_and_go),
		cmocka_unit_test(a_draft_is_sent),
		cmocka_unit_test(a_draft_is_edited),
	};

	/* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
