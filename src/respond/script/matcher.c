/*
 * The matcher: which of many patterns comes first; see pattern.h.
 *
 * Patterns stand in three places by what is known about each message that they match: all of it (a
 * literal), its first bytes (at most KEY_MAX are used), or nothing. The first two are in one hash
 * table. A message is hashed once, byte by byte; at each length that some beginning has, and at its
 * end, the table says which patterns are worth a closer look. What was found in the places is then
 * gone through together in the order of the patterns' numbers, which the places hold themselves.
 *
 * All is hashed in small letters, so patterns with and without case share a place; the closer look
 * tells them apart.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "respond/script/pattern-priv.h"

/* Bytes of a beginning that count; a uint64_t has a bit for each length. */
#define KEY_MAX 63

/* Places that one message can belong to: each length, the whole, and what has no key. */
#define PLACES_MAX (KEY_MAX + 2)

/* FNV-1a, 64 bits. */
#define HASH_BASIS UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

/* One message may take so much of its thread's processor time, nanoseconds... */
#define EFFORT_NSEC UINT64_C(200000000)
/* ...which is looked at after so much work. A comparison is 1, and 1 more for each PART_BYTES of
 * the message, or what REGEX_WORK says. */
#define EFFORT_BETWEEN 4096
#define PART_BYTES     256
#define REGEX_WORK     512

/* A set of patterns: numbers first to first + count - 1 of matcher.order, rising. count 0: free. */
struct place {
	uint64_t hash;
	uint32_t length;
	bool whole;
	uint32_t first;
	uint32_t count;
};

struct entry {
	const struct pattern *pattern;
};

struct matcher {
	struct entry *entries; /* in order */
	uint32_t *order;
	struct place *table; /* open addressing; mask + 1 of them, at most half of them used */
	size_t mask;
	uint64_t lengths; /* bit n: there are beginnings of n bytes */
	struct place others;
	size_t whole_max; /* the longest literal; has_whole says whether there is one */
	bool has_whole;
};

/* Where a pattern belongs. */
struct key {
	uint64_t hash;
	uint32_t length;
	bool whole;
};

/* A place's numbers, gone through. */
struct run {
	const uint32_t *next;
	const uint32_t *end;
};

static uint64_t hash_byte(uint64_t hash, char c)
{
	return (hash ^ fold((unsigned char)c)) * HASH_PRIME;
}

static struct key key_of(const struct pattern *pattern)
{
	struct key key = {.hash = HASH_BASIS};

	key.whole = pattern->shape == SHAPE_PARTS && pattern->n_pieces == 1;
	key.length = (uint32_t)pattern->beginning_length;
	if (!key.whole && key.length > KEY_MAX)
		key.length = KEY_MAX;
	for (uint32_t i = 0; i < key.length; i++)
		key.hash = hash_byte(key.hash, pattern->beginning[i]);
	return key;
}

/* The place of KEY, or the free one that it would have. */
static struct place *look_up(const struct matcher *matcher, const struct key *key)
{
	size_t at = (size_t)(key->hash ^ key->hash >> 32) & matcher->mask;

	while (matcher->table[at].count > 0 &&
	       (matcher->table[at].hash != key->hash || matcher->table[at].length != key->length ||
		matcher->table[at].whole != key->whole))
		at = (at + 1) & matcher->mask;
	return &matcher->table[at];
}

static struct place *place_of(struct matcher *matcher, const struct key *key)
{
	return key->whole || key->length > 0 ? look_up(matcher, key) : &matcher->others;
}

/* Counts how many patterns each place has, and what messages must be looked at for. */
static void count_places(struct matcher *matcher, const struct key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct key *key = &keys[i];
		struct place *place = place_of(matcher, key);

		place->hash = key->hash;
		place->length = key->length;
		place->whole = key->whole;
		place->count++;
		if (key->whole) {
			matcher->has_whole = true;
			if (key->length > matcher->whole_max)
				matcher->whole_max = key->length;
		} else if (key->length > 0) {
			matcher->lengths |= UINT64_C(1) << key->length;
		}
	}
}

/* Gives each place its part of the order, and writes the numbers there. */
static void fill_places(struct matcher *matcher, const struct key *keys, size_t n, uint32_t *filled)
{
	uint32_t first = 0;

	/* filled: by slot of the table, and one more for the others */
	for (size_t i = 0; i <= matcher->mask; i++) {
		matcher->table[i].first = first;
		first += matcher->table[i].count;
	}
	matcher->others.first = first;
	for (size_t i = 0; i < n; i++) {
		struct place *place = place_of(matcher, &keys[i]);
		size_t slot = place == &matcher->others ? matcher->mask + 1
							: (size_t)(place - matcher->table);

		matcher->order[place->first + filled[slot]++] = (uint32_t)i;
	}
}

/* Puts MATCHER, whose patterns and memory are there, in order; KEYS and FILLED are for this only.
 */
static void build(struct matcher *matcher, size_t n, struct key *keys, uint32_t *filled)
{
	for (size_t i = 0; i < n; i++)
		keys[i] = key_of(matcher->entries[i].pattern);
	count_places(matcher, keys, n);
	fill_places(matcher, keys, n, filled);
}

int matcher_new(const struct pattern *const patterns[], size_t n, struct matcher **ret_matcher)
{
	struct matcher *matcher = calloc(1, sizeof(*matcher));
	struct key *keys = calloc(n + 1, sizeof(*keys));
	uint32_t *filled;
	size_t slots = 2;
	bool whole;

	while (slots < 2 * n)
		slots *= 2;
	filled = calloc(slots + 1, sizeof(*filled));
	if (matcher != NULL) {
		matcher->mask = slots - 1;
		matcher->entries = calloc(n + 1, sizeof(*matcher->entries));
		matcher->order = calloc(n + 1, sizeof(*matcher->order));
		matcher->table = calloc(slots, sizeof(*matcher->table));
	}
	whole = matcher != NULL && keys != NULL && filled != NULL && matcher->entries != NULL &&
		matcher->order != NULL && matcher->table != NULL;
	if (whole) {
		for (size_t i = 0; i < n; i++)
			matcher->entries[i].pattern = patterns[i];
		build(matcher, n, keys, filled);
		*ret_matcher = matcher;
	} else {
		matcher_free(matcher);
	}
	free(filled);
	free(keys);
	return whole ? 0 : -ENOMEM;
}

void matcher_free(struct matcher *matcher)
{
	if (matcher == NULL)
		return;
	free(matcher->table);
	free(matcher->order);
	free(matcher->entries);
	free(matcher);
}

/* Appends what PLACE has from number FROM on. */
static size_t add_run(const struct matcher *matcher, const struct place *place, size_t from,
		      struct run runs[PLACES_MAX], size_t n)
{
	const uint32_t *low = matcher->order + place->first;
	const uint32_t *end = low + place->count;
	const uint32_t *high = end;

	while (low < high) {
		const uint32_t *middle = low + (high - low) / 2;

		if (*middle < from)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < end)
		runs[n++] = (struct run){.next = low, .end = end};
	return n;
}

/* The places that MESSAGE belongs to; returns how many there are. */
static size_t find_runs(const struct matcher *matcher, size_t from, const char *message,
			size_t length, struct run runs[PLACES_MAX])
{
	bool whole = matcher->has_whole && length <= matcher->whole_max;
	struct key key = {.hash = HASH_BASIS};
	size_t n = add_run(matcher, &matcher->others, from, runs, 0);
	/* Bytes to hash: all if it can be a literal, else as many as the longest beginning has. */
	size_t stop = 0;

	if (matcher->lengths != 0)
		stop = 63 - (size_t)__builtin_clzll(matcher->lengths);
	if (whole || stop > length)
		stop = length;
	for (;;) {
		if (key.length <= KEY_MAX && (matcher->lengths >> key.length & 1) != 0)
			n = add_run(matcher, look_up(matcher, &key), from, runs, n);
		if (key.length == stop)
			break;
		key.hash = hash_byte(key.hash, message[key.length++]);
	}
	if (whole) {
		key.whole = true;
		n = add_run(matcher, look_up(matcher, &key), from, runs, n);
	}
	return n;
}

/* Counts a comparison of PATTERN with LENGTH bytes. Returns whether there was time for it. */
static bool spend(struct effort *effort, const struct pattern *pattern, size_t length)
{
	uint64_t now;

	if (effort->is_exhausted)
		return false;
	effort->work += 1 + length / PART_BYTES;
	if (pattern->shape == SHAPE_PCRE2)
		effort->work += REGEX_WORK;
	if (effort->work < EFFORT_BETWEEN)
		return true;
	effort->work = 0;
	now = processor_time();
	/* Most messages are answered before the clock is looked at. */
	if (effort->started == 0)
		effort->started = now;
	effort->is_exhausted = now - effort->started > EFFORT_NSEC;
	return !effort->is_exhausted;
}

enum match matcher_find(const struct matcher *matcher, const char *message, size_t length,
			struct effort *effort, size_t *index,
			struct capture captures[PATTERN_CAPTURES_MAX])
{
	struct run runs[PLACES_MAX];
	size_t n = find_runs(matcher, *index, message, length, runs);

	while (n > 0) {
		size_t first = 0;
		uint32_t number;
		enum match match;

		for (size_t i = 1; i < n; i++)
			if (*runs[i].next < *runs[first].next)
				first = i;
		number = *runs[first].next++;
		if (runs[first].next == runs[first].end)
			runs[first] = runs[--n];
		if (effort != NULL && !spend(effort, matcher->entries[number].pattern, length)) {
			*index = number;
			return MATCH_STOPPED;
		}
		match = pattern_match(matcher->entries[number].pattern, message, length, captures);
		if (match != MATCH_NO) {
			*index = number;
			return match;
		}
	}
	return MATCH_NO;
}
