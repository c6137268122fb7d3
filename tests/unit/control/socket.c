/*
 * The socket in the file system: who may connect, what lies there already, and what is left behind.
 */
#include "control/control-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

struct place {
	char directory[64];
	char path[96];
	char group[96]; /* a directory */
};

static int begin(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	assert_non_null(place);
	(void)snprintf(place->directory, sizeof(place->directory), "/tmp/marcel-socket-XXXXXX");
	assert_non_null(mkdtemp(place->directory));
	(void)snprintf(place->path, sizeof(place->path), "%s/run/control", place->directory);
	(void)snprintf(place->group, sizeof(place->group), "%s/group", place->directory);
	*state = place;
	return 0;
}

static int end(void **state)
{
	struct place *place = *state;
	char run[96];

	(void)snprintf(run, sizeof(run), "%s/run", place->directory);
	(void)rmdir(run);
	(void)rmdir(place->group);
	/* Nothing else was left behind. */
	assert_int_equal(rmdir(place->directory), 0);
	free(place);
	return 0;
}

static int try_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static mode_t mode_of(const char *path)
{
	struct stat found;

	assert_int_equal(lstat(path, &found), 0);
	return found.st_mode;
}

static void is_the_owners_alone(void **state)
{
	struct place *place = *state;
	struct control_socket socket = CONTROL_SOCKET_NONE;

	/* A directory that is not there gives no group, and the socket's own is made. */
	assert_int_equal(control_socket_open(place->path, place->group, &socket), 0);
	assert_int_equal(mode_of(place->path), S_IFSOCK | 0600);
	assert_int_equal(try_connect(place->path), 0);
	control_socket_close(&socket);
	assert_int_equal(try_connect(place->path), -ENOENT);
	control_socket_close(&socket);
	/* One without the bit gives none either. */
	assert_int_equal(mkdir(place->group, 0750), 0);
	assert_int_equal(control_socket_open(place->path, place->group, &socket), 0);
	assert_int_equal(mode_of(place->path), S_IFSOCK | 0600);
	control_socket_close(&socket);
}

static void inherits_its_group(void **state)
{
	struct place *place = *state;
	struct control_socket socket = CONTROL_SOCKET_NONE;
	struct stat found;

	assert_int_equal(mkdir(place->group, 0750), 0);
	/* Root may give any group, others one of theirs. */
	if (geteuid() == 0)
		assert_int_equal(chown(place->group, 0, 4242), 0);
	assert_int_equal(chmod(place->group, 02750), 0);
	assert_int_equal(stat(place->group, &found), 0);
	assert_int_equal(control_socket_open(place->path, place->group, &socket), 0);
	assert_int_equal(mode_of(place->path), S_IFSOCK | 0660);
	{
		struct stat made;

		assert_int_equal(lstat(place->path, &made), 0);
		assert_int_equal(made.st_gid, found.st_gid);
	}
	assert_int_equal(try_connect(place->path), 0);
	control_socket_close(&socket);
	/* It has left the directory that it was bound in. */
	assert_int_equal(rmdir(place->group), 0);
}

/* DIRECTORY gives no group, for FAULT: the socket is its owner's alone, and nothing is left in
 * DIRECTORY, which is removed. */
static void assert_no_group(struct place *place, const char *directory, int fault)
{
	struct control_socket socket = CONTROL_SOCKET_NONE;

	assert_int_equal(control_socket_open(place->path, directory, &socket), 0);
	assert_int_equal(socket.group_fault, fault);
	assert_int_equal(mode_of(place->path), S_IFSOCK | 0600);
	assert_int_equal(try_connect(place->path), 0);
	control_socket_close(&socket);
	assert_int_equal(try_connect(place->path), -ENOENT);
	assert_int_equal(rmdir(directory), 0);
}

static void does_without_its_group(void **state)
{
	struct place *place = *state;
	char other[] = "/dev/shm/marcel-socket-XXXXXX";
	struct stat here, there;
	char path[192];

	/* Its path and the temporary name are too long for an address. */
	(void)snprintf(path, sizeof(path), "%s/%080d", place->directory, 0);
	assert_int_equal(mkdir(path, 0750), 0);
	assert_int_equal(chmod(path, 02750), 0);
	assert_no_group(place, path, -ENAMETOOLONG);
	assert_int_equal(stat(place->directory, &here), 0);
	if (stat("/dev/shm", &there) < 0 || here.st_dev == there.st_dev)
		return;
	assert_non_null(mkdtemp(other));
	assert_int_equal(chmod(other, 02750), 0);
	assert_no_group(place, other, -EXDEV);
}

static void replaces_a_dead_one(void **state)
{
	struct place *place = *state;
	struct control_socket first = CONTROL_SOCKET_NONE, second = CONTROL_SOCKET_NONE;

	assert_int_equal(control_socket_open(place->path, NULL, &first), 0);
	assert_int_equal(control_socket_open(place->path, NULL, &second), -EADDRINUSE);
	assert_int_equal(second.fd, -1);
	/* As when its process was killed. */
	close_fd(&first.fd);
	assert_int_equal(try_connect(place->path), -ECONNREFUSED);
	assert_int_equal(control_socket_open(place->path, NULL, &second), 0);
	assert_int_equal(try_connect(place->path), 0);
	/* The end of the first leaves the second alone. */
	first.fd = fcntl(second.fd, F_DUPFD_CLOEXEC, 0);
	control_socket_close(&first);
	assert_int_equal(try_connect(place->path), 0);
	control_socket_close(&second);
	assert_int_equal(access(place->path, F_OK), -1);
}

/* Somebody who listens and is busy is somebody. */
static void leaves_a_busy_one_alone(void **state)
{
	struct place *place = *state;
	struct control_socket first = CONTROL_SOCKET_NONE, second = CONTROL_SOCKET_NONE;
	int waiting[256];
	unsigned n = 0;

	assert_int_equal(control_socket_open(place->path, NULL, &first), 0);
	for (;;) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};

		assert_true(n < 256);
		waiting[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", place->path);
		if (connect(waiting[n++], (struct sockaddr *)&address, sizeof(address)) < 0)
			break;
	}
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(control_socket_open(place->path, NULL, &second), -EADDRINUSE);
	while (n > 0)
		close_fd(&waiting[--n]);
	control_socket_close(&first);
}

static void leaves_other_things_alone(void **state)
{
	struct place *place = *state;
	struct control_socket socket = CONTROL_SOCKET_NONE;
	char run[96];
	int fd;

	(void)snprintf(run, sizeof(run), "%s/run", place->directory);
	assert_int_equal(mkdir(run, 0755), 0);
	fd = open(place->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	close_fd(&fd);
	assert_int_equal(control_socket_open(place->path, NULL, &socket), -EEXIST);
	assert_int_equal(mode_of(place->path), S_IFREG | 0644);
	assert_int_equal(unlink(place->path), 0);
	/* A link, wherever it leads. */
	assert_int_equal(symlink("nowhere", place->path), 0);
	assert_int_equal(control_socket_open(place->path, NULL, &socket), -EEXIST);
	assert_true(S_ISLNK(mode_of(place->path)));
	assert_int_equal(unlink(place->path), 0);
	assert_int_equal(rmdir(run), 0);
	/* What is no directory. */
	fd = open(run, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	close_fd(&fd);
	assert_int_equal(control_socket_open(place->path, NULL, &socket), -ENOTDIR);
	assert_int_equal(unlink(run), 0);
}

static void refuses_impossible_paths(void **state)
{
	struct place *place = *state;
	struct control_socket socket = CONTROL_SOCKET_NONE;
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%0150d", place->directory, 0);
	assert_int_equal(control_socket_open(path, NULL, &socket), -ENAMETOOLONG);
	/* Only one directory is made. */
	(void)snprintf(path, sizeof(path), "%s/one/two/control", place->directory);
	assert_int_equal(control_socket_open(path, NULL, &socket), -ENOENT);
	assert_int_equal(control_socket_open("", NULL, &socket), -EINVAL);
	assert_int_equal(socket.fd, -1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_the_owners_alone),      TEST(inherits_its_group),
		TEST(does_without_its_group),   TEST(replaces_a_dead_one),
		TEST(leaves_a_busy_one_alone),  TEST(leaves_other_things_alone),
		TEST(refuses_impossible_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
