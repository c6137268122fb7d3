/*
 * What happens, told to those who are subscribed: the watch's events become signals.
 *
 * On the bus there is one signal for all who may receive it, on the socket one for each peer. A
 * peer that does not read is dropped; where the bus itself does not, signals are left out and
 * counted, as the watch does: "Lost" tells how many, before the next one. While nobody is
 * subscribed the watch queues nothing but the answers to wishes.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/text.h"
#include "control/control-priv.h"
#include "record/record.h"

/* Events taken in one go: others want to be served as well. */
#define EVENTS_AT_ONCE 64

#define TOLD_AT_MOST_EVERY (60 * USEC_PER_SEC)

/* A signal: its name and what it says. */
struct signal {
	const char *member;
	int (*append)(const struct signal *signal, sd_bus_message *message);
	const struct watch_event *event;
	const char *text; /* escaped */
	const struct watch_view *view;
	uint64_t lost;
};

static bool is_subscribed(const struct client *client)
{
	if (client->dropped)
		return false;
	return client->peer ? client->subscribed : client->subscribers != NULL;
}

void events_update(struct control *control)
{
	bool wanted = false;

	for (const struct client *client = control->clients; client != NULL; client = client->next)
		wanted = wanted || is_subscribed(client);
	if (wanted == control->listening)
		return;
	control->listening = wanted;
	watch_listen(control->watch, wanted);
}

/* The bytes of the UTF-8 sequence that FIRST begins; 1 if it begins none. */
static size_t sequence_length(unsigned char first)
{
	if (first < 0xC2 || first > 0xF4)
		return 1;
	if (first >= 0xF0)
		return 4;
	return first >= 0xE0 ? 3 : 2;
}

/* How many of LENGTH bytes at TEXT, of which more were cut off, are whole characters. */
static size_t whole_characters(const char *text, size_t length)
{
	size_t back = 1;

	while (back < 4 && back < length && ((unsigned char)text[length - back] & 0xC0) == 0x80)
		back++;
	if (back <= length && sequence_length((unsigned char)text[length - back]) > back)
		return length - back;
	return length;
}

const char *events_text(char buffer[], size_t size, const struct watch_event *event,
			const char *text)
{
	size_t length = event->length;

	if (event->withheld)
		return "(withheld)";
	if (event->whole > length)
		length = whole_characters(text, length);
	(void)text_escape(buffer, size, text, length, NULL);
	return buffer;
}

/* What a signal takes beside its text, about. */
#define SIGNAL_COST 512

/* No less than the bytes of signals among the last N messages, which CLIENT has not read. */
static uint64_t unread_bytes(const struct client *client, uint64_t n)
{
	if (n > client->signals)
		n = client->signals;
	if (n == 0)
		return 0;
	return client->bytes - client->before[(client->signals - n) % CLIENT_QUEUE_MAX];
}

static bool has_room(const struct client *client)
{
	uint64_t n = client_backlog(client);

	return n < CLIENT_QUEUE_MAX && unread_bytes(client, n) < CLIENT_QUEUE_BYTES;
}

static void count_signal(struct client *client, const struct signal *signal)
{
	client->before[client->signals++ % CLIENT_QUEUE_MAX] = client->bytes;
	client->bytes += SIGNAL_COST + (signal->text != NULL ? strlen(signal->text) : 0);
}

static int send_signal(struct client *client, const struct signal *signal)
{
	sd_bus_message *message = NULL;
	int r = sd_bus_message_new_signal(client->bus, &message, CONTROL_PATH, CONTROL_INTERFACE,
					  signal->member);

	/* On a bus that is the bus's to say. */
	if (r >= 0 && client->peer)
		r = sd_bus_message_set_sender(message, CONTROL_OUR_NAME);
	if (r >= 0)
		r = signal->append(signal, message);
	if (r >= 0)
		r = sd_bus_send(client->bus, message, NULL);
	(void)sd_bus_message_unref(message);
	if (r >= 0)
		count_signal(client, signal);
	return r;
}

static int append_lost(const struct signal *signal, sd_bus_message *message)
{
	return sd_bus_message_append(message, "t", signal->lost);
}

static void drop_deaf(struct client *client)
{
	struct control *control = client->control;
	usec_t now = clock_now();

	client_drop(client);
	if (control->told_deaf != 0 && clock_left(control->told_deaf + TOLD_AT_MOST_EVERY, now) > 0)
		return;
	control->told_deaf = now;
	record_note(RECORD_NOTICE,
		    "A client of the control socket does not read what it asked for: "
		    "it is dropped");
}

static void tell_client(struct client *client, const struct signal *signal)
{
	struct signal lost = {.member = "Lost", .append = append_lost, .lost = client->unheard};

	if (!has_room(client)) {
		if (client->peer)
			drop_deaf(client);
		else
			client->unheard++;
		return;
	}
	if (client->unheard > 0 && send_signal(client, &lost) >= 0)
		client->unheard = 0;
	if (send_signal(client, signal) < 0)
		client->unheard++;
}

static void tell(struct control *control, const struct signal *signal)
{
	for (struct client *client = control->clients; client != NULL; client = client->next)
		if (is_subscribed(client))
			tell_client(client, signal);
}

/*
 * The signals.
 */

static int append_opened(const struct signal *signal, sd_bus_message *message)
{
	int r = sd_bus_message_append_basic(message, 't', &signal->event->number);

	if (r >= 0)
		r = object_append(message, signal->view->peer);
	if (r >= 0)
		r = object_append(message, signal->view->listener);
	return r < 0 ? r : object_append(message, signal->view->responder);
}

static int append_said(const struct signal *signal, sd_bus_message *message)
{
	const struct watch_event *event = signal->event;
	const char who[] = {event->who, '\0'};

	return sd_bus_message_append(message, "ttsts", event->number, event->time, who, event->turn,
				     signal->text);
}

static int append_waiting(const struct signal *signal, sd_bus_message *message)
{
	return sd_bus_message_append(message, "tt", signal->event->number, signal->event->turn);
}

static int append_draft(const struct signal *signal, sd_bus_message *message)
{
	const struct watch_event *event = signal->event;

	return sd_bus_message_append(message, "ttst", event->number, event->turn, signal->text,
				     event->until);
}

/* For Switched and Closed. */
static int append_word(const struct signal *signal, sd_bus_message *message)
{
	return sd_bus_message_append(message, "ts", signal->event->number, signal->text);
}

static int append_refused(const struct signal *signal, sd_bus_message *message)
{
	return sd_bus_message_append(message, "tts", signal->event->number, signal->event->turn,
				     signal->text);
}

static void tell_event(struct control *control, const struct watch_event *event, const char *text)
{
	static const struct signal kinds[] = {
		[WATCH_OPENED] = {.member = "Opened", .append = append_opened},
		[WATCH_SAID] = {.member = "Message", .append = append_said},
		[WATCH_WAITING] = {.member = "Waiting", .append = append_waiting},
		[WATCH_DRAFT] = {.member = "Draft", .append = append_draft},
		[WATCH_SWITCHED] = {.member = "Switched", .append = append_word},
		[WATCH_REFUSED] = {.member = "Refused", .append = append_refused},
		[WATCH_CLOSED] = {.member = "Closed", .append = append_word},
	};
	struct watch_view view = {.number = event->number};
	char shown[EVENT_TEXT_SIZE];
	struct signal signal = kinds[event->kind];

	signal.event = event;
	signal.view = &view;
	signal.text = events_text(shown, sizeof(shown), event, text);
	/* It may be gone already. */
	if (event->kind == WATCH_OPENED)
		(void)watch_look(control->watch, event->number, &view);
	tell(control, &signal);
}

static void tell_lost(struct control *control, uint64_t count)
{
	const struct signal signal = {.member = "Lost", .append = append_lost, .lost = count};

	tell(control, &signal);
}

int events_on_watch(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct control *control = context;
	char text[WATCH_TEXT_MAX];

	(void)source;
	(void)fd;
	(void)revents;
	for (int i = 0; i < EVENTS_AT_ONCE; i++) {
		struct watch_event event;
		uint64_t dropped = 0;
		int r = watch_next(control->watch, &event, text, &dropped);

		if (dropped > 0)
			tell_lost(control, dropped);
		if (r <= 0)
			break;
		if (event.kind == WATCH_DONE)
			orders_answer(control, event.ticket, event.result);
		else if (control->listening)
			tell_event(control, &event, text);
	}
	return 0;
}
