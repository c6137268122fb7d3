/*
 * Time: microseconds of CLOCK_MONOTONIC for deadlines (they hold through a change of the wall
 * clock; the same clock sd_notify(3) wants for MONOTONIC_USEC) and of CLOCK_REALTIME for records.
 *
 * A duration or deadline of USEC_NEVER does not end. Any thread; nothing here fails.
 */
#pragma once

#include <stdint.h>
#include <sys/time.h>
#include <time.h>

typedef uint64_t usec_t;

#define USEC_NEVER    UINT64_MAX
#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define NSEC_PER_USEC UINT64_C(1000)

/* Microseconds since some fixed moment; only differences mean something. */
usec_t clock_now(void);

/* Microseconds since 1970-01-01 00:00 UTC. */
usec_t clock_realtime(void);

/*
 * The moment AT of clock_now()'s clock as people are told it, by clock_realtime()'s as that is set
 * now; 0 if AT is USEC_NEVER.
 */
usec_t clock_shown(usec_t at);

/* START + DURATION, or USEC_NEVER when either is or the sum passes it. */
usec_t clock_deadline(usec_t start, usec_t duration);

/* What is left until DEADLINE at NOW: 0 once it has passed, USEC_NEVER if it is never. */
usec_t clock_left(usec_t deadline, usec_t now);

/* DURATION for poll(2): milliseconds rounded up, -1 for USEC_NEVER. */
int clock_poll_msec(usec_t duration);

/*
 * DURATION for SO_RCVTIMEO (socket(7)): there zero means for ever, so USEC_NEVER becomes zero and
 * zero becomes one microsecond.
 */
struct timeval clock_timeval(usec_t duration);

/* DURATION as a timespec; USEC_NEVER becomes the longest there is. */
struct timespec clock_timespec(usec_t duration);
