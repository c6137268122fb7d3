/* Preparing and committing turns, and the calls to the responder; see turn.h. */
#include "converse/turn.h"

#include <errno.h>
#include <string.h>

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

static void said(void *context, const char *text, size_t length)
{
	const struct turn *turn = context;

	record_said(&turn->about, RECORD_SERVER, turn->next->messages, text, length);
}

/* What marcel_say() ends a reply with, as things stand. */
static const char *line_end(const struct conversation *conversation)
{
	switch (conversation->framer.mode) {
	case MODE_RAW:
	case MODE_RAW_ONLY:
		return "";
	case MODE_UNDECIDED:
	case MODE_LINE:
		break;
	}
	return conversation->framer.line_end == LINE_END_CRLF ? "\r\n" : "\n";
}

struct slot_turn *turn_amend(struct conversation *conversation)
{
	size_t state_size = slot_turn(conversation->slot.head)->state_size;

	/* The commit puts the other state area into force as well. */
	if (state_size > 0)
		(void)memcpy(slot_next_state(&conversation->slot), slot_state(&conversation->slot),
			     state_size);
	return slot_next(conversation->slot.head);
}

void turn_begin(struct turn *turn, struct conversation *conversation)
{
	struct slot_head *head = conversation->slot.head;
	struct slot_turn *next = turn_amend(conversation);
	uint64_t sent = atomic_load_explicit(&head->out_sent, memory_order_relaxed);
	uint64_t read = atomic_load_explicit(&head->in_read, memory_order_relaxed);
	const char *end = line_end(conversation);
	size_t used;

	/* What was sent and what was answered needs no room any more. */
	if (sent == next->out_end) {
		next->out_base = sent;
		next->flags &= (uint8_t)~TURN_OUT_FAR;
	}
	if (read == next->in_taken)
		next->in_base = read;
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
				.line_end = end,
				.line_end_length = strlen(end),
				.said = said,
				.context = turn,
			},
	};
}

static void put_into_force(struct turn *turn)
{
	const struct framer *framer = &turn->conversation->framer;
	struct slot_turn *next = turn->next;

	next->out_end += turn->sink.used;
	if (turn->sink.spilled)
		next->flags |= TURN_OUT_FAR;
	next->mode = (uint8_t)framer->mode;
	next->line_end = (uint8_t)framer->line_end;
	if (framer->after_raw)
		next->flags |= TURN_AFTER_RAW;
	else
		next->flags &= (uint8_t)~TURN_AFTER_RAW;
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

/* What the responder sees of the conversation during one call. */
static struct marcel_conversation view(const struct turn *turn)
{
	const struct conversation *conversation = turn->conversation;
	const struct slot_card *card = &conversation->slot.near->card;

	return (struct marcel_conversation){
		.shared = conversation->shared,
		.state = slot_next_state(&conversation->slot),
		.state_size = conversation->responder->state_size,
		.number = conversation->slot.head->number,
		.turn = turn->next->messages,
		.peer = card->peer,
		.listener = card->listener,
		.wake_at = turn->next->wake_at,
	};
}

int turn_open(struct turn *turn)
{
	struct marcel_conversation seen = view(turn);
	int r;

	if (turn->conversation->responder->open == NULL)
		return MARCEL_CONTINUE;
	r = turn->conversation->responder->open(&seen);
	turn->next->wake_at = seen.wake_at;
	return r;
}

int turn_greet(struct turn *turn)
{
	const char *greeting = turn->conversation->origin.face->dialogue.greeting;
	struct marcel_conversation seen = view(turn);
	int r = -ENOSYS;

	if (turn->conversation->responder->greet != NULL)
		r = turn->conversation->responder->greet(&seen, &turn->sink);
	turn->next->wake_at = seen.wake_at;
	if (r != -ENOSYS)
		return r;
	return greeting[0] != '\0' ? marcel_say(&turn->sink, greeting, strlen(greeting)) : 0;
}

int turn_respond(struct turn *turn, const char *message, size_t length)
{
	struct marcel_conversation seen = view(turn);
	int r = turn->conversation->responder->respond(&seen, message, length, &turn->sink);

	turn->next->wake_at = seen.wake_at;
	return r;
}

int turn_wake(struct turn *turn, enum marcel_wake reason)
{
	struct marcel_conversation seen = view(turn);
	int r;

	if (turn->conversation->responder->wake == NULL)
		return -ENOSYS;
	if (reason == MARCEL_WAKE_TIMER)
		seen.wake_at = 0;
	r = turn->conversation->responder->wake(&seen, reason, &turn->sink);
	turn->next->wake_at = seen.wake_at;
	return r;
}

int turn_restore(struct turn *turn)
{
	const struct marcel_responder_ops *responder = turn->conversation->responder;
	struct marcel_conversation seen = view(turn);
	char *state = seen.state;
	int r;

	if (turn->next->state_size < responder->state_size)
		(void)memset(state + turn->next->state_size, 0,
			     responder->state_size - turn->next->state_size);
	r = responder->restore(&seen, turn->next->state_version);
	if (r < 0)
		return r;
	turn->next->wake_at = seen.wake_at;
	turn->next->state_version = responder->state_version;
	turn->next->state_size = (uint32_t)responder->state_size;
	return 0;
}

int turn_save(struct turn *turn)
{
	struct marcel_conversation seen = view(turn);
	int r = turn->conversation->responder->save(&seen);

	turn->next->wake_at = seen.wake_at;
	return r;
}

void turn_close(struct conversation *conversation)
{
	struct turn turn;
	struct marcel_conversation seen;

	if (conversation->responder->close == NULL)
		return;
	turn_begin(&turn, conversation);
	seen = view(&turn);
	conversation->responder->close(&seen);
}
