/* Reading and writing transcripts; see transcript.h. */
#include "marcelctl/transcript.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/i18n.h"
#include "base/text.h"
#include "marcelctl/file.h"

static const char *const marks[] = {
	[TRANSCRIPT_CLIENT_LINE] = "C>", [TRANSCRIPT_CLIENT_BYTES] = "C|",
	[TRANSCRIPT_SERVER_LINE] = "S>", [TRANSCRIPT_SERVER_BYTES] = "S|",
	[TRANSCRIPT_SERVER_GLOB] = "S~", [TRANSCRIPT_TIME] = "T>",
	[TRANSCRIPT_CLIENT_END] = "E>",  [TRANSCRIPT_STOP] = "Q>",
	[TRANSCRIPT_SERVER_END] = "X>",  [TRANSCRIPT_SERVER_RESET] = "R>",
};
#define N_MARKS   (sizeof(marks) / sizeof(marks[0]))
#define MARK_SIZE 2

/* What is being read. */
struct reading {
	struct transcript *transcript;
	struct report *report;
	unsigned line;
	size_t room; /* steps there is memory for */
};

bool transcript_is_expected(const struct transcript_step *step)
{
	switch (step->kind) {
	case TRANSCRIPT_SERVER_LINE:
	case TRANSCRIPT_SERVER_BYTES:
	case TRANSCRIPT_SERVER_GLOB:
	case TRANSCRIPT_SERVER_END:
	case TRANSCRIPT_SERVER_RESET:
		return true;
	case TRANSCRIPT_CLIENT_LINE:
	case TRANSCRIPT_CLIENT_BYTES:
	case TRANSCRIPT_TIME:
	case TRANSCRIPT_CLIENT_END:
	case TRANSCRIPT_STOP:
		return false;
	}
	abort();
}

const char *transcript_mark(enum transcript_kind kind)
{
	return marks[kind];
}

/* Reads the escape at TEXT, which begins with a backslash. Returns its length, 0 if it is none. */
static size_t read_escape(const char *text, size_t length, char *ret_byte)
{
	static const char letters[] = "rnte\\";
	static const char meant[] = "\r\n\t\x1b\\";
	const char *letter;

	if (length < 2)
		return 0;
	if (text[1] == 'x' && length >= 4 && text_hex_digit(text[2]) >= 0 &&
	    text_hex_digit(text[3]) >= 0) {
		*ret_byte = (char)(text_hex_digit(text[2]) * 16 + text_hex_digit(text[3]));
		return 4;
	}
	letter = memchr(letters, text[1], sizeof(letters) - 1);
	if (letter == NULL)
		return 0;
	*ret_byte = meant[letter - letters];
	return 2;
}

ssize_t transcript_unescape(char *buffer, const char *text, size_t length)
{
	size_t written = 0;

	for (size_t i = 0; i < length; i++) {
		size_t used = 1;

		buffer[written] = text[i];
		if (text[i] == '\\')
			used = read_escape(text + i, length - i, &buffer[written]);
		if (used == 0)
			return -1;
		written++;
		i += used - 1;
	}
	return (ssize_t)written;
}

static void fault(struct reading *reading, const char *text)
{
	report_add_at(reading->report, reading->transcript->file, reading->line, "%s", text);
}

/* Fills STEP from LENGTH bytes at TEXT, what stands behind its mark. */
static int read_text(struct reading *reading, struct transcript_step *step, const char *text,
		     size_t length)
{
	ssize_t written;

	step->bytes = malloc(length + 1);
	if (step->bytes == NULL)
		return -ENOMEM;
	written = transcript_unescape(step->bytes, text, length);
	if (written < 0) {
		fault(reading, _("unknown escape; there are \\r \\n \\t \\e \\\\ \\xHH"));
		written = 0;
	}
	step->bytes[written] = '\0';
	step->length = (size_t)written;
	return 0;
}

static int read_glob(struct reading *reading, struct transcript_step *step, const char *text,
		     size_t length)
{
	struct pattern_error error;
	int r;

	step->bytes = strndup(text, length);
	if (step->bytes == NULL)
		return -ENOMEM;
	step->length = strlen(step->bytes);
	r = pattern_compile(PATTERN_GLOB, step->bytes, step->length, 0, &step->glob, &error);
	if (r == -EINVAL) {
		fault(reading, error.text);
		r = 0;
	}
	return r;
}

static int read_time(struct reading *reading, struct transcript_step *step, const char *text,
		     size_t length)
{
	step->bytes = strndup(text, length);
	if (step->bytes == NULL)
		return -ENOMEM;
	if (text_parse_duration(step->bytes, &step->duration) < 0 || step->duration == USEC_NEVER)
		fault(reading, _("T> wants a duration, such as 200ms, 5s or 1min 30s"));
	return 0;
}

/* Reads what stands behind the mark of STEP. */
static int read_rest(struct reading *reading, struct transcript_step *step, const char *text,
		     size_t length)
{
	switch (step->kind) {
	case TRANSCRIPT_CLIENT_LINE:
	case TRANSCRIPT_CLIENT_BYTES:
	case TRANSCRIPT_SERVER_LINE:
	case TRANSCRIPT_SERVER_BYTES:
		return read_text(reading, step, text, length);
	case TRANSCRIPT_SERVER_GLOB:
		return read_glob(reading, step, text, length);
	case TRANSCRIPT_TIME:
		return read_time(reading, step, text, length);
	case TRANSCRIPT_CLIENT_END:
	case TRANSCRIPT_STOP:
	case TRANSCRIPT_SERVER_END:
	case TRANSCRIPT_SERVER_RESET:
		if (length > 0)
			fault(reading, _("nothing follows E>, Q>, X> and R>"));
		return 0;
	}
	abort();
}

static struct transcript_step *new_step(struct reading *reading)
{
	struct transcript *transcript = reading->transcript;

	if (transcript->count == reading->room) {
		const size_t room = reading->room > 0 ? 2 * reading->room : 64;
		struct transcript_step *more = reallocarray(transcript->steps, room, sizeof(*more));

		if (more == NULL)
			return NULL;
		transcript->steps = more;
		reading->room = room;
	}
	transcript->steps[transcript->count] = (struct transcript_step){.line = reading->line};
	return &transcript->steps[transcript->count++];
}

static int read_line(struct reading *reading, const char *line, size_t length)
{
	struct transcript_step *step;

	if (length > 0 && line[length - 1] == '\r')
		length--;
	if (length == 0 || line[0] == '#')
		return 0;
	for (size_t i = 0; i < N_MARKS; i++) {
		if (length < MARK_SIZE || memcmp(line, marks[i], MARK_SIZE) != 0 ||
		    (length > MARK_SIZE && line[MARK_SIZE] != ' '))
			continue;
		step = new_step(reading);
		if (step == NULL)
			return -ENOMEM;
		step->kind = (enum transcript_kind)i;
		length -= MARK_SIZE;
		line += MARK_SIZE;
		return length > 0 ? read_rest(reading, step, line + 1, length - 1)
				  : read_rest(reading, step, line, 0);
	}
	fault(reading,
	      _("a line begins with C>, C|, S>, S|, S~, T>, E>, Q>, X> or R> and a space, or with #"));
	return 0;
}

int transcript_parse(const char *file, const char *text, size_t length, struct report *report,
		     struct transcript *ret_transcript)
{
	struct transcript transcript = {.file = file};
	struct reading reading = {.transcript = &transcript, .report = report};
	const size_t faults = report->count;
	int r = 0;

	while (length > 0 && r == 0) {
		const char *end = memchr(text, '\n', length);
		const size_t line = end != NULL ? (size_t)(end - text) : length;
		const size_t used = end != NULL ? line + 1 : line;

		reading.line++;
		r = read_line(&reading, text, line);
		text += used;
		length -= used;
	}
	if (r == 0 && report->count > faults)
		r = -EINVAL;
	if (r < 0) {
		transcript_done(&transcript);
		return r;
	}
	*ret_transcript = transcript;
	return 0;
}

int transcript_load(const char *file, struct report *report, struct transcript *ret_transcript)
{
	auto_free char *text = NULL;
	size_t length;
	int r;

	r = file_read(file, TRANSCRIPT_MAX, &text, &length);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		report_add(report, "%s: %s", file, strerrordesc_np(-r));
		return -EINVAL;
	}
	return transcript_parse(file, text, length, report, ret_transcript);
}

void transcript_done(struct transcript *transcript)
{
	for (size_t i = 0; i < transcript->count; i++) {
		free(transcript->steps[i].bytes);
		pattern_free(transcript->steps[i].glob);
	}
	free(transcript->steps);
	*transcript = (struct transcript){.file = transcript->file};
}

void transcript_write(FILE *file, enum transcript_kind kind, const char *text, size_t length)
{
	(void)fputs(marks[kind], file);
	if (length > 0)
		(void)fputc(' ', file);
	file_put_escaped(file, text, length);
	(void)fputc('\n', file);
}

void transcript_write_time(FILE *file, usec_t duration)
{
	char text[64];

	(void)fprintf(file, "%s %s\n", marks[TRANSCRIPT_TIME],
		      text_format_duration(text, sizeof(text), duration));
}
