/*
 * marcel as a filter, when standard input or output is no terminal: each line of input is a
 * message, replies go to standard output exactly as they are, end of input ends the dialogue after
 * the last reply.
 *
 * Both directions go on at once, each with bounded memory (a line of input is held whole, however
 * long), so neither side can block the other. Whoever reads our output may close it early; that
 * is a quiet end.
 */
#pragma once

#include "marcel/dialect.h"

/*
 * Holds the dialogue on the connected socket FD, which it closes, between descriptors 0 and 1.
 * WANTED is the user's dialect or DIALECT_UNKNOWN. Says on standard error what went wrong. Returns
 * an exit status: see session.h. SIGPIPE is ignored afterwards. Main thread.
 */
int filter_run(int fd, enum dialect_kind wanted);
