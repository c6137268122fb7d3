/* Converting standard output and errors, and lines; see charset.h. */
#include "marcelctl/charset.h"

#include <errno.h>
#include <iconv.h>
#include <langinfo.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The longest character of UTF-8. */
#define CHARACTER_MAX 4

struct charset {
	int fd;
	iconv_t conversion;
	bool open;
	char held[CHARACTER_MAX]; /* the beginning of a character, whose rest is to come */
	size_t n_held;
};

static struct charset output = {.fd = STDOUT_FILENO};
static struct charset errors = {.fd = STDERR_FILENO};

static bool write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, bytes, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes += n;
		length -= (size_t)n;
	}
	return true;
}

/* Writes the LENGTH bytes at BYTES but for a last character that is not whole: that is held. */
static bool convert(struct charset *charset, char *bytes, size_t length)
{
	bool cut = false;

	while (length > 0 && !cut) {
		char text[1024];
		char *end = text;
		size_t room = sizeof(text) - 1;
		const bool whole = iconv(charset->conversion, &bytes, &length, &end, &room) !=
				   (size_t)-1;

		cut = !whole && errno == EINVAL && length < CHARACTER_MAX;
		if (!whole && !cut && errno != E2BIG) {
			*end++ = '?';
			bytes++;
			length--;
		}
		if (!write_all(charset->fd, text, (size_t)(end - text)))
			return false;
	}
	charset->n_held = length;
	(void)memcpy(charset->held, bytes, length);
	return true;
}

/* For fopencookie(3): takes all, or fails. */
static ssize_t put(void *cookie, const char *bytes, size_t size)
{
	struct charset *charset = cookie;
	size_t taken = 0;

	while (taken < size) {
		char piece[1024];
		size_t length = charset->n_held;
		size_t more = size - taken < sizeof(piece) - length ? size - taken
								    : sizeof(piece) - length;

		(void)memcpy(piece, charset->held, length);
		(void)memcpy(piece + length, bytes + taken, more);
		taken += more;
		if (!convert(charset, piece, length + more))
			return 0;
	}
	return (ssize_t)size;
}

/* The name of the locale's characters; NULL: they are UTF-8. */
static const char *others(void)
{
	/* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	const char *codeset = nl_langinfo(CODESET);

	return strcmp(codeset, "UTF-8") != 0 ? codeset : NULL;
}

/* Begins to convert UTF-8 to CODESET. Returns whether that can be had. */
static bool open_shown(const char *codeset, iconv_t *ret_conversion)
{
	char to[64];

	(void)snprintf(to, sizeof(to), "%.40s//TRANSLIT", codeset);
	*ret_conversion = iconv_open(to, "UTF-8");
	/* The value is iconv(3)'s. NOLINTNEXTLINE(performance-no-int-to-ptr) */
	return *ret_conversion != (iconv_t)-1;
}

/* The other way round. */
static bool open_typed(const char *codeset, iconv_t *ret_conversion)
{
	*ret_conversion = iconv_open("UTF-8", codeset);
	/* The value is iconv(3)'s. NOLINTNEXTLINE(performance-no-int-to-ptr) */
	return *ret_conversion != (iconv_t)-1;
}

/* Puts a stream in the place of *STREAM that converts. BY_LINE: it is written line by line. */
static void begin(struct charset *charset, FILE **stream, bool by_line)
{
	const char *codeset = others();
	const cookie_io_functions_t functions = {.write = put};
	FILE *made;

	if (charset->open || codeset == NULL || !open_shown(codeset, &charset->conversion))
		return;
	made = fopencookie(charset, "w", functions);
	if (made == NULL) {
		(void)iconv_close(charset->conversion);
		return;
	}
	(void)fflush(*stream);
	(void)setvbuf(made, NULL, by_line ? _IOLBF : _IOFBF, BUFSIZ);
	charset->open = true;
	*stream = made;
}

void charset_errors(void)
{
	begin(&errors, &stderr, true);
}

void charset_output(void)
{
	begin(&output, &stdout, isatty(STDOUT_FILENO) == 1);
}

/* TEXT, converted, which is freed, and may be NULL; NULL: there is no memory. Ends CONVERSION. */
static char *convert_line(iconv_t conversion, char *text)
{
	size_t length = text != NULL ? strlen(text) : 0;
	/* No byte becomes more than a character, and none is longer. */
	size_t room = length * CHARACTER_MAX;
	char *line = text != NULL ? malloc(room + 1) : NULL;
	char *bytes = text;
	char *end = line;

	if (line != NULL) {
		while (iconv(conversion, &bytes, &length, &end, &room) == (size_t)-1 && room > 0) {
			*end++ = '?';
			room--;
			bytes++;
			length--;
		}
		(void)iconv(conversion, NULL, NULL, &end, &room);
		*end = '\0';
	}
	(void)iconv_close(conversion);
	free(text);
	return line;
}

char *charset_typed(const char *text, size_t length)
{
	const char *codeset = others();
	iconv_t conversion;

	if (codeset == NULL || !open_typed(codeset, &conversion))
		return strndup(text, length);
	return convert_line(conversion, strndup(text, length));
}

char *charset_shown(const char *text)
{
	const char *codeset = others();
	iconv_t conversion;

	if (codeset == NULL || !open_shown(codeset, &conversion))
		return strdup(text);
	return convert_line(conversion, strdup(text));
}
