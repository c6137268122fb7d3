/* One region of stacks with guard pages; see stacks.h. */
#include "converse/stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* since Linux 6.13; not in the headers of Debian 12 */
#endif

#define GUARD_SIZE 4096

/* Sanitizers keep nearly a megabyte of their own on each stack, and need deeper frames. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_SIZE ((size_t)2 * 1024 * 1024)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_SIZE ((size_t)2 * 1024 * 1024)
#endif
#endif
#ifndef STACK_SIZE
#define STACK_SIZE ((size_t)128 * 1024)
#endif

int stacks_init(struct stacks *ret_stacks, uint32_t count)
{
	size_t size = (size_t)count * STACK_SIZE;
	unsigned char *guarded = calloc(count, 1);
	void *map;

	if (guarded == NULL)
		return -ENOMEM;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (map == MAP_FAILED) {
		map = NULL;
		size = 0;
	} else {
		/* A huge page would make each stack take megabytes. */
		(void)madvise(map, size, MADV_NOHUGEPAGE);
	}
	*ret_stacks = (struct stacks){.map = map, .size = size, .guarded = guarded};
	return 0;
}

void stacks_done(struct stacks *stacks)
{
	if (stacks->map != NULL)
		(void)munmap(stacks->map, stacks->size);
	free(stacks->guarded);
	*stacks = (struct stacks){.map = NULL};
}

void *stacks_get(struct stacks *stacks, uint32_t index, size_t *ret_size)
{
	char *stack;

	if (stacks->map == NULL)
		return NULL;
	stack = stacks->map + (size_t)index * STACK_SIZE;
	if (!stacks->guarded[index]) {
		if (madvise(stack, GUARD_SIZE, MADV_GUARD_INSTALL) < 0 &&
		    mprotect(stack, GUARD_SIZE, PROT_NONE) < 0)
			return NULL;
		stacks->guarded[index] = 1;
	}
	*ret_size = STACK_SIZE - GUARD_SIZE;
	return stack + GUARD_SIZE;
}

void stacks_release(struct stacks *stacks, uint32_t index)
{
	if (stacks->map != NULL)
		(void)madvise(stacks->map + (size_t)index * STACK_SIZE + GUARD_SIZE,
			      STACK_SIZE - GUARD_SIZE, MADV_DONTNEED);
}
