/*
 * States that another process left: those of other scripts, changed ones, and any bytes at all are
 * refused, or as good as others: whatever is done with one then stays within it (AddressSanitizer
 * sees it).
 */
#include "respond/script/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "play.h"

#define SCRIPT "marcel-script 1\n"

static const char text[] = SCRIPT "on \"add {x}\" add l ${x}; cycle say \"1\" | say \"2\"\n"
				  "on 'l' say \"${l}\"\n"
				  "on \"wait {x}\" wait 1s; say \"${message} ${x}\"\n"
				  "on 'drip' drip 1 every 1s \"${l}abc\"\n"
				  "on 'collect' collect c until \".\"; say \"${c}\"\n"
				  "on 'bytes' collect c 7 bytes; say \"${c}\"\n"
				  "on 'hand' hand fifo draft \"d\" for 9s\n"
				  "on every 5s say \"tick\"\n"
				  "on idle 5s say \"idle\"\n"
				  "on stop say \"stop\"\n"
				  "state a\n on 'b' goto b\n on overflow say \"over\"\n"
				  "state b\n on 'a' goto a\n on every 2s say \"b\"\n";

static const char *const beginnings[] = {
	"",
	"> add one\n> add two\n> b\n",
	"> add one\n> wait here\n",
	"> add 1\n> drip\n",
	"> collect\n> line\n",
	"> bytes\n",
	"> hand\n",
	"> collect\n> line\n+5000\noverflow\n",
};
#define BEGINNINGS (sizeof(beginnings) / sizeof(beginnings[0]))

static uint32_t draw(uint64_t *seed, uint32_t limit)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % limit;
}

static int say_nothing(void *context, const char *bytes, size_t length)
{
	size_t *said = context;

	/* Read it all. */
	for (size_t i = 0; i < length; i++)
		*said += (size_t)bytes[i];
	return 0;
}

/* Lets all kinds of events happen to a state that is sound. */
static void use(const struct script *script, char *state, size_t used, uint64_t *seed)
{
	static const char *const messages[] = {"add x", "l",    "wait y", "drip", "collect",
					       "bytes", "hand", "b",      "a",    "."};
	size_t said = 0;
	const struct script_output output = {.context = &said,
					     .say = say_nothing,
					     .send = say_nothing};
	struct script_world world = {.now = 200 * USEC_PER_SEC, .peer = "192.0.2.7:1", .turn = 3};
	char value[40];

	for (unsigned i = 0; i < 12; i++) {
		const char *message = messages[draw(seed, 10)];
		const struct script_event event = {
			.kind = draw(seed, 3) == 0
					? (enum script_event_kind)draw(seed, SCRIPT_UNHANDED + 1)
					: SCRIPT_MESSAGE,
			.bytes = message,
			.length = strlen(message),
			.end_length = 1,
		};
		struct script_outcome outcome;
		int r = script_run(script, state, &used, &event, &world, &output, &outcome);

		assert_true(r == 0 || r == -EBUSY);
		assert_in_range(used, script_state_begin_size(script), MARCEL_STATE_MAX);
		assert_true(script_state_is_sound(script, state, used));
		world.now += draw(seed, 3) * USEC_PER_SEC;
		assert_non_null(script_state_name(script, state));
		for (uint32_t v = 0; v < script->n_variables; v++)
			(void)script_state_value(script, state, used, v, value, sizeof(value));
	}
}

static void test_changed_bytes(void **state)
{
	unsigned sound = 0, unsound = 0;
	uint64_t seed = 1;

	(void)state;
	for (size_t i = 0; i < BEGINNINGS; i++) {
		struct play play;
		char *copy = malloc(MARCEL_STATE_MAX);

		assert_non_null(copy);
		play_begin(&play, text);
		play_steps(&play, beginnings[i]);
		assert_true(script_state_is_sound(play.script, play.state, play.used));
		for (unsigned round = 0; round < 3000; round++) {
			size_t used = play.used;
			unsigned changes = 1 + draw(&seed, 3);

			(void)memcpy(copy, play.state, MARCEL_STATE_MAX);
			for (unsigned change = 0; change < changes; change++)
				copy[8 + draw(&seed, (uint32_t)used - 8)] = (char)draw(&seed, 256);
			if (draw(&seed, 8) == 0)
				used = draw(&seed, (uint32_t)used + 40);
			if (!script_state_is_sound(play.script, copy, used)) {
				unsound++;
				continue;
			}
			sound++;
			use(play.script, copy, used, &seed);
		}
		free(copy);
		play_end(&play);
	}
	/* Both happen: times and counts may be anything, places may not. */
	assert_in_range(sound, 2000, 22000);
	assert_in_range(unsound, 2000, 22000);
}

static void test_any_bytes(void **state)
{
	struct play play;
	uint64_t seed = 7;

	(void)state;
	play_begin(&play, text);
	for (unsigned round = 0; round < 3000; round++) {
		size_t used = draw(&seed, 700);
		/* It ends where its memory does. */
		char *bytes = malloc(used > 0 ? used : 1);

		assert_non_null(bytes);
		for (size_t i = 0; i < used; i++)
			bytes[i] = (char)draw(&seed, 256);
		if (used >= sizeof(uint64_t) && draw(&seed, 4) != 0)
			(void)memcpy(bytes, &play.script->version, sizeof(uint64_t));
		assert_false(script_state_is_sound(play.script, bytes, used));
		(void)script_state_version(bytes, used);
		free(bytes);
	}
	play_end(&play);
}

static void test_sizes(void **state)
{
	struct play play;
	unsigned sound = 0;

	(void)state;
	play_begin(&play, text);
	play_steps(&play, "> add one\n");
	assert_true(play.used > script_state_begin_size(play.script));
	/* Without its last values a state is still one; half of a value is none. */
	for (size_t used = 0; used < play.used; used++)
		sound += script_state_is_sound(play.script, play.state, used);
	assert_in_range(sound, 1, 3);
	assert_false(script_state_is_sound(play.script, play.state, play.used - 1));
	for (size_t used = 0; used < script_state_begin_size(play.script); used++)
		assert_false(script_state_is_sound(play.script, play.state, used));
	assert_false(script_state_is_sound(play.script, play.state, MARCEL_STATE_MAX + 1));
	assert_int_equal(script_state_version(play.state, script_state_begin_size(play.script) - 1),
			 0);
	assert_true(script_state_begin_size(play.script) <= 512);
	play_end(&play);
}

static void test_other_scripts(void **state)
{
	struct play one, other;

	(void)state;
	play_begin(&one, text);
	play_begin(&other, SCRIPT "on 'x' say \"x\"\n");
	assert_true(script_state_version(one.state, one.used) == one.script->version);
	assert_false(script_state_is_sound(other.script, one.state, one.used));
	assert_false(script_state_is_sound(one.script, other.state, other.used));
	play_end(&one);
	play_end(&other);
	play_begin(&one, "one\ntwo\n");
	play_begin(&other, "one\ntwo\nthree\n");
	assert_true(script_state_is_sound(one.script, one.state, one.used));
	assert_false(script_state_is_sound(one.script, other.state, other.used));
	play_end(&one);
	play_end(&other);
}

static void test_unaligned(void **state)
{
	static const struct script_world world = {.now = 1, .peer = "x", .turn = 1};
	static const struct script_event event = {.kind = SCRIPT_MESSAGE,
						  .bytes = "add x",
						  .length = 5};
	size_t said = 0, used;
	const struct script_output output = {.context = &said,
					     .say = say_nothing,
					     .send = say_nothing};
	struct script_outcome outcome;
	struct play play;
	char *bytes = calloc(1, MARCEL_STATE_MAX + 1);

	(void)state;
	assert_non_null(bytes);
	play_begin(&play, text);
	script_begin(play.script, bytes + 1, &used, 1);
	assert_true(script_state_is_sound(play.script, bytes + 1, used));
	assert_int_equal(script_run(play.script, bytes + 1, &used, &event, &world, &output,
				    &outcome),
			 0);
	assert_true(script_state_is_sound(play.script, bytes + 1, used));
	play_end(&play);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changed_bytes), cmocka_unit_test(test_any_bytes),
		cmocka_unit_test(test_sizes),         cmocka_unit_test(test_other_scripts),
		cmocka_unit_test(test_unaligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
