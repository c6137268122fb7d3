/* Writing literals of scripts; see quote.h. */
#include "marcelctl/quote.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "respond/script/pattern.h"

/* The longest escape. */
#define ESCAPE_MAX 4

/*
 * Writes the character that begins at TEXT into PIECE and returns its length there; *RET_USED is
 * how many bytes of TEXT it is.
 */
static size_t quote_one(char piece[8], const char *text, size_t length, bool glob, size_t *ret_used)
{
	static const char digits[] = "0123456789abcdef";
	const char *special = glob ? "\"\\$*?{" : "\"\\$";
	const unsigned char byte = (unsigned char)text[0];
	size_t shown;

	*ret_used = 1;
	if (byte != '\0' && strchr(special, text[0]) != NULL) {
		piece[0] = '\\';
		piece[1] = text[0];
		return 2;
	}
	if (byte >= 0x20 && byte < 0x7f) {
		piece[0] = text[0];
		return 1;
	}
	if (byte == '\r' || byte == '\n' || byte == '\t') {
		piece[0] = '\\';
		piece[1] = (char)(byte == '\r' ? 'r' : byte == '\n' ? 'n' : 't');
		return 2;
	}
	/* What text_escape() would leave alone is fit to be read. */
	shown = text_utf8_length(text, length);
	if (shown > 1 && text_escape(piece, 8, text, shown, NULL) == shown) {
		*ret_used = shown;
		return shown;
	}
	piece[0] = '\\';
	piece[1] = 'x';
	piece[2] = digits[byte >> 4];
	piece[3] = digits[byte & 15];
	return ESCAPE_MAX;
}

/* Whether TEXT can stand between single quotes, where nothing is an escape. */
static bool is_plain(const char *text, size_t length)
{
	char piece[8];
	size_t used;

	for (size_t i = 0; i < length; i += used) {
		const bool quoted = text[i] == '"' || text[i] == '\\' || text[i] == '$';

		if (text[i] == '\'')
			return false;
		if (quote_one(piece, text + i, length - i, false, &used) != used && !quoted)
			return false;
	}
	return true;
}

/* Writes at most ROOM bytes between double quotes; returns how many of TEXT they stand for. */
static size_t quote_escaped(FILE *file, const char *text, size_t length, bool glob, size_t room)
{
	char piece[8];
	size_t done = 0;

	while (done < length) {
		size_t used;
		const size_t written = quote_one(piece, text + done, length - done, glob, &used);

		if (written > room)
			break;
		room -= written;
		done += used;
		(void)fwrite(piece, 1, written, file);
	}
	return done;
}

void quote_value(FILE *file, const char *text, size_t length)
{
	if (is_plain(text, length)) {
		(void)fprintf(file, "'%.*s'", (int)length, text);
		return;
	}
	(void)fputc('"', file);
	(void)quote_escaped(file, text, length, false, SIZE_MAX);
	(void)fputc('"', file);
}

void quote_pattern(FILE *file, const char *text, size_t length)
{
	if (length < PATTERN_LENGTH_MAX && is_plain(text, length)) {
		(void)fprintf(file, "'%.*s'", (int)length, text);
		return;
	}
	(void)fputc('"', file);
	if (quote_escaped(file, text, length, true, PATTERN_LENGTH_MAX - 2) < length)
		(void)fputc('*', file);
	(void)fputc('"', file);
}
