/*
 * What the files of the player share: player.c plays the daemon's part, player-event.c lets the
 * script run, player-hand.c plays the responders that a script hands the conversation to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "converse/framer.h"
#include "converse/player.h"
#include "respond/sink.h"

/* Where virtual time begins: not at 0, which means never. */
#define PLAYER_BEGINNING USEC_PER_SEC

/* Bytes that grow. */
struct bytes {
	char *bytes;
	size_t length;
	size_t room;
};

/* What happens next without the client. */
enum player_next {
	NEXT_NOTHING,
	NEXT_TIMER, /* of the script */
	NEXT_IDLE,  /* the daemon's idle_timeout */
	NEXT_QUIET, /* raw_pause has made a message of what is there */
};

/* Another responder that answers for a while. */
struct helper {
	const struct instruction *hand; /* by which it answers; NULL: none does */
	const struct marcel_responder_ops *ops;
	struct marcel_conversation seen;
	char *state;
};

struct player {
	struct player_setup setup;
	struct script *script;
	const struct dialogue *dialogue;
	char state[MARCEL_STATE_MAX];
	size_t used;
	struct script_outcome outcome;
	struct helper helper;

	struct framer framer;
	struct marcel_framing reply_framing; /* the framing but for a collect of bytes */
	struct bytes in, out;
	struct marcel_sink sink; /* during one call */
	usec_t now;
	usec_t quiet_since;
	uint64_t turn;
	enum end_reason end;
	bool begun;
	bool greeted; /* the greeting was said whole, or the client didn't wait for that */
	bool pause;   /* silence would make a message of what is there */
	bool part;    /* the last message was not the last one of its line */
	bool joined;  /* a line of replies has no end yet */
	bool lf;      /* the client's lines end with LF */
};

/* Makes room for MORE bytes and a NUL. Returns 0 or -ENOMEM. */
int bytes_reserve(struct bytes *bytes, size_t more);

/* An empty sink over the end of the output / what it holds becomes output. */
int player_open_sink(struct player *player);
void player_close_sink(struct player *player);

/* Says TEXT of the daemon's, as a reply. */
int player_say_own(struct player *player, const char *text);

/* Ends the dialogue for REASON, in good order. */
int player_close(struct player *player, enum end_reason reason, bool with_farewell);

/* Runs the script for an event. */
int player_event(struct player *player, enum script_event_kind kind, const char *bytes,
		 const struct frame *frame);

/* Ends the dialogue if the last event asked for that; REASON is why. */
int player_settle(struct player *player, enum end_reason reason);

/* Both, for what needs no message. */
int player_happen(struct player *player, enum script_event_kind kind);

/* Whether another responder answers / whether the script has just said that one is to. */
bool player_is_handed(const struct player *player);
bool player_is_handed_anew(const struct player *player);

/* Finds that responder and opens it; it is not there if that fails. */
int player_hand(struct player *player);

/* Lets it answer a message of LENGTH bytes. */
int player_ask(struct player *player, const char *message, size_t length);

/* It answers no more. */
void player_take_back(struct player *player);
