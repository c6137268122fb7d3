/*
 * The sender: a ring, the lock its appenders share, and the journal thread that empties it.
 *
 * Whoever appends holds the lock for the copying of one record and wakes the thread only when the
 * ring was empty. The thread alone calls the transport, which may block for ever; nobody waits for
 * it but sender_stop(), and that one has a deadline.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "record/entry.h"
#include "record/record-priv.h"

struct sender;

/*
 * Opens the ring in SPACE bytes at MEMORY, or in memory of its own when that is NULL, and starts
 * the thread, which first sends what lies in the file LEFTOVER (may be NULL) and in the ring.
 * TRANSPORT is copied. Returns 0, -EINVAL (SPACE too small), -ENOMEM or -EAGAIN.
 */
int sender_start(const struct record_transport *transport, void *memory, size_t space,
		 const char *leftover, struct sender **ret_sender);

/* Appends ENTRY, or counts it as refused. Any thread; never blocks on the transport. */
void sender_append(struct sender *sender, const struct entry *entry);

/* The most bytes of a text that an entry can have beside the other things in it. Any thread. */
size_t sender_text_max(const struct sender *sender);

/* Whether the thread sent something since the last call, or has nothing to send. One thread. */
bool sender_keeps_up(struct sender *sender);

/*
 * Waits until all is sent, at most until DEADLINE, then leaves the rest in the leftover file (or in
 * the ring, if there is no file). Frees SENDER; but if its thread is asleep in the transport, both
 * are left behind for the process's last moments, and false is returned. Nobody appends any more.
 * With LEAVE, the rest stays where it is, file or ring, for another process.
 */
bool sender_stop(struct sender *sender, usec_t deadline, bool leave);
