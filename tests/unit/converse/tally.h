/*
 * A responder with a memory, for tests that ask whether each message was answered exactly once, and
 * the same as a pure function, for those who compute what a client has to see.
 *
 * Its state counts the messages and sums them up; every reply shows both, so that a message that
 * was lost, doubled or answered from a stale state is seen in all replies after it. What a message
 * begins with says how it is answered:
 *
 *	+N	one reply, N bytes longer than usual
 *	*N	N replies
 *	&N	N replies, one for each call (MARCEL_AGAIN)
 *	@	nothing yet: a timer of a millisecond brings the reply
 *
 * and everything else by one reply that has the message in it.
 */
#pragma once

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "marcel/responder.h"

struct tally {
	uint64_t count; /* messages */
	uint64_t sum;   /* of their lengths and bytes, order included */
	uint64_t again; /* replies of an '&' that were given already */
};

/* Takes a reply, or a part of it; the last part ENDS it. Returns 0 or a negative errno. */
typedef int tally_put(void *to, const char *text, size_t length, bool ends);

/* The number at the second byte of MESSAGE, at most MAX. */
static inline uint64_t tally_number(const char *message, size_t length, uint64_t max)
{
	uint64_t number = 0;

	for (size_t i = 1; i < length && message[i] >= '0' && message[i] <= '9'; i++)
		number = number * 10 + (uint64_t)(message[i] - '0');
	return number < max ? number : max;
}

/* "COUNT:SUM", then MARK: how every reply begins. */
static inline int tally_begin(const struct tally *tally, char mark, tally_put *put, void *to)
{
	char text[48];
	int length = snprintf(text, sizeof(text), "%" PRIu64 ":%08" PRIx32 "%c", tally->count,
			      (uint32_t)tally->sum, mark);

	return put(to, text, (size_t)length, false);
}

static inline int tally_pad(uint64_t bytes, tally_put *put, void *to)
{
	char pattern[512];
	int r = 0;

	for (size_t i = 0; i < sizeof(pattern) && i < bytes; i++)
		pattern[i] = (char)('A' + (i + bytes) % 29);
	for (; r == 0 && bytes >= sizeof(pattern); bytes -= sizeof(pattern))
		r = put(to, pattern, sizeof(pattern), false);
	return r == 0 ? put(to, pattern, bytes, true) : r;
}

/* Answers MESSAGE, as respond() of marcel/responder.h has to. */
static inline int tally_answer(struct tally *tally, const char *message, size_t length,
			       tally_put *put, void *to)
{
	const char mark = (char)(length > 0 ? message[0] : '\0');
	/* Of long ones not every byte, or those who step through this never arrive. */
	size_t stride = length > 256 ? 16 : 1;
	int r = 0;

	if (tally->again == 0) {
		tally->count++;
		tally->sum += length;
		for (size_t i = 0; i < length; i += stride)
			tally->sum = tally->sum * 31 + (unsigned char)message[i];
	}
	switch (mark) {
	case '@':
		return MARCEL_CONTINUE;
	case '+':
		r = tally_begin(tally, mark, put, to);
		return r < 0 ? r : tally_pad(tally_number(message, length, 1000000), put, to);
	case '*':
		for (uint64_t n = tally_number(message, length, 10000); r == 0 && n > 0; n--) {
			r = tally_begin(tally, mark, put, to);
			if (r == 0)
				r = tally_pad(n % 50, put, to);
		}
		return r;
	case '&':
		r = tally_begin(tally, mark, put, to);
		if (r == 0)
			r = tally_pad(++tally->again, put, to);
		if (r == 0 && tally->again < tally_number(message, length, 10000))
			return MARCEL_AGAIN;
		tally->again = 0;
		return r;
	default:
		r = tally_begin(tally, ' ', put, to);
		return r < 0 ? r : put(to, message, length, true);
	}
}

/* What the timer of an '@' says. */
static inline int tally_ring(const struct tally *tally, tally_put *put, void *to)
{
	int r = tally_begin(tally, '@', put, to);

	return r < 0 ? r : put(to, "ring", 4, true);
}

/* The responder. */

static inline int tally_say(void *to, const char *text, size_t length, bool ends)
{
	return ends ? marcel_say(to, text, length) : marcel_send(to, text, length);
}

static inline int tally_respond(struct marcel_conversation *conversation, const char *message,
				size_t length, struct marcel_sink *sink)
{
	if (length > 0 && message[0] == '@')
		conversation->wake_at = clock_now() + USEC_PER_MSEC;
	return tally_answer(conversation->state, message, length, tally_say, sink);
}

static inline int tally_wake(struct marcel_conversation *conversation, enum marcel_wake reason,
			     struct marcel_sink *sink)
{
	if (reason != MARCEL_WAKE_TIMER)
		return -ENOSYS;
	return tally_ring(conversation->state, tally_say, sink);
}

#define TALLY_RESPONDER                                                                           \
	{                                                                                         \
		.abi = MARCEL_RESPONDER_ABI, .name = "tally", .state_size = sizeof(struct tally), \
		.state_version = 1, .respond = tally_respond, .wake = tally_wake,                 \
	}

/* The model: text that grows, with LF after each reply. */

struct text {
	char *bytes;
	size_t used;
	size_t room;
};

static inline void text_add(struct text *text, const char *bytes, size_t length)
{
	if (text->room - text->used < length) {
		text->room = 2 * text->room + length;
		text->bytes = realloc(text->bytes, text->room);
		if (text->bytes == NULL)
			abort();
	}
	if (length > 0)
		memcpy(text->bytes + text->used, bytes, length);
	text->used += length;
}

static inline void text_done(struct text *text)
{
	free(text->bytes);
	*text = (struct text){.bytes = NULL};
}

static inline int text_put(void *to, const char *bytes, size_t length, bool ends)
{
	text_add(to, bytes, length);
	if (ends)
		text_add(to, "\n", 1);
	return 0;
}
