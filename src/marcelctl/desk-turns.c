/* Which turns are open, and which of them a line answers; see desk-model.h. */
#include <stdlib.h>
#include <string.h>

#include "marcelctl/desk-model-priv.h"

bool desk_talk_is_open(const struct desk_talk *talk, uint64_t turn)
{
	for (size_t i = 0; i < talk->n_open; i++) {
		if (talk->open[i] == turn)
			return true;
	}
	return false;
}

/* Has room for one more. */
static bool turn_room(struct desk_talk *talk)
{
	const size_t room = talk->open_room > 0 ? 2 * talk->open_room : 8;
	uint64_t *more;

	if (talk->n_open < talk->open_room)
		return true;
	more = realloc(talk->open, room * sizeof(*more));
	if (more == NULL)
		return false;
	talk->open = more;
	talk->open_room = room;
	return true;
}

/* The turn that was chosen has been answered: with nothing typed for it, the choice is over. What
 * has been typed stays an answer to what its writer saw. */
static void forget_aim(struct desk_talk *talk)
{
	if (talk->input.length == 0 && desk_talk_is_late(talk))
		talk->aimed = false;
}

bool desk_talk_is_late(const struct desk_talk *talk)
{
	return talk->aimed && talk->aim != 0 && !desk_talk_is_open(talk, talk->aim);
}

/* The open turn number AT is not known any more. */
static void forget_turn(struct desk_talk *talk, size_t at)
{
	talk->n_open--;
	memmove(talk->open + at, talk->open + at + 1, (talk->n_open - at) * sizeof(talk->open[0]));
}

void desk_talk_open_turn(struct desk_talk *talk, uint64_t turn)
{
	size_t at;

	if (desk_talk_is_open(talk, turn) || !turn_room(talk))
		return;
	/* As marceld does: of those that are too old only the oldest. */
	if (talk->n_open == DESK_OPEN_MAX)
		forget_turn(talk, 1);
	at = talk->n_open;
	while (at > 0 && talk->open[at - 1] > turn)
		at--;
	memmove(talk->open + at + 1, talk->open + at, (talk->n_open - at) * sizeof(talk->open[0]));
	talk->open[at] = turn;
	talk->n_open++;
}

void desk_talk_answered(struct desk_talk *talk, uint64_t turn)
{
	for (size_t i = 0; i < talk->n_open; i++) {
		if (talk->open[i] != turn)
			continue;
		forget_turn(talk, i);
		forget_aim(talk);
		return;
	}
}

void desk_talk_set_waiting(struct desk_talk *talk, uint64_t turn, uint64_t since)
{
	size_t answered = 0;

	if (turn == 0)
		answered = talk->n_open;
	while (answered < talk->n_open && talk->open[answered] < turn)
		answered++;
	talk->n_open -= answered;
	if (talk->n_open > 0)
		memmove(talk->open, talk->open + answered, talk->n_open * sizeof(talk->open[0]));
	if (turn != 0)
		desk_talk_open_turn(talk, turn);
	if (turn != talk->draft_turn)
		desk_talk_drop_draft(talk);
	if (turn != talk->waiting)
		talk->waiting_since = turn != 0 ? since : 0;
	talk->waiting = turn;
	forget_aim(talk);
}

/* Whether something that answers TURN is on its way. */
static bool is_sending(const struct desk_talk *talk, uint64_t turn)
{
	for (size_t i = 0; i < talk->n_sending; i++) {
		if (talk->sending[i].turn == turn)
			return true;
	}
	return false;
}

uint64_t desk_talk_target(const struct desk_talk *talk)
{
	if (talk->aimed)
		return talk->aim;
	for (size_t i = 0; i < talk->n_open; i++) {
		if (!is_sending(talk, talk->open[i]))
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
