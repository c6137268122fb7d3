/* Composing: scripts and transcripts out of exchanges, compared as texts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "marcelctl/compose.h"
#include "marcelctl/quote.h"

#define MSEC USEC_PER_MSEC
#define SEC  USEC_PER_SEC

/* One step of an exchange, so long after the one before. */
struct step {
	usec_t after;
	enum exchange_kind kind;
	const char *bytes;
};

static struct composed composed_from(const struct step *steps, size_t n,
				     const struct compose_setup *setup)
{
	struct exchange exchange = {.count = 0};
	struct composed composed;
	usec_t now = SEC;

	for (size_t i = 0; i < n; i++) {
		now += steps[i].after;
		assert_int_equal(exchange_add(&exchange, steps[i].kind, now, steps[i].bytes,
					      steps[i].bytes != NULL ? strlen(steps[i].bytes) : 0),
				 0);
	}
	assert_int_equal(compose(&exchange, setup, &composed), 0);
	exchange_done(&exchange);
	return composed;
}

static void check(const struct step *steps, size_t n, const char *script, const char *transcript)
{
	const struct compose_setup setup = {.origin = "A test."};
	struct composed composed = composed_from(steps, n, &setup);

	assert_string_equal(composed.script, script);
	assert_string_equal(composed.transcript, transcript);
	composed_done(&composed);
}

#define CHECK(steps, script, transcript)                                                        \
	check(steps, sizeof(steps) / sizeof((steps)[0]), "marcel-script 1\n# A test.\n" script, \
	      "# A test.\n" transcript)

static void a_mail_is_collected(void **state)
{
	const struct step steps[] = {
		{0, EXCHANGE_SERVER, "220 mail\r\n"},
		{MSEC, EXCHANGE_CLIENT, "EHLO me\r\n"},
		{MSEC, EXCHANGE_SERVER, "250-mail\r\n250 HELP\r\n"},
		{MSEC, EXCHANGE_CLIENT, "DATA\r\n"},
		{MSEC, EXCHANGE_SERVER, "354 go\r\n"},
		{MSEC, EXCHANGE_CLIENT, "Subject: x\r\n\r\n..\r\n.\r\nQUIT\r\n"},
		{MSEC, EXCHANGE_SERVER, "250 queued\r\n221 bye\r\n"},
		{0, EXCHANGE_SERVER_END, NULL},
	};

	(void)state;
	CHECK(steps,
	      "frame line crlf\n"
	      "end none\n"
	      "\non connect\n"
	      "        say '220 mail'\n"
	      "\non 'EHLO me'\n"
	      "        say '250-mail',\n            '250 HELP'\n"
	      "\non 'DATA'\n"
	      "        say '354 go'\n"
	      "        collect data1 until \".\" unstuff\n"
	      "        say '250 queued'\n"
	      "\non 'QUIT'\n"
	      "        say '221 bye'\n"
	      "        close\n",
	      "S> 220 mail\n"
	      "\nC> EHLO me\nS> 250-mail\nS> 250 HELP\n"
	      "\nC> DATA\nS> 354 go\nC> Subject: x\nC>\nC> ..\nC> .\nS> 250 queued\n"
	      "\nC> QUIT\nS> 221 bye\nX>\n");
}

static void other_answers_come_in_turn(void **state)
{
	const struct step steps[] = {
		{0, EXCHANGE_CLIENT, "a\n"},     {MSEC, EXCHANGE_SERVER, "1\n"},
		{MSEC, EXCHANGE_CLIENT, "b\n"},  {MSEC, EXCHANGE_SERVER, "same\n"},
		{MSEC, EXCHANGE_CLIENT, "a\n"},  {MSEC, EXCHANGE_SERVER, "2\nrest"},
		{MSEC, EXCHANGE_CLIENT, "b\n"},  {MSEC, EXCHANGE_SERVER, "same\n"},
		{MSEC, EXCHANGE_CLIENT_END, ""}, {MSEC, EXCHANGE_SERVER, "fin\n"},
		{0, EXCHANGE_SERVER_END, NULL},
	};

	(void)state;
	CHECK(steps,
	      "frame line lf\n"
	      "end none\n"
	      "\non connect\n"
	      "        ignore\n"
	      "\non 'a' cycle {\n"
	      "        say '1'\n"
	      "    } | {\n"
	      "        say '2'\n"
	      "        send 'rest'\n"
	      "    }\n"
	      "\non 'b'\n"
	      "        say 'same'\n"
	      "\non eof\n"
	      "        say 'fin'\n"
	      "        close\n",
	      "\nC> a\nS> 1\n\nC> b\nS> same\n\nC> a\nS> 2\nS| rest\n\nC> b\nS> same\n"
	      "E>\nS> fin\nX>\n");
}

static void announced_bytes_are_data(void **state)
{
	const struct step steps[] = {
		{0, EXCHANGE_CLIENT, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na\nb\r\n"},
		{MSEC, EXCHANGE_SERVER, "HTTP/1.1 204 x\r\n\r\n"},
		{MSEC, EXCHANGE_CLIENT, "x APPEND {3}\r\n"},
		{MSEC, EXCHANGE_SERVER, "+\r\n"},
		{MSEC, EXCHANGE_CLIENT, "abc\r\n"},
		{MSEC, EXCHANGE_SERVER, "x OK\r\n"},
	};

	(void)state;
	CHECK(steps,
	      "frame line crlf\n"
	      "end none\n"
	      "\non connect\n        ignore\n"
	      "\non 'POST / HTTP/1.1'\n        ignore\n"
	      "\non 'Content-Length: 5'\n        ignore\n"
	      "\non '' cycle {\n"
	      "        collect data1 5 bytes\n"
	      "        say 'HTTP/1.1 204 x',\n            ''\n"
	      "    } | {\n"
	      "        say 'x OK'\n"
	      "    }\n"
	      "\non 'x APPEND {3}'\n"
	      "        say '+'\n"
	      "        collect data1 3 bytes\n",
	      "\nC> POST / HTTP/1.1\n\nC> Content-Length: 5\n\nC>\nC| a\\nb\\r\\n\n"
	      "S> HTTP/1.1 204 x\nS>\n"
	      "\nC> x APPEND {3}\nS> +\nC| abc\n\nC>\nS> x OK\n");
}

static void bytes_without_lines_are_raw(void **state)
{
	const struct step steps[] = {
		{0, EXCHANGE_SERVER, "hello"},
		{MSEC, EXCHANGE_CLIENT, "it's \x01*\xff\xc3\xa9"},
		{MSEC, EXCHANGE_SERVER, "$a\n"},
		{MSEC, EXCHANGE_RESET, NULL},
	};

	(void)state;
	CHECK(steps,
	      "frame raw\n"
	      "end none\n"
	      "\non connect\n        send 'hello'\n"
	      "\non \"it's \\x01\\*\\xff\xc3\xa9\"\n        send \"\\$a\\n\"\n        reset\n",
	      "S| hello\nC| it's \\x01*\\xff\xc3\xa9\nS| $a\\n\nR>\n");
}

static void silences_of_the_server_are_kept(void **state)
{
	const struct step steps[] = {
		{0, EXCHANGE_SERVER, "hi\n"},
		{3 * SEC, EXCHANGE_CLIENT, "a\n"},
		{7 * SEC, EXCHANGE_SERVER, "late\n"},
		{2 * SEC, EXCHANGE_SERVER, "later\n"},
		{MSEC, EXCHANGE_CLIENT, "b\n"},
		{MSEC, EXCHANGE_SERVER, "c\n"},
		{30 * SEC + 20 * MSEC, EXCHANGE_SERVER, "timeout\n"},
		{MSEC, EXCHANGE_SERVER_END, NULL},
	};

	(void)state;
	CHECK(steps,
	      "frame line lf\n"
	      "end none\n"
	      "\non connect\n        say 'hi'\n"
	      "\non 'a'\n        say 'late'\n        wait 2s\n        say 'later'\n"
	      "\non 'b'\n        say 'c'\n"
	      "\non idle 30s\n        say 'timeout'\n        close\n",
	      "S> hi\n\nC> a\nS> late\nS> later\n\nC> b\nS> c\nT> 30s\nS> timeout\nX>\n");
}

/* Replies with codes go to the messages that were sent in one go, if they are as many. */
static void pipelined_replies(void **state)
{
	const struct step steps[] = {
		{0, EXCHANGE_CLIENT, "a\nb\nc\n"},
		{MSEC, EXCHANGE_SERVER, "250-1\n250 1\n250\n354 3\n"},
		{MSEC, EXCHANGE_CLIENT, "d\ne\n"},
		{MSEC, EXCHANGE_SERVER, "250 4\n"},
		{MSEC, EXCHANGE_CLIENT, "f\ng\n"},
		{MSEC, EXCHANGE_SERVER, "250 6\n+OK\n"},
	};

	(void)state;
	CHECK(steps,
	      "frame line lf\nend none\n\non connect\n        ignore\n"
	      "\non 'a'\n        say '250-1',\n            '250 1'\n"
	      "\non 'b'\n        say '250'\n"
	      "\non 'c'\n        say '354 3'\n"
	      "\non 'd'\n        ignore\n"
	      "\non 'e'\n        say '250 4'\n"
	      "\non 'f'\n        ignore\n"
	      "\non 'g'\n        say '250 6',\n            '+OK'\n",
	      "\nC> a\nS> 250-1\nS> 250 1\n\nC> b\nS> 250\n\nC> c\nS> 354 3\n"
	      "\nC> d\n\nC> e\nS> 250 4\n\nC> f\n\nC> g\nS> 250 6\nS> +OK\n");
}

/* A line that comes in two pieces is one; what is not finished when the server answers is data. */
static void pieces_of_lines(void **state)
{
	const struct step pipelined[] = {
		{0, EXCHANGE_CLIENT, "a\nb"},
		{MSEC, EXCHANGE_SERVER, "1\n"},
		{MSEC, EXCHANGE_CLIENT, "b\n"},
		{MSEC, EXCHANGE_SERVER, "2\n"},
	};
	const struct step data[] = {
		{0, EXCHANGE_CLIENT, "a\nbcd"},
		{MSEC, EXCHANGE_SERVER, "1\n"},
		{SEC, EXCHANGE_CLIENT, "b\n"},
		{MSEC, EXCHANGE_SERVER, "2\n"},
	};

	(void)state;
	CHECK(pipelined,
	      "frame line lf\nend none\n\non connect\n        ignore\n"
	      "\non 'a'\n        say '1'\n\non 'bb'\n        say '2'\n",
	      "\nC> a\nS> 1\n\nC> bb\nS> 2\n");
	CHECK(data,
	      "frame line lf\nend none\n\non connect\n        ignore\n"
	      "\non 'a'\n        collect data1 3 bytes\n        say '1'\n"
	      "\non 'b'\n        say '2'\n",
	      "\nC> a\nC| bcd\nS> 1\n\nC> b\nS> 2\n");
}

/* Without a client's word there is only what the server says by itself. */
static void a_server_that_talks_alone(void **state)
{
	const struct step steps[] = {
		{0, EXCHANGE_SERVER, "12:00\r\n"},
		{MSEC, EXCHANGE_SERVER_END, NULL},
		{MSEC, EXCHANGE_CLIENT_END, NULL},
	};

	(void)state;
	CHECK(steps,
	      "frame line crlf\nend none\n\non connect\n        say '12:00'\n        close\n",
	      "S> 12:00\nX>\n");
}

static void nothing_at_all(void **state)
{
	const enum cut_framing framing = CUT_LF;
	const struct compose_setup setup = {.origin = "A test.", .framing = &framing};
	struct composed composed = composed_from(NULL, 0, &setup);

	(void)state;
	assert_string_equal(composed.script, "marcel-script 1\n# A test.\nend none\n"
					     "\non connect\n        ignore\n");
	composed_done(&composed);
}

static char *quoted(void (*quote)(FILE *, const char *, size_t), const char *text, size_t length)
{
	char *result = NULL;
	size_t size;
	FILE *file = open_memstream(&result, &size);

	assert_non_null(file);
	quote(file, text, length);
	assert_int_equal(fclose(file), 0);
	return result;
}

static void literals(void **state)
{
	static const struct {
		const char *text;
		size_t length;
		const char *value;
		const char *pattern;
	} table[] = {
		{"", 0, "''", "''"},
		{"a*b?{c}\\\"$", 10, "'a*b?{c}\\\"$'", "'a*b?{c}\\\"$'"},
		{"l'été", 7, "\"l'été\"", "\"l'été\""},
		{"'*?{}${x}\"\\", 11, "\"'*?{}\\${x}\\\"\\\\\"", "\"'\\*\\?\\{}\\$\\{x}\\\"\\\\\""},
		{"\0\r\n\t\x1b\x7f", 6, "\"\\x00\\r\\n\\t\\x1b\\x7f\"",
		 "\"\\x00\\r\\n\\t\\x1b\\x7f\""},
		{"\xc3", 1, "\"\\xc3\"", "\"\\xc3\""},
		/* A bidirectional override is no text for people. NOLINTNEXTLINE */
		{"\xe2\x80\xae", 3, "\"\\xe2\\x80\\xae\"", "\"\\xe2\\x80\\xae\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char *value = quoted(quote_value, table[i].text, table[i].length);
		char *pattern = quoted(quote_pattern, table[i].text, table[i].length);

		assert_string_equal(value, table[i].value);
		assert_string_equal(pattern, table[i].pattern);
		free(value);
		free(pattern);
	}
}

static void a_long_pattern_is_its_beginning(void **state)
{
	char text[5000];
	char *pattern;

	(void)state;
	memset(text, 'a', sizeof(text));
	pattern = quoted(quote_pattern, text, sizeof(text));
	/* The quotes do not count. */
	assert_true(strlen(pattern) <= 4096 + 2);
	assert_string_equal(pattern + strlen(pattern) - 3, "a*\"");
	free(pattern);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mail_is_collected),
		cmocka_unit_test(other_answers_come_in_turn),
		cmocka_unit_test(announced_bytes_are_data),
		cmocka_unit_test(bytes_without_lines_are_raw),
		cmocka_unit_test(silences_of_the_server_are_kept),
		cmocka_unit_test(pipelined_replies),
		cmocka_unit_test(pieces_of_lines),
		cmocka_unit_test(a_server_that_talks_alone),
		cmocka_unit_test(nothing_at_all),
		cmocka_unit_test(literals),
		cmocka_unit_test(a_long_pattern_is_its_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
