/*
 * An exchange: all that a client and a server said to each other over one connection, byte for
 * byte, in the order in which somebody between them saw it. What compose.h makes a script of.
 *
 * One thread.
 */
#pragma once

#include <stddef.h>

#include "base/clock.h"

enum exchange_kind {
	EXCHANGE_CLIENT,     /* the client sent bytes */
	EXCHANGE_SERVER,     /* the server did */
	EXCHANGE_CLIENT_END, /* the client closed its sending side */
	EXCHANGE_STOP,       /* the server was about to be stopped */
	EXCHANGE_SERVER_END, /* the server closed its own, or the connection */
	EXCHANGE_RESET,      /* the server broke the connection off */
};

/* The bytes of one side; an event of it is a part of them. */
struct stream {
	char *bytes;
	size_t length;
	size_t room;
};

struct exchange_event {
	enum exchange_kind kind;
	usec_t when;  /* on any clock: only differences mean something */
	usec_t until; /* when the last of its bytes came */
	size_t from;  /* its bytes in the stream of its side: from here */
	size_t to;    /* to before here */
};

struct exchange {
	struct exchange_event *events;
	size_t count;
	size_t room;
	struct stream client;
	struct stream server;
};

/* More of one side than this is too much for a script anyway. */
#define EXCHANGE_MAX ((size_t)256 * 1024 * 1024)

/*
 * Adds an event of KIND at WHEN, with LENGTH bytes at BYTES, which are copied; pieces that follow
 * each other closely become one. Returns 0, -ENOMEM, or -EFBIG past EXCHANGE_MAX.
 */
int exchange_add(struct exchange *exchange, enum exchange_kind kind, usec_t when, const char *bytes,
		 size_t length);

void exchange_done(struct exchange *exchange);
