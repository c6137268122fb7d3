/* Beginning, waking and ending conversations; see roster.h. */
#include "converse/roster.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "marcel/responder.h"

/* This many free slots and stacks keep their memory: a busy daemon uses the same few. */
#define WARM_SLOTS 64

/* Lists the free slots, so that those with low indices are used first. */
static void list_free(struct roster *roster)
{
	uint32_t used = atomic_load(&roster->table.header->used);

	for (uint32_t i = roster->table.header->capacity; i > 0; i--)
		if (i > used || atomic_load_explicit(&roster->table.heads[i - 1].stage,
						     memory_order_relaxed) == STAGE_FREE)
			roster->free[roster->n_free++] = i - 1;
}

int roster_init(struct roster *roster, struct table *table, const struct roster_hooks *hooks)
{
	uint32_t capacity = table->header->capacity;
	int r;

	*roster = (struct roster){.table = *table,
				  .event = -1,
				  .numbers = {.fd = -1},
				  .hooks = *hooks};
	*table = (struct table){.fd = -1};
	lock_init(&roster->lock, "the finished");
	lock_init(&roster->turnstile, "the turnstile");
	r = stacks_init(&roster->stacks, capacity);
	if (r < 0)
		return r;
	roster->conversations = calloc(capacity, sizeof(*roster->conversations));
	roster->free = calloc(capacity, sizeof(*roster->free));
	roster->finished = calloc(capacity, sizeof(*roster->finished));
	if (roster->conversations == NULL || roster->free == NULL || roster->finished == NULL)
		return -ENOMEM;
	list_free(roster);
	(void)numbers_init(&roster->numbers, &roster->table.header->next_number, true, NULL);
	roster->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return roster->event < 0 ? -errno : 0;
}

void roster_done(struct roster *roster)
{
	close_fd(&roster->event);
	free(roster->conversations);
	free(roster->free);
	free(roster->finished);
	numbers_done(&roster->numbers);
	stacks_done(&roster->stacks);
	table_done(&roster->table);
	lock_done(&roster->lock);
	lock_done(&roster->turnstile);
}

/* Puts the conversation's index where the main thread finds it. In its own thread, as its last. */
static void finish(struct roster *roster, uint32_t index)
{
	const uint64_t one = 1;

	lock_take(&roster->lock);
	roster->finished[roster->n_finished++] = index;
	/* Under the lock, so that the main thread can't end the roster before this is done. */
	if (roster->n_finished == 1)
		(void)!write(roster->event, &one, sizeof(one));
	lock_drop(&roster->lock);
}

/*
 * Waits until conversations may go on; one that is suspect, until it is its turn: it keeps the
 * turnstile then until turn_is_over(), which is more than the analysis can follow.
 */
LOCK_ATTRIBUTE(no_thread_safety_analysis)
static void wait_at_gate(struct conversation *c)
{
	wire_rest(&c->wire);
	gate_wait(&c->roster->gate);
	if (c->turnstile != NULL)
		lock_take(c->turnstile);
	wire_work(&c->wire);
}

static void *run(void *argument)
{
	struct conversation *c = argument;
	char name[32];

	wait_at_gate(c);
	(void)snprintf(name, sizeof(name), "conv-%" PRIu64, c->slot.head->number);
	thread_name(name);
	conversation_run(c);
	finish(c->roster, c->index);
	return NULL;
}

/* The bytes of a responder's state that matter from the beginning. */
static size_t first_state_size(const struct marcel_responder_ops *ops)
{
	return ops->state_begin > 0 ? ops->state_begin : ops->state_size;
}

static void fill_card(const struct slot *slot, const struct roster_arrival *arrival)
{
	const struct marcel_responder_ops *ops = arrival->origin.face->responder;
	struct slot_card *card = &slot->near->card;

	(void)snprintf(card->peer, sizeof(card->peer), "%s", arrival->peer);
	(void)snprintf(card->listener, sizeof(card->listener), "%s", arrival->listener);
	(void)snprintf(card->responder, sizeof(card->responder), "%s", ops->name);
	(void)memcpy(card->key, arrival->origin.key, sizeof(card->key));
	card->keyed = arrival->origin.keyed;
	if (ops->state_size > 0)
		(void)memset(slot->states->area[0], 0, first_state_size(ops));
}

static uint8_t first_mode(enum framing framing)
{
	switch (framing) {
	case FRAMING_RAW:
		return MODE_RAW_ONLY;
	case FRAMING_LINE:
		return MODE_LINE;
	case FRAMING_AUTO:
		break;
	}
	return MODE_UNDECIDED;
}

/* A slot as it is before the first byte. */
static void fill_head(struct roster *roster, struct slot_head *head, int fd,
		      const struct face *face)
{
	struct slot_turn *first = &head->turn[0];
	socklen_t size = sizeof(head->cookie);

	(void)memset(head, 0, sizeof(*head));
	head->number = numbers_take(&roster->numbers);
	head->opened = clock_realtime();
	(void)!getrandom(head->id, sizeof(head->id), 0);
	(void)getsockopt(fd, SOL_SOCKET, SO_COOKIE, &head->cookie, &size);
	first->mode = first_mode(face->dialogue.framing);
	first->state_version = face->responder->state_version;
	first->state_size = (uint32_t)first_state_size(face->responder);
	atomic_store_explicit(&head->stage, STAGE_LIVE, memory_order_release);
}

static bool is_tcp(int fd)
{
	int protocol = 0;
	socklen_t size = sizeof(protocol);

	return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
	       protocol == IPPROTO_TCP;
}

/* Lets the kernel count how far was looked ahead (wire.h, note on peeking). */
static void start_peeking(int fd)
{
	const int from_the_start = 0;

	(void)setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &from_the_start, sizeof(from_the_start));
}

/* The framer as a turn left it. */
static struct framer restore_framer(const struct slot_turn *turn, const struct face *face)
{
	return (struct framer){
		.message_max = face->dialogue.message_max,
		.mode = (enum slot_mode)turn->mode,
		.line_end = (enum slot_line_end)turn->line_end,
		.after_raw = (turn->flags & TURN_AFTER_RAW) != 0,
		.skipping = (turn->flags & TURN_SKIPPING) != 0,
		.framing = turn->framing,
	};
}

/*
 * Whether another process can only carry on exactly where C stands if its thread has stopped: the
 * kernel does not count for its socket, or one of those who answer now, or may later, has something
 * to save. Before there is a thread, which changes them.
 */
static bool must_freeze(const struct conversation *c)
{
	const struct marcel_loaded *loaded = c->origin.face->loaded;

	if (c->wire.peeks || c->responder->save != NULL ||
	    (c->below.responder != NULL && c->below.responder->save != NULL))
		return true;
	while (loaded != NULL && loaded->ops != NULL && loaded->ops->save == NULL)
		loaded++;
	return loaded != NULL && loaded->ops != NULL;
}

/* Makes the conversation of slot INDEX, which is filled, live: the one way there is. */
static int start_thread(struct roster *roster, uint32_t index, int fd,
			const struct roster_resumption *how)
{
	struct conversation *c = &roster->conversations[index];
	struct slot slot = table_slot(&roster->table, index);
	struct slot_head *head = slot.head;
	size_t stack_size = 0;
	void *stack;
	int r;

	*c = (struct conversation){
		.watch = roster->watch,
		.roster = roster,
		.index = index,
		.resumed = how->carried,
		.slot = slot,
		.origin = how->origin,
		.responder = how->responder,
		.shared = how->shared,
		.below = how->below,
		.framer = restore_framer(slot_turn(head), how->origin.face),
		.turnstile = how->suspect ? &roster->turnstile : NULL,
	};
	wire_init(&c->wire, fd, how->carried);
	c->wire.peeks = roster->hooks.keep != NULL && !is_tcp(fd);
	atomic_store(&c->freezes, must_freeze(c));
	stack = stacks_get(&roster->stacks, index, &stack_size);
	watch_begin(roster->watch, c);
	r = thread_start(&c->thread, NULL, stack, stack_size, run, c);
	if (r < 0) {
		watch_end(roster->watch, c, END_SYSTEM_ERROR);
		(void)take_fd(&c->wire.fd); /* it stays the caller's */
		wire_done(&c->wire);
		return r;
	}
	c->running = true;
	roster->live++;
	return 0;
}

/* From now on slot INDEX has to be looked at. Before anything is in it. */
static void note_use(struct roster *roster, uint32_t index)
{
	struct table_header *header = roster->table.header;

	if (index >= atomic_load_explicit(&header->used, memory_order_relaxed))
		atomic_store(&header->used, index + 1);
}

int roster_begin(struct roster *roster, int fd, const struct roster_arrival *arrival)
{
	const struct face *face = arrival->origin.face;
	const struct roster_resumption how = {
		.origin = arrival->origin,
		.responder = face->responder,
		.shared = face->responder_shared,
	};
	struct slot slot;
	uint32_t index;
	int r;

	if (roster->n_free == 0)
		return -ENOSPC;
	index = roster->free[roster->n_free - 1];
	note_use(roster, index);
	slot = table_slot(&roster->table, index);
	fill_card(&slot, arrival);
	fill_head(roster, slot.head, fd, face);
	if (roster->hooks.keep != NULL) {
		if (!is_tcp(fd))
			start_peeking(fd);
		roster->hooks.keep(roster->hooks.context, index, fd);
	}
	r = start_thread(roster, index, fd, &how);
	if (r < 0) {
		atomic_store_explicit(&slot.head->stage, STAGE_FREE, memory_order_release);
		if (roster->hooks.unkeep != NULL)
			roster->hooks.unkeep(roster->hooks.context, index);
		return r;
	}
	roster->n_free--;
	if (roster->warm > 0)
		roster->warm--;
	roster->total++;
	if (roster->hooks.begun != NULL)
		roster->hooks.begun(roster->hooks.context);
	return 0;
}

int roster_reserve(struct roster *roster, uint32_t *ret_index)
{
	if (roster->n_free == 0)
		return -ENOSPC;
	*ret_index = roster->free[--roster->n_free];
	note_use(roster, *ret_index);
	return 0;
}

int roster_resume(struct roster *roster, uint32_t index, int fd,
		  const struct roster_resumption *resumption)
{
	struct roster_resumption how = *resumption;

	how.carried = true;
	return start_thread(roster, index, fd, &how);
}

void roster_open_gate(struct roster *roster)
{
	gate_open(&roster->gate);
}

/* Frees slot INDEX: the last WARM_SLOTS of the free ones keep their memory, the others none. */
static void free_slot(struct roster *roster, uint32_t index)
{
	uint32_t *lowest_warm = &roster->free[roster->n_free - roster->warm];

	atomic_store_explicit(&roster->table.heads[index].stage, STAGE_FREE, memory_order_release);
	if (roster->warm < WARM_SLOTS) {
		roster->free[roster->n_free] = index;
		roster->warm++;
	} else {
		table_release_slot(&roster->table, index);
		stacks_release(&roster->stacks, index);
		roster->free[roster->n_free] = *lowest_warm;
		*lowest_warm = index;
	}
	roster->n_free++;
}

void roster_discard(struct roster *roster, uint32_t index)
{
	free_slot(roster, index);
}

/* Why C, whose thread has done its last, is over. */
static enum end_reason end_of(const struct conversation *c)
{
	return c->handed_over ? END_HANDOVER : (enum end_reason)slot_turn(c->slot.head)->reason;
}

uint32_t roster_reap(struct roster *roster)
{
	uint64_t count;
	uint32_t reaped = 0;

	(void)!read(roster->event, &count, sizeof(count));
	for (;;) {
		struct conversation *c = NULL;

		lock_take(&roster->lock);
		if (roster->n_finished > 0)
			c = &roster->conversations[roster->finished[--roster->n_finished]];
		lock_drop(&roster->lock);
		if (c == NULL)
			return reaped;
		watch_end(roster->watch, c, end_of(c));
		thread_join(c->thread);
		c->running = false;
		roster->live--;
		/* First of all: a slot that says otherwise without a socket would be missed. */
		if (!c->handed_over)
			atomic_store_explicit(&c->slot.head->stage, STAGE_FREE,
					      memory_order_release);
		if (roster->hooks.over != NULL)
			roster->hooks.over(roster->hooks.context, c);
		if (!c->handed_over)
			free_slot(roster, c->index);
		wire_done(&c->wire);
		reaped++;
	}
}

/* Calls FUNCTION with every live conversation until it says that it found what it looked for. */
static struct conversation *each_live(struct roster *roster,
				      bool (*function)(struct conversation *, unsigned),
				      unsigned argument)
{
	uint32_t used = atomic_load(&roster->table.header->used);
	uint32_t left = roster->live;

	for (uint32_t i = 0; left > 0 && i < used; i++) {
		if (!roster->conversations[i].running)
			continue;
		left--;
		if (function(&roster->conversations[i], argument))
			return &roster->conversations[i];
	}
	return NULL;
}

static bool wake_one(struct conversation *c, unsigned mail)
{
	wire_wake(&c->wire, mail);
	return false;
}

static bool freeze_one(struct conversation *c, unsigned unused)
{
	(void)unused;
	c->asked_to_freeze = atomic_load(&c->freezes);
	if (c->asked_to_freeze)
		wire_wake(&c->wire, MAIL_FREEZE);
	return false;
}

static bool is_moving(struct conversation *c, unsigned unused)
{
	(void)unused;
	return c->asked_to_freeze;
}

void roster_freeze(struct roster *roster)
{
	(void)each_live(roster, freeze_one, 0);
}

bool roster_is_frozen(struct roster *roster)
{
	return each_live(roster, is_moving, 0) == NULL;
}

void roster_wake_all(struct roster *roster, unsigned mail)
{
	(void)each_live(roster, wake_one, mail);
}

static bool abandon_one(struct conversation *c, unsigned unused)
{
	(void)unused;
	thread_detach(c->thread);
	return false;
}

void roster_abandon(struct roster *roster)
{
	(void)each_live(roster, abandon_one, 0);
}

static bool is_stuck(struct conversation *c, unsigned unused)
{
	uint64_t progress = wire_progress(&c->wire);
	bool stuck = (progress & 1) != 0 && progress == c->seen_progress;

	(void)unused;
	c->seen_progress = progress;
	return stuck;
}

const struct conversation *roster_find_stuck(struct roster *roster)
{
	return each_live(roster, is_stuck, 0);
}
