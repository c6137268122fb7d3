/*
 * One conversation after another; see desk-plain.h.
 *
 * libedit owns the loop while a line is typed and asks read_key() for each key. Whatever is waited
 * for, next() waits for keys and marceld's news alike; when the turn that is being answered is not
 * open any more, the line is broken off.
 */
#include "marcelctl/desk-plain.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <unistd.h>
#include <wchar.h>

#include <histedit.h>

#include "base/error.h"
#include "base/i18n.h"
#include "marcelctl/desk-link.h"
#include "marcelctl/desk-model.h"
#include "marcelctl/say.h"

#define HISTORY_LINES 1000

struct plain {
	sd_event *event;
	struct desk_model model;
	struct desk_link *link;
	uint64_t known;   /* conversations up to this number were there at the beginning */
	uint64_t current; /* the one that is answered; 0: none */
	uint64_t turn;    /* the one whose answer is being typed; 0: none */
	size_t shown;     /* lines of the current one */
	const char *prompt;

	bool answered; /* by marceld, to what was sent */
	int error;     /* the same: 0 or a negative errno */
	char reason[256];

	EditLine *edit; /* NULL: standard input is no terminal */
	History *history;
	mbstate_t key;
	char bytes[8192]; /* of standard input, if it is no terminal */
	size_t length;
	bool ended; /* there is no more of it */
	int failed; /* negative errno of our own */
};

enum next {
	NEXT_NEWS,
	NEXT_KEYS,
	NEXT_FAILED,
};

/* Waits for the next thing: news, which are taken in, or, if KEYS, something to be read. */
static enum next next(struct plain *plain, bool keys)
{
	struct pollfd polled[] = {
		{.fd = keys ? STDIN_FILENO : -1, .events = POLLIN},
		{.fd = sd_event_get_fd(plain->event), .events = POLLIN},
	};
	int r;

	(void)fflush(stdout);
	for (;;) {
		r = sd_event_run(plain->event, 0);
		desk_link_tend(plain->link);
		if (r != 0)
			break;
		r = poll(polled, 2, -1);
		if (r < 0 && errno != EINTR) {
			r = -errno;
			break;
		}
		if (r > 0 && polled[0].revents != 0)
			return NEXT_KEYS;
	}
	if (r < 0)
		plain->failed = r;
	return r < 0 ? NEXT_FAILED : NEXT_NEWS;
}

/* Whether the line that is being typed makes no sense any more. */
static bool is_late(const struct plain *plain)
{
	const struct desk_talk *talk;

	if (plain->failed < 0)
		return true;
	if (plain->turn == 0)
		return false;
	talk = desk_model_find(&plain->model, plain->current);
	return talk == NULL || !desk_talk_is_open(talk, plain->turn);
}

/* libedit's way to a key. Returns 1, or 0 when there will be none. */
static int read_key(EditLine *edit, wchar_t *ret_key)
{
	struct plain *plain = NULL;
	wchar_t key;

	(void)el_get(edit, EL_CLIENTDATA, &plain);
	while (!is_late(plain)) {
		size_t used;
		ssize_t n;
		char byte;

		if (next(plain, true) != NEXT_KEYS)
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
		*ret_key = key;
		return 1;
	}
	return 0;
}

static const char *prompt_of(EditLine *edit)
{
	struct plain *plain = NULL;

	(void)el_get(edit, EL_CLIENTDATA, &plain);
	return plain->prompt;
}

static int open_editor(struct plain *plain)
{
	HistEvent event;

	plain->edit = el_init("marcelctl", stdin, stdout, stderr);
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

static char *type_line(struct plain *plain)
{
	HistEvent event;
	const char *line;
	int length = 0;

	(void)el_set(plain->edit, EL_PREP_TERM, 1);
	line = el_gets(plain->edit, &length);
	(void)el_set(plain->edit, EL_PREP_TERM, 0);
	if (is_late(plain) || line == NULL || length <= 0) {
		(void)putchar('\n');
		plain->ended = !is_late(plain);
		return NULL;
	}
	if (line[0] != '\n')
		(void)history(plain->history, &event, H_ENTER, line);
	if (line[length - 1] == '\n')
		length--;
	return strndup(line, (size_t)length);
}

/* Takes LENGTH bytes as a line, of which USED are gone then. */
static char *take_line(struct plain *plain, size_t length, size_t used)
{
	char *line = strndup(plain->bytes, length);

	memmove(plain->bytes, plain->bytes + used, plain->length - used);
	plain->length -= used;
	if (line != NULL)
		(void)puts(line);
	return line;
}

static char *pipe_line(struct plain *plain)
{
	(void)fputs(plain->prompt, stdout);
	while (!is_late(plain)) {
		const char *end = memchr(plain->bytes, '\n', plain->length);
		const size_t length = end != NULL ? (size_t)(end - plain->bytes) : plain->length;
		ssize_t n;

		if (end != NULL)
			return take_line(plain, length, length + 1);
		if (length > 0 && (plain->ended || length == sizeof(plain->bytes)))
			return take_line(plain, length, length);
		if (plain->ended)
			break;
		if (next(plain, true) != NEXT_KEYS)
			continue;
		n = read(STDIN_FILENO, plain->bytes + length, sizeof(plain->bytes) - length);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		plain->ended = n <= 0;
		plain->length += n > 0 ? (size_t)n : 0;
	}
	(void)putchar('\n');
	return NULL;
}

/* Asks with PROMPT for a line, which the caller frees. NULL: input has ended, or it is late. */
static char *ask(struct plain *plain, const char *prompt, uint64_t turn)
{
	char *line;

	plain->prompt = prompt;
	plain->turn = turn;
	line = plain->edit != NULL ? type_line(plain) : pipe_line(plain);
	plain->turn = 0;
	return line;
}

/* A conversation to take up; 0: none. */
static uint64_t choose(const struct plain *plain)
{
	for (size_t i = 0; i < plain->model.count; i++) {
		const struct desk_talk *talk = plain->model.order[i];

		if (desk_talk_held(talk) && (talk->waiting != 0 || talk->number > plain->known))
			return talk->number;
	}
	return 0;
}

/* "Client connected": the address is HOST:PORT, or of another kind. */
static void welcome(const struct desk_talk *talk)
{
	const char *colon = strrchr(talk->peer, ':');
	const char *host = talk->peer;
	int length = colon != NULL ? (int)(colon - host) : 0;

	if (colon == NULL || colon[1] == '\0' ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1)) {
		(void)printf(_("Client connected, address %s\n"), talk->peer);
		return;
	}
	if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
		host++;
		length -= 2;
	}
	(void)printf(_("Client connected, IP address %.*s, port %s\n"), length, host, colon + 1);
}

/* Sends LINE as the answer to TURN and waits for what becomes of it. */
static void answer(struct plain *plain, uint64_t turn, const char *line)
{
	char *text = desk_order(line, strlen(line), &turn);
	int r = -ENOMEM;

	plain->answered = false;
	if (text != NULL)
		r = desk_link_order(plain->link, DESK_SAY, plain->current, turn, text);
	free(text);
	if (r < 0) {
		say_error(_("refused: %s"), say_errno(-r));
		return;
	}
	while (!plain->answered && next(plain, false) == NEXT_NEWS) {
	}
	if (plain->answered && plain->error < 0)
		say_error(_("refused: %s"), plain->reason);
}

/* Shows the next line of the client's, and asks for an answer if it waits for one. */
static void show_line(struct plain *plain, struct desk_talk *talk)
{
	const struct desk_line *line = &talk->lines[plain->shown++];
	const uint64_t turn = line->turn;

	if (line->who != 'C')
		return;
	/* Of a dialogue that began earlier only what waits matters. */
	if (!desk_talk_is_open(talk, turn) && !talk->ended && !talk->was_open)
		return;
	talk->was_open = true;
	(void)printf("C> %s\n", line->text);
	while (!plain->ended && plain->failed == 0) {
		char *reply;

		talk = desk_model_find(&plain->model, plain->current);
		if (talk == NULL || !desk_talk_is_open(talk, turn))
			return;
		/* What ends the conversation waits for no answer, nor what only comes to wait when
		 * an earlier message is answered. */
		if (talk->waiting != turn) {
			(void)next(plain, false);
			continue;
		}
		reply = ask(plain, "S> ", turn);
		if (reply == NULL)
			continue;
		answer(plain, turn, reply);
		free(reply);
		talk = desk_model_find(&plain->model, plain->current);
		if (talk != NULL && plain->answered &&
		    (plain->error == 0 || plain->error == -ESTALE))
			desk_talk_answered(talk, turn);
	}
}

/* One conversation until its end. */
static void converse(struct plain *plain)
{
	struct desk_talk *talk = desk_model_find(&plain->model, plain->current);

	desk_link_past(plain->link, talk);
	welcome(talk);
	plain->shown = 0;
	while (!plain->ended && plain->failed == 0) {
		talk = desk_model_find(&plain->model, plain->current);
		if (talk == NULL)
			break;
		if (plain->shown < talk->count)
			show_line(plain, talk);
		else if (talk->ended || !desk_talk_held(talk))
			break;
		else
			(void)next(plain, false);
	}
}

/* Whether to go on with the next one. */
static bool goes_on(struct plain *plain)
{
	char *line;
	bool on;

	if (plain->ended || plain->failed < 0)
		return false;
	(void)puts(_("Connection closed."));
	line = ask(plain, _("<R>estart <T>erminate ? "), 0);
	on = line != NULL && strcmp(line, "t") != 0 && strcmp(line, "T") != 0;
	free(line);
	return on;
}

static void run(struct plain *plain)
{
	do {
		plain->current = 0;
		desk_model_tidy(&plain->model, 0);
		(void)puts(_("Server ready, waiting for requests ..."));
		while (plain->failed == 0 && (plain->current = choose(plain)) == 0)
			(void)next(plain, false);
		if (plain->current != 0)
			converse(plain);
	} while (goes_on(plain));
}

static void said(void *context, struct desk_talk *talk)
{
	(void)context;
	(void)talk;
}

static void news(void *context)
{
	struct plain *plain = context;

	desk_model_tidy(&plain->model, plain->current);
}

static void done(void *context, const struct desk_result *result)
{
	struct plain *plain = context;

	plain->answered = true;
	plain->error = result->error;
	(void)snprintf(plain->reason, sizeof(plain->reason), "%s", result->text);
}

static void told(void *context, const char *line)
{
	(void)context;
	say_error("%s", line);
}

static const struct desk_hooks hooks = {.said = said,
					.waits = said,
					.news = news,
					.done = done,
					.told = told};

int desk_plain(const struct link_options *where)
{
	struct plain plain = {.current = 0};
	int r;

	r = sd_event_new(&plain.event);
	if (r >= 0 && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		r = open_editor(&plain);
	if (r < 0) {
		plain.failed = r;
	} else {
		r = desk_link_new(plain.event, where, &plain.model, &hooks, &plain, &plain.link);
		if (r == 0) {
			for (size_t i = 0; i < plain.model.count; i++)
				plain.known = plain.model.talks[i]->number;
			run(&plain);
		}
	}
	if (plain.edit != NULL)
		el_end(plain.edit);
	if (plain.history != NULL)
		history_end(plain.history);
	desk_link_free(plain.link);
	(void)sd_event_unref(plain.event);
	desk_model_done(&plain.model);
	if (plain.failed < 0)
		say_error("%s", say_errno(-plain.failed));
	return say_finish(r < 0 || plain.failed < 0 ? CTL_FAILED : EXIT_OK);
}
