/*
 * A script, compiled: what the parser makes and the interpreter runs.
 *
 * Everything in it is immutable once script_load() has returned it, so that any number of
 * conversations in any number of threads use one. It is counted (script_ref() and script_unref()):
 * a reload makes a new one, and who talks by the old one keeps that.
 *
 * Rules are compared by patterns; their actions are instructions in one array, `code`, in which
 * groups, alternatives and conditions have become jumps. So a conversation that waits in the
 * middle of a rule remembers one number, the index of the instruction at which it goes on.
 *
 * All memory belongs to the script's arena. Indices are used instead of pointers where a
 * conversation's state refers to something.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "marcel/responder.h"
#include "respond/script/fault.h"
#include "respond/script/pattern.h"

#define NONE UINT32_MAX /* an index of nothing */

/* How much a script may hold. More is a fault, told as such. */
#define SCRIPT_BYTES_MAX     ((size_t)4 * 1024 * 1024) /* its text, included files too */
#define SCRIPT_VARIABLES_MAX 500
#define SCRIPT_STATES_MAX    1000
#define SCRIPT_RULES_MAX     20000
#define SCRIPT_COUNTERS_MAX  500 /* cycles */
#define SCRIPT_TIMERS_MAX    8   /* on every */
#define SCRIPT_INCLUDES_MAX  8   /* files within files */
#define SCRIPT_FILTERS_MAX   4

enum filter {
	FILTER_UPPER,
	FILTER_LOWER,
	FILTER_BASE64,
	FILTER_UNBASE64,
	FILTER_LENGTH
};

/* What a part of a text stands for. */
enum part_kind {
	PART_TEXT,         /* bytes, length */
	PART_VARIABLE,     /* variable; a list is its items, joined by ", " */
	PART_MESSAGE,      /* ${message} */
	PART_PEER,         /* ${peer}: the client's address without the port */
	PART_PORT,         /* ${port}: the client's port, "" if it has none */
	PART_TURN,         /* ${turn}: messages so far, this one included */
	PART_CONVERSATION, /* ${conversation}: its number */
	PART_SERIAL, /* ${serial}: "CONVERSATION-N", where N counts the events (run.h) in which it
			is used */
	PART_DATE,   /* ${date}: RFC 5322, UTC: "Sun, 22 Nov 2026 15:01:42 +0000" */
	PART_TIME, /* ${time FORMAT}: bytes is a format of strftime(3), UTC, C locale, NUL-ended */
	PART_RANDOM, /* ${random N}: a number from 0 to number - 1 */
};

struct part {
	enum part_kind kind;
	uint8_t n_filters;
	uint8_t filters[SCRIPT_FILTERS_MAX]; /* enum filter, applied from left to right */
	uint32_t variable;
	const char *bytes;
	size_t length;
	uint64_t number;
};

/* A text with what is to be put in: one line, or a value. */
struct text {
	const struct part *parts;
	size_t n_parts;
};

enum variable_kind {
	VARIABLE_VALUE,
	VARIABLE_LIST,     /* something is added to it */
	VARIABLE_PROPERTY, /* the value of a property */
};

struct variable {
	const char *name;
	enum variable_kind kind;
	bool has_initial; /* by let, or a property's default */
	const char *
		initial; /* its value until it is set; let is evaluated when the script is loaded */
	size_t initial_length;
	bool is_kept; /* its value is used somewhere; else captures and collected bytes are not kept
		       */
	bool is_counted;   /* its length is used, of what is collected: counted even if not kept */
	uint32_t property; /* VARIABLE_PROPERTY: its number */
};

enum expression_op {
	/* Leaves. */
	EXPRESSION_TEXT,    /* text */
	EXPRESSION_COUNT,   /* count(variable): the items of a list; of a value, 1 or 0 */
	EXPRESSION_LENGTH,  /* length: bytes of the message; of nothing, 0 */
	EXPRESSION_PEER_IN, /* peer in "CIDR": network, bits */
	/* Comparisons of left and right: as numbers if both are decimal numbers, else as bytes. */
	EXPRESSION_EQUAL,
	EXPRESSION_UNEQUAL,
	EXPRESSION_LESS,
	EXPRESSION_LESS_EQUAL,
	EXPRESSION_GREATER,
	EXPRESSION_GREATER_EQUAL,
	/* Of truths; NOT has left alone. */
	EXPRESSION_AND,
	EXPRESSION_OR,
	EXPRESSION_NOT,
};

struct expression {
	enum expression_op op;
	uint32_t left, right; /* indices into expressions */
	struct text text;
	uint32_t variable;
	uint8_t network[16]; /* IPv6, or an IPv4 address mapped into it (RFC 4291, 2.5.5.2) */
	uint8_t bits;        /* of the 128 */
};

enum action {
	ACTION_SAY,    /* text, stuff: one line */
	ACTION_SEND,   /* text: bytes, no line end */
	ACTION_LOG,    /* text */
	ACTION_IGNORE, /* nothing is said, on purpose: no record of an unanswered message */
	ACTION_SET,    /* variable = text */
	ACTION_ADD,    /* text is appended to the list */
	ACTION_SHIFT,  /* the first item of list `variable` is taken out, into `target` unless NONE;
			  of an empty list "" */
	ACTION_CLEAR,  /* variable: as at the beginning */
	ACTION_CYCLE,  /* one of n_ways, one after another; counter */
	ACTION_PICK,   /* one of n_ways, at random */
	ACTION_WAIT,   /* least to most */
	ACTION_DRIP,   /* text, size bytes every `least` */
	ACTION_COLLECT, /* see collect; on after it is in */
	ACTION_HAND,    /* see hand; else: jumps to target_pc if there was no answer */
	ACTION_GOTO,    /* state */
	ACTION_FRAME,   /* framing */
	ACTION_CLOSE,
	ACTION_RESET,
	ACTION_DROP,
	ACTION_SECRET, /* next: the next message, too/instead; else this one (done beforehand:
			  rule.secret) */
	ACTION_STRIKE, /* closes if this is the size-th strike of the conversation */
	ACTION_UNLESS, /* jumps to target_pc if expression is false */
	ACTION_JUMP,   /* to target_pc */
	ACTION_END,    /* the rule is done */
};

enum collect_until {
	COLLECT_LINE,
	COLLECT_EMPTY,
	COLLECT_BYTES
};

struct instruction {
	enum action action;
	struct place where;
	uint32_t variable; /* SET, ADD, SHIFT, CLEAR, COLLECT */
	uint32_t target;   /* SHIFT: variable or NONE; GOTO: state; CYCLE: counter */
	uint32_t target_pc;
	uint32_t expression;
	struct text
		text; /* COLLECT_LINE: the line; COLLECT_BYTES: the number, unless it is constant */
	bool stuff;   /* SAY: a dot in front is doubled (RFC 5321, 4.5.2); COLLECT: undoubled */
	bool next;    /* SECRET */
	uint32_t n_ways; /* CYCLE, PICK: the next n_ways instructions are JUMPs to them */
	usec_t least, most;
	uint64_t size;  /* DRIP: bytes of a piece; COLLECT: at most so many; STRIKE: N */
	uint64_t bytes; /* COLLECT_BYTES: how many, if text has no parts */
	enum collect_until until;
	struct marcel_framing framing; /* FRAME */
	/* HAND: to whom; least: for how long (USEC_NEVER: as long as it takes); text: the draft, if
	 * it has parts; */
	const char *responder;
	bool stay;
};

/* What makes a rule run. */
enum rule_kind {
	RULE_MESSAGE,   /* pattern */
	RULE_OTHERWISE, /* any message that nothing else matched */
	RULE_GET,       /* property, asked for: pattern is a literal */
	RULE_SET,       /* property, set: pattern has a hole */
	RULE_CONNECT,
	RULE_EARLY,
	RULE_IDLE,  /* after: period */
	RULE_EVERY, /* every: period; timer */
	RULE_OVERFLOW,
	RULE_STOP,
	RULE_EOF,
};
#define RULE_KINDS (RULE_EOF + 1)

struct rule {
	enum rule_kind kind;
	struct place where;
	const char *name; /* "file:line", the file's last part only: MARCEL_RULE */
	const char *text; /* the pattern or event as it is written, for --explain */
	uint32_t when;    /* expression, or NONE */
	uint32_t pc;      /* its first instruction */
	struct pattern *pattern;
	uint32_t captures[PATTERN_CAPTURES_MAX]; /* the variable of each, NONE if it is not kept */
	uint32_t property;
	usec_t period;
	uint32_t timer;
	bool secret;        /* it holds `secret` for its own message, whatever the condition */
	bool keeps_message; /* ${message} is used by its actions: kept while one takes time */
};

enum property_kind {
	PROPERTY_INT,
	PROPERTY_FLOAT,
	PROPERTY_BOOL,
	PROPERTY_TEXT
};

struct property {
	const char *name;
	enum property_kind kind;
	uint32_t variable; /* its value as text */
	bool limited;
	double least, most;
	const char *format; /* of printf(3), checked: one conversion that fits kind, or NULL */
	bool has_error;
	const char *error; /* added to the list `errors` when a value does not fit */
	size_t error_length;
	struct place where;
};

/* One state, or (scope 0) what stands under always and outside of states. */
struct scope {
	const char *name; /* "always" for 0 */
	struct place where;
	const uint32_t *rules; /* those with patterns, in order */
	size_t n_rules;
	struct matcher *matcher; /* over rules; the number it finds is an index into rules */
	const uint32_t *others[RULE_KINDS]; /* the other kinds, in order */
	size_t n_others[RULE_KINDS];
};

/* What of the dialogue a script takes into its own hands. */
struct manners {
	bool frames; /* framing is its own */
	struct marcel_framing framing;
	bool ends; /* it has its own end words, or none: the daemon's, and its farewell, don't count
		    */
	const char *const *end_words;
	size_t n_end_words;
	bool end_on_empty;
};

struct script {
	uint64_t version; /* of its text, included files too: FNV-1a, 64 bits; never 0 */
	const char *file;
	bool is_list; /* a plain list of replies: n_replies of them */
	const struct text *replies;
	size_t n_replies;

	struct manners manners;
	bool nocase;
	const struct variable *variables;
	size_t n_variables;
	uint32_t errors_list; /* the variable named errors, or NONE */
	const struct expression *expressions;
	size_t n_expressions;
	const struct instruction *code;
	size_t n_code;
	const struct rule *rules;
	size_t n_rules;
	const struct property *properties;
	size_t n_properties;
	const struct scope *scopes; /* 0: always */
	size_t n_scopes;
	uint32_t first_scope; /* where a conversation begins: the first state; 0 if there is none */
	size_t n_counters;
	size_t n_timers;
	/* Its whole text as one piece, from which script_load_bundle() makes the same script. */
	const char *bundle;
	size_t bundle_size;
};

/*
 * Reads FILE and what it includes, checks and compiles it. Returns 0; -EINVAL with errors in
 * FAULTS; -ENOMEM. Warnings may be in FAULTS in any case. KNOWS, if not NULL, says whether there is
 * a responder of a name, for `hand`. A file that can't be read is a fault. The caller owns a
 * reference to *RET_SCRIPT. Any thread.
 */
int script_load(const char *file, bool (*knows)(const char *responder), struct faults *faults,
		struct script **ret_script);

/* The same from LENGTH bytes at TEXT, named NAME; includes are looked for beside NAME. For tests
 * and fuzzers. */
int script_load_text(const char *name, const char *text, size_t length,
		     bool (*knows)(const char *responder), struct faults *faults,
		     struct script **ret_script);

/* The same from what bundle and bundle_size of a script were, in this or another process; no file
 * is opened. */
int script_load_bundle(const char *bundle, size_t size, struct faults *faults,
		       struct script **ret_script);

/* One reference more or less; the last one frees it. Any thread. */
struct script *script_ref(struct script *script);
void script_unref(struct script *script);
