/*
 * Switched conversations in other processes, whose responders may have grown meanwhile; and in
 * their own threads, with a client that notices nothing but who answers.
 */
#include <poll.h>
#include <pthread.h>

#include "converse/endword.h"
#include "theatre.h"

/* The linker's names for what it wraps are not ours to choose. */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,readability-identifier-naming) */
void __wrap_record_event(void);
void __wrap_record_said_by(void);

void __wrap_record_event(void)
{
}

void __wrap_record_said_by(void)
{
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,readability-identifier-naming) */

static unsigned restored;
static size_t grown_size;

/* What was not there before is zero; now it isn't. */
static int restore(struct marcel_conversation *c, uint32_t version)
{
	struct actor *actor = c->state;
	size_t had = sizeof(*actor) + actor->filled;

	assert_int_equal(version, 1);
	actor_check(c, actor->name);
	assert_true(c->state_used >= had);
	if (grown_size > 0) {
		assert_int_equal(c->state_size, grown_size);
		assert_int_equal(c->state_used, grown_size);
		for (size_t i = had; i < grown_size; i++)
			assert_int_equal(((const char *)c->state)[i], 0);
		(void)memset((char *)c->state + had, 'N', grown_size - had);
	}
	restored++;
	return 0;
}

/* "large" is suspended by "small"; the next process has GROWN, whose state is longer, as the one
 * and the other. */
static void open_suspended(struct theatre *t, size_t used)
{
	char fill[16];

	theatre_open(t, &third);
	theatre_say(t, "u200");
	assert_int_equal(theatre_wish(t, WISH_TAKE, "large"), 0);
	(void)snprintf(fill, sizeof(fill), "u%zu", used);
	theatre_say(t, fill);
	restored = 0;
}

static int do_restore(struct theatre *t)
{
	struct turn turn;
	int r;

	turn_begin(&turn, &t->c);
	r = turn_restore(&turn);
	if (r == 0)
		turn_commit_restored(&turn);
	return r;
}

static void test_suspended_state_grows(void **state)
{
	struct marcel_responder_ops grown = third;
	struct theatre t;

	(void)state;
	grown.state_version = 2;
	grown.restore = restore;
	for (size_t size = 200; size < 500; size += 33) {
		open_suspended(&t, 15000);
		grown.state_size = grown_size = size;
		theatre_restart(&t, &large, &grown);
		assert_int_equal(do_restore(&t), 0);
		assert_int_equal(restored, 1);
		theatre_has(&t, "large", "third");
		/* Neither has touched the other. */
		theatre_say(&t, "you?");
		theatre_heard(&t, "large 2\n");
		theatre_say(&t, "u15000");
		assert_int_equal(theatre_wish(&t, WISH_GIVE, "third"), 0);
		assert_int_equal(theatre_turn(&t)->state_size, size);
		assert_int_equal(theatre_turn(&t)->state_version, 2);
		theatre_say(&t, "you?");
		theatre_heard(&t, "third 2\n");
		for (size_t i = 200; i < size; i++)
			assert_int_equal(slot_state(&t.c.slot)[i], 'N');
		theatre_close(&t);
	}
}

/* There is no room for the one or the other beside what there is: nothing is overwritten. */
static void test_no_room_to_grow(void **state)
{
	struct marcel_responder_ops grown = third;
	struct theatre t;
	struct snapshot before, after;
	char area[MARCEL_STATE_MAX];

	(void)state;
	grown.state_version = 2;
	grown.restore = restore;
	grown_size = 0;
	for (unsigned i = 0; i < 2; i++) {
		bool below = i == 0;

		open_suspended(&t, 15000);
		grown.state_size = below ? 2000 : MARCEL_STATE_MAX;
		grown.name = below ? "third" : "large";
		before = theatre_found(&t);
		(void)memcpy(area, before.state, sizeof(area));
		theatre_restart(&t, below ? &large : &grown, below ? &grown : &third);
		assert_int_equal(do_restore(&t), -ENOSPC);
		assert_int_equal(restored, 0);
		after = theatre_found(&t);
		assert_memory_equal(&after.turn, &before.turn, sizeof(after.turn));
		assert_memory_equal(after.state, area, sizeof(area));
		theatre_close(&t);
	}
}

/* Both are restored, and one that has nothing to restore stays as it is. */
static void test_restored(void **state)
{
	struct marcel_responder_ops restoring_large = large, restoring_third = third;
	struct theatre t;

	(void)state;
	restoring_large.restore = restoring_third.restore = restore;
	grown_size = 0;
	for (unsigned i = 0; i < 4; i++) {
		bool top = i % 2 == 0, below = i < 2;

		open_suspended(&t, 15912);
		theatre_restart(&t, top ? &restoring_large : &large,
				below ? &restoring_third : &third);
		if (top || below)
			assert_int_equal(do_restore(&t), 0);
		assert_int_equal(restored, (top ? 1 : 0) + (below ? 1 : 0));
		theatre_say(&t, "you?");
		assert_int_equal(theatre_wish(&t, WISH_GIVE, "third"), 0);
		theatre_say(&t, "you?");
		theatre_heard(&t, "large 2\nthird 2\n");
		theatre_close(&t);
	}
}

/* In its own thread. */

static void *converse(void *argument)
{
	conversation_run(argument);
	return NULL;
}

static void say(const struct theatre *t, const char *text)
{
	assert_int_equal(send(t->client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The client hears exactly EXPECTED. */
static void must_hear(const struct theatre *t, const char *expected)
{
	char heard[512];
	size_t length = strlen(expected);

	assert_int_equal(recv(t->client, heard, length, MSG_WAITALL), length);
	assert_memory_equal(heard, expected, length);
}

/* Wishes, and waits until it is done. */
static int wish(struct theatre *t, enum wish_kind kind, const char *name)
{
	struct wish wish = {.kind = kind, .ticket = ++t->ticket};
	struct watch_event event;
	char text[WATCH_TEXT_MAX];
	uint64_t dropped;

	(void)snprintf(wish.responder, sizeof(wish.responder), "%s", name);
	assert_int_equal(watch_wish(t->watch, THEATRE_NUMBER, &wish), 0);
	do {
		struct pollfd fd = {.fd = watch_fd(t->watch), .events = POLLIN};

		assert_int_equal(poll(&fd, 1, -1), 1);
	} while (watch_next(t->watch, &event, text, &dropped) == 0);
	assert_int_equal(event.kind, WATCH_DONE);
	assert_int_equal(event.ticket, t->ticket);
	return event.result;
}

/* While nobody wants a message, wishes are heard, too. */
static void check_holding(struct theatre *t)
{
	struct watch_view view;
	uint64_t turns;

	assert_int_equal(watch_look(t->watch, THEATRE_NUMBER, &view), 0);
	turns = view.turns;
	say(t, "h\nyou?\n");
	while (view.turns == turns)
		assert_int_equal(watch_look(t->watch, THEATRE_NUMBER, &view), 0);
	assert_int_equal(wish(t, WISH_TAKE, "large"), -EALREADY);
	assert_int_equal(wish(t, WISH_TAKE, "small"), 0);
	must_hear(t, "small 1\n");
	assert_int_equal(wish(t, WISH_GIVE, "large"), 0);
}

static void check_live(struct pair pair, bool peeks)
{
	const int from_the_start = 0;
	struct theatre t;
	pthread_t thread;
	char text[64];

	if (peeks)
		assert_int_equal(setsockopt(pair.server, SOL_SOCKET, SO_PEEK_OFF, &from_the_start,
					    sizeof(from_the_start)),
				 0);
	theatre_build(&t, &large, pair);
	t.c.wire.peeks = peeks;
	actors_silent = true;
	assert_int_equal(pthread_create(&thread, NULL, converse, &t.c), 0);
	say(&t, "you?\nu15912\nyou?\n");
	must_hear(&t, "large 1\nlarge 3\n");
	for (unsigned i = 0; i < repeat(200); i++) {
		assert_int_equal(wish(&t, WISH_TAKE, "small"), 0);
		say(&t, "you?\nu64\nyou?\n");
		must_hear(&t, "small 1\nsmall 3\n");
		assert_int_equal(wish(&t, WISH_TAKE, "third"), -EALREADY);
		/* By itself, with messages behind that the other one answers. */
		if (i % 2 == 0) {
			say(&t, "glarge\nyou?\n");
			must_hear(&t, "bye\n");
		} else {
			assert_int_equal(wish(&t, WISH_GIVE, "large"), 0);
			say(&t, "you?\n");
		}
		(void)snprintf(text, sizeof(text), "large %u\n", 4 + i);
		must_hear(&t, text);
	}
	check_holding(&t);
	assert_int_equal(wish(&t, WISH_CLOSE, ""), 0);
	assert_int_equal(shutdown(t.client, SHUT_WR), 0);
	(void)pthread_join(thread, NULL);
	assert_int_equal(recv(t.client, text, sizeof(text), 0), 0);
	assert_int_equal(theatre_turn(&t)->reason, END_OPERATOR);
	actors_silent = false;
	theatre_close(&t);
}

static void test_live(void **state)
{
	(void)state;
	check_live(tcp_pair(), false);
	check_live(unix_pair(), true);
}

static const char *porter_gives_to = "third";

static int porter_greet(struct marcel_conversation *c, struct marcel_sink *sink)
{
	c->give_to = porter_gives_to;
	(void)marcel_say(sink, "this way", 8);
	return MARCEL_GIVE;
}

static int porter_respond(struct marcel_conversation *c, const char *message, size_t length,
			  struct marcel_sink *sink)
{
	(void)c;
	(void)message;
	(void)length;
	return marcel_say(sink, "porter", 6);
}

/* Who gives the conversation away in its greeting; or would. */
static void test_given_in_the_greeting(void **state)
{
	static const struct marcel_responder_ops porter = {.abi = MARCEL_RESPONDER_ABI,
							   .name = "porter",
							   .greet = porter_greet,
							   .respond = porter_respond};
	static const char *const heirs[] = {"third", "nobody"};
	static const char *const answers[] = {"this way\nthird here\nthird 1\n",
					      "this way\nporter\n"};

	static const char *const did[] = {"+third hello third !third=end-of-input", ""};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct theatre t;
		pthread_t thread;

		porter_gives_to = heirs[i];
		theatre_build(&t, &porter, tcp_pair());
		assert_int_equal(pthread_create(&thread, NULL, converse, &t.c), 0);
		say(&t, "you?\n");
		must_hear(&t, answers[i]);
		assert_int_equal(shutdown(t.client, SHUT_WR), 0);
		(void)pthread_join(thread, NULL);
		assert_string_equal(actors_did(), did[i]);
		theatre_close(&t);
	}
}

static int set_up(void **state)
{
	(void)state;
	wire_init_signal();
	endword_init();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suspended_state_grows),
		cmocka_unit_test(test_no_room_to_grow),
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_given_in_the_greeting),
	};

	return cmocka_run_group_tests_name("converse/switch-carried", tests, set_up, NULL);
}
