/*
 * Globs, holes and literals, compiled; see pattern.h.
 *
 * A glob is read into tokens. If they are literals and runs of any bytes alone, it becomes pieces
 * (SHAPE_PARTS), else a regex in which every byte that could mean something is written as \xHH.
 * Runs that follow each other directly and have no names are one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "respond/script/pattern-priv.h"

/* A longer piece is searched for by PCRE2 where case doesn't count: the time that takes is limited.
 */
#define FOLDED_PIECE_MAX 32

/* What is written for one of these, at most; a literal byte needs 4. */
#define REGEX_BYTES_MAX(tokens) ((tokens)*256)

#define ESCAPES "one of \\r \\n \\t \\0 \\xHH \\\" \\$ \\\\ \\* \\? \\{"

enum token_kind {
	TOKEN_BYTE,
	TOKEN_ANY,
	TOKEN_ONE,
	TOKEN_INT,
	TOKEN_NUMBER,
	TOKEN_WORD,
};

struct token {
	enum token_kind kind;
	char byte;
	const char *name; /* NULL: not captured */
	size_t name_length;
	size_t offset;
};

struct tokens {
	struct token *list; /* at most one for each byte of the pattern */
	size_t count;
};

static const char *const regexes[] = {
	[TOKEN_ANY] = ".*?",
	/* One character of UTF-8 (RFC 3629) if there is a whole one, else one byte. */
	[TOKEN_ONE] = "(?>[\\x00-\\x7f]|[\\xc2-\\xdf][\\x80-\\xbf]"
		      "|\\xe0[\\xa0-\\xbf][\\x80-\\xbf]|\\xed[\\x80-\\x9f][\\x80-\\xbf]"
		      "|[\\xe1-\\xec\\xee\\xef][\\x80-\\xbf]{2}"
		      "|\\xf0[\\x90-\\xbf][\\x80-\\xbf]{2}|\\xf4[\\x80-\\x8f][\\x80-\\xbf]{2}"
		      "|[\\xf1-\\xf3][\\x80-\\xbf]{3}|.)",
	[TOKEN_INT] = "[+-]?[0-9]+",
	[TOKEN_NUMBER] = "[+-]?(?:[0-9]+(?:\\.[0-9]*)?|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?",
	[TOKEN_WORD] = "[^\\x09-\\x0d\\x20]+",
};

/* Pieces of PATTERN, its beginning and fold; TEXT is its own already. */
static int set_pieces(struct pattern *pattern, size_t n)
{
	pattern->shape = SHAPE_PARTS;
	pattern->pieces = calloc(n, sizeof(*pattern->pieces));
	if (pattern->pieces == NULL)
		return -ENOMEM;
	pattern->n_pieces = n;
	return 0;
}

static void fold_all(char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		text[i] = (char)fold((unsigned char)text[i]);
}

/* Copies TEXT as what SHAPE_PARTS compares with. */
static int set_text(struct pattern *pattern, const char *text, size_t length)
{
	pattern->text = malloc(length + 1);
	if (pattern->text == NULL)
		return -ENOMEM;
	(void)memcpy(pattern->text, text, length);
	pattern->text[length] = '\0';
	pattern->length = length;
	if (pattern->nocase)
		fold_all(pattern->text, length);
	return 0;
}

static void set_beginning(struct pattern *pattern)
{
	pattern->beginning = pattern->pieces[0].bytes;
	pattern->beginning_length = pattern->pieces[0].length;
}

int literal_compile(struct pattern *pattern, const char *text, size_t length)
{
	int r = set_text(pattern, text, length);

	if (r == 0)
		r = set_pieces(pattern, 1);
	if (r < 0)
		return r;
	pattern->pieces[0] = (struct piece){.bytes = pattern->text, .length = length};
	set_beginning(pattern);
	return 0;
}

int hole_compile(struct pattern *pattern, const char *text, size_t length,
		 struct pattern_error *error)
{
	const char *hole = memmem(text, length, "{}", 2);
	const char *second;
	size_t after;
	int r;

	if (hole == NULL)
		return pattern_fault(error, 0, "{} where the value stands, as in 'VOLT {}'",
				     "no {} in the pattern");
	after = (size_t)(hole - text) + 2;
	second = memmem(text + after, length - after, "{}", 2);
	if (second != NULL)
		return pattern_fault(error, (size_t)(second - text), "one {}",
				     "more than one {} in the pattern");
	r = set_text(pattern, text, length);
	if (r == 0)
		r = set_pieces(pattern, 2);
	if (r == 0)
		r = pattern_add_name(pattern, "", 0, 0, after - 2, error);
	if (r < 0)
		return r;
	pattern->pieces[0] = (struct piece){.bytes = pattern->text, .length = after - 2};
	pattern->pieces[1] =
		(struct piece){.bytes = pattern->text + after, .length = length - after};
	set_beginning(pattern);
	return 0;
}

/* Reads the escape at *AT, where a backslash stands, into *BYTE, and moves *AT behind it. */
static int read_escape(const char *text, size_t length, size_t *at, char *byte,
		       struct pattern_error *error)
{
	static const char letters[] = "rnt0\"$\\*?{";
	static const char bytes[] = "\r\n\t\0\"$\\*?{";
	size_t start = *at;
	char shown[TEXT_ESCAPED_MAX(4)];
	size_t width;

	if (start + 1 == length)
		return pattern_fault(error, start, ESCAPES, "a backslash at the end");
	if (text[start + 1] == 'x') {
		int high = start + 2 < length ? text_hex_digit(text[start + 2]) : -1;
		int low = start + 3 < length ? text_hex_digit(text[start + 3]) : -1;

		if (high < 0 || low < 0)
			return pattern_fault(error, start, "two hexadecimal digits, as in \\x7f",
					     "\\x without two hexadecimal digits");
		*byte = (char)(high * 16 + low);
		*at += 4;
		return 0;
	}
	for (size_t i = 0; i + 1 < sizeof(letters); i++)
		if (letters[i] == text[start + 1]) {
			*byte = bytes[i];
			*at += 2;
			return 0;
		}
	width = text_utf8_length(text + start + 1, length - start - 1);
	(void)text_escape(shown, sizeof(shown), text + start + 1, width > 0 ? width : 1, NULL);
	return pattern_fault(error, start, ESCAPES, "unknown escape \\%s", shown);
}

static bool is_name_byte(char c, bool first)
{
	char small = (char)fold((unsigned char)c);

	return (small >= 'a' && small <= 'z') || c == '_' ||
	       (!first && ((c >= '0' && c <= '9') || c == '-'));
}

/* The kind that a capture is declared with: LENGTH bytes at NAME after the colon. */
static bool find_kind(const char *name, size_t length, enum token_kind *ret_kind)
{
	static const struct {
		const char *name;
		enum token_kind kind;
	} kinds[] = {{"int", TOKEN_INT}, {"number", TOKEN_NUMBER}, {"word", TOKEN_WORD}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i].name) == length && memcmp(kinds[i].name, name, length) == 0) {
			*ret_kind = kinds[i].kind;
			return true;
		}
	return false;
}

/* Reads {name} or {name:kind} at *AT into TOKEN, and moves *AT behind it. */
static int read_capture(const char *text, size_t length, size_t *at, struct token *token,
			struct pattern_error *error)
{
	static const char expected[] = "{name}, {name:int}, {name:number} or {name:word}; \\{ for "
				       "a brace";
	size_t start = *at;
	size_t end = start + 1;
	size_t kind;

	while (end < length && is_name_byte(text[end], end == start + 1))
		end++;
	if (end == start + 1)
		return pattern_fault(error, start, expected, "'{' without a name after it");
	*token = (struct token){.kind = TOKEN_ANY,
				.name = text + start + 1,
				.name_length = end - start - 1,
				.offset = start + 1};
	if (end < length && text[end] == ':') {
		kind = end + 1;
		for (end = kind; end < length && is_name_byte(text[end], false);)
			end++;
		if (!find_kind(text + kind, end - kind, &token->kind))
			return pattern_fault(error, kind, "int, number or word",
					     "unknown kind of capture '%.*s'", (int)(end - kind),
					     text + kind);
	}
	if (end == length || text[end] != '}')
		return pattern_fault(error, end, expected, "no '}' after the name of a capture");
	*at = end + 1;
	return 0;
}

/* Reads one token at *AT and moves *AT behind it. */
static int read_token(const char *text, size_t length, size_t *at, struct token *token,
		      struct pattern_error *error)
{
	*token = (struct token){.kind = TOKEN_BYTE, .byte = text[*at], .offset = *at};
	switch (text[*at]) {
	case '\\':
		return read_escape(text, length, at, &token->byte, error);
	case '{':
		return read_capture(text, length, at, token, error);
	case '$':
		if (*at + 1 < length && text[*at + 1] == '{')
			return pattern_fault(error, *at, "\\${ for a dollar sign and a brace",
					     "a pattern is fixed when the script is loaded: no "
					     "variables in it");
		break;
	case '*':
		token->kind = TOKEN_ANY;
		break;
	case '?':
		token->kind = TOKEN_ONE;
		break;
	default:
		break;
	}
	(*at)++;
	return 0;
}

static int tokenize(const char *text, size_t length, struct tokens *tokens,
		    struct pattern_error *error)
{
	size_t at = 0;

	while (at < length) {
		struct token *token = &tokens->list[tokens->count];
		int r = read_token(text, length, &at, token, error);

		if (r < 0)
			return r;
		if (token->kind == TOKEN_ANY && token->name == NULL && tokens->count > 0 &&
		    token[-1].kind == TOKEN_ANY && token[-1].name == NULL)
			continue;
		tokens->count++;
	}
	return 0;
}

/* Whether pieces do for TOKENS. */
static bool is_plain(const struct tokens *tokens, bool nocase)
{
	size_t run = 0;
	size_t gaps = 0;

	for (size_t i = 0; i < tokens->count; i++) {
		const struct token *token = &tokens->list[i];

		if (token->kind == TOKEN_ANY) {
			/* The run before it stands between two gaps, unless it is the beginning. */
			if (nocase && gaps > 0 && run > FOLDED_PIECE_MAX)
				return false;
			gaps++;
			run = 0;
		} else if (token->kind == TOKEN_BYTE) {
			run++;
		} else {
			return false;
		}
	}
	return true;
}

static int to_pieces(struct pattern *pattern, const struct tokens *tokens,
		     struct pattern_error *error)
{
	size_t gaps = 0;
	size_t length = 0;
	struct piece *piece;
	int r;

	for (size_t i = 0; i < tokens->count; i++)
		gaps += tokens->list[i].kind == TOKEN_ANY;
	pattern->text = malloc(tokens->count + 1);
	if (pattern->text == NULL)
		return -ENOMEM;
	r = set_pieces(pattern, gaps + 1);
	if (r < 0)
		return r;
	piece = pattern->pieces;
	piece->bytes = pattern->text;
	for (size_t i = 0; i < tokens->count; i++) {
		const struct token *token = &tokens->list[i];

		if (token->kind == TOKEN_BYTE) {
			pattern->text[length++] = token->byte;
			piece->length++;
			continue;
		}
		if (token->name != NULL) {
			r = pattern_add_name(pattern, token->name, token->name_length,
					     (uint32_t)(piece - pattern->pieces), token->offset,
					     error);
			if (r < 0)
				return r;
		}
		piece++;
		piece->bytes = pattern->text + length;
	}
	pattern->length = length;
	if (pattern->nocase)
		fold_all(pattern->text, length);
	set_beginning(pattern);
	return 0;
}

/* Appends STRING to the regex. */
static void put(struct pattern *pattern, const char *string)
{
	size_t n = strlen(string);

	(void)memcpy(pattern->text + pattern->length, string, n);
	pattern->length += n;
}

static void put_byte(struct pattern *pattern, char byte)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char b = (unsigned char)byte;

	put(pattern, (char[]){'\\', 'x', hex[b >> 4], hex[b & 15], '\0'});
}

/* Writes TOKEN, which is no byte. LAST: any bytes take what is left, at once. */
static int put_token(struct pattern *pattern, const struct token *token, bool last,
		     struct pattern_error *error)
{
	put(pattern, token->name != NULL ? "(" : "(?:");
	put(pattern, last && token->kind == TOKEN_ANY ? ".*" : regexes[token->kind]);
	put(pattern, ")");
	if (token->name == NULL)
		return 0;
	return pattern_add_name(pattern, token->name, token->name_length,
				(uint32_t)pattern->n_names + 1, token->offset, error);
}

static int to_regex(struct pattern *pattern, const struct tokens *tokens,
		    struct pattern_error *error)
{
	size_t beginning = 0;
	int r = 0;

	pattern->text = malloc(REGEX_BYTES_MAX(tokens->count) + 1);
	pattern->own_beginning = malloc(tokens->count + 1);
	if (pattern->text == NULL || pattern->own_beginning == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < tokens->count; i++) {
		const struct token *token = &tokens->list[i];

		if (token->kind == TOKEN_BYTE) {
			if (beginning == i)
				pattern->own_beginning[beginning++] = token->byte;
			put_byte(pattern, token->byte);
		} else {
			r = put_token(pattern, token, i + 1 == tokens->count, error);
		}
	}
	if (r < 0)
		return r;
	pattern->text[pattern->length] = '\0';
	if (pattern->nocase)
		fold_all(pattern->own_beginning, beginning);
	pattern->beginning = pattern->own_beginning;
	pattern->beginning_length = beginning;
	r = regex_build(pattern, PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOTALL, error);
	if (r == -EINVAL) /* its offset means nothing to whoever wrote the glob */
		error->offset = 0;
	return r;
}

int glob_compile(struct pattern *pattern, const char *text, size_t length,
		 struct pattern_error *error)
{
	struct tokens tokens = {.list = calloc(length + 1, sizeof(*tokens.list))};
	int r;

	if (tokens.list == NULL)
		return -ENOMEM;
	r = tokenize(text, length, &tokens, error);
	if (r == 0)
		r = is_plain(&tokens, pattern->nocase) ? to_pieces(pattern, &tokens, error)
						       : to_regex(pattern, &tokens, error);
	free(tokens.list);
	return r;
}
