/*
 * Locks, condition variables and threads, wrapped once.
 *
 * Every result of pthreads is checked here. An error of a lock is a bug of ours, never the
 * system's state, so it ends the process with the lock's name; an error of thread_start() is the
 * system's state (no memory, too many tasks) and is returned. clang's thread safety analysis knows
 * lock_take() and lock_drop(); a helper that wants the lock held says REQUIRES_LOCK(name).
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#ifdef __clang__
#define LOCK_ATTRIBUTE(x) __attribute__((x))
#else
#define LOCK_ATTRIBUTE(x)
#endif
#define REQUIRES_LOCK(name) LOCK_ATTRIBUTE(requires_capability(name))

struct LOCK_ATTRIBUTE(capability("mutex")) lock {
	pthread_mutex_t mutex;
	const char *name; /* for the message when something is wrong with it */
};

/* A lock that is usable from the beginning and never ended: static struct lock l =
 * LOCK_INIT("..."). */
#define LOCK_INIT(text)                                            \
	{                                                          \
		.mutex = PTHREAD_MUTEX_INITIALIZER, .name = (text) \
	}

/* Makes LOCK usable; NAME must outlive it. */
void lock_init(struct lock *lock, const char *name);

/* Ends LOCK, which nobody may hold. */
void lock_done(struct lock *lock);

/* Waits for LOCK and takes it. Not recursive. */
void lock_take(struct lock *lock) LOCK_ATTRIBUTE(acquire_capability(lock));

/* Gives LOCK back; only its holder may. */
void lock_drop(struct lock *lock) LOCK_ATTRIBUTE(release_capability(lock));

/* A condition variable on CLOCK_MONOTONIC. */
struct bell {
	pthread_cond_t cond;
};

/* Makes BELL usable / ends it, when nobody waits for it. */
void bell_init(struct bell *bell);
void bell_done(struct bell *bell);

/* Wakes one waiter, or all of them, if there are any. Any thread. */
void bell_ring(struct bell *bell);
void bell_ring_all(struct bell *bell);

/*
 * Waits for BELL with LOCK held (dropped while asleep), at most until DEADLINE (clock_now() time or
 * USEC_NEVER). Returns false when the deadline has passed. May also wake for nothing: wait in a
 * loop around the condition.
 */
bool bell_wait(struct bell *bell, struct lock *lock, usec_t deadline) REQUIRES_LOCK(lock);

/*
 * Starts a thread that runs RUN(ARGUMENT), with the caller's signal mask. It is named NAME (cut to
 * 15 bytes, as the kernel does), or not at all if that is NULL: naming another thread goes through
 * /proc and costs as much as starting it, so a thread that is one of many names itself. STACK and
 * STACK_SIZE give it a stack of the caller's, which must live until the thread is joined; a NULL
 * STACK takes one from the C library. The caller must join *RET_THREAD.
 *
 * Returns 0, or -EAGAIN (no memory or too many tasks) and leaves nothing behind.
 */
int thread_start(pthread_t *ret_thread, const char *name, void *stack, size_t stack_size,
		 void *(*run)(void *), void *argument);

/* Names the calling thread, as thread_start() would. */
void thread_name(const char *name);

/* Waits until THREAD has ended and releases it. */
void thread_join(pthread_t thread);

/* Leaves THREAD to itself, asleep in a call that may never return; nobody may join it any more. */
void thread_detach(pthread_t thread);

/*
 * A gate: closed at first, opened once, for ever. Any number of threads wait before it and all go
 * on at the same time, without taking a lock one after another (futex(2)).
 */
struct gate {
	_Atomic uint32_t open;
};

/* Waits until GATE is open; costs one load if it is. Any thread. */
void gate_wait(struct gate *gate);

/* Opens GATE. Any thread. */
void gate_open(struct gate *gate);
