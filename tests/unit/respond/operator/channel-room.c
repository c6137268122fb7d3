/*
 * The operator channel and the room there is: how long what is over stays, and how much of it; a
 * file system that is nearly full, or full.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "channel-world.h"
#include "respond/operator/channel-priv.h"
#include "respond/operator/channel-scroll.h"

static void test_grace(void **state)
{
	const struct world *world = *state;

	world_open(world, 0);
	place_close(world_place(17), "end-word", false);
	world_await_path(world, "conversations/17", false);
	channel_close();
	/* One that has not passed yet stays, and is found by the next process. */
	world_open(world, USEC_NEVER);
	place_close(world_place(18), "end-word", false);
	channel_close();
	world_await_path(world, "conversations/18/in", false);
	world_await_path(world, "conversations/18/out", true);
	world_open(world, 0);
	world_await_path(world, "conversations/18", false);
	channel_close();
}

/* Of many that are over the oldest go before their time, also in the next process. */
static void test_too_many_over(void **state)
{
	const struct world *world = *state;
	char path[64];

	world_open(world, USEC_NEVER);
	for (unsigned i = 1; i <= GRAVES_MAX + 3; i++)
		place_close(world_place(i), "end-word", false);
	world_await_path(world, "conversations/3", false);
	world_await_path(world, "conversations/4", true);
	(void)snprintf(path, sizeof(path), "conversations/%d/info", GRAVES_MAX + 3);
	world_await_path(world, path, true);
	channel_close();
	world_open(world, USEC_NEVER);
	place_close(world_place(GRAVES_MAX + 4), "end-word", false);
	world_await_path(world, "conversations/4", false);
	world_await_path(world, "conversations/5", true);
	assert_int_equal(world_troubles(""), 0);
	channel_close();
}

/* Nor may they take too much. */
static void test_too_much_over(void **state)
{
	const struct world *world = *state;
	static char text[FILE_TEXT_MAX];
	/* Four bytes stand for each of these. */
	const size_t each = SCROLL_MAX / sizeof(text) / 4;
	const unsigned fit = (unsigned)(GRAVES_SIZE_MAX / (each * 4 * sizeof(text)));
	char path[64];

	(void)memset(text, '\1', sizeof(text));
	world_open(world, USEC_NEVER);
	for (unsigned i = 1; i <= fit + 1; i++) {
		struct place *place = world_place(i);

		for (unsigned k = 0; k < each; k++)
			place_say(place, 'C', k, text, sizeof(text));
		place_close(place, "end-word", false);
	}
	world_await_path(world, "conversations/2", false);
	(void)snprintf(path, sizeof(path), "conversations/%u", fit + 1);
	world_await_path(world, path, true);
	channel_close();
}

/* Fills the file system that the channel is on. */
static void fill(const struct world *world)
{
	static const char zeros[4096];
	int fd = open(world_path(world, "fill"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	close_fd(&fd);
}

static bool ends_with_a_line(const struct world *world, const char *path)
{
	const char *bytes = world_read(world, path);

	return bytes[0] == '\0' || bytes[strlen(bytes) - 1] == '\n';
}

/* Mounts a file system of its own for WORLD, of the size that OPTIONS say; skips if it can't. */
static void mount_disk(const struct world *world, const char *options)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", world->root, "tmpfs", 0, options) < 0)
		skip();
}

/* Clients cannot take all of a file system: what is said does not stand in `out` any more before
 * that, and conversations that are over leave nothing. */
static void test_little_room(void **state)
{
	const struct world *world = *state;
	static char text[30000];
	struct place *place = NULL;
	struct statvfs fs;

	mount_disk(world, "size=4m");
	(void)memset(text, 'x', sizeof(text));
	world_open(world, USEC_NEVER);
	place_close(world_place(1), "end-word", false);
	for (uint64_t i = 10; i < 40; i++) {
		place = world_place(i);
		for (int k = 0; k < 10; k++)
			place_say(place, 'C', 1, text, sizeof(text));
	}
	assert_int_equal(statvfs(world->path, &fs), 0);
	assert_true(fs.f_bavail > fs.f_blocks / RESERVED_SHARE / 2);
	assert_int_equal(world_troubles("cannot be written to out"), 1);
	assert_int_equal(world_count(world, "events", " trouble 39 No space left on device\n"), 1);
	world_await_path(world, "conversations/1", false);
	place_close(place, "end-word", false);
	world_await_path(world, "conversations/39", false);
	world_await_path(world, "conversations/10/out", true);
	assert_true(ends_with_a_line(world, "conversations/10/out"));
	channel_close();
	assert_int_equal(umount2(world->root, MNT_DETACH), 0);
}

/* A full disk: whole lines or none, numbers without gaps, one record, and all well afterwards. */
static void test_full_disk(void **state)
{
	const struct world *world = *state;
	char text[3000];
	struct place *place;

	mount_disk(world, "size=256k");
	(void)memset(text, 'x', sizeof(text));
	world_open(world, USEC_NEVER);
	place = world_place(17);
	place_say(place, 'C', 1, "before", 6);
	fill(world);
	for (int i = 0; i < 5; i++) {
		channel_tell(EVENT_MESSAGE, 17, 1, NULL, text, sizeof(text));
		place_say(place, 'C', 1, text, sizeof(text));
		place_show(place, 1, 1);
		assert_true(ends_with_a_line(world, "events"));
		assert_true(ends_with_a_line(world, "conversations/17/out"));
	}
	assert_int_equal(world_troubles("Events cannot be written"), 1);
	assert_int_equal(world_troubles("cannot be written to out"), 1);
	assert_int_equal(world_troubles("info cannot be written"), 1);
	assert_true(world_order(world, "conversations/17/in", "Bonjour"));
	assert_string_equal(world_take(place), "Bonjour\n");
	assert_int_equal(unlink(world_path(world, "fill")), 0);
	channel_tell(EVENT_MESSAGE, 17, 1, NULL, "after", 5);
	place_say(place, 'C', 1, "after", 5);
	assert_true(world_count(world, "events", " events could not be written\n") > 0);
	assert_int_equal(world_count(world, "events", " after\n"), 1);
	assert_int_equal(world_count(world, "conversations/17/out", " after\n"), 1);
	(void)world_check_numbers(world, 1);
	place_close(place, "end-word", false);
	channel_close();
	assert_int_equal(umount2(world->root, MNT_DETACH), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_grace, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_too_many_over, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_too_much_over, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_little_room, world_set_up, world_tear_down),
		cmocka_unit_test_setup_teardown(test_full_disk, world_set_up, world_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
