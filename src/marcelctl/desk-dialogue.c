/*
 * The dialogue of one talk on the screen; see desk.h.
 *
 *	              -- 2026-11-22 --
 *	  19:30:05 C> #1 Bonjour
 *	  19:30:07 S> Bonjour à vous
 *	● 19:30:09 C> #2 a long line is broken between words, and goes
 *	              on under its beginning
 *
 * It is laid out from its end backwards, only as far as it is shown.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "marcelctl/desk-text.h"
#include "marcelctl/desk.h"

#include <curses.h>

#define NARROW 46 /* columns; below, times have no seconds */

/* How a line is laid out. */
struct layout {
	char prefix[96];
	unsigned indent; /* columns of the prefix */
	unsigned width;  /* columns of the text */
	char date[16];   /* before the line; "": none */
};

static void day_of(uint64_t time, struct tm *ret_day)
{
	const time_t seconds = (time_t)(time / USEC_PER_SEC);

	memset(ret_day, 0, sizeof(*ret_day));
	(void)localtime_r(&seconds, ret_day);
}

/* Whether the line INDEX is of another day than the one before it; or, the first, than today. */
static bool other_day(const struct desk_talk *talk, size_t index, const struct tm *day)
{
	const uint64_t before = index > 0 ? talk->lines[index - 1].time : clock_realtime();
	struct tm other;

	day_of(before, &other);
	return other.tm_yday != day->tm_yday || other.tm_year != day->tm_year;
}

static struct layout lay_out(const struct desk_talk *talk, size_t index,
			     const struct desk_pane *pane)
{
	const struct desk_line *line = &talk->lines[index];
	struct layout layout = {.date = ""};
	char turn[32] = "";
	char time[16] = "";
	struct tm day;

	day_of(line->time, &day);
	if (other_day(talk, index, &day))
		(void)strftime(layout.date, sizeof(layout.date), "%Y-%m-%d", &day);
	(void)strftime(time, sizeof(time), pane->columns < NARROW ? "%H:%M" : "%H:%M:%S", &day);
	if (line->who == 'C')
		(void)snprintf(turn, sizeof(turn), "#%" PRIu64 " ", line->turn);
	(void)snprintf(layout.prefix, sizeof(layout.prefix), "  %s %c%c %s", time, line->who,
		       line->who == '-' ? '-' : '>', turn);
	layout.indent = (unsigned)strlen(layout.prefix);
	layout.width = pane->columns > layout.indent + 8 ? pane->columns - layout.indent : 8;
	return layout;
}

static unsigned rows_of(const struct desk_talk *talk, size_t index, const struct layout *layout)
{
	const char *text = talk->lines[index].text;
	size_t length = strlen(text);
	unsigned rows = layout->date[0] != '\0' ? 2 : 1;

	for (;;) {
		size_t next;

		(void)desk_wrap(text, length, layout->width, &next);
		if (next >= length)
			return rows;
		text += next;
		length -= next;
		rows++;
	}
}

unsigned desk_dialogue_rows(const struct desk_talk *talk, size_t first,
			    const struct desk_pane *pane)
{
	unsigned rows = 0;

	for (size_t i = first; i < talk->count; i++) {
		const struct layout layout = lay_out(talk, i, pane);

		rows += rows_of(talk, i, &layout);
	}
	return rows;
}

/* The look of a line's mark: who says it, and whether it is open. */
static enum desk_look look_of(const struct desk_line *line, bool open)
{
	if (line->who == 'C')
		return open ? LOOK_WAITING : LOOK_CLIENT;
	return line->who == 'S' ? LOOK_SERVER : LOOK_NOTE;
}

static enum desk_look text_look_of(const struct desk_line *line, bool open, bool found)
{
	if (found)
		return LOOK_FOUND;
	if (open)
		return LOOK_WAITING;
	return line->who == '-' ? LOOK_NOTE : LOOK_PLAIN;
}

static void draw_date(const char *date, const struct desk_pane *pane, long row)
{
	desk_view_look(LOOK_NOTE);
	if (row >= 0 && row < (long)pane->rows)
		(void)mvprintw(pane->y + (int)row, pane->x + (int)pane->columns / 2 - 8, "-- %s --",
			       date);
}

/* Draws the line INDEX, whose first row is ROW of the pane; rows outside of it are left out. */
static void draw_line(const struct desk *desk, const struct desk_talk *talk, size_t index,
		      const struct desk_pane *pane, long row)
{
	const struct layout layout = lay_out(talk, index, pane);
	const struct desk_line *line = &talk->lines[index];
	const bool open = line->who == 'C' && desk_talk_is_open(talk, line->turn);
	const char *text = line->text;
	size_t length = strlen(text);

	if (layout.date[0] != '\0')
		draw_date(layout.date, pane, row++);
	if (row >= 0 && row < (long)pane->rows) {
		desk_view_look(look_of(line, open));
		(void)desk_view_put(pane->y + (int)row, pane->x, pane->columns, layout.prefix,
				    strlen(layout.prefix));
		if (open)
			(void)mvaddnwstr(pane->y + (int)row, pane->x, L"●", 1);
	}
	desk_view_look(text_look_of(line, open, (long)index == desk->found));
	do {
		size_t next;
		const size_t shown = desk_wrap(text, length, layout.width, &next);

		if (row >= 0 && row < (long)pane->rows)
			(void)desk_view_put(pane->y + (int)row, pane->x + (int)layout.indent,
					    layout.width, text, shown);
		text += next;
		length -= next;
		row++;
	} while (length > 0);
}

/* That there is more below what is shown, in a row of its own. */
static void draw_below(const struct desk *desk, const struct desk_pane *pane)
{
	char news[64] = "";
	char more[256];
	int x;

	if (desk->below > 0)
		(void)snprintf(news, sizeof(news), _("new lines: %zu"), desk->below);
	(void)snprintf(more, sizeof(more), "▼ %s ", news[0] != '\0' ? news : _("more"));
	x = pane->x + (int)pane->columns - (int)desk_columns(more, strlen(more));
	desk_view_look(LOOK_BAR);
	(void)mvhline(pane->y + (int)pane->rows - 1, pane->x, ' ', (int)pane->columns);
	(void)desk_view_put(pane->y + (int)pane->rows - 1, x > pane->x ? x : pane->x, pane->columns,
			    more, strlen(more));
	desk_view_look(LOOK_PLAIN);
}

/* That there is more above, at the end of the title. */
static void draw_above(const struct desk_pane *pane)
{
	desk_view_look(LOOK_BAR);
	(void)desk_view_string(pane->y - 1, pane->x + (int)pane->columns - 3, 3, " ▲ ");
	desk_view_look(LOOK_PLAIN);
}

void desk_dialogue_draw(struct desk *desk, const struct desk_talk *talk,
			const struct desk_pane *whole)
{
	struct desk_pane text = *whole;
	const struct desk_pane *pane = &text;
	unsigned rows = 0; /* from the line I to the end */
	size_t i = talk->count;
	long row;

	if (desk->scrolled > 0 && text.rows > 1)
		text.rows--;
	while (i > 0 && rows < pane->rows + desk->scrolled) {
		const struct layout layout = lay_out(talk, --i, pane);

		rows += rows_of(talk, i, &layout);
	}
	/* Not further up than its beginning. */
	if (rows < pane->rows + desk->scrolled)
		desk->scrolled = rows > pane->rows ? rows - pane->rows : 0;
	if (desk->scrolled == 0)
		desk->below = 0;
	row = (long)pane->rows + (long)desk->scrolled - (long)rows;
	if (i > 0 || row < 0)
		draw_above(pane);
	for (; i < talk->count && row < (long)pane->rows; i++) {
		const struct layout layout = lay_out(talk, i, pane);

		/* A short dialogue begins at the top. */
		draw_line(desk, talk, i, pane,
			  rows < pane->rows ? row - (long)(pane->rows - rows) : row);
		row += (long)rows_of(talk, i, &layout);
	}
	if (desk->scrolled > 0)
		draw_below(desk, whole);
}
