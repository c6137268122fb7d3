/*
 * Orders: the methods whose answer takes a while, since a conversation comes round to them in its
 * own thread, or the daemon reads its configuration.
 *
 * The call is kept until its answer is there; many callers, and many calls of one, may wait at the
 * same time. An order whose caller is gone is forgotten, though it may still be carried out.
 * Nothing here waits.
 *
 * NOTE ON RELOADS. Whoever asks while the daemon reads its configuration may have changed it since.
 * So those who asked before the reading began are answered by its end, and for those who came later
 * it is read once more.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "control/control-priv.h"

/* The line end counts in WISH_LINE_MAX. */
#define LINE_MAX_BYTES (WISH_LINE_MAX - 1)

/* What takes a conversation for an operator. */
#define OPERATOR "fifo"

/* There is no responder NAME; "": an order named it, among other things. */
static void describe_stranger(sd_bus_error *error, const char *name)
{
	if (name[0] != '\0')
		(void)sd_bus_error_setf(error, CONTROL_ERROR "NoSuchResponder",
					"There is no responder '%s'", name);
	else
		(void)sd_bus_error_set(error, CONTROL_ERROR "NoSuchResponder",
				       "There is no responder of the name that the order gives");
}

/* Memory was short for an order, or for telling what became of it. */
static void describe_shortage(sd_bus_error *error)
{
	(void)sd_bus_error_set(error, CONTROL_ERROR "NoMemory",
			       "Memory is short: it may have been done, or not");
}

/* Makes of RESULT, a wish's, the error that callers see. ORDER is what it is about. */
static void describe(sd_bus_error *error, int result, const struct pending *order)
{
	const uint64_t number = order->number;

	switch (-result) {
	case ENOENT:
		(void)sd_bus_error_setf(error, CONTROL_ERROR "NoSuchConversation",
					"There is no conversation %" PRIu64, number);
		return;
	case ENOTCONN:
		(void)sd_bus_error_setf(error, CONTROL_ERROR "NotHeld",
					"No operator holds conversation %" PRIu64 ": take it first",
					number);
		return;
	case ESTALE:
		(void)sd_bus_error_setf(error, CONTROL_ERROR "NotOpen",
					"Turn %" PRIu64 " of conversation %" PRIu64 " is not open",
					order->turn, number);
		return;
	case EINVAL:
		(void)sd_bus_error_setf(
			error, CONTROL_ERROR "BadOrder",
			"That is no order: one line of text, or /done, /close, /reset, "
			"/give NAME, /note TEXT");
		return;
	case E2BIG:
		(void)sd_bus_error_setf(error, CONTROL_ERROR "TooLong",
					"An order has at most %d bytes", LINE_MAX_BYTES);
		return;
	case ENOBUFS:
		(void)sd_bus_error_setf(error, CONTROL_ERROR "Busy",
					"Too many orders wait for conversation %" PRIu64
					" already: its client does not read",
					number);
		return;
	case ENOMEM:
		describe_shortage(error);
		return;
	case ESRCH:
		describe_stranger(error, order->responder);
		return;
	case EALREADY:
		(void)sd_bus_error_setf(error, CONTROL_ERROR "AlreadyHeld",
					"The responder '%s' has conversation %" PRIu64 " already",
					order->responder, number);
		return;
	case EBUSY:
		(void)sd_bus_error_setf(error, CONTROL_ERROR "NotNow",
					"Conversation %" PRIu64
					" is at a point where nobody else can take it: a secret is "
					"asked for",
					number);
		return;
	case ESHUTDOWN:
		(void)sd_bus_error_setf(error, CONTROL_ERROR "Closing",
					"Conversation %" PRIu64 " is closing", number);
		return;
	case ECANCELED:
		(void)sd_bus_error_setf(error, CONTROL_ERROR "HandingOver",
					"The daemon hands conversation %" PRIu64
					" over to its successor: ask that one",
					number);
		return;
	default:
		(void)sd_bus_error_setf(error, CONTROL_ERROR "NotPossible",
					"Not possible with conversation %" PRIu64 ": %s", number,
					strerrordesc_np(-result));
	}
}

int orders_fail(sd_bus_error *error, int result, uint64_t number)
{
	const struct pending about = {.number = number};

	describe(error, result, &about);
	return result;
}

static void pending_free(struct pending *order)
{
	order->client->orders--;
	(void)sd_bus_message_unref(order->call);
	free(order);
}

/* Takes *AT out of its list. */
static struct pending *take_out(struct pending **at)
{
	struct pending *order = *at;

	*at = order->next;
	return order;
}

void orders_forget(struct client *client)
{
	struct pending **at = &client->control->orders;

	while (*at != NULL)
		if ((*at)->client == client)
			pending_free(take_out(at));
		else
			at = &(*at)->next;
}

/* Whether the caller of CALL has as many orders waiting as it may; refuse_more() says so then. */
static bool has_too_many(const struct client *client, sd_bus_message *call)
{
	const char *sender = sd_bus_message_get_sender(call);
	unsigned n = 0;

	if (client->peer || sender == NULL)
		return client->orders >= ORDERS_MAX;
	if (client->orders >= ORDERS_BUS_MAX)
		return true;
	for (const struct pending *order = client->control->orders; order != NULL;
	     order = order->next) {
		const char *other = sd_bus_message_get_sender(order->call);

		if (order->client == client && other != NULL && strcmp(other, sender) == 0)
			n++;
	}
	return n >= ORDERS_MAX;
}

static int refuse_more(sd_bus_error *error)
{
	(void)sd_bus_error_set(error, CONTROL_ERROR "TooManyOrders",
			       "Too many of the caller's orders wait already; later, please");
	return -EAGAIN;
}

/* Keeps a copy of ABOUT, which says what CALL is about, until it is answered. */
static int keep(struct client *client, sd_bus_message *call, const struct pending *about)
{
	struct pending *order = malloc(sizeof(*order));
	struct pending **at = &client->control->orders;

	if (order == NULL)
		return -ENOMEM;
	*order = *about;
	order->next = NULL;
	order->client = client;
	order->call = sd_bus_message_ref(call);
	client->orders++;
	while (*at != NULL)
		at = &(*at)->next;
	*at = order;
	return 0;
}

/* Answers ORDER, which is over then; ERROR may be unset. */
static void answer(struct pending *order, const sd_bus_error *error)
{
	if (sd_bus_error_is_set(error))
		(void)sd_bus_reply_method_error(order->call, error);
	else
		(void)sd_bus_reply_method_return(order->call, NULL);
	pending_free(order);
}

/* Asks WISH of the conversation ABOUT tells of. Returns 1 (answered later) or a negative errno. */
static int ask(struct client *client, sd_bus_message *call, struct wish *wish,
	       struct pending *about, sd_bus_error *error)
{
	struct control *control = client->control;
	int r;

	if (has_too_many(client, call))
		return refuse_more(error);
	wish->ticket = ++control->tickets;
	about->ticket = wish->ticket;
	about->turn = wish->turn;
	r = keep(client, call, about);
	if (r >= 0) {
		r = watch_wish(control->watch, about->number, wish);
		if (r >= 0)
			return 1;
		orders_answer(control, wish->ticket, r);
		return 1;
	}
	describe(error, r, about);
	return r;
}

int orders_on_say(sd_bus_message *call, void *context, sd_bus_error *error)
{
	struct pending about = {.number = 0};
	char line[WISH_LINE_MAX];
	struct wish wish = {.kind = WISH_SAY, .line = line};
	const char *text;
	int r = sd_bus_message_read(call, "tts", &about.number, &wish.turn, &text);

	if (r < 0)
		return r;
	wish.length = strlen(text);
	r = 0;
	if (wish.length > LINE_MAX_BYTES)
		r = -E2BIG;
	else if (strchr(text, '\n') != NULL)
		r = -EINVAL;
	if (r < 0) {
		describe(error, r, &about);
		return r;
	}
	(void)memcpy(line, text, wish.length);
	return ask(context, call, &wish, &about, error);
}

int orders_on_close(sd_bus_message *call, void *context, sd_bus_error *error)
{
	struct pending about = {.number = 0};
	struct wish wish = {.kind = WISH_CLOSE};
	int r = sd_bus_message_read(call, "t", &about.number);

	return r < 0 ? r : ask(context, call, &wish, &about, error);
}

/* WISH_GIVE or WISH_TAKE to the responder NAME. */
static int ask_switch(struct client *client, sd_bus_message *call, enum wish_kind kind,
		      struct pending *about, const char *name, sd_bus_error *error)
{
	struct wish wish = {.kind = kind};
	size_t used;

	/* What is cut, or has to be escaped, is no responder's name. */
	(void)text_escape(about->responder, sizeof(about->responder), name, strlen(name), &used);
	if (used < strlen(name)) {
		describe(error, -ESRCH, about);
		return -ESRCH;
	}
	(void)memcpy(wish.responder, about->responder, sizeof(wish.responder));
	return ask(client, call, &wish, about, error);
}

int orders_on_take(sd_bus_message *call, void *context, sd_bus_error *error)
{
	struct pending about = {.number = 0};
	int r = sd_bus_message_read(call, "t", &about.number);

	return r < 0 ? r : ask_switch(context, call, WISH_TAKE, &about, OPERATOR, error);
}

int orders_on_give(sd_bus_message *call, void *context, sd_bus_error *error)
{
	struct pending about = {.number = 0};
	const char *name;
	int r = sd_bus_message_read(call, "ts", &about.number, &name);

	return r < 0 ? r : ask_switch(context, call, WISH_GIVE, &about, name, error);
}

void orders_answer(struct control *control, uint64_t ticket, int result)
{
	struct pending **at = &control->orders;

	while (*at != NULL && ((*at)->reload || (*at)->ticket != ticket))
		at = &(*at)->next;
	/* Not there: its caller is gone. */
	if (*at != NULL) {
		sd_bus_error error = SD_BUS_ERROR_NULL;
		struct pending *order = take_out(at);

		if (result < 0)
			describe(&error, result, order);
		answer(order, &error);
		sd_bus_error_free(&error);
	}
}

/*
 * Reloads.
 */

/* Has the daemon reload, on behalf of all that wait for it now. */
static void begin_reload(struct control *control)
{
	control->reloading = true;
	control->reloads_asked++;
	control->hooks.reload(control->hooks.context);
}

int orders_on_reload(sd_bus_message *call, void *context, sd_bus_error *error)
{
	struct client *client = context;
	struct control *control = client->control;
	struct pending about = {.reload = true, .ticket = control->reloads_asked + 1};
	int r;

	if (has_too_many(client, call))
		return refuse_more(error);
	r = keep(client, call, &about);
	if (r < 0) {
		describe(error, r, &about);
		return r;
	}
	if (!control->reloading)
		begin_reload(control);
	return 1;
}

void orders_reloaded(struct control *control, int result, const char *text)
{
	struct pending **at = &control->orders;
	auto_free char *lines = text_escape_lines(text != NULL ? text : "");
	sd_bus_error error = SD_BUS_ERROR_NULL;
	bool more = false;

	/* By a signal, not by us. */
	if (!control->reloading)
		return;
	if (result == -ESHUTDOWN)
		(void)sd_bus_error_set(&error, CONTROL_ERROR "Ending",
				       "The daemon is about to end");
	else if (result == -ENOMEM)
		describe_shortage(&error);
	else if (result < 0)
		(void)sd_bus_error_set(&error, CONTROL_ERROR "BadConfiguration",
				       lines != NULL && lines[0] != '\0'
					       ? lines
					       : strerrordesc_np(-result));
	control->reloading = false;
	while (*at != NULL) {
		if ((*at)->reload && (*at)->ticket <= control->reloads_asked) {
			answer(take_out(at), &error);
			continue;
		}
		more = more || (*at)->reload;
		at = &(*at)->next;
	}
	sd_bus_error_free(&error);
	if (more)
		begin_reload(control);
}
