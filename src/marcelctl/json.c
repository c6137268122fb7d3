/* JSON on standard output; see json.h. */
#include "marcelctl/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"

/* Whether a value stands before the next one, in the same object or array. Main thread. */
static bool comma_is_due;

/* The code point of the valid sequence of LENGTH bytes at TEXT. */
static uint32_t decode(const char *text, size_t length)
{
	static const uint8_t masks[] = {0x7f, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t code = (uint8_t)text[0] & masks[length];

	for (size_t i = 1; i < length; i++)
		code = code << 6 | ((uint8_t)text[i] & 0x3f);
	return code;
}

static void put_code(uint32_t code)
{
	if (code < 0x10000)
		(void)printf("\\u%04" PRIx32, code);
	else
		(void)printf("\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + ((code - 0x10000) >> 10),
			     0xdc00 + ((code - 0x10000) & 0x3ff));
}

static void put_string(const char *text)
{
	size_t left = strlen(text);

	(void)putchar('"');
	while (left > 0) {
		const size_t length = text_utf8_length(text, left);
		char shown[16];
		size_t n;

		if (length == 0) {
			put_code(0xfffd);
			text++;
			left--;
			continue;
		}
		n = text_escape(shown, sizeof(shown), text, length, NULL);
		if (text[0] == '"' || text[0] == '\\')
			(void)printf("\\%c", text[0]);
		else if (n == length)
			(void)fwrite(text, 1, length, stdout);
		else
			put_code(decode(text, length));
		text += length;
		left -= length;
	}
	(void)putchar('"');
}

static void begin_value(const char *name)
{
	if (comma_is_due)
		(void)putchar(',');
	comma_is_due = true;
	if (name == NULL)
		return;
	put_string(name);
	(void)putchar(':');
}

void json_begin(const char *name, char bracket)
{
	begin_value(name);
	(void)putchar(bracket);
	comma_is_due = false;
}

void json_end(char bracket)
{
	(void)putchar(bracket);
	comma_is_due = true;
}

void json_text(const char *name, const char *text)
{
	begin_value(name);
	put_string(text);
}

void json_number(const char *name, uint64_t number)
{
	begin_value(name);
	(void)printf("%" PRIu64, number);
}

void json_boolean(const char *name, bool value)
{
	begin_value(name);
	(void)fputs(value ? "true" : "false", stdout);
}

void json_null(const char *name)
{
	begin_value(name);
	(void)fputs("null", stdout);
}

void json_time(const char *name, uint64_t time)
{
	const time_t seconds = (time_t)(time / USEC_PER_SEC);
	char date[64];
	char zone[16];
	struct tm tm;

	if (time == 0 || localtime_r(&seconds, &tm) == NULL) {
		json_null(name);
		return;
	}
	(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)strftime(zone, sizeof(zone), "%z", &tm);
	begin_value(name);
	/* "+0100" is "+01:00" there. */
	(void)printf("\"%s.%06" PRIu64 "%.3s:%s\"", date, time % USEC_PER_SEC, zone, zone + 3);
}

void json_text_or_null(const char *name, const char *text)
{
	if (text[0] == '\0')
		json_null(name);
	else
		json_text(name, text);
}

void json_list(const char *name, char *const *list)
{
	json_begin(name, '[');
	for (size_t i = 0; list[i] != NULL; i++)
		json_text(NULL, list[i]);
	json_end(']');
}

void json_line(bool comma)
{
	(void)fputs(comma ? ",\n" : "\n", stdout);
	comma_is_due = false;
}
