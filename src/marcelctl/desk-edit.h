/*
 * The line that is being typed: editing as in Emacs, by characters as people see them; what was
 * cut, for putting back; and the lines typed before.
 *
 * A line may hold LF, when several lines were pasted. It is UTF-8: what is no character is not
 * taken in. Pure, no screen; one thread. When memory is short, nothing is changed and the function
 * returns false.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A line of the operator channel has at most so many bytes, "#NUMBER " included. */
#define DESK_LINE_MAX 4064

struct desk_edit {
	char *text; /* LENGTH bytes, ended by NUL; NULL: none */
	size_t length;
	size_t room;
	size_t cursor;   /* in bytes, always between characters */
	size_t left_out; /* characters that found no room since it was empty */

	/* Going through the past: how far back (0: not), and the line that it began from. */
	size_t back;
	char *kept;
};

/* What was cut last, for all lines. */
struct desk_cut {
	char *text;
	size_t length;
};

/* Lines that were typed, the newest last. */
struct desk_history {
	char **lines;
	size_t count;
};

#define DESK_HISTORY_MAX 500

void desk_edit_done(struct desk_edit *edit);
void desk_cut_done(struct desk_cut *cut);
void desk_history_done(struct desk_history *history);

/* The text; "" if there is none. */
const char *desk_edit_text(const struct desk_edit *edit);

/* Puts LENGTH bytes at TEXT in at the cursor; control characters but LF are left out, and so is
 * what would make the line too long (then it returns false, too). */
bool desk_edit_insert(struct desk_edit *edit, const char *text, size_t length);

/* Takes line ends away from the end. */
void desk_edit_trim(struct desk_edit *edit);

/* The text is TEXT, with the cursor behind it. */
bool desk_edit_set(struct desk_edit *edit, const char *text, size_t length);
void desk_edit_clear(struct desk_edit *edit);

/* What keys do. */
enum desk_edit_action {
	EDIT_LEFT,
	EDIT_RIGHT,
	EDIT_WORD_LEFT,
	EDIT_WORD_RIGHT,
	EDIT_HOME,
	EDIT_END,
	EDIT_ERASE_LEFT,
	EDIT_ERASE_RIGHT,
	EDIT_CUT_WORD_LEFT,  /* ^W: back to a space */
	EDIT_CUT_WORD_RIGHT, /* Alt-d */
	EDIT_CUT_LEFT,       /* ^U */
	EDIT_CUT_RIGHT,      /* ^K */
	EDIT_YANK,           /* ^Y */
};

/* Returns whether it had an effect. */
bool desk_edit_do(struct desk_edit *edit, enum desk_edit_action action, struct desk_cut *cut);

/* One line back or forward in the past. Returns whether there was one. */
bool desk_edit_older(struct desk_edit *edit, const struct desk_history *history);
bool desk_edit_newer(struct desk_edit *edit, const struct desk_history *history);

/* Keeps LENGTH bytes at TEXT as the newest line, unless they are what the newest is. */
void desk_history_add(struct desk_history *history, const char *text, size_t length);

/*
 * What of the line to show in COLUMNS (at least 4) so that the cursor is in sight: from *RET_FIRST
 * (bytes) on. Returns the cursor's column there, below COLUMNS. LF takes one column.
 */
unsigned desk_edit_window(const struct desk_edit *edit, unsigned columns, size_t *ret_first);
