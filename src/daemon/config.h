/*
 * The configuration: marcel.ini read whole, checked whole, and immutable from then on.
 *
 * config_load() either returns a complete configuration or a report of every fault it found; it
 * changes nothing else, so that a reload can be refused. A configuration is counted: the daemon
 * holds one reference to the current one, each conversation another to the one it began with. Only
 * the main thread, which starts and joins the conversations, counts; the last drop frees (and calls
 * the responders' unload()).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/report.h"
#include "converse/dialogue.h"
#include "record/record.h"

#define CONFIG_FILE_DEFAULT "/etc/marcel.ini"

struct config_said;
struct config_section;

/* What the command line says over the file; NULL members say nothing. */
struct config_overrides {
	const char *responder; /* -r: in the place of [dialogue] responder */
	const char *script;  /* -s: in the place of [script] file; without -r it means -r script */
	const char *control; /* --control: in the place of [server] control */
};

struct config {
	unsigned references;
	char *file;          /* NULL: built-in defaults, no file was there */
	char *listen;        /* [server] listen: addresses separated by blanks */
	int backlog;         /* [server] backlog: for sockets bound here */
	char *control;       /* [server] control: "auto", "none" or a path */
	usec_t stop_timeout; /* [server] stop_timeout: how long farewells may take at a stop */
	enum transcript_policy transcript; /* [journal] transcript */
	size_t transcript_max;             /* [journal] transcript_max: bytes */

	struct face *faces; /* the first is the default one, named ""; their owner is the config */
	size_t n_faces;

	/* Responders that conversations can be handed and given to, loaded once for all faces that
	 * have no own; ended by one without ops. */
	struct marcel_loaded *loaded;

	/* Private: what the file itself said, for config_print() and the responders. */
	struct config_said *said; /* of each face */
	struct config_section *sections;
	size_t n_sections;
};

/*
 * Reads FILE. A NULL FILE means CONFIG_FILE_DEFAULT, which may be missing: then the built-in
 * defaults are taken and `file` is NULL. OVERRIDES may be NULL. Gives *RET_CONFIG one reference,
 * owned by the caller.
 *
 * Returns 0; -EINVAL with every fault in REPORT; -ENOMEM. Main thread.
 */
int config_load(const char *file, const struct config_overrides *overrides, struct report *report,
		struct config **ret_config);

/*
 * As config_load(), for a configuration of LENGTH bytes at TEXT that is named FILE (NULL: built-in
 * defaults) and not read from anywhere.
 */
int config_parse(const char *file, const char *text, size_t length,
		 const struct config_overrides *overrides, struct report *report,
		 struct config **ret_config);

/* Adds a reference / drops one and frees at the last. Main thread. config_unref(NULL) is allowed.
 */
struct config *config_ref(struct config *config);
void config_unref(struct config *config);

/* The face for the socket named NAME: its own or the default one. Never NULL. */
const struct face *config_face(const struct config *config, const char *name);

/* The responder named NAME as CONFIG has it, loaded, or NULL. */
const struct marcel_loaded *config_loaded(const struct config *config, const char *name);

/*
 * Prints the effective configuration, defaults included, in the syntax that config_load() reads
 * and so that reading it again gives the same; of each [listener NAME], what it sets itself.
 * Returns 0 or a negative errno of writing.
 */
int config_print(const struct config *config, FILE *stream);
