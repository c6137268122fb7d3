/*
 * The control: one D-Bus object by which the daemon is looked at and told what to do.
 *
 * Interface org.marceld.Marcel1 at /org/marceld/Marcel1, twice: on the system bus, where the name
 * org.marceld.Marcel1 and its policy file say who may, and peer to peer on a unix socket that is
 * guarded by its group and mode. It lives in a thread of its own, with an event loop of its own; it
 * sees conversations through the watch (converse/watch.h) alone, so nothing that a client does here
 * can slow one down. Clients that don't read are dropped, and there are never more than a few: the
 * next one takes the place of who has been silent longest and waits for nothing.
 *
 * Without a bus, or without a place for the socket, the daemon works all the same: that is
 * recorded, and the bus is looked for again. One case is not: a daemon that was started by hand,
 * was not told where the socket is to be (struct control_places, expected), and can't have the
 * usual directory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "converse/watch.h"

/* What the daemon tells of itself. Strings are copied. */
struct control_facts {
	const char *version;
	const char *configuration; /* absolute path; "": built-in defaults */
	const char *operator_directory;
	const char *const *listeners;      /* addresses; ended by NULL */
	const char *const *listener_names; /* of each of these, or ""; ended by NULL */
	const char *const *responders;     /* that conversations can be given to; ended by NULL */
	usec_t started;                    /* CLOCK_REALTIME microseconds */
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

/* Where the control is to be had. Strings are copied. */
struct control_places {
	const char *socket; /* path of the socket; NULL: none */
	/* A directory from which the socket inherits its group by the setgid bit; NULL, or one that
	 * is not there or has no such bit: only the daemon's own user and root may connect. The
	 * same, and a record, if the bit is there and can't be made use of. */
	const char *group_directory;
	bool bus;      /* look for the system bus */
	bool expected; /* there is to be a socket: somebody named it, or a service manager runs
			* us */
};

struct control;

/*
 * Starts the control over WATCH. HOOKS are copied; their context outlives the control. The socket
 * is there, or known not to be, when this returns. Main thread, with records started. Returns 0 or
 * a negative errno (no thread, no memory, no descriptors).
 */
int control_start(struct watch *watch, const struct control_places *places,
		  const struct control_facts *facts, const struct control_hooks *hooks,
		  struct control **ret_control);

/* Ends the thread, tells clients nothing more, unlinks the socket. control_stop(NULL) is allowed.
 * Main thread. */
void control_stop(struct control *control);

/*
 * How the reload went: RESULT 0, or a negative errno (-ESHUTDOWN: the daemon is about to end) with
 * the faults as lines in TEXT (copied; NULL: none). FACTS are the new ones; NULL: they are as
 * before. For reloads by a signal too. Main thread. CONTROL may be NULL. Without memory for it, as
 * with -ENOMEM, whoever waits for an answer is told that memory is short, however it went.
 */
void control_reloaded(struct control *control, int result, const char *text,
		      const struct control_facts *facts);
