/* Files, whole; see file.h. */
#include "marcelctl/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

int file_read(const char *file, size_t max, char **ret_text, size_t *ret_length)
{
	auto_fclose FILE *stream = fopen(file, "re");
	auto_free char *text = NULL;
	size_t room = 0;
	size_t length = 0;
	size_t n;

	if (stream == NULL)
		return -errno;
	do {
		if (length + 1 >= room) {
			char *more = realloc(text, room > 0 ? 2 * room : 4096);

			if (more == NULL)
				return -ENOMEM;
			text = more;
			room = room > 0 ? 2 * room : 4096;
		}
		errno = 0;
		n = fread(text + length, 1, room - length - 1, stream);
		length += n;
		if (length > max)
			return -EFBIG;
	} while (n > 0);
	if (ferror(stream))
		return errno != 0 ? -errno : -EIO;
	text[length] = '\0';
	*ret_text = take_ptr(&text);
	*ret_length = length;
	return 0;
}

int file_write(const char *file, const char *text, size_t length)
{
	auto_fclose FILE *stream = fopen(file, "we");

	if (stream == NULL)
		return -errno;
	errno = 0;
	if (fwrite(text, 1, length, stream) != length || fflush(stream) == EOF)
		return errno != 0 ? -errno : -EIO;
	return 0;
}

void file_put_escaped(FILE *file, const char *text, size_t length)
{
	char piece[1024];

	while (length > 0) {
		size_t used = 0;
		const size_t written = text_escape(piece, sizeof(piece), text, length, &used);

		(void)fwrite(piece, 1, written, file);
		text += used;
		length -= used;
	}
}
