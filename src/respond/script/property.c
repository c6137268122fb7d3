/* The values of properties: what fits, and how they are said; see number.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "respond/script/number.h"

/* The longest conversion, "%-+ #0" to "ll" and the end; and what it gives: 309 digits, 99 more. */
#define SPEC_MAX   32
#define NUMBER_MAX 512

#define FLAGS_MAX  8
#define DIGITS_MAX 2 /* of a width or precision */

/* The one conversion of a format. */
struct conversion {
	const char *start; /* at its % */
	const char *end;   /* behind its letter */
	bool left;
	size_t width;
	bool has_precision;
	size_t precision;
};

static const char *const letters[] = {
	[PROPERTY_INT] = "diuxXo",
	[PROPERTY_FLOAT] = "eEfFgG",
	[PROPERTY_BOOL] = "diuxXo",
	[PROPERTY_TEXT] = "s",
};

/* The first conversion in FORMAT, or its end. */
static const char *find_conversion(const char *format)
{
	while (*format != '\0' && (format[0] != '%' || format[1] == '%'))
		format += *format == '%' ? 2 : 1;
	return format;
}

/* Digits at *AT as a number; false if there are too many. */
static bool read_width(const char **at, size_t *ret_number)
{
	size_t n = strspn(*at, "0123456789");

	*ret_number = 0;
	for (size_t i = 0; i < n && i < DIGITS_MAX; i++)
		*ret_number = *ret_number * 10 + (size_t)((*at)[i] - '0');
	*at += n;
	return n <= DIGITS_MAX;
}

/* Reads the conversion of FORMAT, whose letter is to be one of LETTERS. Returns NULL or what is
 * wrong with it. */
static const char *read_format(const char *format, const char *allowed, struct conversion *ret)
{
	const char *at = find_conversion(format);
	size_t flags;

	if (*at == '\0')
		return "no conversion in the format";
	*ret = (struct conversion){.start = at++};
	flags = strspn(at, "-+ #0");
	ret->left = memchr(at, '-', flags) != NULL;
	if (flags > FLAGS_MAX)
		return "too many flags in the format";
	at += flags;
	if (!read_width(&at, &ret->width))
		return "a width above 99 in the format";
	if (*at == '.') {
		at++;
		ret->has_precision = true;
		if (!read_width(&at, &ret->precision))
			return "a precision above 99 in the format";
	}
	if (*at == '\0' || strchr(allowed, *at) == NULL)
		return "a conversion that does not fit the property";
	ret->end = at + 1;
	return *find_conversion(ret->end) != '\0' ? "more than one conversion in the format" : NULL;
}

/* A % at the end is no conversion, but nothing else either. */
static bool ends_in_percent(const char *format)
{
	while (*format != '\0' && (format[0] != '%' || format[1] != '\0'))
		format += format[0] == '%' && format[1] == '%' ? 2 : 1;
	return *format != '\0';
}

int property_check_format(enum property_kind kind, const char *format, char fault[FORMAT_FAULT_MAX])
{
	struct conversion conversion;
	const char *text;

	if (ends_in_percent(format)) {
		(void)snprintf(fault, FORMAT_FAULT_MAX,
			       "a %% at the end of the format; %%%% is the sign itself");
		return -EINVAL;
	}
	text = read_format(format, letters[kind], &conversion);
	if (text == NULL)
		return 0;
	(void)snprintf(fault, FORMAT_FAULT_MAX, "%s; one like %%%c is wanted", text,
		       letters[kind][0]);
	return -EINVAL;
}

/* Whether VALUE is 0, 1, on or off; which of both to *RET. */
static bool read_bool(struct span value, bool *ret)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {{"0", false}, {"1", true}, {"off", false}, {"on", true}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i].word) == value.length &&
		    strncasecmp(words[i].word, value.bytes, value.length) == 0) {
			*ret = words[i].value;
			return true;
		}
	return false;
}

/* A whole number of 64 bits: digit by digit if it is written so, else as a double has it. */
static bool read_int(struct span value, long long *ret)
{
	char copy[32] = "";
	char *end = copy;
	double number;

	if (!number_parse(value.bytes, value.length, &number))
		return false;
	if (value.length < sizeof(copy))
		(void)memcpy(copy, value.bytes, value.length);
	errno = 0;
	*ret = strtoll(copy, &end, 10);
	if (end > copy && *end == '\0' && errno == 0)
		return true;
	if (number < -0x1p63 || number >= 0x1p63)
		return false;
	*ret = (long long)number;
	return (double)*ret >= number && (double)*ret <= number;
}

bool property_fits(const struct property *property, const char *value, size_t length,
		   struct span *ret_kept)
{
	struct span kept = value_trim(value, length);
	double number = 0;
	long long whole;
	bool truth;

	switch (property->kind) {
	case PROPERTY_TEXT:
		*ret_kept = (struct span){.bytes = value, .length = length};
		return true;
	case PROPERTY_BOOL:
		if (!read_bool(kept, &truth))
			return false;
		*ret_kept = kept;
		return true;
	case PROPERTY_INT:
		if (!read_int(kept, &whole))
			return false;
		break;
	case PROPERTY_FLOAT:
		break;
	}
	if (!number_parse(kept.bytes, kept.length, &number) ||
	    (property->limited && (number < property->least || number > property->most)))
		return false;
	*ret_kept = kept;
	return true;
}

/* Appends FORMAT from START to END, in which %% is one. */
static int add_plain(struct expansion *to, const char *start, const char *end)
{
	int r = 0;

	for (; r == 0 && start < end; start++) {
		r = expansion_add(to, start, 1);
		start += start[0] == '%';
	}
	return r;
}

static int add_text(struct expansion *to, const struct conversion *conversion, struct span value)
{
	static const char spaces[] = "                                                  "
				     "                                                  ";
	size_t length = value.length;
	size_t padding;
	int r = 0;

	if (conversion->has_precision && length > conversion->precision)
		length = conversion->precision;
	padding = conversion->width > length ? conversion->width - length : 0;
	if (!conversion->left)
		r = expansion_add(to, spaces, padding);
	if (r == 0)
		r = expansion_add(to, value.bytes, length);
	if (r == 0 && conversion->left)
		r = expansion_add(to, spaces, padding);
	return r;
}

/* The format was checked: it has one conversion, for a number of this kind. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void print(char text[NUMBER_MAX], const char *spec, bool is_float, double number,
		  long long whole)
{
	locale_t before = uselocale(number_locale()); /* whose decimal point is one */

	if (is_float)
		(void)snprintf(text, NUMBER_MAX, spec, number);
	else
		(void)snprintf(text, NUMBER_MAX, spec, whole);
	(void)uselocale(before);
}
#pragma GCC diagnostic pop

static int add_number(struct expansion *to, const struct conversion *conversion, bool is_float,
		      double number, long long whole)
{
	char spec[SPEC_MAX];
	char text[NUMBER_MAX];
	size_t flags = (size_t)(conversion->end - conversion->start) - 1;

	if (number_locale() == (locale_t)0)
		return -ENOMEM;
	if (flags + sizeof("lld") > sizeof(spec))
		return -EINVAL;
	(void)snprintf(spec, sizeof(spec), "%.*s%s%c", (int)flags, conversion->start,
		       is_float ? "" : "ll", conversion->end[-1]);
	print(text, spec, is_float, number, whole);
	return expansion_add(to, text, strlen(text));
}

static int add_converted(struct expansion *to, const struct property *property,
			 const struct conversion *conversion, struct span value)
{
	long long whole = 0;
	double number = 0;
	bool truth = false;

	switch (property->kind) {
	case PROPERTY_TEXT:
		return add_text(to, conversion, value);
	case PROPERTY_BOOL:
		(void)read_bool(value, &truth);
		return add_number(to, conversion, false, 0, truth);
	case PROPERTY_INT:
		(void)read_int(value, &whole);
		return add_number(to, conversion, false, 0, whole);
	case PROPERTY_FLOAT:
		(void)number_parse(value.bytes, value.length, &number);
		return add_number(to, conversion, true, number, 0);
	}
	abort();
}

int property_say(const struct property *property, struct span value, struct expansion *to)
{
	struct conversion conversion;
	size_t length = to->length;
	struct span kept;
	bool truth = false;
	int r;

	if (!property_fits(property, value.bytes, value.length, &kept))
		return expansion_add(to, value.bytes, value.length);
	if (property->format == NULL ||
	    read_format(property->format, letters[property->kind], &conversion) != NULL) {
		if (property->kind != PROPERTY_BOOL)
			return expansion_add(to, value.bytes, value.length);
		(void)read_bool(kept, &truth);
		return expansion_add(to, truth ? "1" : "0", 1);
	}
	r = add_plain(to, property->format, conversion.start);
	if (r == 0)
		r = add_converted(to, property, &conversion, kept);
	if (r == 0)
		r = add_plain(to, conversion.end, conversion.end + strlen(conversion.end));
	if (r < 0)
		to->length = length;
	return r;
}
