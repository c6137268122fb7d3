/*
 * The screen while someone types: the server's lines above, the prompt with the line being typed
 * below them. libedit draws what is typed; this puts lines above it, and keeps both whole when
 * the window changes.
 *
 * Writes through stdout, as libedit does. Nothing here fails: a terminal that is gone sends a
 * signal. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <histedit.h>

struct display {
	EditLine *edit; /* not owned */
	bool prompting; /* the prompt is on the screen, and below it nothing */
	unsigned columns;
};

/* Begins, with nothing on the screen, and gives EDIT its prompt. */
void display_init(struct display *display, EditLine *edit);

/* Writes the string TEXT, fit for a terminal, as a line above the prompt, which goes away. */
void display_line(struct display *display, const char *mark, const char *text);

/* Takes the prompt and the line being typed off the screen, if they are there. */
void display_erase(struct display *display);

/* Puts the prompt and the line being typed on the screen, unless they are there. */
void display_prompt(struct display *display);

/* libedit has drawn the prompt itself (SHOWN), or has left its line for the next. */
void display_note(struct display *display, bool shown);

/* The window has another size. The prompt goes away. */
void display_resize(struct display *display);
