/*
 * Patterns: what a message is compared with.
 *
 * Four kinds (enum pattern_kind), compiled once when a script is loaded, immutable afterwards and
 * used by any number of threads. Messages are bytes; nothing in them is UTF-8 for sure, and a
 * pattern never fails on one that isn't. PCRE2 (pcre2api(3)) does what is not plain comparison,
 * with limits: no regex keeps a thread busy for more than some 10 ms of processor time.
 *
 * A matcher is an ordered set of patterns that finds the first which matches. What begins with
 * something literal is found by that, so a thousand rules cost hardly more than ten. Where many
 * patterns have to be compared, the time for one message is limited, too: to some 200 ms.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pattern_kind {
	PATTERN_LITERAL, /* 'text': the whole message is these bytes */
	PATTERN_GLOB, /* "text": *, ?, {name}, {name:int|number|word}; the whole message. TEXT still
			 has its escapes (\* \? \{ \\ \" \$ \r \n \t \0 \xHH), which
			 pattern_compile() reads */
	PATTERN_REGEX, /* /text/flags: anchored at the beginning unless flagged u */
	PATTERN_HOLE,  /* literal but for one {} that takes any run of bytes: set 'VOLT {}' */
};

#define PATTERN_NOCASE     0x01u /* ASCII letters compare without case; regex flag i */
#define PATTERN_UNANCHORED 0x02u /* regex flag u */
#define PATTERN_DOTALL     0x04u /* regex flag s */
#define PATTERN_EXTENDED   0x08u /* regex flag x */
#define PATTERN_MULTILINE  0x10u /* regex flag m */

/* The most captures of one pattern, and the longest pattern in bytes. */
#define PATTERN_CAPTURES_MAX 32
#define PATTERN_LENGTH_MAX   4096

struct pattern;

/* What is wrong with a pattern, and where: an offset in bytes into its text. */
struct pattern_error {
	char text[160];
	char expected[160]; /* "" if there is nothing to add */
	size_t offset;
};

/*
 * Compiles LENGTH bytes at TEXT. Returns 0; -EINVAL with *RET_ERROR filled; -ENOMEM. The caller
 * owns *RET_PATTERN and frees it by pattern_free().
 */
int pattern_compile(enum pattern_kind kind, const char *text, size_t length, unsigned flags,
		    struct pattern **ret_pattern, struct pattern_error *ret_error);
void pattern_free(struct pattern *pattern);

/* How many captures it has, and the name of number I (0 to count - 1), "" for that of a hole. */
size_t pattern_captures(const struct pattern *pattern);
const char *pattern_capture_name(const struct pattern *pattern, size_t i);

/*
 * Whether each message that LATER matches is matched by EARLIER, too, as far as that is easily
 * said: equal patterns, a literal or glob that an earlier glob's beginning and trailing * take in,
 * "*" before anything. For the warning about a rule that is never reached; false when in doubt.
 */
bool pattern_covers(const struct pattern *earlier, const struct pattern *later);

/* A part of the message; start is meaningless when length is 0 because it took no part. */
struct capture {
	size_t start;
	size_t length;
};

enum match {
	MATCH_NO,
	MATCH_YES,
	MATCH_STOPPED, /* it was given up: too much work */
};

/*
 * Compares LENGTH bytes at MESSAGE with PATTERN; after MATCH_YES CAPTURES holds those of the
 * pattern. Any thread.
 */
enum match pattern_match(const struct pattern *pattern, const char *message, size_t length,
			 struct capture captures[PATTERN_CAPTURES_MAX]);

struct matcher;

/*
 * Makes a matcher of N patterns in their order, which it uses but does not own; PATTERNS itself is
 * copied. Returns 0 or -ENOMEM.
 */
int matcher_new(const struct pattern *const patterns[], size_t n, struct matcher **ret_matcher);
void matcher_free(struct matcher *matcher);

/*
 * What comparing one message has cost so far. Zero at first; is_exhausted is for the caller to
 * read: the message is not to be compared with anything more then.
 */
struct effort {
	uint64_t started; /* processor time of the thread, nanoseconds; 0: not looked at yet */
	size_t work;      /* since then */
	bool is_exhausted;
};

/*
 * Finds the first pattern from number *INDEX on that matches. Returns MATCH_YES with its number in
 * *INDEX and its captures; MATCH_STOPPED with the number of one that was given up (go on from
 * the next one unless *EFFORT, which may be NULL, is exhausted); MATCH_NO. Any thread.
 */
enum match matcher_find(const struct matcher *matcher, const char *message, size_t length,
			struct effort *effort, size_t *index,
			struct capture captures[PATTERN_CAPTURES_MAX]);
