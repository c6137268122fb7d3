/*
 * The fifo responder: an operator's orders are the answers.
 *
 * The client's messages are turns, open until they are answered; what they say goes to the channel
 * (operator/channel.h), whose FIFO brings orders: they wait in the pad (operator/pad.h) until there
 * can be a turn, which carries them out. At most one of them says something in each turn, so that
 * a script that handed the conversation over gets the word back after its first answer.
 *
 * An order is off the queue with the very commit that its reply belongs to: that comes once, also
 * if the process is killed at any moment. Events are told before that and may come twice then.
 *
 * Nothing here waits for anybody. Without a channel (no directory, no descriptors left) it goes on
 * all the same: orders come by order() then. Conversation's thread but for load() and unload().
 */
#include "respond/fifo-responder.h"

#include <errno.h>
#include <string.h>

#include "respond/fifo-priv.h"
#include "respond/fifo-settings.h"
#include "respond/operator/channel.h"
#include "respond/operator/pad.h"

static_assert(PAD_LINE_MAX == CHANNEL_LINE_MAX, "an order of any way fits everywhere");

#define STATE_VERSION 1

static struct fifo_call call_of(struct marcel_conversation *conversation, struct marcel_sink *sink)
{
	return (struct fifo_call){
		.conversation = conversation,
		.state = conversation->state,
		.sink = sink,
		.now = clock_now(),
	};
}

static bool has_pad(const struct marcel_conversation *conversation)
{
	return conversation->uses_pad && conversation->pad != NULL;
}

/* The pad gave an order up. */
static void refused(void *context, enum pad_refusal refusal, const char *text, size_t length)
{
	static const char *const words[] = {
		[PAD_TOO_LONG] = "too-long",
		[PAD_UNFINISHED] = "unfinished",
		[PAD_FULL] = "full",
	};

	fifo_refuse(context, 0, words[refusal], text, length);
}

/* Whether somebody waits for an answer, and doesn't know that nobody is there. */
static bool is_waited_for(const struct fifo_state *state)
{
	return turns_oldest(&state->turns) != 0 && (state->flags & FLAG_ABSENT) == 0;
}

/* Says what follows from the state: who waits, and when this is to be called again. */
static void settle(const struct fifo_call *call, bool show)
{
	struct marcel_conversation *conversation = call->conversation;
	uint64_t waiting = turns_oldest(&call->state->turns);
	uint64_t drafted = fifo_drafted(call);
	usec_t at = USEC_NEVER;

	if ((call->state->flags & FLAG_MUTE) != 0)
		conversation->holds = is_waited_for(call->state);

	if (call->state->absent_at != 0)
		at = call->state->absent_at;
	if (fifo_has_timed_draft(call) && conversation->draft_until < at)
		at = conversation->draft_until;
	if (has_pad(conversation)) {
		usec_t unfinished = pad_deadline(conversation->pad);

		if (unfinished != 0 && unfinished < at)
			at = unfinished;
		if (pad_waits(conversation->pad, call->state->taken))
			at = call->now;
	}
	conversation->wake_at = at == USEC_NEVER ? 0 : at;
	if (conversation->local != NULL &&
	    (show || conversation->waiting != waiting || conversation->draft_turn != drafted)) {
		place_draft(conversation->local, drafted,
			    drafted != 0 ? clock_shown(conversation->draft_until) : 0);
		place_show(conversation->local, conversation->turn, waiting);
	}
	conversation->waiting = waiting;
	conversation->draft_turn = drafted;
}

/* Carries out what waits in the pad, until something was said. Returns a verdict. */
static int take_orders(struct fifo_call *call)
{
	struct fifo_state *state = call->state;
	char line[PAD_LINE_MAX];
	uint64_t taken;
	size_t length;

	while (!call->spoke &&
	       pad_next(call->conversation->pad, state->taken, line, &length, &taken)) {
		const struct order order = order_parse(line, length);
		int r = fifo_carry_out(call, &order, line, length);

		if (r == -ENOSPC)
			break;
		state->taken = taken;
		if (r > 0)
			return r;
	}
	return MARCEL_CONTINUE;
}

/* The draft goes out by itself. One that has no room in a message of the client's framing never
 * can: it is refused, and the client waits for the operator. Returns 0 or a negative errno. */
static int say_draft(struct fifo_call *call)
{
	const struct marcel_conversation *conversation = call->conversation;
	struct fifo_state *state = call->state;
	int r = fifo_say(call, 0, conversation->draft, conversation->draft_length);

	if (r != -EMSGSIZE)
		return r;
	fifo_refuse(call, 0, "too-long", conversation->draft, conversation->draft_length);
	state->flags &= ~FLAG_DRAFT;
	if (state->absent_at == 0 && is_waited_for(state))
		state->absent_at = fifo_absence(call);
	return 0;
}

/* What the time brings: the draft goes out, the client is told that nobody is there. Returns 0 or a
 * negative errno. */
static int pass_time(struct fifo_call *call)
{
	struct marcel_conversation *conversation = call->conversation;
	const struct fifo_settings *settings = conversation->shared;
	struct fifo_state *state = call->state;
	int r = 0;

	if (fifo_has_timed_draft(call) && conversation->draft_until <= call->now) {
		r = say_draft(call);
	} else if (state->absent_at != 0 && state->absent_at <= call->now) {
		if (settings != NULL && settings->absent_reply[0] != '\0')
			r = marcel_say(call->sink, settings->absent_reply,
				       strlen(settings->absent_reply));
		if (r == -EMSGSIZE) {
			/* It has no room in a message of the client's framing. */
			fifo_refuse(call, 0, "too-long", settings->absent_reply,
				    strlen(settings->absent_reply));
			r = 0;
		}
		if (r < 0)
			return r == -ENOSPC ? 0 : r;
		state->absent_at = 0;
		state->flags |= FLAG_ABSENT;
		channel_tell(EVENT_ABSENT, conversation->number, turns_oldest(&state->turns), NULL,
			     NULL, 0);
	}
	return r == -ENOSPC ? 0 : r;
}

/* Orders are there, or a time has come. */
static int work(struct fifo_call *call)
{
	struct marcel_conversation *conversation = call->conversation;
	int r = MARCEL_CONTINUE;

	if (has_pad(conversation)) {
		r = take_orders(call);
		pad_expire(conversation->pad, call->now, refused, call);
	}
	if (r == MARCEL_CONTINUE && !call->spoke)
		r = pass_time(call);
	settle(call, false);
	return r;
}

static struct place_about about(const struct marcel_conversation *conversation)
{
	return (struct place_about){
		.number = conversation->number,
		.id = conversation->id,
		.peer = conversation->peer,
		.listener = conversation->listener,
		/* Whoever lets another one speak is the script. */
		.responder = conversation->speaker != NULL ? "script" : "fifo",
		.opened = conversation->opened,
		.turn = conversation->turn,
	};
}

/* PLACE, or NULL if there is none to be had, is where the operator is. */
static void settle_down(struct marcel_conversation *conversation, struct place *place)
{
	conversation->local = place;
	conversation->wake_fd = place != NULL && has_pad(conversation) ? place_fd(place) : -1;
}

/* One line of what was said before. */
static void recall(void *context, const struct marcel_line *line)
{
	place_recall(context, line);
}

static int fifo_open(struct marcel_conversation *conversation)
{
	const struct place_about who = about(conversation);
	struct fifo_call call = call_of(conversation, NULL);
	struct place *place = NULL;

	*call.state = (struct fifo_state){.flags = conversation->draft != NULL ? FLAG_DRAFT : 0};
	conversation->uses_pad = conversation->pad != NULL;
	if (has_pad(conversation))
		pad_reset(conversation->pad);
	if (place_make(&who, &place) < 0)
		place = NULL;
	/* Whoever goes on with another one's conversation wants to know what was said. */
	if (place != NULL)
		marcel_past(conversation, recall, place);
	settle_down(conversation, place);
	conversation->waiting = 0;
	conversation->draft_turn = 0;
	settle(&call, true);
	return 0;
}

static int fifo_respond(struct marcel_conversation *conversation, const char *message,
			size_t length, struct marcel_sink *sink)
{
	struct fifo_call call = call_of(conversation, sink);
	struct fifo_state *state = call.state;
	bool fresh = (state->flags & (FLAG_DRAFT | FLAG_SHOWN)) == FLAG_DRAFT &&
		     conversation->draft != NULL;

	if (conversation->secret)
		length = MARCEL_WITHHELD;
	turns_open(&state->turns, conversation->turn);
	if (state->absent_at == 0 && (state->flags & FLAG_ABSENT) == 0 &&
	    !fifo_has_timed_draft(&call))
		state->absent_at = fifo_absence(&call);
	if (fresh) {
		state->flags |= FLAG_SHOWN;
		state->drafted = conversation->turn;
	}
	/* Whoever is called by the event finds the files as it says. */
	settle(&call, true);
	channel_tell(EVENT_MESSAGE, conversation->number, conversation->turn, NULL, message,
		     length);
	if (fresh)
		channel_tell(EVENT_DRAFT, conversation->number, conversation->turn, NULL,
			     conversation->draft, conversation->draft_length);
	return MARCEL_CONTINUE;
}

static int fifo_wake(struct marcel_conversation *conversation, enum marcel_wake reason,
		     struct marcel_sink *sink)
{
	struct fifo_call call = call_of(conversation, sink);

	switch (reason) {
	case MARCEL_WAKE_TIMER:
	case MARCEL_WAKE_READY:
		return work(&call);
	case MARCEL_WAKE_IDLE:
		/* Who waits for an answer is not idle. */
		return turns_oldest(&call.state->turns) != 0 ? MARCEL_CONTINUE : -ENOSYS;
	case MARCEL_WAKE_EOF:
		if (!is_waited_for(call.state))
			break;
		call.state->flags |= FLAG_MUTE;
		settle(&call, false);
		return MARCEL_AGAIN;
	case MARCEL_WAKE_STOP:
	case MARCEL_WAKE_EARLY:
	case MARCEL_WAKE_TOO_LONG:
		break;
	}
	return -ENOSYS;
}

static int fifo_drain(struct marcel_conversation *conversation)
{
	struct fifo_call call = call_of(conversation, NULL);
	int r;

	if (!has_pad(conversation))
		return -ENODEV;
	r = pad_fill(conversation->pad, conversation->wake_fd, call.state->taken, call.now, refused,
		     &call);
	/* Nobody looks there after this. */
	if (r < 0 && conversation->local != NULL)
		place_fail(conversation->local, r);
	return r;
}

static int fifo_order(struct marcel_conversation *conversation, const struct marcel_order *given,
		      struct marcel_sink *sink)
{
	struct fifo_call call = call_of(conversation, sink);
	struct order order = order_parse(given->line, given->length);
	int r;

	if (given->turn != 0)
		order = (struct order){
			.kind = ORDER_SAY,
			.turn = given->turn,
			.text = given->line,
			.length = given->length,
		};
	if (given->length > 0 && (memchr(given->line, '\0', given->length) != NULL ||
				  memchr(given->line, '\n', given->length) != NULL))
		order.kind = ORDER_MALFORMED;
	if (given->length > PAD_LINE_MAX) {
		fifo_refuse(&call, given->turn, "too-long", given->line, PAD_LINE_MAX);
		return -E2BIG;
	}
	r = fifo_carry_out(&call, &order, given->line, given->length);
	if (r == -ENOSPC) {
		fifo_refuse(&call, given->turn, "full", given->line, given->length);
		r = -ENOBUFS;
	}
	settle(&call, false);
	return r;
}

static void fifo_said(const struct marcel_conversation *conversation, char who, const char *text,
		      size_t length)
{
	const struct fifo_state *state = conversation->state;
	uint64_t turn = conversation->turn;

	if (conversation->local == NULL)
		return;
	if (who == MARCEL_SERVER && state->answering != 0)
		turn = state->answering;
	place_say(conversation->local, who, turn, text, length);
}

static void tell_trouble(const struct fifo_call *call, const char *what)
{
	channel_tell(EVENT_TROUBLE, call->conversation->number, 0, NULL, what, strlen(what));
}

static int fifo_restore(struct marcel_conversation *conversation, uint32_t version)
{
	const struct place_about who = about(conversation);
	struct fifo_call call = call_of(conversation, NULL);
	struct place *place = NULL;
	bool lost = false;

	if (version != STATE_VERSION)
		return -ENOTSUP;
	conversation->uses_pad = conversation->pad != NULL;
	if (place_find(&who, &place, &lost) < 0)
		place = NULL;
	if (lost)
		tell_trouble(&call, "its FIFO was lost, with the orders in it");
	settle_down(conversation, place);
	if (has_pad(conversation)) {
		if (!pad_is_sound(conversation->pad, call.state->taken)) {
			pad_reset(conversation->pad);
			call.state->taken = 0;
			tell_trouble(&call, "queued orders are lost");
		}
		pad_recover(conversation->pad, call.state->taken, call.now, refused, &call);
	}
	settle(&call, true);
	return 0;
}

/* What waited in the queue is refused with WORD; what had only begun there, as unfinished. */
static void refuse_queue(struct fifo_call *call, const char *word)
{
	const struct marcel_conversation *conversation = call->conversation;
	uint64_t taken = call->state->taken;
	char line[PAD_LINE_MAX];
	uint64_t n = 0;
	size_t length;

	if (!has_pad(conversation) || !pad_is_sound(conversation->pad, taken))
		return;
	while (pad_next(conversation->pad, taken, line, &length, &taken))
		if (n++ < CHANNEL_REFUSED_MAX)
			fifo_refuse(call, 0, word, line, length);
	if (n > CHANNEL_REFUSED_MAX)
		channel_refuse_rest(conversation->number, n - CHANNEL_REFUSED_MAX);
	/* Who closes this again has nothing to refuse, and who goes on nothing to carry out. */
	pad_close(conversation->pad, call->state->taken, call->now, refused, call);
}

static void fifo_close(struct marcel_conversation *conversation)
{
	struct fifo_call call = call_of(conversation, NULL);
	bool left = conversation->reason == NULL;
	const char *reason = left ? conversation->give_to : conversation->reason;

	refuse_queue(&call, left ? "not-held" : "no-conversation");
	if (conversation->local != NULL)
		place_close(conversation->local, reason != NULL ? reason : "", left);
	conversation->local = NULL;
	conversation->wake_fd = -1;
	conversation->waiting = 0;
	conversation->draft_turn = 0;
}

/* Its FIFO. */
static unsigned fifo_descriptors(const void *shared)
{
	(void)shared;
	return 1;
}

const struct marcel_responder_ops fifo_responder = {
	.abi = MARCEL_RESPONDER_ABI,
	.name = "fifo",
	.state_size = sizeof(struct fifo_state),
	.state_version = STATE_VERSION,
	.load = fifo_load,
	.unload = fifo_unload,
	.descriptors = fifo_descriptors,
	.open = fifo_open,
	.respond = fifo_respond,
	.wake = fifo_wake,
	.restore = fifo_restore,
	.drain = fifo_drain,
	.order = fifo_order,
	.said = fifo_said,
	.close = fifo_close,
};
