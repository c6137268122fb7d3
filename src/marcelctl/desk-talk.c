/*
 * What is said in one talk: which turn a line answers, and the way of a line to marceld and, if it
 * is refused, back; see desk-model.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "marcelctl/desk-model.h"
#include "marcelctl/desk-text.h"
#include "marcelctl/transcript.h"

uint64_t desk_age(char *buffer, size_t size, uint64_t since, uint64_t now)
{
	static const struct {
		uint64_t seconds;
		uint64_t below; /* so many of them */
		char letter;
	} units[] = {{60, 60, 'm'}, {3600, 24, 'h'}, {86400, UINT64_MAX, 'd'}};
	/* The clock may have been set back. */
	const uint64_t age = now > since ? now - since : 0;
	size_t unit = 0;
	uint64_t length = units[0].seconds * USEC_PER_SEC;

	while (age / length >= units[unit].below)
		length = units[++unit].seconds * USEC_PER_SEC;
	(void)snprintf(buffer, size, "%" PRIu64 "%c", age / length, units[unit].letter);
	return since + (age / length + 1) * length;
}

void desk_talk_has_draft(struct desk_talk *talk, uint64_t now, char *draft)
{
	char *text = NULL;

	free(talk->draft);
	talk->draft = draft;
	if (asprintf(&text, _("draft: %s"), draft) < 0)
		return;
	desk_model_note(talk, now, text);
	free(text);
}

bool desk_talk_edit_draft(struct desk_talk *talk)
{
	char *text;
	ssize_t length;
	bool done = false;

	if (talk->draft == NULL || talk->input.length > 0)
		return false;
	text = malloc(strlen(talk->draft) + 1);
	if (text == NULL)
		return false;
	length = transcript_unescape(text, talk->draft, strlen(talk->draft));
	if (length > 0)
		done = desk_edit_insert(&talk->input, text, (size_t)length);
	free(text);
	return done;
}

uint64_t desk_talk_target(const struct desk_talk *talk)
{
	if (talk->aimed)
		return talk->aim;
	for (size_t i = 0; i < talk->n_open; i++) {
		if (talk->sending.text == NULL || talk->sending.turn != talk->open[i])
			return talk->open[i];
	}
	return 0;
}

/* The place of TURN in the open turns; behind them for all, or for one that is not there. */
static size_t place_of(const struct desk_talk *talk, uint64_t turn)
{
	size_t at = 0;

	while (at < talk->n_open && talk->open[at] != turn)
		at++;
	return at;
}

void desk_talk_aim(struct desk_talk *talk, bool older)
{
	/* "All" has a place of its own where there are several. */
	const size_t places = talk->n_open + (talk->n_open > 1);
	size_t at = place_of(talk, desk_talk_target(talk));

	if (places == 0) {
		talk->aimed = false;
		return;
	}
	at = (at + (older ? places - 1 : 1)) % places;
	talk->aimed = true;
	talk->aim = at < talk->n_open ? talk->open[at] : 0;
}

bool desk_talk_take_input(struct desk_talk *talk)
{
	char *text;

	if (talk->sending.text != NULL)
		return false;
	text = strdup(desk_edit_text(&talk->input));
	if (text == NULL)
		return false;
	talk->sending = (struct desk_sending){.text = text, .turn = desk_talk_target(talk)};
	talk->aimed = false;
	desk_edit_clear(&talk->input);
	return true;
}

const char *desk_talk_next_line(struct desk_talk *talk, size_t *ret_length)
{
	const char *line;

	if (talk->sending.text == NULL)
		return NULL;
	line = talk->sending.text + talk->sending.sent;
	*ret_length = strcspn(line, "\n");
	return line;
}

char *desk_order(const char *line, size_t length, uint64_t *turn)
{
	const bool escaped = length > 1 && line[0] == '/' && (line[1] == '/' || line[1] == '#');
	char *text = NULL;

	/* An empty line may approve of a draft, but not as the answer to a turn. */
	if (length == 0 || (line[0] == '/' && !escaped))
		*turn = 0;
	/* With a turn, marceld takes the text as it is. */
	if (escaped && *turn != 0)
		return strndup(line + 1, length - 1);
	if (length == 0 || line[0] != '#' || *turn != 0)
		return strndup(line, length);
	return asprintf(&text, "/%.*s", (int)length, line) < 0 ? NULL : text;
}

/* The rest of what was to be sent is in the input line again. */
static void take_back(struct desk_talk *talk)
{
	char *text = talk->sending.text;
	char *typed = strdup(desk_edit_text(&talk->input));
	const char *rest = text + talk->sending.sent;

	talk->sending.text = NULL;
	if (desk_edit_set(&talk->input, rest, strlen(rest)) && typed != NULL && typed[0] != '\0') {
		(void)desk_edit_insert(&talk->input, "\n", 1);
		(void)desk_edit_insert(&talk->input, typed, strlen(typed));
	}
	free(typed);
	free(text);
}

void desk_talk_sent(struct desk_talk *talk, bool ok)
{
	struct desk_sending *sending = &talk->sending;
	size_t end;

	if (sending->text == NULL)
		return;
	if (!ok) {
		talk->enter = false;
		take_back(talk);
		return;
	}
	end = sending->sent + strcspn(sending->text + sending->sent, "\n");
	if (sending->turn != 0)
		desk_talk_answered(talk, sending->turn);
	sending->turn = 0;
	if (sending->text[end] == '\0') {
		free(sending->text);
		sending->text = NULL;
		return;
	}
	sending->sent = end + 1;
}

long desk_talk_search(const struct desk_talk *talk, size_t index, const char *needle,
		      size_t needle_length)
{
	for (size_t i = index < talk->count ? index + 1 : talk->count; i > 0; i--) {
		const char *text = talk->lines[i - 1].text;

		if (desk_find(text, strlen(text), needle, needle_length) >= 0)
			return (long)i - 1;
	}
	return -1;
}
