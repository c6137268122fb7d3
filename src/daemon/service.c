/*
 * Starting, reloading and stopping, in the main thread's event loop.
 *
 * Start: the configuration, then everything that can fail without anybody noticing (memory,
 * descriptors, the event loop), then the sockets, then READY. A fault before READY is told on
 * standard error and ends the process with the status of its kind.
 *
 * Reload (SIGHUP): the new configuration is read and checked whole. A bad one changes nothing; a
 * good one is for the conversations that begin from now on.
 *
 * Stop (SIGTERM, SIGINT): no more clients; everyone hears the farewell; who has not taken it after
 * stop_timeout is broken off; then the last records are sent. A second signal breaks off at once.
 */
#include "daemon/service.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/i18n.h"
#include "converse/endword.h"
#include "converse/roster.h"
#include "converse/turn.h"
#include "converse/wire.h"
#include "daemon/config.h"
#include "daemon/notify.h"
#include "listen/acceptor.h"
#include "listen/sockets.h"
#include "record/record.h"

/* Descriptors that are not clients': the listening sockets, the journal, the loop's own. */
#define DESCRIPTORS_KEPT 64
/* After the stop deadline: how long threads may take to notice that they were broken off. */
#define ABORT_GRACE (2 * USEC_PER_SEC)
/* How long the last records may take to be sent. */
#define RECORDS_GRACE (3 * USEC_PER_SEC)

struct service {
	const struct options *options;
	struct config *config; /* the one for new conversations */
	sd_event *loop;
	struct roster roster;
	struct listeners listeners;
	struct acceptor acceptor;
	struct notify notify;
	sd_event_source *stop_timer;
	bool stopping;
	bool aborting;
};

/* Tells the faults of REPORT on standard error; the journal reads "<3>" as their priority. */
static void complain(const struct report *report)
{
	const char *prefix = getenv("JOURNAL_STREAM") != NULL ? SD_ERR : "";

	for (size_t i = 0; i < report->kept; i++)
		(void)fprintf(stderr, "%s%s\n", prefix, report->texts[i]);
	if (report->count > report->kept)
		(void)fprintf(stderr, _("%sand %zu more\n"), prefix, report->count - report->kept);
}

static int refuse_to_start(const char *what, int error)
{
	(void)fprintf(stderr, _("marceld: %s: %s\n"), what, strerror(-error));
	return EXIT_OSERR;
}

static const struct face *take_face(void *context, const char *name)
{
	struct service *service = context;

	return config_face(config_ref(service->config), name);
}

static void release_face(void *context, const struct face *face)
{
	(void)context;
	config_unref(face->owner);
}

/* A conversation is over; its thread is joined. */
static void on_over(void *context, const struct conversation *conversation)
{
	struct service *service = context;

	acceptor_over(&service->acceptor, conversation);
	release_face(service, conversation->origin.face);
}

static void finish_if_alone(struct service *service)
{
	if (service->stopping && service->roster.live == 0)
		(void)sd_event_exit(service->loop, EXIT_OK);
}

static int on_finished(sd_event_source *source, int fd, uint32_t events, void *argument)
{
	struct service *service = argument;

	(void)source;
	(void)fd;
	(void)events;
	if (roster_reap(&service->roster) > 0 && !service->stopping)
		notify_changed(&service->notify);
	finish_if_alone(service);
	return 0;
}

static int on_started(sd_event_source *source, void *argument)
{
	struct service *service = argument;
	static uint64_t seen;

	(void)source;
	if (service->roster.total != seen && !service->stopping) {
		seen = service->roster.total;
		notify_changed(&service->notify);
	}
	return 0;
}

static int on_stop_deadline(sd_event_source *source, uint64_t usec, void *argument)
{
	struct service *service = argument;

	(void)usec;
	if (service->aborting) {
		/* Their threads do not even come forward: leave them behind. */
		record_note(RECORD_TROUBLE, "%" PRIu32 " conversations did not end in time",
			    service->roster.live);
		return sd_event_exit(service->loop, EXIT_OK);
	}
	service->aborting = true;
	roster_wake_all(&service->roster, MAIL_ABORT);
	(void)sd_event_source_set_time(source, clock_now() + ABORT_GRACE);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int stop(struct service *service)
{
	service->stopping = true;
	record_note(RECORD_STOPPING, "Stopping: %" PRIu32 " conversations hear the farewell",
		    service->roster.live);
	notify_stopping(&service->notify);
	acceptor_stop(&service->acceptor);
	roster_wake_all(&service->roster, MAIL_STOP);
	(void)sd_event_source_set_time(service->stop_timer,
				       clock_deadline(clock_now(), service->config->stop_timeout));
	(void)sd_event_source_set_enabled(service->stop_timer, SD_EVENT_ONESHOT);
	finish_if_alone(service);
	return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *argument)
{
	struct service *service = argument;

	(void)source;
	(void)info;
	if (!service->stopping)
		return stop(service);
	(void)sd_event_source_set_time(service->stop_timer, clock_now());
	return 0;
}

static void reload(struct service *service)
{
	auto_cleanup(report_done) struct report report = REPORT_INIT;
	struct config *config;
	int r = config_load(service->options->file, &service->options->overrides, &report, &config);

	if (r < 0) {
		for (size_t i = 0; i < report.kept; i++)
			record_note(RECORD_RELOAD_FAILED, "%s", report.texts[i]);
		record_note(
			RECORD_RELOAD_FAILED,
			"The new configuration is not used (%zu faults, %s); the present one stays",
			report.count, strerrordesc_np(-r));
		return;
	}
	if (strcmp(config->listen, service->config->listen) != 0)
		record_note(RECORD_NOTICE, "listen= has changed: that takes a restart");
	config_unref(service->config);
	service->config = config;
	record_set_transcript(config->transcript, config->transcript_max);
	record_note(RECORD_RELOADED,
		    "The configuration was reloaded; conversations that go on keep the former one");
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *argument)
{
	struct service *service = argument;

	(void)source;
	(void)info;
	if (service->stopping)
		return 0;
	notify_reloading(&service->notify);
	reload(service);
	notify_ready(&service->notify);
	return 0;
}

/* Raises the soft limit of descriptors to the hard one. Returns what is in force. */
static uint64_t raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return DESCRIPTORS_KEPT;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t soft = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			limit.rlim_cur = soft;
	}
	return limit.rlim_cur;
}

/* PATH below the service's runtime directory (systemd.exec(5)), or NULL without one. Owned. */
static char *runtime_path(const char *name)
{
	const char *directory = getenv("RUNTIME_DIRECTORY");
	char *path;

	if (directory == NULL || directory[0] == '\0')
		return NULL;
	if (asprintf(&path, "%.*s/%s", (int)strcspn(directory, ":"), directory, name) < 0)
		return NULL;
	return path;
}

/* Makes the roster, whose size the descriptors decide, and the records, whose ring lies in it. */
static int start_state(struct service *service)
{
	auto_free char *numbers = runtime_path("number");
	auto_free char *leftover = runtime_path("records");
	uint64_t descriptors = raise_descriptor_limit();
	uint64_t wanted = service->config->faces[0].limits.conversations;
	uint32_t capacity = descriptors < TABLE_CAPACITY_MAX ? (uint32_t)descriptors
							     : TABLE_CAPACITY_MAX;
	int r = roster_init(&service->roster, capacity, numbers, on_over, service);

	if (r < 0)
		return r;
	r = record_start(service->options->log, service->roster.table.ring, TABLE_RING_SIZE,
			 leftover);
	if (r < 0)
		return r;
	record_set_transcript(service->config->transcript, service->config->transcript_max);
	if (wanted + DESCRIPTORS_KEPT > descriptors)
		record_note(RECORD_NOTICE,
			    "The limit of %" PRIu64
			    " descriptors (LimitNOFILE=) is less than %" PRIu64
			    " conversations need: clients beyond it will wait",
			    descriptors, wanted);
	return 0;
}

/* Binds what the command line or else the configuration says. */
static int bind_listeners(struct service *service, struct report *report)
{
	const struct options *options = service->options;
	const struct config *config = service->config;
	int r = 0;

	for (size_t i = 0; r == 0 && i < options->n_listen; i++)
		r = listeners_bind(&service->listeners, "", options->listen[i], config->backlog,
				   report);
	if (r < 0 || options->n_listen > 0)
		return r;
	r = listeners_bind_all(&service->listeners, "", config->listen, config->backlog, report);
	for (size_t i = 1; r == 0 && i < config->n_faces; i++)
		r = listeners_bind_all(&service->listeners, config->faces[i].name,
				       config->faces[i].listen, config->backlog, report);
	return r;
}

/*
 * Takes systemd's sockets, or else binds. Before any thread: taking them changes the environment.
 * Returns -1 to go on, or the exit status.
 */
static int open_listeners(struct service *service)
{
	auto_cleanup(report_done) struct report report = REPORT_INIT;
	int r = listeners_inherit(&service->listeners, NULL, NULL, &report);

	if (r > 0)
		return -1;
	if (r < 0) {
		complain(&report);
		return report.count > 0 ? EXIT_CONFIG : refuse_to_start(_("cannot listen"), r);
	}
	r = bind_listeners(service, &report);
	if (r == 0 && service->listeners.count > 0)
		return -1;
	if (r == 0)
		report_add(&report, _("marceld: listen= is empty: there is nothing to listen on"));
	complain(&report);
	if (report.count == 0)
		return refuse_to_start(_("cannot listen"), r);
	if (r == 0)
		return EXIT_CONFIG;
	return r == -EINVAL || r == -ENAMETOOLONG ? EXIT_USAGE : EXIT_OSERR;
}

static int start_loop(struct service *service)
{
	int r = sd_event_new(&service->loop);

	if (r < 0)
		return r;
	r = sd_event_add_signal(service->loop, NULL, SIGTERM, on_stop, service);
	if (r >= 0)
		r = sd_event_add_signal(service->loop, NULL, SIGINT, on_stop, service);
	if (r >= 0)
		r = sd_event_add_signal(service->loop, NULL, SIGHUP, on_reload, service);
	if (r >= 0)
		r = sd_event_add_io(service->loop, NULL, service->roster.event, EPOLLIN,
				    on_finished, service);
	if (r >= 0)
		r = sd_event_add_post(service->loop, NULL, on_started, service);
	if (r >= 0)
		r = sd_event_add_time(service->loop, &service->stop_timer, CLOCK_MONOTONIC, 0, 0,
				      on_stop_deadline, service);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(service->stop_timer, SD_EVENT_OFF);
}

/* Says where the daemon is ready: one line, for people and programs. */
static void announce(const struct service *service)
{
	const char *file = service->config->file;

	if (file == NULL)
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
	int status;
	int r = acceptor_init(&service->acceptor, service->loop, &service->roster,
			      &service->listeners, take_face, release_face, service);

	if (r < 0)
		return refuse_to_start(_("cannot watch the listening sockets"), r);
	r = notify_init(&service->notify, service->loop, &service->roster);
	if (r < 0)
		return refuse_to_start(_("cannot prepare for the service manager"), r);
	announce(service);
	notify_ready(&service->notify);
	status = sd_event_loop(service->loop);
	record_note(RECORD_STOPPED, "Stopped after %" PRIu64 " conversations",
		    service->roster.total);
	return status < 0 ? refuse_to_start(_("the event loop failed"), status) : status;
}

static int start_and_serve(struct service *service)
{
	int status = open_listeners(service);
	int r;

	if (status >= 0)
		return status;
	r = start_state(service);
	if (r < 0)
		return refuse_to_start(_("cannot make room for conversations"), r);
	r = start_loop(service);
	if (r < 0)
		return refuse_to_start(_("cannot make an event loop"), r);
	return serve(service);
}

/* Everything but conversations' threads must be asleep or gone here. */
static void finish(struct service *service)
{
	bool abandoned = service->roster.live > 0;

	record_stop(clock_now() + RECORDS_GRACE);
	listeners_close(&service->listeners);
	/* A thread that did not end may still use all that follows. */
	if (abandoned)
		return;
	notify_done(&service->notify);
	acceptor_done(&service->acceptor);
	(void)sd_event_source_disable_unref(service->stop_timer);
	(void)sd_event_unref(service->loop);
	roster_done(&service->roster);
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

int service_run(const struct options *options)
{
	struct service service = {
		.options = options,
		.roster = {.table = {.fd = -1}, .event = -1},
		.listeners = LISTENERS_INIT,
		.acceptor = {.waiting = -1},
	};
	struct report report = REPORT_INIT;
	int status;
	int r = config_load(options->file, &options->overrides, &report, &service.config);

	if (r < 0) {
		complain(&report);
		report_done(&report);
		return r == -EINVAL ? EXIT_CONFIG
				    : refuse_to_start(_("cannot read the configuration"), r);
	}
	if (options->check_config) {
		r = config_print(service.config, stdout);
		config_unref(service.config);
		return r < 0 ? refuse_to_start(_("cannot print the configuration"), r) : EXIT_OK;
	}
	block_signals();
	endword_init();
	status = start_and_serve(&service);
	finish(&service);
	return status;
}
