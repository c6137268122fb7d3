/* Reading [script], and the script; see script-settings.h. */
#include "respond/script-settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/i18n.h"
#include "respond/registry.h"
#include "respond/script-versions.h"
#include "respond/script/fault.h"

/* Where a file without a directory in its name is looked for, in this order. */
static const char *const directories[] = {
	"/etc/marcel/scripts",
	MARCEL_SCRIPTS_DIR,
};

/* Where the script NAME lies. Returns a path owned by the caller, or NULL without memory. */
static char *locate(const char *name)
{
	char *path = NULL;

	for (size_t i = 0; strchr(name, '/') == NULL && access(name, F_OK) < 0 &&
			   i < sizeof(directories) / sizeof(directories[0]);
	     i++) {
		if (asprintf(&path, "%s/%s", directories[i], name) < 0)
			return NULL;
		if (access(path, F_OK) == 0)
			return path;
		free(path);
	}
	return strdup(name);
}

/* Tells each fault as FILE:LINE:COLUMN, with its line and a caret under it. */
static void tell_faults(const struct faults *faults, marcel_fault_fn *fault, void *context)
{
	for (size_t i = 0; i < faults->count; i++) {
		auto_free char *text = NULL;
		size_t size = fault_format(&faults->list[i], NULL, 0) + 1;

		if (faults->list[i].warning)
			continue;
		text = malloc(size);
		if (text != NULL)
			(void)fault_format(&faults->list[i], text, size);
		fault(context, NULL, 0, text != NULL ? text : faults->list[i].text);
	}
	if (faults->errors > FAULTS_MAX)
		fault(context, NULL, 0, _("... and more errors in the script"));
}

static const char *find_file(const struct marcel_settings *settings, marcel_fault_fn *fault,
			     void *context)
{
	const char *file = NULL;
	char text[256];

	for (size_t i = 0; i < settings->count; i++) {
		const struct marcel_setting *setting = &settings->settings[i];

		if (strcmp(setting->name, "file") == 0) {
			file = setting->value;
			continue;
		}
		(void)snprintf(text, sizeof(text),
			       _("unknown key '%.100s' in [script] (there is only 'file')"),
			       setting->name);
		fault(context, settings->file, setting->line, text);
	}
	if (file == NULL || file[0] == '\0')
		fault(context, settings->file, 0,
		      _("responder = script needs a script: write file = PATH into [script], or "
			"start marceld with -s FILE"));
	return file;
}

int script_load_settings(const struct marcel_settings *settings, marcel_fault_fn *fault,
			 void *context, void **ret_shared)
{
	auto_cleanup(faults_done) struct faults faults = {.count = 0};
	const char *file = find_file(settings, fault, context);
	struct face_script *face;
	auto_free char *path = NULL;
	struct script *script;
	int r;

	if (file == NULL || file[0] == '\0')
		return -EINVAL;
	path = locate(file);
	if (path == NULL)
		return -ENOMEM;
	r = script_load(path, responder_is_known, &faults, &script);
	if (r < 0) {
		tell_faults(&faults, fault, context);
		return r;
	}
	face = calloc(1, sizeof(*face));
	if (face == NULL) {
		script_unref(script);
		return -ENOMEM;
	}
	face->script = version_add(script);
	if (face->script == NULL) {
		free(face);
		return -ENOMEM;
	}
	*ret_shared = face;
	return 0;
}

void script_unload(void *shared)
{
	struct face_script *face = shared;

	version_drop(face->script->version);
	free(face);
}
