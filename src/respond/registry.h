/*
 * The responders there are, by name: the one file that lists them.
 *
 * Immutable; any thread.
 */
#pragma once

#include <stddef.h>

#include "marcel/responder.h"

/* The responder named NAME, or NULL. */
const struct marcel_responder_ops *responder_find(const char *name);

/* All of them; *RET_COUNT is how many. */
const struct marcel_responder_ops *const *responder_list(size_t *ret_count);
