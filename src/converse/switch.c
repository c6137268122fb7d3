/* Letting another responder go on; see switch.h. */
#include "converse/switch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "converse/turn-priv.h"
#include "converse/watch.h"

/* States are put where any of their members may lie. */
static size_t align(size_t size)
{
	return (size + 15) / 16 * 16;
}

struct slot_switch *turn_switch(struct turn *turn)
{
	char *area = slot_next_state(&turn->conversation->slot);

	return (struct slot_switch *)(void *)(area + MARCEL_STATE_MAX - sizeof(struct slot_switch));
}

/* Where the state of who is suspended lies. */
static char *state_below(struct turn *turn)
{
	return slot_next_state(&turn->conversation->slot) + MARCEL_STATE_MAX - turn->next->tail;
}

int turn_widen_below(struct turn *turn, size_t size)
{
	const char *from = state_below(turn);
	struct slot_switch *tail = turn_switch(turn);
	size_t room = align(size) + sizeof(*tail);
	size_t had = tail->below_size;

	if (size <= had)
		return 0;
	if (room > MARCEL_STATE_MAX - (size_t)turn->next->state_size)
		return -ENOSPC;
	if (room > turn->next->tail)
		turn->next->tail = (uint16_t)room;
	(void)memmove(state_below(turn), from, had);
	(void)memset(state_below(turn) + had, 0, size - had);
	tail->below_size = (uint32_t)size;
	return 0;
}

struct marcel_conversation turn_view_below(struct turn *turn)
{
	const struct slot_switch *tail = turn_switch(turn);
	struct marcel_conversation seen = turn_view(turn);

	seen.shared = turn->conversation->below.shared;
	seen.state = state_below(turn);
	seen.state_size = seen.state_used = tail->below_size;
	seen.wake_at = tail->below_wake_at;
	seen.framing = tail->below_framing;
	seen.holds = (tail->below_flags & TURN_HOLDS) != 0;
	seen.owns_end = (tail->below_flags & TURN_OWNS_END) != 0;
	seen.early = (tail->below_more & MORE_EARLY) != 0;
	seen.continues = (tail->below_more & MORE_CONTINUES) != 0;
	seen.uses_pad = false;
	seen.pad = NULL;
	seen.wake_fd = -1;
	seen.local = NULL;
	seen.waiting = 0;
	seen.draft_turn = 0;
	seen.speaker = NULL;
	return seen;
}

void turn_close_below(struct turn *turn, const char *reason)
{
	struct conversation_below *below = &turn->conversation->below;

	if (below->responder != NULL && below->responder->close != NULL) {
		struct marcel_conversation seen = turn_view_below(turn);

		seen.reason = reason;
		below->responder->close(&seen);
	}
	*below = (struct conversation_below){.responder = NULL};
}

/* The responder named NAME, as the conversation's face has it. */
static const struct marcel_loaded *find(const struct conversation *c, const char *name)
{
	const struct marcel_loaded *loaded = c->origin.face->loaded;

	while (loaded != NULL && loaded->ops != NULL && strcmp(loaded->ops->name, name) != 0)
		loaded++;
	return loaded != NULL && loaded->ops != NULL ? loaded : NULL;
}

/* Forgets what the last responder had in this process and in the turn. */
static void clear(struct turn *turn)
{
	struct conversation *c = turn->conversation;

	turn->next->flags &= (uint8_t) ~(TURN_HOLDS | TURN_AGAIN);
	turn->next->more &= (uint8_t)~SWITCH_MORE;
	turn->next->wake_at = 0;
	c->wire.side = -1;
	c->local = NULL;
	c->speaker = NULL;
	c->ready = false;
	if (c->waiting != 0) {
		c->waiting = 0;
		watch_waiting(c->watch, c, 0);
	}
	turn_drop_draft(c);
}

/* Says who answers from now on, to the slot and to everybody. */
static void name_responder(struct turn *turn)
{
	struct conversation *c = turn->conversation;
	const char *name = c->responder->name;
	const char *suspended = c->below.responder != NULL ? c->below.responder->name : NULL;

	if (turn->next->tail > 0)
		(void)snprintf(turn_switch(turn)->responder, SWITCH_NAME_MAX, "%s", name);
	watch_switched(c->watch, c, name, suspended, c->speaker);
	record_event(RECORD_SWITCHED, &turn->about,
		     &(struct record_field){"MARCEL_RESPONDER", name}, 1,
		     "Conversation %" PRIu64 " goes on with %s%s%s", turn->about.number, name,
		     suspended != NULL ? ", taken from " : "", suspended != NULL ? suspended : "");
}

/* The bytes of TO's state that matter from the beginning. */
static size_t first_size(const struct marcel_loaded *to)
{
	return to->ops->state_begin > 0 ? to->ops->state_begin : to->ops->state_size;
}

/* Opens the responder TO with an empty state, for which there is room. Returns 0 or a negative
 * errno. */
static int open_anew(struct turn *turn, const struct marcel_loaded *to)
{
	struct conversation *c = turn->conversation;
	size_t begin = first_size(to);
	int r;

	c->responder = to->ops;
	c->shared = to->shared;
	(void)memset(slot_next_state(&c->slot), 0, begin);
	turn->next->state_version = to->ops->state_version;
	turn->next->state_size = (uint32_t)begin;
	clear(turn);
	r = turn_open(turn);
	if (r < 0)
		c->framer.framing = slot_turn(c->slot.head)->framing;
	else
		c->framer.scanned = 0;
	return r;
}

/* Lets the new responder begin, if it wants to; the configured greeting was said long ago. */
static int greet(struct turn *turn)
{
	struct conversation *c = turn->conversation;
	struct marcel_conversation seen = turn_view(turn);
	int r;

	if (c->responder->greet == NULL)
		return MARCEL_CONTINUE;
	turn->seen = &seen;
	r = c->responder->greet(&seen, &turn->sink);
	turn->seen = NULL;
	turn_take_over(turn, &seen);
	/* Only a message can be begun and gone on with. */
	if (r == MARCEL_AGAIN)
		return -EPROTO;
	return r == -ENOSYS || r == MARCEL_GIVE ? MARCEL_CONTINUE : r;
}

/* What a conversation has in this process, beside its turn. */
struct present {
	const struct marcel_responder_ops *responder;
	void *shared;
	const char *speaker;
	uint64_t waiting;
	bool ready;
};

/* Puts everything back to what it was BEFORE another responder was to be opened, which failed. */
static void undo(struct conversation *c, const struct present *before)
{
	c->responder = before->responder;
	c->shared = before->shared;
	c->speaker = before->speaker;
	c->ready = before->ready;
	/* Whoever has one of these is not suspended. */
	c->local = NULL;
	c->wire.side = -1;
	if (c->waiting != before->waiting) {
		c->waiting = before->waiting;
		watch_waiting(c->watch, c, c->waiting);
	}
	watch_switched(c->watch, c, c->responder->name, NULL, c->speaker);
}

int switch_take(struct turn *turn, const char *name)
{
	struct conversation *c = turn->conversation;
	const struct present before = {
		.responder = c->responder,
		.shared = c->shared,
		.speaker = c->speaker,
		.waiting = c->waiting,
		.ready = c->ready,
	};
	const struct marcel_loaded *to = find(c, name);
	size_t room = align(turn->next->state_size);
	struct slot_switch tail = {
		.below_wake_at = turn->next->wake_at,
		.below_framing = turn->next->framing,
		.below_version = turn->next->state_version,
		.below_size = turn->next->state_size,
		.below_flags = turn->next->flags & SWITCH_FLAGS,
		.below_more = turn->next->more & SWITCH_MORE,
	};
	int r;

	if (strcmp(c->responder->name, name) == 0 || c->below.responder != NULL ||
	    (c->speaker != NULL && strcmp(c->speaker, name) == 0))
		return -EALREADY;
	if (to == NULL)
		return -ESRCH;
	/* Nobody else would keep the secret, and what is not part of the state would be lost. */
	if ((turn->next->more & MORE_SECRET) != 0 || c->local != NULL || c->wire.side >= 0 ||
	    (turn->next->more & MORE_PAD) != 0)
		return -EBUSY;
	if (room + sizeof(tail) + first_size(to) > MARCEL_STATE_MAX)
		return -ENOSPC;
	(void)snprintf(tail.below, sizeof(tail.below), "%s", c->responder->name);
	turn->next->tail = (uint16_t)(room + sizeof(tail));
	(void)memmove(state_below(turn), slot_next_state(&c->slot), turn->next->state_size);
	*turn_switch(turn) = tail;
	r = open_anew(turn, to);
	if (r < 0) {
		undo(c, &before);
		return r;
	}
	c->below = (struct conversation_below){before.responder, before.shared};
	name_responder(turn);
	return 0;
}

/* Whether NAME is whom the conversation began with, which needs no tail to say so. */
static bool is_first(const struct conversation *c, const char *name)
{
	return strcmp(name, c->slot.near->card.responder) == 0;
}

/* Lets the suspended responder go on where it stood. */
static void give_back(struct turn *turn)
{
	struct conversation *c = turn->conversation;
	const struct slot_switch tail = *turn_switch(turn);

	clear(turn);
	(void)memmove(slot_next_state(&c->slot), state_below(turn), tail.below_size);
	turn->next->state_size = tail.below_size;
	turn->next->state_version = tail.below_version;
	turn->next->wake_at = tail.below_wake_at;
	turn->next->framing = tail.below_framing;
	turn->next->flags &= (uint8_t)~SWITCH_FLAGS;
	turn->next->flags |= tail.below_flags & SWITCH_FLAGS;
	turn->next->more |= tail.below_more & SWITCH_MORE;
	c->responder = c->below.responder;
	c->shared = c->below.shared;
	c->below = (struct conversation_below){.responder = NULL};
	turn->next->tail = 0;
	if (!is_first(c, c->responder->name)) {
		turn->next->tail = sizeof(struct slot_switch);
		*turn_switch(turn) = (struct slot_switch){.below_size = 0};
	}
	name_responder(turn);
}

/* Lets the responder close its part, since it goes to TO. */
static void close_present(struct turn *turn, const char *to)
{
	struct conversation *c = turn->conversation;
	struct marcel_conversation seen = turn_view(turn);

	if (c->responder->close == NULL)
		return;
	seen.give_to = to;
	c->responder->close(&seen);
}

/* Closes everybody, and lets TO begin. Returns as switch_give() does. */
static int give_to_third(struct turn *turn, const struct marcel_loaded *to)
{
	struct conversation *c = turn->conversation;
	int r;

	close_present(turn, to->ops->name);
	turn_close_below(turn, NULL);
	turn->next->tail = 0;
	if (!is_first(c, to->ops->name)) {
		turn->next->tail = sizeof(struct slot_switch);
		*turn_switch(turn) = (struct slot_switch){.below_size = 0};
	}
	turn->next->framing = (struct marcel_framing){.kind = MARCEL_FRAMING_DEFAULT};
	turn->next->flags &= (uint8_t)~TURN_OWNS_END;
	r = open_anew(turn, to);
	name_responder(turn);
	if (r == 0)
		r = greet(turn);
	/* What switch_was_refused() knows says that nothing has happened. */
	return switch_was_refused(r) ? -EIO : r;
}

bool switch_was_refused(int result)
{
	return result == -EALREADY || result == -ESRCH || result == -ENOSPC || result == -EBUSY;
}

int switch_give(struct turn *turn, const char *name)
{
	struct conversation *c = turn->conversation;
	bool back = c->below.responder != NULL && strcmp(c->below.responder->name, name) == 0;
	const struct marcel_loaded *to = find(c, name);
	size_t tail = is_first(c, name) ? 0 : sizeof(struct slot_switch);

	if (strcmp(c->responder->name, name) == 0)
		return -EALREADY;
	if (back) {
		close_present(turn, name);
		give_back(turn);
		return MARCEL_CONTINUE;
	}
	if (to == NULL)
		return -ESRCH;
	if ((turn->next->more & MORE_SECRET) != 0)
		return -EBUSY;
	if (tail + first_size(to) > MARCEL_STATE_MAX)
		return -ENOSPC;
	return give_to_third(turn, to);
}
