/*
 * End words: "fin" ends a dialogue, in any case, in any language. Pure, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Prepares the comparison; before any thread, once. Without it only ASCII letters have cases. */
void endword_init(void);

/*
 * Whether the LENGTH bytes at MESSAGE are one of the N words (UTF-8, ended by NUL), but for upper
 * and lower case as Unicode has it. Bytes that are no UTF-8 match only themselves.
 */
bool endword_matches(char *const words[], size_t n, const char *message, size_t length);
