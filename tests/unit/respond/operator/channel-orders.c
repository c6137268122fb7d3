/*
 * Orders: lines of DIRECTORY/in reach the right conversation or are refused with an event, whatever
 * is written there, and whatever becomes of the FIFOs.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "channel-world.h"
#include "respond/operator/channel-fifo.h"
#include "respond/operator/channel-priv.h"
#include "respond/operator/pad.h"

static void test_routing(void **state)
{
	const struct world *world = *state;
	struct place *a, *b;

	world_open(world, USEC_NEVER);
	a = world_place(1);
	b = world_place(12);
	assert_true(world_order(world, "in", "12 Bonjour"));
	assert_string_equal(world_take(b), "Bonjour\n");
	assert_true(world_order(world, "in", "1 #3  /close \r"));
	assert_string_equal(world_take(a), "#3  /close \n");
	assert_true(world_order(world, "in", "1 "));
	assert_string_equal(world_take(a), "\n");
	assert_true(world_order(world, "in", "* Bonne nuit"));
	assert_string_equal(world_take(a), "Bonne nuit\n");
	assert_string_equal(world_take(b), "Bonne nuit\n");
	assert_true(world_order(world, "in", "1 \xff\x1b"));
	assert_string_equal(world_take(a), "\xff\x1b\n");
	place_close(a, "end-word", false);
	place_close(b, "end-word", false);
	assert_int_equal(world_count(world, "events", " refused "), 0);
	channel_close();
}

static void test_malformed(void **state)
{
	static const char *const lines[] = {"abc",   "",
					    "17",    "17Bonjour",
					    " 17 a", "-1 a",
					    "0 a",   "+1 a",
					    "** a",  "99999999999999999999 a",
					    "17\ta", "1 7"};
	const struct world *world = *state;
	struct place *place;

	world_open(world, USEC_NEVER);
	place = world_place(17);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_true(world_order(world, "in", lines[i]));
	world_put(world, "17 a\0b\n", 7);
	world_await(world, "events", " refused - malformed: ", 12);
	world_await(world, "events", " refused - malformed: abc\n", 1);
	world_await(world, "events", " refused - malformed: 17 a\\x00b\n", 1);
	world_await(world, "events", " refused 1 no-conversation: 7\n", 1);
	assert_true(world_order(world, "in", "18 a"));
	world_await(world, "events", " refused 18 no-conversation: a\n", 1);
	place_close(place, "end-word", false);
	assert_true(world_order(world, "in", "17 late"));
	world_await(world, "events", " refused 17 no-conversation: late\n", 1);
	assert_true(world_order(world, "in", "* late"));
	world_await(world, "events", " refused - no-conversation: * late\n", 1);
	(void)world_check_numbers(world, 1);
	channel_close();
}

/* A conversation whose thread does not read: refused when there is no more room, each one. */
static void test_full(void **state)
{
	const struct world *world = *state;
	size_t written = 0, taken = 0;
	struct place *a, *b;
	char line[4080];

	(void)snprintf(line, sizeof(line), "17 %04070d", 0);
	world_open(world, USEC_NEVER);
	a = world_place(17);
	b = world_place(18);
	for (; written < 40; written++)
		assert_true(world_order(world, "in", line));
	/* When this is there, all before it was seen to. */
	assert_true(world_order(world, "in", "18 on"));
	assert_string_equal(world_take(b), "on\n");
	while (taken + world_count(world, "events", " refused 17 full: 000") < written) {
		const char *got = world_take(a);

		for (; (got = strchr(got, '\n')) != NULL; got++)
			taken++;
	}
	assert_true(taken < written);
	assert_int_equal(taken + world_count(world, "events", " refused 17 full: 000"), written);
	place_close(a, "end-word", false);
	place_close(b, "end-word", false);
	channel_close();
}

/* Lines at the limit, one byte above it, and one of a megabyte. */
static void test_long(void **state)
{
	const struct world *world = *state;
	size_t size = (size_t)1024 * 1024;
	char *line = malloc(size);
	struct place *place;

	assert_non_null(line);
	(void)memset(line, 'x', size);
	line[0] = '1';
	line[1] = '7';
	line[2] = ' ';
	world_open(world, USEC_NEVER);
	place = world_place(17);
	line[CHANNEL_LINE_MAX] = '\n';
	world_put(world, line, CHANNEL_LINE_MAX + 1);
	assert_int_equal(strlen(world_take(place)), CHANNEL_LINE_MAX + 1 - 3);
	line[CHANNEL_LINE_MAX] = 'x';
	line[CHANNEL_LINE_MAX + 1] = '\n';
	world_put(world, line, CHANNEL_LINE_MAX + 2);
	world_await(world, "events", " refused 17 too-long: xxx", 1);
	line[CHANNEL_LINE_MAX + 1] = 'x';
	line[size - 1] = '\n';
	world_put(world, line, size);
	world_put(world, "17 next\n", 8);
	assert_string_equal(world_take(place), "next\n");
	world_await(world, "events", " refused 17 too-long: xxx", 2);
	world_await(world, "events", " refused ", 2);
	place_close(place, "end-word", false);
	channel_close();
	free(line);
}

/* Waits until the thread does not wait for the end of a line any more, or of its rest. */
static void await_end(void)
{
	usec_t deadline = clock_now() + WORLD_PATIENCE;
	const struct keep_table *table = channel.table;

	while ((atomic_load(&table->halves[atomic_load(&table->active) & 1U].done) & DONE_FLAGS) !=
	       0) {
		assert_true(clock_now() < deadline);
		(void)poll(NULL, 0, 1);
	}
}

/* What comes up to the next LF, soon after the beginning was refused, is refused as well. */
static void test_torn(void **state)
{
	const struct world *world = *state;
	struct place *place;

	channel_patience = 500 * USEC_PER_MSEC;
	world_open(world, USEC_NEVER);
	place = world_place(17);
	world_put(world, "17 secret 17", 12);
	world_await(world, "events", " refused 17 unfinished: secret 17\n", 1);
	world_put(world, " /close\n17 next\n", 16);
	assert_string_equal(world_take(place), "next\n");
	world_await(world, "events", " refused - unfinished:  /close\n", 1);
	place_close(place, "end-word", false);
	channel_close();
	channel_patience = PAD_PATIENCE;
}

/* A line that nobody ends is refused; what follows long after is a line of its own. */
static void test_unfinished(void **state)
{
	const struct world *world = *state;
	char line[CHANNEL_LINE_MAX + 1];
	struct place *place;

	channel_patience = 20 * USEC_PER_MSEC;
	world_open(world, USEC_NEVER);
	place = world_place(17);
	world_put(world, "17 one\n17 tw", 12);
	assert_string_equal(world_take(place), "one\n");
	world_await(world, "events", " refused 17 unfinished: tw\n", 1);
	await_end();
	world_put(world, "17 three\n", 9);
	assert_string_equal(world_take(place), "three\n");
	world_put(world, "17", 2);
	world_await(world, "events", " refused - unfinished: 17\n", 1);
	await_end();
	/* Nor is the end of one that is too long waited for for ever. */
	(void)memset(line, 'x', sizeof(line));
	world_put(world, line, sizeof(line));
	world_await(world, "events", " refused - too-long: xxx", 1);
	await_end();
	world_put(world, "17 four\n", 8);
	assert_string_equal(world_take(place), "four\n");
	place_close(place, "end-word", false);
	channel_close();
	channel_patience = PAD_PATIENCE;
}

/* In pieces, a line is whole when its end is there. */
static void test_pieces(void **state)
{
	const struct world *world = *state;
	struct place *place;

	channel_patience = USEC_NEVER;
	world_open(world, USEC_NEVER);
	place = world_place(17);
	for (const char *at = "17 Bonjour\n"; *at != '\0'; at++)
		world_put(world, at, 1);
	assert_string_equal(world_take(place), "Bonjour\n");
	place_close(place, "end-word", false);
	channel_close();
	channel_patience = PAD_PATIENCE;
}

/* Many lines, so that the halves of the memory change places again and again. */
static void test_many(void **state)
{
	const struct world *world = *state;
	const unsigned lines = 20000;
	struct place *place;
	unsigned next = 0;
	char line[64];

	world_open(world, USEC_NEVER);
	place = world_place(17);
	for (unsigned i = 0; i < lines;) {
		char bytes[8192];
		size_t used = 0;

		for (int k = 0; k < 100 && i < lines; k++, i++)
			used += (size_t)snprintf(bytes + used, sizeof(bytes) - used, "17 line %u\n",
						 i);
		world_put(world, bytes, used);
		while (next < i) {
			const char *got = world_take(place);

			for (; *got != '\0'; next++) {
				int n = snprintf(line, sizeof(line), "line %u\n", next);

				assert_int_equal(strncmp(got, line, (size_t)n), 0);
				got += n;
			}
		}
	}
	place_close(place, "end-word", false);
	assert_int_equal(world_count(world, "events", " refused "), 0);
	channel_close();
}

/* Somebody puts a file, or a link to one, in the place of a conversation's FIFO. */
static void replace_in(const struct world *world, bool link)
{
	struct place *place;

	world_open(world, USEC_NEVER);
	place = world_place(17);
	assert_int_equal(unlink(world_path(world, "conversations/17/in")), 0);
	if (link)
		assert_int_equal(symlink("/etc/hostname", world_path(world, "conversations/17/in")),
				 0);
	else
		close((open)(world_path(world, "conversations/17/in"),
			     O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	world_await(world, "events", " trouble 17 conversations/17/in was ", 1);
	assert_int_equal(world_troubles("conversations/17/in was "), 1);
	assert_true(world_order(world, "in", "17 Bonjour"));
	assert_string_equal(world_take(place), "Bonjour\n");
	place_close(place, "end-word", false);
	/* It is not the channel's to remove. */
	world_await_path(world, "conversations/17/in", true);
	channel_close();
}

static void test_replaced_by_file(void **state)
{
	replace_in(*state, false);
}

static void test_replaced_by_link(void **state)
{
	replace_in(*state, true);
}

/* So much happens at once that the kernel drops what it has to tell. */
static void test_replaced_unseen(void **state)
{
	const struct world *world = *state;
	struct place *place;
	FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	char digits[32];
	unsigned long n;

	assert_non_null(limit);
	assert_non_null(fgets(digits, sizeof(digits), limit));
	assert_int_equal(fclose(limit), 0);
	n = strtoul(digits, NULL, 10);
	assert_in_range(n, 1, 10000000);
	world_open(world, USEC_NEVER);
	place = world_place(17);
	/* Meanwhile the thread takes at most what is there at once. */
	lock_take(&channel.lock);
	for (unsigned long i = 0; i < n; i++) {
		assert_int_equal(mkdir(world_path(world, "x"), 0700), 0);
		assert_int_equal(rmdir(world_path(world, "x")), 0);
	}
	assert_int_equal(unlink(world_path(world, "conversations/17/in")), 0);
	lock_drop(&channel.lock);
	world_await(world, "events", " trouble 17 conversations/17/in was removed", 1);
	place_close(place, "end-word", false);
	channel_close();
}

/* Who plays with the times of FIFOs gives nobody else much to wait for. */
static void test_touched_all_the_while(void **state)
{
	const struct world *world = *state;
	struct timespec before, after;
	struct place *a, *b;
	pid_t parent = getpid();
	int64_t spent;
	pid_t child;

	world_open(world, USEC_NEVER);
	a = world_place(17);
	b = world_place(18);
	child = world_fork();
	/* Of one alone, they would be taken together. */
	while (child == 0) {
		if (getppid() != parent)
			_exit(0);
		(void)utimensat(AT_FDCWD, world_path(world, "conversations/17/in"), NULL, 0);
		(void)utimensat(AT_FDCWD, world_path(world, "conversations/18/in"), NULL, 0);
	}
	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before), 0);
	(void)poll(NULL, 0, 2000);
	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after), 0);
	spent = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
	print_message("spent %jd\n", (intmax_t)spent);
	assert_true(spent < 200);
	assert_int_equal(unlink(world_path(world, "conversations/18/in")), 0);
	world_await(world, "events", " trouble 18 conversations/18/in was removed", 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	place_close(a, "end-word", false);
	place_close(b, "end-word", false);
	channel_close();
}

/* The same with DIRECTORY/in, which comes back as soon as its name is free. */
static void test_in_replaced(void **state)
{
	const struct world *world = *state;
	auto_close int fd = -1;
	struct place *place;

	world_open(world, USEC_NEVER);
	place = world_place(17);
	fd = open(world_path(world, "in"), O_WRONLY | O_CLOEXEC);
	assert_int_equal(rename(world_path(world, "events"), world_path(world, "in")), 0);
	world_await(world, "events", " trouble - in was replaced", 1);
	assert_int_equal(write(fd, "17 one\n", 7), 7);
	assert_string_equal(world_take(place), "one\n");
	assert_int_equal(unlink(world_path(world, "in")), 0);
	world_await_path(world, "in", true);
	assert_true(world_order(world, "in", "17 two"));
	assert_string_equal(world_take(place), "two\n");
	assert_int_equal(unlink(world_path(world, "in")), 0);
	world_await_path(world, "in", true);
	assert_true(world_order(world, "in", "17 three"));
	assert_string_equal(world_take(place), "three\n");
	place_close(place, "end-word", false);
	channel_close();
	/* In the way from the beginning. */
	assert_int_equal(unlink(world_path(world, "in")), 0);
	assert_int_equal(symlink("/etc/hostname", world_path(world, "in")), 0);
	world_open(world, USEC_NEVER);
	world_await(world, "events", " trouble - in: ", 1);
	assert_int_equal(unlink(world_path(world, "in")), 0);
	world_await_path(world, "in", true);
	channel_close();
}

/* The thread has no descriptors left when somebody takes the name away: it tries again, and not at
 * once, though what it tries changes the directory. */
static void test_in_without_descriptors(void **state)
{
	const struct world *world = *state;
	auto_close int notices = inotify_init1(IN_CLOEXEC);
	/* One notice, with the name of what was made. */
	char notice[sizeof(struct inotify_event) + sizeof(NAME_NEW_IN) + 8];
	struct rlimit limit, none;
	struct place *place;
	usec_t began;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	/* No more than what poll() gets. */
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = limit.rlim_max};
	world_open(world, USEC_NEVER);
	place = world_place(17);
	assert_true(inotify_add_watch(notices, world->path, IN_CREATE) >= 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	began = clock_now();
	assert_int_equal(unlink(world_path(world, "in")), 0);
	for (int tries = 0; tries < 4; tries++)
		assert_true(read(notices, notice, sizeof(notice)) > 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(clock_now() - began >= 600 * USEC_PER_MSEC);
	assert_true(world_troubles("channel: in: Too many open files") == 1);
	world_await_path(world, "in", true);
	assert_true(world_order(world, "in", "17 Bonjour"));
	assert_string_equal(world_take(place), "Bonjour\n");
	place_close(place, "end-word", false);
	channel_close();
}

/* There is no room when somebody takes the name away, and later there is: nothing happens to the
 * directory by that. */
static void test_in_without_room(void **state)
{
	const struct world *world = *state;
	struct place *place;
	char path[128];
	int fd;

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", world->root, "tmpfs", 0, "nr_inodes=100") < 0)
		skip();
	world_open(world, USEC_NEVER);
	place = world_place(17);
	for (int i = 0;; i++) {
		(void)snprintf(path, sizeof(path), "%s/%d", world->root, i);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			break;
		close_fd(&fd);
	}
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(unlink(world_path(world, "in")), 0);
	world_await(world, "events", " trouble - in was removed", 1);
	while (world_troubles("channel: in: No space left on device") == 0)
		(void)poll(NULL, 0, 1);
	(void)snprintf(path, sizeof(path), "%s/0", world->root);
	assert_int_equal(unlink(path), 0);
	world_await_path(world, "in", true);
	assert_true(world_order(world, "in", "17 Bonjour"));
	assert_string_equal(world_take(place), "Bonjour\n");
	place_close(place, "end-word", false);
	channel_close();
	assert_int_equal(umount2(world->root, MNT_DETACH), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_routing, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_malformed, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_full, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_long, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_torn, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_unfinished, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_pieces, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_many, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_replaced_by_file, world_set_up,
						world_tear_down),
		cmocka_unit_test_setup_teardown(test_replaced_by_link, world_set_up,
						world_tear_down),
		cmocka_unit_test_setup_teardown(test_replaced_unseen, world_set_up,
						world_tear_down),
		cmocka_unit_test_setup_teardown(test_touched_all_the_while, world_set_up,
						world_tear_down),
		cmocka_unit_test_setup_teardown(test_in_replaced, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_in_without_descriptors, world_set_up,
						world_tear_down),
		cmocka_unit_test_setup_teardown(test_in_without_room, world_set_up,
						world_tear_down),
	};

	(void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);

	return cmocka_run_group_tests(tests, NULL, NULL);
}
