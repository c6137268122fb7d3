/* Relaying; see relay.h. */
#include "marcelctl/relay.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PIECE ((size_t)64 * 1024)

int relay_init(struct relay *relay, int client, int server)
{
	*relay = (struct relay){
		.client = client,
		.server = server,
		.up = {.from = client, .to = server},
		.down = {.from = server, .to = client},
	};
	relay->up.waiting = malloc(PIECE);
	relay->down.waiting = malloc(PIECE);
	if (relay->up.waiting != NULL && relay->down.waiting != NULL)
		return 0;
	relay_done(relay);
	return -ENOMEM;
}

void relay_done(struct relay *relay)
{
	close_fd(&relay->client);
	close_fd(&relay->server);
	free(relay->up.waiting);
	free(relay->down.waiting);
	exchange_done(&relay->exchange);
	*relay = (struct relay){.client = -1, .server = -1};
}

/* What to wait for at the socket that WAY reads and BACK writes. */
static short wants(const struct relay_way *way, const struct relay_way *back)
{
	short events = 0;

	if (!way->ended && way->length == 0)
		events |= POLLIN;
	if (back->length > 0)
		events |= POLLOUT;
	return events;
}

short relay_wants_client(const struct relay *relay)
{
	return wants(&relay->up, &relay->down);
}

short relay_wants_server(const struct relay *relay)
{
	return wants(&relay->down, &relay->up);
}

static void keep(struct relay *relay, enum exchange_kind kind, const char *bytes, size_t length)
{
	const int r = exchange_add(&relay->exchange, kind, clock_now(), bytes, length);

	if (r < 0 && relay->error == 0)
		relay->error = r;
}

/* Reads from one side; the end of its bytes is an event as well. */
static void take(struct relay *relay, struct relay_way *way)
{
	const bool client = way == &relay->up;
	const ssize_t n = recv(way->from, way->waiting, PIECE, MSG_DONTWAIT);

	if (n > 0) {
		way->length = (size_t)n;
		keep(relay, client ? EXCHANGE_CLIENT : EXCHANGE_SERVER, way->waiting, (size_t)n);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	way->ended = true;
	if (n == 0)
		keep(relay, client ? EXCHANGE_CLIENT_END : EXCHANGE_SERVER_END, NULL, 0);
	else if (!client)
		keep(relay, EXCHANGE_RESET, NULL, 0);
	if (n < 0) {
		const struct linger at_once = {.l_onoff = 1};

		/* The other side is to see what happened here. */
		(void)setsockopt(way->to, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		way->shut = true;
		relay->over = true;
	}
}

/* Writes what waits to the other side, and passes on the end once all is written. */
static void give(struct relay *relay, struct relay_way *way)
{
	while (way->length > way->sent) {
		const ssize_t n = send(way->to, way->waiting + way->sent, way->length - way->sent,
				       MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			/* Nobody is there to take it; what the other side says still counts. */
			way->ended = true;
			break;
		}
		way->sent += (size_t)n;
	}
	way->length = 0;
	way->sent = 0;
	if (way->ended && !way->shut) {
		(void)shutdown(way->to, SHUT_WR);
		way->shut = true;
	}
	if (relay->up.shut && relay->down.shut)
		relay->over = true;
}

void relay_step(struct relay *relay, short client_events, short server_events)
{
	const short readable = POLLIN | POLLHUP | POLLERR;

	if ((server_events & readable) != 0 && !relay->down.ended && relay->down.length == 0)
		take(relay, &relay->down);
	give(relay, &relay->down);
	if ((client_events & readable) != 0 && !relay->up.ended && relay->up.length == 0)
		take(relay, &relay->up);
	give(relay, &relay->up);
}
