/* Collecting faults of a person's input; see report.h. */
#include "base/report.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"

/* Takes over TEXT, which may be NULL when there was no memory for it. */
static void keep(struct report *report, char *text)
{
	char **more;

	report->count++;
	if (text == NULL || report->kept >= REPORT_KEEP_MAX) {
		free(text);
		return;
	}
	more = reallocarray(report->texts, report->kept + 1, sizeof(*more));
	if (more == NULL) {
		free(text);
		return;
	}
	report->texts = more;
	report->texts[report->kept++] = text;
}

void report_add(struct report *report, const char *format, ...)
{
	va_list arguments;
	char *text = NULL;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	keep(report, text);
}

void report_add_at(struct report *report, const char *file, unsigned line, const char *format, ...)
{
	auto_free char *fault = NULL;
	va_list arguments;
	char *text = NULL;
	int length;

	va_start(arguments, format);
	length = vasprintf(&fault, format, arguments);
	va_end(arguments);
	if (length < 0) {
		fault = NULL;
		keep(report, NULL);
		return;
	}
	if (line > 0)
		length = asprintf(&text, "%s:%u: %s", file, line, fault);
	else
		length = asprintf(&text, "%s: %s", file, fault);
	keep(report, length < 0 ? NULL : text);
}

void report_done(struct report *report)
{
	for (size_t i = 0; i < report->kept; i++)
		free(report->texts[i]);
	free(report->texts);
	*report = (struct report)REPORT_INIT;
}
