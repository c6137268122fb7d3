/* Which turns are open; see turns.h. */
#include "respond/operator/turns.h"

#include <string.h>

static uint64_t bit(uint64_t turn)
{
	return UINT64_C(1) << (turn % 64);
}

static uint64_t *word(struct turns *turns, uint64_t turn)
{
	return &turns->open[turn % TURNS_WINDOW / 64];
}

/* The oldest turn that the window has room for. */
static uint64_t first(const struct turns *turns)
{
	return turns->last >= TURNS_WINDOW ? turns->last - TURNS_WINDOW + 1 : 1;
}

void turns_open(struct turns *turns, uint64_t turn)
{
	uint64_t from = first(turns);

	if (turn == 0 || turn < from)
		return;
	/* Each newer turn takes the place of one that falls out, the oldest first. */
	for (uint64_t left = TURNS_WINDOW; turns->last < turn && left > 0; left--) {
		if (turns->last >= TURNS_WINDOW && turns->fallen == 0 && turns_is_open(turns, from))
			turns->fallen = from;
		turns->last++;
		*word(turns, turns->last) &= ~bit(turns->last);
		from = first(turns);
	}
	if (turns->last < turn)
		turns->last = turn;
	*word(turns, turn) |= bit(turn);
}

bool turns_is_open(const struct turns *turns, uint64_t turn)
{
	return turn >= first(turns) && turn <= turns->last && turn > 0 &&
	       (turns->open[turn % TURNS_WINDOW / 64] & bit(turn)) != 0;
}

void turns_answer(struct turns *turns, uint64_t turn)
{
	if (turns_is_open(turns, turn))
		*word(turns, turn) &= ~bit(turn);
}

void turns_answer_all(struct turns *turns)
{
	turns->fallen = 0;
	(void)memset(turns->open, 0, sizeof(turns->open));
}

uint64_t turns_oldest(const struct turns *turns)
{
	if (turns->fallen != 0)
		return turns->fallen;
	for (uint64_t left = turns->last - first(turns) + 1; left > 0; left--)
		if (turns_is_open(turns, turns->last - left + 1))
			return turns->last - left + 1;
	return 0;
}
