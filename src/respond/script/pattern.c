/*
 * Patterns: compiling, comparing, and whether one takes in another; see pattern.h.
 *
 * What is done here is the same for all kinds, and the comparison by pieces. That is linear: the
 * first place of each piece is right, because whatever a later place would leave to the gaps after
 * it, an earlier one leaves, too. It also gives each capture the fewest bytes that it can have, the
 * first one first, as a lazy regex would.
 */
#include "respond/script/pattern.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "respond/script/pattern-priv.h"

int pattern_fault(struct pattern_error *error, size_t offset, const char *expected,
		  const char *text, ...)
{
	va_list arguments;

	va_start(arguments, text);
	(void)vsnprintf(error->text, sizeof(error->text), text, arguments);
	va_end(arguments);
	(void)snprintf(error->expected, sizeof(error->expected), "%s", expected);
	error->offset = offset;
	return -EINVAL;
}

int pattern_add_name(struct pattern *pattern, const char *name, size_t length, uint32_t group,
		     size_t offset, struct pattern_error *error)
{
	struct name *more;

	for (size_t i = 0; i < pattern->n_names; i++)
		if (strlen(pattern->names[i].bytes) == length &&
		    memcmp(pattern->names[i].bytes, name, length) == 0)
			return pattern_fault(error, offset, "a name of its own for each capture",
					     "capture '%.*s' appears twice in one pattern",
					     (int)length, name);
	if (pattern->n_names == PATTERN_CAPTURES_MAX)
		return pattern_fault(error, offset, "", "more than %d captures in one pattern",
				     PATTERN_CAPTURES_MAX);
	more = realloc(pattern->names, (pattern->n_names + 1) * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	pattern->names = more;
	more += pattern->n_names;
	more->group = group;
	more->bytes = strndup(name, length);
	if (more->bytes == NULL)
		return -ENOMEM;
	pattern->n_names++;
	return 0;
}

static int compile(struct pattern *pattern, const char *text, size_t length,
		   struct pattern_error *error)
{
	switch (pattern->kind) {
	case PATTERN_LITERAL:
		return literal_compile(pattern, text, length);
	case PATTERN_GLOB:
		return glob_compile(pattern, text, length, error);
	case PATTERN_REGEX:
		return regex_compile(pattern, text, length, error);
	case PATTERN_HOLE:
		return hole_compile(pattern, text, length, error);
	}
	abort();
}

int pattern_compile(enum pattern_kind kind, const char *text, size_t length, unsigned flags,
		    struct pattern **ret_pattern, struct pattern_error *ret_error)
{
	struct pattern *pattern;
	int r;

	if (length > PATTERN_LENGTH_MAX)
		return pattern_fault(ret_error, PATTERN_LENGTH_MAX, "",
				     "pattern is longer than %d bytes", PATTERN_LENGTH_MAX);
	pattern = calloc(1, sizeof(*pattern));
	if (pattern == NULL)
		return -ENOMEM;
	pattern->kind = kind;
	pattern->flags = flags;
	pattern->nocase = (flags & PATTERN_NOCASE) != 0;
	r = compile(pattern, text, length, ret_error);
	if (r < 0) {
		pattern_free(pattern);
		return r;
	}
	*ret_pattern = pattern;
	return 0;
}

void pattern_free(struct pattern *pattern)
{
	if (pattern == NULL)
		return;
	for (size_t i = 0; i < pattern->n_names; i++)
		free(pattern->names[i].bytes);
	free(pattern->names);
	pcre2_code_free(pattern->code);
	free(pattern->pieces);
	free(pattern->own_beginning);
	free(pattern->text);
	free(pattern);
}

size_t pattern_captures(const struct pattern *pattern)
{
	return pattern->n_names;
}

const char *pattern_capture_name(const struct pattern *pattern, size_t i)
{
	return pattern->names[i].bytes;
}

/* The first place of PIECE in LENGTH bytes at TEXT, or NULL. */
static const char *find(const char *text, size_t length, const struct piece *piece, bool nocase)
{
	if (piece->length == 0)
		return text;
	if (piece->length > length)
		return NULL;
	if (!nocase)
		return memmem(text, length, piece->bytes, piece->length);
	for (size_t i = 0; i <= length - piece->length; i++)
		if (bytes_equal(text + i, piece->bytes, piece->length, true))
			return text + i;
	return NULL;
}

static enum match match_parts(const struct pattern *pattern, const char *message, size_t length,
			      struct capture captures[PATTERN_CAPTURES_MAX])
{
	const struct piece *last;
	size_t at = pattern->beginning_length;
	size_t name = 0;
	size_t end;

	if (pattern->n_pieces == 1)
		return length == at ? MATCH_YES : MATCH_NO;
	last = &pattern->pieces[pattern->n_pieces - 1];
	if (length - at < last->length)
		return MATCH_NO;
	end = length - last->length;
	if (!bytes_equal(message + end, last->bytes, last->length, pattern->nocase))
		return MATCH_NO;
	for (size_t gap = 0; gap + 1 < pattern->n_pieces; gap++) {
		const struct piece *next = &pattern->pieces[gap + 1];
		size_t stop = end;

		if (next != last) {
			const char *found = find(message + at, end - at, next, pattern->nocase);

			if (found == NULL)
				return MATCH_NO;
			stop = (size_t)(found - message);
		}
		if (name < pattern->n_names && pattern->names[name].group == gap)
			captures[name++] = (struct capture){.start = at, .length = stop - at};
		at = stop + next->length;
	}
	return MATCH_YES;
}

enum match pattern_match(const struct pattern *pattern, const char *message, size_t length,
			 struct capture captures[PATTERN_CAPTURES_MAX])
{
	if (length < pattern->beginning_length ||
	    !bytes_equal(message, pattern->beginning, pattern->beginning_length, pattern->nocase))
		return MATCH_NO;
	if (pattern->shape == SHAPE_PARTS)
		return match_parts(pattern, message, length, captures);
	return regex_match(pattern, message, length, captures);
}

/*
 * Whether EARLIER's literal, compared the way of its pattern, is A in any way that LATER's pattern
 * lets A be written.
 */
static bool takes_in(const struct pattern *earlier, const char *literal,
		     const struct pattern *later, const char *a, size_t length)
{
	if (!bytes_equal(a, literal, length, earlier->nocase))
		return false;
	if (earlier->nocase || !later->nocase)
		return true;
	for (size_t i = 0; i < length; i++) /* a is folded */
		if (a[i] >= 'a' && a[i] <= 'z')
			return false;
	return true;
}

static bool is_literal(const struct pattern *pattern)
{
	return pattern->shape == SHAPE_PARTS && pattern->n_pieces == 1;
}

/* Whether the pieces of both are the same, gaps or not. */
static bool same_parts(const struct pattern *earlier, const struct pattern *later)
{
	if (earlier->n_pieces != later->n_pieces)
		return false;
	for (size_t i = 0; i < earlier->n_pieces; i++) {
		const struct piece *a = &earlier->pieces[i];
		const struct piece *b = &later->pieces[i];

		if (a->length != b->length ||
		    !takes_in(earlier, a->bytes, later, b->bytes, a->length))
			return false;
	}
	return true;
}

bool pattern_covers(const struct pattern *earlier, const struct pattern *later)
{
	struct capture captures[PATTERN_CAPTURES_MAX];

	/* "beginning*" */
	if (earlier->shape == SHAPE_PARTS && earlier->n_pieces == 2 &&
	    earlier->pieces[1].length == 0)
		return later->beginning_length >= earlier->beginning_length &&
		       takes_in(earlier, earlier->beginning, later, later->beginning,
				earlier->beginning_length);
	if (is_literal(later) &&
	    (!later->nocase || (earlier->shape == SHAPE_PARTS && earlier->nocase)))
		return pattern_match(earlier, later->beginning, later->beginning_length,
				     captures) == MATCH_YES;
	if (earlier->shape != later->shape)
		return false;
	if (earlier->shape == SHAPE_PARTS)
		return same_parts(earlier, later);
	return earlier->flags == later->flags && earlier->kind == later->kind &&
	       earlier->length == later->length &&
	       memcmp(earlier->text, later->text, earlier->length) == 0;
}
