/*
 * The link: marcelctl's connection to marceld's D-Bus object, on the control socket or the system
 * bus.
 *
 * Errors are told to the user here, in his language and with what to do about them (which group,
 * which command, which file), so that callers only end. Blocking calls have a time limit. One
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#define LINK_SERVICE   "org.marceld.Marcel1"
#define LINK_PATH      "/org/marceld/Marcel1"
#define LINK_INTERFACE "org.marceld.Marcel1"
#define LINK_ERROR     "org.marceld.Marcel1.Error."

struct link {
	sd_bus *bus;
	bool peer; /* on the control socket, not on the system bus */
};

/* What `--control` and `--bus` say; common to all verbs that need a daemon. */
struct link_options {
	const char
		*control; /* a path; NULL: /run/marcel/control, or $XDG_RUNTIME_DIR/marcel/control
			   * when not root and the first is not there */
	bool bus;         /* the system bus instead */
};

/*
 * Connects. QUIET: says nothing when that fails (for who tries again). Returns 0 and *RET_LINK, to
 * be ended by link_done(), or a negative errno after telling what is wrong and what to do.
 */
int link_open(const struct link_options *options, bool quiet, struct link *ret_link);
void link_done(struct link *link);

/*
 * Calls METHOD with arguments as sd_bus_message_append(3) takes them by TYPES (NULL: none).
 * *RET_REPLY may be NULL; else owned by the caller. Returns 0 or a negative errno after telling
 * what is wrong.
 */
int link_call(struct link *link, const char *method, sd_bus_message **ret_reply, const char *types,
	      ...);

/* A conversation as ListConversations() gives it. */
struct link_conversation {
	uint64_t number;
	char *id, *peer, *listener, *responder, *speaker, *suspended;
	uint64_t opened, turns, waiting, waiting_since,
		last; /* times: CLOCK_REALTIME microseconds */
};

/* All conversations, by number. Owned by the caller: link_free_list(). Returns how many, or a
 * negative errno after telling. */
int link_list(struct link *link, struct link_conversation **ret_list);
void link_free_list(struct link_conversation *list, size_t n);

/* What a signal says; text is valid during the call. */
struct link_event {
	const char
		*name; /* "Opened", "Message", "Waiting", "Switched", "Refused", "Closed", "Lost" */
	uint64_t number; /* Lost: how many signals found no room */
	uint64_t time;   /* Message */
	uint64_t turn;
	const char *direction;                   /* Message: "C" or "S" */
	const char *text;                        /* Message, Refused: escaped UTF-8; Switched: the
						  * responder; Closed: the reason */
	const char *peer, *listener, *responder; /* Opened */
};
typedef void link_event_fn(void *context, const struct link_event *event);

/* Subscribes; from then on FUNCTION is called for each signal while the bus is processed
 * (sd_bus_process(), sd_bus_wait() or an sd_event loop). Returns 0 or a negative errno after
 * telling. */
int link_subscribe(struct link *link, link_event_fn *function, void *context);

/* What was said last in the conversation NUMBER: calls FUNCTION with a "Message" for each line. */
int link_past(struct link *link, uint64_t number, link_event_fn *function, void *context);
