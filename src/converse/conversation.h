/*
 * A conversation: the thread that holds one client's dialogue, from the greeting to the end.
 *
 * All that has to outlive the process lies in the slot (slot.h). What is here is this process's
 * own: the socket, the face, the framer between two calls. The struct belongs to the main thread
 * until the thread is started and after it was joined; in between it belongs to that thread, but
 * for the wire, which wakers share.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "converse/dialogue.h"
#include "converse/framer.h"
#include "converse/slot.h"
#include "converse/wire.h"

/* Where a client came from, for whoever counts clients when the conversation is over. */
struct conversation_origin {
	const struct face *face;
	size_t counted_as; /* the face's number where clients are counted */
	uint8_t key[16];   /* the client's host, if keyed */
	bool keyed;
};

struct roster;

/* The responder from which a conversation was taken, and which can get it back. */
struct conversation_below {
	const struct marcel_responder_ops *responder; /* NULL: there is none */
	void *shared;
};

struct watch;

struct conversation {
	struct watch *watch;   /* who looks at it (watch.h); NULL: nobody */
	struct roster *roster; /* where it is told that it is over */
	uint32_t index;        /* of its slot */
	struct slot slot;
	struct conversation_origin origin;
	/* The face's responder, or the one it was resumed with, and what its load() made. */
	const struct marcel_responder_ops *responder;
	void *shared;
	struct conversation_below below;
	void *local; /* the responder's own (marcel/responder.h), as are the next two */
	uint64_t waiting;
	const char *speaker;
	uint64_t draft_turn; /* what was told of the responder's draft; 0: there is none */
	usec_t draft_until;
	pthread_t thread;       /* main thread */
	bool resumed;           /* another process left it */
	bool running;           /* main thread: there is a thread to join */
	_Atomic bool freezes;   /* it must stop before another process carries on; set from the
				 * beginning, or later by its thread, never cleared */
	bool asked_to_freeze;   /* main thread */
	uint64_t seen_progress; /* main thread: wire_progress() when the watchdog last looked */

	struct wire wire;
	struct framer framer;
	size_t far_used;    /* how far the far input buffer was filled since it was last trimmed */
	bool bulk;          /* input comes in large pieces: the far buffer suits it */
	usec_t quiet_since; /* when the present wait for the client began, once a timer needs it;
			       else 0 */
	bool stopping;      /* MAIL_STOP came */
	bool aborted;       /* MAIL_ABORT came */
	bool frozen;        /* MAIL_FREEZE came */
	bool wished;        /* MAIL_WISH came */
	bool closing;       /* somebody wants it closed, while its client is being sent to */
	bool ready;         /* the responder wants to be woken for what it drained */
	bool handed_over;   /* it ended without ending the conversation; read after joining */
	struct lock *turnstile; /* held until its first turn is over; NULL: none */
};

/*
 * Holds the dialogue that CONVERSATION's slot describes, from where it stands, until it is over,
 * with the connection ended and the end recorded, or until it is frozen for another process. Runs
 * in the conversation's own thread.
 */
void conversation_run(struct conversation *conversation);
