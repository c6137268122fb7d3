/* Making the connection; see connect.h. */
#include "marcel/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/i18n.h"
#include "listen/address.h"
#include "marcel/say.h"

/* A silent peer is asked after a minute, then each ten seconds; the sixth silence is its end. */
#define KEEPALIVE_IDLE     60
#define KEEPALIVE_INTERVAL 10
#define KEEPALIVE_COUNT    6

/* Without these options the dialogue still works, so a refusal is no error. */
static void tune(int fd, int family)
{
	static const struct {
		int level, name, value;
	} settings[] = {
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
	};

	if (family != AF_INET && family != AF_INET6)
		return;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		(void)setsockopt(fd, settings[i].level, settings[i].name, &settings[i].value,
				 sizeof(settings[i].value));
}

/* Returns the socket or a negative errno. */
static int connect_address(const struct address *address)
{
	auto_close int fd = -1;

	fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, &address->sa, address->length) < 0)
		return -errno;
	tune(fd, address->sa.sa_family);
	/* Only now: a non-blocking connect() would not wait. */
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return take_fd(&fd);
}

static int try_address(const struct address *address, struct report *report)
{
	char text[ADDRESS_TEXT_MAX];
	int fd = connect_address(address);

	if (fd >= 0)
		return fd;
	report_add(report, "%s: %s", address_format(address, text, sizeof(text)), say_errno(-fd));
	return -1;
}

/* One answer of the resolver as an address; false for what cannot be one. */
static bool take_answer(const struct addrinfo *answer, struct address *ret_address)
{
	if (answer->ai_addrlen > sizeof(ret_address->storage))
		return false;
	*ret_address = (struct address){.length = answer->ai_addrlen};
	memcpy(&ret_address->storage, answer->ai_addr, answer->ai_addrlen);
	return true;
}

static int connect_name(const struct options *options, struct report *report)
{
	const struct addrinfo hints = {
		.ai_family = options->family,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *answers = NULL;
	struct address address;
	int fd = -1;
	int r;

	r = getaddrinfo(options->host, options->port, &hints, &answers);
	if (r != 0) {
		report_add(report, "%s:%s: %s", options->host, options->port,
			   r == EAI_SYSTEM ? say_errno(errno) : gai_strerror(r));
		return -1;
	}
	for (const struct addrinfo *i = answers; i != NULL && fd < 0; i = i->ai_next) {
		if (take_answer(i, &address))
			fd = try_address(&address, report);
	}
	freeaddrinfo(answers);
	return fd;
}

int connect_to(const struct options *options, struct report *report)
{
	if (options->by_address)
		return try_address(&options->address, report);
	return connect_name(options, report);
}
