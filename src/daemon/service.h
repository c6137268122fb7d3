/*
 * The service: the order in which the daemon starts, reloads, hands over and stops.
 */
#pragma once

#include "daemon/options.h"

/*
 * Runs the daemon as OPTIONS say until it is told to end. Returns the exit status (base/error.h);
 * what was wrong has been told then. Main thread, once.
 */
int service_run(const struct options *options);
