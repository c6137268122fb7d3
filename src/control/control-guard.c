/*
 * Reading on behalf of sd-bus; see control-guard.h.
 *
 * Bytes come from the peer's socket (outer), and go into a socket pair (inner) at whose other end
 * sd-bus reads. Before the line BEGIN they are a conversation about authentication, which is
 * sd-bus's business but for its length; behind it, messages, of which the first 16 bytes say how
 * long they are (D-Bus specification, "Message Format").
 */
#include "control/control-guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#define HEADER_SIZE 16

/* So often the loop may find the peer gone while sd-bus is at its last message. */
#define HUNG_UP_MAX 1000

struct guard {
	guard_fault_fn *fault;
	void *context;
	int outer;
	int inner;
	sd_event_source *source;
	bool stopped;    /* nothing is read any more: the end of input, or a fault */
	bool begun;      /* BEGIN was there */
	bool ready;      /* another message may come */
	size_t greeting; /* bytes so far */
	size_t matched;  /* of the line BEGIN */
	size_t left;     /* bytes of the present message, or of the greeting, that can go on */
	uint64_t passed; /* messages begun */
	uint64_t counted;
	unsigned hung_up; /* how often it was seen since the last message that the peer is gone */
	size_t from;      /* bytes in the buffer */
	size_t to;
	unsigned char buffer[4096];
};

/* There is to be nothing more. */
static void stop(struct guard *guard)
{
	guard->stopped = true;
	guard->from = guard->to = 0;
	guard->source = sd_event_source_disable_unref(guard->source);
	close_fd(&guard->inner);
}

static void find_fault(struct guard *guard)
{
	stop(guard);
	guard->fault(guard->context);
}

/* Goes through the greeting in the buffer up to BEGIN. Returns whether it may be that long. */
static bool scan_greeting(struct guard *guard)
{
	static const char line[] = "BEGIN\r\n";
	size_t at = guard->from;

	while (at < guard->to && !guard->begun) {
		const unsigned char byte = guard->buffer[at++];

		/* SIZE_MAX: this line is another one. */
		if (guard->matched != SIZE_MAX && byte == (unsigned char)line[guard->matched])
			guard->begun = line[++guard->matched] == '\0';
		else
			guard->matched = byte == '\n' ? 0 : SIZE_MAX;
	}
	guard->left = at - guard->from;
	guard->greeting += guard->left;
	return guard->greeting <= GUARD_GREETING_MAX;
}

static uint32_t read_number(const unsigned char *at, bool big)
{
	uint32_t number = 0;

	for (unsigned i = 0; i < 4; i++)
		number = number << 8 | at[big ? i : 3 - i];
	return number;
}

/* The bytes of the message whose header is at HEADER; 0 when it is none that we would take. */
static size_t message_size(const unsigned char header[HEADER_SIZE])
{
	const bool big = header[0] == 'B';
	const uint64_t body = read_number(header + 4, big);
	const uint64_t fields = read_number(header + 12, big);
	const uint64_t size = HEADER_SIZE + ((fields + 7) & ~UINT64_C(7)) + body;

	if ((header[0] != 'l' && header[0] != 'B') || header[3] != 1 || size > GUARD_MESSAGE_MAX)
		return 0;
	return (size_t)size;
}

/* Decides what of the buffer goes on next. Returns false when the peer is at fault. */
static bool allow(struct guard *guard)
{
	if (guard->left > 0 || guard->from == guard->to)
		return true;
	if (!guard->begun)
		return scan_greeting(guard);
	if (guard->to - guard->from < HEADER_SIZE || !guard->ready ||
	    guard->passed != guard->counted)
		return true;
	guard->left = message_size(guard->buffer + guard->from);
	guard->passed++;
	guard->hung_up = 0;
	return guard->left > 0;
}

/* Hands on what may go. Returns whether there was something, or a negative errno. */
static int hand_on(struct guard *guard)
{
	size_t size = guard->to - guard->from;
	ssize_t sent;

	if (size > guard->left)
		size = guard->left;
	if (size == 0)
		return 0;
	sent = send(guard->inner, guard->buffer + guard->from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	guard->from += (size_t)sent;
	guard->left -= (size_t)sent;
	return 1;
}

/* Reads from the peer what there is room for. Returns whether there was something. */
static int take_in(struct guard *guard)
{
	ssize_t got;

	(void)memmove(guard->buffer, guard->buffer + guard->from, guard->to - guard->from);
	guard->to -= guard->from;
	guard->from = 0;
	if (guard->to == sizeof(guard->buffer))
		return 0;
	got = recv(guard->outer, guard->buffer + guard->to, sizeof(guard->buffer) - guard->to,
		   MSG_DONTWAIT);
	if (got > 0) {
		guard->to += (size_t)got;
		return 1;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* What is whole has gone on already, or may still: then the end is found again. */
	return -ECONNRESET;
}

/* Goes on until nothing moves any more. */
static void run(struct guard *guard)
{
	/* Others want to be served as well. */
	for (int i = 0; i < 8 && !guard->stopped; i++) {
		int r;

		if (!allow(guard)) {
			find_fault(guard);
			return;
		}
		r = hand_on(guard);
		/* Only what sd-bus will take soon is read: all else waits in the peer's socket. */
		if (r == 0 && guard->to - guard->from < HEADER_SIZE)
			r = take_in(guard);
		if (r < 0)
			stop(guard);
		if (r <= 0)
			break;
	}
	/* While the buffer holds something that may not go on there is nothing to be read for. */
	if (!guard->stopped)
		(void)sd_event_source_set_io_events(guard->source,
						    guard->to - guard->from < HEADER_SIZE ? EPOLLIN
											  : 0);
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct guard *guard = context;

	(void)source;
	(void)fd;
	run(guard);
	/* What it sent is still dealt with, but not waited for: there may be something in it that
	 * sd-bus drops without a word. */
	if ((revents & EPOLLHUP) != 0 && !guard->stopped && ++guard->hung_up > HUNG_UP_MAX)
		stop(guard);
	return 0;
}

void guard_count(struct guard *guard)
{
	guard->counted++;
}

void guard_go_on(struct guard *guard, bool ready)
{
	guard->ready = ready;
	if (!guard->stopped && guard->from < guard->to)
		run(guard);
}

int guard_new(sd_event *loop, int fd, guard_fault_fn *fault, void *context, int *ret_inner,
	      struct guard **ret_guard)
{
	struct guard *guard = calloc(1, sizeof(*guard));
	int pair[2];
	int r;

	if (guard == NULL)
		return -ENOMEM;
	guard->fault = fault;
	guard->context = context;
	guard->inner = -1;
	/* A descriptor of its own: in one loop each can be watched once. */
	guard->outer = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	r = guard->outer < 0 ? -errno : 0;
	if (r >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		r = -errno;
	if (r < 0) {
		guard_free(guard);
		return r;
	}
	guard->inner = pair[0];
	r = sd_event_add_io(loop, &guard->source, guard->outer, EPOLLIN, on_input, guard);
	if (r < 0) {
		close_fd(&pair[1]);
		guard_free(guard);
		return r;
	}
	*ret_inner = pair[1];
	*ret_guard = guard;
	return 0;
}

void guard_free(struct guard *guard)
{
	if (guard == NULL)
		return;
	(void)sd_event_source_disable_unref(guard->source);
	close_fd(&guard->inner);
	close_fd(&guard->outer);
	free(guard);
}
