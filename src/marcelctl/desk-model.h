/*
 * What the desk knows: the conversations ("talks"), their dialogues, which turns are open, what has
 * not been read, and in which order all this is shown.
 *
 * It is fed with what marceld tells (desk-link.c) and asked by whoever draws. A list after a lost
 * connection is merged: a talk that lives on keeps its dialogue and what was being typed, and so
 * does one that has ended as long as somebody looks at it, or should. Sizes are
 * bounded: the oldest lines of a dialogue are given up. Pure; one thread. Where memory is short,
 * news are lost and nothing else: functions that make a talk return NULL then.
 *
 * NOTE ON OPEN TURNS. marceld tells which open turn is the oldest, and a message of the client's
 * opens its turn; so older ones are known to be answered, and those this desk has answered. That
 * another operator answered a newer one before an older is not known here; what is sent for it is
 * refused then, and that tells.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "marcelctl/desk-edit.h"
#include "marcelctl/link.h"

struct desk_line {
	uint64_t time; /* CLOCK_REALTIME microseconds */
	uint64_t turn;
	bool past;  /* no signal has told of it; one may be on its way, which says what waits */
	char who;   /* 'C', 'S', or '-' for a note of the desk's own */
	char *text; /* escaped */
};

/* So many talks that ended unread are kept; the oldest are given up. */
#define DESK_MISSED_MAX 100

/* The dialogue of one talk is kept up to so many lines and bytes. */
#define DESK_LINES_MAX 2000
#define DESK_BYTES_MAX ((size_t)256 * 1024)

/* So many open turns of a talk are known by themselves, as many as marceld knows. */
#define DESK_OPEN_MAX 1024

/* So many times Enter may be pressed in a talk before marceld has taken the first line. */
#define DESK_SENDING_MAX 16

/* How long a line may be on its way before this is told: a moment. */
#define DESK_MOMENT (300 * USEC_PER_MSEC)

/* What was in the input line when Enter was pressed. */
struct desk_sending {
	char *text;     /* maybe several lines */
	size_t sent;    /* bytes of it that are through */
	uint64_t turn;  /* that it answers; 0: none, or all */
	uint64_t since; /* CLOCK_REALTIME microseconds */
};

struct desk_talk {
	uint64_t number; /* as the model knows it; see desk_talk_number() */
	char id[40];
	char *peer, *listener, *responder, *speaker, *suspended;
	uint64_t opened;
	uint64_t waiting;       /* the oldest open turn; 0: none */
	uint64_t waiting_since; /* CLOCK_REALTIME microseconds */
	uint64_t *open;         /* turns, rising */
	size_t n_open;
	size_t open_room;
	uint64_t draft_turn;  /* of which there is a draft of an answer; 0: there is none */
	char *draft;          /* escaped; the last one, if there is none any more, or NULL */
	uint64_t draft_noted; /* the turn with which the dialogue has it */
	uint64_t draft_nth;   /* how many there have been, this one included */
	uint64_t draft_until; /* when it goes out, CLOCK_REALTIME microseconds; 0: never */
	bool draft_known;     /* that there is one, or none, of this connection */
	bool ended;
	bool missed;     /* it ended while it waited, and has not been looked at since */
	bool deserted;   /* it waits no more, though its client was the last to say something */
	bool displaced;  /* its number has become another one's; not asked for yet */
	bool listed;     /* while a list is merged */
	bool past_known; /* of this connection; or on its way */
	bool was_open;   /* its dialogue has been looked at */

	struct desk_line *lines;
	size_t count;
	size_t room;
	size_t bytes;
	size_t added;  /* which line was added last, counted from the end, which is 1 */
	size_t unread; /* messages of the client's since it was looked at last */

	struct desk_edit input;
	bool aimed;   /* AIM was chosen, by typing or by hand */
	uint64_t aim; /* the turn that is being answered; 0: all that are open */
	struct desk_sending sending[DESK_SENDING_MAX]; /* a line of the first is on its way */
	size_t n_sending;
};

struct desk_model {
	struct desk_talk **talks; /* by number */
	struct desk_talk **order; /* as they are shown */
	size_t count;
	size_t room;
	uint64_t lost;      /* signals that found no room */
	uint64_t displaced; /* talks whose numbers have become those of others */
};

void desk_model_done(struct desk_model *model);

/* The talk NUMBER, or NULL. Valid until it is dropped by desk_model_tidy(). */
struct desk_talk *desk_model_find(const struct desk_model *model, uint64_t number);

/* A list is merged: begin, each conversation, end. Talks that are not in it have ended. */
void desk_model_list_begin(struct desk_model *model);
struct desk_talk *desk_model_listed(struct desk_model *model,
				    const struct link_conversation *conversation);
void desk_model_list_end(struct desk_model *model, uint64_t now);

/* What the signals of link.h tell, all but Message. NOW: CLOCK_REALTIME microseconds. Returns the
 * talk, NULL if it is not known. */
struct desk_talk *desk_model_event(struct desk_model *model, const struct link_event *event,
				   uint64_t now);

/*
 * A Message; or, if PAST, a line of the past, which finds its place by its time. A line that is
 * there already is not added again; but the past knows of what was said before its Message comes,
 * and only that opens the turn for certain. Returns the talk if it was added, or NULL.
 */
struct desk_talk *desk_model_said(struct desk_model *model, const struct link_event *event,
				  bool past);

/* A line of the desk's own in TALK's dialogue. */
void desk_model_note(struct desk_talk *talk, uint64_t now, const char *text);

/*
 * marceld may begin to count anew (killed, and started by hand); then the number of a talk that has
 * ended becomes that of another conversation, and the talk gets a number of its own. This is what
 * the talk NUMBER, of before the last news, is now.
 */
uint64_t desk_model_moved(struct desk_model *model, uint64_t number);

/* The number that people know. */
uint64_t desk_talk_number(const struct desk_talk *talk);

/* What the client said has been read. */
void desk_talk_read(struct desk_talk *talk);

/* Sorts, and forgets talks that have ended, but for KEEP (0: none), those where something was
 * typed, and those that waited and were not looked at. */
void desk_model_tidy(struct desk_model *model, uint64_t keep);

/* Where TALK is in the order. */
size_t desk_model_place(const struct desk_model *model, uint64_t number);

/* The next talk that waits behind the one NUMBER in the order (BACK: before it), round its end; 0:
 * none but maybe itself. */
uint64_t desk_model_next_waiting(const struct desk_model *model, uint64_t number, bool back);

/* How many talks wait. *RET_SINCE, which may be NULL: since when the first of them has. */
size_t desk_model_waiting(const struct desk_model *model, uint64_t *ret_since);

/* Whether an operator answers there. */
bool desk_talk_held(const struct desk_talk *talk);

/* Who answers there. */
const char *desk_talk_speaker(const struct desk_talk *talk);

/*
 * How long something that began at SINCE has waited at NOW, as it is shown: "0s", "50s" (by tens),
 * "59m", "23h", "9d" (4 bytes and the NUL are enough up to 999 days). Returns when this will
 * change; all in microseconds.
 */
#define DESK_AGE_STEP 10
uint64_t desk_age(char *buffer, size_t size, uint64_t since, uint64_t now);

/* There is the draft that EVENT tells of, which the dialogue gets a note of at NOW unless it has
 * one; or there is none any more. */
void desk_talk_set_draft(struct desk_talk *talk, uint64_t now, const struct link_event *event);

/* There is no draft any more; what the dialogue has of it stays. */
void desk_talk_drop_draft(struct desk_talk *talk);

/* Whether an empty line would send the draft: it is for the turn that would be answered now. */
bool desk_talk_offers_draft(const struct desk_talk *talk);

/* What the draft is, and when it goes out, in words; the caller frees it; NULL: no memory. */
char *desk_talk_draft_note(const struct desk_talk *talk);

/* Puts the draft into the input line if nothing is there. Returns whether it did. */
bool desk_talk_edit_draft(struct desk_talk *talk);

bool desk_talk_is_open(const struct desk_talk *talk, uint64_t turn);

/* The turn is answered, whatever marceld says later. */
void desk_talk_answered(struct desk_talk *talk, uint64_t turn);

/*
 * Which turn a line would answer now: the one that it was begun for; or the oldest that is open and
 * not being answered just now. 0: none (a line says something unasked), or all.
 */
uint64_t desk_talk_target(const struct desk_talk *talk);

/* Whether the turn that the line was begun for has been answered meanwhile. */
bool desk_talk_is_late(const struct desk_talk *talk);

/* Chooses another turn to answer: the next newer one (or older, if OLDER); behind the newest comes
 * "all" if several are open. */
void desk_talk_aim(struct desk_talk *talk, bool older);

/* Whether a line of LENGTH bytes says nothing to the client, but asks marceld for something else.
 */
bool desk_is_other_order(const char *line, size_t length);

/* Takes what was typed for sending, behind what is on its way already; it stays owned by TALK.
 * Returns false when too much is, or memory is short. */
bool desk_talk_take_input(struct desk_talk *talk, uint64_t now);

/* The next line of what is being sent: LENGTH bytes; NULL: all is through. */
const char *desk_talk_next_line(struct desk_talk *talk, size_t *ret_length);

/*
 * The order (marcel-operator(7)) that says the LENGTH bytes at LINE, as typed for *TURN: a slash
 * begins an order of another kind, for no turn, unless there are two, and a number sign means
 * nothing. *TURN becomes 0 for what can't be for a turn. The caller frees it; NULL: no memory.
 */
char *desk_order(const char *line, size_t length, uint64_t *turn);

/* The line that desk_talk_next_line() gave went through (OK), or was refused: then it and all that
 * was to follow come back into the input line, before what has been typed there meanwhile. */
void desk_talk_sent(struct desk_talk *talk, bool ok);

/* How many times something was sent that takes longer than DESK_MOMENT, with what is behind it;
 * *RET_NEXT: when there may be more, USEC_NEVER if not. */
size_t desk_model_late(const struct desk_model *model, uint64_t now, uint64_t *ret_next);

/* The line INDEX or an older one that has NEEDLE in it; -1: none. */
long desk_talk_search(const struct desk_talk *talk, size_t index, const char *needle,
		      size_t needle_length);

/* The next talk behind the one NUMBER in the order, round its end, whose number is NEEDLE or that
 * has it in its address, its names or its dialogue; 0: none. */
uint64_t desk_model_search(const struct desk_model *model, uint64_t number, const char *needle);
