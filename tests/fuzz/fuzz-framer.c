/*
 * Any bytes in any pieces, with silence and the end at any place: a message lies within the bytes
 * given, is never longer than allowed, each one takes bytes away, and nothing is left at the end.
 *
 * The input: a byte for the mode, one for message_max, then pieces: a byte that says what follows
 * the piece (its two lowest bits) and how long it is (the others), and its bytes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "converse/framer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* NOLINT(*-identifier-naming) */

/* What a conversation would hold: the framer and the bytes that were not consumed. */
struct feed {
	struct framer framer;
	uint8_t *bytes;
	size_t length;
};

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_message(const struct feed *feed, enum slot_mode mode, const struct frame *frame)
{
	const uint8_t *bytes = feed->bytes + frame->start;
	const uint8_t *end = feed->bytes + frame->consumed;

	check(frame->consumed > 0);
	check(frame->length <= feed->framer.message_max);
	check(frame->start + frame->length <= frame->consumed);
	check(feed->framer.scanned == 0);
	if (mode == MODE_RAW_ONLY) {
		check(feed->framer.mode == MODE_RAW_ONLY);
		check(frame->start == 0 && frame->length == frame->consumed);
		return;
	}
	/* No LF is part of a message; nothing but a line end follows one. */
	check(frame->length == 0 || memchr(bytes, '\n', frame->length) == NULL);
	bytes += frame->length;
	check(bytes == end || (end - bytes == 1 && bytes[0] == '\n') ||
	      (end - bytes == 2 && bytes[0] == '\r' && bytes[1] == '\n'));
}

/* Calls the framer once, with bytes that end where their memory does. */
static enum framer_result call(struct feed *feed, enum framer_input input)
{
	const struct frame untouched = {.start = 11, .length = 22, .consumed = 33};
	uint8_t *copy = malloc(feed->length > 0 ? feed->length : 1);
	enum slot_mode mode = feed->framer.mode;
	struct frame frame = untouched;
	enum framer_result result;

	check(copy != NULL);
	if (feed->length > 0)
		memcpy(copy, feed->bytes, feed->length);
	result = framer_next(&feed->framer, (const char *)copy, feed->length, input, &frame);
	free(copy);
	check(feed->framer.mode != MODE_UNDECIDED || mode == MODE_UNDECIDED);
	check(mode != MODE_LINE || feed->framer.mode == MODE_LINE);
	if (result == FRAMER_TOO_LONG) {
		check(frame.start == untouched.start && frame.length == untouched.length &&
		      frame.consumed == untouched.consumed);
		check(feed->length > feed->framer.message_max);
		return result;
	}
	check(frame.consumed <= feed->length);
	if (result == FRAMER_MESSAGE)
		check_message(feed, mode, &frame);
	else
		check(feed->framer.scanned <= feed->length - frame.consumed);
	check(result != FRAMER_PAUSE || input == FRAMER_MORE_TO_COME);
	feed->bytes += frame.consumed;
	feed->length -= frame.consumed;
	return result;
}

/* Takes all messages that there are. Returns false when one is too long. */
static bool take_all(struct feed *feed, enum framer_input input)
{
	enum framer_result result;

	while ((result = call(feed, input)) == FRAMER_MESSAGE)
		if (input == FRAMER_QUIET)
			input = FRAMER_MORE_TO_COME;
	check(result == FRAMER_TOO_LONG || input != FRAMER_END || feed->length == 0);
	return result != FRAMER_TOO_LONG;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) /* NOLINT(*-identifier-naming) */
{
	uint8_t *bytes = malloc(size > 0 ? size : 1);
	struct feed feed = {.bytes = bytes};
	bool going = true;

	check(bytes != NULL);
	if (size < 2) {
		free(bytes);
		return 0;
	}
	feed.framer.mode = (enum slot_mode)(data[0] % MODE_COUNT);
	feed.framer.after_raw = feed.framer.mode == MODE_RAW && data[0] >= 128;
	feed.framer.message_max = (size_t)data[1] + 1;
	for (size_t at = 2; going && at < size;) {
		size_t length = data[at] >> 2;
		enum framer_input input = (data[at] & 3) == 1 ? FRAMER_QUIET : FRAMER_MORE_TO_COME;

		at++;
		if (length > size - at)
			length = size - at;
		memcpy(feed.bytes + feed.length, data + at, length);
		feed.length += length;
		at += length;
		going = take_all(&feed, input);
	}
	if (going)
		(void)take_all(&feed, FRAMER_END);
	free(bytes);
	return 0;
}
