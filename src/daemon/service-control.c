/*
 * The daemon's side of its control (src/control): where it is to be had, what it is told of the
 * daemon, and the reload that it may ask for.
 *
 * Main thread, but for ask_for_reload(), which the control calls in its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "control/control.h"
#include "converse/watch.h"
#include "daemon/service-priv.h"
#include "record/record.h"
#include "respond/fifo-responder.h"

#define RUNTIME_DIRECTORY "/run/marcel"

/* The path of NAME where a daemon that was started by hand has such things; NULL: nowhere. Owned.
 */
static char *own_path(const char *name)
{
	const char *directory = secure_getenv("XDG_RUNTIME_DIR");
	char *path;
	int n;

	if (geteuid() == 0)
		n = asprintf(&path, RUNTIME_DIRECTORY "/%s", name);
	else if (directory != NULL && directory[0] == '/')
		n = asprintf(&path, "%s/marcel/%s", directory, name);
	else
		return NULL;
	return n < 0 ? NULL : path;
}

/* What [server] control or --control says, if anything. */
static const char *wanted(const struct service *service)
{
	const char *said = service->options->overrides.control;

	return said != NULL ? said : service->config->control;
}

static bool is_none(const struct service *service)
{
	return strcmp(wanted(service), "none") == 0;
}

/* Whether nobody says where the socket goes. */
static bool is_auto(const struct service *service)
{
	const char *said = wanted(service);

	return said[0] == '\0' || strcmp(said, "auto") == 0;
}

/* Where the socket goes; NULL: nowhere. Owned. */
static char *socket_path(const struct service *service)
{
	char *path;

	if (is_none(service))
		return NULL;
	if (!is_auto(service))
		return strdup(wanted(service));
	path = service_runtime_path("control");
	return path != NULL ? path : own_path("control");
}

int service_watch(struct service *service)
{
	int r;

	if (is_none(service))
		return 0;
	r = watch_new(service->roster.table.header->capacity, &service->watch);
	if (r < 0)
		return r;
	watch_keep_past(service->watch, service->config->transcript == TRANSCRIPT_FULL);
	service->roster.watch = service->watch;
	return 0;
}

/* What the control shows of the daemon, and the lists that it points to. */
struct gathered {
	struct control_facts facts;
	const char **addresses;
	const char **names; /* of the same sockets */
	const char **responders;
	char *configuration;
};

/* The path FILE, which may be NULL, as others see it who stand in another directory. Owned; NULL:
 * no memory. */
static char *absolute(const char *file)
{
	char *directory = file != NULL && file[0] != '/' ? getcwd(NULL, 0) : NULL;
	char *path = NULL;

	if (directory == NULL)
		return strdup(file != NULL ? file : "");
	while (strncmp(file, "./", 2) == 0)
		file += 2;
	if (asprintf(&path, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, file) < 0)
		path = NULL;
	free(directory);
	return path;
}

/* What the lists hold is not theirs. */
static void free_gathered(struct gathered *gathered)
{
	free(gathered->addresses);
	free(gathered->names);
	free(gathered->configuration);
	free(gathered->responders);
}

/* Returns 0 and *RET_GATHERED, to be freed by free_gathered(), or -ENOMEM. */
static int gather_facts(const struct service *service, struct gathered *ret_gathered)
{
	const struct listeners *listeners = &service->listeners;
	const struct marcel_loaded *loaded = service->config->loaded;
	const char *directory = service->operator_directory;
	struct gathered made;
	size_t n = 0;

	while (loaded[n].ops != NULL)
		n++;
	made.addresses = calloc(listeners->count + 1, sizeof(*made.addresses));
	made.names = calloc(listeners->count + 1, sizeof(*made.names));
	made.responders = calloc(n + 1, sizeof(*made.responders));
	made.configuration = absolute(service->config->file);
	if (made.addresses == NULL || made.names == NULL || made.configuration == NULL ||
	    made.responders == NULL) {
		free_gathered(&made);
		return -ENOMEM;
	}
	for (size_t i = 0; i < listeners->count; i++) {
		made.addresses[i] = listeners->items[i].address;
		made.names[i] = listeners->items[i].name;
	}
	for (size_t i = 0; i < n; i++)
		made.responders[i] = loaded[i].ops->name;
	made.facts = (struct control_facts){
		.version = MARCEL_VERSION,
		.configuration = made.configuration,
		.operator_directory = directory != NULL ? directory : "",
		.listeners = made.addresses,
		.listener_names = made.names,
		.responders = made.responders,
		.started = service->began,
	};
	*ret_gathered = made;
	return 0;
}

/* Wakes the main thread, which then calls on_reload_wanted(). The control's thread. */
static void ask_for_reload(void *context)
{
	const struct service *service = context;
	const uint64_t one = 1;

	(void)!write(service->reload_wanted, &one, sizeof(one));
}

static int on_reload_wanted(sd_event_source *source, int fd, uint32_t events, void *argument)
{
	struct service *service = argument;
	uint64_t count;

	(void)source;
	(void)events;
	(void)!read(fd, &count, sizeof(count));
	if (service->stage != SERVICE_SERVING) {
		service_tell_reloaded(service, -ESHUTDOWN, NULL);
		return 0;
	}
	notify_reloading(&service->notify);
	service_reload(service);
	notify_ready(&service->notify);
	return 0;
}

/* Keeps the operator channel's directory, which stays what it was at the start. Returns 0 or
 * -ENOMEM. */
static int keep_directory(struct service *service)
{
	const struct marcel_loaded *fifo = config_loaded(service->config, "fifo");

	if (fifo == NULL)
		return 0;
	service->operator_directory = strdup(fifo_directory(fifo->shared));
	return service->operator_directory != NULL ? 0 : -ENOMEM;
}

int service_start_control(struct service *service)
{
	const struct control_hooks hooks = {.reload = ask_for_reload, .context = service};
	struct control_places places = {
		.bus = service->handover.enabled,
		.expected = service->handover.enabled || !is_auto(service),
	};
	struct gathered gathered;
	char *path;
	int r;

	if (service->watch == NULL)
		return 0;
	service->reload_wanted = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (service->reload_wanted < 0)
		return -errno;
	r = sd_event_add_io(service->loop, NULL, service->reload_wanted, EPOLLIN, on_reload_wanted,
			    service);
	if (r >= 0)
		r = keep_directory(service);
	if (r >= 0)
		r = gather_facts(service, &gathered);
	if (r < 0)
		return r;
	path = socket_path(service);
	places.socket = path;
	places.group_directory = gathered.facts.operator_directory;
	r = control_start(service->watch, &places, &gathered.facts, &hooks, &service->control);
	free(path);
	free_gathered(&gathered);
	return r;
}

void service_tell_reloaded(struct service *service, int result, const char *text)
{
	struct gathered gathered;

	if (service->control == NULL)
		return;
	if (gather_facts(service, &gathered) < 0) {
		control_reloaded(service->control, result, text, NULL);
		return;
	}
	control_reloaded(service->control, result, text, &gathered.facts);
	free_gathered(&gathered);
}

void service_stop_control(struct service *service)
{
	control_stop(service->control);
	service->control = NULL;
}

void service_unwatch(struct service *service)
{
	close_fd(&service->reload_wanted);
	free(service->operator_directory);
	service->operator_directory = NULL;
	watch_free(service->watch);
	service->watch = NULL;
}
