/* Playing transcripts; see play.h. */
#include "marcelctl/play.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/i18n.h"
#include "converse/player.h"
#include "marcelctl/answer.h"
#include "marcelctl/file.h"

/* After so many places that differ, the rest is not played. */
#define DIFFERENCES_MAX 20
/* So many of the lines before a place are shown. */
#define CONTEXT_MAX 3
/* The seed of random numbers: any, but always the same. */
#define SEED 1

struct playing {
	const struct transcript *transcript;
	struct player *player;
	FILE *out;
	int differences;
};

/* How wide the line numbers of TRANSCRIPT are. */
static int width_of(const struct transcript *transcript)
{
	char text[16];

	if (transcript->count == 0)
		return 1;
	return snprintf(text, sizeof(text), "%u", transcript->steps[transcript->count - 1].line);
}

static void show_step(const struct playing *playing, size_t index, char sign)
{
	const struct transcript_step *step = &playing->transcript->steps[index];

	(void)fprintf(playing->out, "  %*u %c ", width_of(playing->transcript), step->line, sign);
	if (step->kind == TRANSCRIPT_TIME || step->kind == TRANSCRIPT_SERVER_GLOB) {
		(void)fprintf(playing->out, "%s ", transcript_mark(step->kind));
		file_put_escaped(playing->out, step->bytes, step->length);
		(void)fputc('\n', playing->out);
	} else {
		transcript_write(playing->out, step->kind, step->bytes, step->length);
	}
}

static void show_got(const struct playing *playing, const struct answer_part *part)
{
	(void)fprintf(playing->out, "  %*s + ", width_of(playing->transcript), "");
	transcript_write(playing->out, part->kind, part->bytes, part->length);
}

/* Tells that the transcript and the script differ at step INDEX. */
static void show_place(struct playing *playing, size_t index, const char *text)
{
	const struct transcript *transcript = playing->transcript;
	unsigned line = 0;

	playing->differences++;
	if (transcript->count > 0)
		line = transcript->steps[index < transcript->count ? index : transcript->count - 1]
			       .line;
	file_put_escaped(playing->out, transcript->file, strlen(transcript->file));
	(void)fprintf(playing->out, ":%u: %s", line, text);
}

static void show_context(const struct playing *playing, size_t index)
{
	size_t first = index;

	while (first > 0 && index - first < CONTEXT_MAX &&
	       !transcript_is_expected(&playing->transcript->steps[first - 1]))
		first--;
	for (; first < index; first++)
		show_step(playing, first, ' ');
}

/* Shows how the steps FIRST to END - 1 differ from what the script said. */
static int show_difference(struct playing *playing, size_t first, size_t end,
			   const struct answer *answer)
{
	const struct transcript_step *steps = playing->transcript->steps + first;
	const struct script_outcome *outcome = player_outcome(playing->player);
	auto_free enum answer_edit *edits = NULL;
	size_t count;
	size_t expected = first;
	size_t got = 0;
	int r;

	r = answer_compare(steps, end - first, answer, &edits, &count);
	if (r < 0)
		return r;
	show_place(playing, first, _("not what is expected"));
	if (outcome != NULL && outcome->rule != NULL) {
		(void)fputs(" (", playing->out);
		(void)fprintf(playing->out, _("answered by %s"), outcome->rule);
		(void)fputc(')', playing->out);
	}
	(void)fputc('\n', playing->out);
	show_context(playing, first);
	for (size_t i = 0; i < count; i++) {
		switch (edits[i]) {
		case ANSWER_SAME:
			show_step(playing, expected++, ' ');
			got++;
			break;
		case ANSWER_MISSING:
			show_step(playing, expected++, '-');
			break;
		case ANSWER_EXTRA:
			show_got(playing, &answer->parts[got++]);
			break;
		}
	}
	return 0;
}

/* Compares what the script said since the last time with the steps FIRST to END - 1. */
static int compare(struct playing *playing, size_t first, size_t end)
{
	const struct transcript_step *steps = playing->transcript->steps + first;
	const bool last = end == playing->transcript->count;
	struct answer answer = {.parts = NULL};
	size_t length;
	const char *said = player_output(playing->player, &length);
	enum answer_end how = ANSWER_OPEN;
	int r = 0;

	if (player_end(playing->player) != END_NONE)
		how = player_was_reset(playing->player) ? ANSWER_RESET : ANSWER_CLOSED;
	if (!answer_fits(steps, end - first, said, length, how, last)) {
		r = answer_split(said, length, how, &answer);
		if (r == 0)
			r = show_difference(playing, first, end, &answer);
		answer_done(&answer);
	}
	player_forget(playing->player);
	return r;
}

static int act(struct playing *playing, const struct transcript_step *step)
{
	switch (step->kind) {
	case TRANSCRIPT_CLIENT_LINE:
		return player_say(playing->player, step->bytes, step->length);
	case TRANSCRIPT_CLIENT_BYTES:
		return player_feed(playing->player, step->bytes, step->length);
	case TRANSCRIPT_TIME:
		return player_pass(playing->player, step->duration);
	case TRANSCRIPT_CLIENT_END:
		return player_eof(playing->player);
	case TRANSCRIPT_STOP:
		return player_stop(playing->player);
	case TRANSCRIPT_SERVER_LINE:
	case TRANSCRIPT_SERVER_BYTES:
	case TRANSCRIPT_SERVER_GLOB:
	case TRANSCRIPT_SERVER_END:
	case TRANSCRIPT_SERVER_RESET:
		break;
	}
	abort();
}

static int play_steps(struct playing *playing)
{
	const struct transcript *transcript = playing->transcript;
	size_t i = 0;
	int r;

	r = player_begin(playing->player);
	while (r == 0) {
		const size_t first = i;

		while (i < transcript->count && transcript_is_expected(&transcript->steps[i]))
			i++;
		r = compare(playing, first, i);
		if (r < 0 || i == transcript->count)
			break;
		if (player_end(playing->player) != END_NONE) {
			show_place(playing, i, _("the connection is closed before this\n"));
			break;
		}
		if (playing->differences >= DIFFERENCES_MAX) {
			show_place(playing, i, _("the rest was not played\n"));
			break;
		}
		while (r == 0 && i < transcript->count &&
		       !transcript_is_expected(&transcript->steps[i]))
			r = act(playing, &transcript->steps[i++]);
	}
	return r;
}

int play_transcript(struct script *script, const struct transcript *transcript, FILE *out)
{
	const struct player_setup setup = {
		.script = script,
		.conversation = 1,
		.seed = SEED,
		.realtime = clock_realtime(),
	};
	struct playing playing = {.transcript = transcript, .out = out};
	int r;

	r = player_new(&setup, &playing.player);
	if (r < 0)
		return r;
	r = play_steps(&playing);
	player_free(playing.player);
	return r < 0 ? r : playing.differences;
}
