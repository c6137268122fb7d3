/*
 * What the tests of the operator channel share: a temporary directory, records that are counted
 * instead of told, and a look at files.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#include "base/clock.h"
#include "respond/operator/channel.h"

/* Longer than any machine takes, for what must happen at last. */
#define WORLD_PATIENCE (60 * USEC_PER_SEC)

struct world {
	char root[64];  /* a directory of the test's own */
	char path[128]; /* the channel's, in it */
};

/* A cmocka setup and teardown: *STATE is a struct world. */
int world_set_up(void **state);
int world_tear_down(void **state);

/* As fork(2); a failed assertion ends the child. */
pid_t world_fork(void);

/* The whole of the file PATH in the channel's directory (static, of this thread); "" if it can't be
 * read. */
const char *world_read(const struct world *world, const char *path);

/* How often TEXT stands in that file. */
size_t world_count(const struct world *world, const char *path, const char *text);

/* The absolute path (static, of this thread). */
const char *world_path(const struct world *world, const char *path);

/* Waits until TEXT stands in the file PATH N times / until PATH is there, or not. */
void world_await(const struct world *world, const char *path, const char *text, size_t n);
void world_await_path(const struct world *world, const char *path, bool there);

/* Writes LINE and LF into PATH, which is there. Returns whether that worked. */
bool world_order(const struct world *world, const char *path, const char *line);

/* Writes LENGTH bytes at BYTES into DIRECTORY/in, however long that takes. */
void world_put(const struct world *world, const char *bytes, size_t length);

/* Opens the channel with GRACE / makes the place of NUMBER. */
void world_open(const struct world *world, usec_t grace);
struct place *world_place(uint64_t number);
struct place_about world_about(uint64_t number);

/* Reads what is in PLACE's FIFO, waiting for at least one byte; static. */
const char *world_take(const struct place *place);

/* Sees that the numbers of `events` (and events.1 before it) count without gaps from FIRST. Returns
 * the last one. */
uint64_t world_check_numbers(const struct world *world, uint64_t first);

/* How many records of trouble there were that contain TEXT. */
unsigned world_troubles(const char *text);
