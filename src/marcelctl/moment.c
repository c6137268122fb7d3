/* Moments, for people; see moment.h. */
#include "marcelctl/moment.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "base/text.h"

const char *moment_date(char buffer[MOMENT_SIZE], uint64_t time)
{
	const time_t seconds = (time_t)(time / USEC_PER_SEC);
	struct tm tm;

	if (localtime_r(&seconds, &tm) == NULL ||
	    strftime(buffer, MOMENT_SIZE, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		(void)snprintf(buffer, MOMENT_SIZE, "-");
	return buffer;
}

const char *moment_clock(char buffer[MOMENT_SIZE], uint64_t time)
{
	const time_t seconds = (time_t)(time / USEC_PER_SEC);
	struct tm tm;

	if (localtime_r(&seconds, &tm) == NULL ||
	    strftime(buffer, MOMENT_SIZE, "%H:%M:%S", &tm) == 0)
		(void)snprintf(buffer, MOMENT_SIZE, "-");
	return buffer;
}

const char *moment_ahead(char buffer[MOMENT_SIZE], uint64_t time)
{
	const usec_t day = (usec_t)24 * 3600 * USEC_PER_SEC;
	char date[MOMENT_SIZE];
	char *clock;

	(void)moment_date(date, time);
	clock = strchr(date, ' ');
	if (clock == NULL || time <= clock_realtime() + day) {
		(void)snprintf(buffer, MOMENT_SIZE, _("at %s"), clock == NULL ? date : clock + 1);
		return buffer;
	}
	*clock++ = '\0';
	(void)snprintf(buffer, MOMENT_SIZE, _("on %s at %s"), date, clock);
	return buffer;
}

const char *moment_age(char buffer[MOMENT_SIZE], uint64_t time)
{
	const usec_t hour = 3600 * USEC_PER_SEC;
	const usec_t now = clock_realtime();
	usec_t age = now > time ? now - time : 0;
	usec_t unit = USEC_PER_SEC;

	/* Two units say enough. */
	if (age >= hour)
		unit = 60 * USEC_PER_SEC;
	if (age >= 24 * hour)
		unit = hour;
	age -= age % unit;
	if (age == 0)
		(void)snprintf(buffer, MOMENT_SIZE, "0s");
	else
		(void)text_format_duration(buffer, MOMENT_SIZE, age);
	return buffer;
}
