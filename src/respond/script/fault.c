/*
 * Faults of a script, collected and shown; see fault.h.
 *
 * A text has at most TEXT_MAX bytes, and of a line only the part around the place is kept: a script
 * of one line of a megabyte does not fill the screen. A NUL in a line is kept as '?'.
 */
#include "respond/script/fault-priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define TEXT_MAX 400

/* Of a line longer than both, so many bytes before the place, and so many from there on, are kept.
 */
#define LINE_BEFORE 60
#define LINE_AFTER  90

/* A buffer that counts what it could not take, as snprintf(3) does. */
struct writer {
	char *buffer;
	size_t size;
	size_t length;
};

static void put(struct writer *writer, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++, writer->length++) {
		if (writer->length + 1 < writer->size)
			writer->buffer[writer->length] = bytes[i];
	}
}

static void put_text(struct writer *writer, const char *text)
{
	put(writer, text, strlen(text));
}

/* One character, escaped if need be; tabs and backslashes stay. With AS_SPACE set, only what lies
 * under it: a tab, or as many spaces as it takes columns. */
static void put_character(struct writer *writer, const char *bytes, size_t length, bool as_space)
{
	char shown[TEXT_ESCAPED_MAX(4)] = {bytes[0], '\0'};

	if (*bytes != '\t' && *bytes != '\\')
		(void)text_escape(shown, sizeof(shown), bytes, length, NULL);
	for (const char *at = shown; *at != '\0'; at++) {
		bool continues = ((unsigned char)*at & 0xC0) == 0x80;

		if (!as_space || *at == '\t')
			put(writer, at, 1);
		else if (!continues)
			put(writer, " ", 1);
	}
}

static void put_line(struct writer *writer, const char *line, size_t length, bool as_space)
{
	while (length > 0) {
		size_t n = text_utf8_length(line, length);

		n = n > 0 ? n : 1;
		put_character(writer, line, n, as_space);
		line += n;
		length -= n;
	}
}

/* The part of the line of SITE that is kept, and in *RET_CUT how many bytes precede it. */
static char *keep_line(const struct fault_site *site, size_t *ret_cut)
{
	size_t column = site->where.column > 0 ? site->where.column - 1 : 0;
	size_t start = 0;
	size_t end = site->length;
	char *line;

	if (column > end)
		column = end;
	if (site->length > LINE_BEFORE + LINE_AFTER) {
		end = end - column > LINE_AFTER ? column + LINE_AFTER : end;
		start = column > LINE_BEFORE ? column - LINE_BEFORE : 0;
	}
	/* Not from the middle of a character, not to the middle of one. */
	while (start > 0 && start < column && ((unsigned char)site->line[start] & 0xC0) == 0x80)
		start++;
	while (end < site->length && end > column &&
	       ((unsigned char)site->line[end] & 0xC0) == 0x80)
		end--;
	line = malloc(end - start + 1);
	if (line == NULL)
		return NULL;
	for (size_t i = start; i < end; i++) {
		line[i - start] = '?';
		if (site->line[i] != '\0')
			line[i - start] = site->line[i];
	}
	line[end - start] = '\0';
	*ret_cut = start;
	return line;
}

/* FORMAT with its ARGUMENTS, escaped. What a message quotes is clipped by who quotes it. */
static char *make_text(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

static char *make_text(const char *format, va_list arguments)
{
	char plain[TEXT_MAX];
	char escaped[TEXT_ESCAPED_MAX(TEXT_MAX)];
	struct writer writer = {.buffer = escaped, .size = sizeof(escaped), .length = 0};
	int length = vsnprintf(plain, sizeof(plain), format, arguments);

	if (length < 0)
		return NULL;
	for (char *at = plain; *at != '\0'; at++) {
		if (*at == '\t')
			*at = ' ';
	}
	put_line(&writer, plain, strlen(plain), false);
	escaped[writer.length] = '\0';
	return strdup(escaped);
}

void fault_add(struct faults *list, bool warning, const struct fault_site *site,
	       const char *expected, const char *format, va_list arguments)
{
	size_t *of_kind = warning ? &list->warnings : &list->errors;
	struct fault *fault;

	(*of_kind)++;
	if (*of_kind > FAULTS_MAX || list->count >= sizeof(list->list) / sizeof(list->list[0]))
		return;
	fault = &list->list[list->count++];
	*fault = (struct fault){.where = site->where, .warning = warning};
	fault->where.file = strdup(site->where.file);
	fault->text = make_text(format, arguments);
	fault->expected = expected != NULL ? strdup(expected) : NULL;
	if (site->line != NULL)
		fault->line = keep_line(site, &fault->line_cut);
}

/* 0 for what stands in FIRST, 1 for others. */
static int file_order(const struct fault *fault, const char *first)
{
	return fault->where.file == NULL || strcmp(fault->where.file, first) != 0;
}

static bool comes_before(const struct fault *a, const struct fault *b, const char *first)
{
	int order = file_order(a, first) - file_order(b, first);

	if (order == 0 && a->where.file != NULL && b->where.file != NULL)
		order = strcmp(a->where.file, b->where.file);
	if (order != 0)
		return order < 0;
	if (a->where.line != b->where.line)
		return a->where.line < b->where.line;
	return a->where.column < b->where.column;
}

void faults_sort(struct faults *list, const char *first)
{
	for (size_t i = 1; i < list->count; i++) {
		struct fault fault = list->list[i];
		size_t at = i;

		for (; at > 0 && comes_before(&fault, &list->list[at - 1], first); at--)
			list->list[at] = list->list[at - 1];
		list->list[at] = fault;
	}
}

/* The line, and under it a caret at the place. */
static void put_picture(struct writer *writer, const struct fault *fault)
{
	size_t length = strlen(fault->line);
	size_t column = fault->where.column > 0 ? fault->where.column - 1 : 0;
	bool is_cut = fault->line_cut > 0;
	char number[32];

	column = column > fault->line_cut ? column - fault->line_cut : 0;
	column = column < length ? column : length;
	(void)snprintf(number, sizeof(number), "\n%5u | ", fault->where.line);
	put_text(writer, number);
	put_text(writer, is_cut ? "..." : "");
	put_line(writer, fault->line, length, false);
	if (fault->where.column == 0)
		return;
	(void)snprintf(number, sizeof(number), "\n%5s | ", "");
	put_text(writer, number);
	put_text(writer, is_cut ? "   " : "");
	put_line(writer, fault->line, column, true);
	put_text(writer, "^");
}

size_t fault_format(const struct fault *fault, char *buffer, size_t size)
{
	struct writer writer = {.buffer = buffer, .size = size, .length = 0};
	char number[32];

	if (fault->where.file != NULL)
		put_line(&writer, fault->where.file, strlen(fault->where.file), false);
	if (fault->where.line > 0) {
		(void)snprintf(number, sizeof(number), ":%u", fault->where.line);
		put_text(&writer, number);
	}
	if (fault->where.line > 0 && fault->where.column > 0) {
		(void)snprintf(number, sizeof(number), ":%u", fault->where.column);
		put_text(&writer, number);
	}
	put_text(&writer, fault->warning ? ": warning: " : ": ");
	put_text(&writer, fault->text != NULL ? fault->text : "no memory to say what is wrong");
	if (fault->line != NULL)
		put_picture(&writer, fault);
	if (fault->expected != NULL) {
		put_text(&writer, "\nexpected ");
		put_text(&writer, fault->expected);
	}
	if (size > 0)
		buffer[writer.length < size ? writer.length : size - 1] = '\0';
	return writer.length;
}

/* The name of a fault's file is const to those who read it; here it is freed. */
static void free_name(const char *name)
{
	union {
		const char *name;
		void *memory;
	} of = {.name = name};

	free(of.memory);
}

void faults_done(struct faults *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free_name(list->list[i].where.file);
		free(list->list[i].text);
		free(list->list[i].expected);
		free(list->list[i].line);
	}
	*list = (struct faults){.count = 0};
}
