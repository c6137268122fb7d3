/* Files of whole lines; see channel-scroll.h. */
#include "respond/operator/channel-scroll.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define SCROLL_MODE 0640

/* Opens NAME; *RET_SIZE is how long it is. */
static int open_scroll(int dir, const char *name, int flags, off_t *ret_size)
{
	auto_close int fd = openat(dir, name,
				   flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
				   SCROLL_MODE);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	/* With another name it may be somebody's file anywhere. */
	if (!S_ISREG(st.st_mode) || st.st_nlink > 1)
		return -EEXIST;
	*ret_size = st.st_size;
	return take_fd(&fd);
}

/* Where the line begins that ends at END: behind the LF before it, or 0. */
static int find_line(int fd, off_t end, off_t *ret_begin)
{
	char bytes[4096];

	while (end > 0) {
		size_t want = end < (off_t)sizeof(bytes) ? (size_t)end : sizeof(bytes);
		ssize_t n = pread(fd, bytes, want, end - (off_t)want);
		const char *lf;

		if (n < 0)
			return -errno;
		if ((size_t)n < want)
			return -EIO;
		lf = memrchr(bytes, '\n', want);
		if (lf != NULL) {
			*ret_begin = end - (off_t)want + (lf - bytes) + 1;
			return 0;
		}
		end -= (off_t)want;
	}
	*ret_begin = 0;
	return 0;
}

/* Cuts off what follows the last LF of the file FD, *SIZE bytes long. */
static int repair(int fd, off_t *size)
{
	off_t begin = 0;
	int r = find_line(fd, *size, &begin);

	if (r < 0)
		return r;
	if (begin == *size)
		return 0;
	if (ftruncate(fd, begin) < 0)
		return -errno;
	*size = begin;
	return 0;
}

/* Writes LENGTH bytes at LINE at the end of FD, which is at SIZE; all or nothing. */
static int write_whole(int fd, off_t size, const char *line, size_t length)
{
	size_t written = 0;

	while (written < length) {
		ssize_t n = write(fd, line + written, length - written);
		int r = n < 0 ? -errno : n == 0 ? -ENOSPC : 0;

		if (r == -EINTR)
			continue;
		if (r < 0) {
			if (written > 0 && ftruncate(fd, size) < 0)
				return -errno;
			return r;
		}
		written += (size_t)n;
	}
	return 0;
}

/* Opens NAME so that LENGTH bytes may be added to it. Returns a descriptor or a negative errno. */
static int open_for(int dir, const char *name, size_t length, off_t *ret_size)
{
	const int flags = O_RDWR | O_APPEND | O_CREAT;
	auto_close int fd = -1;
	char before[64];
	off_t size = 0;
	int r;

	fd = open_scroll(dir, name, flags, &size);
	if (fd < 0)
		return fd;
	if (size > 0 && (size_t)size + length > SCROLL_MAX) {
		(void)snprintf(before, sizeof(before), "%s.1", name);
		if (renameat(dir, name, dir, before) < 0)
			return -errno;
		close_fd(&fd);
		fd = open_scroll(dir, name, flags, &size);
		if (fd < 0)
			return fd;
	}
	r = repair(fd, &size);
	if (r < 0)
		return r;
	*ret_size = size;
	return take_fd(&fd);
}

int scroll_append(int dir, const char *name, const char *line, size_t length)
{
	off_t size = 0;
	auto_close int fd = open_for(dir, name, length, &size);

	return fd < 0 ? fd : write_whole(fd, size, line, length);
}

int scroll_last_number(int dir, const char *name, uint64_t *ret_number)
{
	off_t size = 0, begin = 0;
	auto_close int fd = open_scroll(dir, name, O_RDONLY, &size);
	char digits[32];
	ssize_t n;
	int r;

	if (fd < 0)
		return fd;
	r = find_line(fd, size, &begin);
	if (r < 0)
		return r;
	/* What follows the last LF was torn off by a crash, and is no line. */
	size = begin;
	if (size == 0)
		return -ENOENT;
	r = find_line(fd, size - 1, &begin);
	if (r < 0)
		return r;
	n = pread(fd, digits, sizeof(digits) - 1, begin);
	if (n < 0)
		return -errno;
	digits[n] = '\0';
	digits[strcspn(digits, " \n")] = '\0';
	return text_parse_unsigned(digits, UINT64_MAX - 1, ret_number) < 0 ? -EBADMSG : 0;
}
