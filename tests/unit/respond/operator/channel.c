/*
 * The operator channel's files: their layout and modes, what stands in them, how events are
 * numbered, and what happens when the file system refuses something or holds something else.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "channel-world.h"
#include "marcel/responder.h"
#include "respond/operator/channel-priv.h"
#include "respond/operator/channel-scroll.h"

static mode_t mode_of(const struct world *world, const char *path)
{
	struct stat st;

	assert_int_equal(lstat(world_path(world, path), &st), 0);
	return st.st_mode;
}

static void say(struct place *place, char who, uint64_t turn, const char *text)
{
	place_say(place, who, turn, text, strlen(text));
}

static void test_layout(void **state)
{
	const struct world *world = *state;
	char target[64];
	ssize_t n;
	struct place *place;

	assert_false(channel_has_files());
	world_open(world, USEC_NEVER);
	assert_true(channel_has_files());
	place = world_place(17);
	assert_int_equal(mode_of(world, "in"), S_IFIFO | 0620);
	assert_int_equal(mode_of(world, "events"), S_IFREG | 0640);
	assert_int_equal(mode_of(world, "conversations"), S_IFDIR | 0750);
	assert_int_equal(mode_of(world, "waiting"), S_IFDIR | 0750);
	assert_int_equal(mode_of(world, "conversations/17"), S_IFDIR | 0750);
	assert_int_equal(mode_of(world, "conversations/17/in"), S_IFIFO | 0620);
	assert_int_equal(mode_of(world, "conversations/17/info"), S_IFREG | 0640);
	say(place, 'C', 1, "Bonjour");
	assert_int_equal(mode_of(world, "conversations/17/out"), S_IFREG | 0640);
	place_show(place, 1, 1);
	n = readlink(world_path(world, "waiting/0000000001-17"), target, sizeof(target));
	assert_int_equal(n, strlen("../conversations/17"));
	assert_memory_equal(target, "../conversations/17", (size_t)n);
	assert_int_equal(mode_of(world, "waiting/0000000001-17/in"), S_IFIFO | 0620);
	place_close(place, "end-word", false);
	channel_close();
	assert_int_equal(world_troubles(""), 0);
}

static void test_dialogue(void **state)
{
	const struct world *world = *state;
	struct place *place;
	const char *out;

	world_open(world, USEC_NEVER);
	place = world_place(17);
	say(place, 'S', 0, "Bonjour");
	say(place, 'C', 1, "\x1b[2J\xff caf\xc3\xa9\nx");
	place_say(place, 'S', 1, NULL, MARCEL_WITHHELD);
	channel_tell(EVENT_MESSAGE, 17, 1, NULL, "hush", MARCEL_WITHHELD);
	assert_int_equal(world_count(world, "events", " message 17 #1 (withheld)\n"), 1);
	place_close(place, "end-word", false);
	out = world_read(world, "conversations/17/out");
	assert_non_null(strstr(out, " S> #0 Bonjour\n"));
	assert_non_null(strstr(out, " C> #1 \\e[2J\\xff caf\xc3\xa9\\nx\n"));
	assert_non_null(strstr(out, " S> #1 (withheld)\n"));
	assert_non_null(strstr(out, " -- end-word\n"));
	assert_int_equal(strcmp(out + strlen(out) - 12, "-- end-word\n"), 0);
	channel_close();
}

static void test_info(void **state)
{
	const struct world *world = *state;
	struct place *place;

	world_open(world, USEC_NEVER);
	place = world_place(17);
	place_show(place, 3, 2);
	assert_int_equal(world_count(world, "conversations/17/info", "conversation=17\nid=1234"),
			 1);
	assert_int_equal(world_count(world, "conversations/17/info",
				     "\npeer=127.0.0.1:4711\nlistener=marcel\nresponder=fifo\n"),
			 1);
	assert_int_equal(world_count(world, "conversations/17/info", "\nturn=3\nwaiting=2\n"), 1);
	assert_int_equal(world_count(world, "conversations/17/info", "draft"), 0);
	place_draft(place, 2, UINT64_C(1782000005999999));
	place_show(place, 3, 2);
	assert_int_equal(world_count(world, "conversations/17/info",
				     "\nwaiting=2\ndraft=2\ndraft_until=2026-06-2"),
			 1);
	assert_int_equal(world_count(world, "conversations/17/info", ":00:05"), 1);
	place_draft(place, 2, 0);
	place_show(place, 3, 2);
	assert_int_equal(world_count(world, "conversations/17/info", "\ndraft=2\n"), 1);
	assert_int_equal(world_count(world, "conversations/17/info", "draft_until"), 0);
	assert_int_equal(world_count(world, "conversations/17/info", "ended="), 0);
	place_close(place, "end-word", false);
	assert_int_equal(world_count(world, "conversations/17/info", "\nended=end-word\n"), 1);
	channel_close();
}

/* The link stays where it is in the order as long as something waits. */
static void test_waiting(void **state)
{
	const struct world *world = *state;
	struct place *a, *b;

	world_open(world, USEC_NEVER);
	a = world_place(1);
	b = world_place(2);
	place_show(a, 1, 1);
	place_show(b, 1, 1);
	place_show(a, 2, 2);
	world_await_path(world, "waiting/0000000001-1", true);
	world_await_path(world, "waiting/0000000002-2", true);
	place_show(a, 2, 0);
	world_await_path(world, "waiting/0000000001-1", false);
	place_show(a, 3, 3);
	world_await_path(world, "waiting/0000000003-1", true);
	place_close(a, "end-word", false);
	world_await_path(world, "waiting/0000000003-1", false);
	place_close(b, "script", true);
	world_await_path(world, "waiting/0000000002-2", false);
	assert_int_equal(world_count(world, "events", " closed 1 end-word\n"), 1);
	assert_int_equal(world_count(world, "events", " left 2 script\n"), 1);
	channel_close();
}

/* Who owns a directory says who reads what is in it. */
static void test_of_somebody_else(void **state)
{
	const struct world *world = *state;

	if (geteuid() != 0)
		skip();
	world_open(world, 0);
	channel_close();
	assert_int_equal(chown(world->path, 12345, 12345), 0);
	world_open(world, 0);
	assert_int_equal(world_troubles("belongs to somebody else"), 1);
	assert_false(channel_has_files());
	channel_close();
	assert_int_equal(chown(world->path, 0, 12345), 0);
	world_open(world, 0);
	assert_true(channel_has_files());
	channel_close();
}

/* A conversation that an operator takes again has its old directory. */
static void test_return(void **state)
{
	const struct world *world = *state;
	struct place *place;

	world_open(world, 0);
	place = world_place(17);
	say(place, 'C', 1, "first");
	place_close(place, "script", true);
	channel_close();
	world_open(world, USEC_NEVER);
	place = world_place(18);
	say(place, 'C', 1, "one");
	place_close(place, "script", true);
	place = world_place(18);
	say(place, 'C', 2, "two");
	assert_int_equal(world_count(world, "conversations/18/out", "one"), 1);
	assert_int_equal(world_count(world, "conversations/18/out", "two"), 1);
	assert_int_equal(world_count(world, "conversations/18/info", "ended="), 0);
	assert_true(world_order(world, "conversations/18/in", "still here"));
	assert_string_equal(world_take(place), "still here\n");
	place_close(place, "end-word", false);
	channel_close();
}

/* Makes the place of conversation 17 that has another id than in world_about(). */
static struct place *other_place(uint8_t first)
{
	const uint8_t id[16] = {first};
	struct place_about about = world_about(17);
	struct place *place = NULL;

	about.id = id;
	assert_int_equal(place_make(&about, &place), 0);
	return place;
}

/* A number that is used again, as by a process that lost count: nothing goes on in what another
 * conversation left, ended or not. */
static void test_same_number(void **state)
{
	const struct world *world = *state;
	struct place *place;
	int fd;

	world_open(world, USEC_NEVER);
	place = world_place(17);
	say(place, 'C', 1, "first");
	place_close(place, "end-word", false);
	place = other_place(1);
	say(place, 'C', 1, "second");
	assert_int_equal(world_count(world, "conversations/17/out", "first"), 0);
	assert_int_equal(world_count(world, "conversations/17/out", "second"), 1);
	assert_int_equal(world_count(world, "conversations/17/out.1", "first"), 1);
	assert_int_equal(world_count(world, "conversations/17/info", "ended="), 0);
	assert_int_equal(world_count(world, "events", "closed 17 lost"), 0);
	/* A process that was killed says of none that it is over. */
	channel_close();
	fd = open(world_path(world, "conversations/17/in"), O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "too late\n", 9), 9);
	world_open(world, USEC_NEVER);
	place = other_place(2);
	say(place, 'C', 1, "third");
	assert_int_equal(world_count(world, "conversations/17/out", "second"), 0);
	assert_int_equal(world_count(world, "conversations/17/out", "third"), 1);
	assert_int_equal(world_count(world, "conversations/17/out.1", "first"), 0);
	assert_int_equal(world_count(world, "conversations/17/out.1", "second"), 1);
	assert_int_equal(world_count(world, "conversations/17/out.1", " -- lost\n"), 1);
	assert_int_equal(world_count(world, "events", " closed 17 lost\n"), 1);
	assert_int_equal(world_count(world, "events", " refused 17 no-conversation: too late\n"),
			 1);
	assert_true(world_order(world, "conversations/17/in", "to the third"));
	assert_string_equal(world_take(place), "to the third\n");
	(void)close(fd);
	place_close(place, "end-word", false);
	/* Nobody knows whose it was. */
	assert_int_equal(unlink(world_path(world, "conversations/17/info")), 0);
	place = other_place(2);
	say(place, 'C', 1, "fourth");
	assert_int_equal(world_count(world, "conversations/17/out", "third"), 0);
	assert_int_equal(world_count(world, "conversations/17/out.1", "third"), 1);
	place_close(place, "end-word", false);
	channel_close();
	(void)world_check_numbers(world, 1);
	assert_int_equal(world_troubles(""), 0);
}

static void test_numbers(void **state)
{
	const struct world *world = *state;
	auto_close int fd = -1;

	for (int i = 0; i < 3; i++) {
		world_open(world, USEC_NEVER);
		channel_tell(EVENT_MESSAGE, 17, 1, NULL, "Bonjour", 7);
		channel_tell(EVENT_REFUSED, 0, 0, "malformed", "a\nb", 3);
		channel_close();
		/* A crash tears a line. */
		fd = open(world_path(world, "events"), O_WRONLY | O_APPEND | O_CLOEXEC);
		assert_int_equal(write(fd, "99 2026-11-2", 12), 12);
		close_fd(&fd);
	}
	world_open(world, USEC_NEVER);
	channel_tell(EVENT_ABSENT, 17, 1, NULL, NULL, 0);
	assert_int_equal(world_check_numbers(world, 1), 7);
	assert_int_equal(world_count(world, "events", " message 17 #1 Bonjour\n"), 3);
	assert_int_equal(world_count(world, "events", " refused - malformed: a\\nb\n"), 3);
	assert_int_equal(world_count(world, "events", " absent 17 #1\n"), 1);
	channel_close();
}

static void test_rotation(void **state)
{
	const struct world *world = *state;
	char text[30000];
	struct place *place;
	struct stat st;

	(void)memset(text, 'x', sizeof(text));
	world_open(world, USEC_NEVER);
	place = world_place(17);
	for (int i = 0; i < 50; i++) {
		channel_tell(EVENT_MESSAGE, 17, 1, NULL, text, sizeof(text));
		place_say(place, 'C', 1, text, sizeof(text));
	}
	assert_int_equal(stat(world_path(world, "events.1"), &st), 0);
	assert_true(st.st_size <= (off_t)1024 * 1024);
	assert_int_equal(stat(world_path(world, "conversations/17/out.1"), &st), 0);
	assert_true(st.st_size <= (off_t)1024 * 1024);
	assert_int_equal(world_check_numbers(world, 1), 51);
	channel_close();
	/* Somebody emptied it: what was before still counts. */
	assert_int_equal(truncate(world_path(world, "events"), 0), 0);
	world_open(world, USEC_NEVER);
	(void)world_place(18);
	world_await(world, "events", " closed 17 lost\n", 1);
	assert_int_equal(world_check_numbers(world, 1), 37);
	channel_close();
}

/* Nothing is written through a link, nor over what is no file of the channel's. */
static void test_things_in_the_way(void **state)
{
	const struct world *world = *state;
	char outside[128];
	struct place *place;
	int fd;

	(void)snprintf(outside, sizeof(outside), "%s/outside", world->root);
	fd = open(outside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	close_fd(&fd);
	world_open(world, USEC_NEVER);
	place = world_place(17);
	assert_int_equal(symlink("../../../../outside", world_path(world, "conversations/17/out")),
			 0);
	say(place, 'C', 1, "Bonjour");
	say(place, 'C', 2, "Bonjour");
	assert_int_equal(world_count(world, "events", " trouble 17 "), 1);
	assert_int_equal(world_troubles("out: "), 1);
	/* Once it is gone all is well. */
	assert_int_equal(unlink(world_path(world, "conversations/17/out")), 0);
	say(place, 'C', 3, "Salut");
	assert_int_equal(world_count(world, "conversations/17/out", "#3 Salut\n"), 1);
	assert_int_equal(unlink(world_path(world, "events")), 0);
	assert_int_equal(symlink("../../outside", world_path(world, "events")), 0);
	channel_tell(EVENT_MESSAGE, 17, 1, NULL, "lost", 4);
	channel_tell(EVENT_MESSAGE, 17, 1, NULL, "lost", 4);
	assert_int_equal(world_troubles("Events cannot be written"), 1);
	assert_int_equal(unlink(world_path(world, "events")), 0);
	channel_tell(EVENT_MESSAGE, 17, 1, NULL, "found", 5);
	assert_int_equal(world_count(world, "events", " trouble - 2 events could not be written\n"),
			 1);
	assert_int_equal(world_count(world, "events", "found\n"), 1);
	(void)world_check_numbers(world, 3);
	assert_string_equal(world_read(world, "../../outside"), "");
	place_close(place, "end-word", false);
	channel_close();
}

/* What comes and goes is recorded once in a while; what lasts, even if it began in between. */
static void test_recorded_again(void **state)
{
	static const char what[] = "cannot be written to out";
	const struct world *world = *state;
	struct place *place;
	char out[256];

	(void)snprintf(out, sizeof(out), "%s", world_path(world, "conversations/17/out"));
	channel_quiet_time = USEC_NEVER;
	world_open(world, USEC_NEVER);
	place = world_place(17);
	for (int i = 0; i < 3; i++) {
		say(place, 'C', 1, "written");
		assert_int_equal(unlink(out), 0);
		assert_int_equal(symlink("elsewhere", out), 0);
		say(place, 'C', 1, "lost");
		say(place, 'C', 1, "lost");
		assert_int_equal(world_troubles(what), 1);
		if (i < 2)
			assert_int_equal(unlink(out), 0);
	}
	channel_quiet_time = 0;
	say(place, 'C', 1, "lost");
	say(place, 'C', 1, "lost");
	assert_int_equal(world_troubles(what), 2);
	channel_quiet_time = 60 * USEC_PER_SEC;
	place_close(place, "end-word", false);
	channel_close();
}

/* A file or a link where a directory should be: the rest works. */
static void test_no_directory(void **state)
{
	const struct world *world = *state;
	struct place *place;
	int fd;

	world_open(world, USEC_NEVER);
	channel_close();
	assert_int_equal(rmdir(world_path(world, "conversations")), 0);
	assert_int_equal(rmdir(world_path(world, "waiting")), 0);
	assert_int_equal(symlink("/tmp", world_path(world, "conversations")), 0);
	fd = open(world_path(world, "waiting"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close_fd(&fd);
	world_open(world, USEC_NEVER);
	assert_int_equal(world_count(world, "events", " trouble - conversations: "), 1);
	assert_int_equal(world_count(world, "events", " trouble - waiting: "), 1);
	place = world_place(17);
	say(place, 'C', 1, "Bonjour");
	place_show(place, 1, 1);
	assert_true(world_order(world, "in", "17 Bonjour"));
	assert_string_equal(world_take(place), "Bonjour\n");
	place_close(place, "end-word", false);
	assert_int_equal(access("/tmp/17", F_OK), -1);
	channel_close();
}

/* As somebody who may not do anything there: conversations go on, the journal says it once. */
static _Noreturn void be_nobody(const struct world *world)
{
	struct place *place;

	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
		_exit(2);
	world_open(world, USEC_NEVER);
	place = world_place(17);
	say(place, 'C', 1, "Bonjour");
	place_show(place, 1, 1);
	channel_tell(EVENT_MESSAGE, 17, 1, NULL, "Bonjour", 7);
	assert_true(place_fd(place) >= 0);
	place_close(place, "end-word", false);
	channel_close();
	_exit(world_troubles("There are no files for operators") == 1 ? 0 : 1);
}

static void test_no_permission(void **state)
{
	const struct world *world = *state;
	int status = 0;
	pid_t child;

	assert_int_equal(chmod(world->root, 0500), 0);
	child = world_fork();
	if (child == 0)
		be_nobody(world);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Two daemons with one directory: the second one does without, and the first is not disturbed. */
static void test_two_daemons(void **state)
{
	const struct world *world = *state;
	struct place *place;
	int status = 0;
	int go[2];
	char byte = 0;
	pid_t child;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	child = world_fork();
	if (child == 0) {
		(void)read(go[0], &byte, 1);
		world_open(world, USEC_NEVER);
		place = world_place(18);
		place_close(place, "end-word", false);
		channel_close();
		_exit(world_troubles("Another marceld") == 1 ? 0 : 1);
	}
	world_open(world, USEC_NEVER);
	place = world_place(17);
	assert_int_equal(write(go[1], &byte, 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(world_order(world, "in", "17 Bonjour"));
	assert_string_equal(world_take(place), "Bonjour\n");
	assert_int_equal(world_count(world, "events", "\n"), 1);
	place_close(place, "end-word", false);
	channel_close();
	close_fd(&go[0]);
	close_fd(&go[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_layout, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_dialogue, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_info, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_waiting, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_of_somebody_else, world_set_up,
						world_tear_down),
		cmocka_unit_test_setup_teardown(test_return, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_same_number, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_numbers, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_rotation, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_things_in_the_way, world_set_up,
						world_tear_down),
		cmocka_unit_test_setup_teardown(test_recorded_again, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_no_directory, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_no_permission, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_two_daemons, world_set_up, world_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
