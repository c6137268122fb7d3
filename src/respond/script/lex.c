/* Tokens of a script; see lex.h. */
#include "respond/script/lex.h"

#include <string.h>

#include "base/text.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

struct spot spot_after(struct spot spot, size_t n)
{
	spot.offset += n;
	spot.column += (unsigned)n;
	return spot;
}

/* How many bytes of TEXT, LENGTH in all, come before the line end, CR LF or LF. */
static size_t line_length(const char *text, size_t length)
{
	const char *end = length > 0 ? memchr(text, '\n', length) : NULL;
	size_t n = end != NULL ? (size_t)(end - text) : length;

	return n > 0 && text[n - 1] == '\r' ? n - 1 : n;
}

const char *spot_line(struct spot spot, size_t *ret_length)
{
	size_t start = spot.offset - (spot.column - 1);

	*ret_length = line_length(spot.source->text + start, spot.source->length - start);
	return spot.source->text + start;
}

void lexer_init(struct lexer *lexer, const struct source *source)
{
	*lexer = (struct lexer){.source = source, .line = 1};
}

/* The byte N bytes on; NUL after the end, where no rule looks for a NUL. */
static char peek(const struct lexer *lexer, size_t n)
{
	if (n >= lexer->source->length - lexer->at)
		return '\0';
	return lexer->source->text[lexer->at + n];
}

static bool at_end(const struct lexer *lexer)
{
	return lexer->at >= lexer->source->length;
}

static struct spot here(const struct lexer *lexer)
{
	return (struct spot){
		.source = lexer->source,
		.offset = lexer->at,
		.line = lexer->line,
		.column = (unsigned)(lexer->at - lexer->line_start) + 1,
	};
}

static void next_line(struct lexer *lexer)
{
	lexer->at++;
	lexer->line++;
	lexer->line_start = lexer->at;
}

/* Bytes from here to the end of the line. */
static size_t rest_of_line(const struct lexer *lexer)
{
	return line_length(lexer->source->text + lexer->at, lexer->source->length - lexer->at);
}

/* Skips spaces, line ends and comments. */
static void skip(struct lexer *lexer, struct token *token)
{
	token->is_first = lexer->at == lexer->line_start;
	while (!at_end(lexer)) {
		char c = peek(lexer, 0);

		if (c == '\n') {
			next_line(lexer);
			token->is_first = true;
			token->follows_line = true;
		} else if (c == '#') {
			lexer->at += rest_of_line(lexer);
		} else if (is_space(c)) {
			lexer->at++;
		} else {
			return;
		}
	}
}

/* A token of LENGTH bytes, the text of which lacks BEFORE and AFTER bytes of it. */
static void finish(struct lexer *lexer, struct token *token, enum token_kind kind, size_t length,
		   size_t before, size_t after)
{
	token->kind = kind;
	token->raw = lexer->source->text + lexer->at;
	token->raw_length = length;
	token->text = token->raw + before;
	token->length = length - before - after;
	lexer->at += length;
}

static void finish_bad(struct lexer *lexer, struct token *token, size_t length, size_t fault_at,
		       const char *fault, const char *expected)
{
	token->fault = fault;
	token->expected = expected;
	token->fault_spot = spot_after(token->spot, fault_at);
	finish(lexer, token, TOKEN_BAD, length, 0, 0);
}

static void lex_word(struct lexer *lexer, struct token *token)
{
	size_t n = 1;

	while (is_letter(peek(lexer, n)) || is_digit(peek(lexer, n)) || peek(lexer, n) == '-')
		n++;
	finish(lexer, token, TOKEN_WORD, n, 0, 0);
}

/* Whether the byte N bytes on belongs to a number of which those before it are a part. */
static bool in_number(const struct lexer *lexer, size_t n)
{
	char c = peek(lexer, n);

	if (is_digit(c) || is_letter(c))
		return true;
	if (c == '.')
		return is_digit(peek(lexer, n + 1)) && peek(lexer, n - 1) != '.';
	/* An exponent: 1e-3, but not 0x1e-3 or the like, which no number is. */
	return (c == '-' || c == '+') && n >= 2 && is_digit(peek(lexer, n + 1)) &&
	       (peek(lexer, n - 1) == 'e' || peek(lexer, n - 1) == 'E') &&
	       (is_digit(peek(lexer, n - 2)) || peek(lexer, n - 2) == '.');
}

static void lex_number(struct lexer *lexer, struct token *token)
{
	size_t n = 1;

	while (in_number(lexer, n))
		n++;
	finish(lexer, token, TOKEN_NUMBER, n, 0, 0);
}

static bool begins_number(const struct lexer *lexer)
{
	char c = peek(lexer, 0);
	char next = peek(lexer, 1);

	if (c == '-' || c == '+')
		return is_digit(next) || (next == '.' && is_digit(peek(lexer, 2)));
	return is_digit(c) || (c == '.' && is_digit(next));
}

/*
 * Where the quote C that begins here ends: the offset of the second C, or REST (the bytes of the
 * line) if there is none. A backslash takes the byte after it along, but within '...'.
 */
static size_t find_close(const struct lexer *lexer, char c, size_t rest)
{
	size_t n = 1;

	while (n < rest && peek(lexer, n) != c)
		n += peek(lexer, n) == '\\' && c != '\'' ? 2 : 1;
	return n < rest ? n : rest;
}

static void lex_quote(struct lexer *lexer, struct token *token)
{
	char c = peek(lexer, 0);
	size_t rest = rest_of_line(lexer);
	size_t n = find_close(lexer, c, rest);

	if (n >= rest) {
		finish_bad(lexer, token, rest, 0,
			   c == '"'    ? "this text does not end on its line"
			   : c == '\'' ? "this literal does not end on its line"
				       : "this regular expression does not end on its line",
			   c == '"'    ? "a second \" (a \" within it is written \\\")"
			   : c == '\'' ? "a second ' (a text with a ' in it is written \"...\")"
				       : "a second / (a / within it is written \\/)");
		return;
	}
	if (c != '/') {
		finish(lexer, token, c == '"' ? TOKEN_TEXT : TOKEN_LITERAL, n + 1, 1, 1);
		return;
	}
	for (rest = n + 1; is_letter(peek(lexer, rest)) || is_digit(peek(lexer, rest));)
		rest++;
	token->flags = lexer->source->text + lexer->at + n + 1;
	token->n_flags = rest - n - 1;
	finish(lexer, token, TOKEN_REGEX, rest, 1, rest - n);
}

static void lex_reference(struct lexer *lexer, struct token *token)
{
	size_t rest = rest_of_line(lexer);
	size_t n = 2;

	while (n < rest && peek(lexer, n) != '}')
		n++;
	if (n >= rest)
		finish_bad(lexer, token, rest, 0, "this ${ has no }", "${name}");
	else
		finish(lexer, token, TOKEN_REFERENCE, n + 1, 2, 1);
}

static const struct {
	const char *text;
	enum mark mark;
} marks[] = {
	/* The longer ones first. */
	{"==", MARK_EQUAL},         {"!=", MARK_UNEQUAL}, {"<=", MARK_LESS_EQUAL},
	{">=", MARK_GREATER_EQUAL}, {"..", MARK_DOTS},    {"<<", MARK_BLOCK},
	{"{", MARK_OPEN},           {"}", MARK_CLOSE},    {"|", MARK_BAR},
	{";", MARK_SEMICOLON},      {",", MARK_COMMA},    {"(", MARK_LEFT},
	{")", MARK_RIGHT},          {"=", MARK_ASSIGN},   {"<", MARK_LESS},
	{">", MARK_GREATER},
};

static bool lex_mark(struct lexer *lexer, struct token *token)
{
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		size_t length = strlen(marks[i].text);

		if (peek(lexer, 0) == marks[i].text[0] &&
		    (length == 1 || peek(lexer, 1) == marks[i].text[1])) {
			token->mark = marks[i].mark;
			finish(lexer, token, TOKEN_MARK, length, 0, 0);
			return true;
		}
	}
	return false;
}

/* Bytes that begin nothing. */
static void lex_bad(struct lexer *lexer, struct token *token)
{
	char c = peek(lexer, 0);
	size_t n = 1;

	if ((unsigned char)c >= 0x80) {
		while ((unsigned char)peek(lexer, n) >= 0x80 || is_letter(peek(lexer, n)) ||
		       is_digit(peek(lexer, n)))
			n++;
		finish_bad(lexer, token, n, 0, "this is no word of a script",
			   "words of the letters A to Z, digits, _ and -; anything else in quotes");
		return;
	}
	if (c == '$')
		finish_bad(lexer, token, 1, 0, "a lone $", "${name}, or the $ in quotes");
	else if (c == '\\')
		finish_bad(lexer, token, 1, 0, "a \\ outside of quotes", "escapes in \"...\" only");
	else
		finish_bad(lexer, token, 1, 0, "this character means nothing here",
			   "a word, a number, or a quote: \"...\", '...' or /.../");
}

void lexer_next(struct lexer *lexer, struct token *ret_token)
{
	char c;

	*ret_token = (struct token){.kind = TOKEN_END, .mark = MARK_NONE};
	skip(lexer, ret_token);
	ret_token->spot = here(lexer);
	c = peek(lexer, 0);
	if (at_end(lexer))
		finish(lexer, ret_token, TOKEN_END, 0, 0, 0);
	else if (is_letter(c))
		lex_word(lexer, ret_token);
	else if (begins_number(lexer))
		lex_number(lexer, ret_token);
	else if (c == '"' || c == '\'' || c == '/')
		lex_quote(lexer, ret_token);
	else if (c == '$' && peek(lexer, 1) == '{')
		lex_reference(lexer, ret_token);
	else if (!lex_mark(lexer, ret_token))
		lex_bad(lexer, ret_token);
}

bool lexer_skip_line(struct lexer *lexer)
{
	while (!at_end(lexer) && is_space(peek(lexer, 0)))
		lexer->at++;
	if (!at_end(lexer) && peek(lexer, 0) == '#')
		lexer->at += rest_of_line(lexer);
	while (!at_end(lexer) && is_space(peek(lexer, 0)))
		lexer->at++;
	if (at_end(lexer) || peek(lexer, 0) != '\n')
		return at_end(lexer);
	next_line(lexer);
	return true;
}

bool lexer_take_line(struct lexer *lexer, struct block_line *ret_line)
{
	if (at_end(lexer))
		return false;
	ret_line->spot = here(lexer);
	ret_line->text = lexer->source->text + lexer->at;
	ret_line->length = rest_of_line(lexer);
	lexer->at += ret_line->length;
	while (!at_end(lexer) && peek(lexer, 0) != '\n')
		lexer->at++;
	if (!at_end(lexer))
		next_line(lexer);
	return true;
}
