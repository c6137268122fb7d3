/* Transcripts: read, written, refused; and answers compared with what they expect. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "marcelctl/answer.h"
#include "marcelctl/transcript.h"

static struct transcript parsed(const char *text)
{
	struct report report = REPORT_INIT;
	struct transcript transcript;

	assert_int_equal(transcript_parse("t", text, strlen(text), &report, &transcript), 0);
	assert_int_equal(report.count, 0);
	return transcript;
}

static void every_kind_of_step(void **state)
{
	struct transcript transcript =
		parsed("# comment\n\nC> a b \nC|\nC>\r\nS> \\r\\n\\t\\e\\\\\\xFf"
		       "\nS| x\nS~ 250 *\nT> 1min 30s\nE>\nQ>\nX>\nR>");
	static const struct {
		enum transcript_kind kind;
		unsigned line;
		const char *text;
	} table[] = {
		{TRANSCRIPT_CLIENT_LINE, 3, "a b "},
		{TRANSCRIPT_CLIENT_BYTES, 4, ""},
		{TRANSCRIPT_CLIENT_LINE, 5, ""},
		{TRANSCRIPT_SERVER_LINE, 6, "\r\n\t\x1b\\\xff"},
		{TRANSCRIPT_SERVER_BYTES, 7, "x"},
		{TRANSCRIPT_SERVER_GLOB, 8, "250 *"},
		{TRANSCRIPT_TIME, 9, "1min 30s"},
		{TRANSCRIPT_CLIENT_END, 10, NULL},
		{TRANSCRIPT_STOP, 11, NULL},
		{TRANSCRIPT_SERVER_END, 12, NULL},
		{TRANSCRIPT_SERVER_RESET, 13, NULL},
	};

	(void)state;
	assert_int_equal(transcript.count, sizeof(table) / sizeof(table[0]));
	for (size_t i = 0; i < transcript.count; i++) {
		assert_int_equal(transcript.steps[i].kind, table[i].kind);
		assert_int_equal(transcript.steps[i].line, table[i].line);
		if (table[i].text != NULL)
			assert_string_equal(transcript.steps[i].bytes, table[i].text);
	}
	assert_int_equal(transcript.steps[6].duration, 90 * USEC_PER_SEC);
	transcript_done(&transcript);
}

static void faults_are_told_all_at_once(void **state)
{
	static const char text[] = "C> good\nC>bad\nhello\nS> \\q\nS> \\x1\nT> soon\nT>\n"
				   "X> now\nS~ {a:nothing}\n\\\nT> infinity\n";
	static const char *const places[] = {"t:2: ", "t:3: ", "t:4: ", "t:5: ",  "t:6: ",
					     "t:7: ", "t:8: ", "t:9: ", "t:10: ", "t:11: "};
	struct report report = REPORT_INIT;
	struct transcript transcript;

	(void)state;
	assert_int_equal(transcript_parse("t", text, strlen(text), &report, &transcript), -EINVAL);
	assert_int_equal(report.kept, sizeof(places) / sizeof(places[0]));
	for (size_t i = 0; i < report.kept; i++)
		assert_memory_equal(report.texts[i], places[i], strlen(places[i]));
	report_done(&report);
}

static void a_file_that_is_not_there(void **state)
{
	struct report report = REPORT_INIT;
	struct transcript transcript;

	(void)state;
	assert_int_equal(transcript_load("/nonexistent/x", &report, &transcript), -EINVAL);
	assert_int_equal(report.count, 1);
	report_done(&report);
}

/* All bytes come back from what was written of them. */
static void every_byte_comes_back(void **state)
{
	char bytes[256];
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	struct transcript transcript;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	assert_non_null(file);
	transcript_write(file, TRANSCRIPT_CLIENT_BYTES, bytes, sizeof(bytes));
	transcript_write(file, TRANSCRIPT_SERVER_LINE, NULL, 0);
	transcript_write_time(file, 1500 * USEC_PER_MSEC);
	assert_int_equal(fclose(file), 0);
	transcript = parsed(text);
	assert_int_equal(transcript.count, 3);
	assert_int_equal(transcript.steps[0].length, sizeof(bytes));
	assert_memory_equal(transcript.steps[0].bytes, bytes, sizeof(bytes));
	assert_int_equal(transcript.steps[1].length, 0);
	assert_int_equal(transcript.steps[2].duration, 1500 * USEC_PER_MSEC);
	transcript_done(&transcript);
	free(text);
}

static void answers(void **state)
{
	static const struct {
		const char *expected;
		const char *said;
		enum answer_end end;
		bool last;
		bool fits;
	} table[] = {
		{"S> a\nS> b\n", "a\r\nb\n", ANSWER_OPEN, false, true},
		{"S> a\nS> b\n", "a\r\nb", ANSWER_OPEN, false, false},
		{"S> a\n", "a\nb\n", ANSWER_OPEN, false, false},
		{"S> a\nS> b\n", "a\n", ANSWER_OPEN, false, false},
		{"S> a\n", "ab\n", ANSWER_OPEN, false, false},
		{"S> ab\n", "a\n", ANSWER_OPEN, false, false},
		{"S> a\\nb\n", "a\nb\n", ANSWER_OPEN, false, true},
		{"S| a\nS| b\\n\n", "ab\n", ANSWER_OPEN, false, true},
		{"S| a\nS> b\n", "ab\r\n", ANSWER_OPEN, false, true},
		{"S| a\\n\n", "a\r\n", ANSWER_OPEN, false, false},
		{"S~ 250 *\nS~ {n:int}\n", "250 ok\r\n17\r\n", ANSWER_OPEN, false, true},
		{"S~ 250 *\n", "251 ok\r\n", ANSWER_OPEN, false, false},
		{"S~ *\n", "a", ANSWER_OPEN, false, false},
		{"S> a\nX>\n", "a\n", ANSWER_CLOSED, false, true},
		{"S> a\nX>\n", "a\n", ANSWER_OPEN, true, false},
		{"S> a\nX>\n", "a\n", ANSWER_RESET, true, false},
		{"R>\n", "", ANSWER_RESET, false, true},
		{"S> a\n", "a\n", ANSWER_CLOSED, false, false},
		{"S> a\n", "a\n", ANSWER_CLOSED, true, true},
		{"X>\nS> a\n", "a\n", ANSWER_CLOSED, true, false},
		{"", "", ANSWER_OPEN, false, true},
		{"", "a", ANSWER_OPEN, true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct transcript transcript = parsed(table[i].expected);

		if (answer_fits(transcript.steps, transcript.count, table[i].said,
				strlen(table[i].said), table[i].end,
				table[i].last) != table[i].fits)
			fail_msg("row %zu: %s", i, table[i].expected);
		transcript_done(&transcript);
	}
}

/* The edits of a comparison as letters: = the same, - missing, + extra. */
static void check_edits(const char *expected, const char *said, enum answer_end end,
			const char *wanted)
{
	static const char letters[] =
		{[ANSWER_SAME] = '=', [ANSWER_MISSING] = '-', [ANSWER_EXTRA] = '+'};
	struct transcript transcript = parsed(expected);
	struct answer answer;
	enum answer_edit *edits;
	size_t count;

	assert_int_equal(answer_split(said, strlen(said), end, &answer), 0);
	assert_int_equal(answer_compare(transcript.steps, transcript.count, &answer, &edits,
					&count),
			 0);
	assert_int_equal(count, strlen(wanted));
	for (size_t i = 0; i < count; i++)
		assert_int_equal(letters[edits[i]], wanted[i]);
	free(edits);
	answer_done(&answer);
	transcript_done(&transcript);
}

static void the_fewest_edits(void **state)
{
	(void)state;
	check_edits("S> a\nS> b\nS> c\n", "a\nx\nc\n", ANSWER_OPEN, "=-+=");
	check_edits("S> a\nS> b\nS> c\n", "b\nc\nd\n", ANSWER_OPEN, "-==+");
	check_edits("S~ a*\nX>\n", "abc\nrest", ANSWER_CLOSED, "=+=");
	check_edits("S> a\n", "", ANSWER_RESET, "-+");
	check_edits("", "a\n", ANSWER_OPEN, "+");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_step),
		cmocka_unit_test(faults_are_told_all_at_once),
		cmocka_unit_test(a_file_that_is_not_there),
		cmocka_unit_test(every_byte_comes_back),
		cmocka_unit_test(answers),
		cmocka_unit_test(the_fewest_edits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
