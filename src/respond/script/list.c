/*
 * The plain form of a script: a list of replies, a line each, taken as they are.
 *
 * It is what does not begin with "marcel-script 1". What only nearly begins so was probably meant
 * to be a script, and is a fault.
 */
#include "respond/script/parse-priv.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define HEADER "marcel-script 1"

bool is_list(const struct source *source)
{
	return header_length(source) == 0;
}

/* Whether LENGTH bytes at LINE look like a header with something wrong about it. */
static bool is_nearly_header(const char *line, size_t length)
{
	static const char mark[] = "\xEF\xBB\xBF"; /* a byte order mark */
	static const char word[] = "marcel-script";

	if (length >= sizeof(mark) - 1 && memcmp(line, mark, sizeof(mark) - 1) == 0) {
		line += sizeof(mark) - 1;
		length -= sizeof(mark) - 1;
	}
	while (length > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		length--;
	}
	return length >= sizeof(word) - 1 && strncasecmp(line, word, sizeof(word) - 1) == 0;
}

int read_list(struct parser *p, const struct source *source, struct script *script)
{
	struct block_line line;
	struct text *replies;
	size_t n = 0;

	lexer_init(&p->lexer, source);
	while (lexer_take_line(&p->lexer, &line)) {
		if (n == 0 && is_nearly_header(line.text, line.length))
			(void)fault_at(p, line.spot,
				       "'" HEADER "' and nothing else on the first line",
				       "the first line is nearly that of a script");
		if (++n > SCRIPT_REPLIES_MAX)
			(void)fault_at(p, line.spot, "fewer lines", "more than %d replies",
				       SCRIPT_REPLIES_MAX);
		if (p->faults->errors > 0)
			return -EINVAL;
	}
	if (n == 0) {
		(void)fault_at(p, (struct spot){.source = source, .line = 1, .column = 1},
			       "'" HEADER "' and rules, or replies, a line each",
			       "the script is empty");
		return -EINVAL;
	}
	replies = arena_array(p->keep, n, sizeof(*replies));
	if (replies == NULL)
		return -ENOMEM;
	lexer_init(&p->lexer, source);
	for (n = 0; lexer_take_line(&p->lexer, &line); n++) {
		if (!parse_text(p, line.text, line.length, line.spot, FORM_LITERAL, &replies[n]))
			return -ENOMEM;
	}
	script->is_list = true;
	script->replies = replies;
	script->n_replies = n;
	script->errors_list = NONE;
	return 0;
}
