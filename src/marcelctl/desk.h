/*
 * The desk as its own files see it: what is known (model), where it comes from (link), what is on
 * the screen and what is being asked. desk.c has the loop, desk-keys.c reads keys, desk-act.c does
 * what they mean, desk-ask.c asks, desk-view.c draws, with desk-list.c, desk-dialogue.c and
 * desk-foot.c. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include <wchar.h>

#include "marcelctl/desk-edit.h"
#include "marcelctl/desk-link.h"
#include "marcelctl/desk-model.h"

/* Which part gets the keys. */
enum desk_focus {
	FOCUS_INPUT,
	FOCUS_LIST,
};

/* What is being asked in the place of the input line. */
enum desk_question {
	ASK_NOTHING,
	ASK_QUIT,      /* although something was typed */
	ASK_CLOSE,     /* the open talk */
	ASK_EMPTY,     /* an empty message, or the draft? */
	ASK_CUT,       /* although not all of it found room */
	ASK_LINES,     /* several lines: several messages, or one? */
	ASK_GIVE_OPEN, /* although a message has not been answered */
	ASK_GIVE,      /* to whom? */
	ASK_SEARCH,    /* for what? */
	ASK_FIND,      /* which one of the list? */
};

struct desk {
	sd_event *event;
	sd_event_source *timer; /* an age changes, or a line takes long */
	uint64_t woken;         /* when it did; CLOCK_REALTIME microseconds */
	struct desk_model model;
	struct desk_link *link;

	uint64_t open; /* the talk that is looked at; 0: none */
	enum desk_focus focus;
	enum desk_question question;
	uint64_t asked_draft;    /* ASK_EMPTY: the turn of the draft that is meant; 0: none is */
	uint64_t asked_nth;      /* which draft of its talk that is; see draft_nth */
	struct desk_edit answer; /* to the question */
	char *heir;              /* to whom to give if the question is answered by yes; or NULL */
	char *wanted;            /* what was searched last; NULL: nothing */
	long found;              /* the line where it was found, -1: nowhere */
	struct desk_cut cut;
	struct desk_history history;

	unsigned scrolled; /* rows that are below the dialogue's pane */
	size_t below;      /* lines that came there meanwhile */
	size_t list_top;   /* the first in the list that is shown */
	bool help;
	size_t help_top;
	bool pasting;
	bool silent; /* no bell */
	bool over;
	int fatal;        /* the signal that ends it, or 0 */
	char status[512]; /* what is to be told; "": nothing */
	bool changed;     /* the screen is not as it should be */
};

/* The open talk; NULL: none. */
struct desk_talk *desk_open_talk(const struct desk *desk);

/* Tells something in the status line, made as by printf(3). */
__attribute__((format(printf, 2, 3))) void desk_say(struct desk *desk, const char *format, ...);

/* desk-act.c: what keys and events do. */

/* Opens the talk NUMBER (0: none). */
void desk_act_open(struct desk *desk, uint64_t number);
/* The talk so many places further down the list. */
void desk_act_move(struct desk *desk, long places);
void desk_act_next_waiting(struct desk *desk, bool back);
void desk_act_send(struct desk *desk);
void desk_act_take(struct desk *desk);
/* Sends what was typed in TALK, without asking. */
void desk_act_submit(struct desk *desk, struct desk_talk *talk);
/* Gives an order about the open talk. */
void desk_act_order(struct desk *desk, enum desk_order order, const char *text);

/* Ends the desk, after a question if something was typed. */
void desk_act_quit(struct desk *desk);
/* Rows up (positive) or down the dialogue. */
void desk_act_scroll(struct desk *desk, long rows);
/* After news of marceld's: sorts, opens what there is if nothing is open, keeps the place of what
 * is read. */
void desk_act_news(struct desk *desk);
/* Has sent, or not: what desk-link.h tells. */
void desk_act_done(struct desk *desk, const struct desk_result *result);
void desk_act_said(struct desk *desk, struct desk_talk *talk);

/* desk-ask.c: questions and their answers. */

void desk_act_ask(struct desk *desk, enum desk_question question);
/* Takes the question back if news have made another one of it. */
void desk_act_ask_again(struct desk *desk);
/* Whether the answer to the question is a text, or a key. */
bool desk_act_wants_text(const struct desk *desk);
/* The question is answered: by the text that was typed, or by the key C. */
void desk_act_answer(struct desk *desk);
void desk_act_answer_key(struct desk *desk, wchar_t c);
/* The next name that could be meant by a text. */
void desk_act_complete(struct desk *desk);
/* Says no to the question. */
void desk_act_cancel(struct desk *desk);

/* desk.c: gives the terminal to who wants it, as ^Z does elsewhere. */
void desk_suspend(struct desk *desk);

/* desk-keys.c: takes all keys that were pressed. */
void desk_keys_begin(void);
void desk_keys_take(struct desk *desk);

/* desk-view.c: the screen. Returns 0, or -ENOTTY when this terminal can't show one. */
int desk_view_begin(void);
void desk_view_end(void);
/* Leaves the terminal to others, and takes it back. */
void desk_view_leave(void);
void desk_view_return(void);
/* The window has another size. */
void desk_view_resize(void);
/* Makes the screen as it should be; only what changed is written. */
void desk_view_draw(struct desk *desk);
/* Whether the list is on the screen; then ages matter. */
bool desk_view_shows_list(const struct desk *desk);
bool desk_view_shows_dialogue(const struct desk *desk);
void desk_view_bell(void);

/* Colours and the like, for desk-dialogue.c. */
enum desk_look {
	LOOK_PLAIN,
	LOOK_BAR,
	LOOK_CLIENT,
	LOOK_SERVER,
	LOOK_NOTE,
	LOOK_WAITING,
	LOOK_TROUBLE,
	LOOK_FOUND,
	LOOK_COUNT,
};
void desk_view_look(enum desk_look look);

/* Writes what of TEXT fits into COLUMNS at row Y, column X. Returns how many it took. */
unsigned desk_view_put(int y, int x, unsigned columns, const char *text, size_t length);

/* The same for a string; COLUMNS may be negative, too. */
unsigned desk_view_string(int y, int x, int columns, const char *text);

/* A bar of COLUMNS with TEXT in it. */
void desk_view_bar(int y, int x, int columns, const char *text);

/* A part of the screen. */
struct desk_pane {
	int y;
	int x;
	unsigned rows;
	unsigned columns;
};

/* The part that shows the dialogue, or would; 0 rows: the window is too small. */
struct desk_pane desk_view_pane(const struct desk *desk);

/* desk-list.c: draws the list at the left, so many COLUMNS wide. */
void desk_list_draw(struct desk *desk, int columns);

/* desk-foot.c: draws the status, the input line and the keys. *RET_X: the cursor's place. */
void desk_foot_draw(const struct desk *desk, const struct desk_talk *talk, int *ret_x);

/* desk-dialogue.c. Draws the dialogue of TALK; brings desk->scrolled into its bounds. */
void desk_dialogue_draw(struct desk *desk, const struct desk_talk *talk,
			const struct desk_pane *whole);
/* How many rows the lines of TALK from FIRST on take. */
unsigned desk_dialogue_rows(const struct desk_talk *talk, size_t first,
			    const struct desk_pane *pane);
