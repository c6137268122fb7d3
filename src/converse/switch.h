/*
 * Switching: another responder goes on with a conversation, in its middle (slot.h, note on
 * switching).
 *
 * Taken from its responder, a conversation goes on with another one, and the first one's state is
 * kept, suspended, until it is given back and goes on where it stood. Given to a third one, all
 * that was is closed. Either is part of a turn, and happens with it or not at all. The
 * conversation's thread only.
 */
#pragma once

#include "converse/turn.h"

/*
 * Suspends TURN's responder and opens that named NAME over it. Returns 0, and TURN is to be
 * committed; -EALREADY (it has the word, or somebody is suspended already), -ESRCH (there is none
 * of that name), -EBUSY (the present one has more than its state, which can't be suspended),
 * -ENOSPC (the two states don't fit side by side), or what its open() said: then TURN must not be
 * committed.
 */
int switch_take(struct turn *turn, const char *name);

/*
 * Lets the responder named NAME go on: the suspended one where it stood, or another one from its
 * beginning, greeting included if it has one of its own. Returns a verdict for TURN; or -EALREADY,
 * -ESRCH, -ENOSPC as above: nothing has happened, and TURN may be committed as it was; or what its
 * open() or greet() said, as a negative errno: the others are closed by then, so TURN is to end the
 * conversation, as it does when a responder fails in its beginning. It can't ask for MARCEL_AGAIN.
 */
int switch_give(struct turn *turn, const char *name);

/* Whether RESULT, of switch_give(), says that nothing has happened. */
bool switch_was_refused(int result);
