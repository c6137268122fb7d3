/* Finding messages in bytes; the rules are in framer.h. */
#include "converse/framer.h"

#include <string.h>

static enum framer_result message(struct framer *framer, struct frame *ret, struct frame frame)
{
	*ret = frame;
	framer->scanned = 0;
	return FRAMER_MESSAGE;
}

/* Nothing to deliver; SKIP bytes at the front are of no use and LENGTH were looked at. */
static enum framer_result wait_for_more(struct framer *framer, struct frame *ret, size_t skip,
					size_t length, enum framer_result result)
{
	*ret = (struct frame){.start = skip, .length = 0, .consumed = skip};
	framer->scanned = length - skip;
	return result;
}

/* The line that ends with the LF at bytes[LF]; it begins at START. */
static enum framer_result line(struct framer *framer, const char *bytes, size_t start, size_t lf,
			       struct frame *ret)
{
	bool cr = lf > start && bytes[lf - 1] == '\r';
	size_t length = lf - start - cr;

	framer->mode = MODE_LINE;
	framer->after_raw = false;
	if (framer->line_end == LINE_END_UNKNOWN)
		framer->line_end = cr ? LINE_END_CRLF : LINE_END_LF;
	if (length > framer->message_max)
		return FRAMER_TOO_LONG;
	return message(framer, ret,
		       (struct frame){.start = start,
				      .length = length,
				      .consumed = lf + 1,
				      .line_end = (size_t)cr + 1});
}

/* Bytes without LF, in a mode that waits for one: is it time to stop waiting? */
static enum framer_result unfinished(struct framer *framer, const char *bytes, size_t start,
				     size_t length, enum framer_input input, struct frame *ret)
{
	size_t rest = length - start;
	bool waits = framer->mode == MODE_LINE ? input != FRAMER_END : input == FRAMER_MORE_TO_COME;
	/* While there is something to wait for, a CR at the end may belong to a line end. */
	size_t least = rest > 0 && waits && bytes[length - 1] == '\r' ? rest - 1 : rest;

	if (least > framer->message_max)
		return FRAMER_TOO_LONG;
	if (rest == 0)
		return wait_for_more(framer, ret, start, length, FRAMER_WAIT);
	if (input == FRAMER_END) {
		framer->mode = MODE_LINE;
		return message(framer, ret,
			       (struct frame){.start = start, .length = rest, .consumed = length});
	}
	if (framer->mode == MODE_LINE)
		return wait_for_more(framer, ret, start, length, FRAMER_WAIT);
	if (input == FRAMER_MORE_TO_COME)
		return wait_for_more(framer, ret, start, length, FRAMER_PAUSE);
	framer->mode = MODE_RAW;
	framer->after_raw = true;
	return message(framer, ret,
		       (struct frame){.start = start, .length = rest, .consumed = length});
}

/* Raw bytes: all of them are one message, up to the longest there may be. */
static enum framer_result raw(struct framer *framer, size_t length, struct frame *ret)
{
	size_t take = length < framer->message_max ? length : framer->message_max;

	if (length == 0)
		return wait_for_more(framer, ret, 0, 0, FRAMER_WAIT);
	framer->after_raw = framer->mode == MODE_RAW;
	return message(framer, ret, (struct frame){.length = take, .consumed = take});
}

/*
 * The late line end of a message that was already answered as raw: how many bytes at the front
 * are it. With UNDECIDED set, it is a CR whose LF may still come.
 */
static size_t late_line_end(const char *bytes, size_t length, bool *ret_undecided)
{
	*ret_undecided = length == 1 && bytes[0] == '\r';
	if (length >= 1 && bytes[0] == '\n')
		return 1;
	if (length >= 2 && bytes[0] == '\r' && bytes[1] == '\n')
		return 2;
	return 0;
}

/* The rest of a line that was too long, up to its end. */
static enum framer_result skip_line(struct framer *framer, const char *bytes, size_t length,
				    struct frame *ret)
{
	const char *lf = length > 0 ? memchr(bytes, '\n', length) : NULL;

	framer->mode = MODE_LINE;
	if (lf == NULL)
		return wait_for_more(framer, ret, length, length, FRAMER_WAIT);
	framer->skipping = false;
	return wait_for_more(framer, ret, (size_t)(lf - bytes) + 1, (size_t)(lf - bytes) + 1,
			     FRAMER_SKIPPED);
}

void framer_skip(struct framer *framer, const char *bytes, size_t length)
{
	size_t prefix = framer_prefix(&framer->framing);
	uint64_t total = 0;

	framer->scanned = 0;
	if (framer->framing.kind != MARCEL_FRAMING_PREFIX) {
		framer->skipping = true;
		return;
	}
	if (length < prefix)
		return;
	for (size_t i = 0; i < prefix; i++)
		total = total << 8 | (uint8_t)bytes[i];
	framer->framing.size = prefix | (total + prefix) << 8;
}

enum framer_result framer_next(struct framer *framer, const char *bytes, size_t length,
			       enum framer_input input, struct frame *ret)
{
	size_t start = 0;
	const char *lf;

	/* What comes after it may be framed otherwise. */
	if (framer->skipping && framer->framing.kind != MARCEL_FRAMING_LINE)
		return skip_line(framer, bytes, length, ret);
	if (framer->framing.kind != MARCEL_FRAMING_DEFAULT)
		return framer_next_declared(framer, bytes, length, input, ret);
	if (framer->mode == MODE_RAW_ONLY)
		return raw(framer, length, ret);
	if (framer->mode == MODE_RAW && framer->after_raw) {
		bool undecided;

		start = late_line_end(bytes, length, &undecided);
		if (undecided && input == FRAMER_MORE_TO_COME)
			return wait_for_more(framer, ret, 0, length, FRAMER_PAUSE);
		if (start > 0) {
			framer->mode = MODE_LINE;
			framer->after_raw = false;
			framer->scanned = 0;
			if (framer->line_end == LINE_END_UNKNOWN)
				framer->line_end = start == 2 ? LINE_END_CRLF : LINE_END_LF;
		}
	}
	lf = NULL;
	if (length > start + framer->scanned)
		lf = memchr(bytes + start + framer->scanned, '\n',
			    length - start - framer->scanned);
	if (lf != NULL)
		return line(framer, bytes, start, (size_t)(lf - bytes), ret);
	if (framer->mode == MODE_RAW)
		return raw(framer, length, ret);
	return unfinished(framer, bytes, start, length, input, ret);
}
