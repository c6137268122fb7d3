/*
 * What marcelctl tells people, in the characters of their locale. All texts here are UTF-8; where
 * the locale has others, what is written for a person's eyes is turned into those, a character that
 * the locale lacks into one like it, or '?'; and what a person types is turned into UTF-8. What
 * programs read (JSON, TAP, scripts, figures) and what was said byte by byte stays as it is.
 *
 * Main thread. What can't be had (memory, a conversion) leaves things as they were.
 */
#pragma once

#include <stddef.h>

/* From now on standard errors are in the locale's characters / standard output is. May be called
 * again. */
void charset_errors(void);
void charset_output(void);

/* LENGTH bytes at TEXT, typed in the locale's characters, in UTF-8, what is none of those as '?' /
 * TEXT in the locale's characters, for who writes to the terminal by himself. The caller frees it;
 * NULL: there is no memory. */
char *charset_typed(const char *text, size_t length);
char *charset_shown(const char *text);
