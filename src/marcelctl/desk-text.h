/*
 * Text on a screen of columns: characters as people see them (a letter with its accents, an emoji
 * with its joiners), how many columns they take, and where lines are broken.
 *
 * Texts are UTF-8 of a given length; what is not valid, or nothing to be shown, counts as one
 * character of one column and is drawn as U+FFFD. Columns are those of wcwidth(3), on which the
 * terminal's library and most terminals agree. Pure; the locale's LC_CTYPE must be of UTF-8.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

/*
 * The character at TEXT (LENGTH > 0 bytes): its first code point, how many BYTES and COLUMNS (1 or
 * 2; 0 for a mark that combines) it takes by itself.
 */
struct desk_point {
	wchar_t code;
	size_t bytes;
	unsigned columns;
};
struct desk_point desk_point(const char *text, size_t length);

/* Where the character that begins at AT ends, and how many columns it takes (at least 1); the
 * latter may be NULL. AT < LENGTH. */
size_t desk_next(const char *text, size_t length, size_t at, unsigned *ret_columns);

/* Where the character that ends at AT begins. 0 < AT <= LENGTH. */
size_t desk_previous(const char *text, size_t length, size_t at);

/* The columns of all of it. */
unsigned desk_columns(const char *text, size_t length);

/* How many bytes from its beginning fit into COLUMNS. */
size_t desk_fit(const char *text, size_t length, unsigned columns);

/* How many bytes at its beginning do not fit into COLUMNS, counted from the end. */
size_t desk_fit_end(const char *text, size_t length, unsigned columns);

/*
 * The next row of TEXT in COLUMNS (at least 2), broken behind a space if there is one in the row.
 * Returns how many bytes are to be shown; *RET_NEXT is where the next row begins (LENGTH: there is
 * none), always above 0 for LENGTH > 0.
 */
size_t desk_wrap(const char *text, size_t length, unsigned columns, size_t *ret_next);

/* Where NEEDLE is in TEXT, upper and lower case alike; -1: nowhere. */
long desk_find(const char *text, size_t length, const char *needle, size_t needle_length);
