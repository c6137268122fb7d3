/*
 * The guard of a peer: it reads what the peer sends, and hands it on to sd-bus when sd-bus has
 * room.
 *
 * sd-bus alone would take messages of 128 MiB, descriptors, and any number of requests from a peer
 * that reads no answer, and keep it all. Through the guard comes one message after the other, each
 * of a size that makes sense, and the next one only when the last is dealt with and its answer is
 * read. So a peer costs no more memory than one answer, and one that floods us waits for itself.
 *
 * Control's thread. Functions that return int return 0 or a negative errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

struct guard;

/* A message that has more bytes is none of ours. */
#define GUARD_MESSAGE_MAX ((size_t)64 * 1024)
/* Bytes before the first message; sd-bus and libdbus need some 100. */
#define GUARD_GREETING_MAX ((size_t)4 * 1024)

/* Called when the peer has sent what it must not send. Once. */
typedef void guard_fault_fn(void *context);

/*
 * Makes a guard in LOOP that reads from the socket FD, which stays the caller's. *RET_INNER is the
 * descriptor that sd-bus is to read from, owned by the caller.
 */
int guard_new(sd_event *loop, int fd, guard_fault_fn *fault, void *context, int *ret_inner,
	      struct guard **ret_guard);

/* Ends the guard. guard_free(NULL) is allowed. */
void guard_free(struct guard *guard);

/* Sd-bus has taken a message. */
void guard_count(struct guard *guard);

/* Goes on, if there is anything to go on with. READY: answers are being read, and another message
 * may come. To be called whenever something has happened. */
void guard_go_on(struct guard *guard, bool ready);
