/*
 * Starting: everything that can fail comes before READY, and in this order: the sockets, since
 * taking them changes the environment and no other thread may run then; the state, whose size the
 * descriptors decide; the records, whose ring lies in it; the loop; the operator channel, in whose
 * directory numbers may be kept; the conversations that an earlier process left.
 *
 * A fault is told on standard error and ends the process with the status of its kind.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/i18n.h"
#include "daemon/service-priv.h"
#include "record/record.h"
#include "respond/fifo-responder.h"
#include "respond/operator/channel.h"
#include "respond/registry.h"

/* Descriptors that are not clients': the listening sockets, the journal, the loops' own, the bus
 * and those who control the daemon (4 each), the operator channel. */
#define DESCRIPTORS_KEPT 256

void service_complain(const struct report *report)
{
	/* The journal reads "<3>" as the line's priority (sd-daemon(3)). */
	const char *prefix = secure_getenv("JOURNAL_STREAM") != NULL ? SD_ERR : "";

	for (size_t i = 0; i < report->kept; i++)
		(void)fprintf(stderr, "%s%s\n", prefix, report->texts[i]);
	if (report->count > report->kept)
		(void)fprintf(stderr, _("%sand %zu more\n"), prefix, report->count - report->kept);
}

int service_refuse(const char *what, int error)
{
	char buffer[256];

	(void)fprintf(stderr, _("marceld: %s: %s\n"), what,
		      strerror_r(-error, buffer, sizeof(buffer)));
	return EXIT_OSERR;
}

void service_release_face(void *context, const struct face *face)
{
	(void)context;
	config_unref(face->owner);
}

static const struct face *take_face(void *context, const char *name)
{
	struct service *service = context;

	return config_face(config_ref(service->config), name);
}

/* Hooks of the roster. */

static void on_keep(void *context, uint32_t index, int fd)
{
	struct service *service = context;

	handover_keep(&service->handover, index, fd);
}

static void on_unkeep(void *context, uint32_t index)
{
	struct service *service = context;

	handover_over(&service->handover, index);
}

static void on_begun(void *context)
{
	struct service *service = context;

	notify_changed(&service->notify);
}

static void on_over(void *context, const struct conversation *conversation)
{
	struct service *service = context;

	if (!conversation->handed_over)
		handover_over(&service->handover, conversation->index);
	acceptor_over(&service->acceptor, conversation);
	service_release_face(service, conversation->origin.face);
}

/* Hooks of the handover. */

static void on_admit(void *context, const char *listener, struct conversation_origin *origin)
{
	struct service *service = context;

	origin->face = take_face(service, listener);
	acceptor_count(&service->acceptor, origin);
}

static void on_dismiss(void *context, const struct conversation_origin *origin)
{
	struct service *service = context;

	acceptor_uncount(&service->acceptor, origin);
	service_release_face(service, origin->face);
}

/* A responder with settings is had from a face that uses it, unless it does without. */
static bool on_find_responder(void *context, const char *name,
			      const struct marcel_responder_ops **ret_ops, void **ret_shared)
{
	const struct service *service = context;
	const struct marcel_responder_ops *ops = responder_find(name);
	const struct config *config = service->config;

	if (ops == NULL)
		return false;
	for (size_t i = 0; i < config->n_faces; i++) {
		if (config->faces[i].responder == ops) {
			*ret_ops = ops;
			*ret_shared = config->faces[i].responder_shared;
			return true;
		}
	}
	for (const struct marcel_loaded *l = config->loaded; l->ops != NULL; l++) {
		if (l->ops == ops) {
			*ret_ops = ops;
			*ret_shared = l->shared;
			return true;
		}
	}
	if (ops->load != NULL && ops->keepsake == NULL)
		return false;
	*ret_ops = ops;
	*ret_shared = NULL;
	return true;
}

static void on_welcome(void *context, int fd)
{
	struct service *service = context;

	acceptor_take(&service->acceptor, fd);
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

char *service_runtime_path(const char *name)
{
	const char *directory = secure_getenv("RUNTIME_DIRECTORY");
	char *path;

	if (directory == NULL || directory[0] == '\0')
		return NULL;
	if (asprintf(&path, "%.*s/%s", (int)strcspn(directory, ":"), directory, name) < 0)
		return NULL;
	return path;
}

/* How many descriptors a conversation may need: its socket, and what its responder does, such as an
 * operator's FIFO. */
static uint64_t descriptors_of_one(const struct config *config)
{
	unsigned most = 0;

	for (size_t i = 0; i < config->n_faces; i++) {
		const struct face *face = &config->faces[i];
		unsigned n = face->responder->descriptors != NULL
				     ? face->responder->descriptors(face->responder_shared)
				     : 0;

		if (n > most)
			most = n;
	}
	return 1 + (uint64_t)most;
}

/*
 * How many conversations DESCRIPTORS allow: some are kept, so that the daemon can tell the service
 * manager how it is, take sockets over in batches and read its files when all others are in use.
 */
static uint32_t capacity(const struct service *service, uint64_t descriptors)
{
	uint64_t kept =
		DESCRIPTORS_KEPT + (service->handover.enabled ? vault_batch(descriptors) : 0U);
	uint64_t left = descriptors - (kept < descriptors / 2 ? kept : descriptors / 2);

	left /= descriptors_of_one(service->config);
	return left < TABLE_CAPACITY_MAX ? (uint32_t)left : TABLE_CAPACITY_MAX;
}

/* Says so when there is less room than the configuration counts on. */
static void check_capacity(const struct service *service)
{
	uint64_t wanted = service->config->faces[0].limits.conversations;
	uint32_t room = service->roster.table.header->capacity;

	if (wanted > room)
		record_note(RECORD_NOTICE,
			    "The limit of %" PRIu64
			    " descriptors (LimitNOFILE=) leaves room for %" PRIu32
			    " conversations, not for %" PRIu64 ": clients beyond it will wait",
			    service->handover.limit, room, wanted);
}

/* Makes or takes over the table, the roster over it, and the records. */
static int start_state(struct service *service)
{
	const struct roster_hooks hooks = {
		.keep = service->handover.enabled ? on_keep : NULL,
		.unkeep = service->handover.enabled ? on_unkeep : NULL,
		.begun = on_begun,
		.over = on_over,
		.context = service,
	};
	auto_free char *leftover = service_runtime_path("records");
	struct table table;
	int r;

	/* Operators' FIFOs, which have a vault of their own, are as many. */
	service->handover.share =
		vault_share(service->handover.limit, descriptors_of_one(service->config));
	r = handover_table(&service->handover, capacity(service, service->handover.limit), &table);

	if (r < 0)
		return r;
	r = roster_init(&service->roster, &table, &hooks);
	if (r < 0)
		return r;
	r = service_watch(service);
	if (r < 0)
		return r;
	r = record_start(service->options->log, service->roster.table.ring, TABLE_RING_SIZE,
			 leftover);
	if (r < 0)
		return r;
	record_set_transcript(service->config->transcript, service->config->transcript_max);
	check_capacity(service);
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

/* Takes systemd's sockets, or else binds. Returns -1 to go on, or the exit status. */
static int open_listeners(struct service *service)
{
	auto_cleanup(report_done) struct report report = REPORT_INIT;
	int r = listeners_inherit(&service->listeners, handover_claim, &service->handover, &report);

	if (r > 0)
		return -1;
	if (r < 0) {
		service_complain(&report);
		return report.count > 0 ? EXIT_CONFIG : service_refuse(_("cannot listen"), r);
	}
	r = bind_listeners(service, &report);
	if (r == 0 && service->listeners.count > 0)
		return -1;
	if (r == 0)
		report_add(&report, _("marceld: listen= is empty: there is nothing to listen on"));
	service_complain(&report);
	if (report.count == 0)
		return service_refuse(_("cannot listen"), r);
	if (r == 0)
		return EXIT_CONFIG;
	if (r != -EINVAL && r != -ENAMETOOLONG)
		return EXIT_OSERR;
	return service->options->n_listen > 0 ? EXIT_USAGE : EXIT_CONFIG;
}

static bool uses(const struct config *config, const struct marcel_responder_ops *ops)
{
	for (size_t i = 0; i < config->n_faces; i++)
		if (config->faces[i].responder == ops)
			return true;
	return false;
}

/* What the channel tells of orders; see channel_listen(). */
static void on_refused(void *context, uint64_t number, uint64_t turn, uint64_t n, const char *text,
		       size_t length)
{
	const struct service *service = context;
	const struct record_about about = {.number = number};

	watch_refused(service->watch, number, turn, n, text, length);
	record_event(RECORD_ORDER_REFUSED, number != 0 ? &about : NULL, NULL, 0,
		     "An order was refused: %.*s", (int)length, text);
}

static void on_obeyed(void *context)
{
	const struct service *service = context;

	watch_obeyed(service->watch);
}

/*
 * Opens the operator channel: at once where somebody may look for it, which is where the responder
 * is used or an administrator's service runs; else when a conversation is taken. Returns 0 or
 * -ENOMEM.
 */
static int open_channel(struct service *service)
{
	const struct marcel_loaded *fifo = config_loaded(service->config, "fifo");
	const struct channel_ear ear = {
		.refused = on_refused,
		.obeyed = on_obeyed,
		.context = service,
	};

	if (fifo == NULL)
		return 0;
	channel_listen(&ear);
	return channel_open(fifo_directory(fifo->shared), fifo_grace(fifo->shared),
			    service->handover.enabled || uses(service->config, fifo->ops));
}

/*
 * Where the next number is kept: in the runtime directory; without one, as of a daemon that was
 * started by hand, in the operators' directory, where older conversations may be found by theirs.
 * NULL: nowhere. The caller's.
 */
static char *number_path(const struct service *service)
{
	const struct marcel_loaded *fifo = config_loaded(service->config, "fifo");
	char *path = service_runtime_path("number");

	if (path != NULL || fifo == NULL || !channel_has_files())
		return path;
	if (asprintf(&path, "%s/number", fifo_directory(fifo->shared)) < 0)
		return NULL;
	return path;
}

static void start_numbers(struct service *service)
{
	auto_free char *path = number_path(service);
	int r = numbers_init(&service->roster.numbers, &service->roster.table.header->next_number,
			     service->handover.resuming, path);

	if (r < 0)
		record_note(RECORD_TROUBLE,
			    "Conversations may be numbered anew after a stop: %s cannot be used: %s",
			    path, strerrordesc_np(-r));
}

int service_start(struct service *service)
{
	const struct acceptor_hooks doors = {
		.face = take_face,
		.unface = service_release_face,
		.context = service,
	};
	const struct handover_hooks hooks = {
		.admit = on_admit,
		.dismiss = on_dismiss,
		.find_responder = on_find_responder,
		.welcome = on_welcome,
		.context = service,
	};
	int status, r;

	handover_init(&service->handover, raise_descriptor_limit(), &hooks);
	status = open_listeners(service);
	if (status >= 0)
		return status;
	r = start_state(service);
	if (r < 0)
		return service_refuse(_("cannot make room for conversations"), r);
	r = sd_event_new(&service->loop);
	if (r < 0)
		return service_refuse(_("cannot make an event loop"), r);
	r = acceptor_init(&service->acceptor, service->loop, &service->roster, &service->listeners,
			  &doors);
	if (r < 0)
		return service_refuse(_("cannot watch the listening sockets"), r);
	r = open_channel(service);
	if (r < 0)
		return service_refuse(_("cannot open the operator channel"), r);
	start_numbers(service);
	r = handover_resume(&service->handover, &service->roster);
	if (r < 0)
		return service_refuse(_("cannot carry on with the saved conversations"), r);
	return -1;
}
