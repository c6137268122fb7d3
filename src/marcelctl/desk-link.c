/* The desk's connection; see desk-link.h. */
#include "marcelctl/desk-link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/cleanup.h"
#include "base/i18n.h"
#include "marcelctl/properties.h"

#define PAUSE_MIN (100 * USEC_PER_MSEC)

struct desk_link {
	struct link link; /* link.bus NULL: no connection */
	const struct link_options *options;
	sd_event *event;
	struct desk_model *model;
	const struct desk_hooks *hooks;
	void *context;
	char **responders;
	bool list_wanted;
	bool missed; /* news, since the last list */
	bool try_wanted;
	char *untold; /* what went wrong last; owned */
	usec_t pause;
	sd_event_source *timer; /* while there is no connection */
	sd_event_source *watch; /* the same; NULL: its directory is not there */
};

struct request {
	struct desk_link *link;
	enum desk_order order;
	uint64_t number;
	uint64_t turn;
};

bool desk_link_is_up(const struct desk_link *link)
{
	return link != NULL && link->link.bus != NULL && sd_bus_is_open(link->link.bus) > 0;
}

static void told(void *context, const char *line)
{
	struct desk_link *link = context;

	link->hooks->told(link->context, line);
}

/* What the talks say may not be all. */
static void forget(struct desk_link *link)
{
	for (size_t i = 0; i < link->model->count; i++) {
		link->model->talks[i]->past_known = false;
		link->model->talks[i]->draft_known = false;
	}
}

static void on_event(void *context, const struct link_event *event)
{
	struct desk_link *link = context;
	const bool is_message = strcmp(event->name, "Message") == 0;
	struct desk_talk *talk;
	bool waited = false;

	talk = desk_model_find(link->model, event->number);
	if (talk != NULL)
		waited = talk->waiting != 0;
	if (is_message)
		talk = desk_model_said(link->model, event, false);
	else
		talk = desk_model_event(link->model, event, clock_realtime());
	if (talk == NULL && strcmp(event->name, "Lost") == 0) {
		/* What is missing shows in the list; and in the past of what is looked at. */
		forget(link);
		link->list_wanted = link->missed = true;
	}
	if (strcmp(event->name, "Switched") == 0)
		link->list_wanted = true;
	if (talk != NULL && is_message)
		link->hooks->said(link->context, talk);
	if (talk != NULL && talk->waiting != 0 && !waited)
		link->hooks->waits(link->context, talk);
	link->hooks->news(link->context);
}

static void on_past(void *context, const struct link_event *event)
{
	struct desk_link *link = context;

	(void)desk_model_said(link->model, event, true);
}

static void on_draft(void *context, const struct link_event *event)
{
	struct desk_link *link = context;

	(void)desk_model_event(link->model, event, clock_realtime());
}

static void told_nobody(void *context, const char *line)
{
	(void)context;
	(void)line;
}

/* Keeps what would be told, until it is known whether it is worth it. */
static void told_later(void *context, const char *line)
{
	struct desk_link *link = context;

	/* The first line says what is wrong. */
	if (link->untold == NULL)
		link->untold = strdup(line);
}

/* Gets the past of TALK, if it is not known yet. Returns 0, or a negative errno after keeping what
 * there is to tell. */
static int fetch_past(struct desk_link *link, struct desk_talk *talk)
{
	link_tell_fn *const tell = link->link.tell;
	void *const context = link->link.tell_context;
	int r;

	if (talk->past_known || talk->ended || !desk_link_is_up(link))
		return 0;
	/* Also when it can't be had: then it is not before the next list of everything. */
	talk->past_known = true;
	free(link->untold);
	link->untold = NULL;
	link->link.tell = told_later;
	link->link.tell_context = link;
	r = link_past(&link->link, talk->number, on_past, link);
	link->link.tell = tell;
	link->link.tell_context = context;
	return r;
}

/* Gets the past of all that wait, which is read even if their clients leave, and the drafts of
 * those that a script has handed over. */
static void get_waiting(struct desk_link *link)
{
	link_tell_fn *tell = link->link.tell;

	link->link.tell = told_nobody;
	for (size_t i = 0; i < link->model->count; i++) {
		struct desk_talk *talk = link->model->talks[i];

		if (talk->waiting == 0 || !desk_talk_held(talk))
			continue;
		/* The draft first: what it answers is in the past then. */
		if (talk->speaker[0] != '\0' && !talk->draft_known) {
			talk->draft_known = true;
			(void)properties_draft(&link->link, talk->number, on_draft, link);
		}
		(void)fetch_past(link, talk);
	}
	link->link.tell = tell;
}

/* Fetches the list of conversations. Of those that are not in it the news are on their way, as long
 * as none were missed. Returns 0 or a negative errno. */
static int fetch_list(struct desk_link *link)
{
	struct link_conversation *list = NULL;
	int n;

	link->list_wanted = false;
	n = link_list(&link->link, &list);
	if (n < 0)
		return n;
	desk_model_list_begin(link->model);
	for (int i = 0; i < n; i++)
		(void)desk_model_listed(link->model, &list[i]);
	if (link->missed)
		desk_model_list_end(link->model, clock_realtime());
	link->missed = false;
	link_free_list(list, (size_t)n);
	get_waiting(link);
	return 0;
}

/* Connects, subscribes, and learns what there is. Returns 0 or a negative errno. */
static int connect_link(struct desk_link *link, bool quiet)
{
	int r;

	r = link_open(link->options, quiet, &link->link);
	if (r < 0)
		return r;
	if (quiet) {
		link->link.tell = told;
		link->link.tell_context = link;
	}
	r = sd_bus_attach_event(link->link.bus, link->event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = link_subscribe(&link->link, on_event, link);
	forget(link);
	link->missed = true;
	if (r >= 0)
		r = fetch_list(link);
	if (r >= 0) {
		link_free_names(link->responders);
		link->responders = NULL;
		r = link_responders(&link->link, &link->responders);
	}
	if (r < 0) {
		link_done(&link->link);
		return r;
	}
	link->link.tell = told;
	link->link.tell_context = link;
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t now, void *context)
{
	struct desk_link *link = context;

	(void)source;
	(void)now;
	link->try_wanted = true;
	return 0;
}

static int on_change(sd_event_source *source, const struct inotify_event *change, void *context)
{
	struct desk_link *link = context;

	(void)source;
	(void)change;
	link->try_wanted = true;
	return 0;
}

/* Watches the directory of the socket, if it is there. */
static void watch_directory(struct desk_link *link)
{
	char path[512];
	char *slash;

	if (link->options->bus || link->watch != NULL)
		return;
	(void)link_path(link->options, path, sizeof(path));
	slash = strrchr(path, '/');
	if (slash == path)
		slash++;
	if (slash != NULL)
		*slash = '\0';
	(void)sd_event_add_inotify(link->event, &link->watch, slash != NULL ? path : ".",
				   IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR, on_change,
				   link);
}

/* The next try comes after a pause, which grows. */
static void pause_link(struct desk_link *link)
{
	link->pause = link->pause > 0 ? 2 * link->pause : PAUSE_MIN;
	if (link->pause > DESK_PAUSE_MAX)
		link->pause = DESK_PAUSE_MAX;
	if (link->timer == NULL)
		(void)sd_event_add_time_relative(link->event, &link->timer, CLOCK_MONOTONIC,
						 link->pause, 0, on_timer, link);
	else
		(void)sd_event_source_set_time_relative(link->timer, link->pause);
	if (link->timer != NULL)
		(void)sd_event_source_set_enabled(link->timer, SD_EVENT_ONESHOT);
	watch_directory(link);
}

/* The connection is gone: what was on its way comes back. */
static void lose(struct desk_link *link)
{
	link_done(&link->link);
	for (size_t i = 0; i < link->model->count; i++) {
		struct desk_talk *talk = link->model->talks[i];
		const struct desk_result result = {
			.order = DESK_SAY,
			.number = talk->number,
			.error = -ECONNRESET,
			.text = _("the connection to marceld broke off; it may have been sent"),
		};

		if (talk->n_sending > 0)
			link->hooks->done(link->context, &result);
	}
	link->pause = 0;
	pause_link(link);
	link->hooks->news(link->context);
}

static void try_again(struct desk_link *link)
{
	link->try_wanted = false;
	if (connect_link(link, true) < 0) {
		pause_link(link);
		return;
	}
	link->pause = 0;
	link->timer = sd_event_source_disable_unref(link->timer);
	link->watch = sd_event_source_disable_unref(link->watch);
	link->hooks->news(link->context);
}

void desk_link_tend(struct desk_link *link)
{
	if (link->link.bus != NULL && !desk_link_is_up(link))
		lose(link);
	if (link->link.bus == NULL) {
		if (link->try_wanted)
			try_again(link);
		return;
	}
	if (link->list_wanted) {
		(void)fetch_list(link);
		link->hooks->news(link->context);
	}
}

void desk_link_past(struct desk_link *link, struct desk_talk *talk)
{
	const int r = fetch_past(link, talk);

	/* One that has left just now is no trouble; a lost connection is told by lose(). */
	if (r < 0 && r != -ENOENT && r != -ECONNRESET && link->untold != NULL)
		link->hooks->told(link->context, link->untold);
}

char *const *desk_link_responders(const struct desk_link *link)
{
	static char *none[] = {NULL};

	return link->responders != NULL ? link->responders : none;
}

static int on_reply(sd_bus_message *reply, void *context, sd_bus_error *ret_error)
{
	const struct request *request = context;
	struct desk_link *link = request->link;
	const sd_bus_error *error = sd_bus_message_get_error(reply);
	auto_free char *text = NULL;
	struct desk_result result = {.order = request->order,
				     .number = request->number,
				     .turn = request->turn};

	(void)ret_error;
	if (error != NULL) {
		result.error = link_errno(error);
		text = link_explain(&link->link, error, request->number);
	}
	if (text != NULL)
		text[strcspn(text, "\n")] = '\0';
	result.text = text != NULL ? text : "";
	/* A lost connection is told by lose(), for all at once. */
	if (result.error != -ECONNRESET)
		link->hooks->done(link->context, &result);
	return 0;
}

/* Makes the message of an order. Returns 0 or a negative errno. */
static int make_order(struct desk_link *link, const struct request *request, const char *text,
		      sd_bus_message **ret_call)
{
	struct link *to = &link->link;
	const uint64_t number = request->number;

	switch (request->order) {
	case DESK_SAY:
		return link_message(to, "Say", ret_call, "tts", number, request->turn, text);
	case DESK_CLOSE:
		return link_message(to, "Close", ret_call, "t", number);
	case DESK_TAKE:
		return link_message(to, "Take", ret_call, "t", number);
	case DESK_GIVE:
		return link_message(to, "Give", ret_call, "ts", number, text);
	}
	abort();
}

int desk_link_order(struct desk_link *link, enum desk_order order, uint64_t number, uint64_t turn,
		    const char *text)
{
	struct request *request;
	sd_bus_message *call = NULL;
	sd_bus_slot *slot = NULL;
	int r;

	if (!desk_link_is_up(link))
		return -ENOTCONN;
	request = malloc(sizeof(*request));
	if (request == NULL)
		return -ENOMEM;
	*request = (struct request){.link = link, .order = order, .number = number, .turn = turn};
	r = make_order(link, request, text, &call);
	/* It may take as long as the client does not read. */
	if (r >= 0)
		r = sd_bus_call_async(link->link.bus, &slot, call, on_reply, request, UINT64_MAX);
	sd_bus_message_unref(call);
	if (r < 0) {
		free(request);
		return r;
	}
	/* The request is the slot's now, and the slot the bus's. */
	(void)sd_bus_slot_set_destroy_callback(slot, free);
	(void)sd_bus_slot_set_floating(slot, 1);
	sd_bus_slot_unref(slot);
	return 0;
}

int desk_link_new(sd_event *event, const struct link_options *options, struct desk_model *model,
		  const struct desk_hooks *hooks, void *context, struct desk_link **ret_link)
{
	struct desk_link *link = calloc(1, sizeof(*link));
	int r;

	if (link == NULL)
		return -ENOMEM;
	*link = (struct desk_link){
		.options = options,
		.event = event,
		.model = model,
		.hooks = hooks,
		.context = context,
	};
	r = connect_link(link, false);
	if (r < 0) {
		desk_link_free(link);
		return r;
	}
	*ret_link = link;
	return 0;
}

void desk_link_free(struct desk_link *link)
{
	if (link == NULL)
		return;
	if (link->link.bus != NULL)
		link_done(&link->link);
	(void)sd_event_source_disable_unref(link->timer);
	(void)sd_event_source_disable_unref(link->watch);
	link_free_names(link->responders);
	free(link->untold);
	free(link);
}
