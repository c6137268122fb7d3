/*
 * What the files of the watch share: watch.c is what conversations tell, watch-ask.c what the
 * control asks; watch-ring.c keeps events in bounded memory.
 *
 * Of the locks here, that of a watched part and the watch's own, nobody takes one while he has the
 * other; a wire's (wire.h) may be taken under the first.
 */
#pragma once

#include "converse/watch.h"

/* The queue of events. */
#define QUEUE_SIZE ((size_t)1024 * 1024)

/* Wishes that may wait in one conversation; one more, if it is to end it. */
#define WISHES_MAX 16

/* Messages of one conversation of which is known when they came. */
#define CAME_MAX 32

/* Events with their texts, in a ring of bytes. Guarded by whoever owns it. */
struct watch_ring {
	char *bytes; /* NULL: there is none yet; owned */
	size_t size;
	uint64_t begin; /* bytes that were ever taken out / put in */
	uint64_t end;
};

struct wish_node {
	struct wish wish;
	int result;
	uint64_t after; /* an answer: the queue's end when it was given */
	struct wish_node *next;
};

/* See the note on the watched part. */
struct watched {
	_Atomic bool made;       /* the lock is usable; set by the main thread */
	_Atomic uint64_t number; /* of the conversation; 0: none. A hint without the lock */
	struct lock lock;        /* guards all that follows */
	struct conversation *conversation; /* NULL: it is not live */
	char responder[WATCH_NAME_MAX];
	char speaker[WATCH_NAME_MAX];
	char suspended[WATCH_NAME_MAX];
	uint64_t turns;
	uint64_t waiting;
	usec_t waiting_since;
	usec_t came[CAME_MAX]; /* when the last turns came, by turn % CAME_MAX; 0: not known */
	usec_t last;
	struct watch_draft draft; /* turn 0: none. Its text is the next */
	char *draft_text;         /* owned; NULL: there is none */
	bool has_past;  /* what was said last is kept, and good; only the conversation's thread
			 * changes it while that runs */
	usec_t closing; /* since when only its end is to come; 0: it is not so */
	bool wants_end; /* a wish to end it was answered then */
	bool restoring; /* resumed, and its thread has not taken it up */
	struct wish_node *wishes; /* oldest first; the first may be at work */
	unsigned n_wishes;
};

struct watch {
	uint32_t capacity;
	struct watched *watched;
	_Atomic uint32_t top; /* slots from this one on were never used */
	_Atomic bool listens; /* events are wanted */
	_Atomic bool keeps_past;
	int event;

	struct lock lock; /* guards all that follows */
	struct watch_ring queue;
	uint64_t dropped; /* events that found no room, since the last that did */
	uint64_t dropped_ever;
	struct wish_node *answers;
	struct watch_sums sums;  /* of what is over */
	struct watch_sums shown; /* of all: what grows, as watch_sum() said last */
	uint32_t restoring;      /* conversations of which this is so */
	bool hurries;            /* nobody is to wait for them any more */
	struct bell restored;    /* there is none left, or it hurries */
};

/* Frees NODE and all that follow. */
void watch_free_wishes(struct wish_node *node);

/* Moves NODE, which nobody else refers to, to the answers, with RESULT. Takes WATCH's lock. */
void watch_put_answer(struct watch *watch, struct wish_node *node, int result);

/* Makes RING, of SIZE bytes. Returns 0 or -ENOMEM. */
int ring_make(struct watch_ring *ring, size_t size);

/* Appends EVENT with its text. Returns false when there is no room. */
bool queue_put(struct watch_ring *ring, const struct watch_event *event, const char *text);

/* Takes the oldest out. Returns false when there is none. */
bool queue_take(struct watch_ring *ring, struct watch_event *ret_event, char text[WATCH_TEXT_MAX]);
