/* What stands before the rules: frame (also an action), match and end. */
#include "respond/script/parse-priv.h"

#include <string.h>

#define FRAMINGS     "line, raw, record N or prefix 1, 2 or 4"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* split "C" ["join"]: a character between the messages of one line. */
static bool parse_split(struct parser *p, struct marcel_framing *framing)
{
	const char *what = "one character in quotes, such as \";\"";
	struct spot spot = p->token.spot;
	const char *bytes;
	size_t length;

	if (!take_constant(p, what, &bytes, &length))
		return false;
	if (length != 1)
		return fault_at(p, spot, what, "messages are split at one character");
	if (*bytes == '\0' || *bytes == '\r' || *bytes == '\n')
		return fault_at(p, spot, what, "this character ends lines, it can't split them");
	framing->split = (uint8_t)*bytes;
	if (take_word(p, "join"))
		framing->flags |= MARCEL_FRAMING_JOIN;
	return true;
}

static bool parse_line(struct parser *p, struct marcel_framing *framing)
{
	framing->kind = MARCEL_FRAMING_LINE;
	if (take_word(p, "lf"))
		framing->line_end = MARCEL_LINE_LF;
	else if (take_word(p, "crlf"))
		framing->line_end = MARCEL_LINE_CRLF;
	else
		(void)take_word(p, "any");
	return !take_word(p, "split") || parse_split(p, framing);
}

static bool parse_prefix(struct parser *p, struct marcel_framing *framing)
{
	struct spot spot = p->token.spot;

	framing->kind = MARCEL_FRAMING_PREFIX;
	if (!take_count(p, "the bytes of the length before a message: 1, 2 or 4", 1, 4,
			&framing->size))
		return false;
	if (framing->size == 3)
		return fault_at(p, spot, "1, 2 or 4", "a length of 3 bytes is not known");
	return true;
}

bool parse_framing(struct parser *p, struct marcel_framing *ret_framing)
{
	static const char *const kinds[] = {"line", "raw", "record", "prefix"};
	struct marcel_framing framing = {.kind = MARCEL_FRAMING_LINE};
	uint64_t max = 0;

	if (take_word(p, "line")) {
		if (!parse_line(p, &framing))
			return false;
	} else if (take_word(p, "raw")) {
		framing.kind = MARCEL_FRAMING_RAW;
	} else if (take_word(p, "record")) {
		framing.kind = MARCEL_FRAMING_RECORD;
		if (!take_size(p, "the bytes of a message", 1, UINT32_MAX, &framing.size))
			return false;
	} else if (take_word(p, "prefix")) {
		if (!parse_prefix(p, &framing))
			return false;
	} else {
		return fault_token(p, FRAMINGS, kinds, COUNT(kinds));
	}
	if (take_word(p, "max") &&
	    !take_size(p, "the bytes of the longest message", 1, UINT32_MAX, &max))
		return false;
	framing.max = (uint32_t)max;
	*ret_framing = framing;
	return true;
}

/* Whether a statement that stands at the beginning, once, may stand here. */
static bool is_early(struct parser *p, bool *has)
{
	const struct token token = p->token;
	int length = (int)token.length;

	if (p->has_begun)
		return fault_at(p, token.spot, "it before the first rule, state or always",
				"'%.*s' comes too late", length, token.text);
	if (*has)
		return fault_at(p, token.spot, "one of them", "'%.*s' was there already", length,
				token.text);
	*has = true;
	return true;
}

bool parse_frame(struct parser *p)
{
	bool is = is_early(p, &p->has_frame);

	advance(p);
	p->manners.frames = is && parse_framing(p, &p->manners.framing);
	return p->manners.frames;
}

bool parse_match(struct parser *p)
{
	static const char *const words[] = {"nocase", "case"};
	bool is = is_early(p, &p->has_match);

	advance(p);
	if (!is)
		return false;
	p->nocase = is_word(p, "nocase");
	if (take_word(p, "nocase") || take_word(p, "case"))
		return true;
	return fault_token(p, "nocase or case", words, COUNT(words));
}

/* One end word, or `empty`. Words are collected in FOUND. */
static bool parse_end_word(struct parser *p, const char ***found, size_t *capacity)
{
	static const char *const words[] = {"none", "empty"};
	const char *what = "none, empty or an end word in quotes";
	const char *word;
	const char **grown;
	struct spot spot = p->token.spot;
	size_t length;

	if (take_word(p, "empty")) {
		p->manners.end_on_empty = true;
		return true;
	}
	if (p->token.kind == TOKEN_WORD)
		return fault_token(p, what, words, COUNT(words));
	if (!take_constant(p, what, &word, &length))
		return false;
	if (length == 0 || memchr(word, '\0', length) != NULL)
		return fault_at(p, spot, what, "this is no word");
	grown = arena_grow(p->scratch, (void *)*found, p->manners.n_end_words, capacity,
			   sizeof(char *));
	if (grown == NULL)
		return false;
	*found = grown;
	grown[p->manners.n_end_words++] = word;
	return true;
}

bool parse_end(struct parser *p)
{
	bool is = is_early(p, &p->has_end);
	const char **found = NULL;
	const char **kept;
	size_t capacity = 0;

	advance(p);
	if (!is)
		return false;
	p->manners.ends = true;
	if (take_word(p, "none"))
		return true;
	do {
		if (!parse_end_word(p, &found, &capacity))
			return false;
	} while (take_mark(p, MARK_COMMA));
	kept = arena_array(p->keep, p->manners.n_end_words, sizeof(char *));
	if (kept == NULL)
		return false;
	for (size_t i = 0; found != NULL && i < p->manners.n_end_words; i++)
		kept[i] = found[i];
	p->manners.end_words = kept;
	return true;
}
