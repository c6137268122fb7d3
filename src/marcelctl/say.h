/*
 * What marcelctl tells its user: faults as lines on standard error that begin with its name, and
 * results on standard output. What comes from files, scripts or peers is escaped (base/text.h).
 * Main thread.
 */
#pragma once

#include "base/report.h"

/* Exit statuses beside those of base/error.h. */
#define CTL_FAILED 1 /* what was asked for did not succeed, or something was found wrong */

/* Writes "marcelctl: " and a line made as by printf(3). */
__attribute__((format(printf, 1, 2))) void say_error(const char *format, ...);

/* Writes each text of REPORT as a line of its own, as say_error() does. */
void say_report(const struct report *report);

/* What the errno ERROR (positive) means, in the user's language; valid until the next call. */
const char *say_errno(int error);

/* Has everything written to standard output arrive. Returns STATUS, or CTL_FAILED if it can't. */
int say_finish(int status);
