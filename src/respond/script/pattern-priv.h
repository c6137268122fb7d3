/*
 * What the files of patterns share; for pattern.c, glob.c, regex.c, pool.c and matcher.c only.
 *
 * A compiled pattern has one of two shapes. SHAPE_PARTS: literal pieces with a run of any bytes
 * between each two, compared by hand in linear time: all literals, holes, and globs with nothing
 * but * and {name}. SHAPE_PCRE2: all others.
 */
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "respond/script/pattern.h"

/* Groups of a regex, captures or not: all of them are in a match data. */
#define GROUPS_MAX 64

enum shape {
	SHAPE_PARTS,
	SHAPE_PCRE2,
};

struct piece {
	const char *bytes; /* in pattern.text; small letters if nocase */
	size_t length;
};

struct name {
	char *bytes;
	uint32_t group; /* SHAPE_PCRE2: its number; SHAPE_PARTS: which gap, from 0 */
};

struct pattern {
	/* What each message that matches begins with; folded if nocase. First, with what else a
	 * literal needs: they are looked at most. */
	const char *beginning;
	size_t beginning_length;
	enum shape shape;
	bool nocase;
	size_t n_pieces; /* SHAPE_PARTS: one more than gaps */
	struct piece *pieces;
	struct name *names; /* of captures */
	size_t n_names;
	enum pattern_kind kind;
	unsigned flags;
	char *text; /* SHAPE_PARTS: the pieces; SHAPE_PCRE2: the regex */
	size_t length;
	char *own_beginning; /* SHAPE_PCRE2: memory of it */
	pcre2_code *code;
};

/* Small letter of an ASCII letter; other bytes stay. */
static inline unsigned char fold(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : c;
}

/* Whether LENGTH bytes at MESSAGE are those at LITERAL, which is folded if NOCASE. */
static inline bool bytes_equal(const char *message, const char *literal, size_t length, bool nocase)
{
	if (!nocase)
		return __builtin_memcmp(message, literal, length) == 0;
	for (size_t i = 0; i < length; i++)
		if (fold((unsigned char)message[i]) != (unsigned char)literal[i])
			return false;
	return true;
}

/* Fills ERROR; TEXT as printf(3) has it, cut if need be. Returns -EINVAL. */
int pattern_fault(struct pattern_error *error, size_t offset, const char *expected,
		  const char *text, ...) __attribute__((format(printf, 4, 5)));

/*
 * Appends a capture called LENGTH bytes at NAME that stands at OFFSET; GROUP as in struct name.
 * Returns 0, -EINVAL (twice, too many) with ERROR filled, or -ENOMEM.
 */
int pattern_add_name(struct pattern *pattern, const char *name, size_t length, uint32_t group,
		     size_t offset, struct pattern_error *error);

/* Compile a kind into PATTERN, zero but for kind, flags and nocase; fail as pattern_compile(). */
int literal_compile(struct pattern *pattern, const char *text, size_t length);
int hole_compile(struct pattern *pattern, const char *text, size_t length,
		 struct pattern_error *error);
int glob_compile(struct pattern *pattern, const char *text, size_t length,
		 struct pattern_error *error);
int regex_compile(struct pattern *pattern, const char *text, size_t length,
		  struct pattern_error *error);

/*
 * Compiles the regex in pattern->text with OPTIONS of PCRE2 besides those that are always set.
 * Returns 0; -EINVAL with ERROR filled, its offset one into that text; -ENOMEM.
 */
int regex_build(struct pattern *pattern, uint32_t options, struct pattern_error *error);

/* Compares a message with one of SHAPE_PCRE2; as pattern_match(). */
enum match regex_match(const struct pattern *pattern, const char *message, size_t length,
		       struct capture captures[PATTERN_CAPTURES_MAX]);

/*
 * Match data: what pcre2_match() works in, 20 KB and more. A few are kept for whoever comes next;
 * so it is compares under way that need memory, not conversations.
 */
struct workplace {
	pcre2_general_context *general;
	pcre2_match_context *context; /* with limits and the callout set */
	pcre2_match_data *data;       /* for GROUPS_MAX groups */
	size_t held;                  /* bytes that PCRE2 has allocated for it */
	/* For the callout, reset by workplace_take(). */
	uint64_t steps;   /* since the clock was looked at */
	uint64_t started; /* nanoseconds of the thread's processor time; 0: not looked at yet */
};

/* The thread's processor time in nanoseconds. */
uint64_t processor_time(void);

/* A workplace of the caller's until it is given back; NULL if there is no memory. Any thread. */
struct workplace *workplace_take(void);
void workplace_give(struct workplace *place);
