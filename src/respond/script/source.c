/* The files of a script and its bundle; see source.h. */
#include "respond/script/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "respond/script/program.h"

#define MAGIC_SIZE (sizeof(BUNDLE_MAGIC) - 1)

int sources_add(struct sources *sources, const char *name, const char *text, size_t length,
		const struct source **ret_source)
{
	struct source *source = arena_alloc(sources->keep, sizeof(*source));
	struct source **list = arena_grow(sources->scratch, sources->list, sources->count,
					  &sources->capacity, sizeof(struct source *));

	if (list == NULL || source == NULL)
		return -ENOMEM;
	sources->list = list;
	source->name = arena_copy(sources->keep, name, strlen(name));
	if (source->name == NULL)
		return -ENOMEM;
	source->text = text;
	source->length = length;
	sources->list[sources->count++] = source;
	sources->total += length;
	*ret_source = source;
	return 0;
}

static int read_all(int fd, char *bytes, size_t size, size_t *ret_length)
{
	size_t length = 0;

	while (length < size) {
		ssize_t n = read(fd, bytes + length, size - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	*ret_length = length;
	return 0;
}

static int read_file(struct sources *sources, const char *name, const struct source **ret_source)
{
	/* Nothing but a plain file is read, and opening one does not block. */
	auto_close int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	size_t length = 0;
	char *text;
	int r;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	if (!S_ISREG(status.st_mode))
		return -ENOTSUP;
	if ((uint64_t)status.st_size > SCRIPT_BYTES_MAX - sources->total)
		return -EFBIG;
	text = arena_alloc(sources->scratch, (size_t)status.st_size);
	if (text == NULL)
		return -ENOMEM;
	r = read_all(fd, text, (size_t)status.st_size, &length);
	return r < 0 ? r : sources_add(sources, name, text, length, ret_source);
}

int sources_get(struct sources *sources, const char *name, const struct source **ret_source)
{
	for (size_t i = 0; i < sources->count; i++) {
		if (strcmp(sources->list[i]->name, name) == 0) {
			*ret_source = sources->list[i];
			return 0;
		}
	}
	return sources->reads_files ? read_file(sources, name, ret_source) : -ENOENT;
}

const char *source_error(int r, char buffer[SOURCE_ERROR_SIZE])
{
	if (r == -ENOTSUP)
		return "it is no plain file";
	return strerror_r(-r, buffer, SOURCE_ERROR_SIZE);
}

const char *sources_path(struct sources *sources, const char *file, const char *name, size_t length)
{
	const char *slash = strrchr(file, '/');
	size_t directory = slash != NULL ? (size_t)(slash - file) + 1 : 0;
	char *path;

	if (length > 0 && name[0] == '/')
		directory = 0;
	path = arena_alloc(sources->scratch, directory + length + 1);
	if (path == NULL)
		return NULL;
	(void)memcpy(path, file, directory);
	(void)memcpy(path + directory, name, length);
	return path;
}

static char *put_piece(char *to, const char *bytes, size_t length)
{
	for (unsigned i = 0; i < 4; i++)
		*to++ = (char)(length >> (8 * i) & 0xFF);
	if (length > 0)
		(void)memcpy(to, bytes, length);
	return to + length;
}

int sources_bundle(const struct sources *sources, const char **ret_bundle, size_t *ret_size)
{
	size_t size = MAGIC_SIZE;
	char *bundle;
	char *to;

	for (size_t i = 0; i < sources->count; i++)
		size += 8 + strlen(sources->list[i]->name) + sources->list[i]->length;
	bundle = arena_alloc(sources->keep, size);
	if (bundle == NULL)
		return -ENOMEM;
	(void)memcpy(bundle, BUNDLE_MAGIC, MAGIC_SIZE);
	to = bundle + MAGIC_SIZE;
	for (size_t i = 0; i < sources->count; i++) {
		const struct source *source = sources->list[i];

		to = put_piece(to, source->name, strlen(source->name));
		to = put_piece(to, source->text, source->length);
	}
	*ret_bundle = bundle;
	*ret_size = size;
	return 0;
}

/* Takes a length and as many bytes from the front of *AT, of which *LEFT are left. */
static bool take_piece(const char **at, size_t *left, const char **ret_bytes, size_t *ret_length)
{
	size_t length = 0;

	if (*left < 4)
		return false;
	for (unsigned i = 0; i < 4; i++)
		length |= (size_t)(unsigned char)(*at)[i] << (8 * i);
	*at += 4;
	*left -= 4;
	if (length > *left)
		return false;
	*ret_bytes = *at;
	*ret_length = length;
	*at += length;
	*left -= length;
	return true;
}

int sources_unbundle(struct sources *sources, const char *bundle, size_t size)
{
	if (size < MAGIC_SIZE || memcmp(bundle, BUNDLE_MAGIC, MAGIC_SIZE) != 0)
		return -EINVAL;
	bundle += MAGIC_SIZE;
	size -= MAGIC_SIZE;
	do {
		const struct source *source;
		const char *name;
		const char *text;
		const char *copy;
		size_t name_length;
		size_t length;
		int r;

		if (!take_piece(&bundle, &size, &name, &name_length) ||
		    !take_piece(&bundle, &size, &text, &length) ||
		    memchr(name, '\0', name_length) != NULL ||
		    length > SCRIPT_BYTES_MAX - sources->total)
			return -EINVAL;
		copy = arena_copy(sources->scratch, name, name_length);
		if (copy == NULL)
			return -ENOMEM;
		r = sources_add(sources, copy, text, length, &source);
		if (r < 0)
			return r;
	} while (size > 0);
	return 0;
}

uint64_t bundle_version(const char *bundle, size_t size)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)bundle[i]) * UINT64_C(0x100000001b3);
	return hash != 0 ? hash : 1;
}
