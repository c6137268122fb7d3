/*
 * The conversation's input: waiting for it, and where it lies (slot.h, notes on buffers and on near
 * and far).
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "converse/conversation-priv.h"
#include "converse/table.h"
#include "converse/turn.h"

#define RECEIVE_AT_MOST ((size_t)32 * 1024)
/* So little of a message's beginning is moved without waiting until room gets short. */
#define MOVE_EARLY 256

/* Moves what is unanswered of the input to the front of the near or the far buffer. */
static void move_input(struct conversation *c, bool far)
{
	const struct slot_turn *turn = slot_turn(c->slot.head);
	const char *rest = slot_in(&c->slot, turn) + (turn->in_taken - turn->in_base);
	struct slot_turn *next = turn_amend(c);

	if (far)
		next->flags |= TURN_IN_FAR;
	else
		next->flags &= (uint8_t)~TURN_IN_FAR;
	(void)memcpy(slot_in(&c->slot, next), rest, (size_t)(in_read(c) - turn->in_taken));
	next->in_base = next->in_taken;
	slot_commit(c->slot.head);
}

/* Back to the near buffer, and the far one's memory given back if it was much. */
static void leave_far(struct conversation *c)
{
	move_input(c, false);
	if (c->far_used > KEEP_AT_MOST)
		table_release_range(c->slot.far->in + KEEP_AT_MOST, SLOT_FAR_IN - KEEP_AT_MOST);
	c->far_used = 0;
}

/*
 * Sees to it that there is room for more input, before each wait. The rest of an unfinished message
 * is moved where it overwrites none of itself: from near to far when it is too long for the near
 * buffer or input comes in large pieces; back when the far buffer is empty; to the front of the
 * far buffer, which is long enough that this is possible before its room gets short.
 */
static void make_room(struct conversation *c)
{
	const struct slot_turn *turn = slot_turn(c->slot.head);
	size_t offset = (size_t)(turn->in_taken - turn->in_base);
	size_t rest = (size_t)(in_read(c) - turn->in_taken);

	if ((turn->flags & TURN_IN_FAR) == 0) {
		if (c->bulk || offset + rest == SLOT_NEAR_IN)
			move_input(c, true);
	} else if (rest == 0 && !c->bulk) {
		leave_far(c);
	} else if (offset > 0 && rest <= offset && (offset >= KEEP_AT_MOST || rest <= MOVE_EARLY)) {
		move_input(c, true);
	}
}

/* Counts LENGTH bytes of input that are at OFFSET in the buffer of TURN now; there was room for
 * ROOM. */
static enum end_reason took(struct conversation *c, const struct slot_turn *turn, size_t offset,
			    size_t room, size_t length)
{
	uint64_t read = in_read(c) + length;
	int r;

	/* A piece that filled the near buffer's room has a successor, most likely. */
	c->bulk = length >= SLOT_NEAR_IN / 2 && (length == room || c->bulk);
	if ((turn->flags & TURN_IN_FAR) != 0 && offset + length > c->far_used)
		c->far_used = offset + length;
	c->quiet_since = 0;
	atomic_store_explicit(&c->slot.head->in_read, read, memory_order_release);
	if (!c->wire.peeks)
		return END_NONE;
	r = wire_consume(&c->wire, slot_in(&c->slot, turn) + offset, length);
	if (r < 0)
		return wire_reason(r);
	atomic_store_explicit(&c->slot.head->in_consumed, read, memory_order_release);
	return END_NONE;
}

/* How long the next wait may take, and what it means when it has passed without input. */
static usec_t next_timeout(struct conversation *c, bool pause, enum input_event *ret_event)
{
	const struct dialogue *dialogue = &c->origin.face->dialogue;
	uint64_t wake_at = slot_turn(c->slot.head)->wake_at;
	usec_t timeout = dialogue->idle_timeout;
	usec_t now, left;

	*ret_event = INPUT_IDLE;
	if (wake_at != 0) {
		now = clock_now();
		if (c->quiet_since == 0)
			c->quiet_since = now;
		timeout = clock_left(clock_deadline(c->quiet_since, timeout), now);
		left = clock_left(wake_at, now);
		if (left <= timeout) {
			timeout = left;
			*ret_event = INPUT_TIMER;
		}
	}
	if (pause && dialogue->raw_pause < timeout) {
		timeout = dialogue->raw_pause;
		*ret_event = INPUT_QUIET;
	}
	return timeout;
}

static void note_end_of_input(struct conversation *c)
{
	struct slot_turn *next = turn_amend(c);

	next->flags |= TURN_INPUT_END;
	slot_commit(c->slot.head);
}

enum end_reason input_wait(struct conversation *c, bool pause, enum input_event *ret_event)
{
	const struct slot_turn *turn;
	usec_t timeout;
	size_t offset, room;
	ssize_t n;

	turn_is_over(c);
	make_room(c);
	timeout = next_timeout(c, pause, ret_event);
	/* What is due comes before what else the client may say: a flood must not put it off. */
	if (timeout == 0)
		return END_NONE;
	turn = slot_turn(c->slot.head);
	offset = (size_t)(in_read(c) - turn->in_base);
	room = slot_in_room(turn) - offset;
	if (room > RECEIVE_AT_MOST)
		room = RECEIVE_AT_MOST;
	n = wire_receive(&c->wire, slot_in(&c->slot, turn) + offset, room, timeout);
	if (n == -EAGAIN)
		return END_NONE;
	*ret_event = INPUT_NOTHING;
	if (n == -EINTR)
		return interrupted(c);
	if (n < 0)
		return wire_reason((int)n);
	*ret_event = INPUT_BYTES;
	if (n > 0)
		return took(c, turn, offset, room, (size_t)n);
	note_end_of_input(c);
	return END_NONE;
}

enum end_reason input_hold(struct conversation *c, enum input_event *ret_event)
{
	const struct slot_turn *turn = slot_turn(c->slot.head);
	bool early = (turn->more & MORE_EARLY) != 0;
	usec_t timeout = turn->wake_at != 0 ? clock_left(turn->wake_at, clock_now()) : USEC_NEVER;
	int r;

	turn_is_over(c);
	*ret_event = INPUT_TIMER;
	if (timeout == 0)
		return END_NONE;
	*ret_event = INPUT_BYTES;
	if (early && in_read(c) > turn->in_taken)
		return END_NONE;
	r = wire_wait(&c->wire, early, timeout);
	if (r == 0)
		return END_NONE;
	*ret_event = INPUT_TIMER;
	if (r == -EAGAIN)
		return END_NONE;
	*ret_event = INPUT_NOTHING;
	return r == -EINTR ? interrupted(c) : wire_reason(r);
}
