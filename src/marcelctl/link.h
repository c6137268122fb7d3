/*
 * The link: marcelctl's connection to marceld's D-Bus object, on the control socket or the system
 * bus.
 *
 * Errors are told to the user here, in his language and with what to do about them (which group,
 * which command, which file), so that callers only end. Blocking calls have a time limit. When
 * marceld ends, a link is over, on the bus, too: an event says so ("Gone"), processing it
 * (sd_bus_process()) fails then, and whoever wants to go on opens another one. One thread.
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

/* Gets each line of what is to be told, in UTF-8, without control characters and line end. */
typedef void link_tell_fn(void *context, const char *line);

struct link {
	sd_bus *bus;
	bool peer;          /* on the control socket, not on the system bus */
	link_tell_fn *tell; /* in the place of standard error, if not NULL; the caller's to set */
	void *tell_context;
	uint64_t patience; /* how long a call may take, in microseconds; the caller's to change */
};

/* What `--control` and `--bus` say; common to all verbs that need a daemon. */
struct link_options {
	const char
		*control; /* a path; NULL: /run/marcel/control, or $XDG_RUNTIME_DIR/marcel/control
			   * when not root and the first is not there */
	bool bus;         /* the system bus instead */
};

/*
 * The socket that OPTIONS mean, into BUFFER, cut if it is too small. Returns BUFFER.
 */
const char *link_path(const struct link_options *options, char *buffer, size_t size);

/*
 * Connects. QUIET: says nothing when that fails (for who tries again). Returns 0 and *RET_LINK, to
 * be ended by link_done(), or a negative errno after telling what is wrong and what to do: -ENOENT
 * or -ECONNREFUSED if no marceld is there, -EACCES if this user may not, others.
 */
int link_open(const struct link_options *options, bool quiet, struct link *ret_link);
void link_done(struct link *link);

/*
 * Calls METHOD with arguments as sd_bus_message_append(3) takes them by TYPES (NULL: none).
 * *RET_REPLY may be NULL; else owned by the caller. Returns 0 or a negative errno after telling
 * what is wrong. Of the errors of this interface these are: NoSuchConversation -ENOENT, NotHeld
 * -ENOTCONN, NotOpen -ESTALE, BadOrder -EINVAL, TooLong -E2BIG, Busy -ENOBUFS, TooManyOrders and
 * TooManyAnswers -EAGAIN, TooManySubscribers -EUSERS, NoMemory -ENOMEM, NoSuchResponder -ESRCH,
 * AlreadyHeld -EALREADY, NotNow -EBUSY, HandingOver -ECANCELED, Closing (the conversation) and
 * Ending (marceld) -ESHUTDOWN, NotPossible -EOPNOTSUPP, BadConfiguration -EBADMSG. Others:
 * -ETIMEDOUT (no reply in time), -EACCES, -EBADR (marceld doesn't know METHOD), -ECONNRESET.
 */
int link_call(struct link *link, const char *method, sd_bus_message **ret_reply, const char *types,
	      ...);

/* The same, but tells nothing; *RET_ERROR, which begins as SD_BUS_ERROR_NULL and is freed by the
 * caller, is what link_explain() wants. */
int link_try(struct link *link, const char *method, sd_bus_message **ret_reply,
	     sd_bus_error *ret_error, const char *types, ...);

/* Makes the call, for sd_bus_call_async(3). Returns 0 and *RET_CALL, owned by the caller, or a
 * negative errno. */
int link_message(struct link *link, const char *method, sd_bus_message **ret_call,
		 const char *types, ...);

/* The errno (negative) that ERROR stands for, as link_call() returns it; 0: it is none. */
int link_errno(const sd_bus_error *error);

/*
 * What ERROR means and what to do about it: lines of text in the user's language, escaped (see
 * base/text.h) but for their line ends. NUMBER: the conversation that was asked for something, 0
 * if none: no reply in time means that its client does not read. The caller frees it; NULL: no
 * memory.
 */
char *link_explain(const struct link *link, const sd_bus_error *error, uint64_t number);

/* Tells TEXT, of one or more lines, as link_call() tells. */
void link_tell(const struct link *link, const char *text);

/* Tells what the negative errno R means, which an sd-bus function gave. Returns R. */
int link_tell_errno(const struct link *link, int r);

/* All properties of marceld (a{sv}). Returns 0 and *RET_REPLY, owned by the caller, or a negative
 * errno after telling. */
int link_get_all(struct link *link, sd_bus_message **ret_reply);

/* A conversation as ListConversations() gives it. */
struct link_conversation {
	uint64_t number;
	char *id, *peer, *listener, *responder, *speaker, *suspended;
	uint64_t opened, turns, waiting, waiting_since,
		last; /* times: CLOCK_REALTIME microseconds */
	bool closing; /* only its end is to come; set by link_mark_closing() */
};

/* All conversations, by number. Owned by the caller: link_free_list(). Returns how many, or a
 * negative errno after telling. */
int link_list(struct link *link, struct link_conversation **ret_list);

/* Marks those of the N conversations of LIST that are closing; an older marceld says it of none. */
void link_mark_closing(struct link *link, struct link_conversation *list, size_t n);
void link_free_list(struct link_conversation *list, size_t n);

/* The names of the responders that conversations can be given to, ended by NULL. Owned by the
 * caller: link_free_names(). Returns 0 or a negative errno after telling. */
int link_responders(struct link *link, char ***ret_names);
void link_free_names(char **names);

/* What a signal says; text is valid during the call. */
struct link_event {
	const char *name;      /* "Opened", "Message", "Waiting", "Draft", "Switched", "Refused",
				* "Closed", "Lost"; "Gone": the link is over, and nothing more
				* comes; end it later, not in the call */
	uint64_t number;       /* Lost: how many signals found no room */
	uint64_t time;         /* Message */
	uint64_t turn;         /* Draft: 0: there is none any more */
	uint64_t until;        /* Draft: when it goes out by itself; 0: never */
	const char *direction; /* Message: "C" or "S" */
	const char *text;      /* Message, Draft, Refused: escaped UTF-8;
				* Switched: the responder; Closed: the reason */
	const char *peer, *listener, *responder; /* Opened */
};
typedef void link_event_fn(void *context, const struct link_event *event);

/* Subscribes; from then on FUNCTION is called for each signal while the bus is processed
 * (sd_bus_process(), sd_bus_wait() or an sd_event loop). Returns 0 or a negative errno after
 * telling. */
int link_subscribe(struct link *link, link_event_fn *function, void *context);

/* What was said last in the conversation NUMBER: calls FUNCTION with a "Message" for each line.
 * Returns 0 or a negative errno after telling. */
int link_past(struct link *link, uint64_t number, link_event_fn *function, void *context);
