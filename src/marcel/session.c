/* The client's end of a connection; see session.h. */
#include "marcel/session.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#define READ_SIZE 16384

void session_init(struct session *session, int fd, enum dialect_kind wanted)
{
	*session = (struct session){.fd = fd, .wire = BYTES_INIT};
	dialect_init(&session->dialect, wanted, clock_now());
}

void session_done(struct session *session)
{
	close_fd(&session->fd);
	bytes_done(&session->wire);
}

int session_say(struct session *session, const char *text, size_t length)
{
	struct bytes *wire = &session->wire;
	int r;

	/* Nobody reads it any more; the server has shut the door. */
	if (session->mute || session->closing)
		return 0;
	/* A line of a file with CRLF ends brings its CR along; it belongs to the line's end. */
	if (length > 0 && text[length - 1] == '\r' && session->dialect.kind != DIALECT_LINE)
		length--;
	if (length == 0 && session->dialect.kind == DIALECT_RAW)
		return 0;
	r = bytes_append(wire, text, length);
	if (r == 0 && session->dialect.kind == DIALECT_CRLF)
		r = bytes_append(wire, "\r\n", 2);
	else if (r == 0 && session->dialect.kind == DIALECT_LINE)
		r = bytes_append(wire, "\n", 1);
	if (r == 0)
		dialect_said(&session->dialect);
	return r;
}

void session_close(struct session *session)
{
	session->closing = true;
}

/*
 * Note on EPIPE and resets. When the server's FIN is in our receive queue, a send() that its
 * reset refuses says EPIPE, and recv() still gives all that came before, then 0: a proper end.
 * Without a FIN, send() takes the socket's error (ECONNRESET, ETIMEDOUT) and recv() would then
 * give 0 as well; so that error is kept here.
 */
static void give_up_sending(struct session *session, int error)
{
	if (error != -EPIPE && session->error == 0)
		session->error = error;
	session->mute = true;
	bytes_done(&session->wire);
}

void session_send(struct session *session)
{
	struct bytes *wire = &session->wire;

	while (!session->mute && bytes_length(wire) > 0) {
		ssize_t n = send(session->fd, bytes_first(wire), bytes_length(wire), MSG_NOSIGNAL);

		if (n >= 0)
			bytes_drop(wire, (size_t)n);
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR)
			give_up_sending(session, -errno);
	}
	if (session->closing && !session->mute) {
		/* ENOTCONN: it is shut already, by a reset that recv() tells of. */
		(void)shutdown(session->fd, SHUT_WR);
		session->mute = true;
	}
}

/* Takes in what is there, at most until HEARD is full. */
static int receive(struct session *session, struct bytes *heard)
{
	while (!session->ended && bytes_length(heard) < SESSION_QUEUE_MAX) {
		char *room = bytes_reserve(heard, READ_SIZE);
		ssize_t n;

		if (room == NULL)
			return -ENOMEM;
		n = recv(session->fd, room, READ_SIZE, 0);
		if (n > 0) {
			bytes_grew(heard, (size_t)n);
		} else if (n == 0) {
			session->ended = true;
		} else if (errno == EAGAIN) {
			return 0;
		} else if (errno != EINTR) {
			if (session->error == 0)
				session->error = -errno;
			session->ended = true;
		}
	}
	return 0;
}

int session_receive(struct session *session, struct bytes *heard, usec_t *ret_now)
{
	const size_t before = bytes_length(heard);
	const usec_t now = clock_now();
	int r;

	r = receive(session, heard);
	if (r < 0)
		return r;
	dialect_hear(&session->dialect, bytes_first(heard) + before, bytes_length(heard) - before,
		     now);
	*ret_now = now;
	return 0;
}

bool session_wants_out(const struct session *session)
{
	return !session->mute && (bytes_length(&session->wire) > 0 || session->closing);
}
