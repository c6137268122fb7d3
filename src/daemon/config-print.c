/* Writing a configuration so that it can be read again; see config.h. */
#include <errno.h>
#include <string.h>

#include "daemon/config-priv.h"
#include "respond/fifo-responder.h"

static void print_key(const struct config_key *key, const void *base, FILE *stream)
{
	(void)fprintf(stream, "%s = ", key->name);
	config_key_print(key, base, stream);
	(void)fputc('\n', stream);
}

/* The sections of the table, every key. */
static void print_all_keys(const struct config *config, FILE *stream)
{
	const char *section = "";

	for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
		const struct config_key *key = &config_keys[i];
		const void *base = key->in_face ? (const void *)&config->faces[0] : config;

		if (strcmp(key->section, CONFIG_LISTENER) == 0)
			continue;
		if (strcmp(key->section, section) != 0)
			(void)fprintf(stream, "%s[%s]\n", i > 0 ? "\n" : "", key->section);
		section = key->section;
		print_key(key, base, stream);
	}
}

/* What was set for responders, but of the operator channel, which is there in any case, all. */
static void print_responders(const struct config *config, FILE *stream)
{
	const struct marcel_loaded *fifo = config_loaded(config, fifo_responder.name);

	if (fifo != NULL) {
		(void)fprintf(stream, "\n[%s]\n", fifo_responder.name);
		fifo_print(fifo->shared, stream);
	}
	for (size_t i = 0; i < config->n_sections; i++) {
		const struct config_section *section = &config->sections[i];

		if (section->ops == &fifo_responder)
			continue;
		if (section->n > 0)
			(void)fprintf(stream, "\n[%s]\n", section->ops->name);
		for (size_t j = 0; j < section->n; j++)
			(void)fprintf(stream, "%s = %s\n", section->settings[j].name,
				      section->settings[j].value);
	}
}

static void print_listener(const struct face *face, const struct config_said *said, FILE *stream)
{
	(void)fprintf(stream, "\n[%s %s]\n", CONFIG_LISTENER, face->name);
	for (size_t i = 0; i < CONFIG_N_KEYS; i++)
		if (said->lines[i] > 0)
			print_key(&config_keys[i], face, stream);
}

int config_print(const struct config *config, FILE *stream)
{
	print_all_keys(config, stream);
	print_responders(config, stream);
	for (size_t i = 1; i < config->n_faces; i++)
		print_listener(&config->faces[i], &config->said[i], stream);
	if (fflush(stream) != 0)
		return -errno;
	return ferror(stream) ? -EIO : 0;
}
