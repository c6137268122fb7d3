/*
 * The script of a dialogue, as the tests of the commit protocol play it: what the client sends and
 * in which pieces, what it has to see, and every state in which the slot may be found on the way.
 */
#pragma once

#include "converse/slot.h"
#include "pairs.h"
#include "tally.h"

#define POINTS_MAX 200
#define PIECES_MAX 100

/* What may be found: the slot after one commit. */
struct point {
	uint64_t in_taken;
	uint64_t out_end;
	uint8_t phase;
	struct tally tally;
	bool taken; /* another responder has it, with that tally */
	struct tally below;
};

/* Bytes that the client sends at once, when this many points have been reached. */
struct piece {
	size_t end; /* in the input */
	size_t after;
};

struct script {
	struct text in;
	struct text out;
	struct tally tally;
	bool taken;
	struct tally below; /* who is suspended has this */
	struct point points[POINTS_MAX];
	size_t n_points;
	struct piece pieces[PIECES_MAX];
	size_t n_pieces;
	size_t cut_at; /* the point that had been reached at the last cut */
	enum slot_mode mode;
	bool ends; /* the client closes its sending side after the last piece */
};

static inline void add_point(struct script *script, uint64_t in_taken, enum slot_phase phase)
{
	assert_true(script->n_points < POINTS_MAX);
	script->points[script->n_points++] = (struct point){
		.in_taken = in_taken,
		.out_end = script->out.used,
		.phase = (uint8_t)phase,
		.tally = script->tally,
		.taken = script->taken,
		.below = script->below,
	};
}

static inline void begin_script(struct script *script, enum slot_mode mode)
{
	*script = (struct script){.mode = mode};
	add_point(script, 0, PHASE_GREETING);
	text_add(&script->out, "hello\n", 6);
	add_point(script, 0, PHASE_DIALOGUE);
}

static inline void end_script(struct script *script)
{
	text_done(&script->in);
	text_done(&script->out);
}

/* All input since the last cut is one piece, sent once every turn before it is over. */
static inline void cut(struct script *script)
{
	assert_true(script->n_pieces < PIECES_MAX);
	script->pieces[script->n_pieces++] =
		(struct piece){.end = script->in.used, .after = script->cut_at};
	script->cut_at = script->n_points - 1;
}

/* The same, but it is sent as soon as what was sent before has been read. */
static inline void cut_at_once(struct script *script)
{
	cut(script);
	script->pieces[script->n_pieces - 1].after = 0;
}

/* Replies of raw conversations have no line end. */
static inline int raw_put(void *to, const char *bytes, size_t length, bool ends)
{
	(void)ends;
	text_add(to, bytes, length);
	return 0;
}

/* Adds the turns that answer the LENGTH bytes at MESSAGE, with which the input up to END is done.
 */
static inline void answer(struct script *script, const char *message, size_t length, uint64_t end)
{
	uint64_t taken = script->points[script->n_points - 1].in_taken;
	tally_put *put = script->mode == MODE_LINE ? text_put : raw_put;

	while (tally_answer(&script->tally, message, length, put, &script->out) == MARCEL_AGAIN)
		add_point(script, taken, PHASE_DIALOGUE);
	add_point(script, end, PHASE_DIALOGUE);
}

static inline void line(struct script *script, const char *message)
{
	text_add(&script->in, message, strlen(message));
	text_add(&script->in, "\n", 1);
	answer(script, message, strlen(message), script->in.used);
}

/* A line of LENGTH bytes, sent in pieces of SIZE. */
static inline void long_line(struct script *script, size_t length, size_t size)
{
	char message[8192];

	assert_true(length <= sizeof(message));
	for (size_t i = 0; i < length; i++)
		message[i] = (char)('a' + (i + length) % 26);
	for (size_t i = 0; i < length; i += size) {
		text_add(&script->in, message + i, length - i < size ? length - i : size);
		if (i + size < length)
			cut_at_once(script);
	}
	text_add(&script->in, "\n", 1);
	answer(script, message, length, script->in.used);
}

/* A line that makes an operator take the conversation, right after it is answered. It must be the
 * last one of its piece. */
static inline void take(struct script *script)
{
	line(script, "take");
	script->below = script->tally;
	script->tally = (struct tally){.count = 0};
	script->taken = true;
	add_point(script, script->in.used, PHASE_DIALOGUE);
}

/* The same, and it is given back. */
static inline void give_back(struct script *script)
{
	line(script, "give");
	script->tally = script->below;
	script->below = (struct tally){.count = 0};
	script->taken = false;
	add_point(script, script->in.used, PHASE_DIALOGUE);
}

/* The dialogue is over; INPUT_END is where the input is done with. */
static inline void part(struct script *script, uint64_t input_end)
{
	add_point(script, input_end, PHASE_PARTING);
	text_add(&script->out, "fin\n", script->mode == MODE_LINE ? 4 : 3);
	add_point(script, input_end, PHASE_FAREWELL);
	add_point(script, input_end, PHASE_LINGER);
}
