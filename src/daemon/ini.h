/*
 * A checked reader of INI files, around inih.
 *
 * inih splits a line into key and value; what it would pass over in silence is caught here: lines
 * and values that it would cut, NUL bytes, text that is not UTF-8, sections whose names it would
 * cut, text after a section's ']', ':' in the place of '=', a directory in the place of a file.
 * What cannot be read whole is a fault, told with file and line, and the reading goes on, so that
 * one pass tells every fault, in the order of the lines.
 *
 * The syntax: [SECTION] and KEY = VALUE, one a line, blanks (spaces, tabs) around each of the
 * three dropped; comments begin with ';' or '#' and stand on lines of their own; nothing is
 * quoted, escaped or continued. UTF-8, with or without a byte order mark, lines ended by LF or
 * CRLF.
 *
 * inih has global variables: one thread at a time, which for Marcel is the main one.
 */
#pragma once

#include <stddef.h>

#include "base/report.h"

/* The largest file that is read, in bytes. */
#define INI_FILE_MAX ((size_t)16 * 1024 * 1024)

/* The longest line, in bytes without its end. */
#define INI_LINE_MAX ((size_t)1024 * 1024 - 16)

/*
 * Who is told what a text holds, line after line. All texts are UTF-8, end with NUL and live only
 * as long as the call.
 */
struct ini_events {
	/*
	 * A section begins. NAME is what the brackets hold, blanks around it dropped, or NULL when
	 * the line was faulty, which has been told: nobody knows then where what follows belongs.
	 */
	void (*section)(void *context, const char *name, unsigned line);

	/* A setting. KEY is not empty; VALUE may be; neither holds a control character but tabs. */
	void (*setting)(void *context, const char *key, const char *value, unsigned line);

	void *context;
};

/*
 * Reads LENGTH bytes at TEXT, telling EVENTS the sections and settings and REPORT the faults,
 * which name FILE. Does no I/O. Returns 0, faults or not, or -ENOMEM.
 */
int ini_text_read(const char *file, const char *text, size_t length,
		  const struct ini_events *events, struct report *report);

/*
 * Reads the file at PATH whole: a regular file, a pipe or a character device, of at most
 * INI_FILE_MAX bytes. Does not wait for a FIFO that nobody writes to, and not longer than five
 * seconds at a time for one whose writer is silent. The caller must free *RET_TEXT, which holds
 * *RET_LENGTH bytes, not ended by NUL.
 *
 * Returns 0 or a negative errno: -ENOENT, -EACCES, -EISDIR, -ENOMEM and the like, -EFBIG,
 * -ENODATA (a pipe without a writer), -ETIMEDOUT (a silent one), -ENOTSUP (a kind of file that
 * holds no text).
 */
int ini_file_load(const char *path, char **ret_text, size_t *ret_length);

/* Tells REPORT what ERROR, a result of ini_file_load(), means for the file at PATH. */
void ini_file_tell(int error, const char *path, struct report *report);
