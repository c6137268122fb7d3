/*
 * Recording while the transport is stalled: nobody waits for it, what matters is kept, what is
 * dropped is counted to the last one, and a stop ends at its deadline.
 */
#include "base/text.h"
#include "collector.h"
#include "record/record.h"
#include "ring-tools.h"

enum {
	THREADS = 4,
	CALLS = 50000, /* of record_said(), a thread */
	ENDS = THREADS * CALLS / 100,
};

static const struct record_about about = {.number = 1, .peer = "127.0.0.1:1", .listener = "marcel"};

/* What has come through the transport, told by the numbers that the threads put into it. */
struct arrivals {
	struct collector collector;
	uint64_t said;                 /* transcript lines */
	uint64_t closed;               /* ends */
	uint64_t next_said[THREADS];   /* the least that may come from a thread */
	uint64_t next_closed[THREADS]; /* the same for ends */
	uint64_t dropped_records;
	uint64_t dropped_transcript;
	uint64_t dropped_informative;
	uint64_t dropped_essential;
	uint64_t wrong; /* doubled, out of order, or not understood */
};

static uint64_t number_in(const char *joined, const char *name)
{
	const char *at = strstr(joined, name);
	char digits[32];
	uint64_t number = 0;
	size_t length;

	if (at == NULL)
		return UINT64_MAX;
	at += strlen(name);
	length = strspn(at, "0123456789");
	if (length >= sizeof(digits))
		return UINT64_MAX;
	memcpy(digits, at, length);
	digits[length] = '\0';
	return text_parse_unsigned(digits, UINT64_MAX, &number) == 0 ? number : UINT64_MAX;
}

static void arrive(struct collector *collector, const struct iovec *parts, size_t n_parts)
{
	struct arrivals *arrivals = collector->context;
	char *joined = join_parts(parts, n_parts);
	uint64_t thread = number_in(joined, "thread ");
	uint64_t number = number_in(joined, "number ");

	if (strstr(joined, "MARCEL_DROPPED_TRANSCRIPT=") != NULL) {
		arrivals->dropped_records++;
		arrivals->dropped_transcript += number_in(joined, "DROPPED_TRANSCRIPT=");
		arrivals->dropped_informative += number_in(joined, "DROPPED_INFORMATIVE=");
		arrivals->dropped_essential += number_in(joined, "DROPPED_ESSENTIAL=");
	} else if (thread >= THREADS) {
		arrivals->wrong++;
	} else if (strncmp(joined, "MESSAGE=C> ", 11) == 0) {
		arrivals->said++;
		arrivals->wrong += number < arrivals->next_said[thread];
		arrivals->next_said[thread] = number + 1;
	} else {
		arrivals->closed++;
		arrivals->wrong += number < arrivals->next_closed[thread];
		arrivals->next_closed[thread] = number + 1;
	}
	free(joined);
}

static void arrivals_init(struct arrivals *arrivals)
{
	memset(arrivals, 0, sizeof(*arrivals));
	collector_init(&arrivals->collector);
	arrivals->collector.look = arrive;
	arrivals->collector.context = arrivals;
}

/* One conversation's thread: many lines, and an end now and then. */
static void *talk(void *argument)
{
	unsigned thread = *(const unsigned *)argument;
	char text[400];

	for (unsigned i = 0; i < CALLS; i++) {
		int length =
			snprintf(text, sizeof(text), "thread %u number %u %0300u", thread, i, 0U);

		record_said(&about, RECORD_CLIENT, i, text, (size_t)length);
		if (i % 100 == 0)
			record_event(RECORD_CLOSED, &about, NULL, 0, "thread %u number %u", thread,
				     i / 100);
	}
	return NULL;
}

static void talk_in_threads(void)
{
	static unsigned numbers[THREADS] = {0, 1, 2, 3};
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, talk, &numbers[i]), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void test_nobody_waits_and_drops_are_counted(void **state)
{
	struct record_transport transport;
	static struct arrivals arrivals;

	(void)state;
	arrivals_init(&arrivals);
	transport = collector_transport(&arrivals.collector, RECORD_OUTPUT_JOURNAL);
	record_set_transcript(TRANSCRIPT_FULL, 4096);
	assert_int_equal(record_start_with(&transport, NULL, 0, NULL), 0);
	collector_block(&arrivals.collector, true);
	/* Returns although nothing is sent: that is the test. Each line takes 450 bytes or more. */
	talk_in_threads();
	assert_int_equal(arrivals.collector.n, 0);
	collector_block(&arrivals.collector, false);
	record_stop(USEC_NEVER);

	assert_int_equal(arrivals.wrong, 0);
	assert_int_equal(arrivals.closed, ENDS);
	assert_int_equal(arrivals.dropped_records, 1);
	assert_int_equal(arrivals.dropped_informative, 0);
	assert_int_equal(arrivals.dropped_essential, 0);
	assert_true(arrivals.dropped_transcript > THREADS * CALLS / 4);
	assert_int_equal(arrivals.said + arrivals.dropped_transcript, THREADS * CALLS);
	collector_done(&arrivals.collector);
}

static void test_nothing_is_lost_that_is_not_counted(void **state)
{
	struct record_transport transport;
	static struct arrivals arrivals;
	void *memory = shared_memory(CHUNKED_SPACE);

	(void)state;
	/* A small ring, with a thread that takes from it all the time. */
	arrivals_init(&arrivals);
	transport = collector_transport(&arrivals.collector, RECORD_OUTPUT_JOURNAL);
	assert_int_equal(record_start_with(&transport, memory, CHUNKED_SPACE, NULL), 0);
	talk_in_threads();
	record_stop(USEC_NEVER);
	assert_int_equal(arrivals.wrong, 0);
	assert_int_equal(arrivals.closed + arrivals.dropped_essential, ENDS);
	assert_int_equal(arrivals.said + arrivals.dropped_transcript, THREADS * CALLS);
	collector_done(&arrivals.collector);
	assert_int_equal(munmap(memory, CHUNKED_SPACE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_waits_and_drops_are_counted),
		cmocka_unit_test(test_nothing_is_lost_that_is_not_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
