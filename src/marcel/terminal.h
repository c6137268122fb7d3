/*
 * marcel on a terminal: lines are edited behind the prompt "C> " (libedit), what the server says
 * appears above it at once as "S> ...", and the line being typed stays whole.
 *
 * A message is sent when its line is entered; the end of input (^D on an empty line; in raw an
 * empty line too) says that no more will come, and the server has the last word. However it
 * ends, by a signal too, the terminal is left as it was found.
 */
#pragma once

#include "marcel/dialect.h"

/*
 * Holds the dialogue on the connected socket FD, which it closes, on the terminal of descriptors 0
 * and 1. WANTED is the user's dialect or DIALECT_UNKNOWN. Returns an exit status: see session.h; a
 * fatal signal, put off until the terminal is restored, ends the process. Main thread.
 */
int terminal_run(int fd, enum dialect_kind wanted);
