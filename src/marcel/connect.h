/*
 * From a host and port, or an address, to a connected socket. Waits as long as the resolver and
 * the kernel do. Main thread.
 */
#pragma once

#include "base/report.h"
#include "marcel/options.h"

/*
 * Connects to whom OPTIONS name, trying each address that the name has. The socket is a stream,
 * non-blocking and close-on-exec; on TCP it sends small messages at once and notices a peer that is
 * gone within some minutes.
 *
 * Returns the socket, which the caller must close, or -1 with the reasons in REPORT: why the
 * name was not found, or for each address why it failed.
 */
int connect_to(const struct options *options, struct report *report);
