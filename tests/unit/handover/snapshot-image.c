/* Images of tables as text; see snapshot-image.h. */
#include "snapshot-image.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define BYTES_PER_LINE 32

static int digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* Puts the bytes of "OFFSET: HEX" where they belong. */
static void load_bytes(struct image *image, const char *line)
{
	char *at = NULL;
	uint64_t offset = strtoull(line, &at, 16);

	assert_true(at > line && at[0] == ':' && at[1] == ' ');
	for (at += 2; digit(at[0]) >= 0; at += 2) {
		assert_true(digit(at[1]) >= 0);
		assert_true(offset < image->size);
		image->map[offset++] = (char)(digit(at[0]) * 16 + digit(at[1]));
	}
	assert_true(*at == '\n');
}

/* The first line that is no comment: makes room. */
static void load_size(struct image *image, const char *line)
{
	assert_int_equal(strncmp(line, "size: ", 6), 0);
	image->size = strtoull(line + 6, NULL, 16);
	assert_true(image->size > 0);
	image->map = mmap(NULL, image->size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(image->map != MAP_FAILED);
}

void image_load(const char *path, struct image *ret)
{
	auto_fclose FILE *stream = fopen(path, "re");
	auto_free char *line = NULL;
	size_t room = 0;

	*ret = (struct image){.map = NULL};
	assert_non_null(stream);
	while (getline(&line, &room, stream) > 0) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (ret->map == NULL)
			load_size(ret, line);
		else
			load_bytes(ret, line);
	}
	assert_non_null(ret->map);
}

void image_done(struct image *image)
{
	if (image->map != NULL)
		(void)munmap(image->map, image->size);
	*image = (struct image){.map = NULL};
}

void image_write(FILE *stream, const char *what, const void *map, uint64_t offset, size_t size)
{
	static const unsigned char zeroes[BYTES_PER_LINE];
	const unsigned char *bytes = (const unsigned char *)map + offset;

	(void)fprintf(stream, "\n# %s\n", what);
	for (size_t at = 0; at < size; at += BYTES_PER_LINE) {
		size_t length = size - at < BYTES_PER_LINE ? size - at : BYTES_PER_LINE;

		if (memcmp(bytes + at, zeroes, length) == 0)
			continue;
		(void)fprintf(stream, "%08" PRIx64 ": ", offset + at);
		for (size_t i = 0; i < length; i++)
			(void)fprintf(stream, "%02x", bytes[at + i]);
		(void)fputc('\n', stream);
	}
}
