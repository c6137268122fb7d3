/*
 * Telling the service manager how things stand (sd_notify(3)), and being watched by it.
 *
 * Without a service manager every function does nothing. Main thread only.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/clock.h"
#include "converse/roster.h"
#include "handover/handover.h"

struct notify {
	sd_event *loop;
	struct roster *roster;
	sd_event_source *watchdog; /* comes twice in each watchdog interval */
	usec_t watchdog_pace;
	sd_event_source *status;                /* while a new status line waits to be told */
	usec_t status_told;                     /* when the last one was */
	const struct handover_figures *figures; /* of the last handover */
	uint64_t stuck; /* the conversation that was last recorded as stuck; 0: none */
};

/*
 * Prepares NOTIFY for the conversations of ROSTER in LOOP; FIGURES, which must outlive it, are for
 * the status line. Returns 0 or a negative errno.
 */
int notify_init(struct notify *notify, sd_event *loop, struct roster *roster,
		const struct handover_figures *figures);

/* Ends NOTIFY; nothing is told any more. */
void notify_done(struct notify *notify);

/* The daemon serves: at the end of a start or a reload. */
void notify_ready(struct notify *notify);

/* A reload begins; notify_ready() ends it. */
void notify_reloading(struct notify *notify);
/* The daemon stops, which may take as long as TIMEOUT: the manager is to wait for it. */
void notify_stopping(struct notify *notify, usec_t timeout);

/* The daemon ends, and its conversations go on in another process. */
void notify_handing_over(struct notify *notify);

/* The number of conversations changed: the status line follows, at most once a second. */
void notify_changed(struct notify *notify);
