/* Looking for drafts; see desk-draft.h. */
#include "marcelctl/desk-draft.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

char *desk_draft_in(const char *text, size_t length, uint64_t number, uint64_t turn)
{
	const char *end = text + length;
	const char *found = NULL;
	size_t found_length = 0;
	char mark[96];
	const int mark_length =
		snprintf(mark, sizeof(mark), " draft %" PRIu64 " #%" PRIu64 " ", number, turn);

	while (text < end) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));
		const char *blank;

		/* The last line may be half written. */
		if (line_end == NULL)
			break;
		/* NUMBER TIME draft CONVERSATION #TURN TEXT; no blank is in the first two. */
		blank = memchr(text, ' ', (size_t)(line_end - text));
		if (blank != NULL)
			blank = memchr(blank + 1, ' ', (size_t)(line_end - blank - 1));
		if (blank != NULL && line_end - blank >= mark_length &&
		    memcmp(blank, mark, (size_t)mark_length) == 0) {
			found = blank + mark_length;
			found_length = (size_t)(line_end - found);
		}
		text = line_end + 1;
	}
	return found != NULL ? strndup(found, found_length) : NULL;
}

/* Reads at most SIZE bytes at the end of what FD is. Returns how many. */
static size_t read_end(int fd, char *buffer, size_t size)
{
	struct stat status;
	size_t got = 0;
	off_t from;

	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return 0;
	from = (size_t)status.st_size > size ? status.st_size - (off_t)size : 0;
	while (got < size) {
		const ssize_t n = pread(fd, buffer + got, size - got, from + (off_t)got);

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got;
}

char *desk_draft_find(const char *directory, uint64_t number, uint64_t turn)
{
	auto_close int fd = -1;
	char path[4096];
	char *draft = NULL;
	char *text;

	if (directory[0] == '\0' ||
	    snprintf(path, sizeof(path), "%s/events", directory) >= (int)sizeof(path))
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	text = fd >= 0 ? malloc(DESK_DRAFT_LOOK) : NULL;
	if (text != NULL)
		draft = desk_draft_in(text, read_end(fd, text, DESK_DRAFT_LOOK), number, turn);
	free(text);
	return draft;
}
