/*
 * A slot read while it is written: one thread makes turns, the way a conversation does, another one
 * reads the slot all the time, the way the next process does, and must see whole turns. Above all
 * for TSan, which sees a store that the reader's view depends on and that is not ordered before the
 * commit.
 *
 * The next process reads when nobody writes any more. A reader beside the writer has to be given
 * time, because a half is written again two turns later and buffers are used again when all of them
 * was taken: so after a commit, and after bytes have left, the writer waits until the reader has
 * gone through the slot once more. Between these moments lies what matters: input is appended, a
 * turn is prepared and committed under the reader's eyes.
 */
#include <pthread.h>
#include <sched.h>

#include "base/lock.h"
#include "converse/table.h"
#include "converse/turn.h"
#include "pairs.h"
#include "record/record.h"
#include "tally.h"

/* What both threads share. */
struct stage {
	struct table table;
	struct slot slot;
	_Atomic uint64_t passes; /* of the reader, whole ones */
	_Atomic bool over;
	uint64_t commits_seen; /* of the reader alone */
	uint64_t bytes_seen;
	const char *fault; /* what the reader found; read after it was joined */
};

static const struct marcel_responder_ops responder = TALLY_RESPONDER;
static char nothing[] = "";
static const struct face face = {
	.name = nothing,
	.dialogue = {.greeting = nothing, .farewell = nothing, .message_max = 65536},
	.responder = &responder,
};

/* Byte K of the input, and of the output, whatever turn it belongs to. */
static char in_byte(uint64_t k)
{
	return (char)('a' + k % 23);
}

static char out_byte(uint64_t k)
{
	return (char)('A' + k % 25);
}

/* One pass of the reader; returns what is wrong, or NULL. */
static const char *read_slot(struct stage *stage)
{
	const struct slot *slot = &stage->slot;
	const struct slot_turn *turn = slot_turn(slot->head);
	uint64_t sent = atomic_load_explicit(&slot->head->out_sent, memory_order_acquire);
	uint64_t received = atomic_load_explicit(&slot->head->in_read, memory_order_acquire);
	const char *in = slot_in(slot, turn);
	const char *out = slot_out(slot, turn);
	struct tally tally;

	/* Which area is in force follows from which half is. */
	memcpy(&tally, slot->states->area[turn - slot->head->turn], sizeof(tally));
	if (tally.count != turn->messages)
		return "a state and a turn that do not belong together";
	if (turn->wake_at != tally.sum)
		return "a state that is half of another turn";
	if (turn->messages < stage->commits_seen)
		return "a turn that was over already";
	stage->commits_seen = turn->messages;
	if (sent < turn->out_base || turn->in_taken < turn->in_base)
		return "bytes that were taken out of the buffers too early";
	for (uint64_t k = sent; k < turn->out_end; k++, stage->bytes_seen++)
		if (out[k - turn->out_base] != out_byte(k))
			return "output that is not what was said";
	for (uint64_t k = turn->in_taken; k < received; k++, stage->bytes_seen++)
		if (in[k - turn->in_base] != in_byte(k))
			return "input that is not what came";
	return NULL;
}

static void *read_all(void *argument)
{
	struct stage *stage = argument;

	while (!atomic_load(&stage->over) && stage->fault == NULL) {
		stage->fault = read_slot(stage);
		(void)atomic_fetch_add(&stage->passes, 1);
	}
	/* So that nobody waits for this thread. */
	atomic_store(&stage->passes, UINT64_MAX);
	return NULL;
}

/* Waits until the reader has gone through the slot as it is now. */
static void let_read(struct stage *stage)
{
	uint64_t now = atomic_load(&stage->passes);

	while (atomic_load(&stage->passes) < (now < UINT64_MAX - 2 ? now + 2 : now))
		(void)sched_yield();
}

/* As much as recv() would have given, in the place where wait_for_input() puts it. */
static void append_input(const struct slot *slot, size_t length)
{
	const struct slot_turn *turn = slot_turn(slot->head);
	uint64_t at = atomic_load(&slot->head->in_read);

	for (size_t i = 0; i < length; i++)
		slot_in(slot, turn)[at + i - turn->in_base] = in_byte(at + i);
	atomic_store_explicit(&slot->head->in_read, at + length, memory_order_release);
}

/* One turn that takes TAKE bytes and says SAY, over the state as tally.h keeps it. */
static void make_turn(struct conversation *c, size_t take, size_t say)
{
	struct turn turn;
	struct tally *tally;
	char bytes[4096];

	turn_begin(&turn, c);
	tally = (struct tally *)(void *)slot_next_state(&c->slot);
	tally->count++;
	tally->sum = tally->sum * 31 + say;
	for (size_t i = 0; i < say; i++)
		bytes[i] = out_byte(turn.next->out_end + i);
	/* In two parts, so that the second one may go on in the far buffer. */
	assert_int_equal(marcel_send(&turn.sink, bytes, say / 2), 0);
	assert_int_equal(marcel_send(&turn.sink, bytes + say / 2, say - say / 2), 0);
	turn.next->in_taken += take;
	turn.next->messages++;
	turn.next->wake_at = tally->sum;
	turn_commit(&turn);
}

static void write_all(struct stage *stage, unsigned turns)
{
	struct conversation c = {
		.slot = stage->slot,
		.origin = {.face = &face},
		.responder = &responder,
		.framer = {.message_max = 65536, .mode = MODE_RAW_ONLY},
	};
	uint64_t seed = 4711;

	for (unsigned i = 0; i < turns; i++) {
		uint64_t chance = at_random(&seed);
		const struct slot_turn *turn = slot_turn(c.slot.head);
		size_t there = (size_t)(atomic_load(&c.slot.head->in_read) - turn->in_taken);
		size_t room =
			(size_t)(turn->in_base + SLOT_NEAR_IN - atomic_load(&c.slot.head->in_read));
		size_t more = chance % 100 < room ? chance % 100 : room;

		append_input(&stage->slot, more);
		/* Mostly all of it; always so when there is no room left. */
		there += more;
		make_turn(&c, chance % 3 == 0 && room > 100 ? there / 2 : there,
			  chance % 16 == 0 ? chance % 4096 : chance % 200);
		let_read(stage);
		if (chance % 5 == 0) {
			(void)turn_amend(&c);
			slot_commit(c.slot.head);
			let_read(stage);
		}
		if (chance % 4 == 0)
			atomic_store_explicit(&c.slot.head->out_sent,
					      slot_turn(c.slot.head)->out_end,
					      memory_order_release);
		else if (chance % 4 == 1)
			atomic_fetch_add(&c.slot.head->out_sent,
					 (slot_turn(c.slot.head)->out_end -
					  atomic_load(&c.slot.head->out_sent)) /
						 2);
		let_read(stage);
	}
}

static void test_a_reader_sees_whole_turns(void **state)
{
	struct stage stage = {.fault = NULL};
	pthread_t reader;

	(void)state;
	record_set_transcript(TRANSCRIPT_OFF, 0);
	assert_int_equal(table_init(&stage.table, 1), 0);
	stage.slot = table_slot(&stage.table, 0);
	stage.slot.head->turn[0].state_version = 1;
	stage.slot.head->turn[0].state_size = sizeof(struct tally);
	assert_int_equal(thread_start(&reader, "reader", NULL, 0, read_all, &stage), 0);
	write_all(&stage, repeat(20000));
	atomic_store(&stage.over, true);
	thread_join(reader);
	if (stage.fault != NULL)
		fail_msg("the reader saw %s", stage.fault);
	print_message("%" PRIu64 " turns, %" PRIu64 " bytes seen\n", stage.commits_seen,
		      stage.bytes_seen);
	table_done(&stage.table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_reader_sees_whole_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
