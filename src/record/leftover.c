/*
 * The leftover file; see leftover.h. A magic, then each entry with its size before it.
 */
#include "record/leftover.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "record/losses.h"
#include "record/record-priv.h"

/* The digit is the version of the encoding in entry.c. */
static const char magic[8] = "marcelR1";

/* No record in the ring is larger; a greater size in a file is nonsense. */
#define ENTRY_SIZE_MAX (4 * 1024 * 1024)

void leftover_done(struct leftover *leftover)
{
	close_file(&leftover->file);
	free(leftover->entry);
	*leftover = (struct leftover)LEFTOVER_NONE;
}

/* Stops reading: what comes after SENSIBLE bytes is damaged, if anything does. */
static void give_up(struct leftover *leftover, long sensible)
{
	struct stat status;

	if (fstat(fileno(leftover->file), &status) == 0 && status.st_size > sensible)
		leftover->damaged += (uint64_t)(status.st_size - sensible);
	close_file(&leftover->file);
	leftover->file = NULL;
}

void leftover_open(struct leftover *leftover, const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char begin[sizeof(magic)];
	struct stat status;

	*leftover = (struct leftover)LEFTOVER_NONE;
	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
	    status.st_uid != geteuid())
		return;
	leftover->file = fdopen(fd, "re");
	if (leftover->file == NULL)
		return;
	(void)take_fd(&fd);
	leftover->found = true;
	if (fread(begin, sizeof(begin), 1, leftover->file) != 1 ||
	    memcmp(begin, magic, sizeof(begin)) != 0)
		give_up(leftover, 0);
}

/* Reads the next entry and its size. */
static bool read_entry(struct leftover *leftover)
{
	uint32_t size;
	void *entry;

	if (fread(&size, sizeof(size), 1, leftover->file) != 1)
		return false;
	if (size == 0 || size > ENTRY_SIZE_MAX)
		return false;
	entry = realloc(leftover->entry, size);
	if (entry == NULL)
		return false;
	leftover->entry = entry;
	if (fread(entry, size, 1, leftover->file) != 1)
		return false;
	leftover->size = size;
	return true;
}

const uint8_t *leftover_peek(struct leftover *leftover, size_t *ret_size)
{
	if (leftover->file == NULL)
		return NULL;
	if (leftover->size == 0) {
		long start = ftell(leftover->file);

		if (!read_entry(leftover)) {
			give_up(leftover, start);
			return NULL;
		}
	}
	*ret_size = leftover->size;
	return leftover->entry;
}

void leftover_advance(struct leftover *leftover)
{
	leftover->size = 0;
}

static bool write_entry(FILE *file, const uint8_t *entry, size_t size)
{
	uint32_t prefix = (uint32_t)size;

	return fwrite(&prefix, sizeof(prefix), 1, file) == 1 && fwrite(entry, size, 1, file) == 1;
}

/* Writes ENTRY unless the file is full: then it is counted. */
static bool write_or_refuse(FILE *file, const uint8_t *bytes, size_t size, struct ring *ring)
{
	struct entry_field fields[ENTRY_FIELDS_MAX];
	struct entry entry;

	if ((uint64_t)ftell(file) + size <= LEFTOVER_SIZE_MAX)
		return write_entry(file, bytes, size);
	if (entry_decode(bytes, size, &entry, fields) == 0)
		ring_refuse(ring, entry.kind);
	else
		ring_count_damage(ring, size);
	return true;
}

static bool write_losses(FILE *file, const struct ring *ring)
{
	struct losses_record record;
	struct ring_losses losses;
	auto_free uint8_t *bytes = NULL;
	size_t size;

	if (!ring_losses(ring, &losses))
		return true;
	losses_describe(&losses, &record);
	size = entry_size(&record.entry);
	bytes = malloc(size);
	if (bytes == NULL)
		return false;
	entry_encode(bytes, &record.entry);
	return write_entry(file, bytes, size);
}

static bool write_all(FILE *file, struct leftover *old, struct ring *ring)
{
	uint64_t position = ring_position(ring);
	const uint8_t *bytes;
	size_t size = 0;

	if (fwrite(magic, sizeof(magic), 1, file) != 1)
		return false;
	while ((bytes = leftover_peek(old, &size)) != NULL) {
		if (!write_or_refuse(file, bytes, size, ring))
			return false;
		leftover_advance(old);
	}
	while ((bytes = ring_next(ring, &position, &size)) != NULL)
		if (!write_or_refuse(file, bytes, size, ring))
			return false;
	return write_losses(file, ring) && fflush(file) == 0;
}

/* Opens a new, empty file beside PATH for writing, whatever is at its name now. */
static FILE *open_aside(const char *path, char **ret_name)
{
	auto_free char *name = NULL;
	auto_close int fd = -1;
	FILE *file;

	if (asprintf(&name, "%s.new", path) < 0) {
		name = NULL;
		return NULL;
	}
	(void)unlink(name);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return NULL;
	file = fdopen(fd, "we");
	if (file == NULL)
		return NULL;
	(void)take_fd(&fd);
	*ret_name = take_ptr(&name);
	return file;
}

int leftover_write(const char *path, struct leftover *old, struct ring *ring)
{
	auto_free char *name = NULL;
	auto_fclose FILE *file = open_aside(path, &name);
	int error = 0;

	if (file == NULL)
		return -errno;
	errno = EIO; /* for the few failures that don't set it */
	if (!write_all(file, old, ring) || rename(name, path) < 0) {
		error = -errno;
		(void)unlink(name);
		return error;
	}
	ring_clear(ring);
	return 0;
}

static int append_bytes(int fd, const struct entry *entry, uint8_t *bytes, size_t size)
{
	uint32_t prefix = (uint32_t)size;
	char begin[sizeof(magic)];
	struct iovec parts[] = {
		{.iov_base = begin, .iov_len = sizeof(begin)},
		{.iov_base = &prefix, .iov_len = sizeof(prefix)},
		{.iov_base = bytes, .iov_len = size},
	};
	struct stat status;
	int first;

	if (fstat(fd, &status) < 0)
		return -errno;
	first = status.st_size > 0 ? 1 : 0;
	memcpy(begin, magic, sizeof(begin));
	entry_encode(bytes, entry);
	return writev(fd, parts + first, 3 - first) < 0 ? -errno : 0;
}

int leftover_append(const char *path, const struct entry *entry)
{
	auto_close int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	size_t size = entry_size(entry);
	uint8_t *bytes;
	int error;

	if (fd < 0)
		return -errno;
	bytes = malloc(size);
	if (bytes == NULL)
		return -ENOMEM;
	error = append_bytes(fd, entry, bytes, size);
	free(bytes);
	return error;
}
