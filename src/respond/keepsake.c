/* Keeping bytes beyond the process; see keepsake.h. */
#include "respond/keepsake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/lock.h"

/* A script is smaller than that, so what an earlier process left is, too. */
#define BYTES_MAX ((off_t)64 * 1024 * 1024)

struct keepsake {
	struct keepsake *next;
	char name[KEEPSAKE_NAME_MAX];
	int fd; /* a memfd; -1: it was taken, or is a descriptor in the store alone */
	unsigned count;
	bool stored;
	bool replaces;   /* the store has one of that name that is of no use any more */
	unsigned needed; /* conversations that will count it soon */
};

/* Everything is guarded by the lock. */
static struct {
	struct lock lock;
	struct keepsake *first;
	keepsake_store_fn *store;
	keepsake_unstore_fn *unstore;
} keepsakes = {.lock = LOCK_INIT("keepsakes")};

static struct keepsake *find(const char *name)
{
	struct keepsake *keepsake = keepsakes.first;

	while (keepsake != NULL && strcmp(keepsake->name, name) != 0)
		keepsake = keepsake->next;
	return keepsake;
}

/* Adds FD, which it takes over, as NAME. Returns NULL if there is no memory. */
static struct keepsake *add(int fd, const char *name)
{
	struct keepsake *keepsake = calloc(1, sizeof(*keepsake));

	if (keepsake == NULL) {
		close_fd(&fd);
		return NULL;
	}
	(void)memcpy(keepsake->name, name, strlen(name) + 1);
	keepsake->fd = fd;
	keepsake->next = keepsakes.first;
	keepsakes.first = keepsake;
	return keepsake;
}

static void forget(struct keepsake *keepsake)
{
	struct keepsake **place = &keepsakes.first;

	while (*place != keepsake)
		place = &(*place)->next;
	*place = keepsake->next;
	if (keepsake->stored && keepsakes.unstore != NULL)
		keepsakes.unstore(keepsake->name);
	close_fd(&keepsake->fd);
	free(keepsake);
}

static void put_into_store(struct keepsake *keepsake)
{
	if (keepsake->stored || keepsakes.store == NULL)
		return;
	if (keepsake->replaces && keepsakes.unstore != NULL)
		keepsakes.unstore(keepsake->name);
	keepsake->replaces = false;
	keepsakes.store(keepsake->fd, keepsake->name);
	keepsake->stored = true;
}

void keepsakes_offer(int fd, const char *name)
{
	struct keepsake *keepsake;

	if (strlen(name) >= KEEPSAKE_NAME_MAX) {
		close_fd(&fd);
		return;
	}
	lock_take(&keepsakes.lock);
	keepsake = find(name);
	if (keepsake != NULL)
		close_fd(&fd); /* the configuration was read before and keeps it anew */
	else
		keepsake = add(fd, name);
	if (keepsake != NULL)
		keepsake->stored = true;
	lock_drop(&keepsakes.lock);
}

void keepsakes_start(keepsake_store_fn *store, keepsake_unstore_fn *unstore)
{
	lock_take(&keepsakes.lock);
	keepsakes.store = store;
	keepsakes.unstore = unstore;
	for (struct keepsake *k = keepsakes.first; k != NULL; k = k->next)
		put_into_store(k);
	lock_drop(&keepsakes.lock);
}

bool keepsakes_need(const char *name)
{
	struct keepsake *keepsake;

	lock_take(&keepsakes.lock);
	keepsake = find(name);
	if (keepsake != NULL)
		keepsake->needed++;
	lock_drop(&keepsakes.lock);
	return keepsake != NULL;
}

void keepsakes_forget_rest(void)
{
	struct keepsake *next;

	lock_take(&keepsakes.lock);
	for (struct keepsake *k = keepsakes.first; k != NULL; k = next) {
		next = k->next;
		if (k->count == 0 && k->needed == 0)
			forget(k);
	}
	lock_drop(&keepsakes.lock);
}

void keepsakes_done(void)
{
	lock_take(&keepsakes.lock);
	keepsakes.unstore = NULL;
	keepsakes.store = NULL;
	while (keepsakes.first != NULL)
		forget(keepsakes.first);
	lock_drop(&keepsakes.lock);
}

/* A memfd of SIZE bytes at BYTES that nobody can change any more. */
static int make_memfd(const char *name, const void *bytes, size_t size)
{
	auto_close int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const char *from = bytes;

	if (fd < 0)
		return -errno;
	while (size > 0) {
		ssize_t n = write(fd, from, size);

		if (n < 0)
			return -errno;
		from += n;
		size -= (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	return take_fd(&fd);
}

int keepsake_keep(const char *name, const void *bytes, size_t size)
{
	struct keepsake *keepsake;
	int fd, r = 0;

	if (strlen(name) >= KEEPSAKE_NAME_MAX)
		return -ENAMETOOLONG;
	lock_take(&keepsakes.lock);
	keepsake = find(name);
	if (keepsake == NULL) {
		fd = make_memfd(name, bytes, size);
		if (fd >= 0)
			keepsake = add(fd, name);
		r = fd < 0 ? fd : keepsake == NULL ? -ENOMEM : 0;
	}
	if (keepsake != NULL) {
		keepsake->count++;
		put_into_store(keepsake);
	}
	lock_drop(&keepsakes.lock);
	return r;
}

/* Forgets it if nobody counts or needs it any more. */
static void forget_if_idle(struct keepsake *keepsake)
{
	if (keepsake->count == 0 && keepsake->needed == 0)
		forget(keepsake);
}

void keepsake_arrived(const char *name)
{
	struct keepsake *keepsake;

	lock_take(&keepsakes.lock);
	keepsake = find(name);
	if (keepsake != NULL && keepsake->needed > 0) {
		keepsake->needed--;
		forget_if_idle(keepsake);
	}
	lock_drop(&keepsakes.lock);
}

void keepsake_drop(const char *name)
{
	struct keepsake *keepsake;

	lock_take(&keepsakes.lock);
	keepsake = find(name);
	if (keepsake != NULL && keepsake->count > 0) {
		keepsake->count--;
		forget_if_idle(keepsake);
	}
	lock_drop(&keepsakes.lock);
}

static int read_whole(int fd, void **ret_bytes, size_t *ret_size)
{
	auto_free char *bytes = NULL;
	struct stat st;
	size_t size = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > BYTES_MAX)
		return -EBADMSG;
	bytes = malloc((size_t)st.st_size + 1);
	if (bytes == NULL)
		return -ENOMEM;
	while (size < (size_t)st.st_size) {
		ssize_t n = pread(fd, bytes + size, (size_t)st.st_size - size, (off_t)size);

		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		size += (size_t)n;
	}
	*ret_size = size;
	*ret_bytes = bytes;
	bytes = NULL;
	return 0;
}

int keepsake_read(const char *name, void **ret_bytes, size_t *ret_size)
{
	const struct keepsake *keepsake;
	int r = -ENOENT;

	lock_take(&keepsakes.lock);
	keepsake = find(name);
	if (keepsake != NULL && keepsake->fd >= 0)
		r = read_whole(keepsake->fd, ret_bytes, ret_size);
	lock_drop(&keepsakes.lock);
	return r;
}

int keepsake_take_fd(const char *name)
{
	struct keepsake *keepsake;
	int fd = -ENOENT;

	lock_take(&keepsakes.lock);
	keepsake = find(name);
	/* It counts as kept, by the one who took it. */
	if (keepsake != NULL && keepsake->fd >= 0 && keepsake->count == 0) {
		fd = take_fd(&keepsake->fd);
		keepsake->count = 1;
	}
	lock_drop(&keepsakes.lock);
	return fd;
}

int keepsake_store_fd(const char *name, int fd)
{
	struct keepsake *keepsake;
	bool replaces;
	int own;

	if (strlen(name) >= KEEPSAKE_NAME_MAX)
		return -ENAMETOOLONG;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return -errno;
	lock_take(&keepsakes.lock);
	keepsake = find(name);
	/* Before keepsakes_start() nothing can be taken out of the store. */
	replaces = keepsake != NULL && keepsakes.unstore == NULL &&
		   (keepsake->stored || keepsake->replaces);
	if (keepsake != NULL)
		forget(keepsake);
	keepsake = add(own, name);
	if (keepsake != NULL) {
		keepsake->count = 1;
		keepsake->replaces = replaces;
		put_into_store(keepsake);
	}
	lock_drop(&keepsakes.lock);
	return keepsake == NULL ? -ENOMEM : 0;
}

void keepsake_unstore_fd(const char *name)
{
	struct keepsake *keepsake;

	lock_take(&keepsakes.lock);
	keepsake = find(name);
	if (keepsake != NULL && keepsakes.unstore == NULL &&
	    (keepsake->stored || keepsake->replaces)) {
		/* keepsakes_forget_rest() does it. */
		close_fd(&keepsake->fd);
		keepsake->stored = true;
		keepsake->count = 0;
	} else if (keepsake != NULL) {
		forget(keepsake);
	}
	lock_drop(&keepsakes.lock);
}
