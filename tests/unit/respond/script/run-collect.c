/*
 * The interpreter and data: what a collect takes, what it keeps, and when it is too much.
 */
#include "respond/script/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "play.h"

#define SCRIPT "marcel-script 1\n"

static void test_until_line(void **state)
{
	static const char script[] = SCRIPT
		"on 'DATA' say \"go\"; collect body until \".\" unstuff; "
		"say \"${body|length} ${message}\"; send \"${body}\"\n"
		"on 'RAW' collect body until \"-${boundary}-\"; send \"${body}\"\n"
		"let boundary = \"b\"\n"
		"on '.' say \"a dot\"\n";

	(void)state;
	expect(script,
	       "?own\n> DATA\n?own\n?rule\n> one\n> DATA\n> fin\n>\n> ..dot\n> .x\n> .\n?own\n> .\n",
	       "daemon's\ngo\nown\nt.script:2\n27 DATA\n~one\r\nDATA\r\nfin\r\n\r\n.dot\r\nx\r\n\n"
	       "daemon's\na dot\n");
	expect(script, "> DATA\n> .\n> RAW\n> .\n> ..\n> -b-\n", "go\n0 DATA\n~\n~.\r\n..\r\n\n");
}

static void test_until_empty(void **state)
{
	(void)state;
	expect(SCRIPT
	       "end empty\non \"GET *\" collect head until empty; say \"[${head}]\"; close\n",
	       "> GET /\n> Host: x\n>\n", "[Host: x\r\n]\n[close]\n");
	expect(SCRIPT "on 'g' collect head until empty; say \"[${head}]\"\n", "> g\n>\n> g\n>\n",
	       "[]\n[]\n");
}

static void test_bytes(void **state)
{
	static const char script[] = SCRIPT
		"frame line crlf max 100\n"
		"on 'five' collect b 5 bytes; say \"[${b}]\"\n"
		"on \"n {n}\" say \"+\"; collect b ${n} bytes max 8; say \"[${b}] ${message} ${turn}\"\n"
		"on overflow say \"over\"\n"
		"on 'x' say \"x\"\n";
	struct play play;

	(void)state;
	play_begin(&play, script);
	play_steps(&play, "> five\n");
	play_event(&play, SCRIPT_MESSAGE, "ab", 2);
	play_event(&play, SCRIPT_MESSAGE, "\r\n", 2);
	play_event(&play, SCRIPT_MESSAGE, "c", 1);
	assert_string_equal(play.log, "[frame 5 5]\n[frame 5 3]\n[frame 5 1]\n[ab\r\nc]\n"
				      "[frame 1 0]\n");
	play_end(&play);

	expect(script, "> n 0\n> n x\n> n -1\n> n\n> n 3\n> abc\n> x\n",
	       "+\n[] n 0 1\n+\n[] n x 2\n+\n[] n -1 3\n#unanswered\n+\n[frame 5 3]\n[abc] n 3 5\n"
	       "[frame 1 0]\nx\n");
	/* More than what was asked for cannot come, but if it did, it would go no further. */
	expect(script, "> n 3\n> abcdef\n", "+\n[frame 5 3]\n[abc] n 3 1\n[frame 1 0]\n");
	/* Too much is read to its end. */
	expect(script, "> n 9\n> 12345678\n> 9\n> x\n",
	       "+\n[frame 5 9]\n[frame 5 1]\nover\n[frame 1 0]\nx\n");
	expect(script, "> n 99999999999999999999999\n> a\n",
	       "+\n[frame 5 18446744073709551615]\n[frame 5 18446744073709551614]\n");
}

static void test_split_lines(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, SCRIPT "frame line any split ';' join\n"
				 "on 'd' collect b until \".\"; say \"${b}\"\n");
	assert_int_equal(play.outcome.framing.split, ';');
	play_steps(&play, "> d\n");
	assert_int_equal(play.outcome.framing.split, 0);
	assert_int_equal(play.outcome.framing.flags, 0);
	play_steps(&play, "> a;b\n> .\n");
	assert_int_equal(play.outcome.framing.split, ';');
	assert_int_equal(play.outcome.framing.flags, MARCEL_FRAMING_JOIN);
	play_end(&play);
}

static void test_limits(void **state)
{
	struct play play;
	char *line = malloc(1000);

	(void)state;
	assert_non_null(line);
	(void)memset(line, 'x', 1000);
	/* The collect's own. */
	expect(SCRIPT "on 'd' collect b until \".\" max 10; say \"${b|length}\"\n"
		      "on overflow say \"over ${b}.\"\n",
	       "> d\n> 12345678\n> .\n> d\n> 12345678\n> 1\n> 2\n> .\n", "10\nover .\n");
	expect(SCRIPT "on 'd' collect b until \".\" max 10; say \"never ${b}\"\n",
	       "> d\n> 123456789\n> .\n", "#overflow\n[farewell]\n");
	/* A line that is too long for framing. */
	expect(SCRIPT
	       "on 'd' collect b until \".\"; say \"never ${b}\"\non overflow say \"over\"\n",
	       "> d\n> 1\noverflow\n> 2\n> .\n", "over\n");

	/* Of what is used the first bytes are kept, and the length is that of the whole. */
	play_begin(&play, SCRIPT "on 'd' collect b until \".\"; say \"${b|length}\"\n"
				 "on 'b' set c \"${b}\"; say \"${c|length}\"\n");
	play_steps(&play, "> d\n");
	for (unsigned i = 0; i < 10; i++)
		play_event(&play, SCRIPT_MESSAGE, line, 1000);
	play_steps(&play, "> .\n> b\n");
	assert_string_equal(play.log, "10020\n4096\n");
	play_end(&play);

	/* What isn't is counted, in no room at all. */
	play_begin(&play, SCRIPT "on 'd' collect b until \".\" max 1M; say \"thanks\"\n"
				 "on overflow say \"over\"\n");
	play_steps(&play, "> d\n");
	for (unsigned i = 0; i < 1046; i++)
		play_event(&play, SCRIPT_MESSAGE, line, 1000);
	assert_int_equal(play.used, script_state_begin_size(play.script));
	play_steps(&play, "> .\n> d\n");
	for (unsigned i = 0; i < 1047; i++)
		play_event(&play, SCRIPT_MESSAGE, line, 1000);
	play_steps(&play, "> .\n");
	assert_string_equal(play.log, "thanks\nover\n");
	play_end(&play);
	free(line);
}

static void test_events_meanwhile(void **state)
{
	/* Silence and timers go on; the collect, too, unless they close. */
	(void)state;
	expect(SCRIPT "on 'd' collect b until \".\"; say \"${b}\"\n"
		      "on idle 10s say \"still there?\"; wait 1s; say \"well\"\n"
		      "on every 7s say \"tick ${message}.\"\n",
	       "> d\n> 1\n+7000\n+3000\n> x\n+1000\n> 2\n> .\n",
	       "tick .\nstill there?\n[holds]\n[busy]\nwell\n1\r\n2\r\n\n");
	expect(SCRIPT "on 'd' collect b until \".\"; say \"never ${b}\"\n"
		      "on idle 10s say \"421\"; close\n",
	       "> d\n> 1\n+9000\n> 2\n+9999\n+1\n", "421\n[close]\n");
	expect(SCRIPT "on 'd' collect b until \".\"; say \"never ${b}\"\non eof say \"eof\"\n",
	       "> d\n> 1\neof\n", "eof\n[close]\n");
	/* Framing that a rule changes meanwhile is that of after it. */
	expect(SCRIPT "on 'd' collect b 3 bytes; say \"${b}\"\n"
		      "on idle 10s frame record 7\n",
	       "> d\n+10000\n> abc\n", "[frame 5 3]\nabc\n[frame 3 7]\n");
	/* A collect over a collect takes its place. */
	expect(SCRIPT "frame line crlf\non 'd' collect b 3 bytes; say \"never ${b}\"\n"
		      "on idle 10s collect c until \"!\"; say \"c ${c}\"\n"
		      "on 'x' say \"x\"\n",
	       "> d\n+10000\n> x\n> !\n> x\n", "[frame 5 3]\n[frame 1 0]\nc x\r\n\nx\n");
	/* Idle in a rule that runs over another one waits. */
	expect(SCRIPT "on 'd' collect b until \".\"; say \"b\"\n"
		      "on idle 10s say \"idle\"; collect c until \"!\"; say \"c\"\n",
	       "> d\n+10000\n+50000\n> !\n", "idle\nidle\nidle\nidle\nidle\nidle\nc\n");
}

static void test_secret(void **state)
{
	(void)state;
	expect(SCRIPT "on 'p' say \"password\"; secret next; collect b until \".\"; say \"ok\"\n"
		      "on 'x' say \"x\"\n",
	       "> p\n> s\n> t\n> .\n> x\n", "password\n[secret]\n[secret]\nok\n[secret]\nx\n");
	expect(SCRIPT "on 'p' secret; collect b until \".\"; say \"ok\"\n", "> p\n> s\n> .\n",
	       "[secret]\nok\n");
}

static void test_what_follows(void **state)
{
	/* A second collect, a wait, conditions, and the message that began it all. */
	(void)state;
	expect(SCRIPT "on \"p {n}\" collect a until empty; collect b 2 bytes; wait 1s when "
		      "${b} == \"ok\"; say \"${n} ${a|length} ${b} ${message} ${turn}\"\n",
	       "> p 7\n> line\n>\n> ok\n> p 8\n+1000\n> p 8\n>\n> no\n",
	       "[frame 5 2]\n[frame 0 0]\n[holds]\n[busy]\n7 6 ok p 7 1\n[frame 5 2]\n"
	       "8 0 no p 8 2\n[frame 0 0]\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_until_line), cmocka_unit_test(test_until_empty),
		cmocka_unit_test(test_bytes),      cmocka_unit_test(test_split_lines),
		cmocka_unit_test(test_limits),     cmocka_unit_test(test_events_meanwhile),
		cmocka_unit_test(test_secret),     cmocka_unit_test(test_what_follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
