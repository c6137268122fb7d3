/*
 * What is wished of a conversation whose client reads nothing: who wants its end has it soon, also
 * when the mail that says so is that of another wish as well.
 *
 * Mail tells that there are wishes, not how many: that of a second one may be in the box together
 * with the first one's, and no other comes. In the place of wire_send() stands a client who takes
 * nothing, for as long as he may.
 */
#include "theatre.h"

/* The client. */
static struct {
	unsigned calls;
	usec_t patience;         /* for how long he could take nothing, the last time */
	struct theatre *wishing; /* somebody wants it closed while it sends; NULL: nobody does */
} client;

static void wish(struct theatre *t, enum wish_kind kind, const char *line);

/* Records are other tests' matter. The names are the linker's.
 * NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,readability-identifier-naming) */
void __wrap_record_event(void);
void __wrap_record_said_by(void);
ssize_t __wrap_wire_send(struct wire *wire, const void *bytes, size_t length, usec_t timeout);

void __wrap_record_event(void)
{
}

void __wrap_record_said_by(void)
{
}

ssize_t __wrap_wire_send(struct wire *wire, const void *bytes, size_t length, usec_t timeout)
{
	struct theatre *t = client.wishing;

	(void)wire;
	(void)bytes;
	assert_true(length > 0);
	client.calls++;
	client.patience = timeout;
	client.wishing = NULL;
	if (t == NULL)
		return -EAGAIN;
	wish(t, WISH_CLOSE, "");
	return -EINTR;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,readability-identifier-naming) */

/* Says what he is told to, or ends. */
static int obey(struct marcel_conversation *c, const struct marcel_order *order,
		struct marcel_sink *sink)
{
	(void)c;
	if (order->length == 4 && memcmp(order->line, "/end", 4) == 0)
		return MARCEL_FAREWELL;
	return marcel_say(sink, order->line, order->length);
}

static const struct marcel_responder_ops obedient = {ACTOR_OPS(small), .state_size = 64,
						     .order = obey};

/* A conversation that sends each reply at once, to a client who may read nothing for ever. */
static void begin_scene(struct theatre *t)
{
	static char farewell[] = "bye";

	theatre_open(t, &obedient);
	t->face.dialogue.idle_timeout = USEC_NEVER;
	t->face.dialogue.farewell = farewell;
	t->c.wire.peeks = true;
	client.calls = 0;
	client.patience = 0;
	client.wishing = NULL;
}

/* Somebody wishes for KIND, with LINE. */
static void wish(struct theatre *t, enum wish_kind kind, const char *line)
{
	char copy[64];
	struct wish one = {
		.kind = kind,
		.ticket = ++t->ticket,
		.line = copy,
		.length = strlen(line),
	};

	(void)snprintf(copy, sizeof(copy), "%s", line);
	assert_int_equal(watch_wish(t->watch, THEATRE_NUMBER, &one), 0);
}

/* The mail of all wishes so far comes, which is one. */
static void take_mail(struct theatre *t)
{
	assert_int_equal(interrupted(&t->c), END_NONE);
	assert_true(t->c.wished);
	assert_int_equal(wire_take_mail(&t->c.wire), 0);
}

/* All wishes were carried out, and nobody waits for anything. */
static void must_be_answered(struct theatre *t)
{
	struct watch_event event;
	char text[WATCH_TEXT_MAX];
	uint64_t dropped;

	for (uint64_t ticket = 1; ticket <= t->ticket; ticket++) {
		assert_int_equal(watch_next(t->watch, &event, text, &dropped), 1);
		assert_int_equal(event.kind, WATCH_DONE);
		assert_int_equal(event.ticket, ticket);
		assert_int_equal(event.result, 0);
	}
	assert_int_equal(watch_next(t->watch, &event, text, &dropped), 0);
}

/* The client was given some time and no more, for somebody wants the conversation closed. */
static void must_be_closed(const struct theatre *t, unsigned calls)
{
	assert_true(t->c.closing);
	assert_int_equal(client.calls, calls);
	assert_in_range(client.patience, 1, USEC_PER_SEC * 60);
}

static void end_scene(struct theatre *t)
{
	watch_end(t->watch, &t->c, END_OPERATOR);
	must_be_answered(t);
	theatre_close(t);
}

/* Where nobody wants its end, it waits for its client as long as it may. */
static void test_order(void **state)
{
	struct theatre t;

	(void)state;
	begin_scene(&t);
	wish(&t, WISH_SAY, "hello");
	take_mail(&t);
	assert_int_equal(wishes_serve(&t.c), END_UNREAD);
	assert_false(t.c.closing);
	assert_true(client.patience == USEC_NEVER);
	end_scene(&t);
}

static void test_order_and_close_by_one_mail(void **state)
{
	struct theatre t;

	(void)state;
	begin_scene(&t);
	wish(&t, WISH_SAY, "hello");
	wish(&t, WISH_CLOSE, "");
	take_mail(&t);
	assert_int_equal(wishes_serve(&t.c), END_OPERATOR);
	must_be_closed(&t, 1);
	end_scene(&t);
}

/* However many came before it. */
static void test_many_orders_and_close_by_one_mail(void **state)
{
	struct theatre t;

	(void)state;
	begin_scene(&t);
	t.c.wire.peeks = false;
	for (unsigned i = 0; i < 16; i++)
		wish(&t, WISH_SAY, "hello");
	wish(&t, WISH_CLOSE, "");
	take_mail(&t);
	/* Replies gather, so all are served; then the farewell is said. */
	assert_int_equal(wishes_serve(&t.c), END_NONE);
	assert_int_equal(theatre_turn(&t)->phase, PHASE_PARTING);
	assert_int_equal(client.calls, 0);
	assert_int_equal(ending_part(&t.c), END_NONE);
	assert_int_equal(output_flush(&t.c), END_OPERATOR);
	must_be_closed(&t, 1);
	end_scene(&t);
}

/* The order ends the conversation itself. */
static void test_end_and_close_by_one_mail(void **state)
{
	struct theatre t;

	(void)state;
	begin_scene(&t);
	wish(&t, WISH_SAY, "/end");
	wish(&t, WISH_CLOSE, "");
	take_mail(&t);
	assert_int_equal(wishes_serve(&t.c), END_NONE);
	assert_int_equal(theatre_turn(&t)->phase, PHASE_PARTING);
	assert_int_equal(ending_part(&t.c), END_NONE);
	assert_int_equal(output_flush(&t.c), END_OPERATOR);
	must_be_closed(&t, 1);
	end_scene(&t);
}

/* Its mail was taken, and the client's last message came before it was served. */
static void test_last_message_before_close(void **state)
{
	struct theatre t;

	(void)state;
	begin_scene(&t);
	wish(&t, WISH_CLOSE, "");
	take_mail(&t);
	theatre_say(&t, "q");
	assert_int_equal(theatre_turn(&t)->phase, PHASE_PARTING);
	ending_begin(&t.c);
	assert_int_equal(ending_part(&t.c), END_NONE);
	assert_int_equal(output_flush(&t.c), END_OPERATOR);
	must_be_closed(&t, 1);
	end_scene(&t);
}

/* With mail of its own, while the client is sent to. */
static void test_close_while_sending(void **state)
{
	struct theatre t;

	(void)state;
	begin_scene(&t);
	wish(&t, WISH_SAY, "hello");
	take_mail(&t);
	client.wishing = &t;
	assert_int_equal(wishes_serve(&t.c), END_OPERATOR);
	must_be_closed(&t, 2);
	end_scene(&t);
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
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_order_and_close_by_one_mail),
		cmocka_unit_test(test_many_orders_and_close_by_one_mail),
		cmocka_unit_test(test_end_and_close_by_one_mail),
		cmocka_unit_test(test_last_message_before_close),
		cmocka_unit_test(test_close_while_sending),
	};

	return cmocka_run_group_tests_name("converse/wishes", tests, begin, NULL);
}
