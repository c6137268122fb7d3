/* Variables, states and text blocks by name, and what is known of each. */
#include "respond/script/parse-priv.h"

#include <string.h>

unsigned origin_number(enum origin origin)
{
	unsigned n = 0;

	while (n < ORIGINS && (unsigned)origin >> n != 1)
		n++;
	return n;
}

static bool is_name(const char *name, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char c = name[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (!letter && (i == 0 || ((c < '0' || c > '9') && c != '-')))
			return false;
	}
	return length > 0;
}

/* Tells why NAME can't be that of a variable, if so. */
static bool may_be_variable(struct parser *p, const char *name, size_t length, struct spot spot)
{
	const char *expected = "the name of a variable: letters, digits, _ and -";

	if (!is_name(name, length))
		return fault_at(p, spot, expected, "'%.*s' is no name",
				length < 40 ? (int)length : 40, name);
	if (is_builtin(name, length))
		return fault_at(p, spot, "another name", "'%.*s' is built in", (int)length, name);
	if (is_reserved(name, length))
		return fault_at(p, spot, expected,
				"'%.*s' is a word of the language and can't be a variable",
				(int)length, name);
	if (length > SCRIPT_NAME_MAX)
		return fault_at(p, spot, expected, "a name of more than %d characters",
				SCRIPT_NAME_MAX);
	return true;
}

uint32_t variable_find(struct parser *p, const char *name, size_t length, struct spot spot)
{
	struct draft_variable *variable;

	for (size_t i = 0; i < p->n_variables; i++) {
		const char *known = p->variables[i].variable.name;

		if (strlen(known) == length && memcmp(known, name, length) == 0)
			return (uint32_t)i;
	}
	if (!may_be_variable(p, name, length, spot))
		return NONE;
	if (p->n_variables >= SCRIPT_VARIABLES_MAX) {
		(void)fault_at(p, spot, NULL, "more than %d variables", SCRIPT_VARIABLES_MAX);
		return NONE;
	}
	if (!ROOM_FOR_ONE(p, variables))
		return NONE;
	variable = &p->variables[p->n_variables];
	*variable = (struct draft_variable){.variable = {.property = NONE}};
	variable->variable.name = arena_copy(p->keep, name, length);
	if (variable->variable.name == NULL)
		return NONE;
	return (uint32_t)p->n_variables++;
}

uint32_t variable_set(struct parser *p, const char *name, size_t length, struct spot spot,
		      enum origin origin)
{
	uint32_t index = variable_find(p, name, length, spot);
	struct draft_variable *variable;

	if (index == NONE)
		return NONE;
	variable = &p->variables[index];
	if ((variable->origins & (unsigned)origin) == 0)
		variable->origin_spots[origin_number(origin)] = spot;
	variable->origins |= (unsigned)origin;
	return index;
}

uint32_t variable_use(struct parser *p, const char *name, size_t length, struct spot spot,
		      enum use use)
{
	uint32_t index = variable_find(p, name, length, spot);
	struct draft_variable *variable;

	if (index == NONE)
		return NONE;
	variable = &p->variables[index];
	if (!variable->is_used)
		variable->use_spot = spot;
	variable->is_used = true;
	if (use == USE_LIST && !variable->is_shifted) {
		variable->shift_spot = spot;
		variable->is_shifted = true;
	}
	variable->is_read = variable->is_read || use != USE_CLEAR;
	variable->has_length = variable->has_length || use == USE_LENGTH;
	if (use == USE_VALUE || use == USE_LIST)
		variable->variable.is_kept = true;
	return index;
}

uint32_t scope_find(const struct parser *p, const char *name)
{
	/* Number 0 is always, which has no name that a state could have. */
	for (size_t i = 1; i < p->n_scopes; i++) {
		if (strcmp(p->scopes[i].name, name) == 0)
			return (uint32_t)i;
	}
	return NONE;
}

struct draft_block *block_find(const struct parser *p, const char *name)
{
	for (size_t i = 0; i < p->n_blocks; i++) {
		if (strcmp(p->blocks[i].name, name) == 0)
			return &p->blocks[i];
	}
	return NULL;
}

const char **names_of_variables(struct parser *p, size_t *ret_n)
{
	const char **names = arena_array(p->scratch, p->n_variables, sizeof(char *));
	size_t n = 0;

	*ret_n = 0;
	if (names == NULL)
		return NULL;
	for (size_t i = 0; i < p->n_variables; i++) {
		if (p->variables[i].origins != 0)
			names[n++] = p->variables[i].variable.name;
	}
	*ret_n = n;
	return names;
}

const char **names_of_scopes(struct parser *p, size_t *ret_n)
{
	const char **names = arena_array(p->scratch, p->n_scopes, sizeof(char *));

	*ret_n = 0;
	if (names == NULL)
		return NULL;
	for (size_t i = 1; i < p->n_scopes; i++)
		names[i - 1] = p->scopes[i].name;
	*ret_n = p->n_scopes - 1;
	return names;
}

const char **names_of_blocks(struct parser *p, size_t *ret_n)
{
	const char **names = arena_array(p->scratch, p->n_blocks, sizeof(char *));

	*ret_n = 0;
	if (names == NULL)
		return NULL;
	for (size_t i = 0; i < p->n_blocks; i++)
		names[i] = p->blocks[i].name;
	*ret_n = p->n_blocks;
	return names;
}
