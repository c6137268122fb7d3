/*
 * Where lines come from: a terminal, with a prompt and line editing by libedit, or any other
 * standard input, whose lines are then written as they are read, as a terminal would show them.
 *
 * Main thread, one at a time.
 */
#pragma once

#include <stddef.h>

#include "base/clock.h"

struct prompt;

/* Returns 0, or -ENOMEM. prompt_free() takes NULL, too, and restores the terminal. */
int prompt_new(struct prompt **ret_prompt);
void prompt_free(struct prompt *prompt);

enum prompt_result {
	PROMPT_LINE,
	PROMPT_END,  /* there are no more lines */
	PROMPT_TIME, /* PATIENCE is over; what was typed so far is kept */
	PROMPT_ERROR,
};

/*
 * Waits for a line, at most PATIENCE (USEC_NEVER: for ever). PROMPT_LINE: *RET_LINE, *RET_LENGTH
 * bytes without the line end, which the caller frees.
 */
enum prompt_result prompt_read(struct prompt *prompt, usec_t patience, char **ret_line,
			       size_t *ret_length);

/* Takes the prompt and what is typed off the terminal, so that other lines can be written; the
 * next prompt_read() shows them again. */
void prompt_clear(struct prompt *prompt);
