/*
 * What others want of a conversation (watch.h), done by its own thread between two messages.
 *
 * Each wish is a turn, and is answered when that is in force; so whoever asked knows that what he
 * was told happened survives everything. What cannot be done is answered with its error, and the
 * conversation goes on as it was.
 */
#include <errno.h>
#include <string.h>

#include "converse/conversation-priv.h"
#include "converse/switch.h"
#include "converse/turn.h"
#include "converse/watch.h"

/* Gives the responder an order. */
static enum end_reason say(struct conversation *c, const struct wish *wish, int *ret_result)
{
	const struct marcel_order order = {
		.turn = wish->turn,
		.line = wish->line,
		.length = wish->length,
	};
	struct turn turn;
	int verdict;

	watch_recall(c->watch, c);
	turn_begin(&turn, c);
	verdict = turn_order(&turn, &order);
	*ret_result = verdict < 0 ? verdict : 0;
	if (verdict < 0)
		verdict = MARCEL_CONTINUE;
	/* Only a message can be begun and gone on with. */
	if (verdict == MARCEL_AGAIN)
		verdict = -EPROTO;
	return settle(&turn, verdict, END_OPERATOR);
}

static enum end_reason end(struct conversation *c)
{
	struct turn turn;

	turn_begin(&turn, c);
	end_dialogue(&turn, END_OPERATOR, true);
	return END_NONE;
}

static enum end_reason change(struct conversation *c, const struct wish *wish, int *ret_result)
{
	struct turn turn;
	int r;

	/* Whoever is to go on may want to know what was said. */
	watch_recall(c->watch, c);
	turn_begin(&turn, c);
	if (wish->kind == WISH_TAKE)
		r = switch_take(&turn, wish->responder);
	else
		r = switch_give(&turn, wish->responder);
	*ret_result = r < 0 ? r : 0;
	if (r >= 0 || (wish->kind == WISH_GIVE && !switch_was_refused(r)))
		return settle(&turn, r, END_RESPONDER);
	/* Nothing of it has happened. */
	turn_is_over(c);
	return END_NONE;
}

enum end_reason wishes_serve(struct conversation *c)
{
	struct watch *watch = c->watch;
	enum end_reason broken = END_NONE;
	const struct wish *wish;

	c->wished = false;
	while (broken == END_NONE && slot_turn(c->slot.head)->phase == PHASE_DIALOGUE &&
	       (wish = watch_take_wish(watch, c)) != NULL) {
		uint64_t ticket = wish->ticket;
		int result = 0;

		switch (wish->kind) {
		case WISH_SAY:
			broken = say(c, wish, &result);
			break;
		case WISH_CLOSE:
			broken = end(c);
			break;
		case WISH_GIVE:
		case WISH_TAKE:
			broken = change(c, wish, &result);
			break;
		}
		watch_answer(watch, c, ticket, result);
		if (slot_turn(c->slot.head)->phase != PHASE_DIALOGUE)
			ending_begin(c);
		/* The mail of one that ends it may have come together with this one's. */
		c->closing = c->closing || watch_wants_end(watch, c);
		if (broken == END_NONE && output_is_due(c))
			broken = output_flush(c);
	}
	return broken;
}
