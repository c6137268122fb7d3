/* Telling a server's dialect by listening; see dialect.h. */
#include "marcel/dialect.h"

#include <string.h>

#define END_WORD "fin"

/*
 * Every path carries 536 bytes in one segment (RFC 9293, 3.7.1), so what one send() gave comes in
 * one piece when it is shorter.
 */
#define SEGMENT_MIN 536

void dialect_init(struct dialect *dialect, enum dialect_kind wanted, usec_t now)
{
	*dialect = (struct dialect){
		.kind = wanted,
		.firm = wanted != DIALECT_UNKNOWN,
		.quiet_since = now,
	};
}

/* Keeps the beginning of what was heard together; an undecided greeting is all one. */
static void note_burst(struct dialect *dialect, const char *text, size_t n)
{
	if (dialect->kind == DIALECT_RAW)
		dialect->burst = 0;
	for (size_t i = 0; i < n && dialect->burst + i < sizeof(dialect->burst_head); i++)
		dialect->burst_head[dialect->burst + i] = text[i];
	dialect->burst += n;
}

void dialect_hear(struct dialect *dialect, const char *text, size_t n, usec_t now)
{
	const char *lf;
	bool cr;

	if (n == 0)
		return;
	lf = memchr(text, '\n', n);
	if (lf != NULL && !dialect->firm) {
		cr = lf == text ? dialect->cr : lf[-1] == '\r';
		dialect->kind = cr ? DIALECT_CRLF : DIALECT_LINE;
		dialect->firm = true;
	}
	note_burst(dialect, text, n);
	dialect->cr = text[n - 1] == '\r';
	dialect->heard += n;
	dialect->quiet_since = now;
}

void dialect_said(struct dialect *dialect)
{
	dialect->spoken = true;
	dialect->heard = 0;
	if (dialect->kind == DIALECT_RAW)
		dialect->firm = true;
}

static bool is_quiet(const struct dialect *dialect, usec_t now)
{
	return now >= dialect->quiet_since + DIALECT_PAUSE;
}

enum dialect_kind dialect_decide(struct dialect *dialect, bool ready, usec_t now)
{
	if (dialect->kind == DIALECT_UNKNOWN && is_quiet(dialect, now)) {
		if (dialect->heard > 0)
			dialect->kind = DIALECT_RAW;
		else if (ready)
			dialect->kind = DIALECT_LINE;
	}
	return dialect->kind;
}

bool dialect_turn(const struct dialect *dialect, usec_t now)
{
	if (dialect->kind != DIALECT_RAW)
		return dialect->kind != DIALECT_UNKNOWN;
	if (dialect->heard == 0)
		return !dialect->spoken && is_quiet(dialect, now);
	return dialect->heard < SEGMENT_MIN || is_quiet(dialect, now);
}

bool dialect_over(const struct dialect *dialect)
{
	if (dialect->kind != DIALECT_RAW || dialect->burst != strlen(END_WORD))
		return false;
	/* strncasecmp() would ask the locale, and Turkish has another small I. */
	for (size_t i = 0; i < strlen(END_WORD); i++) {
		if ((dialect->burst_head[i] | 0x20) != END_WORD[i])
			return false;
	}
	return true;
}

usec_t dialect_deadline(const struct dialect *dialect, usec_t now)
{
	const bool waiting = dialect->kind == DIALECT_UNKNOWN || dialect->kind == DIALECT_RAW;

	if (!waiting || is_quiet(dialect, now))
		return USEC_NEVER;
	return dialect->quiet_since + DIALECT_PAUSE;
}
