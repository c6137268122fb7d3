/*
 * Clients that notice everything: each knows, by tally.h, every byte that it must see, and compares
 * as it reads. It also keeps what the conversation must look like after each of its messages, for
 * audit.h.
 *
 * One thread; sockets don't block.
 */
#pragma once

#include "manager.h"

/* The conversation once a message has been answered. */
struct mark {
	uint64_t in_end;
	uint64_t out_end;
	struct tally tally;
};

struct client {
	int fd;
	bool tcp;
	bool slow;  /* its host takes little at once, and it reads little */
	bool hasty; /* it sends a first whole line at once, so that nobody takes it for raw */
	char peer[64];
	uint64_t seed;
	struct text in;     /* what was or will be said on this connection */
	struct text out;    /* what must be heard */
	struct mark *marks; /* marks[n]: after n messages; marks[0]: after the greeting */
	size_t n_marks;
	struct tally tally;
	size_t sent;
	size_t seen;
	bool ending;    /* the end word was said */
	unsigned lines; /* until then */

	uint64_t served;   /* connections that came to their end */
	uint64_t answers;  /* messages on them */
	uint64_t early;    /* connections that ended before any byte */
	uint64_t repeated; /* bytes that came twice, which audit.h allowed */
};

/* How much a client has in the air. */
#define PENDING_MAX ((size_t)96 * 1024)

static inline void add_mark(struct client *client)
{
	client->marks = realloc(client->marks, (client->n_marks + 1) * sizeof(*client->marks));
	assert_non_null(client->marks);
	client->marks[client->n_marks++] = (struct mark){
		.in_end = client->in.used,
		.out_end = client->out.used,
		.tally = client->tally,
	};
}

static inline void client_forget(struct client *client)
{
	(void)close(client->fd);
	client->fd = -1;
	text_done(&client->in);
	text_done(&client->out);
	free(client->marks);
	client->marks = NULL;
	client->n_marks = 0;
	client->sent = client->seen = 0;
	client->ending = false;
	client->tally = (struct tally){.count = 0};
}

static inline void say(struct client *client, const char *line, size_t length)
{
	text_add(&client->in, line, length);
	text_add(&client->in, "\n", 1);
	while (tally_answer(&client->tally, line, length, text_put, &client->out) == MARCEL_AGAIN)
		;
	add_mark(client);
}

static inline void client_connect(struct client *client, const struct world *world)
{
	const int little = 4096;
	struct sockaddr_in own = {.sin_port = 0};
	struct sockaddr_un name;
	socklen_t size = sizeof(own);
	int fd = socket(client->tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (client->slow)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
	if (client->tcp) {
		assert_int_equal(connect(fd, (const struct sockaddr *)&world->address,
					 sizeof(world->address)),
				 0);
		assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
		(void)snprintf(client->peer, sizeof(client->peer), "%d", ntohs(own.sin_port));
	} else {
		/* With a name, so that audit.h finds it. */
		size = own_address(&name, "client");
		(void)snprintf(client->peer, sizeof(client->peer), "%.60s", name.sun_path + 1);
		assert_int_equal(bind(fd, (struct sockaddr *)&name, size), 0);
		assert_int_equal(connect(fd, (const struct sockaddr *)&world->unix_address,
					 world->unix_length),
				 0);
	}
	client->fd = fcntl(fd, F_DUPFD_CLOEXEC, CLIENTS_FROM);
	assert_true(client->fd >= 0);
	(void)close(fd);
	text_add(&client->out, "hello\n", 6);
	add_mark(client);
	client->lines = (unsigned)(at_random(&client->seed) % 60);
	if (client->hasty) {
		say(client, "first", 5);
		assert_int_equal(send(client->fd, client->in.bytes, client->in.used, MSG_NOSIGNAL),
				 client->in.used);
		client->sent = client->in.used;
	}
}

static inline void say_goodbye(struct client *client)
{
	text_add(&client->in, "fin\n", 4);
	add_mark(client);
	text_add(&client->out, "fin\n", 4);
	client->ending = true;
}

/* A line of any kind: mostly short, sometimes a burst, sometimes large either way. */
static inline void say_something(struct client *client)
{
	static char line[200000];
	uint64_t chance = at_random(&client->seed) >> 8;
	size_t length;

	switch (chance % 64) {
	case 0:
		length = chance / 64 % sizeof(line);
		break;
	case 1:
	case 2:
		length = chance / 64 % 5000;
		break;
	case 3:
		length = (size_t)snprintf(line, sizeof(line), "+%d", (int)(chance / 64 % 400000));
		say(client, line, length);
		return;
	case 4:
	case 5:
	case 6:
		length = (size_t)snprintf(line, sizeof(line), "%c%d", "+*&"[chance % 64 - 4],
					  (int)(chance / 64 % 100));
		say(client, line, length);
		return;
	default:
		length = chance / 64 % 100;
		break;
	}
	for (size_t i = 0; i < length; i++)
		line[i] = (char)('a' + (chance + i) % 26);
	say(client, line, length);
}

/* The connection is over before any byte was seen: that may be, and is counted. */
static inline void came_too_early(struct client *client, const struct world *world)
{
	if (client->seen > 0) {
		print_error("client %s: its connection ended after %zu bytes of %zu\n",
			    client->peer, client->seen, client->out.used);
		show_log(world);
		fail_msg("a connection was lost");
	}
	client->early++;
	client_forget(client);
	client_connect(client, world);
}

/* Reads at most ROOM bytes and compares. Returns whether there were any. */
static inline bool hear(struct client *client, const struct world *world, size_t room)
{
	static char bytes[65536];
	ssize_t n =
		recv(client->fd, bytes, room < sizeof(bytes) ? room : sizeof(bytes), MSG_DONTWAIT);

	if (n > 0) {
		assert_true((size_t)n <= client->out.used - client->seen);
		assert_memory_equal(bytes, client->out.bytes + client->seen, (size_t)n);
		client->seen += (size_t)n;
		return true;
	}
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n == 0 && client->ending && client->seen == client->out.used) {
		client->served++;
		client->answers += client->tally.count;
		client_forget(client);
		client_connect(client, world);
	} else {
		came_too_early(client, world);
	}
	return true;
}

static inline bool is_quiet(const struct client *client)
{
	return client->sent == client->in.used && client->seen == client->out.used;
}

/* Whether it may begin another message. */
static inline bool has_breath(const struct client *client)
{
	return !client->ending && client->in.used - client->sent < PENDING_MAX &&
	       client->out.used - client->seen < PENDING_MAX;
}

static inline void speak(struct client *client, bool more)
{
	size_t length;
	ssize_t n;

	while (more && has_breath(client)) {
		if (client->lines-- == 0)
			say_goodbye(client);
		else
			say_something(client);
	}
	length = client->in.used - client->sent;
	if (length == 0)
		return;
	/* Pieces of all sizes. */
	if (at_random(&client->seed) % 2 == 0)
		length = 1 + at_random(&client->seed) % length;
	n = send(client->fd, client->in.bytes + client->sent, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		client->sent += (size_t)n;
}

/*
 * One round: waits until a client can do something, or until the daemon tells something. Clients
 * begin new messages only with MORE. Returns how many could do something, or -1 when the daemon is
 * gone.
 */
static inline int go_round(struct world *world, struct client *clients, size_t n, bool more)
{
	struct pollfd fds[66];
	int active = 0;

	assert_true(n <= 64);
	for (size_t i = 0; i < n; i++) {
		const struct client *c = &clients[i];
		bool speaks = c->sent < c->in.used || (more && has_breath(c));

		fds[i] = (struct pollfd){.fd = c->fd,
					 .events = (short)(speaks ? POLLIN | POLLOUT : POLLIN)};
	}
	fds[n] = (struct pollfd){.fd = world->notify, .events = POLLIN};
	fds[n + 1] = (struct pollfd){.fd = world->control, .events = POLLIN};
	assert_true(poll(fds, n + 2, -1) > 0);
	manage(world);
	for (size_t i = 0; i < n; i++) {
		if ((fds[i].revents & ~POLLOUT) != 0 &&
		    hear(&clients[i], world, clients[i].slow ? 1000 : SIZE_MAX))
			active++;
		if ((fds[i].revents & POLLOUT) != 0) {
			speak(&clients[i], more);
			active++;
		}
	}
	return fds[n + 1].revents != 0 ? -1 : active;
}
