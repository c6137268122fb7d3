/* Reading and converting time; see clock.h. */
#include "base/clock.h"

#include <limits.h>

static usec_t read_clock(clockid_t id)
{
	struct timespec now;

	/* These clocks always exist on Linux; clock_gettime can't fail for them. */
	(void)clock_gettime(id, &now);
	return (usec_t)now.tv_sec * USEC_PER_SEC + (usec_t)now.tv_nsec / NSEC_PER_USEC;
}

usec_t clock_now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

usec_t clock_realtime(void)
{
	return read_clock(CLOCK_REALTIME);
}

usec_t clock_shown(usec_t at)
{
	return at != USEC_NEVER ? clock_realtime() - clock_now() + at : 0;
}

usec_t clock_deadline(usec_t start, usec_t duration)
{
	return duration > USEC_NEVER - start ? USEC_NEVER : start + duration;
}

usec_t clock_left(usec_t deadline, usec_t now)
{
	if (deadline == USEC_NEVER)
		return USEC_NEVER;
	return deadline > now ? deadline - now : 0;
}

int clock_poll_msec(usec_t duration)
{
	usec_t msec = duration / USEC_PER_MSEC + (duration % USEC_PER_MSEC != 0);

	if (duration == USEC_NEVER)
		return -1;
	return msec > INT_MAX ? INT_MAX : (int)msec;
}

struct timeval clock_timeval(usec_t duration)
{
	if (duration == USEC_NEVER)
		duration = 0;
	else if (duration == 0)
		duration = 1;
	return (struct timeval){
		.tv_sec = (time_t)(duration / USEC_PER_SEC),
		.tv_usec = (suseconds_t)(duration % USEC_PER_SEC),
	};
}

struct timespec clock_timespec(usec_t duration)
{
	return (struct timespec){
		.tv_sec = (time_t)(duration / USEC_PER_SEC),
		.tv_nsec = (long)(duration % USEC_PER_SEC * NSEC_PER_USEC),
	};
}
