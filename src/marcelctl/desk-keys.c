/*
 * The keys of the desk; see desk.h.
 *
 * ncurses reads them; an Alt-key comes as an escape and the key. What is pasted comes between marks
 * of the terminal's, and its line ends are no Enter.
 */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "marcelctl/desk.h"

#include <curses.h>

#define CONTROL(c) ((c)&0x1F)
#define ESCAPE     0x1B
#define ERASE      0x7F

/* Keys that ncurses does not know by themselves. */
enum {
	KEY_PASTE_BEGIN = KEY_MAX + 1,
	KEY_PASTE_END,
	KEY_ALT_UP,
	KEY_ALT_DOWN,
	KEY_ALT_LEFT,
	KEY_ALT_RIGHT,
	KEY_ALT_END,
};

struct key {
	wint_t code; /* a character, or KEY_* */
	bool is_key; /* the latter */
	bool alt;
};

void desk_keys_begin(void)
{
	static const struct {
		const char *bytes;
		int code;
	} more[] = {
		{"\x1b[200~", KEY_PASTE_BEGIN}, {"\x1b[201~", KEY_PASTE_END},
		{"\x1b[1;3A", KEY_ALT_UP},      {"\x1b[1;3B", KEY_ALT_DOWN},
		{"\x1b[1;3D", KEY_ALT_LEFT},    {"\x1b[1;3C", KEY_ALT_RIGHT},
		{"\x1b[1;5D", KEY_ALT_LEFT},    {"\x1b[1;5C", KEY_ALT_RIGHT},
		{"\x1b[1;3F", KEY_ALT_END},     {"\x1b[1~", KEY_HOME},
		{"\x1b[4~", KEY_END},
	};

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		(void)define_key(more[i].bytes, more[i].code);
}

/* Reads a key. Returns false when there is none. */
static bool read_key(struct key *ret_key)
{
	wint_t code;
	int r = get_wch(&code);

	if (r == ERR)
		return false;
	*ret_key = (struct key){.code = code, .is_key = r == KEY_CODE_YES};
	if (r == KEY_CODE_YES || code != ESCAPE)
		return true;
	r = get_wch(&code);
	if (r != ERR)
		*ret_key = (struct key){.code = code,
					.is_key = r == KEY_CODE_YES,
					.alt = code != ESCAPE};
	return true;
}

/* Tells what the line that is being typed has no room for. */
static void tell_left_out(struct desk *desk, const struct desk_edit *edit)
{
	desk_say(desk, _("the line is full; characters left out: %zu"), edit->left_out);
}

/* Puts the character CODE into EDIT. */
static void insert(struct desk *desk, struct desk_edit *edit, wint_t code)
{
	const unsigned c = code;
	char bytes[4];
	size_t n = 0;

	if (c < 0x80) {
		bytes[n++] = (char)c;
	} else if (c < 0x800) {
		bytes[n++] = (char)(0xC0 | c >> 6);
	} else if (c < 0x10000) {
		bytes[n++] = (char)(0xE0 | c >> 12);
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3F));
	} else {
		bytes[n++] = (char)(0xF0 | (c >> 18 & 0x07));
		bytes[n++] = (char)(0x80 | (c >> 12 & 0x3F));
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3F));
	}
	if (c >= 0x80)
		bytes[n++] = (char)(0x80 | (c & 0x3F));
	if (desk_edit_insert(edit, bytes, n))
		return;
	tell_left_out(desk, edit);
	/* Once for all that is pasted. */
	if (!desk->pasting)
		desk_view_bell();
}

/* Keys that edit. */
struct edit_key {
	wint_t code;
	bool is_key;
	bool alt;
	enum desk_edit_action action;
};

static const struct edit_key edit_keys[] = {
	{KEY_LEFT, true, false, EDIT_LEFT},
	{CONTROL('b'), false, false, EDIT_LEFT},
	{KEY_RIGHT, true, false, EDIT_RIGHT},
	{KEY_ALT_LEFT, true, false, EDIT_WORD_LEFT},
	{KEY_LEFT, true, true, EDIT_WORD_LEFT},
	{L'b', false, true, EDIT_WORD_LEFT},
	{KEY_ALT_RIGHT, true, false, EDIT_WORD_RIGHT},
	{KEY_RIGHT, true, true, EDIT_WORD_RIGHT},
	{L'f', false, true, EDIT_WORD_RIGHT},
	{KEY_HOME, true, false, EDIT_HOME},
	{CONTROL('a'), false, false, EDIT_HOME},
	{KEY_END, true, false, EDIT_END},
	{CONTROL('e'), false, false, EDIT_END},
	{KEY_BACKSPACE, true, false, EDIT_ERASE_LEFT},
	{ERASE, false, false, EDIT_ERASE_LEFT},
	{CONTROL('h'), false, false, EDIT_ERASE_LEFT},
	{KEY_DC, true, false, EDIT_ERASE_RIGHT},
	{CONTROL('d'), false, false, EDIT_ERASE_RIGHT},
	{CONTROL('w'), false, false, EDIT_CUT_WORD_LEFT},
	{ERASE, false, true, EDIT_CUT_WORD_LEFT},
	{KEY_BACKSPACE, true, true, EDIT_CUT_WORD_LEFT},
	{L'd', false, true, EDIT_CUT_WORD_RIGHT},
	{CONTROL('u'), false, false, EDIT_CUT_LEFT},
	{CONTROL('k'), false, false, EDIT_CUT_RIGHT},
	{CONTROL('y'), false, false, EDIT_YANK},
};

/* Does what KEY does in a line. Returns false when it is no such key. */
static bool edit_by(struct desk *desk, struct desk_edit *edit, const struct key *key)
{
	if (!key->is_key && !key->alt && key->code >= L' ' && key->code != ERASE) {
		insert(desk, edit, key->code);
		return true;
	}
	for (size_t i = 0; i < sizeof(edit_keys) / sizeof(edit_keys[0]); i++) {
		const struct edit_key *known = &edit_keys[i];

		if (known->code != key->code || known->is_key != key->is_key ||
		    known->alt != key->alt)
			continue;
		(void)desk_edit_do(edit, known->action, &desk->cut);
		return true;
	}
	return false;
}

static bool is_enter(const struct key *key)
{
	return (!key->is_key && (key->code == L'\r' || key->code == L'\n')) ||
	       (key->is_key && key->code == KEY_ENTER);
}

static bool is_no(const struct key *key)
{
	return !key->is_key && !key->alt &&
	       (key->code == ESCAPE || key->code == CONTROL('g') || key->code == CONTROL('c'));
}

/* What KEY says to a question that wants a letter. */
static wchar_t letter_of(const struct desk *desk, const struct key *key)
{
	/* Enter once more says an empty message. */
	if (desk->question == ASK_EMPTY && is_enter(key))
		return L'y';
	/* An Alt-key may be Esc, and what was typed behind it. */
	return key->is_key || key->alt ? L'n' : (wchar_t)key->code;
}

/* A key while something is asked. */
static void answer_by(struct desk *desk, const struct key *key)
{
	if (desk->question == ASK_QUIT && !key->is_key && key->code == CONTROL('c'))
		desk->over = true;
	else if (is_no(key))
		desk_act_cancel(desk);
	else if (!desk_act_wants_text(desk))
		desk_act_answer_key(desk, letter_of(desk, key));
	else if (is_enter(key))
		desk_act_answer(desk);
	else if (!key->is_key && key->code == L'\t')
		desk_act_complete(desk);
	else
		(void)edit_by(desk, &desk->answer, key);
}

static void switch_focus(struct desk *desk)
{
	desk->focus = desk->focus == FOCUS_INPUT ? FOCUS_LIST : FOCUS_INPUT;
	desk_act_open(desk, desk->open);
}

static long page(const struct desk *desk)
{
	const struct desk_pane pane = desk_view_pane(desk);

	return pane.rows > 2 ? (long)pane.rows - 1 : 1;
}

/* Function keys that work everywhere. Returns false when KEY is none of them. */
static bool function_key(struct desk *desk, const struct key *key)
{
	if (!key->is_key)
		return false;
	if (key->code == KEY_F(1)) {
		desk->help = true;
		desk->help_top = 0;
	} else if (key->code == KEY_F(2)) {
		switch_focus(desk);
	} else if (key->code == KEY_F(8)) {
		desk->silent = !desk->silent;
		desk_say(desk, "%s", desk->silent ? _("bell off") : _("bell on"));
	} else if (key->code == KEY_BTAB) {
		desk_act_next_waiting(desk, true);
	} else if (key->code == KEY_ALT_UP || (key->alt && key->code == KEY_UP)) {
		desk_act_move(desk, -1);
	} else if (key->code == KEY_ALT_DOWN || (key->alt && key->code == KEY_DOWN)) {
		desk_act_move(desk, 1);
	} else if (key->code == KEY_PPAGE) {
		desk_act_scroll(desk, page(desk));
	} else if (key->code == KEY_NPAGE) {
		desk_act_scroll(desk, -page(desk));
	} else if (key->code == KEY_ALT_END || (key->alt && key->code == KEY_END)) {
		desk_act_scroll(desk, -(long)desk->scrolled);
	} else {
		return false;
	}
	return true;
}

/* Alt-keys that work everywhere. */
static bool alt_key(struct desk *desk, const struct key *key)
{
	struct desk_talk *talk = desk_open_talk(desk);

	if (key->is_key || !key->alt)
		return false;
	if (key->code >= L'1' && key->code <= L'9') {
		if (key->code - L'1' < desk->model.count)
			desk_act_open(desk, desk->model.order[key->code - L'1']->number);
	} else if (key->code == L'n' || key->code == L'p') {
		if (talk != NULL)
			desk_talk_aim(talk, key->code == L'p');
	} else if (key->code == L'e') {
		if (talk == NULL || !desk_talk_edit_draft(talk))
			desk_view_bell();
	} else if (key->code == L'>') {
		desk_act_scroll(desk, -(long)desk->scrolled);
	} else {
		return false;
	}
	return true;
}

/* Control keys that work everywhere. */
static bool control_key(struct desk *desk, const struct key *key)
{
	if (key->is_key || key->alt)
		return false;
	switch (key->code) {
	case ESCAPE:
		switch_focus(desk);
		return true;
	case CONTROL('t'):
		desk_act_take(desk);
		return true;
	case CONTROL('g'):
		desk_act_ask(desk, ASK_GIVE);
		return true;
	case CONTROL('x'):
		desk_act_ask(desk, ASK_CLOSE);
		return true;
	case CONTROL('f'):
		desk_act_ask(desk, ASK_SEARCH);
		return true;
	case CONTROL('l'):
		(void)clearok(curscr, TRUE);
		return true;
	case CONTROL('z'):
		desk_suspend(desk);
		return true;
	case CONTROL('c'):
	case CONTROL('q'):
		desk_act_quit(desk);
		return true;
	case L'\t':
		desk_act_next_waiting(desk, false);
		return true;
	default:
		return false;
	}
}

/* A key in the input line. */
static void type_key(struct desk *desk, const struct key *key)
{
	struct desk_talk *talk = desk_open_talk(desk);
	const bool was_empty = talk == NULL || talk->input.length == 0;
	const uint64_t target = talk != NULL ? desk_talk_target(talk) : 0;

	if (!key->is_key && !key->alt && key->code == CONTROL('d') && was_empty) {
		desk_act_quit(desk);
		return;
	}
	if (is_enter(key)) {
		desk_act_send(desk);
		return;
	}
	if (talk == NULL)
		return;
	if (key->is_key && key->code == KEY_UP)
		(void)desk_edit_older(&talk->input, &desk->history);
	else if (key->is_key && key->code == KEY_DOWN)
		(void)desk_edit_newer(&talk->input, &desk->history);
	else
		(void)edit_by(desk, &talk->input, key);
	/* The turn that a line is begun for stays that of the line. */
	if (was_empty && talk->input.length > 0 && !talk->aimed && target != 0) {
		talk->aimed = true;
		talk->aim = target;
	} else if (!was_empty && talk->input.length == 0) {
		talk->aimed = false;
	}
}

/* A key in the list. */
static void list_key(struct desk *desk, const struct key *key)
{
	if (is_enter(key))
		switch_focus(desk);
	else if (key->is_key && key->code == KEY_UP)
		desk_act_move(desk, -1);
	else if (key->is_key && key->code == KEY_DOWN)
		desk_act_move(desk, 1);
	else if (key->is_key && key->code == KEY_HOME)
		desk_act_move(desk, -(long)desk->model.count);
	else if (key->is_key && key->code == KEY_END)
		desk_act_move(desk, (long)desk->model.count);
	else if (!key->is_key && key->code == L'/')
		desk_act_ask(desk, ASK_FIND);
	else if (!key->is_key && key->code == L'?')
		(void)function_key(desk, &(struct key){.code = KEY_F(1), .is_key = true});
	else if (!key->is_key && key->code == L'q')
		desk_act_quit(desk);
}

/* Something that is pasted. */
static void paste_key(struct desk *desk, const struct key *key)
{
	struct desk_talk *talk = desk_open_talk(desk);
	struct key text = *key;

	if (key->is_key || talk == NULL)
		return;
	if (desk_act_wants_text(desk)) {
		(void)edit_by(desk, &desk->answer, key);
		return;
	}
	if (desk->question != ASK_NOTHING)
		return;
	desk->focus = FOCUS_INPUT;
	if (text.code == L'\t')
		text.code = L' ';
	if (is_enter(key))
		insert(desk, &talk->input, L'\n');
	else if (text.code >= L' ')
		type_key(desk, &text);
}

/* A key while the help is shown. */
static void help_key(struct desk *desk, const struct key *key)
{
	if (key->is_key && key->code == KEY_NPAGE)
		desk->help_top = desk->help_top < 12 ? desk->help_top + 4 : 0;
	else
		desk->help = false;
}

/* Something is pasted from here on, or was until now. */
static void mark_paste(struct desk *desk, bool begins)
{
	const struct desk_talk *talk = desk_open_talk(desk);

	desk->pasting = begins;
	if (begins || talk == NULL || talk->input.left_out == 0)
		return;
	tell_left_out(desk, &talk->input);
	desk_view_bell();
}

static void do_key(struct desk *desk, const struct key *key)
{
	desk->status[0] = '\0';
	desk->changed = true;
	if (key->is_key && (key->code == KEY_PASTE_BEGIN || key->code == KEY_PASTE_END)) {
		mark_paste(desk, key->code == KEY_PASTE_BEGIN);
		return;
	}
	if (key->is_key && key->code == KEY_RESIZE)
		return;
	if (desk->pasting) {
		paste_key(desk, key);
	} else if (desk->help) {
		help_key(desk, key);
	} else if (desk->question != ASK_NOTHING) {
		answer_by(desk, key);
	} else if (!function_key(desk, key) && !alt_key(desk, key) && !control_key(desk, key)) {
		if (desk->focus == FOCUS_LIST)
			list_key(desk, key);
		else
			type_key(desk, key);
	}
}

void desk_keys_take(struct desk *desk)
{
	struct key key;

	while (!desk->over && read_key(&key))
		do_key(desk, &key);
}
