/*
 * Declared framings (marcel/responder.h) over any bytes: a message lies within the bytes given and
 * is no longer than allowed, the framer never stands still, and where reads mean nothing the
 * messages are the same however the bytes are cut.
 *
 * The input: a byte each for kind and line end, separator and flags, the longest message, the size,
 * the size of pieces; then the bytes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "converse/framer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* NOLINT(*-identifier-naming) */

#define OPTIONS 5

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* What a dialogue came to: a sum over its messages, and how many bytes are left. */
struct sum {
	uint64_t hash;
	uint64_t messages;
	size_t left;
};

static void add(struct sum *sum, const uint8_t *bytes, const struct frame *frame)
{
	sum->messages++;
	for (size_t i = 0; i < frame->length; i++)
		sum->hash = (sum->hash ^ bytes[frame->start + i]) * UINT64_C(1099511628211);
	sum->hash =
		(sum->hash ^ (frame->part ? 300U : 400U) ^ frame->blank) * UINT64_C(1099511628211);
}

/* One call, with bytes that end where their memory does. */
static enum framer_result call(struct framer *framer, const uint8_t *bytes, size_t length,
			       enum framer_input input, struct frame *ret)
{
	char *copy = malloc(length > 0 ? length : 1);
	enum framer_result result;

	check(copy != NULL);
	if (length > 0)
		memcpy(copy, bytes, length);
	result = framer_next(framer, copy, length, input, ret);
	if (result == FRAMER_TOO_LONG)
		framer_skip(framer, copy, length);
	free(copy);
	return result;
}

static struct sum play(struct framer framer, const uint8_t *bytes, size_t size, size_t piece)
{
	struct sum sum = {.messages = 0};
	size_t from = 0, to = 0;
	unsigned idle = 0;

	for (;;) {
		enum framer_input input = to == size ? FRAMER_END : FRAMER_MORE_TO_COME;
		struct frame frame = {.consumed = 0};
		enum framer_result result = call(&framer, bytes + from, to - from, input, &frame);

		check(frame.consumed <= to - from);
		check(framer.scanned <= to - from - frame.consumed);
		if (result == FRAMER_MESSAGE) {
			check(frame.start + frame.length + frame.line_end <= frame.consumed);
			check(frame.length <= DIALOGUE_MESSAGE_MAX);
			add(&sum, bytes + from, &frame);
		}
		idle = frame.consumed > 0 ? 0 : idle + 1;
		from += frame.consumed;
		if (result == FRAMER_WAIT) {
			if (input == FRAMER_END)
				break;
			to += piece < size - to ? piece : size - to;
			idle = 0;
		}
		/* Too long, skipped: two calls without a byte at most. */
		check(idle < 3);
	}
	sum.left = to - from;
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) /* NOLINT(*-identifier-naming) */
{
	static const uint8_t widths[] = {1, 2, 4, 4};
	struct framer framer = {.message_max = 64};
	struct sum whole, cut;

	if (size < OPTIONS)
		return 0;
	framer.framing = (struct marcel_framing){
		.kind = (uint8_t)(1 + data[0] % MARCEL_FRAMING_BYTES),
		.line_end = (uint8_t)(data[0] / 8 % 3),
		.split = data[1],
		.flags = data[1] & 1,
		.max = data[2],
		.size = data[3],
	};
	if (framer.framing.kind == MARCEL_FRAMING_PREFIX)
		framer.framing.size = widths[data[3] % 4];
	/* A separator is no part of a line end: the language refuses that. */
	if (data[1] == '\r' || data[1] == '\n')
		framer.framing.split = 0;
	whole = play(framer, data + OPTIONS, size - OPTIONS, size);
	cut = play(framer, data + OPTIONS, size - OPTIONS, 1U + data[4]);
	if (framer.framing.kind == MARCEL_FRAMING_RAW ||
	    framer.framing.kind == MARCEL_FRAMING_BYTES)
		return 0;
	check(whole.hash == cut.hash && whole.messages == cut.messages && whole.left == cut.left);
	return 0;
}
