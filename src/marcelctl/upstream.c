/* Sockets of `script record`; see upstream.h. */
#include "marcelctl/upstream.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/i18n.h"

#define BACKLOG 64

static void report_errno(struct report *report, const char *what, int error)
{
	report_add(report, "%s: %s", what, strerrordesc_np(error));
}

/* Connects to one address, waiting as long as the system does. */
static int connect_one(const struct sockaddr *address, socklen_t length, int *ret_fd)
{
	auto_close int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, address, length) < 0)
		return -errno;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int connect_by_name(const char *server, const char *host, const char *port,
			   struct report *report)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;
	int fd = -1;
	int r;

	r = getaddrinfo(host, port, &hints, &list);
	if (r != 0) {
		report_add(report, "%s: %s", server, gai_strerror(r));
		return -EHOSTUNREACH;
	}
	r = -EHOSTUNREACH;
	for (const struct addrinfo *info = list; info != NULL && fd < 0; info = info->ai_next)
		r = connect_one(info->ai_addr, info->ai_addrlen, &fd);
	freeaddrinfo(list);
	if (r < 0) {
		report_errno(report, server, -r);
		return r;
	}
	return fd;
}

static bool is_number(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* HOST:PORT, cut at its last colon. */
static int connect_by_pair(const char *server, struct report *report)
{
	const char *colon = strrchr(server, ':');
	char *host;
	int r;

	if (colon == NULL || colon == server || colon[1] == '\0') {
		report_add(report, _("'%s': a server is HOST:PORT, or an address"), server);
		return -EINVAL;
	}
	host = strndup(server, (size_t)(colon - server));
	if (host == NULL)
		return -ENOMEM;
	r = connect_by_name(server, host, colon + 1, report);
	free(host);
	return r;
}

int upstream_connect(const char *server, struct report *report)
{
	struct address address;
	int fd = -1;
	int r;

	if (is_number(server))
		return connect_by_name(server, "localhost", server, report);
	if (address_parse(server, &address) < 0)
		return connect_by_pair(server, report);
	r = connect_one(&address.sa, address.length, &fd);
	if (r < 0)
		report_errno(report, server, -r);
	return r < 0 ? r : fd;
}

int upstream_listen(const char *address, struct address *ret_bound, struct report *report)
{
	auto_close int fd = -1;
	const int yes = 1;
	struct address bound;
	char why[512];
	int r;

	r = address_parse(address, &bound);
	if (r < 0) {
		report_add(report, "%s", address_explain(r, address, why, sizeof(why)));
		return r;
	}
	fd = socket(bound.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    bind(fd, &bound.sa, bound.length) < 0 || listen(fd, BACKLOG) < 0) {
		r = -errno;
		report_errno(report, address, -r);
		return r;
	}
	bound.length = sizeof(bound.storage);
	if (getsockname(fd, &bound.sa, &bound.length) < 0)
		return -errno;
	*ret_bound = bound;
	return take_fd(&fd);
}
