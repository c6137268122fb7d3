/*
 * The watch: what others than its own thread may see of a conversation, and ask of it.
 *
 * Whoever controls the daemon (src/control) looks at conversations, follows them, and has wishes:
 * say this, end, go to another responder. It must never slow one down. So each slot has a watched
 * part of its own, guarded by a lock that its thread takes for moments only and nobody keeps; what
 * happens goes into a bounded queue, which drops and counts what finds no room; and a wish waits
 * until its conversation comes round to it.
 *
 * NOTE ON THE WATCHED PART. It is filled by the main thread when a conversation begins or is
 * resumed, changed by the conversation's thread, and emptied by the main thread before that thread
 * is joined, always under its lock; so whoever holds the lock and sees that it is live may also
 * wake the thread (wire.h). It belongs to this process: after a restart the sums begin anew, and
 * wishes that were not answered are gone. What was said last lies in the table (respond/past.h).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/lock.h"
#include "converse/end-reasons.h"
#include "marcel/responder.h"

struct conversation;
struct record_about;

#define WATCH_NAME_MAX 64

/* What can be asked of a conversation. */
enum wish_kind {
	WISH_SAY,   /* an order for its responder (marcel/responder.h, struct marcel_order) */
	WISH_CLOSE, /* end the dialogue, with the farewell */
	WISH_GIVE,  /* go on with the responder that is named; the present one is suspended if it is
		     * WISH_TAKE, and else closed */
	WISH_TAKE,
};

/* The longest line of an order in bytes, as on the operator channel. */
#define WISH_LINE_MAX 4096

struct wish {
	enum wish_kind kind;
	uint64_t ticket;                /* by which the answer is known; never 0 */
	uint64_t turn;                  /* SAY: as in struct marcel_order */
	char responder[WATCH_NAME_MAX]; /* GIVE, TAKE */
	size_t length;
	char *line; /* SAY: LENGTH bytes, owned */
};

/* What happened, as it lies in the queue. */
enum watch_kind {
	WATCH_OPENED,   /* a conversation began; text: nothing, ask watch_look() */
	WATCH_SAID,     /* who, turn, text */
	WATCH_WAITING,  /* turn: the oldest that waits for an answer; 0: none does any more */
	WATCH_DRAFT,    /* what is proposed as an answer: turn, until, text; turn 0: nothing is any
			 * more */
	WATCH_SWITCHED, /* text: the name of who answers from now on */
	WATCH_REFUSED,  /* an operator's order was not carried out; turn; text: why and what */
	WATCH_CLOSED,   /* text: MARCEL_REASON */
	WATCH_DONE,     /* a wish was carried out, or not: ticket, result. Never dropped */
};

struct watch_event {
	enum watch_kind kind;
	uint64_t number; /* of the conversation */
	usec_t time;     /* CLOCK_REALTIME microseconds */
	uint64_t turn;
	char who;        /* MARCEL_CLIENT or MARCEL_SERVER */
	usec_t until;    /* DRAFT: when it is said by itself, CLOCK_REALTIME microseconds; 0: never
			  */
	bool withheld;   /* SAID: the text is secret, and not here */
	uint64_t ticket; /* DONE */
	int result;      /* DONE: 0 or a negative errno */
	size_t length;   /* bytes of text; at most WATCH_TEXT_MAX, what is longer is cut */
	size_t whole;    /* bytes it had before */
};

#define WATCH_TEXT_MAX 4096

/* What is proposed as an answer to whoever may give it. */
struct watch_draft {
	uint64_t turn;    /* that it answers */
	usec_t until;     /* when it is said by itself, CLOCK_REALTIME microseconds; 0: never */
	const char *text; /* LENGTH bytes; at most WATCH_TEXT_MAX are kept */
	size_t length;
	size_t whole; /* bytes it had before it was cut */
};

/* A conversation as watch_look() shows it. */
struct watch_view {
	uint64_t number;
	uint8_t id[16];
	char peer[192];
	char listener[256];
	char responder[WATCH_NAME_MAX]; /* who answers */
	char speaker[WATCH_NAME_MAX];   /* whom that one lets answer; "" when it does so itself */
	char suspended[WATCH_NAME_MAX]; /* from whom it was taken; "" if it was not */
	usec_t opened;                  /* CLOCK_REALTIME microseconds */
	uint64_t turns;                 /* messages so far */
	uint64_t waiting;               /* the oldest turn that waits; 0: none */
	usec_t waiting_since;           /* CLOCK_REALTIME microseconds, 0: nothing waits */
	usec_t closing;                 /* since when only its end is to come; 0: it goes on */
	usec_t last;                    /* when something was said last; 0: not by this process */
	uint64_t bytes_in;
	uint64_t bytes_out;
};

/* Sums over all conversations of this process, those that ended included. */
struct watch_sums {
	uint64_t live;
	uint64_t begun;   /* by this process; carried ones not counted */
	uint64_t carried; /* from the process before */
	uint64_t messages;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t waiting; /* live ones that wait for an answer */
	uint64_t orders;  /* carried out */
	uint64_t refused; /* orders that were not */
	uint64_t dropped; /* events that found no room */
	uint64_t ended[END_REASON_COUNT];
};

struct watch;

/*
 * Makes a watch over CAPACITY slots. Returns 0 or a negative errno. Main thread; watch_free() when
 * no thread uses it any more. watch_free(NULL) is allowed.
 */
int watch_new(uint32_t capacity, struct watch **ret_watch);
void watch_free(struct watch *watch);

/* An eventfd that is readable while there are events or answers; owned by WATCH. Any thread. */
int watch_fd(const struct watch *watch);

/*
 * Waits until all that was resumed is restored, but for those that are suspected of having killed
 * the process before, at most until DEADLINE (clock_now() time), or until watch_hurry(): who looks
 * earlier sees nobody wait who does. Any thread but a conversation's.
 */
void watch_await_restored(struct watch *watch, usec_t deadline);
void watch_hurry(struct watch *watch);

/* Whether what was said last is kept for watch_past() and marcel_past(); at first: no. Main thread.
 */
void watch_keep_past(struct watch *watch, bool keep);

/*
 * What the daemon tells. WATCH may be NULL in all of these: nobody watches.
 *
 * watch_begin(): conversation C, whose slot and wire are made, is about to get its thread /
 * watch_end(): its thread is over, for REASON (END_HANDOVER: it is live elsewhere), and about to be
 * joined. Main thread.
 */
void watch_begin(struct watch *watch, struct conversation *c);
void watch_end(struct watch *watch, struct conversation *c, enum end_reason reason);

/*
 * C has taken up what another process left: what is seen of it, as who waits, is true from now on.
 * Also where there was nothing to take up. Its thread, or the main one after its end.
 */
void watch_restored(struct watch *watch, struct conversation *c);

/*
 * Makes what was said last in C good for marcel_past(): begins it with the greeting, and drops what
 * another process left of a turn that did not come into force. Before a turn in which a responder
 * may look at it, or say something.
 * Conversation's thread, as all that follow.
 */
void watch_recall(struct watch *watch, struct conversation *c);

/* What was said last in C; NULL: nothing is kept of it, or watch_recall() was not called. What lies
 * in its slot then may be another conversation's. */
const struct marcel_past *watch_own_past(const struct watch *watch, const struct conversation *c);

/* Something was said: LENGTH bytes at TEXT in turn TURN; MARCEL_WITHHELD: it is secret. */
void watch_said(struct watch *watch, struct conversation *c, char who, uint64_t turn,
		const char *text, size_t length);

/* The oldest turn that waits for an answer is TURN now; 0: none. */
void watch_waiting(struct watch *watch, struct conversation *c, uint64_t turn);

/* DRAFT (all but `whole`; copied) is proposed from now on; NULL: nothing is. Where memory is short
 * it is told once, and not kept. */
void watch_draft(struct watch *watch, struct conversation *c, const struct watch_draft *draft);

/* Who answers from now on; SUSPENDED and SPEAKER may be NULL. */
void watch_switched(struct watch *watch, struct conversation *c, const char *responder,
		    const char *suspended, const char *speaker);

/* N orders for the conversation NUMBER (0: for none) were refused (TEXT: why), whoever gave them /
 * one was carried out. Any thread. */
void watch_refused(struct watch *watch, uint64_t number, uint64_t turn, uint64_t n,
		   const char *text, size_t length);
void watch_obeyed(struct watch *watch);

/* Takes the oldest wish for C, which stays WATCH's own until it is answered; NULL when there is
 * none. */
const struct wish *watch_take_wish(struct watch *watch, struct conversation *c);

/*
 * The dialogue of C is over, and only its end is to come, which may take a while: wishes are
 * answered at once from now on, those to end it with 0 and others with -ESHUTDOWN. May be called
 * again.
 */
void watch_closing(struct watch *watch, struct conversation *c);

/* Whether one of the wishes for C is, or was, to end it: until its dialogue is over those that wait
 * count, and then all that came or come. */
bool watch_wants_end(struct watch *watch, struct conversation *c);

/* Answers the wish TICKET: RESULT is 0 or a negative errno. */
void watch_answer(struct watch *watch, struct conversation *c, uint64_t ticket, int result);

/*
 * What control asks. Any one thread but a conversation's.
 *
 * watch_listen(): whether events are to be queued, besides DONE.
 */
void watch_listen(struct watch *watch, bool listen);

/*
 * Takes the oldest event, its text into TEXT (WATCH_TEXT_MAX bytes). Returns 1; 0 when there is
 * none (then the eventfd is not readable any more). *RET_DROPPED: how many found no room before it.
 */
int watch_next(struct watch *watch, struct watch_event *ret_event, char text[WATCH_TEXT_MAX],
	       uint64_t *ret_dropped);

/* Looks at the conversation NUMBER. Returns 0 or -ENOENT. */
int watch_look(struct watch *watch, uint64_t number, struct watch_view *ret_view);

/*
 * What is proposed in the conversation NUMBER; its text, which is valid until the next call with
 * the same TEXT, goes there. *RET_DRAFT has turn 0 if nothing is. Returns 0 or -ENOENT.
 */
int watch_look_draft(struct watch *watch, uint64_t number, struct watch_draft *ret_draft,
		     char text[WATCH_TEXT_MAX]);

/* Calls FUNCTION with every live conversation, by slot, until it returns false. */
typedef bool watch_each_fn(void *context, const struct watch_view *view);
void watch_each(struct watch *watch, watch_each_fn *function, void *context);

void watch_sum(struct watch *watch, struct watch_sums *ret_sums);

/* What was said last in the conversation NUMBER, oldest first: calls FUNCTION with each line. Kept
 * are some 4 KiB. Returns 0 or -ENOENT. */
int watch_past(struct watch *watch, uint64_t number, marcel_line_fn *function, void *context);

/*
 * Asks WISH, whose line is copied, of the conversation NUMBER and wakes it. The answer comes as
 * WATCH_DONE with its ticket, also when the conversation ends first (-ENOENT, or -ESHUTDOWN when
 * its end begins; 0 for who wanted that) or another process goes on with it (-ECANCELED). Returns
 * 0; -ENOENT; -ESHUTDOWN (it is closing); -ENOBUFS (too many wishes wait there: its client does not
 * read; a first WISH_CLOSE has room all the same); -E2BIG (the line is too long); -ENOMEM.
 */
int watch_wish(struct watch *watch, uint64_t number, const struct wish *wish);
