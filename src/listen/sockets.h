/*
 * Listening sockets: those that systemd hands over, or those bound by hand.
 *
 * Every socket in a struct listeners is a stream socket that listens, of TCP, TCP6, unix or vsock,
 * close-on-exec and non-blocking (accept4(2) then never holds up the main thread when a client
 * has gone again).
 *
 * Faults that a person can cure (a port in use, a socket unit with Accept=yes) are told as texts in
 * a report, one for each socket or address. Main thread; listeners_inherit() before any other
 * thread exists, because it takes the variables away from the environment.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/report.h"
#include "listen/address.h"

/* FileDescriptorName= has at most 255 characters (systemd.socket(5)). */
#define LISTENER_NAME_MAX 256

struct listener {
	int fd;                         /* owned */
	char name[LISTENER_NAME_MAX];   /* whose face it shows: FileDescriptorName= or as bound */
	char address[ADDRESS_TEXT_MAX]; /* where it listens, as text, with the real port */
	bool inherited;                 /* from systemd */

	/* The socket file made here, to be removed at the end; an empty path: none. */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t device;
	ino_t inode;
};

struct listeners {
	struct listener *items;
	size_t count;
};

#define LISTENERS_INIT        \
	{                     \
		.items = NULL \
	}

/*
 * Says whether the descriptor FD that systemd passed under NAME belongs to somebody else (the fd
 * store has such). Returning true takes FD over: it is close-on-exec, its other flags as they came.
 */
typedef bool (*listeners_claim)(void *context, int fd, const char *name);

/*
 * Takes the sockets that systemd passed (sd_listen_fds_with_names(3)) and adds them to LISTENERS.
 * CLAIM, if not NULL, is asked first for each descriptor, with CONTEXT.
 *
 * Returns how many sockets were added; 0 when none came. -EINVAL when a descriptor is not fit to
 * listen on, with a text in REPORT for each that names it and says what it is; -ENOMEM; another
 * negative errno when the variables of the protocol make no sense, also with a text. After an
 * error the rest has been looked at all the same, unfit descriptors are closed, fit ones are in
 * LISTENERS, and claimed ones stay with who claimed them.
 */
int listeners_inherit(struct listeners *listeners, listeners_claim claim, void *context,
		      struct report *report);

/*
 * Binds ADDRESS (as address_parse() reads it), listens there with room for BACKLOG connections and
 * adds the socket to LISTENERS under NAME, which is cut at 255 bytes. A port alone means IPv6 and
 * IPv4 together, or IPv4 where the system has no IPv6. Port 0 takes a free port: the listener's
 * address shows which. A unix socket that nobody listens on any more is replaced; any other file in
 * the way is an error.
 *
 * Returns 0; -EINVAL or -ENAMETOOLONG when ADDRESS is no address or a link-local one without its
 * interface; another negative errno when the system refuses (-EADDRINUSE, -EACCES, ...); with each
 * a text in REPORT. LISTENERS is then as it was.
 */
int listeners_bind(struct listeners *listeners, const char *name, const char *address, int backlog,
		   struct report *report);

/*
 * listeners_bind() for each of ADDRESSES, a list separated by spaces. Tries all of them, so that
 * REPORT names every one that failed. Returns 0, or the first error; what could be bound is in
 * LISTENERS.
 */
int listeners_bind_all(struct listeners *listeners, const char *name, const char *addresses,
		       int backlog, struct report *report);

/*
 * Closes all sockets, removes the socket files that listeners_bind() made and that are still the
 * same files, and frees the memory. LISTENERS is empty afterwards and may be used again. A socket
 * of systemd's goes on listening there: clients wait in its queue.
 */
void listeners_close(struct listeners *listeners);
