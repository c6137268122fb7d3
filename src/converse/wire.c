/* Blocking calls that can be interrupted; the reasoning is in wire.h. */
#include "converse/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#define WAKE_SIGNAL SIGUSR1

/* No time-out that anybody sets. */
#define TIMEOUT_UNKNOWN (USEC_NEVER - 1)

static void woken(int number)
{
	(void)number;
}

void wire_init_signal(void)
{
	/* Without SA_RESTART: the call that is interrupted has to return. */
	struct sigaction action = {.sa_handler = woken};
	sigset_t set;

	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(WAKE_SIGNAL, &action, NULL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, WAKE_SIGNAL);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void wire_init(struct wire *wire, int fd, bool carried)
{
	/* A new socket waits for ever; what a carried one does is not known. */
	usec_t timeout = carried ? TIMEOUT_UNKNOWN : USEC_NEVER;

	*wire = (struct wire){
		.fd = fd,
		.side = -1,
		.receive_timeout = timeout,
		.send_timeout = timeout,
	};
	lock_init(&wire->lock, "a wire");
	atomic_init(&wire->mail, 0);
	/* A thread that is being started owes progress. */
	atomic_init(&wire->steps, 1);
}

void wire_done(struct wire *wire)
{
	close_fd(&wire->fd);
	lock_done(&wire->lock);
}

void wire_attach(struct wire *wire)
{
	lock_take(&wire->lock);
	wire->thread = pthread_self();
	wire->awake = true;
	lock_drop(&wire->lock);
}

static void set_timeout(struct wire *wire, int option, usec_t *current, usec_t wanted)
{
	struct timeval value = clock_timeval(wanted);

	if (*current == wanted)
		return;
	if (setsockopt(wire->fd, SOL_SOCKET, option, &value, sizeof(value)) == 0)
		*current = wanted;
}

/* From here on the thread waits for the client, until working() is called. */
static void waiting(struct wire *wire)
{
	uint64_t steps = atomic_load_explicit(&wire->steps, memory_order_relaxed);

	atomic_store_explicit(&wire->steps, steps + 1, memory_order_relaxed);
}

static void working(struct wire *wire)
{
	waiting(wire);
}

/* After EAGAIN: takes O_NONBLOCK away if a waker set it; false if it was the socket's time-out. */
static bool was_woken(struct wire *wire)
{
	int flags = fcntl(wire->fd, F_GETFL);

	if (flags < 0 || (flags & O_NONBLOCK) == 0)
		return false;
	(void)fcntl(wire->fd, F_SETFL, flags & ~O_NONBLOCK);
	return true;
}

static bool has_mail(const struct wire *wire)
{
	return atomic_load_explicit(&wire->mail, memory_order_acquire) != 0;
}

/*
 * Sleeps until the socket is ready for what *EVENTS says, the side is readable, there is mail, or
 * DEADLINE. Returns 1 and what the socket is ready for; 0 at the deadline; -EINTR.
 */
static int sleep_until(struct wire *wire, short *events, usec_t deadline)
{
	struct pollfd polls[2] = {
		{.fd = wire->fd, .events = *events},
		{.fd = wire->side, .events = POLLIN},
	};
	usec_t left = clock_left(deadline, clock_now());
	struct timespec timeout = {
		.tv_sec = (time_t)(left / USEC_PER_SEC),
		.tv_nsec = (long)(left % USEC_PER_SEC * 1000),
	};
	sigset_t signal, before;
	int r = -1;

	/* Blocked between the look into the box and the sleep, so that no wake-up falls in between.
	 */
	(void)sigemptyset(&signal);
	(void)sigaddset(&signal, WAKE_SIGNAL);
	(void)pthread_sigmask(SIG_BLOCK, &signal, &before);
	(void)sigdelset(&before, WAKE_SIGNAL);
	if (!has_mail(wire)) {
		waiting(wire);
		r = ppoll(polls, 2, deadline == USEC_NEVER ? NULL : &timeout, &before);
		working(wire);
	}
	signal = before;
	(void)pthread_sigmask(SIG_SETMASK, &signal, NULL);
	if (r <= 0)
		return r == 0 ? 0 : -EINTR;
	if (polls[1].revents != 0 && (polls[0].revents == 0 || !wire->side_had_word)) {
		wire->side_had_word = true;
		(void)atomic_fetch_or_explicit(&wire->mail, MAIL_SIDE, memory_order_relaxed);
		return -EINTR;
	}
	wire->side_had_word = false;
	*events = polls[0].revents;
	return 1;
}

/* Waits until the socket is ready for EVENTS, where there is a side. Returns 0; -EAGAIN at
 * DEADLINE; -EINTR for mail. */
static int wait_with_side(struct wire *wire, short events, usec_t deadline)
{
	for (;;) {
		short ready = events;
		int r;

		if (has_mail(wire))
			return -EINTR;
		r = sleep_until(wire, &ready, deadline);
		if (r != -EINTR)
			return r == 0 ? -EAGAIN : 0;
	}
}

ssize_t wire_receive(struct wire *wire, void *buffer, size_t room, usec_t timeout)
{
	usec_t deadline = wire->side >= 0 ? clock_deadline(clock_now(), timeout) : 0;
	int flags = wire->peeks ? MSG_PEEK : 0;
	ssize_t n;

	if (wire->side < 0)
		set_timeout(wire, SO_RCVTIMEO, &wire->receive_timeout, timeout);
	for (;;) {
		if (has_mail(wire))
			return -EINTR;
		if (wire->side >= 0) {
			int r = wait_with_side(wire, POLLIN, deadline);

			if (r < 0)
				return r;
		}
		waiting(wire);
		n = recv(wire->fd, buffer, room, wire->side >= 0 ? flags | MSG_DONTWAIT : flags);
		working(wire);
		if (n >= 0)
			return n;
		if (errno == EINTR || (errno == EAGAIN && (was_woken(wire) || wire->side >= 0)))
			continue;
		return -errno;
	}
}

ssize_t wire_send(struct wire *wire, const void *bytes, size_t length, usec_t timeout)
{
	usec_t deadline = wire->side >= 0 ? clock_deadline(clock_now(), timeout) : 0;
	ssize_t n;

	if (wire->side < 0)
		set_timeout(wire, SO_SNDTIMEO, &wire->send_timeout, timeout);
	for (;;) {
		if (has_mail(wire))
			return -EINTR;
		if (wire->side >= 0) {
			int r = wait_with_side(wire, POLLOUT, deadline);

			if (r < 0)
				return r;
		}
		waiting(wire);
		n = send(wire->fd, bytes, length,
			 wire->side >= 0 ? MSG_NOSIGNAL | MSG_DONTWAIT : MSG_NOSIGNAL);
		working(wire);
		if (n >= 0)
			return n;
		if (errno == EINTR || (errno == EAGAIN && (was_woken(wire) || wire->side >= 0)))
			continue;
		return -errno;
	}
}

/* Why the connection is gone. */
static int failure(const struct wire *wire)
{
	int error = 0;
	socklen_t size = sizeof(error);

	(void)getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return error > 0 ? -error : -ECONNRESET;
}

/* Whether there is something to be read, the end of input not counted. */
static bool has_input(const struct wire *wire)
{
	int unread = 0;

	return ioctl(wire->fd, SIOCINQ, &unread) == 0 && unread > 0;
}

int wire_wait(struct wire *wire, bool input, usec_t timeout)
{
	usec_t deadline = clock_deadline(clock_now(), timeout);
	short events = input ? POLLIN : 0;

	for (;;) {
		short ready = events;
		int r;

		if (has_mail(wire))
			return -EINTR;
		r = sleep_until(wire, &ready, deadline);
		if (r == 0)
			return -EAGAIN;
		if (r < 0)
			continue;
		if ((ready & (POLLERR | POLLHUP | POLLNVAL)) != 0)
			return failure(wire);
		if (has_input(wire))
			return 0;
		/* Only its end, which is no word too early. */
		events = 0;
	}
}

unsigned wire_take_mail(struct wire *wire)
{
	return atomic_exchange_explicit(&wire->mail, 0, memory_order_acq_rel);
}

void wire_shut(struct wire *wire)
{
	(void)shutdown(wire->fd, SHUT_WR);
}

bool wire_is_settled(const struct wire *wire)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);
	int unread = 0;

	if (ioctl(wire->fd, SIOCINQ, &unread) == 0 && unread > 0)
		return false;
	if (getsockopt(wire->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return true;
	/* Our end is acknowledged in these states (RFC 9293, 3.3.2), so all before it is, too. */
	return info.tcpi_state == TCP_FIN_WAIT2 || info.tcpi_state == TCP_TIME_WAIT ||
	       info.tcpi_state == TCP_CLOSE;
}

void wire_detach(struct wire *wire, bool reset)
{
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	lock_take(&wire->lock);
	wire->awake = false;
	lock_drop(&wire->lock);
	if (reset && connect(wire->fd, &nobody, sizeof(nobody)) < 0)
		(void)shutdown(wire->fd, SHUT_RDWR);
}

void wire_rest(struct wire *wire)
{
	waiting(wire);
}

void wire_work(struct wire *wire)
{
	working(wire);
}

int wire_consume(struct wire *wire, void *buffer, size_t length)
{
	char *to = buffer;

	while (length > 0) {
		ssize_t n = recv(wire->fd, to, length, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ECONNRESET;
		to += n;
		length -= (size_t)n;
	}
	return 0;
}

void wire_wake(struct wire *wire, unsigned mail)
{
	int flags;

	lock_take(&wire->lock);
	(void)atomic_fetch_or_explicit(&wire->mail, mail, memory_order_release);
	if (wire->awake) {
		flags = fcntl(wire->fd, F_GETFL);
		if (flags >= 0)
			(void)fcntl(wire->fd, F_SETFL, flags | O_NONBLOCK);
		(void)pthread_kill(wire->thread, WAKE_SIGNAL);
	}
	lock_drop(&wire->lock);
}

uint64_t wire_progress(const struct wire *wire)
{
	return atomic_load_explicit(&wire->steps, memory_order_relaxed);
}
