/* Carrying out orders; see fifo-priv.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "respond/fifo-priv.h"
#include "respond/fifo-responder.h"
#include "respond/fifo-settings.h"
#include "respond/operator/channel.h"
#include "respond/operator/pad.h"

void fifo_refuse(const struct fifo_call *call, uint64_t turn, const char *word, const char *text,
		 size_t length)
{
	const uint64_t number = call->conversation->number;
	char note[ORDER_REFUSAL_MAX];

	if (call->sink == NULL) {
		channel_refuse(number, turn, word, text, length);
		return;
	}
	channel_tell(EVENT_REFUSED, number, turn, word, text, length);
	marcel_note(call->sink, MARCEL_NOTE_REFUSED, NULL, note,
		    order_refusal(note, turn, word, text, length));
}

usec_t fifo_absence(const struct fifo_call *call)
{
	const struct fifo_settings *settings = call->conversation->shared;
	usec_t at = settings != NULL ? clock_deadline(call->now, settings->absent_after)
				     : USEC_NEVER;

	return at == USEC_NEVER ? 0 : at;
}

uint64_t fifo_drafted(const struct fifo_call *call)
{
	const struct fifo_state *state = call->state;
	const uint32_t both = FLAG_DRAFT | FLAG_SHOWN;

	if ((state->flags & both) != both || call->conversation->draft == NULL)
		return 0;
	return state->drafted != 0 ? state->drafted : turns_oldest(&state->turns);
}

bool fifo_has_timed_draft(const struct fifo_call *call)
{
	return (call->state->flags & FLAG_DRAFT) != 0 && call->conversation->draft != NULL &&
	       call->conversation->draft_until != USEC_NEVER;
}

/* TURN, 0: all that is open, is answered, or wants no answer. With its turn goes the draft. */
static void settle_turn(struct fifo_state *state, uint64_t turn)
{
	if (turn != 0)
		turns_answer(&state->turns, turn);
	else
		turns_answer_all(&state->turns);
	if (state->drafted != 0 && !turns_is_open(&state->turns, state->drafted))
		state->flags &= ~FLAG_DRAFT;
}

/* When who waits still is told that nobody is there; a draft that goes out by itself is in time. */
static uint64_t absence_of_rest(const struct fifo_call *call)
{
	if (turns_oldest(&call->state->turns) == 0 || fifo_has_timed_draft(call))
		return 0;
	return fifo_absence(call);
}

int fifo_say(struct fifo_call *call, uint64_t turn, const char *text, size_t length)
{
	struct fifo_state *state = call->state;
	bool knows = (state->flags & FLAG_ABSENT) != 0;
	int r;

	state->answering = turn;
	r = marcel_say(call->sink, text, length);
	state->answering = 0;
	if (r < 0)
		return r;
	call->spoke = true;
	channel_tell(EVENT_SENT, call->conversation->number, turn, NULL, text, length);
	settle_turn(state, turn);
	/* Nobody has seen it. */
	if (state->drafted == 0)
		state->flags &= ~FLAG_DRAFT;
	/* Somebody is there. Who knew that nobody was is told again with a new message only. */
	state->flags &= ~FLAG_ABSENT;
	state->absent_at = knows ? 0 : absence_of_rest(call);
	return 0;
}

static int done(const struct fifo_call *call, const char *line, size_t length, int verdict)
{
	channel_tell(EVENT_DONE, call->conversation->number, 0, NULL, line, length);
	return verdict;
}

/* Nothing is to be said to what is open, or to one of it. Who handed the conversation over gets it
 * back then, as after an answer. */
static int want_no_answer(struct fifo_call *call, const struct order *order, const char *line,
			  size_t length)
{
	struct fifo_state *state = call->state;
	bool timed;

	if (order->turn != 0 && !turns_is_open(&state->turns, order->turn)) {
		fifo_refuse(call, order->turn, "not-open", line, length);
		return -ESTALE;
	}
	if (turns_oldest(&state->turns) == 0)
		return done(call, line, length, MARCEL_CONTINUE);
	timed = fifo_has_timed_draft(call);
	settle_turn(state, order->turn);
	if (turns_oldest(&state->turns) == 0) {
		call->spoke = true;
		state->flags &= ~(FLAG_ABSENT | FLAG_DRAFT);
		state->absent_at = 0;
	} else if (timed && (state->flags & FLAG_ABSENT) == 0) {
		state->absent_at = absence_of_rest(call);
	}
	return done(call, line, length, MARCEL_CONTINUE);
}

/* Whether ORDER names NAME. */
static bool names(const struct order *order, const char *name)
{
	return strlen(name) == order->length && memcmp(name, order->text, order->length) == 0;
}

/* The name of the responder that ORDER names, if the conversation can go to it; else NULL. */
static const char *heir(const struct marcel_conversation *conversation, const struct order *order)
{
	const struct marcel_loaded *loaded = conversation->loaded;

	if (conversation->suspended != NULL && names(order, conversation->suspended))
		return conversation->suspended;
	while (loaded != NULL && loaded->ops != NULL && !names(order, loaded->ops->name))
		loaded++;
	if (loaded == NULL || loaded->ops == NULL || loaded->ops == &fifo_responder)
		return NULL;
	return loaded->ops->name;
}

static int give(const struct fifo_call *call, const struct order *order, const char *line,
		size_t length)
{
	const char *to = heir(call->conversation, order);

	if (to == NULL) {
		fifo_refuse(call, 0, "no-responder", line, length);
		return -ESRCH;
	}
	call->conversation->give_to = to;
	return done(call, line, length, MARCEL_GIVE);
}

static int refuse_unknown(const struct fifo_call *call, const char *line, size_t length)
{
	static const char hint[] = " (there is " ORDER_SLASHES ")";
	char text[PAD_LINE_MAX + sizeof(hint)];

	(void)memcpy(text, line, length);
	(void)memcpy(text + length, hint, sizeof(hint) - 1);
	fifo_refuse(call, 0, "unknown-order", text, length + sizeof(hint) - 1);
	return -EINVAL;
}

/* Whether ORDER has no text, and so approves of the draft: for a turn only if the draft answers
 * that one. */
static bool approves(const struct fifo_call *call, const struct order *order)
{
	return order->length == 0 && (call->state->flags & FLAG_DRAFT) != 0 &&
	       call->conversation->draft != NULL &&
	       (order->turn == 0 || order->turn == fifo_drafted(call));
}

static int say_order(struct fifo_call *call, const struct order *order)
{
	const struct marcel_conversation *conversation = call->conversation;
	const char *text = order->text;
	size_t length = order->length;
	int r;

	if (order->turn != 0 && !turns_is_open(&call->state->turns, order->turn)) {
		fifo_refuse(call, order->turn, "not-open", text, length);
		return -ESTALE;
	}
	if (approves(call, order)) {
		text = conversation->draft;
		length = conversation->draft_length;
	}
	r = fifo_say(call, order->turn, text, length);
	if (r == 0 || r == -ENOSPC)
		return r;
	/* The client's framing has no room for so long a message. */
	fifo_refuse(call, order->turn, "too-long", text, length);
	return -E2BIG;
}

/* Returns as fifo_carry_out() does. */
static int obey(struct fifo_call *call, const struct order *order, const char *line, size_t length)
{
	switch (order->kind) {
	case ORDER_SAY:
	case ORDER_EMPTY:
		return say_order(call, order);
	case ORDER_DONE:
		return want_no_answer(call, order, line, length);
	case ORDER_CLOSE:
		call->conversation->by_operator = true;
		return done(call, line, length, MARCEL_FAREWELL);
	case ORDER_RESET:
		return done(call, line, length, MARCEL_RESET);
	case ORDER_GIVE:
		return give(call, order, line, length);
	case ORDER_NOTE:
		marcel_note(call->sink, MARCEL_NOTE_LOG, NULL, order->text, order->length);
		return done(call, line, length, MARCEL_CONTINUE);
	case ORDER_UNKNOWN:
		return refuse_unknown(call, line, length);
	case ORDER_MALFORMED:
		break;
	}
	fifo_refuse(call, 0, "malformed", line, length);
	return -EINVAL;
}

int fifo_carry_out(struct fifo_call *call, const struct order *order, const char *line,
		   size_t length)
{
	int r = obey(call, order, line, length);

	if (r >= 0)
		channel_obeyed();
	return r;
}
