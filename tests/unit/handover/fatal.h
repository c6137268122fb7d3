/*
 * A responder that ends the daemon's process: for one peer, the victim, and what it says. Otherwise
 * it is the one of tally.h. A message that begins with
 *
 *	!	is deadly
 *	^	is deadly, but waits a little for others to be in a turn
 *	~	sets a timer that is deadly
 *	$	makes the end of input deadly
 *	%	takes until the test lets it end, for every peer
 *	#	takes a while, for every peer
 */
#pragma once

#include <sched.h>

#include "clients.h"

/* What test and daemon share: which peer is the victim, and what becomes of the daemon then. */
struct fate {
	char victim[16];
	_Atomic int deaths_left; /* -1: for ever */
	_Atomic bool blocked;    /* turns don't end */
	_Atomic int entered;     /* turns that began to wait for that */
};

/* What the victim's state remembers it to be waiting for, in place of `again`. */
enum trap {
	TRAP_TIMER = 1001,
	TRAP_END = 1002
};

static struct fate *fate;

static inline void die(const struct marcel_conversation *conversation)
{
	if (strcmp(conversation->peer, fate->victim) != 0)
		return;
	if (atomic_load(&fate->deaths_left) > 0)
		(void)atomic_fetch_sub(&fate->deaths_left, 1);
	else if (atomic_load(&fate->deaths_left) == 0)
		return;
	(void)raise(SIGKILL);
}

static inline int die_in_open(struct marcel_conversation *conversation)
{
	die(conversation);
	return 0;
}

static inline int respond(struct marcel_conversation *conversation, const char *message,
			  size_t length, struct marcel_sink *sink)
{
	struct tally *tally = conversation->state;

	switch (length > 0 ? message[0] : '\0') {
	case '!':
		die(conversation);
		break;
	case '^':
		/* In company, if there is any. */
		for (usec_t until = clock_now() + 20 * USEC_PER_MSEC;
		     clock_now() < until && atomic_load(&fate->entered) == 0;)
			(void)sched_yield();
		die(conversation);
		break;
	case '~':
		tally->again = TRAP_TIMER;
		conversation->wake_at = clock_now() + USEC_PER_MSEC;
		return MARCEL_CONTINUE;
	case '$':
		tally->again = TRAP_END;
		return MARCEL_CONTINUE;
	case '%':
		(void)atomic_fetch_add(&fate->entered, 1);
		while (atomic_load(&fate->blocked))
			(void)sched_yield();
		break;
	case '#':
		(void)atomic_fetch_add(&fate->entered, 1);
		for (usec_t until = clock_now() + 50 * USEC_PER_MSEC; clock_now() < until;)
			;
		break;
	default:
		break;
	}
	return tally_answer(tally, message, length, tally_say, sink);
}

static inline int wake(struct marcel_conversation *conversation, enum marcel_wake reason,
		       struct marcel_sink *sink)
{
	const struct tally *tally = conversation->state;

	(void)sink;
	if ((reason == MARCEL_WAKE_TIMER && tally->again == TRAP_TIMER) ||
	    (reason == MARCEL_WAKE_EOF && tally->again == TRAP_END))
		die(conversation);
	return reason == MARCEL_WAKE_TIMER ? MARCEL_CONTINUE : -ENOSYS;
}

static inline int restore(struct marcel_conversation *conversation, uint32_t version)
{
	(void)conversation;
	(void)version;
	return 0;
}

static inline int die_in_restore(struct marcel_conversation *conversation, uint32_t version)
{
	(void)version;
	die(conversation);
	return 0;
}

#define RESPONDER                                                                         \
	.abi = MARCEL_RESPONDER_ABI, .name = "tally", .state_size = sizeof(struct tally), \
	.state_version = 1, .respond = respond, .wake = wake

static const struct marcel_responder_ops plain = {RESPONDER};
static const struct marcel_responder_ops restoring = {RESPONDER, .restore = restore};
static const struct marcel_responder_ops opening = {RESPONDER, .open = die_in_open};
static const struct marcel_responder_ops refusing = {RESPONDER, .restore = die_in_restore};
