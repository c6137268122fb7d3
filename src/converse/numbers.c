/* Numbering conversations; see numbers.h. */
#include "converse/numbers.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* So many numbers are given out between two writes. */
#define BLOCK 1000

static int open_file(const char *path, uint64_t *ret_bound)
{
	auto_close int fd =
		open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	uint64_t bound = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	/* A file that is empty or cut short says nothing. */
	if (pread(fd, &bound, sizeof(bound), 0) != (ssize_t)sizeof(bound))
		bound = 0;
	*ret_bound = bound;
	return take_fd(&fd);
}

static void write_bound(struct numbers *numbers, uint64_t bound)
{
	numbers->bound = bound;
	if (numbers->fd >= 0)
		(void)!pwrite(numbers->fd, &bound, sizeof(bound), 0);
}

int numbers_init(struct numbers *numbers, _Atomic uint64_t *next, bool trusted, const char *path)
{
	uint64_t bound = 0;
	int fd = path != NULL ? open_file(path, &bound) : -1;

	*numbers = (struct numbers){.next = next, .fd = fd < 0 ? -1 : fd};
	if (!trusted)
		atomic_store(next, bound > 1 ? bound : 1);
	numbers->bound = atomic_load(next);
	return path != NULL && fd < 0 ? fd : 0;
}

uint64_t numbers_take(struct numbers *numbers)
{
	uint64_t number = atomic_load(numbers->next);

	if (number >= numbers->bound)
		write_bound(numbers, number + BLOCK);
	atomic_store(numbers->next, number + 1);
	return number;
}

void numbers_done(struct numbers *numbers)
{
	if (numbers->next != NULL)
		write_bound(numbers, atomic_load(numbers->next));
	close_fd(&numbers->fd);
}
