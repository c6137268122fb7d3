/*
 * The settings of the fifo responder: the section [fifo] of marcel.ini.
 *
 * Main thread; read-only afterwards, by any thread.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "marcel/responder.h"

struct fifo_settings {
	char *directory;     /* an absolute path */
	bool said_directory; /* it was set; else it follows from who starts the daemon */
	char *absent_reply;  /* "": nothing is said */
	usec_t absent_after; /* USEC_NEVER: never */
	usec_t grace;
};

/* As load() and unload() of the responder contract; *RET_SHARED is a struct fifo_settings. Nothing
 * is opened. */
int fifo_load(const struct marcel_settings *settings, marcel_fault_fn *fault, void *context,
	      void **ret_shared);
void fifo_unload(void *shared);
