/* Durations, sizes and counts in a script. */
#include "respond/script/parse-priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Room for a number that is not absurd; a longer one is cut and then wrong in any case. */
#define NUMBER_SIZE 48

/* The number that is the next token, NUL-ended. */
static bool peek_number(struct parser *p, const char *what, char number[NUMBER_SIZE])
{
	const struct token *token = &p->token;

	if (token->kind != TOKEN_NUMBER)
		return fault_token(p, what, NULL, 0);
	if (token->length >= NUMBER_SIZE)
		return fault_at(p, token->spot, what, "this number is too long");
	(void)snprintf(number, NUMBER_SIZE, "%.*s", (int)token->length, token->text);
	return true;
}

static bool is_unit(const struct parser *p)
{
	char text[NUMBER_SIZE];
	usec_t duration;

	if (p->token.kind != TOKEN_WORD || p->token.length > 8)
		return false;
	(void)snprintf(text, sizeof(text), "1%.*s", (int)p->token.length, p->token.text);
	return text_parse_duration(text, &duration) == 0;
}

bool take_duration(struct parser *p, const char *what, usec_t *ret_duration)
{
	char number[NUMBER_SIZE];
	usec_t duration = 0;
	int r;

	if (!peek_number(p, what, number))
		return false;
	r = text_parse_duration(number, &duration);
	if (r == -ERANGE || (r == 0 && duration > USEC_NEVER / 2))
		return fault_at(p, p->token.spot, what, "%s is too long", number);
	if (r < 0)
		return fault_at(p, p->token.spot, what, "'%s' is no duration", number);
	advance(p);
	if (is_unit(p))
		return fault_at(p, p->token.spot, what,
				"a number and its unit are one word: write %s%.*s", number,
				(int)p->token.length, p->token.text);
	*ret_duration = duration;
	return true;
}

static bool check_range(struct parser *p, const char *what, uint64_t number, uint64_t least,
			uint64_t most)
{
	if (number < least)
		return fault_at(p, p->token.spot, what,
				"%llu is too small, it must be %llu at least",
				(unsigned long long)number, (unsigned long long)least);
	if (number > most)
		return fault_at(p, p->token.spot, what, "%llu is too much, it may be %llu at most",
				(unsigned long long)number, (unsigned long long)most);
	return true;
}

bool take_size(struct parser *p, const char *what, uint64_t least, uint64_t most,
	       uint64_t *ret_size)
{
	char number[NUMBER_SIZE];
	uint64_t size = 0;
	int r;

	if (!peek_number(p, what, number))
		return false;
	r = text_parse_size(number, &size);
	if (r == -ERANGE)
		return fault_at(p, p->token.spot, what, "%s is too much, it may be %llu at most",
				number, (unsigned long long)most);
	if (r < 0)
		return fault_at(p, p->token.spot, what, "'%s' is no size", number);
	if (!check_range(p, what, size, least, most))
		return false;
	advance(p);
	*ret_size = size;
	return true;
}

bool take_count(struct parser *p, const char *what, uint64_t least, uint64_t most,
		uint64_t *ret_number)
{
	char number[NUMBER_SIZE];
	uint64_t n = 0;
	int r;

	if (!peek_number(p, what, number))
		return false;
	r = text_parse_unsigned(number, UINT64_MAX, &n);
	if (r < 0 && r != -ERANGE)
		return fault_at(p, p->token.spot, what, "'%s' is no whole number", number);
	if (!check_range(p, what, r < 0 ? UINT64_MAX : n, least, most))
		return false;
	advance(p);
	*ret_number = n;
	return true;
}
