/* Bytes as the literals of a script, whatever they are. Pure. */
#pragma once

#include <stddef.h>
#include <stdio.h>

/* Writes LENGTH bytes at TEXT as a value: 'text' if that can be, else "text" with escapes. */
void quote_value(FILE *file, const char *text, size_t length);

/*
 * Writes them as a pattern that matches just these bytes, or, when they are too many for one, all
 * that begin as they do.
 */
void quote_pattern(FILE *file, const char *text, size_t length);
