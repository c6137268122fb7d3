/*
 * A configuration's life: loaded, counted, asked for a face, freed; see config.h. What its text
 * means is found out in config-read.c.
 */
#include "daemon/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/config-priv.h"
#include "daemon/ini.h"

int config_load(const char *file, const struct config_overrides *overrides, struct report *report,
		struct config **ret_config)
{
	const char *path = file != NULL ? file : CONFIG_FILE_DEFAULT;
	auto_free char *text = NULL;
	size_t length = 0;
	int r;

	r = ini_file_load(path, &text, &length);
	if (r == -ENOENT && file == NULL)
		return config_parse(NULL, "", 0, overrides, report, ret_config);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		ini_file_tell(r, path, report);
		return -EINVAL;
	}
	return config_parse(path, text, length, overrides, report, ret_config);
}

struct config *config_ref(struct config *config)
{
	config->references++;
	return config;
}

static void free_config(struct config *config)
{
	config_done_faces(config);
	for (size_t i = 0; i < CONFIG_N_KEYS; i++)
		if (!config_keys[i].in_face)
			config_key_done(&config_keys[i], config);
	for (size_t i = 0; i < config->n_sections; i++) {
		struct config_section *section = &config->sections[i];

		for (size_t j = 0; j < section->n; j++) {
			free_pointer(&section->settings[j].name);
			free_pointer(&section->settings[j].value);
		}
		free(section->settings);
	}
	free(config->sections);
	free(config->said);
	free(config->file);
	free(config);
}

void config_unref(struct config *config)
{
	if (config != NULL && --config->references == 0)
		free_config(config);
}

const struct face *config_face(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_faces; i++)
		if (strcmp(config->faces[i].name, name) == 0)
			return &config->faces[i];
	return &config->faces[0];
}
