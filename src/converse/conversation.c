/*
 * The dialogue of one client, from greeting to end; see conversation.h.
 *
 * The thread goes through the phases of slot.h. In the dialogue it answers every message that has
 * arrived, sends all replies at once, and waits: so many messages in one segment cost one send. It
 * only ever waits in the wire, where the watchdog knows it owes nothing and mail can reach it.
 *
 * How it fails: an error of the socket, the responder or the system ends this conversation, with
 * its reason in the record of its end, and nothing else.
 */
#include "converse/conversation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "converse/end-reasons.h"
#include "converse/endword.h"
#include "converse/table.h"
#include "converse/turn.h"

/* Replies are sent when this much has gathered, even if more messages are there. */
#define FLUSH_AT        ((size_t)64 * 1024)
#define RECEIVE_AT_MOST ((size_t)32 * 1024)
/* Buffers that have grown past this give their memory back once they are empty. */
#define KEEP_AT_MOST ((size_t)64 * 1024)
/* How long to wait for the client's end after ours; less when the daemon stops. */
#define LINGER         (5 * USEC_PER_SEC)
#define LINGER_AT_STOP (USEC_PER_SEC)

static uint64_t in_read(const struct conversation *c)
{
	return atomic_load_explicit(&c->slot.head->in_read, memory_order_relaxed);
}

static uint64_t out_sent(const struct conversation *c)
{
	return atomic_load_explicit(&c->slot.head->out_sent, memory_order_relaxed);
}

/* Notes what wakers want. */
static void take_mail(struct conversation *c)
{
	unsigned mail = wire_take_mail(&c->wire);

	if ((mail & MAIL_STOP) != 0)
		c->stopping = true;
	if ((mail & MAIL_ABORT) != 0)
		c->aborted = true;
	if ((mail & MAIL_FREEZE) != 0)
		c->frozen = true;
}

/* Takes what is in the box. END_NONE: go on. */
static enum end_reason interrupted(struct conversation *c)
{
	take_mail(c);
	if (c->aborted)
		return END_STOP_DEADLINE;
	return c->frozen ? END_HANDOVER : END_NONE;
}

/* What an error of the wire means for the conversation. */
static enum end_reason wire_reason(int error)
{
	switch (error) {
	case -ETIMEDOUT:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		return END_DEAD;
	case -ECONNRESET:
	case -EPIPE:
	case -ECONNABORTED:
	case -ENOTCONN:
		return END_RESET;
	default:
		return END_SYSTEM_ERROR;
	}
}

/* Sends all committed output. Returns END_NONE, or why it could not. */
static enum end_reason flush(struct conversation *c)
{
	const struct slot_turn *turn = slot_turn(c->slot.head);
	uint64_t sent = out_sent(c);

	while (sent < turn->out_end) {
		const char *from = slot_out(&c->slot, turn) + (sent - turn->out_base);
		ssize_t n = wire_send(&c->wire, from, (size_t)(turn->out_end - sent),
				      c->origin.face->dialogue.idle_timeout);

		if (n >= 0) {
			sent += (uint64_t)n;
			atomic_store_explicit(&c->slot.head->out_sent, sent, memory_order_release);
			continue;
		}
		if (n == -EINTR) {
			enum end_reason reason = interrupted(c);

			if (reason != END_NONE)
				return reason;
			continue;
		}
		return n == -EAGAIN ? END_UNREAD : wire_reason((int)n);
	}
	return END_NONE;
}

/* Ends the dialogue with TURN, for REASON; the farewell follows if WITH_FAREWELL. */
static void end_dialogue(struct turn *turn, enum end_reason reason, bool with_farewell)
{
	turn->next->phase = with_farewell ? PHASE_PARTING : PHASE_FAREWELL;
	turn->next->reason = (uint8_t)reason;
	turn->next->flags &= (uint8_t)~TURN_AGAIN;
	turn_commit(turn);
}

/*
 * Says the farewell after the last reply. In raw it is sent alone, for there a client compares
 * what one recv() gave it.
 */
static enum end_reason part(struct conversation *c)
{
	const char *farewell = c->origin.face->dialogue.farewell;
	enum end_reason broken = END_NONE;
	struct turn turn;

	if (c->framer.mode == MODE_RAW || c->framer.mode == MODE_RAW_ONLY ||
	    slot_turn(c->slot.head)->out_end - out_sent(c) >= FLUSH_AT)
		broken = flush(c);
	if (broken != END_NONE)
		return broken;
	turn_begin(&turn, c);
	turn.next->phase = PHASE_FAREWELL;
	if (farewell[0] != '\0')
		(void)marcel_say(&turn.sink, farewell, strlen(farewell));
	turn_commit(&turn);
	return END_NONE;
}

/*
 * Commits TURN as its VERDICT says. Returns END_NONE if the dialogue goes on or was ended in good
 * order (the phase tells which), else why the conversation breaks off.
 */
static enum end_reason settle(struct conversation *c, struct turn *turn, int verdict)
{
	switch (verdict) {
	case MARCEL_CONTINUE:
		turn->next->flags &= (uint8_t)~TURN_AGAIN;
		turn_commit(turn);
		return END_NONE;
	case MARCEL_AGAIN:
		turn->next->flags |= TURN_AGAIN;
		turn_commit(turn);
		return flush(c);
	case MARCEL_CLOSE:
	case MARCEL_FAREWELL:
		end_dialogue(turn, END_RESPONDER, verdict == MARCEL_FAREWELL);
		return END_NONE;
	default:
		break;
	}
	record_event(RECORD_TROUBLE, &turn->about, NULL, 0, "responder %s failed: %s",
		     c->responder->name,
		     verdict < 0 ? strerrordesc_np(-verdict) : "an unknown verdict");
	end_dialogue(turn, END_RESPONDER_ERROR, true);
	return END_NONE;
}

/* Opens the responder and greets. */
static enum end_reason greet(struct conversation *c)
{
	struct turn turn;
	enum end_reason broken;
	int verdict = MARCEL_CONTINUE;

	turn_begin(&turn, c);
	if ((turn.next->flags & TURN_AGAIN) == 0)
		verdict = turn_open(&turn);
	if (verdict == MARCEL_CONTINUE)
		verdict = turn_greet(&turn);
	if (verdict == MARCEL_CONTINUE)
		turn.next->phase = PHASE_DIALOGUE;
	broken = settle(c, &turn, verdict);
	return broken != END_NONE ? broken : flush(c);
}

/* Whether the client ends the dialogue with this message. */
static enum end_reason said_goodbye(const struct dialogue *dialogue, const char *message,
				    size_t length)
{
	if (length == 0 && dialogue->end_on_empty)
		return END_EMPTY;
	if (endword_matches(dialogue->end_words, dialogue->n_end_words, message, length))
		return END_END_WORD;
	return END_NONE;
}

/* Answers the message of LENGTH bytes at MESSAGE, with which CONSUMED bytes of input are done. */
static enum end_reason answer(struct conversation *c, const char *message, size_t length,
			      size_t consumed)
{
	enum end_reason goodbye = END_NONE;
	struct turn turn;
	bool again;
	int verdict;

	turn_begin(&turn, c);
	again = (turn.next->flags & TURN_AGAIN) != 0;
	if (!again) {
		turn.next->messages++;
		record_said(&turn.about, RECORD_CLIENT, turn.next->messages, message, length);
		goodbye = said_goodbye(&c->origin.face->dialogue, message, length);
	}
	if (goodbye != END_NONE) {
		turn.next->in_taken += consumed;
		end_dialogue(&turn, goodbye, true);
		return END_NONE;
	}
	verdict = turn_respond(&turn, message, length);
	if (verdict != MARCEL_AGAIN)
		turn.next->in_taken += consumed;
	else if (turn.sink.used == 0)
		verdict = -ENOBUFS; /* it would ask for ever */
	return settle(c, &turn, verdict);
}

static void refuse_too_long(struct conversation *c)
{
	const char *text = c->origin.face->dialogue.too_long;
	struct turn turn;

	turn_begin(&turn, c);
	turn.next->in_taken = in_read(c);
	if (text[0] != '\0')
		(void)marcel_say(&turn.sink, text, strlen(text));
	end_dialogue(&turn, END_TOO_LONG, true);
}

/* Ends the dialogue for REASON unless the responder sees to EVENT itself. */
static enum end_reason event(struct conversation *c, enum marcel_wake event, enum end_reason reason)
{
	struct turn turn;
	int verdict;

	turn_begin(&turn, c);
	verdict = turn_wake(&turn, event);
	if (verdict == -ENOSYS) {
		end_dialogue(&turn, reason, true);
		return END_NONE;
	}
	/* After these two there is nothing to continue with; its own words were the farewell. */
	if (verdict == MARCEL_CONTINUE && (event == MARCEL_WAKE_STOP || event == MARCEL_WAKE_EOF)) {
		end_dialogue(&turn, reason, false);
		return END_NONE;
	}
	return settle(c, &turn, verdict);
}

/* Drops BYTES from the front of the input without an answer. */
static void skip_input(struct conversation *c, size_t bytes)
{
	struct turn turn;

	if (bytes == 0)
		return;
	turn_begin(&turn, c);
	turn.next->in_taken += bytes;
	turn_commit(&turn);
}

/*
 * How many bytes of replies may gather. Where the kernel does not count what was sent, no more than
 * one turn's: after a SIGKILL they may be sent again.
 */
static size_t flush_at(const struct conversation *c)
{
	return c->wire.peeks ? 1 : FLUSH_AT;
}

/*
 * Answers every message that is there. *RET_PAUSE says whether a pause would make one of the rest.
 */
static enum end_reason answer_all(struct conversation *c, enum framer_input input, bool *ret_pause)
{
	enum end_reason broken = END_NONE;

	while (broken == END_NONE && slot_turn(c->slot.head)->phase == PHASE_DIALOGUE) {
		const struct slot_turn *turn = slot_turn(c->slot.head);
		const char *bytes = slot_in(&c->slot, turn) + (turn->in_taken - turn->in_base);
		size_t length = (size_t)(in_read(c) - turn->in_taken);
		struct frame frame;

		if (turn->out_end - out_sent(c) >= flush_at(c)) {
			broken = flush(c);
			continue;
		}
		switch (framer_next(&c->framer, bytes, length, input, &frame)) {
		case FRAMER_MESSAGE:
			broken = answer(c, bytes + frame.start, frame.length, frame.consumed);
			break;
		case FRAMER_TOO_LONG:
			refuse_too_long(c);
			break;
		case FRAMER_PAUSE:
			skip_input(c, frame.consumed);
			*ret_pause = true;
			return flush(c);
		case FRAMER_WAIT:
			skip_input(c, frame.consumed);
			*ret_pause = false;
			return flush(c);
		}
		if (input == FRAMER_QUIET)
			input = FRAMER_MORE_TO_COME;
	}
	return broken;
}

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
	bool far = (turn->flags & TURN_IN_FAR) != 0;

	if (far && !c->bulk && rest == 0) {
		move_input(c, false);
		if (c->far_used > KEEP_AT_MOST)
			table_release_range(c->slot.far->in + KEEP_AT_MOST,
					    SLOT_FAR_IN - KEEP_AT_MOST);
		c->far_used = 0;
		return;
	}
	if (far && (offset == 0 || rest > offset || (offset < KEEP_AT_MOST && rest > 256)))
		return;
	if (far || c->bulk || offset + rest == SLOT_NEAR_IN)
		move_input(c, true);
}

/* Gives back what a large reply took, when it is sent and nothing else is to be said yet. */
static void trim_output(struct conversation *c)
{
	const struct slot_turn *turn = slot_turn(c->slot.head);

	if ((turn->flags & TURN_OUT_FAR) != 0 && turn->out_end - turn->out_base > KEEP_AT_MOST)
		table_release_range(c->slot.far->out + KEEP_AT_MOST, SLOT_FAR_OUT - KEEP_AT_MOST);
}

/* How long the next wait may take, and what it means when it has passed without input. */
static usec_t next_timeout(struct conversation *c, bool pause, enum marcel_wake *ret_event)
{
	const struct dialogue *dialogue = &c->origin.face->dialogue;
	uint64_t wake_at = slot_turn(c->slot.head)->wake_at;
	usec_t timeout = dialogue->idle_timeout;
	usec_t now, left;

	*ret_event = MARCEL_WAKE_IDLE;
	if (wake_at == 0)
		return pause && dialogue->raw_pause < timeout ? dialogue->raw_pause : timeout;
	now = clock_now();
	if (c->quiet_since == 0)
		c->quiet_since = now;
	timeout = clock_left(clock_deadline(c->quiet_since, timeout), now);
	left = clock_left(wake_at, now);
	if (left <= timeout) {
		timeout = left;
		*ret_event = MARCEL_WAKE_TIMER;
	}
	return pause && dialogue->raw_pause < timeout ? dialogue->raw_pause : timeout;
}

/* Counts LENGTH bytes of input that are at OFFSET in the buffer now. */
static void took_input(struct conversation *c, size_t offset, size_t length)
{
	uint64_t read = in_read(c) + length;

	atomic_store_explicit(&c->slot.head->in_read, read, memory_order_release);
	if (!c->wire.peeks)
		return;
	wire_consume(&c->wire, slot_in(&c->slot, slot_turn(c->slot.head)) + offset, length);
	atomic_store_explicit(&c->slot.head->in_consumed, read, memory_order_release);
}

/* Waits for input, mail or time, and says what came of it in *RET_INPUT. */
static enum end_reason wait_for_input(struct conversation *c, bool pause,
				      enum framer_input *ret_input)
{
	const struct slot_turn *turn;
	enum marcel_wake timeout_event;
	usec_t timeout;
	size_t offset, room;
	ssize_t n;

	turn_is_over(c);
	make_room(c);
	trim_output(c);
	turn = slot_turn(c->slot.head);
	offset = (size_t)(in_read(c) - turn->in_base);
	room = slot_in_room(turn) - offset;
	if (room > RECEIVE_AT_MOST)
		room = RECEIVE_AT_MOST;
	timeout = next_timeout(c, pause, &timeout_event);
	n = wire_receive(&c->wire, slot_in(&c->slot, turn) + offset, room, timeout);
	*ret_input = FRAMER_MORE_TO_COME;
	if (n > 0) {
		c->quiet_since = 0;
		/* A piece that filled the near buffer's room has a successor, most likely. */
		c->bulk = (size_t)n >= SLOT_NEAR_IN / 2 && ((size_t)n == room || c->bulk);
		if ((turn->flags & TURN_IN_FAR) != 0 && offset + (size_t)n > c->far_used)
			c->far_used = offset + (size_t)n;
		took_input(c, offset, (size_t)n);
		return END_NONE;
	}
	if (n == 0) {
		struct slot_turn *next = turn_amend(c);

		next->flags |= TURN_INPUT_END;
		slot_commit(c->slot.head);
		*ret_input = FRAMER_END;
		return END_NONE;
	}
	if (n == -EINTR)
		return interrupted(c);
	if (n != -EAGAIN)
		return wire_reason((int)n);
	if (pause) {
		*ret_input = FRAMER_QUIET;
		return END_NONE;
	}
	c->quiet_since = 0;
	return event(c, timeout_event, END_IDLE);
}

/* The dialogue proper, until the phase changes or the conversation breaks off. */
static enum end_reason converse(struct conversation *c)
{
	enum framer_input input = FRAMER_MORE_TO_COME;
	enum end_reason broken = END_NONE;
	bool pause = false;

	if ((slot_turn(c->slot.head)->flags & TURN_INPUT_END) != 0)
		input = FRAMER_END;
	while (broken == END_NONE && slot_turn(c->slot.head)->phase == PHASE_DIALOGUE) {
		broken = answer_all(c, input, &pause);
		if (broken != END_NONE || slot_turn(c->slot.head)->phase != PHASE_DIALOGUE)
			break;
		if (input == FRAMER_END)
			broken = event(c, MARCEL_WAKE_EOF, END_INPUT);
		else if (c->stopping)
			broken = event(c, MARCEL_WAKE_STOP, END_STOP);
		else
			broken = wait_for_input(c, pause, &input);
	}
	return broken;
}

/*
 * Shuts the sending side and waits for the client's end, so that no byte of ours is lost to the
 * reset that a close() under unread data would cause. Returns whether the client still holds its
 * side open.
 */
static bool linger(struct conversation *c)
{
	usec_t limit = c->stopping ? LINGER_AT_STOP : LINGER;
	usec_t began = clock_now();

	wire_shut(&c->wire);
	for (;;) {
		usec_t left = clock_left(clock_deadline(began, limit), clock_now());
		ssize_t n;

		if (left == 0)
			return true;
		if (c->stopping && wire_is_settled(&c->wire))
			return false;
		n = wire_receive(&c->wire, c->slot.near->in, SLOT_NEAR_IN, left);
		if (n > 0 && c->wire.peeks)
			wire_consume(&c->wire, c->slot.near->in, (size_t)n);
		if (n == -EINTR) {
			if (interrupted(c) != END_NONE)
				return true;
			limit = c->stopping ? LINGER_AT_STOP : LINGER;
		} else if (n <= 0) {
			return n == -EAGAIN;
		}
	}
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

/* Sends what is left, then ends the connection in good order. Returns why it could not. */
static enum end_reason say_farewell(struct conversation *c)
{
	struct slot_turn *next;
	enum end_reason broken = flush(c);

	if (broken != END_NONE)
		return broken;
	next = turn_amend(c);
	next->phase = PHASE_LINGER;
	slot_commit(c->slot.head);
	return END_NONE;
}

static void record_beginning(const struct conversation *c)
{
	struct record_about about = turn_about(c);

	record_event(RECORD_OPENED, &about, NULL, 0, "Conversation %" PRIu64 " with %s began",
		     about.number, about.peer);
}

/* Everything up to the last byte sent. Returns END_NONE, or why the conversation broke off. */
static enum end_reason go_through_phases(struct conversation *c)
{
	enum end_reason broken = END_NONE;

	while (broken == END_NONE && slot_turn(c->slot.head)->phase == PHASE_GREETING)
		broken = greet(c);
	if (broken == END_NONE)
		broken = converse(c);
	if (broken == END_NONE && slot_turn(c->slot.head)->phase == PHASE_PARTING)
		broken = part(c);
	if (broken == END_NONE && slot_turn(c->slot.head)->phase == PHASE_FAREWELL)
		broken = say_farewell(c);
	return broken;
}

void conversation_run(struct conversation *c)
{
	bool was_over = slot_turn(c->slot.head)->phase == PHASE_LINGER;
	enum end_reason broken;
	bool reset;

	wire_attach(&c->wire);
	if (slot_turn(c->slot.head)->phase == PHASE_GREETING &&
	    slot_turn(c->slot.head)->out_end == 0)
		record_beginning(c);
	broken = go_through_phases(c);
	turn_is_over(c);
	if (broken != END_HANDOVER && !was_over)
		record_end(c, broken != END_NONE
				      ? broken
				      : (enum end_reason)slot_turn(c->slot.head)->reason);
	reset = broken != END_NONE;
	if (broken == END_NONE && (slot_turn(c->slot.head)->flags & TURN_INPUT_END) == 0)
		reset = linger(c);
	if (c->frozen && !c->aborted) {
		c->handed_over = true;
		wire_detach(&c->wire, false);
		return;
	}
	if (broken == END_NONE && !reset)
		wire_shut(&c->wire);
	turn_close(c);
	wire_detach(&c->wire, reset);
}
