/*
 * What marcelctl tells people, in the characters of their locale. All texts here are UTF-8; where
 * the locale has others, what is written for a person's eyes is turned into those, a character that
 * the locale lacks into one like it, or '?'. What programs read (JSON, scripts, figures) and what
 * was said byte by byte stays as it is.
 *
 * Main thread. What can't be had (memory, a conversion) leaves things as they were.
 */
#pragma once

/* From now on standard errors are in the locale's characters / standard output is. May be called
 * again. */
void charset_errors(void);
void charset_output(void);
