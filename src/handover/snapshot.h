/*
 * Snapshots: what the table of an earlier process says, read with suspicion.
 *
 * The table is the snapshot: it is always whole, so nothing has to be written at a handover. Here
 *its bytes become values again, for every version of the layout that was ever released, and each
 *value is checked before anybody relies on it: a table may be truncated, corrupted, or from the
 *future.
 *
 * Versions:
 *	1	marcel 0.1: converse/slot.h and converse/table.h as they are now; the first of
 *		them without what was said last
 *
 * A new layout gets a new number, unless it only adds to the end, which the size tells (an earlier
 * marceld takes such a table for damaged, and ends its conversations); a decoder for the old one
 * stays here, and an image of it in tests/snapshots/. Pure: no I/O, no allocation; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "converse/slot.h"
#include "converse/table.h"

/* Where things lie in a table of some version. */
struct snapshot_layout {
	uint32_t version;
	uint32_t capacity;
	uint32_t used; /* slots beyond hold nothing */
	uint64_t ring_offset;
	uint64_t ring_size;
	uint64_t heads_offset;
	uint64_t near_offset;
	uint64_t states_offset;
	uint64_t far_offset;
	uint64_t past_offset; /* 0: there are none */
	uint64_t size;
	uint64_t generation;
	uint64_t handed_over_at;
	uint64_t next_number;
	bool complete;
};

/* One conversation as it was found. The pointers lie in the table that was read. */
struct snapshot {
	uint64_t cookie;
	uint64_t number;
	uint8_t id[16];
	uint64_t opened;
	uint64_t in_read;
	uint64_t out_sent;
	uint64_t in_consumed;
	uint32_t crashes;
	bool in_flight;
	bool keyed;
	struct slot_turn turn; /* the one in force */
	const char *peer;      /* ended by NUL within its room, as are the next four */
	const char *listener;
	const char *card_responder;
	const char *responder; /* who answers; the same unless it was switched (slot.h) */
	const char *below;     /* who is suspended; "": nobody */
	uint8_t key[16];       /* the client's host, if keyed */
	const char *state; /* turn.state_size bytes at its beginning, turn.tail bytes at its end */
	const char *pad;   /* NULL: not used */
	const struct marcel_past *past; /* NULL: nothing was said; unchecked (past_trim()) */
	const char *in;                 /* the input buffer, from stream offset turn.in_base on */
	const char *out;                /* the output buffer, from stream offset turn.out_base on */
};

/*
 * Reads the header of a table: HEADER_SIZE bytes at HEADER of a file of FILE_SIZE bytes. Returns 0;
 * -ENOTSUP for a version this one does not know (*RET_LAYOUT then has the version alone); -EINVAL
 * for what is no table or a truncated one.
 */
int snapshot_read_header(const void *header, size_t header_size, uint64_t file_size,
			 struct snapshot_layout *ret_layout);

/*
 * Reads slot INDEX (below `used`) of the table at MAP, laid out by LAYOUT, from
 * snapshot_read_header(). Returns 1 and the conversation; 0 when the slot holds none; -EINVAL when
 * what it holds makes no sense: its number, cookie and id are in *RET all the same, for the record.
 */
int snapshot_read_slot(const struct snapshot_layout *layout, const void *map, uint32_t index,
		       struct snapshot *ret);

/*
 * Fills the slot of HEAD and BODY, which are all zeroes, so that it says what SNAPSHOT says,
 * STAGE_LIVE included. SNAPSHOT must be one that snapshot_read_slot() returned 1 for.
 */
void snapshot_write_slot(const struct snapshot *snapshot, const struct slot *slot);
