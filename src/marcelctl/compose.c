/*
 * Composing a script and a transcript; see compose.h.
 *
 * Each message begins a turn: the pieces that follow it up to the next one. Turns that begin with
 * the same message are one rule. What follows is written as text, and turns whose texts are the
 * same are one way of answering.
 */
#include "marcelctl/compose.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "marcelctl/quote.h"
#include "marcelctl/transcript.h"

/* Bytes of one `send`; longer ones are not nice to read. */
#define SEND_MAX ((size_t)1024)
/* A line longer than this is not said as one. */
#define SAY_MAX ((size_t)32 * 1024)
/* `max` of frame and collect is said above these, which are well below what Marcel takes anyway. */
#define FRAME_MAX   ((size_t)32 * 1024)
#define COLLECT_MAX ((size_t)512 * 1024)
/* A server that ends after such a silence does so because of it. */
#define IDLE_LEAST (5 * USEC_PER_SEC)

/* One answer to a message: what its rule does. */
struct turn {
	const struct piece *message; /* NULL: the connection */
	bool idle;                   /* it begins with the client's silence */
	const struct piece *pieces;
	size_t count;
	char *actions; /* text */
	size_t actions_length;
	struct turn *again; /* the next turn with the same message */
	bool first;         /* no turn before it has the same message */
};

/* For sorting. */
struct turn_ref {
	struct turn *turn;
};

struct composing {
	const struct compose_setup *setup;
	struct cut cut;
	struct turn *turns;
	size_t count;
	size_t data; /* pieces of data so far, for their names */
};

static usec_t rounded(usec_t gap)
{
	return (gap + USEC_PER_SEC / 20) / (USEC_PER_SEC / 10) * (USEC_PER_SEC / 10);
}

static void write_duration(FILE *file, usec_t duration)
{
	char text[64];
	char *to = text;

	(void)text_format_duration(text, sizeof(text), duration);
	/* In a script a duration is one word. */
	for (const char *from = text; *from != '\0'; from++) {
		if (*from != ' ')
			*to++ = *from;
	}
	*to = '\0';
	(void)fputs(text, file);
}

static void write_send(FILE *file, const char *text, size_t length)
{
	while (length > 0) {
		const size_t part = length < SEND_MAX ? length : SEND_MAX;

		(void)fputs("        send ", file);
		quote_value(file, text, part);
		(void)fputc('\n', file);
		text += part;
		length -= part;
	}
}

/* Writes what the server said: lines that end as the framing says, and other bytes. */
static void write_said(FILE *file, const struct cut *cut, const char *text, size_t length)
{
	bool saying = false;

	while (length > 0) {
		size_t used;
		const ssize_t line = cut_line(cut->framing, text, length, &used);

		if (line < 0 || line > (ssize_t)SAY_MAX) {
			if (line < 0)
				used = length;
			(void)fputs(saying ? "\n" : "", file);
			saying = false;
			write_send(file, text, used);
		} else {
			(void)fputs(saying ? ",\n            " : "        say ", file);
			saying = true;
			quote_value(file, text, (size_t)line);
		}
		text += used;
		length -= used;
	}
	(void)fputs(saying ? "\n" : "", file);
}

static void write_collect(FILE *file, struct composing *composing, const struct piece *piece)
{
	char size[32];

	(void)fprintf(file, "        collect data%zu ", ++composing->data);
	if (piece->kind == PIECE_TEXT)
		(void)fputs("until \".\" unstuff", file);
	else
		(void)fprintf(file, "%zu bytes", piece->length);
	if (piece->length > COLLECT_MAX)
		(void)fprintf(file, " max %s",
			      text_format_size(size, sizeof(size), 4 * (uint64_t)piece->length));
	(void)fputc('\n', file);
}

static void write_action(FILE *file, struct composing *composing, const struct piece *piece,
			 bool waits)
{
	if (waits && piece->gap > 0) {
		(void)fputs("        wait ", file);
		write_duration(file, rounded(piece->gap));
		(void)fputc('\n', file);
	}
	switch (piece->kind) {
	case PIECE_SAID:
		write_said(file, &composing->cut, piece->bytes, piece->length);
		return;
	case PIECE_TEXT:
	case PIECE_BYTES:
		write_collect(file, composing, piece);
		return;
	case PIECE_CLOSED:
		(void)fputs("        close\n", file);
		return;
	case PIECE_RESET:
		(void)fputs("        reset\n", file);
		return;
	case PIECE_LINE:
	case PIECE_RAW:
	case PIECE_END:
	case PIECE_STOP:
		break;
	}
	abort();
}

/* Writes the actions of TURN into its own text. */
static int write_actions(struct composing *composing, struct turn *turn)
{
	FILE *file = open_memstream(&turn->actions, &turn->actions_length);
	bool silent = true;

	if (file == NULL)
		return -ENOMEM;
	composing->data = 0;
	for (size_t i = 0; i < turn->count; i++) {
		/* The silence before the first one is the reason, not a part of what is done. */
		write_action(file, composing, &turn->pieces[i], !(turn->idle && i == 0));
		silent = false;
	}
	if (silent)
		(void)fputs("        ignore\n", file);
	return fclose(file) == EOF ? -ENOMEM : 0;
}

/* Whether it is no message but the client's end, or the daemon's. */
static bool is_ending(const struct piece *message)
{
	return message->kind == PIECE_END || message->kind == PIECE_STOP;
}

static bool same_message(const struct turn *a, const struct turn *b)
{
	if (is_ending(a->message) || is_ending(b->message))
		return false;
	return a->message->length == b->message->length &&
	       (a->message->length == 0 ||
		memcmp(a->message->bytes, b->message->bytes, a->message->length) == 0);
}

/* By message, then in their order. */
static int compare_turns(const void *a, const void *b)
{
	const struct turn *x = ((const struct turn_ref *)a)->turn;
	const struct turn *y = ((const struct turn_ref *)b)->turn;
	const size_t length = x->message->length < y->message->length ? x->message->length
								      : y->message->length;
	const int r = length > 0 ? memcmp(x->message->bytes, y->message->bytes, length) : 0;
	if (r != 0)
		return r;
	if (x->message->length != y->message->length)
		return x->message->length < y->message->length ? -1 : 1;
	return (x > y) - (x < y);
}

/* Whether PIECE, among the last of all, is something the server did because of the silence. */
static bool is_idle(const struct composing *composing, const struct piece *piece)
{
	const struct piece *end = composing->cut.pieces + composing->cut.count;

	if (piece->gap < IDLE_LEAST || piece->gap <= composing->cut.pause)
		return false;
	for (; piece < end; piece++) {
		if (piece->kind != PIECE_SAID && piece->kind != PIECE_CLOSED &&
		    piece->kind != PIECE_RESET)
			return false;
	}
	return true;
}

static int make_turns(struct composing *composing)
{
	const struct cut *cut = &composing->cut;
	struct turn *turn;
	bool idle = false;

	composing->turns = calloc(cut->count + 1, sizeof(*composing->turns));
	if (composing->turns == NULL)
		return -ENOMEM;
	turn = &composing->turns[composing->count++];
	turn->pieces = cut->pieces;
	for (size_t i = 0; i < cut->count; i++) {
		const struct piece *piece = &cut->pieces[i];
		const bool message = piece_is_trigger(piece);

		if (message || (!idle && is_idle(composing, piece))) {
			turn = &composing->turns[composing->count++];
			turn->message = message ? piece : NULL;
			turn->idle = !message;
			idle = idle || !message;
			turn->pieces = message ? piece + 1 : piece;
		}
		if (!message)
			turn->count++;
	}
	return 0;
}

/* Chains the turns that begin with the same message. */
static int chain_turns(struct composing *composing)
{
	auto_free struct turn_ref *sorted = calloc(composing->count, sizeof(*sorted));
	size_t n = 0;

	if (sorted == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < composing->count; i++) {
		struct turn *turn = &composing->turns[i];

		turn->first = true;
		if (turn->message != NULL)
			sorted[n++].turn = turn;
	}
	qsort(sorted, n, sizeof(*sorted), compare_turns);
	for (size_t i = 0; i + 1 < n; i++) {
		if (same_message(sorted[i].turn, sorted[i + 1].turn)) {
			sorted[i].turn->again = sorted[i + 1].turn;
			sorted[i + 1].turn->first = false;
		}
	}
	return 0;
}

static void write_event(FILE *file, const struct turn *turn)
{
	(void)fputs("\non ", file);
	if (turn->idle) {
		(void)fputs("idle ", file);
		write_duration(file, rounded(turn->pieces[0].gap));
	} else if (turn->message == NULL) {
		(void)fputs("connect", file);
	} else if (turn->message->kind == PIECE_END) {
		(void)fputs("eof", file);
	} else if (turn->message->kind == PIECE_STOP) {
		(void)fputs("stop", file);
	} else {
		quote_pattern(file, turn->message->bytes, turn->message->length);
	}
}

static void write_rule(FILE *file, const struct turn *turn)
{
	bool varies = false;

	for (const struct turn *other = turn->again; other != NULL; other = other->again) {
		if (other->actions_length != turn->actions_length ||
		    memcmp(other->actions, turn->actions, turn->actions_length) != 0)
			varies = true;
	}
	write_event(file, turn);
	if (!varies) {
		(void)fprintf(file, "\n%s", turn->actions);
		return;
	}
	(void)fputs(" cycle {\n", file);
	for (; turn != NULL; turn = turn->again)
		(void)fprintf(file, "%s    %s", turn->actions,
			      turn->again != NULL ? "} | {\n" : "}\n");
}

static void write_frame(FILE *file, const struct composing *composing)
{
	const struct cut *cut = &composing->cut;
	char size[32];

	if (composing->setup->framing != NULL && cut->framing != CUT_RAW)
		return;
	(void)fprintf(file, "frame %s",
		      cut->framing == CUT_RAW    ? "raw"
		      : cut->framing == CUT_CRLF ? "line crlf"
						 : "line lf");
	if (cut->longest > FRAME_MAX)
		(void)fprintf(file, " max %s",
			      text_format_size(size, sizeof(size), 2 * (uint64_t)cut->longest));
	(void)fputc('\n', file);
}

static int write_script(struct composing *composing, struct composed *composed)
{
	FILE *file = open_memstream(&composed->script, &composed->script_length);

	if (file == NULL)
		return -ENOMEM;
	(void)fprintf(file, "marcel-script 1\n# %s\n", composing->setup->origin);
	write_frame(file, composing);
	(void)fputs("end none\n", file);
	for (size_t i = 0; i < composing->count; i++) {
		const struct turn *turn = &composing->turns[i];

		/* An end needs no rule if nothing was said to it. */
		if (turn->message != NULL && is_ending(turn->message) &&
		    (turn->count == 0 || turn->pieces[0].kind == PIECE_CLOSED))
			continue;
		if (turn->first)
			write_rule(file, turn);
	}
	return fclose(file) == EOF ? -ENOMEM : 0;
}

/* Writes lines and other bytes of the side whose marks are LINE and BYTES. */
static void transcribe(FILE *file, enum cut_framing framing, enum transcript_kind line_kind,
		       enum transcript_kind bytes_kind, const struct piece *piece)
{
	const char *text = piece->bytes;
	size_t length = piece->length;

	while (length > 0) {
		size_t used;
		const ssize_t line = cut_line(framing, text, length, &used);

		if (line < 0) {
			used = length;
			transcript_write(file, bytes_kind, text, length);
		} else {
			transcript_write(file, line_kind, text, (size_t)line);
		}
		text += used;
		length -= used;
	}
}

static void transcribe_piece(FILE *file, const struct cut *cut, const struct piece *piece)
{
	switch (piece->kind) {
	case PIECE_LINE:
		(void)fputc('\n', file);
		transcript_write(file, TRANSCRIPT_CLIENT_LINE, piece->bytes, piece->length);
		return;
	case PIECE_RAW:
	case PIECE_BYTES:
		transcript_write(file, TRANSCRIPT_CLIENT_BYTES, piece->bytes, piece->length);
		return;
	case PIECE_TEXT:
		transcribe(file, cut->framing, TRANSCRIPT_CLIENT_LINE, TRANSCRIPT_CLIENT_BYTES,
			   piece);
		return;
	case PIECE_SAID:
		transcribe(file, cut->framing, TRANSCRIPT_SERVER_LINE, TRANSCRIPT_SERVER_BYTES,
			   piece);
		return;
	case PIECE_END:
		transcript_write(file, TRANSCRIPT_CLIENT_END, NULL, 0);
		return;
	case PIECE_STOP:
		transcript_write(file, TRANSCRIPT_STOP, NULL, 0);
		return;
	case PIECE_CLOSED:
		transcript_write(file, TRANSCRIPT_SERVER_END, NULL, 0);
		return;
	case PIECE_RESET:
		transcript_write(file, TRANSCRIPT_SERVER_RESET, NULL, 0);
		return;
	}
	abort();
}

static int write_transcript(const struct composing *composing, struct composed *composed)
{
	FILE *file = open_memstream(&composed->transcript, &composed->transcript_length);

	if (file == NULL)
		return -ENOMEM;
	(void)fprintf(file, "# %s\n", composing->setup->origin);
	for (size_t i = 0; i < composing->count; i++) {
		const struct turn *turn = &composing->turns[i];

		if (turn->idle)
			transcript_write_time(file, rounded(turn->pieces[0].gap));
		if (turn->message != NULL)
			transcribe_piece(file, &composing->cut, turn->message);
		for (size_t j = 0; j < turn->count; j++)
			transcribe_piece(file, &composing->cut, &turn->pieces[j]);
	}
	return fclose(file) == EOF ? -ENOMEM : 0;
}

static void done(struct composing *composing)
{
	for (size_t i = 0; i < composing->count; i++)
		free(composing->turns[i].actions);
	free(composing->turns);
	cut_done(&composing->cut);
}

int compose(const struct exchange *exchange, const struct compose_setup *setup,
	    struct composed *ret_composed)
{
	struct composing composing = {.setup = setup};
	struct composed composed = {.script = NULL};
	int r;

	r = cut_exchange(exchange, setup->framing, &composing.cut);
	if (r == 0)
		r = make_turns(&composing);
	if (r == 0)
		r = chain_turns(&composing);
	for (size_t i = 0; i < composing.count && r == 0; i++)
		r = write_actions(&composing, &composing.turns[i]);
	if (r == 0)
		r = write_script(&composing, &composed);
	if (r == 0)
		r = write_transcript(&composing, &composed);
	done(&composing);
	if (r < 0) {
		composed_done(&composed);
		return r;
	}
	*ret_composed = composed;
	return 0;
}

void composed_done(struct composed *composed)
{
	free(composed->script);
	free(composed->transcript);
	*composed = (struct composed){.script = NULL};
}
