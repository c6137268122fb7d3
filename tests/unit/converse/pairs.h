/*
 * Connected sockets for tests, as the daemon would have them: a TCP connection over 127.0.0.1 whose
 * server end is as the acceptor prepares it, or a unix stream. Also the tests' chance, which is the
 * same in every run, and how often a test repeats itself.
 */
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct pair {
	int client;
	int server;
};

/* xorshift: enough to vary a test. *STATE must not be 0. */
static inline uint64_t at_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* How often to do what the full run does FULL times: MARCEL_REPEAT percent, 10 if it is not set. */
static inline unsigned repeat(unsigned full)
{
	const char *text = getenv("MARCEL_REPEAT"); /* NOLINT(concurrency-mt-unsafe) */
	unsigned long percent = text != NULL ? strtoul(text, NULL, 10) : 10;
	unsigned long times = full * percent / 100;

	return times > 0 ? (unsigned)times : 1;
}

/* A socket that listens on some port of 127.0.0.1, which *RET_ADDRESS tells. */
static inline int tcp_listener(struct sockaddr_in *ret_address)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4096), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*ret_address = address;
	return fd;
}

static inline int tcp_connect(const struct sockaddr_in *address)
{
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	return fd;
}

/* Accepts one client; the options are those that listen/acceptor.c gives its sockets. */
static inline int tcp_accept(int listener)
{
	const int on = 1;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	return fd;
}

static inline struct pair tcp_pair(void)
{
	struct sockaddr_in address;
	int listener = tcp_listener(&address);
	struct pair pair;

	pair.client = tcp_connect(&address);
	pair.server = tcp_accept(listener);
	(void)close(listener);
	return pair;
}

static inline struct pair unix_pair(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	return (struct pair){.client = ends[0], .server = ends[1]};
}

static inline void close_pair(struct pair pair)
{
	(void)close(pair.client);
	(void)close(pair.server);
}
