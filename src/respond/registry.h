/*
 * The responders there are, by name.
 *
 * Immutable; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "marcel/responder.h"

/* All of them, ended by NULL; defined in builtin.c. */
extern const struct marcel_responder_ops *const responder_table[];

/* The responder named NAME, or NULL. */
const struct marcel_responder_ops *responder_find(const char *name);

/* Whether there is one named NAME; for script_load(). */
bool responder_is_known(const char *name);

/* All of them; *RET_COUNT is how many. */
const struct marcel_responder_ops *const *responder_list(size_t *ret_count);
