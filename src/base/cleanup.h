/*
 * Ownership in the small: variables that release what they hold when they leave their scope, and
 * take_fd()/take_ptr(), which hand it on and leave nothing behind.
 *
 *	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
 *	...
 *	*ret_fd = take_fd(&fd);
 *
 * Any thread; no function here fails.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Closes *FD unless it is negative; errno stays as it was. */
void close_fd(int *fd);

/* free(*(void **)P): for auto_free. */
void free_pointer(void *p);

/* fclose(*F) unless it is NULL. */
void close_file(FILE **f);

#define auto_close      auto_cleanup(close_fd)
#define auto_free       auto_cleanup(free_pointer)
#define auto_fclose     auto_cleanup(close_file)
#define auto_cleanup(f) __attribute__((cleanup(f)))

/* Gives *FD to the caller, who must close it, and leaves -1 there. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Gives *(void **)P to the caller, who must free it, and leaves NULL there. */
static inline void *take_ptr(void *p)
{
	void **from = p;
	void *taken = *from;

	*from = NULL;
	return taken;
}
