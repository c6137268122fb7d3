/*
 * The roster: all live conversations, their slots, threads and stacks.
 *
 * The main thread begins conversations, wakes them, and joins their threads when they are over. A
 * conversation that ends puts its index into the list of the finished and makes an eventfd
 * readable; that is the only thing it shares with the roster.
 *
 * All functions: main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/lock.h"
#include "converse/conversation.h"
#include "converse/numbers.h"
#include "converse/stacks.h"
#include "converse/table.h"
#include "converse/watch.h"

/*
 * Told once for each conversation that is over, from roster_reap(), before its slot is reused; or
 * was handed over (conversation->handed_over), when its slot stays as it is.
 */
typedef void roster_over_fn(void *context, const struct conversation *conversation);

/* Told of each new conversation, whose slot is filled, before its thread exists. */
typedef void roster_keep_fn(void *context, uint32_t index, int fd);

/* Told when a conversation that was kept could not begin after all: its slot is free again. */
typedef void roster_unkeep_fn(void *context, uint32_t index);

/* Told of each new conversation when it has begun. */
typedef void roster_begun_fn(void *context);

struct roster_hooks {
	roster_keep_fn *keep;     /* NULL: nobody keeps sockets */
	roster_unkeep_fn *unkeep; /* goes with keep */
	roster_begun_fn *begun;   /* may be NULL */
	roster_over_fn *over;     /* may be NULL */
	void *context;
};

struct roster {
	struct table table;
	struct stacks stacks;
	struct conversation *conversations; /* one for each slot */
	uint32_t
		*free; /* indices of free slots; the last one is used next, its memory being warm */
	uint32_t n_free;
	uint32_t warm; /* this many of the last free slots still have memory */
	uint32_t live;
	uint64_t total; /* conversations begun by this process */

	struct lock lock; /* guards the two below */
	uint32_t *finished;
	uint32_t n_finished;
	int event; /* eventfd: readable when `finished` is not empty */

	struct numbers numbers; /* counts in the table alone until its file is given */

	struct roster_hooks hooks;

	struct watch *watch; /* who looks at conversations (watch.h); NULL: nobody. Not owned; set
			      * before the first one begins */

	/*
	 * The gate: threads of conversations that are resumed wait behind it, or they would take
	 * the processor from the thread that starts them.
	 */
	struct gate gate;

	/* Conversations that a process died in take their first turns one after another. */
	struct lock turnstile;
};

/*
 * Makes a roster over TABLE, which it takes over, also when it fails. Slots that hold conversations
 * already (STAGE_LIVE) are left alone until roster_resume() or roster_discard(). The gate is
 * closed. Returns 0 or a negative errno; roster_done() ends it, also after a failure.
 */
int roster_init(struct roster *roster, struct table *table, const struct roster_hooks *hooks);

/* Ends ROSTER, in which no thread may run any more. */
void roster_done(struct roster *roster);

/* Where a new client came from: texts for records, and who counts it. */
struct roster_arrival {
	struct conversation_origin origin;
	const char *peer;     /* address_format(); copied */
	const char *listener; /* the socket's name; copied */
};

/*
 * Begins a conversation on the connected, blocking socket FD: takes a slot, numbers it, and starts
 * its thread. Returns 0, and the roster owns FD; or -ENOSPC (no slot is free), -EAGAIN (no thread
 * is to be had) or another negative errno, and FD is still the caller's.
 */
int roster_begin(struct roster *roster, int fd, const struct roster_arrival *arrival);

/* What roster_resume() needs to know besides the slot. */
struct roster_resumption {
	struct conversation_origin origin;
	const struct marcel_responder_ops *responder; /* the one the slot's state is for */
	void *shared;
	struct conversation_below below; /* the one that is suspended */
	bool suspect;                    /* the process died in a turn of this conversation */
	bool carried;                    /* set by roster_resume() */
};

/*
 * Carries on with the conversation in slot INDEX, STAGE_LIVE, on the socket FD. Its thread waits
 * behind the gate. Returns 0, and the roster owns FD; or a negative errno, FD is the caller's and
 * the slot as it was.
 */
int roster_resume(struct roster *roster, uint32_t index, int fd,
		  const struct roster_resumption *resumption);

/* Takes a free slot away, for roster_resume() after it was filled. Returns -ENOSPC when none is
 * free. */
int roster_reserve(struct roster *roster, uint32_t *ret_index);

/* Frees slot INDEX, STAGE_LIVE or reserved, which no thread uses. */
void roster_discard(struct roster *roster, uint32_t index);

/* Lets all resumed conversations go on, and those to come begin at once. */
void roster_open_gate(struct roster *roster);

/*
 * Joins the threads of all finished conversations, closes their sockets and frees their slots,
 * unless they are handed over. To be called when `event`
 * is readable. Returns how many there were.
 */
uint32_t roster_reap(struct roster *roster);

/* Puts MAIL (MAIL_* bits) into every live conversation's box and wakes it. */
void roster_wake_all(struct roster *roster, unsigned mail);

/*
 * Asks the threads to stop where they are, for another process to carry on, but for those that need
 * not: a conversation on TCP whose responder has nothing to save can be left in the middle of
 * whatever it does (handover.c). roster_is_frozen() says whether all that were asked have stopped
 * and were reaped.
 */
void roster_freeze(struct roster *roster);
bool roster_is_frozen(struct roster *roster);

/*
 * Leaves the threads of all live conversations to themselves, for the process ends without waiting
 * for them. Until it has, they use ROSTER, which must stay where it is; nobody calls any of its
 * functions any more.
 */
void roster_abandon(struct roster *roster);

/*
 * A live conversation whose thread owed progress at the last call already and has made none since,
 * or NULL. For the watchdog, which calls it at its own pace.
 */
const struct conversation *roster_find_stuck(struct roster *roster);
