/*
 * The conversation's end: the farewell, the record, and a connection that is closed so that nothing
 * that was sent is lost.
 *
 * The responder's part is closed when the end is recorded: nobody whom it shows the conversation is
 * to wait for the client. The client sees the end after that: it is followed by the next then, and
 * what the responder has open for those who go would pile up.
 *
 * The end is recorded before the slot says PHASE_LINGER, whatever the reason: who takes over in
 * between records it again, and nobody leaves it out.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "converse/conversation-priv.h"
#include "converse/turn.h"
#include "converse/watch.h"

/* How long to wait for the client's end after ours; less when the daemon stops. */
#define LINGER         (5 * USEC_PER_SEC)
#define LINGER_AT_STOP (USEC_PER_SEC)

void ending_begin(struct conversation *c)
{
	if (c->waiting != 0) {
		c->waiting = 0;
		watch_waiting(c->watch, c, 0);
	}
	turn_drop_draft(c);
	watch_closing(c->watch, c);
	c->closing = c->closing || watch_wants_end(c->watch, c);
}

enum end_reason ending_part(struct conversation *c)
{
	const char *farewell = c->origin.face->dialogue.farewell;
	enum end_reason broken = END_NONE;
	struct turn turn;

	/* In raw it is sent alone, for there a client compares what one recv() gave it. */
	if (c->framer.mode == MODE_RAW || c->framer.mode == MODE_RAW_ONLY || output_is_due(c))
		broken = output_flush(c);
	if (broken != END_NONE)
		return broken;
	turn_begin(&turn, c);
	turn.next->phase = PHASE_FAREWELL;
	if (farewell[0] != '\0')
		(void)marcel_say(&turn.sink, farewell, strlen(farewell));
	turn_commit(&turn);
	return END_NONE;
}

static void record_end(const struct conversation *c, enum end_reason reason)
{
	const struct slot_turn *turn = slot_turn(c->slot.head);
	struct record_about about = turn_about(c);
	usec_t now = clock_realtime();
	/* The wall clock may have been set back meanwhile. */
	usec_t lasted = now > c->slot.head->opened ? now - c->slot.head->opened : 0;
	char messages[24], in[24], out[24], duration[24];
	struct record_field fields[] = {
		{"MARCEL_REASON", end_reason_name(reason)},
		{"MARCEL_TURNS", messages},
		{"MARCEL_BYTES_IN", in},
		{"MARCEL_BYTES_OUT", out},
		{"MARCEL_DURATION_USEC", duration},
	};

	(void)snprintf(messages, sizeof(messages), "%" PRIu64, turn->messages);
	(void)snprintf(in, sizeof(in), "%" PRIu64, in_read(c));
	(void)snprintf(out, sizeof(out), "%" PRIu64, out_sent(c));
	(void)snprintf(duration, sizeof(duration), "%" PRIu64, lasted);
	record_event(RECORD_CLOSED, &about, fields, sizeof(fields) / sizeof(fields[0]),
		     "Conversation %" PRIu64 " with %s ended after %" PRIu64 " messages: %s",
		     about.number, about.peer, turn->messages, end_reason_sentence(reason));
}

/* Only the connection is left to be ended from here on. */
static void begin_to_linger(struct conversation *c, enum end_reason reason)
{
	struct slot_turn *next = turn_amend(c);

	next->phase = PHASE_LINGER;
	next->reason = (uint8_t)reason;
	slot_commit(c->slot.head);
}

/* What lingering came to. */
enum outcome {
	SETTLED, /* nothing is on its way any more */
	HELD,    /* the client still holds its side open */
	FROZEN,
};

/* Reads what nobody needs any more, for at most TIMEOUT; returns as wire_receive() does. */
static ssize_t discard(struct conversation *c, usec_t timeout)
{
	ssize_t n = wire_receive(&c->wire, c->slot.near->in, SLOT_NEAR_IN, timeout);

	if (n > 0 && c->wire.peeks && wire_consume(&c->wire, c->slot.near->in, (size_t)n) < 0)
		return 0;
	return n;
}

/*
 * Shuts the sending side and waits for the client's end, so that no byte of ours is lost to the
 * reset that a close() under unread data would cause.
 */
static enum outcome linger(struct conversation *c)
{
	usec_t began = clock_now();

	ending_begin(c);
	wire_shut(&c->wire);
	for (;;) {
		usec_t limit = c->stopping ? LINGER_AT_STOP : LINGER;
		usec_t left = clock_left(clock_deadline(began, limit), clock_now());
		ssize_t n;

		if (left == 0)
			return HELD;
		if (c->stopping && wire_is_settled(&c->wire))
			return SETTLED;
		n = discard(c, left);
		if (n == -EINTR && interrupted(c) != END_NONE)
			return c->aborted ? HELD : FROZEN;
		if (n == -EAGAIN)
			return HELD;
		if (n <= 0 && n != -EINTR)
			return SETTLED;
	}
}

bool ending_finish(struct conversation *c, enum end_reason broken)
{
	const struct slot_turn *turn = slot_turn(c->slot.head);
	enum outcome outcome = broken != END_NONE ? HELD : SETTLED;

	if (turn->phase != PHASE_LINGER) {
		enum end_reason reason = broken != END_NONE ? broken
							    : (enum end_reason)turn->reason;

		record_end(c, reason);
		begin_to_linger(c, reason);
		turn = slot_turn(c->slot.head);
	}
	/* Nobody whom the responder shows the conversation is to wait for the client. */
	turn_close(c, end_reason_name(turn->reason));
	turn_is_over(c);
	if (broken == END_NONE && (turn->flags & TURN_INPUT_END) == 0)
		outcome = linger(c);
	if (outcome == FROZEN)
		return false;
	if (outcome == SETTLED)
		wire_shut(&c->wire);
	wire_detach(&c->wire, outcome == HELD);
	return true;
}
