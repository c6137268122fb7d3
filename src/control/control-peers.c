/*
 * Peers: those who come by the socket.
 *
 * Who may connect is said by the socket's group and mode alone; under PrivateUsers= nobody can be
 * told from anybody else, so whatever peers say of themselves is believed. There are at most
 * CLIENTS_MAX of them, each of which must soon show that it speaks D-Bus, and what they send comes
 * to us through a guard (control-guard.h).
 *
 * When there are that many, whoever comes takes the place of the one who has said nothing for the
 * longest time, unless that one waits for something: events, of which it was promised all, or the
 * answer to an order. Some places are never for those who wait for events.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "control/control-priv.h"

/* Accepted in one go. */
#define PEERS_AT_ONCE 8
/* Messages that may wait for a peer to read them before the next one of its own is taken. */
#define ANSWERS_UNREAD_MAX 1
/* Before another try when descriptors or memory are short. */
#define SHORTAGE_PAUSE USEC_PER_SEC

static int on_patience(sd_event_source *source, uint64_t usec, void *context)
{
	struct client *peer = context;

	(void)source;
	(void)usec;
	if (sd_bus_is_ready(peer->bus) <= 0)
		client_drop(peer);
	return 0;
}

static void on_fault(void *context)
{
	client_drop(context);
}

/* Connects PEER, which is not started, to FD, which is owned from now on. */
static int connect_bus(struct client *peer, int fd)
{
	int inner;
	int r = guard_new(peer->control->loop, fd, on_fault, peer, &inner, &peer->guard);

	if (r >= 0) {
		r = sd_bus_set_fd(peer->bus, inner, fd);
		if (r < 0)
			close_fd(&inner);
	}
	if (r < 0)
		close_fd(&fd);
	return r;
}

static int prepare(struct client *peer, int fd)
{
	sd_id128_t id = SD_ID128_NULL;
	int r = connect_bus(peer, fd);

	if (r >= 0)
		r = sd_id128_randomize(&id);
	if (r >= 0)
		r = sd_bus_set_server(peer->bus, true, id);
	if (r >= 0)
		r = sd_bus_set_anonymous(peer->bus, true);
	/* Nobody has a descriptor for us. */
	if (r >= 0)
		r = sd_bus_negotiate_fds(peer->bus, false);
	if (r >= 0)
		r = sd_bus_set_description(peer->bus, "marcel-peer");
	if (r >= 0)
		r = driver_show(peer);
	if (r >= 0)
		r = client_start(peer);
	if (r >= 0)
		r = sd_event_add_time(peer->control->loop, &peer->patience, CLOCK_MONOTONIC,
				      clock_deadline(clock_now(), CLIENT_PATIENCE), 0, on_patience,
				      peer);
	return r;
}

/* Makes a peer of FD, which is owned from now on. */
static int admit(struct control *control, int fd)
{
	struct client *peer = NULL;
	sd_bus *bus;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = client_new(control, bus, true, &peer);
	if (r < 0) {
		close_fd(&fd);
		return r;
	}
	r = prepare(peer, fd);
	if (r < 0)
		client_drop(peer);
	return r;
}

/* Runs after whatever else has happened. */
static int on_post(sd_event_source *source, void *context)
{
	struct control *control = context;

	(void)source;
	/* What comes together with the end of the greeting sd-bus would leave lying in its buffer
	 * until more comes: it gets it a little later. */
	for (struct client *peer = control->clients; peer != NULL; peer = peer->next)
		if (peer->guard != NULL && !peer->dropped)
			guard_go_on(peer->guard,
				    sd_bus_is_ready(peer->bus) > 0 &&
					    client_backlog(peer) <= ANSWERS_UNREAD_MAX);
	return 0;
}

/* Leaves clients waiting for a moment. */
static void pause_accepting(struct control *control)
{
	(void)sd_event_source_set_enabled(control->on_peer, SD_EVENT_OFF);
	(void)sd_event_source_set_time(control->on_room,
				       clock_deadline(clock_now(), SHORTAGE_PAUSE));
	(void)sd_event_source_set_enabled(control->on_room, SD_EVENT_ONESHOT);
}

static int on_room(sd_event_source *source, uint64_t usec, void *context)
{
	struct control *control = context;

	(void)source;
	(void)usec;
	return sd_event_source_set_enabled(control->on_peer, SD_EVENT_ON);
}

/* Finds room for one more, if need be by dropping one. Returns whether there is. */
static bool make_room(struct control *control)
{
	struct client *idle = NULL;
	unsigned peers = 0;

	for (struct client *peer = control->clients; peer != NULL; peer = peer->next) {
		if (!peer->peer || peer->dropped)
			continue;
		peers++;
		if (!peer->subscribed && peer->orders == 0 &&
		    (idle == NULL || peer->heard <= idle->heard))
			idle = peer;
	}
	if (peers < CLIENTS_MAX)
		return true;
	if (idle != NULL)
		client_drop(idle);
	return idle != NULL;
}

bool peers_subscribe(struct client *peer)
{
	unsigned subscribed = 0;

	for (const struct client *c = peer->control->clients; c != NULL; c = c->next)
		subscribed += c->subscribed && !c->dropped && c != peer ? 1 : 0;
	if (subscribed >= CLIENTS_SUBSCRIBED_MAX)
		return false;
	peer->subscribed = true;
	return true;
}

static int on_peer(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct control *control = context;

	(void)source;
	(void)revents;
	for (int i = 0; i < PEERS_AT_ONCE; i++) {
		int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (peer < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (peer < 0 && errno == EAGAIN)
			break;
		if (peer < 0) {
			pause_accepting(control);
			break;
		}
		if (!make_room(control))
			close_fd(&peer);
		else if (admit(control, peer) < 0)
			pause_accepting(control);
	}
	return 0;
}

int peers_start(struct control *control)
{
	int r;

	if (control->socket.fd < 0)
		return 0;
	r = sd_event_add_time(control->loop, &control->on_room, CLOCK_MONOTONIC, 0, 0, on_room,
			      control);
	if (r >= 0)
		r = sd_event_source_set_enabled(control->on_room, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_post(control->loop, &control->on_post, on_post, control);
	if (r >= 0)
		r = sd_event_add_io(control->loop, &control->on_peer, control->socket.fd, EPOLLIN,
				    on_peer, control);
	return r < 0 ? r : 0;
}

void peers_stop(struct control *control)
{
	control->on_peer = sd_event_source_disable_unref(control->on_peer);
	control->on_post = sd_event_source_disable_unref(control->on_post);
	control->on_room = sd_event_source_disable_unref(control->on_room);
}
