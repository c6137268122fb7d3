/*
 * The parser's insides: what its parts share. Each part reads its construct and adds what it means
 * to one draft of the script; check.c then looks at the whole, and link.c makes a struct script.
 *
 * How they fail: a function that returns bool returns false after it has told a fault (or when
 * there is no memory: then an arena says so); the caller gives its own construct up, too, until
 * parse_statements() goes on at the next line that begins with a statement word.
 *
 * All drafts lie in the scratch arena, what becomes part of the script in `keep`. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "respond/script/arena.h"
#include "respond/script/fault-priv.h"
#include "respond/script/lex.h"
#include "respond/script/program.h"
#include "respond/script/source.h"

/* Limits that program.h does not name. */
#define SCRIPT_DEPTH_MAX   64                      /* groups, parentheses, else within each other */
#define SCRIPT_CODE_MAX    ((size_t)200000)        /* instructions */
#define SCRIPT_TEXTS_MAX   2000                    /* text blocks */
#define SCRIPT_REPLIES_MAX 100000                  /* lines of a plain list */
#define SCRIPT_NAME_MAX    64                      /* bytes of a name */
#define COLLECT_MAX        ((uint64_t)1024 * 1024) /* of `collect` without max */

/* How a variable comes to its value, as bits. */
enum origin {
	ORIGIN_LET = 0x01,
	ORIGIN_SET = 0x02,
	ORIGIN_ADD = 0x04,
	ORIGIN_CAPTURE = 0x08,
	ORIGIN_COLLECT = 0x10,
	ORIGIN_INTO = 0x20,
	ORIGIN_PROPERTY = 0x40,
	ORIGIN_UNKNOWN = 0x80, /* in a statement that is wrong */
};
#define ORIGINS 8

/* How it is used. */
enum use {
	USE_VALUE,
	USE_LENGTH, /* ${x|length} */
	USE_LIST,   /* shift, count: something must be added to it, for shift */
	USE_CLEAR,  /* it must exist, no more */
};

struct draft_variable {
	struct variable variable;
	unsigned origins;
	struct spot origin_spots[ORIGINS]; /* the first of each, by number of its bit */
	struct spot use_spot;              /* the first use, if is_used */
	struct spot shift_spot;            /* the first shift, if is_shifted */
	bool is_used;
	bool is_shifted;
	bool is_read; /* used otherwise than by clear */
	bool has_length;
};

/* A text block. */
struct draft_block {
	const char *name;
	struct spot spot;
	const struct text *lines;
	size_t n_lines;
	bool is_said;
};

enum draft_kind {
	DRAFT_PLAIN,
	DRAFT_NOTHING, /* room for the UNLESS of an action's `when`; leaves no instruction */
	DRAFT_BLOCK,   /* SAY for each line of the text block `name` */
	DRAFT_GOTO,    /* to the state `name` */
	DRAFT_WAYS,    /* CYCLE, PICK: followed by JUMPs to `ways` */
};

struct draft_instruction {
	struct instruction in; /* target_pc counts drafts */
	enum draft_kind kind;
	const char *name;
	struct spot spot; /* of the name, or the action */
	const uint32_t *ways;
};

struct draft_rule {
	struct rule rule;
	struct spot spot;
	uint32_t scope;
};

struct draft_scope {
	const char *name;
	struct spot spot;
	bool is_wanted; /* a goto leads to it */
};

struct draft_property {
	struct property property;
	struct spot spot;
};

struct parser {
	struct arena *keep;
	struct arena *scratch;
	struct sources *sources;
	struct faults *faults;
	bool (*knows)(const char *responder);
	/* The last `hand` was to one that is not there: no fault if `else` follows. NULL: it is
	 * there. */
	const char *unknown;
	struct spot unknown_spot;

	struct lexer lexer;
	struct token token;   /* the next one, not taken yet */
	struct spot last_end; /* just after the one taken last */
	unsigned depth;       /* of groups and parentheses */
	unsigned n_files;     /* files within each other */
	const struct source *stack[SCRIPT_INCLUDES_MAX + 1];
	size_t bytes_read; /* of all files, each as often as it is included */
	bool in_let;       /* texts may use no built-ins, and only lets */

	bool has_begun; /* a rule, state or always was there */
	bool has_frame, has_match, has_end;
	struct manners manners;
	bool nocase;
	uint32_t scope; /* to which rules belong */
	uint32_t rule;  /* the one that is being read */

	struct draft_variable *variables;
	size_t n_variables, room_variables;
	struct draft_block *blocks;
	size_t n_blocks, room_blocks;
	struct expression *expressions;
	size_t n_expressions, room_expressions;
	size_t condition; /* the first expression of the one that is being read */
	struct draft_instruction *code;
	size_t n_code, room_code;
	struct draft_rule *rules;
	size_t n_rules, room_rules;
	struct draft_scope *scopes;
	size_t n_scopes, room_scopes;
	struct draft_property *properties;
	size_t n_properties, room_properties;
	uint32_t n_counters, n_timers;
};

/* parse.c: tokens and faults. */

/* Whether there was no memory: everything is given up then. */
bool out_of_memory(const struct parser *p);

/* Tells an error at SPOT; EXPECTED may be NULL. Returns false. */
bool fault_at(struct parser *p, struct spot spot, const char *expected, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void warn_at(struct parser *p, struct spot spot, const char *expected, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Tells that the next token is not EXPECTED; if it is a word near one of the N at WORDS, that was
 * probably meant. What a lexical error says goes before. Returns false. */
bool fault_token(struct parser *p, const char *expected, const char *const words[], size_t n);

/* " (did you mean 'x'?)" for the one of WORDS nearest to WORD, or "". */
#define HINT_SIZE (SCRIPT_NAME_MAX + 32)
const char *hint(char buffer[HINT_SIZE], const char *word, const char *const words[], size_t n);

struct place place_of(struct spot spot);

/* Takes the next token. */
void advance(struct parser *p);
bool is_mark(const struct parser *p, enum mark mark);
bool is_word(const struct parser *p, const char *word);
/* Take it if it is that. */
bool take_mark(struct parser *p, enum mark mark);
bool take_word(struct parser *p, const char *word);

/* The next token if it is a plain name, which is copied (keep); WHAT for the fault: "a state". */
bool take_name(struct parser *p, const char *what, const char **ret_name);
/* Whether WORD belongs to the language and can't be a name; a built-in can't be a variable. */
bool is_reserved(const char *word, size_t length);
bool is_statement(const char *word, size_t length);
bool is_builtin(const char *word, size_t length);

/* Room for one more of an array of drafts; false without memory. */
#define ROOM_FOR_ONE(p, array)                                                   \
	make_room((p), (void **)&(p)->array, (p)->n_##array, &(p)->room_##array, \
		  sizeof(*(p)->array))
bool make_room(struct parser *p, void **array, size_t n, size_t *capacity, size_t size);

/* Goes one deeper into groups; false after a fault if that is too deep. */
bool enter(struct parser *p);

/* The length of "marcel-script 1" if that is the first line of SOURCE, else 0. */
size_t header_length(const struct source *source);

/* Reads SOURCE and what it includes to the end. */
void parse_source(struct parser *p, const struct source *source);

/* names.c: variables, states and text blocks. */

/* The variable NAME, made if need be; NONE after a fault. */
uint32_t variable_find(struct parser *p, const char *name, size_t length, struct spot spot);
/* It gets a value at SPOT, or is used there. NONE after a fault. */
uint32_t variable_set(struct parser *p, const char *name, size_t length, struct spot spot,
		      enum origin origin);
uint32_t variable_use(struct parser *p, const char *name, size_t length, struct spot spot,
		      enum use use);
/* The number of the bit ORIGIN. */
unsigned origin_number(enum origin origin);
/* State NAME, or NONE. */
uint32_t scope_find(const struct parser *p, const char *name);
/* Text block NAME, or NULL. */
struct draft_block *block_find(const struct parser *p, const char *name);
/* The names of all N, for hints; NULL without memory. */
const char **names_of_variables(struct parser *p, size_t *ret_n);
const char **names_of_scopes(struct parser *p, size_t *ret_n);
const char **names_of_blocks(struct parser *p, size_t *ret_n);

/* value.c: texts and numbers. */

enum text_form {
	FORM_QUOTED,  /* escapes and variables */
	FORM_BLOCK,   /* variables; of escapes only \$ and \\ */
	FORM_LITERAL, /* as it stands */
};
/* LENGTH bytes at BYTES, which lie at SPOT. */
bool parse_text(struct parser *p, const char *bytes, size_t length, struct spot spot,
		enum text_form form, struct text *ret_text);
/* What stands between ${ and }. */
bool parse_reference(struct parser *p, const char *bytes, size_t length, struct spot spot,
		     struct part *ret_part);
/* A value: "text", 'literal', number or ${reference}. WHAT for the fault. */
bool is_value(const struct parser *p);
bool take_value(struct parser *p, const char *what, struct text *ret_text);
/* A quote without variables: its bytes, NUL-ended (in keep). */
bool take_constant(struct parser *p, const char *what, const char **ret_bytes, size_t *ret_length);
/* A text that holds no variable: true with its bytes. */
bool text_is_constant(const struct text *text, const char **ret_bytes, size_t *ret_length);
bool text_of_bytes(struct parser *p, const char *bytes, size_t length, struct text *ret_text);

bool take_duration(struct parser *p, const char *what, usec_t *ret_duration);
bool take_size(struct parser *p, const char *what, uint64_t least, uint64_t most,
	       uint64_t *ret_size);
bool take_count(struct parser *p, const char *what, uint64_t least, uint64_t most,
		uint64_t *ret_number);

/* parse-frame.c: what stands before the rules. */
bool parse_framing(struct parser *p, struct marcel_framing *ret_framing);
bool parse_frame(struct parser *p);
bool parse_match(struct parser *p);
bool parse_end(struct parser *p);

/* parse-name.c: let, text. */
bool parse_let(struct parser *p);
bool parse_block(struct parser *p);

/* parse-property.c */
bool parse_property(struct parser *p);

/* parse-rule.c */
bool parse_on(struct parser *p);
bool parse_otherwise(struct parser *p);
/* Adds a rule of KIND, whose text is LENGTH bytes at TEXT. */
bool add_rule(struct parser *p, enum rule_kind kind, struct spot spot, const char *text,
	      size_t length);
/* Compiles the pattern of the rule that was added last: LENGTH bytes at TEXT, which lie at SPOT. */
bool compile_pattern(struct parser *p, enum pattern_kind kind, const char *text, size_t length,
		     struct spot spot, unsigned flags);

/* parse-action.c */
bool parse_actions(struct parser *p);
/* One action or group. */
bool parse_action(struct parser *p);
/* Adds an instruction; its number, or NONE after a fault. */
uint32_t emit(struct parser *p, enum action action, struct spot spot);

/* parse-do.c: each action. */
bool parse_basic(struct parser *p);
bool is_action_word(const struct parser *p);
/* ACTION, whose word stood at SPOT, with the value that follows. */
bool emit_value(struct parser *p, enum action action, struct spot spot);

/* parse-store.c: those on variables, after their word, which stood at SPOT. */
bool parse_set(struct parser *p, struct spot spot);
bool parse_add(struct parser *p, struct spot spot);
bool parse_shift(struct parser *p, struct spot spot);
bool parse_clear(struct parser *p, struct spot spot);
bool parse_collect(struct parser *p, struct spot spot);

/* parse-expression.c; the index of the expression. */
bool parse_expression(struct parser *p, uint32_t *ret_expression);

/* check.c, link.c, list.c */
void check_script(struct parser *p);
/* Makes the script of what was read. Returns 0, -EINVAL after a fault, or -ENOMEM. */
int link_script(struct parser *p, struct script *script);
bool is_list(const struct source *source);
int read_list(struct parser *p, const struct source *source, struct script *script);
