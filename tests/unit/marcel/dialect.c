/*
 * Telling a dialect by what is heard and when. Each test moves its own clock; the moments that
 * matter lie 400 ms after something was last heard, so tests look just before and just at them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "marcel/dialect.h"

#define BEGIN          UINT64_C(5000000)
#define AFTER(moment)  ((moment) + DIALECT_PAUSE)
#define BEFORE(moment) ((moment)-1)

static void hear(struct dialect *dialect, const char *text, usec_t now)
{
	dialect_hear(dialect, text, strlen(text), now);
}

static void line_ends_are_told_at_once(void **state)
{
	static const struct {
		const char *greeting;
		enum dialect_kind kind;
	} cases[] = {
		{"hello\n", DIALECT_LINE},
		{"hello\r\n", DIALECT_CRLF},
		{"\n", DIALECT_LINE},
		{"\r\n", DIALECT_CRLF},
		{"a\rb\n", DIALECT_LINE},
		{"220-a\r\n220 b\r\n", DIALECT_CRLF},
		/* The first line end counts: an old banner, then a prompt. */
		{"a\r\nb\n", DIALECT_CRLF},
		{"a\nb\r\n", DIALECT_LINE},
		{"welcome\r\nlogin: ", DIALECT_CRLF},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dialect dialect;

		dialect_init(&dialect, DIALECT_UNKNOWN, BEGIN);
		hear(&dialect, cases[i].greeting, BEGIN);
		assert_int_equal(dialect_decide(&dialect, false, BEGIN), cases[i].kind);
		assert_true(dialect_turn(&dialect, BEGIN));
		/* Later line ends change nothing. */
		hear(&dialect, "a\nb\r\n", BEGIN);
		assert_int_equal(dialect_decide(&dialect, true, AFTER(BEGIN)), cases[i].kind);
		assert_int_equal(dialect_deadline(&dialect, BEGIN), USEC_NEVER);
	}
}

static void a_greeting_may_come_byte_by_byte(void **state)
{
	static const char greeting[] = "Bonjour\r\n";
	struct dialect dialect;
	usec_t now = BEGIN;

	(void)state;
	dialect_init(&dialect, DIALECT_UNKNOWN, now);
	for (size_t i = 0; i < strlen(greeting); i++) {
		assert_int_equal(dialect_decide(&dialect, true, now), DIALECT_UNKNOWN);
		now = BEFORE(AFTER(now));
		dialect_hear(&dialect, greeting + i, 1, now);
	}
	assert_int_equal(dialect_decide(&dialect, true, now), DIALECT_CRLF);
}

static void quiet_without_a_line_end_is_raw(void **state)
{
	const usec_t greeted = BEGIN + 7;
	struct dialect dialect;

	(void)state;
	dialect_init(&dialect, DIALECT_UNKNOWN, BEGIN);
	hear(&dialect, "hello", greeted);
	assert_int_equal(dialect_deadline(&dialect, greeted), AFTER(greeted));
	assert_int_equal(dialect_decide(&dialect, true, BEFORE(AFTER(greeted))), DIALECT_UNKNOWN);
	assert_false(dialect_turn(&dialect, BEFORE(AFTER(greeted))));
	/* Nobody need have anything to say. */
	assert_int_equal(dialect_decide(&dialect, false, AFTER(greeted)), DIALECT_RAW);
	assert_true(dialect_turn(&dialect, AFTER(greeted)));
	assert_int_equal(dialect_deadline(&dialect, AFTER(greeted)), USEC_NEVER);
}

static void raw_is_settled_by_the_first_message(void **state)
{
	struct dialect dialect;
	struct dialect spoken;

	(void)state;
	dialect_init(&dialect, DIALECT_UNKNOWN, BEGIN);
	hear(&dialect, "hel", BEGIN);
	assert_int_equal(dialect_decide(&dialect, false, AFTER(BEGIN)), DIALECT_RAW);
	spoken = dialect;
	/* A slow greeting was not at its end. */
	hear(&dialect, "lo\n", AFTER(BEGIN));
	assert_int_equal(dialect_decide(&dialect, false, AFTER(BEGIN)), DIALECT_LINE);
	/* Once a message without an end was sent, a line end is a part of a reply. */
	dialect_said(&spoken);
	hear(&spoken, "a\nb\n", AFTER(BEGIN));
	assert_int_equal(dialect_decide(&spoken, false, AFTER(BEGIN)), DIALECT_RAW);
}

static void a_cr_and_its_lf_may_come_apart(void **state)
{
	struct dialect dialect;

	(void)state;
	dialect_init(&dialect, DIALECT_UNKNOWN, BEGIN);
	hear(&dialect, "hello\r", BEGIN);
	assert_int_equal(dialect_decide(&dialect, true, AFTER(BEGIN)), DIALECT_RAW);
	hear(&dialect, "\n", AFTER(BEGIN));
	assert_int_equal(dialect_decide(&dialect, true, AFTER(BEGIN)), DIALECT_CRLF);
}

static void without_a_greeting_lines_are_sent(void **state)
{
	const usec_t late = BEGIN + 60 * USEC_PER_SEC;
	struct dialect dialect;

	(void)state;
	dialect_init(&dialect, DIALECT_UNKNOWN, BEGIN);
	assert_int_equal(dialect_deadline(&dialect, BEGIN), AFTER(BEGIN));
	assert_int_equal(dialect_decide(&dialect, true, BEFORE(AFTER(BEGIN))), DIALECT_UNKNOWN);
	/* As long as there is nothing to say, the greeting may still come, and time decides
	 * nothing. */
	assert_int_equal(dialect_decide(&dialect, false, late), DIALECT_UNKNOWN);
	assert_int_equal(dialect_deadline(&dialect, late), USEC_NEVER);
	assert_int_equal(dialect_decide(&dialect, true, late), DIALECT_LINE);
	assert_true(dialect_turn(&dialect, late));
	/* The answer shows how this server ends its lines. */
	dialect_said(&dialect);
	hear(&dialect, "HTTP/1.1 200 OK\r\n", late);
	assert_int_equal(dialect_decide(&dialect, true, late), DIALECT_CRLF);
	hear(&dialect, "{}\n", late);
	assert_int_equal(dialect_decide(&dialect, true, late), DIALECT_CRLF);
}

static void the_users_word_is_final(void **state)
{
	static const enum dialect_kind kinds[] = {DIALECT_LINE, DIALECT_CRLF, DIALECT_RAW};
	static const char *const greetings[] = {"", "hello", "hello\n", "hello\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		for (size_t j = 0; j < sizeof(greetings) / sizeof(greetings[0]); j++) {
			struct dialect dialect;

			dialect_init(&dialect, kinds[i], BEGIN);
			hear(&dialect, greetings[j], BEGIN);
			assert_int_equal(dialect_decide(&dialect, true, BEGIN), kinds[i]);
			assert_int_equal(dialect_decide(&dialect, true, AFTER(BEGIN)), kinds[i]);
		}
	}
}

static void raw_goes_turn_by_turn(void **state)
{
	struct dialect dialect;

	(void)state;
	dialect_init(&dialect, DIALECT_RAW, BEGIN);
	assert_false(dialect_turn(&dialect, BEFORE(AFTER(BEGIN))));
	assert_int_equal(dialect_deadline(&dialect, BEGIN), AFTER(BEGIN));
	hear(&dialect, "hello", BEGIN);
	assert_true(dialect_turn(&dialect, BEGIN));
	dialect_said(&dialect);
	/* Nothing but a reply gives the turn back, however long it takes. */
	assert_false(dialect_turn(&dialect, AFTER(BEGIN) * 10));
	hear(&dialect, "yes", AFTER(BEGIN));
	assert_true(dialect_turn(&dialect, AFTER(BEGIN)));
}

static void without_a_greeting_raw_begins_after_a_pause(void **state)
{
	struct dialect dialect;

	(void)state;
	dialect_init(&dialect, DIALECT_RAW, BEGIN);
	assert_true(dialect_turn(&dialect, AFTER(BEGIN)));
	dialect_said(&dialect);
	assert_false(dialect_turn(&dialect, AFTER(BEGIN)));
}

static void a_long_raw_reply_ends_with_quiet(void **state)
{
	char segment[536];
	struct dialect dialect;
	usec_t now = BEGIN;

	(void)state;
	memset(segment, 'x', sizeof(segment));
	dialect_init(&dialect, DIALECT_RAW, now);
	hear(&dialect, "hello", now);
	dialect_said(&dialect);
	dialect_hear(&dialect, segment, sizeof(segment) - 1, now);
	assert_true(dialect_turn(&dialect, now));
	dialect_hear(&dialect, "x", 1, now);
	assert_false(dialect_turn(&dialect, BEFORE(AFTER(now))));
	now = BEFORE(AFTER(now));
	dialect_hear(&dialect, "rest", 4, now);
	assert_false(dialect_turn(&dialect, now));
	assert_int_equal(dialect_deadline(&dialect, now), AFTER(now));
	assert_true(dialect_turn(&dialect, AFTER(now)));
}

static void fin_alone_ends_raw(void **state)
{
	static const char *const ends[] = {"fin", "FIN", "Fin", "fiN"};
	static const char *const goes_on[] = {"fi",   "fine", "finfin", "fin\n",
					      " fin", "f\tn", "F)N"};
	struct dialect dialect;

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		dialect_init(&dialect, DIALECT_RAW, BEGIN);
		hear(&dialect, "hello", BEGIN);
		assert_false(dialect_over(&dialect));
		hear(&dialect, ends[i], BEGIN);
		assert_true(dialect_over(&dialect));
	}
	for (size_t i = 0; i < sizeof(goes_on) / sizeof(goes_on[0]); i++) {
		dialect_init(&dialect, DIALECT_RAW, BEGIN);
		hear(&dialect, goes_on[i], BEGIN);
		assert_false(dialect_over(&dialect));
	}
	/* Two reads are two messages. */
	dialect_init(&dialect, DIALECT_RAW, BEGIN);
	hear(&dialect, "fi", BEGIN);
	hear(&dialect, "n", BEGIN);
	assert_false(dialect_over(&dialect));
}

static void fin_as_a_greeting(void **state)
{
	struct dialect dialect;

	(void)state;
	/* An undecided greeting is one message, in however many pieces it came. */
	dialect_init(&dialect, DIALECT_UNKNOWN, BEGIN);
	hear(&dialect, "fi", BEGIN);
	hear(&dialect, "n", BEGIN);
	assert_false(dialect_over(&dialect));
	assert_int_equal(dialect_decide(&dialect, true, AFTER(BEGIN)), DIALECT_RAW);
	assert_true(dialect_over(&dialect));
	/* Among lines it is a line. */
	dialect_init(&dialect, DIALECT_LINE, BEGIN);
	hear(&dialect, "fin", BEGIN);
	assert_false(dialect_over(&dialect));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_ends_are_told_at_once),
		cmocka_unit_test(a_greeting_may_come_byte_by_byte),
		cmocka_unit_test(quiet_without_a_line_end_is_raw),
		cmocka_unit_test(raw_is_settled_by_the_first_message),
		cmocka_unit_test(a_cr_and_its_lf_may_come_apart),
		cmocka_unit_test(without_a_greeting_lines_are_sent),
		cmocka_unit_test(the_users_word_is_final),
		cmocka_unit_test(raw_goes_turn_by_turn),
		cmocka_unit_test(without_a_greeting_raw_begins_after_a_pause),
		cmocka_unit_test(a_long_raw_reply_ends_with_quiet),
		cmocka_unit_test(fin_alone_ends_raw),
		cmocka_unit_test(fin_as_a_greeting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
