/*
 * The faces of a configuration: what they take from the default one, and their responders; see
 * config-priv.h.
 */
#include "daemon/config-priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "respond/registry.h"

int config_set_defaults(void *base, bool in_face)
{
	const struct config_place nowhere = {.report = NULL};
	int r = 0;

	for (size_t i = 0; i < CONFIG_N_KEYS && r == 0; i++)
		if (config_keys[i].in_face == in_face)
			r = config_key_parse(&config_keys[i], config_keys[i].fallback, base,
					     &nowhere);
	return r;
}

int config_add_face(struct config *config, const char *name)
{
	size_t n = config->n_faces;
	struct config_said *said;
	struct face *faces;

	faces = reallocarray(config->faces, n + 1, sizeof(*faces));
	if (faces == NULL)
		return -ENOMEM;
	config->faces = faces;
	said = reallocarray(config->said, n + 1, sizeof(*said));
	if (said == NULL)
		return -ENOMEM;
	config->said = said;

	(void)memset(&faces[n], 0, sizeof(faces[n]));
	(void)memset(&said[n], 0, sizeof(said[n]));
	faces[n].owner = config;
	faces[n].name = strdup(name);
	if (faces[n].name == NULL)
		return -ENOMEM;
	config->n_faces++;
	return config_set_defaults(&faces[n], true) < 0 ? -ENOMEM : (int)n;
}

/* Gives the face of a listener what it does not set itself: the default face's values. */
static int inherit(struct config *config, size_t face)
{
	int r = 0;

	for (size_t i = 0; i < CONFIG_N_KEYS && r == 0; i++) {
		const struct config_key *key = &config_keys[i];

		if (key->overrides && strcmp(key->section, CONFIG_LISTENER) != 0 &&
		    config->said[face].lines[i] == 0)
			r = config_key_copy(key, &config->faces[face], &config->faces[0]);
	}
	return r;
}

static void tell_fault(void *context, const char *file, unsigned line, const char *text)
{
	if (file != NULL)
		report_add_at(context, file, line, "%s", text);
	else
		report_add(context, "%s", text);
}

/* The settings of OPS' section; none when the file has no such section. */
static struct marcel_settings settings_of(const struct config *config, const char *file,
					  const struct marcel_responder_ops *ops)
{
	struct marcel_settings settings = {.file = file, .section = ops->name};

	for (size_t i = 0; i < config->n_sections; i++)
		if (config->sections[i].ops == ops) {
			settings.settings = config->sections[i].settings;
			settings.count = config->sections[i].n;
		}
	return settings;
}

/*
 * Loads FACE's responder: face->responder stays NULL when that fails, so that it can be seen what
 * has to be unloaded. Returns 0, faults or not, or -ENOMEM.
 */
static int load_responder(const struct config *config, struct face *face, const char *file,
			  struct report *report)
{
	const struct marcel_responder_ops *ops = responder_find(face->responder_name);
	const struct marcel_setting own = {.name = "file", .value = face->script};
	struct marcel_settings settings = settings_of(config, file, ops);
	const size_t told = report->count;
	char buffer[128];
	void *shared = NULL;
	int r = 0;

	/* A listener's own script stands in for the one key that section has. */
	if (face->script[0] != '\0' && strcmp(ops->name, "script") == 0) {
		settings.settings = &own;
		settings.count = 1;
	}
	if (ops->load != NULL)
		r = ops->load(&settings, tell_fault, report, &shared);
	if (r == -ENOMEM)
		return r;
	if (r == 0 && report->count == told) {
		face->responder = ops;
		face->responder_shared = shared;
		return 0;
	}
	if (r == 0 && ops->unload != NULL)
		ops->unload(shared);
	if (report->count == told)
		report_add_at(report, file, 0, _("responder '%s': %s"), face->responder_name,
			      strerror_r(-r, buffer, sizeof(buffer)));
	return 0;
}

/* Whether a face before FACE has the same responder and could not load it: it would fail again. */
static bool has_failed(const struct config *config, size_t face)
{
	for (size_t i = 0; i < face; i++)
		if (config->faces[i].responder == NULL &&
		    strcmp(config->faces[i].responder_name, config->faces[face].responder_name) ==
			    0 &&
		    strcmp(config->faces[i].script, config->faces[face].script) == 0)
			return true;
	return false;
}

static void tell_nobody(void *context, const char *file, unsigned line, const char *text)
{
	(void)context;
	(void)file;
	(void)line;
	(void)text;
}

/*
 * Loads OPS for conversations that are handed or given to it. Returns 1 and what there is to share;
 * 0 when it can't be had: it needs settings, and has none, or faults of theirs were told; -ENOMEM.
 */
static int load_for_all(const struct config *config, const struct marcel_responder_ops *ops,
			const char *file, struct report *report, void **ret_shared)
{
	const struct marcel_settings settings = settings_of(config, file, ops);
	int r;

	*ret_shared = NULL;
	if (ops->load == NULL)
		return 1;
	r = ops->load(&settings, settings.count > 0 ? tell_fault : tell_nobody, report, ret_shared);
	if (r == -ENOMEM)
		return r;
	return r == 0;
}

/* The first face that answers by OPS as all would, whether it could be loaded or not; NULL: none.
 */
static const struct face *find_face(const struct config *config,
				    const struct marcel_responder_ops *ops)
{
	for (size_t i = 0; i < config->n_faces; i++)
		if (strcmp(config->faces[i].responder_name, ops->name) == 0 &&
		    config->faces[i].script[0] == '\0')
			return &config->faces[i];
	return NULL;
}

/* Lists every responder that can be had; loads those that no face has. Returns 0 or -ENOMEM. */
static int load_all(struct config *config, const char *file, struct report *report)
{
	const struct marcel_responder_ops *const *list;
	size_t n, at = 0;

	list = responder_list(&n);
	config->loaded = calloc(n + 1, sizeof(*config->loaded));
	if (config->loaded == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct face *face = find_face(config, list[i]);
		const size_t told = report->count;
		void *shared;
		int r;

		if (face != NULL) {
			if (face->responder != NULL)
				config->loaded[at++] =
					(struct marcel_loaded){list[i], face->responder_shared};
			continue;
		}
		r = load_for_all(config, list[i], file, report, &shared);
		if (r < 0)
			return r;
		if (r > 0 && report->count == told)
			config->loaded[at++] = (struct marcel_loaded){list[i], shared};
		else if (r > 0 && list[i]->unload != NULL)
			list[i]->unload(shared);
	}
	return 0;
}

/* Whom conversations of FACE can go to: its own responder, and the others as all have them. */
static int list_loaded(const struct config *config, struct face *face)
{
	size_t n, at = 0;

	(void)responder_list(&n);
	face->loaded = calloc(n + 1, sizeof(*face->loaded));
	if (face->loaded == NULL)
		return -ENOMEM;
	if (face->responder != NULL)
		face->loaded[at++] =
			(struct marcel_loaded){face->responder, face->responder_shared};
	for (const struct marcel_loaded *l = config->loaded; l->ops != NULL; l++)
		if (l->ops != face->responder)
			face->loaded[at++] = *l;
	return 0;
}

const struct marcel_loaded *config_loaded(const struct config *config, const char *name)
{
	for (const struct marcel_loaded *l = config->loaded; l != NULL && l->ops != NULL; l++)
		if (strcmp(l->ops->name, name) == 0)
			return l;
	return NULL;
}

int config_finish_faces(struct config *config, const char *file, struct report *report)
{
	int r = 0;

	for (size_t i = 0; i < config->n_faces && r == 0; i++) {
		if (i > 0)
			r = inherit(config, i);
		if (r == 0 && !has_failed(config, i))
			r = load_responder(config, &config->faces[i], file, report);
	}
	if (r == 0)
		r = load_all(config, file, report);
	for (size_t i = 0; i < config->n_faces && r == 0; i++)
		r = list_loaded(config, &config->faces[i]);
	return r;
}

/* Unloads what no face owns. */
static void unload_rest(const struct config *config)
{
	for (const struct marcel_loaded *l = config->loaded; l != NULL && l->ops != NULL; l++)
		if (l->ops->unload != NULL && find_face(config, l->ops) == NULL)
			l->ops->unload(l->shared);
}

void config_done_faces(struct config *config)
{
	unload_rest(config);
	for (size_t i = 0; i < config->n_faces; i++) {
		struct face *face = &config->faces[i];

		if (face->responder != NULL && face->responder->unload != NULL)
			face->responder->unload(face->responder_shared);
		for (size_t j = 0; j < CONFIG_N_KEYS; j++)
			if (config_keys[j].in_face)
				config_key_done(&config_keys[j], face);
		free(face->loaded);
		free(face->name);
	}
	free(config->loaded);
	config->loaded = NULL;
	free(config->faces);
	config->faces = NULL;
	config->n_faces = 0;
}
