/*
 * What a client may not do to its conversation: pass the limits of values; and what a rule that
 * hands the conversation to somebody else comes to.
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

static char *long_message(size_t length)
{
	char *message = malloc(length + 1);

	assert_non_null(message);
	(void)memset(message, 'x', length);
	message[length] = '\0';
	return message;
}

/* One message of LENGTH bytes. */
static void say_long(struct play *play, size_t length)
{
	char *message = long_message(length);

	play_event(play, SCRIPT_MESSAGE, message, length);
	free(message);
}

static void test_one_value(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, SCRIPT "on \"x{v}\" say \"${v|length}\"\n"
				 "on overflow say \"over ${v|length}\"\n");
	say_long(&play, SCRIPT_VALUE_MAX + 1);
	say_long(&play, SCRIPT_VALUE_MAX + 2);
	assert_string_equal(play.log, "4096\nover 4096\n");
	play_end(&play);

	/* Instead of the rest of the rule; what was said before is said. */
	play_begin(&play, SCRIPT "on 'get' say \"${v|length}\"\n"
				 "on \"*\" say \"a\"; set v \"${v}${message}\"; say \"b\"\n"
				 "on overflow say \"over\"; wait 1s; say \"and out\"\n");
	say_long(&play, SCRIPT_VALUE_MAX);
	say_long(&play, 1);
	play_steps(&play, "+1000\n> get\n");
	assert_string_equal(play.log, "a\nb\na\nover\n[holds]\nand out\n4096\n");
	play_end(&play);
}

static void test_without_rule(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, SCRIPT "on \"x{v}\" say \"${v|length}\"\n");
	say_long(&play, SCRIPT_VALUE_MAX + 2);
	assert_string_equal(play.log, "#overflow\n[farewell]\n");
	play_end(&play);

	play_begin(&play, SCRIPT "end none\non \"x{v}\" say \"${v|length}\"\n");
	say_long(&play, SCRIPT_VALUE_MAX + 2);
	assert_string_equal(play.log, "#overflow\n[close]\n");
	play_end(&play);

	/* One that passes a limit itself has no other. */
	play_begin(&play, SCRIPT "on \"*\" add l ${message}; say \"${l|length}\"\n"
				 "on overflow set v \"${l}\"; say \"never ${v}\"\n");
	for (unsigned i = 0; i < 5; i++)
		say_long(&play, 3000);
	assert_string_equal(play.log, "3000\n6002\n9004\n12006\n#overflow\n[farewell]\n");
	play_end(&play);
}

static void test_all_values(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, SCRIPT "on 'clear' clear l; say \"cleared\"\n"
				 "on \"*\" add l ${message}; say \"${l|length}\"\n"
				 "on overflow say \"over ${l|length}\"\n");
	for (unsigned i = 0; i < 5; i++)
		say_long(&play, 3000);
	play_steps(&play, "> clear\n> y\n");
	assert_string_equal(play.log, "3000\n6002\n9004\n12006\nover 12006\ncleared\n1\n");
	play_end(&play);

	/* Errors that nobody asks for, too. */
	play_begin(&play, SCRIPT "prop V int 0..1 = 0 get 'V?' set 'V {}' error \"-222\"\n"
				 "on 'ERR?' shift errors into e; say \"${e}\"\n"
				 "on overflow clear errors; say \"over\"\n");
	for (unsigned i = 0; i < 5000 && play.log_length == 0; i++)
		play_steps(&play, "> V 2\n");
	assert_string_equal(play.log, "over\n");
	play_end(&play);
}

/* A condition that never holds leaves nothing behind, however long the captures. */
static void test_failed_conditions(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, SCRIPT "on \"x{v}\" when ${turn} == 1 say \"${v|length}\"\n"
				 "on \"x{w}\" when ${w} == \"\" say \"never ${w}\"\n"
				 "otherwise say \"${v|length} ${w|length}\"\n");
	for (unsigned i = 0; i < 4; i++)
		say_long(&play, 4001 - i * 1000);
	assert_string_equal(play.log, "4000\n4000 0\n4000 0\n4000 0\n");
	play_end(&play);
}

/* ${message} in a rule that stands still is a value like others. */
static void test_kept_message(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, SCRIPT "on \"*\" wait 1s; say \"${message|length}\"\n"
				 "on overflow say \"over\"\n");
	say_long(&play, SCRIPT_VALUE_MAX);
	play_steps(&play, "+1000\n");
	assert_int_equal(play.used, script_state_begin_size(play.script));
	say_long(&play, SCRIPT_VALUE_MAX + 1);
	play_steps(&play, "+1000\n");
	assert_string_equal(play.log, "[holds]\n4096\nover\n");
	play_end(&play);

	play_begin(&play, SCRIPT "on \"*\" log \"${message|length}\"; wait 1s; say \"a\" when "
				 "length > 9\n");
	say_long(&play, SCRIPT_VALUE_MAX + 1);
	assert_int_equal(play.used, script_state_begin_size(play.script));
	play_steps(&play, "+1000\n");
	assert_string_equal(play.log, "#log 4097\n[holds]\na\n");
	play_end(&play);
}

static void test_long_texts(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play,
		   SCRIPT "on 's' say \"${v}${v}${v}${v}${v}${v}${v}${v}${v}${v}${v}${v}${v}"
			  "${v}${v}${v}${v}\"; say \"never\"\n"
			  "on 'd' drip 9 every 1s \"${v}${v}\"\n"
			  "on 'w' when \"${v}${v}${v}${v}${v}${v}${v}${v}${v}${v}${v}${v}${v}${v}"
			  "${v}${v}${v}${v}\" != \"\" say \"never\"\n"
			  "on \"x{v}\" ignore\n"
			  "on overflow say \"over\"\n");
	say_long(&play, SCRIPT_VALUE_MAX);
	play_steps(&play, "> s\n> d\n> w\n");
	assert_string_equal(play.log, "over\nover\nover\n");
	play_end(&play);
}

static void test_hand(void **state)
{
	static const char script[] = SCRIPT
		"on 'a' hand fifo for 60s else { say \"else\"; say \"more\" }; say \"after ${message}\"\n"
		"on 'd' hand fifo draft \"draft ${message}\" for 60s else say \"else\"; say \"after\"\n"
		"on 'f' hand fifo; say \"after\"\n"
		"on 's' hand fifo stay; say \"back\"\n"
		"on 'w' wait 1s; hand fifo for 5s\n"
		"on every 3min say \"tick\"\n"
		"on overflow say \"over\"\n"
		"on 'x' say \"x\"\n";

	(void)state;
	expect(script, "> a\n?wake\n?rule\n> x\nanswered\n> x\n",
	       "[hand fifo fresh]\n[in 60000]\nt.script:2\n[busy]\nafter a\nx\n");
	expect(script, "> a\nunhanded\nanswered\n> x\n",
	       "[hand fifo fresh]\nelse\nmore\nafter a\nx\n");
	expect(script, "> a\n+59999\n+1\n> x\n", "[hand fifo fresh]\nelse\nmore\nafter a\nx\n");
	expect(script, "> d\n+60000\n", "[hand fifo fresh]\ndraft d\nafter\n");
	expect(script, "> d\nunhanded\n", "[hand fifo fresh]\nelse\nafter\n");
	expect(script, "> f\nunhanded\n> f\nanswered\n",
	       "[hand fifo fresh]\nafter\n[hand fifo fresh]\nafter\n");
	expect(script, "> s\n?wake\n?own\nanswered\n?own\n> x\n",
	       "[hand fifo fresh]\n[never]\ndaemon's\nback\ndaemon's\nx\n");
	expect(script, "> w\n+1000\n?wake\n+5000\n> x\n", "[holds]\n[hand fifo]\n[in 5000]\nx\n");
	/* A timer waits for the end of it. */
	expect(script, "> s\n+200000\nanswered\n+0\n", "[hand fifo fresh]\nback\ntick\n");
	expect(script, "> s\noverflow\nanswered\n", "[hand fifo fresh]\nover\nback\n");
	expect(script, "> s\nstop\n", "[hand fifo fresh]\n[unhandled]\n");
}

/* The answer to a hand that something else runs over. */
static void test_hand_below(void **state)
{
	static const char script[] = SCRIPT
		"on 'a' hand fifo for 5s else say \"else\"; say \"after ${message}\"\n"
		"on 'd' hand fifo draft \"draft\" for 5s; say \"after\"\n"
		"on overflow say \"over\"; wait 10s; say \"flow\"\n";

	(void)state;
	expect(script, "> a\noverflow\nanswered\n+10000\n",
	       "[hand fifo fresh]\nover\n[holds]\nflow\nafter a\n");
	expect(script, "> a\noverflow\nunhanded\n+10000\n",
	       "[hand fifo fresh]\nover\n[holds]\nflow\nelse\nafter a\n");
	expect(script, "> d\noverflow\nunhanded\n+10000\n",
	       "[hand fifo fresh]\nover\n[holds]\nflow\ndraft\nafter\n");
	expect(script, "> a\noverflow\n+10000\n",
	       "[hand fifo fresh]\nover\n[holds]\nflow\nelse\nafter a\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_value),    cmocka_unit_test(test_without_rule),
		cmocka_unit_test(test_all_values),   cmocka_unit_test(test_failed_conditions),
		cmocka_unit_test(test_kept_message), cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_hand),         cmocka_unit_test(test_hand_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
