/* Sockets of `script record`: the one it listens on, and those to the server. Main thread. */
#pragma once

#include "base/report.h"
#include "listen/address.h"

/*
 * Connects to SERVER: HOST:PORT, a port of this machine, or an address as address_parse() reads
 * it. Returns a descriptor that does not block, or a negative errno with the reason in REPORT.
 */
int upstream_connect(const char *server, struct report *report);

/*
 * Listens on ADDRESS, of which *RET_BOUND is what the kernel made (port 0 picks one). Returns a
 * descriptor that does not block, or a negative errno with the reason in REPORT.
 */
int upstream_listen(const char *address, struct address *ret_bound, struct report *report);
