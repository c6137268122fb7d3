/*
 * What the files of the turn share: turn.c prepares, commits and calls the responder; switch.c lets
 * another responder go on. The conversation's thread only.
 */
#pragma once

#include "converse/turn.h"

/* What a responder sees of TURN's conversation / what it made of it, for the commit. */
struct marcel_conversation turn_view(struct turn *turn);
void turn_take_over(struct turn *turn, const struct marcel_conversation *seen);

/* Calls close() of who is suspended in TURN's conversation, if anybody is. */
void turn_close_below(struct turn *turn, const char *reason);

/* What the tail of TURN's state says (slot.h, note on switching), to be changed; there must be one.
 */
struct slot_switch *turn_switch(struct turn *turn);

/*
 * Makes the state of who is suspended SIZE bytes long, if it was shorter, the new ones zero; there
 * must be one. Returns 0, or -ENOSPC when the two states don't fit side by side then.
 */
int turn_widen_below(struct turn *turn, size_t size);

/* What the suspended responder sees; there must be one. */
struct marcel_conversation turn_view_below(struct turn *turn);
