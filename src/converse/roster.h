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
#include "converse/stacks.h"
#include "converse/table.h"

/* Told once for each conversation that is over, from roster_reap(), before its slot is reused. */
typedef void roster_over_fn(void *context, const struct conversation *conversation);

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

	_Atomic uint64_t *next_number; /* where the next conversation's number is counted */
	void *number_page;             /* the mapping it lies in, if not the table's header */

	roster_over_fn *over;
	void *context;
};

/*
 * Makes a roster of at most CAPACITY conversations (1 to TABLE_CAPACITY_MAX). NUMBER_FILE, if not
 * NULL, is a file that keeps the number of the next conversation while the host is up, whatever
 * happens to the process; it is made if missing. OVER may be NULL. Returns 0 or a negative errno;
 * roster_done() ends it, also after a failure.
 */
int roster_init(struct roster *roster, uint32_t capacity, const char *number_file,
		roster_over_fn *over, void *context);

/* Ends ROSTER, in which no conversation may live any more. */
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

/*
 * Joins the threads of all finished conversations and frees their slots. To be called when `event`
 * is readable. Returns how many there were.
 */
uint32_t roster_reap(struct roster *roster);

/* Puts MAIL (MAIL_* bits) into every live conversation's box and wakes it. */
void roster_wake_all(struct roster *roster, unsigned mail);

/*
 * A live conversation whose thread owed progress at the last call already and has made none since,
 * or NULL. For the watchdog, which calls it at its own pace.
 */
const struct conversation *roster_find_stuck(struct roster *roster);
