/*
 * A transport that a test controls: it keeps what it is sent and can be told to block, as a
 * stopped journald does.
 */
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/lock.h"
#include "record/record-priv.h"

struct collector {
	struct lock lock;
	struct bell changed; /* anything below: for the one thread of the test that waits */
	struct bell opened;  /* no longer blocked: for send() */
	bool blocked;        /* send() does not return */
	bool inside;         /* send() was called and has not returned */
	bool ended;          /* the thread that called send() is no more */
	pthread_key_t key;   /* to notice that */
	int result;          /* what send() returns */
	size_t calls;        /* of send() that returned */
	size_t n;            /* records sent */
	char *records[512];  /* the first of them: their parts, with a line feed after each */
	/* Called with each record if set, instead of keeping it. Under the lock. */
	void (*look)(struct collector *collector, const struct iovec *parts, size_t n_parts);
	void *context; /* the test's */
};

static inline char *join_parts(const struct iovec *parts, size_t n_parts)
{
	char *joined = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&joined, &size);

	for (size_t i = 0; stream != NULL && i < n_parts; i++) {
		(void)fwrite(parts[i].iov_base, parts[i].iov_len, 1, stream);
		(void)fputc('\n', stream);
	}
	if (stream == NULL || fclose(stream) != 0)
		abort();
	return joined;
}

/* Runs as the last thing in a thread that called send(). */
static inline void collector_end(void *argument)
{
	struct collector *collector = argument;

	lock_take(&collector->lock);
	collector->ended = true;
	bell_ring(&collector->changed);
	lock_drop(&collector->lock);
}

static inline int collect(void *context, const struct iovec *parts, size_t n_parts)
{
	struct collector *collector = context;
	int result;

	(void)pthread_setspecific(collector->key, collector);
	lock_take(&collector->lock);
	collector->inside = true;
	bell_ring(&collector->changed);
	while (collector->blocked)
		(void)bell_wait(&collector->opened, &collector->lock, USEC_NEVER);
	collector->inside = false;
	collector->calls++;
	result = collector->result;
	if (result == 0) {
		if (collector->look != NULL)
			collector->look(collector, parts, n_parts);
		else if (collector->n < sizeof(collector->records) / sizeof(collector->records[0]))
			collector->records[collector->n] = join_parts(parts, n_parts);
		collector->n++;
	}
	bell_ring(&collector->changed);
	lock_drop(&collector->lock);
	return result;
}

static inline void collector_init(struct collector *collector)
{
	*collector = (struct collector){.n = 0};
	assert_int_equal(pthread_key_create(&collector->key, collector_end), 0);
	lock_init(&collector->lock, "collector");
	bell_init(&collector->changed);
	bell_init(&collector->opened);
}

static inline void collector_done(struct collector *collector)
{
	for (size_t i = 0; i < sizeof(collector->records) / sizeof(collector->records[0]); i++)
		free(collector->records[i]);
	bell_done(&collector->changed);
	bell_done(&collector->opened);
	lock_done(&collector->lock);
	(void)pthread_key_delete(collector->key);
}

static inline struct record_transport collector_transport(struct collector *collector,
							  enum record_output output)
{
	return (struct record_transport){.output = output, .send = collect, .context = collector};
}

static inline void collector_block(struct collector *collector, bool blocked)
{
	lock_take(&collector->lock);
	collector->blocked = blocked;
	bell_ring(&collector->opened);
	lock_drop(&collector->lock);
}

/* Waits until N records were sent in all. */
static inline void collector_await(struct collector *collector, size_t n)
{
	lock_take(&collector->lock);
	while (collector->n < n)
		(void)bell_wait(&collector->changed, &collector->lock, USEC_NEVER);
	lock_drop(&collector->lock);
}

/* Waits until the journal thread has ended, which must have sent something. */
static inline void collector_await_end(struct collector *collector)
{
	lock_take(&collector->lock);
	while (!collector->ended)
		(void)bell_wait(&collector->changed, &collector->lock, USEC_NEVER);
	lock_drop(&collector->lock);
}

/* Waits until send() has returned N times in all. */
static inline void collector_await_calls(struct collector *collector, size_t n)
{
	lock_take(&collector->lock);
	while (collector->calls < n)
		(void)bell_wait(&collector->changed, &collector->lock, USEC_NEVER);
	lock_drop(&collector->lock);
}

/* Sets what send() returns. */
static inline void collector_answer(struct collector *collector, int result)
{
	lock_take(&collector->lock);
	collector->result = result;
	lock_drop(&collector->lock);
}

/* Waits until the journal thread sleeps in send(). */
static inline void collector_await_stall(struct collector *collector)
{
	lock_take(&collector->lock);
	while (!collector->inside || !collector->blocked)
		(void)bell_wait(&collector->changed, &collector->lock, USEC_NEVER);
	lock_drop(&collector->lock);
}

/* Whether RECORD, as collected, has the part WANTED. */
static inline bool has_part(const char *record, const char *wanted)
{
	size_t length = strlen(wanted);

	for (const char *at = record; at != NULL && *at != '\0'; at = strchr(at, '\n') + 1)
		if (strncmp(at, wanted, length) == 0 && at[length] == '\n')
			return true;
	return false;
}
