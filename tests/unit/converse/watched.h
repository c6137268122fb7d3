/*
 * A few conversations without threads that are watched (watch.h): they come and go, and say what a
 * test lets them; and what is told of them.
 */
#pragma once

#include "converse/watch-priv.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "converse/conversation.h"
#include "converse/table.h"
#include "pairs.h"

#define SLOTS        4
#define FIRST_NUMBER 100

static const struct marcel_responder_ops ops = {.name = "script"};

/* Conversations without threads. */
struct set {
	struct table table;
	struct watch *watch;
	struct conversation c[SLOTS];
	int clients[SLOTS];
};

/* Slot INDEX gets a conversation, with the number FIRST_NUMBER + INDEX. */
static inline void come(struct set *s, uint32_t index, bool resumed)
{
	struct slot slot = table_slot(&s->table, index);
	struct pair pair = unix_pair();

	(void)snprintf(slot.near->card.peer, sizeof(slot.near->card.peer), "peer %u", index);
	(void)snprintf(slot.near->card.listener, sizeof(slot.near->card.listener), "marcel");
	slot.head->number = FIRST_NUMBER + index;
	slot.head->opened = 1000 + index;
	(void)memset(slot.head->id, (int)index + 1, sizeof(slot.head->id));
	s->clients[index] = pair.client;
	s->c[index] = (struct conversation){
		.watch = s->watch,
		.index = index,
		.slot = slot,
		.responder = &ops,
		.resumed = resumed,
	};
	wire_init(&s->c[index].wire, pair.server, resumed);
	watch_begin(s->watch, &s->c[index]);
}

static inline void go(struct set *s, uint32_t index, enum end_reason reason)
{
	watch_end(s->watch, &s->c[index], reason);
	wire_done(&s->c[index].wire);
	close_fd(&s->clients[index]);
}

static inline int set_up(void **state)
{
	struct set *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	assert_int_equal(table_init(&s->table, SLOTS), 0);
	assert_int_equal(watch_new(SLOTS, &s->watch), 0);
	for (uint32_t i = 0; i < SLOTS; i++)
		s->clients[i] = -1;
	*state = s;
	return 0;
}

static inline int tear_down(void **state)
{
	struct set *s = *state;

	for (uint32_t i = 0; i < SLOTS; i++)
		if (s->clients[i] >= 0)
			go(s, i, END_STOP);
	watch_free(s->watch);
	table_done(&s->table);
	free(s);
	return 0;
}

static inline void says(struct set *s, uint32_t index, char who, uint64_t turn, const char *text)
{
	watch_said(s->watch, &s->c[index], who, turn, text, strlen(text));
}

static inline bool is_readable(const struct set *s)
{
	struct pollfd poll_fd = {.fd = watch_fd(s->watch), .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

/* The next event. */
struct told {
	struct watch_event event;
	char text[WATCH_TEXT_MAX + 1];
	uint64_t dropped;
};

static inline bool next(struct set *s, struct told *ret)
{
	*ret = (struct told){.dropped = 77};
	if (watch_next(s->watch, &ret->event, ret->text, &ret->dropped) == 0)
		return false;
	assert_in_range(ret->event.length, 0, WATCH_TEXT_MAX);
	ret->text[ret->event.length] = '\0';
	return true;
}

static inline struct told must_be(struct set *s, enum watch_kind kind, uint32_t index,
				  const char *text)
{
	struct told told;

	assert_true(is_readable(s));
	assert_true(next(s, &told));
	assert_int_equal(told.event.kind, kind);
	assert_int_equal(told.event.number, FIRST_NUMBER + index);
	assert_string_equal(told.text, text);
	assert_int_equal(told.dropped, 0);
	assert_true(told.event.time > 0);
	return told;
}

static inline struct told must_be_done(struct set *s, uint64_t ticket, int result)
{
	struct told told;

	assert_true(is_readable(s));
	assert_true(next(s, &told));
	assert_int_equal(told.event.kind, WATCH_DONE);
	assert_int_equal(told.event.ticket, ticket);
	assert_int_equal(told.event.result, result);
	return told;
}

static inline void must_be_quiet(struct set *s)
{
	struct told told;

	assert_false(next(s, &told));
	assert_int_equal(told.dropped, 0);
	assert_false(is_readable(s));
}

static inline struct wish wish_to_say(uint64_t ticket, char *line)
{
	return (struct wish){.kind = WISH_SAY,
			     .ticket = ticket,
			     .line = line,
			     .length = strlen(line)};
}

/* Answers all wishes of a conversation in order, as its thread would. */
static inline void serve(struct set *s, uint32_t index, int result)
{
	const struct wish *wish;

	assert_int_equal(wire_take_mail(&s->c[index].wire), MAIL_WISH);
	while ((wish = watch_take_wish(s->watch, &s->c[index])) != NULL)
		watch_answer(s->watch, &s->c[index], wish->ticket, result);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
