/*
 * Replies to several messages that were sent in one go, given back to each of them.
 *
 * Where a client sends many commands without waiting (RFC 2920), the replies come together behind
 * the last one. If all of them are replies with codes ("250-more", "250 last"), and they are as
 * many as the messages, it is known which answers which: the script then also serves a client that
 * waits.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "marcelctl/cut.h"

#define CODE_DIGITS 3

static bool is_code(const char *text)
{
	for (size_t i = 0; i < CODE_DIGITS; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
	}
	return true;
}

/*
 * The length of the reply with a code that begins at TEXT, its line ends included; 0 if there is
 * none.
 */
static size_t reply_length(enum cut_framing framing, const char *text, size_t length)
{
	size_t done = 0;

	for (;;) {
		const char *line = text + done;
		size_t used;
		const ssize_t n = cut_line(framing, line, length - done, &used);

		if (n < CODE_DIGITS || !is_code(line))
			return 0;
		done += used;
		if (n == CODE_DIGITS || line[CODE_DIGITS] == ' ')
			return done;
		if (line[CODE_DIGITS] != '-')
			return 0;
	}
}

/* Whether SAID is just so many replies with codes as WANTED. */
static bool has_replies(enum cut_framing framing, const struct piece *said, size_t wanted)
{
	size_t done = 0;
	size_t count = 0;

	while (done < said->length) {
		const size_t n = reply_length(framing, said->bytes + done, said->length - done);

		if (n == 0)
			return false;
		done += n;
		count++;
	}
	return count == wanted;
}

static bool wants_reply(const struct piece *piece)
{
	return piece->kind == PIECE_LINE || piece->kind == PIECE_TEXT;
}

/* Puts what was SAID behind the messages FROM to END - 1, and returns where the next piece goes. */
static struct piece *give(enum cut_framing framing, const struct piece *from,
			  const struct piece *end, struct piece said, struct piece *to)
{
	for (; from < end; from++) {
		const size_t n = reply_length(framing, said.bytes, said.length);

		*to++ = *from;
		*to = said;
		to++->length = n;
		said.bytes += n;
		said.length -= n;
		said.gap = 0;
	}
	return to;
}

int cut_replies(struct cut *cut)
{
	struct piece *pieces = calloc(2 * cut->count + 1, sizeof(*pieces));
	struct piece *to = pieces;
	size_t run = 0; /* messages that stand at the end of what was put out, without a reply */

	if (pieces == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < cut->count; i++) {
		const struct piece *piece = &cut->pieces[i];

		if (wants_reply(piece)) {
			run++;
			*to++ = *piece;
			continue;
		}
		if (run > 1 && piece->kind == PIECE_SAID && has_replies(cut->framing, piece, run))
			to = give(cut->framing, piece - run, piece, *piece, to - run);
		else
			*to++ = *piece;
		run = 0;
	}
	free(cut->pieces);
	cut->room = 2 * cut->count + 1;
	cut->count = (size_t)(to - pieces);
	cut->pieces = pieces;
	return 0;
}
