/*
 * What is left in FIFOs when a conversation ends, or the service: each order is refused with an
 * event, or counted in one, and whoever writes without end keeps nothing from ending.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "channel-world.h"
#include "respond/operator/channel-fifo.h"
#include "respond/operator/channel-priv.h"

/* Who waits for a FIFO of a daemon that has gone to be opened is heard by the next one. */
static void test_left_in(void **state)
{
	const struct world *world = *state;
	auto_close int fd = -1;

	world_open(world, USEC_NEVER);
	channel_close();
	fd = open(world_path(world, "in"), O_RDWR | O_CLOEXEC);
	assert_int_equal(write(fd, "17 before\n", 10), 10);
	world_open(world, USEC_NEVER);
	world_await(world, "events", " refused 17 no-conversation: before\n", 1);
	channel_close();
}

/* When the service stops there is a last look, at what came with nobody to pass it on; the FIFO
 * stays, and nothing is left in it. */
static void test_end(void **state)
{
	const struct world *world = *state;
	auto_close int fd = -1;
	char *line = malloc(300000);
	struct place *place;

	assert_non_null(line);
	(void)memset(line, 'x', 300000);
	world_open(world, USEC_NEVER);
	place = world_place(17);
	fd = open(world_path(world, "in"), O_WRONLY | O_CLOEXEC);
	assert_true(fcntl(fd, F_SETPIPE_SZ, 1024 * 1024) > 0);
	world_put(world, "17 wh", 5);
	channel_rest();
	world_put(world, "ole\n17 two\n* three\nabc\n", 23);
	world_put(world, line, 300000);
	world_put(world, "\n18 x", 5);
	channel_end();
	world_await(world, "events", " refused 17 no-conversation: whole\n", 1);
	world_await(world, "events", " refused 17 no-conversation: two\n", 1);
	world_await(world, "events", " refused - no-conversation: * three\n", 1);
	world_await(world, "events", " refused - malformed: abc\n", 1);
	world_await(world, "events", " refused - too-long: xxx", 1);
	world_await(world, "events", " refused 18 unfinished: x\n", 1);
	world_put(world, "19 last\n", 8);
	place_close(place, "stop", false);
	channel_close();
	world_await(world, "events", " refused 19 no-conversation: last\n", 1);
	world_await(world, "events", " refused ", 7);
	assert_int_equal(write(fd, "late\n", 5), -1);
	assert_int_equal(errno, EPIPE);
	world_await_path(world, "in", true);
	/* The next one passes on as ever. */
	world_open(world, USEC_NEVER);
	place = world_place(20);
	assert_true(world_order(world, "in", "20 Bonjour"));
	assert_string_equal(world_take(place), "Bonjour\n");
	place_close(place, "end-word", false);
	(void)world_check_numbers(world, 1);
	channel_close();
	free(line);
}

/* What opens with its first conversation does not when that comes after the end. */
static void test_end_unopened(void **state)
{
	const struct world *world = *state;
	struct place_about about = world_about(17);
	struct place *place = NULL;

	assert_int_equal(channel_open(world->path, USEC_NEVER, false), 0);
	channel_end();
	assert_int_equal(place_make(&about, &place), -ESHUTDOWN);
	assert_null(place);
	channel_close();
	world_await_path(world, "in", false);
}

static void *make_place(void *argument)
{
	struct place_about about = world_about(17);

	if (place_make(&about, argument) < 0)
		*(struct place **)argument = NULL;
	return NULL;
}

/* It opens while the service stops: all that is written is refused, or there was nobody to write
 * to. */
static void test_end_while_it_opens(void **state)
{
	const struct world *world = *state;
	size_t lines = 0;

	for (int i = 0; i < 50; i++) {
		struct place *place = NULL;
		pthread_t thread;

		assert_int_equal(channel_open(world->path, USEC_NEVER, false), 0);
		assert_int_equal(thread_start(&thread, "maker", NULL, 0, make_place, &place), 0);
		for (int k = 0; k < i; k++)
			(void)sched_yield();
		channel_end();
		thread_join(thread);
		if (place != NULL) {
			assert_true(world_order(world, "in", "17 late"));
			place_close(place, "stop", false);
			lines++;
		}
		channel_close();
		assert_int_equal(world_count(world, "events",
					     " refused 17 no-conversation: late\n"),
				 lines);
	}
}

/* Begins a process that writes LINE to DIRECTORY/in without end, and waits until it does. */
static pid_t begin_flood(const struct world *world, const char *line)
{
	auto_close int fd = open(world_path(world, "in"), O_WRONLY | O_CLOEXEC);
	pid_t parent = getpid();
	int inside = 0;
	pid_t child;

	assert_true(fd >= 0);
	child = world_fork();
	if (child == 0) {
		while (getppid() == parent && write(fd, line, strlen(line)) > 0)
			;
		_exit(0);
	}
	while (inside == 0)
		assert_int_equal(ioctl(fd, FIONREAD, &inside), 0);
	return child;
}

/* Who writes without end does not keep the service from stopping. */
static void test_end_flooded(void **state)
{
	const struct world *world = *state;
	uint64_t told;
	pid_t child;

	world_open(world, USEC_NEVER);
	channel_rest();
	child = begin_flood(world, "zz\n");
	channel_end();
	channel_close();
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	told = world_check_numbers(world, 1);
	assert_true(told > 0 && told <= (uint64_t)2 * (CHANNEL_REFUSED_MAX + 1));
	/* Without end, but as long as the daemon runs: what was read meanwhile waits. */
	world_open(world, USEC_NEVER);
	child = begin_flood(world, "\n");
	world_await_path(world, "events.1", true);
	channel_rest();
	told = channel.table->last_event;
	channel_end();
	assert_true(channel.table->last_event <= told + CHANNEL_REFUSED_MAX + 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	channel_close();
}

/* How many there were is told all the same. */
static void test_end_many(void **state)
{
	const struct world *world = *state;
	const size_t n = 20000;
	char *lines = malloc(n * 3);
	struct place *place;
	char text[64];

	assert_non_null(lines);
	world_open(world, USEC_NEVER);
	place = world_place(17);
	(void)memset(lines, '\n', n);
	assert_int_equal(write(place_fd(place), lines, n), n);
	place_close(place, "end-word", false);
	(void)snprintf(text, sizeof(text), " refused 17 too-many: %zu more orders\n",
		       n - CHANNEL_REFUSED_MAX);
	assert_int_equal(world_count(world, "events", text), 1);
	assert_int_equal(world_count(world, "events", " refused 17 no-conversation: \n"),
			 CHANNEL_REFUSED_MAX);
	channel_rest();
	(void)memset(lines, 'z', n * 3);
	for (size_t i = 0; i < n; i++)
		lines[3 * i + 2] = '\n';
	world_put(world, lines, n * 3);
	channel_end();
	(void)snprintf(text, sizeof(text), " refused - too-many: %zu more orders\n",
		       n - CHANNEL_REFUSED_MAX);
	assert_int_equal(world_count(world, "events", text), 1);
	assert_int_equal(world_count(world, "events", " refused - malformed: zz\n"),
			 CHANNEL_REFUSED_MAX);
	(void)world_check_numbers(world, 1);
	channel_close();
	free(lines);
}

/* A process stopped, or died, with much that it had read; and there is more. */
static void test_end_with_much_unread(void **state)
{
	const struct world *world = *state;
	const size_t read_lines = 60000 / 8, more = 65536 / 8;
	static struct keep_entry entries[KEEP_SLOTS];
	char *lines = malloc(65536 + 1);
	struct place *place;
	char text[64];

	assert_non_null(lines);
	world_open(world, USEC_NEVER);
	place = world_place(17);
	channel_rest();
	orders_close();
	for (size_t i = 0; i < read_lines; i++)
		(void)snprintf(lines + i * 8, 9, "9 %05zu\n", i % 100000);
	(void)memcpy(channel.table->halves[atomic_load(&channel.table->active) & 1U].bytes, lines,
		     read_lines * 8);
	for (size_t i = 0; i < more; i++)
		(void)snprintf(lines + i * 8, 9, "9 %05zu\n", (read_lines + i) % 100000);
	(void)memcpy(entries, channel.table->entries, sizeof(entries));
	orders_open();
	world_put(world, lines, more * 8);
	orders_read();
	orders_read();
	assert_memory_equal(entries, channel.table->entries, sizeof(entries));
	channel_end();
	assert_memory_equal(entries, channel.table->entries, sizeof(entries));
	(void)snprintf(text, sizeof(text), " refused - too-many: %zu more orders\n",
		       read_lines + more - CHANNEL_REFUSED_MAX);
	world_await(world, "events", text, 1);
	world_await(world, "events", " refused 9 no-conversation: 00000\n", 1);
	(void)world_check_numbers(world, 1);
	place_close(place, "stop", false);
	channel_close();
	free(lines);
}

/* What a conversation has not read when it ends is refused, to the last byte. */
static void test_unread(void **state)
{
	const struct world *world = *state;
	auto_close int fd = -1;
	struct place *place;

	world_open(world, USEC_NEVER);
	place = world_place(17);
	fd = open(world_path(world, "conversations/17/in"), O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "one\ntwo\nthr", 11), 11);
	place_close(place, "end-word", false);
	assert_int_equal(world_count(world, "events", " refused 17 no-conversation: one\n"), 1);
	assert_int_equal(world_count(world, "events", " refused 17 no-conversation: two\n"), 1);
	assert_int_equal(world_count(world, "events", " refused 17 no-conversation: thr\n"), 1);
	assert_int_equal(world_count(world, "events", " closed 17 end-word\n"), 1);
	assert_int_equal(access(world_path(world, "conversations/17/in"), F_OK), -1);
	/* Who has it open still gets an event or an error, but no silence. */
	if (write(fd, "late\n", 5) == 5)
		world_await(world, "events", " refused 17 no-conversation: late\n", 1);
	channel_close();
	assert_int_equal(write(fd, "late\n", 5), -1);
	assert_int_equal(errno, EPIPE);
}

/* Collects lines in a struct heard. */
struct heard {
	char text[256];
	size_t length;
};

static void hear(void *context, const char *line, size_t length)
{
	struct heard *heard = context;

	heard->length += (size_t)snprintf(heard->text + heard->length,
					  sizeof(heard->text) - heard->length, "%.*s;", (int)length,
					  line);
}

/* When a FIFO is over everything in it was seen, and nothing more gets in: not even before it is
 * closed. */
static void test_finish(void **state)
{
	const struct world *world = *state;
	struct heard heard = {.length = 0};
	int fd, writer;

	world_open(world, USEC_NEVER);
	channel_close();
	fd = fifo_make(AT_FDCWD, world_path(world, "end"));
	writer = open(world_path(world, "end"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0 && writer >= 0);
	assert_true(fcntl(writer, F_SETPIPE_SZ, 1024 * 1024) > 0);
	assert_int_equal(write(writer, "one\ntwo\nthr", 11), 11);
	fifo_finish(fd, hear, &heard);
	assert_string_equal(heard.text, "one;two;thr;");
	assert_int_equal(write(writer, "x", 1), -1);
	assert_int_equal(errno, EAGAIN);
	close_fd(&fd);
	assert_int_equal(write(writer, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	close_fd(&writer);
}

/* Also when its owner has so many FIFOs that a new one may not be of the usual size. */
static void test_finish_among_many(void **state)
{
	struct rlimit limit = {.rlim_cur = 8192, .rlim_max = 8192};
	struct heard heard = {.length = 0};
	int status = 0, fd, pair[2];
	pid_t child;

	(void)state;
	if (geteuid() != 0 || setrlimit(RLIMIT_NOFILE, &limit) < 0)
		skip();
	child = world_fork();
	if (child == 0) {
		int size;

		assert_int_equal(setresuid(61234, 61234, 61234), 0);
		fd = fifo_make_nameless();
		assert_true(fd >= 0);
		size = fcntl(fd, F_GETPIPE_SZ);
		do
			assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
		while (fcntl(pair[0], F_GETPIPE_SZ) >= size && pair[1] < 8000);
		if (fcntl(pair[0], F_GETPIPE_SZ) >= size)
			_exit(0);
		assert_int_equal(write(fd, "one\ntwo\nthr", 11), 11);
		fifo_finish(fd, hear, &heard);
		assert_string_equal(heard.text, "one;two;thr;");
		assert_int_equal(write(fd, "x", 1), -1);
		assert_int_equal(errno, EAGAIN);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_left_in, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_end, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_end_unopened, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_end_while_it_opens, world_set_up,
						world_tear_down),
		cmocka_unit_test_setup_teardown(test_end_flooded, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_end_many, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_end_with_much_unread, world_set_up,
						world_tear_down),
		cmocka_unit_test_setup_teardown(test_unread, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_finish, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_finish_among_many, world_set_up,
						world_tear_down),
	};

	(void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);

	return cmocka_run_group_tests(tests, NULL, NULL);
}
