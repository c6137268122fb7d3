/*
 * Replays a corpus: runs every file of the directories named on the command line through a fuzz
 * target, and first of all an empty input. It says which file it is at, so that the last line
 * names the one that ended the program.
 *
 * Exit status 0 when all were run; 1 when a directory or file cannot be read, or there is none: a
 * corpus that is lost must not look like one that has passed.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* NOLINT(*-identifier-naming) */

/* Runs the file at PATH; false when it cannot be read. */
static bool run_file(const char *path)
{
	auto_fclose FILE *file = fopen(path, "re");
	auto_free uint8_t *data = NULL;
	struct stat status;
	size_t size;

	if (file == NULL || fstat(fileno(file), &status) < 0)
		return false;
	/* Exactly as large as the input, so that a sanitizer sees a byte read too far. */
	size = (size_t)status.st_size;
	data = malloc(size > 0 ? size : 1);
	if (data == NULL || fread(data, 1, size, file) != size)
		return false;
	(void)LLVMFuzzerTestOneInput(data, size);
	return true;
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Runs the files of DIRECTORY in the order of their names; returns how many, or -1. */
static int run_directory(const char *directory)
{
	struct dirent **entries = NULL;
	int n = scandir(directory, &entries, is_input, alphasort);
	int run = n;

	for (int i = 0; i < n; i++) {
		auto_free char *path = NULL;

		if (asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0)
			path = NULL;
		(void)printf("%s\n", path != NULL ? path : "(no memory)");
		(void)fflush(stdout);
		if (path == NULL || !run_file(path))
			run = -1;
		free(entries[i]);
	}
	free((void *)entries);
	return run;
}

int main(int argc, char **argv)
{
	static const uint8_t nothing[1];
	int status = argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;

	(void)LLVMFuzzerTestOneInput(nothing, 0);
	for (int i = 1; i < argc; i++)
		if (run_directory(argv[i]) <= 0) {
			(void)fprintf(stderr, "%s: not run\n", argv[i]);
			status = EXIT_FAILURE;
		}
	return status;
}
