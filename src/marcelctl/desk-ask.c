/*
 * What the desk asks, in the place of the input line, and what is done with the answer; see desk.h.
 * A text is typed and entered, or one letter says it, in English or in French.
 */
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "marcelctl/desk.h"

/* To whom TALK is given if nothing else is said: who was suspended, or anybody else. */
static const char *heir_of(const struct desk *desk, const struct desk_talk *talk)
{
	char *const *names = desk_link_responders(desk->link);

	if (talk->suspended[0] != '\0')
		return talk->suspended;
	while (*names != NULL && strcmp(*names, desk_talk_speaker(talk)) == 0)
		names++;
	return *names != NULL ? *names : "";
}

/* The turn of the draft that an empty line would send in TALK; 0: none. */
static uint64_t offered_turn(const struct desk_talk *talk)
{
	return talk != NULL && desk_talk_offers_draft(talk) ? talk->draft_turn : 0;
}

void desk_act_ask(struct desk *desk, enum desk_question question)
{
	const struct desk_talk *talk = desk_open_talk(desk);

	if ((question == ASK_GIVE || question == ASK_CLOSE) && (talk == NULL || talk->ended)) {
		desk_say(desk, "%s",
			 talk == NULL ? _("nothing is open") : _("this conversation has ended"));
		return;
	}
	desk->question = question;
	desk->asked_draft = offered_turn(talk);
	desk->asked_nth = talk != NULL ? talk->draft_nth : 0;
	desk_edit_clear(&desk->answer);
	if (question == ASK_GIVE) {
		const char *heir = heir_of(desk, talk);

		(void)desk_edit_set(&desk->answer, heir, strlen(heir));
	}
	desk->changed = true;
}

void desk_act_ask_again(struct desk *desk)
{
	const struct desk_talk *talk = desk_open_talk(desk);
	const uint64_t offered = offered_turn(talk);

	if (desk->question != ASK_EMPTY)
		return;
	/* The same turn may have another draft by now. */
	if (offered == desk->asked_draft && (offered == 0 || talk->draft_nth == desk->asked_nth))
		return;
	desk_act_cancel(desk);
	if (offered == 0)
		desk_say(desk, "%s", _("the draft has gone out or was dropped; you sent nothing"));
	else if (desk->asked_draft == 0)
		desk_say(desk, "%s", _("there is a draft now; nothing was sent"));
	else
		desk_say(desk, "%s", _("there is another draft now; nothing was sent"));
}

void desk_act_cancel(struct desk *desk)
{
	desk->question = ASK_NOTHING;
	desk_edit_clear(&desk->answer);
	desk->changed = true;
}

bool desk_act_wants_text(const struct desk *desk)
{
	return desk->question == ASK_GIVE || desk->question == ASK_SEARCH ||
	       desk->question == ASK_FIND;
}

/* Finds the text wanted, further up than it was found before. */
static void search(struct desk *desk)
{
	const struct desk_talk *talk = desk_open_talk(desk);
	const struct desk_pane pane = desk_view_pane(desk);
	unsigned rows;
	long found = -1;

	if (talk == NULL || desk->wanted == NULL)
		return;
	if (desk->found != 0)
		found = desk_talk_search(talk,
					 desk->found > 0 ? (size_t)desk->found - 1 : talk->count,
					 desk->wanted, strlen(desk->wanted));
	desk->found = found;
	if (found < 0) {
		desk_say(desk, _("not found: %s"), desk->wanted);
		return;
	}
	/* It comes to the middle. */
	rows = desk_dialogue_rows(talk, (size_t)found + 1, &pane);
	desk->scrolled = rows > pane.rows / 2 ? rows - pane.rows / 2 : 0;
}

/* Opens the next conversation of the list that has something of the text wanted. */
static void find_talk(struct desk *desk)
{
	const uint64_t number = desk->wanted != NULL
					? desk_model_search(&desk->model, desk->open, desk->wanted)
					: 0;

	if (number != 0)
		desk_act_open(desk, number);
	else if (desk->wanted != NULL)
		desk_say(desk, _("not found: %s"), desk->wanted);
}

/* Gives the open talk to the heir; unless SURE, not before it is known that a message that waits
 * there will not be answered. */
static void give(struct desk *desk, bool sure)
{
	const struct desk_talk *talk = desk_open_talk(desk);

	if (!sure && talk != NULL && talk->waiting != 0)
		desk_act_ask(desk, ASK_GIVE_OPEN);
	else
		desk_act_order(desk, DESK_GIVE, desk->heir);
}

void desk_act_answer(struct desk *desk)
{
	const enum desk_question question = desk->question;
	char *text = strdup(desk_edit_text(&desk->answer));

	desk_act_cancel(desk);
	if (text == NULL)
		return;
	if (question == ASK_GIVE && text[0] != '\0') {
		free(desk->heir);
		desk->heir = text;
		text = NULL;
		give(desk, false);
	} else if (question == ASK_SEARCH || question == ASK_FIND) {
		if (text[0] != '\0' && (desk->wanted == NULL || strcmp(text, desk->wanted) != 0)) {
			free(desk->wanted);
			desk->wanted = text;
			desk->found = -1;
			text = NULL;
		}
		if (question == ASK_FIND)
			find_talk(desk);
		else
			search(desk);
	}
	free(text);
}

/* All lines of what was typed in TALK become one. */
static void join_lines(struct desk_talk *talk)
{
	for (size_t i = 0; i < talk->input.length; i++) {
		if (talk->input.text[i] == '\n')
			talk->input.text[i] = ' ';
	}
}

static bool is_one_of(wchar_t c, const wchar_t *letters)
{
	return c != L'\0' && wcschr(letters, c) != NULL;
}

void desk_act_answer_key(struct desk *desk, wchar_t c)
{
	struct desk_talk *talk = desk_open_talk(desk);
	const enum desk_question question = desk->question;
	/* French people say oui, and plusieurs. */
	const bool yes = is_one_of(c, question == ASK_LINES ? L"sSpP" : L"yYoO");
	const bool joined = question == ASK_LINES && is_one_of(c, L"jJ");

	desk_act_cancel(desk);
	if (joined && talk != NULL)
		join_lines(talk);
	if (!yes && !joined)
		return;
	if (question == ASK_QUIT) {
		desk->over = true;
	} else if (question == ASK_CLOSE) {
		desk_act_order(desk, DESK_CLOSE, NULL);
	} else if (question == ASK_GIVE_OPEN) {
		give(desk, true);
	} else if (question == ASK_CUT && talk != NULL) {
		/* There may be something else to ask. */
		talk->input.left_out = 0;
		desk_act_send(desk);
	} else if (talk != NULL) {
		desk_act_submit(desk, talk);
	}
}

void desk_act_complete(struct desk *desk)
{
	const struct desk_talk *talk = desk_open_talk(desk);
	char *const *names = desk_link_responders(desk->link);
	const char *text = desk_edit_text(&desk->answer);
	size_t n = 0;
	size_t at;

	if (desk->question != ASK_GIVE || talk == NULL)
		return;
	while (names[n] != NULL)
		n++;
	for (at = 0; at < n && strcmp(names[at], text) != 0; at++) {
	}
	/* The next one; who answers already is refused. */
	for (size_t i = 1; i <= n; i++) {
		const char *name = names[(at < n ? at + i : i - 1) % n];

		if (strcmp(name, desk_talk_speaker(talk)) == 0)
			continue;
		(void)desk_edit_set(&desk->answer, name, strlen(name));
		return;
	}
}
