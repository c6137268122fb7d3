/*
 * The dialogue of one client, from greeting to end; see conversation.h.
 *
 * The thread goes through the phases of slot.h. In the dialogue it answers every message that has
 * arrived, sends the replies, and waits: many messages in one segment of TCP cost one send. It only
 * ever waits in the wire, where the watchdog knows it owes nothing and mail can reach it.
 *
 * How it fails: an error of the socket, the responder or the system ends this conversation, with
 * its reason in the record of its end, and nothing else.
 */
#include "converse/conversation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "converse/conversation-priv.h"
#include "converse/endword.h"
#include "converse/switch.h"
#include "converse/turn.h"
#include "converse/watch.h"

void end_dialogue(struct turn *turn, enum end_reason reason, bool with_farewell)
{
	turn->next->phase = with_farewell ? PHASE_PARTING : PHASE_FAREWELL;
	turn->next->reason = (uint8_t)reason;
	turn->next->flags &= (uint8_t)~TURN_AGAIN;
	turn_commit(turn);
}

/* Ends the dialogue with TURN because the responder failed with ERROR. */
static void end_with_failure(struct turn *turn, int error)
{
	record_event(RECORD_TROUBLE, &turn->about, NULL, 0, "responder %s failed: %s",
		     turn->conversation->responder->name,
		     error < 0 ? strerrordesc_np(-error) : "an unknown verdict");
	end_dialogue(turn, END_RESPONDER_ERROR, true);
}

/* Gives the conversation to whom TURN's responder names. Returns a verdict or a negative errno. */
static int give(struct turn *turn)
{
	int r = switch_give(turn, turn->give_to);

	if (!switch_was_refused(r))
		return r;
	record_event(RECORD_NOTICE, &turn->about, NULL, 0,
		     "Conversation %" PRIu64 " stays with %s: %s '%s'", turn->about.number,
		     turn->conversation->responder->name,
		     r == -ESRCH    ? "there is no responder"
		     : r == -ENOSPC ? "there is no room for"
		     : r == -EBUSY  ? "a secret is asked for, which is not for"
				    : "it is no other one than",
		     turn->give_to);
	return MARCEL_CONTINUE;
}

enum end_reason settle(struct turn *turn, int verdict, enum end_reason reason)
{
	enum end_reason broken;

	if (verdict == MARCEL_GIVE)
		verdict = give(turn);
	switch (verdict) {
	case MARCEL_CONTINUE:
		turn->next->flags &= (uint8_t)~TURN_AGAIN;
		turn_commit(turn);
		return END_NONE;
	case MARCEL_AGAIN:
		if (turn->sink.used == 0) {
			/* It would ask for ever. */
			end_with_failure(turn, -ENOBUFS);
			return END_NONE;
		}
		turn->next->flags |= TURN_AGAIN;
		turn_commit(turn);
		return output_flush(turn->conversation);
	case MARCEL_CLOSE:
	case MARCEL_FAREWELL:
		end_dialogue(turn, turn->by_operator ? END_OPERATOR : reason,
			     verdict == MARCEL_FAREWELL);
		return END_NONE;
	case MARCEL_RESET:
		end_dialogue(turn, END_RESPONDER_RESET, false);
		broken = output_flush(turn->conversation);
		return broken != END_NONE ? broken : END_RESPONDER_RESET;
	default:
		end_with_failure(turn, verdict);
		return END_NONE;
	}
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
	if (verdict == MARCEL_CONTINUE || verdict == MARCEL_GIVE)
		turn.next->phase = PHASE_DIALOGUE;
	broken = settle(&turn, verdict, END_RESPONDER);
	return broken != END_NONE ? broken : output_flush(c);
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

/* Only a line of replies to several messages in one line is to be ended. */
static void end_line(struct conversation *c, size_t consumed)
{
	struct turn turn;

	turn_begin(&turn, c);
	turn.next->in_taken += consumed;
	turn.next->more &= (uint8_t)~MORE_PART;
	turn_commit(&turn);
}

/* Answers the message that FRAME found in BYTES. */
static enum end_reason answer(struct conversation *c, const char *bytes, const struct frame *frame)
{
	const char *message = bytes + frame->start;
	enum end_reason goodbye = END_NONE;
	struct turn turn;
	int verdict;

	if (frame->blank) {
		end_line(c, frame->consumed);
		return END_NONE;
	}
	watch_recall(c->watch, c);
	turn_begin(&turn, c);
	turn.message_end = frame->line_end;
	if (frame->part)
		turn.next->more |= MORE_PART;
	else
		turn.next->more &= (uint8_t)~MORE_PART;
	if ((turn.next->flags & TURN_AGAIN) == 0) {
		turn.message = message;
		turn.message_length = frame->length;
		if ((turn.next->more & MORE_CONTINUES) == 0)
			turn.next->messages++;
		if ((turn.next->flags & TURN_OWNS_END) == 0)
			goodbye = said_goodbye(&c->origin.face->dialogue, message, frame->length);
	}
	if (goodbye != END_NONE) {
		turn.next->in_taken += frame->consumed;
		end_dialogue(&turn, goodbye, true);
		return END_NONE;
	}
	verdict = turn_respond(&turn, message, frame->length);
	if (verdict != MARCEL_AGAIN)
		turn.next->in_taken += frame->consumed;
	return settle(&turn, verdict, END_RESPONDER);
}

/*
 * The LENGTH bytes at BYTES begin a message that the responder wants skipped. The rest of a line
 * can be found under any framing, that of a message with its length in front only under its own:
 * then the error is returned, else MARCEL_CONTINUE.
 */
static int skip_message(struct turn *turn, const char *bytes, size_t length)
{
	struct framer *framer = &turn->conversation->framer;
	struct marcel_framing *next = &turn->next->framing;
	bool reframed = memcmp(&framer->framing, next, sizeof(*next)) != 0;

	if (framer->framing.kind == MARCEL_FRAMING_PREFIX && reframed)
		return -EMSGSIZE;
	framer_skip(framer, bytes, length);
	if (!reframed)
		next->size = framer->framing.size;
	return MARCEL_CONTINUE;
}

/*
 * The LENGTH bytes at BYTES begin a message that is too long. The responder may have it skipped;
 * else the dialogue ends.
 */
static enum end_reason too_long(struct conversation *c, const char *bytes, size_t length)
{
	const char *text = c->origin.face->dialogue.too_long;
	struct turn turn;
	int verdict;

	watch_recall(c->watch, c);
	turn_begin(&turn, c);
	verdict = turn_wake(&turn, MARCEL_WAKE_TOO_LONG);
	if (verdict == -ENOSYS) {
		turn.next->in_taken = in_read(c);
		if (text[0] != '\0')
			(void)marcel_say(&turn.sink, text, strlen(text));
		end_dialogue(&turn, END_TOO_LONG, true);
		return END_NONE;
	}
	if (verdict == MARCEL_CONTINUE)
		verdict = skip_message(&turn, bytes, length);
	if (verdict == MARCEL_AGAIN)
		verdict = -EPROTO;
	return settle(&turn, verdict, END_TOO_LONG);
}

/* Ends the dialogue for REASON unless the responder sees to EVENT itself. */
static enum end_reason event(struct conversation *c, enum marcel_wake event, enum end_reason reason)
{
	bool last = event == MARCEL_WAKE_STOP || event == MARCEL_WAKE_EOF;
	struct turn turn;
	int verdict;

	if (event == MARCEL_WAKE_TIMER || event == MARCEL_WAKE_READY || event == MARCEL_WAKE_EARLY)
		watch_recall(c->watch, c);
	turn_begin(&turn, c);
	/* It comes once. */
	if (event == MARCEL_WAKE_EARLY)
		turn.next->more &= (uint8_t)~MORE_EARLY;
	verdict = turn_wake(&turn, event);
	/* From whom it was taken may have something to say still. */
	if (verdict == -ENOSYS && event == MARCEL_WAKE_EOF && c->below.responder != NULL) {
		(void)snprintf(turn.give_to, sizeof(turn.give_to), "%s", c->below.responder->name);
		verdict = MARCEL_GIVE;
	}
	if (verdict == -ENOSYS)
		verdict = event == MARCEL_WAKE_EARLY || event == MARCEL_WAKE_READY
				  ? MARCEL_CONTINUE
				  : MARCEL_FAREWELL;
	/* Something is still to be said to who says nothing more. */
	else if (verdict == MARCEL_AGAIN && event == MARCEL_WAKE_EOF &&
		 (turn.next->flags & TURN_HOLDS) != 0)
		verdict = MARCEL_CONTINUE;
	/* After these two there is nothing to continue with; its own words were the farewell. */
	else if (verdict == MARCEL_CONTINUE && last)
		verdict = MARCEL_CLOSE;
	else if (verdict == MARCEL_AGAIN)
		verdict = -EPROTO;
	return settle(&turn, verdict, reason);
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

/* Whether a message would be answered now. */
static bool wants_messages(const struct conversation *c)
{
	const struct slot_turn *turn = slot_turn(c->slot.head);

	return turn->phase == PHASE_DIALOGUE && (turn->flags & TURN_HOLDS) == 0;
}

/* Whether somebody else than the client has something for it, which comes between two messages. */
static bool is_called(const struct conversation *c)
{
	return (c->wished || c->ready) && (slot_turn(c->slot.head)->flags & TURN_AGAIN) == 0;
}

/* Lets the responder, or who controls the daemon, have what they want. */
static enum end_reason answer_call(struct conversation *c)
{
	if (output_is_due(c))
		return output_flush(c);
	if (c->wished)
		return wishes_serve(c);
	c->ready = false;
	return event(c, MARCEL_WAKE_READY, END_RESPONDER);
}

/*
 * Answers every message that is wanted and there, and sends. *RET_PAUSE says whether a pause would
 * make one of the rest.
 */
static enum end_reason answer_all(struct conversation *c, enum framer_input input, bool *ret_pause)
{
	enum end_reason broken = END_NONE;

	while (broken == END_NONE && wants_messages(c) && !is_called(c)) {
		const struct slot_turn *turn = slot_turn(c->slot.head);
		const char *bytes = slot_in(&c->slot, turn) + (turn->in_taken - turn->in_base);
		size_t length = (size_t)(in_read(c) - turn->in_taken);
		enum framer_result result;
		struct frame frame;

		if (output_is_due(c)) {
			broken = output_flush(c);
			continue;
		}
		result = framer_next(&c->framer, bytes, length, input, &frame);
		switch (result) {
		case FRAMER_MESSAGE:
			broken = answer(c, bytes, &frame);
			break;
		case FRAMER_TOO_LONG:
			broken = too_long(c, bytes, length);
			break;
		case FRAMER_SKIPPED:
			skip_input(c, frame.consumed);
			break;
		case FRAMER_PAUSE:
		case FRAMER_WAIT:
			skip_input(c, frame.consumed);
			*ret_pause = result == FRAMER_PAUSE;
			return output_flush(c);
		}
		if (input == FRAMER_QUIET)
			input = FRAMER_MORE_TO_COME;
	}
	/* The last words go out together with the farewell. */
	if (broken != END_NONE || slot_turn(c->slot.head)->phase != PHASE_DIALOGUE)
		return broken;
	return output_flush(c);
}

/* Lets time pass, and no message in, until the responder wants one again. */
static enum end_reason hold(struct conversation *c)
{
	enum input_event what;
	enum end_reason broken = input_hold(c, &what);

	if (broken != END_NONE)
		return broken;
	if (what == INPUT_TIMER)
		return event(c, MARCEL_WAKE_TIMER, END_RESPONDER);
	if (what == INPUT_BYTES)
		return event(c, MARCEL_WAKE_EARLY, END_RESPONDER);
	return END_NONE;
}

/* Waits for what the client does next, or time does. *RET_INPUT is for the framer. */
static enum end_reason wait_for_client(struct conversation *c, bool pause,
				       enum framer_input *ret_input)
{
	enum input_event what;
	enum end_reason broken = input_wait(c, pause, &what);

	*ret_input = FRAMER_MORE_TO_COME;
	if (broken != END_NONE)
		return broken;
	switch (what) {
	case INPUT_BYTES:
		if ((slot_turn(c->slot.head)->flags & TURN_INPUT_END) != 0)
			*ret_input = FRAMER_END;
		break;
	case INPUT_QUIET:
		*ret_input = FRAMER_QUIET;
		break;
	case INPUT_TIMER:
		return event(c, MARCEL_WAKE_TIMER, END_RESPONDER);
	case INPUT_IDLE:
		c->quiet_since = 0;
		return event(c, MARCEL_WAKE_IDLE, END_IDLE);
	case INPUT_NOTHING:
		break;
	}
	return END_NONE;
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
		if (is_called(c)) {
			broken = answer_call(c);
			continue;
		}
		broken = answer_all(c, input, &pause);
		if (broken != END_NONE || slot_turn(c->slot.head)->phase != PHASE_DIALOGUE)
			break;
		if (is_called(c))
			continue;
		if (!wants_messages(c)) {
			if (input == FRAMER_QUIET)
				input = FRAMER_MORE_TO_COME;
			broken = c->stopping ? event(c, MARCEL_WAKE_STOP, END_STOP) : hold(c);
		} else if (input == FRAMER_END) {
			broken = event(c, MARCEL_WAKE_EOF, END_INPUT);
		} else if (c->stopping) {
			broken = event(c, MARCEL_WAKE_STOP, END_STOP);
		} else {
			broken = wait_for_client(c, pause, &input);
		}
	}
	return broken;
}

/*
 * Lets the responder take up a conversation that another process left. Its failure ends the
 * conversation politely.
 */
static void restore(struct conversation *c)
{
	const struct slot_turn *left = slot_turn(c->slot.head);
	struct turn turn;
	int r;

	/* What was not opened with a commit is opened again, by greet(). */
	if (left->phase == PHASE_GREETING && (left->flags & TURN_AGAIN) == 0)
		return;
	if (!c->resumed || left->phase >= PHASE_PARTING ||
	    (c->responder->restore == NULL &&
	     (c->below.responder == NULL || c->below.responder->restore == NULL)))
		return;
	/* There may be something from before that it did not get round to. */
	c->ready = c->responder->drain != NULL;
	turn_begin(&turn, c);
	r = turn_restore(&turn);
	if (r < 0)
		end_with_failure(&turn, r);
	else
		turn_commit_restored(&turn);
}

/* Lets the responder save what the next process needs. Returns whether that one may carry on. */
static bool save(struct conversation *c)
{
	struct turn turn;
	int r;

	if (c->responder->save == NULL || slot_turn(c->slot.head)->phase >= PHASE_PARTING)
		return true;
	turn_begin(&turn, c);
	r = turn_save(&turn);
	if (r < 0) {
		end_with_failure(&turn, r);
		return false;
	}
	turn_commit(&turn);
	return true;
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
	if (broken == END_NONE)
		ending_begin(c);
	if (broken == END_NONE && slot_turn(c->slot.head)->phase == PHASE_PARTING)
		broken = ending_part(c);
	return broken != END_NONE ? broken : output_flush(c);
}

void conversation_run(struct conversation *c)
{
	enum end_reason broken = END_NONE;

	wire_attach(&c->wire);
	if (slot_turn(c->slot.head)->phase == PHASE_GREETING &&
	    slot_turn(c->slot.head)->out_end == 0)
		record_beginning(c);
	/* Who has said nothing has no past to be looked at, and is not to cost a page. */
	if (c->resumed && slot_turn(c->slot.head)->messages > 0)
		watch_recall(c->watch, c);
	restore(c);
	watch_restored(c->watch, c);
	if (slot_turn(c->slot.head)->phase != PHASE_LINGER)
		broken = go_through_phases(c);
	if (broken == END_HANDOVER && !save(c))
		broken = END_RESPONDER_ERROR;
	turn_is_over(c);
	if (broken == END_HANDOVER || !ending_finish(c, broken)) {
		c->handed_over = true;
		wire_detach(&c->wire, false);
		return;
	}
}
