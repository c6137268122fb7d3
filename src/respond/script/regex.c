/*
 * Regexes by PCRE2; see pattern.h and pcre2api(3).
 *
 * Bytes, never UTF; no JIT. What would take a compare out of its limits is refused: \C, callouts,
 * and verbs like (*LIMIT_MATCH=n) at the beginning. PCRE2's own limit counts steps, and a step may
 * read the whole message; so a callout before each item (PCRE2_AUTO_CALLOUT) looks at the clock
 * (pool.c), whether the regex is anchored or not.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "respond/script/pattern-priv.h"

/* What stands in the way of a literal beginning. */
#define SPECIAL "\\^$.[]()|?*+{}"

static int set_names(struct pattern *pattern, struct pattern_error *error)
{
	PCRE2_SPTR table;
	uint32_t count = 0;
	uint32_t size = 0;

	(void)pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMECOUNT, &count);
	(void)pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
	(void)pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMETABLE, (void *)&table);
	for (uint32_t i = 0; i < count; i++, table += size) {
		const char *name = (const char *)table + 2;
		const char *where = strstr(pattern->text, name);
		int r = pattern_add_name(pattern, name, strlen(name),
					 (uint32_t)table[0] << 8 | table[1],
					 where != NULL ? (size_t)(where - pattern->text) : 0,
					 error);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Stops at a callout that the regex has itself; *CONTEXT is where. */
static int find_callout(pcre2_callout_enumerate_block *block, void *context)
{
	if (block->callout_number == 255 && block->callout_string == NULL)
		return 0;
	*(size_t *)context = block->pattern_position;
	return 1;
}

int regex_build(struct pattern *pattern, uint32_t options, struct pattern_error *error)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	int code = 0;
	size_t offset = 0;
	uint32_t groups = 0;

	if (context == NULL)
		return -ENOMEM;
	(void)pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
	options |= PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C |
		   PCRE2_AUTO_CALLOUT | (pattern->nocase ? PCRE2_CASELESS : 0);
	pattern->shape = SHAPE_PCRE2;
	pattern->code = pcre2_compile((PCRE2_SPTR)pattern->text, pattern->length, options, &code,
				      &offset, context);
	pcre2_compile_context_free(context);
	if (pattern->code == NULL) {
		PCRE2_UCHAR text[sizeof(error->text)];

		if (code == PCRE2_ERROR_HEAP_FAILED || code == PCRE2_ERROR_NOMEMORY)
			return -ENOMEM;
		if (code == PCRE2_ERROR_BACKSLASH_C_CALLER_DISABLED)
			return pattern_fault(error, offset, ". with flag s", "no \\C in scripts");
		(void)pcre2_get_error_message(code, text, sizeof(text));
		return pattern_fault(error, offset, "", "%s", (const char *)text);
	}
	(void)pcre2_pattern_info(pattern->code, PCRE2_INFO_CAPTURECOUNT, &groups);
	if (groups > GROUPS_MAX)
		return pattern_fault(error, 0, "(?:...) for groups that need no number",
				     "more than %d groups in one regex", GROUPS_MAX);
	return 0;
}

/* Where the class that begins at *AT ("[") ends; false if this can't be said simply. */
static bool skip_class(const char *text, size_t length, size_t *at)
{
	size_t i = *at + 1;

	if (i < length && text[i] == '^')
		i++;
	if (i < length && text[i] == ']')
		i++;
	for (; i < length && text[i] != ']'; i++) {
		if (text[i] == '[')
			return false;
		if (text[i] == '\\' && ++i < length && (text[i] == 'Q' || text[i] == 'E'))
			return false;
	}
	*at = i;
	return i < length;
}

/* Whether there is surely no alternative outside of groups in what stands from AT on. */
static bool has_one_way(const char *text, size_t length, size_t at)
{
	size_t depth = 0;

	for (; at < length; at++) {
		switch (text[at]) {
		case '\\':
			at++;
			if (at < length && (text[at] == 'Q' || text[at] == 'E'))
				return false;
			break;
		case '[':
			if (!skip_class(text, length, &at))
				return false;
			break;
		case '(':
			depth++;
			/* Comments, options and verbs are not worth the trouble. */
			if (at + 1 < length && text[at + 1] == '*')
				return false;
			if (at + 2 < length && text[at + 1] == '?' &&
			    strchr(":<=!>P|", text[at + 2]) == NULL)
				return false;
			break;
		case ')':
			depth -= depth > 0;
			break;
		case '|':
			if (depth == 0)
				return false;
			break;
		default:
			break;
		}
	}
	return true;
}

/* Whether C behind a backslash may mean something else than itself. */
static bool is_escape(char c)
{
	unsigned char small = fold((unsigned char)c);

	return (small >= 'a' && small <= 'z') || (small >= '0' && small <= '9') || small >= 0x80 ||
	       small == '\0';
}

/* The byte that stands at *AT for itself, to *RET; *AT moves behind it. false: something else. */
static bool read_plain(const struct pattern *pattern, size_t *at, char *ret)
{
	bool escaped = pattern->text[*at] == '\\';
	char c = pattern->text[*at + escaped]; /* the text ends in a NUL */

	if (escaped ? is_escape(c) : c == '\0' || strchr(SPECIAL, c) != NULL)
		return false;
	*at += 1 + (size_t)escaped;
	*ret = c;
	return true;
}

/* Sets what each message that matches begins with, as far as the regex says it plainly. */
static int set_beginning(struct pattern *pattern)
{
	const char *text = pattern->text;
	size_t at = text[0] == '^';
	size_t count = 0;
	char c;

	pattern->own_beginning = malloc(pattern->length + 1);
	if (pattern->own_beginning == NULL)
		return -ENOMEM;
	pattern->beginning = pattern->own_beginning;
	if ((pattern->flags & (PATTERN_UNANCHORED | PATTERN_EXTENDED)) != 0 ||
	    !has_one_way(text, pattern->length, at))
		return 0;
	/* What a quantifier follows need not be there. */
	while (read_plain(pattern, &at, &c) &&
	       (text[at] == '\0' || strchr("?*+{", text[at]) == NULL)) {
		pattern->own_beginning[count++] = c;
		if (pattern->nocase)
			pattern->own_beginning[count - 1] = (char)fold((unsigned char)c);
	}
	pattern->beginning_length = count;
	return 0;
}

static uint32_t options_of(unsigned flags)
{
	uint32_t options = 0;

	if ((flags & PATTERN_UNANCHORED) == 0)
		options |= PCRE2_ANCHORED;
	if ((flags & PATTERN_DOTALL) != 0)
		options |= PCRE2_DOTALL;
	if ((flags & PATTERN_EXTENDED) != 0)
		options |= PCRE2_EXTENDED;
	if ((flags & PATTERN_MULTILINE) != 0)
		options |= PCRE2_MULTILINE;
	return options;
}

int regex_compile(struct pattern *pattern, const char *text, size_t length,
		  struct pattern_error *error)
{
	size_t callout;
	int r;

	if (length >= 2 && text[0] == '(' && text[1] == '*')
		return pattern_fault(error, 0, "flags after the second slash: i, u, s, x, m",
				     "a regex cannot begin with (*...)");
	pattern->text = malloc(length + 1);
	if (pattern->text == NULL)
		return -ENOMEM;
	(void)memcpy(pattern->text, text, length);
	pattern->text[length] = '\0';
	pattern->length = length;
	r = regex_build(pattern, options_of(pattern->flags), error);
	if (r < 0)
		return r;
	r = pcre2_callout_enumerate(pattern->code, find_callout, &callout);
	if (r > 0)
		return pattern_fault(error, callout > length ? length : callout, "",
				     "callouts (?C...) are not for scripts");
	if (r < 0)
		return -ENOMEM;
	r = set_names(pattern, error);
	return r < 0 ? r : set_beginning(pattern);
}

enum match regex_match(const struct pattern *pattern, const char *message, size_t length,
		       struct capture captures[PATTERN_CAPTURES_MAX])
{
	struct workplace *place = workplace_take();
	const size_t *vector;
	int r;

	if (place == NULL)
		return MATCH_STOPPED;
	r = pcre2_match(pattern->code, (PCRE2_SPTR)message, length, 0, 0, place->data,
			place->context);
	vector = pcre2_get_ovector_pointer(place->data);
	for (size_t i = 0; r > 0 && i < pattern->n_names; i++) {
		uint32_t group = pattern->names[i].group;
		const size_t *ends = vector + 2 * (size_t)group;

		captures[i] = (struct capture){.start = 0, .length = 0};
		if (group < (uint32_t)r && ends[0] != PCRE2_UNSET)
			captures[i] =
				(struct capture){.start = ends[0], .length = ends[1] - ends[0]};
	}
	workplace_give(place);
	if (r > 0)
		return MATCH_YES;
	return r == PCRE2_ERROR_NOMATCH ? MATCH_NO : MATCH_STOPPED;
}
