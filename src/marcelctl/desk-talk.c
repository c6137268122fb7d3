/* Ages and drafts; see desk-model.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "marcelctl/desk-model.h"
#include "marcelctl/moment.h"
#include "marcelctl/transcript.h"

uint64_t desk_age(char *buffer, size_t size, uint64_t since, uint64_t now)
{
	static const struct {
		uint64_t seconds;
		uint64_t below; /* so many of them */
		char letter;
	} units[] = {{1, 60, 's'}, {60, 60, 'm'}, {3600, 24, 'h'}, {86400, UINT64_MAX, 'd'}};
	/* The clock may have been set back. */
	const uint64_t age = now > since ? now - since : 0;
	size_t unit = 0;
	uint64_t length = units[0].seconds * USEC_PER_SEC;
	uint64_t steps;

	while (age / length >= units[unit].below)
		length = units[++unit].seconds * USEC_PER_SEC;
	/* Seconds by tens: who reads them shall not be woken for each. */
	steps = unit == 0 ? DESK_AGE_STEP : 1;
	length *= steps;
	(void)snprintf(buffer, size, "%" PRIu64 "%c", age / length * steps, units[unit].letter);
	return since + (age / length + 1) * length;
}

void desk_talk_drop_draft(struct desk_talk *talk)
{
	talk->draft_turn = talk->draft_until = 0;
}

char *desk_talk_draft_note(const struct desk_talk *talk)
{
	char when[MOMENT_SIZE];
	char *text = NULL;
	int n;

	if (talk->draft_until != 0)
		n = asprintf(&text, _("draft for #%" PRIu64 ": %s (goes out %s)"),
			     talk->draft_noted, talk->draft, moment_ahead(when, talk->draft_until));
	else
		n = asprintf(&text, _("draft for #%" PRIu64 ": %s"), talk->draft_noted,
			     talk->draft);
	return n < 0 ? NULL : text;
}

/* Notes in the dialogue that there is a draft. */
static void note_draft(struct desk_talk *talk, uint64_t now)
{
	char *text = desk_talk_draft_note(talk);

	if (text != NULL)
		desk_model_note(talk, now, text);
	free(text);
}

/* Whether EVENT tells of the draft that was the last. It comes by two ways; and another marceld
 * goes on with it, which may tell its time by a clock that was set. */
static bool is_known(const struct desk_talk *talk, const struct link_event *event)
{
	return talk->draft != NULL && event->turn == talk->draft_noted &&
	       strcmp(event->text, talk->draft) == 0;
}

void desk_talk_set_draft(struct desk_talk *talk, uint64_t now, const struct link_event *event)
{
	char *draft;

	if (event->turn == 0) {
		desk_talk_drop_draft(talk);
		return;
	}
	if (!is_known(talk, event)) {
		draft = strdup(event->text);
		if (draft == NULL)
			return;
		free(talk->draft);
		talk->draft = draft;
		talk->draft_noted = event->turn;
		talk->draft_nth++;
		talk->draft_until = event->until;
		note_draft(talk, now);
	}
	talk->draft_turn = event->turn;
	talk->draft_until = event->until;
}

bool desk_talk_offers_draft(const struct desk_talk *talk)
{
	return talk->draft_turn != 0 && desk_talk_target(talk) == talk->draft_turn;
}

bool desk_talk_edit_draft(struct desk_talk *talk)
{
	char *text;
	ssize_t length;
	bool done = false;

	if (!desk_talk_offers_draft(talk) || talk->input.length > 0)
		return false;
	text = malloc(strlen(talk->draft) + 1);
	if (text == NULL)
		return false;
	length = transcript_unescape(text, talk->draft, strlen(talk->draft));
	if (length > 0)
		done = desk_edit_insert(&talk->input, text, (size_t)length);
	free(text);
	/* It stays an answer to what it was written for. */
	if (done) {
		talk->aimed = true;
		talk->aim = talk->draft_turn;
	}
	return done;
}
