/*
 * The client's end of a connection: what the terminal and the filter have in common. It sends
 * messages in the server's dialect and takes in what the server says, without ever waiting: its
 * owner polls.
 *
 * However the dialogue ends, everything that the server sent before is received first. An end
 * is proper when the server's FIN came; a connection that broke leaves an error in the session.
 *
 * One thread a session. Functions that return int give 0 or -ENOMEM; what happens to the
 * connection is not their error but the session's state.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "marcel/bytes.h"
#include "marcel/dialect.h"

/* Exit statuses of marcel beside those of base/error.h. */
enum client_status {
	CLIENT_ENDED = 0,         /* the server closed, and all it said was received */
	CLIENT_BROKE = 1,         /* the connection broke (or the client's own input or output) */
	CLIENT_NOT_CONNECTED = 2, /* there was no connection */
};

/* How much a queue may hold before its source is left alone. */
#define SESSION_QUEUE_MAX 65536

struct session {
	int fd; /* non-blocking */
	struct dialect dialect;
	struct bytes wire; /* what is to be sent, as the dialect wants it */
	bool closing;      /* no message follows those in wire */
	bool mute;         /* our side of the connection is shut */
	bool ended;        /* nothing more comes: the server's FIN, or an error */
	int error;         /* 0, or the negative errno that broke the connection */
};

/* Takes over the connected socket FD. WANTED is the user's dialect or DIALECT_UNKNOWN. */
void session_init(struct session *session, int fd, enum dialect_kind wanted);

/* Closes the socket. */
void session_done(struct session *session);

/*
 * Puts a message of LENGTH bytes (without any line end of its own) on the wire, framed as the
 * dialect wants it. The dialect is known by now. An empty raw message is no message: nothing
 * happens.
 */
int session_say(struct session *session, const char *text, size_t length);

/* No message will follow: shuts our side once all is sent. The server may still speak. */
void session_close(struct session *session);

/* Sends what the connection takes now. */
void session_send(struct session *session);

/*
 * Appends to HEARD what the server has sent, until nothing is left for now or HEARD holds
 * SESSION_QUEUE_MAX bytes, and tells the dialect. Looks at the clock before it looks at the
 * socket; *RET_NOW is that time.
 */
int session_receive(struct session *session, struct bytes *heard, usec_t *ret_now);

/* Whether session_send() has something to do once poll() says POLLOUT. */
bool session_wants_out(const struct session *session);
