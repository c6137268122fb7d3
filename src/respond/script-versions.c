/* Counting the versions of scripts in use; see script-versions.h. */
#include "respond/script-versions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/lock.h"
#include "respond/keepsake.h"

struct version {
	struct version *next;
	struct script *script;
	unsigned users;
	bool kept;
};

/* Guarded by the lock; there are as many as there were reloads that somebody still talks by. */
static struct lock lock = LOCK_INIT("script versions");
static struct version *versions;

void version_name(uint64_t version, char *name, size_t size)
{
	(void)snprintf(name, size, KEEPSAKE_PREFIX "script-%016" PRIx64, version);
}

static struct version *find(uint64_t number)
{
	struct version *version = versions;

	while (version != NULL && version->script->version != number)
		version = version->next;
	return version;
}

/* Adds SCRIPT with one user and sees to its keepsake. Takes the reference, also when it fails. */
static struct version *add(struct script *script)
{
	struct version *version = calloc(1, sizeof(*version));
	char name[KEEPSAKE_NAME_MAX];

	if (version == NULL) {
		script_unref(script);
		return NULL;
	}
	version_name(script->version, name, sizeof(name));
	/* Without it conversations end at a restart once the file has changed; the daemon serves.
	 */
	version->kept = keepsake_keep(name, script->bundle, script->bundle_size) == 0;
	version->script = script;
	version->users = 1;
	version->next = versions;
	versions = version;
	return version;
}

const struct script *version_add(struct script *script)
{
	struct version *version;

	lock_take(&lock);
	version = find(script->version);
	if (version != NULL) {
		version->users++;
		script_unref(script);
	} else {
		version = add(script);
	}
	script = version != NULL ? version->script : NULL;
	lock_drop(&lock);
	return script;
}

/* Makes the script of a version from its keepsake. */
static int read_kept(uint64_t number, struct script **ret_script)
{
	auto_cleanup(faults_done) struct faults faults = {.count = 0};
	auto_free void *bundle = NULL;
	char name[KEEPSAKE_NAME_MAX];
	struct script *script;
	size_t size = 0;
	int r;

	version_name(number, name, sizeof(name));
	r = keepsake_read(name, &bundle, &size);
	if (r < 0)
		return r;
	r = script_load_bundle(bundle, size, &faults, &script);
	if (r < 0)
		return r;
	if (script->version != number) {
		script_unref(script);
		return -EBADMSG;
	}
	*ret_script = script;
	return 0;
}

int version_use(uint64_t number, const struct script **ret_script)
{
	struct version *version;
	struct script *script;
	int r = 0;

	lock_take(&lock);
	version = find(number);
	if (version != NULL) {
		version->users++;
	} else {
		r = read_kept(number, &script);
		if (r == 0) {
			version = add(script);
			r = version != NULL ? 0 : -ENOMEM;
		}
	}
	if (version != NULL)
		*ret_script = version->script;
	lock_drop(&lock);
	return r;
}

uint32_t version_process(void)
{
	static uint32_t number; /* guarded by the lock */
	uint32_t process;

	lock_take(&lock);
	while (number == 0)
		if (getrandom(&number, sizeof(number), 0) < 0)
			number = (uint32_t)getpid();
	process = number;
	lock_drop(&lock);
	return process;
}

const struct script *version_find(uint64_t number)
{
	const struct version *version;

	lock_take(&lock);
	version = find(number);
	lock_drop(&lock);
	return version != NULL ? version->script : NULL;
}

void version_drop(uint64_t number)
{
	struct version **place = &versions;
	struct version *version;
	char name[KEEPSAKE_NAME_MAX];

	lock_take(&lock);
	version = find(number);
	if (version != NULL && --version->users == 0) {
		while (*place != version)
			place = &(*place)->next;
		*place = version->next;
		version_name(number, name, sizeof(name));
		if (version->kept)
			keepsake_drop(name);
		script_unref(version->script);
		free(version);
	}
	lock_drop(&lock);
}
