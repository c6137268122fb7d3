/* Which conversations the desk knows, and their order; see desk-model.h. */
#include "marcelctl/desk-model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "marcelctl/desk-model-priv.h"

#define OPERATOR "fifo"

/* Numbers of conversations have so many bits; above them is what tells displaced ones apart. */
#define NUMBER_BITS 48

static void talk_free(struct desk_talk *talk)
{
	if (talk == NULL)
		return;
	desk_talk_free_lines(talk);
	free(talk->peer);
	free(talk->listener);
	free(talk->responder);
	free(talk->speaker);
	free(talk->suspended);
	for (size_t i = 0; i < talk->n_sending; i++)
		free(talk->sending[i].text);
	free(talk->draft);
	free(talk->open);
	desk_edit_done(&talk->input);
	free(talk);
}

void desk_model_done(struct desk_model *model)
{
	for (size_t i = 0; i < model->count; i++)
		talk_free(model->talks[i]);
	free(model->talks);
	free(model->order);
	*model = (struct desk_model){.talks = NULL};
}

/* Where the talk NUMBER is, or belongs, in the talks. */
static size_t place_of(const struct desk_model *model, uint64_t number)
{
	size_t low = 0;
	size_t high = model->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (model->talks[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct desk_talk *desk_model_find(const struct desk_model *model, uint64_t number)
{
	const size_t at = place_of(model, number);

	return at < model->count && model->talks[at]->number == number ? model->talks[at] : NULL;
}

static bool grow(struct desk_model *model)
{
	const size_t room = model->room > 0 ? 2 * model->room : 32;
	struct desk_talk **more;

	if (model->count < model->room)
		return true;
	more = realloc(model->talks, room * sizeof(struct desk_talk *));
	if (more == NULL)
		return false;
	model->talks = more;
	more = realloc(model->order, room * sizeof(struct desk_talk *));
	if (more == NULL)
		return false;
	model->order = more;
	model->room = room;
	return true;
}

/* A talk with nothing in it; its texts are never NULL. */
static struct desk_talk *talk_new(uint64_t number)
{
	struct desk_talk *talk = calloc(1, sizeof(*talk));

	if (talk == NULL)
		return NULL;
	talk->number = number;
	talk->peer = strdup("");
	talk->listener = strdup("");
	talk->responder = strdup("");
	talk->speaker = strdup("");
	talk->suspended = strdup("");
	if (talk->peer != NULL && talk->listener != NULL && talk->responder != NULL &&
	    talk->speaker != NULL && talk->suspended != NULL)
		return talk;
	talk_free(talk);
	return NULL;
}

/* The talk NUMBER, made if need be. */
static struct desk_talk *find_or_make(struct desk_model *model, uint64_t number)
{
	const size_t at = place_of(model, number);
	struct desk_talk *talk;

	if (at < model->count && model->talks[at]->number == number)
		return model->talks[at];
	talk = grow(model) ? talk_new(number) : NULL;
	if (talk == NULL)
		return NULL;
	memmove(model->talks + at + 1, model->talks + at,
		(model->count - at) * sizeof(struct desk_talk *));
	model->talks[at] = talk;
	model->order[model->count] = talk;
	model->count++;
	return talk;
}

static void set(char **text, const char *value)
{
	char *copy = strdup(value != NULL ? value : "");

	if (copy == NULL)
		return;
	free(*text);
	*text = copy;
}

void desk_model_list_begin(struct desk_model *model)
{
	for (size_t i = 0; i < model->count; i++)
		model->talks[i]->listed = false;
}

/* Gives TALK, whose number is another one's now, a number of its own. */
static void displace(struct desk_model *model, struct desk_talk *talk)
{
	const size_t at = place_of(model, talk->number);

	talk->number += ++model->displaced << NUMBER_BITS;
	talk->displaced = true;
	/* The highest of all; those made last come last. */
	memmove(model->talks + at, model->talks + at + 1,
		(model->count - at - 1) * sizeof(struct desk_talk *));
	model->talks[model->count - 1] = talk;
}

uint64_t desk_model_moved(struct desk_model *model, uint64_t number)
{
	uint64_t moved = number;

	for (size_t i = 0; i < model->count; i++) {
		struct desk_talk *talk = model->talks[i];

		if (talk->displaced && desk_talk_number(talk) == number)
			moved = talk->number;
		talk->displaced = false;
	}
	return moved;
}

uint64_t desk_talk_number(const struct desk_talk *talk)
{
	return talk->number & ((UINT64_C(1) << NUMBER_BITS) - 1);
}

void desk_talk_read(struct desk_talk *talk)
{
	talk->unread = 0;
	talk->missed = false;
}

static void end_talk(struct desk_talk *talk, uint64_t now, const char *reason)
{
	char text[256];

	if (talk->ended)
		return;
	(void)snprintf(text, sizeof(text), _("ended: %s"), reason);
	desk_model_note(talk, now, text);
	talk->ended = true;
	talk->missed = (talk->waiting != 0 || talk->deserted) && talk->unread > 0;
	desk_talk_set_waiting(talk, 0, 0);
}

/* Whether TALK is another conversation than the one that marceld calls so now. */
static bool is_another(const struct desk_talk *talk, const struct link_conversation *conversation)
{
	/* Of one that a signal has told of, only an earlier beginning can be known. */
	if (talk->id[0] == '\0')
		return talk->ended || conversation->opened > talk->opened;
	return strcmp(talk->id, conversation->id) != 0;
}

struct desk_talk *desk_model_listed(struct desk_model *model,
				    const struct link_conversation *conversation)
{
	struct desk_talk *talk = desk_model_find(model, conversation->number);
	bool is_new;

	if (talk != NULL && is_another(talk, conversation)) {
		end_talk(talk, conversation->opened, _("while marceld was away"));
		displace(model, talk);
		talk = NULL;
	}
	is_new = talk == NULL;
	talk = find_or_make(model, conversation->number);
	if (talk == NULL)
		return NULL;
	(void)snprintf(talk->id, sizeof(talk->id), "%s", conversation->id);
	set(&talk->peer, conversation->peer);
	set(&talk->listener, conversation->listener);
	set(&talk->responder, conversation->responder);
	set(&talk->speaker, conversation->speaker);
	set(&talk->suspended, conversation->suspended);
	talk->opened = conversation->opened;
	talk->listed = true;
	desk_talk_set_waiting(talk, conversation->waiting, conversation->waiting_since);
	talk->waiting_since = conversation->waiting_since;
	/* Nobody has looked there yet. */
	if (is_new && conversation->waiting != 0 && desk_talk_held(talk))
		talk->unread = 1;
	return talk;
}

void desk_model_list_end(struct desk_model *model, uint64_t now)
{
	for (size_t i = 0; i < model->count; i++) {
		if (!model->talks[i]->listed)
			end_talk(model->talks[i], now, _("while marceld was away"));
	}
}

static void switched(struct desk_talk *talk, const char *responder, uint64_t now)
{
	char text[256];

	if (strcmp(talk->responder, responder) == 0 && talk->speaker[0] == '\0')
		return;
	set(&talk->responder, responder);
	set(&talk->speaker, "");
	(void)snprintf(text, sizeof(text), _("%s answers from now on"),
		       desk_talk_held(talk) ? _("an operator") : responder);
	desk_model_note(talk, now, text);
	if (!desk_talk_held(talk))
		desk_talk_set_waiting(talk, 0, 0);
}

static bool client_spoke_last(const struct desk_talk *talk)
{
	size_t at = talk->count;

	while (at > 0 && talk->lines[at - 1].who != 'C' && talk->lines[at - 1].who != 'S')
		at--;
	return at > 0 && talk->lines[at - 1].who == 'C';
}

struct desk_talk *desk_model_event(struct desk_model *model, const struct link_event *event,
				   uint64_t now)
{
	struct desk_talk *talk;

	if (strcmp(event->name, "Lost") == 0) {
		model->lost += event->number;
		return NULL;
	}
	talk = desk_model_find(model, event->number);
	if (strcmp(event->name, "Opened") == 0) {
		if (talk != NULL && talk->ended)
			displace(model, talk);
		talk = find_or_make(model, event->number);
	}
	if (talk == NULL)
		return NULL;
	if (strcmp(event->name, "Opened") == 0) {
		set(&talk->peer, event->peer);
		set(&talk->listener, event->listener);
		set(&talk->responder, event->responder);
		set(&talk->speaker, "");
		set(&talk->suspended, "");
		talk->opened = now;
	} else if (strcmp(event->name, "Waiting") == 0) {
		/* Who takes leave waits for nothing any more, some time before the end. */
		talk->deserted = event->turn == 0 && talk->waiting != 0 && client_spoke_last(talk);
		desk_talk_set_waiting(talk, event->turn, desk_talk_time_of(talk, event->turn, now));
	} else if (strcmp(event->name, "Draft") == 0) {
		desk_talk_set_draft(talk, now, event);
	} else if (strcmp(event->name, "Switched") == 0) {
		switched(talk, event->text, now);
	} else if (strcmp(event->name, "Closed") == 0) {
		end_talk(talk, now, event->text);
	}
	return talk;
}

static int compare(const void *a, const void *b)
{
	const struct desk_talk *one = *(struct desk_talk *const *)a;
	const struct desk_talk *two = *(struct desk_talk *const *)b;
	const int rank_one = one->ended ? 2 : one->waiting == 0;
	const int rank_two = two->ended ? 2 : two->waiting == 0;

	if (rank_one != rank_two)
		return rank_one - rank_two;
	if (rank_one == 0 && one->waiting_since != two->waiting_since)
		return one->waiting_since < two->waiting_since ? -1 : 1;
	return one->number < two->number ? -1 : one->number > two->number;
}

/* Not more of those that nobody has looked at than there may be. */
static void bound_missed(struct desk_model *model)
{
	size_t n = 0;

	for (size_t i = model->count; i > 0; i--) {
		struct desk_talk *talk = model->talks[i - 1];

		n += talk->missed;
		if (n > DESK_MISSED_MAX)
			talk->missed = false;
	}
}

void desk_model_tidy(struct desk_model *model, uint64_t keep)
{
	size_t n = 0;

	bound_missed(model);
	for (size_t i = 0; i < model->count; i++) {
		struct desk_talk *talk = model->talks[i];

		if (talk->ended && !talk->missed && talk->number != keep &&
		    talk->input.length == 0 && talk->n_sending == 0)
			talk_free(talk);
		else
			model->talks[n++] = talk;
	}
	model->count = n;
	if (n == 0)
		return;
	memcpy(model->order, model->talks, n * sizeof(struct desk_talk *));
	qsort(model->order, n, sizeof(struct desk_talk *), compare);
}

size_t desk_model_place(const struct desk_model *model, uint64_t number)
{
	for (size_t i = 0; i < model->count; i++) {
		if (model->order[i]->number == number)
			return i;
	}
	return 0;
}

uint64_t desk_model_next_waiting(const struct desk_model *model, uint64_t number, bool back)
{
	const size_t at = desk_model_place(model, number);

	for (size_t i = 1; i <= model->count; i++) {
		const size_t step = back ? model->count - i : i;
		const struct desk_talk *talk = model->order[(at + step) % model->count];

		if (talk->waiting != 0)
			return talk->number;
	}
	return 0;
}

size_t desk_model_waiting(const struct desk_model *model, uint64_t *ret_since)
{
	size_t n = 0;

	/* The order may be one of before the last news. */
	for (size_t i = 0; i < model->count; i++) {
		const struct desk_talk *talk = model->talks[i];

		if (talk->waiting == 0)
			continue;
		if (ret_since != NULL && (n == 0 || talk->waiting_since < *ret_since))
			*ret_since = talk->waiting_since;
		n++;
	}
	return n;
}

const char *desk_talk_speaker(const struct desk_talk *talk)
{
	return talk->speaker[0] != '\0' ? talk->speaker : talk->responder;
}

bool desk_talk_held(const struct desk_talk *talk)
{
	return !talk->ended && strcmp(desk_talk_speaker(talk), OPERATOR) == 0;
}
