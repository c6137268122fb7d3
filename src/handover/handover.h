/*
 * The handover: conversations outlive the process that holds them.
 *
 * Whether the daemon is restarted, upgraded, or killed, the next process finds the table with the
 * state of every conversation (converse/table.h) and the vault with their sockets (vault.h), both
 * kept by the service manager, and carries on. The reasoning is in handover.c.
 *
 * Main thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/vault.h"
#include "converse/roster.h"
#include "handover/snapshot.h"

/* What the handover asks of whoever knows configuration and listeners. */
struct handover_hooks {
	/*
	 * Completes ORIGIN, whose key is set, for a conversation that came in by LISTENER: its
	 * face, with a reference, and how it is counted; and counts it.
	 */
	void (*admit)(void *context, const char *listener, struct conversation_origin *origin);

	/* Takes back what admit() did. */
	void (*dismiss)(void *context, const struct conversation_origin *origin);

	/* The responder named NAME and what its load() made; false when there is none. */
	bool (*find_responder)(void *context, const char *name,
			       const struct marcel_responder_ops **ret_ops, void **ret_shared);

	/* A client that was accepted and that nobody has said anything to. Takes FD over. */
	void (*welcome)(void *context, int fd);

	void *context;
};

/* The names that descriptors have in the service manager's store; all begin with the prefix. */
#define HANDOVER_PREFIX    "marcel-"
#define HANDOVER_TABLE_A   "marcel-table-a"
#define HANDOVER_TABLE_B   "marcel-table-b"
#define HANDOVER_VAULT_IN  "marcel-vault-in"
#define HANDOVER_VAULT_OUT "marcel-vault-out"

/* The table of an earlier process. */
struct handover_source {
	int fd;
	void *map; /* NULL unless it has to be read into another table */
	struct snapshot_layout layout;
};

/* How the last handover went. */
struct handover_figures {
	uint64_t carried;
	uint64_t lost;
	uint64_t repeated; /* carried, but the last reply may reach the client twice */
	bool orderly;      /* the process before ended of its own accord */
	usec_t freeze;     /* from its end, or from this one's start, until conversations went on */
};

struct handover {
	bool enabled;   /* a service manager keeps descriptors for us */
	int tables[2];  /* from the store: A and B; -1 */
	int ends[2];    /* the vault's, from the store: in and out; -1 */
	uint64_t limit; /* RLIMIT_NOFILE */
	uint64_t share; /* what the vault may hold of it; all, unless it is set before resuming */
	usec_t started;
	struct handover_source source;
	bool claimed[2]; /* the store has tables of the names A and B */
	bool resuming;   /* there is a source to resume from */
	int letter;      /* which of the two names the present table has */
	bool new_table;  /* it is not in the store yet */
	bool new_vault;
	struct vault vault;
	struct roster *roster;
	struct handover_hooks hooks;
	struct handover_figures figures;
	bool complained; /* that the vault does not take sockets */
};

/* An empty handover; LIMIT is RLIMIT_NOFILE. To be ended by handover_done(). */
void handover_init(struct handover *handover, uint64_t limit, const struct handover_hooks *hooks);
void handover_done(struct handover *handover);

/* A listeners_claim (listen/sockets.h): takes the descriptors that are the handover's, by name. */
bool handover_claim(void *handover, int fd, const char *name);

/*
 * Gives the table for CAPACITY conversations: the earlier process's own when it fits, else a new
 * one, which handover_resume() fills. Returns 0 or a negative errno.
 */
int handover_table(struct handover *handover, uint32_t capacity, struct table *ret_table);

/*
 * Carries on with every conversation that the store holds: their threads stand behind ROSTER's gate
 * afterwards. Records each that could not come along. From now on new sockets are kept, by
 * handover_keep(). Returns 0 or a negative errno.
 */
int handover_resume(struct handover *handover, struct roster *roster);

/*
 * Gives the store what it does not have yet and measures; to be called before READY, and
 * handover_ready() after: that one tells how it went, removes what nobody needs any more, and opens
 * the gate.
 */
void handover_store(struct handover *handover);
void handover_ready(struct handover *handover);

/* What the roster's hooks are to call: a socket is new; its conversation is over. */
void handover_keep(struct handover *handover, uint32_t index, int fd);
void handover_over(struct handover *handover, uint32_t index);

/* The process is about to end in good order: notes the time, for the next one to measure. */
void handover_leave(struct handover *handover);
