/*
 * The checked reader around inih; see ini.h.
 *
 * inih asks for line after line (next_piece()). Each is looked at before inih gets it: a faulty
 * one is told and an empty one given in its place, so that inih never sees what it would take
 * wrongly and faults and settings come in the order of the lines. What inih then says of a line
 * (take_setting()) is compared with what the line holds: should inih ever cut a value after all,
 * that is a fault and no shorter value.
 */
#include "daemon/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Debian's libinih is built so that handlers are given the line; its header says otherwise. */
#define INI_HANDLER_LINENO 1
#include <ini.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/i18n.h"
#include "base/text.h"

/* How long a pipe's writer may be silent. */
#define PATIENCE (5 * USEC_PER_SEC)

/* A part of the text. */
struct span {
	const char *start;
	size_t length;
};

struct reader {
	const char *file;
	const struct ini_events *events;
	struct report *report;
	struct span rest;  /* the lines after the present one */
	struct span piece; /* of the present line, what inih has not got yet */
	unsigned line;     /* its number, from 1 */
	struct span key;   /* what it holds */
	struct span value;
	bool no_memory;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span text)
{
	while (text.length > 0 && is_blank(text.start[0])) {
		text.start++;
		text.length--;
	}
	while (text.length > 0 && is_blank(text.start[text.length - 1]))
		text.length--;
	return text;
}

/* What lies in TEXT before and after the byte at AT. */
static struct span before(struct span text, const char *at)
{
	return (struct span){text.start, (size_t)(at - text.start)};
}

static struct span after(struct span text, const char *at)
{
	return (struct span){at + 1, text.length - (size_t)(at - text.start) - 1};
}

/* The first byte of TEXT that does not belong to UTF-8 text without NUL, or NULL. */
static const char *find_foreign(struct span text)
{
	size_t n;

	for (; text.length > 0; text.start += n, text.length -= n) {
		n = text_utf8_length(text.start, text.length);
		if (n == 0 || text.start[0] == '\0')
			return text.start;
	}
	return NULL;
}

/* The first control character (C0 without the tab, DEL, C1) of TEXT, which is UTF-8, or NULL. */
static const char *find_control(struct span text, size_t *ret_length)
{
	for (size_t i = 0; i < text.length; i++) {
		unsigned char c = (unsigned char)text.start[i];
		bool c1 = c == 0xC2 && (unsigned char)text.start[i + 1] < 0xA0;

		if ((c < 0x20 && c != '\t') || c == 0x7F || c1) {
			*ret_length = c1 ? 2 : 1;
			return text.start + i;
		}
	}
	return NULL;
}

/* Whether the bytes of LINE are text that can be read whole; tells it otherwise. */
static bool check_text(const struct reader *reader, struct span line)
{
	const char *foreign;
	char shown[8];

	if (line.length > INI_LINE_MAX) {
		report_add_at(reader->report, reader->file, reader->line,
			      _("the line is longer than %zu bytes"), INI_LINE_MAX);
		return false;
	}
	foreign = find_foreign(line);
	if (foreign == NULL)
		return true;
	if (*foreign == '\0') {
		report_add_at(reader->report, reader->file, reader->line,
			      _("a NUL byte in the line: this is not a text"));
	} else {
		(void)text_escape(shown, sizeof(shown), foreign, 1, NULL);
		report_add_at(reader->report, reader->file, reader->line,
			      _("byte %zu of the line, %s, is not UTF-8"),
			      (size_t)(foreign - line.start) + 1, shown);
	}
	return false;
}

/* The same for control characters. */
static bool check_controls(const struct reader *reader, struct span line)
{
	size_t length = 0;
	const char *control = find_control(line, &length);
	char shown[16];

	if (control == NULL)
		return true;
	(void)text_escape(shown, sizeof(shown), control, length, NULL);
	report_add_at(reader->report, reader->file, reader->line,
		      _("a control character (%s) in the line"), shown);
	return false;
}

/* A line that begins with '['. */
static void read_section(struct reader *reader, struct span line)
{
	const char *end = memchr(line.start, ']', line.length);
	struct span inside;
	char *name;

	if (end == NULL) {
		report_add_at(reader->report, reader->file, reader->line,
			      _("the ']' of the section is missing: write [NAME]"));
		reader->events->section(reader->events->context, NULL, reader->line);
		return;
	}
	if (line.start[line.length - 1] == ']')
		end = line.start + line.length - 1; /* names may hold a ']' */
	else
		report_add_at(reader->report, reader->file, reader->line,
			      _("text after the section's ']': a comment stands on a line of its "
				"own"));
	inside = trim(before(after(line, line.start), end));
	name = strndup(inside.start, inside.length);
	if (name == NULL)
		reader->no_memory = true;
	else
		reader->events->section(reader->events->context, name, reader->line);
	free(name);
}

/* Whether LINE is KEY = VALUE, which the reader remembers; tells it otherwise. */
static bool check_setting(struct reader *reader, struct span line)
{
	const char *equals = memchr(line.start, '=', line.length);
	const char *colon = memchr(line.start, ':', line.length);
	const char *fault = NULL;

	if (equals == line.start)
		fault = _("there is no key before the '='");
	else if (colon != NULL && (equals == NULL || colon < equals))
		fault = _("':' in the key: write KEY = VALUE");
	else if (equals == NULL)
		fault = _("a line without '=': write KEY = VALUE, or begin a comment with '#'");
	if (fault != NULL) {
		report_add_at(reader->report, reader->file, reader->line, "%s", fault);
		return false;
	}
	reader->key = trim(before(line, equals));
	reader->value = trim(after(line, equals));
	return true;
}

/* Tells all that LINE holds but settings, and says whether it holds one, for inih to read. */
static bool look_at(struct reader *reader, struct span line)
{
	struct span inside = trim(line);
	unsigned char first = inside.length > 0 ? (unsigned char)inside.start[0] : 0;
	bool section = first == '[';
	bool comment = first == ';' || first == '#';

	if (!check_text(reader, line) || (!comment && !check_controls(reader, line))) {
		if (section)
			reader->events->section(reader->events->context, NULL, reader->line);
		return false;
	}
	if (inside.length == 0 || comment)
		return false;
	if (section) {
		read_section(reader, inside);
		return false;
	}
	return check_setting(reader, inside);
}

/* Goes on to the next line; false when there is none. */
static bool next_line(struct reader *reader)
{
	const char *end;
	struct span line;

	if (reader->rest.length == 0)
		return false;
	end = memchr(reader->rest.start, '\n', reader->rest.length);
	if (end != NULL) {
		line = before(reader->rest, end);
		reader->rest = after(reader->rest, end);
	} else {
		line = reader->rest;
		reader->rest.length = 0;
	}
	if (line.length > 0 && line.start[line.length - 1] == '\r')
		line.length--;
	reader->line++;
	reader->piece = look_at(reader, line) ? line : (struct span){line.start, 0};
	return true;
}

/*
 * inih's fgets(3): the next piece of the text, at most SIZE - 1 bytes, at most to a line's end. A
 * line longer than inih's buffer is asked for in several pieces; its last one ends with LF.
 */
static char *next_piece(char *buffer, int size, void *context)
{
	struct reader *reader = context;
	size_t room = (size_t)size - 1;
	size_t n;

	if (reader->piece.start == NULL && !next_line(reader))
		return NULL;
	n = reader->piece.length < room ? reader->piece.length : room;
	(void)memcpy(buffer, reader->piece.start, n);
	reader->piece.start += n;
	reader->piece.length -= n;
	if (reader->piece.length == 0 && n < room) {
		buffer[n++] = '\n';
		reader->piece.start = NULL;
	}
	buffer[n] = '\0';
	return buffer;
}

static bool is_same(struct span span, const char *text)
{
	return text != NULL && strlen(text) == span.length &&
	       memcmp(span.start, text, span.length) == 0;
}

/* inih has split a line. Its idea of the section is not used: it cuts the names. */
static int take_setting(void *context, const char *section, const char *name, const char *value,
			int line)
{
	struct reader *reader = context;

	(void)section;
	if (reader->line == (unsigned)line && is_same(reader->key, name) &&
	    is_same(reader->value, value))
		reader->events->setting(reader->events->context, name, value, reader->line);
	else
		report_add_at(reader->report, reader->file, (unsigned)line,
			      _("inih would not have given this line whole"));
	return 1;
}

int ini_text_read(const char *file, const char *text, size_t length,
		  const struct ini_events *events, struct report *report)
{
	static const char byte_order_mark[] = "\357\273\277";
	const size_t mark = sizeof(byte_order_mark) - 1;
	struct reader reader = {
		.file = file,
		.events = events,
		.report = report,
		.rest = {text, length},
	};

	if (length >= mark && memcmp(text, byte_order_mark, mark) == 0)
		reader.rest = after(reader.rest, text + mark - 1);

	ini_allow_bom = false;
	ini_allow_inline_comments = false;
	ini_allow_multiline = false;
	ini_allow_no_value = false;
	ini_allow_realloc = true;
	ini_stop_on_first_error = false;
	ini_use_stack = false;
	ini_max_line = (int)INI_LINE_MAX + 3; /* CR, LF and NUL */
	if (ini_parse_stream(next_piece, &reader, take_setting, &reader) < 0)
		reader.no_memory = true;
	return reader.no_memory ? -ENOMEM : 0;
}

/* Waits until FD has something to read; false when nothing comes. */
static bool wait_for(int fd)
{
	usec_t deadline = clock_deadline(clock_now(), PATIENCE);
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	int n;

	do
		n = poll(&pollfd, 1, clock_poll_msec(clock_left(deadline, clock_now())));
	while (n < 0 && errno == EINTR);
	return n > 0;
}

/* Up to SIZE bytes from FD, as read(2), but waits for them, though not for ever. */
static ssize_t read_some(int fd, char *buffer, size_t size)
{
	for (;;) {
		ssize_t n = read(fd, buffer, size);

		if (n >= 0)
			return n;
		if (errno == EAGAIN && !wait_for(fd))
			return -ETIMEDOUT;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
}

/* Reads FD to its end. */
static int read_all(int fd, char **ret_text, size_t *ret_length)
{
	auto_free char *text = NULL;
	size_t size = 0;
	size_t length = 0;

	for (;;) {
		ssize_t n;

		if (length == size) {
			size_t larger = size > 0 ? 2 * size : 16384;
			char *more = realloc(text, larger);

			if (more == NULL)
				return -ENOMEM;
			text = more;
			size = larger;
		}
		n = read_some(fd, text + length, size - length);
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		length += (size_t)n;
		if (length > INI_FILE_MAX)
			return -EFBIG;
	}
	*ret_text = take_ptr(&text);
	*ret_length = length;
	return 0;
}

int ini_file_load(const char *path, char **ret_text, size_t *ret_length)
{
	auto_free char *text = NULL;
	auto_close int fd = -1;
	struct stat status;
	size_t length = 0;
	int r;

	/* Not blocking: the open(2) of a FIFO would wait for a writer. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode))
		return -ENOTSUP;
	r = read_all(fd, &text, &length);
	if (r < 0)
		return r;
	/* An empty pipe is no empty configuration: whatever should have written it did not. */
	if (length == 0 && S_ISFIFO(status.st_mode))
		return -ENODATA;
	*ret_text = take_ptr(&text);
	*ret_length = length;
	return 0;
}

void ini_file_tell(int error, const char *path, struct report *report)
{
	char buffer[128];

	switch (-error) {
	case EISDIR:
		report_add_at(report, path, 0, _("is a directory, not a file"));
		break;
	case EFBIG:
		report_add_at(report, path, 0, _("is larger than %zu MiB"), INI_FILE_MAX >> 20);
		break;
	case ENODATA:
		report_add_at(report, path, 0, _("is a pipe that nobody has written to"));
		break;
	case ETIMEDOUT:
		report_add_at(report, path, 0, _("has given nothing for some seconds"));
		break;
	case ENOTSUP:
		report_add_at(report, path, 0, _("is neither a file nor a pipe"));
		break;
	default:
		report_add_at(report, path, 0, _("cannot be read: %s"),
			      strerror_r(-error, buffer, sizeof(buffer)));
	}
}
