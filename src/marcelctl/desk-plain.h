/*
 * `marcelctl desk --plain`: the first server's own experience. It waits for a client, shows what he
 * says behind "C> ", asks for an answer with "S> ", and when the conversation is over, whether to
 * go on with the next. On a terminal lines are edited with libedit, and one that is entered while
 * the client says nothing is said to him at once; from a pipe they are read as they are needed, and
 * written as a terminal would show them.
 *
 * Only conversations that an operator answers are taken up: those that wait, the one that has
 * waited longest first, and those that begin meanwhile. Main thread.
 */
#pragma once

#include "marcelctl/link.h"

/* Returns the exit status. */
int desk_plain(const struct link_options *where);
