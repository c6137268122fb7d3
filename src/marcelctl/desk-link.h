/*
 * The desk's connection to marceld: it feeds the model, carries orders, and when marceld is gone
 * looks for it again, as soon as its socket appears (inotify) and after pauses that grow up to
 * DESK_PAUSE_MAX.
 *
 * Orders are answered through hooks, later, so that the screen never waits for a client. Lists and
 * the past of a talk are fetched at once, from a thread of marceld's that has nothing else to do.
 * One thread, in the event loop it is given.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "marcelctl/desk-model.h"
#include "marcelctl/link.h"

#define DESK_PAUSE_MAX (5 * USEC_PER_SEC)

enum desk_order {
	DESK_SAY,
	DESK_CLOSE,
	DESK_TAKE,
	DESK_GIVE,
};

/* What became of an order. */
struct desk_result {
	enum desk_order order;
	uint64_t number;
	uint64_t turn;
	int error;        /* 0 or a negative errno as of link_call() */
	const char *text; /* what it means, in the user's language */
};

struct desk_hooks {
	/* A line was said in TALK. */
	void (*said)(void *context, struct desk_talk *talk);
	/* TALK begins to wait, which it did not do before. */
	void (*waits)(void *context, struct desk_talk *talk);
	/* Anything in the model, or the connection, has changed. */
	void (*news)(void *context);
	/* An order was carried out, or not; also when the connection was lost before the answer. */
	void (*done)(void *context, const struct desk_result *result);
	/* Something else is to be told. */
	void (*told)(void *context, const char *line);
};

struct desk_link;

/*
 * Connects. OPTIONS, EVENT, MODEL and HOOKS must outlive it. Returns 0 or a negative errno after
 * telling the user on standard error. desk_link_free(NULL) is allowed.
 */
int desk_link_new(sd_event *event, const struct link_options *options, struct desk_model *model,
		  const struct desk_hooks *hooks, void *context, struct desk_link **ret_link);
void desk_link_free(struct desk_link *link);

/* What is due between two events: call it after each turn of the event loop. */
void desk_link_tend(struct desk_link *link);

bool desk_link_is_up(const struct desk_link *link);

/* Gets the past of TALK, if it is not known yet. */
void desk_link_past(struct desk_link *link, struct desk_talk *talk);

/* The names of the responders, ended by NULL; maybe none. Valid until the next call of tend(). */
char *const *desk_link_responders(const struct desk_link *link);

/*
 * Gives an order about the talk NUMBER; the answer comes through the hook. TEXT: what to say (valid
 * UTF-8), or the responder to give to. Returns 0, or a negative errno when there is no connection
 * or no memory; then no answer comes.
 */
int desk_link_order(struct desk_link *link, enum desk_order order, uint64_t number, uint64_t turn,
		    const char *text);
