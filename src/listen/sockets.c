/*
 * Listening sockets from systemd or bound here; see sockets.h.
 *
 * A struct listener is built on the stack and moves into the list when nothing can fail any more;
 * until then end_listener() undoes it.
 */
#include "listen/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"
#include "base/i18n.h"
#include "base/text.h"

#define SPACES   " \t\r\n"
#define WHY_SIZE 384 /* for a sentence about an address */

/* Adds LISTENER to the list, which then owns what it holds. Returns 0 or -ENOMEM. */
static int add(struct listeners *listeners, const struct listener *listener)
{
	struct listener *more;

	more = reallocarray(listeners->items, listeners->count + 1, sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	listeners->items = more;
	more[listeners->count++] = *listener;
	return 0;
}

/*
 * Closes LISTENER and removes its socket file, unless another one has taken its place: as long as
 * the socket is open, no other file can have its number.
 */
static void end_listener(struct listener *listener)
{
	struct stat status;

	if (listener->path[0] != '\0' && lstat(listener->path, &status) == 0 &&
	    status.st_dev == listener->device && status.st_ino == listener->inode)
		(void)unlink(listener->path);
	listener->path[0] = '\0';
	close_fd(&listener->fd);
	listener->fd = -1;
}

void listeners_close(struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++)
		end_listener(&listeners->items[i]);
	free(listeners->items);
	*listeners = (struct listeners)LISTENERS_INIT;
}

/* Writes the address that the socket FD has into BUFFER. Returns its family, or -errno. */
static int show_address(int fd, char buffer[ADDRESS_TEXT_MAX])
{
	struct address address = {.length = sizeof(address.storage)};

	if (getsockname(fd, &address.sa, &address.length) < 0)
		return -errno;
	(void)address_format(&address, buffer, ADDRESS_TEXT_MAX);
	return address.sa.sa_family;
}

/* What a descriptor that is no socket is. */
static const char *describe_file(mode_t mode)
{
	if (S_ISFIFO(mode))
		return N_("a FIFO or pipe, not a socket: ListenFIFO= is not for marceld");
	if (S_ISREG(mode))
		return N_("a file, not a socket");
	if (S_ISCHR(mode) || S_ISBLK(mode))
		return N_("a device, not a socket: ListenSpecial= is not for marceld");
	return N_("not a socket");
}

static int socket_option(int fd, int option, int missing)
{
	int value = missing;
	socklen_t size = sizeof(value);

	if (getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0)
		return missing;
	return value;
}

/* Why FD is not fit to take conversations from; NULL if it is. */
static const char *unfit(int fd)
{
	const int family = socket_option(fd, SO_DOMAIN, AF_UNSPEC);
	struct address peer = {.length = sizeof(peer.storage)};
	struct stat status;

	if (fstat(fd, &status) < 0)
		return strerrordesc_np(errno);
	if (!S_ISSOCK(status.st_mode))
		return describe_file(status.st_mode);
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX && family != AF_VSOCK)
		return N_("a socket of a family that marceld does not speak");
	if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0)
		return NULL;
	switch (socket_option(fd, SO_TYPE, SOCK_RAW)) {
	case SOCK_STREAM:
		break;
	case SOCK_DGRAM:
		return N_("a datagram socket: write ListenStream= instead of ListenDatagram=");
	case SOCK_SEQPACKET:
		return N_("a sequential packet socket: write ListenStream= instead of "
			  "ListenSequentialPacket=");
	default:
		return N_("not a stream socket: write ListenStream=");
	}
	if (getpeername(fd, &peer.sa, &peer.length) == 0)
		return N_("a connected socket: set Accept=no in the socket unit");
	return N_("a socket that does not listen");
}

/* Adds FD, which is owned from here on, or reports why not. */
static int inherit(struct listeners *listeners, int owned_fd, const char *name,
		   struct report *report)
{
	struct listener listener = {.fd = owned_fd, .inherited = true};
	char shown[TEXT_ESCAPED_MAX(LISTENER_NAME_MAX)];
	const char *why = unfit(owned_fd);
	int flags;
	int r;

	if (why != NULL) {
		(void)text_escape(shown, sizeof(shown), name, strlen(name), NULL);
		report_add(report, _("descriptor %d ('%s') is %s"), owned_fd, shown, _(why));
		r = -EINVAL;
		goto fail;
	}
	flags = fcntl(owned_fd, F_GETFL);
	if (flags < 0 || fcntl(owned_fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		r = -errno;
		goto fail;
	}
	r = show_address(owned_fd, listener.address);
	if (r < 0)
		goto fail;
	(void)snprintf(listener.name, sizeof(listener.name), "%s", name);
	r = add(listeners, &listener);
	if (r < 0)
		goto fail;
	return 0;
fail:
	end_listener(&listener);
	return r;
}

static void free_names(char ***names)
{
	for (char **name = *names; name != NULL && *name != NULL; name++)
		free(*name);
	free(*names);
}

int listeners_inherit(struct listeners *listeners, listeners_claim claim, void *context,
		      struct report *report)
{
	auto_cleanup(free_names) char **names = NULL;
	int first_error = 0;
	int added = 0;
	int n;

	/* Sets close-on-exec on all of them. */
	n = sd_listen_fds_with_names(1, &names);
	if (n < 0) {
		report_add(report, _("the descriptors that systemd passed cannot be taken: %s"),
			   strerrordesc_np(-n));
		return n;
	}
	for (int i = 0; i < n; i++) {
		const int fd = SD_LISTEN_FDS_START + i;
		int r;

		if (claim != NULL && claim(context, fd, names[i]))
			continue;
		r = inherit(listeners, fd, names[i], report);
		if (r < 0 && first_error == 0)
			first_error = r;
		if (r == 0)
			added++;
	}
	return first_error < 0 ? first_error : added;
}

/*
 * Removes the socket file at ADDRESS if it is nobody's any more. Returns 0, or -EADDRINUSE and
 * *RET_WHY, or another negative errno.
 *
 * The probe is a datagram socket because a stream socket refuses it (EPROTOTYPE), also one that is
 * only bound as yet: whoever lives there never sees a client that goes away again. Of two
 * daemons that find the same dead file at the same moment, the later one may still remove
 * what the other has just bound.
 */
static int remove_stale(const struct address *address, const char **ret_why)
{
	auto_close int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const char *path = address->un.sun_path;
	struct stat status;
	int error;

	if (probe < 0 || lstat(path, &status) < 0)
		return -errno;
	if (!S_ISSOCK(status.st_mode)) {
		*ret_why = N_("a file that is no socket is in the way");
		return -EADDRINUSE;
	}
	error = connect(probe, &address->sa, address->length) < 0 ? errno : 0;
	if (error == EACCES)
		return -error;
	if (error != ECONNREFUSED) {
		*ret_why = N_("another program uses this socket");
		return -EADDRINUSE;
	}
	return unlink(path) < 0 ? -errno : 0;
}

/* Binds LISTENER to ADDRESS and notes the socket file that this made. */
static int bind_unix(struct listener *listener, const struct address *address, const char **ret_why)
{
	const bool file = address->un.sun_path[0] != '\0';
	struct stat status;
	int r;

	if (bind(listener->fd, &address->sa, address->length) < 0) {
		if (errno != EADDRINUSE || !file)
			return -errno;
		r = remove_stale(address, ret_why);
		if (r < 0)
			return r;
		if (bind(listener->fd, &address->sa, address->length) < 0)
			return -errno;
	}
	if (!file || lstat(address->un.sun_path, &status) < 0)
		return 0;
	memcpy(listener->path, address->un.sun_path, sizeof(listener->path));
	listener->device = status.st_dev;
	listener->inode = status.st_ino;
	return 0;
}

static int switch_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int bind_address(struct listener *listener, const struct address *address,
			const char **ret_why)
{
	const int family = address->sa.sa_family;
	int r = 0;

	if (family == AF_UNIX)
		return bind_unix(listener, address, ret_why);
	/* A port whose last connections still wait for stray segments can be taken again. */
	if (family == AF_INET || family == AF_INET6)
		r = switch_option(listener->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0 && family == AF_INET6)
		r = switch_option(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (r == 0 && bind(listener->fd, &address->sa, address->length) < 0)
		r = -errno;
	if (r == -EINVAL && family == AF_INET6 && address->in6.sin6_scope_id == 0 &&
	    IN6_IS_ADDR_LINKLOCAL(&address->in6.sin6_addr))
		*ret_why = N_("a link-local address needs its interface: [fe80::1%eth0]:50000");
	return r;
}

/* Fills LISTENER with a socket that listens on ADDRESS, or leaves nothing behind. */
static int open_listener(struct listener *listener, const struct address *address, int backlog,
			 const char **ret_why)
{
	int r;

	listener->fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return -errno;
	r = bind_address(listener, address, ret_why);
	if (r == 0 && listen(listener->fd, backlog) < 0)
		r = -errno;
	if (r == 0)
		r = show_address(listener->fd, listener->address);
	if (r < 0)
		end_listener(listener);
	return r < 0 ? r : 0;
}

/* Whether R says that there is no IPv6 here, rather than that this address is not to be had. */
static bool lacks_ipv6(int r)
{
	return r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL;
}

/* The same port on all IPv4 addresses. */
static struct address ipv4_instead(const struct address *address)
{
	return (struct address){
		.length = sizeof(address->in),
		.in = {.sin_family = AF_INET, .sin_port = address->in6.sin6_port},
	};
}

int listeners_bind(struct listeners *listeners, const char *name, const char *address, int backlog,
		   struct report *report)
{
	const bool bare_port = address[strspn(address, "0123456789")] == '\0';
	struct listener listener = {.fd = -1};
	char shown[ADDRESS_TEXT_MAX];
	const char *why = NULL;
	char buffer[WHY_SIZE];
	struct address parsed;
	int r;

	r = address_parse(address, &parsed);
	if (r < 0) {
		report_add(report, "%s", address_explain(r, address, buffer, sizeof(buffer)));
		return r;
	}
	/* Port 0 is a port of vsock like others; a free one has a number of its own (vsock(7)). */
	if (parsed.sa.sa_family == AF_VSOCK && parsed.vm.svm_port == 0)
		parsed.vm.svm_port = VMADDR_PORT_ANY;
	r = open_listener(&listener, &parsed, backlog, &why);
	if (bare_port && lacks_ipv6(r)) {
		parsed = ipv4_instead(&parsed);
		r = open_listener(&listener, &parsed, backlog, &why);
	}
	if (r == 0) {
		(void)snprintf(listener.name, sizeof(listener.name), "%s", name);
		r = add(listeners, &listener);
		if (r < 0)
			end_listener(&listener);
	}
	if (r < 0)
		report_add(report, _("cannot listen on %s: %s"),
			   address_format(&parsed, shown, sizeof(shown)),
			   why != NULL ? _(why) : strerror_r(-r, buffer, sizeof(buffer)));
	return r;
}

int listeners_bind_all(struct listeners *listeners, const char *name, const char *addresses,
		       int backlog, struct report *report)
{
	char *copy = strdup(addresses);
	int first_error = 0;
	char *rest = NULL;

	if (copy == NULL)
		return -ENOMEM;
	for (char *address = strtok_r(copy, SPACES, &rest); address != NULL;
	     address = strtok_r(NULL, SPACES, &rest)) {
		int r = listeners_bind(listeners, name, address, backlog, report);

		if (r < 0 && first_error == 0)
			first_error = r;
	}
	free(copy);
	return first_error;
}
