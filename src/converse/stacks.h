/*
 * Stacks for the conversations' threads, all in one mapping.
 *
 * The C library's own stacks cost two mappings a thread, and a process may have 65,530
 * (vm.max_map_count). Here stack I belongs to slot I for the life of the process; its lowest page
 * is a guard: MADV_GUARD_INSTALL (Linux 6.13, madvise(2)), which splits no mapping, or mprotect(2)
 * where that is unknown. Main thread only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct stacks {
	char *map; /* NULL: the system gave no room; the C library's stacks are used instead */
	size_t size;
	unsigned char *guarded; /* one byte a stack: its guard is in place */
};

/* Reserves COUNT stacks. Returns 0, or -ENOMEM; a refused mapping is no failure (map is NULL). */
int stacks_init(struct stacks *ret_stacks, uint32_t count);
void stacks_done(struct stacks *stacks);

/* The usable bytes of stack INDEX and their number; NULL if the C library should provide one. */
void *stacks_get(struct stacks *stacks, uint32_t index, size_t *ret_size);

/* Gives the memory of stack INDEX back, whose thread must have been joined. */
void stacks_release(struct stacks *stacks, uint32_t index);
