/* Comparing messages with end words; see endword.h. */
#include "converse/endword.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "base/text.h"

/* C.UTF-8 is part of the C library (2.35 and later); set once, then only read. */
static locale_t unicode;

void endword_init(void)
{
	if (unicode == (locale_t)0)
		unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

/* The code point of the sequence of SIZE bytes at TEXT, which text_utf8_length() measured. */
static wint_t code_point(const char *text, size_t size)
{
	static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	wint_t point = (unsigned char)text[0] & masks[size];

	for (size_t i = 1; i < size; i++)
		point = point << 6 | ((unsigned char)text[i] & 0x3f);
	return point;
}

/* Reads one character and moves on: its lower case, or a value of its own for a stray byte. */
static wint_t next_lower(const char **text, size_t *left)
{
	size_t size = text_utf8_length(*text, *left);
	wint_t point;

	if (size == 0) {
		point = 0x110000u + (unsigned char)**text;
		size = 1;
	} else {
		point = code_point(*text, size);
		if (point >= 'A' && point <= 'Z')
			point += 'a' - 'A';
		else if (point >= 0x80 && unicode != (locale_t)0)
			point = towlower_l(point, unicode);
	}
	*text += size;
	*left -= size;
	return point;
}

static bool matches(const char *word, const char *message, size_t length)
{
	size_t word_length = strlen(word);

	while (word_length > 0 && length > 0)
		if (next_lower(&word, &word_length) != next_lower(&message, &length))
			return false;
	return word_length == 0 && length == 0;
}

bool endword_matches(char *const words[], size_t n, const char *message, size_t length)
{
	for (size_t i = 0; i < n; i++)
		if (matches(words[i], message, length))
			return true;
	return false;
}
