/* The parser's frame: tokens, faults, statements, and going on after what is wrong. */
#include "respond/script/parse-priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const statement_words[] = {
	"frame",   "match",  "end",   "let", "text",      "prop",
	"include", "always", "state", "on",  "otherwise",
};
#define STATEMENTS \
	"a statement: on, otherwise, state, always, let, text, prop, include, frame, match or end"

/* Words that can't be names, besides those of statements. */
static const char *const other_words[] = {
	"say",   "send", "ignore", "cycle", "pick",    "wait",   "goto",
	"set",   "add",  "shift",  "clear", "collect", "hand",   "close",
	"reset", "drop", "drip",   "log",   "secret",  "strike", "when",
	"else",  "and",  "or",     "not",   "count",   "length", "peer",
};

static const char *const builtins[] = {
	"message", "peer", "port", "turn", "conversation", "serial", "date", "time", "random",
};

static bool is_one_of(const char *word, size_t length, const char *const words[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(words[i]) == length && memcmp(words[i], word, length) == 0)
			return true;
	}
	return false;
}

bool is_statement(const char *word, size_t length)
{
	return is_one_of(word, length, statement_words, COUNT(statement_words));
}

bool is_reserved(const char *word, size_t length)
{
	return is_statement(word, length) ||
	       is_one_of(word, length, other_words, COUNT(other_words));
}

bool is_builtin(const char *word, size_t length)
{
	return is_one_of(word, length, builtins, COUNT(builtins));
}

bool out_of_memory(const struct parser *p)
{
	return p->keep->failed || p->scratch->failed;
}

struct place place_of(struct spot spot)
{
	return (struct place){.file = spot.source->name, .line = spot.line, .column = spot.column};
}

static void add_fault(struct parser *p, bool warning, struct spot spot, const char *expected,
		      const char *format, va_list arguments) __attribute__((format(printf, 5, 0)));

static void add_fault(struct parser *p, bool warning, struct spot spot, const char *expected,
		      const char *format, va_list arguments)
{
	struct fault_site site = {.where = place_of(spot)};

	site.line = spot_line(spot, &site.length);
	fault_add(p->faults, warning, &site, expected, format, arguments);
}

bool fault_at(struct parser *p, struct spot spot, const char *expected, const char *format, ...)
{
	va_list arguments;

	if (out_of_memory(p))
		return false;
	va_start(arguments, format);
	add_fault(p, false, spot, expected, format, arguments);
	va_end(arguments);
	return false;
}

void warn_at(struct parser *p, struct spot spot, const char *expected, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_fault(p, true, spot, expected, format, arguments);
	va_end(arguments);
}

const char *hint(char buffer[HINT_SIZE], const char *word, const char *const words[], size_t n)
{
	const char *nearest = n > 0 ? text_nearest(word, words, n) : NULL;

	buffer[0] = '\0';
	if (nearest != NULL)
		(void)snprintf(buffer, HINT_SIZE, " (did you mean '%s'?)", nearest);
	return buffer;
}

/* What a token is called in a message. */
static void describe(const struct parser *p, char *buffer, size_t size)
{
	const struct token *token = &p->token;
	const int shown = token->raw_length < 40 ? (int)token->raw_length : 40;
	const char *more = token->raw_length > 40 ? "..." : "";

	if (token->kind == TOKEN_END)
		(void)snprintf(buffer, size, "the end of the file");
	else if (token->kind == TOKEN_MARK || token->kind == TOKEN_WORD)
		(void)snprintf(buffer, size, "'%.*s%s'", shown, token->raw, more);
	else
		(void)snprintf(buffer, size, "%.*s%s", shown, token->raw, more);
}

bool fault_token(struct parser *p, const char *expected, const char *const words[], size_t n)
{
	const struct token *token = &p->token;
	char found[128];
	char word[SCRIPT_NAME_MAX];
	char meant[HINT_SIZE] = "";

	if (token->kind == TOKEN_BAD)
		return fault_at(p, token->fault_spot, token->expected, "%s", token->fault);
	describe(p, found, sizeof(found));
	if (token->kind == TOKEN_WORD) {
		(void)snprintf(word, sizeof(word), "%.*s",
			       token->length < 60 ? (int)token->length : 60, token->text);
		(void)hint(meant, word, words, n);
	}
	/* What is missing at the end is missing there, not lines later. */
	return fault_at(p, token->kind == TOKEN_END ? p->last_end : token->spot, expected,
			"%s %s%s",
			token->kind == TOKEN_WORD && n > 0 &&
					!is_reserved(token->text, token->length)
				? "unknown word"
				: "unexpected",
			found, meant);
}

void advance(struct parser *p)
{
	p->last_end = spot_after(p->token.spot, p->token.raw_length);
	lexer_next(&p->lexer, &p->token);
}

bool is_mark(const struct parser *p, enum mark mark)
{
	return p->token.kind == TOKEN_MARK && p->token.mark == mark;
}

bool is_word(const struct parser *p, const char *word)
{
	return p->token.kind == TOKEN_WORD && p->token.length == strlen(word) &&
	       memcmp(p->token.text, word, p->token.length) == 0;
}

bool take_mark(struct parser *p, enum mark mark)
{
	bool is = is_mark(p, mark);

	if (is)
		advance(p);
	return is;
}

bool take_word(struct parser *p, const char *word)
{
	bool is = is_word(p, word);

	if (is)
		advance(p);
	return is;
}

bool take_name(struct parser *p, const char *what, const char **ret_name)
{
	const struct token *token = &p->token;
	char expected[96];

	(void)snprintf(expected, sizeof(expected), "%s: letters, digits, _ and -", what);
	if (token->kind != TOKEN_WORD)
		return fault_token(p, expected, NULL, 0);
	if (is_reserved(token->text, token->length))
		return fault_at(p, token->spot, expected,
				"'%.*s' is a word of the language and can't be a name",
				(int)token->length, token->text);
	if (token->length > SCRIPT_NAME_MAX)
		return fault_at(p, token->spot, expected, "a name of more than %d characters",
				SCRIPT_NAME_MAX);
	*ret_name = arena_copy(p->keep, token->text, token->length);
	advance(p);
	return *ret_name != NULL;
}

bool make_room(struct parser *p, void **array, size_t n, size_t *capacity, size_t size)
{
	void *grown = arena_grow(p->scratch, *array, n, capacity, size);

	if (grown != NULL)
		*array = grown;
	return grown != NULL;
}

bool enter(struct parser *p)
{
	if (++p->depth > SCRIPT_DEPTH_MAX)
		return fault_at(p, p->token.spot, "fewer levels", "nested too deep");
	return true;
}

/* always, state NAME: where the rules that follow belong. */
static bool parse_always(struct parser *p)
{
	advance(p);
	p->has_begun = true;
	p->scope = 0;
	return true;
}

static bool parse_state(struct parser *p)
{
	const char *name = NULL;
	struct spot spot;
	uint32_t known;

	advance(p);
	p->has_begun = true;
	spot = p->token.spot;
	if (!take_name(p, "the name of a state", &name))
		return false;
	known = scope_find(p, name);
	if (known != NONE) {
		p->scope = known;
		return fault_at(p, spot, "another name, or its rules put there",
				"state '%s' was there already, in %s:%u", name,
				p->scopes[known].spot.source->name, p->scopes[known].spot.line);
	}
	if (p->n_scopes > SCRIPT_STATES_MAX)
		return fault_at(p, spot, NULL, "more than %d states", SCRIPT_STATES_MAX);
	if (!ROOM_FOR_ONE(p, scopes))
		return false;
	p->scope = (uint32_t)p->n_scopes;
	p->scopes[p->n_scopes++] = (struct draft_scope){.name = name, .spot = spot};
	return true;
}

static bool is_open(const struct parser *p, const struct source *source)
{
	for (unsigned i = 0; i < p->n_files; i++) {
		if (p->stack[i] == source)
			return true;
	}
	return false;
}

/* Reads SOURCE in the place of the include at SPOT, then goes on where it was. Rules after the
 * include belong to the state they would belong to without it. */
static bool include_source(struct parser *p, const struct source *source, struct spot spot)
{
	struct lexer lexer = p->lexer;
	struct token token = p->token;
	uint32_t scope = p->scope;

	if (is_open(p, source))
		return fault_at(p, spot, "files that do not include each other in a circle",
				"'%s' includes itself", source->name);
	if (p->n_files > SCRIPT_INCLUDES_MAX)
		return fault_at(p, spot, NULL, "more than %d files within each other",
				SCRIPT_INCLUDES_MAX);
	parse_source(p, source);
	p->lexer = lexer;
	p->token = token;
	p->scope = scope;
	return true;
}

static bool parse_include(struct parser *p)
{
	const struct source *source = NULL;
	struct spot spot;
	const char *path;
	const char *name;
	size_t length;
	int r;

	advance(p);
	spot = p->token.spot;
	if (!take_constant(p, "a file's name in quotes", &name, &length))
		return false;
	if (length == 0 || strlen(name) != length)
		return fault_at(p, spot, "the name of a file", "this is no file's name");
	path = sources_path(p->sources, spot.source->name, name, length);
	if (path == NULL)
		return false;
	r = sources_get(p->sources, path, &source);
	if (r == -ENOMEM) {
		p->scratch->failed = true;
		return false;
	}
	if (r == -EFBIG)
		return fault_at(p, spot, NULL, "all files of the script are more than %zu bytes",
				SCRIPT_BYTES_MAX);
	if (r < 0) {
		char text[SOURCE_ERROR_SIZE];

		return fault_at(p, spot, "a file that can be read", "can't read '%s': %s", path,
				source_error(r, text));
	}
	return include_source(p, source, spot);
}

static const struct {
	const char *word;
	bool (*parse)(struct parser *p);
} statements[] = {
	{"frame", parse_frame},     {"match", parse_match},         {"end", parse_end},
	{"let", parse_let},         {"text", parse_block},          {"prop", parse_property},
	{"include", parse_include}, {"always", parse_always},       {"state", parse_state},
	{"on", parse_on},           {"otherwise", parse_otherwise},
};

static bool parse_statement(struct parser *p)
{
	for (size_t i = 0; i < COUNT(statements); i++) {
		if (is_word(p, statements[i].word))
			return statements[i].parse(p);
	}
	if (is_action_word(p))
		return fault_at(p, p->token.spot, "'on' and a pattern or an event before it",
				"'%.*s' belongs in a rule", (int)p->token.length, p->token.text);
	return fault_token(p, STATEMENTS, statement_words, COUNT(statement_words));
}

/* Within what is skipped: WORD NAME would have given the variable NAME a value, or made a state. */
static void remember(struct parser *p, const struct token *before, const struct token *token)
{
	static const char *const words[] = {"set", "add", "collect", "into", "let"};

	if (before->kind != TOKEN_WORD || token->kind != TOKEN_WORD ||
	    !is_one_of(before->text, before->length, words, COUNT(words)) ||
	    is_reserved(token->text, token->length) || is_builtin(token->text, token->length))
		return;
	(void)variable_set(p, token->text, token->length, token->spot, ORIGIN_UNKNOWN);
}

/* Skips what is left of a statement that is wrong, to a line that begins with a statement word. */
static void resume(struct parser *p)
{
	struct token before = {.kind = TOKEN_END};

	p->depth = 0;
	while (p->token.kind != TOKEN_END) {
		if (p->token.is_first && p->token.kind == TOKEN_WORD &&
		    is_statement(p->token.text, p->token.length))
			return;
		remember(p, &before, &p->token);
		before = p->token;
		advance(p);
	}
}

static void parse_statements(struct parser *p)
{
	while (p->token.kind != TOKEN_END && !out_of_memory(p) && p->faults->errors < FAULTS_MAX) {
		p->depth = 0;
		if (!parse_statement(p))
			resume(p);
	}
}

size_t header_length(const struct source *source)
{
	static const char header[] = "marcel-script 1";
	size_t length = sizeof(header) - 1;
	size_t at = length;

	if (source->length < length || memcmp(source->text, header, length) != 0)
		return 0;
	while (at < source->length && strchr(" \t\r", source->text[at]) != NULL &&
	       source->text[at] != '\0')
		at++;
	return at == source->length || source->text[at] == '\n' ? length : 0;
}

void parse_source(struct parser *p, const struct source *source)
{
	p->stack[p->n_files++] = source;
	lexer_init(&p->lexer, source);
	p->bytes_read += source->length;
	p->lexer.at = header_length(source);
	lexer_next(&p->lexer, &p->token);
	p->last_end = p->token.spot;
	if (p->bytes_read > SCRIPT_BYTES_MAX)
		(void)fault_at(p, p->token.spot, "fewer includes",
			       "the script is more than %zu bytes with what it includes",
			       SCRIPT_BYTES_MAX);
	else
		parse_statements(p);
	p->n_files--;
}
