/*
 * One conversation after another; see desk-plain.h.
 *
 * What is typed belongs to the client who is there: it is said to him when it is entered, whether
 * he waits for it or not, and what has not been read when he is gone is forgotten. While marceld is
 * away nothing can be answered: what waits is asked for again when there is one, and nothing that
 * comes by a pipe is used up.
 */
#include "marcelctl/desk-plain.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/i18n.h"
#include "marcelctl/charset.h"
#include "marcelctl/desk-plain-priv.h"
#include "marcelctl/say.h"

enum next plain_next(struct plain *plain, bool keys)
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

/*
 * The next turn to be shown; 0: there is none. What waits is asked for in any case, also again, and
 * where what was said is not known any more. Of a dialogue that began earlier only that matters,
 * and what is said after it; a line of the past may come to wait.
 */
static uint64_t next_turn(const struct plain *plain, const struct desk_talk *talk)
{
	uint64_t next = desk_talk_is_open(talk, talk->waiting) ? talk->waiting : 0;

	for (size_t i = 0; i < talk->count; i++) {
		const struct desk_line *line = &talk->lines[i];

		if (line->who == 'C' && line->turn > plain->shown &&
		    (next == 0 || line->turn < next) &&
		    (plain->shown != 0 || desk_talk_is_open(talk, line->turn) ||
		     (talk->ended && !line->past)))
			next = line->turn;
	}
	return next;
}

/* Whether there is a draft for TURN, which an empty line would send, that has not been shown. */
static bool has_draft(const struct plain *plain, const struct desk_talk *talk, uint64_t turn)
{
	return talk->draft_turn == turn && plain->drafted != turn;
}

bool plain_is_late(const struct plain *plain)
{
	const struct desk_talk *talk;

	if (plain->failed < 0)
		return true;
	if (plain->turn == 0 && !plain->unasked)
		return false;
	talk = desk_model_find(&plain->model, plain->current);
	if (plain->unasked)
		return talk == NULL || !desk_talk_held(talk) || next_turn(plain, talk) != 0;
	return talk == NULL || !desk_talk_is_open(talk, plain->turn) ||
	       has_draft(plain, talk, plain->turn);
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

/* Whether ERROR says that this marceld takes nothing any more. */
static bool is_untaken(int error)
{
	return error == -ENOTCONN || error == -ECANCELED || error == -ESHUTDOWN;
}

/* Sends LINE as the answer to TURN and waits for what becomes of it. Returns whether TURN is
 * answered then, by this or by somebody else. That nobody has taken it is not told where it came by
 * a pipe: it can be sent again. */
static bool answer(struct plain *plain, uint64_t turn, const char *line)
{
	const bool answers = line[0] == '\0' || !desk_is_other_order(line, strlen(line));
	char *text = desk_order(line, strlen(line), &turn);
	int r = -ENOMEM;

	plain->answered = plain->untaken = false;
	if (text != NULL)
		r = desk_link_order(plain->link, DESK_SAY, plain->current, turn, text);
	free(text);
	plain->untaken = is_untaken(r);
	if (plain->untaken && plain->edit == NULL)
		return false;
	if (r < 0) {
		say_error(_("refused: %s"), say_errno(-r));
		return false;
	}
	while (!plain->answered && desk_link_is_up(plain->link) &&
	       plain_next(plain, false) == NEXT_NEWS) {
	}
	plain->untaken = !plain->answered || is_untaken(plain->error);
	if (plain->untaken && plain->edit == NULL)
		return false;
	if (!plain->answered && plain->failed == 0)
		say_error("%s", _("the connection to marceld broke off; it may have been sent"));
	if (plain->answered && plain->error < 0)
		say_error(_("refused: %s"), plain->reason);
	return answers && plain->answered && (plain->error == 0 || plain->error == -ESTALE);
}

static void show_draft(struct plain *plain, const struct desk_talk *talk)
{
	char *note = desk_talk_draft_note(talk);

	plain->drafted = talk->draft_turn;
	if (note != NULL)
		(void)printf("-- %s\n", note);
	free(note);
}

/* Waits until there is a marceld again that takes answers; what comes by a pipe is read meanwhile,
 * for it may end, unless there is something left to SEND. */
static void await_link(struct plain *plain, bool send)
{
	say_error("%s", _("marceld is gone, reconnecting"));
	while (!plain->ended && plain->failed == 0 && !desk_link_is_up(plain->link)) {
		if (send)
			(void)plain_next(plain, false);
		else
			plain_wait(plain);
	}
}

/* Waits until the marceld that takes nothing any more has gone, or nothing is to be sent any more:
 * TURN is not open. */
static void await_loss(struct plain *plain, uint64_t turn)
{
	const struct desk_talk *talk = desk_model_find(&plain->model, plain->current);

	while (talk != NULL && desk_talk_is_open(talk, turn) && plain->failed == 0 &&
	       desk_link_is_up(plain->link)) {
		(void)plain_next(plain, false);
		talk = desk_model_find(&plain->model, plain->current);
	}
}

/*
 * Asks for an answer to TURN, as long as it is open. Orders die with the marceld that did not
 * answer them; so a line of a pipe that none has taken is sent to the next one, if TURN is open
 * there.
 */
static void ask(struct plain *plain, uint64_t turn)
{
	char *reply = NULL;

	while (!plain->ended && plain->failed == 0) {
		struct desk_talk *talk = desk_model_find(&plain->model, plain->current);
		bool answered;

		if (talk == NULL || !desk_talk_is_open(talk, turn))
			break;
		if (!desk_link_is_up(plain->link)) {
			await_link(plain, reply != NULL);
			continue;
		}
		/* What ends the conversation waits for no answer, nor what only comes to wait when
		 * an earlier message is answered. */
		if (talk->waiting != turn) {
			(void)plain_next(plain, false);
			continue;
		}
		if (has_draft(plain, talk, turn))
			show_draft(plain, talk);
		if (reply == NULL)
			reply = plain_ask(plain, "S> ", turn);
		if (reply == NULL)
			continue;
		answered = answer(plain, turn, reply);
		if (plain->untaken && plain->edit == NULL) {
			await_loss(plain, turn);
			continue;
		}
		free(reply);
		reply = NULL;
		talk = desk_model_find(&plain->model, plain->current);
		if (talk != NULL && answered)
			desk_talk_answered(talk, turn);
	}
	free(reply);
}

/* Shows what the client said with TURN, and asks for an answer if it waits for one. */
static void show_turn(struct plain *plain, const struct desk_talk *talk, uint64_t turn)
{
	for (size_t i = 0; i < talk->count; i++) {
		if (talk->lines[i].who == 'C' && talk->lines[i].turn == turn)
			(void)printf("C> %s\n", talk->lines[i].text);
	}
	if (turn > plain->shown)
		plain->shown = turn;
	ask(plain, turn);
}

/* Says what is entered while the client says nothing. */
static void say_unasked(struct plain *plain)
{
	char *line = plain_listen(plain);

	/* Who only presses Enter has nothing to say. */
	if (line != NULL && line[0] != '\0')
		(void)answer(plain, 0, line);
	free(line);
}

/* One conversation until its end. */
static void converse(struct plain *plain)
{
	struct desk_talk *talk = desk_model_find(&plain->model, plain->current);

	desk_link_past(plain->link, talk);
	welcome(talk);
	plain->shown = 0;
	plain->drafted = 0;
	while (!plain->ended && plain->failed == 0) {
		uint64_t turn;

		talk = desk_model_find(&plain->model, plain->current);
		if (talk == NULL)
			break;
		turn = next_turn(plain, talk);
		if (turn != 0)
			show_turn(plain, talk, turn);
		else if (talk->ended || !desk_talk_held(talk))
			break;
		else if (plain->edit != NULL)
			say_unasked(plain);
		else
			(void)plain_next(plain, false);
	}
}

/* Whether LINE is one of the letters that the question offers. */
static bool is_choice(const char *line)
{
	return line[0] != '\0' && strchr("RrTt", line[0]) != NULL && line[1] == '\0';
}

/* Whether to go on with the next one. Who types is asked until he answers. */
static bool goes_on(struct plain *plain)
{
	char *line = NULL;
	bool on;

	if (plain->ended || plain->failed < 0)
		return false;
	(void)puts(_("Connection closed."));
	do {
		free(line);
		plain_discard(plain);
		line = plain_ask(plain, _("<R>estart <T>erminate ? "), 0);
	} while (plain->edit != NULL && line != NULL && !is_choice(line));
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
			(void)plain_next(plain, false);
		plain_discard(plain);
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

	plain->current = desk_model_moved(&plain->model, plain->current);
	/* Nobody looks back here. */
	for (size_t i = 0; i < plain->model.count; i++)
		desk_talk_read(plain->model.talks[i]);
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
	/* Lines are edited in the locale's characters as it is. */
	struct plain plain = {.terminal = stdout};
	int r;

	charset_output();
	r = sd_event_new(&plain.event);
	if (r >= 0 && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		r = plain_open_editor(&plain);
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
	plain_close_editor(&plain);
	desk_link_free(plain.link);
	(void)sd_event_unref(plain.event);
	desk_model_done(&plain.model);
	if (plain.failed < 0)
		say_error("%s", say_errno(-plain.failed));
	return say_finish(r < 0 || plain.failed < 0 ? CTL_FAILED : EXIT_OK);
}
