/*
 * Between the two files of `desk --plain`: the conversations (desk-plain.c) and the lines that are
 * typed or read (desk-plain-line.c). Lines come in UTF-8, whatever the locale's characters are
 * (charset.h). Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <systemd/sd-event.h>
#include <wchar.h>

#include <histedit.h>

#include "marcelctl/desk-link.h"
#include "marcelctl/desk-model.h"

struct plain {
	sd_event *event;
	struct desk_model model;
	struct desk_link *link;
	uint64_t known;     /* conversations up to this number were there at the beginning */
	uint64_t current;   /* the one that is answered; 0: none */
	uint64_t turn;      /* the one whose answer is being typed; 0: none */
	bool unasked;       /* what is being typed answers nothing */
	uint64_t shown;     /* the last turn of the current one that was shown; 0: none */
	uint64_t drafted;   /* the last turn of it whose draft was shown; 0: none */
	const char *prompt; /* in the locale's characters, where lines are edited */

	bool answered; /* by marceld, to what was sent */
	int error;     /* the same: 0 or a negative errno */
	bool untaken;  /* what was sent is not, and will not be: that marceld is going, or gone */
	char reason[256];

	FILE *terminal; /* standard output, where nothing is converted */
	EditLine *edit; /* NULL: standard input is no terminal */
	History *history;
	char *half; /* typed unasked when the client said something, as it was; NULL: nothing */
	mbstate_t key;
	char bytes[8192]; /* of standard input, if it is no terminal */
	size_t length;
	bool ended; /* there is no more of it */
	int failed; /* negative errno of our own */
};

enum next {
	NEXT_NEWS,
	NEXT_KEYS,
	NEXT_FAILED,
};

/* Waits for the next thing: news, which are taken in, or, if KEYS, something to be read. */
enum next plain_next(struct plain *plain, bool keys);

/* Waits for news, and, where lines come by a pipe, for the next of them or its end. */
void plain_wait(struct plain *plain);

/* Whether the line that is being typed makes no sense any more. */
bool plain_is_late(const struct plain *plain);

/* Gets libedit ready. Returns 0 or a negative errno. */
int plain_open_editor(struct plain *plain);
void plain_close_editor(struct plain *plain);

/* Forgets what was typed on the terminal and not read yet: it was meant for somebody else. What
 * comes from a pipe was written for whoever reads it, and stays. */
void plain_discard(struct plain *plain);

/* Asks with PROMPT for a line, the answer to TURN if not 0, which the caller frees. NULL: input has
 * ended, or it is late, or, where lines come by a pipe, marceld has gone. */
char *plain_ask(struct plain *plain, const char *prompt, uint64_t turn);

/* Lets a line be typed on the terminal that nobody has asked for; the same. What is half typed when
 * the client says something is in the next line. */
char *plain_listen(struct plain *plain);
