/* Comparing answers; see answer.h. */
#include "marcelctl/answer.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The table of a comparison has at most so many entries; above that all is told as different. */
#define TABLE_MAX ((size_t)4 * 1024 * 1024)

/* The line at SAID: its length without LF or CRLF; with it in *RET_USED. -1 if it has no end. */
static ssize_t line_of(const char *said, size_t length, size_t *ret_used)
{
	const char *end = length > 0 ? memchr(said, '\n', length) : NULL;

	if (end == NULL)
		return -1;
	*ret_used = (size_t)(end - said) + 1;
	return end > said && end[-1] == '\r' ? end - said - 1 : end - said;
}

static bool same_bytes(const struct transcript_step *step, const char *bytes, size_t length)
{
	return step->length == length && (length == 0 || memcmp(step->bytes, bytes, length) == 0);
}

static bool glob_matches(const struct transcript_step *step, const char *line, size_t length)
{
	struct capture captures[PATTERN_CAPTURES_MAX];

	return pattern_match(step->glob, line, length, captures) == MATCH_YES;
}

/* How many bytes at SAID are what STEP expects; -1 if they are not. */
static ssize_t take_step(const struct transcript_step *step, const char *said, size_t length)
{
	size_t used = 0;
	ssize_t line;

	switch (step->kind) {
	case TRANSCRIPT_SERVER_LINE:
		/* The text may have LFs of its own. */
		if (length < step->length || !same_bytes(step, said, step->length))
			return -1;
		line = line_of(said + step->length, length - step->length, &used);
		return line == 0 ? (ssize_t)(step->length + used) : -1;
	case TRANSCRIPT_SERVER_GLOB:
		line = line_of(said, length, &used);
		return line >= 0 && glob_matches(step, said, (size_t)line) ? (ssize_t)used : -1;
	case TRANSCRIPT_SERVER_BYTES:
		if (length < step->length || !same_bytes(step, said, step->length))
			return -1;
		return (ssize_t)step->length;
	case TRANSCRIPT_SERVER_END:
	case TRANSCRIPT_SERVER_RESET:
	case TRANSCRIPT_CLIENT_LINE:
	case TRANSCRIPT_CLIENT_BYTES:
	case TRANSCRIPT_TIME:
	case TRANSCRIPT_CLIENT_END:
	case TRANSCRIPT_STOP:
		return -1;
	}
	abort();
}

static enum answer_end end_of(enum transcript_kind kind)
{
	if (kind == TRANSCRIPT_SERVER_END)
		return ANSWER_CLOSED;
	return kind == TRANSCRIPT_SERVER_RESET ? ANSWER_RESET : ANSWER_OPEN;
}

bool answer_fits(const struct transcript_step *steps, size_t n, const char *said, size_t length,
		 enum answer_end end, bool last)
{
	enum answer_end expected = ANSWER_OPEN;

	for (size_t i = 0; i < n; i++) {
		ssize_t used;

		if (expected != ANSWER_OPEN)
			return false;
		expected = end_of(steps[i].kind);
		if (expected != ANSWER_OPEN)
			continue;
		used = take_step(&steps[i], said, length);
		if (used < 0)
			return false;
		said += used;
		length -= (size_t)used;
	}
	if (length > 0)
		return false;
	return expected == end || (expected == ANSWER_OPEN && last);
}

static void add(struct answer *answer, enum transcript_kind kind, const char *bytes, size_t length)
{
	answer->parts[answer->count++] =
		(struct answer_part){.kind = kind, .bytes = bytes, .length = length};
}

int answer_split(const char *said, size_t length, enum answer_end end, struct answer *ret_answer)
{
	struct answer answer = {.parts = NULL};
	size_t lines = 2; /* the rest, and the end */

	for (size_t i = 0; i < length; i++)
		lines += said[i] == '\n';
	answer.parts = calloc(lines, sizeof(*answer.parts));
	if (answer.parts == NULL)
		return -ENOMEM;
	while (length > 0) {
		size_t used;
		const ssize_t line = line_of(said, length, &used);

		if (line < 0) {
			used = length;
			add(&answer, TRANSCRIPT_SERVER_BYTES, said, length);
		} else {
			add(&answer, TRANSCRIPT_SERVER_LINE, said, (size_t)line);
		}
		said += used;
		length -= used;
	}
	if (end == ANSWER_CLOSED)
		add(&answer, TRANSCRIPT_SERVER_END, NULL, 0);
	else if (end == ANSWER_RESET)
		add(&answer, TRANSCRIPT_SERVER_RESET, NULL, 0);
	*ret_answer = answer;
	return 0;
}

void answer_done(struct answer *answer)
{
	free(answer->parts);
	*answer = (struct answer){.parts = NULL};
}

static bool is_same(const struct transcript_step *step, const struct answer_part *part)
{
	if (step->kind == TRANSCRIPT_SERVER_GLOB)
		return part->kind == TRANSCRIPT_SERVER_LINE &&
		       glob_matches(step, part->bytes, part->length);
	return step->kind == part->kind && same_bytes(step, part->bytes, part->length);
}

/* Fills TABLE, of N + 1 rows of M + 1: how much is the same from step i and part j on. */
static void fill(uint32_t *table, const struct transcript_step *steps, size_t n,
		 const struct answer *answer)
{
	const size_t m = answer->count;

	for (size_t i = n; i-- > 0;) {
		for (size_t j = m; j-- > 0;) {
			const uint32_t down = table[(i + 1) * (m + 1) + j];
			const uint32_t right = table[i * (m + 1) + j + 1];
			uint32_t best = down > right ? down : right;

			if (is_same(&steps[i], &answer->parts[j]))
				best = table[(i + 1) * (m + 1) + j + 1] + 1;
			table[i * (m + 1) + j] = best;
		}
	}
}

int answer_compare(const struct transcript_step *steps, size_t n, const struct answer *answer,
		   enum answer_edit **ret_edits, size_t *ret_count)
{
	const size_t m = answer->count;
	const bool large = (n + 1) > TABLE_MAX / (m + 1);
	uint32_t *table = large ? NULL : calloc((n + 1) * (m + 1), sizeof(*table));
	enum answer_edit *edits = calloc(n + m + 1, sizeof(*edits));
	size_t count = 0;
	size_t i = 0;
	size_t j = 0;

	if ((table == NULL && !large) || edits == NULL) {
		free(table);
		free(edits);
		return -ENOMEM;
	}
	if (table != NULL)
		fill(table, steps, n, answer);
	while (i < n || j < m) {
		if (table != NULL && i < n && j < m && is_same(&steps[i], &answer->parts[j])) {
			edits[count++] = ANSWER_SAME;
			i++;
			j++;
		} else if (j == m ||
			   (i < n && (table == NULL || table[(i + 1) * (m + 1) + j] >=
							       table[i * (m + 1) + j + 1]))) {
			edits[count++] = ANSWER_MISSING;
			i++;
		} else {
			edits[count++] = ANSWER_EXTRA;
			j++;
		}
	}
	free(table);
	*ret_edits = edits;
	*ret_count = count;
	return 0;
}
