/*
 * The lines of `desk --plain`; see desk-plain-priv.h.
 *
 * libedit owns the loop while a line is typed and asks read_key() for each key. Whatever is waited
 * for, plain_next() waits for keys and marceld's news alike; when the turn that is being answered
 * is not open any more, the line is broken off.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "marcelctl/charset.h"
#include "marcelctl/desk-plain-priv.h"

#define HISTORY_LINES 1000
#define ANSWER        "S> "

/* Shows the prompt of a line that nobody has asked for, with its first key. */
static void show_prompt(struct plain *plain, wchar_t key)
{
	if (plain->prompt[0] != '\0' || key < L' ')
		return;
	plain->prompt = ANSWER;
	(void)el_set(plain->edit, EL_REFRESH);
}

/* Keeps what is half typed, but for control characters, which would act when they are put back. */
static void keep_half(struct plain *plain)
{
	const LineInfo *line = el_line(plain->edit);
	size_t n = 0;

	free(plain->half);
	plain->half = strndup(line->buffer, (size_t)(line->lastchar - line->buffer));
	if (plain->half == NULL)
		return;
	for (const char *p = plain->half; *p != '\0'; p++) {
		if ((unsigned char)*p >= ' ' && *p != 0x7F)
			plain->half[n++] = *p;
	}
	plain->half[n] = '\0';
}

/* libedit's way to a key. Returns 1, or 0 when there will be none. */
static int read_key(EditLine *edit, wchar_t *ret_key)
{
	struct plain *plain = NULL;
	wchar_t key;

	(void)el_get(edit, EL_CLIENTDATA, &plain);
	while (!plain_is_late(plain)) {
		size_t used;
		ssize_t n;
		char byte;

		if (plain_next(plain, true) != NEXT_KEYS)
			continue;
		n = read(STDIN_FILENO, &byte, 1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return 0;
		/* Safe: the state is ours. NOLINTNEXTLINE(concurrency-mt-unsafe) */
		used = mbrtowc(&key, &byte, 1, &plain->key);
		if (used == (size_t)-1)
			memset(&plain->key, 0, sizeof(plain->key));
		if (used == (size_t)-1 || used == (size_t)-2)
			continue;
		show_prompt(plain, key);
		*ret_key = key;
		return 1;
	}
	if (plain->unasked)
		keep_half(plain);
	return 0;
}

static const char *prompt_of(EditLine *edit)
{
	struct plain *plain = NULL;

	(void)el_get(edit, EL_CLIENTDATA, &plain);
	return plain->prompt;
}

int plain_open_editor(struct plain *plain)
{
	HistEvent event;

	plain->edit = el_init("marcelctl", stdin, plain->terminal, stderr);
	plain->history = history_init();
	if (plain->edit == NULL || plain->history == NULL)
		return -ENOMEM;
	(void)history(plain->history, &event, H_SETSIZE, HISTORY_LINES);
	(void)el_set(plain->edit, EL_CLIENTDATA, plain);
	(void)el_set(plain->edit, EL_EDITOR, "emacs");
	(void)el_set(plain->edit, EL_PROMPT, prompt_of);
	(void)el_set(plain->edit, EL_SIGNAL, 1);
	(void)el_set(plain->edit, EL_HIST, history, plain->history);
	(void)el_set(plain->edit, EL_GETCFN, read_key);
	(void)el_set(plain->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
	(void)el_set(plain->edit, EL_BIND, "^I", "ed-insert", NULL);
	(void)el_source(plain->edit, NULL);
	return 0;
}

void plain_close_editor(struct plain *plain)
{
	if (plain->edit != NULL)
		el_end(plain->edit);
	if (plain->history != NULL)
		history_end(plain->history);
	free(plain->half);
}

void plain_discard(struct plain *plain)
{
	if (plain->edit == NULL)
		return;
	(void)tcflush(STDIN_FILENO, TCIFLUSH);
	memset(&plain->key, 0, sizeof(plain->key));
	free(plain->half);
	plain->half = NULL;
}

/* What was half typed is typed again. */
static void push_half(struct plain *plain)
{
	if (plain->half == NULL)
		return;
	if (plain->half[0] != '\0') {
		if (plain->prompt[0] == '\0')
			plain->prompt = ANSWER;
		el_push(plain->edit, plain->half);
	}
	free(plain->half);
	plain->half = NULL;
}

static char *type_line(struct plain *plain)
{
	HistEvent event;
	const char *line;
	int length = 0;

	push_half(plain);
	(void)fflush(stdout);
	(void)el_set(plain->edit, EL_PREP_TERM, 1);
	line = el_gets(plain->edit, &length);
	(void)el_set(plain->edit, EL_PREP_TERM, 0);
	if (plain_is_late(plain) || line == NULL || length <= 0) {
		if (plain->prompt[0] != '\0')
			(void)putchar('\n');
		plain->ended = !plain_is_late(plain);
		return NULL;
	}
	if (line[0] != '\n')
		(void)history(plain->history, &event, H_ENTER, line);
	if (line[length - 1] == '\n')
		length--;
	return charset_typed(line, (size_t)length);
}

/* Takes LENGTH bytes as a line, of which USED are gone then. */
static char *take_line(struct plain *plain, size_t length, size_t used)
{
	char *line = charset_typed(plain->bytes, length);

	memmove(plain->bytes, plain->bytes + used, plain->length - used);
	plain->length -= used;
	if (line != NULL)
		(void)puts(line);
	return line;
}

/* Whether a line has come by the pipe, or as much of one as there may be. */
static bool has_line(const struct plain *plain)
{
	return memchr(plain->bytes, '\n', plain->length) != NULL ||
	       plain->length == sizeof(plain->bytes);
}

/* Waits for news, or more of the pipe, which is read then. */
static void read_pipe(struct plain *plain)
{
	ssize_t n;

	if (plain_next(plain, true) != NEXT_KEYS)
		return;
	n = read(STDIN_FILENO, plain->bytes + plain->length, sizeof(plain->bytes) - plain->length);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	/* What is left without an end is a line as well. */
	if (n <= 0 && plain->length > 0)
		plain->bytes[plain->length++] = '\n';
	else if (n <= 0)
		plain->ended = true;
	else
		plain->length += (size_t)n;
}

void plain_wait(struct plain *plain)
{
	if (plain->edit != NULL || plain->ended || has_line(plain))
		(void)plain_next(plain, false);
	else
		read_pipe(plain);
}

/* Whether the line that is asked for could be sent, or need not be. What comes by a pipe is not to
 * be used up while there is no marceld. */
static bool can_send(const struct plain *plain)
{
	return plain->turn == 0 || desk_link_is_up(plain->link);
}

static char *pipe_line(struct plain *plain)
{
	(void)fputs(plain->prompt, stdout);
	while (!plain_is_late(plain) && can_send(plain)) {
		const char *end = memchr(plain->bytes, '\n', plain->length);
		const size_t length = end != NULL ? (size_t)(end - plain->bytes) : plain->length;

		if (end != NULL)
			return take_line(plain, length, length + 1);
		if (length > 0 && (plain->ended || length == sizeof(plain->bytes)))
			return take_line(plain, length, length);
		if (plain->ended)
			break;
		read_pipe(plain);
	}
	(void)putchar('\n');
	return NULL;
}

char *plain_ask(struct plain *plain, const char *prompt, uint64_t turn)
{
	auto_free char *shown = plain->edit != NULL ? charset_shown(prompt) : NULL;
	char *line;

	plain->prompt = shown != NULL ? shown : prompt;
	plain->turn = turn;
	line = plain->edit != NULL ? type_line(plain) : pipe_line(plain);
	plain->turn = 0;
	plain->prompt = "";
	return line;
}

char *plain_listen(struct plain *plain)
{
	char *line;

	plain->prompt = "";
	plain->unasked = true;
	line = type_line(plain);
	plain->unasked = false;
	return line;
}
