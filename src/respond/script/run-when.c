/*
 * Conditions. Comparisons are those of number.h: as numbers if both sides are, else as bytes.
 *
 * A text alone holds if it isn't empty, a count or length alone if it isn't 0. The peer of a Unix
 * socket is in no network. Random numbers that a condition uses are used up even if it fails.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "respond/script/run-priv.h"

/* The message as it lies now: the heap may have moved it. */
static struct view *view_of(struct run *run)
{
	run->view.message = (struct span){.bytes = NULL};
	if (run->has_event_message)
		run->view.message = (struct span){run->event->bytes, run->event->length};
	else if ((run->state.now.flags & RULE_KEPT) != 0)
		(void)heap_get(&run->heap, kept_message(run->script), &run->view.message);
	return &run->view;
}

int text_span(struct run *run, const struct text *text, struct expansion *to, struct span *ret)
{
	const struct part *only = text->n_parts == 1 ? &text->parts[0] : NULL;
	struct view *view = view_of(run);
	int r;

	*ret = (struct span){.bytes = ""};
	if (only != NULL && only->n_filters == 0 && only->kind == PART_TEXT) {
		*ret = (struct span){only->bytes, only->length};
		return 0;
	}
	to->length = 0;
	r = expand_text(text, view, to);
	if (r == 0 && to->length > 0)
		*ret = (struct span){to->bytes, to->length};
	return r;
}

/* The value of a leaf; numbers are written to DIGITS. */
static int leaf(struct run *run, const struct expression *expression, char digits[24],
		struct expansion *to, struct span *ret)
{
	uint64_t number;

	if (expression->op == EXPRESSION_TEXT)
		return text_span(run, &expression->text, to, ret);
	number = expression->op == EXPRESSION_COUNT ? view_count(&run->view, expression->variable)
						    : run->message_length;
	*ret = (struct span){digits, (size_t)snprintf(digits, 24, "%" PRIu64, number)};
	return 0;
}

static bool peer_is_in(const struct run *run, const struct expression *network)
{
	struct span peer = peer_address(run->world->peer);
	uint8_t address[16] = {[10] = 0xff, [11] = 0xff};
	char text[INET6_ADDRSTRLEN + 1];
	const char *zone = peer.length > 0 ? memchr(peer.bytes, '%', peer.length) : NULL;
	size_t length = zone != NULL ? (size_t)(zone - peer.bytes) : peer.length;

	if (length == 0 || length >= sizeof(text))
		return false;
	(void)memcpy(text, peer.bytes, length);
	text[length] = '\0';
	if (inet_pton(AF_INET, text, address + 12) != 1 && inet_pton(AF_INET6, text, address) != 1)
		return false;
	for (unsigned bit = 0; bit < network->bits && bit < 128; bit++)
		if (((address[bit / 8] ^ network->network[bit / 8]) & (0x80u >> bit % 8)) != 0)
			return false;
	return true;
}

static int compare(struct run *run, const struct expression *expression, int *ret_order)
{
	const struct expression *all = run->script->expressions;
	struct expansion left = {.bytes = NULL}, right = {.bytes = NULL};
	char left_digits[24], right_digits[24];
	struct span a = {.bytes = ""}, b = {.bytes = ""};
	int r = leaf(run, &all[expression->left], left_digits, &left, &a);

	if (r == 0)
		r = leaf(run, &all[expression->right], right_digits, &right, &b);
	if (r == 0)
		*ret_order = value_compare(a, b);
	expansion_done(&left);
	expansion_done(&right);
	return r;
}

static int compares(struct run *run, const struct expression *expression)
{
	int order = 0;
	int r = compare(run, expression, &order);

	if (r < 0)
		return r;
	if (expression->op == EXPRESSION_EQUAL)
		return order == 0;
	if (expression->op == EXPRESSION_UNEQUAL)
		return order != 0;
	if (expression->op == EXPRESSION_LESS)
		return order < 0;
	if (expression->op == EXPRESSION_LESS_EQUAL)
		return order <= 0;
	return expression->op == EXPRESSION_GREATER ? order > 0 : order >= 0;
}

/* A leaf as a truth. */
static int is_something(struct run *run, const struct expression *expression)
{
	struct expansion to = {.bytes = NULL};
	char digits[24];
	struct span value;
	int r = leaf(run, expression, digits, &to, &value);

	if (r == 0)
		r = value.length > 0 && (expression->op == EXPRESSION_TEXT || value.length != 1 ||
					 value.bytes[0] != '0');
	expansion_done(&to);
	return r;
}

/* The parser bounds the depth. */
static int holds(struct run *run, uint32_t index)
{
	const struct expression *expression = &run->script->expressions[index];
	int r;

	switch (expression->op) {
	case EXPRESSION_TEXT:
	case EXPRESSION_COUNT:
	case EXPRESSION_LENGTH:
		return is_something(run, expression);
	case EXPRESSION_PEER_IN:
		return peer_is_in(run, expression);
	case EXPRESSION_EQUAL:
	case EXPRESSION_UNEQUAL:
	case EXPRESSION_LESS:
	case EXPRESSION_LESS_EQUAL:
	case EXPRESSION_GREATER:
	case EXPRESSION_GREATER_EQUAL:
		return compares(run, expression);
	case EXPRESSION_AND:
	case EXPRESSION_OR:
		r = holds(run, expression->left);
		if (r < 0 || (r > 0) == (expression->op == EXPRESSION_OR))
			return r;
		return holds(run, expression->right);
	case EXPRESSION_NOT:
		r = holds(run, expression->left);
		return r < 0 ? r : !r;
	}
	abort();
}

int when_holds(struct run *run, uint32_t index)
{
	return index == NONE ? 1 : holds(run, index);
}
