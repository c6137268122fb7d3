/*
 * Calls and answers; see link.h. How the connection is made is in link-open.c, what errors mean in
 * link-errors.c.
 */
#include "marcelctl/link.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/i18n.h"

static void unref_message(sd_bus_message **message)
{
	sd_bus_message_unref(*message);
}

#define auto_message auto_cleanup(unref_message)

static int make_call(struct link *link, const char *method, sd_bus_message **ret_call,
		     const char *types, va_list arguments)
{
	auto_message sd_bus_message *call = NULL;
	int r;

	r = sd_bus_message_new_method_call(link->bus, &call, link->peer ? NULL : LINK_SERVICE,
					   LINK_PATH, LINK_INTERFACE, method);
	if (r < 0)
		return r;
	/* Nothing is started by asking. */
	r = sd_bus_message_set_auto_start(call, 0);
	if (r >= 0 && types != NULL)
		r = sd_bus_message_appendv(call, types, arguments);
	if (r < 0)
		return r;
	*ret_call = take_ptr(&call);
	return 0;
}

int link_message(struct link *link, const char *method, sd_bus_message **ret_call,
		 const char *types, ...)
{
	va_list arguments;
	int r;

	va_start(arguments, types);
	r = make_call(link, method, ret_call, types, arguments);
	va_end(arguments);
	return r;
}

/* Sends CALL and waits. Fills *RET_ERROR on failure, whatever it was. */
static int exchange(struct link *link, sd_bus_message *call, sd_bus_message **ret_reply,
		    sd_bus_error *ret_error)
{
	const int r = sd_bus_call(link->bus, call, link->patience, ret_error, ret_reply);
	int known;

	if (r >= 0)
		return 0;
	if (!sd_bus_error_is_set(ret_error))
		(void)sd_bus_error_set_errno(ret_error, r);
	known = link_errno(ret_error);
	return known < 0 ? known : r;
}

static int try_call(struct link *link, const char *method, sd_bus_message **ret_reply,
		    sd_bus_error *ret_error, const char *types, va_list arguments)
{
	auto_message sd_bus_message *call = NULL;
	int r;

	r = make_call(link, method, &call, types, arguments);
	if (r < 0) {
		(void)sd_bus_error_set_errno(ret_error, r);
		return r;
	}
	return exchange(link, call, ret_reply, ret_error);
}

int link_try(struct link *link, const char *method, sd_bus_message **ret_reply,
	     sd_bus_error *ret_error, const char *types, ...)
{
	va_list arguments;
	int r;

	va_start(arguments, types);
	r = try_call(link, method, ret_reply, ret_error, types, arguments);
	va_end(arguments);
	return r;
}

static void tell_error(const struct link *link, const sd_bus_error *error, uint64_t number)
{
	auto_free char *text = link_explain(link, error, number);

	if (text != NULL)
		link_tell(link, text);
}

int link_call(struct link *link, const char *method, sd_bus_message **ret_reply, const char *types,
	      ...)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	uint64_t number = 0;
	va_list arguments;
	int r;

	/* What is about one conversation names it first. */
	if (types != NULL && types[0] == SD_BUS_TYPE_UINT64) {
		va_start(arguments, types);
		number = va_arg(arguments, uint64_t);
		va_end(arguments);
	}
	va_start(arguments, types);
	r = try_call(link, method, ret_reply, &error, types, arguments);
	va_end(arguments);
	/* Marceld itself answers these; no client keeps it from that. */
	if (r == -ETIMEDOUT && strncmp(method, "Get", 3) == 0)
		number = 0;
	if (r < 0)
		tell_error(link, &error, number);
	sd_bus_error_free(&error);
	return r;
}

int link_tell_errno(const struct link *link, int r)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;

	(void)sd_bus_error_set_errno(&error, r);
	tell_error(link, &error, 0);
	sd_bus_error_free(&error);
	return r;
}

int link_get_all(struct link *link, sd_bus_message **ret_reply)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = sd_bus_call_method(link->bus, link->peer ? NULL : LINK_SERVICE, LINK_PATH,
			       "org.freedesktop.DBus.Properties", "GetAll", &error, ret_reply, "s",
			       LINK_INTERFACE);
	if (r >= 0)
		return 0;
	if (!sd_bus_error_is_set(&error))
		(void)sd_bus_error_set_errno(&error, r);
	tell_error(link, &error, 0);
	sd_bus_error_free(&error);
	return r;
}

static void free_conversation(struct link_conversation *c)
{
	free(c->id);
	free(c->peer);
	free(c->listener);
	free(c->responder);
	free(c->speaker);
	free(c->suspended);
}

void link_free_list(struct link_conversation *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free_conversation(&list[i]);
	free(list);
}

/* The next conversation of REPLY. Returns 1; 0 after the last; or a negative errno. */
static int read_conversation(sd_bus_message *reply, struct link_conversation *ret_one)
{
	struct link_conversation c = {.number = 0};
	const char *text[6];
	int r;

	r = sd_bus_message_read(reply, "(tssssssttttt)", &c.number, &text[0], &text[1], &text[2],
				&text[3], &text[4], &text[5], &c.opened, &c.turns, &c.waiting,
				&c.waiting_since, &c.last);
	if (r <= 0)
		return r;
	c.id = strdup(text[0]);
	c.peer = strdup(text[1]);
	c.listener = strdup(text[2]);
	c.responder = strdup(text[3]);
	c.speaker = strdup(text[4]);
	c.suspended = strdup(text[5]);
	if (c.id == NULL || c.peer == NULL || c.listener == NULL || c.responder == NULL ||
	    c.speaker == NULL || c.suspended == NULL) {
		free_conversation(&c);
		return -ENOMEM;
	}
	*ret_one = c;
	return 1;
}

static int by_number(const void *a, const void *b)
{
	const struct link_conversation *one = a;
	const struct link_conversation *other = b;

	return (one->number > other->number) - (one->number < other->number);
}

/* Reads the array of REPLY into *LIST, which has room for *ROOM and holds *N, also on failure. */
static int read_list(sd_bus_message *reply, struct link_conversation **list, size_t *n)
{
	size_t room = 0;
	int r;

	r = sd_bus_message_enter_container(reply, 'a', "(tssssssttttt)");
	while (r > 0) {
		if (*n == room) {
			struct link_conversation *more;

			room = room > 0 ? 2 * room : 64;
			more = reallocarray(*list, room, sizeof(**list));
			if (more == NULL)
				return -ENOMEM;
			*list = more;
		}
		r = read_conversation(reply, &(*list)[*n]);
		if (r > 0)
			++*n;
	}
	return *n > INT_MAX ? -EOVERFLOW : r;
}

int link_list(struct link *link, struct link_conversation **ret_list)
{
	auto_message sd_bus_message *reply = NULL;
	struct link_conversation *list = NULL;
	size_t n = 0;
	int r;

	r = link_call(link, "ListConversations", &reply, NULL);
	if (r < 0)
		return r;
	r = read_list(reply, &list, &n);
	if (r < 0) {
		link_free_list(list, n);
		return link_tell_errno(link, r);
	}
	if (n > 0)
		qsort(list, n, sizeof(*list), by_number);
	*ret_list = list;
	return (int)n;
}

static void mark_closing(struct link_conversation *list, size_t n, uint64_t number)
{
	const struct link_conversation key = {.number = number};
	struct link_conversation *one = bsearch(&key, list, n, sizeof(*list), by_number);

	if (one != NULL)
		one->closing = true;
}

void link_mark_closing(struct link *link, struct link_conversation *list, size_t n)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	auto_message sd_bus_message *reply = NULL;
	uint64_t number;
	int r = 0;

	if (n > 0)
		r = sd_bus_get_property(link->bus, link->peer ? NULL : LINK_SERVICE, LINK_PATH,
					LINK_INTERFACE, "Closing", &error, &reply, "at");
	sd_bus_error_free(&error);
	if (reply != NULL && r >= 0)
		r = sd_bus_message_enter_container(reply, 'a', "t");
	while (reply != NULL && r > 0) {
		r = sd_bus_message_read_basic(reply, 't', &number);
		if (r > 0)
			mark_closing(list, n, number);
	}
}

int link_responders(struct link *link, char ***ret_names)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	char **names = NULL;
	int r;

	r = sd_bus_get_property_strv(link->bus, link->peer ? NULL : LINK_SERVICE, LINK_PATH,
				     LINK_INTERFACE, "Responders", &error, &names);
	if (r < 0) {
		if (!sd_bus_error_is_set(&error))
			(void)sd_bus_error_set_errno(&error, r);
		tell_error(link, &error, 0);
		sd_bus_error_free(&error);
		return r;
	}
	if (names == NULL)
		names = calloc(1, sizeof(*names));
	if (names == NULL)
		return -ENOMEM;
	*ret_names = names;
	return 0;
}

void link_free_names(char **names)
{
	for (size_t i = 0; names != NULL && names[i] != NULL; i++)
		free(names[i]);
	free(names);
}

int link_past(struct link *link, uint64_t number, link_event_fn *function, void *context)
{
	auto_message sd_bus_message *reply = NULL;
	int r;

	r = link_call(link, "GetPast", &reply, "t", number);
	if (r < 0)
		return r;
	r = sd_bus_message_enter_container(reply, 'a', "(tsts)");
	while (r > 0) {
		struct link_event event = {.name = "Message", .number = number};

		r = sd_bus_message_read(reply, "(tsts)", &event.time, &event.direction, &event.turn,
					&event.text);
		if (r > 0)
			function(context, &event);
	}
	return r < 0 ? link_tell_errno(link, r) : 0;
}

struct subscription {
	link_event_fn *function;
	void *context;
};

/* Reads what SIGNAL says. Returns a positive number, or a negative errno if it is none of ours. */
static int read_signal(sd_bus_message *signal, struct link_event *event)
{
	event->name = sd_bus_message_get_member(signal);
	if (strcmp(event->name, "Opened") == 0)
		return sd_bus_message_read(signal, "tsss", &event->number, &event->peer,
					   &event->listener, &event->responder);
	if (strcmp(event->name, "Message") == 0)
		return sd_bus_message_read(signal, "ttsts", &event->number, &event->time,
					   &event->direction, &event->turn, &event->text);
	if (strcmp(event->name, "Waiting") == 0)
		return sd_bus_message_read(signal, "tt", &event->number, &event->turn);
	if (strcmp(event->name, "Draft") == 0)
		return sd_bus_message_read(signal, "ttst", &event->number, &event->turn,
					   &event->text, &event->until);
	if (strcmp(event->name, "Switched") == 0 || strcmp(event->name, "Closed") == 0)
		return sd_bus_message_read(signal, "ts", &event->number, &event->text);
	if (strcmp(event->name, "Refused") == 0)
		return sd_bus_message_read(signal, "tts", &event->number, &event->turn,
					   &event->text);
	if (strcmp(event->name, "Lost") == 0)
		return sd_bus_message_read(signal, "t", &event->number);
	return -ENOMSG;
}

static int on_signal(sd_bus_message *signal, void *context, sd_bus_error *ret_error)
{
	const struct subscription *subscription = context;
	struct link_event event = {.number = 0};

	(void)ret_error;
	if (read_signal(signal, &event) > 0)
		subscription->function(subscription->context, &event);
	return 0;
}

static void tell_gone(const struct subscription *subscription)
{
	const struct link_event event = {.name = "Gone"};

	subscription->function(subscription->context, &event);
}

/* Another marceld has the name now, or none: it has not heard of this subscription. */
static int on_other_owner(sd_bus_message *signal, void *context, sd_bus_error *ret_error)
{
	const struct subscription *subscription = context;

	(void)ret_error;
	tell_gone(subscription);
	sd_bus_close(sd_bus_message_get_bus(signal));
	return 0;
}

static int on_disconnected(sd_bus_message *signal, void *context, sd_bus_error *ret_error)
{
	(void)signal;
	(void)ret_error;
	tell_gone(context);
	return 0;
}

static int match_signals(struct link *link, struct subscription *subscription)
{
	sd_bus_slot *slot = NULL;
	int r;

	r = sd_bus_match_signal(link->bus, &slot, link->peer ? NULL : LINK_SERVICE, LINK_PATH,
				LINK_INTERFACE, NULL, on_signal, subscription);
	if (r < 0) {
		free(subscription);
		return r;
	}
	/* From here on it lives and ends with the bus. */
	(void)sd_bus_slot_set_destroy_callback(slot, free);
	(void)sd_bus_slot_set_floating(slot, 1);
	sd_bus_slot_unref(slot);
	return 0;
}

static int match_end(struct link *link, struct subscription *subscription)
{
	static const char owner[] =
		"type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
		"interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" LINK_SERVICE
		"'";
	int r;

	r = sd_bus_match_signal(link->bus, NULL, "org.freedesktop.DBus.Local",
				"/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
				"Disconnected", on_disconnected, subscription);
	if (r < 0 || link->peer)
		return r;
	return sd_bus_add_match(link->bus, NULL, owner, on_other_owner, subscription);
}

int link_subscribe(struct link *link, link_event_fn *function, void *context)
{
	struct subscription *subscription = malloc(sizeof(*subscription));
	int r;

	if (subscription == NULL)
		return link_tell_errno(link, -ENOMEM);
	*subscription = (struct subscription){
		.function = function,
		.context = context,
	};
	r = match_signals(link, subscription);
	if (r >= 0)
		r = match_end(link, subscription);
	if (r < 0)
		return link_tell_errno(link, r);
	return link_call(link, "Subscribe", NULL, NULL);
}
