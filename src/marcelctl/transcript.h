/*
 * Transcripts: who said what, in order, as text that people read and write and `marcelctl script
 * test` plays.
 *
 *	# A comment; empty lines mean nothing either.
 *	S> 220 mail.example.org ESMTP
 *	C> EHLO client
 *	S> 250-mail.example.org
 *	S~ 250 SIZE {n:int}
 *	T> 5min
 *	S> 421 timeout
 *	X>
 *
 *	C> text      the client says a line
 *	C| text      the client sends these bytes and no line end
 *	S> text      the server says this line
 *	S| text      the server sends these bytes, whether or not a line ends with them
 *	S~ glob      the server says a line that the glob takes in, written as in a script: *, ?,
 *	             {name}, {name:int}, {name:number}, {name:word}, and \* \? \{ \\ as they are
 *	T> duration  so much time passes
 *	E>           the client closes its sending side
 *	Q>           the daemon stops
 *	X>           the server has closed the connection
 *	R>           the server has reset it
 *
 * One space after the mark belongs to the mark. Escapes of texts: \r \n \t \e \\ \xHH, as
 * text_escape() writes them. A file is UTF-8, but bytes pass as they are.
 *
 * What is wrong with a file is told in a report, all faults at once. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/report.h"
#include "respond/script/pattern.h"

enum transcript_kind {
	TRANSCRIPT_CLIENT_LINE,
	TRANSCRIPT_CLIENT_BYTES,
	TRANSCRIPT_SERVER_LINE,
	TRANSCRIPT_SERVER_BYTES,
	TRANSCRIPT_SERVER_GLOB,
	TRANSCRIPT_TIME,
	TRANSCRIPT_CLIENT_END,
	TRANSCRIPT_STOP,
	TRANSCRIPT_SERVER_END,
	TRANSCRIPT_SERVER_RESET,
};

struct transcript_step {
	enum transcript_kind kind;
	unsigned line; /* where it stands, from 1 */
	char *bytes;   /* the text without its escapes; of a glob, as it is written; ended by NUL */
	size_t length;
	usec_t duration;      /* TIME */
	struct pattern *glob; /* SERVER_GLOB */
};

struct transcript {
	const char *file; /* as it was named; not owned */
	struct transcript_step *steps;
	size_t count;
};

/* No transcript is longer than this many bytes. */
#define TRANSCRIPT_MAX ((size_t)64 * 1024 * 1024)

/*
 * Reads FILE. Returns 0 with *RET_TRANSCRIPT, which transcript_done() frees; -EINVAL with faults
 * in REPORT (a file that can't be read is one); -ENOMEM.
 */
int transcript_load(const char *file, struct report *report, struct transcript *ret_transcript);

/* The same from LENGTH bytes at TEXT, named FILE. */
int transcript_parse(const char *file, const char *text, size_t length, struct report *report,
		     struct transcript *ret_transcript);

void transcript_done(struct transcript *transcript);

/* Whether STEP is something that the server does. */
bool transcript_is_expected(const struct transcript_step *step);

/* The mark of KIND, such as "C>". */
const char *transcript_mark(enum transcript_kind kind);

/*
 * Undoes what text_escape() did to LENGTH bytes at TEXT. BUFFER has room for LENGTH. Returns how
 * many bytes there are, -1 if there is a backslash that begins no escape.
 */
ssize_t transcript_unescape(char *buffer, const char *text, size_t length);

/* Writes a step of KIND with LENGTH bytes at TEXT, which are escaped, as a line to FILE. */
void transcript_write(FILE *file, enum transcript_kind kind, const char *text, size_t length);

/* Writes the passing of DURATION. */
void transcript_write_time(FILE *file, usec_t duration);
