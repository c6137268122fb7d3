/*
 * The pad: orders come out as they came in, once each, and what is refused is told.
 */
#include "bench.h"
#include "respond/script/expand.h"

static void test_lines(void **state)
{
	(void)state;
	assert_int_equal(fill(1), 0);
	feed("one\ntwo\n\nfour");
	assert_int_equal(fill(1), 1);
	assert_true(pad_waits(bench->pad, bench->taken));
	take(2);
	check_log(&bench->orders, "one\ntwo\n");
	feed(" and five\nsix\r\n");
	assert_int_equal(fill(2), 1);
	take(10);
	check_log(&bench->orders, "one\ntwo\n\nfour and five\nsix\r\n");
	check_log(&bench->refused, "");
	assert_false(pad_waits(bench->pad, bench->taken));
	assert_int_equal(fill(2), 0);
}

static void test_nul(void **state)
{
	(void)state;
	feed_bytes("a\0b\n\0\nc\n", 8);
	assert_int_equal(fill(1), 1);
	take(10);
	assert_int_equal(bench->orders.used, 8);
	assert_memory_equal(bench->orders.bytes, "a\0b\n\0\nc\n", 8);
}

static void test_unfinished(void **state)
{
	(void)state;
	feed("begun");
	assert_int_equal(fill(1000), 1);
	assert_int_equal(pad_deadline(bench->pad), 1000 + PAD_PATIENCE);
	assert_false(pad_waits(bench->pad, bench->taken));
	feed(" on");
	assert_int_equal(fill(1000 + PAD_PATIENCE / 2), 1);
	assert_int_equal(pad_deadline(bench->pad), 1000 + PAD_PATIENCE);
	pad_expire(bench->pad, 1000 + PAD_PATIENCE - 1, refused, &bench->refused);
	check_log(&bench->refused, "");
	pad_expire(bench->pad, 1000 + PAD_PATIENCE, refused, &bench->refused);
	check_log(&bench->refused, "1begun on\n");
	assert_int_equal(pad_deadline(bench->pad), 0);
	pad_expire(bench->pad, 1000 + PAD_PATIENCE, refused, &bench->refused);
	feed("next\n");
	assert_int_equal(fill(1000 + 2 * PAD_PATIENCE), 1);
	take(9);
	check_log(&bench->orders, "next\n");
	check_log(&bench->refused, "1begun on\n");
}

/* What comes soon after one that was given up is its rest, up to the next LF. */
static void test_torn(void **state)
{
	usec_t at = 1000 + PAD_PATIENCE;

	(void)state;
	feed("secret part one ");
	assert_int_equal(fill(1000), 1);
	pad_expire(bench->pad, at, refused, &bench->refused);
	feed("and ");
	at += PAD_PATIENCE - 1;
	assert_int_equal(fill(at), 1);
	at += PAD_PATIENCE - 1;
	feed("the tail\nnext\n");
	assert_int_equal(fill(at), 1);
	check_log(&bench->refused, "1secret part one \n1and the tail\n");
	take(9);
	check_log(&bench->orders, "next\n");
	/* One that is torn twice. */
	bench->refused.used = 0;
	feed("a");
	assert_int_equal(fill(at), 1);
	at += PAD_PATIENCE;
	feed("b");
	assert_int_equal(fill(at), 1);
	at += PAD_PATIENCE;
	pad_expire(bench->pad, at, refused, &bench->refused);
	feed("/close\n");
	(void)fill(at);
	check_log(&bench->refused, "1a\n1b\n1/close\n");
	take(9);
	check_log(&bench->orders, "next\n");
}

/* Nobody has looked in time: what comes long after is not its rest. */
static void test_unfinished_then_more(void **state)
{
	(void)state;
	feed("whole\nbegun");
	assert_int_equal(fill(1000), 1);
	feed("next\nlast");
	assert_int_equal(fill(1000 + 2 * PAD_PATIENCE), 1);
	check_log(&bench->refused, "1begun\n");
	assert_int_equal(pad_deadline(bench->pad), 1000 + 3 * PAD_PATIENCE);
	take(9);
	check_log(&bench->orders, "whole\nnext\n");
}

/* However long no process ran: what had begun has its time from now on. */
static void test_unfinished_in_the_next_process(void **state)
{
	usec_t later = 1000 + 10 * PAD_PATIENCE;

	(void)state;
	feed("begun");
	assert_int_equal(fill(1000), 1);
	pad_recover(bench->pad, bench->taken, later, refused, &bench->refused);
	assert_int_equal(pad_deadline(bench->pad), later + PAD_PATIENCE);
	feed(" and en");
	assert_int_equal(fill(later + PAD_PATIENCE - 1), 1);
	later *= 2;
	pad_recover(bench->pad, bench->taken, later, refused, &bench->refused);
	feed("ded\nnext");
	assert_int_equal(fill(later + 1), 1);
	take(9);
	check_log(&bench->orders, "begun and ended\n");
	check_log(&bench->refused, "");
	pad_expire(bench->pad, later + 1 + PAD_PATIENCE, refused, &bench->refused);
	check_log(&bench->refused, "1next\n");
}

/* What is closed goes on after all where the process dies just then: of what was refused the rest
 * is no order, and what was carried out before is not in the way. */
static void test_closed_and_gone_on_with(void **state)
{
	char piece[5000];

	(void)state;
	feed("carried out\nwaiting\nbeg");
	assert_int_equal(fill(1000), 1);
	take(1);
	pad_close(bench->pad, bench->taken, 1000, refused, &bench->refused);
	check_log(&bench->refused, "1beg\n");
	assert_true(pad_is_sound(bench->pad, bench->taken));
	assert_false(pad_waits(bench->pad, bench->taken));
	pad_recover(bench->pad, bench->taken, 2000, refused, &bench->refused);
	feed("un\nnext\n");
	assert_int_equal(fill(2000 + PAD_PATIENCE - 1), 1);
	take(9);
	check_log(&bench->orders, "carried out\nnext\n");
	check_log(&bench->refused, "1beg\n1un\n");
	/* Once more before that rest has come. */
	feed("a");
	assert_int_equal(fill(3000), 1);
	pad_close(bench->pad, bench->taken, 3000, refused, &bench->refused);
	pad_close(bench->pad, bench->taken, 3000, refused, &bench->refused);
	feed("b\n");
	assert_int_equal(fill(3000), 0);
	check_log(&bench->refused, "1beg\n1un\n1a\n1b\n");
	/* A line that was too long is told of once. */
	bench->refused.used = 0;
	(void)memset(piece, 'x', sizeof(piece));
	feed_bytes(piece, sizeof(piece));
	assert_int_equal(fill(3000), 0);
	pad_close(bench->pad, bench->taken, 3000, refused, &bench->refused);
	feed("/close\nlast\n");
	assert_int_equal(fill(3000), 1);
	take(9);
	check_log(&bench->orders, "carried out\nnext\nlast\n");
	assert_int_equal(bench->refused.used, 1 + PAD_LINE_MAX + 1);
}

/* LENGTH times LETTER, and a LF, come. */
static void feed_line(char letter, size_t length)
{
	char *line = malloc(length + 1);

	assert_non_null(line);
	(void)memset(line, letter, length);
	line[length] = '\n';
	feed_bytes(line, length + 1);
	free(line);
}

static void test_long(void **state)
{
	(void)state;
	feed_line('a', PAD_LINE_MAX);
	assert_int_equal(fill(1), 1);
	take(1);
	assert_int_equal(bench->orders.used, PAD_LINE_MAX + 1);
	feed_line('b', PAD_LINE_MAX + 1);
	feed("c\n");
	assert_int_equal(fill(1), 1);
	assert_int_equal(bench->refused.bytes[0], '0');
	assert_int_equal(bench->refused.used, 1 + PAD_LINE_MAX + 1);
	take(1);
	assert_memory_equal(bench->orders.bytes + bench->orders.used - 4, "a\nc\n", 4);
}

/* A very long line is refused once, however it comes; what follows it counts. */
static void test_very_long(void **state)
{
	char piece[5000];

	(void)state;
	(void)memset(piece, 'x', sizeof(piece));
	for (size_t i = 0; i < 200; i++) {
		feed_bytes(piece, sizeof(piece));
		if (i % 3 == 0)
			(void)fill(i * PAD_PATIENCE / 4);
	}
	feed("\nafter\n");
	assert_int_equal(fill(200 * PAD_PATIENCE / 4), 1);
	assert_int_equal(bench->refused.used, 1 + PAD_LINE_MAX + 1);
	take(9);
	check_log(&bench->orders, "after\n");
}

/* One that has no end is waited for no longer than any other; also by the next process. */
static void test_long_without_end(void **state)
{
	char piece[5000];

	(void)state;
	(void)memset(piece, 'x', sizeof(piece));
	feed_bytes(piece, sizeof(piece));
	assert_int_equal(fill(1000), 0);
	feed("rest\n");
	assert_int_equal(fill(1000 + PAD_PATIENCE - 1), 0);
	feed_bytes(piece, sizeof(piece));
	assert_int_equal(fill(1000), 0);
	feed("one\n");
	assert_int_equal(fill(1000 + PAD_PATIENCE), 1);
	feed_bytes(piece, sizeof(piece));
	(void)fill(1000);
	pad_recover(bench->pad, bench->taken, 1000 + PAD_PATIENCE, refused, &bench->refused);
	feed("rest\n");
	(void)fill(1000 + 2 * PAD_PATIENCE - 1);
	feed_bytes(piece, sizeof(piece));
	(void)fill(1000);
	pad_expire(bench->pad, 1000 + PAD_PATIENCE, refused, &bench->refused);
	feed("two\n");
	(void)fill(1000);
	take(9);
	check_log(&bench->orders, "one\ntwo\n");
	assert_int_equal(bench->refused.used, 4 * (1 + PAD_LINE_MAX + 1));
}

static void test_full(void **state)
{
	size_t n = PAD_ROOM / 100;

	(void)state;
	for (size_t i = 0; i < n; i++)
		feed_line('a', 99);
	assert_int_equal(fill(1), 1);
	check_log(&bench->refused, "");
	feed_line('b', 99);
	feed("s\nsm");
	assert_int_equal(fill(1), 1);
	assert_int_equal(bench->refused.used, 101);
	assert_memory_equal(bench->refused.bytes, "2bbb", 4);
	take(1);
	feed("all\n");
	feed_line('c', 99);
	feed_line('d', 99);
	assert_int_equal(fill(1), 1);
	assert_int_equal(bench->refused.used, 202);
	assert_memory_equal(bench->refused.bytes + 101, "2ddd", 4);
	take(SIZE_MAX);
	assert_int_equal(bench->orders.used, n * 100 + strlen("s\nsmall\n") + 100);
	assert_memory_equal(bench->orders.bytes + n * 100, "s\nsmall\nccc", 11);
}

/* An order that has begun is refused as soon as there is no room for it, and skipped to its end. */
static void test_full_begun(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		feed_line('a', 4000);
	feed("0123456789012345678901234567");
	assert_int_equal(fill(1), 1);
	check_log(&bench->refused, "");
	feed("x");
	assert_int_equal(fill(1), 1);
	check_log(&bench->refused, "20123456789012345678901234567x\n");
	feed("rest\nfits\n");
	assert_int_equal(fill(1), 1);
	check_log(&bench->refused, "20123456789012345678901234567x\n");
	take(3);
	bench->orders.used = 0;
	take(9);
	check_log(&bench->orders, "fits\n");
}

static void test_closed(void **state)
{
	(void)state;
	(void)close(ends[1]);
	ends[1] = -1;
	assert_int_equal(pad_fill(bench->pad, ends[0], 0, 1, refused, &bench->refused), -EPIPE);
	assert_int_equal(pad_fill(bench->pad, -1, 0, 1, refused, &bench->refused), -EBADF);
}

/* Any lengths in any pieces, the ring round and round. */
static void test_random(void **state)
{
	struct log *sent = calloc(1, sizeof(*sent));
	size_t fed = 0, checked = 0;
	uint64_t dice = 1;

	(void)state;
	assert_non_null(sent);
	for (unsigned round = 0; round < 20000; round++) {
		char line[300];
		size_t length = (size_t)random_below(&dice, sizeof(line));

		for (size_t i = 0; i < length; i++)
			line[i] = (char)('a' + random_below(&dice, 26));
		log_add(sent, line, length);
		length = (size_t)random_below(&dice, (sent->used - fed + 1));
		feed_bytes(sent->bytes + fed, length);
		fed += length;
		(void)fill(1);
		take((size_t)random_below(&dice, 6));
		if (sent->used < LOG_MAX / 2)
			continue;
		take(SIZE_MAX);
		feed_bytes(sent->bytes + fed, sent->used - fed);
		(void)fill(1);
		take(SIZE_MAX);
		assert_int_equal(bench->orders.used, sent->used);
		assert_memory_equal(bench->orders.bytes, sent->bytes, sent->used);
		checked += sent->used;
		bench->orders.used = sent->used = fed = 0;
	}
	assert_int_equal(bench->refused.used, 0);
	assert_true(checked > PAD_ROOM * 10);
	free(sent);
}

static void test_unsound(void **state)
{
	(void)state;
	assert_true(pad_is_sound(bench->pad, 0));
	assert_false(pad_is_sound(bench->pad, 1));
	feed("a\n");
	(void)fill(1);
	assert_true(pad_is_sound(bench->pad, 2));
	assert_false(pad_is_sound(bench->pad, 3));
	bench->pad[0] ^= 1;
	assert_false(pad_is_sound(bench->pad, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lines),
		TEST(test_nul),
		TEST(test_unfinished),
		TEST(test_torn),
		TEST(test_unfinished_then_more),
		TEST(test_unfinished_in_the_next_process),
		TEST(test_closed_and_gone_on_with),
		TEST(test_long),
		TEST(test_very_long),
		TEST(test_long_without_end),
		TEST(test_full),
		TEST(test_full_begun),
		TEST(test_closed),
		TEST(test_random),
		TEST(test_unsound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
