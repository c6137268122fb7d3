/*
 * Moments, for people: when, in local time, and how long ago. All times are CLOCK_REALTIME
 * microseconds. Any thread; nothing here fails.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MOMENT_SIZE 64

/* "2026-11-22 19:30:05" / "19:30:05". Return BUFFER. */
const char *moment_date(char buffer[MOMENT_SIZE], uint64_t time);
const char *moment_clock(char buffer[MOMENT_SIZE], uint64_t time);

/* The same for a moment to come, as it stands in a sentence: "at 19:30:05", or if that is more than
 * a day ahead "on 2026-11-22 at 19:30:05". */
const char *moment_ahead(char buffer[MOMENT_SIZE], uint64_t time);

/* How long ago TIME was, or is to be thought of: "4s", "5min 30s", "3h 20min", "2d 5h"; never less
 * than "0s". Returns BUFFER. */
const char *moment_age(char buffer[MOMENT_SIZE], uint64_t time);
