/*
 * marcel's command line: marcel [OPTIONS] [HOST [PORT]].
 *
 * HOST may also be an address as marceld writes and reads it (listen/address.h): a path,
 * @abstract, vsock:CID:PORT, ADDRESS:PORT, [ADDRESS6]:PORT; then no PORT follows.
 */
#pragma once

#include <stdbool.h>

#include "base/report.h"
#include "listen/address.h"
#include "marcel/dialect.h"

#define OPTIONS_HOST "localhost"
#define OPTIONS_PORT "50000"

struct options {
	enum dialect_kind dialect; /* DIALECT_UNKNOWN: listen and decide */
	bool help;
	bool version;
	int family;      /* AF_UNSPEC, AF_INET or AF_INET6 */
	bool by_address; /* address says whom to call, not host and port */
	struct address address;
	const char *host; /* a name or a numeric address, as getaddrinfo(3) takes it */
	const char *port; /* a number from 1 to 65535, or the name of a service */
};

/*
 * Parses the arguments of main(), whose strings *RET_OPTIONS points to and of which it may change
 * one (HOST:PORT is cut in two). Returns 0, or -EINVAL with what is wrong with them in REPORT. To
 * be called once, on the main thread.
 */
int options_parse(int argc, char **argv, struct options *ret_options, struct report *report);
