/*
 * What the files of the fifo responder share: fifo-responder.c is what the contract wants of it,
 * fifo-orders.c carries out an operator's orders. Conversation's thread.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "marcel/responder.h"
#include "respond/operator/order.h"
#include "respond/operator/turns.h"

#define FLAG_ABSENT 0x01u /* the client knows that nobody is there */
#define FLAG_DRAFT  0x02u /* the draft that was proposed is neither said nor replaced */
#define FLAG_SHOWN  0x04u /* the operator knows of it */
#define FLAG_MUTE   0x08u /* the client has said its last message, and waits for answers */

/* What is kept of a conversation. Plain memory, saved. */
struct fifo_state {
	struct turns turns;
	uint64_t taken;     /* so much of the pad's stream was carried out */
	uint64_t absent_at; /* when the client is told that nobody is there; 0: it is not */
	uint64_t answering; /* within a call: the turn that a reply is for; 0: the present one */
	uint32_t flags;
	uint32_t spare;
	uint64_t drafted;  /* the turn that the draft answers, once it is shown; 0 in a state of
			    * before: the oldest open one */
	uint64_t more[17]; /* zeros, so that a later version has room where a script handed over */
};
static_assert(sizeof(struct fifo_state) == 320, "no padding: it is saved");

/* One call of a function of the contract. */
struct fifo_call {
	struct marcel_conversation *conversation;
	struct fifo_state *state;
	struct marcel_sink *sink; /* NULL: there is none, notes can't be made */
	usec_t now;
	bool spoke; /* the operator has, or said that nothing is to be said */
};

/* Tells that an order for TURN (0: any) was refused, in the channel and the journal: WORD says why,
 * LENGTH bytes at TEXT what it was. */
void fifo_refuse(const struct fifo_call *call, uint64_t turn, const char *word, const char *text,
		 size_t length);

/* When the client who waits from now on is told that nobody is there; 0: never. */
usec_t fifo_absence(const struct fifo_call *call);

/* The turn for which the operator sees a draft; 0: he sees none. */
uint64_t fifo_drafted(const struct fifo_call *call);

/* Whether there is a draft that goes out by itself. */
bool fifo_has_timed_draft(const struct fifo_call *call);

/* Says LENGTH bytes at TEXT for TURN; 0: for all that are open. Returns 0 or a negative errno:
 * -ENOSPC when there is no room in this turn. */
int fifo_say(struct fifo_call *call, uint64_t turn, const char *text, size_t length);

/*
 * Carries out ORDER, which LINE says. Returns a verdict; a negative errno if it was refused, as the
 * contract of order() has them; or -ENOSPC: it is untouched, there is no room in this turn.
 */
int fifo_carry_out(struct fifo_call *call, const struct order *order, const char *line,
		   size_t length);
