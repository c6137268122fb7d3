/*
 * What stands in for a bus on a connection where there is none.
 *
 * busctl, and whatever else takes every socket for a bus, says Hello first and asks who is there.
 * On a connection of two there is us (org.marceld.Marcel1, :1.0) and the peer (:1.1). Matches are
 * taken and ignored: whoever subscribes gets all signals. So does a monitor: it sees what it would
 * see as a subscriber.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "control/control-priv.h"

#define DRIVER      "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"

static bool is_ours(const char *name)
{
	return strcmp(name, CONTROL_NAME) == 0 || strcmp(name, CONTROL_OUR_NAME) == 0;
}

static bool is_theirs(const char *name)
{
	return strcmp(name, CONTROL_PEER_NAME) == 0;
}

static int on_hello(sd_bus_message *call, void *context, sd_bus_error *error)
{
	(void)context;
	(void)error;
	return sd_bus_reply_method_return(call, "s", CONTROL_PEER_NAME);
}

static int on_list_names(sd_bus_message *call, void *context, sd_bus_error *error)
{
	(void)context;
	(void)error;
	return sd_bus_reply_method_return(call, "as", 4, DRIVER, CONTROL_NAME, CONTROL_OUR_NAME,
					  CONTROL_PEER_NAME);
}

static int on_list_activatable(sd_bus_message *call, void *context, sd_bus_error *error)
{
	(void)context;
	(void)error;
	return sd_bus_reply_method_return(call, "as", 0);
}

static int on_has_owner(sd_bus_message *call, void *context, sd_bus_error *error)
{
	const char *name;
	int r = sd_bus_message_read(call, "s", &name);

	(void)context;
	(void)error;
	if (r < 0)
		return r;
	return sd_bus_reply_method_return(call, "b",
					  is_ours(name) || is_theirs(name) ||
						  strcmp(name, DRIVER) == 0);
}

static int on_get_owner(sd_bus_message *call, void *context, sd_bus_error *error)
{
	const char *name;
	int r = sd_bus_message_read(call, "s", &name);

	(void)context;
	if (r < 0)
		return r;
	if (is_ours(name))
		return sd_bus_reply_method_return(call, "s", CONTROL_OUR_NAME);
	if (is_theirs(name) || strcmp(name, DRIVER) == 0)
		return sd_bus_reply_method_return(call, "s", name);
	return sd_bus_error_setf(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER, "Nobody is called %s here",
				 name);
}

static int on_match(sd_bus_message *call, void *context, sd_bus_error *error)
{
	(void)context;
	(void)error;
	return sd_bus_reply_method_return(call, NULL);
}

/* A monitor is one as soon as it has lost its name. */
static int on_become_monitor(sd_bus_message *call, void *context, sd_bus_error *error)
{
	struct client *peer = context;
	sd_bus_message *lost = NULL;
	int r;

	/* Before it knows: nothing that happens from then on is to be missed. */
	if (!peers_subscribe(peer))
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					 "Too many are subscribed");
	events_update(peer->control);
	r = sd_bus_reply_method_return(call, NULL);
	if (r >= 0)
		r = sd_bus_message_new_signal(peer->bus, &lost, DRIVER_PATH, DRIVER, "NameLost");
	if (r >= 0)
		r = sd_bus_message_set_sender(lost, DRIVER);
	if (r >= 0)
		r = sd_bus_message_append_basic(lost, 's', CONTROL_PEER_NAME);
	if (r >= 0)
		r = sd_bus_send(peer->bus, lost, NULL);
	(void)sd_bus_message_unref(lost);
	return r < 0 ? r : 1;
}

static const sd_bus_vtable monitoring[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("BecomeMonitor", "asu", "", on_become_monitor, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Hello", "", "s", on_hello, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("ListNames", "", "as", on_list_names, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("ListActivatableNames", "", "as", on_list_activatable,
		      SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("NameHasOwner", "s", "b", on_has_owner, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("GetNameOwner", "s", "s", on_get_owner, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("AddMatch", "s", "", on_match, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("RemoveMatch", "s", "", on_match, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

int driver_show(struct client *peer)
{
	int r = sd_bus_add_object_vtable(peer->bus, NULL, DRIVER_PATH, DRIVER, vtable, peer);

	if (r >= 0)
		r = sd_bus_add_object_vtable(peer->bus, NULL, DRIVER_PATH, DRIVER ".Monitoring",
					     monitoring, peer);
	return r;
}
