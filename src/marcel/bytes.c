/* A queue of bytes that grows; see bytes.h. */
#include "marcel/bytes.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 4096

void bytes_done(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes)BYTES_INIT;
}

size_t bytes_length(const struct bytes *bytes)
{
	return bytes->end - bytes->start;
}

const char *bytes_first(const struct bytes *bytes)
{
	return bytes->data != NULL ? bytes->data + bytes->start : "";
}

char *bytes_reserve(struct bytes *bytes, size_t room)
{
	const size_t length = bytes_length(bytes);
	size_t capacity = bytes->capacity;
	char *data;

	if (room <= capacity - bytes->end && bytes->data != NULL)
		return bytes->data + bytes->end;
	/* Moving pays for itself when at least as much was dropped as has to move. */
	if (bytes->start >= length && room <= capacity - length && bytes->data != NULL) {
		memmove(bytes->data, bytes->data + bytes->start, length);
		bytes->start = 0;
		bytes->end = length;
		return bytes->data + bytes->end;
	}
	if (room > SIZE_MAX / 4 || bytes->end > SIZE_MAX / 4)
		return NULL;
	if (capacity < CAPACITY_MIN)
		capacity = CAPACITY_MIN;
	while (capacity - bytes->end < room)
		capacity *= 2;
	data = realloc(bytes->data, capacity);
	if (data == NULL)
		return NULL;
	bytes->data = data;
	bytes->capacity = capacity;
	return data + bytes->end;
}

void bytes_grew(struct bytes *bytes, size_t n)
{
	bytes->end += n;
}

int bytes_append(struct bytes *bytes, const char *text, size_t n)
{
	char *room;

	if (n == 0)
		return 0;
	room = bytes_reserve(bytes, n);
	if (room == NULL)
		return -ENOMEM;
	memcpy(room, text, n);
	bytes_grew(bytes, n);
	return 0;
}

void bytes_drop(struct bytes *bytes, size_t n)
{
	bytes->start += n;
	bytes->searched = bytes->searched > n ? bytes->searched - n : 0;
	if (bytes->start == bytes->end)
		bytes->start = bytes->end = 0;
}

bool bytes_line(struct bytes *bytes, size_t *ret_length)
{
	const char *first = bytes_first(bytes);
	const size_t length = bytes_length(bytes);
	const char *lf = memchr(first + bytes->searched, '\n', length - bytes->searched);

	if (lf == NULL) {
		bytes->searched = length;
		return false;
	}
	bytes->searched = (size_t)(lf - first);
	*ret_length = (size_t)(lf - first);
	return true;
}
