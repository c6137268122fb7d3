/*
 * Where the cursor stands while someone types: libedit does not tell, and text from the server
 * must go above the prompt, however many rows the line being typed takes.
 *
 * Pure but for the locale's knowledge of characters (LC_CTYPE).
 */
#pragma once

#include <wchar.h>

/*
 * The row of the cursor, counted from the row on which PROMPT begins, on a screen of COLUMNS
 * columns (at least 2). The line is the wide characters from LINE on to END, the cursor stands on
 * CURSOR. Characters take the columns that libedit gives them: ^A for a control character,
 * \U+0378 for what is no printable one.
 */
unsigned screen_row(const wchar_t *prompt, const wchar_t *line, const wchar_t *cursor,
		    const wchar_t *end, unsigned columns);
