/*
 * Reading, writing, copying and freeing the values of keys; see config-values.h.
 *
 * A fault says what the key is and what was written: "framing is one of auto, line, raw, not
 * 'lines' (did you mean 'line'?)".
 */
#include "daemon/config-values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/i18n.h"
#include "base/text.h"
#include "converse/dialogue.h"
#include "listen/address.h"
#include "record/record.h"
#include "respond/registry.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

char *config_show(char buffer[CONFIG_SHOWN_MAX], const char *text)
{
	static const char more[] = "...";
	size_t length = strlen(text);
	size_t used = 0;
	size_t n = text_escape(buffer, CONFIG_SHOWN_MAX - sizeof(more), text, length, &used);

	if (used < length)
		(void)memcpy(buffer + n, more, sizeof(more));
	return buffer;
}

char *config_hint(char buffer[CONFIG_SHOWN_MAX], const char *word, const char *const words[],
		  size_t n)
{
	const char *nearest = text_nearest(word, words, n);

	buffer[0] = '\0';
	if (nearest != NULL)
		(void)snprintf(buffer, CONFIG_SHOWN_MAX, _(" (did you mean '%s'?)"), nearest);
	return buffer;
}

/* Tells at PLACE that KEY is WHAT, which TEXT is not. */
static int tell(const struct config_key *key, const char *text, const struct config_place *place,
		const char *what, const char *hint)
{
	char shown[CONFIG_SHOWN_MAX];

	report_add_at(place->report, place->file, place->line, _("%s is %s, not '%s'%s"), key->name,
		      what, config_show(shown, text), hint);
	return -EINVAL;
}

/* The same for a value outside of the limits, which stand in LEAST and MOST as they are written. */
static int tell_range(const struct config_key *key, const char *text,
		      const struct config_place *place, const char *least, const char *most)
{
	char what[CONFIG_SHOWN_MAX];

	(void)snprintf(what, sizeof(what), _("from %s to %s"), least, most);
	return tell(key, text, place, what, "");
}

static int set_string(char **field, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static void print_string(const void *field, FILE *stream)
{
	(void)fputs(*(char *const *)field, stream);
}

static int copy_string(void *to, const void *from)
{
	return set_string(to, *(char *const *)from);
}

static void done_string(void *field)
{
	char **string = field;

	free(*string);
	*string = NULL;
}

/* The reader has refused all other control characters. */
static int check_tabs(const struct config_key *key, const char *text,
		      const struct config_place *place)
{
	if (strchr(text, '\t') == NULL)
		return 0;
	return tell(key, text, place, _("a text without tabs"), "");
}

static int parse_text(const struct config_key *key, const char *text, void *field,
		      const struct config_place *place)
{
	int r = check_tabs(key, text, place);

	return r < 0 ? r : set_string(field, text);
}

static void done_words(void *field)
{
	struct dialogue *dialogue = field;

	for (size_t i = 0; i < dialogue->n_end_words; i++)
		free(dialogue->end_words[i]);
	free(dialogue->end_words);
	dialogue->end_words = NULL;
	dialogue->n_end_words = 0;
}

static int add_word(struct dialogue *to, const char *word, size_t length)
{
	char **more = reallocarray(to->end_words, to->n_end_words + 1, sizeof(*more));

	if (more == NULL)
		return -ENOMEM;
	to->end_words = more;
	more[to->n_end_words] = strndup(word, length);
	if (more[to->n_end_words] == NULL)
		return -ENOMEM;
	to->n_end_words++;
	return 0;
}

/* Adds the words of TEXT to WORDS. Returns 0, -EINVAL when one is empty, or -ENOMEM. */
static int split_words(const char *text, struct dialogue *words)
{
	for (;;) {
		size_t length = strcspn(text, ",");
		const char *next = text + length;
		int r;

		while (length > 0 && text[0] == ' ') {
			text++;
			length--;
		}
		while (length > 0 && text[length - 1] == ' ')
			length--;
		if (length == 0)
			return -EINVAL;
		r = add_word(words, text, length);
		if (r < 0 || *next == '\0')
			return r;
		text = next + 1;
	}
}

static int parse_words(const struct config_key *key, const char *text, void *field,
		       const struct config_place *place)
{
	struct dialogue *dialogue = field;
	struct dialogue words = {.end_words = NULL};
	int r = check_tabs(key, text, place);

	if (r < 0)
		return r;
	if (*text != '\0')
		r = split_words(text, &words);
	if (r < 0) {
		done_words(&words);
		if (r == -EINVAL)
			(void)tell(key, text, place,
				   _("a list of words between commas, none of them empty"), "");
		return r;
	}
	done_words(dialogue);
	dialogue->end_words = words.end_words;
	dialogue->n_end_words = words.n_end_words;
	return 0;
}

static void print_words(const void *field, FILE *stream)
{
	const struct dialogue *dialogue = field;

	for (size_t i = 0; i < dialogue->n_end_words; i++)
		(void)fprintf(stream, "%s%s", i > 0 ? ", " : "", dialogue->end_words[i]);
}

static int copy_words(void *to, const void *from)
{
	const struct dialogue *dialogue = from;
	struct dialogue words = {.end_words = NULL};
	struct dialogue *into = to;

	for (size_t i = 0; i < dialogue->n_end_words; i++) {
		const char *word = dialogue->end_words[i];

		if (add_word(&words, word, strlen(word)) < 0) {
			done_words(&words);
			return -ENOMEM;
		}
	}
	done_words(into);
	into->end_words = words.end_words;
	into->n_end_words = words.n_end_words;
	return 0;
}

static int parse_boolean(const struct config_key *key, const char *text, void *field,
			 const struct config_place *place)
{
	if (text_parse_boolean(text, field) < 0)
		return tell(key, text, place, _("yes or no"), "");
	return 0;
}

static void print_boolean(const void *field, FILE *stream)
{
	(void)fputs(*(const bool *)field ? "yes" : "no", stream);
}

/* "one of X, Y, Z" for the N WORDS X, Y, Z, which the caller frees; NULL without memory. */
static char *list_choices(const char *const words[], size_t n)
{
	char *list = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&list, &length);

	if (stream == NULL)
		return NULL;
	(void)fputs(_("one of"), stream);
	for (size_t i = 0; i < n; i++)
		(void)fprintf(stream, "%s %s", i > 0 ? "," : "", words[i]);
	if (fclose(stream) != 0) {
		free(list);
		return NULL;
	}
	return list;
}

/* The one of the N WORDS that TEXT is; -EINVAL when it is none, which is told; -ENOMEM. */
static int choose(const struct config_key *key, const char *text, const char *const words[],
		  size_t n, const struct config_place *place)
{
	auto_free char *list = NULL;
	char hint[CONFIG_SHOWN_MAX];

	for (size_t i = 0; i < n; i++)
		if (strcmp(text, words[i]) == 0)
			return (int)i;
	list = list_choices(words, n);
	if (list == NULL)
		return -ENOMEM;
	return tell(key, text, place, list, config_hint(hint, text, words, n));
}

static const char *const framings[] = {
	[FRAMING_AUTO] = "auto",
	[FRAMING_LINE] = "line",
	[FRAMING_RAW] = "raw",
};

static int parse_framing(const struct config_key *key, const char *text, void *field,
			 const struct config_place *place)
{
	int chosen = choose(key, text, framings, COUNT(framings), place);

	if (chosen < 0)
		return chosen;
	*(enum framing *)field = (enum framing)chosen;
	return 0;
}

static void print_framing(const void *field, FILE *stream)
{
	(void)fputs(framings[*(const enum framing *)field], stream);
}

static const char *const policies[] = {
	[TRANSCRIPT_FULL] = "full",
	[TRANSCRIPT_SIZES] = "sizes",
	[TRANSCRIPT_OFF] = "off",
};

static int parse_policy(const struct config_key *key, const char *text, void *field,
			const struct config_place *place)
{
	int chosen = choose(key, text, policies, COUNT(policies), place);

	if (chosen < 0)
		return chosen;
	*(enum transcript_policy *)field = (enum transcript_policy)chosen;
	return 0;
}

static void print_policy(const void *field, FILE *stream)
{
	(void)fputs(policies[*(const enum transcript_policy *)field], stream);
}

static int parse_duration(const struct config_key *key, const char *text, void *field,
			  const struct config_place *place)
{
	char least[64];
	char most[64];
	usec_t duration = 0;
	int r = text_parse_duration(text, &duration);

	if (r == -EINVAL)
		return tell(key, text, place, _("a duration such as '400ms' or '5min 30s'"), "");
	if (r < 0 || duration < key->min || duration > key->max)
		return tell_range(key, text, place,
				  text_format_duration(least, sizeof(least), key->min),
				  text_format_duration(most, sizeof(most), key->max));
	*(usec_t *)field = duration;
	return 0;
}

static void print_duration(const void *field, FILE *stream)
{
	char buffer[64];

	(void)fputs(text_format_duration(buffer, sizeof(buffer), *(const usec_t *)field), stream);
}

static int parse_size(const struct config_key *key, const char *text, void *field,
		      const struct config_place *place)
{
	char least[32];
	char most[32];
	uint64_t size = 0;
	int r = text_parse_size(text, &size);

	if (r == -EINVAL)
		return tell(key, text, place, _("a number of bytes such as '1000' or '64K'"), "");
	if (r < 0 || size < key->min || size > key->max)
		return tell_range(key, text, place,
				  text_format_size(least, sizeof(least), key->min),
				  text_format_size(most, sizeof(most), key->max));
	*(size_t *)field = (size_t)size;
	return 0;
}

static void print_size(const void *field, FILE *stream)
{
	char buffer[32];

	(void)fputs(text_format_size(buffer, sizeof(buffer), *(const size_t *)field), stream);
}

static int parse_number(const struct config_key *key, const char *text, void *field,
			const struct config_place *place)
{
	char least[32];
	char most[32];
	uint64_t number = 0;
	int r = text_parse_unsigned(text, key->max, &number);

	if (r == -EINVAL)
		return tell(key, text, place, _("a whole number"), "");
	if (r < 0 || number < key->min) {
		(void)snprintf(least, sizeof(least), "%" PRIu64, key->min);
		(void)snprintf(most, sizeof(most), "%" PRIu64, key->max);
		return tell_range(key, text, place, least, most);
	}
	*(uint64_t *)field = number;
	return 0;
}

static void print_number(const void *field, FILE *stream)
{
	(void)fprintf(stream, "%" PRIu64, *(const uint64_t *)field);
}

static int parse_int(const struct config_key *key, const char *text, void *field,
		     const struct config_place *place)
{
	uint64_t number = 0;
	int r = parse_number(key, text, &number, place);

	if (r == 0)
		*(int *)field = (int)number; /* the table's max is an int's at most */
	return r;
}

static void print_int(const void *field, FILE *stream)
{
	(void)fprintf(stream, "%d", *(const int *)field);
}

/* Whether the LENGTH bytes at TEXT are an address: 0, -EINVAL (told) or -ENOMEM. */
static int check_address(const struct config_key *key, const char *text, size_t length,
			 const struct config_place *place)
{
	char *word = strndup(text, length);
	struct address address;
	char why[512];
	int r;

	if (word == NULL)
		return -ENOMEM;
	r = address_parse(word, &address);
	if (r < 0)
		report_add_at(place->report, place->file, place->line, "%s: %s", key->name,
			      address_explain(r, word, why, sizeof(why)));
	free(word);
	return r < 0 ? -EINVAL : 0;
}

static int parse_addresses(const struct config_key *key, const char *text, void *field,
			   const struct config_place *place)
{
	const char *at = text + strspn(text, " \t");
	size_t n = 0;
	int result = 0;

	while (*at != '\0') {
		size_t length = strcspn(at, " \t");
		int r = check_address(key, at, length, place);

		if (r == -ENOMEM)
			return r;
		result = r < 0 ? r : result;
		at += length;
		at += strspn(at, " \t");
		n++;
	}
	if (result < 0)
		return result;
	if (n < key->min)
		return tell(key, text, place, _("at least one address"), "");
	return set_string(field, text);
}

static int parse_responder(const struct config_key *key, const char *text, void *field,
			   const struct config_place *place)
{
	const struct marcel_responder_ops *const *all;
	const char **names;
	size_t n;
	int r;

	if (responder_find(text) != NULL)
		return set_string(field, text);
	all = responder_list(&n);
	names = calloc(n, sizeof(*names));
	if (names == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		names[i] = all[i]->name;
	r = choose(key, text, names, n, place);
	free((void *)names);
	return r < 0 ? r : -EINVAL;
}

const struct config_kind config_kinds[] = {
	[CONFIG_TEXT] = {parse_text, print_string, copy_string, done_string, 0},
	[CONFIG_WORDS] = {parse_words, print_words, copy_words, done_words, 0},
	[CONFIG_BOOLEAN] = {parse_boolean, print_boolean, NULL, NULL, sizeof(bool)},
	[CONFIG_FRAMING] = {parse_framing, print_framing, NULL, NULL, sizeof(enum framing)},
	[CONFIG_POLICY] = {parse_policy, print_policy, NULL, NULL, sizeof(enum transcript_policy)},
	[CONFIG_DURATION] = {parse_duration, print_duration, NULL, NULL, sizeof(usec_t)},
	[CONFIG_SIZE] = {parse_size, print_size, NULL, NULL, sizeof(size_t)},
	[CONFIG_NUMBER] = {parse_number, print_number, NULL, NULL, sizeof(uint64_t)},
	[CONFIG_INT] = {parse_int, print_int, NULL, NULL, sizeof(int)},
	[CONFIG_ADDRESSES] = {parse_addresses, print_string, copy_string, done_string, 0},
	[CONFIG_RESPONDER] = {parse_responder, print_string, copy_string, done_string, 0},
};
