/*
 * The acceptor: takes clients from the listening sockets and begins their conversations.
 *
 * When descriptors, threads or memory run out, accepting pauses: the listening sockets are not
 * watched for a second, or until a conversation ends, whichever comes first. Clients wait in the
 * sockets' queues meanwhile, those who converse are served, nothing spins, and one record a minute
 * says what is short. A client that is beyond a limit of the configuration is told so and sent
 * away.
 *
 * Main thread only; runs in its event loop (sd-event(3)).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "admit/admit.h"
#include "base/clock.h"
#include "converse/roster.h"
#include "listen/address.h"
#include "listen/sockets.h"

/*
 * The face for the socket named NAME, with a reference for one conversation that
 * the acceptor's user takes back when the conversation is over.
 */
typedef const struct face *acceptor_face_fn(void *context, const char *name);

/* Takes a reference back that acceptor_face_fn gave, for a client that was refused. */
typedef void acceptor_unface_fn(void *context, const struct face *face);

struct acceptor_hooks {
	acceptor_face_fn *face;
	acceptor_unface_fn *unface;
	void *context;
};

struct acceptor_gate {
	struct acceptor *acceptor;
	const struct listener *listener;
	sd_event_source *source;
	bool drained; /* who comes now has inherited the options of the listening socket */
};

struct acceptor {
	sd_event *loop;
	struct roster *roster;
	struct admit admit;
	struct acceptor_hooks hooks;

	struct acceptor_gate *gates; /* one for each listening socket */
	size_t n_gates;
	sd_event_source *retry; /* the timer that ends a pause */
	bool paused;
	bool in_shortage; /* a shortage was recorded, and no client could begin since */
	usec_t told;      /* when a shortage was last recorded; 0: never */

	/* A client that was accepted and could not begin for want of a thread: it begins first. */
	int waiting;
	const struct listener *waiting_at;
	struct address waiting_address;
};

/*
 * Watches the LISTENERS (which must outlive the acceptor) in LOOP. HOOKS know the faces. Returns 0
 * or a negative errno; acceptor_done() ends it in either case.
 */
int acceptor_init(struct acceptor *acceptor, sd_event *loop, struct roster *roster,
		  const struct listeners *listeners, const struct acceptor_hooks *hooks);

/*
 * Stops accepting for good. The listening sockets stay open: they are the caller's. Conversations
 * that go on are still counted off by acceptor_over().
 */
void acceptor_stop(struct acceptor *acceptor);

/* Stops accepting and forgets all counts: when no conversation goes on any more. */
void acceptor_done(struct acceptor *acceptor);

/* A conversation is over: counts it off, and ends a pause, for there is room again. */
void acceptor_over(struct acceptor *acceptor, const struct conversation *conversation);

/*
 * Counts a conversation that goes on, whatever the limits say: ORIGIN has its face and key, and
 * gets what it is counted as. acceptor_uncount() takes that back.
 */
void acceptor_count(struct acceptor *acceptor, struct conversation_origin *origin);
void acceptor_uncount(struct acceptor *acceptor, const struct conversation_origin *origin);

/* Takes the client at FD in, which another process accepted. FD is taken over. */
void acceptor_take(struct acceptor *acceptor, int fd);

/* Ends a pause, if there is one, at once. */
void acceptor_resume(struct acceptor *acceptor);
