/*
 * An entry: one record as it lies in the ring and in the leftover file, raw.
 *
 * Encoding copies and nothing more: escaping and formatting are the journal thread's work, not the
 * conversations'. Decoding checks every length and name, for the bytes may come from a process
 * that crashed.
 *
 * The encoding is of this machine (its byte order) and lives as long as a restart takes. Whoever
 * changes struct wire in entry.c raises LAYOUT in ring.c and the magic in leftover.c. Pure; any
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/kinds.h"

/* More fields than this are not recorded. */
#define ENTRY_FIELDS_MAX 16

#define ENTRY_ID_SIZE 16

/* A run of bytes of somebody else. */
struct span {
	const char *bytes;
	size_t size;
};

struct entry_field {
	struct span name;  /* [A-Z][A-Z0-9_]*, at most 64 bytes */
	struct span value; /* any bytes */
};

enum entry_flags {
	ENTRY_ABOUT = 1,   /* number, peer and listener say something */
	ENTRY_ID = 2,      /* id does */
	ENTRY_CLIENT = 4,  /* said by the client: turn and said_size say something */
	ENTRY_SERVER = 8,  /* said by the server: the same */
	ENTRY_SIZE = 16,   /* the text of what was said is left out on purpose */
	ENTRY_SECRET = 32, /* so is its size */
};

/* One record. What it points to belongs to whoever made it. */
struct entry {
	enum record_kind kind;
	unsigned flags;     /* of enum entry_flags */
	uint64_t timestamp; /* CLOCK_REALTIME, microseconds */
	uint64_t number;    /* of the conversation */
	uint64_t turn;
	uint64_t said_size; /* bytes of the whole message, of which text may be a part */
	const uint8_t *id;  /* ENTRY_ID_SIZE bytes, or NULL without ENTRY_ID */
	struct span peer;
	struct span listener;
	struct span text;
	const struct entry_field *fields;
	size_t n_fields;
};

/* The bytes that ENTRY takes when encoded. */
size_t entry_size(const struct entry *entry);

/* Writes ENTRY into entry_size() bytes at BUFFER. Lengths above 64K of a name, a peer or a listener
 * and fields above ENTRY_FIELDS_MAX are the caller's fault; entry_size() has the same view. */
void entry_encode(uint8_t *buffer, const struct entry *entry);

/*
 * Reads the SIZE bytes at BUFFER. *RET_ENTRY and FIELDS point into BUFFER. Returns 0, or -EBADMSG:
 * they are no entry, or of a kind that this version does not know.
 */
int entry_decode(const uint8_t *buffer, size_t size, struct entry *ret_entry,
		 struct entry_field fields[ENTRY_FIELDS_MAX]);
