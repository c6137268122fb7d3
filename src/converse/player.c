/*
 * Playing a conversation; see player.h. What the daemon's thread does (conversation.c, turn.c) is
 * done here without its slot, its wire and its records; player-hand.c plays who else answers.
 *
 * Decisions. A responder that a script hands a conversation to answers at once if it needs no
 * settings (echo); any other isn't there. What a rule waits for passes before the call returns; so
 * does the time of a hand, but only by player_time() and player_pass(), since a client may speak
 * meanwhile.
 */
#include "converse/player.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "converse/endword.h"
#include "converse/player-priv.h"

static char fin[] = "fin";
static char greeting[] = "Vous êtes connecté au serveur Marcel. Envoyez vos messages.";
static char too_long_text[] = "Message trop long.";
static char *end_words[] = {fin};

const struct dialogue player_dialogue = {
	.greeting = greeting,
	.farewell = fin,
	.end_words = end_words,
	.n_end_words = 1,
	.end_on_empty = true,
	.framing = FRAMING_AUTO,
	.raw_pause = 400 * USEC_PER_MSEC,
	.message_max = (size_t)64 * 1024,
	.idle_timeout = 1800 * USEC_PER_SEC,
	.too_long = too_long_text,
};

int bytes_reserve(struct bytes *bytes, size_t more)
{
	size_t wanted = bytes->length + more + 1;
	char *grown;

	if (wanted <= bytes->room)
		return 0;
	grown = realloc(bytes->bytes, wanted);
	if (grown == NULL)
		return -ENOMEM;
	bytes->bytes = grown;
	bytes->room = wanted;
	return 0;
}

static int bytes_add(struct bytes *bytes, const char *more, size_t length)
{
	int r = bytes_reserve(bytes, length);

	if (r < 0)
		return r;
	if (length > 0)
		(void)memcpy(bytes->bytes + bytes->length, more, length);
	bytes->length += length;
	return 0;
}

int player_new(const struct player_setup *setup, struct player **ret_player)
{
	struct player *player = calloc(1, sizeof(*player));

	if (player == NULL)
		return -ENOMEM;
	player->setup = *setup;
	player->script = script_ref(setup->script);
	player->dialogue = setup->dialogue != NULL ? setup->dialogue : &player_dialogue;
	if (player->setup.peer == NULL)
		player->setup.peer = "127.0.0.1:50000";
	player->now = PLAYER_BEGINNING;
	player->quiet_since = PLAYER_BEGINNING;
	script_begin(player->script, player->state, &player->used, setup->seed);
	player->framer.message_max = player->dialogue->message_max;
	if (player->dialogue->framing == FRAMING_LINE)
		player->framer.mode = MODE_LINE;
	else if (player->dialogue->framing == FRAMING_RAW)
		player->framer.mode = MODE_RAW_ONLY;
	if (player->script->manners.frames)
		player->framer.framing = player->script->manners.framing;
	player->outcome.framing = player->framer.framing;
	player->reply_framing = player->framer.framing;
	*ret_player = player;
	return 0;
}

void player_free(struct player *player)
{
	if (player == NULL)
		return;
	player_take_back(player);
	script_unref(player->script);
	free(player->in.bytes);
	free(player->out.bytes);
	free(player);
}

static void move_clock(struct player *player, usec_t to)
{
	const struct player_watch *watch = &player->setup.watch;
	usec_t duration = to > player->now ? to - player->now : 0;

	player->now += duration;
	if (duration > 0 && watch->passed != NULL)
		watch->passed(watch->context, duration);
}

/* Lets everything happen that needs neither the client nor a timer. */
static int follow(struct player *player)
{
	int r = 0;

	while (r == 0 && player->end == END_NONE) {
		if (player_is_handed_anew(player)) {
			r = player_hand(player);
		} else if (!player->outcome.holds) {
			player->greeted = true;
			break;
		} else if (!player->greeted && player->in.length > 0) {
			player->greeted = true;
			r = player_happen(player, SCRIPT_EARLY);
		} else if (player->outcome.wake_at == 0) {
			/* It waits for ever. */
			break;
		} else {
			move_clock(player, player->outcome.wake_at);
			r = player_happen(player, SCRIPT_TIME);
		}
	}
	return r;
}

static enum end_reason goodbye(const struct player *player, const char *message, size_t length)
{
	const struct dialogue *dialogue = player->dialogue;

	if (player->outcome.owns_end)
		return END_NONE;
	if (length == 0 && dialogue->end_on_empty)
		return END_EMPTY;
	if (endword_matches(dialogue->end_words, dialogue->n_end_words, message, length))
		return END_END_WORD;
	return END_NONE;
}

/* Answers the message that FRAME found in BYTES. */
static int answer(struct player *player, const char *bytes, const struct frame *frame)
{
	const struct player_watch *watch = &player->setup.watch;
	const char *message = bytes + frame->start;
	enum end_reason reason;
	int r;

	player->part = frame->part;
	if (frame->blank)
		return player_say_own(player, "");
	if (!player->outcome.collects) {
		player->turn++;
		if (watch->message != NULL)
			watch->message(watch->context, message, frame->length);
	}
	reason = goodbye(player, message, frame->length);
	if (reason != END_NONE)
		return player_close(player, reason, true);
	if (player_is_handed(player))
		return player_ask(player, message, frame->length);
	r = player_event(player, SCRIPT_MESSAGE, message, frame);
	if (r < 0)
		return r;
	r = player_settle(player, END_RESPONDER);
	if (r == 0 && player->end == END_NONE && player->outcome.hand_is_fresh &&
	    player_is_handed_anew(player)) {
		r = player_hand(player);
		if (r == 0 && player_is_handed(player))
			r = player_ask(player, message, frame->length);
	}
	return r;
}

/* A message is longer than framing allows. */
static int too_long(struct player *player, const char *bytes, size_t length)
{
	struct marcel_framing before = player->framer.framing;
	int r = player_event(player, SCRIPT_OVERFLOW, NULL, NULL);
	bool reframed = memcmp(&before, &player->framer.framing, sizeof(before)) != 0;

	if (r < 0 || player->end != END_NONE)
		return r;
	if (player->outcome.unhandled) {
		player->in.length = 0;
		r = player_say_own(player, player->dialogue->too_long);
		return r < 0 ? r : player_close(player, END_TOO_LONG, true);
	}
	/* Only under its own framing can what is left of it be found, unless it is a line. */
	if (before.kind == MARCEL_FRAMING_PREFIX && reframed)
		return player_close(player, END_RESPONDER_ERROR, true);
	if (reframed)
		player->framer.skipping = true;
	else
		framer_skip(&player->framer, bytes, length);
	return player_settle(player, END_TOO_LONG);
}

static void consume(struct player *player, size_t length)
{
	/* The end may have emptied it. */
	if (length > player->in.length)
		length = player->in.length;
	player->in.length -= length;
	if (player->in.length > 0)
		(void)memmove(player->in.bytes, player->in.bytes + length, player->in.length);
}

/* Answers what has come, as far as it makes messages. */
static int take_input(struct player *player, enum framer_input input)
{
	int r = follow(player);

	player->pause = false;
	while (r == 0 && player->end == END_NONE && !player->outcome.holds) {
		struct frame frame = {.consumed = 0};
		const char *bytes = player->in.length > 0 ? player->in.bytes : "";
		enum framer_result result =
			framer_next(&player->framer, bytes, player->in.length, input, &frame);

		if (result == FRAMER_MESSAGE)
			r = answer(player, bytes, &frame);
		else if (result == FRAMER_TOO_LONG)
			r = too_long(player, bytes, player->in.length);
		consume(player, frame.consumed);
		if (result == FRAMER_WAIT || result == FRAMER_PAUSE) {
			player->pause = result == FRAMER_PAUSE;
			break;
		}
		if (input == FRAMER_QUIET)
			input = FRAMER_MORE_TO_COME;
		if (r == 0)
			r = follow(player);
	}
	return r;
}

int player_begin(struct player *player)
{
	int r;

	if (player->begun)
		return 0;
	player->begun = true;
	r = player_event(player, SCRIPT_CONNECT, NULL, NULL);
	if (r < 0 || player->end != END_NONE)
		return r;
	r = player->outcome.unhandled ? player_say_own(player, player->dialogue->greeting)
				      : player_settle(player, END_RESPONDER);
	return r < 0 ? r : take_input(player, FRAMER_MORE_TO_COME);
}

int player_feed(struct player *player, const char *bytes, size_t length)
{
	int r;

	if (player->end != END_NONE)
		return 0;
	r = bytes_add(&player->in, bytes, length);
	if (r < 0 || !player->begun)
		return r;
	player->quiet_since = player->now;
	return take_input(player, FRAMER_MORE_TO_COME);
}

/* What the client's messages end with, as things stand. */
static const char *client_line_end(const struct player *player, size_t length)
{
	const struct marcel_framing *framing = &player->reply_framing;
	const char *usual = player->lf ? "\n" : "\r\n";

	if (player->framer.framing.kind == MARCEL_FRAMING_BYTES &&
	    player->framer.framing.size == length)
		return "";
	if (framing->kind == MARCEL_FRAMING_DEFAULT)
		return player->framer.mode == MODE_RAW_ONLY ? "" : usual;
	if (framing->kind != MARCEL_FRAMING_LINE)
		return "";
	if (framing->line_end == MARCEL_LINE_ANY)
		return usual;
	return framing->line_end == MARCEL_LINE_LF ? "\n" : "\r\n";
}

int player_say(struct player *player, const char *message, size_t length)
{
	const char *line_end_bytes = client_line_end(player, length);
	size_t prefix = 0, before = player->in.length;
	char front[8];
	int r;

	if (player->end != END_NONE || !player->begun)
		return 0;
	if (player->framer.framing.kind == MARCEL_FRAMING_PREFIX)
		prefix = framer_prefix(&player->framer.framing);
	if (prefix >= sizeof(length) || (prefix > 0 && length >> (8 * prefix) != 0))
		return -EMSGSIZE;
	for (size_t i = 0; i < prefix; i++)
		front[i] = (char)(length >> (8 * (prefix - 1 - i)));
	r = bytes_add(&player->in, front, prefix);
	if (r == 0)
		r = bytes_add(&player->in, message, length);
	if (r == 0)
		r = bytes_add(&player->in, line_end_bytes, strlen(line_end_bytes));
	if (r < 0) {
		player->in.length = before;
		return r;
	}
	player->quiet_since = player->now;
	return take_input(player, FRAMER_MORE_TO_COME);
}

void player_use_lf(struct player *player)
{
	player->lf = true;
}

/* What happens next by itself, and when. */
static enum player_next next_event(const struct player *player, usec_t *ret_at)
{
	enum player_next next = NEXT_NOTHING;
	usec_t at;

	*ret_at = USEC_NEVER;
	if (player->end != END_NONE || !player->begun)
		return NEXT_NOTHING;
	if (player->outcome.wake_at != 0) {
		*ret_at = player->outcome.wake_at;
		next = NEXT_TIMER;
	}
	if (player->outcome.holds)
		return next;
	at = clock_deadline(player->quiet_since, player->dialogue->idle_timeout);
	if (at < *ret_at) {
		*ret_at = at;
		next = NEXT_IDLE;
	}
	at = clock_deadline(player->quiet_since, player->dialogue->raw_pause);
	if (player->pause && at < *ret_at) {
		*ret_at = at;
		next = NEXT_QUIET;
	}
	return next;
}

int player_time(struct player *player)
{
	enum framer_input input = FRAMER_MORE_TO_COME;
	usec_t at;
	enum player_next next = next_event(player, &at);
	int r = 0;

	if (next == NEXT_NOTHING)
		return 0;
	move_clock(player, at);
	if (next == NEXT_TIMER)
		r = player_happen(player, SCRIPT_TIME);
	else if (next == NEXT_IDLE)
		r = player_close(player, END_IDLE, true);
	else
		input = FRAMER_QUIET;
	return r < 0 ? r : take_input(player, input);
}

int player_pass(struct player *player, usec_t duration)
{
	usec_t until = clock_deadline(player->now, duration);
	int r = 0;

	while (r == 0) {
		usec_t at;

		if (next_event(player, &at) == NEXT_NOTHING || at > until)
			break;
		r = player_time(player);
	}
	if (r == 0 && until != USEC_NEVER)
		move_clock(player, until);
	return r;
}

/* The last event of all. */
static int finish(struct player *player, enum script_event_kind kind, enum end_reason reason)
{
	int r;

	if (player->end != END_NONE)
		return 0;
	r = player_event(player, kind, NULL, NULL);
	if (r < 0 || player->end != END_NONE)
		return r;
	if (player->outcome.unhandled)
		return player_close(player, reason, true);
	r = player_settle(player, reason);
	return r < 0 || player->end != END_NONE ? r : player_close(player, reason, false);
}

int player_eof(struct player *player)
{
	int r;

	if (player->end != END_NONE || !player->begun)
		return 0;
	r = take_input(player, FRAMER_END);
	return r < 0 ? r : finish(player, SCRIPT_EOF, END_INPUT);
}

int player_stop(struct player *player)
{
	return player->begun ? finish(player, SCRIPT_STOP, END_STOP) : 0;
}

const char *player_output(const struct player *player, size_t *ret_length)
{
	*ret_length = player->out.length;
	return player->out.length > 0 ? player->out.bytes : "";
}

void player_forget(struct player *player)
{
	player->out.length = 0;
}

enum end_reason player_end(const struct player *player)
{
	return player->end;
}

bool player_was_reset(const struct player *player)
{
	return player->end == END_RESPONDER_RESET;
}

usec_t player_due(const struct player *player)
{
	usec_t at;

	return next_event(player, &at) == NEXT_NOTHING ? USEC_NEVER : clock_left(at, player->now);
}

usec_t player_elapsed(const struct player *player)
{
	return player->now - PLAYER_BEGINNING;
}

uint64_t player_turn(const struct player *player)
{
	return player->turn;
}

size_t player_unframed(const struct player *player)
{
	return player->in.length;
}

const struct script_outcome *player_outcome(const struct player *player)
{
	return &player->outcome;
}

const void *player_state(const struct player *player, size_t *ret_used)
{
	*ret_used = player->used;
	return player->state;
}
