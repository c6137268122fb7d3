/*
 * The way of a line to marceld and, if it is refused, back; see
 * desk-model.h.
 *
 * Each Enter takes what is in the input line at that moment, with the turn that was offered for it,
 * and puts it behind what is on its way: what is typed afterwards never goes with it. One line at a
 * time is sent, so that they arrive in order; when one is refused, those behind it come back, too,
 * since they were written to follow it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "marcelctl/desk-model.h"

/* Whether a line begins with two marks, of which the second is meant. */
static bool is_escaped(const char *line, size_t length)
{
	return length > 1 && line[0] == '/' && (line[1] == '/' || line[1] == '#');
}

bool desk_is_other_order(const char *line, size_t length)
{
	return length > 0 && line[0] == '/' && !is_escaped(line, length);
}

bool desk_talk_take_input(struct desk_talk *talk, uint64_t now)
{
	const bool other = talk->input.length > 0 && strchr(talk->input.text, '\n') == NULL &&
			   desk_is_other_order(talk->input.text, talk->input.length);
	char *text;

	if (talk->n_sending == DESK_SENDING_MAX)
		return false;
	text = strdup(desk_edit_text(&talk->input));
	if (text == NULL)
		return false;
	talk->sending[talk->n_sending] =
		(struct desk_sending){.text = text,
				      .turn = other ? 0 : desk_talk_target(talk),
				      .since = now};
	talk->n_sending++;
	/* The turn has not been answered by an order of another kind. */
	if (!other)
		talk->aimed = false;
	desk_edit_clear(&talk->input);
	return true;
}

const char *desk_talk_next_line(struct desk_talk *talk, size_t *ret_length)
{
	const char *line;

	if (talk->n_sending == 0)
		return NULL;
	line = talk->sending[0].text + talk->sending[0].sent;
	*ret_length = strcspn(line, "\n");
	return line;
}

char *desk_order(const char *line, size_t length, uint64_t *turn)
{
	const bool escaped = is_escaped(line, length);
	char *text = NULL;

	if (desk_is_other_order(line, length))
		*turn = 0;
	/* With a turn, marceld takes the text as it is. */
	if (escaped && *turn != 0)
		return strndup(line + 1, length - 1);
	if (length == 0 || line[0] != '#' || *turn != 0)
		return strndup(line, length);
	return asprintf(&text, "/%.*s", (int)length, line) < 0 ? NULL : text;
}

/* The rest of all that was to be sent is in the input line again, even if that makes it longer
 * than what can be typed. */
static void take_back(struct desk_talk *talk)
{
	const size_t typed = talk->input.length;
	size_t room = typed + 1;
	char *text;
	char *end;

	for (size_t i = 0; i < talk->n_sending; i++)
		room += strlen(talk->sending[i].text) + 1;
	text = malloc(room);
	end = text;
	for (size_t i = 0; i < talk->n_sending; i++) {
		struct desk_sending *sending = &talk->sending[i];

		if (text != NULL) {
			end = stpcpy(end, sending->text + sending->sent);
			if (i + 1 < talk->n_sending || typed > 0)
				*end++ = '\n';
		}
		free(sending->text);
	}
	talk->n_sending = 0;
	if (text == NULL)
		return;
	end = stpcpy(end, desk_edit_text(&talk->input));
	(void)desk_edit_set(&talk->input, text, (size_t)(end - text));
	free(text);
}

void desk_talk_sent(struct desk_talk *talk, bool ok)
{
	struct desk_sending *sending = &talk->sending[0];
	const char *line;
	size_t length;

	line = desk_talk_next_line(talk, &length);
	if (line == NULL)
		return;
	if (!ok) {
		take_back(talk);
		return;
	}
	if (!desk_is_other_order(line, length)) {
		if (sending->turn != 0)
			desk_talk_answered(talk, sending->turn);
		sending->turn = 0;
	}
	if (line[length] != '\0') {
		sending->sent += length + 1;
		return;
	}
	free(sending->text);
	talk->n_sending--;
	memmove(sending, sending + 1, talk->n_sending * sizeof(*sending));
}

size_t desk_model_late(const struct desk_model *model, uint64_t now, uint64_t *ret_next)
{
	size_t n = 0;

	*ret_next = USEC_NEVER;
	for (size_t i = 0; i < model->count; i++) {
		const struct desk_talk *talk = model->talks[i];
		uint64_t late;

		if (talk->n_sending == 0)
			continue;
		late = talk->sending[0].since + DESK_MOMENT;
		if (late <= now)
			n += talk->n_sending;
		else if (late < *ret_next)
			*ret_next = late;
	}
	return n;
}
