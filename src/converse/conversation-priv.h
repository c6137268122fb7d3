/*
 * What the files of the conversation share. conversation.c goes through its phases and answers;
 * input.c waits for what the client says; output.c sends; ending.c parts, records and lingers. All
 * run in the conversation's own thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "converse/conversation.h"
#include "converse/end-reasons.h"
#include "converse/framer.h"

/* Buffers that have grown past this give their memory back once they are empty. */
#define KEEP_AT_MOST ((size_t)64 * 1024)

/* How far the streams have come, in bytes since the beginning. */
static inline uint64_t in_read(const struct conversation *c)
{
	return atomic_load_explicit(&c->slot.head->in_read, memory_order_relaxed);
}

static inline uint64_t out_sent(const struct conversation *c)
{
	return atomic_load_explicit(&c->slot.head->out_sent, memory_order_relaxed);
}

/*
 * Takes what is in the box and notes it. Returns END_NONE to go on; END_STOP_DEADLINE or
 * END_HANDOVER when nothing more is to be done.
 */
enum end_reason interrupted(struct conversation *c);

/* What the negative errno ERROR of the wire means for the conversation. */
enum end_reason wire_reason(int error);

/* Sends all committed output. Returns END_NONE, or why it could not. */
enum end_reason output_flush(struct conversation *c);

/*
 * Whether so many replies have gathered that they should be sent before more are made.
 */
bool output_is_due(const struct conversation *c);

/* What a wait for input came to. */
enum input_event {
	INPUT_BYTES,   /* there is more input, or its end (TURN_INPUT_END) */
	INPUT_QUIET,   /* there was none for raw_pause, which makes a message of what is there */
	INPUT_TIMER,   /* the responder's timer has come */
	INPUT_IDLE,    /* there was none for idle_timeout */
	INPUT_NOTHING, /* mail came */
};

/*
 * Waits for input; PAUSE says that raw_pause without any is of interest. Returns END_NONE and what
 * came of it, or why the conversation breaks off.
 */
enum end_reason input_wait(struct conversation *c, bool pause, enum input_event *ret_event);

/*
 * Waits while no message is wanted: INPUT_TIMER, INPUT_NOTHING, or INPUT_BYTES when the client
 * spoke although it is too early. Nothing is read. Returns as input_wait() does.
 */
enum end_reason input_hold(struct conversation *c, enum input_event *ret_event);

struct turn;

/* Ends the dialogue with TURN, for REASON; the farewell follows if WITH_FAREWELL. */
void end_dialogue(struct turn *turn, enum end_reason reason, bool with_farewell);

/*
 * Commits TURN as its VERDICT says; REASON is why the dialogue ends if it closes. Returns END_NONE
 * if the dialogue goes on or was ended in good order (the phase tells which), else why the
 * conversation breaks off.
 */
enum end_reason settle(struct turn *turn, int verdict, enum end_reason reason);

/* Does everything that is asked of the conversation (watch.h), between two messages. */
enum end_reason wishes_serve(struct conversation *c);

/* The dialogue is over: nobody is waited for any more, and nobody need wait. May be called again.
 */
void ending_begin(struct conversation *c);

/* Says the farewell after the last reply: from PHASE_PARTING to PHASE_FAREWELL. */
enum end_reason ending_part(struct conversation *c);

/*
 * Records the end, lets the responder close its part, and ends the connection, in good order unless
 * BROKEN says otherwise. Returns false if it was frozen meanwhile: then another process goes on
 * with PHASE_LINGER, and lets the responder close again.
 */
bool ending_finish(struct conversation *c, enum end_reason broken);
