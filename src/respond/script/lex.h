/*
 * From the bytes of a script to its tokens: words, numbers, quotes, references and marks.
 *
 * Any bytes will do. A token lies on one line and points into the text of its source, which must
 * stay. Errors are tokens, too (TOKEN_BAD), that say what is wrong; the lexer goes on after them.
 *
 * Pure; one thread uses a lexer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "respond/script/source.h"

/* A place in a source: where the byte is, and what a person calls it. */
struct spot {
	const struct source *source;
	size_t offset;
	unsigned line;   /* from 1 */
	unsigned column; /* in bytes, from 1 */
};

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_NUMBER,    /* with sign, point, exponent and unit: -1.5e3, 64K, 1min30s */
	TOKEN_TEXT,      /* "..." */
	TOKEN_LITERAL,   /* '...' */
	TOKEN_REGEX,     /* /.../flags */
	TOKEN_REFERENCE, /* ${...} outside of quotes */
	TOKEN_MARK,
	TOKEN_BAD,
};

enum mark {
	MARK_NONE,
	MARK_OPEN,  /* { */
	MARK_CLOSE, /* } */
	MARK_BAR,
	MARK_SEMICOLON,
	MARK_COMMA,
	MARK_LEFT,  /* ( */
	MARK_RIGHT, /* ) */
	MARK_ASSIGN,
	MARK_EQUAL,
	MARK_UNEQUAL,
	MARK_LESS,
	MARK_LESS_EQUAL,
	MARK_GREATER,
	MARK_GREATER_EQUAL,
	MARK_DOTS,  /* .. */
	MARK_BLOCK, /* << */
};

struct token {
	enum token_kind kind;
	enum mark mark;
	struct spot spot; /* of its first byte, the quote included */
	const char *raw;  /* as it is written */
	size_t raw_length;
	const char *text; /* without quotes, ${ and } */
	size_t length;
	const char *flags; /* TOKEN_REGEX: what follows the second slash */
	size_t n_flags;
	bool is_first;     /* nothing but spaces precede it on its line */
	bool follows_line; /* a line end lies between the token before and it */

	/* TOKEN_BAD: what is wrong, what would be right (or NULL), and where. */
	const char *fault;
	const char *expected;
	struct spot fault_spot;
};

struct lexer {
	const struct source *source;
	size_t at;
	unsigned line;
	size_t line_start;
};

/* Starts at the beginning of SOURCE. */
void lexer_init(struct lexer *lexer, const struct source *source);

/* The next token. After the end it is TOKEN_END again and again. */
void lexer_next(struct lexer *lexer, struct token *ret_token);

/* A line of a text block. */
struct block_line {
	const char *text;
	size_t length;
	struct spot spot;
};

/* Whether nothing but spaces and a comment is left on the line; then the lexer is at the next. */
bool lexer_skip_line(struct lexer *lexer);

/* Gives the line at which the lexer is, without its end, and goes on to the next. Returns false at
 * the end of the text. */
bool lexer_take_line(struct lexer *lexer, struct block_line *ret_line);

/* The place N bytes after SPOT, on the same line. */
struct spot spot_after(struct spot spot, size_t n);

/* The line that SPOT is on, without its end. */
const char *spot_line(struct spot spot, size_t *ret_length);
