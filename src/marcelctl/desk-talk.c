/* Ages and drafts; see desk-model.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "marcelctl/desk-model.h"
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
