/*
 * The heap: what a conversation by a script remembers besides numbers of fixed size, packed into
 * the bytes of its state behind the interpreter's header.
 *
 * Variables have items: a value is one, a list any number in their order. Besides, there are
 * counters. All are cells, one after another, without gaps, pointers or alignment: the bytes up to
 * `used` can be copied to another place or process and gone on with there. An operation walks
 * through them once; they are few.
 *
 * Limits: SCRIPT_VALUE_MAX bytes of one item; SCRIPT_VALUES_MAX bytes of all items together, with
 * HEAP_CELL for each; `room` for everything. What would pass one gives -ENOSPC and changes nothing.
 *
 * Bytes from elsewhere must pass heap_is_sound() first; after that no operation reads or writes
 * outside of the heap, whatever they hold. What is passed in may lie in the heap itself (set one
 * variable to another's value). A pointer into the heap is good until the next change.
 *
 * Nothing here allocates. One thread at a time uses a heap.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "respond/script/run.h"

#define HEAP_CELL   ((size_t)4) /* bytes that a cell takes besides its content */
#define HEAP_ID_MAX 4095        /* ids of variables and of counters are 0 to this */

struct heap {
	char *bytes; /* the caller's; room of them */
	size_t room; /* at most UINT16_MAX matter */
	size_t used;
};

/* Bytes in a heap, or elsewhere. */
struct span {
	const char *bytes;
	size_t length;
};

/*
 * Whether HEAP, whose bytes may be anything, was made by the functions below: cells within `used`,
 * within the limits, ids of variables below N_VARIABLES and of counters below N_COUNTERS, each
 * counter once.
 */
bool heap_is_sound(const struct heap *heap, size_t n_variables, size_t n_counters);

/* Whether VARIABLE was set or added to since the beginning or the last clear; it may have no item
 * any more. */
bool heap_has(const struct heap *heap, uint32_t variable);

/* The value of VARIABLE: its first item. Returns false if it has none. */
bool heap_get(const struct heap *heap, uint32_t variable, struct span *ret_value);

/* Makes VALUE the only item of VARIABLE. Returns 0 or -ENOSPC. */
int heap_set(struct heap *heap, uint32_t variable, const char *value, size_t length);

/* Takes all items of VARIABLE away, as at the beginning. */
void heap_clear(struct heap *heap, uint32_t variable);

/* Appends an item to VARIABLE. Returns 0 or -ENOSPC. */
int heap_add(struct heap *heap, uint32_t variable, const char *item, size_t length);

/* Takes the first item of VARIABLE away; get it before. heap_has() stays true. Returns false if
 * there was none. */
bool heap_shift(struct heap *heap, uint32_t variable);

/* How many items VARIABLE has. */
size_t heap_count(const struct heap *heap, uint32_t variable);

/*
 * The items of VARIABLE, one after another: starts with *CURSOR 0, which it moves on. Returns false
 * after the last. The heap must not change meanwhile.
 */
bool heap_next(const struct heap *heap, uint32_t variable, size_t *cursor, struct span *ret_item);

/*
 * Appends to the value of VARIABLE (set to "" first if it has none): what a collect does. Of what
 * passes SCRIPT_VALUE_MAX, or if KEEP is false of all, only the length is remembered
 * (heap_length()). Returns 0 or -ENOSPC (SCRIPT_VALUES_MAX, room).
 */
int heap_append(struct heap *heap, uint32_t variable, const char *bytes, size_t length, bool keep);

/* The length of the value of VARIABLE, with what heap_append() did not keep; 0 if it has none. */
uint64_t heap_length(const struct heap *heap, uint32_t variable);

/* The value of counter ID; 0 until it is set. */
uint64_t heap_counter(const struct heap *heap, uint32_t id);

/* Sets counter ID. Small values take fewer bytes, 0 none. Returns 0 or -ENOSPC (room). */
int heap_set_counter(struct heap *heap, uint32_t id, uint64_t value);
