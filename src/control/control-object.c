/*
 * The object: its properties, its methods and its signals, as busctl introspect shows them, and the
 * methods that are answered at once.
 *
 * Texts of others go out through text_escape(): D-Bus takes nothing but UTF-8, and terminals
 * nothing that controls them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "control/control-priv.h"

/* Replies that may wait for the bus to read them before there are no more big ones. */
#define BIG_REPLIES_MAX 32

/* What watch_each() fills. */
struct listing {
	sd_bus_message *reply;
	int result;
};

int object_append(sd_bus_message *message, const char *text)
{
	char shown[TEXT_ESCAPED_MAX(sizeof(((struct watch_view *)NULL)->listener))];

	(void)text_escape(shown, sizeof(shown), text, strlen(text), NULL);
	return sd_bus_message_append_basic(message, 's', shown);
}

static int append_id(sd_bus_message *message, const uint8_t id[16])
{
	static const char hex[] = "0123456789abcdef";
	char text[2 * 16 + 1] = "";

	for (size_t i = 0; i < 16; i++) {
		text[2 * i] = hex[id[i] >> 4];
		text[2 * i + 1] = hex[id[i] & 0x0F];
	}
	return sd_bus_message_append_basic(message, 's', text);
}

/*
 * Properties. How many parameters these functions have is for sd-bus to say.
 * NOLINTBEGIN(readability-function-size)
 */

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property,
		    sd_bus_message *reply, void *context, sd_bus_error *error)
{
	const struct client *client = context;
	const struct facts *facts = &client->control->facts;
	const char *text = facts->version;

	(void)bus;
	(void)path;
	(void)interface;
	(void)error;
	if (strcmp(property, "Configuration") == 0)
		text = facts->configuration;
	else if (strcmp(property, "OperatorDirectory") == 0)
		text = facts->operator_directory;
	return sd_bus_message_append_basic(reply, 's', text);
}

static int get_list(sd_bus *bus, const char *path, const char *interface, const char *property,
		    sd_bus_message *reply, void *context, sd_bus_error *error)
{
	const struct client *client = context;
	const struct facts *facts = &client->control->facts;
	char **list = facts->responders;

	(void)bus;
	(void)path;
	(void)interface;
	(void)error;
	if (strcmp(property, "Listeners") == 0)
		list = facts->listeners;
	else if (strcmp(property, "ListenerNames") == 0)
		list = facts->listener_names;
	return sd_bus_message_append_strv(reply, list);
}

static int get_started(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *context, sd_bus_error *error)
{
	const struct client *client = context;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	return sd_bus_message_append_basic(reply, 't', &client->control->facts.started);
}

static int get_sum(sd_bus *bus, const char *path, const char *interface, const char *property,
		   sd_bus_message *reply, void *context, sd_bus_error *error)
{
	const struct client *client = context;
	struct watch_sums sums;
	uint64_t value;

	(void)bus;
	(void)path;
	(void)interface;
	(void)error;
	watch_sum(client->control->watch, &sums);
	value = sums.live;
	if (strcmp(property, "ConversationsTotal") == 0)
		value = sums.begun;
	else if (strcmp(property, "Waiting") == 0)
		value = sums.waiting;
	return sd_bus_message_append_basic(reply, 't', &value);
}

static bool append_closing(void *context, const struct watch_view *view)
{
	struct listing *listing = context;

	if (view->closing != 0)
		listing->result = sd_bus_message_append_basic(listing->reply, 't', &view->number);
	return listing->result >= 0;
}

static int get_closing(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *context, sd_bus_error *error)
{
	const struct client *client = context;
	struct listing listing = {.reply = reply};
	int r = sd_bus_message_open_container(reply, 'a', "t");

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)error;
	if (r < 0)
		return r;
	watch_each(client->control->watch, append_closing, &listing);
	return listing.result < 0 ? listing.result : sd_bus_message_close_container(reply);
}

/* NOLINTEND(readability-function-size) */

/*
 * Methods.
 */

/* Sends REPLY if R says that it was made; owned from now on. */
static int finish(sd_bus_message *reply, int r)
{
	if (r >= 0)
		r = sd_bus_message_send(reply);
	(void)sd_bus_message_unref(reply);
	return r < 0 ? r : 1;
}

/* Whether the bus does not take what it got already; then ERROR says so. Of peers the guard sees to
 * it. */
static bool is_behind(const struct client *client, sd_bus_error *error)
{
	if (client->peer || client_backlog(client) <= BIG_REPLIES_MAX)
		return false;
	(void)sd_bus_error_set(error, CONTROL_ERROR "TooManyAnswers",
			       "The bus has not taken the answers before: too many are on their "
			       "way");
	return true;
}

static bool list_one(void *context, const struct watch_view *view)
{
	struct listing *listing = context;
	sd_bus_message *reply = listing->reply;
	int r = sd_bus_message_open_container(reply, 'r', "tssssssttttt");

	if (r >= 0)
		r = sd_bus_message_append_basic(reply, 't', &view->number);
	if (r >= 0)
		r = append_id(reply, view->id);
	if (r >= 0)
		r = object_append(reply, view->peer);
	if (r >= 0)
		r = object_append(reply, view->listener);
	if (r >= 0)
		r = object_append(reply, view->responder);
	if (r >= 0)
		r = object_append(reply, view->speaker);
	if (r >= 0)
		r = object_append(reply, view->suspended);
	if (r >= 0)
		r = sd_bus_message_append(reply, "ttttt", view->opened, view->turns, view->waiting,
					  view->waiting_since, view->last);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	listing->result = r;
	return r >= 0;
}

static int on_list(sd_bus_message *call, void *context, sd_bus_error *error)
{
	struct client *client = context;
	struct listing listing = {.reply = NULL};
	int r;

	if (is_behind(client, error))
		return -EBUSY;
	r = sd_bus_message_new_method_return(call, &listing.reply);
	if (r >= 0)
		r = sd_bus_message_open_container(listing.reply, 'a', "(tssssssttttt)");
	if (r >= 0) {
		watch_each(client->control->watch, list_one, &listing);
		r = listing.result;
	}
	if (r >= 0)
		r = sd_bus_message_close_container(listing.reply);
	return finish(listing.reply, r);
}

/* Begins / ends the entry NAME of an a{sv}, with a value of TYPE. */
static int open_entry(sd_bus_message *reply, const char *name, const char *type)
{
	int r = sd_bus_message_open_container(reply, 'e', "sv");

	if (r >= 0)
		r = sd_bus_message_append_basic(reply, 's', name);
	return r < 0 ? r : sd_bus_message_open_container(reply, 'v', type);
}

static int close_entry(sd_bus_message *reply)
{
	int r = sd_bus_message_close_container(reply);

	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_view(sd_bus_message *reply, const struct watch_view *view)
{
	const struct {
		const char *name;
		const char *value;
	} texts[] = {
		{"Peer", view->peer},           {"Listener", view->listener},
		{"Responder", view->responder}, {"Speaker", view->speaker},
		{"Suspended", view->suspended},
	};
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{"Number", view->number},
		{"Opened", view->opened},
		{"Turns", view->turns},
		{"Waiting", view->waiting},
		{"WaitingSince", view->waiting_since},
		{"Closing", view->closing},
		{"Last", view->last},
		{"BytesIn", view->bytes_in},
		{"BytesOut", view->bytes_out},
	};
	int r = open_entry(reply, "Id", "s");

	if (r >= 0)
		r = append_id(reply, view->id);
	if (r >= 0)
		r = close_entry(reply);
	for (size_t i = 0; r >= 0 && i < sizeof(texts) / sizeof(texts[0]); i++) {
		r = open_entry(reply, texts[i].name, "s");
		if (r >= 0)
			r = object_append(reply, texts[i].value);
		if (r >= 0)
			r = close_entry(reply);
	}
	for (size_t i = 0; r >= 0 && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		r = sd_bus_message_append(reply, "{sv}", numbers[i].name, "t", numbers[i].value);
	return r;
}

static int append_draft(sd_bus_message *reply, const struct watch_draft *draft)
{
	const struct watch_event told = {.length = draft->length, .whole = draft->whole};
	char shown[EVENT_TEXT_SIZE];

	return sd_bus_message_append(reply, "{sv}{sv}{sv}", "DraftTurn", "t", draft->turn, "Draft",
				     "s", events_text(shown, sizeof(shown), &told, draft->text),
				     "DraftUntil", "t", draft->until);
}

static int on_get(sd_bus_message *call, void *context, sd_bus_error *error)
{
	struct client *client = context;
	struct watch_view view;
	struct watch_draft draft;
	char text[WATCH_TEXT_MAX];
	sd_bus_message *reply = NULL;
	uint64_t number;
	int r = sd_bus_message_read(call, "t", &number);

	if (r < 0)
		return r;
	if (watch_look(client->control->watch, number, &view) < 0 ||
	    watch_look_draft(client->control->watch, number, &draft, text) < 0)
		return orders_fail(error, -ENOENT, number);
	if (draft.turn != 0 && is_behind(client, error))
		return -EBUSY;
	r = sd_bus_message_new_method_return(call, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "{sv}");
	if (r >= 0)
		r = append_view(reply, &view);
	if (r >= 0)
		r = append_draft(reply, &draft);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return finish(reply, r);
}

static void list_said(void *context, const struct marcel_line *line)
{
	struct listing *listing = context;
	const bool withheld = line->length == MARCEL_WITHHELD;
	const struct watch_event said = {
		.withheld = withheld,
		.length = withheld ? 0 : line->length,
		.whole = line->whole,
	};
	const char who[] = {line->who, '\0'};
	char shown[EVENT_TEXT_SIZE];

	if (listing->result >= 0)
		listing->result =
			sd_bus_message_append(listing->reply, "(tsts)", line->time, who, line->turn,
					      events_text(shown, sizeof(shown), &said, line->text));
}

static int on_past(sd_bus_message *call, void *context, sd_bus_error *error)
{
	struct client *client = context;
	struct listing listing = {.reply = NULL};
	uint64_t number;
	int r = sd_bus_message_read(call, "t", &number);

	if (r < 0)
		return r;
	if (is_behind(client, error))
		return -EBUSY;
	r = sd_bus_message_new_method_return(call, &listing.reply);
	if (r >= 0)
		r = sd_bus_message_open_container(listing.reply, 'a', "(tsts)");
	if (r >= 0 && watch_past(client->control->watch, number, list_said, &listing) == -ENOENT) {
		(void)sd_bus_message_unref(listing.reply);
		return orders_fail(error, -ENOENT, number);
	}
	if (r >= 0)
		r = listing.result;
	if (r >= 0)
		r = sd_bus_message_close_container(listing.reply);
	return finish(listing.reply, r);
}

static int on_metrics(sd_bus_message *call, void *context, sd_bus_error *error)
{
	struct client *client = context;
	struct watch_sums sums;
	auto_free char *text = NULL;
	int r;

	if (is_behind(client, error))
		return -EBUSY;
	watch_sum(client->control->watch, &sums);
	r = metrics_format(&client->control->facts, &sums, &text);
	return r < 0 ? r : sd_bus_reply_method_return(call, "s", text);
}

/* Who calls, on the bus; there every call says it. */
static const char *caller(sd_bus_message *call)
{
	const char *name = sd_bus_message_get_sender(call);

	return name != NULL ? name : "";
}

static int on_subscribe(sd_bus_message *call, void *context, sd_bus_error *error)
{
	struct client *client = context;
	int r;

	if (client->peer)
		r = peers_subscribe(client) ? 0 : -ENOBUFS;
	else
		r = subscribers_add(client, caller(call));
	if (r == -ENOBUFS)
		return sd_bus_error_set(error, CONTROL_ERROR "TooManySubscribers",
					"Too many are subscribed already");
	if (r < 0)
		return r;
	events_update(client->control);
	return sd_bus_reply_method_return(call, NULL);
}

static int on_unsubscribe(sd_bus_message *call, void *context, sd_bus_error *error)
{
	struct client *client = context;

	(void)error;
	if (!client->peer)
		subscribers_remove(client, caller(call));
	client->subscribed = false;
	events_update(client->control);
	return sd_bus_reply_method_return(call, NULL);
}

#define METHOD(name, in, in_names, out, out_names, function)                   \
	SD_BUS_METHOD_WITH_NAMES(name, in, in_names, out, out_names, function, \
				 SD_BUS_VTABLE_UNPRIVILEGED)
#define PLAIN_METHOD(name, function) \
	SD_BUS_METHOD(name, "", "", function, SD_BUS_VTABLE_UNPRIVILEGED)
#define SIGNAL(name, types, names) SD_BUS_SIGNAL_WITH_NAMES(name, types, names, 0)
#define P                          SD_BUS_PARAM

/* The names of parameters stand one after the other, without a comma. */
/* clang-format off */
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	METHOD("ListConversations", "", , "a(tssssssttttt)", P(conversations), on_list),
	METHOD("GetConversation", "t", P(number), "a{sv}", P(conversation), on_get),
	METHOD("GetPast", "t", P(number), "a(tsts)", P(said), on_past),
	METHOD("Say", "tts", P(number) P(turn) P(text), "", , orders_on_say),
	METHOD("Close", "t", P(number), "", , orders_on_close),
	METHOD("Take", "t", P(number), "", , orders_on_take),
	METHOD("Give", "ts", P(number) P(responder), "", , orders_on_give),
	PLAIN_METHOD("Reload", orders_on_reload),
	PLAIN_METHOD("Subscribe", on_subscribe),
	PLAIN_METHOD("Unsubscribe", on_unsubscribe),
	METHOD("GetMetrics", "", , "s", P(text), on_metrics),
	SIGNAL("Opened", "tsss", P(number) P(peer) P(listener) P(responder)),
	SIGNAL("Message", "ttsts", P(number) P(time) P(direction) P(turn) P(text)),
	SIGNAL("Waiting", "tt", P(number) P(turn)),
	SIGNAL("Draft", "ttst", P(number) P(turn) P(text) P(until)),
	SIGNAL("Switched", "ts", P(number) P(responder)),
	SIGNAL("Refused", "tts", P(number) P(turn) P(text)),
	SIGNAL("Closed", "ts", P(number) P(reason)),
	SIGNAL("Lost", "t", P(count)),
	SD_BUS_PROPERTY("Version", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Started", "t", get_started, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Configuration", "s", get_text, 0, 0),
	SD_BUS_PROPERTY("OperatorDirectory", "s", get_text, 0, 0),
	SD_BUS_PROPERTY("Listeners", "as", get_list, 0, 0),
	SD_BUS_PROPERTY("ListenerNames", "as", get_list, 0, 0),
	SD_BUS_PROPERTY("Responders", "as", get_list, 0, 0),
	SD_BUS_PROPERTY("Conversations", "t", get_sum, 0, 0),
	SD_BUS_PROPERTY("ConversationsTotal", "t", get_sum, 0, 0),
	SD_BUS_PROPERTY("Waiting", "t", get_sum, 0, 0),
	SD_BUS_PROPERTY("Closing", "at", get_closing, 0, 0),
	SD_BUS_VTABLE_END,
};
/* clang-format on */

int object_show(struct client *client)
{
	return sd_bus_add_object_vtable(client->bus, NULL, CONTROL_PATH, CONTROL_INTERFACE, vtable,
					client);
}
