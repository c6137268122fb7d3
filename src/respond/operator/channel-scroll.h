/*
 * Scrolls: plain files that grow by whole lines, for people who follow them with tail -F.
 *
 * A scroll is bounded: a line that would make NAME longer than SCROLL_MAX goes into a new file, and
 * what there was becomes NAME.1. A line stands there wholly or not at all, whatever happens: what
 * could be written only in part is cut off again, and what a killed process left unfinished is cut
 * off before the next line. Nothing is kept open, so that a file that is removed or replaced costs
 * no more than what was in it; and nothing but a plain file with one name is ever written to.
 *
 * Any thread, but one at a time for one scroll.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SCROLL_MAX ((size_t)1024 * 1024)

/* Appends LENGTH bytes at LINE, its LF included, to NAME in the directory DIR. Returns 0 or a
 * negative errno: -ELOOP (a symbolic link), -EEXIST (something else that is no plain file, or one
 * with other names), -ENOSPC. */
int scroll_append(int dir, const char *name, const char *line, size_t length);

/* The number that the last line of NAME begins with. Returns 0, -ENOENT (no line, no file), or
 * another negative errno. */
int scroll_last_number(int dir, const char *name, uint64_t *ret_number);
