/*
 * The state of a conversation, as plain memory.
 *
 * Everything that matters about a conversation lies in its slot of the table (table.h), in shared
 * memory that outlives the process: no pointers, nothing on a thread's stack. The thread works on
 * the slot itself, so what another process would find after a SIGKILL is always the present state.
 *
 * NOTE ON COMMITTING. The slot keeps what changes with a turn twice. The thread prepares the turn
 * after in the half that is not in force (slot_next()), puts replies behind the committed output
 * and the responder's new state into the other state area, and then makes all of it true at once by
 * storing sequence + 1 (slot_commit(), a release store). Whoever reads the slot after the thread is
 * gone sees the turn before or the turn after, never a mixture; a reader beside a running thread
 * would have to look at the sequence again afterwards, for two commits may pass it. Nothing that
 * the half in force refers to is written while it is in force: input is only appended behind what
 * was read, output only behind out_end, and buffers move their base only when what lies before it
 * is no longer needed. How the next message is found is part of the turn too: mode and line_end as
 * the framer learnt them, and the framing that the responder declared.
 *
 * Of a state area only the first state_size bytes count, as many as the responder says it uses. The
 * others are copied to nowhere and hold whatever was there.
 *
 * NOTE ON BUFFERS. Input and output are streams counted in bytes since the conversation began.
 * Byte k of a stream lies in its buffer at k - base, where base belongs to the turn in force. So a
 * byte that the kernel handed over before the process died lies where the counters of the kernel
 * (tcp(7), TCP_INFO) say it does, even if the thread never saw recv() return.
 *
 * One thread at a time writes a slot: the main thread while it prepares it, then the conversation's
 * own. What others may read meanwhile is atomic.
 */
#pragma once

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "converse/dialogue.h"
#include "marcel/responder.h"
#include "respond/past.h"

#define SLOT_HEAD_SIZE 256

/* Where a conversation is in its life. Saved: a value never changes its meaning. */
enum slot_phase {
	PHASE_GREETING = 0, /* nothing said yet */
	PHASE_DIALOGUE = 1,
	PHASE_PARTING = 2,  /* the dialogue is over; the farewell is still to be said */
	PHASE_FAREWELL = 3, /* the last output is in the buffer; send it, then end */
	PHASE_LINGER = 4,   /* the end is recorded; wait for the client's */
};

/* How bytes become messages, once that is known. Saved. */
enum slot_mode {
	MODE_UNDECIDED = 0,
	MODE_LINE = 1,
	MODE_RAW = 2,      /* provisional: the first LF makes it MODE_LINE */
	MODE_RAW_ONLY = 3, /* framing = raw: LF means nothing */
};

/* What replies end with in MODE_LINE: as the client's first line did. Saved. */
enum slot_line_end {
	LINE_END_UNKNOWN = 0, /* LF until the client shows what it uses */
	LINE_END_LF = 1,
	LINE_END_CRLF = 2,
};

#define TURN_AGAIN     0x01 /* the message at in_taken was begun: the responder has more to say */
#define TURN_AFTER_RAW 0x02 /* the last message was answered as raw: swallow an LF that follows */
#define TURN_INPUT_END 0x04 /* the client has closed its sending side, and all of it was read */
#define TURN_IN_FAR    0x08 /* the input buffer is the far one */
#define TURN_OUT_FAR   0x10 /* the output buffer is the far one */
#define TURN_SKIPPING  0x20 /* the input begins with the rest of a message that was too long */
#define TURN_HOLDS     0x40 /* the responder wants no message now */
#define TURN_OWNS_END  0x80 /* end words and empty messages are messages like others */

#define MORE_EARLY     0x01 /* who speaks while TURN_HOLDS is too early */
#define MORE_JOINED    0x02 /* the line of replies that was begun has no end yet */
#define MORE_PART      0x04 /* the last message was not the last one of its line */
#define MORE_CONTINUES 0x08 /* the next message belongs to the turn of the last one */
#define MORE_PAD       0x10 /* the responder uses the pad */
#define MORE_SECRET    0x20 /* the responder asks for a secret */

/* One more than the last value of each. */
#define PHASE_COUNT    (PHASE_LINGER + 1)
#define MODE_COUNT     (MODE_RAW_ONLY + 1)
#define LINE_END_COUNT (LINE_END_CRLF + 1)

/* One half: what changes when a turn commits. */
struct slot_turn {
	uint64_t in_base;  /* stream offset of the input buffer's first byte */
	uint64_t in_taken; /* input bytes that were answered (or are of no more use) */
	uint64_t out_base; /* stream offset of the output buffer's first byte */
	uint64_t out_end;  /* output bytes produced */
	uint64_t messages; /* turns so far */
	uint64_t wake_at;  /* the responder's timer: CLOCK_MONOTONIC microseconds, 0: none */
	uint8_t phase;     /* enum slot_phase */
	uint8_t mode;      /* enum slot_mode */
	uint8_t line_end;  /* enum slot_line_end */
	uint8_t flags;     /* TURN_* */
	uint8_t reason;    /* enum end_reason, from PHASE_PARTING on */
	uint8_t more;      /* MORE_* */
	uint16_t tail; /* bytes at the end of the state area, see the note on switching; 0: none */
	uint32_t state_version;        /* layout of the responder's state */
	uint32_t state_size;           /* its bytes, as far as they matter */
	struct marcel_framing framing; /* as declared by the responder */
};
/* Both it and `more` lie where the first tables of version 1 have zeros, which mean the same. */
static_assert(sizeof(struct marcel_framing) == 16, "it fits where version 1 kept room");

#define SWITCH_NAME_MAX 32

/*
 * NOTE ON SWITCHING. A conversation may go from one responder to another in its middle, and back.
 * That has to be as much in force, or not, as all else in a turn. So who answers stands at the end
 * of the state area, once it is not whom the card names: the last `tail` bytes are, from their
 * beginning, the state of the responder that is suspended, if one is, and this. The present
 * responder's state stays at the front of the area.
 */
struct slot_switch {
	char responder[SWITCH_NAME_MAX]; /* who answers */
	char below[SWITCH_NAME_MAX];     /* who is suspended; "": nobody */
	uint64_t below_wake_at;
	struct marcel_framing below_framing;
	uint32_t below_version; /* of its state */
	uint32_t below_size;
	uint8_t below_flags; /* of TURN_*: SWITCH_FLAGS */
	uint8_t below_more;  /* of MORE_*: SWITCH_MORE */
	uint8_t spare[14];
};
static_assert(sizeof(struct slot_switch) == 112, "no padding: it is saved");

#define SWITCH_FLAGS (TURN_HOLDS | TURN_OWNS_END)
#define SWITCH_MORE  (MORE_EARLY | MORE_CONTINUES | MORE_PAD)

/* Whether a slot holds a conversation. */
enum slot_stage {
	STAGE_FREE = 0,
	STAGE_LIVE = 1, /* between roster_begin() and the end of its thread */
};

/* The dense part: all heads lie together, so that going through them touches little memory. */
struct slot_head {
	_Atomic uint64_t sequence; /* turn[sequence & 1] is in force */
	_Atomic uint32_t stage;    /* enum slot_stage */
	uint32_t crashes;          /* processes that died in its present turn, one after another */
	uint64_t cookie;           /* SO_COOKIE of its socket (socket(7)) */
	uint64_t number;           /* MARCEL_CONVERSATION */
	uint8_t id[16];            /* MARCEL_CONVERSATION_ID */
	uint64_t opened;           /* CLOCK_REALTIME microseconds */
	/* How far the thread saw the streams get; the kernel's own counters may be ahead. */
	_Atomic uint64_t in_read;
	_Atomic uint64_t out_sent;
	_Atomic uint64_t in_consumed; /* taken out after peeking (wire.h); else unused */
	struct slot_turn turn[2];
	_Atomic uint32_t in_flight; /* 1: a turn has begun and is not committed */
	uint8_t spare[12];
};
static_assert(sizeof(struct slot_head) == SLOT_HEAD_SIZE, "heads are a power of two");

#define SLOT_PEER_MAX      192
#define SLOT_LISTENER_MAX  256
#define SLOT_RESPONDER_MAX 64

/* What does not change while the conversation lives. Texts are ended by NUL. */
struct slot_card {
	char peer[SLOT_PEER_MAX];
	char listener[SLOT_LISTENER_MAX];
	char responder[SLOT_RESPONDER_MAX];
	uint8_t key[16]; /* the client's host, for limits, if keyed */
	uint8_t keyed;
	uint8_t spare[7];
};

/*
 * NOTE ON NEAR AND FAR. Most conversations are idle and say little. What they need lies near: one
 * page a slot, pages side by side, so that 19,000 of them cost little memory and few page tables,
 * and are soon there again when another process takes over. Larger messages and replies go into the
 * far buffers, in virtual memory whose pages come into being when they are first used. Which buffer
 * holds a stream is a flag of the turn, so that a move from one to the other is a commit like any.
 *
 * The far input buffer is twice as long as a message may be, so that the rest of one can always be
 * moved to the front without overlapping itself.
 */
#define SLOT_NEAR_SIZE 4096
#define SLOT_NEAR_IN   1776
#define SLOT_NEAR_OUT  (SLOT_NEAR_SIZE - SLOT_NEAR_IN - sizeof(struct slot_card))
#define SLOT_FAR_SLACK ((size_t)64 * 1024)
#define SLOT_FAR_IN    (((size_t)DIALOGUE_MESSAGE_MAX + SLOT_FAR_SLACK) * 2)
#define SLOT_FAR_OUT   ((size_t)MARCEL_REPLY_MAX + SLOT_FAR_SLACK * 2 - MARCEL_PAD_SIZE)

struct slot_near {
	struct slot_card card;
	char in[SLOT_NEAR_IN];
	char out[SLOT_NEAR_OUT];
};
static_assert(sizeof(struct slot_near) == SLOT_NEAR_SIZE, "the near part is a page");

struct slot_states {
	char area[2][MARCEL_STATE_MAX];
};

struct slot_far {
	char in[SLOT_FAR_IN];
	char out[SLOT_FAR_OUT];
	char pad[MARCEL_PAD_SIZE]; /* the responder's (marcel/responder.h) */
};
static_assert(sizeof(struct slot_far) % 4096 == 0, "far parts are whole pages");

/* The parts of one slot. */
struct slot {
	struct slot_head *head;
	struct slot_near *near;
	struct slot_states *states;
	struct slot_far *far;
	struct marcel_past *past;
};

/* The input buffer of TURN, and its room in bytes. */
static inline char *slot_in(const struct slot *slot, const struct slot_turn *turn)
{
	return (turn->flags & TURN_IN_FAR) != 0 ? slot->far->in : slot->near->in;
}

static inline size_t slot_in_room(const struct slot_turn *turn)
{
	return (turn->flags & TURN_IN_FAR) != 0 ? SLOT_FAR_IN : SLOT_NEAR_IN;
}

/* The output buffer of TURN, and its room in bytes. */
static inline char *slot_out(const struct slot *slot, const struct slot_turn *turn)
{
	return (turn->flags & TURN_OUT_FAR) != 0 ? slot->far->out : slot->near->out;
}

static inline size_t slot_out_room(const struct slot_turn *turn)
{
	return (turn->flags & TURN_OUT_FAR) != 0 ? SLOT_FAR_OUT : SLOT_NEAR_OUT;
}

/* The half in force. Conversation's thread, or anybody once that thread is gone. */
static inline const struct slot_turn *slot_turn(const struct slot_head *head)
{
	return &head->turn[atomic_load_explicit(&head->sequence, memory_order_acquire) & 1];
}

/* The other half, filled with a copy of the one in force, to be changed and committed. */
static inline struct slot_turn *slot_next(struct slot_head *head)
{
	uint64_t sequence = atomic_load_explicit(&head->sequence, memory_order_relaxed);
	struct slot_turn *next = &head->turn[(sequence + 1) & 1];

	*next = head->turn[sequence & 1];
	return next;
}

/* Puts the other half into force, and with it the other state area. */
static inline void slot_commit(struct slot_head *head)
{
	uint64_t sequence = atomic_load_explicit(&head->sequence, memory_order_relaxed);

	atomic_store_explicit(&head->sequence, sequence + 1, memory_order_release);
}

/* What the end of the state AREA says of TURN's responder; NULL: the card says it. */
static inline const struct slot_switch *slot_switch(const struct slot_turn *turn, const char *area)
{
	return turn->tail == 0
		       ? NULL
		       : (const struct slot_switch *)(const void *)(area + MARCEL_STATE_MAX -
								    sizeof(struct slot_switch));
}

/* The responder's state in force / the other area, for the turn being prepared. */
static inline char *slot_state(const struct slot *slot)
{
	return slot->states
		->area[atomic_load_explicit(&slot->head->sequence, memory_order_relaxed) & 1];
}

static inline char *slot_next_state(const struct slot *slot)
{
	uint64_t sequence = atomic_load_explicit(&slot->head->sequence, memory_order_relaxed);

	return slot->states->area[(sequence + 1) & 1];
}
