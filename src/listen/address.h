/*
 * Stream addresses, between the text that people write and the form the kernel takes.
 *
 * The syntax is that of ListenStream= (systemd.socket(5)): a port ("50000", all addresses, IPv4
 * included), ADDRESS:PORT, [ADDRESS6]:PORT, a path that begins with '/', '@' and a name in the
 * abstract namespace, vsock:CID:PORT (an empty CID means any: vsock(7)). Names of hosts are not
 * looked up here. Any thread. Pure but for the interface of a link-local address, [fe80::1%eth0]:5,
 * whose name or number the kernel is asked for.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/vm_sockets.h> /* needs sys/socket.h before it */

#include "base/report.h"

struct address {
	socklen_t length; /* of the member in use, as bind(2) takes it */
	union {
		struct sockaddr sa;
		struct sockaddr_storage storage;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
		struct sockaddr_vm vm;
	};
};

/* Room for every text that address_format() makes, ending NUL included: a unix path, escaped. */
#define ADDRESS_TEXT_MAX (4 * sizeof(((struct sockaddr_un *)0)->sun_path) + 8)

/*
 * Parses TEXT. A port alone gives the IPv6 address for "all" ([::]), IPv4 included once the socket
 * has IPV6_V6ONLY off. Returns 0; -EINVAL when it is no address (a port above 65535, an unknown
 * form); -ENAMETOOLONG for a path that does not fit into sun_path with its NUL (unix(7)).
 */
int address_parse(const char *text, struct address *ret_address);

/*
 * What -EINVAL or -ENAMETOOLONG of address_parse(TEXT) means, for a person, in the language of the
 * locale: "'x' is no address: ...". Control characters of TEXT are escaped. Writes at most SIZE
 * bytes (384 show every reason), ended by NUL. Returns BUFFER.
 */
const char *address_explain(int error, const char *text, char *buffer, size_t size);

/*
 * Writes ADDRESS as text, in the form address_parse() reads: "127.0.0.1:50000", "[::1]:50000",
 * "/run/x", "vsock:3:50000"; an IPv4 address mapped into IPv6 is written as IPv4; an unnamed unix
 * socket is "unix"; what is none of these is "unknown". Control characters are escaped, so a path
 * that has some is for reading only. Returns BUFFER, ended by NUL.
 */
char *address_format(const struct address *address, char *buffer, size_t size);

/*
 * Writes what identifies the client's host, for limits by address, into KEY (16 bytes): the
 * IPv6 address (IPv4 mapped into it), whose last 64 bits are zeroed for a true IPv6 address since
 * one client owns them all (but not for a link-local one, where a whole network shares the first
 * 64); the CID of a vsock. Returns 1, or 0 and leaves KEY alone when the family has none (unix).
 */
int address_key(const struct address *address, uint8_t key[16]);

/*
 * Whether two local addresses of sockets are the same door: the same port of TCP (whatever the
 * interface), the same path, or the same vsock port.
 */
bool address_same_door(const struct address *a, const struct address *b);
