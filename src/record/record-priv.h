/*
 * What the files of this module share: the table of kinds, how records become bytes (format.c), and
 * where those go (send.c). For record.h's implementers and for tests.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "record/entry.h"
#include "record/record.h"

/* What is known about a kind; see RECORD_KINDS. */
struct record_kind_info {
	const char *name;
	const char *message_id; /* 32 hexadecimal digits */
	int priority;
	enum record_class class;
};

extern const struct record_kind_info record_kind_infos[RECORD_KIND_COUNT];

/* The most parts that a record has: the fixed ones and its fields. */
#define FORMATTED_PARTS_MAX (12 + ENTRY_FIELDS_MAX)

/*
 * A record as it is sent: the fields "NAME=value" for the journal, or one part that is the line.
 * Begin with zeroes; reused from record to record by one thread, ended by formatted_done().
 */
struct formatted {
	struct iovec parts[FORMATTED_PARTS_MAX];
	size_t n_parts;
	char *buffer;
	size_t room;
	size_t used;
};

/*
 * Formats ENTRY for OUTPUT (not RECORD_OUTPUT_AUTO); the parts point into FORMATTED until the next
 * call. Returns 0 or -ENOMEM.
 */
int format_entry(struct formatted *formatted, enum record_output output, const struct entry *entry);

/* Frees what FORMATTED holds. */
void formatted_done(struct formatted *formatted);

/*
 * Where formatted records go. send() may block for as long as it likes. It returns 0, also when
 * nobody wants to hear it, or a negative errno: the record is then counted as dropped.
 */
struct record_transport {
	enum record_output output; /* how records are formatted for it */
	int (*send)(void *context, const struct iovec *parts, size_t n_parts);
	void *context;
};

/* The transport for OUTPUT; RECORD_OUTPUT_AUTO is decided here. Any thread. */
struct record_transport transport_for(enum record_output output);

/* As record_start(), with a TRANSPORT of the caller's, which is copied. */
int record_start_with(const struct record_transport *transport, void *ring, size_t space,
		      const char *leftover);
