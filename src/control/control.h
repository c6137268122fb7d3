/*
 * The control: one D-Bus object by which the daemon is looked at and told what to do.
 *
 * Interface org.marceld.Marcel1 at /org/marceld/Marcel1, twice: on the system bus, where the name
 * org.marceld.Marcel1 and its policy file say who may, and peer to peer on a unix socket that is
 * guarded by its group and mode. It lives in a thread of its own, with an event loop of its own; it
 * sees conversations through the watch (converse/watch.h) alone, so nothing that a client does here
 * can slow one down. Clients that don't read are dropped, and there are never more than a few.
 *
 * Without a bus, or without a place for the socket, the daemon works all the same: that is
 * recorded, and the bus is looked for again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "converse/watch.h"

/* What the daemon tells of itself. Strings are copied. */
struct control_facts {
	const char *version;
	const char *configuration; /* path; "": built-in defaults */
	const char *operator_directory;
	const char *const *listeners;  /* addresses; ended by NULL */
	const char *const *responders; /* that conversations can be given to; ended by NULL */
	usec_t started;                /* CLOCK_REALTIME microseconds */
};

/* What control asks of the daemon. */
struct control_hooks {
	/*
	 * Reload the configuration: called in control's thread; the daemon reloads in its own time
	 * and answers with control_reloaded().
	 */
	void (*reload)(void *context);
	void *context;
};

struct control;

/*
 * Starts the control over WATCH. SOCKET is where the socket goes (a path), GROUP_DIRECTORY a
 * directory from which it inherits its group by the setgid bit (NULL: none; then only the daemon's
 * own user and root may connect). SOCKET NULL: none. BUS: whether to look for the system bus.
 * EXPECTED: somebody asked for the socket by name, so that it can't be had is worth a record. Main
 * thread. Returns 0 or a negative errno (no thread, no memory).
 */
int control_start(struct watch *watch, const char *socket, const char *group_directory, bool bus,
		  bool expected, const struct control_facts *facts,
		  const struct control_hooks *hooks, struct control **ret_control);

/* Ends the thread, tells clients nothing more, unlinks the socket. control_stop(NULL) is allowed.
 * Main thread. */
void control_stop(struct control *control);

/* How the reload went: RESULT 0, or a negative errno with the faults as lines in TEXT (copied).
 * FACTS are the new ones. Main thread. */
void control_reloaded(struct control *control, int result, const char *text,
		      const struct control_facts *facts);
