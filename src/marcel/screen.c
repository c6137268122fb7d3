/* Rows and columns of a line being typed; see screen.h. */
#include "marcel/screen.h"

#include <wctype.h>

#define TAB_STOP 8

struct place {
	unsigned row;
	unsigned column;
	unsigned columns;
};

/* One character of WIDTH columns; it moves to the next row when it does not fit. */
static void put(struct place *place, unsigned width)
{
	if (place->column + width > place->columns) {
		place->row++;
		place->column = 0;
	}
	place->column += width;
	if (place->column >= place->columns) {
		place->row++;
		place->column = 0;
	}
}

static void put_times(struct place *place, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		put(place, 1);
}

static unsigned width_of(wchar_t c)
{
	const int width = wcwidth(c);

	/* libedit gives a column to a character without width. */
	return width > 0 ? (unsigned)width : 1;
}

static void put_char(struct place *place, wchar_t c)
{
	if (c == L'\n') {
		place->row++;
		place->column = 0;
	} else if (c == L'\t') {
		put_times(place, TAB_STOP - place->column % TAB_STOP);
	} else if (c < 0x100 && iswcntrl((wint_t)c)) {
		put_times(place, 2);
	} else if (iswprint((wint_t)c)) {
		put(place, width_of(c));
	} else {
		put_times(place, c > 0xffff ? 8 : 7);
	}
}

unsigned screen_row(const wchar_t *prompt, const wchar_t *line, const wchar_t *cursor,
		    const wchar_t *end, unsigned columns)
{
	struct place place = {.columns = columns};

	for (const wchar_t *p = prompt; *p != L'\0'; p++)
		put(&place, width_of(*p));
	for (const wchar_t *p = line; p < cursor; p++)
		put_char(&place, *p);
	if (cursor < end && place.column + width_of(*cursor) > columns)
		place.row++;
	return place.row;
}
