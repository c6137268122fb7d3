/* Filters of expansions: ${name|upper} and so on; see expand_filter() in expand.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "respond/script/expand.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

#define PADDING 64 /* the last of them */

/* Makes each letter from FIRST to LAST the one of the row that begins with TO. */
static void shift_letters(char *bytes, size_t length, char first, char last, char to)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i] >= first && bytes[i] <= last)
			bytes[i] = (char)(to + (bytes[i] - first));
}

/* Puts N bytes in place of what stands in TO from START on. */
static int replace(struct expansion *to, size_t start, const char *bytes, size_t n)
{
	size_t length = to->length;
	int r;

	to->length = start;
	r = expansion_add(to, bytes, n);
	if (r < 0)
		to->length = length;
	return r;
}

/* RFC 4648, 4: with padding, without line ends. */
static int base64(struct expansion *to, size_t start)
{
	size_t length = to->length - start;
	size_t n = 0;
	char *coded;
	int r;

	if (length > SCRIPT_REPLY_MAX)
		return -ENOSPC;
	coded = malloc((length + 2) / 3 * 4 + 1);
	if (coded == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < length; i += 3) {
		size_t group = length - i < 3 ? length - i : 3;
		uint32_t bits = 0;

		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 |
			       (j < group ? (unsigned char)to->bytes[start + i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			coded[n++] = digits[j <= group ? bits >> (18 - 6 * j) & 63 : PADDING];
	}
	r = replace(to, start, coded, n);
	free(coded);
	return r;
}

/*
 * Decodes N bytes at TEXT in place; returns how many there are then, 0 if anything is wrong with
 * them: another byte than those of the alphabet, a length that is no multiple of 4, padding
 * elsewhere than at the end, bits behind the last byte that are not 0.
 */
static size_t unbase64(char *text, size_t n)
{
	size_t padding = 0;
	size_t written = 0;
	uint32_t bits = 0;

	if (n == 0 || n % 4 != 0)
		return 0;
	while (padding < 2 && text[n - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < n - padding; i++) {
		const char *found = memchr(digits, text[i], PADDING);

		if (found == NULL)
			return 0;
		bits = bits << 6 | (uint32_t)(found - digits);
		if (i % 4 > 0)
			text[written++] = (char)(bits >> (6 - 2 * (i % 4)) & 0xFF);
	}
	if ((bits & ((1U << (2 * padding)) - 1)) != 0)
		return 0;
	return written;
}

int expand_filter(enum filter filter, struct expansion *to, size_t start)
{
	size_t length = to->length - start;
	char number[32];

	if (length == 0 && filter != FILTER_LENGTH)
		return 0;
	switch (filter) {
	case FILTER_UPPER:
		shift_letters(to->bytes + start, length, 'a', 'z', 'A');
		return 0;
	case FILTER_LOWER:
		shift_letters(to->bytes + start, length, 'A', 'Z', 'a');
		return 0;
	case FILTER_BASE64:
		return base64(to, start);
	case FILTER_UNBASE64:
		to->length = start + unbase64(to->bytes + start, length);
		return 0;
	case FILTER_LENGTH:
		(void)snprintf(number, sizeof(number), "%zu", length);
		return replace(to, start, number, strlen(number));
	}
	abort();
}
