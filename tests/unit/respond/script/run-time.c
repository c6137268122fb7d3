/*
 * The interpreter and time: rules that wait or drip, silences, timers, and what finds no room.
 */
#include "respond/script/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "play.h"

#define SCRIPT "marcel-script 1\n"

static void test_wait(void **state)
{
	(void)state;
	expect(SCRIPT "on 'a' say \"one\"; wait 2s; say \"two ${message} ${turn} \"; wait 500ms; "
		      "say \"three\"\non 'b' say \"b\"\n",
	       "> a\n?wake\n?rule\n> b\n+1999\n+1\n?wake\n?rule\n+499\n+1\n> b\n",
	       "one\n[holds]\n[in 2000]\nt.script:2\n[busy]\ntwo a 1 \n[in 500]\nt.script:2\n"
	       "three\nb\n");
	/* Overflow of framing and early come when they can; a wait of nothing is none. */
	expect(SCRIPT "on 'a' wait 0s; say \"a\"; wait 1s\n", "> a\noverflow\n+1000\noverflow\n",
	       "a\n[holds]\n[busy]\n[unhandled]\n");
	expect(SCRIPT
	       "on 'a' { say \"x\"; wait 1s } when length == 1; say \"${message|length}\" when "
	       "length == 1\n",
	       "> a\n+1000\n", "x\n[holds]\n1\n");
}

static void test_wait_range(void **state)
{
	struct play play;
	usec_t least = USEC_NEVER, most = 0;

	(void)state;
	play_begin(&play, SCRIPT "on 'a' wait 100ms .. 200ms; say \"a\"\n");
	for (unsigned i = 0; i < 200; i++) {
		usec_t wait;

		play_steps(&play, "> a\n");
		wait = play.outcome.wake_at - play.now;
		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
		play_steps(&play, "+200\n");
		assert_false(play.outcome.holds);
	}
	assert_in_range(least, 100 * USEC_PER_MSEC, 110 * USEC_PER_MSEC);
	assert_in_range(most, 190 * USEC_PER_MSEC, 200 * USEC_PER_MSEC);
	play_end(&play);
}

static void test_stop_interrupts(void **state)
{
	static const char script[] = SCRIPT
		"on 'a' say \"a\"; wait 1h; say \"never\"\n"
		"on 'd' drip 1 every 1h \"abc\"\n"
		"on 'c' collect x until \".\"; say \"never\"\n"
		"on stop say \"stop\"; wait 1h; drip 1 every 1h \"slowly\"; say \"end ${message}\"; "
		"collect y until \".\"; say \"never\"\n"
		"on eof hand fifo for 1h else say \"else\"; wait 5s; "
		"hand fifo draft \"draft\" for 1h; say \"done\"\n";

	(void)state;
	expect(script, "> a\nstop\n", "a\n[holds]\nstop\nslowly\nend \n[close]\n");
	expect(script, "> d\nstop\n", "~a\n[holds]\nstop\nslowly\nend \n[close]\n");
	expect(script, "> c\n> x\nstop\n", "stop\nslowly\nend \n[close]\n");
	expect(script, "> c\neof\n", "else\ndraft\ndone\n[close]\n");
	expect(SCRIPT "on 'a' wait 1s; say \"never\"\n", "> a\nstop\n?wake\n",
	       "[holds]\n[unhandled]\n[never]\n");
	expect(SCRIPT "on stop say \"s\"; reset\non eof say \"e\"; close; say \"n\"\n", "stop\n",
	       "s\n[reset]\n");
	/* What finds no room then is not waited for either. */
	expect(SCRIPT "on stop say \"much too long\"; say \"s\"\n", "room 3\nstop\n?wake\n",
	       "[close]\n[never]\n");
}

static void test_drip(void **state)
{
	(void)state;
	expect(SCRIPT "on 'd' drip 3 every 20ms \"250 2.1.5 OK\"; say \"then\"\n",
	       "> d\n+20\n+20\n?wake\n+20\n", "~250\n[holds]\n~ 2.\n~1.5\n[in 20]\n OK\nthen\n");
	expect(SCRIPT "on 'd' drip 3 every 20ms \"abc\"\non 'e' drip 5 every 1s \"\"\n",
	       "> d\n> e\n", "abc\n\n");
	/* One text, however long it takes. */
	expect(SCRIPT "on \"d {x}\" drip 2 every 20ms \"${x}\"; say \"${x} ${message}\"\n"
		      "on 'l' log \"${serial}\"\n"
		      "on 's' drip 4 every 1s \"${serial}.\"; say \"${serial}\"\n",
	       "> d abcde\n+20\n+20\n> l\n> s\n+1000\n> l\n",
	       "~ab\n[holds]\n~cd\ne\nabcde d abcde\n#log 42-1\n~42-2\n[holds]\n.\n42-3\n#log 42-4\n");
}

static void test_room(void **state)
{
	(void)state;
	/* What finds no room is said later, once, the same; what follows, too. */
	expect(SCRIPT "on 'a' say \"123\"; say \"4 ${message}\"\n", "room 3\n> a\nroom 0\n+0\n",
	       "123\n[holds]\n4 a\n");
	expect(SCRIPT
	       "on 'a' say \"12345678\"; say \"${serial} ${random 100}\"; say \"${serial}\"; "
	       "set v \"1\"; log \"${v}\"\non 'b' log \"${serial}\"\n",
	       "room 8\n> a\n?wake\nroom 0\n+0\n> b\n",
	       "12345678\n[holds]\n[in 0]\n42-1 65\n42-1\n#log 1\n#log 42-2\n");
	expect(SCRIPT
	       "on 'a' say \"12345678\"; say \"${serial} ${random 100}\"; say \"${serial}\"\n",
	       "> a\n", "12345678\n42-1 65\n42-1\n");
	expect(SCRIPT "on 'a' send \"12345678\"; drip 4 every 1s \"abcdefgh\"; close\n",
	       "room 8\n> a\n+0\n+999\n+1\n", "~12345678\n[holds]\n~abcd\nefgh\n[close]\n");
	expect(SCRIPT "prop V int = 12 get 'V?'\non 'x' say \"x\"\n",
	       "room 1\n> V?\n?rule\nroom 0\n+0\n> x\n", "[holds]\nt.script:2\n12\nx\n");
	expect(SCRIPT "on 'h' hand fifo draft \"draft\" for 1s; say \"on\"\n",
	       "> h\nroom 3\n+1000\nroom 0\n+0\n", "[hand fifo fresh]\n[holds]\ndraft\non\n");
}

static void test_early(void **state)
{
	static const char script[] = SCRIPT "let bad = 0\n"
					    "on connect wait 2s; say \"220 hi\"\n"
					    "on early say \"too early\"; close when ${bad} == 1\n"
					    "on 'x' say \"x\"\n";

	(void)state;
	expect(script, "connect\nearly\n?wake\n+1999\n+1\n> x\n",
	       "[holds]\ntoo early\n[in 2000]\n220 hi\nx\n");
	/* One that takes time itself: first it, then the greeting. */
	expect(SCRIPT "on connect wait 2s; say \"220 ${random 2}\"\n"
		      "on early wait 3s; drip 1 every 1s \"no\"\n",
	       "connect\nearly\n+2999\n+1\n+1000\n+0\n?wake\n", "[holds]\n~n\no\n220 1\n[never]\n");
	expect(SCRIPT
	       "on connect drip 1 every 1s \"${turn}ab\"\non early drip 1 every 1s \"${turn}cd\"\n",
	       "connect\nearly\n+1000\n+1000\n+1000\n", "~0\n[holds]\n~0\n~c\nd\n~a\nb\n");
	/* No third one over two. */
	expect(SCRIPT "on connect wait 2s; say \"220\"\non early wait 1s; say \"e\"\n",
	       "connect\nearly\nearly\n+2000\n", "[holds]\n[unhandled]\ne\n220\n");
}

static void test_idle(void **state)
{
	static const char script[] = SCRIPT "on idle 10s say \"ten\"\n"
					    "on idle 30s say \"thirty\"\n"
					    "on 'x' say \"x\"\n"
					    "on 'w' wait 15s; say \"w\"\n";

	(void)state;
	expect(script,
	       "connect\n?wake\n+9999\n> x\n?wake\n+10000\n+10000\n+9999\n+1\n+10000\n?wake\n",
	       "[unhandled]\n[in 10000]\nx\n[in 10000]\nten\nten\nthirty\nten\n[in 10000]\n");
	/* Who had to wait was not silent. */
	expect(script, "> w\n?wake\n+15000\n?wake\n+10000\n",
	       "[holds]\n[in 15000]\nw\n[in 10000]\nten\n");
	/* The longest first, then the state's; a condition that fails leaves it to the next. */
	expect(SCRIPT "on idle 10s say \"always\"\n"
		      "on 'b' goto b\n"
		      "state a\n"
		      "  on idle 10s when ${turn} > 5 say \"no\"\n"
		      "  on idle 5s say \"a five\"\n"
		      "state b\n"
		      "  on idle 10s say \"b\"\n"
		      "  on idle 20s close\n",
	       "connect\n+5000\n+5000\n> b\n+5000\n+5000\n+10000\n",
	       "[unhandled]\na five\nalways\nb\n[close]\n");
	/* A silence that the state was entered in counts from there for its own rules. */
	expect(SCRIPT "on idle 10s say \"always\"; goto b when ${turn} == 0\n"
		      "state a\n on 'x' say \"x\"\nstate b\n on idle 4s say \"b\"\n",
	       "connect\n+10000\n?state\n+3999\n+1\n+4000\n+2000\n+3999\n+1\n",
	       "[unhandled]\nalways\nb\nb\nb\nalways\nb\n");
}

static void test_every(void **state)
{
	(void)state;
	expect(SCRIPT "on every 3s say \"three\"\non every 2s when ${turn} == 0 say \"two\"\n"
		      "on 'x' say \"x\"\non 'w' wait 10s; say \"w\"\n",
	       "connect\n?wake\n+2000\n+1000\n> x\n+1000\n+1999\n+1\n> w\n+9999\n+1\n+2999\n+1\n",
	       "[unhandled]\n[in 2000]\ntwo\nthree\nx\nthree\n[holds]\nw\nthree\nthree\n");
	/* A state's count from entering it and stop with leaving it. */
	expect(SCRIPT "on 'a' goto a\non 'b' goto b\n"
		      "state a\n on every 2s say \"a\"\n"
		      "state b\n on every 3s say \"b\"\n",
	       "connect\n+1500\n> b\n+2999\n+1\n> a\n+2000\n?wake\n> b\n?wake\n",
	       "[unhandled]\nb\na\n[in 2000]\n[in 3000]\n");
	expect(SCRIPT "on every 1s say \"tick\"; wait 100ms; say \"tock\"; close when ${turn} > 0\n"
		      "on 'x' ignore\n",
	       "connect\n+1000\n+100\n> x\n+900\n+100\n",
	       "[unhandled]\ntick\n[holds]\ntock\ntick\n[holds]\ntock\n[close]\n");
	/* What was missed happens once. */
	expect(SCRIPT "on every 1s say \"tick ${turn}\"\n", "connect\n+1000\n",
	       "[unhandled]\ntick 0\n");
}

static void test_missed(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, SCRIPT "on every 1s say \"tick\"\non idle 4s say \"idle\"\n");
	play_steps(&play, "connect\n");
	play.now += 3600 * USEC_PER_SEC;
	play_steps(&play, "time\ntime\ntime\n?wake\n");
	assert_string_equal(play.log, "[unhandled]\ntick\nidle\n[in 1000]\n");
	play_end(&play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_wait_range),
		cmocka_unit_test(test_stop_interrupts),
		cmocka_unit_test(test_drip),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_every),
		cmocka_unit_test(test_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
