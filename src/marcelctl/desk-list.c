/*
 * The list of conversations on the screen; see desk.h.
 *
 *	 Conversations: 3
 *	▸  3 127.0.0.1:4711 you     9m
 *	 ● 4 127.0.0.1:4713 you     2m
 *	   1 [::1]:4715     script
 *
 * Where there is room, what was said last stands behind the address.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "marcelctl/desk-text.h"
#include "marcelctl/desk.h"

/* Behind all others: its macros have names such as `timeout`. */
#include <curses.h>

#define WITH_PREVIEW 48 /* columns of the list */
#define PEER_COLUMNS 21

/* Who answers in TALK, in few columns. */
static const char *who_answers(const struct desk_talk *talk)
{
	if (talk->ended)
		return _("ended");
	return desk_talk_held(talk) ? _("you") : desk_talk_speaker(talk);
}

/* The columns of the largest number. */
static int number_columns(const struct desk_model *model)
{
	uint64_t number = 0;
	int columns = 1;

	for (size_t i = 0; i < model->count; i++) {
		const uint64_t other = desk_talk_number(model->talks[i]);

		number = other > number ? other : number;
	}
	while (number > 9) {
		number /= 10;
		columns++;
	}
	return columns > 2 ? columns : 2;
}

/* What was said last, as far as it is known. */
static void draw_preview(const struct desk_talk *talk, int y, int x, int columns)
{
	size_t at = talk->count;

	while (at > 0 && talk->lines[at - 1].who == '-')
		at--;
	if (at == 0)
		return;
	x += (int)desk_view_string(y, x, columns, talk->lines[at - 1].who == 'C' ? "C> " : "S> ");
	(void)desk_view_string(y, x, columns - 3, talk->lines[at - 1].text);
}

/*
 * One talk of the list: which is open, whether there is something unread, number, peer, who
 * answers, and how long it has waited.
 */
static void draw_entry(const struct desk *desk, const struct desk_talk *talk, int y, int columns)
{
	const bool open = talk->number == desk->open;
	const char *peer = talk->peer;
	char number[32];
	char age[32] = "";
	int width;
	int x;

	if (talk->waiting != 0)
		(void)desk_age(age, sizeof(age), talk->waiting_since, clock_realtime());
	desk_view_look(open && desk->focus == FOCUS_LIST ? LOOK_BAR
		       : talk->waiting != 0              ? LOOK_WAITING
		       : talk->ended                     ? LOOK_NOTE
							 : LOOK_PLAIN);
	(void)mvhline(y, 0, ' ', columns);
	if (open)
		(void)mvaddnwstr(y, 0, L"▸", 1);
	if (talk->unread > 0)
		(void)mvaddnwstr(y, 1, L"●", 1);
	x = 2 + number_columns(&desk->model);
	(void)snprintf(number, sizeof(number), "%" PRIu64, desk_talk_number(talk));
	(void)desk_view_string(y, x - (int)strlen(number), (int)strlen(number), number);
	x++;
	/* From the right: the age, who answers; the peer has the rest. Its host tells more than its
	 * port. */
	(void)desk_view_string(y, columns - (int)strlen(age) - 1, (int)strlen(age), age);
	(void)desk_view_string(y, columns - 11, 6, who_answers(talk));
	width = columns - x - 12;
	if (width < 4)
		return;
	if (columns >= WITH_PREVIEW) {
		draw_preview(talk, y, x + PEER_COLUMNS + 1, width - PEER_COLUMNS - 1);
		width = PEER_COLUMNS;
	}
	if (desk_columns(peer, strlen(peer)) <= (unsigned)width) {
		(void)desk_view_string(y, x, width, peer);
		return;
	}
	x += (int)desk_view_string(y, x, width - 1, peer);
	(void)mvaddnwstr(y, x, L"…", 1);
}

/* Which talks are shown: the first ones, who wait longest; in the list, where one goes. */
static void choose_top(struct desk *desk, size_t rows)
{
	const size_t count = desk->model.count;
	const size_t place = desk_model_place(&desk->model, desk->open);

	if (desk->focus != FOCUS_LIST)
		desk->list_top = 0;
	else if (place < desk->list_top)
		desk->list_top = place;
	else if (place >= desk->list_top + rows)
		desk->list_top = place - rows + 1;
	if (desk->list_top + rows > count)
		desk->list_top = count > rows ? count - rows : 0;
}

/* How many talks there are, and how many of them above and below those that are shown. */
static void draw_title(const struct desk *desk, size_t rows, int columns)
{
	const size_t count = desk->model.count;
	const size_t above = desk->list_top;
	const size_t below = count > above + rows ? count - above - rows : 0;
	char title[128];
	char up[32] = "";
	char down[32] = "";
	char hidden[64];

	(void)snprintf(title, sizeof(title), _("Conversations: %zu"), count);
	desk_view_bar(0, 0, columns, title);
	if (above > 0)
		(void)snprintf(up, sizeof(up), " ▲ %zu", above);
	if (below > 0)
		(void)snprintf(down, sizeof(down), " ▼ %zu", below);
	(void)snprintf(hidden, sizeof(hidden), "%s%s ", up, down);
	desk_view_look(LOOK_BAR);
	(void)desk_view_string(0, columns - (int)desk_columns(hidden, strlen(hidden)), columns,
			       hidden);
	desk_view_look(LOOK_PLAIN);
}

void desk_list_draw(struct desk *desk, int columns)
{
	const struct desk_model *model = &desk->model;
	const size_t rows = (size_t)LINES - 4;

	choose_top(desk, rows);
	draw_title(desk, rows, columns);
	for (size_t i = 0; i < rows && desk->list_top + i < model->count; i++)
		draw_entry(desk, model->order[desk->list_top + i], (int)i + 1, columns);
	desk_view_look(LOOK_NOTE);
	if (model->count == 0)
		(void)desk_view_string(1, 1, columns - 1, _("nobody is here yet"));
	desk_view_look(LOOK_PLAIN);
}
