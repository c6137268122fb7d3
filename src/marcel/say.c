/* Telling the user about faults; see say.h. */
#include "marcel/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

static void write_line(const char *text)
{
	const size_t length = strlen(text);
	auto_free char *shown = malloc(TEXT_ESCAPED_MAX(length));

	if (shown != NULL) {
		(void)text_escape(shown, TEXT_ESCAPED_MAX(length), text, length, NULL);
		(void)fprintf(stderr, "marcel: %s\n", shown);
	}
}

void say_error(const char *format, ...)
{
	auto_free char *text = NULL;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		text = NULL;
	else
		write_line(text);
}

void say_report(const struct report *report)
{
	for (size_t i = 0; i < report->kept; i++)
		write_line(report->texts[i]);
}

const char *say_errno(int error)
{
	static char buffer[256];

	return strerror_r(error, buffer, sizeof(buffer));
}
