/*
 * What is asked of conversations: every wish is answered once, in order, whoever ends meanwhile;
 * and nobody who talks ever waits for who watches.
 */
#include <sched.h>

#include "base/lock.h"
#include "watched.h"

static void test_wishes(void **state)
{
	struct set *s = *state;
	char line[] = "Bonjour";
	struct wish say = wish_to_say(1, line);
	struct wish take = {.kind = WISH_TAKE, .ticket = 2, .responder = "fifo"};
	const struct wish *wish;
	struct watch_sums sums;

	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &say), -ENOENT);
	assert_int_equal(watch_wish(s->watch, 0, &say), -ENOENT);
	come(s, 0, false);
	come(s, 1, false);
	assert_null(watch_take_wish(s->watch, &s->c[0]));
	say.turn = 12;
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &say), 0);
	/* It was copied. */
	(void)memset(line, 'x', strlen(line));
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &take), 0);
	assert_int_equal(wire_take_mail(&s->c[0].wire), MAIL_WISH);
	assert_int_equal(wire_take_mail(&s->c[1].wire), 0);
	assert_null(watch_take_wish(s->watch, &s->c[1]));
	wish = watch_take_wish(s->watch, &s->c[0]);
	assert_non_null(wish);
	assert_int_equal(wish->kind, WISH_SAY);
	assert_int_equal(wish->turn, 12);
	assert_int_equal(wish->length, 7);
	assert_memory_equal(wish->line, "Bonjour", 7);
	/* Until it is answered it is the oldest, and nothing is told. */
	assert_ptr_equal(watch_take_wish(s->watch, &s->c[0]), wish);
	must_be_quiet(s);
	/* An answer to another one is none, and one to this one is the only one. */
	watch_answer(s->watch, &s->c[0], 2, 0);
	watch_answer(s->watch, &s->c[0], 99, 0);
	must_be_quiet(s);
	watch_answer(s->watch, &s->c[0], 1, -ESTALE);
	must_be_done(s, 1, -ESTALE);
	watch_answer(s->watch, &s->c[0], 1, 0);
	must_be_quiet(s);
	wish = watch_take_wish(s->watch, &s->c[0]);
	assert_int_equal(wish->kind, WISH_TAKE);
	assert_string_equal(wish->responder, "fifo");
	watch_answer(s->watch, &s->c[0], 2, 0);
	must_be_done(s, 2, 0);
	assert_null(watch_take_wish(s->watch, &s->c[0]));
	must_be_quiet(s);
	/* It was carried out; what was said is told by whoever said it. */
	watch_sum(s->watch, &sums);
	assert_int_equal(sums.orders, 1);
}

static void test_too_many_wishes(void **state)
{
	struct set *s = *state;
	auto_free char *line = calloc(1, WISH_LINE_MAX + 2);
	struct wish wish = {.kind = WISH_SAY};
	struct watch_sums sums;

	assert_non_null(line);
	(void)memset(line, 'x', WISH_LINE_MAX + 1);
	wish.line = line;
	wish.length = WISH_LINE_MAX + 1;
	wish.ticket = 1;
	come(s, 0, false);
	come(s, 1, false);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &wish), -E2BIG);
	assert_int_equal(wire_take_mail(&s->c[0].wire), 0);
	wish.length = WISH_LINE_MAX;
	for (wish.ticket = 1; wish.ticket <= WISHES_MAX; wish.ticket++)
		assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &wish), 0);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &wish), -ENOBUFS);
	/* Each for itself. */
	wish.ticket = 100;
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER + 1, &wish), 0);
	serve(s, 1, 0);
	must_be_done(s, 100, 0);
	serve(s, 0, 0);
	for (uint64_t i = 1; i <= WISHES_MAX; i++)
		must_be_done(s, i, 0);
	must_be_quiet(s);
	watch_sum(s->watch, &sums);
	assert_int_equal(sums.orders, 0);
	/* There is room again; who ends leaves none without an answer. */
	wish.length = 0;
	wish.line = NULL;
	for (wish.ticket = 1; wish.ticket <= WISHES_MAX; wish.ticket++)
		assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &wish), 0);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER + 1, &wish), 0);
	go(s, 0, END_RESET);
	for (uint64_t i = 1; i <= WISHES_MAX; i++)
		must_be_done(s, i, -ENOENT);
	go(s, 1, END_HANDOVER);
	must_be_done(s, WISHES_MAX + 1, -ECANCELED);
	must_be_quiet(s);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &wish), -ENOENT);
	/* What nobody came to fetch, or to answer, is freed. */
	come(s, 0, false);
	come(s, 1, false);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &wish), 0);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER + 1, &wish), 0);
	go(s, 0, END_STOP);
}

/* Who only ends still has nobody wait. */
static void test_closing(void **state)
{
	struct set *s = *state;
	char line[] = "Bonjour";
	struct wish say = wish_to_say(1, line);
	struct wish close = {.kind = WISH_CLOSE, .ticket = 2};
	struct wish take = {.kind = WISH_TAKE, .ticket = 3, .responder = "fifo"};
	struct watch_view view;
	usec_t since;

	watch_closing(NULL, &s->c[0]);
	come(s, 0, false);
	come(s, 1, false);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &say), 0);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &take), 0);
	assert_false(watch_wants_end(s->watch, &s->c[0]));
	assert_int_equal(watch_look(s->watch, FIRST_NUMBER, &view), 0);
	assert_int_equal(view.closing, 0);
	watch_closing(s->watch, &s->c[0]);
	must_be_done(s, 1, -ESHUTDOWN);
	must_be_done(s, 3, -ESHUTDOWN);
	must_be_quiet(s);
	assert_null(watch_take_wish(s->watch, &s->c[0]));
	assert_int_equal(watch_look(s->watch, FIRST_NUMBER, &view), 0);
	since = view.closing;
	assert_true(since > 0);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &say), -ESHUTDOWN);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &take), -ESHUTDOWN);
	must_be_quiet(s);
	(void)wire_take_mail(&s->c[0].wire);
	assert_false(watch_wants_end(s->watch, &s->c[0]));
	/* That is so already; and its thread hears of it, for its client may be slow. */
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &close), 0);
	must_be_done(s, 2, 0);
	must_be_quiet(s);
	assert_int_equal(wire_take_mail(&s->c[0].wire), MAIL_WISH);
	assert_true(watch_wants_end(s->watch, &s->c[0]));
	watch_closing(s->watch, &s->c[0]);
	assert_int_equal(watch_look(s->watch, FIRST_NUMBER, &view), 0);
	assert_int_equal(view.closing, since);
	/* The next one in this place begins anew, and so do others. */
	go(s, 0, END_OPERATOR);
	come(s, 0, false);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &close), 0);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER + 1, &close), 0);
	must_be_quiet(s);
	watch_closing(s->watch, &s->c[0]);
	must_be_done(s, 2, 0);
	assert_true(watch_wants_end(s->watch, &s->c[0]));
	must_be_quiet(s);
}

/* Where no other wish finds room, one to end it does; it is seen at once, and comes last. */
static void test_close_has_room(void **state)
{
	struct set *s = *state;
	struct wish wish = {.kind = WISH_SAY};
	const struct wish close = {.kind = WISH_CLOSE, .ticket = WISHES_MAX + 1};

	come(s, 0, false);
	for (wish.ticket = 1; wish.ticket <= WISHES_MAX; wish.ticket++)
		assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &wish), 0);
	assert_false(watch_wants_end(s->watch, &s->c[0]));
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &close), 0);
	assert_true(watch_wants_end(s->watch, &s->c[0]));
	/* One is enough. */
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &close), -ENOBUFS);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &wish), -ENOBUFS);
	serve(s, 0, 0);
	for (uint64_t i = 1; i <= WISHES_MAX + 1; i++)
		must_be_done(s, i, 0);
	must_be_quiet(s);
	go(s, 0, END_OPERATOR);
}

/* What happened before a wish was answered is told before the answer. */
static void test_events_before_answers(void **state)
{
	struct set *s = *state;
	struct wish wish = {.kind = WISH_CLOSE, .ticket = 9};

	come(s, 0, false);
	watch_listen(s->watch, true);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &wish), 0);
	watch_switched(s->watch, &s->c[0], "fifo", "script", NULL);
	serve(s, 0, 0);
	must_be(s, WATCH_SWITCHED, 0, "fifo");
	must_be_done(s, 9, 0);
	must_be_quiet(s);
}

/* What happens after a wish was answered doesn't put the answer off. */
static void test_answers_before_what_comes_later(void **state)
{
	struct set *s = *state;
	struct wish wish = {.kind = WISH_CLOSE, .ticket = 9};

	come(s, 0, false);
	watch_listen(s->watch, true);
	says(s, 0, MARCEL_CLIENT, 1, "before");
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &wish), 0);
	serve(s, 0, 0);
	says(s, 0, MARCEL_CLIENT, 2, "after");
	must_be(s, WATCH_SAID, 0, "before");
	must_be_done(s, 9, 0);
	must_be(s, WATCH_SAID, 0, "after");
	must_be_quiet(s);
}

/*
 * Together: each slot has one conversation after another, with a thread that talks as fast as it
 * can and does what is wished; one thread looks, wishes and reads; and this one lets conversations
 * begin and end, as the main thread does.
 */
struct together {
	struct set *s;
	_Atomic bool over;
	uint64_t wished; /* by control */
	uint64_t answered;
	uint64_t carried_out;
	uint64_t gone;
	uint64_t said;
	uint64_t dropped;
	const char *complaint;
};

struct talker {
	struct together *t;
	uint32_t index;
	_Atomic bool over;
};

/* Lines whose bytes are all the same, so that a torn one shows. */
static void talk(struct talker *talker, uint64_t turn, uint64_t *seed)
{
	struct set *s = talker->t->s;
	struct conversation *c = &s->c[talker->index];
	char text[256];
	size_t length = at_random(seed) % sizeof(text);

	(void)memset(text, (int)('a' + turn % 26), sizeof(text));
	watch_said(s->watch, c, MARCEL_CLIENT, turn, text,
		   at_random(seed) % 8 == 0 ? MARCEL_WITHHELD : length);
	if (turn % 3 == 0)
		watch_waiting(s->watch, c, turn % 2 == 0 ? turn : 0);
	if (turn % 5 == 0)
		watch_switched(s->watch, c, turn % 2 == 0 ? "script" : "fifo",
			       turn % 2 == 0 ? NULL : "script", turn % 3 == 0 ? "fifo" : NULL);
	if (turn % 7 == 0)
		watch_refused(s->watch, c->slot.head->number, turn, 1, text, 3);
}

/* A conversation's thread: talks, and does what is wished, until it has done both for a while. */
static void *talk_long(void *argument)
{
	struct talker *talker = argument;
	struct set *s = talker->t->s;
	struct conversation *c = &s->c[talker->index];
	uint64_t seed = c->slot.head->number;
	const struct wish *wish;

	wire_attach(&c->wire);
	c->slot.head->turn[0].phase = PHASE_DIALOGUE;
	for (uint64_t turn = 1; turn < 200; turn++) {
		talk(talker, turn, &seed);
		if ((wire_take_mail(&c->wire) & MAIL_WISH) == 0)
			continue;
		while ((wish = watch_take_wish(s->watch, c)) != NULL) {
			int result = memcmp(wish->line, "wish", 4) == 0 ? 0 : -EBADMSG;

			if (result == 0)
				watch_obeyed(s->watch);
			watch_answer(s->watch, c, wish->ticket, result);
		}
	}
	wire_detach(&c->wire, false);
	atomic_store(&talker->over, true);
	return NULL;
}

/* Whether EVENT, with TEXT, is whole. */
static bool is_whole(const struct watch_event *event, const char *text)
{
	for (size_t i = 0; event->kind == WATCH_SAID && i < event->length; i++)
		if (text[i] != (char)('a' + event->turn % 26))
			return false;
	return event->length <= WATCH_TEXT_MAX && event->kind <= WATCH_DONE;
}

static void check_past(void *context, const struct marcel_line *line)
{
	struct together *t = context;
	const struct watch_event said = {
		.kind = WATCH_SAID,
		.turn = line->turn,
		.length = line->length == MARCEL_WITHHELD ? 0 : line->length,
		.whole = line->whole,
	};

	if (!is_whole(&said, line->text))
		t->complaint = "a line of the past is torn";
}

static bool check_view(void *context, const struct watch_view *view)
{
	struct together *t = context;

	if (view->number < FIRST_NUMBER || strncmp(view->peer, "peer ", 5) != 0 ||
	    (strcmp(view->responder, "script") != 0 && strcmp(view->responder, "fifo") != 0))
		t->complaint = "a view is torn";
	return true;
}

/* Reads what there is. */
static void hear(struct together *t, struct told *told)
{
	while (next(t->s, told)) {
		t->dropped += told->dropped;
		if (!is_whole(&told->event, told->text))
			t->complaint = "an event is torn";
		t->said += told->event.kind == WATCH_SAID;
		if (told->event.kind != WATCH_DONE)
			continue;
		t->answered++;
		t->carried_out += told->event.result == 0;
		t->gone += told->event.result == -ENOENT;
	}
	t->dropped += told->dropped;
}

static void *control(void *argument)
{
	struct together *t = argument;
	struct set *s = t->s;
	auto_free struct told *told = calloc(1, sizeof(*told));
	struct watch_sums sums, before = {.live = 0};
	char line[] = "wish";
	uint64_t seed = 99;

	watch_listen(s->watch, true);
	while (told != NULL && !atomic_load(&t->over)) {
		uint64_t number = FIRST_NUMBER + at_random(&seed) % SLOTS;
		struct wish wish = wish_to_say(t->wished + 1, line);
		struct watch_view view;

		if (watch_wish(s->watch, number, &wish) == 0)
			t->wished++;
		if (watch_look(s->watch, number, &view) == 0)
			(void)check_view(t, &view);
		(void)watch_past(s->watch, number, check_past, t);
		watch_each(s->watch, check_view, t);
		watch_sum(s->watch, &sums);
		if (sums.messages < before.messages || sums.begun < before.begun)
			t->complaint = "what only grows has shrunk";
		before = sums;
		hear(t, told);
	}
	if (told != NULL)
		hear(t, told);
	return NULL;
}

static void test_together(void **state)
{
	struct set *s = *state;
	struct together t = {.s = s};
	struct talker talkers[SLOTS] = {{.t = &t}};
	pthread_t threads[SLOTS] = {0}, controller;
	unsigned conversations = repeat(1000), begun = 0, ended = 0;
	struct watch_sums sums;

	watch_keep_past(s->watch, true);
	assert_int_equal(pthread_create(&controller, NULL, control, &t), 0);
	while (ended < conversations) {
		for (uint32_t i = 0; i < SLOTS; i++) {
			if (s->clients[i] >= 0 && atomic_load(&talkers[i].over)) {
				watch_end(s->watch, &s->c[i], END_END_WORD);
				(void)pthread_join(threads[i], NULL);
				wire_done(&s->c[i].wire);
				close_fd(&s->clients[i]);
				ended++;
			}
			if (s->clients[i] < 0 && begun < conversations) {
				come(s, i, false);
				talkers[i] = (struct talker){.t = &t, .index = i};
				assert_int_equal(pthread_create(&threads[i], NULL, talk_long,
								&talkers[i]),
						 0);
				begun++;
			}
		}
		(void)sched_yield();
	}
	atomic_store(&t.over, true);
	(void)pthread_join(controller, NULL);
	if (t.complaint != NULL)
		fail_msg("%s", t.complaint);
	assert_int_equal(t.answered, t.wished);
	assert_int_equal(t.carried_out + t.gone, t.wished);
	watch_sum(s->watch, &sums);
	assert_int_equal(sums.orders, t.carried_out);
	assert_int_equal(sums.dropped, t.dropped);
	assert_int_equal(sums.begun, conversations);
	assert_int_equal(sums.ended[END_END_WORD], conversations);
	assert_int_equal(sums.messages, conversations * 199);
	assert_int_equal(sums.live, 0);
	assert_true(t.said + t.dropped > 0);
	print_message("%u conversations, %u lines heard, %u wishes, %u of them too late\n",
		      conversations, (unsigned)t.said, (unsigned)t.wished, (unsigned)t.gone);
}

static int begin(void **state)
{
	(void)state;
	wire_init_signal();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_wishes),
		TEST(test_too_many_wishes),
		TEST(test_closing),
		TEST(test_close_has_room),
		TEST(test_events_before_answers),
		TEST(test_answers_before_what_comes_later),
		TEST(test_together),
	};

	return cmocka_run_group_tests_name("converse/watch-wishes", tests, begin, NULL);
}
