/* The screen while someone types; see display.h. */
#include "marcel/display.h"

#include <string.h>

#include "marcel/screen.h"

#define PROMPT          "C> "
#define COLUMNS_DEFAULT 80

static char *prompt(EditLine *edit)
{
	static char text[] = PROMPT;

	(void)edit;
	return text;
}

static unsigned columns(EditLine *edit)
{
	int n = 0;

	if (el_get(edit, EL_GETTC, "co", &n) != 0 || n < 2)
		return COLUMNS_DEFAULT;
	return (unsigned)n;
}

void display_init(struct display *display, EditLine *edit)
{
	*display = (struct display){.edit = edit, .columns = columns(edit)};
	(void)el_set(edit, EL_PROMPT, prompt);
}

/* Prints the terminal's command NAME (termcap(5)) TIMES times; false when it has none. */
static bool command(struct display *display, const char *name, unsigned times)
{
	char *text = NULL;
	size_t length;

	if (el_get(display->edit, EL_GETTC, name, &text) != 0 || text == NULL || text[0] == '\0')
		return false;
	/* "$<50>" at the end tells how long a terminal of the seventies took to obey. */
	length = strcspn(text, "$");
	for (unsigned i = 0; i < times; i++)
		(void)fwrite(text, 1, length, stdout);
	return true;
}

static unsigned cursor_row(struct display *display)
{
	const LineInfoW *line = el_wline(display->edit);

	return screen_row(L"" PROMPT, line->buffer, line->cursor, line->lastchar, display->columns);
}

/* Takes the prompt, ROW rows above the cursor, and all below it off the screen. */
static void erase(struct display *display, unsigned row)
{
	if (!display->prompting)
		return;
	display->prompting = false;
	(void)fputs("\r", stdout);
	if ((row > 0 && !command(display, "up", row)) || !command(display, "cd", 1))
		(void)fputs("\n", stdout);
}

void display_erase(struct display *display)
{
	if (display->prompting)
		erase(display, cursor_row(display));
}

void display_line(struct display *display, const char *mark, const char *text)
{
	display_erase(display);
	(void)printf("%s%s\n", mark, text);
}

void display_prompt(struct display *display)
{
	if (display->prompting)
		return;
	(void)fflush(stdout);
	(void)el_set(display->edit, EL_REFRESH);
	display->prompting = true;
}

void display_note(struct display *display, bool shown)
{
	display->prompting = shown;
}

void display_resize(struct display *display)
{
	/*
	 * Some terminals fill the rows anew, some do not. The lesser row is safe: something of the
	 * line being typed may stay behind, but nothing of the server's is lost.
	 */
	const unsigned before = cursor_row(display);
	unsigned after;

	el_resize(display->edit);
	display->columns = columns(display->edit);
	after = cursor_row(display);
	erase(display, before < after ? before : after);
}
