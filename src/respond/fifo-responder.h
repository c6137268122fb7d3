/* The fifo responder: a human answers, by way of FIFOs and files (operator/channel.h). */
#pragma once

#include <stdio.h>

#include "base/clock.h"
#include "marcel/responder.h"

extern const struct marcel_responder_ops fifo_responder;

/* What its load() made of [fifo], for channel_open(): the channel's directory, and how long those
 * of ended conversations stay. SHARED is *ret_shared of that load(); the path is valid while that
 * is. */
const char *fifo_directory(const void *shared);
usec_t fifo_grace(const void *shared);

/* Writes all keys of [fifo] so that they can be read again, the directory as a comment unless it
 * was set. */
void fifo_print(const void *shared, FILE *stream);
