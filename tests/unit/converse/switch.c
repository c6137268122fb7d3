/*
 * Switching responders in the middle of a dialogue: who is suspended is left alone, whoever talks
 * over it and however long, and goes on where it stood; and what can't be done, or is not committed
 * in time, has not happened.
 */
#include "converse/endword.h"
#include "theatre.h"

static unsigned switches; /* recorded */
static unsigned notices;

/* The linker's names for what it wraps are not ours to choose. */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,readability-identifier-naming) */
void __wrap_record_event(enum record_kind kind);
void __wrap_record_said_by(void);

void __wrap_record_event(enum record_kind kind)
{
	switches += kind == RECORD_SWITCHED;
	notices += kind == RECORD_NOTICE;
}

void __wrap_record_said_by(void)
{
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,readability-identifier-naming) */

/* What a responder has in the slot. */
struct part {
	uint64_t wake_at;
	struct marcel_framing framing;
	unsigned flags;
	unsigned more;
	uint32_t version;
	uint32_t size;
	char state[MARCEL_STATE_MAX];
};

static struct part present_part(const struct theatre *t)
{
	const struct slot_turn *turn = theatre_turn(t);
	struct part part = {
		.wake_at = turn->wake_at,
		.framing = turn->framing,
		.flags = turn->flags & (TURN_HOLDS | TURN_OWNS_END),
		.more = turn->more & (MORE_EARLY | MORE_CONTINUES | MORE_PAD),
		.version = turn->state_version,
		.size = turn->state_size,
	};

	(void)memcpy(part.state, slot_state(&t->c.slot), part.size);
	return part;
}

static struct part suspended_part(const struct theatre *t)
{
	const struct slot_turn *turn = theatre_turn(t);
	const char *area = slot_state(&t->c.slot);
	const struct slot_switch *tail = slot_switch(turn, area);
	struct part part;

	if (tail == NULL)
		abort();
	assert_true(turn->tail + turn->state_size <= MARCEL_STATE_MAX);
	part = (struct part){
		.wake_at = tail->below_wake_at,
		.framing = tail->below_framing,
		.flags = tail->below_flags,
		.more = tail->below_more,
		.version = tail->below_version,
		.size = tail->below_size,
	};
	(void)memcpy(part.state, area + MARCEL_STATE_MAX - turn->tail, part.size);
	return part;
}

static void assert_same(const struct part *got, const struct part *expected)
{
	assert_int_equal(got->wake_at, expected->wake_at);
	assert_memory_equal(&got->framing, &expected->framing, sizeof(got->framing));
	assert_int_equal(got->flags, expected->flags);
	assert_int_equal(got->more, expected->more);
	assert_int_equal(got->version, expected->version);
	assert_int_equal(got->size, expected->size);
	assert_memory_equal(got->state, expected->state, expected->size);
}

static void say_all(struct theatre *t, const char *const *messages)
{
	for (; *messages != NULL; messages++)
		theatre_say(t, *messages);
}

/* Everything that is kept from call to call. */
static const char *const everything[] = {"t", "f", "h", "o", "e", "c", NULL};

/* ONE is taken from and given back to while OTHER talks, with a state that comes and goes. */
static void take_and_give_back(const struct marcel_responder_ops *one, const char *fill,
			       const struct marcel_responder_ops *other, const char *const *fills,
			       unsigned turns)
{
	struct theatre t;
	struct part before, after;
	char expected[64];

	theatre_open(&t, one);
	theatre_say(&t, "hello");
	theatre_say(&t, fill);
	say_all(&t, everything);
	atomic_store(&t.c.slot.head->out_sent, theatre_turn(&t)->out_end);
	before = present_part(&t);
	assert_int_equal(before.wake_at, 4711);
	assert_int_equal(before.framing.max, 100);
	assert_int_equal(before.flags, TURN_HOLDS | TURN_OWNS_END);
	assert_int_equal(before.more, MORE_EARLY | MORE_CONTINUES);

	assert_int_equal(theatre_wish(&t, WISH_TAKE, other->name), 0);
	theatre_has(&t, other->name, one->name);
	theatre_heard(&t, "");
	(void)snprintf(expected, sizeof(expected), "+%s", other->name);
	assert_string_equal(actors_did(), expected);
	assert_int_equal(present_part(&t).wake_at, 0);
	assert_int_equal(present_part(&t).flags & TURN_HOLDS, 0);
	assert_int_equal(present_part(&t).more, 0);
	for (unsigned i = 0; i < turns; i++) {
		theatre_say(&t, fills[i % 3]);
		after = suspended_part(&t);
		assert_same(&after, &before);
		theatre_say(&t, everything[i % 6]);
		theatre_say(&t, "H");
		(void)snprintf(expected, sizeof(expected), "%s %u\n", other->name, 4 * i + 4);
		theatre_say(&t, "you?");
		theatre_heard(&t, expected);
		after = suspended_part(&t);
		assert_same(&after, &before);
	}
	assert_string_equal(actors_did(), "");

	assert_int_equal(theatre_wish(&t, WISH_GIVE, one->name), 0);
	theatre_has(&t, one->name, "");
	(void)snprintf(expected, sizeof(expected), "-%s>%s", other->name, one->name);
	assert_string_equal(actors_did(), expected);
	after = present_part(&t);
	assert_same(&after, &before);
	assert_int_equal(theatre_turn(&t)->tail, 0);
	theatre_say(&t, "you?");
	(void)snprintf(expected, sizeof(expected), "%s 9\n", one->name);
	theatre_heard(&t, expected);
	assert_string_equal(actors_did(), "");
	theatre_close(&t);
}

static void test_back_and_forth(void **state)
{
	static const char *const large_fills[] = {"u15912", "u100", "u8000"};
	static const char *const small_fills[] = {"u64", "u40", "u50"};

	(void)state;
	take_and_give_back(&small, "u64", &large, large_fills, 100);
	take_and_give_back(&small, "u41", &large, large_fills, 1);
	take_and_give_back(&large, "u15912", &small, small_fills, 100);
	take_and_give_back(&large, "u15911", &small, small_fills, 1);
	take_and_give_back(&large, "u33", &small, small_fills, 1);
}

/* Again and again, who is taken and who takes. */
static void test_many_times(void **state)
{
	struct theatre t;
	char expected[64];

	(void)state;
	theatre_open(&t, &large);
	theatre_say(&t, "u15912");
	switches = 0;
	for (unsigned i = 1; i <= 200; i++) {
		assert_int_equal(theatre_wish(&t, WISH_TAKE, "small"), 0);
		theatre_say(&t, "you?");
		assert_int_equal(theatre_wish(&t, WISH_GIVE, "large"), 0);
		theatre_say(&t, "and you?");
		(void)snprintf(expected, sizeof(expected), "small 1\nlarge %u\n", i + 1);
		theatre_heard(&t, expected);
		assert_string_equal(actors_did(), "+small -small>large");
	}
	assert_int_equal(switches, 400);
	theatre_close(&t);
}

static void test_to_a_third_one(void **state)
{
	struct theatre t;

	(void)state;
	theatre_open(&t, &large);
	theatre_say(&t, "u15912");
	say_all(&t, everything);
	assert_int_equal(theatre_wish(&t, WISH_TAKE, "small"), 0);
	say_all(&t, everything);
	(void)actors_did();
	assert_int_equal(theatre_wish(&t, WISH_GIVE, "third"), 0);
	theatre_has(&t, "third", "");
	assert_string_equal(actors_did(), "-small>third -large +third hello third");
	theatre_heard(&t, "third here\n");
	/* Everything from the beginning. */
	assert_int_equal(theatre_turn(&t)->wake_at, 0);
	assert_int_equal(theatre_turn(&t)->flags & (TURN_HOLDS | TURN_OWNS_END), 0);
	assert_int_equal(theatre_turn(&t)->more, 0);
	assert_int_equal(theatre_turn(&t)->framing.kind, MARCEL_FRAMING_DEFAULT);
	assert_int_equal(t.c.framer.framing.kind, MARCEL_FRAMING_DEFAULT);
	assert_int_equal(theatre_turn(&t)->tail, sizeof(struct slot_switch));
	theatre_say(&t, "you?");
	theatre_heard(&t, "third 1\n");

	/* Who was closed begins anew; with whom it all began, the card says again. */
	assert_int_equal(theatre_wish(&t, WISH_GIVE, "small"), 0);
	theatre_has(&t, "small", "");
	assert_int_equal(theatre_wish(&t, WISH_TAKE, "third"), 0);
	theatre_has(&t, "third", "small");
	assert_int_equal(theatre_wish(&t, WISH_GIVE, "small"), 0);
	theatre_has(&t, "small", "");
	assert_int_equal(theatre_turn(&t)->tail, sizeof(struct slot_switch));
	assert_string_equal(actors_did(), "-third>small +small +third -third>small");
	assert_int_equal(theatre_wish(&t, WISH_GIVE, "large"), 0);
	theatre_has(&t, "large", "");
	assert_int_equal(theatre_turn(&t)->tail, 0);
	assert_string_equal(actors_did(), "-small>large +large");
	theatre_say(&t, "you?");
	theatre_heard(&t, "large 1\n");
	theatre_close(&t);
}

/* Nothing at all is other than BEFORE; but for the half that is not in force. */
struct everything {
	uint64_t sequence;
	struct slot_turn turn;
	char area[MARCEL_STATE_MAX];
	struct conversation c;
	struct watch_view view;
};

static struct everything look_at_everything(const struct theatre *t)
{
	struct everything all = {
		.sequence = atomic_load(&t->c.slot.head->sequence),
		.turn = *theatre_turn(t),
		.c = {.responder = t->c.responder,
		      .below = t->c.below,
		      .local = t->c.local,
		      .waiting = t->c.waiting,
		      .speaker = t->c.speaker,
		      .wire.side = t->c.wire.side,
		      .framer = t->c.framer,
		      .ready = t->c.ready},
	};

	(void)memcpy(all.area, slot_state(&t->c.slot), sizeof(all.area));
	assert_int_equal(watch_look(t->watch, THEATRE_NUMBER, &all.view), 0);
	return all;
}

static void assert_nothing_happened(const struct theatre *t, const struct everything *before)
{
	struct everything after = look_at_everything(t);

	assert_int_equal(after.sequence, before->sequence);
	assert_memory_equal(&after.turn, &before->turn, sizeof(after.turn));
	assert_memory_equal(after.area, before->area, sizeof(after.area));
	assert_ptr_equal(after.c.responder, before->c.responder);
	assert_ptr_equal(after.c.below.responder, before->c.below.responder);
	assert_ptr_equal(after.c.local, before->c.local);
	assert_int_equal(after.c.waiting, before->c.waiting);
	assert_ptr_equal(after.c.speaker, before->c.speaker);
	assert_int_equal(after.c.wire.side, before->c.wire.side);
	assert_memory_equal(&after.c.framer, &before->c.framer, sizeof(after.c.framer));
	assert_int_equal(after.c.ready, before->c.ready);
	assert_string_equal(after.view.responder, before->view.responder);
	assert_string_equal(after.view.suspended, before->view.suspended);
	assert_string_equal(after.view.speaker, before->view.speaker);
	assert_int_equal(after.view.waiting, before->view.waiting);
}

static void assert_refused(struct theatre *t, enum wish_kind kind, const char *name, int error)
{
	struct everything before = look_at_everything(t);

	assert_int_equal(theatre_wish(t, kind, name), error);
	assert_nothing_happened(t, &before);
}

static void test_refused(void **state)
{
	struct theatre t;

	(void)state;
	theatre_open(&t, &small);
	say_all(&t, everything);
	assert_refused(&t, WISH_TAKE, "small", -EALREADY);
	assert_refused(&t, WISH_GIVE, "small", -EALREADY);
	assert_refused(&t, WISH_TAKE, "nobody", -ESRCH);
	assert_refused(&t, WISH_GIVE, "nobody", -ESRCH);
	assert_refused(&t, WISH_GIVE, "", -ESRCH);
	assert_refused(&t, WISH_TAKE, "huge", -ENOSPC);
	assert_refused(&t, WISH_GIVE, "huge", -ENOSPC);
	assert_int_equal(theatre_wish(&t, WISH_TAKE, "large"), 0);
	assert_string_equal(actors_did(), "+large");
	/* Whom it was taken from can only get it back. */
	assert_refused(&t, WISH_TAKE, "large", -EALREADY);
	assert_refused(&t, WISH_TAKE, "small", -EALREADY);
	assert_refused(&t, WISH_TAKE, "third", -EALREADY);
	assert_refused(&t, WISH_GIVE, "large", -EALREADY);
	assert_refused(&t, WISH_GIVE, "nobody", -ESRCH);
	assert_refused(&t, WISH_GIVE, "huge", -ENOSPC);
	assert_string_equal(actors_did(), "");
	assert_int_equal(theatre_wish(&t, WISH_GIVE, "small"), 0);
	theatre_say(&t, "you?");
	theatre_heard(&t, "small 7\n");
	theatre_close(&t);
}

/* What a responder has in this process alone can't be suspended. */
static void test_busy(void **state)
{
	struct theatre t;

	(void)state;
	theatre_open(&t, &small);
	theatre_say(&t, "l");
	assert_refused(&t, WISH_TAKE, "large", -EBUSY);
	t.c.local = NULL;
	t.c.wire.side = 1000;
	assert_refused(&t, WISH_TAKE, "large", -EBUSY);
	t.c.wire.side = -1;
	/* Whom it lets answer has it already. */
	theatre_say(&t, "s");
	assert_refused(&t, WISH_TAKE, "somebody", -EALREADY);
	assert_int_equal(theatre_wish(&t, WISH_TAKE, "large"), 0);
	theatre_close(&t);
}

/* Whoever fails when it is to take has not taken: also not what it set meanwhile. */
static void test_taker_fails(void **state)
{
	struct theatre t;

	(void)state;
	theatre_open(&t, &small);
	say_all(&t, everything);
	theatre_say(&t, "w");
	theatre_say(&t, "s");
	t.c.ready = true;
	failing_open_result = -ENOMEM;
	assert_refused(&t, WISH_TAKE, "failing", -ENOMEM);
	failing_open_result = -ESRCH;
	assert_refused(&t, WISH_TAKE, "failing", -ESRCH);
	assert_string_equal(actors_did(), "+failing +failing");
	theatre_say(&t, "you?");
	theatre_heard(&t, "small 9\n");
	assert_int_equal(theatre_wish(&t, WISH_TAKE, "third"), 0);
	theatre_close(&t);
}

/* But whoever was given it for good has it, and fails as one with whom it began. */
static void give_to_failing(int opening, int greeting, int result)
{
	struct theatre t;

	failing_open_result = opening;
	failing_greet_result = greeting;
	theatre_open(&t, &large);
	assert_int_equal(theatre_wish(&t, WISH_TAKE, "small"), 0);
	(void)actors_did();
	assert_int_equal(theatre_wish(&t, WISH_GIVE, "failing"), result);
	assert_string_equal(actors_did(), "-small>failing -large +failing");
	assert_int_equal(theatre_turn(&t)->phase, PHASE_PARTING);
	assert_int_equal(theatre_turn(&t)->reason, END_RESPONDER_ERROR);
	theatre_has(&t, "failing", "");
	theatre_close(&t);
}

static void test_beginner_fails(void **state)
{
	(void)state;
	give_to_failing(-ENOMEM, MARCEL_CONTINUE, -ENOMEM);
	give_to_failing(0, -EBADMSG, -EBADMSG);
	/* These would say that nothing has happened. */
	give_to_failing(-ESRCH, MARCEL_CONTINUE, -EIO);
	give_to_failing(0, -ENOSPC, -EIO);
	/* There is no message that it could go on with. */
	give_to_failing(0, MARCEL_AGAIN, -EPROTO);
}

/* The verdict of a responder: what it said is heard first. */
static void test_given_by_itself(void **state)
{
	struct theatre t;

	(void)state;
	theatre_open(&t, &small);
	theatre_say(&t, "gthird");
	theatre_has(&t, "third", "");
	assert_string_equal(actors_did(), "-small>third +third hello third");
	theatre_heard(&t, "bye\nthird here\n");
	/* To nobody, to itself, to one that is too large: it stays. */
	notices = 0;
	theatre_say(&t, "gnobody");
	theatre_say(&t, "gthird");
	theatre_say(&t, "ghuge");
	theatre_say(&t, "g");
	assert_int_equal(notices, 4);
	theatre_has(&t, "third", "");
	assert_string_equal(actors_did(), "");
	theatre_heard(&t, "bye\nbye\nbye\nbye\n");
	theatre_say(&t, "you?");
	theatre_heard(&t, "third 5\n");
	/* Back to whom it was taken from, in its middle. */
	assert_int_equal(theatre_wish(&t, WISH_TAKE, "large"), 0);
	theatre_say(&t, "gthird");
	theatre_say(&t, "you?");
	theatre_heard(&t, "bye\nthird 6\n");
	assert_string_equal(actors_did(), "+large -large>third");
	theatre_close(&t);
}

/* The process dies before the commit, or after it. */
static void test_committed_or_not(void **state)
{
	struct theatre t;
	struct turn turn;
	struct everything before;

	(void)state;
	theatre_open(&t, &small);
	say_all(&t, everything);
	theatre_say(&t, "u64");
	before = look_at_everything(&t);
	turn_begin(&turn, &t.c);
	assert_int_equal(switch_take(&turn, "large"), 0);
	assert_string_equal(theatre_found(&t).responder, "small");
	theatre_restart(&t, &small, NULL);
	before.c.ready = t.c.ready;
	assert_nothing_happened(&t, &before);
	theatre_say(&t, "you?");
	theatre_heard(&t, "small 8\n");

	turn_begin(&turn, &t.c);
	assert_int_equal(switch_take(&turn, "large"), 0);
	turn_commit(&turn);
	theatre_restart(&t, &large, &small);
	theatre_has(&t, "large", "small");
	theatre_say(&t, "u15912");
	(void)actors_did();
	turn_begin(&turn, &t.c);
	assert_int_equal(switch_give(&turn, "small"), MARCEL_CONTINUE);
	assert_string_equal(actors_did(), "-large>small");
	theatre_restart(&t, &large, &small);
	theatre_has(&t, "large", "small");
	theatre_say(&t, "you?");
	theatre_heard(&t, "large 2\n");
	/* It is told again. */
	assert_int_equal(theatre_wish(&t, WISH_GIVE, "small"), 0);
	assert_string_equal(actors_did(), "-large>small");
	theatre_restart(&t, &small, NULL);
	theatre_say(&t, "you?");
	theatre_heard(&t, "small 9\n");
	theatre_close(&t);
}

static void test_the_end(void **state)
{
	struct theatre t;

	(void)state;
	theatre_open(&t, &large);
	theatre_say(&t, "u15912");
	turn_close(&t.c, "idle");
	assert_string_equal(actors_did(), "!large=idle");
	assert_int_equal(theatre_wish(&t, WISH_TAKE, "small"), 0);
	(void)actors_did();
	turn_close(&t.c, "end-word");
	assert_string_equal(actors_did(), "!large=end-word !small=end-word");
	theatre_close(&t);
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
		cmocka_unit_test(test_back_and_forth),
		cmocka_unit_test(test_many_times),
		cmocka_unit_test(test_to_a_third_one),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_taker_fails),
		cmocka_unit_test(test_beginner_fails),
		cmocka_unit_test(test_given_by_itself),
		cmocka_unit_test(test_committed_or_not),
		cmocka_unit_test(test_the_end),
	};

	return cmocka_run_group_tests_name("converse/switch", tests, set_up, NULL);
}
