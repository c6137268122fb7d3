/*
 * What the files of the control share: its state, its clients, and who calls whom.
 *
 * A client is a connection: one to the system bus, which stands for all who call there, and one for
 * each peer on the socket. Both show the same object (control-object.c). What a client is told is
 * made of the watch's events (control-events.c); what it wants of a conversation becomes an order
 * that is answered later (control-orders.c).
 *
 * NOTE ON DROPPING. A client is never freed where it is found to be of no use, for sd-bus may be in
 * the middle of it: client_drop() marks it, and the loop frees it when it comes round.
 *
 * Everything here belongs to the control's thread, but for what struct control says. Functions that
 * return int return 0 or a negative errno.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/lock.h"
#include "control/control-facts.h"
#include "control/control-guard.h"
#include "control/control-socket.h"
#include "control/control.h"

#define CONTROL_NAME      "org.marceld.Marcel1"
#define CONTROL_PATH      "/org/marceld/Marcel1"
#define CONTROL_INTERFACE "org.marceld.Marcel1"
#define CONTROL_ERROR     "org.marceld.Marcel1.Error."

/* What peers call us and themselves: there is nobody else on such a connection. */
#define CONTROL_OUR_NAME  ":1.0"
#define CONTROL_PEER_NAME ":1.1"

/* Peers at the same time, and how many of them may be subscribed: those stay. */
#define CLIENTS_MAX            32
#define CLIENTS_SUBSCRIBED_MAX 24
/* How long a peer may take to show that it speaks D-Bus. */
#define CLIENT_PATIENCE (10 * USEC_PER_SEC)
/* Messages that may wait for a client to read them, and bytes of signals, about. */
#define CLIENT_QUEUE_MAX   512
#define CLIENT_QUEUE_BYTES (UINT64_C(1024) * 1024)
/* Orders of one caller, and of all on the bus, that wait for their answer. */
#define ORDERS_MAX     64
#define ORDERS_BUS_MAX 1024
/* Subscribers on the bus. */
#define SUBSCRIBERS_MAX 64

struct subscriber;

struct client {
	struct control *control;
	struct client *next;
	sd_bus *bus;
	sd_event_source *patience; /* peers: until they have shown that they speak D-Bus */
	bool peer;
	struct guard *guard;            /* peers */
	bool subscribed;                /* peers */
	struct subscriber *subscribers; /* on the bus */
	bool dropped;
	usec_t heard;     /* peers: when they last said something */
	unsigned orders;  /* that wait for their answer */
	uint64_t unheard; /* on the bus: signals it had no room for */
	uint64_t signals; /* that were sent to it, and their bytes */
	uint64_t bytes;
	uint64_t before[CLIENT_QUEUE_MAX]; /* of each of the last ones: the bytes before it */
};

/* A call that is answered later. */
struct pending {
	struct pending *next;
	struct client *client;
	sd_bus_message *call;
	uint64_t ticket; /* of the wish; of reloads: which of them answers it */
	bool reload;
	uint64_t number; /* for the text of an error */
	uint64_t turn;
	char responder[WATCH_NAME_MAX];
};

/* What the main thread has to tell. */
struct news {
	struct news *next;
	int result;
	char *text;
	struct facts *facts; /* NULL: unchanged */
};

struct control {
	struct watch *watch;
	struct control_hooks hooks;
	struct control_socket socket;

	/* Between the threads. */
	struct lock lock;
	struct news *news; /* lock; oldest first */
	bool news_lost;    /* lock: there was no memory for some */
	bool stop;         /* lock */
	bool wants_bus;
	int wake; /* eventfd: there are news */
	pthread_t thread;
	struct gate ready;
	int result; /* of the thread's beginning, behind READY */

	/* The thread's own. */
	struct facts facts;
	sd_event *loop;
	sd_event_source *on_wake;
	sd_event_source *on_event; /* of the watch */
	sd_event_source *on_reap;
	struct client *clients; /* peers and the bus */
	struct pending *orders; /* oldest first */
	uint64_t tickets;       /* given so far */
	uint64_t reloads_asked; /* of the daemon */
	bool reloading;
	bool stopping;
	bool listening; /* the watch is to queue events */

	/* The system bus. */
	bool bus_told;    /* it is recorded that it can't be had */
	bool bus_missing; /* there is none, which is not told */
	struct client *bus;
	sd_event_source *on_bus_retry;
	usec_t bus_pause;

	/* Peers. */
	sd_event_source *on_peer;
	sd_event_source *on_room; /* it may be that peers can be taken again */
	sd_event_source *on_post; /* something has happened */
	usec_t told_deaf;         /* when it was last recorded that one does not read */
};

/*
 * control.c
 *
 * Makes a client of BUS, which is not started, in CONTROL's list; BUS is owned from now on, also
 * after a failure. / Has it freed soon, with its orders. / Starts it in the loop, with the object.
 */
int client_new(struct control *control, sd_bus *bus, bool peer, struct client **ret_client);
void client_drop(struct client *client);
int client_start(struct client *client);

/* How many messages wait for CLIENT to read them. */
uint64_t client_backlog(const struct client *client);

/*
 * control-object.c: shows the object to CLIENT / appends TEXT, a field of struct watch_view, which
 * may have any bytes, to MESSAGE, escaped.
 */
int object_show(struct client *client);
int object_append(sd_bus_message *message, const char *text);

/* control-driver.c: answers PEER what only a bus could be asked. */
int driver_show(struct client *peer);

/*
 * control-orders.c: the methods that are answered later (sd_bus_message_handler_t; CONTEXT is the
 * client), the answer to wish TICKET, the answer to reloads, and the end of all orders of CLIENT.
 */
int orders_on_say(sd_bus_message *call, void *context, sd_bus_error *error);
int orders_on_close(sd_bus_message *call, void *context, sd_bus_error *error);
int orders_on_take(sd_bus_message *call, void *context, sd_bus_error *error);
int orders_on_give(sd_bus_message *call, void *context, sd_bus_error *error);
int orders_on_reload(sd_bus_message *call, void *context, sd_bus_error *error);
void orders_answer(struct control *control, uint64_t ticket, int result);
void orders_reloaded(struct control *control, int result, const char *text);
void orders_forget(struct client *client);

/* Sets ERROR as RESULT, a negative errno as of a wish for conversation NUMBER; returns RESULT. */
int orders_fail(sd_bus_error *error, int result, uint64_t number);

/*
 * control-events.c: has the watch listened to if somebody is subscribed; takes what happened and
 * tells it; escapes LENGTH bytes at TEXT (more were cut off, if CUT) into BUFFER.
 */
#define EVENT_TEXT_SIZE TEXT_ESCAPED_MAX(WATCH_TEXT_MAX)
void events_update(struct control *control);
int events_on_watch(sd_event_source *source, int fd, uint32_t revents, void *context);
const char *events_text(char buffer[], size_t size, const struct watch_event *event,
			const char *text);
/*
 * control-subscribers.c: of the bus's CLIENT. NAME, a unique one, is subscribed from now on until
 * it is gone (-ENOBUFS: too many are); no more; all are forgotten.
 */
int subscribers_add(struct client *client, const char *name);
void subscribers_remove(struct client *client, const char *name);
void subscribers_free(struct client *client);

/* control-peers.c: takes peers from the socket, from now on / no more. / Subscribes PEER; returns
 * false when too many are. */
int peers_start(struct control *control);
void peers_stop(struct control *control);
bool peers_subscribe(struct client *peer);

/* control-bus.c: looks for the system bus, from now on / no more. */
int bus_start(struct control *control);
void bus_stop(struct control *control);
/* The bus's client is about to be freed. */
void bus_lost(struct control *control);
