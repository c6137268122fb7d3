/* Making, emptying and ending FIFOs; see channel-fifo.h. */
#include "respond/operator/channel-fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "respond/operator/channel.h"

/* The group may write: reading would be stealing orders. */
#define FIFO_MODE 0620

#define FLAGS (O_RDWR | O_NONBLOCK | O_NOCTTY)

int fifo_open(int dir, const char *name)
{
	auto_close int fd = -1;
	struct stat st;

	/* Opening a device can do things; a FIFO put there in between is opened all the same. */
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISFIFO(st.st_mode))
		return -EEXIST;
	fd = openat(dir, name, FLAGS | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? -EEXIST : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISFIFO(st.st_mode))
		return -EEXIST;
	if ((st.st_mode & 07777) != FIFO_MODE && fchmod(fd, FIFO_MODE) < 0)
		return -errno;
	return take_fd(&fd);
}

int fifo_make(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return -errno;
	if (mkfifoat(dir, name, FIFO_MODE) < 0)
		return -errno;
	return fifo_open(dir, name);
}

int fifo_make_nameless(void)
{
	char path[64];
	int pair[2];
	int fd;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	/* One descriptor for both directions, like that of a FIFO. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", pair[0]);
	fd = open(path, FLAGS | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	close_fd(&pair[0]);
	close_fd(&pair[1]);
	return fd;
}

bool fifo_is(int dir, const char *name, int fd)
{
	struct stat there, here;

	return fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &here) == 0 &&
	       there.st_dev == here.st_dev && there.st_ino == here.st_ino;
}

/* Somebody may fill it again before it is smaller. */
#define SHRINKS_MAX 64

/* A line as it comes together. */
struct gathering {
	fifo_line_fn *function;
	void *context;
	bool no_zeros; /* NULs may be ours, and are left out */
	size_t length;
	char line[CHANNEL_LINE_MAX];
};

static void gather(struct gathering *g, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] == '\n') {
			g->function(g->context, g->line, g->length);
			g->length = 0;
		} else if (g->length < sizeof(g->line) && (bytes[i] != '\0' || !g->no_zeros)) {
			g->line[g->length++] = bytes[i];
		}
	}
}

static void drain(int fd, struct gathering *g)
{
	char bytes[4096];

	for (int i = 0; i < FIFO_READS_MAX; i++) {
		ssize_t n = read(fd, bytes, sizeof(bytes));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		gather(g, bytes, (size_t)n);
	}
}

/* Tells what has no end, and never will. */
static void end_line(struct gathering *g)
{
	if (g->length > 0)
		g->function(g->context, g->line, g->length);
	g->length = 0;
}

void fifo_drain(int fd, fifo_line_fn *function, void *context)
{
	struct gathering g = {.function = function, .context = context};

	drain(fd, &g);
	end_line(&g);
}

/* Fills FD with NULs to the last byte. */
static void fill(int fd)
{
	static const char zeros[PIPE_BUF];
	size_t piece = sizeof(zeros);

	while (piece > 0)
		if (write(fd, zeros, piece) < 0 && errno != EINTR)
			piece /= 2;
}

/* Copies all that is in FD into a pipe of its own, and leaves it there. Returns the end to read it
 * from, or a negative errno. */
static int copy_all(int fd)
{
	auto_close int from = -1, to = -1;
	int size = fcntl(fd, F_GETPIPE_SZ);
	int pair[2];
	int inside = 0;

	if (pipe2(pair, O_NONBLOCK | O_CLOEXEC) < 0)
		return -errno;
	from = pair[0];
	to = pair[1];
	/* Who may write to a FIFO may also make it larger. */
	if (size < 0 || (fcntl(to, F_GETPIPE_SZ) < size && fcntl(to, F_SETPIPE_SZ, size) < 0) ||
	    ioctl(fd, FIONREAD, &inside) < 0)
		return -errno;
	if (tee(fd, to, INT_MAX, SPLICE_F_NONBLOCK) != inside)
		return -ENOBUFS;
	return take_fd(&from);
}

void fifo_finish(int fd, fifo_line_fn *function, void *context)
{
	struct gathering g = {.function = function, .context = context, .no_zeros = true};
	auto_close int copy = -1;

	fill(fd);
	copy = copy_all(fd);
	/* Beyond pipe-user-pages-soft (pipe(7)) new pipes are small, and stay so; but FD can be
	 * made as small, once it is empty. */
	for (int i = 0; copy < 0 && i < SHRINKS_MAX; i++) {
		drain(fd, &g);
		if (fcntl(fd, F_SETPIPE_SZ, PIPE_BUF) < 0)
			continue;
		fill(fd);
		copy = copy_all(fd);
	}
	/* Without a copy this comes next: only what is written from here on is lost. */
	drain(copy >= 0 ? copy : fd, &g);
	end_line(&g);
}
