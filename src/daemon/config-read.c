/*
 * From the text of a configuration to its values: sections, keys, and every fault of them; see
 * config.h. The lines come from the reader in ini.c, the keys' meaning from config-keys.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/i18n.h"
#include "daemon/config-priv.h"
#include "daemon/ini.h"
#include "respond/registry.h"

/* As FileDescriptorName= of systemd.socket(5): bytes. */
#define SOCKET_NAME_MAX 255

/* More sections than there can be in the table and among responders, for "did you mean". */
#define SECTIONS_MAX 64

/* Where the settings that come next belong. */
enum where {
	NOWHERE,      /* no section has begun */
	UNKNOWN,      /* in one that was told to be wrong: its settings are passed over */
	IN_TABLE,     /* in a section of config_keys */
	IN_LISTENER,  /* in [listener NAME] */
	IN_RESPONDER, /* in the section of a responder */
};

struct reading {
	struct config *config;
	const char *file;
	struct report *report;
	enum where where;
	const char *section;          /* IN_TABLE, IN_LISTENER: as the table names it */
	size_t face;                  /* the same: whose values are set */
	size_t responder;             /* IN_RESPONDER: the place in config->sections */
	char shown[CONFIG_SHOWN_MAX]; /* the section's name, for messages */
	int error;                    /* -ENOMEM: the reading is lost */
};

/* All names of sections; returns how many. */
static size_t list_sections(const char *names[SECTIONS_MAX])
{
	const struct marcel_responder_ops *const *responders;
	size_t n_responders;
	size_t n = 0;

	for (size_t i = 0; i < CONFIG_N_KEYS; i++)
		if (n == 0 || strcmp(names[n - 1], config_keys[i].section) != 0)
			names[n++] = config_keys[i].section;
	responders = responder_list(&n_responders);
	for (size_t i = 0; i < n_responders && n < SECTIONS_MAX; i++)
		names[n++] = responders[i]->name;
	return n;
}

/* The key named NAME in any section, or NULL. */
static const struct config_key *find_anywhere(const char *name)
{
	for (size_t i = 0; i < CONFIG_N_KEYS; i++)
		if (strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	return NULL;
}

static void tell_unknown_section(const struct reading *reading, const char *name, unsigned line)
{
	const char *names[SECTIONS_MAX];
	char hint[CONFIG_SHOWN_MAX];
	char word[CONFIG_SHOWN_MAX];
	size_t length = strcspn(name, " \t");

	/* "[listner web]" is compared by its first word. */
	length = length < sizeof(word) ? length : sizeof(word) - 1;
	(void)memcpy(word, name, length);
	word[length] = '\0';
	report_add_at(reading->report, reading->file, line, _("unknown section [%s]%s"),
		      reading->shown, config_hint(hint, word, names, list_sections(names)));
}

static bool is_socket_name(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length > SOCKET_NAME_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (name[i] < ' ' || name[i] > '~' || name[i] == ':')
			return false;
	return true;
}

/* [listener NAME] begins; there may be several parts of it. */
static void begin_listener(struct reading *reading, const char *name, unsigned line)
{
	struct config *config = reading->config;
	int face;

	if (!is_socket_name(name)) {
		report_add_at(reading->report, reading->file, line,
			      *name == '\0'
				      ? _("[%s] lacks the name of its socket: write [listener NAME]")
				      : _("[%s]: the name of a socket is at most %d characters of "
					  "ASCII, none of them ':'"),
			      reading->shown, SOCKET_NAME_MAX);
		return;
	}
	reading->where = IN_LISTENER;
	reading->section = CONFIG_LISTENER;
	for (size_t i = 1; i < config->n_faces; i++)
		if (strcmp(config->faces[i].name, name) == 0) {
			reading->face = i;
			return;
		}
	face = config_add_face(config, name);
	if (face < 0)
		reading->error = face;
	else
		reading->face = (size_t)face;
}

static void begin_responder(struct reading *reading, const struct marcel_responder_ops *ops)
{
	struct config *config = reading->config;
	struct config_section *more;
	size_t n = config->n_sections;

	reading->where = IN_RESPONDER;
	for (size_t i = 0; i < n; i++)
		if (config->sections[i].ops == ops) {
			reading->responder = i;
			return;
		}
	reading->responder = n;
	more = reallocarray(config->sections, n + 1, sizeof(*more));
	if (more == NULL) {
		reading->error = -ENOMEM;
		return;
	}
	config->sections = more;
	more[n] = (struct config_section){.ops = ops};
	config->n_sections++;
}

static void begin_section(void *context, const char *name, unsigned line)
{
	static const size_t prefix = sizeof(CONFIG_LISTENER) - 1;
	const struct marcel_responder_ops *ops;
	struct reading *reading = context;

	reading->where = UNKNOWN;
	if (name == NULL || reading->error < 0)
		return;
	(void)config_show(reading->shown, name);
	if (strcspn(name, " \t") == prefix && strncmp(name, CONFIG_LISTENER, prefix) == 0) {
		name += prefix;
		begin_listener(reading, name + strspn(name, " \t"), line);
		return;
	}
	for (size_t i = 0; i < CONFIG_N_KEYS; i++)
		if (strcmp(config_keys[i].section, name) == 0) {
			reading->where = IN_TABLE;
			reading->section = config_keys[i].section;
			reading->face = 0;
			return;
		}
	ops = responder_find(name);
	if (ops != NULL)
		begin_responder(reading, ops);
	else
		tell_unknown_section(reading, name, line);
}

static void tell_unknown_key(const struct reading *reading, const char *name, unsigned line)
{
	const struct config_key *elsewhere = find_anywhere(name);
	const char *names[CONFIG_N_KEYS];
	char shown[CONFIG_SHOWN_MAX];
	char hint[CONFIG_SHOWN_MAX];
	size_t n = 0;

	for (size_t i = 0; i < CONFIG_N_KEYS; i++)
		if (config_key_belongs(&config_keys[i], reading->section))
			names[n++] = config_keys[i].name;
	if (elsewhere != NULL)
		(void)snprintf(hint, sizeof(hint), _(" (it belongs in [%s])"), elsewhere->section);
	else
		(void)config_hint(hint, name, names, n);
	report_add_at(reading->report, reading->file, line, _("unknown key '%s' in [%s]%s"),
		      config_show(shown, name), reading->shown, hint);
}

static void tell_duplicate(const struct reading *reading, const char *name, unsigned line,
			   unsigned first)
{
	char shown[CONFIG_SHOWN_MAX];

	report_add_at(reading->report, reading->file, line,
		      _("duplicate key '%s' in [%s] (it is on line %u already)"),
		      config_show(shown, name), reading->shown, first);
}

static void tell_outside(const struct reading *reading, const char *name, unsigned line)
{
	const struct config_key *key = find_anywhere(name);
	char shown[CONFIG_SHOWN_MAX];
	char hint[CONFIG_SHOWN_MAX] = "";

	if (key != NULL)
		(void)snprintf(hint, sizeof(hint), _(" (it belongs in [%s])"), key->section);
	report_add_at(reading->report, reading->file, line, _("key '%s' before any section%s"),
		      config_show(shown, name), hint);
}

/* A setting of a section in the table, or of a listener. */
static void set_key(struct reading *reading, const char *name, const char *value, unsigned line)
{
	const struct config_place place = {reading->report, reading->file, line};
	const struct config_key *key = config_key_find(reading->section, name);
	struct config *config = reading->config;
	unsigned *said;
	void *base;

	if (key == NULL) {
		tell_unknown_key(reading, name, line);
		return;
	}
	said = &config->said[reading->face].lines[key - config_keys];
	if (*said > 0) {
		tell_duplicate(reading, name, line, *said);
		return;
	}
	*said = line;
	base = key->in_face ? (void *)&config->faces[reading->face] : config;
	if (config_key_parse(key, value, base, &place) == -ENOMEM)
		reading->error = -ENOMEM;
}

static int add_setting(struct config_section *section, const char *name, const char *value,
		       unsigned line)
{
	struct marcel_setting *more;
	char *own_name;
	char *own_value;

	more = reallocarray(section->settings, section->n + 1, sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	section->settings = more;
	own_name = strdup(name);
	own_value = strdup(value);
	if (own_name == NULL || own_value == NULL) {
		free(own_name);
		free(own_value);
		return -ENOMEM;
	}
	more[section->n++] =
		(struct marcel_setting){.name = own_name, .value = own_value, .line = line};
	return 0;
}

/* A setting of a responder, which will look at it itself. */
static void keep_setting(struct reading *reading, const char *name, const char *value,
			 unsigned line)
{
	struct config_section *section = &reading->config->sections[reading->responder];
	char shown[CONFIG_SHOWN_MAX];

	if (section->ops->load == NULL) {
		report_add_at(reading->report, reading->file, line,
			      _("unknown key '%s' in [%s], which has no keys"),
			      config_show(shown, name), reading->shown);
		return;
	}
	for (size_t i = 0; i < section->n; i++)
		if (strcmp(section->settings[i].name, name) == 0) {
			tell_duplicate(reading, name, line, section->settings[i].line);
			return;
		}
	if (add_setting(section, name, value, line) < 0)
		reading->error = -ENOMEM;
}

static void take_setting(void *context, const char *name, const char *value, unsigned line)
{
	struct reading *reading = context;

	if (reading->error < 0)
		return;
	switch (reading->where) {
	case NOWHERE:
		tell_outside(reading, name, line);
		break;
	case UNKNOWN:
		break;
	case IN_TABLE:
	case IN_LISTENER:
		set_key(reading, name, value, line);
		break;
	case IN_RESPONDER:
		keep_setting(reading, name, value, line);
		break;
	}
}

/* A configuration of nothing but defaults. */
static int make_config(const char *file, struct config **ret_config)
{
	struct config *config = calloc(1, sizeof(*config));
	int r;

	if (config == NULL)
		return -ENOMEM;
	config->references = 1;
	r = config_add_face(config, "");
	if (r >= 0)
		r = config_set_defaults(config, false);
	if (r >= 0 && file != NULL) {
		config->file = strdup(file);
		r = config->file != NULL ? 0 : -ENOMEM;
	}
	if (r < 0) {
		config_unref(config);
		return r;
	}
	*ret_config = config;
	return 0;
}

/* Sets NAME of the responder OPS to VALUE, whatever the file says. */
static int override_setting(struct reading *reading, const struct marcel_responder_ops *ops,
			    const char *name, const char *value)
{
	struct config_section *section;

	begin_responder(reading, ops);
	if (reading->error < 0)
		return reading->error;
	section = &reading->config->sections[reading->responder];
	for (size_t i = 0; i < section->n; i++)
		if (strcmp(section->settings[i].name, name) == 0) {
			char *own = strdup(value);

			if (own == NULL)
				return -ENOMEM;
			free_pointer(&section->settings[i].value);
			section->settings[i].value = own;
			return 0;
		}
	return add_setting(section, name, value, 0);
}

/* Sets what the command line says over the file. */
static int apply(struct reading *reading, const struct config_overrides *overrides)
{
	const struct config_place place = {reading->report, "-r", 0};
	const struct config_key *key = config_key_find("dialogue", "responder");
	const struct marcel_responder_ops *script = responder_find("script");
	const char *responder;
	int r = 0;

	if (overrides == NULL)
		return 0;
	responder = overrides->responder;
	if (overrides->script != NULL && responder == NULL)
		responder = "script";
	if (responder != NULL)
		r = config_key_parse(key, responder, &reading->config->faces[0], &place);
	if (r == 0 && overrides->script != NULL && script != NULL)
		r = override_setting(reading, script, "file", overrides->script);
	return r == -EINVAL ? 0 : r;
}

int config_parse(const char *file, const char *text, size_t length,
		 const struct config_overrides *overrides, struct report *report,
		 struct config **ret_config)
{
	const char *name = file != NULL ? file : _("built-in defaults");
	const size_t told = report->count;
	struct reading reading = {.file = name, .report = report, .where = NOWHERE};
	const struct ini_events events = {begin_section, take_setting, &reading};
	int r;

	r = make_config(file, &reading.config);
	if (r < 0)
		return r;
	r = ini_text_read(name, text, length, &events, report);
	if (r == 0)
		r = reading.error;
	if (r == 0)
		r = apply(&reading, overrides);
	if (r == 0)
		r = config_finish_faces(reading.config, name, report);
	if (r == 0 && report->count > told)
		r = -EINVAL;
	if (r < 0) {
		config_unref(reading.config);
		return r;
	}
	*ret_config = reading.config;
	return 0;
}
