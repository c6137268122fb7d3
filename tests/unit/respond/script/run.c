/*
 * The interpreter on messages: which rule answers, and what each action does that takes no time.
 * run-time.c, run-collect.c, run-hand.c and run-limits.c hold the rest.
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

static void test_order(void **state)
{
	static const char script[] = SCRIPT "always\n"
					    "  on 'x' say \"always x\"\n"
					    "  on 'y' say \"always y\"\n"
					    "  on 'w' say \"always w\"\n"
					    "  otherwise say \"always else\"\n"
					    "state a\n"
					    "  on 'x' say \"a x\"\n"
					    "  on \"x*\" say \"a x star\"\n"
					    "  on 'w' when ${peer} == \"nobody\" say \"a w\"\n"
					    "  on 'b' goto b\n"
					    "  otherwise when length > 5 say \"a else\"\n"
					    "state b\n"
					    "  on 'z' say \"b z\"\n"
					    "  otherwise say \"b else\"\n";

	(void)state;
	expect(script, "?state\n> x\n> xx\n> y\n> w\n> q\n> longer\n",
	       "a\na x\na x star\nalways y\n"
	       "always w\nalways else\n"
	       "a else\n");
	expect(script, "> b\n?state\n> z\n> y\n> q\n?rule\n",
	       "b\nb z\nalways y\nb else\nt.script:15\n");
}

static void test_silence(void **state)
{
	(void)state;
	expect(SCRIPT "on 'a' say \"A\"\n", "> b\n?rule\n> a\n", "#unanswered\n(none)\nA\n");
	expect(SCRIPT "on 'a' ignore\non 'b' set v 1; log \"${v}${v}\"\n", "> a\n?rule\n> b\n",
	       "t.script:2\n#log 11\n");
	expect(SCRIPT "on connect say \"hi\"\n", "connect\n> x\n", "hi\n#unanswered\n");
}

static void test_captures(void **state)
{
	(void)state;
	/* A condition sees those of its own match; one that fails leaves them as they were. */
	expect(SCRIPT "on \"set {v}\" say \"is ${v}\"\n"
		      "on \"try {v}\" when ${v} == \"good\" say \"took ${v}\"\n"
		      "on 'get' say \"[${v}]\"\n",
	       "> get\n> try bad\n> get\n> set one\n> try bad\n> get\n> try good\n> get\n",
	       "[]\n#unanswered\n[]\nis one\n#unanswered\n[one]\ntook good\n[good]\n");
	expect(SCRIPT "on /(?<k>[a-z]+)=(?<v>.*)/ say \"${v} in ${k}\"\n", "> a=b\n> c=\n",
	       "b in a\n in c\n");
	/* What a client sends is never looked at as text. */
	expect(SCRIPT "on \"say {x}\" say \"${x}\"\n", "> say ${x}${peer}\n> say \"\\n\n",
	       "${x}${peer}\n\"\\n\n");
}

static void test_conditions(void **state)
{
	static const char script[] = SCRIPT
		"let n = 10\n"
		"on \"n {v}\" when ${v} < ${n} say \"less\"\n"
		"on \"n {v}\" when ${v} == ${n} say \"same\"\n"
		"on \"n {v}\" when not ${v} <= ${n} and ${v} != \"x\" say \"more\"\n"
		"on 'c' when count(l) == 0 or count(l) >= 2 add l \"i\"; say \"${l}\"\n"
		"on 'c' add l \"j\"; say \"${l}\"\n"
		"on 'p4' when peer in \"192.0.2.0/24\" say \"in\"\n"
		"on 'p6' when peer in \"2001:db8::/32\" say \"in\"\n"
		"on 'all' when peer in \"0.0.0.0/0\" say \"four\"\n"
		"on 'act' say \"a\" when length == 3; say \"b\" when length == 4 else say \"c\"; "
		"{ say \"d\"; say \"e\" } when length > 3; say \"f\"\n"
		"otherwise say \"no\"\n";
	struct play play;

	(void)state;
	expect(script, "> n 9\n> n 10.0\n> n 11\n> n x\n> n abc\n", "less\nsame\nmore\nno\nmore\n");
	expect(script, "> c\n> c\n> c\n> c\n", "i\ni, j\ni, j, i\ni, j, i, i\n");
	expect(script, "> p4\n> p6\n> all\n> act\n", "in\nno\nfour\na\nc\nf\n");

	play_begin(&play, script);
	play.peer = "[2001:db8::7]:99";
	play_steps(&play, "> p4\n> p6\n> all\n");
	play.peer = "[::ffff:192.0.2.1]:99";
	play_steps(&play, "> p4\n");
	play.peer = "unix";
	play_steps(&play, "> p4\n> p6\n> all\n");
	play.peer = "[fe80::1%eth0]:99";
	play_steps(&play, "> p6\n");
	assert_string_equal(play.log, "no\nin\nno\nin\nno\nno\nno\nno\n");
	play_end(&play);
}

static void test_values(void **state)
{
	(void)state;
	expect(SCRIPT "let a = \"first\"\n"
		      "on 'set' set a = \"${a}+\"; say \"${a}\"\n"
		      "on 'clear' clear a, l; say \"${a} ${l}.\"\n"
		      "on 'add' add l \"${turn}\"; say \"${l}\"\n"
		      "on 'shift' shift l into s; say \"${s}|${l}\"\n"
		      "on 'away' shift l\n",
	       "> set\n> set\n> add\n> add\n> add\n> shift\n> away\n> shift\n> shift\n> clear\n",
	       "first+\nfirst++\n3\n3, 4\n3, 4, 5\n3|4, 5\n5|\n|\nfirst .\n");
	expect(SCRIPT "on 'a' say ${message|upper|base64}, ${message|length}\n", "> a\n",
	       "QQ==\n1\n");
	expect(SCRIPT "on 'b' say \"${conversation} ${peer} ${port} ${turn}\"\n"
		      "on 'd' say \"${date}, ${time %H:%M}\"\n",
	       "> b\n> x\n> b\n> d\n",
	       "42 192.0.2.7 4711 1\n#unanswered\n42 192.0.2.7 4711 3\n"
	       "Sun, 22 Nov 2026 15:01:42 +0000, 15:01\n");
	/* A serial counts the messages that use it. */
	expect(SCRIPT "on 's' say \"${serial}\"; say \"${serial}\"\non 'n' say \"none\"\n",
	       "> s\n> n\n> s\n", "42-1\n42-1\nnone\n42-2\n42-2\n");
}

static void test_saying(void **state)
{
	(void)state;
	expect(SCRIPT "text t <<END\none\n.two ${turn}\nEND\n"
		      "on 't' say t\n"
		      "on 's' say t stuff\n"
		      "on 'b' send \"a\\r\\n\", 'b'; say 'c'\n"
		      "on 'd' set v = \".x\\r\\n.y\\r\\nz.\"; say ${v} stuff\n",
	       "> t\n> s\n> b\n> d\n",
	       "one\n.two 1\none\n..two 2\n~a\r\n\n~b\nc\n..x\r\n..y\r\nz.\n");
}

static void test_cycle_and_pick(void **state)
{
	struct play play;
	unsigned counts[3] = {0};

	(void)state;
	expect(SCRIPT "on 'c' cycle say \"1\" | { say \"2\"; say \"2b\" } | ignore; say \"end\"\n"
		      "on 'd' cycle say \"x\" | say \"y\"\n",
	       "> c\n> d\n> c\n> c\n> c\n> d\n> d\n", "1\nend\nx\n2\n2b\nend\nend\n1\nend\ny\nx\n");

	play_begin(&play, SCRIPT "on 'p' pick say \"0\" | say \"1\" | say \"2\"\n");
	for (unsigned i = 0; i < 300; i++) {
		size_t before = play.log_length;

		play_steps(&play, "> p\n");
		assert_int_equal(play.log_length, before + 2);
		assert_in_range(play.log[before], '0', '2');
		counts[play.log[before] - '0']++;
	}
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(counts[i], 60, 140);
	play_end(&play);
}

static void test_ends(void **state)
{
	(void)state;
	expect(SCRIPT "on 'q' say \"bye\"; close; say \"never\"\non 'r' reset\non 'x' say \"x\"\n",
	       "> q\n> x\n", "bye\n[close]\n[close]\n");
	expect(SCRIPT "on 'r' reset; say \"never\"\n", "> r\n", "[reset]\n");
	expect(SCRIPT "on 'x' say \"no\"; strike 3; say \"go on\"\non 'y' strike 2\n",
	       "> x\n> x\n> x\n", "no\ngo on\nno\ngo on\nno\n[close]\n");
	expect(SCRIPT "on 'x' strike 3\non 'y' strike 2\n", "> x\n> y\n", "[close]\n");
	expect(SCRIPT "on connect say \"hi\"\non 'd' say \"last\"; drop; say \"never\"\n"
		      "on stop say \"stop\"\non every 1s say \"tick\"\non 'x' say \"x\"\n",
	       "connect\n?own\n> d\n?own\n> x\n?wake\n+5000\nstop\n",
	       "hi\ndaemon's\nlast\nown silent\n[never]\n[close]\n");
}

static void test_end_words(void **state)
{
	(void)state;
	expect(SCRIPT "otherwise say \"?\"\n", "> fin\n?own\n>\n", "?\ndaemon's\n?\n");
	expect(SCRIPT "end \"BYE\", 'quit'\notherwise say \"?\"\n", "?own\n> bye\n",
	       "daemon's\n[farewell]\n");
	expect(SCRIPT "end \"BYE\", 'quit'\notherwise say \"?\"\n",
	       "> x\n?own\n>\n> byebye\n> qUIT\n", "?\nown\n?\n?\n[farewell]\n");
	expect(SCRIPT "end empty\notherwise say \"?\"\n", "> fin\n>\n", "?\n[farewell]\n");
	expect(SCRIPT "end none\notherwise say \"?\"\n", "> fin\n>\n?own\nstop\n",
	       "?\n?\nown silent\n[close]\n");
}

static void test_events(void **state)
{
	static const char script[] = SCRIPT "on connect when ${peer} == \"x\" say \"no\"\n"
					    "on connect say \"hello\"; goto b\n"
					    "on early say \"early\"\n"
					    "on stop say \"stop\"\n"
					    "on eof say \"eof ${turn}\"\n"
					    "on overflow say \"long\"\n"
					    "state a\n"
					    "  on overflow say \"a long\"\n"
					    "state b\n"
					    "  on stop when ${turn} > 1 say \"b stop\"\n"
					    "  on overflow say \"b long\"\n";

	(void)state;
	expect(script, "overflow\nconnect\n?rule\n?state\nearly\noverflow\n> x\nstop\n",
	       "a long\nhello\nt.script:3\nb\nearly\nb long\n#unanswered\nstop\n[close]\n");
	expect(script, "connect\n> x\n> y\nstop\n",
	       "hello\n#unanswered\n#unanswered\nb stop\n[close]\n");
	expect(script, "> x\neof\n", "#unanswered\neof 1\n[close]\n");
	expect(SCRIPT "on 'x' say \"x\"\n", "connect\nearly\noverflow\n> x\nstop\n",
	       "[unhandled]\n[unhandled]\n[unhandled]\nx\n[unhandled]\n");
	expect(SCRIPT "on 'x' say \"x\"\n", "eof\n", "[unhandled]\n");
	expect(SCRIPT "on eof log \"gone\"\n", "eof\n", "#log gone\n[close]\n");
	/* Answers to nothing. */
	expect(SCRIPT "on 'x' say \"x\"\n", "answered\nunhanded\ntime\n> x\n", "x\n");
}

static void test_secrets(void **state)
{
	(void)state;
	expect(SCRIPT "on 'a' secret; say \"A\"\n"
		      "on 'b' say \"B\"; secret when length > 9\n"
		      "on 'n' secret next; say \"N\"\n"
		      "on 'x' say \"X\"\n",
	       "> a\n> b\n> x\n> n\n> x\n> x\n",
	       "A\n[secret]\nB\n[secret]\nX\nN\nX\n[secret]\nX\n");
}

static void test_framing(void **state)
{
	(void)state;
	expect(SCRIPT "frame line crlf max 100\non 'r' frame record 4; say \"r\"\n"
		      "on 'p' frame prefix 2\non 'w' frame raw\non 'l' frame line lf\n",
	       "> r\n> p\n> w\n> l\n", "r\n[frame 3 4]\n[frame 4 2]\n[frame 2 0]\n[frame 1 0]\n");
}

static void test_properties(void **state)
{
	static const char script[] = SCRIPT
		"prop VOLT float 0..30 = 5  get 'VOLT?' as \"%+.2E\"  set 'VOLT {}'  "
		"error \"-222,\\\"Data out of range\\\"\"\n"
		"prop COUNT int = 7 get 'COUNT?' set 'COUNT {}'\n"
		"prop OUT bool = off get 'OUT?' set 'OUT {}' error \"-224\"\n"
		"prop NAME text = \"\" get 'NAME?' set 'NAME {}'\n"
		"on 'ERR?' when count(errors) == 0 say \"0\"\n"
		"on 'ERR?' shift errors into e; say \"${e}\"\n"
		"on 'show' say \"${VOLT} ${COUNT} ${OUT} ${NAME}\"\n"
		"on 'preset' set VOLT = 9\n"
		"on \"COUNT *\" say \"not a count\"\n";

	(void)state;
	expect(script,
	       "> VOLT?\n> VOLT 12.5\n> VOLT?\n> VOLT 31\n> VOLT x\n> VOLT 0x1\n> VOLT?\n"
	       "> ERR?\n> ERR?\n> ERR?\n> ERR?\n",
	       "+5.00E+00\n+1.25E+01\n+1.25E+01\n-222,\"Data out of range\"\n"
	       "-222,\"Data out of range\"\n-222,\"Data out of range\"\n0\n");
	expect(script,
	       "> COUNT?\n> COUNT 8\n> COUNT 1.5\n> COUNT?\n> OUT?\n> OUT ON\n> OUT?\n"
	       "> OUT 2\n> ERR?\n> NAME?\n> NAME a ${b}\n> NAME?\n> preset\n> VOLT?\n> show\n",
	       "7\nnot a count\n8\n0\n1\n-224\n\na ${b}\n+9.00E+00\n9 8 ON a ${b}\n");
	expect(script, "> VOLT 3\n?rule\n> VOLT?\n?rule\n", "t.script:2\n+3.00E+00\nt.script:2\n");
}

static void test_list(void **state)
{
	(void)state;
	expect("one\ntwo ${peer}\n\nlast\n", "connect\n> a\n> b\n> c\n> d\n> e\n?own\n?state\n",
	       "[unhandled]\none\ntwo ${peer}\n\nlast\none\ndaemon's\nalways\n");
	expect("one\n", "early\noverflow\n+5\nanswered\nstop\n",
	       "[unhandled]\n[unhandled]\n[unhandled]\n");
	/* No room for a reply: it is said when there is some. */
	expect("one\ntwo\n", "room 2\n> a\n> b\nroom 0\n?wake\n+0\n> b\n",
	       "[holds]\n[busy]\n[in 0]\none\ntwo\n");
}

/* A rule that takes too long is told, not to be seen through, and the next one tried. */
static void test_stopped_pattern(void **state)
{
	struct play play;
	char *message = malloc(65536);

	(void)state;
	assert_non_null(message);
	(void)memset(message, 'a', 65536);
	play_begin(&play, SCRIPT "on /a*[bc]/u say \"regex\"\non \"a*\" secret; say \"next\"\n");
	play_event(&play, SCRIPT_MESSAGE, message, 65536);
	assert_string_equal(play.log, "#stopped\nnext\n[secret]\n");
	play_end(&play);
	free(message);
}

struct traced {
	char text[400];
};

static void on_trace(void *context, enum script_trace trace, const struct rule *rule)
{
	static const char marks[] = {[TRACE_MATCHED] = '+',
				     [TRACE_WHEN] = '?',
				     [TRACE_STOPPED] = '!',
				     [TRACE_OTHER] = '-'};
	struct traced *traced = context;
	size_t length = strlen(traced->text);

	(void)snprintf(traced->text + length, sizeof(traced->text) - length, "%c%s ", marks[trace],
		       rule->name);
}

static int say_nothing(void *context, const char *text, size_t length)
{
	(void)context;
	(void)text;
	(void)length;
	return 0;
}

static void test_trace(void **state)
{
	static const struct script_world world = {.now = 1, .peer = "x", .turn = 1};
	static const struct script_event event = {.kind = SCRIPT_MESSAGE,
						  .bytes = "c",
						  .length = 1};
	struct traced traced = {.text = ""};
	struct script_output output = {
		.context = &traced,
		.say = say_nothing,
		.send = say_nothing,
		.trace = on_trace,
		.explain = true,
	};
	struct script_outcome outcome;
	struct play play;

	(void)state;
	play_begin(&play, SCRIPT "on 'a' say \"a\"\non 'c' when length > 1 say \"c\"\n"
				 "on 'b' say \"b\"\non \"c*\" say \"ok\"\non 'd' say \"d\"\n");
	assert_int_equal(script_run(play.script, play.state, &play.used, &event, &world, &output,
				    &outcome),
			 0);
	assert_string_equal(traced.text, "-t.script:2 ?t.script:3 -t.script:4 +t.script:5 ");
	traced.text[0] = '\0';
	output.explain = false;
	assert_int_equal(script_run(play.script, play.state, &play.used, &event, &world, &output,
				    &outcome),
			 0);
	assert_string_equal(traced.text, "?t.script:3 +t.script:5 ");
	play_end(&play);
}

static void test_seed(void **state)
{
	struct play play;
	char first[100] = "";
	bool differs = false;

	(void)state;
	for (uint64_t seed = 1; seed < 10; seed++) {
		play_begin(&play, SCRIPT "on 'r' say \"${random 1000000}\"\n");
		script_begin(play.script, play.state, &play.used, seed);
		play_steps(&play, "> r\n> r\n");
		if (seed == 1)
			(void)snprintf(first, sizeof(first), "%s", play.log);
		differs = differs || strcmp(first, play.log) != 0;
		play_end(&play);
	}
	assert_true(differs);
	play_begin(&play, SCRIPT "on 'r' say \"${random 1000000}\"\n");
	script_begin(play.script, play.state, &play.used, 1);
	play_steps(&play, "> r\n> r\n");
	assert_string_equal(play.log, first);
	play_end(&play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_captures),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_saying),
		cmocka_unit_test(test_cycle_and_pick),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_end_words),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_stopped_pattern),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
