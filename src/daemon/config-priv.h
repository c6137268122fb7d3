/*
 * What the parts of the configuration share: the lines on which things were said, and the
 * responders' sections as they were written.
 *
 * Private to the configuration. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/report.h"
#include "daemon/config-keys.h"
#include "daemon/config.h"
#include "marcel/responder.h"

/* On which line each key was set for one face, by its place in config_keys; 0: not in the file. */
struct config_said {
	unsigned lines[CONFIG_N_KEYS];
};

/* The section of a responder; which keys there are is its own affair. */
struct config_section {
	const struct marcel_responder_ops *ops;
	struct marcel_setting *settings; /* names and values are owned */
	size_t n;
};

/* Adds a face named NAME, all of defaults. Returns its place in config->faces or -ENOMEM. */
int config_add_face(struct config *config, const char *name);

/*
 * Finishes the faces once everything is read: what a [listener NAME] does not set comes from the
 * default face, and every face gets its responder, loaded with the settings of its section; FILE
 * names the configuration for messages. Returns 0 also when faults were told in REPORT; -ENOMEM.
 */
int config_finish_faces(struct config *config, const char *file, struct report *report);

/* Sets the values that are kept in BASE, a struct config or, if IN_FACE, a struct face, to their
 * defaults. Returns 0 or -ENOMEM. */
int config_set_defaults(void *base, bool in_face);

/* Unloads the responders and frees the faces. */
void config_done_faces(struct config *config);
