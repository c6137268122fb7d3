/*
 * The watch: what is told of conversations. Nothing is torn, and what finds no room is counted.
 */
#include "watched.h"

static void test_all_kinds(void **state)
{
	struct set *s = *state;
	struct told told;

	watch_listen(s->watch, true);
	must_be_quiet(s);
	come(s, 1, false);
	must_be(s, WATCH_OPENED, 1, "");
	must_be_quiet(s);
	says(s, 1, MARCEL_SERVER, 0, "Welcome");
	says(s, 1, MARCEL_CLIENT, 1, "Bonjour");
	says(s, 1, MARCEL_CLIENT, 2, "");
	told = must_be(s, WATCH_SAID, 1, "Welcome");
	assert_int_equal(told.event.who, MARCEL_SERVER);
	assert_int_equal(told.event.turn, 0);
	told = must_be(s, WATCH_SAID, 1, "Bonjour");
	assert_int_equal(told.event.who, MARCEL_CLIENT);
	assert_int_equal(told.event.turn, 1);
	assert_int_equal(told.event.whole, 7);
	assert_false(told.event.withheld);
	told = must_be(s, WATCH_SAID, 1, "");
	assert_int_equal(told.event.turn, 2);
	watch_waiting(s->watch, &s->c[1], 2);
	assert_int_equal(must_be(s, WATCH_WAITING, 1, "").event.turn, 2);
	watch_waiting(s->watch, &s->c[1], 0);
	assert_int_equal(must_be(s, WATCH_WAITING, 1, "").event.turn, 0);
	watch_switched(s->watch, &s->c[1], "fifo", "script", NULL);
	must_be(s, WATCH_SWITCHED, 1, "fifo");
	watch_switched(s->watch, &s->c[1], "script", NULL, "fifo");
	must_be(s, WATCH_SWITCHED, 1, "fifo");
	/* That is what was so already. */
	watch_switched(s->watch, &s->c[1], "script", NULL, "fifo");
	must_be_quiet(s);
	watch_refused(s->watch, FIRST_NUMBER + 1, 12, 1, "not-open: Trop tard", 19);
	assert_int_equal(must_be(s, WATCH_REFUSED, 1, "not-open: Trop tard").event.turn, 12);
	go(s, 1, END_END_WORD);
	must_be(s, WATCH_CLOSED, 1, "end-word");
	must_be_quiet(s);
}

/* A carried conversation was opened long ago, and one that moves on is not closed. */
static void test_carried(void **state)
{
	struct set *s = *state;

	watch_listen(s->watch, true);
	come(s, 0, true);
	must_be_quiet(s);
	go(s, 0, END_HANDOVER);
	must_be_quiet(s);
}

static void test_secret_and_long(void **state)
{
	struct set *s = *state;
	auto_free char *text = malloc((size_t)3 * WATCH_TEXT_MAX);
	struct told told;

	assert_non_null(text);
	for (size_t i = 0; i < (size_t)3 * WATCH_TEXT_MAX; i++)
		text[i] = (char)('a' + i % 26);
	watch_listen(s->watch, true);
	come(s, 0, false);
	assert_true(next(s, &told));
	watch_said(s->watch, &s->c[0], MARCEL_CLIENT, 1, NULL, MARCEL_WITHHELD);
	told = must_be(s, WATCH_SAID, 0, "");
	assert_true(told.event.withheld);
	assert_int_equal(told.event.whole, 0);
	for (size_t i = 0; i < 3; i++) {
		size_t length = WATCH_TEXT_MAX + i - 1;

		watch_said(s->watch, &s->c[0], MARCEL_SERVER, 1, text, length);
		assert_true(next(s, &told));
		assert_int_equal(told.event.whole, length);
		assert_int_equal(told.event.length, i == 0 ? length : WATCH_TEXT_MAX);
		assert_memory_equal(told.text, text, told.event.length);
	}
	watch_refused(s->watch, FIRST_NUMBER, 1, 1, text, (size_t)3 * WATCH_TEXT_MAX);
	assert_true(next(s, &told));
	assert_int_equal(told.event.length, WATCH_TEXT_MAX);
	assert_int_equal(told.event.whole, (size_t)3 * WATCH_TEXT_MAX);
	must_be_quiet(s);
}

static void test_nobody_listens(void **state)
{
	struct set *s = *state;
	char line[] = "Salut";
	struct wish wish = wish_to_say(5, line);

	come(s, 0, false);
	says(s, 0, MARCEL_CLIENT, 1, "Bonjour");
	watch_waiting(s->watch, &s->c[0], 1);
	watch_switched(s->watch, &s->c[0], "fifo", NULL, NULL);
	watch_refused(s->watch, FIRST_NUMBER, 1, 1, "x", 1);
	must_be_quiet(s);
	assert_null(s->watch->queue.bytes);
	assert_int_equal(watch_wish(s->watch, FIRST_NUMBER, &wish), 0);
	must_be_quiet(s);
	serve(s, 0, 0);
	must_be_done(s, 5, 0);
	must_be_quiet(s);
	/* Who has stopped to listen still hears what had happened until then. */
	watch_listen(s->watch, true);
	says(s, 0, MARCEL_CLIENT, 2, "two");
	watch_listen(s->watch, false);
	says(s, 0, MARCEL_CLIENT, 3, "three");
	must_be(s, WATCH_SAID, 0, "two");
	must_be_quiet(s);
}

/* What there is no room for is counted and told once; what there was room for is whole. */
static void test_full(void **state)
{
	struct set *s = *state;
	char text[WATCH_TEXT_MAX];
	uint64_t told_dropped = 0, taken = 0, seed = 4711;
	struct watch_sums sums;
	struct told told;

	watch_listen(s->watch, true);
	come(s, 0, false);
	assert_true(next(s, &told));
	for (unsigned round = 0; round < 5; round++) {
		uint64_t said = 0, heard = 0, first = taken;

		/* Until some found no room, and then some that would. */
		for (said = 0; said < 2000; said++) {
			size_t length = at_random(&seed) % 2 == 0 ? sizeof(text) : said % 50;

			(void)memset(text, (int)('a' + said % 26), length);
			watch_said(s->watch, &s->c[0], MARCEL_CLIENT, first + said + 1, text,
				   length);
		}
		assert_true(s->watch->dropped > 0);
		for (uint64_t last = 0; next(s, &told); heard++) {
			uint64_t nth = told.event.turn - first - 1;

			assert_true(told.event.turn > last);
			last = told.event.turn;
			assert_int_equal(told.event.length, told.event.whole);
			for (size_t i = 0; i < told.event.length; i++)
				assert_int_equal(told.text[i], 'a' + nth % 26);
			assert_true(heard == 0 ? told.dropped > 0 : told.dropped == 0);
			told_dropped += told.dropped;
		}
		taken += said;
		assert_true(heard > 100);
		must_be_quiet(s);
		watch_sum(s->watch, &sums);
		assert_int_equal(sums.dropped, told_dropped);
		/* Bytes are dropped, not counted twice. */
		assert_int_equal(sums.messages, taken);
	}
}

static void count_past(void *context, const struct marcel_line *line)
{
	struct told *told = context;
	struct told *one = &told[++told[0].dropped];
	size_t length = line->length == MARCEL_WITHHELD ? 0 : line->length;

	one->event = (struct watch_event){
		.time = line->time,
		.turn = line->turn,
		.who = line->who,
		.withheld = line->length == MARCEL_WITHHELD,
		.length = length,
		.whole = line->whole,
	};
	assert_in_range(length, 0, WATCH_TEXT_MAX);
	if (length > 0)
		(void)memcpy(one->text, line->text, length);
	one->text[length] = '\0';
}

#define PAST_LINES 128

/* What is kept of conversation 0: lines 1 to the number that is returned. */
static uint64_t look_back(struct set *s, struct told told[PAST_LINES])
{
	told[0].dropped = 0;
	assert_int_equal(watch_past(s->watch, FIRST_NUMBER, count_past, told), 0);
	return told[0].dropped;
}

/* It begins with the greeting, and holds nothing of who had the slot before. */
static void test_past_begins(void **state)
{
	struct set *s = *state;
	auto_free struct told *told = calloc(PAST_LINES, sizeof(*told));
	static const char greeting[] = "Welcome\r\n\nto all\n";
	struct slot_head *head;

	assert_non_null(told);
	assert_int_equal(watch_past(s->watch, FIRST_NUMBER, count_past, told), -ENOENT);
	come(s, 0, false);
	head = s->c[0].slot.head;
	/* What a slot that was used before may hold. */
	(void)memset(s->c[0].slot.past, 'x', sizeof(*s->c[0].slot.past));
	watch_keep_past(s->watch, true);
	says(s, 0, MARCEL_SERVER, 0, "Welcome");
	assert_int_equal(look_back(s, told), 0);
	(void)memcpy(s->c[0].slot.near->out, greeting, sizeof(greeting) - 1);
	head->turn[0].out_end = sizeof(greeting) - 1;
	head->turn[0].phase = PHASE_DIALOGUE;
	watch_keep_past(s->watch, false);
	says(s, 0, MARCEL_CLIENT, 1, "before");
	watch_recall(s->watch, &s->c[0]);
	assert_int_equal(look_back(s, told), 0);
	assert_null(watch_own_past(s->watch, &s->c[0]));
	watch_keep_past(s->watch, true);
	assert_null(watch_own_past(s->watch, &s->c[0]));
	watch_recall(s->watch, &s->c[0]);
	assert_ptr_equal(watch_own_past(s->watch, &s->c[0]), s->c[0].slot.past);
	watch_keep_past(s->watch, false);
	assert_null(watch_own_past(s->watch, &s->c[0]));
	watch_keep_past(s->watch, true);
	assert_int_equal(look_back(s, told), 3);
	assert_string_equal(told[1].text, "Welcome");
	assert_string_equal(told[2].text, "");
	assert_string_equal(told[3].text, "to all");
	assert_int_equal(told[3].event.who, MARCEL_SERVER);
	assert_int_equal(told[3].event.turn, 0);
	assert_int_equal(told[3].event.time, head->opened);
}

static void test_past(void **state)
{
	struct set *s = *state;
	auto_free struct told *told = calloc(PAST_LINES, sizeof(*told));
	auto_free char *text = malloc(WATCH_TEXT_MAX);
	char line[16];
	uint64_t n;

	assert_non_null(told);
	assert_non_null(text);
	(void)memset(text, 'x', WATCH_TEXT_MAX);
	watch_keep_past(s->watch, true);
	come(s, 0, false);
	s->c[0].slot.head->turn[0].phase = PHASE_DIALOGUE;
	says(s, 0, MARCEL_CLIENT, 1, "one");
	watch_said(s->watch, &s->c[0], MARCEL_CLIENT, 2, NULL, MARCEL_WITHHELD);
	says(s, 0, MARCEL_SERVER, 2, "");
	assert_int_equal(look_back(s, told), 3);
	assert_string_equal(told[1].text, "one");
	assert_int_equal(told[1].event.who, MARCEL_CLIENT);
	assert_int_equal(told[1].event.turn, 1);
	assert_true(told[2].event.withheld);
	assert_string_equal(told[2].text, "");
	assert_false(told[3].event.withheld);
	assert_int_equal(told[3].event.who, MARCEL_SERVER);
	/* The last ones stay, as many as there is room for, without a gap. */
	for (unsigned i = 3; i < 1000; i++) {
		(void)snprintf(line, sizeof(line), "%u", i);
		says(s, 0, MARCEL_CLIENT, i, line);
		n = look_back(s, told);
		assert_true(n < PAST_LINES);
		assert_true(i < 20 || n >= 20);
		for (uint64_t k = 1; k <= n; k++) {
			if (i + k < n + 3)
				continue;
			(void)snprintf(line, sizeof(line), "%u", (unsigned)(i - n + k));
			assert_string_equal(told[k].text, line);
		}
	}
	/* A long one is cut, and leaves room for another. */
	watch_said(s->watch, &s->c[0], MARCEL_SERVER, 1000, text, WATCH_TEXT_MAX);
	n = look_back(s, told);
	assert_true(n >= 2);
	assert_string_equal(told[n - 1].text, "999");
	assert_int_equal(told[n].event.whole, WATCH_TEXT_MAX);
	assert_in_range(told[n].event.length, 1000, WATCH_TEXT_MAX - 1);
	assert_memory_equal(told[n].text, text, told[n].event.length);
	/* The next one has none of it. */
	go(s, 0, END_STOP);
	assert_int_equal(watch_past(s->watch, FIRST_NUMBER, count_past, told), -ENOENT);
	come(s, 0, false);
	assert_int_equal(look_back(s, told), 0);
}

/* Another process goes on, and what was said in a turn that is not in force is said again. */
static void test_past_goes_on(void **state)
{
	struct set *s = *state;
	auto_free struct told *told = calloc(PAST_LINES, sizeof(*told));
	struct slot_head *head;

	assert_non_null(told);
	watch_keep_past(s->watch, true);
	come(s, 0, false);
	head = s->c[0].slot.head;
	head->turn[0].phase = PHASE_DIALOGUE;
	says(s, 0, MARCEL_CLIENT, 1, "one");
	says(s, 0, MARCEL_SERVER, 1, "answer");
	head->turn[0].messages = 1;
	says(s, 0, MARCEL_CLIENT, 2, "two");
	go(s, 0, END_HANDOVER);
	come(s, 0, true);
	watch_recall(s->watch, &s->c[0]);
	assert_int_equal(look_back(s, told), 2);
	assert_string_equal(told[2].text, "answer");
	says(s, 0, MARCEL_CLIENT, 2, "two");
	assert_int_equal(look_back(s, told), 3);
	assert_string_equal(told[3].text, "two");
	/* What makes no sense is dropped. */
	go(s, 0, END_HANDOVER);
	(void)memset(s->c[0].slot.past, 0xff, sizeof(*s->c[0].slot.past));
	come(s, 0, true);
	watch_recall(s->watch, &s->c[0]);
	assert_int_equal(look_back(s, told), 0);
}

static const struct marcel_responder_ops below_ops = {.name = "echo"};

static bool list(void *context, const struct watch_view *view)
{
	char *text = context;
	size_t used = strlen(text);

	(void)snprintf(text + used, 64 - used, "%u ", (unsigned)view->number);
	return view->number < FIRST_NUMBER + 2;
}

static void test_views(void **state)
{
	struct set *s = *state;
	struct watch_sums sums;
	struct watch_view view;
	char listed[64] = "";

	for (uint32_t i = 0; i < SLOTS; i++)
		come(s, i, i == 3);
	s->c[2].below.responder = &below_ops;
	watch_switched(s->watch, &s->c[2], "fifo", "echo", "somebody");
	says(s, 2, MARCEL_CLIENT, 3, "x");
	watch_waiting(s->watch, &s->c[2], 2);
	atomic_store(&s->c[2].slot.head->in_read, 17);
	atomic_store(&s->c[2].slot.head->out_sent, 18);
	assert_int_equal(watch_look(s->watch, FIRST_NUMBER + 2, &view), 0);
	assert_int_equal(view.number, FIRST_NUMBER + 2);
	assert_int_equal(view.id[15], 3);
	assert_string_equal(view.peer, "peer 2");
	assert_string_equal(view.listener, "marcel");
	assert_string_equal(view.responder, "fifo");
	assert_string_equal(view.suspended, "echo");
	assert_string_equal(view.speaker, "somebody");
	assert_int_equal(view.opened, 1002);
	assert_int_equal(view.turns, 3);
	assert_int_equal(view.waiting, 2);
	assert_true(view.waiting_since > 0 && view.last > 0);
	assert_int_equal(view.bytes_in, 17);
	assert_int_equal(view.bytes_out, 18);
	assert_int_equal(watch_look(s->watch, FIRST_NUMBER + SLOTS, &view), -ENOENT);
	assert_int_equal(watch_look(s->watch, 0, &view), -ENOENT);
	watch_each(s->watch, list, listed);
	assert_string_equal(listed, "100 101 102 ");
	go(s, 1, END_IDLE);
	listed[0] = '\0';
	watch_each(s->watch, list, listed);
	assert_string_equal(listed, "100 102 ");
	watch_obeyed(s->watch);
	watch_refused(s->watch, FIRST_NUMBER, 1, 1, "x", 1);
	watch_sum(s->watch, &sums);
	assert_int_equal(sums.live, 3);
	assert_int_equal(sums.begun, 3);
	assert_int_equal(sums.carried, 1);
	assert_int_equal(sums.waiting, 1);
	assert_int_equal(sums.messages, 3);
	assert_int_equal(sums.orders, 1);
	assert_int_equal(sums.refused, 1);
	assert_int_equal(sums.ended[END_IDLE], 1);
	go(s, 2, END_END_WORD);
	watch_sum(s->watch, &sums);
	assert_int_equal(sums.live, 2);
	assert_int_equal(sums.waiting, 0);
	/* What it was is not gone with it. */
	assert_int_equal(sums.messages, 3);
	assert_int_equal(sums.bytes_in, 17);
	assert_int_equal(sums.bytes_out, 18);
}

/* Since when the conversation INDEX waits, which it does for TURN from now on. */
static usec_t waits(struct set *s, uint32_t index, uint64_t turn)
{
	struct watch_view view;

	watch_waiting(s->watch, &s->c[index], turn);
	assert_int_equal(watch_look(s->watch, FIRST_NUMBER + index, &view), 0);
	assert_int_equal(view.waiting, turn);
	return view.waiting_since;
}

/* A little later than EARLIER. */
static usec_t later(usec_t earlier)
{
	usec_t now;

	do
		now = clock_realtime();
	while (now <= earlier + 1000);
	return now;
}

/* The age is that of the oldest message that waits, not of the first that ever did. */
static void test_waits_since_it_came(void **state)
{
	usec_t first, second, now = clock_realtime();
	struct set *s = *state;

	come(s, 0, false);
	/* It is told that it waits before what it says is. */
	first = waits(s, 0, 1);
	assert_true(first >= now);
	now = later(first);
	says(s, 0, MARCEL_CLIENT, 1, "un");
	says(s, 0, MARCEL_CLIENT, 2, "deux");
	now = later(now + 1000);
	second = waits(s, 0, 2);
	assert_true(second > first && second < now);
	/* So it is when an operator comes, or comes back, later. */
	assert_int_equal(waits(s, 0, 0), 0);
	assert_int_equal(waits(s, 0, 2), second);
	/* With many more behind it, it is as old as the oldest that is known, at least. */
	for (uint64_t turn = 3; turn < 3 + CAME_MAX; turn++)
		says(s, 0, MARCEL_CLIENT, turn, "encore");
	first = waits(s, 0, 2);
	assert_true(first > second);
	assert_int_equal(waits(s, 0, 3), first);
}

/* What came to an earlier process waits since this one knows of it. */
static void test_carried_waits(void **state)
{
	struct set *s = *state;
	usec_t since;

	come(s, 0, true);
	says(s, 0, MARCEL_CLIENT, 5, "cinq");
	since = waits(s, 0, 3);
	assert_true(since > 0);
	(void)later(since);
	assert_int_equal(waits(s, 0, 4), since);
	assert_true(waits(s, 0, 5) <= since);
	/* Nor is it known here when another conversation's messages came. */
	go(s, 0, END_STOP);
	(void)later(since + 1000);
	come(s, 0, false);
	assert_true(waits(s, 0, 5) > since);
}

static void *await_restored(void *argument)
{
	watch_await_restored(argument, USEC_NEVER);
	return NULL;
}

/* Who looks waits until all that was resumed is restored, or over, or he has no time. */
static void test_restored(void **state)
{
	struct set *s = *state;
	pthread_t thread;

	watch_await_restored(s->watch, USEC_NEVER);
	come(s, 0, false);
	watch_await_restored(s->watch, USEC_NEVER);
	come(s, 1, true);
	come(s, 2, true);
	come(s, 3, true);
	watch_await_restored(s->watch, clock_now());
	watch_restored(s->watch, &s->c[0]);
	watch_restored(s->watch, &s->c[1]);
	watch_restored(s->watch, &s->c[1]);
	go(s, 2, END_RESET);
	assert_int_equal(s->watch->restoring, 1);
	assert_int_equal(pthread_create(&thread, NULL, await_restored, s->watch), 0);
	watch_restored(s->watch, &s->c[3]);
	assert_int_equal(pthread_join(thread, NULL), 0);
	/* Its thread has ended as well by now. */
	go(s, 3, END_RESET);
	assert_int_equal(s->watch->restoring, 0);
	come(s, 2, true);
	assert_int_equal(pthread_create(&thread, NULL, await_restored, s->watch), 0);
	watch_hurry(s->watch);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_nobody_watches(void **state)
{
	struct set *s = *state;

	come(s, 0, false);
	watch_free(NULL);
	watch_keep_past(NULL, true);
	watch_begin(NULL, &s->c[0]);
	watch_restored(NULL, &s->c[0]);
	watch_said(NULL, &s->c[0], MARCEL_CLIENT, 1, "x", 1);
	watch_waiting(NULL, &s->c[0], 1);
	watch_switched(NULL, &s->c[0], "fifo", NULL, NULL);
	watch_refused(NULL, FIRST_NUMBER, 1, 1, "x", 1);
	watch_obeyed(NULL);
	assert_null(watch_take_wish(NULL, &s->c[0]));
	watch_end(NULL, &s->c[0], END_STOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_kinds),
		TEST(test_carried),
		TEST(test_secret_and_long),
		TEST(test_nobody_listens),
		TEST(test_full),
		TEST(test_past_begins),
		TEST(test_past),
		TEST(test_past_goes_on),
		TEST(test_views),
		TEST(test_nobody_watches),
		TEST(test_waits_since_it_came),
		TEST(test_carried_waits),
		TEST(test_restored),
	};

	return cmocka_run_group_tests_name("converse/watch", tests, NULL, NULL);
}
