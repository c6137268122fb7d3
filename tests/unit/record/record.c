/*
 * Recording from one thread, with a transport that takes everything: what becomes of each call.
 */
#include <errno.h>

#include "base/text.h"
#include "collector.h"
#include "record/record.h"
#include "record/ring.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const uint8_t identity[16] = {0xab};

static const struct record_about about = {
	.number = 17,
	.id = identity,
	.peer = "[::1]:4711",
	.listener = "marcel",
};

static struct collector collector;

static int start(void **state)
{
	struct record_transport transport;

	(void)state;
	collector_init(&collector);
	transport = collector_transport(&collector, RECORD_OUTPUT_JOURNAL);
	record_set_transcript(TRANSCRIPT_FULL, 4096);
	return record_start_with(&transport, NULL, 0, NULL);
}

static int stop(void **state)
{
	(void)state;
	record_stop(USEC_NEVER);
	collector_done(&collector);
	return 0;
}

static void said(const char *text)
{
	record_said(&about, RECORD_CLIENT, 3, text, strlen(text));
}

/* Waits for N records and returns the last of them. */
static const char *sent(size_t n)
{
	collector_await(&collector, n);
	return collector.records[n - 1];
}

static void test_an_event(void **state)
{
	const struct record_field fields[] = {{"MARCEL_REASON", "end-word"}, {"MARCEL_NONE", NULL}};
	usec_t before = clock_realtime();
	char timestamp[64];
	const char *record;
	uint64_t when;

	(void)state;
	record_event(RECORD_CLOSED, &about, fields, COUNT(fields), "The end after %d turns", 3);
	record = sent(1);
	assert_true(has_part(record, "MESSAGE=The end after 3 turns"));
	assert_true(has_part(record, "MESSAGE_ID=86c9a419d68946d48e4101f407c24d86"));
	assert_true(has_part(record, "PRIORITY=6"));
	assert_true(has_part(record, "MARCEL_CONVERSATION=17"));
	assert_true(has_part(record, "MARCEL_CONVERSATION_ID=ab000000000000000000000000000000"));
	assert_true(has_part(record, "MARCEL_PEER=[::1]:4711"));
	assert_true(has_part(record, "MARCEL_LISTENER=marcel"));
	assert_true(has_part(record, "MARCEL_REASON=end-word"));
	assert_true(has_part(record, "MARCEL_NONE="));
	assert_null(strstr(record, "CODE_"));
	assert_int_equal(sscanf(strstr(record, "MARCEL_TIMESTAMP="), "MARCEL_TIMESTAMP=%63s",
				timestamp),
			 1);
	assert_int_equal(text_parse_unsigned(timestamp, UINT64_MAX, &when), 0);
	assert_in_range(when, before, clock_realtime());
}

static void test_a_note(void **state)
{
	const char *record;

	(void)state;
	record_note(RECORD_RELOAD_FAILED, "%s:%d: what\n\x1b[31m", "/etc/marcel.ini", 12);
	record = sent(1);
	assert_true(has_part(record, "MESSAGE=/etc/marcel.ini:12: what\\n\\e[31m"));
	assert_true(has_part(record, "PRIORITY=3"));
	assert_null(strstr(record, "MARCEL_CONVERSATION"));
}

static void test_a_long_text(void **state)
{
	char *text = malloc(20001);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 20000);
	text[20000] = '\0';
	for (size_t length = 510; length < 514; length++)
		record_note(RECORD_NOTICE, "%.*s", (int)length, text);
	record_note(RECORD_NOTICE, "%s", text);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(strcspn(sent(i + 1), "\n"), strlen("MESSAGE=") + 510 + i);
	assert_int_equal(strcspn(sent(5), "\n"), strlen("MESSAGE=") + 20000);
	free(text);
}

static void test_more_fields_than_there_may_be(void **state)
{
	struct record_field fields[40];
	const char *record;

	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++)
		fields[i] = (struct record_field){"MARCEL_A", "b"};
	record_event(RECORD_NOTICE, NULL, fields, COUNT(fields), "x");
	record = sent(1);
	for (size_t i = 0; i < 16; i++) {
		record = strstr(record, "\nMARCEL_A=b");
		assert_non_null(record);
		record++;
	}
	assert_null(strstr(record, "\nMARCEL_A=b"));
}

static void test_what_is_said(void **state)
{
	const char *record;

	(void)state;
	said("bonjour");
	record_said(&about, RECORD_SERVER, 4, "Bonjour \xc3\xa0 vous\0!", 17);
	record = sent(1);
	assert_true(has_part(record, "MESSAGE=C> bonjour"));
	assert_true(has_part(record, "MESSAGE_ID=cf0e02f2cbe4411aa749d79c51177583"));
	assert_true(has_part(record, "MARCEL_TURN=3"));
	assert_true(has_part(record, "MARCEL_SIZE=7"));
	record = sent(2);
	assert_true(has_part(record, "MESSAGE=S> Bonjour à vous\\x00!"));
	assert_true(has_part(record, "MARCEL_TURN=4"));
	assert_true(has_part(record, "MARCEL_SIZE=17"));
}

static void test_what_is_said_is_cut_between_characters(void **state)
{
	static const struct {
		size_t max;
		const char *text;
		const char *message;
	} cuts[] = {
		{10, "0123456789", "MESSAGE=C> 0123456789"},
		{10, "0123456789a", "MESSAGE=C> 0123456789… (11 bytes)"},
		{5, "abc\xc3\xa9x", "MESSAGE=C> abcé… (6 bytes)"},
		{4, "abc\xc3\xa9x", "MESSAGE=C> abc… (6 bytes)"},
		{4, "abc\xf0\x9f\x99\x82", "MESSAGE=C> abc… (7 bytes)"},
		{6, "abc\xf0\x9f\x99\x82", "MESSAGE=C> abc… (7 bytes)"},
		{7, "abc\xf0\x9f\x99\x82", "MESSAGE=C> abc🙂"},
		{1, "\xc3\xa9", "MESSAGE=C> … (2 bytes)"},
		{0, "abc", "MESSAGE=C> … (3 bytes)"},
		{6, "\x80\x80\x80\x80\x80\x80\x80\x80",
		 "MESSAGE=C> \\x80\\x80\\x80\\x80\\x80\\x80… (8 bytes)"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cuts); i++) {
		record_set_transcript(TRANSCRIPT_FULL, cuts[i].max);
		said(cuts[i].text);
		if (!has_part(sent(i + 1), cuts[i].message))
			fail_msg("%s is not in %s", cuts[i].message, sent(i + 1));
	}
}

static void test_policies(void **state)
{
	(void)state;
	record_set_transcript(TRANSCRIPT_SIZES, 4096);
	said("secret");
	record_set_transcript(TRANSCRIPT_OFF, 4096);
	said("secret");
	record_set_transcript(TRANSCRIPT_FULL, 4096);
	said("public");
	assert_true(has_part(sent(1), "MESSAGE=C> (6 bytes)"));
	assert_true(has_part(sent(1), "MARCEL_SIZE=6"));
	assert_null(strstr(sent(1), "secret"));
	assert_true(has_part(sent(2), "MESSAGE=C> public"));
}

static void test_the_longest_message(void **state)
{
	enum {
		SIZE = 8388608
	};
	char *text = malloc(SIZE);
	size_t length;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', SIZE);
	record_set_transcript(TRANSCRIPT_FULL, SIZE_MAX);
	record_said(&about, RECORD_CLIENT, 1, text, SIZE);
	length = strcspn(sent(1), "\n");
	assert_true(length > 2000000);
	assert_true(has_part(sent(1), "MARCEL_SIZE=8388608"));
	free(text);
}

static void test_nobody_in_particular(void **state)
{
	const struct record_about bare = {.number = 5};

	(void)state;
	record_event(RECORD_OPENED, &bare, NULL, 0, "%s", "");
	record_said(NULL, RECORD_CLIENT, 1, NULL, 0);
	assert_true(has_part(sent(1), "MARCEL_CONVERSATION=5"));
	assert_null(strstr(sent(1), "MARCEL_PEER"));
	assert_null(strstr(sent(1), "MARCEL_CONVERSATION_ID"));
	assert_true(has_part(sent(2), "MESSAGE=C> "));
}

static void test_the_order_is_kept(void **state)
{
	(void)state;
	for (int i = 0; i < 500; i++)
		record_note(RECORD_NOTICE, "%d", i);
	for (int i = 0; i < 500; i++) {
		char wanted[32];

		(void)snprintf(wanted, sizeof(wanted), "MESSAGE=%d", i);
		assert_true(has_part(sent((size_t)i + 1), wanted));
	}
}

static void test_stopping_sends_everything(void **state)
{
	struct record_transport transport = collector_transport(&collector, RECORD_OUTPUT_TEXT);

	(void)state;
	for (int i = 0; i < 100; i++)
		said("bonjour");
	record_stop(USEC_NEVER);
	assert_int_equal(collector.n, 100);
	record_stop(USEC_NEVER); /* twice does no harm */
	assert_int_equal(record_start_with(&transport, NULL, 0, NULL), 0);
	said("again");
	assert_string_equal(sent(101), "[17 [::1]:4711] C> again\n\n");
}

static void test_keeping_up(void **state)
{
	(void)state;
	assert_true(record_is_keeping_up());
	collector_block(&collector, true);
	said("a");
	collector_await_stall(&collector);
	(void)record_is_keeping_up();
	assert_false(record_is_keeping_up());
	collector_block(&collector, false);
	collector_await(&collector, 1);
	record_stop(USEC_NEVER);
	assert_true(record_is_keeping_up());
}

static void test_a_send_that_fails_is_a_drop(void **state)
{
	(void)state;
	collector_answer(&collector, -ENOBUFS);
	collector_block(&collector, true);
	said("a");
	said("b");
	record_event(RECORD_CLOSED, NULL, NULL, 0, "c");
	collector_block(&collector, false);
	/* The drops can't be told either, until sending works again. */
	collector_await_calls(&collector, 4);
	assert_int_equal(collector.n, 0);
	collector_answer(&collector, 0);
	record_note(RECORD_READY, "d");
	record_stop(USEC_NEVER);
	assert_int_equal(collector.n, 2);
	assert_true(has_part(collector.records[0], "MESSAGE=d"));
	assert_true(has_part(collector.records[1], "MARCEL_DROPPED_TRANSCRIPT=2"));
	assert_true(has_part(collector.records[1], "MARCEL_DROPPED_INFORMATIVE=0"));
	assert_true(has_part(collector.records[1], "MARCEL_DROPPED_ESSENTIAL=1"));
	assert_true(has_part(collector.records[1], "MARCEL_DROPPED_CLOSED=1"));
	assert_null(strstr(collector.records[1], "MARCEL_DROPPED_REFUSED"));
	assert_true(has_part(collector.records[1], "PRIORITY=4"));
}

static void test_a_ring_too_small(void **state)
{
	static uint8_t memory[16];
	struct record_transport transport = collector_transport(&collector, RECORD_OUTPUT_TEXT);

	(void)state;
	record_stop(USEC_NEVER);
	assert_int_equal(record_start_with(&transport, memory, sizeof(memory), NULL), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_event),
		TEST(test_a_note),
		TEST(test_a_long_text),
		TEST(test_more_fields_than_there_may_be),
		TEST(test_what_is_said),
		TEST(test_what_is_said_is_cut_between_characters),
		TEST(test_policies),
		TEST(test_the_longest_message),
		TEST(test_nobody_in_particular),
		TEST(test_the_order_is_kept),
		TEST(test_stopping_sends_everything),
		TEST(test_keeping_up),
		TEST(test_a_send_that_fails_is_a_drop),
		TEST(test_a_ring_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
