/*
 * The screen of the desk; see desk.h.
 *
 *	 Conversations: 3                  17  127.0.0.1:4711  you answer  marcel
 *	▸ 17 127.0.0.1:4711   you     2m │● 19:30:05 C> #1 Bonjour
 *	 ●18 127.0.0.1:4713   you     1m │● 19:30:09 C> #2 Êtes-vous là ?
 *	  19 [::1]:4715       echo       │
 *	 connected to marceld                                                     2 waiting
 *	#1 S> Bonjour à vous
 *	F1 help  Tab next  Alt-n another turn  ^T take  ^G give  ^X close  ^C quit
 *
 * The first line and the one above the input are bars; there is also said what was refused.
 * Everything is drawn anew each time, into memory; ncurses writes what differs from what the
 * terminal shows. The screen is never cleared, but when the window's size changes or another
 * program has had the terminal. Windows that are narrow show the list or the dialogue.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/i18n.h"
#include "marcelctl/desk-text.h"
#include "marcelctl/desk.h"

/* Behind all others: its macros have names such as `timeout`. */
#include <curses.h>

#define ROWS_LEAST    6
#define COLUMNS_LEAST 24
#define TWO_PANES     60 /* columns */

static SCREEN *screen;
static bool coloured;

void desk_view_look(enum desk_look look)
{
	static const struct {
		short colour;
		attr_t with;    /* where there are colours */
		attr_t without; /* where there are none */
	} looks[LOOK_COUNT] = {
		[LOOK_PLAIN] = {0, A_NORMAL, A_NORMAL},
		[LOOK_BAR] = {0, A_REVERSE, A_REVERSE},
		[LOOK_CLIENT] = {COLOR_CYAN, A_NORMAL, A_NORMAL},
		[LOOK_SERVER] = {COLOR_GREEN, A_NORMAL, A_NORMAL},
		[LOOK_NOTE] = {0, A_DIM, A_NORMAL},
		[LOOK_WAITING] = {COLOR_YELLOW, A_BOLD, A_BOLD},
		[LOOK_TROUBLE] = {COLOR_RED, A_BOLD | A_REVERSE, A_BOLD | A_REVERSE},
		[LOOK_FOUND] = {COLOR_YELLOW, A_REVERSE, A_REVERSE},
	};

	(void)attr_set(coloured ? looks[look].with : looks[look].without,
		       coloured ? looks[look].colour : (short)0, NULL);
}

static void begin_colours(void)
{
	static const short colours[] = {COLOR_CYAN, COLOR_GREEN, COLOR_YELLOW, COLOR_RED};
	/* See https://no-color.org. One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	const char *unwanted = getenv("NO_COLOR");

	coloured = false;
	if ((unwanted != NULL && unwanted[0] != '\0') || !has_colors() || start_color() == ERR)
		return;
	(void)use_default_colors();
	for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++)
		(void)init_pair(colours[i], colours[i], -1);
	coloured = true;
}

/* Whether the terminal marks what is pasted. */
static void mark_pastes(bool marked)
{
	(void)fputs(marked ? "\x1b[?2004h" : "\x1b[?2004l", stdout);
	(void)fflush(stdout);
}

/* Terminals that can't move the cursor can hardly know of pasting. */
static bool has_pastes(void)
{
	const char *name = termname();

	return name != NULL && strncmp(name, "vt", 2) != 0 && strcmp(name, "linux") != 0;
}

int desk_view_begin(void)
{
	screen = newterm(NULL, stdout, stdin);
	if (screen == NULL)
		return -ENOTTY;
	if (tigetstr("cup") == NULL || raw() == ERR) {
		desk_view_end();
		return -ENOTTY;
	}
	(void)noecho();
	(void)nonl();
	(void)nodelay(stdscr, TRUE);
	(void)keypad(stdscr, TRUE);
	(void)set_escdelay(25);
	begin_colours();
	if (has_pastes())
		mark_pastes(true);
	return 0;
}

void desk_view_end(void)
{
	if (screen == NULL)
		return;
	if (has_pastes())
		mark_pastes(false);
	(void)endwin();
	delscreen(screen);
	screen = NULL;
}

void desk_view_leave(void)
{
	if (has_pastes())
		mark_pastes(false);
	(void)endwin();
}

void desk_view_return(void)
{
	(void)reset_prog_mode();
	if (has_pastes())
		mark_pastes(true);
	desk_view_resize();
	(void)clearok(curscr, TRUE);
}

void desk_view_resize(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
		(void)resizeterm(size.ws_row, size.ws_col);
}

void desk_view_bell(void)
{
	(void)beep();
}

unsigned desk_view_put(int y, int x, unsigned columns, const char *text, size_t length)
{
	wchar_t wide[512];
	unsigned used = 0;
	unsigned before = 0; /* columns of what has been written already */
	size_t at = 0;
	size_t n = 0;

	while (at < length) {
		unsigned taken;
		const size_t next = desk_next(text, length, at, &taken);

		if (used + taken > columns)
			break;
		/* A mark without a letter would go to the character before. */
		if (desk_point(text + at, length - at).columns == 0)
			wide[n++] = L'\u25CC';
		while (at < next && n < sizeof(wide) / sizeof(wide[0]) - 2) {
			const struct desk_point point = desk_point(text + at, next - at);

			wide[n++] = point.code;
			at += point.bytes;
		}
		at = next;
		used += taken;
		if (n > sizeof(wide) / sizeof(wide[0]) / 2) {
			(void)mvaddnwstr(y, x + (int)before, wide, (int)n);
			before = used;
			n = 0;
		}
	}
	if (n > 0)
		(void)mvaddnwstr(y, x + (int)before, wide, (int)n);
	return used;
}

unsigned desk_view_string(int y, int x, int columns, const char *text)
{
	return columns > 0 ? desk_view_put(y, x, (unsigned)columns, text, strlen(text)) : 0;
}

static unsigned list_columns(void)
{
	const int columns = COLS * 2 / 5;

	if (COLS < TWO_PANES)
		return (unsigned)COLS;
	return columns < 26 ? 26 : columns > 72 ? 72 : (unsigned)columns;
}

bool desk_view_shows_list(const struct desk *desk)
{
	return COLS >= TWO_PANES || desk->focus == FOCUS_LIST;
}

bool desk_view_shows_dialogue(const struct desk *desk)
{
	return COLS >= TWO_PANES || desk->focus == FOCUS_INPUT;
}

struct desk_pane desk_view_pane(const struct desk *desk)
{
	const int x = COLS >= TWO_PANES ? (int)list_columns() + 1 : 0;

	(void)desk;
	if (LINES < ROWS_LEAST || COLS < COLUMNS_LEAST)
		return (struct desk_pane){.columns = 0};
	return (struct desk_pane){.y = 1,
				  .x = x,
				  .rows = (unsigned)LINES - 4,
				  .columns = (unsigned)(COLS - x)};
}

void desk_view_bar(int y, int x, int columns, const char *text)
{
	desk_view_look(LOOK_BAR);
	(void)mvhline(y, x, ' ', columns);
	(void)desk_view_string(y, x + 1, columns - 1, text);
	desk_view_look(LOOK_PLAIN);
}

/* The head of the dialogue: who talks with whom. It is no bar while the list has the keys. */
static void draw_title(const struct desk *desk, const struct desk_talk *talk,
		       const struct desk_pane *pane)
{
	char who[128] = "";
	char title[768] = "";

	if (talk != NULL) {
		if (talk->ended)
			(void)snprintf(who, sizeof(who), "%s", _("ended"));
		else if (!desk_talk_held(talk))
			(void)snprintf(who, sizeof(who), _("%s answers"), desk_talk_speaker(talk));
		else if (talk->speaker[0] != '\0')
			(void)snprintf(who, sizeof(who), _("you answer, %s waits"),
				       talk->responder);
		else if (talk->suspended[0] != '\0')
			(void)snprintf(who, sizeof(who), _("you answer, %s waits"),
				       talk->suspended);
		else
			(void)snprintf(who, sizeof(who), "%s", _("you answer"));
		(void)snprintf(title, sizeof(title), "%" PRIu64 "  %s  %s  %s",
			       desk_talk_number(talk), talk->peer, who, talk->listener);
	}
	if (desk->focus == FOCUS_LIST)
		(void)desk_view_string(0, pane->x + 1, (int)pane->columns - 1, title);
	else
		desk_view_bar(0, pane->x, (int)pane->columns, title);
}

static void draw_help(size_t top)
{
	static const char *const keys[][2] = {
		{"Enter", N_("send the line, as the answer to the turn before it")},
		{"Alt-n Alt-p", N_("answer another open turn, or all of them at once")},
		{"Alt-e", N_("edit a script's draft; Enter sends it as it is")},
		{"Tab Shift-Tab", N_("the next conversation that waits, or the one before")},
		{"Alt-Down Alt-Up", N_("the next conversation in the list, or the one before")},
		{"Alt-1 ... Alt-9", N_("the first nine of the list")},
		{"Esc F2", N_("to the list and back; there also arrows, Enter, /, q")},
		{"^T", N_("take the conversation from whoever answers")},
		{"^G", N_("give it back, or to another one (Tab: whom)")},
		{"^X", N_("close the conversation")},
		{"PgUp PgDn Alt-End", N_("scroll; down to the newest")},
		{"^F", N_("search; ^F Enter: further up")},
		{"Up Down", N_("lines that were typed before")},
		{"^A ^E Alt-b Alt-f", N_("to the beginning, the end, words to the left and right")},
		{"^W Alt-d ^U ^K ^Y", N_("cut words, or all to the left or right; put back")},
		{"F8 ^L ^Z", N_("bell on or off, draw again, suspend")},
		{"^C ^D", N_("quit; ^D only on an empty line")},
		{"/close /note TEXT", N_("orders, see marcel-operator(7); // begins with a slash")},
	};
	const size_t n = sizeof(keys) / sizeof(keys[0]);
	const int text = COLS >= TWO_PANES ? 22 : 0;

	desk_view_bar(0, 0, COLS, _("The keys of the desk"));
	for (size_t i = 0; top + i < n && (int)i < LINES - 4; i++) {
		const int y = (int)i + 1;
		int x = 1;

		desk_view_look(LOOK_WAITING);
		x += (int)desk_view_string(y, x, COLS - 1, keys[top + i][0]);
		desk_view_look(LOOK_PLAIN);
		x = text > 0 ? text : x + 1;
		(void)desk_view_string(y, x, COLS - x, _(keys[top + i][1]));
	}
}

static void draw_small(void)
{
	(void)erase();
	(void)desk_view_string(0, 0, COLS, _("too small"));
	(void)refresh();
}

static void draw_panes(struct desk *desk, const struct desk_talk *talk,
		       const struct desk_pane *pane)
{
	if (desk_view_shows_list(desk))
		desk_list_draw(desk, (int)list_columns());
	if (COLS >= TWO_PANES) {
		(void)mvvline_set(1, pane->x - 1, WACS_VLINE, (int)pane->rows);
		desk_view_bar(0, pane->x - 1, 1, "");
	}
	if (!desk_view_shows_dialogue(desk))
		return;
	draw_title(desk, talk, pane);
	if (talk != NULL)
		desk_dialogue_draw(desk, talk, pane);
}

void desk_view_draw(struct desk *desk)
{
	const struct desk_pane pane = desk_view_pane(desk);
	const struct desk_talk *talk = desk_open_talk(desk);
	int x = 0;

	desk->changed = false;
	if (pane.rows == 0) {
		draw_small();
		return;
	}
	desk_view_look(LOOK_PLAIN);
	(void)erase();
	if (desk->help)
		draw_help(desk->help_top);
	else
		draw_panes(desk, talk, &pane);
	desk_foot_draw(desk, talk, &x);
	(void)move(LINES - 2, x < COLS ? x : COLS - 1);
	(void)curs_set(desk->focus == FOCUS_INPUT || desk->question != ASK_NOTHING);
	(void)refresh();
}
