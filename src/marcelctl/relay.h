/*
 * A relay: it stands between one client and one server, passes on what each says as it comes, byte
 * for byte, and keeps it as an exchange.
 *
 * What the server says is taken before what the client says when both have spoken: the server
 * can't have answered to what it has not been given yet. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "marcelctl/exchange.h"

struct relay_way {
	int from, to;  /* not owned */
	char *waiting; /* bytes that TO has not taken yet; nothing is read meanwhile */
	size_t length;
	size_t sent;
	bool ended; /* FROM sends no more */
	bool shut;  /* TO knows it */
};

struct relay {
	int client;
	int server;
	struct relay_way up;   /* from the client to the server */
	struct relay_way down; /* from the server to the client */
	struct exchange exchange;
	bool over;
	int error; /* negative errno: not all could be kept */
};

/* Takes over both sockets, which are connected and not blocking. Returns 0 or -ENOMEM. */
int relay_init(struct relay *relay, int client, int server);
void relay_done(struct relay *relay);

/* What poll(2) is to wait for, of the client's socket and of the server's. */
short relay_wants_client(const struct relay *relay);
short relay_wants_server(const struct relay *relay);

/* Passes on what can be, after poll(2) told EVENTS of both sockets. Sets over at the end of all. */
void relay_step(struct relay *relay, short client_events, short server_events);
