/*
 * Files, whole: read into memory, written beside what stands there. And text on its way to a
 * terminal or a file of text, escaped. One thread.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

/*
 * Reads all of FILE, at most MAX bytes. Returns 0 with *RET_TEXT (the caller's to free, ended by
 * a NUL that *RET_LENGTH does not count); -EFBIG; -ENOMEM; or another negative errno.
 */
int file_read(const char *file, size_t max, char **ret_text, size_t *ret_length);

/* Makes LENGTH bytes at TEXT the content of FILE. Returns 0 or a negative errno. */
int file_write(const char *file, const char *text, size_t length);

/* Writes LENGTH bytes at TEXT to FILE, as text_escape() (base/text.h) makes them. */
void file_put_escaped(FILE *file, const char *text, size_t length);
