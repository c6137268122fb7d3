/* Editing a line; see desk-edit.h. */
#include "marcelctl/desk-edit.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "marcelctl/desk-text.h"

void desk_edit_done(struct desk_edit *edit)
{
	free(edit->text);
	free(edit->kept);
	*edit = (struct desk_edit){.text = NULL};
}

void desk_cut_done(struct desk_cut *cut)
{
	free(cut->text);
	*cut = (struct desk_cut){.text = NULL};
}

void desk_history_done(struct desk_history *history)
{
	for (size_t i = 0; i < history->count; i++)
		free(history->lines[i]);
	free(history->lines);
	*history = (struct desk_history){.lines = NULL};
}

const char *desk_edit_text(const struct desk_edit *edit)
{
	return edit->text != NULL ? edit->text : "";
}

/* Has room for LENGTH bytes and the NUL. */
static bool reserve(struct desk_edit *edit, size_t length)
{
	const size_t room = length + 1 < 256 ? 256 : 2 * (length + 1);
	char *text;

	if (length < edit->room)
		return true;
	text = realloc(edit->text, room);
	if (text == NULL)
		return false;
	edit->text = text;
	edit->room = room;
	return true;
}

/* How many bytes at TEXT are a character to be kept; 0: what is there is left out. */
static size_t kept_bytes(const char *text, size_t length)
{
	const size_t bytes = text_utf8_length(text, length);
	const unsigned char c = (unsigned char)text[0];

	if (bytes == 1 && c != '\n' && (c < ' ' || c == 0x7F))
		return 0;
	if (bytes == 2 && c == 0xC2 && (unsigned char)text[1] < 0xA0)
		return 0;
	return bytes;
}

bool desk_edit_insert(struct desk_edit *edit, const char *text, size_t length)
{
	bool whole = true;
	size_t at = edit->cursor;
	size_t added = 0;

	if (!reserve(edit, edit->length + length)) {
		edit->left_out += length;
		return false;
	}
	memmove(edit->text + at + length, edit->text + at, edit->length - at);
	for (size_t i = 0; i < length;) {
		const size_t bytes = kept_bytes(text + i, length - i);

		if (bytes > 0 && whole && edit->length + added + bytes <= DESK_LINE_MAX) {
			memcpy(edit->text + at + added, text + i, bytes);
			added += bytes;
		} else if (bytes > 0) {
			whole = false;
			edit->left_out++;
		}
		i += bytes > 0 ? bytes : 1;
	}
	memmove(edit->text + at + added, edit->text + at + length, edit->length - at);
	edit->length += added;
	edit->cursor += added;
	edit->text[edit->length] = '\0';
	return whole;
}

bool desk_edit_set(struct desk_edit *edit, const char *text, size_t length)
{
	if (!reserve(edit, length))
		return false;
	memmove(edit->text, text, length);
	edit->text[length] = '\0';
	edit->length = edit->cursor = length;
	edit->left_out = 0;
	return true;
}

void desk_edit_trim(struct desk_edit *edit)
{
	while (edit->length > 0 && edit->text[edit->length - 1] == '\n')
		edit->text[--edit->length] = '\0';
	if (edit->cursor > edit->length)
		edit->cursor = edit->length;
}

void desk_edit_clear(struct desk_edit *edit)
{
	edit->length = edit->cursor = edit->back = edit->left_out = 0;
	if (edit->text != NULL)
		edit->text[0] = '\0';
	free(edit->kept);
	edit->kept = NULL;
}

static size_t left_of(const struct desk_edit *edit, size_t at)
{
	return at > 0 ? desk_previous(edit->text, edit->length, at) : 0;
}

static size_t right_of(const struct desk_edit *edit, size_t at)
{
	return at < edit->length ? desk_next(edit->text, edit->length, at, NULL) : at;
}

/* A word, for moving: letters, digits, and all that is not ASCII. */
static bool is_word(const struct desk_edit *edit, size_t at)
{
	const unsigned char c = (unsigned char)edit->text[at];

	return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') || c == '_';
}

static size_t word_left(const struct desk_edit *edit)
{
	size_t at = edit->cursor;

	while (at > 0 && !is_word(edit, left_of(edit, at)))
		at = left_of(edit, at);
	while (at > 0 && is_word(edit, left_of(edit, at)))
		at = left_of(edit, at);
	return at;
}

static size_t word_right(const struct desk_edit *edit)
{
	size_t at = edit->cursor;

	while (at < edit->length && !is_word(edit, at))
		at = right_of(edit, at);
	while (at < edit->length && is_word(edit, at))
		at = right_of(edit, at);
	return at;
}

/* Back over spaces, then to the next one. */
static size_t space_left(const struct desk_edit *edit)
{
	size_t at = edit->cursor;

	while (at > 0 && edit->text[at - 1] == ' ')
		at--;
	while (at > 0 && edit->text[at - 1] != ' ')
		at--;
	return at;
}

static bool move_to(struct desk_edit *edit, size_t at)
{
	const bool moved = at != edit->cursor;

	edit->cursor = at;
	return moved;
}

static bool erase(struct desk_edit *edit, size_t from, size_t to)
{
	if (from >= to)
		return false;
	memmove(edit->text + from, edit->text + to, edit->length - to);
	edit->length -= to - from;
	edit->text[edit->length] = '\0';
	edit->cursor = from;
	if (edit->length == 0)
		edit->left_out = 0;
	return true;
}

/* Erases, and keeps what was there. */
static bool cut_out(struct desk_edit *edit, size_t from, size_t to, struct desk_cut *cut)
{
	char *text;

	if (from >= to)
		return false;
	text = malloc(to - from);
	if (text == NULL)
		return false;
	memcpy(text, edit->text + from, to - from);
	free(cut->text);
	cut->text = text;
	cut->length = to - from;
	return erase(edit, from, to);
}

bool desk_edit_do(struct desk_edit *edit, enum desk_edit_action action, struct desk_cut *cut)
{
	const size_t at = edit->cursor;

	switch (action) {
	case EDIT_LEFT:
		return move_to(edit, left_of(edit, at));
	case EDIT_RIGHT:
		return move_to(edit, right_of(edit, at));
	case EDIT_WORD_LEFT:
		return move_to(edit, word_left(edit));
	case EDIT_WORD_RIGHT:
		return move_to(edit, word_right(edit));
	case EDIT_HOME:
		return move_to(edit, 0);
	case EDIT_END:
		return move_to(edit, edit->length);
	case EDIT_ERASE_LEFT:
		return erase(edit, left_of(edit, at), at);
	case EDIT_ERASE_RIGHT:
		return erase(edit, at, right_of(edit, at));
	case EDIT_CUT_WORD_LEFT:
		return cut_out(edit, space_left(edit), at, cut);
	case EDIT_CUT_WORD_RIGHT:
		return cut_out(edit, at, word_right(edit), cut);
	case EDIT_CUT_LEFT:
		return cut_out(edit, 0, at, cut);
	case EDIT_CUT_RIGHT:
		return cut_out(edit, at, edit->length, cut);
	case EDIT_YANK:
		return cut->length > 0 && desk_edit_insert(edit, cut->text, cut->length);
	}
	abort();
}

bool desk_edit_older(struct desk_edit *edit, const struct desk_history *history)
{
	const char *line;

	if (edit->back >= history->count)
		return false;
	if (edit->back == 0) {
		char *kept = strdup(desk_edit_text(edit));

		if (kept == NULL)
			return false;
		free(edit->kept);
		edit->kept = kept;
	}
	line = history->lines[history->count - edit->back - 1];
	if (!desk_edit_set(edit, line, strlen(line)))
		return false;
	edit->back++;
	return true;
}

bool desk_edit_newer(struct desk_edit *edit, const struct desk_history *history)
{
	const char *line;

	if (edit->back == 0)
		return false;
	if (edit->back > history->count)
		edit->back = history->count + 1;
	line = edit->back == 1 ? edit->kept : history->lines[history->count - edit->back + 1];
	if (line == NULL || !desk_edit_set(edit, line, strlen(line)))
		return false;
	edit->back--;
	return true;
}

void desk_history_add(struct desk_history *history, const char *text, size_t length)
{
	const char *newest = history->count > 0 ? history->lines[history->count - 1] : NULL;
	char *line;

	if (length == 0 ||
	    (newest != NULL && strlen(newest) == length && memcmp(newest, text, length) == 0))
		return;
	if (history->lines == NULL)
		history->lines = calloc(DESK_HISTORY_MAX, sizeof(*history->lines));
	if (history->lines == NULL)
		return;
	line = strndup(text, length);
	if (line == NULL)
		return;
	if (history->count == DESK_HISTORY_MAX) {
		free(history->lines[0]);
		memmove(history->lines, history->lines + 1,
			(DESK_HISTORY_MAX - 1) * sizeof(*history->lines));
		history->count--;
	}
	history->lines[history->count++] = line;
}

unsigned desk_edit_window(const struct desk_edit *edit, unsigned columns, size_t *ret_first)
{
	const char *text = desk_edit_text(edit);
	size_t first = 0;
	unsigned before = desk_columns(text, edit->cursor);

	/* One column is for the cursor; when it goes out of sight, a third of the row comes. */
	if (before >= columns) {
		first = desk_fit_end(text, edit->cursor, columns - 1 - columns / 3);
		before = desk_columns(text + first, edit->cursor - first);
	}
	*ret_first = first;
	return before;
}
