/*
 * Cutting an exchange; see cut.h.
 *
 * Some protocols announce data in a message: `{123}` at a line's end (IMAP), a Content-Length
 * before an empty line (HTTP and others). The bytes announced are a piece, whatever is in them. A
 * mail's text is not announced, but it is lines that nobody answers up to one that is "." alone.
 */
#include "marcelctl/cut.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * Bytes without a line end are the beginning of a line that is still on its way, if the rest of it
 * comes so soon; else they are all the client had to say.
 */
#define REST_SOON (200 * USEC_PER_MSEC)

/* An announcement of more than this is none. */
#define ANNOUNCED_MAX ((size_t)1024 * 1024 * 1024)

struct cutting {
	const struct exchange *exchange;
	struct cut *cut;
	size_t seen;     /* bytes of the client that came so far */
	size_t taken;    /* bytes that are in pieces */
	size_t promised; /* Content-Length, until the empty line */
	size_t wanted;   /* bytes that were announced: they come next */
	bool closed;     /* by the server */
};

const char *cut_line_end(enum cut_framing framing)
{
	switch (framing) {
	case CUT_LF:
		return "\n";
	case CUT_CRLF:
		return "\r\n";
	case CUT_RAW:
		return "";
	}
	abort();
}

ssize_t cut_line(enum cut_framing framing, const char *text, size_t length, size_t *ret_used)
{
	const char *line_end = cut_line_end(framing);
	const char *end;

	if (framing == CUT_RAW || length == 0)
		return -1;
	end = memmem(text, length, line_end, strlen(line_end));
	if (end == NULL)
		return -1;
	*ret_used = (size_t)(end - text) + strlen(line_end);
	return end - text;
}

bool piece_is_trigger(const struct piece *piece)
{
	return piece->kind == PIECE_LINE || piece->kind == PIECE_RAW || piece->kind == PIECE_END ||
	       piece->kind == PIECE_STOP;
}

void cut_done(struct cut *cut)
{
	free(cut->pieces);
	cut->pieces = NULL;
	cut->count = 0;
	cut->room = 0;
}

static int add(struct cut *cut, enum piece_kind kind, const char *bytes, size_t length, usec_t gap)
{
	if (cut->count == cut->room) {
		const size_t room = cut->room > 0 ? 2 * cut->room : 64;
		struct piece *more = reallocarray(cut->pieces, room, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		cut->pieces = more;
		cut->room = room;
	}
	cut->pieces[cut->count++] =
		(struct piece){.kind = kind, .bytes = bytes, .length = length, .gap = gap};
	if ((kind == PIECE_LINE || kind == PIECE_RAW) && length > cut->longest)
		cut->longest = length;
	return 0;
}

/* The first line tells how lines end; zeros, or no line at all, that there are none. */
static enum cut_framing framing_of(const struct stream *client)
{
	const char *lf;

	if (client->length == 0)
		return CUT_CRLF;
	lf = memchr(client->bytes, '\n', client->length);
	if (lf == NULL || memchr(client->bytes, '\0', (size_t)(lf - client->bytes)) != NULL)
		return CUT_RAW;
	return lf > client->bytes && lf[-1] == '\r' ? CUT_CRLF : CUT_LF;
}

static size_t read_number(const char *text, const char *end, const char **ret_after)
{
	size_t number = 0;

	while (text < end && *text >= '0' && *text <= '9' && number <= ANNOUNCED_MAX)
		number = number * 10 + (size_t)(*text++ - '0');
	*ret_after = text;
	return number <= ANNOUNCED_MAX ? number : 0;
}

/* What the end of a line announces: {123} or {123+}; 0 if nothing. */
static size_t literal_of(const char *line, size_t length)
{
	const char *open = memrchr(line, '{', length);
	const char *end = line + length;
	const char *after;
	size_t number;

	if (open == NULL)
		return 0;
	number = read_number(open + 1, end, &after);
	if (after == open + 1)
		return 0;
	if (after < end && *after == '+')
		after++;
	return end - after == 1 && *after == '}' ? number : 0;
}

static void take_announcement(struct cutting *cutting, const char *line, size_t length)
{
	static const char header[] = "content-length:";
	const size_t skipped = sizeof(header) - 1;

	if (length == 0) {
		cutting->wanted = cutting->promised;
		cutting->promised = 0;
	} else if (length > skipped && strncasecmp(line, header, skipped) == 0) {
		const char *end = line + length;
		const char *digits = line + skipped;

		while (digits < end && *digits == ' ')
			digits++;
		cutting->promised = read_number(digits, end, &digits);
	} else {
		cutting->wanted = literal_of(line, length);
	}
}

/* Makes pieces of what the client has sent so far, as far as they are whole. */
static int cut_client(struct cutting *cutting)
{
	struct cut *cut = cutting->cut;
	int r = 0;

	while (r == 0 && cutting->taken < cutting->seen) {
		const char *bytes = cutting->exchange->client.bytes + cutting->taken;
		const size_t left = cutting->seen - cutting->taken;
		size_t used = left;
		ssize_t length;

		if (cut->framing == CUT_RAW) {
			r = add(cut, PIECE_RAW, bytes, left, 0);
		} else if (cutting->wanted > 0) {
			if (left < cutting->wanted)
				return 0;
			used = cutting->wanted;
			cutting->wanted = 0;
			r = add(cut, PIECE_BYTES, bytes, used, 0);
		} else {
			length = cut_line(cut->framing, bytes, left, &used);
			if (length < 0)
				return 0;
			take_announcement(cutting, bytes, (size_t)length);
			r = add(cut, PIECE_LINE, bytes, (size_t)length, 0);
		}
		cutting->taken += used;
	}
	return r;
}

/* Whether the client goes on soon after EVENT with what it has begun. */
static bool goes_on(const struct exchange *exchange, const struct exchange_event *event)
{
	const struct exchange_event *end = exchange->events + exchange->count;
	usec_t since = event->when;

	for (const struct exchange_event *e = exchange->events; e < event; e++) {
		if (e->kind == EXCHANGE_CLIENT)
			since = e->until;
	}
	for (event++; event < end; event++) {
		if (event->kind == EXCHANGE_CLIENT)
			return event->when < since + REST_SOON;
	}
	return false;
}

/* Makes a piece of what has no line end, for the server answers to it. */
static int cut_rest(struct cutting *cutting, enum piece_kind kind)
{
	const char *bytes = cutting->exchange->client.bytes + cutting->taken;
	const size_t left = cutting->seen - cutting->taken;

	cutting->taken = cutting->seen;
	cutting->wanted = 0;
	return left > 0 ? add(cutting->cut, kind, bytes, left, 0) : 0;
}

static int cut_server(struct cutting *cutting, const struct exchange_event *event, usec_t gap)
{
	struct cut *cut = cutting->cut;
	struct piece *last;
	int r = 0;

	if (cutting->taken < cutting->seen && !goes_on(cutting->exchange, event))
		r = cut_rest(cutting, PIECE_BYTES);
	if (r < 0)
		return r;
	last = cut->count > 0 ? &cut->pieces[cut->count - 1] : NULL;
	if (last != NULL && last->kind == PIECE_SAID && gap == 0) {
		last->length += event->to - event->from;
		return 0;
	}
	return add(cut, PIECE_SAID, cutting->exchange->server.bytes + event->from,
		   event->to - event->from, gap);
}

static int cut_event(struct cutting *cutting, const struct exchange_event *event,
		     const struct exchange_event *before)
{
	const usec_t silence =
		before != NULL && event->when > before->until ? event->when - before->until : 0;
	/* How long somebody took to answer is not worth keeping, but a server that speaks again
	 * has a reason to wait. */
	const usec_t gap = before != NULL && before->kind == EXCHANGE_SERVER && silence >= CUT_GAP
				   ? silence
				   : 0;
	int r;

	if (cutting->closed)
		return 0;
	switch (event->kind) {
	case EXCHANGE_CLIENT:
		if (silence > cutting->cut->pause)
			cutting->cut->pause = silence;
		cutting->seen = event->to;
		return cut_client(cutting);
	case EXCHANGE_SERVER:
		return cut_server(cutting, event, gap);
	case EXCHANGE_CLIENT_END:
		r = cut_rest(cutting, PIECE_RAW);
		return r < 0 ? r : add(cutting->cut, PIECE_END, NULL, 0, 0);
	case EXCHANGE_STOP:
		r = cut_rest(cutting, PIECE_RAW);
		return r < 0 ? r : add(cutting->cut, PIECE_STOP, NULL, 0, 0);
	case EXCHANGE_SERVER_END:
	case EXCHANGE_RESET:
		cutting->closed = true;
		r = cut_rest(cutting, PIECE_BYTES);
		return r < 0 ? r
			     : add(cutting->cut,
				   event->kind == EXCHANGE_RESET ? PIECE_RESET : PIECE_CLOSED, NULL,
				   0, gap);
	}
	abort();
}

static bool is_dot(const struct piece *piece)
{
	return piece->kind == PIECE_LINE && piece->length == 1 && piece->bytes[0] == '.';
}

/* If a text begins at piece FIRST, after what the server SAID: the piece after it; else FIRST. */
static size_t end_of_text(const struct cut *cut, size_t first, const struct piece *said)
{
	size_t i = first;

	while (i < cut->count && cut->pieces[i].kind == PIECE_LINE && !is_dot(&cut->pieces[i]))
		i++;
	if (i == cut->count || !is_dot(&cut->pieces[i]))
		return first;
	/* "." alone is an empty text only if one was asked for (RFC 5321, 354; RFC 3977, 340). */
	if (i == first && (said->length == 0 || said->bytes[0] != '3'))
		return first;
	return i + 1;
}

/* Folds the lines of texts into pieces of their own. */
static void fold_texts(struct cut *cut)
{
	size_t to = 0;

	if (cut->framing == CUT_RAW)
		return;
	for (size_t i = 0; i < cut->count; i++) {
		const struct piece *said = to > 0 ? &cut->pieces[to - 1] : NULL;
		struct piece piece = cut->pieces[i];
		size_t end = i;

		if (said != NULL && said->kind == PIECE_SAID)
			end = end_of_text(cut, i, said);
		if (end > i) {
			const struct piece *dot = &cut->pieces[end - 1];

			piece.kind = PIECE_TEXT;
			piece.length = (size_t)(dot->bytes - piece.bytes) + dot->length +
				       strlen(cut_line_end(cut->framing));
			i = end - 1;
		}
		cut->pieces[to++] = piece;
	}
	cut->count = to;
}

int cut_exchange(const struct exchange *exchange, const enum cut_framing *framing,
		 struct cut *ret_cut)
{
	struct cut cut = {.framing = framing != NULL ? *framing : framing_of(&exchange->client)};
	struct cutting cutting = {.exchange = exchange, .cut = &cut};
	int r = 0;

	for (size_t i = 0; i < exchange->count && r == 0; i++) {
		const struct exchange_event *event = &exchange->events[i];

		r = cut_event(&cutting, event, i > 0 ? event - 1 : NULL);
	}
	if (r == 0 && !cutting.closed)
		r = cut_rest(&cutting, PIECE_BYTES);
	if (r == 0) {
		fold_texts(&cut);
		r = cut_replies(&cut);
	}
	if (r < 0) {
		cut_done(&cut);
		return r;
	}
	*ret_cut = cut;
	return 0;
}
