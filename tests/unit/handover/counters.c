/*
 * The kernel's counters of a TCP connection over 127.0.0.1, in each state that it can be in: they
 * are what recv() and send() returned, added up.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../converse/pairs.h"
#include "handover/counters.h"

/* One connection and what the server's end has done on it. */
struct link {
	int listener;
	struct pair pair;
	uint64_t read;
	uint64_t written;
};

static int set_up(void **state)
{
	static struct link link;
	struct sockaddr_in address;

	link = (struct link){.listener = tcp_listener(&address)};
	link.pair.client = tcp_connect(&address);
	link.pair.server = accept4(link.listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(link.pair.server >= 0);
	*state = &link;
	return 0;
}

static int tear_down(void **state)
{
	struct link *link = *state;

	if (link->pair.client >= 0)
		(void)close(link->pair.client);
	(void)close(link->pair.server);
	(void)close(link->listener);
	return 0;
}

static void check(const struct link *link)
{
	struct counters counters = {.connected = false};

	assert_int_equal(counters_read(link->pair.server, &counters), 0);
	assert_true(counters.tcp);
	assert_true(counters.connected);
	assert_int_equal(counters.read, link->read);
	assert_int_equal(counters.written, link->written);
}

/* The client's end sends LENGTH bytes, which then lie in the server's socket. */
static void client_says(const struct link *link, size_t length)
{
	char bytes[4096];
	int before = 0, now = 0;

	(void)memset(bytes, 'c', sizeof(bytes));
	assert_true(length <= sizeof(bytes));
	assert_int_equal(ioctl(link->pair.server, SIOCINQ, &before), 0);
	assert_int_equal(send(link->pair.client, bytes, length, MSG_NOSIGNAL), length);
	/* SO_RCVLOWAT has poll() wait until all of it is there. */
	now = before + (int)length;
	assert_int_equal(setsockopt(link->pair.server, SOL_SOCKET, SO_RCVLOWAT, &now, sizeof(now)),
			 0);
	assert_int_equal(poll(&(struct pollfd){.fd = link->pair.server, .events = POLLIN}, 1, -1),
			 1);
	now = 1;
	assert_int_equal(setsockopt(link->pair.server, SOL_SOCKET, SO_RCVLOWAT, &now, sizeof(now)),
			 0);
}

/* Until the client's end of input is there. */
static void wait_for_fin(const struct link *link)
{
	struct pollfd poller = {.fd = link->pair.server, .events = POLLRDHUP};

	assert_int_equal(poll(&poller, 1, -1), 1);
	assert_true((poller.revents & POLLRDHUP) != 0);
}

static ssize_t server_reads(struct link *link, size_t room)
{
	char bytes[4096];
	ssize_t n = recv(link->pair.server, bytes, room, MSG_DONTWAIT);

	if (n > 0)
		link->read += (uint64_t)n;
	return n;
}

static void server_says(struct link *link, size_t length)
{
	char bytes[4096];
	ssize_t n;

	(void)memset(bytes, 's', sizeof(bytes));
	assert_true(length <= sizeof(bytes));
	n = send(link->pair.server, bytes, length, MSG_NOSIGNAL);
	assert_true(n > 0);
	link->written += (uint64_t)n;
}

/* Fills both buffers, so that something stays unsent. */
static void server_says_too_much(struct link *link)
{
	static char bytes[65536];
	int unsent = 0;

	for (;;) {
		ssize_t n =
			send(link->pair.server, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN &&
		    ioctl(link->pair.server, SIOCOUTQNSD, &unsent) == 0 && unsent > 0)
			return;
		if (n > 0)
			link->written += (uint64_t)n;
		else
			assert_int_equal(poll(&(struct pollfd){.fd = link->pair.server,
							       .events = POLLOUT},
					      1, 10),
					 0);
	}
}

/* The client reads everything that the server has written, and the end if it wrote one. */
static void client_reads_all(const struct link *link, bool end)
{
	static char bytes[65536];
	uint64_t all = 0;
	ssize_t n;

	while (all < link->written) {
		n = recv(link->pair.client, bytes, sizeof(bytes), 0);
		assert_true(n > 0);
		all += (uint64_t)n;
		check(link);
	}
	assert_int_equal(all, link->written);
	n = recv(link->pair.client, bytes, sizeof(bytes), end ? 0 : MSG_DONTWAIT);
	assert_int_equal(n, end ? 0 : -1);
}

static void test_nothing(void **state)
{
	check(*state);
}

static void test_input(void **state)
{
	struct link *link = *state;

	client_says(link, 1000);
	check(link);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(server_reads(link, 300), 300);
		check(link);
	}
	client_says(link, 7);
	check(link);
	assert_int_equal(server_reads(link, 4096), 107);
	check(link);
	assert_int_equal(server_reads(link, 4096), -1);
	check(link);
}

/* Looking is not reading. */
static void test_peeking(void **state)
{
	struct link *link = *state;
	char bytes[8];

	client_says(link, 8);
	assert_int_equal(recv(link->pair.server, bytes, sizeof(bytes), MSG_PEEK), 8);
	check(link);
}

static void test_output(void **state)
{
	struct link *link = *state;

	server_says(link, 10);
	check(link);
	client_reads_all(link, false);
	check(link);
}

static void test_unsent(void **state)
{
	struct link *link = *state;

	server_says_too_much(link);
	check(link);
	client_says(link, 5);
	check(link);
	assert_int_equal(server_reads(link, 3), 3);
	check(link);
	client_reads_all(link, false);
	check(link);
}

static void test_fin_received(void **state)
{
	struct link *link = *state;

	client_says(link, 100);
	assert_int_equal(shutdown(link->pair.client, SHUT_WR), 0);
	wait_for_fin(link);
	check(link);
	assert_int_equal(server_reads(link, 40), 40);
	check(link);
	assert_int_equal(server_reads(link, 60), 60);
	check(link);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(server_reads(link, 60), 0);
		check(link);
	}
	server_says(link, 33);
	check(link);
	client_reads_all(link, false);
	check(link);
}

static void test_fin_alone(void **state)
{
	struct link *link = *state;

	assert_int_equal(shutdown(link->pair.client, SHUT_WR), 0);
	wait_for_fin(link);
	check(link);
	assert_int_equal(server_reads(link, 1), 0);
	check(link);
}

static void test_fin_sent(void **state)
{
	struct link *link = *state;

	server_says(link, 50);
	assert_int_equal(shutdown(link->pair.server, SHUT_WR), 0);
	check(link);
	client_reads_all(link, true);
	check(link); /* acknowledged now */
	client_says(link, 20);
	check(link);
	assert_int_equal(server_reads(link, 19), 19);
	check(link);
}

/* Our end waits behind what the client does not take. */
static void test_fin_unsent(void **state)
{
	struct link *link = *state;

	server_says_too_much(link);
	assert_int_equal(shutdown(link->pair.server, SHUT_WR), 0);
	check(link);
	client_says(link, 20);
	check(link);
	assert_int_equal(server_reads(link, 4096), 20);
	check(link);
	client_reads_all(link, true);
	check(link);
}

/* The client ended first: the state is LAST_ACK while our end is on its way. */
static void test_both_fins(void **state)
{
	struct link *link = *state;

	client_says(link, 9);
	assert_int_equal(shutdown(link->pair.client, SHUT_WR), 0);
	wait_for_fin(link);
	server_says_too_much(link);
	check(link);
	assert_int_equal(shutdown(link->pair.server, SHUT_WR), 0);
	check(link);
	assert_int_equal(server_reads(link, 8), 8);
	check(link);
	assert_int_equal(server_reads(link, 8), 1);
	assert_int_equal(server_reads(link, 8), 0);
	check(link);
}

/* We ended first, unheard, and the client ends too: the state is CLOSING. */
static void test_closing(void **state)
{
	struct link *link = *state;

	server_says_too_much(link);
	assert_int_equal(shutdown(link->pair.server, SHUT_WR), 0);
	client_says(link, 9);
	assert_int_equal(shutdown(link->pair.client, SHUT_WR), 0);
	wait_for_fin(link);
	check(link);
	assert_int_equal(server_reads(link, 8), 8);
	check(link);
	assert_int_equal(server_reads(link, 8), 1);
	assert_int_equal(server_reads(link, 8), 0);
	check(link);
}

static bool is_connected(const struct link *link)
{
	struct counters counters = {.connected = true};

	assert_int_equal(counters_read(link->pair.server, &counters), 0);
	assert_true(counters.tcp);
	return counters.connected;
}

/* Both ended and all was heard: nothing can be said any more. */
static void test_over(void **state)
{
	struct link *link = *state;
	char bytes[5];

	client_says(link, 9);
	assert_int_equal(shutdown(link->pair.client, SHUT_WR), 0);
	wait_for_fin(link);
	assert_int_equal(server_reads(link, 4096), 9);
	server_says(link, 5);
	assert_int_equal(shutdown(link->pair.server, SHUT_WR), 0);
	assert_int_equal(recv(link->pair.client, bytes, sizeof(bytes), MSG_WAITALL), 5);
	assert_int_equal(recv(link->pair.client, bytes, sizeof(bytes), 0), 0);
	/* The client's host may take its time to acknowledge our end. */
	while (is_connected(link))
		(void)sched_yield();
}

static void test_reset(void **state)
{
	struct link *link = *state;
	const struct linger now = {.l_onoff = 1, .l_linger = 0};
	struct pollfd poller = {.fd = link->pair.server, .events = POLLIN};

	client_says(link, 9);
	assert_int_equal(server_reads(link, 5), 5);
	assert_int_equal(setsockopt(link->pair.client, SOL_SOCKET, SO_LINGER, &now, sizeof(now)),
			 0);
	assert_int_equal(close(link->pair.client), 0);
	link->pair.client = -1;
	do
		assert_int_equal(poll(&poller, 1, -1), 1);
	while ((poller.revents & POLLHUP) == 0);
	assert_false(is_connected(link));
}

/* Urgent bytes are bytes when they lie in line (tcp(7)). */
static void test_urgent(void **state)
{
	struct link *link = *state;
	const int on = 1;

	assert_int_equal(setsockopt(link->pair.server, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)),
			 0);
	client_says(link, 3);
	assert_int_equal(send(link->pair.client, "!", 1, MSG_OOB), 1);
	client_says(link, 3);
	check(link);
	assert_int_equal(server_reads(link, 2), 2);
	check(link);
	/* Reading stops at the mark. */
	while (link->read < 7) {
		assert_true(server_reads(link, 4096) > 0);
		check(link);
	}
	assert_int_equal(server_reads(link, 4096), -1);
	check(link);
}

/* Much in both directions, looked at all the time. */
static void test_talk(void **state)
{
	struct link *link = *state;
	uint64_t seed = 99;
	char bytes[4096];

	for (unsigned i = 0; i < 2000; i++) {
		size_t length = 1 + at_random(&seed) % 4000;

		client_says(link, length);
		check(link);
		server_says(link, 1 + at_random(&seed) % 4000);
		check(link);
		(void)recv(link->pair.client, bytes, sizeof(bytes), MSG_DONTWAIT);
		while (server_reads(link, 1 + at_random(&seed) % 4000) > 0)
			check(link);
		while (recv(link->pair.client, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
			check(link);
	}
}

static void test_others(void **state)
{
	struct counters counters = {.connected = false};
	int ends[2], file;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(send(ends[0], "abc", 3, 0), 3);
	assert_int_equal(counters_read(ends[1], &counters), 0);
	assert_false(counters.tcp);
	assert_true(counters.connected);
	(void)close(ends[0]);
	(void)close(ends[1]);
	file = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(file >= 0);
	counters = (struct counters){.read = 4711, .written = 4712};
	assert_int_equal(counters_read(file, &counters), -ENOTSOCK);
	(void)close(file);
	assert_int_equal(counters_read(-1, &counters), -EBADF);
	assert_int_equal(counters.read, 4711);
	assert_int_equal(counters.written, 4712);
}

#define LINKED_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LINKED_TEST(test_nothing),    LINKED_TEST(test_input),
		LINKED_TEST(test_peeking),    LINKED_TEST(test_output),
		LINKED_TEST(test_unsent),     LINKED_TEST(test_fin_received),
		LINKED_TEST(test_fin_alone),  LINKED_TEST(test_fin_sent),
		LINKED_TEST(test_fin_unsent), LINKED_TEST(test_both_fins),
		LINKED_TEST(test_closing),    LINKED_TEST(test_over),
		LINKED_TEST(test_reset),      LINKED_TEST(test_urgent),
		LINKED_TEST(test_talk),       cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests_name("handover/counters", tests, NULL, NULL);
}
