/*
 * Text as people write it and as it may be shown; see text.h.
 *
 * Everything here is pure: no locale, no errno, no memory but the caller's. That is why digits and
 * letters are told by hand and not by ctype(3): what a file means must not change with the
 * language of whoever starts the daemon.
 */
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Letters of a word that text_nearest() looks at; who writes more has not just mistyped it. */
#define NEAREST_LETTERS_MAX 64

#define USEC_PER_MIN  (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MIN)
#define USEC_PER_DAY  (24 * USEC_PER_HOUR)
#define USEC_PER_YEAR (1461 * USEC_PER_DAY / 4)

/* Code points that text_escape() never lets through, besides C0, DEL and C1. */
static const struct range {
	uint32_t first;
	uint32_t last;
} unprintable[] = {
	{0x061C, 0x061C}, /* Arabic letter mark */
	{0x200E, 0x200F}, /* left-to-right and right-to-left marks */
	{0x2028, 0x2029}, /* line and paragraph separators */
	{0x202A, 0x202E}, /* embeddings and overrides of the direction */
	{0x2066, 0x2069}, /* isolates */
};

static const struct unit {
	const char *name;
	usec_t usec;
} units[] = {
	{"us", 1},
	{"usec", 1},
	{"\302\265s", 1}, /* U+00B5, the micro sign */
	{"\316\274s", 1}, /* U+03BC, the Greek letter */
	{"ms", USEC_PER_MSEC},
	{"msec", USEC_PER_MSEC},
	{"", USEC_PER_SEC},
	{"s", USEC_PER_SEC},
	{"sec", USEC_PER_SEC},
	{"second", USEC_PER_SEC},
	{"seconds", USEC_PER_SEC},
	{"m", USEC_PER_MIN},
	{"min", USEC_PER_MIN},
	{"minute", USEC_PER_MIN},
	{"minutes", USEC_PER_MIN},
	{"h", USEC_PER_HOUR},
	{"hr", USEC_PER_HOUR},
	{"hour", USEC_PER_HOUR},
	{"hours", USEC_PER_HOUR},
	{"d", USEC_PER_DAY},
	{"day", USEC_PER_DAY},
	{"days", USEC_PER_DAY},
	{"w", 7 * USEC_PER_DAY},
	{"week", 7 * USEC_PER_DAY},
	{"weeks", 7 * USEC_PER_DAY},
	{"M", USEC_PER_YEAR / 12}, /* a twelfth of a year */
	{"month", USEC_PER_YEAR / 12},
	{"months", USEC_PER_YEAR / 12},
	{"y", USEC_PER_YEAR}, /* 365.25 days */
	{"year", USEC_PER_YEAR},
	{"years", USEC_PER_YEAR},
};

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* TEXT, or as much of it as fits, into SIZE bytes (one at least) at BUFFER. */
static char *put(char *buffer, size_t size, const char *text)
{
	size_t length = least(strlen(text), size - 1);

	(void)memcpy(buffer, text, length);
	buffer[length] = '\0';
	return buffer;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

/* Adds DIGIT at the end of *NUMBER; false when 64 bits are not enough. */
static bool append_digit(uint64_t *number, char digit)
{
	uint64_t more;

	if (__builtin_mul_overflow(*number, UINT64_C(10), &more) ||
	    __builtin_add_overflow(more, (uint64_t)(digit - '0'), &more))
		return false;
	*number = more;
	return true;
}

int text_parse_unsigned(const char *text, uint64_t max, uint64_t *ret_number)
{
	uint64_t number = 0;
	bool fits = true;

	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (!is_digit(*text))
			return -EINVAL;
		fits = fits && append_digit(&number, *text);
	}
	if (!fits || number > max)
		return -ERANGE;
	*ret_number = number;
	return 0;
}

/* The letters at TEXT as a unit's microseconds, or 0 when there is no such unit. */
static usec_t find_unit(const char *text, size_t length)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strlen(units[i].name) == length && memcmp(units[i].name, text, length) == 0)
			return units[i].usec;
	return 0;
}

/*
 * The fraction written by the LENGTH digits at DIGITS, of UNIT: ("5", one second) is 500,000.
 * What is less than a microsecond is dropped.
 */
static usec_t fraction_of(const char *digits, size_t length, usec_t unit)
{
	usec_t sum = 0;

	for (size_t i = 0; i < length && unit > 0; i++) {
		unit /= 10;
		sum += (usec_t)(digits[i] - '0') * unit;
	}
	return sum;
}

/* One "2.5s" at *TEXT, and the blanks after it, added to *SUM; *TEXT moves on. */
static int parse_span(const char **text, usec_t *sum)
{
	const char *digits = *text;
	size_t whole = strspn(digits, "0123456789");
	size_t fraction = 0;
	const char *word = digits + whole;
	usec_t number = 0;
	usec_t unit;
	size_t letters;

	if (*word == '.') {
		fraction = strspn(word + 1, "0123456789");
		word += 1 + fraction;
	}
	if (whole + fraction == 0 || word[-1] == '.' || *word == '.')
		return -EINVAL;
	word = skip_blanks(word);
	letters = strcspn(word, " \t.0123456789");
	unit = find_unit(word, letters);
	if (unit == 0)
		return -EINVAL;
	*text = skip_blanks(word + letters);

	for (size_t i = 0; i < whole; i++)
		if (!append_digit(&number, digits[i]))
			return -ERANGE;
	if (__builtin_mul_overflow(number, unit, &number) ||
	    __builtin_add_overflow(*sum, number, sum) ||
	    __builtin_add_overflow(*sum, fraction_of(digits + whole + 1, fraction, unit), sum))
		return -ERANGE;
	return 0;
}

int text_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int text_parse_duration(const char *text, usec_t *ret_duration)
{
	usec_t sum = 0;
	bool fits = true;

	if (strcmp(text, "infinity") == 0) {
		*ret_duration = USEC_NEVER;
		return 0;
	}
	text = skip_blanks(text);
	if (*text == '\0')
		return -EINVAL;
	while (*text != '\0') {
		int r = parse_span(&text, &sum);

		if (r == -EINVAL)
			return r;
		fits = fits && r == 0;
	}
	if (!fits || sum == USEC_NEVER)
		return -ERANGE;
	*ret_duration = sum;
	return 0;
}

char *text_format_duration(char *buffer, size_t size, usec_t duration)
{
	static const char *const names[] = {"d", "h", "min", "s", "ms", "us"};
	static const usec_t values[] = {
		USEC_PER_DAY, USEC_PER_HOUR, USEC_PER_MIN, USEC_PER_SEC, USEC_PER_MSEC, 1,
	};
	size_t used = 0;

	if (size == 0)
		return buffer;
	if (duration == 0 || duration == USEC_NEVER) {
		return put(buffer, size, duration == 0 ? "0" : "infinity");
	}
	buffer[0] = '\0';
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		usec_t n = duration / values[i];
		int more;

		duration %= values[i];
		if (n == 0)
			continue;
		more = snprintf(buffer + used, size - used, "%s%" PRIu64 "%s", used > 0 ? " " : "",
				n, names[i]);
		if (more < 0 || (size_t)more >= size - used)
			break;
		used += (size_t)more;
	}
	return buffer;
}

static const char size_suffixes[] = "KMGT";

int text_parse_size(const char *text, uint64_t *ret_size)
{
	const char *suffix;
	uint64_t size = 0;
	bool fits = true;
	unsigned shift = 0;

	if (!is_digit(*text))
		return -EINVAL;
	for (; is_digit(*text); text++)
		fits = fits && append_digit(&size, *text);
	text = skip_blanks(text);
	if (*text != '\0') {
		suffix = strchr(size_suffixes, *text);
		if (suffix == NULL || text[1] != '\0')
			return -EINVAL;
		shift = 10 * (unsigned)(suffix - size_suffixes + 1);
	}
	if (!fits || size > UINT64_MAX >> shift)
		return -ERANGE;
	*ret_size = size << shift;
	return 0;
}

char *text_format_size(char *buffer, size_t size_of_buffer, uint64_t size)
{
	size_t power = 0;

	while (size != 0 && size % 1024 == 0 && power < sizeof(size_suffixes) - 1) {
		size /= 1024;
		power++;
	}
	if (power > 0)
		(void)snprintf(buffer, size_of_buffer, "%" PRIu64 "%c", size,
			       size_suffixes[power - 1]);
	else
		(void)snprintf(buffer, size_of_buffer, "%" PRIu64, size);
	return buffer;
}

int text_parse_boolean(const char *text, bool *ret_value)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {
		{"yes", true}, {"no", false},  {"true", true}, {"false", false},
		{"on", true},  {"off", false}, {"1", true},    {"0", false},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i].word) == 0) {
			*ret_value = words[i].value;
			return 0;
		}
	return -EINVAL;
}

/*
 * The code point of the UTF-8 sequence at TEXT, whose length goes to *RET_LENGTH: 0 when there is
 * no valid one within LENGTH bytes.
 */
static uint32_t decode(const char *text, size_t length, size_t *ret_length)
{
	/* By length of the sequence: the first byte's mark and mask, the smallest code point. */
	static const struct {
		unsigned char mask;
		unsigned char mark;
		uint32_t least;
	} forms[] = {
		{0x80, 0x00, 0},
		{0xE0, 0xC0, 0x80},
		{0xF0, 0xE0, 0x800},
		{0xF8, 0xF0, 0x10000},
	};
	unsigned char first = length > 0 ? (unsigned char)text[0] : 0xFF;
	size_t bytes = 0;
	uint32_t point;

	*ret_length = 0;
	while (bytes < 4 && (first & forms[bytes].mask) != forms[bytes].mark)
		bytes++;
	if (bytes == 4 || bytes + 1 > length)
		return 0;
	point = first & (unsigned char)~forms[bytes].mask;
	for (size_t i = 1; i <= bytes; i++) {
		unsigned char next = (unsigned char)text[i];

		if ((next & 0xC0) != 0x80)
			return 0;
		point = point << 6 | (next & 0x3F);
	}
	if (point < forms[bytes].least || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
		return 0;
	*ret_length = bytes + 1;
	return point;
}

size_t text_utf8_length(const char *text, size_t length)
{
	size_t bytes;

	(void)decode(text, length, &bytes);
	return bytes;
}

static bool can_be_shown(uint32_t point)
{
	if (point < 0x20 || (point >= 0x7F && point <= 0x9F))
		return false;
	for (size_t i = 0; i < sizeof(unprintable) / sizeof(unprintable[0]); i++)
		if (point >= unprintable[i].first && point <= unprintable[i].last)
			return false;
	return true;
}

/* The escape of one byte, into four bytes at TO; returns its length. */
static size_t escape_byte(char to[4], unsigned char byte)
{
	static const char hex[] = "0123456789abcdef";
	static const char from[] = "\n\t\r\033\\";
	static const char letter[] = "ntre\\";
	const char *known = byte != '\0' ? strchr(from, byte) : NULL;

	to[0] = '\\';
	if (known != NULL) {
		to[1] = letter[known - from];
		return 2;
	}
	to[1] = 'x';
	to[2] = hex[byte >> 4];
	to[3] = hex[byte & 0x0F];
	return 4;
}

/* Whether C stands for itself; most of what is said does, and need not be decoded. */
static bool is_plain(char c)
{
	return c >= ' ' && c <= '~' && c != '\\';
}

size_t text_escape(char *buffer, size_t size, const char *text, size_t length, size_t *ret_used)
{
	size_t written = 0;
	size_t used = 0;

	while (used < length) {
		char piece[16];
		size_t n = 0;
		size_t bytes;
		uint32_t point;

		if (is_plain(text[used]) && written + 1 < size) {
			buffer[written++] = text[used++];
			continue;
		}
		point = decode(text + used, length - used, &bytes);

		if (bytes > 0 && can_be_shown(point) && point != '\\') {
			n = bytes;
			(void)memcpy(piece, text + used, n);
		} else {
			bytes = bytes > 0 ? bytes : 1;
			for (size_t i = 0; i < bytes; i++)
				n += escape_byte(piece + n, (unsigned char)text[used + i]);
		}
		if (size == 0 || n > size - 1 - written)
			break;
		(void)memcpy(buffer + written, piece, n);
		written += n;
		used += bytes;
	}
	if (size > 0)
		buffer[written] = '\0';
	if (ret_used != NULL)
		*ret_used = used;
	return written;
}

char *text_escape_lines(const char *text)
{
	const size_t size = TEXT_ESCAPED_MAX(strlen(text));
	char *lines = malloc(size);
	size_t used = 0;

	while (lines != NULL) {
		const size_t length = strcspn(text, "\n");

		used += text_escape(lines + used, size - used, text, length, NULL);
		text += length;
		if (*text == '\0')
			break;
		lines[used++] = *text++;
	}
	return lines;
}

/* WORD as code points, small letters for ASCII's; returns how many, or 0 when too many. */
static size_t spell(const char *word, uint32_t letters[NEAREST_LETTERS_MAX])
{
	size_t left = strlen(word);
	size_t n = 0;

	while (left > 0) {
		size_t bytes;
		uint32_t point = decode(word, left, &bytes);

		if (n == NEAREST_LETTERS_MAX)
			return 0;
		if (bytes == 0) {
			bytes = 1;
			point = UINT32_MAX; /* like no letter of any word */
		}
		letters[n++] = point >= 'A' && point <= 'Z' ? point - 'A' + 'a' : point;
		word += bytes;
		left -= bytes;
	}
	return n;
}

/*
 * How many letters must be put in, left out, replaced or swapped with their neighbour to make B
 * of A. Row i of the table holds the distances of A's first i letters to the beginnings of B; only
 * the last three rows are kept.
 */
static size_t distance(const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b)
{
	size_t rows[3][NEAREST_LETTERS_MAX + 1] = {{0}};

	for (size_t j = 0; j <= n_b; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= n_a; i++) {
		size_t *row = rows[i % 3];
		const size_t *above = rows[(i - 1) % 3];
		const size_t *second = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= n_b; j++) {
			row[j] = least(above[j], row[j - 1]) + 1;
			row[j] = least(row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], second[j - 2] + 1);
		}
	}
	return rows[n_a % 3][n_b];
}

const char *text_nearest(const char *word, const char *const words[], size_t n)
{
	uint32_t letters[NEAREST_LETTERS_MAX];
	size_t n_letters = spell(word, letters);
	const char *nearest = NULL;
	size_t shortest = n_letters / 3 + 1;

	for (size_t i = 0; n_letters > 0 && i < n; i++) {
		uint32_t other[NEAREST_LETTERS_MAX];
		size_t n_other = spell(words[i], other);
		size_t changes;

		if (n_other == 0)
			continue;
		changes = distance(letters, n_letters, other, n_other);
		if (changes < shortest) {
			shortest = changes;
			nearest = words[i];
		}
	}
	return nearest;
}
