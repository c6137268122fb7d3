/*
 * Numbers in scripts; see number.h.
 *
 * Two numbers are compared as what is written, not as what a double makes of it: a client's 20
 * digits must not equal 20 others.
 */
#include "respond/script/number.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Where an exponent stops counting: farther than any number of digits reaches. */
#define EXPONENT_MAX 1000000000L

/* What is written. */
struct decimal {
	bool negative;
	const char *whole; /* digits before the point */
	size_t n_whole;
	const char *fraction; /* after it */
	size_t n_fraction;
	long exponent;
	struct span text; /* without spaces around */
};

static pthread_once_t locale_once = PTHREAD_ONCE_INIT;
static locale_t locale;

static void make_locale(void)
{
	locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

locale_t number_locale(void)
{
	(void)pthread_once(&locale_once, make_locale);
	return locale;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The digits from *AT to END; *AT moves behind them. */
static size_t skip_digits(const char **at, const char *end)
{
	const char *start = *at;

	while (*at < end && is_digit(**at))
		(*at)++;
	return (size_t)(*at - start);
}

/* A sign at *AT, if there is one: whether it is a minus. */
static bool skip_sign(const char **at, const char *end)
{
	if (*at == end || (**at != '-' && **at != '+'))
		return false;
	return *(*at)++ == '-';
}

/* "e5" at *AT, if anything stands there. Returns false if it is something else. */
static bool read_exponent(const char **at, const char *end, long *exponent)
{
	const char *digits;
	bool negative;
	size_t n;

	*exponent = 0;
	if (*at == end)
		return true;
	if (**at != 'e' && **at != 'E')
		return false;
	(*at)++;
	negative = skip_sign(at, end);
	digits = *at;
	n = skip_digits(at, end);
	for (size_t i = 0; i < n; i++) {
		*exponent = *exponent * 10 + (digits[i] - '0');
		if (*exponent > EXPONENT_MAX)
			*exponent = EXPONENT_MAX;
	}
	if (negative)
		*exponent = -*exponent;
	return n > 0 && *at == end;
}

struct span value_trim(const char *text, size_t length)
{
	while (length > 0 && is_blank(text[length - 1]))
		length--;
	while (length > 0 && is_blank(*text)) {
		text++;
		length--;
	}
	return (struct span){.bytes = text, .length = length};
}

static bool read_decimal(const char *text, size_t length, struct decimal *ret)
{
	struct span trimmed = value_trim(text, length);
	const char *at = trimmed.bytes;
	const char *end;

	if (trimmed.length == 0)
		return false;
	end = at + trimmed.length;
	*ret = (struct decimal){.text = trimmed};
	ret->negative = skip_sign(&at, end);
	ret->whole = at;
	ret->n_whole = skip_digits(&at, end);
	if (at < end && *at == '.') {
		ret->fraction = ++at;
		ret->n_fraction = skip_digits(&at, end);
	}
	return ret->n_whole + ret->n_fraction > 0 && read_exponent(&at, end, &ret->exponent);
}

bool number_parse(const char *text, size_t length, double *ret_number)
{
	char copy[SCRIPT_VALUE_MAX + 1];
	struct decimal decimal;
	double number;

	if (!read_decimal(text, length, &decimal) || decimal.text.length >= sizeof(copy) ||
	    number_locale() == (locale_t)0)
		return false;
	(void)memcpy(copy, decimal.text.bytes, decimal.text.length);
	copy[decimal.text.length] = '\0';
	number = strtod_l(copy, NULL, number_locale());
	if (!isfinite(number))
		return false;
	*ret_number = number;
	return true;
}

/* Digit I of D, from 0 at its first; 0 behind the last. */
static char digit_at(const struct decimal *d, size_t i)
{
	if (i < d->n_whole)
		return d->whole[i];
	i -= d->n_whole;
	if (i < d->n_fraction)
		return d->fraction[i];
	return '0';
}

/* The first digit of D that is not 0; all its digits' number if there is none. */
static size_t first_digit(const struct decimal *d)
{
	size_t i = 0;

	while (i < d->n_whole + d->n_fraction && digit_at(d, i) == '0')
		i++;
	return i;
}

static int compare_sizes(const struct decimal *a, const struct decimal *b, size_t first_a,
			 size_t first_b)
{
	/* How many digits stand before the point when the exponent is 0. */
	long before_a = (long)a->n_whole - (long)first_a + a->exponent;
	long before_b = (long)b->n_whole - (long)first_b + b->exponent;

	if (before_a != before_b)
		return before_a < before_b ? -1 : 1;
	for (size_t i = 0; i < a->n_whole + a->n_fraction || i < b->n_whole + b->n_fraction; i++) {
		char x = digit_at(a, first_a + i);
		char y = digit_at(b, first_b + i);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}

static int compare_decimals(const struct decimal *a, const struct decimal *b)
{
	size_t first_a = first_digit(a);
	size_t first_b = first_digit(b);
	/* -1, 0 or 1 */
	int sign_a = first_a == a->n_whole + a->n_fraction ? 0 : a->negative ? -1 : 1;
	int sign_b = first_b == b->n_whole + b->n_fraction ? 0 : b->negative ? -1 : 1;

	if (sign_a != sign_b || sign_a == 0)
		return sign_a - sign_b;
	return sign_a * compare_sizes(a, b, first_a, first_b);
}

int value_compare(struct span a, struct span b)
{
	size_t shorter = a.length < b.length ? a.length : b.length;
	struct decimal x;
	struct decimal y;
	int r;

	if (read_decimal(a.bytes, a.length, &x) && read_decimal(b.bytes, b.length, &y))
		return compare_decimals(&x, &y);
	r = shorter > 0 ? memcmp(a.bytes, b.bytes, shorter) : 0;
	if (r != 0 || a.length == b.length)
		return r;
	return a.length < b.length ? -1 : 1;
}
