/* Preparing and committing turns, and the calls to the responder; see turn.h. */
#include "converse/turn.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "converse/turn-priv.h"
#include "converse/watch.h"

struct record_about turn_about(const struct conversation *conversation)
{
	const struct slot_card *card = &conversation->slot.near->card;

	return (struct record_about){
		.number = conversation->slot.head->number,
		.id = conversation->slot.head->id,
		.peer = card->peer,
		.listener = card->listener,
	};
}

/* Shows a line of the dialogue to who watches, and to the responder. */
static void show(struct turn *turn, char who, const char *text, size_t length)
{
	struct conversation *conversation = turn->conversation;

	watch_said(conversation->watch, conversation, who, turn->next->messages, text, length);
	if (conversation->responder->said != NULL) {
		const struct marcel_conversation view = turn_view(turn);

		/* In the middle of a call what it has made of the conversation counts already. */
		conversation->responder->said(turn->seen != NULL ? turn->seen : &view, who, text,
					      length);
	}
}

void turn_record_message(struct turn *turn)
{
	const struct marcel_conversation *seen = turn->seen;
	const char *message = turn->message;

	if (message == NULL)
		return;
	turn->message = NULL;
	if (seen != NULL && seen->secret)
		record_withheld(&turn->about, RECORD_CLIENT, turn->next->messages);
	else
		record_said_by(&turn->about, RECORD_CLIENT, turn->next->messages, NULL, message,
			       turn->message_length);
	if (seen != NULL && seen->secret)
		show(turn, MARCEL_CLIENT, NULL, MARCEL_WITHHELD);
	else
		show(turn, MARCEL_CLIENT, message, turn->message_length);
}

static void said(void *context, const char *text, size_t length)
{
	struct turn *turn = context;

	turn_record_message(turn);
	record_said_by(&turn->about, RECORD_SERVER, turn->next->messages,
		       turn->seen != NULL ? turn->seen->rule : NULL, text, length);
	show(turn, MARCEL_SERVER, text, length);
}

static void noted(void *context, enum marcel_note note, const char *rule, const char *text,
		  size_t length)
{
	static const enum record_kind kinds[] = {
		[MARCEL_NOTE_LOG] = RECORD_RESPONDER_LOG,
		[MARCEL_NOTE_UNANSWERED] = RECORD_UNANSWERED,
		[MARCEL_NOTE_STOPPED] = RECORD_RULE_STOPPED,
		[MARCEL_NOTE_OVERFLOW] = RECORD_OVERFLOW,
		[MARCEL_NOTE_REFUSED] = RECORD_ORDER_REFUSED,
	};
	struct turn *turn = context;
	struct record_field field = {"MARCEL_RULE", rule};

	if ((unsigned)note >= sizeof(kinds) / sizeof(kinds[0]))
		return;
	turn_record_message(turn);
	if (note == MARCEL_NOTE_REFUSED)
		watch_refused(turn->conversation->watch, turn->about.number, turn->next->messages,
			      1, text, length);
	record_event(kinds[note], &turn->about, &field, rule != NULL, "%s%.*s",
		     note == MARCEL_NOTE_REFUSED ? "An order was refused: " : "",
		     length < INT_MAX ? (int)length : INT_MAX, text);
}

/* What marcel_say() ends a reply with, as things stand. */
static const char *line_end(const struct framer *framer)
{
	switch (framer->framing.kind) {
	case MARCEL_FRAMING_DEFAULT:
	case MARCEL_FRAMING_BYTES:
		break;
	case MARCEL_FRAMING_LINE:
		if (framer->framing.line_end == MARCEL_LINE_ANY)
			return framer->line_end == LINE_END_LF ? "\n" : "\r\n";
		return framer->framing.line_end == MARCEL_LINE_LF ? "\n" : "\r\n";
	default:
		return "";
	}
	if (framer->mode == MODE_RAW || framer->mode == MODE_RAW_ONLY)
		return "";
	return framer->line_end == LINE_END_CRLF ? "\r\n" : "\n";
}

struct slot_turn *turn_amend(struct conversation *conversation)
{
	const struct slot_turn *turn = slot_turn(conversation->slot.head);
	const size_t tail_at = (size_t)MARCEL_STATE_MAX - turn->tail;

	/* The commit puts the other state area into force as well. */
	if (turn->state_size > 0)
		(void)memcpy(slot_next_state(&conversation->slot), slot_state(&conversation->slot),
			     turn->state_size);
	if (turn->tail > 0)
		(void)memcpy(slot_next_state(&conversation->slot) + tail_at,
			     slot_state(&conversation->slot) + tail_at, turn->tail);
	return slot_next(conversation->slot.head);
}

/* Lets replies look as the framing in force wants them. */
static void frame_replies(struct turn *turn)
{
	const struct framer *framer = &turn->conversation->framer;
	const struct marcel_framing *framing = &framer->framing;
	struct marcel_sink *sink = &turn->sink;

	sink->line_end = line_end(framer);
	sink->line_end_length = strlen(sink->line_end);
	sink->prefix = framing->kind == MARCEL_FRAMING_PREFIX ? framer_prefix(framing) : 0;
	sink->join = 0;
	if ((framing->flags & MARCEL_FRAMING_JOIN) != 0)
		sink->join = (char)framing->split;
}

void turn_begin(struct turn *turn, struct conversation *conversation)
{
	struct slot_head *head = conversation->slot.head;
	struct slot_turn *next = turn_amend(conversation);
	uint64_t sent = atomic_load_explicit(&head->out_sent, memory_order_relaxed);
	uint64_t read = atomic_load_explicit(&head->in_read, memory_order_relaxed);
	size_t used;

	/* What was sent and what was answered needs no room any more. */
	if (sent == next->out_end) {
		next->out_base = sent;
		next->flags &= (uint8_t)~TURN_OUT_FAR;
	}
	if (read == next->in_taken)
		next->in_base = read;
	next->framing = conversation->framer.framing;
	used = (size_t)(next->out_end - next->out_base);
	atomic_store_explicit(&head->in_flight, 1, memory_order_relaxed);
	*turn = (struct turn){
		.conversation = conversation,
		.next = next,
		.about = turn_about(conversation),
		.sink =
			{
				.bytes = slot_out(&conversation->slot, next) + used,
				.room = slot_out_room(next) - used,
				.before = used,
				.spill = (next->flags & TURN_OUT_FAR) != 0
						 ? NULL
						 : conversation->slot.far->out,
				.spill_room = SLOT_FAR_OUT,
				.joined = (next->more & MORE_JOINED) != 0,
				.said = said,
				.note = noted,
				.context = turn,
			},
	};
	frame_replies(turn);
}

/* Sets or clears FLAG of *FLAGS. */
static void put_flag(uint8_t *flags, uint8_t flag, bool set)
{
	*flags = (uint8_t)(set ? *flags | flag : *flags & ~flag);
}

static void put_into_force(struct turn *turn)
{
	struct framer *framer = &turn->conversation->framer;
	struct slot_turn *next = turn->next;
	bool reframed = memcmp(&framer->framing, &next->framing, sizeof(next->framing)) != 0;

	turn_record_message(turn);
	/* Where the last of several messages in a line is answered, the line of replies is whole;
	 * and where what follows is framed otherwise, nothing can join it. */
	if (reframed ||
	    ((next->more & (MORE_PART | MORE_CONTINUES)) == 0 && (next->flags & TURN_HOLDS) == 0))
		(void)sink_end_line(&turn->sink);
	put_flag(&next->more, MORE_JOINED, turn->sink.joined);
	next->out_end += turn->sink.used;
	if (turn->sink.spilled)
		next->flags |= TURN_OUT_FAR;
	if (reframed)
		framer->scanned = 0;
	framer->framing = next->framing;
	next->mode = (uint8_t)framer->mode;
	next->line_end = (uint8_t)framer->line_end;
	put_flag(&next->flags, TURN_AFTER_RAW, framer->after_raw);
	put_flag(&next->flags, TURN_SKIPPING, framer->skipping);
	if (next->in_taken ==
	    atomic_load_explicit(&turn->conversation->slot.head->in_read, memory_order_relaxed))
		next->in_base = next->in_taken;
	slot_commit(turn->conversation->slot.head);
}

void turn_commit(struct turn *turn)
{
	struct slot_head *head = turn->conversation->slot.head;

	put_into_force(turn);
	/* First this, for who takes over in between counts one more for what is in flight. */
	if (head->crashes != 0)
		head->crashes = 0;
	turn_is_over(turn->conversation);
}

void turn_commit_restored(struct turn *turn)
{
	put_into_force(turn);
	atomic_store_explicit(&turn->conversation->slot.head->in_flight, 0, memory_order_release);
}

/* The turnstile was taken when the thread began (roster.c). */
LOCK_ATTRIBUTE(no_thread_safety_analysis)
void turn_is_over(struct conversation *conversation)
{
	struct slot_head *head = conversation->slot.head;

	atomic_store_explicit(&head->in_flight, 0, memory_order_release);
	if (conversation->turnstile != NULL) {
		lock_drop(conversation->turnstile);
		conversation->turnstile = NULL;
	}
}

/* How much the responder may remember. */
static size_t room_of(const struct marcel_responder_ops *responder, const struct slot_turn *turn)
{
	size_t room = (size_t)MARCEL_STATE_MAX - turn->tail;

	return responder->state_size < room ? responder->state_size : room;
}

struct marcel_conversation turn_view(struct turn *turn)
{
	const struct conversation *conversation = turn->conversation;
	const struct slot_card *card = &conversation->slot.near->card;
	const struct slot_turn *next = turn->next;
	struct marcel_conversation seen = {
		.shared = conversation->shared,
		.state = slot_next_state(&conversation->slot),
		.state_size = room_of(conversation->responder, next),
		.number = conversation->slot.head->number,
		.turn = next->messages,
		.peer = card->peer,
		.listener = card->listener,
		.wake_at = next->wake_at,
		.framing = next->framing,
		.holds = (next->flags & TURN_HOLDS) != 0,
		.owns_end = (next->flags & TURN_OWNS_END) != 0,
		.early = (next->more & MORE_EARLY) != 0,
		.continues = (next->more & MORE_CONTINUES) != 0,
		.state_used = next->state_size,
		.message_end = turn->message_end,
		.opened = conversation->slot.head->opened,
		.id = conversation->slot.head->id,
		.wake_fd = conversation->wire.side,
		.local = conversation->local,
		.waiting = conversation->waiting,
		.draft_turn = conversation->draft_turn,
		.speaker = conversation->speaker,
		.pad = conversation->slot.far->pad,
		.uses_pad = (next->more & MORE_PAD) != 0,
		.asks_secret = (next->more & MORE_SECRET) != 0,
		.loaded = conversation->origin.face->loaded,
		.past = watch_own_past(conversation->watch, conversation),
		.suspended = conversation->below.responder != NULL
				     ? conversation->below.responder->name
				     : NULL,
	};

	/* What is to be skipped is the framer's affair. */
	if (seen.framing.kind == MARCEL_FRAMING_PREFIX)
		seen.framing.size = framer_prefix(&seen.framing);
	return seen;
}

/* Keeps whom MARCEL_GIVE names beyond the call. */
static void note_gift(struct turn *turn, const struct marcel_conversation *seen)
{
	(void)snprintf(turn->give_to, sizeof(turn->give_to), "%s",
		       seen->give_to != NULL ? seen->give_to : "");
}

void turn_drop_draft(struct conversation *conversation)
{
	if (conversation->draft_turn == 0)
		return;
	conversation->draft_turn = 0;
	watch_draft(conversation->watch, conversation, NULL);
}

/* There may be another draft, or none any more. */
static void take_draft(struct conversation *c, const struct marcel_conversation *seen)
{
	if (seen->draft_turn == 0) {
		turn_drop_draft(c);
		return;
	}
	/* Without its text it is the one that is known. */
	if (seen->draft == NULL ||
	    (seen->draft_turn == c->draft_turn && seen->draft_until == c->draft_until))
		return;
	c->draft_turn = seen->draft_turn;
	c->draft_until = seen->draft_until;
	watch_draft(c->watch, c,
		    &(struct watch_draft){
			    .turn = seen->draft_turn,
			    .until = clock_shown(seen->draft_until),
			    .text = seen->draft,
			    .length = seen->draft_length,
		    });
}

/* What belongs to this process alone, and is not a matter of committing. */
static void take_local(struct turn *turn, const struct marcel_conversation *seen)
{
	struct conversation *c = turn->conversation;

	c->wire.side = seen->wake_fd;
	/* What it tells others of a turn, beside the client, is told before the commit: stopped in
	 * between in good order, it would tell it twice. */
	if (seen->wake_fd >= 0)
		atomic_store(&c->freezes, true);
	c->local = seen->local;
	if (c->waiting != seen->waiting) {
		c->waiting = seen->waiting;
		watch_waiting(c->watch, c, seen->waiting);
	}
	if (c->speaker != seen->speaker) {
		c->speaker = seen->speaker;
		watch_switched(c->watch, c, c->responder->name,
			       c->below.responder != NULL ? c->below.responder->name : NULL,
			       seen->speaker);
	}
	take_draft(c, seen);
}

void turn_take_over(struct turn *turn, const struct marcel_conversation *seen)
{
	struct slot_turn *next = turn->next;
	struct marcel_framing before = turn_view(turn).framing;

	turn->by_operator = seen->by_operator;
	next->wake_at = seen->wake_at;
	/* Without sense it would be a message of no bytes, again and again. */
	if (memcmp(&before, &seen->framing, sizeof(before)) != 0 &&
	    framing_makes_sense(&seen->framing))
		next->framing = seen->framing;
	put_flag(&next->flags, TURN_HOLDS, seen->holds);
	put_flag(&next->flags, TURN_OWNS_END, seen->owns_end);
	put_flag(&next->more, MORE_EARLY, seen->early);
	put_flag(&next->more, MORE_CONTINUES, seen->continues);
	put_flag(&next->more, MORE_PAD, seen->uses_pad);
	put_flag(&next->more, MORE_SECRET, seen->asks_secret);
	take_local(turn, seen);
	if (seen->state_used <= seen->state_size)
		next->state_size = (uint32_t)seen->state_used;
}

int turn_open(struct turn *turn)
{
	struct marcel_conversation seen = turn_view(turn);
	int r;

	if (turn->conversation->responder->open == NULL)
		return MARCEL_CONTINUE;
	r = turn->conversation->responder->open(&seen);
	turn_take_over(turn, &seen);
	/* Here it counts at once. */
	turn->conversation->framer.framing = turn->next->framing;
	frame_replies(turn);
	return r;
}

int turn_greet(struct turn *turn)
{
	const char *greeting = turn->conversation->origin.face->dialogue.greeting;
	struct marcel_conversation seen = turn_view(turn);
	int r = -ENOSYS;

	if (turn->conversation->responder->greet != NULL) {
		turn->seen = &seen;
		r = turn->conversation->responder->greet(&seen, &turn->sink);
		turn->seen = NULL;
		turn_take_over(turn, &seen);
	}
	if (r == MARCEL_GIVE)
		note_gift(turn, &seen);
	if (r != -ENOSYS)
		return r;
	return greeting[0] != '\0' ? marcel_say(&turn->sink, greeting, strlen(greeting)) : 0;
}

int turn_respond(struct turn *turn, const char *message, size_t length)
{
	struct marcel_conversation seen = turn_view(turn);
	int r;

	turn->seen = &seen;
	r = turn->conversation->responder->respond(&seen, message, length, &turn->sink);
	turn_record_message(turn);
	turn->seen = NULL;
	turn_take_over(turn, &seen);
	if (r == MARCEL_GIVE)
		note_gift(turn, &seen);
	return r;
}

int turn_wake(struct turn *turn, enum marcel_wake reason)
{
	struct marcel_conversation seen = turn_view(turn);
	int r;

	if (turn->conversation->responder->wake == NULL)
		return -ENOSYS;
	if (reason == MARCEL_WAKE_TIMER)
		seen.wake_at = 0;
	turn->seen = &seen;
	r = turn->conversation->responder->wake(&seen, reason, &turn->sink);
	turn->seen = NULL;
	turn_take_over(turn, &seen);
	if (r == MARCEL_GIVE)
		note_gift(turn, &seen);
	return r;
}

int turn_order(struct turn *turn, const struct marcel_order *order)
{
	struct marcel_conversation seen = turn_view(turn);
	int r;

	if (turn->conversation->responder->order == NULL)
		return -ENOTCONN;
	turn->seen = &seen;
	r = turn->conversation->responder->order(&seen, order, &turn->sink);
	turn->seen = NULL;
	turn_take_over(turn, &seen);
	if (r == MARCEL_GIVE)
		note_gift(turn, &seen);
	return r;
}

int turn_drain(struct conversation *conversation)
{
	struct slot_turn next = *slot_turn(conversation->slot.head);
	struct turn turn = {.conversation = conversation, .next = &next};
	struct marcel_conversation seen = turn_view(&turn);

	if (conversation->responder->drain == NULL)
		return -EBADF;
	seen.state = slot_state(&conversation->slot);
	return conversation->responder->drain(&seen);
}

/* Lets who is suspended take up its state; its time has come when it gets the conversation back. */
static int restore_below(struct turn *turn)
{
	struct conversation *c = turn->conversation;
	struct slot_switch *tail = turn_switch(turn);
	struct marcel_conversation seen;
	int r;

	if (c->below.responder == NULL || c->below.responder->restore == NULL)
		return 0;
	if (c->below.responder->state_begin == 0) {
		r = turn_widen_below(turn, c->below.responder->state_size);
		if (r < 0)
			return r;
		tail = turn_switch(turn);
	}
	seen = turn_view_below(turn);
	r = c->below.responder->restore(&seen, tail->below_version);
	if (r < 0)
		return r;
	if (seen.state_used <= tail->below_size)
		tail->below_size = (uint32_t)seen.state_used;
	tail->below_version = c->below.responder->state_version;
	return 0;
}

int turn_restore(struct turn *turn)
{
	const struct marcel_responder_ops *responder = turn->conversation->responder;
	struct marcel_conversation seen;
	int r = restore_below(turn);
	char *state;

	if (r < 0 || responder->restore == NULL)
		return r;
	seen = turn_view(turn);
	state = seen.state;
	if (responder->state_begin == 0) {
		/* Somebody else's is behind it. */
		if (responder->state_size > seen.state_size)
			return -ENOSPC;
		if (turn->next->state_size < responder->state_size)
			(void)memset(state + turn->next->state_size, 0,
				     responder->state_size - turn->next->state_size);
		seen.state_used = responder->state_size;
	}
	r = responder->restore(&seen, turn->next->state_version);
	if (r < 0)
		return r;
	turn_take_over(turn, &seen);
	turn->next->state_version = responder->state_version;
	return 0;
}

int turn_save(struct turn *turn)
{
	struct marcel_conversation seen = turn_view(turn);
	int r = turn->conversation->responder->save(&seen);

	turn_take_over(turn, &seen);
	return r;
}

void turn_close(struct conversation *conversation, const char *reason)
{
	struct turn turn;
	struct marcel_conversation seen;

	if (conversation->responder->close == NULL && conversation->below.responder == NULL)
		return;
	turn_begin(&turn, conversation);
	turn_close_below(&turn, reason);
	if (conversation->responder->close == NULL)
		return;
	seen = turn_view(&turn);
	seen.reason = reason;
	conversation->responder->close(&seen);
	conversation->local = NULL;
	conversation->wire.side = -1;
}
