/* The dialogues, as far as the desk knows them; see desk-model.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "marcelctl/desk-model-priv.h"
#include "marcelctl/desk-text.h"

void desk_talk_free_lines(struct desk_talk *talk)
{
	for (size_t i = 0; i < talk->count; i++)
		free(talk->lines[i].text);
	free(talk->lines);
	talk->lines = NULL;
	talk->count = talk->room = talk->bytes = 0;
}

static bool line_room(struct desk_talk *talk)
{
	const size_t room = talk->room > 0 ? 2 * talk->room : 16;
	struct desk_line *more;

	if (talk->count < talk->room)
		return true;
	more = realloc(talk->lines, room * sizeof(*more));
	if (more == NULL)
		return false;
	talk->lines = more;
	talk->room = room;
	return true;
}

/* What has fewer bytes is never cut in the past. */
#define PAST_WHOLE 1024

/* Gives up the oldest lines until the dialogue is within its bounds. */
static void forget_lines(struct desk_talk *talk)
{
	size_t n = 0;

	while (talk->count - n > 1 &&
	       (talk->count - n > DESK_LINES_MAX || talk->bytes > DESK_BYTES_MAX)) {
		talk->bytes -= strlen(talk->lines[n].text);
		free(talk->lines[n].text);
		n++;
	}
	if (n == 0)
		return;
	talk->count -= n;
	memmove(talk->lines, talk->lines + n, talk->count * sizeof(talk->lines[0]));
}

/*
 * Adds a line with a copy of TEXT. One of the past goes where its time wants it; a new one behind
 * all others, but before those of the past that were said later and of which no signal has come.
 */
static bool add_line(struct desk_talk *talk, const struct desk_line *line, const char *text)
{
	size_t at = talk->count;
	char *copy;

	if (!line_room(talk))
		return false;
	copy = strdup(text);
	if (copy == NULL)
		return false;
	while (at > 0 && talk->lines[at - 1].time > line->time &&
	       (line->past || talk->lines[at - 1].past))
		at--;
	memmove(talk->lines + at + 1, talk->lines + at,
		(talk->count - at) * sizeof(talk->lines[0]));
	talk->lines[at] = *line;
	talk->lines[at].text = copy;
	talk->count++;
	talk->bytes += strlen(copy);
	talk->added = talk->count - at;
	forget_lines(talk);
	return true;
}

/* Whether ONE and OTHER are one text, of which, if CUT, one may be the beginning only. */
static bool is_same(const char *one, const char *other, bool cut)
{
	const size_t a = strlen(one);
	const size_t b = strlen(other);
	const size_t shorter = a < b ? a : b;

	if (!cut || shorter < PAST_WHOLE)
		return a == b && memcmp(one, other, a) == 0;
	return memcmp(one, other, shorter) == 0;
}

/* LINE has TEXT as well; the longer one counts. */
static void keep_longer(struct desk_talk *talk, struct desk_line *line, const char *text)
{
	const size_t before = strlen(line->text);
	const size_t after = strlen(text);
	char *copy = after > before ? strdup(text) : NULL;

	if (copy == NULL)
		return;
	free(line->text);
	line->text = copy;
	talk->bytes += after - before;
}

/* The line LINE with TEXT, if it is there already. The past has less of a long one. */
static struct desk_line *find_line(const struct desk_talk *talk, const struct desk_line *line,
				   const char *text)
{
	for (size_t i = 0; i < talk->count; i++) {
		struct desk_line *other = &talk->lines[i];

		if (other->time == line->time && other->who == line->who &&
		    other->turn == line->turn &&
		    is_same(other->text, text, other->past != line->past))
			return other;
	}
	return NULL;
}

/* The client has said LINE. */
static void heard(struct desk_talk *talk, const struct desk_line *line)
{
	if (desk_talk_held(talk) &&
	    (!line->past || (talk->waiting != 0 && line->turn >= talk->waiting)))
		desk_talk_open_turn(talk, line->turn);
	if (!line->past)
		talk->unread++;
}

struct desk_talk *desk_model_said(struct desk_model *model, const struct link_event *event,
				  bool past)
{
	struct desk_talk *talk = desk_model_find(model, event->number);
	const struct desk_line line = {.time = event->time,
				       .turn = event->turn,
				       .past = past,
				       .who = event->direction[0]};
	struct desk_line *known = talk != NULL ? find_line(talk, &line, event->text) : NULL;

	if (known != NULL)
		keep_longer(talk, known, event->text);
	if (talk == NULL || (known != NULL && (past || !known->past)))
		return NULL;
	if (known != NULL)
		known->past = false;
	else if (!add_line(talk, &line, event->text))
		return NULL;
	if (line.who == 'C')
		heard(talk, &line);
	return known == NULL ? talk : NULL;
}

void desk_model_note(struct desk_talk *talk, uint64_t now, const char *text)
{
	const struct desk_line line = {.time = now, .who = '-'};

	(void)add_line(talk, &line, text);
}

uint64_t desk_talk_time_of(const struct desk_talk *talk, uint64_t turn, uint64_t now)
{
	for (size_t i = talk->count; i > 0; i--) {
		const struct desk_line *line = &talk->lines[i - 1];

		if (line->who == 'C' && line->turn == turn)
			return line->time;
	}
	return now;
}

/* Whether the number of TALK is NEEDLE. */
static bool is_number(const struct desk_talk *talk, const char *needle)
{
	char number[32];

	(void)snprintf(number, sizeof(number), "%" PRIu64, desk_talk_number(talk));
	return strcmp(number, needle) == 0;
}

/* Whether NEEDLE is in what the list tells of TALK, or was said there. */
static bool has(const struct desk_talk *talk, const char *needle)
{
	const char *const texts[] = {talk->peer, talk->listener, desk_talk_speaker(talk)};
	const size_t length = strlen(needle);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (desk_find(texts[i], strlen(texts[i]), needle, length) >= 0)
			return true;
	}
	return desk_talk_search(talk, talk->count, needle, length) >= 0;
}

uint64_t desk_model_search(const struct desk_model *model, uint64_t number, const char *needle)
{
	const size_t at = desk_model_place(model, number);

	/* Digits are in most addresses; who types a number means it. */
	for (size_t i = 0; i < model->count; i++) {
		if (model->order[i]->number != number && is_number(model->order[i], needle))
			return model->order[i]->number;
	}
	for (size_t i = 1; i <= model->count; i++) {
		const struct desk_talk *talk = model->order[(at + i) % model->count];

		if (has(talk, needle))
			return talk->number;
	}
	return 0;
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
