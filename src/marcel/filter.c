/*
 * marcel as a filter; see filter.h.
 *
 * One thread and poll(2). Standard input and output stay in the mode they were given in, blocking
 * or not, for others may share them: they are read and written only when poll() says so, and no
 * more at once than a pipe takes without blocking.
 */
#include "marcel/filter.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/i18n.h"
#include "marcel/say.h"
#include "marcel/session.h"

#define READ_SIZE 65536

struct filter {
	struct session session;
	struct bytes input;  /* read from standard input, not yet said */
	struct bytes output; /* heard, not yet written to standard output */
	bool input_ended;
	bool output_closed; /* nobody reads our output any more */
	int error;          /* negative errno of standard input or output, or -ENOMEM */
};

enum {
	POLL_INPUT,
	POLL_OUTPUT,
	POLL_SOCKET,
	POLL_COUNT
};

/* Says every line whose turn has come. */
static int speak(struct filter *filter, usec_t now)
{
	struct session *session = &filter->session;

	while (bytes_length(&session->wire) < SESSION_QUEUE_MAX && !session->closing) {
		const size_t rest = bytes_length(&filter->input);
		size_t length = rest;
		const bool whole = bytes_line(&filter->input, &length);
		const bool ready = whole || filter->input_ended;
		int r;

		(void)dialect_decide(&session->dialect, ready, now);
		if (!ready || dialect_over(&session->dialect) ||
		    !dialect_turn(&session->dialect, now))
			return 0;
		if (rest == 0) {
			session_close(session);
			return 0;
		}
		r = session_say(session, bytes_first(&filter->input), length);
		if (r < 0)
			return r;
		bytes_drop(&filter->input, whole ? length + 1 : length);
	}
	return 0;
}

/* Whether more input could be said soon: not with a line waiting for its turn. */
static bool wants_input(struct filter *filter)
{
	size_t length;

	return !filter->input_ended && !filter->session.mute &&
	       !(bytes_length(&filter->input) > 0 && bytes_line(&filter->input, &length));
}

static int read_input(struct filter *filter)
{
	char *room = bytes_reserve(&filter->input, READ_SIZE);
	ssize_t n;

	if (room == NULL)
		return -ENOMEM;
	n = read(STDIN_FILENO, room, READ_SIZE);
	if (n > 0) {
		bytes_grew(&filter->input, (size_t)n);
		return 0;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0) {
		filter->error = -errno;
		say_error(_("standard input: %s"), say_errno(errno));
	}
	filter->input_ended = true;
	return 0;
}

static void write_output(struct filter *filter)
{
	size_t length = bytes_length(&filter->output);
	ssize_t n;

	n = write(STDOUT_FILENO, bytes_first(&filter->output),
		  length < PIPE_BUF ? length : PIPE_BUF);
	if (n >= 0) {
		bytes_drop(&filter->output, (size_t)n);
		return;
	}
	if (errno == EAGAIN || errno == EINTR)
		return;
	filter->output_closed = true;
	if (errno != EPIPE) {
		filter->error = -errno;
		say_error(_("standard output: %s"), say_errno(errno));
	}
}

/* Waits for something to do and does what standard input and output are ready for. */
static int turn(struct filter *filter, usec_t now)
{
	struct session *session = &filter->session;
	const bool hears = !session->ended && bytes_length(&filter->output) < SESSION_QUEUE_MAX;
	const bool says = session_wants_out(session);
	const bool writes = bytes_length(&filter->output) > 0;
	struct pollfd polled[POLL_COUNT] = {
		[POLL_INPUT] = {.fd = wants_input(filter) ? STDIN_FILENO : -1, .events = POLLIN},
		/* With no event asked for, it still tells when its reader goes. */
		[POLL_OUTPUT] = {.fd = STDOUT_FILENO, .events = writes ? POLLOUT : 0},
		[POLL_SOCKET] = {.fd = hears || says ? session->fd : -1,
				 .events = (short)((hears ? POLLIN : 0) | (says ? POLLOUT : 0))},
	};
	const usec_t deadline = dialect_deadline(&session->dialect, now);
	int r;

	r = poll(polled, POLL_COUNT, clock_poll_msec(clock_left(deadline, now)));
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (polled[POLL_OUTPUT].revents & (POLLERR | POLLHUP | POLLNVAL))
		filter->output_closed = true;
	else if (polled[POLL_OUTPUT].revents & POLLOUT)
		write_output(filter);
	if (polled[POLL_INPUT].revents != 0)
		return read_input(filter);
	return 0;
}

/* Nothing is left to hear or to write, or nobody to write it for. */
static bool is_over(const struct filter *filter)
{
	const struct session *session = &filter->session;

	return filter->output_closed || (session->ended && bytes_length(&filter->output) == 0);
}

static int converse(struct filter *filter)
{
	struct session *session = &filter->session;
	usec_t now = 0;
	int r;

	for (;;) {
		r = session_receive(session, &filter->output, &now);
		if (r == 0)
			r = speak(filter, now);
		if (r < 0)
			return r;
		if (dialect_over(&session->dialect))
			session->ended = true;
		session_send(session);
		if (is_over(filter))
			return 0;
		r = turn(filter, now);
		if (r < 0)
			return r;
	}
}

static int status(const struct filter *filter)
{
	if (filter->error != 0)
		return CLIENT_BROKE;
	if (filter->output_closed || filter->session.error == 0)
		return CLIENT_ENDED;
	say_error(_("the connection broke: %s"), say_errno(-filter->session.error));
	return CLIENT_BROKE;
}

int filter_run(int fd, enum dialect_kind wanted)
{
	const struct sigaction ignored = {.sa_handler = SIG_IGN};
	struct filter filter = {.input = BYTES_INIT, .output = BYTES_INIT};
	int result;
	int r;

	(void)sigaction(SIGPIPE, &ignored, NULL);
	session_init(&filter.session, fd, wanted);
	r = converse(&filter);
	if (r < 0) {
		say_error("%s", say_errno(-r));
		filter.error = r;
	}
	result = status(&filter);
	session_done(&filter.session);
	bytes_done(&filter.input);
	bytes_done(&filter.output);
	return result;
}
