/*
 * Why the service manager wants us to end: to stop, or to be started again.
 */
#pragma once

#include <stdbool.h>

/*
 * Whether conversations are to go on in another process: the service manager was asked, over the
 * bus, whether a job of type "stop" is what ends this unit (org.freedesktop.systemd1(5)). Any other
 * job, none (kill PID: an automatic restart follows), or no answer within a second is a restart: a
 * wrong guess costs a farewell, the other one costs conversations. Without a service manager
 * (NOTIFY_SOCKET is not set) it is a stop. Main thread; may take a second.
 */
bool job_is_restart(void);
