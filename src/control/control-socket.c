/* Binding, naming and removing the control socket; see control-socket.h. */
#include "control/control-socket.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#define BACKLOG 128

#define ADDRESS_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)

static int make_address(struct sockaddr_un *ret_address, const char *path)
{
	size_t length = strlen(path);

	if (length == 0)
		return -EINVAL;
	if (length >= sizeof(ret_address->sun_path))
		return -ENAMETOOLONG;
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)memcpy(ret_address->sun_path, path, length);
	return 0;
}

static int make_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* Whether something may be put at PATH: 0, -EADDRINUSE or -EEXIST. */
static int check_free(const char *path)
{
	struct sockaddr_un address;
	struct stat found;
	auto_close int fd = -1;
	int r = make_address(&address, path);

	if (r < 0)
		return r;
	if (lstat(path, &found) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	if (!S_ISSOCK(found.st_mode))
		return -EEXIST;
	fd = make_socket();
	if (fd < 0)
		return fd;
	/* EAGAIN: somebody listens and is busy. */
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	return errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
}

/* The directory that PATH, which is an address, is in. */
static void find_directory(const char *path, char ret_directory[ADDRESS_SIZE])
{
	const char *slash = strrchr(path, '/');
	size_t length = 1;

	if (slash == NULL)
		path = ".";
	else if (slash > path)
		length = (size_t)(slash - path);
	(void)memcpy(ret_directory, path, length);
	ret_directory[length] = '\0';
}

static bool gives_its_group(const char *directory)
{
	struct stat found;

	return directory != NULL && stat(directory, &found) == 0 && S_ISDIR(found.st_mode) &&
	       (found.st_mode & S_ISGID) != 0;
}

/*
 * Binds a socket in DIRECTORY, gives it MODE, lets it listen and names it PATH. Returns it, or a
 * negative errno; then nothing lies in DIRECTORY.
 */
static int bind_through(const char *directory, mode_t mode, const char *path)
{
	struct sockaddr_un address;
	char name[PATH_MAX];
	auto_close int fd = -1;
	int r = snprintf(name, sizeof(name), "%s/.control-%d", directory, (int)getpid());

	if (r < 0 || (size_t)r >= sizeof(name))
		return -ENAMETOOLONG;
	r = make_address(&address, name);
	if (r < 0)
		return r;
	fd = make_socket();
	if (fd < 0)
		return fd;
	/* Of a process that had our number and was killed. */
	(void)unlink(name);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	if (chmod(name, mode) < 0 || listen(fd, BACKLOG) < 0 || rename(name, path) < 0) {
		r = -errno;
		(void)unlink(name);
		return r;
	}
	return take_fd(&fd);
}

/* Returns the socket or a negative errno. */
static int bind_somewhere(const char *path, const char *group_directory, int *ret_group_fault)
{
	char directory[ADDRESS_SIZE];
	int fault = 0;

	find_directory(path, directory);
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (gives_its_group(group_directory)) {
		fault = bind_through(group_directory, 0660, path);
		if (fault >= 0)
			return fault;
	}
	/* What keeps the socket from any place keeps it from this one too. */
	*ret_group_fault = fault;
	return bind_through(directory, 0600, path);
}

int control_socket_open(const char *path, const char *group_directory,
			struct control_socket *ret_socket)
{
	struct control_socket made = CONTROL_SOCKET_NONE;
	auto_close int fd = -1;
	struct stat found;
	int r = check_free(path);

	if (r < 0)
		return r;
	fd = bind_somewhere(path, group_directory, &made.group_fault);
	if (fd < 0)
		return fd;
	if (lstat(path, &found) < 0)
		return -errno;
	made.fd = take_fd(&fd);
	made.device = found.st_dev;
	made.inode = found.st_ino;
	/* It was short enough to be an address. */
	(void)snprintf(made.path, sizeof(made.path), "%s", path);
	*ret_socket = made;
	return 0;
}

void control_socket_close(struct control_socket *socket)
{
	struct stat found;

	if (socket->fd < 0)
		return;
	/* Another marceld may have put its own there, if it found ours deaf. */
	if (lstat(socket->path, &found) == 0 && found.st_dev == socket->device &&
	    found.st_ino == socket->inode)
		(void)unlink(socket->path);
	close_fd(&socket->fd);
	*socket = (struct control_socket)CONTROL_SOCKET_NONE;
}
