/*
 * What marcel tells its user about faults: lines on standard error that begin with its name. What
 * a server or a command line put into them is escaped (base/text.h). Main thread.
 */
#pragma once

#include "base/report.h"

/* Writes "marcel: " and a line made as by printf(3). */
__attribute__((format(printf, 1, 2))) void say_error(const char *format, ...);

/* Writes each text of REPORT as a line of its own, as say_error() does. */
void say_report(const struct report *report);

/* What the errno ERROR (positive) means, in the user's language; valid until the next call. */
const char *say_errno(int error);
