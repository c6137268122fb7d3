/*
 * A turn in the making: everything between "here is a message" and "it is answered", which the slot
 * then takes over in one step (slot.h, note on committing).
 *
 *	turn_begin(&turn, conversation);
 *	verdict = turn_respond(&turn, message, length);
 *	turn.next->in_taken += ...;
 *	turn_commit(&turn);
 *
 * A turn that is not committed has not happened. The conversation's thread only.
 */
#pragma once

#include <stddef.h>

#include "converse/conversation.h"
#include "marcel/responder.h"
#include "record/record.h"
#include "respond/sink.h"

struct turn {
	struct conversation *conversation;
	struct slot_turn *next;  /* what the commit puts in force; change it freely */
	struct marcel_sink sink; /* the replies */
	struct record_about about;

	/* What the client said, until it is recorded: with the first reply, when the responder has
	 * said whether it may be. */
	const char *message; /* NULL: nothing, or it is recorded */
	size_t message_length;
	size_t message_end;                     /* bytes of its line end */
	const struct marcel_conversation *seen; /* during a call: what the responder says of it */
	char give_to[SWITCH_NAME_MAX];          /* after MARCEL_GIVE: whom it names */
	bool by_operator;                       /* the end that is asked for */
};

/* What records say of CONVERSATION; valid while its slot is. */
struct record_about turn_about(const struct conversation *conversation);

/*
 * Prepares a turn after the one in force, with the responder's state copied and an empty sink over
 * the free part of the output buffer. All output before must have been sent if less than
 * MARCEL_REPLY_MAX bytes are free there.
 */
void turn_begin(struct turn *turn, struct conversation *conversation);

/*
 * Prepares a change of the slot that is no turn (where the input lies, a phase): the other half,
 * filled like the one in force and with the same state, to be changed and put into force by
 * slot_commit().
 */
struct slot_turn *turn_amend(struct conversation *conversation);

/*
 * Puts TURN into force, replies included, and forgets the crashes that were counted against it;
 * turn_is_over() then.
 */
void turn_commit(struct turn *turn);

/*
 * Puts TURN into force after turn_restore(). The turn that crashed, if one did, is still to come:
 * crashes stay counted, and the turnstile stays taken.
 */
void turn_commit_restored(struct turn *turn);

/*
 * No turn is in flight: what comes next is a new one. turn_commit() does this itself; a
 * conversation that waits without having had a turn does it, too. That forgives it no crash: its
 * turn may need a pause or a timer to begin.
 */
void turn_is_over(struct conversation *conversation);

/*
 * Asks the responder to open and greet, to answer a message, or what it makes of REASON. The first
 * two give the configured greeting, the last -ENOSYS, where the responder leaves it to the daemon.
 * Returns a verdict of marcel/responder.h or a negative errno.
 */
int turn_open(struct turn *turn);
int turn_greet(struct turn *turn);
int turn_respond(struct turn *turn, const char *message, size_t length);
int turn_wake(struct turn *turn, enum marcel_wake reason);

/*
 * Lets the responder, and who is suspended, take up the state that another process left, whatever
 * its version / lets the responder, which must have save(), bring it up to date for another
 * process. Return 0 or a negative errno; TURN is to be committed after 0 only.
 */
int turn_restore(struct turn *turn);
int turn_save(struct turn *turn);

/* Gives the responder ORDER. Returns a verdict, or a negative errno: it is not carried out. */
int turn_order(struct turn *turn, const struct marcel_order *order);

/* Lets the responder take what its descriptor has, outside of any turn. Returns as drain() does. */
int turn_drain(struct conversation *conversation);

/* Nobody has a draft of an answer to CONVERSATION's client any more: it is told, if there was one.
 */
void turn_drop_draft(struct conversation *conversation);

/* Records what the client said in TURN, if that has not happened yet. */
void turn_record_message(struct turn *turn);

/* Tells the responder, and who is suspended, that the conversation is over, for REASON as in the
 * journal. Leaves a turn in flight: turn_is_over() ends it. */
void turn_close(struct conversation *conversation, const char *reason);
