/*
 * A descriptor beside the socket (wire.h, note on the side): whatever the thread waits for, it is
 * heard, and so is mail; neither it nor the socket keeps the other from its turn, and time-outs
 * stay what they are.
 *
 * A lost wake-up shows as a test that does not end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "converse/wire.h"
#include "pairs.h"

#define WAKERS 4 /* by mail; one more writes to the side */
#define SIDE   WAKERS

/* A wire with a side. */
struct stage {
	struct wire wire;
	int client;
	int side; /* the other end of the side */
	int own;  /* what the wire's side is, which is never its own */
};

static void open_stage(struct stage *stage, struct pair pair)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	*stage = (struct stage){.client = pair.client, .side = ends[1], .own = ends[0]};
	wire_init(&stage->wire, pair.server, false);
	stage->wire.side = ends[0];
}

static void close_stage(struct stage *stage)
{
	wire_done(&stage->wire);
	if (stage->client >= 0)
		(void)close(stage->client);
	(void)close(stage->side);
	(void)close(stage->own);
}

static void write_side(const struct stage *stage)
{
	assert_int_equal(write(stage->side, "x", 1), 1);
}

static void read_side(const struct stage *stage)
{
	char byte;

	assert_int_equal(read(stage->own, &byte, 1), 1);
}

static void client_says(const struct stage *stage, const char *text)
{
	assert_int_equal(send(stage->client, text, strlen(text), 0), strlen(text));
}

/* Sends until the client's host takes no more. */
static void fill(struct stage *stage)
{
	static char bytes[65536];

	while (send(stage->wire.fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
}

static void empty(const struct stage *stage)
{
	static char bytes[65536];

	while (recv(stage->client, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void check_either_wakes(struct pair pair)
{
	struct stage stage;
	char bytes[8];

	open_stage(&stage, pair);
	wire_attach(&stage.wire);
	client_says(&stage, "ab");
	assert_int_equal(wire_receive(&stage.wire, bytes, 8, USEC_NEVER), 2);
	assert_memory_equal(bytes, "ab", 2);
	write_side(&stage);
	assert_int_equal(wire_receive(&stage.wire, bytes, 8, USEC_NEVER), -EINTR);
	assert_int_equal(wire_take_mail(&stage.wire), MAIL_SIDE);
	/* As long as it is readable. */
	assert_int_equal(wire_wait(&stage.wire, true, USEC_NEVER), -EINTR);
	assert_int_equal(wire_take_mail(&stage.wire), MAIL_SIDE);
	assert_int_equal(wire_wait(&stage.wire, false, USEC_NEVER), -EINTR);
	assert_int_equal(wire_take_mail(&stage.wire), MAIL_SIDE);
	fill(&stage);
	assert_int_equal(wire_send(&stage.wire, "x", 1, USEC_NEVER), -EINTR);
	assert_int_equal(wire_take_mail(&stage.wire), MAIL_SIDE);
	read_side(&stage);
	/* And not longer. */
	assert_int_equal(wire_receive(&stage.wire, bytes, 8, 2000), -EAGAIN);
	assert_int_equal(wire_send(&stage.wire, "x", 1, 2000), -EAGAIN);
	assert_int_equal(wire_wait(&stage.wire, true, 2000), -EAGAIN);
	empty(&stage);
	assert_int_equal(wire_send(&stage.wire, "x", 1, USEC_NEVER), 1);
	client_says(&stage, "c");
	assert_int_equal(wire_wait(&stage.wire, true, USEC_NEVER), 0);
	assert_int_equal(wire_receive(&stage.wire, bytes, 8, USEC_NEVER), 1);
	assert_int_equal(wire_take_mail(&stage.wire), 0);
	close_stage(&stage);
}

static void test_either_wakes(void **state)
{
	(void)state;
	check_either_wakes(unix_pair());
	check_either_wakes(tcp_pair());
}

/* Mail comes before both, and is told with the side if that is there. */
static void test_mail_and_both(void **state)
{
	struct stage stage;
	char byte;

	(void)state;
	open_stage(&stage, unix_pair());
	wire_attach(&stage.wire);
	client_says(&stage, "a");
	write_side(&stage);
	wire_wake(&stage.wire, MAIL_WISH);
	assert_int_equal(wire_receive(&stage.wire, &byte, 1, USEC_NEVER), -EINTR);
	assert_int_equal(wire_take_mail(&stage.wire) & ~MAIL_SIDE, MAIL_WISH);
	wire_wake(&stage.wire, MAIL_STOP);
	assert_int_equal(wire_send(&stage.wire, "b", 1, USEC_NEVER), -EINTR);
	wire_wake(&stage.wire, MAIL_FREEZE);
	assert_int_equal(wire_wait(&stage.wire, true, USEC_NEVER), -EINTR);
	assert_int_equal(wire_take_mail(&stage.wire) & ~MAIL_SIDE, MAIL_STOP | MAIL_FREEZE);
	read_side(&stage);
	assert_int_equal(wire_receive(&stage.wire, &byte, 1, USEC_NEVER), 1);
	/* Without a side it is as if there had been none, O_NONBLOCK of wakers included. */
	wire_wake(&stage.wire, MAIL_STOP);
	assert_int_equal(wire_take_mail(&stage.wire), MAIL_STOP);
	stage.wire.side = -1;
	write_side(&stage);
	assert_int_equal(wire_receive(&stage.wire, &byte, 1, 2000), -EAGAIN);
	assert_int_equal(fcntl(stage.wire.fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(wire_take_mail(&stage.wire), 0);
	close_stage(&stage);
}

/* Both always have something: each of them gets its turn again and again. */
static void check_fair(struct pair pair, bool sends)
{
	unsigned socket = 0, side = 0, streak = 0, longest = 0;
	int last = 0;
	struct stage stage;
	char byte = 'x';

	open_stage(&stage, pair);
	wire_attach(&stage.wire);
	write_side(&stage);
	for (unsigned i = 0; i < 1000; i++) {
		int n;

		if (!sends && last != -EINTR)
			client_says(&stage, "a");
		n = (int)(sends ? wire_send(&stage.wire, &byte, 1, USEC_NEVER)
				: wire_receive(&stage.wire, &byte, 1, USEC_NEVER));
		assert_true(n == 1 || n == -EINTR);
		assert_int_equal(wire_take_mail(&stage.wire), n == 1 ? 0 : MAIL_SIDE);
		if (sends)
			empty(&stage);
		socket += n == 1;
		side += n != 1;
		streak = n == last ? streak + 1 : 1;
		last = n;
		if (streak > longest)
			longest = streak;
	}
	assert_in_range(socket, 300, 700);
	assert_in_range(side, 300, 700);
	assert_in_range(longest, 1, 2);
	close_stage(&stage);
}

static void test_fair(void **state)
{
	(void)state;
	check_fair(unix_pair(), false);
	check_fair(unix_pair(), true);
	check_fair(tcp_pair(), false);
	check_fair(tcp_pair(), true);
}

/* The same where the side is heard in other waits than the socket. */
static void test_fair_while_holding(void **state)
{
	struct stage stage;
	unsigned socket = 0;

	(void)state;
	open_stage(&stage, tcp_pair());
	wire_attach(&stage.wire);
	write_side(&stage);
	client_says(&stage, "early");
	for (unsigned i = 0; i < 100; i++) {
		int r = wire_wait(&stage.wire, true, USEC_NEVER);

		assert_true(r == 0 || r == -EINTR);
		assert_int_equal(wire_take_mail(&stage.wire), r == 0 ? 0 : MAIL_SIDE);
		socket += r == 0;
	}
	assert_in_range(socket, 30, 70);
	close_stage(&stage);
}

static void test_timeouts(void **state)
{
	struct stage stage;
	char byte;

	(void)state;
	open_stage(&stage, unix_pair());
	wire_attach(&stage.wire);
	for (int i = 0; i < 5; i++) {
		usec_t start = clock_now();

		assert_int_equal(wire_receive(&stage.wire, &byte, 1, 20000), -EAGAIN);
		/* Not at once, as a leftover of the wake-up would have it. */
		assert_true(clock_now() - start >= 20000);
		wire_wake(&stage.wire, MAIL_STOP);
		assert_int_equal(wire_receive(&stage.wire, &byte, 1, 2000), -EINTR);
		assert_int_equal(wire_take_mail(&stage.wire), MAIL_STOP);
		start = clock_now();
		assert_int_equal(wire_wait(&stage.wire, i % 2 == 0, 20000), -EAGAIN);
		assert_true(clock_now() - start >= 20000);
	}
	fill(&stage);
	assert_int_equal(wire_send(&stage.wire, "b", 1, 2000), -EAGAIN);
	/* What is there is had, however late one comes. */
	client_says(&stage, "a");
	assert_int_equal(wire_receive(&stage.wire, &byte, 1, 0), 1);
	close_stage(&stage);
}

static void check_gone(struct pair pair)
{
	struct stage stage;
	char byte;

	open_stage(&stage, pair);
	wire_attach(&stage.wire);
	assert_int_equal(shutdown(stage.client, SHUT_WR), 0);
	assert_int_equal(wire_receive(&stage.wire, &byte, 1, USEC_NEVER), 0);
	/* Only half of it. */
	assert_int_equal(wire_wait(&stage.wire, true, 2000), -EAGAIN);
	assert_int_equal(wire_send(&stage.wire, "b", 1, USEC_NEVER), 1);
	write_side(&stage);
	assert_int_equal(wire_wait(&stage.wire, true, USEC_NEVER), -EINTR);
	assert_int_equal(wire_take_mail(&stage.wire), MAIL_SIDE);
	read_side(&stage);
	(void)close(stage.client);
	stage.client = -1;
	assert_true(wire_wait(&stage.wire, false, USEC_NEVER) < 0);
	assert_true(wire_send(&stage.wire, "b", 1, USEC_NEVER) < 0);
	assert_int_equal(wire_take_mail(&stage.wire), 0);
	close_stage(&stage);
}

static void test_gone(void **state)
{
	(void)state;
	check_gone(unix_pair());
	check_gone(tcp_pair());
}

/* Looked at first and taken out later, with a side. */
static void test_peeking(void **state)
{
	const int from_the_start = 0;
	struct stage stage;
	struct pair pair = unix_pair();
	char bytes[16], again[16];

	(void)state;
	assert_int_equal(setsockopt(pair.server, SOL_SOCKET, SO_PEEK_OFF, &from_the_start,
				    sizeof(from_the_start)),
			 0);
	open_stage(&stage, pair);
	stage.wire.peeks = true;
	wire_attach(&stage.wire);
	for (unsigned i = 0; i < 100; i++) {
		ssize_t n = -EINTR;

		client_says(&stage, "one two");
		if (i % 2 == 0)
			write_side(&stage);
		/* Not only when the side has nothing more to say. */
		while (n == -EINTR) {
			n = wire_receive(&stage.wire, bytes, 3, USEC_NEVER);
			assert_int_equal(wire_take_mail(&stage.wire), n == -EINTR ? MAIL_SIDE : 0);
		}
		assert_int_equal(n, 3);
		assert_memory_equal(bytes, "one", 3);
		assert_int_equal(wire_consume(&stage.wire, again, 3), 0);
		assert_memory_equal(again, "one", 3);
		if (i % 2 == 0)
			read_side(&stage);
		assert_int_equal(wire_receive(&stage.wire, bytes, 16, USEC_NEVER), 4);
		assert_memory_equal(bytes, " two", 4);
		assert_int_equal(wire_consume(&stage.wire, again, 4), 0);
		assert_int_equal(wire_receive(&stage.wire, bytes, 16, 1), -EAGAIN);
	}
	close_stage(&stage);
}

/* How far each has come: a waker goes on once what it put before was taken. */
struct stress {
	struct stage stage;
	bool sends;
	unsigned rounds; /* of each waker */
	_Atomic unsigned taken[WAKERS + 1];
};

struct waker {
	struct stress *stress;
	unsigned number;
};

static void *wake_often(void *argument)
{
	const struct waker *waker = argument;
	struct stress *stress = waker->stress;
	uint64_t seed = waker->number + 1;

	for (unsigned i = 0; i < stress->rounds; i++) {
		/* Just as it falls asleep: at any step from the last look at the box to there. */
		for (unsigned j = 0; j < 10000 && wire_progress(&stress->stage.wire) % 2 != 0; j++)
			;
		for (volatile uint64_t j = at_random(&seed) % 128; j > 0; j = j - 1)
			;
		if (waker->number == SIDE)
			(void)!write(stress->stage.side, "x", 1);
		else
			wire_wake(&stress->stage.wire, 1u << waker->number);
		for (unsigned j = 1; atomic_load(&stress->taken[waker->number]) <= i; j++)
			if (j % 4096 == 0)
				(void)sched_yield();
	}
	return NULL;
}

static ssize_t block(struct stress *stress)
{
	static char bytes[65536];
	ssize_t n;

	if (!stress->sends)
		return wire_receive(&stress->stage.wire, bytes, 1, USEC_NEVER);
	do
		n = wire_send(&stress->stage.wire, bytes, sizeof(bytes), USEC_NEVER);
	while (n > 0);
	return n;
}

/* Sleeps, is woken, takes the mail; until it has had as many of each as were put. */
static void *sleep_often(void *argument)
{
	static char not_woken[] = "not woken", no_mail[] = "woken by nothing",
		    no_byte[] = "the side has nothing";
	struct stress *stress = argument;
	unsigned left = (WAKERS + 1) * stress->rounds;

	wire_attach(&stress->stage.wire);
	while (left > 0) {
		unsigned mail;
		ssize_t n = block(stress);
		char byte;

		if (n != -EINTR)
			return not_woken;
		mail = wire_take_mail(&stress->stage.wire);
		if (mail == 0)
			return no_mail;
		if ((mail & MAIL_SIDE) != 0 && read(stress->stage.own, &byte, 1) != 1)
			return no_byte;
		for (unsigned i = 0; i <= WAKERS; i++) {
			if ((mail & 1u << i) == 0)
				continue;
			left--;
			(void)atomic_fetch_add(&stress->taken[i], 1);
		}
	}
	return NULL;
}

static void run_stress(struct pair pair, bool sends)
{
	struct stress stress = {.sends = sends, .rounds = repeat(20000)};
	struct waker wakers[WAKERS + 1];
	pthread_t threads[WAKERS + 1], sleeper;
	void *complaint = NULL;

	assert_int_equal(MAIL_SIDE, 1u << SIDE);
	open_stage(&stress.stage, pair);
	assert_int_equal(pthread_create(&sleeper, NULL, sleep_often, &stress), 0);
	for (unsigned i = 0; i <= WAKERS; i++) {
		wakers[i] = (struct waker){.stress = &stress, .number = i};
		assert_int_equal(pthread_create(&threads[i], NULL, wake_often, &wakers[i]), 0);
	}
	(void)pthread_join(sleeper, &complaint);
	if (complaint != NULL)
		fail_msg("%s", (const char *)complaint);
	for (unsigned i = 0; i <= WAKERS; i++)
		(void)pthread_join(threads[i], NULL);
	assert_int_equal(wire_progress(&stress.stage.wire) % 2, 1);
	wire_detach(&stress.stage.wire, false);
	close_stage(&stress.stage);
}

static void test_woken_often(void **state)
{
	(void)state;
	run_stress(unix_pair(), false);
	run_stress(tcp_pair(), false);
	run_stress(unix_pair(), true);
	run_stress(tcp_pair(), true);
}

static int set_up(void **state)
{
	(void)state;
	wire_init_signal();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_either_wakes), cmocka_unit_test(test_mail_and_both),
		cmocka_unit_test(test_fair),         cmocka_unit_test(test_fair_while_holding),
		cmocka_unit_test(test_timeouts),     cmocka_unit_test(test_gone),
		cmocka_unit_test(test_peeking),      cmocka_unit_test(test_woken_often),
	};

	return cmocka_run_group_tests_name("converse/wire-side", tests, set_up, NULL);
}
