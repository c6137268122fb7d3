/*
 * Turns: which of the client's messages are open, that is, not answered yet.
 *
 * Plain memory without pointers, which is saved. The last TURNS_WINDOW turns are known one by one;
 * of older ones that are still open only the oldest is: they can be answered all together, and none
 * of them alone any more. Pure; any thread, each by one at a time.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define TURNS_WINDOW 1024

/* Zero is one without any turn. */
struct turns {
	uint64_t last;                    /* the newest turn that was opened */
	uint64_t fallen;                  /* the oldest open turn before the window; 0: none */
	uint64_t open[TURNS_WINDOW / 64]; /* by turn % TURNS_WINDOW */
};
static_assert(sizeof(struct turns) == 144, "no padding: it is saved");

/* Turn TURN, which is none of the older ones, is open from now on. */
void turns_open(struct turns *turns, uint64_t turn);

/* Whether TURN is open and can be answered alone. */
bool turns_is_open(const struct turns *turns, uint64_t turn);

/* TURN is answered / all are. */
void turns_answer(struct turns *turns, uint64_t turn);
void turns_answer_all(struct turns *turns);

/* The oldest open turn; 0: none is. */
uint64_t turns_oldest(const struct turns *turns);
