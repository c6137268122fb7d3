/*
 * A conversation whose responders (actors.h) are switched, one turn after another and without a
 * thread of its own, so that a test can look at its slot between two turns; and what another
 * process would find in it.
 */
#pragma once

#include "actors.h"
#include "base/cleanup.h"
#include "converse/conversation-priv.h"
#include "converse/switch.h"
#include "converse/table.h"
#include "converse/turn-priv.h"
#include "converse/watch.h"
#include "handover/snapshot.h"
#include "pairs.h"

#define THEATRE_NUMBER 7

struct theatre {
	struct table table;
	struct marcel_loaded loaded[8];
	struct face face;
	struct conversation c;
	struct watch *watch;
	int client;
	uint64_t ticket;
};

static char theatre_nothing[] = "";

static inline void theatre_dialogue(struct theatre *t)
{
	t->face.name = theatre_nothing;
	t->face.dialogue = (struct dialogue){
		.greeting = theatre_nothing,
		.farewell = theatre_nothing,
		.too_long = theatre_nothing,
		.raw_pause = USEC_PER_SEC,
		.message_max = 4096,
		.idle_timeout = 60 * USEC_PER_SEC,
	};
	t->face.loaded = t->loaded;
}

/* Slot 0 as roster_begin() fills it for OPS. */
static inline void theatre_slot(struct theatre *t, const struct marcel_responder_ops *ops)
{
	struct slot slot = table_slot(&t->table, 0);
	size_t begin = ops->state_begin > 0 ? ops->state_begin : ops->state_size;

	(void)snprintf(slot.near->card.peer, sizeof(slot.near->card.peer), "a client");
	(void)snprintf(slot.near->card.responder, sizeof(slot.near->card.responder), "%s",
		       ops->name);
	slot.head->number = THEATRE_NUMBER;
	slot.head->turn[0].mode = MODE_LINE;
	slot.head->turn[0].state_version = ops->state_version;
	slot.head->turn[0].state_size = (uint32_t)begin;
	atomic_store(&slot.head->stage, STAGE_LIVE);
}

/* A conversation over PAIR that has not begun. */
static inline void theatre_build(struct theatre *t, const struct marcel_responder_ops *ops,
				 struct pair pair)
{
	static const struct marcel_responder_ops *const all[] = {&small, &large, &third, &huge,
								 &failing};

	*t = (struct theatre){.client = pair.client};
	actors_log[0] = '\0';
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		t->loaded[i].ops = all[i];
	theatre_dialogue(t);
	t->face.responder = ops;
	assert_int_equal(table_init(&t->table, 1), 0);
	t->table.header->used = 1;
	theatre_slot(t, ops);
	t->c = (struct conversation){
		.slot = table_slot(&t->table, 0),
		.origin = {.face = &t->face},
		.responder = ops,
		.framer = {.message_max = 4096, .mode = MODE_LINE},
	};
	wire_init(&t->c.wire, pair.server, false);
	assert_int_equal(watch_new(1, &t->watch), 0);
	t->c.watch = t->watch;
	watch_begin(t->watch, &t->c);
}

/* One that OPS has opened, in the middle of its dialogue. */
static inline void theatre_open(struct theatre *t, const struct marcel_responder_ops *ops)
{
	struct turn turn;

	theatre_build(t, ops, unix_pair());
	turn_begin(&turn, &t->c);
	assert_int_equal(turn_open(&turn), 0);
	turn.next->phase = PHASE_DIALOGUE;
	turn_commit(&turn);
	(void)actors_did();
}

static inline void theatre_close(struct theatre *t)
{
	watch_free(t->watch);
	wire_done(&t->c.wire);
	(void)close(t->client);
	table_done(&t->table);
}

/* The turn in force. */
static inline const struct slot_turn *theatre_turn(const struct theatre *t)
{
	return slot_turn(t->c.slot.head);
}

/* Lets the client say MESSAGE, one turn. */
static inline void theatre_say(struct theatre *t, const char *message)
{
	struct turn turn;

	turn_begin(&turn, &t->c);
	turn.next->messages++;
	assert_int_equal(settle(&turn, turn_respond(&turn, message, strlen(message)),
				END_RESPONDER),
			 END_NONE);
	assert_int_equal(atomic_load(&t->c.slot.head->in_flight), 0);
}

/* What was said to the client since it was asked last is EXPECTED. */
static inline void theatre_heard(struct theatre *t, const char *expected)
{
	const struct slot_turn *turn = theatre_turn(t);
	struct slot_head *head = t->c.slot.head;
	uint64_t sent = atomic_load(&head->out_sent);
	char said[512];

	assert_true(turn->out_end - sent < sizeof(said));
	(void)memcpy(said, slot_out(&t->c.slot, turn) + (sent - turn->out_base),
		     turn->out_end - sent);
	said[turn->out_end - sent] = '\0';
	assert_string_equal(said, expected);
	atomic_store(&head->out_sent, turn->out_end);
}

/* Lets an operator wish for KIND with NAME, and returns what the answer is. */
static inline int theatre_wish(struct theatre *t, enum wish_kind kind, const char *name)
{
	struct wish wish = {.kind = kind, .ticket = ++t->ticket};
	struct watch_event event;
	char text[WATCH_TEXT_MAX];
	uint64_t dropped;

	(void)snprintf(wish.responder, sizeof(wish.responder), "%s", name);
	assert_int_equal(watch_wish(t->watch, THEATRE_NUMBER, &wish), 0);
	assert_int_equal(interrupted(&t->c), END_NONE);
	assert_true(t->c.wished);
	assert_int_equal(wishes_serve(&t->c), END_NONE);
	assert_int_equal(atomic_load(&t->c.slot.head->in_flight), 0);
	assert_int_equal(watch_next(t->watch, &event, text, &dropped), 1);
	assert_int_equal(event.kind, WATCH_DONE);
	assert_int_equal(event.ticket, t->ticket);
	assert_int_equal(watch_next(t->watch, &event, text, &dropped), 0);
	return event.kind == WATCH_DONE ? event.result : 1;
}

/* What another process would find now. */
static inline struct snapshot theatre_found(const struct theatre *t)
{
	struct snapshot_layout layout;
	struct snapshot found;

	assert_int_equal(snapshot_read_header(t->table.header, sizeof(*t->table.header),
					      t->table.size, &layout),
			 0);
	assert_int_equal(snapshot_read_slot(&layout, t->table.header, 0, &found), 1);
	return found;
}

/* NAME answers, and BELOW ("": nobody) is suspended: in the slot, for others, and for who watches.
 */
static inline void theatre_has(const struct theatre *t, const char *name, const char *below)
{
	struct snapshot found = theatre_found(t);
	struct watch_view view;

	assert_string_equal(found.responder, name);
	assert_string_equal(found.below, below);
	assert_string_equal(t->c.responder->name, name);
	assert_string_equal(t->c.below.responder != NULL ? t->c.below.responder->name : "", below);
	assert_int_equal(watch_look(t->watch, THEATRE_NUMBER, &view), 0);
	assert_string_equal(view.responder, name);
	assert_string_equal(view.suspended, below);
}

/* The process dies, and another one finds NAME's ops to be OPS, and BELOW's BELOW_OPS. Nothing but
 * the slot is left. */
static inline void theatre_restart(struct theatre *t, const struct marcel_responder_ops *ops,
				   const struct marcel_responder_ops *below_ops)
{
	const struct slot_turn *turn = theatre_turn(t);
	struct framer framer = {
		.message_max = 4096,
		.mode = (enum slot_mode)turn->mode,
		.line_end = (enum slot_line_end)turn->line_end,
		.framing = turn->framing,
	};
	int fd = take_fd(&t->c.wire.fd);

	wire_done(&t->c.wire);
	watch_free(t->watch);
	t->c = (struct conversation){
		.resumed = true,
		.slot = t->c.slot,
		.origin = {.face = &t->face},
		.responder = ops,
		.below = {.responder = below_ops},
		.framer = framer,
	};
	wire_init(&t->c.wire, fd, true);
	assert_int_equal(watch_new(1, &t->watch), 0);
	t->c.watch = t->watch;
	watch_begin(t->watch, &t->c);
	atomic_store(&t->c.slot.head->in_flight, 0);
}
