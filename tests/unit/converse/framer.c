/*
 * The framer against a table of inputs, and against itself: however the bytes are cut into reads,
 * the messages of a line dialogue are the same.
 */
#include "converse/framer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What came out: messages joined by '|', then how it ended. */
struct outcome {
	char text[512];
	enum framer_result last;
	enum slot_mode mode;
	enum slot_line_end line_end;
};

/* The buffer a conversation would have: bytes are appended, consumed ones dropped. */
struct feed {
	struct framer framer;
	char bytes[4096];
	size_t length;
	struct outcome outcome;
};

static void collect(struct feed *feed, const struct frame *frame)
{
	struct outcome *outcome = &feed->outcome;
	size_t at = strlen(outcome->text);

	assert_true(at + frame->length + 2 <= sizeof(outcome->text));
	(void)memcpy(outcome->text + at, feed->bytes + frame->start, frame->length);
	(void)memcpy(outcome->text + at + frame->length, "|", 2);
}

static void pump(struct feed *feed, enum framer_input input)
{
	for (;;) {
		struct frame frame = {.consumed = 0};

		feed->outcome.last =
			framer_next(&feed->framer, feed->bytes, feed->length, input, &frame);
		if (feed->outcome.last == FRAMER_TOO_LONG)
			break;
		assert_true(frame.consumed <= feed->length);
		assert_true(frame.start + frame.length <= frame.consumed ||
			    feed->outcome.last != FRAMER_MESSAGE);
		if (feed->outcome.last == FRAMER_MESSAGE)
			collect(feed, &frame);
		feed->length -= frame.consumed;
		(void)memmove(feed->bytes, feed->bytes + frame.consumed, feed->length);
		if (feed->outcome.last != FRAMER_MESSAGE)
			break;
		if (input == FRAMER_QUIET)
			input = FRAMER_MORE_TO_COME;
	}
	feed->outcome.mode = feed->framer.mode;
	feed->outcome.line_end = feed->framer.line_end;
}

static void give(struct feed *feed, const char *bytes, size_t length)
{
	assert_true(feed->length + length <= sizeof(feed->bytes));
	(void)memcpy(feed->bytes + feed->length, bytes, length);
	feed->length += length;
	pump(feed, FRAMER_MORE_TO_COME);
}

/*
 * Plays SCRIPT: its characters are input, but '~' is a cut between two reads, '_' a pause of
 * raw_pause, '$' the end of input.
 */
static struct outcome play(enum slot_mode mode, const char *script)
{
	struct feed feed = {.framer = {.message_max = 8, .mode = mode}};

	while (*script != '\0') {
		size_t run = strcspn(script, "~_$");

		if (run > 0)
			give(&feed, script, run);
		script += run;
		if (*script == '_')
			pump(&feed, FRAMER_QUIET);
		if (*script == '$')
			pump(&feed, FRAMER_END);
		script += *script != '\0';
	}
	return feed.outcome;
}

static void test_table(void **state)
{
	static const struct {
		const char *script;
		const char *messages;
		enum slot_mode mode;
		enum framer_result last;
		enum slot_mode mode_after;
		enum slot_line_end line_end;
	} rows[] = {
		/* lines */
		{"a\nb\n", "a|b|", MODE_LINE, FRAMER_WAIT, MODE_LINE, LINE_END_LF},
		{"a\r\nb\n", "a|b|", MODE_LINE, FRAMER_WAIT, MODE_LINE, LINE_END_CRLF},
		{"a\nb\r\n", "a|b|", MODE_LINE, FRAMER_WAIT, MODE_LINE, LINE_END_LF},
		{"a\r~\nb", "a|", MODE_LINE, FRAMER_WAIT, MODE_LINE, LINE_END_CRLF},
		{"a_b_\n", "ab|", MODE_LINE, FRAMER_WAIT, MODE_LINE, LINE_END_LF},
		{"\n\r\n", "||", MODE_LINE, FRAMER_WAIT, MODE_LINE, LINE_END_LF},
		{"a\r\r\n", "a\r|", MODE_LINE, FRAMER_WAIT, MODE_LINE, LINE_END_CRLF},
		{"a\rb\n", "a\rb|", MODE_LINE, FRAMER_WAIT, MODE_LINE, LINE_END_LF},
		{"a\nb$", "a|b|", MODE_LINE, FRAMER_WAIT, MODE_LINE, LINE_END_LF},
		{"$", "", MODE_LINE, FRAMER_WAIT, MODE_LINE, LINE_END_UNKNOWN},
		{"12345678\n", "12345678|", MODE_LINE, FRAMER_WAIT, MODE_LINE, LINE_END_LF},
		{"12345678\r~\n", "12345678|", MODE_LINE, FRAMER_WAIT, MODE_LINE, LINE_END_CRLF},
		{"123456789\n", "", MODE_LINE, FRAMER_TOO_LONG, MODE_LINE, LINE_END_LF},
		{"123456789", "", MODE_LINE, FRAMER_TOO_LONG, MODE_LINE, LINE_END_UNKNOWN},
		{"12345678\r$", "", MODE_LINE, FRAMER_TOO_LONG, MODE_LINE, LINE_END_UNKNOWN},
		{"a\n123456789", "a|", MODE_LINE, FRAMER_TOO_LONG, MODE_LINE, LINE_END_LF},
		/* undecided */
		{"a\n", "a|", MODE_UNDECIDED, FRAMER_WAIT, MODE_LINE, LINE_END_LF},
		{"a\r~\n", "a|", MODE_UNDECIDED, FRAMER_WAIT, MODE_LINE, LINE_END_CRLF},
		{"a~b~c", "", MODE_UNDECIDED, FRAMER_PAUSE, MODE_UNDECIDED, LINE_END_UNKNOWN},
		{"a~b_", "ab|", MODE_UNDECIDED, FRAMER_WAIT, MODE_RAW, LINE_END_UNKNOWN},
		{"ab$", "ab|", MODE_UNDECIDED, FRAMER_WAIT, MODE_LINE, LINE_END_UNKNOWN},
		{"_", "", MODE_UNDECIDED, FRAMER_WAIT, MODE_UNDECIDED, LINE_END_UNKNOWN},
		{"123456789", "", MODE_UNDECIDED, FRAMER_TOO_LONG, MODE_UNDECIDED,
		 LINE_END_UNKNOWN},
		/* raw, provisionally */
		{"a_b~c", "a|b|c|", MODE_UNDECIDED, FRAMER_WAIT, MODE_RAW, LINE_END_UNKNOWN},
		{"a_\n", "a|", MODE_UNDECIDED, FRAMER_WAIT, MODE_LINE, LINE_END_LF},
		{"a_\nb\n", "a|b|", MODE_UNDECIDED, FRAMER_WAIT, MODE_LINE, LINE_END_LF},
		{"a_\r\nb\r\n", "a|b|", MODE_UNDECIDED, FRAMER_WAIT, MODE_LINE, LINE_END_CRLF},
		{"a_\r~\nb\r\n", "a|b|", MODE_UNDECIDED, FRAMER_WAIT, MODE_LINE, LINE_END_CRLF},
		{"a_\r_", "a|\r|", MODE_UNDECIDED, FRAMER_WAIT, MODE_RAW, LINE_END_UNKNOWN},
		{"a_b\nc", "a|b|", MODE_UNDECIDED, FRAMER_WAIT, MODE_LINE, LINE_END_LF},
		{"a_b~\n", "a|b|", MODE_UNDECIDED, FRAMER_WAIT, MODE_LINE, LINE_END_LF},
		{"a_\n\n", "a||", MODE_UNDECIDED, FRAMER_WAIT, MODE_LINE, LINE_END_LF},
		{"a_$", "a|", MODE_UNDECIDED, FRAMER_WAIT, MODE_RAW, LINE_END_UNKNOWN},
		/* raw for good */
		{"a\n~b\r\n", "a\n|b\r\n|", MODE_RAW_ONLY, FRAMER_WAIT, MODE_RAW_ONLY,
		 LINE_END_UNKNOWN},
		{"1234567890", "12345678|90|", MODE_RAW_ONLY, FRAMER_WAIT, MODE_RAW_ONLY,
		 LINE_END_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct outcome outcome = play(rows[i].mode, rows[i].script);

		print_message("row %zu\n", i);
		assert_string_equal(outcome.text, rows[i].messages);
		assert_int_equal(outcome.last, rows[i].last);
		assert_int_equal(outcome.mode, rows[i].mode_after);
		assert_int_equal(outcome.line_end, rows[i].line_end);
	}
}

static void test_cuts_do_not_matter(void **state)
{
	static const char whole[] = "a\r\nbc\r\n\r\nd\ne\rf\n12345678\r\n$";

	(void)state;
	for (unsigned seed = 1; seed <= 2000; seed++) {
		char cut[128];
		size_t n = 0;
		unsigned random = seed;

		for (size_t i = 0; whole[i] != '\0'; i++) {
			cut[n++] = whole[i];
			random = random * 1103515245u + 12345u;
			if ((random >> 16 & 3) == 0 && whole[i] != '$')
				cut[n++] = '~';
		}
		cut[n] = '\0';
		assert_string_equal(play(MODE_LINE, cut).text, "a|bc||d|e\rf|12345678|");
		assert_string_equal(play(MODE_UNDECIDED, cut).text, "a|bc||d|e\rf|12345678|");
	}
}

static void test_nul_and_invalid_bytes_pass(void **state)
{
	struct framer framer = {.message_max = 8, .mode = MODE_UNDECIDED};
	const char bytes[] = {'\0', (char)0xff, (char)0xc3, '\n'};
	struct frame frame;

	(void)state;
	assert_int_equal(framer_next(&framer, bytes, sizeof(bytes), FRAMER_MORE_TO_COME, &frame),
			 FRAMER_MESSAGE);
	assert_int_equal(frame.start, 0);
	assert_int_equal(frame.length, 3);
	assert_int_equal(frame.consumed, 4);
}

/* Bytes that were looked at are not looked at again: otherwise a byte at a time costs its square.
 */
static void test_scans_once(void **state)
{
	struct framer framer = {.message_max = 1000, .mode = MODE_LINE};
	char bytes[64] = "abc";
	struct frame frame;

	(void)state;
	assert_int_equal(framer_next(&framer, bytes, 3, FRAMER_MORE_TO_COME, &frame), FRAMER_WAIT);
	/* Had it looked again, it would find this one. */
	bytes[1] = '\n';
	bytes[3] = 'd';
	assert_int_equal(framer_next(&framer, bytes, 4, FRAMER_MORE_TO_COME, &frame), FRAMER_WAIT);
	bytes[4] = '\n';
	assert_int_equal(framer_next(&framer, bytes, 5, FRAMER_MORE_TO_COME, &frame),
			 FRAMER_MESSAGE);
	assert_int_equal(frame.length, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_cuts_do_not_matter),
		cmocka_unit_test(test_nul_and_invalid_bytes_pass),
		cmocka_unit_test(test_scans_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
