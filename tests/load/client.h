/*
 * One client of the checker: a connection that numbers what it says and checks every answer.
 *
 * A client connects, waits for the greeting, and then says lines `[COMMAND ]cI N`, where I is its
 * index and N counts from 1 on each connection. An answer is the line itself (echo), or, with
 * `counted`, the line with the responder's own count before it: `N ` or, for the k-th of several
 * replies, `N.k `. Whatever else comes is a fault, counted in the tally and told on standard error.
 *
 * One thread. The functions end the program with status 2 when the system refuses something.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "listen/address.h"

/* What all clients do. */
struct habits {
	unsigned clients;
	unsigned batch;      /* at most so many lines in one segment */
	size_t size;         /* lines are padded to this many bytes */
	unsigned pause_msec; /* up to so long between an answer and the next line */
	uint64_t churn;      /* after so many answers, end and connect again; 0: never */
	size_t slow;         /* read at most so much at each tick; 0: what there is, at once */
	bool idle;           /* one line, then nothing until crowd_ask() */
	const char *command; /* goes before each line, with a space; "" */
	bool counted;        /* answers begin with the responder's count */
	unsigned replies;    /* answers to each line; above 1 only with `counted` */
	uint64_t seed;
};

/* What was seen. */
struct tally {
	uint64_t connected;  /* greetings */
	uint64_t answers;    /* good ones */
	uint64_t ticks;      /* lines `tick N` in order */
	uint64_t lost;       /* answers that were skipped */
	uint64_t doubled;    /* answers that came again */
	uint64_t garbled;    /* what is no answer to anything that was said */
	uint64_t miscounted; /* answers in which the responder's count is not the line's number */
	uint64_t broken;     /* connections that ended by themselves after a byte had come */
	uint64_t early;      /* connections that ended before any byte */
	uint64_t refused;    /* connections that were not accepted at all */
	uint64_t dismissed;  /* connections that the server ended with its farewell */
	uint64_t parted;     /* connections that ended in order when the client wished it */
};

struct client;

/* All clients. */
struct crowd {
	struct habits habits;
	struct address server;
	struct tally tally;
	struct client *clients;
	int epoll;
	unsigned arriving; /* connections that have not been greeted */
	unsigned absent;   /* clients without a connection */
	bool stopping;     /* nothing new is said, nobody connects again */
	bool parting;      /* all were told to end */
	uint64_t random;
	unsigned told; /* faults told so far */
};

/* What the clients are doing, counted on demand. */
struct presence {
	unsigned live;       /* connected */
	unsigned greeted;    /* of those, the ones that saw their greeting */
	unsigned unanswered; /* of those, the ones whose lines are not all answered */
	unsigned most;       /* the most answers that came again to one client */
	usec_t median_wait;  /* of the clients' longest waits for an answer */
	usec_t longest_wait;
	usec_t longest_arrival; /* from connecting to the greeting */
};

/* Makes the clients that HABITS ask for; they connect when crowd_tick() is called. */
void crowd_init(struct crowd *crowd, const struct habits *habits, const struct address *server);
void crowd_done(struct crowd *crowd);

/* To be called every few milliseconds: connects, speaks after pauses, reads slowly. */
void crowd_tick(struct crowd *crowd);

/* Something happened to the client that the epoll event's data.ptr is. */
void crowd_handle(struct crowd *crowd, struct client *client, uint32_t events);

/* Lets each greeted client say one line, and forgets the waits so far. */
void crowd_ask(struct crowd *crowd);

/* Lets each client say the end word once all its lines are answered. */
void crowd_part(struct crowd *crowd);

void crowd_count(const struct crowd *crowd, struct presence *ret);
