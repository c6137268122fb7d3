/*
 * The last three rows of the desk; see desk.h.
 *
 *	 refused: ...                                      2 waiting, longest 1m        a bar
 *	#2 S> Bonjour à vous_
 *	F1 help  Tab next waiting ...
 *
 * What is being asked stands in the place of the input line.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "marcelctl/desk-text.h"
#include "marcelctl/desk.h"
#include "marcelctl/moment.h"

/* Behind all others: its macros have names such as `timeout`. */
#include <curses.h>

/* How many wait; and, where there is room and nothing else is told, how long the first of them has.
 */
static void make_waiting(const struct desk *desk, char *text, size_t size)
{
	uint64_t since;
	const size_t waiting = desk_model_waiting(&desk->model, &since);
	char age[32];

	if (waiting == 0 || desk->status[0] != '\0' || !desk_view_shows_list(desk) ||
	    !desk_view_shows_dialogue(desk)) {
		(void)snprintf(text, size, _("%zu waiting"), waiting);
		return;
	}
	(void)desk_age(age, sizeof(age), since, clock_realtime());
	(void)snprintf(text, size, _("%zu waiting, longest %s"), waiting, age);
}

static void draw_status(const struct desk *desk)
{
	const bool up = desk_link_is_up(desk->link);
	const char *text = desk->status;
	uint64_t next;
	const size_t late = desk_model_late(&desk->model, clock_realtime(), &next);
	char right[128];
	char sending[128];
	int wide;

	make_waiting(desk, right, sizeof(right));
	wide = (int)desk_columns(right, strlen(right)) + 2;
	(void)snprintf(sending, sizeof(sending), _("still on its way: %zu"), late);
	if (!up)
		text = _("marceld is gone, reconnecting");
	else if (text[0] == '\0')
		text = late > 0 ? sending : _("connected to marceld");
	desk_view_look(desk->status[0] != '\0' || !up ? LOOK_TROUBLE : LOOK_BAR);
	(void)mvhline(LINES - 3, 0, ' ', COLS);
	(void)desk_view_string(LINES - 3, 1, COLS - wide - 1, text);
	desk_view_look(LOOK_BAR);
	(void)mvhline(LINES - 3, COLS - wide, ' ', wide);
	(void)desk_view_string(LINES - 3, COLS - wide + 1, wide - 1, right);
	desk_view_look(LOOK_PLAIN);
}

/* What stands before the line: the question, or the turn that it will answer. */
static void make_prompt(const struct desk *desk, const struct desk_talk *talk, char *prompt,
			size_t size)
{
	uint64_t target;

	switch (desk->question) {
	case ASK_QUIT:
		(void)snprintf(prompt, size, "%s ", _("Quit, and lose what was typed? (y/n)"));
		return;
	case ASK_CLOSE:
		(void)snprintf(prompt, size, _("Close conversation %" PRIu64 "? (y/n) "),
			       desk->open);
		return;
	case ASK_EMPTY:
		(void)snprintf(prompt, size, "%s ",
			       desk->asked_draft != 0 ? _("Send the draft? (y/n)")
						      : _("Send an empty message? (y/n)"));
		return;
	case ASK_CUT:
		(void)snprintf(prompt, size, _("%zu characters had no room; send the rest? (y/n) "),
			       talk != NULL ? talk->input.left_out : 0);
		return;
	case ASK_LINES:
		(void)snprintf(prompt, size, "%s ", _("Several lines: how? (s/j/n)"));
		return;
	case ASK_GIVE:
		(void)snprintf(prompt, size, "%s ", _("Give to:"));
		return;
	case ASK_GIVE_OPEN:
		(void)snprintf(prompt, size,
			       _("#%" PRIu64 " is not answered; give all the same? (y/n) "),
			       talk != NULL ? talk->waiting : 0);
		return;
	case ASK_SEARCH:
		(void)snprintf(prompt, size, "%s ", _("Search:"));
		return;
	case ASK_FIND:
		(void)snprintf(prompt, size, "%s ", _("Search the list:"));
		return;
	case ASK_NOTHING:
		break;
	}
	prompt[0] = '\0';
	if (talk == NULL)
		return;
	target = desk_talk_target(talk);
	if (desk_talk_is_late(talk))
		(void)snprintf(prompt, size, _("#%" PRIu64 " is answered: "), target);
	else if (target != 0)
		(void)snprintf(prompt, size, "#%" PRIu64 " S> ", target);
	else if (talk->aimed && talk->n_open > 1)
		(void)snprintf(prompt, size, "#%" PRIu64 "-%" PRIu64 " S> ", talk->open[0],
			       talk->open[talk->n_open - 1]);
	else
		(void)snprintf(prompt, size, "S> ");
}

/* In the place of what could be typed, where there is ROOM for so many columns. */
static const char *hint_of(const struct desk_talk *talk, int room, char *buffer, size_t size)
{
	char when[MOMENT_SIZE];

	if (talk == NULL)
		return _("nothing is open");
	if (talk->ended)
		return _("this conversation has ended");
	if (!desk_talk_held(talk))
		return _("^T takes this conversation");
	if (!desk_talk_offers_draft(talk))
		return "";
	if (talk->draft_until == 0)
		return _("Enter sends the draft, Alt-e edits it");
	/* What may be cut is what F1 tells, too. */
	(void)moment_ahead(when, talk->draft_until);
	(void)snprintf(buffer, size, _("goes out %s"), when);
	if ((int)desk_columns(buffer, strlen(buffer)) > room)
		(void)snprintf(buffer, size, "%s", when);
	else
		(void)snprintf(buffer, size,
			       _("goes out %s; Enter sends the draft, Alt-e edits it"), when);
	return buffer;
}

/* Draws the input line; the cursor's place is *RET_X. */
static void draw_input(const struct desk *desk, const struct desk_talk *talk, int *ret_x)
{
	static const struct desk_edit nothing = {.text = NULL};
	const bool asks = desk->question != ASK_NOTHING;
	const struct desk_edit *edit = asks           ? &desk->answer
				       : talk != NULL ? &talk->input
						      : &nothing;
	const int y = LINES - 2;
	char prompt[256];
	char hint[256];
	size_t first;
	unsigned cursor;
	int x;

	make_prompt(desk, talk, prompt, sizeof(prompt));
	(void)mvhline(y, 0, ' ', COLS);
	desk_view_look(asks ? LOOK_WAITING : LOOK_SERVER);
	/* A question that wants a letter may fill the row. */
	x = (int)desk_view_string(y, 0, asks && !desk_act_wants_text(desk) ? COLS - 4 : COLS - 8,
				  prompt);
	desk_view_look(LOOK_PLAIN);
	cursor = desk_edit_window(edit, (unsigned)(COLS - x), &first);
	*ret_x = x + (int)cursor;
	if (edit->length == 0 && !asks) {
		desk_view_look(LOOK_NOTE);
		(void)desk_view_string(y, x, COLS - x, hint_of(talk, COLS - x, hint, sizeof(hint)));
		desk_view_look(LOOK_PLAIN);
	}
	/* Line ends are shown; they come from pasting. */
	for (const char *p = desk_edit_text(edit) + first; *p != '\0' && x < COLS;) {
		const size_t length = strcspn(p, "\n");

		x += (int)desk_view_put(y, x, (unsigned)(COLS - x), p, length);
		if (p[length] == '\0')
			break;
		if (x < COLS)
			(void)mvaddnwstr(y, x++, L"␤", 1);
		p += length + 1;
	}
}

/* What answers the question. */
static const char *keys_of(const struct desk *desk)
{
	if (desk_act_wants_text(desk))
		return desk->question == ASK_GIVE ? _("Enter: go  Tab: another one  Esc: leave it")
						  : _("Enter: go  Esc: leave it");
	if (desk->question == ASK_LINES)
		return _("s: a message each  j: joined into one  n, Esc: no");
	return _("y: yes  n, Esc: no");
}

static void draw_keys(const struct desk *desk, const struct desk_talk *talk)
{
	const char *text = _("F1 help  Tab next  Esc list  ^T take  ^G give  ^X close  ^F search  "
			     "^C quit");

	if (desk->help)
		text = _("PgDn: more  any other key: back");
	else if (desk->question != ASK_NOTHING)
		text = keys_of(desk);
	else if (desk->focus == FOCUS_LIST)
		text = _("Enter open  Tab next waiting  ? help  / search  q quit");
	else if (talk != NULL && talk->n_open > 1)
		text = _("F1 help  Tab next  Alt-n another turn  ^T take  ^G give  ^X close  ^C "
			 "quit");
	desk_view_look(LOOK_NOTE);
	(void)mvhline(LINES - 1, 0, ' ', COLS);
	(void)desk_view_string(LINES - 1, 0, COLS, text);
	desk_view_look(LOOK_PLAIN);
}

void desk_foot_draw(const struct desk *desk, const struct desk_talk *talk, int *ret_x)
{
	draw_status(desk);
	draw_keys(desk, talk);
	draw_input(desk, talk, ret_x);
}
