/*
 * What keys and news do on the desk; see desk.h.
 *
 * A line is sent for the turn that was shown before it when it was begun, so that it never answers
 * a message that its writer had not seen; if somebody else was faster, marceld refuses it, and it
 * is in the input line again. Only a line that was begun while nothing waited answers what comes
 * before it does.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "marcelctl/desk.h"
#include "marcelctl/say.h"

struct desk_talk *desk_open_talk(const struct desk *desk)
{
	return desk->open != 0 ? desk_model_find(&desk->model, desk->open) : NULL;
}

void desk_say(struct desk *desk, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(desk->status, sizeof(desk->status), format, arguments);
	va_end(arguments);
	desk->changed = true;
}

/* Where the eyes are, all has been read. */
static void mark_read(struct desk *desk)
{
	struct desk_talk *talk = desk_open_talk(desk);

	if (talk != NULL && desk_view_shows_dialogue(desk))
		desk_talk_read(talk);
}

void desk_act_open(struct desk *desk, uint64_t number)
{
	struct desk_talk *talk;

	if (number != desk->open) {
		desk->scrolled = 0;
		desk->below = 0;
		desk->found = -1;
	}
	desk->open = number;
	desk_model_tidy(&desk->model, desk->open);
	talk = desk_open_talk(desk);
	if (talk != NULL)
		desk_link_past(desk->link, talk);
	mark_read(desk);
	desk->changed = true;
}

void desk_act_move(struct desk *desk, long places)
{
	const struct desk_model *model = &desk->model;
	long place = (long)desk_model_place(model, desk->open) + places;

	if (model->count == 0)
		return;
	if (place < 0)
		place = 0;
	if (place >= (long)model->count)
		place = (long)model->count - 1;
	desk_act_open(desk, model->order[place]->number);
}

void desk_act_next_waiting(struct desk *desk, bool back)
{
	const uint64_t number = desk_model_next_waiting(&desk->model, desk->open, back);

	if (number == 0) {
		desk_say(desk, "%s", _("nobody waits"));
		return;
	}
	desk->focus = FOCUS_INPUT;
	desk_act_open(desk, number);
}

void desk_act_scroll(struct desk *desk, long rows)
{
	if (rows < 0 && (unsigned long)-rows > desk->scrolled)
		desk->scrolled = 0;
	else
		desk->scrolled = (unsigned)((long)desk->scrolled + rows);
	desk->changed = true;
}

/* Sends the next line of what was typed in TALK. */
static void send_next(struct desk *desk, struct desk_talk *talk)
{
	size_t length = 0;
	const char *line = desk_talk_next_line(talk, &length);
	uint64_t turn = talk->sending[0].turn;
	char *text = line != NULL ? desk_order(line, length, &turn) : NULL;
	int r = -ENOMEM;

	if (text != NULL)
		r = desk_link_order(desk->link, DESK_SAY, talk->number, turn, text);
	free(text);
	if (r == 0)
		return;
	desk_talk_sent(talk, false);
	/* That marceld is gone is on the screen already. */
	if (r == -ENOTCONN)
		desk_view_bell();
	else
		desk_say(desk, "%s", say_errno(-r));
}

void desk_act_submit(struct desk *desk, struct desk_talk *talk)
{
	const bool first = talk->n_sending == 0;

	if (talk->n_sending == DESK_SENDING_MAX) {
		desk_say(desk, "%s", _("too much is on its way already; this waits for you"));
		return;
	}
	desk_history_add(&desk->history, desk_edit_text(&talk->input), talk->input.length);
	if (desk_talk_take_input(talk, clock_realtime()) && first)
		send_next(desk, talk);
	desk->scrolled = 0;
	desk->changed = true;
}

void desk_act_send(struct desk *desk)
{
	struct desk_talk *talk = desk_open_talk(desk);

	if (talk == NULL)
		return;
	desk_edit_trim(&talk->input);
	if (talk->ended)
		desk_say(desk, "%s", _("this conversation has ended"));
	else if (!desk_talk_held(talk))
		desk_say(desk, _("%s answers here; ^T takes the conversation"),
			 desk_talk_speaker(talk));
	else if (talk->input.length == 0)
		desk_act_ask(desk, ASK_EMPTY);
	else if (talk->input.left_out > 0)
		desk_act_ask(desk, ASK_CUT);
	else if (strchr(talk->input.text, '\n') != NULL)
		desk_act_ask(desk, ASK_LINES);
	else
		desk_act_submit(desk, talk);
}

void desk_act_order(struct desk *desk, enum desk_order order, const char *text)
{
	const int r = desk_link_order(desk->link, order, desk->open, 0, text);

	if (r == -ENOTCONN)
		desk_view_bell();
	else if (r < 0)
		desk_say(desk, "%s", say_errno(-r));
}

void desk_act_take(struct desk *desk)
{
	const struct desk_talk *talk = desk_open_talk(desk);

	if (talk == NULL)
		return;
	if (talk->ended)
		desk_say(desk, "%s", _("this conversation has ended"));
	else if (desk_talk_held(talk))
		desk_say(desk, "%s", _("you answer here already"));
	else
		desk_act_order(desk, DESK_TAKE, NULL);
}

void desk_act_quit(struct desk *desk)
{
	for (size_t i = 0; i < desk->model.count; i++) {
		const struct desk_talk *talk = desk->model.talks[i];

		if (talk->input.length > 0 || talk->n_sending > 0) {
			desk_act_ask(desk, ASK_QUIT);
			return;
		}
	}
	desk->over = true;
}

void desk_act_news(struct desk *desk)
{
	struct desk_talk *talk;

	desk_act_ask_again(desk);
	desk->open = desk_model_moved(&desk->model, desk->open);
	/* Before others are forgotten. */
	mark_read(desk);
	desk_model_tidy(&desk->model, desk->open);
	talk = desk_open_talk(desk);
	if (talk == NULL)
		desk_act_open(desk, desk->model.count > 0 ? desk->model.order[0]->number : 0);
	else
		desk_link_past(desk->link, talk);
	mark_read(desk);
	desk->changed = true;
}

void desk_act_said(struct desk *desk, struct desk_talk *talk)
{
	const struct desk_pane pane = desk_view_pane(desk);
	const size_t at = talk->count - talk->added;

	if (talk->number != desk->open || desk->scrolled == 0 || pane.rows == 0)
		return;
	desk->scrolled +=
		desk_dialogue_rows(talk, at, &pane) - desk_dialogue_rows(talk, at + 1, &pane);
	desk->below++;
}

/* Why an order was not carried out, in few words. */
static const char *reason_of(const struct desk_result *result, char *buffer, size_t size)
{
	switch (result->error) {
	case -ESTALE:
		if (result->turn == 0)
			return result->text;
		(void)snprintf(buffer, size, _("somebody else has answered #%" PRIu64),
			       result->turn);
		return buffer;
	case -ENOTCONN:
		return _("no operator answers here; ^T takes the conversation");
	case -ENOENT:
		return _("this conversation has ended");
	case -EINVAL:
		return _("orders are /done, /close, /reset, /give NAME, /note TEXT");
	case -EALREADY:
		return _("an operator answers here already");
	default:
		return result->text;
	}
}

void desk_act_done(struct desk *desk, const struct desk_result *result)
{
	struct desk_talk *talk = desk_model_find(&desk->model, result->number);
	const bool ok = result->error == 0;
	char buffer[128];

	if (!ok)
		desk_say(desk, _("refused: %s"), reason_of(result, buffer, sizeof(buffer)));
	if (talk == NULL || result->order != DESK_SAY)
		return;
	if (result->error == -ESTALE)
		desk_talk_answered(talk, result->turn);
	desk_talk_sent(talk, ok);
	if (talk->n_sending > 0)
		send_next(desk, talk);
	desk->changed = true;
}
