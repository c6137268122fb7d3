/*
 * The player's other responders: those a script hands its conversation to.
 *
 * Only responders that need no settings can be played. One that closes gives the conversation back.
 * Their timers are not played.
 */
#include <errno.h>
#include <stdlib.h>

#include "converse/player-priv.h"
#include "respond/registry.h"

/* So often a responder may say that it has more to say. */
#define AGAIN_MAX 64

bool player_is_handed(const struct player *player)
{
	return player->outcome.hand != NULL && player->helper.hand == player->outcome.hand;
}

bool player_is_handed_anew(const struct player *player)
{
	return player->outcome.hand != NULL && player->helper.hand != player->outcome.hand;
}

void player_take_back(struct player *player)
{
	struct helper *helper = &player->helper;

	if (helper->ops != NULL && helper->ops->close != NULL)
		helper->ops->close(&helper->seen);
	free(helper->state);
	*helper = (struct helper){.hand = NULL};
}

/* Fills HELPER for OPS. Returns a verdict or a negative errno. */
static int open_helper(struct player *player, const struct marcel_responder_ops *ops)
{
	struct helper *helper = &player->helper;

	helper->state = calloc(1, MARCEL_STATE_MAX);
	if (helper->state == NULL)
		return -ENOMEM;
	helper->ops = ops;
	helper->seen = (struct marcel_conversation){
		.state = helper->state,
		.state_size = ops->state_size,
		.state_used = ops->state_size,
		.number = player->setup.conversation,
		.peer = player->setup.peer,
		.listener = "",
		.opened = player->setup.realtime,
	};
	return ops->open != NULL ? ops->open(&helper->seen) : MARCEL_CONTINUE;
}

int player_hand(struct player *player)
{
	const struct instruction *hand = player->outcome.hand;
	const struct marcel_responder_ops *ops = responder_find(hand->responder);
	int r;

	player_take_back(player);
	if (ops == NULL || ops->load != NULL || ops->respond == NULL)
		return player_happen(player, SCRIPT_UNHANDED);
	r = open_helper(player, ops);
	if (r == -ENOMEM)
		return r;
	if (r != MARCEL_CONTINUE) {
		player_take_back(player);
		return player_happen(player, SCRIPT_UNHANDED);
	}
	player->helper.hand = hand;
	return 0;
}

int player_ask(struct player *player, const char *message, size_t length)
{
	struct helper *helper = &player->helper;
	bool stay = helper->hand->stay;
	int r = MARCEL_AGAIN;

	helper->seen.turn = player->turn;
	for (unsigned i = 0; r == MARCEL_AGAIN && i < AGAIN_MAX; i++) {
		r = player_open_sink(player);
		if (r < 0)
			return r;
		r = helper->ops->respond(&helper->seen, message, length, &player->sink);
		player_close_sink(player);
	}
	if (r == MARCEL_CONTINUE && stay)
		return 0;
	player_take_back(player);
	return player_happen(player, r < 0 ? SCRIPT_UNHANDED : SCRIPT_ANSWERED);
}
