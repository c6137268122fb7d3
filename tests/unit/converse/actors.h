/*
 * Responders that play together in one conversation, for tests of switching: each has a state that
 * nobody else could have written, does what the message tells it, and writes down who was opened
 * and closed. What a message begins with says what its responder does:
 *
 *	t	sets its timer to 4711
 *	f	declares a framing: lines ended by LF, of at most 100 bytes
 *	h o e c	holds, owns the end, wants early ones, continues; in upper case: no more
 *	u N	uses N bytes of its state, and fills them
 *	w	a message waits for somebody
 *	l	has something of its own in this process
 *	s	says that somebody else answers
 *	gNAME	says "bye" and gives the conversation to NAME
 *	q	ends it with the farewell
 *
 * and everything else is answered by "NAME COUNT", COUNT being the messages that it ever had.
 */
#pragma once

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "marcel/responder.h"

/* What all of them begin their states with. */
struct actor {
	char name[16];
	uint64_t count;
	uint64_t filled; /* so many bytes behind this are letters */
};

#define LARGE_STATE ((size_t)15912)

/* What has happened, in order, such as "+third" (opened), "-large" (closed, it goes on),
 * "-large>third" (the same, it is known with whom) or "!large=idle" (closed, it is over). */
static char actors_log[512];
static bool actors_silent; /* too much happens for that */

/* Writes "SIGN NAME MORE" down, without the blanks. */
static inline void actors_note(const char *sign, const char *name, const char *more)
{
	size_t used = strlen(actors_log);
	char entry[96];
	int length =
		snprintf(entry, sizeof(entry), "%s%s%s%s", used > 0 ? " " : "", sign, name, more);

	if (actors_silent)
		return;
	assert_in_range(length, 1, sizeof(entry) - 1);
	assert_true(used + (size_t)length < sizeof(actors_log));
	(void)memcpy(actors_log + used, entry, (size_t)length + 1);
}

/* What has happened since this was asked last. */
static inline const char *actors_did(void)
{
	static char did[sizeof(actors_log)];

	(void)memcpy(did, actors_log, sizeof(did));
	actors_log[0] = '\0';
	return did;
}

static inline char actor_letter(const struct actor *actor, size_t at)
{
	return (char)('a' + (at * 7 + (unsigned char)actor->name[0]) % 26);
}

/* The state is as its owner left it. */
static inline void actor_check(const struct marcel_conversation *c, const char *name)
{
	const struct actor *actor = c->state;
	const char *letters = (const char *)(actor + 1);

	assert_string_equal(actor->name, name);
	for (size_t i = 0; i < actor->filled; i++)
		if (letters[i] != actor_letter(actor, i))
			fail_msg("%s: byte %zu of its state is not its own", name, i);
}

static inline void actor_fill(struct marcel_conversation *c, size_t used)
{
	struct actor *actor = c->state;
	char *letters = (char *)(actor + 1);

	assert_in_range(used, sizeof(*actor), c->state_size);
	actor->filled = used - sizeof(*actor);
	for (size_t i = 0; i < actor->filled; i++)
		letters[i] = actor_letter(actor, i);
	c->state_used = used;
}

static inline int actor_open(struct marcel_conversation *c, const char *name)
{
	struct actor *actor = c->state;

	assert_null(c->local);
	assert_int_equal(c->wake_fd, -1);
	assert_int_equal(c->wake_at, 0);
	assert_int_equal(c->waiting, 0);
	assert_null(c->speaker);
	assert_false(c->holds);
	assert_false(c->early);
	assert_false(c->continues);
	assert_false(c->uses_pad);
	assert_int_equal(actor->count, 0);
	(void)snprintf(actor->name, sizeof(actor->name), "%s", name);
	actors_note("+", name, "");
	return 0;
}

static inline int actor_obey(struct marcel_conversation *c, const char *message,
			     struct marcel_sink *sink)
{
	static char own, heir[64];

	switch (message[0]) {
	case 't':
		c->wake_at = 4711;
		break;
	case 'f':
		c->framing = (struct marcel_framing){.kind = MARCEL_FRAMING_LINE,
						     .line_end = MARCEL_LINE_LF,
						     .max = 100};
		break;
	case 'h':
	case 'H':
		c->holds = message[0] == 'h';
		break;
	case 'o':
	case 'O':
		c->owns_end = message[0] == 'o';
		break;
	case 'e':
	case 'E':
		c->early = message[0] == 'e';
		break;
	case 'c':
	case 'C':
		c->continues = message[0] == 'c';
		break;
	case 'u':
		actor_fill(c, strtoul(message + 1, NULL, 10));
		break;
	case 'w':
		c->waiting = c->turn;
		break;
	case 'l':
		c->local = &own;
		break;
	case 's':
		c->speaker = "somebody";
		break;
	case 'g':
		(void)snprintf(heir, sizeof(heir), "%s", message + 1);
		c->give_to = heir;
		(void)marcel_say(sink, "bye", 3);
		return MARCEL_GIVE;
	case 'q':
		return MARCEL_FAREWELL;
	default:
		return -ENOSYS;
	}
	return MARCEL_CONTINUE;
}

static inline int actor_respond(struct marcel_conversation *c, const char *bytes, size_t length,
				struct marcel_sink *sink, const char *name)
{
	struct actor *actor = c->state;
	char message[64], text[64];
	int r;

	assert_true(length < sizeof(message));
	(void)memcpy(message, bytes, length);
	message[length] = '\0';
	actor_check(c, name);
	actor->count++;
	r = actor_obey(c, message, sink);
	if (r != -ENOSYS)
		return r;
	r = snprintf(text, sizeof(text), "%s %" PRIu64, name, actor->count);
	return marcel_say(sink, text, (size_t)r);
}

static inline void actor_close(struct marcel_conversation *c, const char *name)
{
	char more[64] = "";

	actor_check(c, name);
	if (c->reason != NULL)
		(void)snprintf(more, sizeof(more), "=%s", c->reason);
	else if (c->give_to != NULL)
		(void)snprintf(more, sizeof(more), ">%s", c->give_to);
	actors_note(c->reason != NULL ? "!" : "-", name, more);
}

#define ACTOR(name)                                                                          \
	static inline int name##_open(struct marcel_conversation *c)                         \
	{                                                                                    \
		return actor_open(c, #name);                                                 \
	}                                                                                    \
	static inline int name##_respond(struct marcel_conversation *c, const char *message, \
					 size_t length, struct marcel_sink *sink)            \
	{                                                                                    \
		return actor_respond(c, message, length, sink, #name);                       \
	}                                                                                    \
	static inline void name##_close(struct marcel_conversation *c)                       \
	{                                                                                    \
		actor_close(c, #name);                                                       \
	}

#define ACTOR_OPS(actor)                                                                       \
	.abi = MARCEL_RESPONDER_ABI, .name = #actor, .state_version = 1, .open = actor##_open, \
	.respond = actor##_respond, .close = actor##_close

ACTOR(small)
ACTOR(large)
ACTOR(third)
ACTOR(huge)

static inline int third_greet(struct marcel_conversation *c, struct marcel_sink *sink)
{
	actor_check(c, "third");
	actors_note("hello ", "third", "");
	return marcel_say(sink, "third here", 10);
}

/* What the responders that fail in their beginnings come to. */
static int failing_open_result = -ENOMEM;
static int failing_greet_result = MARCEL_CONTINUE;

/* It fails, after all kinds of things. */
static inline int failing_open(struct marcel_conversation *c)
{
	(void)actor_open(c, "failing");
	(void)memset(c->state, 'X', c->state_size);
	c->framing.kind = MARCEL_FRAMING_RAW;
	c->wake_at = 1;
	c->holds = c->owns_end = c->early = c->continues = true;
	c->wake_fd = 1000;
	c->local = c;
	c->waiting = 99;
	c->speaker = "nobody";
	return failing_open_result;
}

static inline int failing_respond(struct marcel_conversation *c, const char *message, size_t length,
				  struct marcel_sink *sink)
{
	(void)c;
	(void)message;
	(void)length;
	(void)sink;
	fail_msg("one that could not be opened is asked");
	return -EPROTO;
}

static inline int failing_greet(struct marcel_conversation *c, struct marcel_sink *sink)
{
	(void)c;
	(void)sink;
	return failing_greet_result;
}

static const struct marcel_responder_ops small = {ACTOR_OPS(small), .state_size = 64};
static const struct marcel_responder_ops large = {ACTOR_OPS(large), .state_size = LARGE_STATE,
						  .state_begin = sizeof(struct actor)};
static const struct marcel_responder_ops third = {ACTOR_OPS(third), .state_size = 200,
						  .greet = third_greet};
/* There is room for it only where it is the first, and nobody else. */
static const struct marcel_responder_ops huge = {ACTOR_OPS(huge), .state_size = MARCEL_STATE_MAX};
static const struct marcel_responder_ops failing = {.abi = MARCEL_RESPONDER_ABI,
						    .name = "failing",
						    .state_size = 100,
						    .state_version = 1,
						    .open = failing_open,
						    .greet = failing_greet,
						    .respond = failing_respond};
