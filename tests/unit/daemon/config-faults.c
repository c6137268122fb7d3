/*
 * Wrong configurations: each is refused, and what is said of it names the line and what would be
 * right. Every row is a whole file and all that there is to say about it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/config.h"
#include "daemon/ini.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define BYTES(text) text, sizeof(text) - 1
#define LETTERS_50  "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"
#define LETTERS_250 LETTERS_50 LETTERS_50 LETTERS_50 LETTERS_50 LETTERS_50
#define SHOWN_123   LETTERS_50 LETTERS_50 "aaaaaaaaaabbbbbbbbbbccc"

static const struct {
	const char *text;
	size_t length;
	const char *faults; /* all of them, each ended by LF */
} rows[] = {
	/* keys and sections that do not exist */
	{BYTES("\n[dialogue]\ngreating = x\n"),
	 "x.ini:3: unknown key 'greating' in [dialogue] (did you mean 'greeting'?)\n"},
	{BYTES("[dialogue]\nGreeting = x\n"),
	 "x.ini:2: unknown key 'Greeting' in [dialogue] (did you mean 'greeting'?)\n"},
	{BYTES("[dialogue]\nidle-timeout = 1s\n"),
	 "x.ini:2: unknown key 'idle-timeout' in [dialogue] (did you mean 'idle_timeout'?)\n"},
	{BYTES("[dialogue]\ncolour = x\n"), "x.ini:2: unknown key 'colour' in [dialogue]\n"},
	{BYTES("[dialogue]\nbacklog = 3\n"),
	 "x.ini:2: unknown key 'backlog' in [dialogue] (it belongs in [server])\n"},
	{BYTES("[journal]\ngreeting = 3\n"),
	 "x.ini:2: unknown key 'greeting' in [journal] (it belongs in [dialogue])\n"},
	{BYTES("[listener web]\ntranscript = off\n"),
	 "x.ini:2: unknown key 'transcript' in [listener web] (it belongs in [journal])\n"},
	{BYTES("[listener web]\ngreting = x\n"),
	 "x.ini:2: unknown key 'greting' in [listener web] (did you mean 'greeting'?)\n"},
	{BYTES("[echo]\nvolume = 11\n"),
	 "x.ini:2: unknown key 'volume' in [echo], which has no keys\n"},
	{BYTES("[dialog]\n"), "x.ini:1: unknown section [dialog] (did you mean 'dialogue'?)\n"},
	{BYTES("[dialog]\ngreeting = x\nno = matter\n"),
	 "x.ini:1: unknown section [dialog] (did you mean 'dialogue'?)\n"},
	{BYTES("[Server]\n"), "x.ini:1: unknown section [Server] (did you mean 'server'?)\n"},
	{BYTES("[colours]\n"), "x.ini:1: unknown section [colours]\n"},
	{BYTES("[ecko]\n"), "x.ini:1: unknown section [ecko] (did you mean 'echo'?)\n"},
	{BYTES("[]\n"), "x.ini:1: unknown section []\n"},
	{BYTES("[listner web]\n"),
	 "x.ini:1: unknown section [listner web] (did you mean 'listener'?)\n"},
	{BYTES("[listenerweb]\n"),
	 "x.ini:1: unknown section [listenerweb] (did you mean 'listener'?)\n"},
	{BYTES("[" LETTERS_250 "]\n"), "x.ini:1: unknown section [" SHOWN_123 "...]\n"},
	{BYTES("[limits]\n" LETTERS_250 " = 1\n"),
	 "x.ini:2: unknown key '" SHOWN_123 "...' in [limits]\n"},

	/* names of sockets */
	{BYTES("[listener]\n"),
	 "x.ini:1: [listener] lacks the name of its socket: write [listener NAME]\n"},
	{BYTES("[ listener\t ]\n"),
	 "x.ini:1: [listener] lacks the name of its socket: write [listener NAME]\n"},
	{BYTES("[listener a:b]\ngreeting = x\n"),
	 "x.ini:1: [listener a:b]: the name of a socket is at most 255 characters of ASCII, none "
	 "of them ':'\n"},
	{BYTES("[listener caf\303\251]\n"),
	 "x.ini:1: [listener caf\303\251]: the name of a socket is at most 255 characters of "
	 "ASCII, none of them ':'\n"},
	{BYTES("[listener " LETTERS_250 "123456]\n"),
	 "x.ini:1: [listener " LETTERS_50 LETTERS_50 "aaaaaaaaaabbbb...]: the name of a socket is "
	 "at most 255 characters of ASCII, none of them ':'\n"},

	/* twice the same */
	{BYTES("[dialogue]\nfarewell = a\nfarewell = a\n"),
	 "x.ini:3: duplicate key 'farewell' in [dialogue] (it is on line 2 already)\n"},
	{BYTES("[dialogue]\nfarewell = a\n[limits]\n[dialogue]\nfarewell = b\n"),
	 "x.ini:5: duplicate key 'farewell' in [dialogue] (it is on line 2 already)\n"},
	{BYTES("[listener a]\nframing = raw\n[listener b]\nframing = raw\n[listener  a]\n"
	       "framing = raw\n"),
	 "x.ini:6: duplicate key 'framing' in [listener  a] (it is on line 2 already)\n"},
	{BYTES("[dialogue]\nframing = x\nframing = raw\n"),
	 "x.ini:2: framing is one of auto, line, raw, not 'x'\n"
	 "x.ini:3: duplicate key 'framing' in [dialogue] (it is on line 2 already)\n"},

	/* lines that are neither sections nor settings */
	{BYTES("[dialogue]\ngreeting\n"), "x.ini:2: a line without '=': write KEY = VALUE, or "
					  "begin a comment with '#'\n"},
	{BYTES("[dialogue]\ngreeting = one\n  two\n"),
	 "x.ini:3: a line without '=': write KEY = VALUE, or begin a comment with '#'\n"},
	{BYTES("[dialogue]\ngreeting: Bonjour\n"), "x.ini:2: ':' in the key: write KEY = VALUE\n"},
	{BYTES("[dialogue]\ngreeting: a = b\n"), "x.ini:2: ':' in the key: write KEY = VALUE\n"},
	{BYTES("[dialogue]\n= x\n"), "x.ini:2: there is no key before the '='\n"},
	{BYTES("  =\n"), "x.ini:1: there is no key before the '='\n"},
	{BYTES("greeting = x\n[dialogue]\n"),
	 "x.ini:1: key 'greeting' before any section (it belongs in [dialogue])\n"},
	{BYTES("colour = x\n"), "x.ini:1: key 'colour' before any section\n"},
	{BYTES("[dialogue\ngreeting = x\n"),
	 "x.ini:1: the ']' of the section is missing: write [NAME]\n"},
	{BYTES("[dialogue] ; comment\ncolour = x\n"),
	 "x.ini:1: text after the section's ']': a comment stands on a line of its own\n"
	 "x.ini:2: unknown key 'colour' in [dialogue]\n"},
	{BYTES("[dialogue] greeting = x\n"),
	 "x.ini:1: text after the section's ']': a comment stands on a line of its own\n"},

	/* bytes that are no text */
	{BYTES("[dialogue]\ngreeting = a\0b\n"),
	 "x.ini:2: a NUL byte in the line: this is not a text\n"},
	{BYTES("# \0\n[dialogue]\n"), "x.ini:1: a NUL byte in the line: this is not a text\n"},
	{BYTES("\0"), "x.ini:1: a NUL byte in the line: this is not a text\n"},
	{BYTES("[dialogue]\ngreeting = caf\351\n"),
	 "x.ini:2: byte 15 of the line, \\xe9, is not UTF-8\n"},
	{BYTES("# caf\351"), "x.ini:1: byte 6 of the line, \\xe9, is not UTF-8\n"},
	{BYTES("[dialogue]\nfarewell = \303\n\251\n"),
	 "x.ini:2: byte 12 of the line, \\xc3, is not UTF-8\n"
	 "x.ini:3: byte 1 of the line, \\xa9, is not UTF-8\n"},
	{BYTES("[\377]\ngreeting = not told\n"),
	 "x.ini:1: byte 2 of the line, \\xff, is not UTF-8\n"},
	{BYTES("[a\033[1m]\ngreeting = not told\n"),
	 "x.ini:1: a control character (\\e) in the line\n"},
	{BYTES("[dialogue]\ngreeting = a\033[1m\n"),
	 "x.ini:2: a control character (\\e) in the line\n"},
	{BYTES("[dialogue]\ngreeting = a\302\205b\n"),
	 "x.ini:2: a control character (\\xc2\\x85) in the line\n"},
	{BYTES("[dialogue]\ngreeting = a\177\n"),
	 "x.ini:2: a control character (\\x7f) in the line\n"},
	{BYTES("[dialogue]\ngreeting = a\f\n"),
	 "x.ini:2: a control character (\\x0c) in the line\n"},
	{BYTES("[dialogue]\rgreeting = a\r"), "x.ini:1: a control character (\\r) in the line\n"},
	{BYTES("[dialogue]\r\ngreeting = a\r\r\n"),
	 "x.ini:2: a control character (\\r) in the line\n"},
	{BYTES("[dialogue]\ngreeting = a\tb\n"),
	 "x.ini:2: greeting is a text without tabs, not 'a\\tb'\n"},
	{BYTES("[dialogue]\nend_words = a\tb, c\n"),
	 "x.ini:2: end_words is a text without tabs, not 'a\\tb, c'\n"},

	/* values that mean nothing */
	{BYTES("[dialogue]\nend_on_empty = maybe\n"),
	 "x.ini:2: end_on_empty is yes or no, not 'maybe'\n"},
	{BYTES("[dialogue]\nend_on_empty =\n"), "x.ini:2: end_on_empty is yes or no, not ''\n"},
	{BYTES("[dialogue]\nframing = lines\n"),
	 "x.ini:2: framing is one of auto, line, raw, not 'lines' (did you mean 'line'?)\n"},
	{BYTES("[dialogue]\nframing = RAW\n"),
	 "x.ini:2: framing is one of auto, line, raw, not 'RAW' (did you mean 'raw'?)\n"},
	{BYTES("[journal]\ntranscript = yes\n"),
	 "x.ini:2: transcript is one of full, sizes, off, not 'yes'\n"},
	{BYTES("[dialogue]\nresponder = ecko\n"),
	 "x.ini:2: responder is one of echo, fifo, script, not 'ecko' (did you mean 'echo'?)\n"},
	{BYTES("[dialogue]\nresponder =\n"),
	 "x.ini:2: responder is one of echo, fifo, script, not ''\n"},
	{BYTES("[listener a]\nresponder = smtp\n"),
	 "x.ini:2: responder is one of echo, fifo, script, not 'smtp'\n"},
	{BYTES("[dialogue]\nraw_pause = 5 apples\n"),
	 "x.ini:2: raw_pause is a duration such as '400ms' or '5min 30s', not '5 apples'\n"},
	{BYTES("[dialogue]\nidle_timeout = 30min ; a comment?\n"),
	 "x.ini:2: idle_timeout is a duration such as '400ms' or '5min 30s', not '30min ; a "
	 "comment?'\n"},
	{BYTES("[dialogue]\nidle_timeout = \"5s\"\n"),
	 "x.ini:2: idle_timeout is a duration such as '400ms' or '5min 30s', not '\"5s\"'\n"},
	{BYTES("[dialogue]\nidle_timeout = -1s\n"),
	 "x.ini:2: idle_timeout is a duration such as '400ms' or '5min 30s', not '-1s'\n"},
	{BYTES("[dialogue]\nmessage_max = 64k\n"),
	 "x.ini:2: message_max is a number of bytes such as '1000' or '64K', not '64k'\n"},
	{BYTES("[limits]\nconversations = many\n"),
	 "x.ini:2: conversations is a whole number, not 'many'\n"},
	{BYTES("[server]\nbacklog = 1.5\n"), "x.ini:2: backlog is a whole number, not '1.5'\n"},
	{BYTES("[dialogue]\nend_words = fin,,end\n"),
	 "x.ini:2: end_words is a list of words between commas, none of them empty, not "
	 "'fin,,end'\n"},
	{BYTES("[dialogue]\nend_words = fin, \n"),
	 "x.ini:2: end_words is a list of words between commas, none of them empty, not 'fin,'\n"},
	{BYTES("[server]\nlisten =\n"), "x.ini:2: listen is at least one address, not ''\n"},
	{BYTES("[server]\nlisten = 50000 99999 /run/x @\n"),
	 "x.ini:2: listen: '99999' is no address: a port is a number from 0 to 65535\n"
	 "x.ini:2: listen: '@' is no address: a name must follow '@'\n"},
	{BYTES("[listener a]\nlisten = 70000\n"),
	 "x.ini:2: listen: '70000' is no address: a port is a number from 0 to 65535\n"},

	/* values out of their limits */
	{BYTES("[dialogue]\nidle_timeout = 0\n"),
	 "x.ini:2: idle_timeout is from 1ms to infinity, not '0'\n"},
	{BYTES("[dialogue]\nidle_timeout = 600000 years\n"),
	 "x.ini:2: idle_timeout is from 1ms to infinity, not '600000 years'\n"},
	{BYTES("[dialogue]\nraw_pause = 999us\n"),
	 "x.ini:2: raw_pause is from 1ms to 1min, not '999us'\n"},
	{BYTES("[dialogue]\nraw_pause = 61\n"),
	 "x.ini:2: raw_pause is from 1ms to 1min, not '61'\n"},
	{BYTES("[dialogue]\nraw_pause = infinity\n"),
	 "x.ini:2: raw_pause is from 1ms to 1min, not 'infinity'\n"},
	{BYTES("[server]\nstop_timeout = infinity\n"),
	 "x.ini:2: stop_timeout is from 0 to 1h, not 'infinity'\n"},
	{BYTES("[dialogue]\nmessage_max = 0\n"), "x.ini:2: message_max is from 1 to 1M, not '0'\n"},
	{BYTES("[dialogue]\nmessage_max = 1048577\n"),
	 "x.ini:2: message_max is from 1 to 1M, not '1048577'\n"},
	{BYTES("[journal]\ntranscript_max = 2M\n"),
	 "x.ini:2: transcript_max is from 1 to 1M, not '2M'\n"},
	{BYTES("[journal]\ntranscript_max = 99999999999999999999T\n"),
	 "x.ini:2: transcript_max is from 1 to 1M, not '99999999999999999999T'\n"},
	{BYTES("[limits]\nconversations = 0\n"),
	 "x.ini:2: conversations is from 1 to 4194304, not '0'\n"},
	{BYTES("[limits]\nper_address = 4194305\n"),
	 "x.ini:2: per_address is from 0 to 4194304, not '4194305'\n"},
	{BYTES("[server]\nbacklog = 2147483648\n"),
	 "x.ini:2: backlog is from 1 to 2147483647, not '2147483648'\n"},
	{BYTES("[server]\nbacklog = 0\n"), "x.ini:2: backlog is from 1 to 2147483647, not '0'\n"},

	/* everything is told in one go, in the order of the lines */
	{BYTES("early = 1\n[dialogue]\nfoo\n[server]\nlisten = 99999\nbacklog = 0\n[\nz = z\n[echo]\n"
	       "a = b\n\377\n"),
	 "x.ini:1: key 'early' before any section\n"
	 "x.ini:3: a line without '=': write KEY = VALUE, or begin a comment with '#'\n"
	 "x.ini:5: listen: '99999' is no address: a port is a number from 0 to 65535\n"
	 "x.ini:6: backlog is from 1 to 2147483647, not '0'\n"
	 "x.ini:7: the ']' of the section is missing: write [NAME]\n"
	 "x.ini:10: unknown key 'a' in [echo], which has no keys\n"
	 "x.ini:11: byte 1 of the line, \\xff, is not UTF-8\n"},
};

/* All texts of REPORT, each ended by LF; the caller frees them. */
static char *join(const struct report *report)
{
	char *text = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&text, &length);

	assert_non_null(stream);
	for (size_t i = 0; i < report->kept; i++)
		(void)fprintf(stream, "%s\n", report->texts[i]);
	assert_int_equal(fclose(stream), 0);
	return text;
}

static void each_fault_is_told_with_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct report report = REPORT_INIT;
		struct config *config = NULL;
		char *exact = malloc(rows[i].length); /* a byte read too far is noticed */
		auto_free char *told = NULL;
		int r;

		assert_non_null(exact);
		(void)memcpy(exact, rows[i].text, rows[i].length);
		r = config_parse("x.ini", exact, rows[i].length, NULL, &report, &config);
		free(exact);
		told = join(&report);
		if (r != -EINVAL)
			fail_msg("row %zu, which should say\n%s", i, rows[i].faults);
		assert_string_equal(told, rows[i].faults);
		assert_int_equal(report.kept, report.count);
		assert_null(config);
		report_done(&report);
	}
}

/* As many faults as there are: the first hundred are kept, the others counted. */
static void a_flood_of_faults_is_counted(void **state)
{
	struct report report = REPORT_INIT;
	struct config *config = NULL;
	static const char flood[] = {'=', 'x', '\n'};
	char text[3000];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i += 3)
		(void)memcpy(text + i, flood, sizeof(flood));
	assert_int_equal(config_parse("x.ini", text, sizeof(text), NULL, &report, &config),
			 -EINVAL);
	assert_int_equal(report.count, sizeof(text) / 3);
	assert_int_equal(report.kept, REPORT_KEEP_MAX);
	report_done(&report);
}

/* What was in the report before is neither lost nor held against the file. */
static void earlier_faults_are_others(void **state)
{
	struct report report = REPORT_INIT;
	struct config *config = NULL;

	(void)state;
	report_add(&report, "something else");
	assert_int_equal(config_parse("x.ini", "", 0, NULL, &report, &config), 0);
	assert_int_equal(report.count, 1);
	config_unref(config);
	report_done(&report);
}

/* A line of LENGTH bytes, between two others, whose value ends with "fin". */
static int parse_long_line(size_t length, struct report *report, struct config **ret_config)
{
	static const char head[] = "[dialogue]\ngreeting = ";
	static const char tail[] = "fin\n[limits]\nrefusal = x\n";
	const size_t before = strlen("[dialogue]\n");
	size_t size = before + length + strlen(tail) - strlen("fin");
	char *text = malloc(size);
	int r;

	assert_non_null(text);
	(void)memset(text, 'a', size);
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): it has a length, and no end */
	(void)memcpy(text, head, strlen(head));
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
	(void)memcpy(text + size - strlen(tail), tail, strlen(tail));
	r = config_parse("x.ini", text, size, NULL, report, ret_config);
	free(text);
	return r;
}

static void a_line_is_read_whole(size_t length)
{
	struct report report = REPORT_INIT;
	struct config *config = NULL;
	const char *greeting;

	assert_int_equal(parse_long_line(length, &report, &config), 0);
	greeting = config->faces[0].dialogue.greeting;
	assert_int_equal(strlen(greeting), length - strlen("greeting = "));
	assert_string_equal(greeting + strlen(greeting) - 4, "afin");
	assert_string_equal(config->faces[0].limits.refusal, "x");
	config_unref(config);
}

static void lines_are_read_whole_or_refused(void **state)
{
	struct report report = REPORT_INIT;
	struct config *config = NULL;

	(void)state;
	/* All lengths around those at which inih's buffer grows. */
	for (size_t size = 200; size < INI_LINE_MAX; size *= 2)
		for (size_t length = size - 8; length < size + 8; length++)
			a_line_is_read_whole(length);
	a_line_is_read_whole(INI_LINE_MAX - 1);
	a_line_is_read_whole(INI_LINE_MAX);

	assert_int_equal(parse_long_line(INI_LINE_MAX + 1, &report, &config), -EINVAL);
	assert_int_equal(report.count, 1);
	assert_string_equal(report.texts[0], "x.ini:2: the line is longer than 1048560 bytes");
	report_done(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_is_told_with_its_line),
		cmocka_unit_test(a_flood_of_faults_is_counted),
		cmocka_unit_test(earlier_faults_are_others),
		cmocka_unit_test(lines_are_read_whole_or_refused),
	};

	return cmocka_run_group_tests_name("daemon/config-faults", tests, NULL, NULL);
}
