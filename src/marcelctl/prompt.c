/*
 * Reading lines; see prompt.h.
 *
 * libedit asks read_key() for each key; when time is over there, it is told that there are no
 * more, and what had been typed is pushed back for the next time.
 */
#include "marcelctl/prompt.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include <histedit.h>

#include "base/cleanup.h"
#include "marcelctl/transcript.h"

#define HISTORY_LINES 1000

struct prompt {
	EditLine *edit; /* NULL: no terminal */
	History *history;
	mbstate_t key; /* the bytes of a key that have come so far */
	usec_t deadline;
	bool late;   /* the deadline has passed */
	bool shown;  /* the prompt is on the screen */
	char *begun; /* what was typed when time was over; or NULL */
	/* Standard input, if it is no terminal. */
	char *bytes;
	size_t length;
	size_t room;
	bool ended;
};

/* Waits for standard input. Returns 1, 0 when time is over, -1 on failure. */
static int wait_for_input(struct prompt *prompt)
{
	struct pollfd polled = {.fd = STDIN_FILENO, .events = POLLIN};
	int r;

	(void)fflush(stdout);
	do {
		r = poll(&polled, 1, clock_poll_msec(clock_left(prompt->deadline, clock_now())));
	} while (r < 0 && errno == EINTR);
	return r;
}

/* libedit's way to a key. Returns 1, or 0 when there will be none for now. */
static int read_key(EditLine *edit, wchar_t *ret_key)
{
	struct prompt *prompt = NULL;
	wchar_t key;

	(void)el_get(edit, EL_CLIENTDATA, &prompt);
	for (;;) {
		size_t used;
		ssize_t n;
		char byte;

		if (wait_for_input(prompt) <= 0) {
			prompt->late = true;
			return 0;
		}
		n = read(STDIN_FILENO, &byte, 1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return 0;
		/* Safe: the state is ours. NOLINTNEXTLINE(concurrency-mt-unsafe) */
		used = mbrtowc(&key, &byte, 1, &prompt->key);
		if (used == (size_t)-1)
			memset(&prompt->key, 0, sizeof(prompt->key));
		if (used == (size_t)-1 || used == (size_t)-2)
			continue;
		*ret_key = key;
		return 1;
	}
}

static const char *prompt_text(EditLine *edit)
{
	(void)edit;
	return "C> ";
}

static int open_editor(struct prompt *prompt)
{
	HistEvent event;

	prompt->edit = el_init("marcelctl", stdin, stdout, stderr);
	prompt->history = history_init();
	if (prompt->edit == NULL || prompt->history == NULL)
		return -ENOMEM;
	(void)history(prompt->history, &event, H_SETSIZE, HISTORY_LINES);
	(void)el_set(prompt->edit, EL_CLIENTDATA, prompt);
	(void)el_set(prompt->edit, EL_EDITOR, "emacs");
	(void)el_set(prompt->edit, EL_PROMPT, prompt_text);
	(void)el_set(prompt->edit, EL_SIGNAL, 1);
	(void)el_set(prompt->edit, EL_HIST, history, prompt->history);
	(void)el_set(prompt->edit, EL_GETCFN, read_key);
	(void)el_set(prompt->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
	(void)el_set(prompt->edit, EL_BIND, "^I", "ed-insert", NULL);
	(void)el_source(prompt->edit, NULL);
	return 0;
}

int prompt_new(struct prompt **ret_prompt)
{
	struct prompt *prompt = calloc(1, sizeof(*prompt));
	int r = 0;

	if (prompt == NULL)
		return -ENOMEM;
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		r = open_editor(prompt);
	if (r < 0) {
		prompt_free(prompt);
		return r;
	}
	*ret_prompt = prompt;
	return 0;
}

void prompt_free(struct prompt *prompt)
{
	if (prompt == NULL)
		return;
	if (prompt->edit != NULL)
		el_end(prompt->edit);
	if (prompt->history != NULL)
		history_end(prompt->history);
	free(prompt->begun);
	free(prompt->bytes);
	free(prompt);
}

void prompt_clear(struct prompt *prompt)
{
	if (prompt == NULL || !prompt->shown)
		return;
	(void)fputs("\r\x1b[K", stdout);
	prompt->shown = false;
}

/* Keeps what has been typed of a line for the next time. */
static void keep_begun(struct prompt *prompt)
{
	const LineInfo *line = el_line(prompt->edit);

	free(prompt->begun);
	prompt->begun = NULL;
	if (line != NULL && line->lastchar > line->buffer)
		prompt->begun = strndup(line->buffer, (size_t)(line->lastchar - line->buffer));
}

static enum prompt_result read_terminal(struct prompt *prompt, char **ret_line, size_t *ret_length)
{
	auto_free char *begun = take_ptr(&prompt->begun);
	HistEvent event;
	const char *line;
	int length = 0;

	prompt->late = false;
	prompt->shown = true;
	if (begun != NULL)
		el_push(prompt->edit, begun);
	/* The prompt is not shown before keys are read as keys. */
	(void)el_set(prompt->edit, EL_PREP_TERM, 1);
	line = el_gets(prompt->edit, &length);
	if (prompt->late) {
		keep_begun(prompt);
		return PROMPT_TIME;
	}
	if (line == NULL || length <= 0)
		return PROMPT_END;
	prompt->shown = false;
	if (line[0] != '\n')
		(void)history(prompt->history, &event, H_ENTER, line);
	if (line[length - 1] == '\n')
		length--;
	*ret_line = strndup(line, (size_t)length);
	*ret_length = (size_t)length;
	return *ret_line != NULL ? PROMPT_LINE : PROMPT_ERROR;
}

/* Reads more of standard input. Returns 1, 0 when time is over, -1 on failure. */
static int read_more(struct prompt *prompt)
{
	const int r = wait_for_input(prompt);
	ssize_t n;

	if (r <= 0)
		return r;
	if (prompt->length == prompt->room) {
		const size_t room = prompt->room > 0 ? 2 * prompt->room : 4096;
		char *more = realloc(prompt->bytes, room);

		if (more == NULL)
			return -1;
		prompt->bytes = more;
		prompt->room = room;
	}
	n = read(STDIN_FILENO, prompt->bytes + prompt->length, prompt->room - prompt->length);
	if (n < 0)
		return errno == EINTR ? 1 : -1;
	prompt->ended = n == 0;
	prompt->length += (size_t)n;
	return 1;
}

/* Takes the first line, LENGTH bytes, of which USED are to go. */
static enum prompt_result take_line(struct prompt *prompt, size_t length, size_t used,
				    char **ret_line, size_t *ret_length)
{
	char *line = malloc(length + 1);

	if (line == NULL)
		return PROMPT_ERROR;
	memcpy(line, prompt->bytes, length);
	line[length] = '\0';
	memmove(prompt->bytes, prompt->bytes + used, prompt->length - used);
	prompt->length -= used;
	transcript_write(stdout, TRANSCRIPT_CLIENT_LINE, line, length);
	*ret_line = line;
	*ret_length = length;
	return PROMPT_LINE;
}

static enum prompt_result read_input(struct prompt *prompt, char **ret_line, size_t *ret_length)
{
	for (;;) {
		const char *end = prompt->length > 0 ? memchr(prompt->bytes, '\n', prompt->length)
						     : NULL;
		size_t length;
		int r;

		if (end != NULL) {
			length = (size_t)(end - prompt->bytes);
			return take_line(prompt, length, length + 1, ret_line, ret_length);
		}
		if (prompt->ended && prompt->length > 0)
			return take_line(prompt, prompt->length, prompt->length, ret_line,
					 ret_length);
		if (prompt->ended) {
			transcript_write(stdout, TRANSCRIPT_CLIENT_END, NULL, 0);
			return PROMPT_END;
		}
		r = read_more(prompt);
		if (r <= 0)
			return r == 0 ? PROMPT_TIME : PROMPT_ERROR;
	}
}

enum prompt_result prompt_read(struct prompt *prompt, usec_t patience, char **ret_line,
			       size_t *ret_length)
{
	prompt->deadline = clock_deadline(clock_now(), patience);
	return prompt->edit != NULL ? read_terminal(prompt, ret_line, ret_length)
				    : read_input(prompt, ret_line, ret_length);
}
