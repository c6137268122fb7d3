/* Telling the user; see say.h. */
#include "marcelctl/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/i18n.h"
#include "marcelctl/file.h"

static void write_line(const char *text)
{
	(void)fputs("marcelctl: ", stderr);
	file_put_escaped(stderr, text, strlen(text));
	(void)fputc('\n', stderr);
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
	if (report->count > report->kept)
		say_error(_("and %zu more"), report->count - report->kept);
}

const char *say_errno(int error)
{
	static char buffer[256];

	return strerror_r(error, buffer, sizeof(buffer));
}

int say_finish(int status)
{
	errno = 0;
	if (fflush(stdout) != EOF && !ferror(stdout))
		return status;
	say_error(_("standard output: %s"), say_errno(errno != 0 ? errno : EIO));
	return CTL_FAILED;
}
