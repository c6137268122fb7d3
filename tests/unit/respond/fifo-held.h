/*
 * A conversation that the fifo responder answers, over a channel that is none (operator/fake.h):
 * what fifo.c and fifo-carried.c share.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "operator/fake.h"
#include "respond/fifo-responder.h"

#define SECONDS(n) ((n)*USEC_PER_SEC)

/* What load() has told, one fault a line. */
static char faults[1024];

/* What load() made for the conversation that set_up() opens. */
static void *shared;

static inline void fault(void *context, const char *file, unsigned line, const char *text)
{
	size_t used = strlen(faults);
	int n;

	(void)context;
	assert_true(used + 512 < sizeof(faults));
	n = snprintf(faults + used, 512, "%s:%u: %s\n", file, line, text);
	assert_in_range(n, 1, 511);
}

static inline int load(const struct marcel_setting *settings, size_t count, void **ret_shared)
{
	const struct marcel_settings all = {"m.ini", "fifo", settings, count};

	faults[0] = '\0';
	return fifo_responder.load(&all, fault, NULL, ret_shared);
}

static inline int set_up(void **state)
{
	(void)fake_set_up(state);
	assert_int_equal(load(NULL, 0, &shared), 0);
	assert_string_equal(faults, "");
	assert_int_equal(fake_open(&fifo_responder, shared), 0);
	fake_expect("make fifo\nshow 0 0\n");
	assert_int_equal(fake.c.wake_fd, fake.fds[0]);
	assert_true(fake.c.uses_pad);
	return 0;
}

static inline int tear_down(void **state)
{
	fifo_responder.unload(shared);
	return fake_tear_down(state);
}

/* The client says TEXT, and gets nothing at once. */
static inline void ask(const char *text)
{
	assert_int_equal(fake_message(text), MARCEL_CONTINUE);
	fake_expect_said("");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
