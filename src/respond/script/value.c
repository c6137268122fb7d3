/* Texts with what is put into them, and quotes without; numbers are in quantity.c. */
#include "respond/script/parse-priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define ESCAPES      "\\r \\n \\t \\0 \\xHH \\\" \\$ \\\\"
#define TIME_MAX     128 /* bytes of a format */
#define TIME_LETTERS "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%"

static const char *const filter_names[] = {
	[FILTER_UPPER] = "upper",       [FILTER_LOWER] = "lower",   [FILTER_BASE64] = "base64",
	[FILTER_UNBASE64] = "unbase64", [FILTER_LENGTH] = "length",
};
#define FILTERS      (sizeof(filter_names) / sizeof(filter_names[0]))
#define FILTERS_TEXT "a filter: upper, lower, base64, unbase64 or length"

static const struct {
	const char *name;
	enum part_kind kind;
} builtin_parts[] = {
	{"message", PART_MESSAGE}, {"peer", PART_PEER},     {"port", PART_PORT},
	{"turn", PART_TURN},       {"serial", PART_SERIAL}, {"conversation", PART_CONVERSATION},
	{"date", PART_DATE},       {"time", PART_TIME},     {"random", PART_RANDOM},
};

/* A text while it is made: parts, and the bytes that belong to no part yet. */
struct making {
	struct part *parts;
	size_t n;
	size_t capacity;
	char *bytes; /* room for all of the text */
	size_t length;
};

/* Makes a part of the bytes that were collected. */
static bool flush(struct parser *p, struct making *making)
{
	struct part *grown;

	if (making->length == 0)
		return true;
	grown = arena_grow(p->scratch, making->parts, making->n, &making->capacity,
			   sizeof(struct part));
	if (grown == NULL)
		return false;
	making->parts = grown;
	making->parts[making->n] = (struct part){.kind = PART_TEXT, .length = making->length};
	making->parts[making->n].variable = NONE;
	making->parts[making->n].bytes = arena_copy(p->keep, making->bytes, making->length);
	making->length = 0;
	return making->parts[making->n++].bytes != NULL;
}

static bool add_part(struct parser *p, struct making *making, const struct part *part)
{
	struct part *grown;

	if (!flush(p, making))
		return false;
	grown = arena_grow(p->scratch, making->parts, making->n, &making->capacity,
			   sizeof(struct part));
	if (grown == NULL)
		return false;
	making->parts = grown;
	making->parts[making->n++] = *part;
	return true;
}

static bool finish(struct parser *p, struct making *making, struct text *ret_text)
{
	struct part *parts;

	if (!flush(p, making))
		return false;
	parts = arena_array(p->keep, making->n, sizeof(struct part));
	if (parts == NULL)
		return false;
	if (making->n > 0)
		(void)memcpy(parts, making->parts, making->n * sizeof(struct part));
	*ret_text = (struct text){.parts = parts, .n_parts = making->n};
	return true;
}

/* Reads the escape at BYTES (a backslash is the first of LENGTH). Returns how many bytes it takes,
 * 0 after a fault. */
static size_t read_escape(struct parser *p, const char *bytes, size_t length, struct spot spot,
			  char *ret_byte)
{
	static const char from[] = "rnt0\"$\\";
	static const char to[] = "\r\n\t\0\"$\\";
	const char *at = length > 1 && bytes[1] != '\0' ? strchr(from, bytes[1]) : NULL;

	if (at != NULL) {
		*ret_byte = to[at - from];
		return 2;
	}
	if (length > 3 && bytes[1] == 'x' && text_hex_digit(bytes[2]) >= 0 &&
	    text_hex_digit(bytes[3]) >= 0) {
		*ret_byte = (char)(text_hex_digit(bytes[2]) * 16 + text_hex_digit(bytes[3]));
		return 4;
	}
	if (length > 1 && bytes[1] == 'x')
		(void)fault_at(p, spot, "\\xHH, two hexadecimal digits",
			       "'\\x' without two hexadecimal digits");
	else if (length > 1 && strchr("*?{", bytes[1]) != NULL && bytes[1] != '\0')
		(void)fault_at(p, spot, "one of " ESCAPES,
			       "'\\%c' is an escape in patterns; here %c stands for itself",
			       bytes[1], bytes[1]);
	else
		(void)fault_at(p, spot, "one of " ESCAPES, "unknown escape '\\%.*s'",
			       length > 1 ? (int)text_utf8_length(bytes + 1, length - 1) : 0,
			       bytes + 1);
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Cuts blanks from both ends of LENGTH bytes at *BYTES, which lie at *SPOT. */
static size_t trim(const char **bytes, size_t length, struct spot *spot)
{
	while (length > 0 && is_blank(**bytes)) {
		(*bytes)++;
		length--;
		*spot = spot_after(*spot, 1);
	}
	while (length > 0 && is_blank((*bytes)[length - 1]))
		length--;
	return length;
}

static bool read_filter(struct parser *p, const char *name, size_t length, struct spot spot,
			struct part *part)
{
	char word[SCRIPT_NAME_MAX];
	char meant[HINT_SIZE];

	length = trim(&name, length, &spot);
	for (size_t i = 0; i < FILTERS; i++) {
		if (strlen(filter_names[i]) != length || memcmp(filter_names[i], name, length) != 0)
			continue;
		if (part->n_filters == SCRIPT_FILTERS_MAX)
			return fault_at(p, spot, NULL, "more than %d filters", SCRIPT_FILTERS_MAX);
		part->filters[part->n_filters++] = (uint8_t)i;
		return true;
	}
	(void)snprintf(word, sizeof(word), "%.*s", length < 60 ? (int)length : 60, name);
	return fault_at(p, spot, FILTERS_TEXT, "unknown filter '%s'%s", word,
			hint(meant, word, filter_names, FILTERS));
}

/* The format of ${time FORMAT}. */
static bool read_time(struct parser *p, const char *format, size_t length, struct spot spot,
		      struct part *part)
{
	const char *expected = "a format of strftime(3), such as ${time %H:%M:%S}";

	length = trim(&format, length, &spot);
	if (length == 0)
		return fault_at(p, spot, expected, "${time} without a format");
	if (length > TIME_MAX || memchr(format, '\0', length) != NULL)
		return fault_at(p, spot, expected, "a format of more than %d characters", TIME_MAX);
	for (size_t i = 0; i < length; i++) {
		if (format[i] != '%')
			continue;
		if (i + 1 == length || strchr(TIME_LETTERS, format[i + 1]) == NULL)
			return fault_at(p, spot_after(spot, i), expected,
					"'%.*s' is no conversion of a time",
					i + 1 == length ? 1 : 2, format + i);
		i++;
	}
	part->bytes = arena_copy(p->keep, format, length);
	part->length = length;
	return part->bytes != NULL;
}

static bool read_random(struct parser *p, const char *number, size_t length, struct spot spot,
			struct part *part)
{
	char digits[24];
	uint64_t n = 0;

	length = trim(&number, length, &spot);
	(void)snprintf(digits, sizeof(digits), "%.*s", length < 23 ? (int)length : 23, number);
	if (text_parse_unsigned(digits, INT64_MAX, &n) < 0 || n == 0)
		return fault_at(p, spot, "a number from 1 on: ${random 6} is one of 0 to 5",
				"${random} needs how many numbers there are");
	part->number = n;
	return true;
}

/* The built-in NAME; ARGUMENTS are what follows it. */
static bool read_builtin(struct parser *p, enum part_kind kind, const char *arguments,
			 size_t length, struct spot spot, struct part *part)
{
	part->kind = kind;
	if (kind == PART_TIME)
		return read_time(p, arguments, length, spot, part);
	if (kind == PART_RANDOM)
		return read_random(p, arguments, length, spot, part);
	length = trim(&arguments, length, &spot);
	if (length > 0)
		return fault_at(p, spot, "} or | and a filter", "'%.*s' does not belong here",
				length < 40 ? (int)length : 40, arguments);
	return true;
}

static const char *find(const char *bytes, size_t length, char c)
{
	const char *at = length > 0 ? memchr(bytes, c, length) : NULL;

	return at != NULL ? at : bytes + length;
}

static bool read_filters(struct parser *p, const char *bytes, size_t length, struct spot spot,
			 struct part *part)
{
	/* Each begins with the bar before it. */
	while (length > 0) {
		size_t n = 1 + (size_t)(find(bytes + 1, length - 1, '|') - (bytes + 1));

		if (!read_filter(p, bytes + 1, n - 1, spot_after(spot, 1), part))
			return false;
		bytes += n;
		length -= n;
		spot = spot_after(spot, n);
	}
	return true;
}

/* The variable NAME; PART has its filters already. */
static bool read_variable(struct parser *p, const char *name, size_t length, struct spot spot,
			  struct part *part)
{
	bool is_length = part->n_filters > 0 && part->filters[0] == FILTER_LENGTH;

	part->kind = PART_VARIABLE;
	if (p->in_let) {
		uint32_t known = variable_find(p, name, length, spot);

		if (known == NONE)
			return false;
		if ((p->variables[known].origins & (unsigned)ORIGIN_LET) == 0)
			return fault_at(p, spot, "a variable of a let before this one",
					"'%.*s' has no value yet when the script is loaded",
					(int)length, name);
	}
	part->variable = variable_use(p, name, length, spot, is_length ? USE_LENGTH : USE_VALUE);
	return part->variable != NONE;
}

bool parse_reference(struct parser *p, const char *bytes, size_t length, struct spot spot,
		     struct part *ret_part)
{
	struct part part = {.variable = NONE};
	size_t own = (size_t)(find(bytes, length, '|') - bytes);
	struct spot name_spot = spot;
	const char *name = bytes;
	size_t trimmed;
	size_t n = 0;

	if (!read_filters(p, bytes + own, length - own, spot_after(spot, own), &part))
		return false;
	trimmed = trim(&name, own, &name_spot);
	while (n < trimmed && !is_blank(name[n]))
		n++;
	if (n == 0)
		return fault_at(p, spot, "the name of a variable", "${} without a name");
	for (size_t i = 0; i < sizeof(builtin_parts) / sizeof(builtin_parts[0]); i++) {
		if (strlen(builtin_parts[i].name) != n ||
		    memcmp(name, builtin_parts[i].name, n) != 0)
			continue;
		if (p->in_let)
			return fault_at(p, name_spot, "a text, a number or an earlier let",
					"${%s} is not known when the script is loaded",
					builtin_parts[i].name);
		*ret_part = part;
		return read_builtin(p, builtin_parts[i].kind, name + n, trimmed - n,
				    spot_after(name_spot, n), ret_part);
	}
	if (!read_variable(p, name, trimmed, name_spot, &part))
		return false;
	*ret_part = part;
	return true;
}

/* Reads the ${...} that BYTES begin with. Returns how many bytes it takes, 0 after a fault. */
static size_t read_reference(struct parser *p, const char *bytes, size_t length, struct spot spot,
			     struct making *making)
{
	const char *close = find(bytes, length, '}');
	struct part part;

	if (close == bytes + length) {
		(void)fault_at(p, spot, "${name}, or \\$ for a dollar sign", "this ${ has no }");
		return 0;
	}
	if (!parse_reference(p, bytes + 2, (size_t)(close - bytes) - 2, spot_after(spot, 2),
			     &part) ||
	    !add_part(p, making, &part))
		return 0;
	return (size_t)(close - bytes) + 1;
}

bool parse_text(struct parser *p, const char *bytes, size_t length, struct spot spot,
		enum text_form form, struct text *ret_text)
{
	struct making making = {.bytes = arena_alloc(p->scratch, length)};
	size_t n;

	if (making.bytes == NULL)
		return false;
	for (size_t i = 0; i < length; i += n) {
		struct spot at = spot_after(spot, i);
		char next = '\0';
		char byte = bytes[i];

		n = 1;
		if (i + 1 < length)
			next = bytes[i + 1];
		if (form == FORM_QUOTED && byte == '\\') {
			n = read_escape(p, bytes + i, length - i, at, &byte);
		} else if (form == FORM_BLOCK && byte == '\\' && (next == '$' || next == '\\')) {
			n = 2;
			byte = next;
		} else if (form != FORM_LITERAL && byte == '$' && next == '{') {
			n = read_reference(p, bytes + i, length - i, at, &making);
			if (n > 0)
				continue;
		}
		if (n == 0)
			return false;
		making.bytes[making.length++] = byte;
	}
	return finish(p, &making, ret_text);
}

bool text_of_bytes(struct parser *p, const char *bytes, size_t length, struct text *ret_text)
{
	return parse_text(p, bytes, length, p->token.spot, FORM_LITERAL, ret_text);
}

bool text_is_constant(const struct text *text, const char **ret_bytes, size_t *ret_length)
{
	*ret_bytes = text->n_parts > 0 ? text->parts[0].bytes : "";
	*ret_length = text->n_parts > 0 ? text->parts[0].length : 0;
	return text->n_parts == 0 || (text->n_parts == 1 && text->parts[0].kind == PART_TEXT);
}

bool is_value(const struct parser *p)
{
	return p->token.kind == TOKEN_TEXT || p->token.kind == TOKEN_LITERAL ||
	       p->token.kind == TOKEN_NUMBER || p->token.kind == TOKEN_REFERENCE;
}

bool take_value(struct parser *p, const char *what, struct text *ret_text)
{
	const struct token token = p->token;
	struct spot inside = spot_after(token.spot, (size_t)(token.text - token.raw));
	struct part part;
	struct part *copy;

	if (!is_value(p))
		return fault_token(p, what, NULL, 0);
	if (token.kind != TOKEN_REFERENCE) {
		if (!parse_text(p, token.text, token.length, inside,
				token.kind == TOKEN_TEXT ? FORM_QUOTED : FORM_LITERAL, ret_text))
			return false;
		advance(p);
		return true;
	}
	if (!parse_reference(p, token.text, token.length, inside, &part))
		return false;
	copy = arena_alloc(p->keep, sizeof(*copy));
	if (copy == NULL)
		return false;
	*copy = part;
	*ret_text = (struct text){.parts = copy, .n_parts = 1};
	advance(p);
	return true;
}

bool take_constant(struct parser *p, const char *what, const char **ret_bytes, size_t *ret_length)
{
	struct spot spot = p->token.spot;
	struct text text;

	if (p->token.kind != TOKEN_TEXT && p->token.kind != TOKEN_LITERAL)
		return fault_token(p, what, NULL, 0);
	if (!take_value(p, what, &text))
		return false;
	if (!text_is_constant(&text, ret_bytes, ret_length))
		return fault_at(p, spot, what, "no variable can stand here");
	return true;
}
