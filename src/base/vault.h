/*
 * The vault: sockets kept alive by the kernel while no process has them open.
 *
 * A descriptor that was sent over a unix socket and not yet received lives as long as somebody
 * holds that socket (unix(7), SCM_RIGHTS). The vault is one SOCK_SEQPACKET pair whose both ends the
 * service manager holds too; what lies in it outlives the process, SIGKILL included, at the price
 * of one sendmsg() for each client.
 *
 * It is used as a log. A new socket is appended as a message of its own. Sockets whose
 * conversations have ended are dead weight until vault_clean() moves the live ones of the oldest
 * messages to the end, as one message of up to 253 (SCM_MAX_FD), and then drops those messages
 * with a plain recv() that has no room for descriptors: the kernel closes them. A process that is
 * killed in between leaves a socket in two messages, never in none; the later one counts.
 *
 * Reading is done by peeking, never by receiving: a second crash would find the vault empty.
 *
 * NOTE ON THE LIMIT. The kernel counts what a user has in flight, in all sockets, and takes nothing
 * more once that is above RLIMIT_NOFILE (root's excepted): no batch either, so a vault at the limit
 * could not be cleaned any more. Therefore what all vaults of the process hold is counted, and
 * vault_keep() leaves the count at the limit at most. A vault whose limit is not enough for all has
 * a share of it: what is dead in the one is never in the way of what the other wants to keep.
 *
 * One thread at a time: that of sockets is the main thread's, others have a lock around theirs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VAULT_NOWHERE UINT64_MAX
#define VAULT_BATCH   253 /* SCM_MAX_FD: descriptors in one message */

/* One message in the pair, as this process knows it. */
struct vault_message {
	uint32_t *members; /* slots whose sockets it holds; NULL when there is one, in `only` */
	uint32_t only;
	uint16_t count;
	uint16_t live; /* members that still count */
};

struct vault {
	int in;  /* where sockets are sent */
	int out; /* where they lie */

	/* The messages from first to first + n - 1, in a ring of `room` entries. */
	struct vault_message *messages;
	size_t room;
	uint64_t first; /* the number of the oldest message; numbers go up */
	size_t n;
	size_t n_max;    /* messages the pair has room for */
	uint16_t batch;  /* live sockets that cleaning puts into one message: vault_set_limit() */
	uint32_t live;   /* sockets that count */
	uint32_t dead;   /* sockets in messages that do not */
	uint64_t limit;  /* RLIMIT_NOFILE, for all vaults */
	uint64_t share;  /* what this one is to hold of it */
	uint64_t *where; /* by slot: the number of the message that holds its socket */
	uint32_t slots;
};

/* Makes a new, empty vault for SLOTS slots. Returns 0 or a negative errno. */
int vault_init(struct vault *vault, uint32_t slots);

/*
 * Takes over the pair IN and OUT of an earlier process (owned from now on, also after a failure).
 * To be read with vault_read() before anything else. Returns 0; -EINVAL when they are no such pair;
 * or another negative errno.
 */
int vault_adopt(struct vault *vault, int in, int out, uint32_t slots);

/* Closes this process's ends; what lies in the pair stays while others hold it. */
void vault_done(struct vault *vault);

/*
 * Says whose socket the descriptor FD is: its slot, or VAULT_NOBODY when it belongs to none. Not
 * for keeping: the vault closes FD unless it is the socket of a slot.
 */
#define VAULT_NOBODY UINT32_MAX
typedef uint32_t vault_owner_fn(void *context, int fd);

/*
 * Looks at everything in an adopted vault, oldest first. FDS, an array by slot filled with -1, gets
 * a descriptor for each slot whose socket is there, owned by the caller. Returns how many
 * descriptors got lost because this process may have no more open, or a negative errno.
 */
int vault_read(struct vault *vault, int fds[], vault_owner_fn *owner, void *context);

/*
 * Puts the socket FD of slot SLOT into the vault. Returns 0, or a negative errno: -EAGAIN (the pair
 * is full: clean it), -ETOOMANYREFS (too many descriptors in flight, note on the limit).
 */
int vault_keep(struct vault *vault, uint32_t slot, int fd);

/* The conversation of slot SLOT has ended: its socket is dead weight from now on. */
void vault_forget(struct vault *vault, uint32_t slot);

/*
 * How many sockets one message may hold where LIMIT (RLIMIT_NOFILE) bounds descriptors in flight:
 * that many are in flight twice while the vault is cleaned.
 */
static inline uint16_t vault_batch(uint64_t limit)
{
	return limit / 4 < VAULT_BATCH ? (uint16_t)(limit / 4) : VAULT_BATCH;
}

/*
 * What each of COUNT vaults that grow alike may hold where LIMIT is RLIMIT_NOFILE. The batch is
 * kept once: it comes on top when one is cleaned, and need not fit if that is so for both at a
 * time.
 */
static inline uint64_t vault_share(uint64_t limit, uint64_t count)
{
	return count > 1 ? (limit - vault_batch(limit)) / count : limit;
}

/* VAULT is to hold SHARE of LIMIT, which is RLIMIT_NOFILE. Without this it may hold any number. */
void vault_set_limit(struct vault *vault, uint64_t limit, uint64_t share);

/* Whether cleaning is due. */
bool vault_needs_cleaning(const struct vault *vault);

/* The descriptor of slot SLOT's socket in this process, or -1. */
typedef int vault_fd_fn(void *context, uint32_t slot);

/*
 * Moves live sockets together and drops dead ones, going once through the log at most. Returns 0 or
 * a negative errno; nothing live is lost in either case, and what is dead at the beginning of the
 * log is dropped.
 */
int vault_clean(struct vault *vault, vault_fd_fn *fd_of, void *context);
