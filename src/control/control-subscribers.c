/*
 * Who on the bus is subscribed: their unique names, until they unsubscribe or are gone.
 *
 * sd_bus_track(3) would do, but asks the bus whether a name is there and waits for the answer. Here
 * it is asked and not waited for: the bus is to tell when the name goes, and then, in case it went
 * before, whether it is still there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control-priv.h"

#define DRIVER      "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"

struct subscriber {
	struct subscriber *next;
	struct client *client;
	char *name;
	sd_bus_slot *match; /* tells when it goes */
	sd_bus_slot *question;
};

static void subscriber_free(struct subscriber *subscriber)
{
	(void)sd_bus_slot_unref(subscriber->match);
	(void)sd_bus_slot_unref(subscriber->question);
	free(subscriber->name);
	free(subscriber);
}

static struct subscriber **find(struct client *client, const char *name)
{
	struct subscriber **at = &client->subscribers;

	while (*at != NULL && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void take_out(struct subscriber **at)
{
	struct subscriber *subscriber = *at;

	if (subscriber == NULL)
		return;
	*at = subscriber->next;
	subscriber_free(subscriber);
}

/* SUBSCRIBER is gone. */
static void lose(struct subscriber *subscriber)
{
	struct client *client = subscriber->client;

	take_out(find(client, subscriber->name));
	events_update(client->control);
}

static int on_owner_changed(sd_bus_message *message, void *context, sd_bus_error *error)
{
	const char *name, *before, *after;

	(void)error;
	if (sd_bus_message_read(message, "sss", &name, &before, &after) >= 0 && after[0] == '\0')
		lose(context);
	return 0;
}

/* Without the match nobody would tell that it goes. */
static int on_matched(sd_bus_message *reply, void *context, sd_bus_error *error)
{
	(void)error;
	if (sd_bus_message_is_method_error(reply, NULL) > 0)
		lose(context);
	return 0;
}

static int on_has_owner(sd_bus_message *reply, void *context, sd_bus_error *error)
{
	int there = 0;

	(void)error;
	if (sd_bus_message_is_method_error(reply, NULL) > 0 ||
	    sd_bus_message_read(reply, "b", &there) < 0 || there == 0)
		lose(context);
	return 0;
}

static int ask(struct subscriber *subscriber)
{
	sd_bus *bus = subscriber->client->bus;
	char match[512];
	int r = snprintf(match, sizeof(match),
			 "type='signal',sender='" DRIVER "',path='" DRIVER_PATH
			 "',interface='" DRIVER "',member='NameOwnerChanged',arg0='%s'",
			 subscriber->name);

	if (r < 0 || (size_t)r >= sizeof(match))
		return -ENAMETOOLONG;
	r = sd_bus_add_match_async(bus, &subscriber->match, match, on_owner_changed, on_matched,
				   subscriber);
	if (r >= 0)
		r = sd_bus_call_method_async(bus, &subscriber->question, DRIVER, DRIVER_PATH,
					     DRIVER, "NameHasOwner", on_has_owner, subscriber, "s",
					     subscriber->name);
	return r;
}

int subscribers_add(struct client *client, const char *name)
{
	struct subscriber *subscriber;
	unsigned n = 0;
	int r;

	for (subscriber = client->subscribers; subscriber != NULL; subscriber = subscriber->next)
		n++;
	if (*find(client, name) != NULL)
		return 0;
	if (n >= SUBSCRIBERS_MAX)
		return -ENOBUFS;
	subscriber = calloc(1, sizeof(*subscriber));
	if (subscriber == NULL)
		return -ENOMEM;
	subscriber->client = client;
	subscriber->name = strdup(name);
	r = subscriber->name == NULL ? -ENOMEM : ask(subscriber);
	if (r < 0) {
		subscriber_free(subscriber);
		return r;
	}
	subscriber->next = client->subscribers;
	client->subscribers = subscriber;
	return 0;
}

void subscribers_remove(struct client *client, const char *name)
{
	take_out(find(client, name));
}

void subscribers_free(struct client *client)
{
	while (client->subscribers != NULL)
		take_out(&client->subscribers);
}
