/* What gives something a name: let and text. */
#include "respond/script/parse-priv.h"

#include <errno.h>
#include <string.h>

#include "respond/script/expand.h"

/* The value that TEXT has when the script is loaded, for VARIABLE. */
static bool evaluate(struct parser *p, const struct text *text, uint32_t variable, struct spot spot)
{
	struct variable *known = arena_array(p->scratch, p->n_variables, sizeof(struct variable));
	struct view view = {.variables = known, .n_variables = p->n_variables};
	struct expansion value = {.bytes = NULL};
	struct variable *to = &p->variables[variable].variable;
	int r;

	if (known == NULL)
		return false;
	for (size_t i = 0; i < p->n_variables; i++)
		known[i] = p->variables[i].variable;
	r = expand_text(text, &view, &value);
	if (r == 0) {
		to->initial = arena_copy(p->keep, value.bytes, value.length);
		to->initial_length = value.length;
		to->has_initial = to->initial != NULL;
	}
	expansion_done(&value);
	if (r == -ENOMEM)
		p->scratch->failed = true;
	if (r == -ENOSPC)
		return fault_at(p, spot, NULL, "a value of more than %d bytes", SCRIPT_REPLY_MAX);
	return r == 0 && to->has_initial;
}

/* let NAME = VALUE */
bool parse_let(struct parser *p)
{
	struct token name;
	struct spot spot;
	struct text text;
	uint32_t variable;
	bool is;

	advance(p);
	name = p->token;
	if (name.kind != TOKEN_WORD)
		return fault_token(p, "the name of a variable", NULL, 0);
	variable = variable_find(p, name.text, name.length, name.spot);
	if (variable == NONE)
		return false;
	if ((p->variables[variable].origins & (unsigned)ORIGIN_LET) != 0)
		return fault_at(p, name.spot, "another name, or `set` in a rule",
				"'%.*s' was there already, in line %u", (int)name.length, name.text,
				p->variables[variable].origin_spots[0].line);
	advance(p);
	if (!take_mark(p, MARK_ASSIGN)) {
		(void)variable_set(p, name.text, name.length, name.spot, ORIGIN_UNKNOWN);
		return fault_token(p, "= and a value", NULL, 0);
	}
	spot = p->token.spot;
	p->in_let = true;
	is = take_value(p, "a value: \"text\", 'literal' or a number", &text);
	p->in_let = false;
	(void)variable_set(p, name.text, name.length, name.spot, ORIGIN_LET);
	return is && evaluate(p, &text, variable, spot);
}

static bool is_end_of_block(const struct block_line *line, const char *word, size_t length)
{
	const char *text = line->text;
	size_t n = line->length;

	while (n > 0 && (*text == ' ' || *text == '\t')) {
		text++;
		n--;
	}
	while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
		n--;
	return n == length && memcmp(text, word, length) == 0;
}

/* The lines up to WORD; the token that follows is not read yet. */
static bool read_lines(struct parser *p, const struct token *word, struct draft_block *block)
{
	struct text *lines = NULL;
	struct text *kept;
	struct block_line line;
	size_t capacity = 0;
	size_t n = 0;
	bool is = true;

	for (;;) {
		if (!lexer_take_line(&p->lexer, &line))
			return fault_at(p, word->spot, "a line with this word alone",
					"the text has no end: no line is '%.*s'",
					word->length < 40 ? (int)word->length : 40, word->text);
		if (is_end_of_block(&line, word->text, word->length))
			break;
		lines = arena_grow(p->scratch, lines, n, &capacity, sizeof(struct text));
		if (lines == NULL)
			return false;
		is = parse_text(p, line.text, line.length, line.spot, FORM_BLOCK, &lines[n++]) &&
		     is;
		if (p->faults->errors >= FAULTS_MAX)
			return false;
	}
	kept = arena_array(p->keep, n, sizeof(struct text));
	if (kept == NULL)
		return false;
	if (n > 0)
		(void)memcpy(kept, lines, n * sizeof(struct text));
	block->lines = kept;
	block->n_lines = n;
	return is;
}

/* text NAME <<WORD: the first line, up to and with WORD, which is still the next token. */
static bool parse_block_head(struct parser *p, struct draft_block *block)
{
	const struct draft_block *known;

	block->spot = p->token.spot;
	if (!take_name(p, "the name of the text", &block->name))
		return false;
	known = block_find(p, block->name);
	if (known != NULL)
		return fault_at(p, block->spot, "another name",
				"text '%s' was there already, in line %u", block->name,
				known->spot.line);
	if (!take_mark(p, MARK_BLOCK))
		return fault_token(p, "<< and the word that ends the text", NULL, 0);
	if (p->token.kind != TOKEN_WORD || p->token.follows_line)
		return fault_token(p, "the word that ends the text, such as END", NULL, 0);
	return true;
}

bool parse_block(struct parser *p)
{
	struct draft_block block = {.name = NULL};
	struct token word;
	bool is;

	advance(p);
	if (!parse_block_head(p, &block))
		return false;
	word = p->token;
	if (!lexer_skip_line(&p->lexer))
		return fault_at(p, spot_after(word.spot, word.raw_length),
				"the text from the next line on", "something follows '%.*s'",
				(int)word.length, word.text);
	is = read_lines(p, &word, &block);
	advance(p);
	if (p->n_blocks >= SCRIPT_TEXTS_MAX)
		return fault_at(p, block.spot, NULL, "more than %d texts", SCRIPT_TEXTS_MAX);
	/* Of a text with a fault in it the name is known at least. */
	if (!ROOM_FOR_ONE(p, blocks))
		return false;
	p->blocks[p->n_blocks++] = block;
	return is;
}
