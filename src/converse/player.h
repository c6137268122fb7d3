/*
 * The player: a conversation by a script without a daemon, a socket or a clock.
 *
 * It is to `marcelctl script try` and `test` what the conversation's thread is to a client: bytes
 * go through the same framer, the same interpreter decides, and where the script leaves something
 * to the daemon (greeting, end words, farewell, the longest silence) the player does what the
 * daemon would. Time is virtual: it stands still but for player_time() and player_pass(), and for
 * what the script itself waits for (wait, drip): that passes at once, so that each call below
 * returns when nothing more would happen without the client or a timer.
 *
 *	player_new(&setup, &player);
 *	player_begin(player);
 *	bytes = player_output(player, &length);	the greeting
 *	player_say(player, "HELO me", 7);
 *	bytes = player_output(player, &length);	what was answered to it
 *	player_free(player);
 *
 * Pure but for memory: the same calls with the same setup give the same bytes. One thread at a
 * time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "converse/dialogue.h"
#include "converse/end-reasons.h"
#include "respond/script/run.h"

/* Whom the player tells what it does besides answering. Any function may be NULL. */
struct player_watch {
	void *context;
	/* As script_output: a note for the journal, unescaped. */
	void (*note)(void *context, enum script_note note, const char *rule, const char *text,
		     size_t length);
	/* As script_output: a rule was tried; with explain, each of them. */
	void (*trace)(void *context, enum script_trace trace, const struct rule *rule);
	bool explain;
	/* A message of LENGTH bytes is about to be answered, the framing taken off. Not called for
	 * what a collect takes. */
	void (*message)(void *context, const char *message, size_t length);
	/* DURATION of virtual time has passed. */
	void (*passed)(void *context, usec_t duration);
};

struct player_setup {
	struct script *script;           /* the player takes a reference of its own */
	const struct dialogue *dialogue; /* NULL: player_dialogue; must outlive the player */
	const char *peer;                /* NULL: "127.0.0.1:50000"; must outlive the player */
	uint64_t conversation;           /* its number */
	uint64_t seed;                   /* where its random numbers begin */
	usec_t realtime; /* CLOCK_REALTIME at the beginning; virtual time is added to it */
	struct player_watch watch;
};

/* What marceld does when its configuration says nothing. */
extern const struct dialogue player_dialogue;

struct player;

/*
 * Makes a player for SETUP, which is copied. Nothing has happened yet. Returns 0 or -ENOMEM. The
 * caller frees *RET_PLAYER by player_free(), which takes NULL, too.
 */
int player_new(const struct player_setup *setup, struct player **ret_player);
void player_free(struct player *player);

/*
 * Each of the following lets something happen. They return 0, or -ENOMEM. Once the conversation
 * is over, and but for player_feed() before player_begin(), they do nothing.
 */

/* The client connects: greeting. To be called first, once. */
int player_begin(struct player *player);

/*
 * The client says the LENGTH bytes at MESSAGE and whatever the framing in force wants with it: a
 * line end (CRLF unless `frame line lf` or player_use_lf()), or a length in front; in raw and
 * records nothing. While `collect N bytes` is under way a line end is added unless MESSAGE has just
 * the number of bytes that are missing. (player_feed() says exactly what it is given.) -EMSGSIZE:
 * its length has no room in front of it; nothing was said.
 */
int player_say(struct player *player, const char *message, size_t length);

/* The client's lines end with LF where either would do. */
void player_use_lf(struct player *player);

/*
 * LENGTH bytes come from the client, framed or not, whole messages or pieces of some. Before
 * player_begin(): they come while the greeting is still being waited for (`on early`).
 */
int player_feed(struct player *player, const char *bytes, size_t length);

/*
 * Time passes to the next moment at which something happens by itself: a timer of the script, the
 * daemon's idle_timeout. Nothing happens if there is none; player_due() tells.
 */
int player_time(struct player *player);

/* DURATION passes, with all that happens meanwhile. */
int player_pass(struct player *player, usec_t duration);

/* The client closes its sending side / the daemon stops: the end, after their rules. */
int player_eof(struct player *player);
int player_stop(struct player *player);

/*
 * All bytes that were sent to the client since the last player_forget(), *RET_LENGTH of them; valid
 * until the next call that lets something happen. Ended by a NUL that isn't counted.
 */
const char *player_output(const struct player *player, size_t *ret_length);
void player_forget(struct player *player);

/* Why the conversation ended, END_NONE while it goes on; whether that was by `reset`. */
enum end_reason player_end(const struct player *player);
bool player_was_reset(const struct player *player);

/* When something happens by itself, as a duration from now: USEC_NEVER if nothing does. */
usec_t player_due(const struct player *player);

/* Virtual time since player_begin(). */
usec_t player_elapsed(const struct player *player);

/* Messages so far: ${turn}. */
uint64_t player_turn(const struct player *player);

/* Input that makes no message yet, in bytes. */
size_t player_unframed(const struct player *player);

/* What the interpreter said last; for --explain. */
const struct script_outcome *player_outcome(const struct player *player);

/* The script's state, for script_state_name() and script_state_value(); *RET_USED bytes. */
const void *player_state(const struct player *player, size_t *ret_used);
