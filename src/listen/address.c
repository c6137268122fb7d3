/*
 * Stream addresses as text and as the kernel takes them; see address.h.
 *
 * One function, parse(), knows both the syntax and what to say about a fault; address_explain()
 * runs it again for the text, so that the two cannot drift apart.
 */
#include "listen/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/i18n.h"
#include "base/text.h"

#define VSOCK_PREFIX "vsock:"

/* The prefix of an IPv4 address mapped into IPv6 (RFC 4291, 2.5.5.2). */
static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

/* A fault: says why and returns the error. */
static int fault(int error, const char *why, const char **ret_why)
{
	*ret_why = why;
	return error;
}

static int parse_port(const char *text, in_port_t *ret_port, const char **ret_why)
{
	uint64_t port = 0;

	if (text_parse_unsigned(text, UINT16_MAX, &port) < 0)
		return fault(-EINVAL, N_("a port is a number from 0 to 65535"), ret_why);
	*ret_port = htons((uint16_t)port);
	return 0;
}

static int parse_unix(const char *text, struct address *address, const char **ret_why)
{
	const size_t room = sizeof(address->un.sun_path);
	const bool abstract = text[0] == '@';
	const size_t length = strlen(text);

	if (abstract && length == 1)
		return fault(-EINVAL, N_("a name must follow '@'"), ret_why);
	/* The '@' stands for the NUL that an abstract name begins with; it ends without one. */
	if (length > (abstract ? room : room - 1))
		return fault(-ENAMETOOLONG, N_("a unix socket has at most 107 bytes of path"),
			     ret_why);
	address->un.sun_family = AF_UNIX;
	memcpy(address->un.sun_path, text, length);
	if (abstract)
		address->un.sun_path[0] = '\0';
	address->length =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (abstract ? 0 : 1));
	return 0;
}

/* TEXT is what follows "vsock:". */
static int parse_vsock(const char *text, struct address *address, const char **ret_why)
{
	const char *colon = strchr(text, ':');
	char digits[sizeof("4294967295")] = "";
	uint64_t cid = (uint32_t)VMADDR_CID_ANY;
	uint64_t port = 0;
	size_t length;

	if (colon == NULL)
		return fault(-EINVAL, N_("write vsock:CID:PORT, or vsock::PORT for any CID"),
			     ret_why);
	length = (size_t)(colon - text);
	if (length >= sizeof(digits))
		return fault(-EINVAL, N_("a CID is a number of at most 32 bits"), ret_why);
	memcpy(digits, text, length);
	if (length > 0 && text_parse_unsigned(digits, UINT32_MAX, &cid) < 0)
		return fault(-EINVAL, N_("a CID is a number of at most 32 bits"), ret_why);
	if (text_parse_unsigned(colon + 1, UINT32_MAX, &port) < 0)
		return fault(-EINVAL, N_("a vsock port is a number of at most 32 bits"), ret_why);
	address->vm.svm_family = AF_VSOCK;
	address->vm.svm_cid = (uint32_t)cid;
	address->vm.svm_port = (uint32_t)port;
	address->length = sizeof(address->vm);
	return 0;
}

/* The interface that TEXT names or numbers; 0 when there is none. */
static uint32_t parse_scope(const char *text)
{
	uint64_t number = 0;
	uint32_t index = if_nametoindex(text);

	if (index == 0 && text_parse_unsigned(text, UINT32_MAX, &number) == 0)
		index = (uint32_t)number;
	return index;
}

/* TEXT begins with '['. */
static int parse_ipv6(const char *text, struct address *address, const char **ret_why)
{
	char host[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE] = "";
	const char *bracket = strchr(text, ']');
	char *scope;
	size_t length;

	if (bracket == NULL || bracket[1] != ':')
		return fault(-EINVAL, N_("write [ADDRESS6]:PORT, as in [::1]:50000"), ret_why);
	length = (size_t)(bracket - text) - 1;
	if (length >= sizeof(host))
		return fault(-EINVAL, N_("no IPv6 address stands in the brackets"), ret_why);
	memcpy(host, text + 1, length);
	scope = strchr(host, '%');
	if (scope != NULL) {
		*scope++ = '\0';
		address->in6.sin6_scope_id = parse_scope(scope);
		if (address->in6.sin6_scope_id == 0)
			return fault(-EINVAL, N_("there is no such network interface"), ret_why);
	}
	if (inet_pton(AF_INET6, host, &address->in6.sin6_addr) != 1)
		return fault(-EINVAL, N_("no IPv6 address stands in the brackets"), ret_why);
	address->in6.sin6_family = AF_INET6;
	address->length = sizeof(address->in6);
	return parse_port(bracket + 2, &address->in6.sin6_port, ret_why);
}

/* COLON is the only one in TEXT. */
static int parse_ipv4(const char *text, const char *colon, struct address *address,
		      const char **ret_why)
{
	const size_t length = (size_t)(colon - text);
	char host[INET_ADDRSTRLEN] = "";

	if (length < sizeof(host))
		memcpy(host, text, length);
	if (inet_pton(AF_INET, host, &address->in.sin_addr) != 1)
		return fault(-EINVAL,
			     N_("no IPv4 address stands before the colon (names are not looked up)"),
			     ret_why);
	address->in.sin_family = AF_INET;
	address->length = sizeof(address->in);
	return parse_port(colon + 1, &address->in.sin_port, ret_why);
}

static int parse_bare_port(const char *text, struct address *address, const char **ret_why)
{
	if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
		return fault(-EINVAL,
			     N_("write a port, ADDRESS:PORT, [ADDRESS6]:PORT, /path, @name or "
				"vsock:CID:PORT"),
			     ret_why);
	address->in6.sin6_family = AF_INET6;
	address->in6.sin6_addr = in6addr_any;
	address->length = sizeof(address->in6);
	return parse_port(text, &address->in6.sin6_port, ret_why);
}

/* address_parse() with the reason; ADDRESS, all zero at first, is scratch on failure. */
static int parse(const char *text, struct address *address, const char **ret_why)
{
	const char *colon;

	if (text[0] == '/' || text[0] == '@')
		return parse_unix(text, address, ret_why);
	if (strncmp(text, VSOCK_PREFIX, strlen(VSOCK_PREFIX)) == 0)
		return parse_vsock(text + strlen(VSOCK_PREFIX), address, ret_why);
	if (text[0] == '[')
		return parse_ipv6(text, address, ret_why);
	colon = strchr(text, ':');
	if (colon == NULL)
		return parse_bare_port(text, address, ret_why);
	if (strchr(colon + 1, ':') != NULL)
		return fault(-EINVAL, N_("an IPv6 address stands in brackets: [::1]:50000"),
			     ret_why);
	return parse_ipv4(text, colon, address, ret_why);
}

int address_parse(const char *text, struct address *ret_address)
{
	struct address address;
	const char *why = NULL;
	int r;

	memset(&address, 0, sizeof(address));
	r = parse(text, &address, &why);
	if (r == 0)
		*ret_address = address;
	return r;
}

const char *address_explain(int error, const char *text, char *buffer, size_t size)
{
	struct address address;
	const char *why = NULL;
	char shown[128];
	size_t used = 0;

	memset(&address, 0, sizeof(address));
	(void)text_escape(shown, sizeof(shown), text, strlen(text), &used);
	(void)parse(text, &address, &why);
	(void)snprintf(buffer, size, _("'%s%s' is no address: %s"), shown,
		       text[used] == '\0' ? "" : "...",
		       why != NULL ? _(why) : strerrordesc_np(-error));
	return buffer;
}

static void format_ipv4(const uint8_t bytes[4], in_port_t port, char *buffer, size_t size)
{
	(void)snprintf(buffer, size, "%u.%u.%u.%u:%u", bytes[0], bytes[1], bytes[2], bytes[3],
		       ntohs(port));
}

static void format_ipv6(const struct sockaddr_in6 *in6, char *buffer, size_t size)
{
	const uint8_t *bytes = in6->sin6_addr.s6_addr;
	char scope[1 + TEXT_ESCAPED_MAX(IF_NAMESIZE)] = "";
	char interface[IF_NAMESIZE] = "";
	char host[INET6_ADDRSTRLEN] = "";

	if (memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		format_ipv4(bytes + sizeof(mapped_prefix), in6->sin6_port, buffer, size);
		return;
	}
	if (in6->sin6_scope_id != 0 && if_indextoname(in6->sin6_scope_id, interface) != NULL) {
		scope[0] = '%';
		(void)text_escape(scope + 1, sizeof(scope) - 1, interface, strlen(interface), NULL);
	} else if (in6->sin6_scope_id != 0) {
		(void)snprintf(scope, sizeof(scope), "%%%" PRIu32, in6->sin6_scope_id);
	}
	(void)inet_ntop(AF_INET6, bytes, host, sizeof(host));
	(void)snprintf(buffer, size, "[%s%s]:%u", host, scope, ntohs(in6->sin6_port));
}

static void format_unix(const struct address *address, char *buffer, size_t size)
{
	const size_t start = offsetof(struct sockaddr_un, sun_path);
	const char *path = address->un.sun_path;
	size_t length = address->length > start ? address->length - start : 0;

	if (length > sizeof(address->un.sun_path))
		length = sizeof(address->un.sun_path);
	if (length == 0) {
		(void)snprintf(buffer, size, "unix");
	} else if (path[0] != '\0') {
		(void)text_escape(buffer, size, path, strnlen(path, length), NULL);
	} else {
		(void)snprintf(buffer, size, "@");
		if (size > 2)
			(void)text_escape(buffer + 1, size - 1, path + 1, length - 1, NULL);
	}
}

static void format_vsock(const struct sockaddr_vm *vm, char *buffer, size_t size)
{
	if (vm->svm_cid == VMADDR_CID_ANY)
		(void)snprintf(buffer, size, VSOCK_PREFIX ":%u", vm->svm_port);
	else
		(void)snprintf(buffer, size, VSOCK_PREFIX "%u:%u", vm->svm_cid, vm->svm_port);
}

/* The family, if ADDRESS is long enough for one of ours; AF_UNSPEC otherwise. */
static sa_family_t family(const struct address *address)
{
	socklen_t least;

	if (address->length < sizeof(address->sa.sa_family))
		return AF_UNSPEC;
	switch (address->sa.sa_family) {
	case AF_INET:
		least = sizeof(address->in);
		break;
	case AF_INET6:
		least = sizeof(address->in6);
		break;
	case AF_VSOCK:
		least = sizeof(address->vm);
		break;
	case AF_UNIX:
		return AF_UNIX;
	default:
		return AF_UNSPEC;
	}
	return address->length >= least ? address->sa.sa_family : AF_UNSPEC;
}

char *address_format(const struct address *address, char *buffer, size_t size)
{
	switch (family(address)) {
	case AF_INET:
		format_ipv4((const uint8_t *)&address->in.sin_addr, address->in.sin_port, buffer,
			    size);
		break;
	case AF_INET6:
		format_ipv6(&address->in6, buffer, size);
		break;
	case AF_UNIX:
		format_unix(address, buffer, size);
		break;
	case AF_VSOCK:
		format_vsock(&address->vm, buffer, size);
		break;
	default:
		(void)snprintf(buffer, size, "unknown");
		break;
	}
	return buffer;
}

static void key_ipv6(const struct in6_addr *address, uint8_t key[16])
{
	memcpy(key, address->s6_addr, 16);
	if (memcmp(key, mapped_prefix, sizeof(mapped_prefix)) == 0 ||
	    IN6_IS_ADDR_LINKLOCAL(address))
		return;
	memset(key + 8, 0, 8);
}

int address_key(const struct address *address, uint8_t key[16])
{
	/* No client has a multicast address, so this prefix is free for vsock. */
	static const uint8_t vsock_prefix[12] = "\xffvsock";

	switch (family(address)) {
	case AF_INET:
		memcpy(key, mapped_prefix, 12);
		memcpy(key + 12, &address->in.sin_addr, 4);
		return 1;
	case AF_INET6:
		key_ipv6(&address->in6.sin6_addr, key);
		return 1;
	case AF_VSOCK:
		memcpy(key, vsock_prefix, 12);
		memcpy(key + 12, &address->vm.svm_cid, 4);
		return 1;
	default:
		return 0;
	}
}

/* The port of a TCP address, or -1. */
static int tcp_port(const struct address *address)
{
	switch (address->sa.sa_family) {
	case AF_INET:
		return ntohs(address->in.sin_port);
	case AF_INET6:
		return ntohs(address->in6.sin6_port);
	default:
		return -1;
	}
}

bool address_same_door(const struct address *a, const struct address *b)
{
	if (tcp_port(a) >= 0)
		return tcp_port(a) == tcp_port(b);
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_VSOCK)
		return a->vm.svm_port == b->vm.svm_port;
	return a->length == b->length && memcmp(&a->un, &b->un, a->length) == 0;
}
