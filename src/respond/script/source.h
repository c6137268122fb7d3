/*
 * The files a script consists of, and the bundle: all of them as one piece of bytes.
 *
 * A bundle makes the same script in another process, without opening a file: BUNDLE_MAGIC, then for
 * each file, the script itself first, the length of its name, its name, the length of its text, its
 * text (lengths of 4 bytes, the smallest first). Names are paths as they were opened. A bundle may
 * come from anywhere; a broken one is refused.
 *
 * One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "respond/script/arena.h"

#define BUNDLE_MAGIC "MarcelS1"

struct source {
	const char *name; /* NUL-ended; in the arena `keep` */
	const char *text; /* length bytes, any */
	size_t length;
};

struct sources {
	struct arena *keep;    /* what lives as long as the script: names */
	struct arena *scratch; /* texts */
	struct source **list;
	size_t count;
	size_t capacity;
	size_t total;     /* bytes of all texts */
	bool reads_files; /* else only what is in the list can be included */
};

/* Adds a file with LENGTH bytes at TEXT, which stay the caller's. Returns 0 or -ENOMEM. */
int sources_add(struct sources *sources, const char *name, const char *text, size_t length,
		const struct source **ret_source);

/*
 * Gives the file NAME out of the list, or reads it. Returns 0; -ENOENT, -EACCES and the like;
 * -EFBIG when all files together are more than SCRIPT_BYTES_MAX; -EISDIR, -ENOTSUP if it is not a
 * plain file; -ENOMEM.
 */
int sources_get(struct sources *sources, const char *name, const struct source **ret_source);

/* What is wrong with a file that sources_get() gave R for; may use BUFFER. */
#define SOURCE_ERROR_SIZE 128
const char *source_error(int r, char buffer[SOURCE_ERROR_SIZE]);

/* The path of NAME, LENGTH bytes, as FILE means it: beside it, unless it begins with a slash. It
 * lies in the arena `scratch`; NULL without memory. */
const char *sources_path(struct sources *sources, const char *file, const char *name,
			 size_t length);

/* Makes the bundle of all files, in the arena `keep`. Returns 0 or -ENOMEM. */
int sources_bundle(const struct sources *sources, const char **ret_bundle, size_t *ret_size);

/* Adds the files of a bundle; their texts stay where they are. Returns 0, -EINVAL or -ENOMEM. */
int sources_unbundle(struct sources *sources, const char *bundle, size_t size);

/* The version of a script: FNV-1a with 64 bits over its bundle; never 0. */
uint64_t bundle_version(const char *bundle, size_t size);
