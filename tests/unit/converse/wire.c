/*
 * Calls that sleep in the kernel and are woken: no wake-up is lost, whatever the instant it comes
 * at, and a time-out is never taken for one.
 *
 * A lost wake-up shows as a test that does not end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "converse/wire.h"
#include "pairs.h"

#define WAKERS 4

static void test_mail_first(void **state)
{
	struct pair pair = unix_pair();
	struct wire wire;
	char byte;

	(void)state;
	wire_init(&wire, pair.server, false);
	wire_attach(&wire);
	assert_int_equal(wire_take_mail(&wire), 0);
	wire_wake(&wire, MAIL_STOP);
	wire_wake(&wire, MAIL_FREEZE);
	/* Mail comes before input, and stays until it is taken. */
	assert_int_equal(send(pair.client, "a", 1, 0), 1);
	assert_int_equal(wire_receive(&wire, &byte, 1, USEC_NEVER), -EINTR);
	assert_int_equal(wire_send(&wire, "b", 1, USEC_NEVER), -EINTR);
	assert_int_equal(wire_take_mail(&wire), MAIL_STOP | MAIL_FREEZE);
	assert_int_equal(wire_take_mail(&wire), 0);
	/* And it leaves nothing behind: these wait and work as ever. */
	assert_int_equal(wire_receive(&wire, &byte, 1, USEC_NEVER), 1);
	assert_int_equal(wire_receive(&wire, &byte, 1, 1000), -EAGAIN);
	assert_int_equal(wire_send(&wire, "b", 1, USEC_NEVER), 1);
	assert_int_equal(recv(pair.client, &byte, 1, 0), 1);
	(void)close(pair.client);
	assert_int_equal(wire_receive(&wire, &byte, 1, USEC_NEVER), 0);
	assert_int_equal(wire_send(&wire, "b", 1, USEC_NEVER), -EPIPE);
	wire_detach(&wire, false);
	wire_wake(&wire, MAIL_ABORT); /* late, and harmless */
	wire_done(&wire);
}

/* How far each side has come: a waker puts its next mail once the one before was taken. */
struct stress {
	struct wire wire;
	bool sends;
	unsigned wakers;
	unsigned rounds; /* of each waker */
	_Atomic unsigned taken[WAKERS];
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
		for (unsigned j = 0; j < 10000 && wire_progress(&stress->wire) % 2 != 0; j++)
			;
		for (volatile uint64_t j = at_random(&seed) % 128; j > 0; j = j - 1)
			;
		wire_wake(&stress->wire, 1u << waker->number);
		/* Spinning, so as to be there when the thread comes back to its socket. */
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
		return wire_receive(&stress->wire, bytes, 1, USEC_NEVER);
	do
		n = wire_send(&stress->wire, bytes, sizeof(bytes), USEC_NEVER);
	while (n > 0);
	return n;
}

/* Sleeps, is woken, takes the mail; until it has had as many of each as were put. */
static void *sleep_often(void *argument)
{
	static char not_woken[] = "not woken", no_mail[] = "woken by nothing";
	struct stress *stress = argument;
	unsigned left = stress->wakers * stress->rounds;

	wire_attach(&stress->wire);
	while (left > 0) {
		unsigned mail;
		ssize_t n = block(stress);

		if (n != -EINTR)
			return not_woken;
		mail = wire_take_mail(&stress->wire);
		if (mail == 0)
			return no_mail;
		for (unsigned i = 0; i < WAKERS; i++) {
			if ((mail & 1u << i) == 0)
				continue;
			left--;
			(void)atomic_fetch_add(&stress->taken[i], 1);
		}
	}
	return NULL;
}

/* A single waker is alone with what it lost: no other one helps. */
static void run_stress(struct pair pair, bool sends, unsigned n)
{
	struct stress stress = {.sends = sends,
				.wakers = n,
				.rounds = repeat(n > 1 ? 20000 : 200000)};
	struct waker wakers[WAKERS];
	pthread_t threads[WAKERS], sleeper;
	void *complaint = NULL;

	wire_init(&stress.wire, pair.server, false);
	assert_int_equal(pthread_create(&sleeper, NULL, sleep_often, &stress), 0);
	for (unsigned i = 0; i < n; i++) {
		wakers[i] = (struct waker){.stress = &stress, .number = i};
		assert_int_equal(pthread_create(&threads[i], NULL, wake_often, &wakers[i]), 0);
	}
	(void)pthread_join(sleeper, &complaint);
	if (complaint != NULL)
		fail_msg("%s", (const char *)complaint);
	for (unsigned i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
	assert_int_equal(wire_progress(&stress.wire) % 2, 1);
	wire_detach(&stress.wire, false);
	wire_done(&stress.wire);
	(void)close(pair.client);
}

static void test_woken_receiving(void **state)
{
	(void)state;
	run_stress(unix_pair(), false, 1);
	run_stress(tcp_pair(), false, 1);
	run_stress(unix_pair(), false, WAKERS);
	run_stress(tcp_pair(), false, WAKERS);
}

static void test_woken_sending(void **state)
{
	(void)state;
	run_stress(unix_pair(), true, 1);
	run_stress(tcp_pair(), true, 1);
	run_stress(unix_pair(), true, WAKERS);
	run_stress(tcp_pair(), true, WAKERS);
}

/* Asleep for certain, not about to: the progress is even and stays so. */
static void test_woken_asleep(void **state)
{
	struct stress stress = {.rounds = 0};
	struct pair pair = unix_pair();
	pthread_t sleeper;
	void *complaint = NULL;

	(void)state;
	stress = (struct stress){.wakers = WAKERS, .rounds = 1};
	wire_init(&stress.wire, pair.server, false);
	assert_int_equal(wire_progress(&stress.wire) % 2, 1);
	assert_int_equal(pthread_create(&sleeper, NULL, sleep_often, &stress), 0);
	for (unsigned i = 0; i < WAKERS; i++) {
		while (wire_progress(&stress.wire) % 2 != 0)
			(void)sched_yield();
		wire_wake(&stress.wire, 1u << i);
		while (atomic_load(&stress.taken[i]) == 0)
			(void)sched_yield();
	}
	(void)pthread_join(sleeper, &complaint);
	assert_null(complaint);
	wire_done(&stress.wire);
	(void)close(pair.client);
}

/* Time-outs as such, with and without mail around them. */
static void test_timeouts(void **state)
{
	static char bytes[65536];
	struct pair pair = unix_pair();
	struct wire wire;
	ssize_t n;

	(void)state;
	wire_init(&wire, pair.server, false);
	wire_attach(&wire);
	for (int i = 0; i < 10; i++) {
		usec_t start = clock_now();

		assert_int_equal(wire_receive(&wire, bytes, 1, 20000), -EAGAIN);
		/* Not at once, as a leftover of the wake-up would have it. */
		assert_true(clock_now() - start >= 5000);
		wire_wake(&wire, MAIL_STOP);
		assert_int_equal(wire_receive(&wire, bytes, 1, 2000), -EINTR);
		assert_int_equal(wire_take_mail(&wire), MAIL_STOP);
	}
	do
		n = wire_send(&wire, bytes, sizeof(bytes), 2000);
	while (n > 0);
	assert_int_equal(n, -EAGAIN);
	wire_wake(&wire, MAIL_ABORT);
	assert_int_equal(wire_send(&wire, bytes, sizeof(bytes), 2000), -EINTR);
	assert_int_equal(wire_take_mail(&wire), MAIL_ABORT);
	assert_int_equal(wire_send(&wire, bytes, sizeof(bytes), 2000), -EAGAIN);
	assert_int_equal(fcntl(wire.fd, F_GETFL) & O_NONBLOCK, 0);
	wire_done(&wire);
	(void)close(pair.client);
}

static struct timeval timeout_of(int fd, int option)
{
	struct timeval value = {.tv_sec = -1};
	socklen_t size = sizeof(value);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, option, &value, &size), 0);
	return value;
}

/* A socket that another process left with time-outs, and perhaps in the middle of a wake-up. */
static void test_carried(void **state)
{
	const struct timeval hour = {.tv_sec = 3600};
	struct pair pair = unix_pair();
	struct wire wire;
	char byte;

	(void)state;
	assert_int_equal(setsockopt(pair.server, SOL_SOCKET, SO_RCVTIMEO, &hour, sizeof(hour)), 0);
	assert_int_equal(setsockopt(pair.server, SOL_SOCKET, SO_SNDTIMEO, &hour, sizeof(hour)), 0);
	assert_int_equal(fcntl(pair.server, F_SETFL, O_NONBLOCK), 0);
	wire_init(&wire, pair.server, true);
	wire_attach(&wire);
	assert_int_equal(wire_receive(&wire, &byte, 1, 2000), -EAGAIN);
	assert_int_equal(timeout_of(wire.fd, SO_RCVTIMEO).tv_sec, 0);
	assert_int_equal(fcntl(wire.fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(send(pair.client, "a", 1, 0), 1);
	assert_int_equal(wire_receive(&wire, &byte, 1, USEC_NEVER), 1);
	assert_int_equal(timeout_of(wire.fd, SO_RCVTIMEO).tv_sec, 0);
	assert_int_equal(timeout_of(wire.fd, SO_RCVTIMEO).tv_usec, 0);
	assert_int_equal(wire_send(&wire, "b", 1, USEC_NEVER), 1);
	assert_int_equal(timeout_of(wire.fd, SO_SNDTIMEO).tv_sec, 0);
	assert_int_equal(timeout_of(wire.fd, SO_SNDTIMEO).tv_usec, 0);
	assert_int_equal(wire_send(&wire, "b", 1, 7 * USEC_PER_SEC), 1);
	assert_int_equal(timeout_of(wire.fd, SO_SNDTIMEO).tv_sec, 7);
	wire_done(&wire);
	(void)close(pair.client);
}

/* Looked at first, taken out later; the socket knows the distance. */
static void test_peeking(void **state)
{
	struct pair pair = unix_pair();
	struct wire wire;
	const int from_the_start = 0;
	int distance = -1;
	socklen_t size = sizeof(distance);
	char bytes[16], again[16];

	(void)state;
	assert_int_equal(setsockopt(pair.server, SOL_SOCKET, SO_PEEK_OFF, &from_the_start,
				    sizeof(from_the_start)),
			 0);
	wire_init(&wire, pair.server, false);
	wire.peeks = true;
	wire_attach(&wire);
	assert_int_equal(send(pair.client, "one two three", 13, 0), 13);
	assert_int_equal(wire_receive(&wire, bytes, 4, USEC_NEVER), 4);
	assert_memory_equal(bytes, "one ", 4);
	assert_int_equal(wire_receive(&wire, bytes, 4, USEC_NEVER), 4);
	assert_memory_equal(bytes, "two ", 4);
	assert_int_equal(getsockopt(wire.fd, SOL_SOCKET, SO_PEEK_OFF, &distance, &size), 0);
	assert_int_equal(distance, 8);
	assert_int_equal(wire_consume(&wire, again, 8), 0);
	assert_memory_equal(again, "one two ", 8);
	assert_int_equal(getsockopt(wire.fd, SOL_SOCKET, SO_PEEK_OFF, &distance, &size), 0);
	assert_int_equal(distance, 0);
	assert_int_equal(wire_receive(&wire, bytes, sizeof(bytes), USEC_NEVER), 5);
	assert_memory_equal(bytes, "three", 5);
	/* Seen is seen: nothing new. */
	assert_int_equal(wire_receive(&wire, bytes, sizeof(bytes), 2000), -EAGAIN);
	assert_int_equal(wire_consume(&wire, again, 5), 0);
	assert_memory_equal(again, "three", 5);
	(void)close(pair.client);
	assert_int_equal(wire_receive(&wire, bytes, sizeof(bytes), USEC_NEVER), 0);
	assert_int_equal(wire_consume(&wire, again, 1), -ECONNRESET);
	wire_done(&wire);
}

/* All was heard: only once the other side has our end and nothing of it waits. */
static void test_settled(void **state)
{
	struct pair pair = tcp_pair();
	struct wire wire;
	char bytes[8];

	(void)state;
	wire_init(&wire, pair.server, false);
	wire_attach(&wire);
	assert_false(wire_is_settled(&wire));
	assert_int_equal(wire_send(&wire, "bye", 3, USEC_NEVER), 3);
	wire_shut(&wire);
	assert_int_equal(recv(pair.client, bytes, 3, MSG_WAITALL), 3);
	assert_int_equal(recv(pair.client, bytes, 1, 0), 0);
	/* The client's host may take its time to acknowledge. */
	while (!wire_is_settled(&wire))
		(void)sched_yield();
	assert_int_equal(send(pair.client, "late", 4, 0), 4);
	assert_int_equal(poll(&(struct pollfd){.fd = wire.fd, .events = POLLIN}, 1, -1), 1);
	assert_false(wire_is_settled(&wire));
	assert_int_equal(wire_receive(&wire, bytes, sizeof(bytes), USEC_NEVER), 4);
	assert_true(wire_is_settled(&wire));
	wire_done(&wire);
	(void)close(pair.client);
}

/* Broken off, although another holds a duplicate. */
static void test_reset(void **state)
{
	struct pair pair = tcp_pair();
	int duplicate = fcntl(pair.server, F_DUPFD_CLOEXEC, 0);
	struct wire wire;
	char byte;

	(void)state;
	assert_true(duplicate >= 0);
	wire_init(&wire, pair.server, false);
	wire_attach(&wire);
	wire_detach(&wire, true);
	assert_int_equal(recv(pair.client, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	wire_done(&wire);
	(void)close(duplicate);
	(void)close(pair.client);
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
		cmocka_unit_test(test_mail_first),    cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_carried),       cmocka_unit_test(test_peeking),
		cmocka_unit_test(test_settled),       cmocka_unit_test(test_reset),
		cmocka_unit_test(test_woken_asleep),  cmocka_unit_test(test_woken_receiving),
		cmocka_unit_test(test_woken_sending),
	};

	return cmocka_run_group_tests_name("converse/wire", tests, set_up, NULL);
}
