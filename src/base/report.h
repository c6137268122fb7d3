/*
 * Faults of a person's input (a configuration, a script, a command line), collected as texts for
 * that person: "/etc/marcel.ini:12: unknown key 'greating' in [dialogue] (did you mean
 * 'greeting'?)". One report gathers all faults of one reading, so that they are told together.
 *
 * A report belongs to one thread. Memory running out never loses the fact that there was a fault:
 * report_count() counts also what could not be kept.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct report {
	char **texts; /* each one line, UTF-8, without its line end; a fault of a script: several */
	size_t count; /* all faults, kept or not */
	size_t kept;  /* entries of texts */
};

#define REPORT_INIT           \
	{                     \
		.texts = NULL \
	}
#define REPORT_KEEP_MAX 100 /* past this many faults are only counted */

/* Adds a fault made as by printf(3). */
__attribute__((format(printf, 2, 3))) void report_add(struct report *report, const char *format,
						      ...);

/* As report_add(), preceded by "FILE:LINE: " (LINE 0: "FILE: "). */
__attribute__((format(printf, 4, 5))) void report_add_at(struct report *report, const char *file,
							 unsigned line, const char *format, ...);

/* Frees the texts; the report is empty afterwards. */
void report_done(struct report *report);
