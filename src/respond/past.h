/*
 * The past: what was said last in a conversation, kept beyond the process.
 *
 * Who takes a conversation over wants to know what was said in it: an operator, in `out` or at the
 * desk, and whoever asks the control. So the last lines lie in shared memory beside the
 * conversation's state, a page for each that has said anything. It is no part of a turn, but of
 * what another process goes on with, past_trim() drops the lines of a turn that never came into
 * force, and will come again.
 *
 * NOTE ON DYING THERE. Lines lie in a ring of bytes between `begin` and `end`, both counted since
 * the conversation began. A line is added by moving `begin` over what it overwrites, then writing
 * its bytes behind `end`, then moving `end`; so there are whole lines between the two at every
 * instant.
 *
 * Pure but for that memory. One thread writes, the conversation's; others may read beside it only
 * under a lock that it takes to write.
 */
#pragma once

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "marcel/responder.h"

#define PAST_SIZE 4096
#define PAST_ROOM (PAST_SIZE - 2 * sizeof(uint64_t))

/* Saved: its layout never changes. All zeroes: nothing was said. */
struct marcel_past {
	_Atomic uint64_t begin;
	_Atomic uint64_t end;
	char bytes[PAST_ROOM];
};
static_assert(sizeof(struct marcel_past) == PAST_SIZE, "it is a page");

/* The longest text of one line; what is longer is cut there. Half of the room, so that more than
 * one line is there. */
#define PAST_TEXT_MAX (PAST_ROOM / 2)

/* Appends LINE, and drops the oldest for it. */
void past_add(struct marcel_past *past, const struct marcel_line *line);

/* Makes *PAST one in which nothing was said. */
void past_init(struct marcel_past *past);

/* Drops the lines from before OPENED, CLOCK_REALTIME microseconds, which another conversation left
 * in the same memory, and those of turns after TURN; all, if what there is makes no sense. For who
 * goes on with what another process left. */
void past_trim(struct marcel_past *past, uint64_t opened, uint64_t turn);

/* Whether what there is makes sense, so that it can be read. */
bool past_is_sound(const struct marcel_past *past);

static inline bool past_is_empty(const struct marcel_past *past)
{
	return atomic_load_explicit(&past->begin, memory_order_relaxed) ==
	       atomic_load_explicit(&past->end, memory_order_relaxed);
}

/* Makes *COPY what PAST is. */
void past_copy(const struct marcel_past *past, struct marcel_past *copy);

/* Calls FUNCTION with each line, oldest first; texts are valid during the call. */
void past_each(const struct marcel_past *past, marcel_line_fn *function, void *context);
