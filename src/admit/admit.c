/*
 * Counting conversations by face and by address; see admit.h.
 *
 * The trees are the C library's (tsearch(3)), one for each face, ordered by the bytes of the key.
 */
#include "admit/admit.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "converse/dialogue.h"

#define KEY_SIZE 16

/* A host that converses. The key comes first, so that a key alone can be looked up. */
struct host {
	uint8_t key[KEY_SIZE];
	uint64_t count; /* never 0 between two calls */
};

struct admit_face {
	char *name;
	void *hosts; /* a tree of struct host, owned */
	uint64_t count;
};

static int compare_keys(const void *a, const void *b)
{
	return memcmp(a, b, KEY_SIZE);
}

/* The host with KEY, or NULL. */
static struct host *find_host(struct admit_face *face, const uint8_t key[KEY_SIZE])
{
	/* A node of the tree begins with the pointer that was put there (tsearch(3)). */
	struct host **node = tfind(key, &face->hosts, compare_keys);

	return node != NULL ? *node : NULL;
}

/* Adds a host with KEY, which is not there yet, and a count of 0; NULL when memory is short. */
static struct host *add_host(struct admit_face *face, const uint8_t key[KEY_SIZE])
{
	auto_free struct host *host = calloc(1, sizeof(*host));

	if (host == NULL)
		return NULL;
	memcpy(host->key, key, KEY_SIZE);
	if (tsearch(host, &face->hosts, compare_keys) == NULL)
		return NULL;
	return take_ptr(&host); /* the tree owns it */
}

static void drop_host(struct admit_face *face, const uint8_t key[KEY_SIZE])
{
	struct host *host = find_host(face, key);

	if (host == NULL)
		abort();
	host->count--;
	if (host->count > 0)
		return;
	(void)tdelete(host, &face->hosts, compare_keys);
	free(host);
}

int admit_face(struct admit *admit, const char *name, size_t *ret_index)
{
	struct admit_face *more;
	char *copy;

	for (size_t i = 0; i < admit->n_faces; i++) {
		if (strcmp(admit->faces[i].name, name) == 0) {
			*ret_index = i;
			return 0;
		}
	}
	more = reallocarray(admit->faces, admit->n_faces + 1, sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	admit->faces = more;
	copy = strdup(name);
	if (copy == NULL)
		return -ENOMEM;
	more[admit->n_faces] = (struct admit_face){.name = copy};
	*ret_index = admit->n_faces++;
	return 0;
}

enum admit_verdict admit_take(struct admit *admit, size_t face_index, const struct limits *limits,
			      const uint8_t key[KEY_SIZE])
{
	struct admit_face *face = &admit->faces[face_index];
	struct host *host;

	if (limits != NULL && face->count >= limits->conversations)
		return ADMIT_FULL;
	if (key != NULL) {
		host = find_host(face, key);
		if (limits != NULL && limits->per_address > 0 && host != NULL &&
		    host->count >= limits->per_address)
			return ADMIT_ADDRESS;
		if (host == NULL)
			host = add_host(face, key);
		if (host == NULL)
			return ADMIT_MEMORY;
		host->count++;
	}
	face->count++;
	admit->total++;
	return ADMIT_OK;
}

void admit_drop(struct admit *admit, size_t face_index, const uint8_t key[KEY_SIZE])
{
	struct admit_face *face = &admit->faces[face_index];

	if (face->count == 0)
		abort();
	if (key != NULL)
		drop_host(face, key);
	face->count--;
	admit->total--;
}

uint64_t admit_count(const struct admit *admit, size_t face_index)
{
	return admit->faces[face_index].count;
}

const char *admit_reason(enum admit_verdict verdict)
{
#define ADMIT_REASON(NAME, reason, sentence) [ADMIT_##NAME] = (reason),
	static const char *const reasons[] = {ADMIT_VERDICTS(ADMIT_REASON)};
#undef ADMIT_REASON

	return reasons[verdict];
}

const char *admit_sentence(enum admit_verdict verdict)
{
#define ADMIT_SENTENCE(NAME, reason, sentence) [ADMIT_##NAME] = (sentence),
	static const char *const sentences[] = {ADMIT_VERDICTS(ADMIT_SENTENCE)};
#undef ADMIT_SENTENCE

	return sentences[verdict];
}

void admit_done(struct admit *admit)
{
	for (size_t i = 0; i < admit->n_faces; i++) {
		tdestroy(admit->faces[i].hosts, free);
		free(admit->faces[i].name);
	}
	free(admit->faces);
	*admit = (struct admit)ADMIT_INIT;
}
