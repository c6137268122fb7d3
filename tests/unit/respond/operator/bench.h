/*
 * A pad, a pipe that orders come by, and what became of them: what pad.c and pad-death.c share.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "marcel/responder.h"
#include "respond/operator/pad.h"

#define LOG_MAX ((size_t)64 * 1024)

/* Texts one after another, each with a LF: orders, or what was refused, with the reason's number in
 * front. */
struct log {
	size_t used;
	char bytes[LOG_MAX];
};

/* A pad, a pipe, and what came of them. */
struct bench {
	_Alignas(uint64_t) char pad[MARCEL_PAD_SIZE];
	uint64_t taken;
	struct log refused;
	struct log orders;
};

static struct bench *bench;
static int ends[2];

static inline void log_add(struct log *log, const char *text, size_t length)
{
	assert_true(log->used + length + 1 <= LOG_MAX);
	if (length > 0)
		(void)memcpy(log->bytes + log->used, text, length);
	log->bytes[log->used + length] = '\n';
	log->used += length + 1;
}

static inline void refused(void *context, enum pad_refusal refusal, const char *text, size_t length)
{
	struct log *log = context;
	char line[PAD_LINE_MAX + 2];

	assert_true(length <= PAD_LINE_MAX);
	line[0] = (char)('0' + refusal);
	(void)memcpy(line + 1, text, length);
	log_add(log, line, length + 1);
}

static inline void make_pipe(int fds[2])
{
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_true(fcntl(fds[1], F_SETPIPE_SZ, 256 * 1024) > 0);
}

static inline int set_up(void **state)
{
	(void)state;
	bench = calloc(1, sizeof(*bench));
	assert_non_null(bench);
	(void)memset(bench->pad, 0xa5, sizeof(bench->pad));
	assert_false(pad_is_sound(bench->pad, 0));
	pad_reset(bench->pad);
	make_pipe(ends);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	(void)close(ends[0]);
	(void)close(ends[1]);
	free(bench);
	return 0;
}

static inline void feed_bytes(const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = write(ends[1], bytes, length);

		assert_true(n > 0);
		bytes += n;
		length -= (size_t)n;
	}
}

static inline void feed(const char *bytes)
{
	feed_bytes(bytes, strlen(bytes));
}

static inline int fill(usec_t now)
{
	int left = -1;
	int r = pad_fill(bench->pad, ends[0], bench->taken, now, refused, &bench->refused);

	assert_true(r == 0 || r == 1);
	assert_int_equal(ioctl(ends[0], FIONREAD, &left), 0);
	assert_int_equal(left, 0);
	assert_true(pad_is_sound(bench->pad, bench->taken));
	return r;
}

/* Takes at most N orders out. */
static inline void take(size_t n)
{
	char line[PAD_LINE_MAX];
	size_t length;

	while (n-- > 0 && pad_next(bench->pad, bench->taken, line, &length, &bench->taken))
		log_add(&bench->orders, line, length);
}

static inline void check_log(const struct log *log, const char *expected)
{
	assert_int_equal(log->used, strlen(expected));
	assert_memory_equal(log->bytes, expected, log->used);
}
