/*
 * Framings that a responder declares (struct marcel_framing of marcel/responder.h): strict lines,
 * lines of several messages, raw, records, lengths in front, plain bytes. The contract is
 * framer_next()'s; see framer.h.
 *
 * At the end of input the bytes that are left are the last message, but those of one with a length
 * in front, which shows that it is not whole.
 */
#include <string.h>

#include "converse/framer.h"

/* What was configured holds whatever the responder declares. */
static size_t longest(const struct framer *framer)
{
	size_t max = framer->framing.max;

	return max != 0 && max < framer->message_max ? max : framer->message_max;
}

bool framing_makes_sense(const struct marcel_framing *framing)
{
	size_t prefix = framer_prefix(framing);

	switch (framing->kind) {
	case MARCEL_FRAMING_DEFAULT:
	case MARCEL_FRAMING_RAW:
		return true;
	case MARCEL_FRAMING_LINE:
		return framing->line_end <= MARCEL_LINE_CRLF;
	case MARCEL_FRAMING_RECORD:
	case MARCEL_FRAMING_BYTES:
		return framing->size > 0;
	case MARCEL_FRAMING_PREFIX:
		return prefix == 1 || prefix == 2 || prefix == 4;
	default:
		return false;
	}
}

static enum framer_result give(struct framer *framer, struct frame *ret, struct frame frame)
{
	*ret = frame;
	framer->scanned = 0;
	return FRAMER_MESSAGE;
}

/* Drops CONSUMED bytes without a message; the SCANNED that follow hold nothing of interest. */
static enum framer_result drop(struct framer *framer, struct frame *ret, size_t consumed,
			       size_t scanned, enum framer_result result)
{
	*ret = (struct frame){.start = consumed, .consumed = consumed};
	framer->scanned = scanned;
	return result;
}

/* Where the line end of the LENGTH bytes at BYTES begins, and its size; false: there is none. */
static bool find_line_end(const struct framer *framer, const char *bytes, size_t length,
			  size_t *ret_at, size_t *ret_size)
{
	size_t from = framer->scanned;

	while (from < length) {
		const char *found = memchr(bytes + from, '\n', length - from);
		size_t lf;
		bool cr;

		if (found == NULL)
			return false;
		lf = (size_t)(found - bytes);
		cr = lf > 0 && bytes[lf - 1] == '\r' && framer->framing.line_end != MARCEL_LINE_LF;
		if (cr || framer->framing.line_end != MARCEL_LINE_CRLF) {
			*ret_at = lf - cr;
			*ret_size = (size_t)cr + 1;
			return true;
		}
		from = lf + 1;
	}
	return false;
}

static void learn_line_end(struct framer *framer, size_t size)
{
	framer->mode = MODE_LINE;
	if (framer->framing.line_end == MARCEL_LINE_LF)
		framer->line_end = LINE_END_LF;
	else if (framer->framing.line_end == MARCEL_LINE_CRLF)
		framer->line_end = LINE_END_CRLF;
	else if (framer->line_end == LINE_END_UNKNOWN && size > 0)
		framer->line_end = size == 2 ? LINE_END_CRLF : LINE_END_LF;
}

/* How many of the LENGTH bytes at BYTES are blanks in front of something. */
static size_t blanks(const char *bytes, size_t length)
{
	size_t n = 0;

	while (n < length && (bytes[n] == ' ' || bytes[n] == '\t'))
		n++;
	return n;
}

/*
 * A message that ends at AT, where END bytes end it: a separator if PART. Of the parts of a line
 * the blanks in front don't count, and empty ones are none.
 */
static enum framer_result line(struct framer *framer, const char *bytes, size_t at, size_t end,
			       bool part, struct frame *ret)
{
	struct frame frame = {
		.consumed = at + end,
		.line_end = part ? 0 : end,
		.part = part,
	};

	if (framer->framing.split != 0) {
		frame.start = blanks(bytes, at);
		frame.blank = frame.start == at;
		if (frame.blank && part)
			return drop(framer, ret, frame.consumed, 0, FRAMER_SKIPPED);
	}
	frame.length = at - frame.start;
	if (frame.length > longest(framer))
		return FRAMER_TOO_LONG;
	return give(framer, ret, frame);
}

/* The rest of a line that was too long; it ends before END, or, if that is 0, later. */
static enum framer_result skip_line(struct framer *framer, const char *bytes, size_t length,
				    size_t end, struct frame *ret)
{
	framer->skipping = end == 0;
	if (end > 0)
		return drop(framer, ret, end, 0, FRAMER_SKIPPED);
	/* Half of a line end stays. */
	if (length > 0 && bytes[length - 1] == '\r')
		length--;
	return drop(framer, ret, length, 0, FRAMER_WAIT);
}

static enum framer_result next_line(struct framer *framer, const char *bytes, size_t length,
				    enum framer_input input, struct frame *ret)
{
	size_t at = length, size = 0, least = length;
	bool ends = find_line_end(framer, bytes, length, &at, &size);
	const char *found;

	learn_line_end(framer, size);
	if (framer->skipping)
		return skip_line(framer, bytes, length, ends ? at + size : 0, ret);
	if (framer->framing.split != 0 && at > framer->scanned) {
		found = memchr(bytes + framer->scanned, framer->framing.split,
			       at - framer->scanned);
		if (found != NULL)
			return line(framer, bytes, (size_t)(found - bytes), 1, true, ret);
	}
	if (ends)
		return line(framer, bytes, at, size, false, ret);
	if (input == FRAMER_END && length > 0)
		return line(framer, bytes, length, 0, false, ret);
	if (framer->framing.split != 0) {
		size_t front = blanks(bytes, length);

		if (front > 0)
			return drop(framer, ret, front, length - front, FRAMER_WAIT);
	}
	/* A CR at the end may belong to the line end. */
	if (length > 0 && bytes[length - 1] == '\r' && input != FRAMER_END &&
	    framer->framing.line_end != MARCEL_LINE_LF)
		least--;
	if (least > longest(framer))
		return FRAMER_TOO_LONG;
	return drop(framer, ret, 0, length, FRAMER_WAIT);
}

/* Whatever there is, up to MAX bytes. */
static enum framer_result next_piece(struct framer *framer, size_t length, size_t max,
				     struct frame *ret)
{
	size_t take = length < max ? length : max;

	if (take == 0)
		return drop(framer, ret, 0, 0, FRAMER_WAIT);
	return give(framer, ret, (struct frame){.length = take, .consumed = take});
}

static enum framer_result next_record(struct framer *framer, size_t length, enum framer_input input,
				      struct frame *ret)
{
	uint64_t size = framer->framing.size;

	if (size == 0 || size > DIALOGUE_MESSAGE_MAX)
		size = DIALOGUE_MESSAGE_MAX;
	if (length < size && (input != FRAMER_END || length == 0))
		return drop(framer, ret, 0, 0, FRAMER_WAIT);
	return next_piece(framer, length, (size_t)size, ret);
}

static enum framer_result next_prefixed(struct framer *framer, const char *bytes, size_t length,
					enum framer_input input, struct frame *ret)
{
	size_t prefix = framer_prefix(&framer->framing);
	uint64_t skip = framer->framing.size >> 8;
	uint64_t size = 0;

	if (skip > 0) {
		uint64_t now = skip < length ? skip : length;

		framer->framing.size = prefix | (skip - now) << 8;
		return drop(framer, ret, (size_t)now, 0, now < skip ? FRAMER_WAIT : FRAMER_SKIPPED);
	}
	for (size_t i = 0; i < prefix && i < length; i++)
		size = size << 8 | (uint8_t)bytes[i];
	if (length >= prefix && size > longest(framer))
		return FRAMER_TOO_LONG;
	if (length < prefix || length - prefix < size)
		return drop(framer, ret, input == FRAMER_END ? length : 0, 0, FRAMER_WAIT);
	return give(framer, ret,
		    (struct frame){.start = prefix,
				   .length = (size_t)size,
				   .consumed = prefix + (size_t)size});
}

enum framer_result framer_next_declared(struct framer *framer, const char *bytes, size_t length,
					enum framer_input input, struct frame *ret)
{
	switch (framer->framing.kind) {
	case MARCEL_FRAMING_LINE:
		return next_line(framer, bytes, length, input, ret);
	case MARCEL_FRAMING_PREFIX:
		framer->mode = MODE_RAW_ONLY;
		return next_prefixed(framer, bytes, length, input, ret);
	case MARCEL_FRAMING_RECORD:
		framer->mode = MODE_RAW_ONLY;
		return next_record(framer, length, input, ret);
	case MARCEL_FRAMING_BYTES:
		/* Replies go on as under the framing before, so what is known of that stays. */
		return next_piece(framer, length,
				  framer->framing.size < DIALOGUE_MESSAGE_MAX
					  ? (size_t)framer->framing.size
					  : DIALOGUE_MESSAGE_MAX,
				  ret);
	case MARCEL_FRAMING_RAW:
	default:
		framer->mode = MODE_RAW_ONLY;
		return next_piece(framer, length, longest(framer), ret);
	}
}
