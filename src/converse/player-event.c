/*
 * The player's events: the script runs, what it says becomes output, and the dialogue ends if it
 * has to; see player-priv.h.
 */
#include <errno.h>
#include <string.h>

#include "converse/player-priv.h"

/* More than one reply, in each call; what does not fit is said by a later one. */
#define OUTPUT_ROOM (MARCEL_REPLY_MAX + (size_t)64 * 1024)

/* What a line of the server ends with. */
static const char *line_end(const struct player *player)
{
	const struct framer *framer = &player->framer;

	switch (player->reply_framing.kind) {
	case MARCEL_FRAMING_DEFAULT:
		if (framer->mode == MODE_RAW || framer->mode == MODE_RAW_ONLY)
			return "";
		return framer->line_end == LINE_END_CRLF ? "\r\n" : "\n";
	case MARCEL_FRAMING_LINE:
		if (player->reply_framing.line_end == MARCEL_LINE_ANY)
			return framer->line_end == LINE_END_LF ? "\n" : "\r\n";
		return player->reply_framing.line_end == MARCEL_LINE_LF ? "\n" : "\r\n";
	default:
		return "";
	}
}

int player_open_sink(struct player *player)
{
	const struct marcel_framing *framing = &player->reply_framing;
	int r = bytes_reserve(&player->out, OUTPUT_ROOM);

	if (r < 0)
		return r;
	player->sink = (struct marcel_sink){
		.bytes = player->out.bytes + player->out.length,
		.room = OUTPUT_ROOM,
		.line_end = line_end(player),
		.prefix = framing->kind == MARCEL_FRAMING_PREFIX ? framer_prefix(framing) : 0,
		.joined = player->joined,
	};
	if ((framing->flags & MARCEL_FRAMING_JOIN) != 0)
		(void)memcpy(&player->sink.join, &framing->split, 1);
	player->sink.line_end_length = strlen(player->sink.line_end);
	return 0;
}

/* Whether the script wants another framing from the next message on. */
static bool is_reframed(const struct player *player)
{
	struct marcel_framing before = player->framer.framing;

	/* What is to be skipped is the framer's affair. */
	if (before.kind == MARCEL_FRAMING_PREFIX)
		before.size = framer_prefix(&before);
	return memcmp(&before, &player->outcome.framing, sizeof(before)) != 0;
}

void player_close_sink(struct player *player)
{
	if (is_reframed(player) ||
	    (!player->part && !player->outcome.collects && !player->outcome.holds))
		(void)sink_end_line(&player->sink);
	player->joined = player->sink.joined;
	player->out.length += player->sink.used;
	player->out.bytes[player->out.length] = '\0';
}

static int on_say(void *context, const char *text, size_t length)
{
	return marcel_say(&((struct player *)context)->sink, text, length);
}

static int on_send(void *context, const char *bytes, size_t length)
{
	return marcel_send(&((struct player *)context)->sink, bytes, length);
}

static void on_note(void *context, enum script_note note, const char *rule, const char *text,
		    size_t length)
{
	const struct player_watch *watch = &((struct player *)context)->setup.watch;

	if (watch->note != NULL)
		watch->note(watch->context, note, rule, text, length);
}

static void on_trace(void *context, enum script_trace trace, const struct rule *rule)
{
	const struct player_watch *watch = &((struct player *)context)->setup.watch;

	if (watch->trace != NULL)
		watch->trace(watch->context, trace, rule);
}

int player_say_own(struct player *player, const char *text)
{
	int r = player_open_sink(player);

	if (r < 0)
		return r;
	if (text[0] != '\0')
		(void)marcel_say(&player->sink, text, strlen(text));
	player_close_sink(player);
	return 0;
}

int player_close(struct player *player, enum end_reason reason, bool with_farewell)
{
	player->end = reason;
	player->part = false;
	player_take_back(player);
	return with_farewell && !player->outcome.silent
		       ? player_say_own(player, player->dialogue->farewell)
		       : 0;
}

/* The framing that the script wants from the next message on. */
static void take_over_framing(struct player *player)
{
	const struct marcel_framing *wanted = &player->outcome.framing;

	if (is_reframed(player)) {
		player->framer.framing = *wanted;
		player->framer.scanned = 0;
	}
	if (wanted->kind != MARCEL_FRAMING_BYTES)
		player->reply_framing = *wanted;
}

int player_event(struct player *player, enum script_event_kind kind, const char *bytes,
		 const struct frame *frame)
{
	const struct script_event event = {
		.kind = kind,
		.bytes = bytes,
		.length = frame != NULL ? frame->length : 0,
		.end_length = frame != NULL ? frame->line_end : 0,
	};
	const struct script_world world = {
		.now = player->now,
		.realtime = player->setup.realtime + (player->now - PLAYER_BEGINNING),
		.peer = player->setup.peer,
		.conversation = player->setup.conversation,
		.turn = player->turn,
	};
	const struct script_output output = {
		.context = player,
		.say = on_say,
		.send = on_send,
		.note = on_note,
		.trace = on_trace,
		.explain = player->setup.watch.explain,
	};
	int r = player_open_sink(player);

	if (r < 0)
		return r;
	r = script_run(player->script, player->state, &player->used, &event, &world, &output,
		       &player->outcome);
	player_close_sink(player);
	if (r == -ENOMEM)
		return r;
	take_over_framing(player);
	if (player->outcome.hand == NULL)
		player_take_back(player);
	if (r < 0)
		return player_close(player, END_RESPONDER_ERROR, true);
	return 0;
}

int player_settle(struct player *player, enum end_reason reason)
{
	if (player->end != END_NONE)
		return 0;
	switch (player->outcome.verdict) {
	case MARCEL_CLOSE:
		return player_close(player, reason, false);
	case MARCEL_FAREWELL:
		return player_close(player, reason, true);
	case MARCEL_RESET:
		return player_close(player, END_RESPONDER_RESET, false);
	case MARCEL_CONTINUE:
	case MARCEL_AGAIN:
	case MARCEL_GIVE: /* there is nobody else */
		break;
	}
	return 0;
}

int player_happen(struct player *player, enum script_event_kind kind)
{
	int r = player_event(player, kind, NULL, NULL);

	return r < 0 ? r : player_settle(player, END_RESPONDER);
}
