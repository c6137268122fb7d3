/*
 * The plainest honest echo server with a thread for each connection: what Marcel is measured
 * against (tests/bench/run).
 *
 * It listens on a port of 127.0.0.1 that the kernel picks, says which ("ready on
 * 127.0.0.1:43211", as marceld does), and sends back what it gets: blocking recv() and send(),
 * TCP_NODELAY, default thread attributes; no framing, no limits, no deadlines, no records. The main
 * thread accepts, one detached thread serves each client. It ends with status 1 when it can't
 * listen or can't go on accepting, and otherwise by a signal.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

#include "base/cleanup.h"

static int send_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		bytes += n;
		length -= (size_t)n;
	}
	return 0;
}

/* A connection's thread. It owns ARGUMENT, an int on the heap, and the socket that this names. */
static void *serve(void *argument)
{
	auto_free int *socket_of = argument;
	auto_close int fd = *socket_of;
	char buffer[4096];
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
		if (send_all(fd, buffer, (size_t)n) < 0)
			break;
	}
	return NULL;
}

static int listen_somewhere(int *ret_fd, in_port_t *ret_port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)},
	};
	socklen_t length = sizeof(address);
	auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, SOMAXCONN) < 0 || getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	*ret_port = ntohs(address.sin_port);
	return 0;
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Starts the thread that serves FD, which is the thread's from then on. Returns 0 or an errno. */
static int serve_by_thread(int fd, const pthread_attr_t *attributes)
{
	pthread_t thread;
	int error;
	int *socket_of = malloc(sizeof(*socket_of));

	if (!socket_of)
		return ENOMEM;
	*socket_of = fd;
	error = pthread_create(&thread, attributes, serve, socket_of);
	if (error != 0)
		free(socket_of);
	return error;
}

static int accept_for_ever(int listening)
{
	pthread_attr_t attributes;
	int error = pthread_attr_init(&attributes);

	if (error == 0)
		error = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	while (error == 0) {
		const int on = 1;
		auto_close int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return -errno;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		error = serve_by_thread(fd, &attributes);
		if (error == 0)
			(void)take_fd(&fd);
	}
	return -error;
}

int main(void)
{
	in_port_t port = 0;
	int listening = -1;
	int r;

	raise_descriptor_limit();
	r = listen_somewhere(&listening, &port);
	if (r >= 0) {
		printf("ready on 127.0.0.1:%d\n", port);
		fflush(stdout);
		r = accept_for_ever(listening);
	}
	fprintf(stderr, "bare-echo: %s\n", strerrordesc_np(-r));
	return 1;
}
