/*
 * A daemon in small, a child of the test: what carries conversations over is the real thing
 * (handover/, converse/), but a start takes a millisecond, so that a test can kill it thousands of
 * times. It accepts, converses, and ends by SIGKILL, by a crash of its own, or when it is told to
 * leave. Who starts it is in manager.h.
 */
#pragma once

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "../converse/pairs.h"
#include "../converse/tally.h"
#include "base/cleanup.h"
#include "converse/endword.h"
#include "converse/watch.h"
#include "handover/handover.h"
#include "record/record.h"

#define STORE_MAX 16

struct world {
	int listener;
	struct sockaddr_in address;
	int unix_listener;
	struct sockaddr_un unix_address;
	socklen_t unix_length;
	const struct marcel_responder_ops *responder;
	struct face face;
	const char *taker; /* an operator takes conversations for this one, and gives them back;
			    * NULL: there is none */
	bool takes;        /* or, if not, only gives them back */
	uint32_t capacity;
	uint64_t limit; /* of descriptors, as the daemon is to believe */

	/* The manager. */
	int notify;
	char environment[64]; /* NOTIFY_SOCKET=... */
	struct {
		char name[32];
		int fd;
	} store[STORE_MAX]; /* newest first */
	size_t n_stored;
	int log; /* the daemon's standard error */
	bool ready;

	pid_t daemon; /* 0: none */
	int control;  /* a byte tells the daemon to leave */
};

/* Descriptors from here on are clients', which no daemon is to hold open. */
#define CLIENTS_FROM 500

/* The daemon. */

struct daemon {
	struct world *world;
	struct handover handover;
	struct roster roster;
	bool leaving;
};

static inline void daemon_keep(void *context, uint32_t index, int fd)
{
	struct daemon *d = context;

	handover_keep(&d->handover, index, fd);
}

static inline void daemon_unkeep(void *context, uint32_t index)
{
	struct daemon *d = context;

	handover_over(&d->handover, index);
}

static inline void daemon_over(void *context, const struct conversation *conversation)
{
	struct daemon *d = context;

	if (!conversation->handed_over)
		handover_over(&d->handover, conversation->index);
}

static inline void daemon_admit(void *context, const char *listener,
				struct conversation_origin *origin)
{
	struct daemon *d = context;

	(void)listener;
	origin->face = &d->world->face;
}

static inline void daemon_dismiss(void *context, const struct conversation_origin *origin)
{
	(void)context;
	(void)origin;
}

static inline bool daemon_find_responder(void *context, const char *name,
					 const struct marcel_responder_ops **ret_ops,
					 void **ret_shared)
{
	const struct daemon *d = context;
	const struct marcel_loaded *loaded = d->world->face.loaded;

	while (loaded != NULL && loaded->ops != NULL && strcmp(loaded->ops->name, name) != 0)
		loaded++;
	if (loaded == NULL || loaded->ops == NULL)
		return false;
	*ret_ops = loaded->ops;
	*ret_shared = loaded->shared;
	return true;
}

/* The conversation that the operator thinks of next. */
struct pick {
	uint64_t seed;
	uint64_t number;
	bool taken;
	uint64_t n;
	bool only_taken;
};

static inline bool daemon_pick(void *context, const struct watch_view *view)
{
	struct pick *pick = context;
	bool taken = view->suspended[0] != '\0';

	if (pick->only_taken && !taken)
		return true;
	if (at_random(&pick->seed) % ++pick->n == 0) {
		pick->number = view->number;
		pick->taken = taken;
	}
	return true;
}

/* The operator: takes conversations and gives them back, one after another, as fast as he can. */
static inline void *daemon_operate(void *argument)
{
	const struct daemon *d = argument;
	struct watch *watch = d->roster.watch;
	struct pollfd event_fd = {.fd = watch_fd(watch), .events = POLLIN};
	struct pick pick = {.seed = (uint64_t)clock_now(), .only_taken = !d->world->takes};
	struct wish wish = {.ticket = 1};
	struct watch_event event;
	char text[WATCH_TEXT_MAX];
	uint64_t dropped;

	for (;;) {
		pick.n = pick.number = 0;
		watch_each(watch, daemon_pick, &pick);
		wish.kind = pick.taken ? WISH_GIVE : WISH_TAKE;
		(void)snprintf(wish.responder, sizeof(wish.responder), "%s",
			       pick.taken ? d->world->responder->name : d->world->taker);
		if (pick.number != 0 && watch_wish(watch, pick.number, &wish) == 0)
			while (watch_next(watch, &event, text, &dropped) == 0)
				(void)poll(&event_fd, 1, -1);
		else
			(void)poll(NULL, 0, 1);
	}
	return NULL;
}

static inline void daemon_watch(struct daemon *d)
{
	if (d->world->taker != NULL &&
	    watch_new(d->roster.table.header->capacity, &d->roster.watch) < 0)
		_exit(16);
}

/* Takes FD over: begins a conversation on it, whose peer is a port or the name of a unix socket. */
static inline void daemon_welcome(void *context, int fd)
{
	struct daemon *d = context;
	const int on = 1;
	union {
		struct sockaddr_in in;
		struct sockaddr_un un;
	} address = {.un.sun_path = ""};
	socklen_t size = sizeof(address);
	char peer[sizeof(address.un.sun_path) + 1];
	struct roster_arrival arrival = {.origin = {.face = &d->world->face},
					 .peer = peer,
					 .listener = "a listener"};

	(void)getpeername(fd, (struct sockaddr *)&address, &size);
	if (address.in.sin_family == AF_INET)
		(void)snprintf(peer, sizeof(peer), "%d", ntohs(address.in.sin_port));
	else
		(void)snprintf(peer, sizeof(peer), "%.*s", (int)sizeof(address.un.sun_path) - 1,
			       address.un.sun_path + 1);
	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (roster_begin(&d->roster, fd, &arrival) < 0)
		close_fd(&fd);
}

static inline void daemon_accept(struct daemon *d, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		daemon_welcome(d, fd);
}

static inline void daemon_start(struct daemon *d)
{
	const struct handover_hooks hooks = {
		.admit = daemon_admit,
		.dismiss = daemon_dismiss,
		.find_responder = daemon_find_responder,
		.welcome = daemon_welcome,
		.context = d,
	};
	const struct roster_hooks roster_hooks = {
		.keep = daemon_keep,
		.unkeep = daemon_unkeep,
		.over = daemon_over,
		.context = d,
	};
	struct world *world = d->world;
	struct table table;
	pthread_t operator;

	handover_init(&d->handover, world->limit, &hooks);
	for (size_t i = 0; i < world->n_stored; i++)
		(void)handover_claim(&d->handover, fcntl(world->store[i].fd, F_DUPFD_CLOEXEC, 0),
				     world->store[i].name);
	if (handover_table(&d->handover, world->capacity, &table) < 0)
		_exit(11);
	if (roster_init(&d->roster, &table, &roster_hooks) < 0)
		_exit(12);
	if (record_start(RECORD_OUTPUT_TEXT, d->roster.table.ring, TABLE_RING_SIZE, NULL) < 0)
		_exit(13);
	record_set_transcript(TRANSCRIPT_OFF, 0);
	daemon_watch(d);
	if (handover_resume(&d->handover, &d->roster) < 0)
		_exit(14);
	handover_store(&d->handover);
	(void)sd_notify(0, "READY=1");
	handover_ready(&d->handover);
	if (d->roster.watch != NULL &&
	    thread_start(&operator, NULL, NULL, 0, daemon_operate, d) < 0)
		_exit(17);
}

/* The daemon's process. Told to leave, it ends as service.c does. */
static inline _Noreturn void daemon_run(struct world *world, int control)
{
	static struct daemon d;

	d.world = world;
	/* A test that fails leaves nothing behind. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(15);
	(void)close_range(CLIENTS_FROM, UINT_MAX, 0);
	if (dup3(world->log, STDERR_FILENO, O_CLOEXEC) < 0)
		_exit(10);
	wire_init_signal();
	endword_init();
	daemon_start(&d);
	for (;;) {
		struct pollfd fds[] = {
			{.fd = d.roster.event, .events = POLLIN},
			{.fd = control, .events = POLLIN},
			{.fd = d.leaving ? -1 : world->listener, .events = POLLIN},
			{.fd = d.leaving ? -1 : world->unix_listener, .events = POLLIN},
		};

		if (d.leaving && roster_is_frozen(&d.roster)) {
			/* Threads that need not freeze may still record. */
			if (d.roster.live == 0)
				record_leave();
			/* As marceld does; one may have ended without being joined. */
			roster_abandon(&d.roster);
			_exit(0);
		}
		if (poll(fds, 4, -1) < 0)
			continue;
		if (fds[0].revents != 0)
			(void)roster_reap(&d.roster);
		if (fds[2].revents != 0)
			daemon_accept(&d, world->listener);
		if (fds[3].revents != 0)
			daemon_accept(&d, world->unix_listener);
		if (fds[1].revents != 0 && !d.leaving) {
			d.leaving = true;
			handover_leave(&d.handover);
			roster_freeze(&d.roster);
		}
	}
}
