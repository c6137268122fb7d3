/*
 * READY, STATUS, WATCHDOG and the like; see notify.h.
 *
 * NOTE ON THE WATCHDOG. It says that the daemon is alive only if that is true of all of it: the
 * main loop, since this runs in it, and every conversation thread that owes progress. A thread that
 * waits for its client owes none; one that has been at work since the last look and has not moved
 * is stuck, and the watchdog is left to bite. The record names it first.
 */
#include "daemon/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "converse/turn.h"
#include "record/record.h"

#define STATUS_AT_MOST_EVERY USEC_PER_SEC

static void tell_status(struct notify *notify)
{
	const struct handover_figures *figures = notify->figures;
	char handover[128] = "";

	notify->status_told = clock_now();
	if (figures->carried + figures->lost > 0)
		(void)snprintf(handover, sizeof(handover),
			       "; carried over %" PRIu64 ", lost %" PRIu64 ", frozen for %" PRIu64
			       " ms",
			       figures->carried, figures->lost, figures->freeze / USEC_PER_MSEC);
	(void)sd_notifyf(0, "STATUS=%" PRIu32 " conversations, %" PRIu64 " since the start%s",
			 notify->roster->live, notify->roster->total, handover);
}

static int on_status(sd_event_source *source, uint64_t usec, void *argument)
{
	(void)source;
	(void)usec;
	tell_status(argument);
	return 0;
}

static void record_stuck(struct notify *notify, const struct conversation *stuck)
{
	struct record_about about = turn_about(stuck);

	if (notify->stuck == about.number)
		return;
	notify->stuck = about.number;
	record_event(RECORD_STUCK, &about, NULL, 0,
		     "Conversation %" PRIu64
		     " makes no progress: the watchdog is not told that all is well",
		     about.number);
}

static int on_watchdog(sd_event_source *source, uint64_t usec, void *argument)
{
	struct notify *notify = argument;
	const struct conversation *stuck = roster_find_stuck(notify->roster);

	(void)usec;
	if (stuck == NULL)
		(void)sd_notify(0, "WATCHDOG=1");
	else
		record_stuck(notify, stuck);
	(void)sd_event_source_set_time(source, clock_now() + notify->watchdog_pace);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int notify_init(struct notify *notify, sd_event *loop, struct roster *roster,
		const struct handover_figures *figures)
{
	uint64_t interval = 0;
	int r;

	*notify = (struct notify){.loop = loop, .roster = roster, .figures = figures};
	r = sd_event_add_time(loop, &notify->status, CLOCK_MONOTONIC, 0, 0, on_status, notify);
	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(notify->status, SD_EVENT_OFF);
	r = sd_watchdog_enabled(0, &interval);
	if (r <= 0)
		return r;
	notify->watchdog_pace = interval / 2;
	return sd_event_add_time(loop, &notify->watchdog, CLOCK_MONOTONIC,
				 clock_now() + notify->watchdog_pace, 0, on_watchdog, notify);
}

void notify_done(struct notify *notify)
{
	notify->watchdog = sd_event_source_disable_unref(notify->watchdog);
	notify->status = sd_event_source_disable_unref(notify->status);
}

void notify_ready(struct notify *notify)
{
	(void)sd_notify(0, "READY=1");
	tell_status(notify);
}

void notify_reloading(struct notify *notify)
{
	(void)notify;
	/* The time tells this reload's messages from an earlier one's (Type=notify-reload). */
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_now());
}

void notify_stopping(struct notify *notify, usec_t timeout)
{
	(void)sd_notifyf(0,
			 "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64
			 "\nSTATUS=Saying farewell to %" PRIu32 " conversations",
			 timeout, notify->roster->live);
	(void)sd_event_source_set_enabled(notify->status, SD_EVENT_OFF);
}

void notify_handing_over(struct notify *notify)
{
	(void)sd_notifyf(0, "STATUS=Handing over %" PRIu32 " conversations", notify->roster->live);
	(void)sd_event_source_set_enabled(notify->status, SD_EVENT_OFF);
}

void notify_changed(struct notify *notify)
{
	int enabled = SD_EVENT_OFF;

	/* Clients that begin before there is a loop: notify_ready() tells of them. */
	if (notify->status == NULL)
		return;
	(void)sd_event_source_get_enabled(notify->status, &enabled);
	if (enabled != SD_EVENT_OFF)
		return;
	(void)sd_event_source_set_time(notify->status, notify->status_told + STATUS_AT_MOST_EVERY);
	(void)sd_event_source_set_enabled(notify->status, SD_EVENT_ONESHOT);
}
