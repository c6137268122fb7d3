/*
 * The table of keys; see config-keys.h. What the kinds of values are is in config-values.c.
 */
#include "daemon/config-keys.h"

#include <limits.h>
#include <string.h>

#include "converse/dialogue.h"
#include "daemon/config-values.h"
#include "daemon/config.h"

/* Each conversation has a thread, and the kernel numbers no more of them (PID_MAX_LIMIT). */
#define CONVERSATIONS_MAX 4194304

#define STOP_TIMEOUT_MAX (3600 * USEC_PER_SEC)
#define RAW_PAUSE_MAX    (60 * USEC_PER_SEC)
#define MESSAGE_MAX      ((uint64_t)DIALOGUE_MESSAGE_MAX)
#define TRANSCRIPT_MAX   MESSAGE_MAX

/* Where a value is kept, and whether a listener may override it. */
#define CONFIG(member)   .offset = offsetof(struct config, member)
#define FACE(member)     .in_face = true, .overrides = true, .offset = offsetof(struct face, member)
#define RANGE(low, high) .min = (low), .max = (high)

/* clang-format off */
const struct config_key config_keys[CONFIG_N_KEYS] = {
	{ "listen",	    "server",	"50000", CONFIG_ADDRESSES,
	  CONFIG(listen), RANGE(1, UINT64_MAX) },
	{ "backlog",	    "server",	"4096", CONFIG_INT,
	  CONFIG(backlog), RANGE(1, INT_MAX) },
	{ "control",	    "server",	"auto", CONFIG_TEXT,
	  CONFIG(control) },
	{ "stop_timeout",   "server",	"5s", CONFIG_DURATION,
	  CONFIG(stop_timeout), RANGE(0, STOP_TIMEOUT_MAX) },

	{ "responder",	    "dialogue", "echo", CONFIG_RESPONDER,
	  FACE(responder_name) },
	{ "greeting",	    "dialogue",
	  "Vous êtes connecté au serveur Marcel. Envoyez vos messages.", CONFIG_TEXT,
	  FACE(dialogue.greeting) },
	{ "farewell",	    "dialogue", "fin", CONFIG_TEXT,
	  FACE(dialogue.farewell) },
	{ "end_words",	    "dialogue", "fin", CONFIG_WORDS,
	  FACE(dialogue) },
	{ "end_on_empty",   "dialogue", "yes", CONFIG_BOOLEAN,
	  FACE(dialogue.end_on_empty) },
	{ "framing",	    "dialogue", "auto", CONFIG_FRAMING,
	  FACE(dialogue.framing) },
	{ "raw_pause",	    "dialogue", "400ms", CONFIG_DURATION,
	  FACE(dialogue.raw_pause), RANGE(USEC_PER_MSEC, RAW_PAUSE_MAX) },
	{ "message_max",    "dialogue", "64K", CONFIG_SIZE,
	  FACE(dialogue.message_max), RANGE(1, MESSAGE_MAX) },
	{ "idle_timeout",   "dialogue", "30min", CONFIG_DURATION,
	  FACE(dialogue.idle_timeout), RANGE(USEC_PER_MSEC, USEC_NEVER) },
	{ "too_long",	    "dialogue", "Message trop long.", CONFIG_TEXT,
	  FACE(dialogue.too_long) },

	{ "conversations",  "limits",	"10000", CONFIG_NUMBER,
	  FACE(limits.conversations), RANGE(1, CONVERSATIONS_MAX) },
	{ "per_address",    "limits",	"0", CONFIG_NUMBER,
	  FACE(limits.per_address), RANGE(0, CONVERSATIONS_MAX) },
	{ "refusal",	    "limits",
	  "Le serveur est occupé, réessayez plus tard.", CONFIG_TEXT,
	  FACE(limits.refusal) },

	{ "transcript",	    "journal",	"full", CONFIG_POLICY,
	  CONFIG(transcript) },
	{ "transcript_max", "journal",	"4K", CONFIG_SIZE,
	  CONFIG(transcript_max), RANGE(1, TRANSCRIPT_MAX) },

	{ "listen",	    CONFIG_LISTENER, "", CONFIG_ADDRESSES,
	  FACE(listen), RANGE(0, UINT64_MAX) },
	{ "script",	    CONFIG_LISTENER, "", CONFIG_TEXT,
	  FACE(script) },
};
/* clang-format on */

bool config_key_belongs(const struct config_key *key, const char *section)
{
	if (strcmp(section, CONFIG_LISTENER) == 0)
		return key->overrides;
	return strcmp(key->section, section) == 0;
}

const struct config_key *config_key_find(const char *section, const char *name)
{
	for (size_t i = 0; i < CONFIG_N_KEYS; i++)
		if (config_key_belongs(&config_keys[i], section) &&
		    strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	return NULL;
}

static void *field_of(const struct config_key *key, void *base)
{
	return (char *)base + key->offset;
}

int config_key_parse(const struct config_key *key, const char *text, void *base,
		     const struct config_place *place)
{
	return config_kinds[key->type].parse(key, text, field_of(key, base), place);
}

void config_key_print(const struct config_key *key, const void *base, FILE *stream)
{
	config_kinds[key->type].print((const char *)base + key->offset, stream);
}

int config_key_copy(const struct config_key *key, void *to, const void *from)
{
	const struct config_kind *kind = &config_kinds[key->type];
	const void *value = (const char *)from + key->offset;

	if (kind->copy != NULL)
		return kind->copy(field_of(key, to), value);
	(void)memcpy(field_of(key, to), value, kind->size);
	return 0;
}

void config_key_done(const struct config_key *key, void *base)
{
	if (config_kinds[key->type].done != NULL)
		config_kinds[key->type].done(field_of(key, base));
}
