/*
 * Framings that a responder declares: a table of inputs, each given in one piece and byte by byte,
 * which must come to the same; and what skipping leaves of messages that are too long.
 */
#include "converse/framer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LINES(end)                                             \
	{                                                      \
		.kind = MARCEL_FRAMING_LINE, .line_end = (end) \
	}
#define PARTS(end)                                                           \
	{                                                                    \
		.kind = MARCEL_FRAMING_LINE, .line_end = (end), .split = ';' \
	}

/* A message is followed by '|', or by ';' if more of its line follows; '!' is one that was skipped,
 * '.' the end of a line of parts. */
struct run {
	struct framer framer;
	char bytes[512];
	size_t length;
	char text[512];
};

static void put(struct run *run, const char *text, size_t length, char mark)
{
	size_t at = strlen(run->text);

	assert_true(at + length + 2 <= sizeof(run->text));
	(void)memcpy(run->text + at, text, length);
	for (size_t i = 0; i < length; i++)
		if (text[i] == '\0')
			run->text[at + i] = '0';
	run->text[at + length] = mark;
	run->text[at + length + 1] = '\0';
}

static void put_message(struct run *run, const struct frame *frame)
{
	if (frame->blank)
		put(run, "", 0, '.');
	else
		put(run, run->bytes + frame->start, frame->length, frame->part ? ';' : '|');
}

static void pump(struct run *run, enum framer_input input)
{
	enum framer_result result;

	do {
		struct frame frame = {.consumed = 0};

		result = framer_next(&run->framer, run->bytes, run->length, input, &frame);
		if (result == FRAMER_TOO_LONG) {
			framer_skip(&run->framer, run->bytes, run->length);
			put(run, "", 0, '!');
			continue;
		}
		assert_true(frame.consumed <= run->length);
		assert_true(result != FRAMER_MESSAGE ||
			    frame.start + frame.length + frame.line_end <= frame.consumed);
		if (result == FRAMER_MESSAGE)
			put_message(run, &frame);
		run->length -= frame.consumed;
		(void)memmove(run->bytes, run->bytes + frame.consumed, run->length);
	} while (result == FRAMER_MESSAGE || result == FRAMER_SKIPPED || result == FRAMER_TOO_LONG);
}

/* Gives LENGTH bytes in pieces of SIZE, then the end. */
static void play(struct run *run, const char *bytes, size_t length, size_t size)
{
	while (length > 0) {
		size_t now = length < size ? length : size;

		(void)memcpy(run->bytes + run->length, bytes, now);
		run->length += now;
		bytes += now;
		length -= now;
		pump(run, FRAMER_MORE_TO_COME);
	}
	pump(run, FRAMER_END);
}

static const struct row {
	const char *bytes;
	const char *messages;
	size_t length; /* 0: up to the NUL */
	struct marcel_framing framing;
} rows[] = {
	{"a\nb\r\n\r\n", "a|b||", 0, LINES(MARCEL_LINE_ANY)},
	{"a\r\r\nb\rc\n", "a\r|b\rc|", 0, LINES(MARCEL_LINE_ANY)},
	{"a\nb", "a|b|", 0, LINES(MARCEL_LINE_ANY)},
	{"a\r\nb\n", "a\r|b|", 0, LINES(MARCEL_LINE_LF)},
	{"a\nb\r\nc", "a\nb|c|", 0, LINES(MARCEL_LINE_CRLF)},
	{"\r\n\n\r\n", "|\n|", 0, LINES(MARCEL_LINE_CRLF)},
	{"a\rb\r\n", "a\rb|", 0, LINES(MARCEL_LINE_CRLF)},
	/* The longest message has 8 bytes. */
	{"12345678\r\nb\r\n", "12345678|b|", 0, LINES(MARCEL_LINE_CRLF)},
	{"123456789\r\nb\r\n", "!b|", 0, LINES(MARCEL_LINE_CRLF)},
	{"1234567890\n1234567890\nb\n", "!!b|", 0, LINES(MARCEL_LINE_ANY)},
	{"123456789012345678901234567890\r\nb\r\n", "!b|", 0, LINES(MARCEL_LINE_CRLF)},
	{"1234567890", "!", 0, LINES(MARCEL_LINE_ANY)},
	/* Several messages in one line. */
	{"a;b\nc\n", "a;b|c|", 0, PARTS(MARCEL_LINE_ANY)},
	{"a; b;\t c\r\n", "a;b;c|", 0, PARTS(MARCEL_LINE_ANY)},
	{"a;\n", "a;.", 0, PARTS(MARCEL_LINE_ANY)},
	{";;a;;b\n\n;\n", "a;b|..", 0, PARTS(MARCEL_LINE_ANY)},
	{"a;b", "a;b|", 0, PARTS(MARCEL_LINE_ANY)},
	{"123456789;b\nc\n", "!c|", 0, PARTS(MARCEL_LINE_LF)},
	/* Records and lengths. */
	{"abcdefg", "abc|def|g|", 0, {.kind = MARCEL_FRAMING_RECORD, .size = 3}},
	{"\1a\2bc\0d", "a|bc||", 6, {.kind = MARCEL_FRAMING_PREFIX, .size = 1}},
	{"\0\1a\0\0\0\3bc", "a||", 9, {.kind = MARCEL_FRAMING_PREFIX, .size = 2}},
	{"\0\0\0\2ab", "ab|", 6, {.kind = MARCEL_FRAMING_PREFIX, .size = 4}},
	{"\11"
	 "123456789\1b",
	 "!b|",
	 12,
	 {.kind = MARCEL_FRAMING_PREFIX, .size = 1}},
	{"\0\0\1", "", 3, {.kind = MARCEL_FRAMING_PREFIX, .size = 4}},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t length = rows[i].length > 0 ? rows[i].length : strlen(rows[i].bytes);

		for (size_t size = length; size > 0; size--) {
			struct run run = {
				.framer = {.message_max = 100, .framing = rows[i].framing}};

			run.framer.framing.max = 8;
			play(&run, rows[i].bytes, length, size);
			if (strcmp(run.text, rows[i].messages) != 0)
				fail_msg("row %zu in pieces of %zu: '%s' instead of '%s'", i, size,
					 run.text, rows[i].messages);
			assert_int_equal(run.length, 0);
		}
	}
}

/* Where a read is a message, the pieces show; no message is longer than it may be. */
static void test_pieces(void **state)
{
	struct run raw = {.framer = {.message_max = 4, .framing = {.kind = MARCEL_FRAMING_RAW}}};
	struct run bytes = {
		.framer = {.message_max = 4, .framing = {.kind = MARCEL_FRAMING_BYTES, .size = 3}},
	};

	(void)state;
	play(&raw, "ab\ncdefgh", 9, 6);
	assert_string_equal(raw.text, "ab\nc|de|fgh|");
	play(&bytes, "ab\ncd", 5, 2);
	assert_string_equal(bytes.text, "ab|\nc|d|");
}

/* A declared max counts only below message_max. */
static void test_max(void **state)
{
	struct run run = {.framer = {.message_max = 4, .framing = LINES(MARCEL_LINE_ANY)}};

	(void)state;
	run.framer.framing.max = 8;
	play(&run, "1234\n12345\nb\n", 13, 13);
	assert_string_equal(run.text, "1234|!b|");
}

static enum slot_line_end learned(struct marcel_framing framing, const char *bytes)
{
	struct run run = {.framer = {.message_max = 100, .framing = framing}};

	play(&run, bytes, strlen(bytes), 100);
	return run.framer.line_end;
}

static void test_line_ends(void **state)
{
	const struct marcel_framing any = LINES(MARCEL_LINE_ANY);
	const struct marcel_framing lf = LINES(MARCEL_LINE_LF);
	const struct marcel_framing crlf = LINES(MARCEL_LINE_CRLF);

	(void)state;
	assert_int_equal(learned(any, "a"), LINE_END_UNKNOWN);
	assert_int_equal(learned(any, "a\nb\r\n"), LINE_END_LF);
	assert_int_equal(learned(any, "a\r\nb\n"), LINE_END_CRLF);
	assert_int_equal(learned(lf, "a\r\n"), LINE_END_LF);
	assert_int_equal(learned(crlf, "a\n"), LINE_END_CRLF);
}

/* Undecided or by configuration: skipping makes it a dialogue in lines. */
static void test_skipping_without_a_declaration(void **state)
{
	struct run run = {.framer = {.message_max = 8}};

	(void)state;
	play(&run, "1234567890\nb\n", 13, 3);
	assert_string_equal(run.text, "!b|");
	assert_int_equal(run.framer.mode, MODE_LINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_max),
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_skipping_without_a_declaration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
