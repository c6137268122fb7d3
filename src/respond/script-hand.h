/*
 * The script responder's state, and the hand: while a script lets another responder answer
 * (`hand`), that one's state lies between a header and the script's own, which grows at its end.
 *
 * Conversation's thread.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "marcel/responder.h"
#include "respond/script/program.h"
#include "respond/script/run.h"

/* What stands in front of all. Plain memory, saved. */
struct hand_header {
	uint64_t wake_at;     /* when the other responder wants to be called */
	uint32_t script_used; /* bytes of the script's state */
	uint32_t pc;          /* one more than the index of the hand under way; 0: there is none */
	uint32_t room;        /* of the other responder's state; 0 without a hand */
	uint32_t used;        /* bytes of that */
	uint32_t version;     /* of its layout */
	uint32_t silent;      /* 1: the script wants no farewell of the daemon's */
	uint32_t
		counted; /* by which process it counts as a user of its script's version; 0: none */
	uint32_t holds;  /* 1: the other responder wants no message now */
};
static_assert(sizeof(struct hand_header) == 40, "no padding: it is saved");

/* The most that another responder may remember while it is handed a conversation. */
#define HAND_STATE_MAX 3072
static_assert(sizeof(struct hand_header) + HAND_STATE_MAX + 512 + SCRIPT_VALUES_MAX <=
		      MARCEL_STATE_MAX,
	      "it fits beside a script's state, whose fixed part takes 512 bytes at most");

/* The parts of CONVERSATION's state. */
struct hand_header *hand_header(const struct marcel_conversation *conversation);
void *hand_script_state(const struct marcel_conversation *conversation);

/* Says how much of the state matters, after script_used has changed. */
void hand_settle(struct marcel_conversation *conversation);

/* Whether the header makes sense in state_used bytes / for SCRIPT, too. */
bool hand_is_sound(const struct marcel_conversation *conversation);
bool hand_is_sound_for(const struct marcel_conversation *conversation, const struct script *script);

/* How many descriptors those may need to whom SCRIPT hands conversations: the most of one of them.
 * Main thread. */
unsigned hand_descriptors(const struct script *script);

/* What the other responder made of it. */
enum hand_result {
	HAND_CONTINUES, /* no answer yet */
	HAND_ANSWERED,
	HAND_GIVEN_BACK, /* it wants no more of it */
	HAND_FAILED,
	HAND_VERDICT, /* *ret_verdict is to be returned */
};

/* Whether the other responder has the word by INSTRUCTION (NULL: never). */
bool hand_is_under_way(const struct marcel_conversation *conversation, const struct script *script,
		       const struct instruction *instruction);

/* Begins the hand of INSTRUCTION. Returns 0, or -ENOENT and the like when that responder isn't
 * there. */
int hand_begin(struct marcel_conversation *conversation, const struct script *script,
	       const struct instruction *instruction);

/* Ends it, if one is under way. */
void hand_end(struct marcel_conversation *conversation, const struct script *script);

/* Says what the draft is, if the other responder shows it to somebody. At the end of each call, for
 * the script's state moves. */
void hand_show_draft(struct marcel_conversation *conversation, const struct script *script);

/* Lets the other responder answer LENGTH bytes at MESSAGE / wakes it. For a reason that means
 * nothing to it the latter is HAND_FAILED. */
enum hand_result hand_respond(struct marcel_conversation *conversation, const struct script *script,
			      const char *message, size_t length, struct marcel_sink *sink,
			      int *ret_verdict);
enum hand_result hand_wake(struct marcel_conversation *conversation, const struct script *script,
			   enum marcel_wake reason, struct marcel_sink *sink, int *ret_verdict);

/*
 * An operator gives ORDER to it. Returns a negative errno as order() of the responder contract
 * does, -ENOTCONN if there is no hand; else 0 and *RET_RESULT.
 */
int hand_order(struct marcel_conversation *conversation, const struct script *script,
	       const struct marcel_order *order, struct marcel_sink *sink,
	       enum hand_result *ret_result, int *ret_verdict);

/* As drain() and said() of the responder contract, for it. */
int hand_drain(struct marcel_conversation *conversation, const struct script *script);
void hand_said(const struct marcel_conversation *conversation, const struct script *script,
	       char who, const char *text, size_t length);

/* As restore() of the responder contract, for the other responder. */
int hand_restore(struct marcel_conversation *conversation, const struct script *script);
