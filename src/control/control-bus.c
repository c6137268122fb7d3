/*
 * The system bus: a connection that nothing here waits for.
 *
 * Connecting, authenticating, saying Hello and asking for the name all happen in the loop. A bus
 * that is not there, goes away, or wants nothing of us, is tried again after a pause that doubles
 * from one second to a minute. That it can't be had is recorded once, and once more when it can;
 * that there is none is not.
 *
 * Inotify could tell at once that there is one (sd_bus_set_watch_bind(3)). But closing it waits in
 * the kernel until nobody anywhere is told of anything (fsnotify_destroy_group()): 20 seconds were
 * measured on a busy machine, and a restart of the daemon would wait for that.
 *
 * Who has the name already keeps it; we are next. Signals go to all who may receive them: the bus's
 * policy (org.marceld.Marcel1.conf) says who that is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/control-priv.h"
#include "record/record.h"

#define BUS_DEFAULT   "unix:path=/run/dbus/system_bus_socket"
#define BUS_PAUSE_MIN USEC_PER_SEC
#define BUS_PAUSE_MAX (60 * USEC_PER_SEC)

/* An answer to RequestName (D-Bus specification). */
#define NAME_IN_QUEUE 2u

static void tell_once(struct control *control, const char *what, const char *why)
{
	if (control->bus_told)
		return;
	control->bus_told = true;
	record_note(RECORD_NOTICE, "%s on the system bus: %s", what, why);
}

static int on_name(sd_bus_message *reply, void *context, sd_bus_error *error)
{
	struct client *client = context;
	struct control *control = client->control;
	const sd_bus_error *fault = sd_bus_message_get_error(reply);
	uint32_t answer = 0;

	(void)error;
	if (client->dropped)
		return 0;
	if (fault != NULL) {
		tell_once(control, "Not to be had",
			  fault->message != NULL ? fault->message : fault->name);
		client_drop(client);
		return 0;
	}
	(void)sd_bus_message_read(reply, "u", &answer);
	control->bus_pause = BUS_PAUSE_MIN;
	if (answer == NAME_IN_QUEUE) {
		tell_once(control, "Not yet to be had", "another process is " CONTROL_NAME);
		return 0;
	}
	if (control->bus_told)
		record_note(RECORD_NOTICE, "To be had on the system bus again as " CONTROL_NAME);
	control->bus_told = false;
	return 0;
}

/* Connects; what fails at once is tried again like what fails later. */
static int prepare(struct client *client)
{
	const char *address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
	sd_bus *bus = client->bus;
	int r = sd_bus_set_address(bus, address != NULL ? address : BUS_DEFAULT);

	if (r >= 0)
		r = sd_bus_set_bus_client(bus, true);
	if (r >= 0)
		r = sd_bus_negotiate_fds(bus, false);
	if (r >= 0)
		r = sd_bus_set_description(bus, "marcel-bus");
	if (r >= 0)
		r = client_start(client);
	/* Goes out when the bus has said hello. */
	if (r >= 0)
		r = sd_bus_request_name_async(bus, NULL, CONTROL_NAME, SD_BUS_NAME_QUEUE, on_name,
					      client);
	return r;
}

static int look(struct control *control)
{
	sd_bus *bus;
	int r = sd_bus_new(&bus);

	if (r < 0)
		return r;
	r = client_new(control, bus, false, &control->bus);
	if (r < 0)
		return r;
	r = prepare(control->bus);
	control->bus_missing = r == -ENOENT || r == -ECONNREFUSED;
	if (r < 0) {
		if (!control->bus_missing)
			tell_once(control, "Not to be had", strerrordesc_np(-r));
		client_drop(control->bus);
	}
	return 0;
}

static void try_later(struct control *control)
{
	(void)sd_event_source_set_time(control->on_bus_retry,
				       clock_deadline(clock_now(), control->bus_pause));
	(void)sd_event_source_set_enabled(control->on_bus_retry, SD_EVENT_ONESHOT);
	control->bus_pause *= 2;
	if (control->bus_pause > BUS_PAUSE_MAX)
		control->bus_pause = BUS_PAUSE_MAX;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *context)
{
	struct control *control = context;

	(void)source;
	(void)usec;
	if (look(control) < 0)
		try_later(control);
	return 0;
}

void bus_lost(struct control *control)
{
	control->bus = NULL;
	if (control->on_bus_retry == NULL)
		return;
	if (!control->bus_missing)
		tell_once(control, "Not to be had", "the connection is lost");
	try_later(control);
}

int bus_start(struct control *control)
{
	int r = sd_event_add_time(control->loop, &control->on_bus_retry, CLOCK_MONOTONIC, 0, 0,
				  on_retry, control);

	control->bus_pause = BUS_PAUSE_MIN;
	return r < 0 ? r : 0;
}

void bus_stop(struct control *control)
{
	control->on_bus_retry = sd_event_source_disable_unref(control->on_bus_retry);
}
