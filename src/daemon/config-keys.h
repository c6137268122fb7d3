/*
 * The keys of marcel.ini: one table says where each may stand, what it takes, what it is when
 * nobody sets it, and where its value is kept. Reading, printing, "did you mean" and the tests of
 * the manual page and of the shipped marcel.ini all go by it.
 *
 * Private to the configuration. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/report.h"

enum config_type {
	CONFIG_TEXT,      /* char *: a line of text */
	CONFIG_WORDS,     /* char ** and size_t (end_words): words between commas */
	CONFIG_BOOLEAN,   /* bool */
	CONFIG_FRAMING,   /* enum framing */
	CONFIG_POLICY,    /* enum transcript_policy */
	CONFIG_DURATION,  /* usec_t */
	CONFIG_SIZE,      /* size_t: bytes */
	CONFIG_NUMBER,    /* uint64_t */
	CONFIG_INT,       /* int */
	CONFIG_ADDRESSES, /* char *: addresses between spaces */
	CONFIG_RESPONDER, /* char *: the name of a responder */
};

/* Where [listener NAME] is meant, whatever the NAME. */
#define CONFIG_LISTENER "listener"

struct config_key {
	const char *name;
	const char *section;
	const char *fallback; /* the default, as it is written */
	enum config_type type;
	bool in_face;   /* the value is in a struct face, otherwise in the struct config */
	bool overrides; /* may also stand in [listener NAME], for that face */
	size_t offset;  /* of the value in its struct */
	uint64_t min;   /* durations (microseconds), sizes, numbers; addresses: how many */
	uint64_t max;   /* the same; USEC_NEVER: a duration may be "infinity" */
};

enum {
	CONFIG_N_KEYS = 21
};

/* Keys of one section stand together, in the order in which they are printed. */
extern const struct config_key config_keys[CONFIG_N_KEYS];

/* Where a setting stands, for what there is to say about it. */
struct config_place {
	struct report *report;
	const char *file;
	unsigned line; /* 0: none */
};

/* The key NAME of SECTION (which may be CONFIG_LISTENER), or NULL. */
const struct config_key *config_key_find(const char *section, const char *name);

/* Whether KEY may stand in SECTION, which may be CONFIG_LISTENER. */
bool config_key_belongs(const struct config_key *key, const char *section);

/*
 * Sets the value of KEY in BASE, the struct config or struct face it is kept in, to what TEXT
 * means; the value it replaces is freed. Returns 0; -EINVAL with the fault told at PLACE; -ENOMEM.
 */
int config_key_parse(const struct config_key *key, const char *text, void *base,
		     const struct config_place *place);

/* Writes the value of KEY in BASE to STREAM as config_key_parse() reads it. */
void config_key_print(const struct config_key *key, const void *base, FILE *stream);

/* Sets the value of KEY in TO to a copy of the one in FROM. Returns 0 or -ENOMEM. */
int config_key_copy(const struct config_key *key, void *to, const void *from);

/* Frees the value of KEY in BASE. */
void config_key_done(const struct config_key *key, void *base);

/* Room for a text that config_show() or config_hint() makes. */
#define CONFIG_SHOWN_MAX 128

/* Writes TEXT into BUFFER, made fit for a terminal and cut to a readable length. Returns BUFFER. */
char *config_show(char buffer[CONFIG_SHOWN_MAX], const char *text);

/*
 * Writes " (did you mean 'x'?)" into BUFFER, x being the one of the N WORDS that WORD is nearest
 * to, or nothing when it is near none. Returns BUFFER.
 */
char *config_hint(char buffer[CONFIG_SHOWN_MAX], const char *word, const char *const words[],
		  size_t n);
