/* What an operator's line means; see order.h. */
#include "respond/operator/order.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static struct order malformed(const char *line, size_t length)
{
	return (struct order){.kind = ORDER_MALFORMED, .text = line, .length = length};
}

/* Reads the digits at LINE into *RET_TURN. Returns how many there are; 0: they are no turn. */
static size_t read_turn(const char *line, size_t length, uint64_t *ret_turn)
{
	uint64_t turn = 0;
	size_t i = 0;

	for (; i < length && line[i] >= '0' && line[i] <= '9'; i++) {
		if (turn > (UINT64_MAX - 9) / 10)
			return 0;
		turn = turn * 10 + (uint64_t)(line[i] - '0');
	}
	if (turn == 0)
		return 0;
	*ret_turn = turn;
	return i;
}

/* "#12 text" */
static struct order parse_turn(const char *line, size_t length)
{
	struct order order = {.kind = ORDER_SAY};
	size_t i = 1 + read_turn(line + 1, length - 1, &order.turn);

	if (order.turn == 0 || (i < length && line[i] != ' '))
		return malformed(line, length);
	if (i < length)
		i++;
	order.text = line + i;
	order.length = length - i;
	return order;
}

/* What stands behind a slash order's name: without the blanks around it. */
static struct order argument(enum order_kind kind, const char *text, size_t length)
{
	while (length > 0 && text[0] == ' ') {
		text++;
		length--;
	}
	while (length > 0 && text[length - 1] == ' ')
		length--;
	return (struct order){.kind = kind, .text = text, .length = length};
}

/* "/done" or "/done 12": ORDER has what stands behind its name. */
static struct order parse_done(const struct order *order, const char *line, size_t length)
{
	struct order done = {.kind = ORDER_DONE, .text = order->text};

	if (order->length > 0 && read_turn(order->text, order->length, &done.turn) != order->length)
		return malformed(line, length);
	return done;
}

/* "/close" and the like. */
static struct order parse_slash(const char *line, size_t length)
{
	static const struct {
		const char *name;
		enum order_kind kind;
		bool wants; /* something behind it */
	} known[] = {
		{"/done", ORDER_DONE, false},   {"/close", ORDER_CLOSE, false},
		{"/reset", ORDER_RESET, false}, {"/give", ORDER_GIVE, true},
		{"/note", ORDER_NOTE, true},
	};
	const char *blank = memchr(line, ' ', length);
	size_t name = blank != NULL ? (size_t)(blank - line) : length;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct order order;

		if (strlen(known[i].name) != name || memcmp(known[i].name, line, name) != 0)
			continue;
		order = argument(known[i].kind, line + name, length - name);
		if (order.kind == ORDER_DONE)
			return parse_done(&order, line, length);
		return known[i].wants == (order.length > 0) ? order : malformed(line, length);
	}
	return (struct order){.kind = ORDER_UNKNOWN, .text = line, .length = length};
}

struct order order_parse(const char *line, size_t length)
{
	if (length > 0 && line[length - 1] == '\r')
		length--;
	if (length == 0)
		return (struct order){.kind = ORDER_EMPTY, .text = line};
	if (memchr(line, '\0', length) != NULL)
		return malformed(line, length);
	if (line[0] == '#')
		return parse_turn(line, length);
	if (line[0] == '/' && length > 1 && (line[1] == '/' || line[1] == '#'))
		return (struct order){.kind = ORDER_SAY, .text = line + 1, .length = length - 1};
	if (line[0] == '/')
		return parse_slash(line, length);
	return (struct order){.kind = ORDER_SAY, .text = line, .length = length};
}

size_t order_refusal(char buffer[ORDER_REFUSAL_MAX], uint64_t turn, const char *word,
		     const char *text, size_t length)
{
	size_t used = 0;

	if (turn != 0)
		used = (size_t)snprintf(buffer, ORDER_REFUSAL_MAX, "#%" PRIu64 " ", turn);
	used += (size_t)snprintf(buffer + used, ORDER_REFUSAL_MAX - used, "%s: ", word);
	if (length > ORDER_REFUSAL_MAX - used)
		length = ORDER_REFUSAL_MAX - used;
	if (length > 0)
		(void)memcpy(buffer + used, text, length);
	return used + length;
}
