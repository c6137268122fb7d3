/*
 * What the files of the service share: its state, and the way from one to the next.
 *
 * start.c makes everything and takes over what an earlier process left; service.c runs the loop,
 * reloads, hands over and stops. Main thread only.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "control/control.h"
#include "converse/roster.h"
#include "daemon/config.h"
#include "daemon/notify.h"
#include "daemon/options.h"
#include "handover/handover.h"
#include "listen/acceptor.h"
#include "listen/sockets.h"

/* What the daemon is at. */
enum service_stage {
	SERVICE_SERVING,
	SERVICE_STOPPING, /* clients hear the farewell */
	SERVICE_ABORTING, /* those who did not take it are broken off */
	SERVICE_LEAVING,  /* conversations are left to the next process */
};

struct service {
	const struct options *options;
	struct config *config; /* the one for new conversations */
	sd_event *loop;
	struct roster roster;
	struct listeners listeners;
	struct acceptor acceptor;
	struct handover handover;
	struct notify notify;
	struct watch *watch;       /* NULL: nobody may control the daemon */
	struct control *control;   /* the same */
	usec_t began;              /* CLOCK_REALTIME microseconds */
	char *operator_directory;  /* that is in use, whatever a reload says; NULL: not yet known */
	int reload_wanted;         /* eventfd: control wants a reload; -1 */
	sd_event_source *deadline; /* of what the stage waits for */
	enum service_stage stage;
};

/*
 * Makes SERVICE, which holds a configuration already, ready to serve: sockets, state, the loop
 * without its signals, and every conversation that an earlier process left. Returns -1, or an exit
 * status after telling why.
 */
int service_start(struct service *service);

/*
 * The control (service-control.c): prepares the watch, before any conversation / starts it, when
 * the loop is there / says how a reload went / ends it, with conversations still there / and the
 * watch, without. The first two return 0 or a negative errno.
 */
int service_watch(struct service *service);
int service_start_control(struct service *service);
void service_tell_reloaded(struct service *service, int result, const char *text);
void service_stop_control(struct service *service);
void service_unwatch(struct service *service);

/* Reads the configuration anew; a bad one changes nothing. */
void service_reload(struct service *service);

/* The path of NAME in the service's runtime directory (systemd.exec(5)), or NULL. Owned. */
char *service_runtime_path(const char *name);

/* Tells what the system refused on standard error; returns the exit status for it. */
int service_refuse(const char *what, int error);

/* Tells the faults of REPORT on standard error. */
void service_complain(const struct report *report);

/* Gives back the face of a conversation that is over or did not begin. */
void service_release_face(void *context, const struct face *face);
