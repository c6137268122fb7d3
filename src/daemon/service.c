/*
 * Serving: the main thread's event loop, and what signals make of it.
 *
 * Reload (SIGHUP): the new configuration is read and checked whole. A bad one changes nothing; a
 * good one is for the conversations that begin from now on.
 *
 * Stop (SIGTERM, SIGINT): no more clients; everyone hears the farewell; who has not taken it after
 * stop_timeout is broken off; then the last records are sent. A second signal breaks off at once.
 *
 * Handover (the same signals, when the service manager is about to start us again: job.h): those
 * conversations that need it are frozen where they are, and the process ends; the next one carries
 * on with all.
 */
#include "daemon/service.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/i18n.h"
#include "converse/endword.h"
#include "converse/wire.h"
#include "daemon/job.h"
#include "daemon/service-priv.h"
#include "record/record.h"
#include "respond/operator/channel.h"

/* After the stop deadline: how long threads may take to notice that they were broken off. */
#define ABORT_GRACE (2 * USEC_PER_SEC)
/* How long threads may take to freeze; one that does not is found in the middle of its turn. */
#define FREEZE_GRACE (3 * USEC_PER_SEC)
/* How long the last records may take to be sent. */
#define RECORDS_GRACE (3 * USEC_PER_SEC)

static void set_deadline(struct service *service, usec_t wait)
{
	(void)sd_event_source_set_time(service->deadline, clock_deadline(clock_now(), wait));
	(void)sd_event_source_set_enabled(service->deadline, SD_EVENT_ONESHOT);
}

/* Ends the loop when there is nothing to wait for any more. */
static void leave_if_done(struct service *service)
{
	bool done = service->stage == SERVICE_LEAVING ? roster_is_frozen(&service->roster)
						      : service->roster.live == 0;

	if (service->stage != SERVICE_SERVING && done)
		(void)sd_event_exit(service->loop, EXIT_OK);
}

static int on_finished(sd_event_source *source, int fd, uint32_t events, void *argument)
{
	struct service *service = argument;

	(void)source;
	(void)fd;
	(void)events;
	if (roster_reap(&service->roster) > 0 && service->stage == SERVICE_SERVING)
		notify_changed(&service->notify);
	leave_if_done(service);
	return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *argument)
{
	struct service *service = argument;

	(void)source;
	(void)usec;
	if (service->stage == SERVICE_STOPPING) {
		service->stage = SERVICE_ABORTING;
		roster_wake_all(&service->roster, MAIL_ABORT);
		set_deadline(service, ABORT_GRACE);
		return 0;
	}
	/* Their threads do not even come forward: leave them behind. */
	record_note(RECORD_TROUBLE, "%" PRIu32 " conversations did not %s in time",
		    service->roster.live, service->stage == SERVICE_LEAVING ? "freeze" : "end");
	return sd_event_exit(service->loop, EXIT_OK);
}

static void stop(struct service *service)
{
	service->stage = SERVICE_STOPPING;
	record_note(RECORD_STOPPING, "Stopping: %" PRIu32 " conversations hear the farewell",
		    service->roster.live);
	notify_stopping(&service->notify,
			clock_deadline(service->config->stop_timeout, ABORT_GRACE + RECORDS_GRACE));
	acceptor_stop(&service->acceptor);
	roster_wake_all(&service->roster, MAIL_STOP);
	set_deadline(service, service->config->stop_timeout);
	leave_if_done(service);
}

static void hand_over(struct service *service)
{
	service->stage = SERVICE_LEAVING;
	record_note(RECORD_HANDOVER, "Handing over %" PRIu32 " conversations",
		    service->roster.live);
	notify_handing_over(&service->notify);
	handover_leave(&service->handover);
	acceptor_stop(&service->acceptor);
	roster_freeze(&service->roster);
	set_deadline(service, FREEZE_GRACE);
	leave_if_done(service);
}

static int on_end(sd_event_source *source, const struct signalfd_siginfo *info, void *argument)
{
	struct service *service = argument;

	(void)source;
	(void)info;
	if (service->stage != SERVICE_SERVING)
		set_deadline(service, 0);
	else if (job_is_restart())
		hand_over(service);
	else
		stop(service);
	return 0;
}

/* Records a fault, each of its lines (a script's are shown with a caret) as one record. */
static void record_fault(const char *text)
{
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		record_note(RECORD_RELOAD_FAILED, "%.*s", (int)length, text);
		text += length + (text[length] == '\n');
	}
}

/* All that REPORT kept, a fault a line. Owned; NULL without memory. */
static char *text_of(const struct report *report)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	if (stream == NULL)
		return NULL;
	for (size_t i = 0; i < report->kept; i++)
		(void)fprintf(stream, "%s\n", report->texts[i]);
	return fclose(stream) == 0 ? text : NULL;
}

void service_reload(struct service *service)
{
	auto_cleanup(report_done) struct report report = REPORT_INIT;
	auto_free char *text = NULL;
	struct config *config;
	int r = config_load(service->options->file, &service->options->overrides, &report, &config);

	if (r < 0) {
		for (size_t i = 0; i < report.kept; i++)
			record_fault(report.texts[i]);
		record_note(
			RECORD_RELOAD_FAILED,
			"The new configuration is not used (%zu faults, %s); the present one stays",
			report.count, strerrordesc_np(-r));
		text = text_of(&report);
		service_tell_reloaded(service, r, text);
		return;
	}
	if (strcmp(config->listen, service->config->listen) != 0)
		record_note(RECORD_NOTICE, "listen= has changed: that takes a restart");
	config_unref(service->config);
	service->config = config;
	record_set_transcript(config->transcript, config->transcript_max);
	watch_keep_past(service->watch, config->transcript == TRANSCRIPT_FULL);
	record_note(RECORD_RELOADED, "The configuration was reloaded; conversations that go on "
				     "keep the former one");
	service_tell_reloaded(service, 0, NULL);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *argument)
{
	struct service *service = argument;

	(void)source;
	(void)info;
	if (service->stage != SERVICE_SERVING)
		return 0;
	notify_reloading(&service->notify);
	service_reload(service);
	notify_ready(&service->notify);
	return 0;
}

/* Signals, ended conversations and deadlines come to the loop from here on. */
static int watch(struct service *service)
{
	int r = sd_event_add_signal(service->loop, NULL, SIGTERM, on_end, service);

	if (r >= 0)
		r = sd_event_add_signal(service->loop, NULL, SIGINT, on_end, service);
	if (r >= 0)
		r = sd_event_add_signal(service->loop, NULL, SIGHUP, on_reload, service);
	if (r >= 0)
		r = sd_event_add_io(service->loop, NULL, service->roster.event, EPOLLIN,
				    on_finished, service);
	if (r >= 0)
		r = sd_event_add_time(service->loop, &service->deadline, CLOCK_MONOTONIC, 0, 0,
				      on_deadline, service);
	if (r >= 0)
		r = sd_event_source_set_enabled(service->deadline, SD_EVENT_OFF);
	if (r >= 0)
		r = notify_init(&service->notify, service->loop, &service->roster,
				&service->handover.figures);
	return r;
}

/* Says where the daemon is ready: one line, for people and programs. */
static void announce(const struct service *service)
{
	if (service->config->file == NULL)
		(void)fprintf(stderr, _("marceld: no %s, so the built-in defaults are used\n"),
			      CONFIG_FILE_DEFAULT);
	(void)printf("ready on");
	for (size_t i = 0; i < service->listeners.count; i++)
		(void)printf(" %s", service->listeners.items[i].address);
	(void)printf("\n");
	(void)fflush(stdout);
	for (size_t i = 0; i < service->listeners.count; i++)
		record_note(RECORD_READY, "Ready on %s", service->listeners.items[i].address);
}

static int serve(struct service *service)
{
	int status, r;

	service->began = clock_realtime();
	status = service_start(service);
	if (status >= 0)
		return status;
	r = watch(service);
	if (r < 0)
		return service_refuse(_("cannot watch for events"), r);
	r = service_start_control(service);
	if (r < 0)
		return service_refuse(_("cannot start the control"), r);
	announce(service);
	handover_store(&service->handover);
	notify_ready(&service->notify);
	handover_ready(&service->handover);
	r = sd_event_loop(service->loop);
	if (r < 0)
		return service_refuse(_("the event loop failed"), r);
	if (service->stage != SERVICE_LEAVING)
		record_note(RECORD_STOPPED, "Stopped after %" PRIu64 " conversations",
			    service->roster.total);
	return r;
}

/* The last records, and everything that leak checkers would miss. */
static void finish(struct service *service)
{
	bool abandoned = service->roster.live > 0;

	service_stop_control(service);
	/* Ended with the process it might leave its last line undone, and the next one repeat it.
	 */
	if (service->stage == SERVICE_STOPPING || service->stage == SERVICE_ABORTING)
		channel_end();
	else
		channel_rest();
	if (abandoned)
		roster_abandon(&service->roster);
	if (service->stage == SERVICE_LEAVING && abandoned)
		/* Nobody may touch the table's ring but threads that record; they may go on doing
		 * so. */
		return;
	if (service->stage == SERVICE_LEAVING)
		record_leave();
	else
		record_stop(clock_now() + RECORDS_GRACE);
	listeners_close(&service->listeners);
	/* Threads that go on, or did not end, use all that follows; the end of the process is
	 * theirs. */
	if (abandoned)
		return;
	notify_done(&service->notify);
	acceptor_done(&service->acceptor);
	(void)sd_event_source_disable_unref(service->deadline);
	(void)sd_event_unref(service->loop);
	handover_done(&service->handover);
	roster_done(&service->roster);
	channel_close();
	service_unwatch(service);
	config_unref(service->config);
}

/* Signals of the loop are blocked in all threads; the loop reads them from a descriptor. */
static void block_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	wire_init_signal();
}

/*
 * Sends those away who wait for a daemon that cannot start: each of them would make the service
 * manager start it again, for nothing.
 */
static void turn_away(void)
{
	auto_cleanup(report_done) struct report report = REPORT_INIT;
	struct listeners listeners = LISTENERS_INIT;

	(void)listeners_inherit(&listeners, NULL, NULL, &report);
	for (size_t i = 0; i < listeners.count; i++) {
		int fd;

		while ((fd = accept4(listeners.items[i].fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
			close_fd(&fd);
	}
	listeners_close(&listeners);
}

int service_run(const struct options *options)
{
	/* Not on the stack: threads that are left behind use it until the process is gone. */
	static struct service service = {
		.roster = {.table = {.fd = -1}, .event = -1},
		.listeners = LISTENERS_INIT,
		.acceptor = {.waiting = -1},
		.reload_wanted = -1,
		.handover = {.tables = {-1, -1},
			     .ends = {-1, -1},
			     .source = {.fd = -1},
			     .vault = {.in = -1, .out = -1}},
	};
	struct report report = REPORT_INIT;
	int status;
	int r = config_load(options->file, &options->overrides, &report, &service.config);

	service.options = options;
	if (r < 0) {
		service_complain(&report);
		report_done(&report);
		if (!options->check_config)
			turn_away();
		return r == -EINVAL ? EXIT_CONFIG
				    : service_refuse(_("cannot read the configuration"), r);
	}
	if (options->check_config) {
		r = config_print(service.config, stdout);
		config_unref(service.config);
		return r < 0 ? service_refuse(_("cannot print the configuration"), r) : EXIT_OK;
	}
	record_set_output(options->log);
	/* Who else may see files of ours is said by the directory they are in; the group of
	 * operators does no more than that, and others nothing. */
	(void)umask(umask(S_IRWXO) | S_IWGRP | S_IRWXO);
	block_signals();
	endword_init();
	status = serve(&service);
	finish(&service);
	return status;
}
