/*
 * A table of text for people: columns that are as wide as what is in them, in terms of a terminal,
 * where a character may take two columns or none. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TABLE_COLUMNS 8

struct table {
	size_t columns;
	unsigned right;   /* bit I: column I stands at the right, as numbers do */
	unsigned shrinks; /* bit I: column I may be cut, when the table is too wide */
	char **cells;     /* rows of so many; owned */
	size_t count;
	bool failed; /* no memory */
};

/* Adds a cell: TEXT, escaped (base/text.h) here. Rows fill from the left. */
void table_add(struct table *table, const char *text);

/* Writes all of it to standard output, no line wider than WIDTH columns (0: any). Returns 0, or
 * -ENOMEM if a cell had no room; nothing is written then. */
int table_print(const struct table *table, size_t width);

/* Frees the cells. */
void table_done(struct table *table);

/* How many columns the terminal on standard output has; 0: it is none. */
size_t table_terminal_width(void);
