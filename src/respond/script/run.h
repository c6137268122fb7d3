/*
 * The interpreter: (state, event, surroundings) -> (state', replies, effects).
 *
 * It is a pure function: it reads no clock, no socket and no file, keeps nothing outside the state,
 * and takes its random numbers from the state. (The time that a pattern may take is measured, in
 * pattern.c.) A state is plain memory without pointers, at most MARCEL_STATE_MAX bytes, of which
 * only the first *used matter: another process goes on with a copy of them.
 *
 * An action that takes time (wait, drip, collect, hand) suspends the rule: the place is kept in
 * the state, script_run() returns, and a later event goes on there.
 *
 * Any thread, each state by one at a time. Scripts are shared.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "marcel/responder.h"
#include "respond/script/program.h"

/* Limits of one conversation, documented in marcel-script(5); past them `on overflow` runs. */
#define SCRIPT_VALUE_MAX                                                                           \
	4096                    /* bytes of one value, one item of a list, or kept collected bytes \
				 */
#define SCRIPT_VALUES_MAX 12288 /* all values together, with some bytes for each */
#define SCRIPT_REPLY_MAX  65536 /* one line or text that is said, with its variables put in */

enum script_event_kind {
	SCRIPT_CONNECT,  /* first of all: greet */
	SCRIPT_MESSAGE,  /* bytes, length, end_length */
	SCRIPT_EARLY,    /* the client spoke before the greeting */
	SCRIPT_TIME,     /* outcome->wake_at has come */
	SCRIPT_OVERFLOW, /* a message was longer than framing allows; the rest of it is skipped */
	SCRIPT_STOP,     /* the daemon stops */
	SCRIPT_EOF,      /* the client sends nothing any more */
	SCRIPT_ANSWERED, /* the responder it was handed to has answered, or gave it back */
	SCRIPT_UNHANDED, /* the responder it was handed to is not there, or failed */
};

struct script_event {
	enum script_event_kind kind;
	const char *bytes;
	size_t length;
	size_t end_length; /* bytes of the line end, 0 to 2: they count in what is collected */
};

/* The surroundings at that moment. */
struct script_world {
	usec_t now;       /* CLOCK_MONOTONIC */
	usec_t realtime;  /* CLOCK_REALTIME */
	const char *peer; /* as marcel_conversation.peer: "127.0.0.1:4711", "[::1]:4711", others as
			     they are */
	uint64_t conversation;
	uint64_t turn;
};

enum script_note {
	NOTE_LOG,        /* `log` */
	NOTE_UNANSWERED, /* no rule matched: silence */
	NOTE_STOPPED,    /* a rule's pattern was given up: too much work */
	NOTE_OVERFLOW,   /* a limit was passed, and there is no `on overflow` */
};

/* How a step went, for `script try --explain`. */
enum script_trace {
	TRACE_MATCHED, /* this rule runs */
	TRACE_WHEN,    /* its pattern matched, its condition didn't hold */
	TRACE_STOPPED, /* its pattern was given up */
	TRACE_OTHER, /* its pattern did not match; told only if explain is set, by comparing all */
};

struct script_outcome;

/* Where replies go. */
struct script_output {
	void *context;
	/* As marcel_say() and marcel_send(): -ENOSPC when there is no room beside what was said in
	 * this call; then the rule is suspended, and goes on with the next SCRIPT_TIME. */
	int (*say)(void *context, const char *text, size_t length);
	int (*send)(void *context, const char *bytes, size_t length);
	/* RULE is rule->name. TEXT is not escaped. May be NULL. */
	void (*note)(void *context, enum script_note note, const char *rule, const char *text,
		     size_t length);
	/* May be NULL. */
	void (*trace)(void *context, enum script_trace trace, const struct rule *rule);
	bool explain;
};

/*
 * What follows from an event. Filled before anything is said, as far as it is known then: secret
 * and rule are. What stands under "kept" is the state's: the same until a call changes it.
 */
struct script_outcome {
	enum marcel_verdict
		verdict;  /* MARCEL_CONTINUE, MARCEL_CLOSE, MARCEL_FAREWELL or MARCEL_RESET */
	bool unhandled;   /* the script has no rule for this event: the daemon's own behaviour
			     (greeting, farewell...) */
	bool secret;      /* the message is to be kept out of every record */
	const char *rule; /* name of the rule that answers, or NULL */
	/* Kept. */
	struct marcel_framing
		framing; /* of the next message; kind MARCEL_FRAMING_DEFAULT: the daemon's */
	bool holds;      /* no message is wanted: a rule waits for time alone */
	bool owns_end; /* the daemon's end words and empty messages mean nothing (the script's own,
			  or a collect) */
	bool collects; /* the next message is data of a collect: no turn of its own */
	bool silent;   /* no farewell is to be said, whatever ends the dialogue (`drop`, `end none`)
			*/
	usec_t wake_at; /* when SCRIPT_TIME is to come; 0: never */
	/* The instruction of a hand that is under way, or NULL: the message, if FRESH, and those
	 * that follow go to that responder until it has answered (SCRIPT_ANSWERED) or SCRIPT_TIME
	 * comes. */
	const struct instruction *hand;
	bool hand_is_fresh; /* it begins with this very event */
};

/* The bytes of state that script_begin() fills. */
size_t script_state_begin_size(const struct script *script);

/*
 * Begins a conversation by SCRIPT in STATE (MARCEL_STATE_MAX bytes, zeroed). *RET_USED is how many
 * of them matter. SEED: where its random numbers begin.
 */
void script_begin(const struct script *script, void *state, size_t *ret_used, uint64_t seed);

/* The version of the script that STATE belongs to; 0 if it is none. */
uint64_t script_state_version(const void *state, size_t used);

/*
 * Whether STATE can be gone on with by SCRIPT: right version, and whole: all numbers in it are
 * within the script's. A state from another process is checked before anything else.
 */
bool script_state_is_sound(const struct script *script, const void *state, size_t used);

/*
 * Lets EVENT happen. *USED changes with the state. Returns 0 with *RET filled, or a negative errno
 * of output->say() other than -ENOSPC.
 */
int script_run(const struct script *script, void *state, size_t *used,
	       const struct script_event *event, const struct script_world *world,
	       const struct script_output *output, struct script_outcome *ret);

/*
 * Whether `secret next` is meant for the message that comes now, which goes to another responder (a
 * hand is under way). It is meant for one: what says yes once says no then.
 */
bool script_take_secret(void *state, size_t used);

/* Whether the next message is to be a secret. */
bool script_asks_secret(const void *state, size_t used);

/* A draft that a hand proposes. */
struct script_draft {
	const char *bytes; /* valid until the state changes or moves */
	size_t length;
	usec_t until; /* when it is said by itself, CLOCK_MONOTONIC; USEC_NEVER: it is not */
};

/* The draft of the hand that is under way. Returns false if there is no hand, or no draft of it. */
bool script_state_draft(const struct script *script, const void *state, size_t used,
			struct script_draft *ret_draft);

/* The draft of the hand under way is said, or not to be said any more: the hand lasts as long as it
 * takes. */
void script_state_settle_draft(void *state);

/* The name of the present state ("always" if there are none), for --explain. */
const char *script_state_name(const struct script *script, const void *state);

/*
 * The present value of VARIABLE, written to BUFFER as text (a list joined by ", "), for --explain.
 * Returns its length, at most SIZE bytes of which are written; -1 if it is not set.
 */
ssize_t script_state_value(const struct script *script, const void *state, size_t used,
			   uint32_t variable, char *buffer, size_t size);
