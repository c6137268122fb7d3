/* What the desk knows: order, open turns, dialogues, merging, and the way of a line. */
#include <inttypes.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "marcelctl/desk-draft.h"
#include "marcelctl/desk-model.h"

#define MINUTE (60 * USEC_PER_SEC)
#define NOW    (1000000 * USEC_PER_SEC)

/* A conversation of the list, whose texts belong to it for a moment. */
static struct link_conversation listed(uint64_t number, const char *responder, uint64_t waiting,
				       uint64_t since)
{
	static char id[33];
	static char peer[] = "127.0.0.1:4711";
	static char listener[] = "tcp";
	static char name[32];
	static char nothing[] = "";

	(void)snprintf(id, sizeof(id), "%032d", (int)number);
	(void)snprintf(name, sizeof(name), "%s", responder);
	return (struct link_conversation){.number = number,
					  .id = id,
					  .peer = peer,
					  .listener = listener,
					  .responder = name,
					  .speaker = nothing,
					  .suspended = nothing,
					  .opened = NOW,
					  .waiting = waiting,
					  .waiting_since = since};
}

static struct desk_talk *add(struct desk_model *model, uint64_t number, const char *responder,
			     uint64_t waiting, uint64_t since)
{
	const struct link_conversation one = listed(number, responder, waiting, since);
	struct desk_talk *talk = desk_model_listed(model, &one);

	assert_non_null(talk);
	return talk;
}

static struct desk_talk *say(struct desk_model *model, uint64_t number, uint64_t time,
			     const char *who, uint64_t turn, const char *text)
{
	const struct link_event event = {.name = "Message",
					 .number = number,
					 .time = time,
					 .direction = who,
					 .turn = turn,
					 .text = text};

	return desk_model_said(model, &event, false);
}

static struct desk_talk *past(struct desk_model *model, uint64_t number, uint64_t time,
			      const char *who, uint64_t turn, const char *text)
{
	const struct link_event event = {.name = "Message",
					 .number = number,
					 .time = time,
					 .direction = who,
					 .turn = turn,
					 .text = text};

	return desk_model_said(model, &event, true);
}

static void tell(struct desk_model *model, const char *name, uint64_t number, uint64_t turn,
		 const char *text)
{
	const struct link_event event = {.name = name,
					 .number = number,
					 .turn = turn,
					 .text = text};

	(void)desk_model_event(model, &event, NOW);
}

/* The N numbers are these, each with a space behind it. */
static void expect_numbers(const uint64_t *numbers, size_t n, const char *wanted)
{
	char *seen = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&seen, &size);

	assert_non_null(file);
	for (size_t i = 0; i < n; i++)
		(void)fprintf(file, "%" PRIu64 " ", numbers[i]);
	assert_int_equal(fclose(file), 0);
	assert_string_equal(seen, wanted);
	free(seen);
}

static void expect_order(struct desk_model *model, const char *wanted)
{
	uint64_t numbers[16];

	desk_model_tidy(model, 0);
	assert_true(model->count <= 16);
	for (size_t i = 0; i < model->count; i++)
		numbers[i] = model->order[i]->number;
	expect_numbers(numbers, model->count, wanted);
}

static void expect_open(const struct desk_talk *talk, const char *wanted)
{
	expect_numbers(talk->open, talk->n_open, wanted);
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

static void expect_draft(const char *events, const char *wanted)
{
	char *draft = desk_draft_in(events, strlen(events), 17, 3);

	if (wanted == NULL)
		assert_null(draft);
	else
		assert_string_equal(draft, wanted);
	free(draft);
}

static void drafts_are_found(void **state)
{
	(void)state;
	expect_draft("", NULL);
	expect_draft("8 NOW draft 17 #3 half", NULL);
	expect_draft("cut draft 17 #3 oui\n9 NOW draft 17 #3 \n", "");
	expect_draft("8 NOW draft 17 #2 a\n9 NOW draft 17 #3 oui, oui\n10 NOW draft 7 #3 b\n",
		     "oui, oui");
	expect_draft("8 NOW message 17 #3 draft 17 #3 no\n9 NOW draft 17 #33 no\n", NULL);
	expect_draft("8\n9 \n10 NOW\n11 NOW draft\n", NULL);
}

static void a_draft_is_edited(void **state)
{
	struct desk_model model = {.talks = NULL};
	struct desk_talk *talk = add(&model, 1, "fifo", 1, NOW);

	(void)state;
	assert_false(desk_talk_edit_draft(talk));
	desk_talk_has_draft(talk, NOW, strdup("a\\\\b\\x07"));
	assert_string_equal(talk->lines[0].text, "draft: a\\\\b\\x07");
	assert_true(desk_talk_edit_draft(talk));
	assert_string_equal(desk_edit_text(&talk->input), "a\\b");
	assert_false(desk_talk_edit_draft(talk));
	tell(&model, "Waiting", 1, 2, NULL);
	assert_null(talk->draft);
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
	expect_sent("", 3, "", 0);
	/* With a turn, marceld takes texts as they are; else it looks at how they begin. */
	expect_sent("//etc", 3, "/etc", 3);
	expect_sent("//etc", 0, "//etc", 0);
	expect_sent("/#4 oui", 3, "#4 oui", 3);
	expect_sent("#4 oui", 3, "#4 oui", 3);
	expect_sent("#4 oui", 0, "/#4 oui", 0);
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
		cmocka_unit_test(as_many_turns_are_open_as_marceld_knows),
		cmocka_unit_test(dialogues_are_bounded),
		cmocka_unit_test(what_lives_on_keeps_what_was_said_and_typed),
		cmocka_unit_test(one_whose_list_was_never_seen_is_told_from_its_successor),
		cmocka_unit_test(what_has_ended_goes_unless_it_is_looked_at),
		cmocka_unit_test(who_left_unread_stays_until_looked_at),
		cmocka_unit_test(the_oldest_open_turn_is_answered),
		cmocka_unit_test(another_turn_can_be_chosen),
		cmocka_unit_test(what_another_one_answers_is_known_at_once),
		cmocka_unit_test(what_is_refused_comes_back),
		cmocka_unit_test(each_enter_takes_its_own_line),
		cmocka_unit_test(not_too_much_is_sent_at_once),
		cmocka_unit_test(other_orders_answer_nothing),
		cmocka_unit_test(what_is_typed_and_what_is_sent),
		cmocka_unit_test(drafts_are_found),
		cmocka_unit_test(a_draft_is_edited),
		cmocka_unit_test(ages),
	};

	/* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
