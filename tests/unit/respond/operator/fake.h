/*
 * A channel that is none, a clock that stands still, and a conversation to call a responder's
 * functions with: for the tests of who lets an operator answer. All that happens is written down,
 * one a line:
 *
 *	make WHO, find WHO	a place, for whose responder
 *	EVENT #TURN WORD: TEXT	channel_tell()
 *	out C #TURN TEXT	place_say()
 *	past C #TURN TEXT	place_recall()
 *	show TURN WAITING	place_show()
 *	close REASON, left NAME	place_close()
 *	note KIND TEXT		marcel_note()
 */
#pragma once

#include "base/clock.h"
#include "marcel/responder.h"
#include "respond/sink.h"

/* What is between calls, as the daemon keeps it. */
struct fake {
	const struct marcel_responder_ops *ops;
	struct marcel_conversation c;
	_Alignas(uint64_t) char state[MARCEL_STATE_MAX];
	_Alignas(uint64_t) char pad[MARCEL_PAD_SIZE];
	char said[8192]; /* what the client got, of the last call */
	struct marcel_sink sink;
	size_t room;   /* of the sink */
	size_t prefix; /* of its framing; 0: lines */
	int fds[2];    /* the place's FIFO */
	bool no_place;
	bool lost;        /* its FIFO, with the process */
	unsigned refused; /* orders of which the channel told, and no note / that were carried out
			   */
	unsigned obeyed;
	char log[32768];
};

/* What place_draft() said last; and what a responder that hands its client over has said of the
 * draft, which it says anew in each call. */
struct fake_draft {
	uint64_t turn;
	uint64_t until; /* CLOCK_REALTIME, as the others are */
	char text[64];  /* "-": nothing, in the last call */
	uint64_t text_until;
};

extern struct fake fake;
extern struct fake_draft fake_draft;
extern usec_t fake_now;

/* For cmocka: a fresh fake, without a responder. */
int fake_set_up(void **state);
int fake_tear_down(void **state);

/* Opens a conversation with OPS and what its load() made. Returns what open() does. */
int fake_open(const struct marcel_responder_ops *ops, void *shared);

/* Turn by turn; the state is what it was if they return a negative errno. */
int fake_message(const char *text);
int fake_wake(enum marcel_wake reason);
int fake_order(uint64_t turn, const char *line);

/* Writes LINES to the FIFO, and drains it: what drain() returns. */
int fake_write(const char *lines);
/* The same, and lets it be carried out, all of it. Returns the last verdict. */
int fake_obey(const char *lines);

/* USEC pass, with each timer that comes due. Returns the last verdict. */
int fake_pass(usec_t usec);

/* Another process goes on: what restore() returns. */
int fake_restore(void);

/* Ends it for REASON; NULL: it goes to TO. */
void fake_close(const char *reason, const char *to);

/* Asserts that the log, since it was last looked at, is EXPECTED / what the client got. */
void fake_expect(const char *expected);
void fake_expect_said(const char *expected);
