/* What was typed, kept; see past.h. */
#include "marcel/past.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LINES_MAX 1000

/* The file's path, which the caller frees; NULL when the environment names no place. */
static char *file_path(void)
{
	const char *state = secure_getenv("XDG_STATE_HOME");
	const char *home = secure_getenv("HOME");
	char *path = NULL;
	int length = -1;

	if (state != NULL && state[0] == '/')
		length = asprintf(&path, "%s/marcel/history", state);
	else if (home != NULL && home[0] == '/')
		length = asprintf(&path, "%s/.local/state/marcel/history", home);
	return length < 0 ? NULL : path;
}

/* Makes the directories that PATH lies in; a failure shows when the file is opened. */
static void make_directories(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
}

void past_load(struct past *past)
{
	auto_free char *path = file_path();
	HistEvent event;

	*past = (struct past){.lines = history_init()};
	if (past->lines == NULL)
		return;
	(void)history(past->lines, &event, H_SETSIZE, LINES_MAX);
	(void)history(past->lines, &event, H_SETUNIQUE, 1);
	if (path != NULL)
		(void)history(past->lines, &event, H_LOAD, path);
}

void past_add(struct past *past, const char *line)
{
	HistEvent event;

	if (past->lines == NULL || line[0] == ' ' || line[0] == '\n')
		return;
	(void)history(past->lines, &event, H_ENTER, line);
	past->changed = true;
}

/* Writes the lines to the new file FD, which it closes. */
static bool write_lines(History *lines, int fd)
{
	FILE *file = fdopen(fd, "w");
	HistEvent event;
	bool written;

	if (file == NULL) {
		close_fd(&fd);
		return false;
	}
	written = history(lines, &event, H_SAVE_FP, file) >= 0;
	return fclose(file) == 0 && written;
}

void past_save(const struct past *past)
{
	auto_free char *path = file_path();
	auto_free char *temporary = NULL;
	int fd;

	if (path == NULL || past->lines == NULL || !past->changed)
		return;
	make_directories(path);
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
		temporary = NULL;
		return;
	}
	/* Made with mode 0600. */
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return;
	if (!write_lines(past->lines, fd) || rename(temporary, path) < 0)
		(void)unlink(temporary);
}

void past_done(struct past *past)
{
	if (past->lines != NULL)
		history_end(past->lines);
	past->lines = NULL;
}
