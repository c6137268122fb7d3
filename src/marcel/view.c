/* Server text for a terminal; see view.h. */
#include "marcel/view.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* How many bytes a UTF-8 sequence has that begins with LEAD; 1 for what begins none. */
static size_t sequence_length(unsigned char lead)
{
	if (lead >= 0xf0 && lead <= 0xf4)
		return 4;
	if (lead >= 0xe0 && lead < 0xf0)
		return 3;
	return lead >= 0xc2 && lead < 0xe0 ? 2 : 1;
}

/* How many bytes at the end of TEXT are a UTF-8 sequence that has begun and lacks its end. */
static size_t begun(const char *text, size_t length)
{
	for (size_t n = 1; n <= 3 && n <= length; n++) {
		const unsigned char c = (unsigned char)text[length - n];

		if ((c & 0xc0) != 0x80)
			return sequence_length(c) > n ? n : 0;
	}
	return 0;
}

bool view_line(struct bytes *heard, enum view_rest rest, size_t *ret_length, size_t *ret_used)
{
	const char *text = bytes_first(heard);
	size_t length = 0;

	if (bytes_line(heard, &length)) {
		*ret_used = length + 1;
		*ret_length = length > 0 && text[length - 1] == '\r' ? length - 1 : length;
		return true;
	}
	if (rest == VIEW_KEEP)
		return false;
	length = bytes_length(heard);
	if (rest == VIEW_TAKE)
		length -= begun(text, length);
	if (length == 0)
		return false;
	*ret_used = length;
	*ret_length = length;
	return true;
}

char *view_render(const char *text, size_t length)
{
	const size_t size = TEXT_ESCAPED_MAX(length);
	char *shown = malloc(size);
	size_t used = 0;

	if (shown == NULL)
		return NULL;
	shown[0] = '\0';
	for (size_t i = 0; i < length;) {
		size_t run = i;

		while (run < length && text[run] != '\t' && text[run] != '\\')
			run++;
		used += text_escape(shown + used, size - used, text + i, run - i, NULL);
		if (run < length) {
			shown[used++] = text[run++];
			shown[used] = '\0';
		}
		i = run;
	}
	return shown;
}
