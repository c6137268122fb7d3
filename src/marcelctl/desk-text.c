/* Characters, columns and lines; see desk-text.h. */
#include "marcelctl/desk-text.h"

#include <string.h>
#include <wctype.h>

#include "base/text.h"

#define REPLACEMENT 0xFFFD
#define JOINER      0x200D

struct desk_point desk_point(const char *text, size_t length)
{
	static const unsigned char masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
	struct desk_point point = {.code = REPLACEMENT, .bytes = 1, .columns = 1};
	const size_t bytes = text_utf8_length(text, length);
	unsigned code;
	int width;

	if (bytes == 0)
		return point;
	code = (unsigned char)text[0] & masks[bytes];
	for (size_t i = 1; i < bytes; i++)
		code = code << 6 | ((unsigned char)text[i] & 0x3F);
	point.bytes = bytes;
	width = wcwidth((wchar_t)code);
	if (code == 0 || width < 0)
		return point;
	point.code = (wchar_t)code;
	point.columns = (unsigned)width;
	return point;
}

static bool is_flag(wchar_t code)
{
	return code >= 0x1F1E6 && code <= 0x1F1FF;
}

size_t desk_next(const char *text, size_t length, size_t at, unsigned *ret_columns)
{
	struct desk_point point = desk_point(text + at, length - at);
	const wchar_t first = point.code;
	unsigned columns = point.columns > 0 ? point.columns : 1;
	bool joined = false;
	bool paired = false;

	at += point.bytes;
	while (at < length) {
		point = desk_point(text + at, length - at);
		if (point.columns > 0 && !joined) {
			/* Two letters of a flag are one. */
			if (paired || !is_flag(first) || !is_flag(point.code))
				break;
			paired = true;
		}
		columns += point.columns;
		joined = point.code == JOINER;
		at += point.bytes;
	}
	if (ret_columns != NULL)
		*ret_columns = columns;
	return at;
}

size_t desk_previous(const char *text, size_t length, size_t at)
{
	/* From afar enough: no character that people type is longer. */
	size_t start = at > 128 ? at - 128 : 0;
	size_t next;

	while (start > 0 && ((unsigned char)text[start] & 0xC0) == 0x80)
		start--;
	for (;;) {
		next = desk_next(text, length, start, NULL);
		if (next >= at)
			return start;
		start = next;
	}
}

unsigned desk_columns(const char *text, size_t length)
{
	unsigned columns = 0;
	unsigned wide;

	for (size_t at = 0; at < length;) {
		at = desk_next(text, length, at, &wide);
		columns += wide;
	}
	return columns;
}

size_t desk_fit(const char *text, size_t length, unsigned columns)
{
	unsigned used = 0;
	size_t at = 0;

	while (at < length) {
		unsigned wide;
		const size_t next = desk_next(text, length, at, &wide);

		if (used + wide > columns)
			break;
		used += wide;
		at = next;
	}
	return at;
}

size_t desk_fit_end(const char *text, size_t length, unsigned columns)
{
	unsigned left = desk_columns(text, length);
	size_t at = 0;

	while (at < length && left > columns) {
		unsigned wide;

		at = desk_next(text, length, at, &wide);
		left -= wide;
	}
	return at;
}

size_t desk_wrap(const char *text, size_t length, unsigned columns, size_t *ret_next)
{
	size_t fits = desk_fit(text, length, columns);
	size_t cut;

	if (fits == length) {
		*ret_next = length;
		return length;
	}
	if (fits == 0) /* a character that is wider than the row */
		fits = desk_next(text, length, 0, NULL);
	cut = fits;
	if (cut < length && text[cut] != ' ') {
		while (cut > 0 && text[cut - 1] != ' ')
			cut--;
	}
	if (cut == 0)
		cut = fits;
	*ret_next = cut;
	while (*ret_next < length && text[*ret_next] == ' ')
		++*ret_next;
	while (cut > 1 && text[cut - 1] == ' ')
		cut--;
	return cut;
}

/* Whether TEXT begins with NEEDLE. */
static bool begins(const char *text, size_t length, const char *needle, size_t needle_length)
{
	while (needle_length > 0) {
		struct desk_point wanted = desk_point(needle, needle_length);
		struct desk_point there;

		if (length == 0)
			return false;
		there = desk_point(text, length);
		if (towlower((wint_t)there.code) != towlower((wint_t)wanted.code))
			return false;
		text += there.bytes;
		length -= there.bytes;
		needle += wanted.bytes;
		needle_length -= wanted.bytes;
	}
	return true;
}

long desk_find(const char *text, size_t length, const char *needle, size_t needle_length)
{
	for (size_t at = 0; at < length; at += desk_point(text + at, length - at).bytes) {
		if (begins(text + at, length - at, needle, needle_length))
			return (long)at;
	}
	return -1;
}
