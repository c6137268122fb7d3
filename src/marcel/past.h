/*
 * The lines typed on a terminal, kept from one run to the next in marcel/history below
 * $XDG_STATE_HOME (or ~/.local/state), readable only by their owner. A line that begins with a
 * space is not kept: that is for passwords.
 *
 * A past that cannot be read or written is no reason to end a dialogue, so nothing here fails: at
 * worst nothing is remembered. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <histedit.h>

struct past {
	History *lines; /* for EL_HIST; NULL without memory */
	bool changed;
};

/* Loads what was kept. */
void past_load(struct past *past);

/* Adds LINE as el_gets(3) gave it (UTF-8), unless it is empty or private. */
void past_add(struct past *past, const char *line);

/* Keeps the lines for the next run, replacing the file as a whole. */
void past_save(const struct past *past);

/* Frees the lines. */
void past_done(struct past *past);
