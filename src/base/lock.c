/* The one place that calls pthreads' locks and starts threads; see lock.h. */
#include "base/lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Tells what went wrong with which lock, and aborts: nothing shared can be trusted any more. */
static _Noreturn void broken(const char *what, const char *name, int error)
{
	(void)fprintf(stderr, "marcel: %s of '%s' failed: %s\n", what, name,
		      strerrordesc_np(error));
	abort();
}

static void check(int error, const char *what, const char *name)
{
	if (error != 0)
		broken(what, name, error);
}

void lock_init(struct lock *lock, const char *name)
{
	lock->name = name;
	check(pthread_mutex_init(&lock->mutex, NULL), "making", name);
}

void lock_done(struct lock *lock)
{
	check(pthread_mutex_destroy(&lock->mutex), "destroying", lock->name);
}

LOCK_ATTRIBUTE(no_thread_safety_analysis) void lock_take(struct lock *lock)
{
	check(pthread_mutex_lock(&lock->mutex), "taking", lock->name);
}

LOCK_ATTRIBUTE(no_thread_safety_analysis) void lock_drop(struct lock *lock)
{
	check(pthread_mutex_unlock(&lock->mutex), "dropping", lock->name);
}

void bell_init(struct bell *bell)
{
	pthread_condattr_t attributes;

	check(pthread_condattr_init(&attributes), "making", "a bell's attributes");
	check(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), "setting", "a bell's clock");
	check(pthread_cond_init(&bell->cond, &attributes), "making", "a bell");
	check(pthread_condattr_destroy(&attributes), "destroying", "a bell's attributes");
}

void bell_done(struct bell *bell)
{
	check(pthread_cond_destroy(&bell->cond), "destroying", "a bell");
}

void bell_ring(struct bell *bell)
{
	check(pthread_cond_signal(&bell->cond), "ringing", "a bell");
}

void bell_ring_all(struct bell *bell)
{
	check(pthread_cond_broadcast(&bell->cond), "ringing", "a bell");
}

bool bell_wait(struct bell *bell, struct lock *lock, usec_t deadline)
{
	int error;

	if (deadline == USEC_NEVER) {
		error = pthread_cond_wait(&bell->cond, &lock->mutex);
	} else {
		struct timespec until = clock_timespec(deadline);

		error = pthread_cond_timedwait(&bell->cond, &lock->mutex, &until);
		if (error == ETIMEDOUT)
			return false;
	}
	check(error, "waiting for a bell under", lock->name);
	return true;
}

static void set_name(pthread_t thread, const char *name)
{
	char short_name[16];

	(void)snprintf(short_name, sizeof(short_name), "%.15s", name);
	(void)pthread_setname_np(thread, short_name);
}

void thread_name(const char *name)
{
	set_name(pthread_self(), name);
}

int thread_start(pthread_t *ret_thread, const char *name, void *stack, size_t stack_size,
		 void *(*run)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error;

	error = pthread_attr_init(&attributes);
	if (error != 0)
		return -error;
	if (stack != NULL)
		check(pthread_attr_setstack(&attributes, stack, stack_size), "giving a stack to",
		      "a thread");
	error = pthread_create(&thread, &attributes, run, argument);
	check(pthread_attr_destroy(&attributes), "destroying attributes of", "a thread");
	if (error != 0)
		return -error;
	/* A thread that has ended already has no name to set (ENOENT); nothing to do about it. */
	if (name != NULL)
		set_name(thread, name);
	*ret_thread = thread;
	return 0;
}

void thread_join(pthread_t thread)
{
	check(pthread_join(thread, NULL), "joining", "a thread");
}

void thread_detach(pthread_t thread)
{
	check(pthread_detach(thread), "detaching", "a thread");
}

void gate_wait(struct gate *gate)
{
	while (atomic_load_explicit(&gate->open, memory_order_acquire) == 0)
		(void)syscall(SYS_futex, &gate->open, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

void gate_open(struct gate *gate)
{
	atomic_store_explicit(&gate->open, 1, memory_order_release);
	(void)syscall(SYS_futex, &gate->open, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
