/*
 * What comes along when a process ends or is killed: FIFOs with what is unread in them, lines that
 * were not passed on yet, numbers. And what must not get lost when a place ends while somebody
 * writes.
 *
 * The service manager's store is played by this process: the one that is killed gives it what it
 * stores over a socket, as the real one gets it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/lock.h"
#include "channel-world.h"
#include "respond/keepsake.h"
#include "respond/operator/channel-priv.h"
#include "respond/operator/pad.h"

/* What the store holds. */
#define STORE_MAX 16
struct store {
	char names[STORE_MAX][KEEPSAKE_NAME_MAX];
	int fds[STORE_MAX];
	size_t n;
};

static int to_store = -1; /* in the process that is to be killed */

static void send_name(const char *name, const int *fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	char copy[KEEPSAKE_NAME_MAX] = "";
	struct iovec part = {.iov_base = copy, .iov_len = sizeof(copy)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	(void)snprintf(copy, sizeof(copy), "%s", name);
	if (fd != NULL) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		(void)memcpy(CMSG_DATA(&control.header), fd, sizeof(int));
	}
	assert_int_equal(sendmsg(to_store, &message, 0), sizeof(copy));
}

static void store(int fd, const char *name)
{
	send_name(name, &fd);
}

static void unstore(const char *name)
{
	send_name(name, NULL);
}

static void store_remove(struct store *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->names[i], name) != 0)
			continue;
		close_fd(&s->fds[i]);
		s->n--;
		(void)memmove(s->names[i], s->names[s->n], sizeof(s->names[i]));
		s->fds[i] = s->fds[s->n];
		return;
	}
}

/* Takes what was sent to FD by a process that has ended. */
static void store_update(struct store *s, int fd)
{
	for (;;) {
		union {
			struct cmsghdr header;
			char bytes[CMSG_SPACE(sizeof(int))];
		} control = {.bytes = {0}};
		char name[KEEPSAKE_NAME_MAX];
		struct iovec part = {.iov_base = name, .iov_len = sizeof(name)};
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = control.bytes,
					 .msg_controllen = sizeof(control.bytes)};

		if (recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
			return;
		if (CMSG_FIRSTHDR(&message) == NULL) {
			store_remove(s, name);
			continue;
		}
		assert_true(s->n < STORE_MAX);
		(void)memcpy(s->names[s->n], name, sizeof(name));
		(void)memcpy(&s->fds[s->n], CMSG_DATA(&control.header), sizeof(int));
		s->n++;
	}
}

static void store_done(struct store *s)
{
	while (s->n > 0)
		store_remove(s, s->names[0]);
}

/* One life of a daemon: does its part and says by exiting with 0 that all was well; or asks to be
 * killed. */
typedef void life_fn(const struct world *world);

static _Noreturn void die(void)
{
	(void)kill(getpid(), SIGKILL);
	_exit(1);
}

static void live(const struct world *world, struct store *s, life_fn *life)
{
	int pair[2];
	int status = 0;
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	child = world_fork();
	if (child == 0) {
		to_store = pair[1];
		for (size_t i = 0; i < s->n; i++)
			keepsakes_offer(s->fds[i], s->names[i]);
		s->n = 0;
		world_open(world, USEC_NEVER);
		keepsakes_start(store, unstore);
		keepsakes_forget_rest();
		life(world);
		channel_close();
		keepsakes_done();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : status == 0);
	close_fd(&pair[1]);
	store_update(s, pair[0]);
	close_fd(&pair[0]);
}

/* LOST: it had a FIFO, which is gone. */
static struct place *find(uint64_t number, bool lost)
{
	struct place_about about = world_about(number);
	struct place *place = NULL;
	bool is_lost = !lost;

	assert_int_equal(place_find(&about, &place, &is_lost), 0);
	assert_int_equal(is_lost, lost);
	return place;
}

static void leave_unread(const struct world *world)
{
	struct place *a = world_place(1), *b = world_place(2);

	place_show(a, 1, 1);
	place_show(b, 1, 1);
	assert_true(world_order(world, "conversations/1/in", "one"));
	assert_true(world_order(world, "conversations/1/in", "two"));
	assert_true(world_order(world, "conversations/2/in", "three"));
}

static _Noreturn void leave_and_die(const struct world *world)
{
	leave_unread(world);
	die();
}

/* The FIFO of 2 has a new name that is no FIFO, by now. */
static void find_unread(const struct world *world)
{
	struct place *a, *b;

	/* Before its conversation's thread has come, it has its place already. */
	assert_true(world_order(world, "in", "1 four"));
	assert_true(world_order(world, "in", "2 five"));
	assert_true(world_order(world, "in", "3 six"));
	world_await(world, "events", " refused 3 no-conversation: six\n", 1);
	a = find(1, false);
	b = find(2, false);
	assert_string_equal(world_take(a), "one\ntwo\nfour\n");
	assert_string_equal(world_take(b), "three\nfive\n");
	world_await_path(world, "waiting/0000000001-1", true);
	assert_true(world_order(world, "conversations/1/in", "seven"));
	assert_string_equal(world_take(a), "seven\n");
	assert_int_equal(world_count(world, "events", " trouble 2 conversations/2/in was replaced"),
			 1);
	place_show(a, 2, 2);
	world_await_path(world, "waiting/0000000001-1", true);
	place_close(a, "end-word", false);
	place_close(b, "end-word", false);
	world_await_path(world, "waiting/0000000001-1", false);
}

static void find_nothing(const struct world *world)
{
	struct place *place = find(5, false);

	(void)world;
	place_close(place, "end-word", false);
}

static void carry_over(const struct world *world, life_fn *first)
{
	struct store s = {.n = 0};

	live(world, &s, first);
	assert_int_equal(unlink(world_path(world, "conversations/2/in")), 0);
	assert_int_equal(symlink("/etc/hostname", world_path(world, "conversations/2/in")), 0);
	live(world, &s, find_unread);
	live(world, &s, find_nothing);
	(void)world_check_numbers(world, 1);
	assert_int_equal(world_count(world, "events", " opened "), 2);
	assert_int_equal(world_count(world, "events", " resumed "), 3);
	store_done(&s);
}

static void test_restart(void **state)
{
	carry_over(*state, leave_unread);
}

static void test_kill(void **state)
{
	carry_over(*state, leave_and_die);
}

static _Noreturn void on_limit(int number)
{
	(void)number;
	die();
}

/* Killed while it gives the conversation away, before that is in force: at its last line in `out`,
 * which is one byte too many. */
static _Noreturn void give_and_die(const struct world *world)
{
	const struct rlimit none = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
	struct sigaction action = {.sa_handler = on_limit};
	struct place *place = world_place(17);

	(void)world;
	(void)sigaction(SIGXFSZ, &action, NULL);
	(void)setrlimit(RLIMIT_FSIZE, &none);
	place_close(place, "script", true);
	_exit(1);
}

static void find_given(const struct world *world)
{
	struct place *place = find(17, false);

	assert_true(world_order(world, "conversations/17/in", "one"));
	assert_string_equal(world_take(place), "one\n");
	assert_int_equal(world_count(world, "events", " trouble "), 0);
	place_close(place, "script", true);
	world_await_path(world, "conversations/17/in", false);
	place = world_place(17);
	assert_true(world_order(world, "conversations/17/in", "two"));
	assert_string_equal(world_take(place), "two\n");
	place_close(place, "end-word", false);
}

static void test_killed_while_it_gives(void **state)
{
	struct world *world = *state;
	struct store s = {.n = 0};

	live(world, &s, give_and_die);
	live(world, &s, find_given);
	store_done(&s);
}

/* The same a moment later: the place has been left, with all that was in its FIFO. */
static _Noreturn void leave_place_and_die(const struct world *world)
{
	(void)world;
	place_close(world_place(17), "script", true);
	die();
}

static void find_left(const struct world *world)
{
	struct place *place = find(17, false);

	assert_true(world_order(world, "conversations/17/in", "one"));
	assert_string_equal(world_take(place), "one\n");
}

static void test_killed_when_it_has_given(void **state)
{
	struct world *world = *state;
	struct store s = {.n = 0};

	live(world, &s, leave_place_and_die);
	live(world, &s, find_left);
	store_done(&s);
	live(world, &s, leave_place_and_die);
	/* No trace but in the files. */
	store_done(&s);
	live(world, &s, find_left);
	store_done(&s);
}

static void half_a_line(const struct world *world)
{
	auto_close int fd = open(world_path(world, "in"), O_WRONLY | O_CLOEXEC);
	struct place *place = world_place(17);

	/* What comes last may come twice if the process is killed: here, a refusal. */
	assert_int_equal(write(fd, "17 one\n99 x\n17 tw", 17), 17);
	assert_string_equal(world_take(place), "one\n");
	while (world_count(world, "events", " refused 99 ") == 0)
		(void)poll(NULL, 0, 1);
}

static _Noreturn void half_a_line_and_die(const struct world *world)
{
	half_a_line(world);
	die();
}

static void other_half(const struct world *world)
{
	auto_close int fd = open(world_path(world, "in"), O_WRONLY | O_CLOEXEC);

	assert_int_equal(write(fd, "o\n", 2), 2);
	assert_string_equal(world_take(find(17, false)), "two\n");
}

/* What was begun in DIRECTORY/in is ended after the restart; what waits in it is not lost. */
static void test_half_a_line(void **state)
{
	static life_fn *const lives[] = {half_a_line, half_a_line_and_die};
	const struct world *world = *state;
	int fd;

	channel_patience = USEC_NEVER;
	for (size_t i = 0; i < 2; i++) {
		struct store s = {.n = 0};

		live(world, &s, lives[i]);
		/* A writer meets no end while nobody reads. */
		fd = open(world_path(world, "in"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		assert_true(fd >= 0);
		close_fd(&fd);
		live(world, &s, other_half);
		store_done(&s);
		assert_int_equal(unlink(world_path(world, "events")), 0);
	}
	channel_patience = PAD_PATIENCE;
}

static void expect_lost(const struct world *world)
{
	world_await(world, "events", " refused 1 no-conversation: one\n", 1);
	world_await(world, "events", " refused 1 no-conversation: two\n", 1);
	world_await(world, "events", " refused 2 no-conversation: three\n", 1);
	world_await(world, "events", " closed 1 lost\n", 1);
	world_await_path(world, "waiting/0000000001-1", false);
	world_await_path(world, "conversations/1/in", false);
	assert_int_equal(world_count(world, "conversations/1/info", "\nended=lost\n"), 1);
	assert_int_equal(world_count(world, "conversations/1/out", " -- lost\n"), 1);
}

static void find_little(const struct world *world)
{
	world_await(world, "events", " closed 1 lost\n", 1);
}

/* What nobody goes on with ends, and who wrote there is told. */
static void test_unclaimed(void **state)
{
	const struct world *world = *state;
	struct store s = {.n = 0};

	live(world, &s, leave_and_die);
	channel_claim_time = 1;
	live(world, &s, expect_lost);
	channel_claim_time = 180 * USEC_PER_SEC;
	live(world, &s, find_little);
	store_done(&s);
}

/* A store that lost everything: the directories are found, and ended. */
static void test_lost_store(void **state)
{
	const struct world *world = *state;
	struct store s = {.n = 0};

	live(world, &s, leave_and_die);
	store_done(&s);
	live(world, &s, find_little);
	(void)world_check_numbers(world, 1);
	store_done(&s);
}

static void find_lost(const struct world *world)
{
	struct place *place = find(1, true);

	assert_true(world_order(world, "conversations/1/in", "one"));
	assert_string_equal(world_take(place), "one\n");
	(void)find(2, true);
	(void)find(3, false);
}

static void find_all(const struct world *world)
{
	(void)world;
	for (uint64_t number = 1; number <= 3; number++)
		(void)find(number, false);
}

/* The same, and conversations come for them: they know what they have lost, once. */
static void test_lost_fifos(void **state)
{
	const struct world *world = *state;
	struct store s = {.n = 0};

	live(world, &s, leave_unread);
	store_done(&s);
	live(world, &s, find_lost);
	live(world, &s, find_all);
	store_done(&s);
}

#define MANY 300

static void make_many(const struct world *world)
{
	for (uint64_t n = 1; n <= MANY; n++) {
		struct place *place = world_place(n);
		char line[32];

		(void)snprintf(line, sizeof(line), "%" PRIu64 " line", n);
		assert_true(world_order(world, "in", line));
		/* Ended ones leave dead weight in the vault. */
		place_close(world_place(1000 + n), "end-word", false);
		if (n == MANY) {
			assert_string_equal(world_take(place), "line\n");
			assert_true(world_order(world, "in", line));
			assert_string_equal(world_take(place), "line\n");
		}
	}
}

static _Noreturn void make_many_and_die(const struct world *world)
{
	make_many(world);
	die();
}

static void find_many(const struct world *world)
{
	(void)world;
	for (uint64_t n = 1; n < MANY; n++)
		assert_string_equal(world_take(find(n, false)), "line\n");
	place_close(find(2000, false), "end-word", false);
	place_close(find(1001, false), "end-word", false);
}

static void test_many(void **state)
{
	static life_fn *const lives[] = {make_many, make_many_and_die};
	const struct world *world = *state;
	struct store s = {.n = 0};

	for (size_t i = 0; i < 2; i++) {
		live(world, &s, lives[i]);
		live(world, &s, find_many);
		store_done(&s);
		(void)world_check_numbers(world, 1);
	}
}

/* Writers that have the FIFO open while its place ends. */
#define WRITERS 3

struct writer {
	int fd;
	char name;
	unsigned written; /* lines that were accepted */
};

static void *write_on(void *argument)
{
	struct writer *w = argument;
	char line[32];
	int n;

	do {
		n = snprintf(line, sizeof(line), "%c line %u\n", w->name, w->written);
		if (write(w->fd, line, (size_t)n) != n)
			break;
		w->written++;
	} while (w->written < 200000);
	return NULL;
}

static uint64_t last_number(const struct world *world)
{
	const char *line = world_read(world, "events");

	for (const char *lf = strchr(line, '\n'); lf != NULL && lf[1] != '\0';
	     lf = strchr(line, '\n'))
		line = lf + 1;
	return strtoull(line, NULL, 10);
}

/* How many orders the events stand for that tell of several, beyond one for each. */
static size_t count_more(const struct world *world)
{
	static const char word[] = " too-many: ";
	const char *at = world_read(world, "events");
	size_t n = 0;

	while ((at = strstr(at, word)) != NULL) {
		at += sizeof(word) - 1;
		n += strtoull(at, NULL, 10) - 1;
	}
	return n;
}

/* Each line that was accepted was read, or refused with an event, or counted in one; in the end
 * nobody can write. */
static void test_race(void **state)
{
	const struct world *world = *state;
	struct writer writers[WRITERS];
	pthread_t threads[WRITERS];
	size_t read_lines = 0, written = 0;
	struct place *place;

	(void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	world_open(world, USEC_NEVER);
	place = world_place(17);
	for (int i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.name = (char)('a' + i)};
		writers[i].fd =
			open(world_path(world, "conversations/17/in"), O_WRONLY | O_CLOEXEC);
		assert_true(writers[i].fd >= 0);
		assert_int_equal(thread_start(&threads[i], "writer", NULL, 0, write_on,
					      &writers[i]),
				 0);
	}
	for (int i = 0; i < 3; i++)
		for (const char *at = world_take(place); *at != '\0'; at++)
			read_lines += *at == '\n';
	place_close(place, "end-word", false);
	for (int i = 0; i < WRITERS; i++) {
		thread_join(threads[i]);
		assert_int_equal(write(writers[i].fd, "late\n", 5), -1);
		assert_int_equal(errno, EPIPE);
		close_fd(&writers[i].fd);
		written += writers[i].written;
	}
	channel_close();
	/* All events but "opened" and "closed" are refusals. A line of which a read took only the
	 * beginning is refused in two parts. */
	read_lines += last_number(world) - 2 + count_more(world);
	assert_in_range(read_lines, written, written + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_restart, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_kill, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_killed_while_it_gives, world_set_up,
						world_tear_down),
		cmocka_unit_test_setup_teardown(test_killed_when_it_has_given, world_set_up,
						world_tear_down),
		cmocka_unit_test_setup_teardown(test_half_a_line, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_unclaimed, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_lost_store, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_lost_fifos, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_many, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_race, world_set_up, world_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
