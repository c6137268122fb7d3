/* Reading [fifo]; see fifo-settings.h. */
#include "respond/fifo-settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/i18n.h"
#include "base/text.h"
#include "respond/fifo-responder.h"

static const char *const names[] = {"directory", "absent_after", "absent_reply", "grace"};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

#define ABSENT_AFTER (30 * USEC_PER_SEC)
#define ABSENT_REPLY "Personne n'est là pour l'instant ; votre message est gardé."
#define GRACE        (600 * USEC_PER_SEC)

/* Where faults of one setting are told. */
struct reading {
	struct fifo_settings *to;
	const char *file;
	marcel_fault_fn *fault;
	void *context;
};

/* The directory that systemd has made, or the usual one. Returns NULL without memory. */
static char *default_directory(void)
{
	const char *given = secure_getenv("RUNTIME_DIRECTORY");
	const char *below = "";
	char *path = NULL;

	if (given == NULL || given[0] != '/') {
		given = geteuid() == 0 ? NULL : secure_getenv("XDG_RUNTIME_DIR");
		if (given == NULL || given[0] != '/')
			given = "/run";
		below = "/marcel";
	}
	/* There may be several, separated by colons (systemd.exec(5)). */
	if (asprintf(&path, "%.*s%s/operator", (int)strcspn(given, ":"), given, below) < 0)
		return NULL;
	return path;
}

/* Tells that SETTING is wrong: FORMAT has a %.100s for its name or value. Returns -EINVAL. */
__attribute__((format(printf, 3, 0))) static int tell(const struct reading *reading,
						      const struct marcel_setting *setting,
						      const char *format, const char *about)
{
	char text[320];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(text, sizeof(text), format, about);
#pragma GCC diagnostic pop
	reading->fault(reading->context, reading->file, setting->line, text);
	return -EINVAL;
}

static int set_text(char **to, const char *value)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

static int unknown(const struct reading *reading, const struct marcel_setting *setting)
{
	const char *near = text_nearest(setting->name, names, N_NAMES);
	char text[256];

	if (near != NULL)
		(void)snprintf(text, sizeof(text),
			       _("unknown key '%.100s' in [fifo] (did you mean '%s'?)"),
			       setting->name, near);
	else
		(void)snprintf(text, sizeof(text), _("unknown key '%.100s' in [fifo]"),
			       setting->name);
	reading->fault(reading->context, reading->file, setting->line, text);
	return -EINVAL;
}

/* Takes one setting. Returns 0, -EINVAL after telling why, or -ENOMEM. */
static int set(const struct reading *reading, const struct marcel_setting *setting)
{
	struct fifo_settings *to = reading->to;

	if (strcmp(setting->name, "directory") == 0) {
		if (setting->value[0] != '/')
			return tell(reading, setting,
				    _("directory in [fifo] must be an absolute path, not '%.100s'"),
				    setting->value);
		to->said_directory = true;
		return set_text(&to->directory, setting->value);
	}
	if (strcmp(setting->name, "absent_reply") == 0)
		return set_text(&to->absent_reply, setting->value);
	if (strcmp(setting->name, "absent_after") == 0) {
		if (text_parse_duration(setting->value, &to->absent_after) == 0)
			return 0;
	} else if (strcmp(setting->name, "grace") == 0) {
		if (text_parse_duration(setting->value, &to->grace) == 0)
			return 0;
	} else {
		return unknown(reading, setting);
	}
	return tell(reading, setting, _("'%.100s' is no duration (such as 30s, 10min, infinity)"),
		    setting->value);
}

int fifo_load(const struct marcel_settings *settings, marcel_fault_fn *fault, void *context,
	      void **ret_shared)
{
	struct fifo_settings *made = calloc(1, sizeof(*made));
	const struct reading reading = {made, settings->file, fault, context};
	int result = 0;

	if (made == NULL)
		return -ENOMEM;
	made->absent_after = ABSENT_AFTER;
	made->grace = GRACE;
	made->directory = default_directory();
	made->absent_reply = strdup(ABSENT_REPLY);
	if (made->directory == NULL || made->absent_reply == NULL)
		result = -ENOMEM;
	for (size_t i = 0; i < settings->count && result != -ENOMEM; i++) {
		int r = set(&reading, &settings->settings[i]);

		if (r < 0)
			result = r;
	}
	if (result < 0) {
		fifo_unload(made);
		return result;
	}
	*ret_shared = made;
	return 0;
}

void fifo_unload(void *shared)
{
	struct fifo_settings *settings = shared;

	free(settings->directory);
	free(settings->absent_reply);
	free(settings);
}

void fifo_print(const void *shared, FILE *stream)
{
	const struct fifo_settings *settings = shared;
	char buffer[64];

	(void)fprintf(stream, "%sdirectory = %s\n", settings->said_directory ? "" : ";",
		      settings->directory);
	(void)fprintf(stream, "absent_after = %s\n",
		      text_format_duration(buffer, sizeof(buffer), settings->absent_after));
	(void)fprintf(stream, "absent_reply = %s\n", settings->absent_reply);
	(void)fprintf(stream, "grace = %s\n",
		      text_format_duration(buffer, sizeof(buffer), settings->grace));
}

const char *fifo_directory(const void *shared)
{
	const struct fifo_settings *settings = shared;

	return settings->directory;
}

usec_t fifo_grace(const void *shared)
{
	const struct fifo_settings *settings = shared;

	return settings->grace;
}
