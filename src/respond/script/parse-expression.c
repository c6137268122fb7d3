/*
 * Conditions:
 *
 *	or         = and { "or" and }
 *	and        = not { "and" not }
 *	not        = "not" not | "(" or ")" | comparison
 *	comparison = operand ("==" | "!=" | "<" | "<=" | ">" | ">=") operand | "peer" "in" "CIDR"
 *	operand    = number | text | ${reference} | name | "count" "(" name ")" | "length"
 */
#include "respond/script/parse-priv.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Operands and operators of one condition: it is walked through recursively. */
#define CONDITION_MAX 300

#define OPERAND  "a number, a text, ${name}, a variable, count(list), length or peer in \"CIDR\""
#define OPERATOR "a comparison: ==, !=, <, <=, > or >="

static bool parse_or(struct parser *p, uint32_t *ret);

static bool add(struct parser *p, const struct expression *expression, uint32_t *ret)
{
	/* RET may lie in EXPRESSION. */
	uint32_t index = (uint32_t)p->n_expressions;

	if (p->n_expressions - p->condition >= CONDITION_MAX)
		return fault_at(p, p->token.spot, "fewer comparisons, or several rules",
				"this condition has more than %d parts", CONDITION_MAX);
	if (!ROOM_FOR_ONE(p, expressions))
		return false;
	p->expressions[p->n_expressions++] = *expression;
	*ret = index;
	return true;
}

static struct expression leaf(enum expression_op op)
{
	return (struct expression){.op = op, .left = NONE, .right = NONE, .variable = NONE};
}

/* A name: of a variable, or of a built-in without arguments. */
static bool parse_named(struct parser *p, struct expression *expression)
{
	const struct token token = p->token;
	struct part *part = arena_alloc(p->keep, sizeof(*part));

	if (part == NULL || !parse_reference(p, token.text, token.length, token.spot, part))
		return false;
	expression->text = (struct text){.parts = part, .n_parts = 1};
	advance(p);
	return true;
}

/* count ( NAME ) */
static bool parse_count(struct parser *p, struct expression *expression)
{
	const char *what = "the name of a list in parentheses: count(name)";
	struct token name;

	advance(p);
	if (!take_mark(p, MARK_LEFT))
		return fault_token(p, what, NULL, 0);
	name = p->token;
	if (name.kind != TOKEN_WORD)
		return fault_token(p, what, NULL, 0);
	expression->op = EXPRESSION_COUNT;
	expression->variable = variable_use(p, name.text, name.length, name.spot, USE_VALUE);
	if (expression->variable == NONE)
		return false;
	advance(p);
	return take_mark(p, MARK_RIGHT) || fault_token(p, ") after the name", NULL, 0);
}

/* A number; 64K stands for its value, as with `max`. */
static bool parse_number(struct parser *p, struct expression *expression)
{
	char number[48];
	uint64_t size;
	int length;

	if (strchr("KMGT", p->token.text[p->token.length - 1]) == NULL)
		return take_value(p, OPERAND, &expression->text);
	if (!take_size(p, "a number", 0, UINT64_MAX, &size))
		return false;
	length = snprintf(number, sizeof(number), "%llu", (unsigned long long)size);
	return text_of_bytes(p, number, (size_t)length, &expression->text);
}

static bool parse_operand(struct parser *p, uint32_t *ret)
{
	struct expression expression = leaf(EXPRESSION_TEXT);
	bool is;

	if (is_word(p, "count")) {
		is = parse_count(p, &expression);
	} else if (take_word(p, "length")) {
		expression.op = EXPRESSION_LENGTH;
		is = !is_mark(p, MARK_LEFT) ||
		     fault_at(p, p->token.spot, "${name|length} for that of a variable",
			      "length is that of the message");
	} else if (p->token.kind == TOKEN_NUMBER) {
		is = parse_number(p, &expression);
	} else if (is_value(p)) {
		is = take_value(p, OPERAND, &expression.text);
	} else if (p->token.kind == TOKEN_WORD &&
		   (is_word(p, "peer") || !is_reserved(p->token.text, p->token.length))) {
		is = parse_named(p, &expression);
	} else {
		is = fault_token(p, OPERAND, NULL, 0);
	}
	return is && add(p, &expression, ret);
}

/* The address before the slash, as IPv6. */
static bool parse_address(const char *address, uint8_t network[16], unsigned *ret_bits)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET6, address, &v6) == 1) {
		(void)memcpy(network, &v6, 16);
		*ret_bits = 128;
		return true;
	}
	if (inet_pton(AF_INET, address, &v4) != 1)
		return false;
	(void)memset(network, 0, 10);
	network[10] = network[11] = 0xFF;
	(void)memcpy(network + 12, &v4, 4);
	*ret_bits = 32;
	return true;
}

/* peer in "CIDR", from the CIDR on. */
static bool parse_peer_in(struct parser *p, uint32_t *ret)
{
	const char *what = "a network in quotes, such as \"192.0.2.0/24\" or \"2001:db8::/32\"";
	struct expression expression = leaf(EXPRESSION_PEER_IN);
	struct spot spot = p->token.spot;
	char address[64] = "";
	const char *cidr;
	const char *slash;
	size_t length;
	size_t n;
	unsigned most;
	uint64_t bits;

	if (!take_constant(p, what, &cidr, &length))
		return false;
	slash = strchr(cidr, '/');
	n = slash != NULL ? (size_t)(slash - cidr) : length;
	(void)memcpy(address, cidr, n < sizeof(address) ? n : 0);
	if (strlen(cidr) != length || !parse_address(address, expression.network, &most))
		return fault_at(p, spot, what, "'%.*s' is no address",
				length < 60 ? (int)length : 60, cidr);
	bits = most;
	if (slash != NULL && text_parse_unsigned(slash + 1, most, &bits) < 0)
		return fault_at(p, spot, what, "after the slash stands a number from 0 to %u",
				most);
	expression.bits = (uint8_t)(128 - most + bits);
	return add(p, &expression, ret);
}

static bool take_operator(struct parser *p, enum expression_op *ret_op)
{
	static const struct {
		enum mark mark;
		enum expression_op op;
	} operators[] = {
		{MARK_EQUAL, EXPRESSION_EQUAL},     {MARK_UNEQUAL, EXPRESSION_UNEQUAL},
		{MARK_LESS, EXPRESSION_LESS},       {MARK_LESS_EQUAL, EXPRESSION_LESS_EQUAL},
		{MARK_GREATER, EXPRESSION_GREATER}, {MARK_GREATER_EQUAL, EXPRESSION_GREATER_EQUAL},
	};

	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		if (take_mark(p, operators[i].mark)) {
			*ret_op = operators[i].op;
			return true;
		}
	}
	if (is_mark(p, MARK_ASSIGN))
		return fault_at(p, p->token.spot, OPERATOR, "a single = (did you mean '=='?)");
	return fault_token(p, OPERATOR, NULL, 0);
}

static bool parse_comparison(struct parser *p, uint32_t *ret)
{
	bool is_peer = is_word(p, "peer");
	struct expression expression = leaf(EXPRESSION_EQUAL);

	if (!parse_operand(p, &expression.left))
		return false;
	if (is_peer && take_word(p, "in"))
		return parse_peer_in(p, ret);
	return take_operator(p, &expression.op) && parse_operand(p, &expression.right) &&
	       add(p, &expression, ret);
}

static bool parse_not(struct parser *p, uint32_t *ret)
{
	struct expression expression = leaf(EXPRESSION_NOT);
	bool is;

	if (!is_word(p, "not") && !is_mark(p, MARK_LEFT))
		return parse_comparison(p, ret);
	if (!enter(p))
		return false;
	if (take_word(p, "not")) {
		is = parse_not(p, &expression.left) && add(p, &expression, ret);
	} else {
		advance(p);
		is = parse_or(p, ret) &&
		     (take_mark(p, MARK_RIGHT) || fault_token(p, "and, or, or )", NULL, 0));
	}
	p->depth--;
	return is;
}

static bool parse_and(struct parser *p, uint32_t *ret)
{
	struct expression expression = leaf(EXPRESSION_AND);

	if (!parse_not(p, &expression.left))
		return false;
	while (take_word(p, "and")) {
		if (!parse_not(p, &expression.right) || !add(p, &expression, &expression.left))
			return false;
	}
	*ret = expression.left;
	return true;
}

static bool parse_or(struct parser *p, uint32_t *ret)
{
	struct expression expression = leaf(EXPRESSION_OR);

	if (!parse_and(p, &expression.left))
		return false;
	while (take_word(p, "or")) {
		if (!parse_and(p, &expression.right) || !add(p, &expression, &expression.left))
			return false;
	}
	*ret = expression.left;
	return true;
}

bool parse_expression(struct parser *p, uint32_t *ret_expression)
{
	p->condition = p->n_expressions;
	return parse_or(p, ret_expression);
}
