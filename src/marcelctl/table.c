/* A table of text for people; see table.h. */
#include "marcelctl/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"
#include "marcelctl/desk-text.h"

#define GAP   2 /* columns between columns */
#define LEAST 6 /* to which a column is cut, if its texts are longer */

void table_add(struct table *table, const char *text)
{
	const size_t length = strlen(text);
	char **more = reallocarray(table->cells, table->count + 1, sizeof(*more));
	char *cell;

	if (more != NULL)
		table->cells = more;
	cell = more != NULL ? malloc(TEXT_ESCAPED_MAX(length)) : NULL;
	if (cell == NULL) {
		table->failed = true;
		return;
	}
	(void)text_escape(cell, TEXT_ESCAPED_MAX(length), text, length, NULL);
	table->cells[table->count++] = cell;
}

void table_done(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	table->cells = NULL;
	table->count = 0;
}

size_t table_terminal_width(void)
{
	struct winsize size;

	if (isatty(STDOUT_FILENO) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col;
}

static size_t width_of(const char *text)
{
	return desk_columns(text, strlen(text));
}

/* Cuts the widest columns that may be, until all is at most WIDTH wide, if that is possible. */
static void shrink(const struct table *table, size_t *widths, size_t width)
{
	for (;;) {
		size_t widest = table->columns;
		size_t sum = GAP * (table->columns - 1);

		for (size_t i = 0; i < table->columns; i++) {
			sum += widths[i];
			if ((table->shrinks & 1U << i) != 0 && widths[i] > LEAST &&
			    (widest == table->columns || widths[i] > widths[widest]))
				widest = i;
		}
		if (sum <= width || widest == table->columns)
			return;
		widths[widest]--;
	}
}

static void put_spaces(size_t n)
{
	for (; n > 0; n--)
		(void)putchar(' ');
}

/* Writes CELL, whose end may go, into WIDTH columns. Returns how many it took. */
static size_t put_cell(const char *cell, size_t width)
{
	const size_t length = strlen(cell);
	size_t fits;

	if (desk_columns(cell, length) <= width) {
		(void)fputs(cell, stdout);
		return desk_columns(cell, length);
	}
	if (width == 0)
		return 0;
	fits = desk_fit(cell, length, (unsigned)width - 1);
	(void)fwrite(cell, 1, fits, stdout);
	(void)fputs("…", stdout);
	return desk_columns(cell, fits) + 1;
}

/* Writes one row into LEFT columns. */
static void put_row(const struct table *table, char *const *row, const size_t *widths, size_t left)
{
	size_t owed = 0; /* spaces, which nobody needs at the end */

	for (size_t i = 0; i < table->columns; i++) {
		const size_t width = widths[i];
		const size_t own = width_of(row[i]) < width ? width_of(row[i]) : width;
		const bool right = (table->right & 1U << i) != 0;

		owed += right ? width - own : 0;
		if (own > 0) {
			if (owed >= left)
				break;
			put_spaces(owed);
			left -= owed;
			left -= put_cell(row[i], own < left ? own : left);
			owed = 0;
		}
		owed += (right ? 0 : width - own) + GAP;
	}
	(void)putchar('\n');
}

int table_print(const struct table *table, size_t width)
{
	size_t widths[TABLE_COLUMNS] = {0};

	if (table->failed)
		return -ENOMEM;
	for (size_t i = 0; i < table->count; i++) {
		const size_t own = width_of(table->cells[i]);

		if (own > widths[i % table->columns])
			widths[i % table->columns] = own;
	}
	if (width > 0)
		shrink(table, widths, width);
	for (size_t i = 0; i + table->columns <= table->count; i += table->columns)
		put_row(table, &table->cells[i], widths, width > 0 ? width : SIZE_MAX);
	return 0;
}
