/*
 * What a conversation is told about how to behave: the settings of one face of the daemon.
 *
 * A face is what clients of one listener meet: the [dialogue] and [limits] sections of marcel.ini,
 * overridden by the [listener NAME] of their socket. A face belongs to a configuration, which is
 * immutable once loaded and counted: each conversation holds the one it began with, so that a
 * reload changes nothing in the middle of a dialogue. Read from any thread while held.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct marcel_loaded;
struct marcel_responder_ops;

enum framing {
	FRAMING_AUTO, /* the first message decides */
	FRAMING_LINE,
	FRAMING_RAW,
};

/* A message may be at most this long, whatever message_max says: a slot has room for no more. */
#define DIALOGUE_MESSAGE_MAX ((size_t)1024 * 1024)

struct dialogue {
	char *greeting;   /* UTF-8, without its line end; empty: none */
	char *farewell;   /* the same */
	char **end_words; /* UTF-8, each ended by NUL */
	size_t n_end_words;
	bool end_on_empty; /* an empty message ends the dialogue */
	enum framing framing;
	usec_t raw_pause;    /* silence after bytes without LF that makes `auto` raw */
	size_t message_max;  /* bytes, 1 to DIALOGUE_MESSAGE_MAX */
	usec_t idle_timeout; /* the longest wait for a client, reading or writing; USEC_NEVER: none
			      */
	char *too_long;      /* the reply to a message longer than message_max */
};

struct limits {
	uint64_t conversations; /* at once, of this face */
	uint64_t per_address;   /* at once, from one address; 0: no such limit */
	char *refusal; /* what a refused client is told, without its line end; empty: nothing */
};

struct face {
	char *name; /* the FileDescriptorName= it is for; "" for every socket without a face of its
		       own */
	struct dialogue dialogue;
	struct limits limits;
	char *listen; /* addresses to bind when started by hand, separated by spaces; may be empty
		       */

	char *script; /* the script responder's file, instead of [script] file; may be empty */

	/* The responder, and what its load() made of the settings of its section. */
	char *responder_name;
	const struct marcel_responder_ops *responder;
	void *responder_shared;

	/* Responders that the conversation can be handed or given to; ended by one without ops.
	 * NULL: none. */
	struct marcel_loaded *loaded;

	void *owner; /* whoever counts the references; opaque to conversations */
};
