/*
 * What only the whole script shows: names that lead nowhere, values of two kinds, what is never
 * reached or never used.
 *
 * Warnings are told only if there is no error: after one, much looks unused that isn't.
 */
#include "respond/script/parse-priv.h"

#include <string.h>

/* Comparisons of patterns with each other, in all: a scope of 3000 rules, or some 0.1 s. Of more
 * rules only the first are looked at. */
#define COMPARISONS_MAX ((size_t)4000000)

static bool has(const struct draft_variable *variable, enum origin origin)
{
	return (variable->origins & (unsigned)origin) != 0;
}

/* The first origin of VARIABLE out of ORIGINS_WANTED. */
static struct spot origin_spot(const struct draft_variable *variable, unsigned wanted)
{
	unsigned n = 0;

	while (n + 1 < ORIGINS && (variable->origins & wanted & (1U << n)) == 0)
		n++;
	return variable->origin_spots[n];
}

/* `errors` is a list, also where nothing is added to it. */
static void check_errors(struct parser *p, struct draft_variable *variable)
{
	unsigned others = variable->origins & ~(unsigned)(ORIGIN_ADD | ORIGIN_UNKNOWN);

	if (strcmp(variable->variable.name, "errors") != 0 || has(variable, ORIGIN_ADD))
		return;
	variable->origins |= (unsigned)ORIGIN_ADD;
	if (others != 0)
		(void)fault_at(p, origin_spot(variable, others), "another name",
			       "'errors' is the list of what properties complain of");
	/* Told once. */
	variable->origins &= ~others;
}

/* A list is only added to, a property only set. */
static void check_kind(struct parser *p, const struct draft_variable *variable)
{
	unsigned others = variable->origins & ~(unsigned)(ORIGIN_ADD | ORIGIN_UNKNOWN);
	struct spot list;

	if (has(variable, ORIGIN_ADD) && others != 0) {
		list = variable->origin_spots[origin_number(ORIGIN_ADD)];
		(void)fault_at(p, origin_spot(variable, others),
			       "another name here, or clear and add",
			       "'%s' is a list, since something is added to it in line %u",
			       variable->variable.name, list.line);
		return;
	}
	others &= ~(unsigned)(ORIGIN_PROPERTY | ORIGIN_SET);
	if (has(variable, ORIGIN_PROPERTY) && others != 0)
		(void)fault_at(p, origin_spot(variable, others), "another name here, or set",
			       "'%s' is a property", variable->variable.name);
}

static void check_variable(struct parser *p, struct draft_variable *variable)
{
	char meant[HINT_SIZE];
	const char **names;
	size_t n;

	if (variable->origins == 0 && variable->is_used) {
		names = names_of_variables(p, &n);
		if (names == NULL)
			return;
		(void)fault_at(p, variable->use_spot,
			       "a variable that a let, set, add, collect, shift, prop or a "
			       "pattern gives a value",
			       "undefined variable '%s'%s", variable->variable.name,
			       hint(meant, variable->variable.name, names, n));
		return;
	}
	check_kind(p, variable);
	if (variable->is_shifted && !has(variable, ORIGIN_ADD) && !has(variable, ORIGIN_UNKNOWN))
		(void)fault_at(p, variable->shift_spot, "a list that something is added to",
			       "'%s' is no list: nothing is added to it", variable->variable.name);
}

/* What a variable is, and what of it must be remembered. */
static void finish_variable(struct draft_variable *variable)
{
	if (has(variable, ORIGIN_ADD))
		variable->variable.kind = VARIABLE_LIST;
	/* Only collected bytes are counted without being kept. */
	variable->variable.is_counted = variable->has_length;
	if (variable->has_length && variable->origins != (unsigned)ORIGIN_COLLECT)
		variable->variable.is_kept = true;
}

static void check_names(struct parser *p)
{
	char meant[HINT_SIZE];
	const char **names;
	size_t n = 0;

	for (size_t i = 0; i < p->n_code; i++) {
		struct draft_instruction *draft = &p->code[i];
		uint32_t scope;
		struct draft_block *block;

		/* It has none if it was wrong. */
		if (draft->name == NULL)
			continue;
		if (draft->kind == DRAFT_GOTO) {
			scope = scope_find(p, draft->name);
			names = scope == NONE ? names_of_scopes(p, &n) : NULL;
			if (scope != NONE) {
				draft->in.target = scope;
				p->scopes[scope].is_wanted = true;
			} else if (names != NULL) {
				(void)fault_at(p, draft->spot, "the name of a state",
					       "undefined state '%s'%s", draft->name,
					       hint(meant, draft->name, names, n));
			}
		} else if (draft->kind == DRAFT_BLOCK) {
			block = block_find(p, draft->name);
			names = block == NULL ? names_of_blocks(p, &n) : NULL;
			if (block != NULL)
				block->is_said = true;
			else if (names != NULL)
				(void)fault_at(p, draft->spot,
					       "a text's name; a variable is written ${name}",
					       "undefined text '%s'%s", draft->name,
					       hint(meant, draft->name, names, n));
		}
	}
}

/* Whether nothing that EARLIER's pattern matches comes to a later rule. */
static bool takes_all(const struct rule *earlier)
{
	return earlier->when == NONE && earlier->pattern != NULL &&
	       (earlier->kind == RULE_MESSAGE || earlier->kind == RULE_GET);
}

static void warn_shadowed(struct parser *p, const struct draft_rule *later,
			  const struct draft_rule *earlier)
{
	warn_at(p, later->spot, "the more special pattern first",
		"this rule is never reached: %s in line %u takes all that it could",
		earlier->rule.text, earlier->spot.line);
}

/* Whether LATER, without a pattern, happens only when EARLIER has happened instead. */
static bool repeats(const struct rule *earlier, const struct rule *later)
{
	return earlier->kind == later->kind && earlier->pattern == NULL && earlier->when == NONE &&
	       later->kind != RULE_EVERY &&
	       (later->kind != RULE_IDLE || earlier->period == later->period);
}

/* BEFORE[i]: the rule of the same scope before rule i, or NONE. */
static uint32_t *chain_rules(struct parser *p)
{
	uint32_t *before = arena_array(p->scratch, p->n_rules, sizeof(uint32_t));
	uint32_t *last = arena_array(p->scratch, p->n_scopes, sizeof(uint32_t));

	if (before == NULL || last == NULL)
		return NULL;
	for (size_t i = 0; i < p->n_scopes; i++)
		last[i] = NONE;
	for (size_t i = 0; i < p->n_rules; i++) {
		before[i] = last[p->rules[i].scope];
		last[p->rules[i].scope] = (uint32_t)i;
	}
	return before;
}

static void check_reached(struct parser *p)
{
	const uint32_t *before = chain_rules(p);
	size_t comparisons = 0;

	for (size_t i = 0; before != NULL && i < p->n_rules; i++) {
		const struct draft_rule *later = &p->rules[i];

		for (uint32_t k = before[i]; k != NONE && comparisons < COMPARISONS_MAX;
		     k = before[k]) {
			const struct draft_rule *earlier = &p->rules[k];

			comparisons++;
			if (later->rule.pattern == NULL
				    ? repeats(&earlier->rule, &later->rule)
				    : takes_all(&earlier->rule) &&
					      pattern_covers(earlier->rule.pattern,
							     later->rule.pattern)) {
				warn_shadowed(p, later, earlier);
				break;
			}
		}
		if (p->faults->warnings >= FAULTS_MAX)
			return;
	}
}

/* A conversation begins only once, in the first state. */
static void check_connect(struct parser *p)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		if (p->rules[i].rule.kind == RULE_CONNECT && p->rules[i].scope > 1)
			warn_at(p, p->rules[i].spot, "it in the first state or outside of states",
				"this never happens: a conversation begins in state '%s'",
				p->scopes[1].name);
	}
}

static void check_used(struct parser *p)
{
	for (size_t i = 2; i < p->n_scopes; i++) {
		if (!p->scopes[i].is_wanted)
			warn_at(p, p->scopes[i].spot, "a goto that leads there",
				"nobody goes to state '%s'", p->scopes[i].name);
	}
	for (size_t i = 0; i < p->n_variables; i++) {
		const struct draft_variable *variable = &p->variables[i];
		unsigned quiet = ORIGIN_CAPTURE | ORIGIN_COLLECT | ORIGIN_PROPERTY | ORIGIN_UNKNOWN;

		/* Not every instrument tells its errors. */
		if (strcmp(variable->variable.name, "errors") != 0 && !variable->is_read &&
		    variable->origins != 0 && (variable->origins & quiet) == 0)
			warn_at(p, origin_spot(variable, ~0U), NULL,
				"variable '%s' gets a value, but is never used",
				variable->variable.name);
	}
	for (size_t i = 0; i < p->n_blocks; i++) {
		if (!p->blocks[i].is_said)
			warn_at(p, p->blocks[i].spot, "a `say` with its name",
				"nobody says text '%s'", p->blocks[i].name);
	}
	if (p->n_rules == 0 && p->sources->count > 0)
		warn_at(p, (struct spot){.source = p->sources->list[0], .line = 1, .column = 1},
			"a rule: on ... or otherwise", "this script never answers anything");
}

void check_script(struct parser *p)
{
	for (size_t i = 0; i < p->n_variables; i++) {
		struct draft_variable *variable = &p->variables[i];

		check_errors(p, variable);
		check_variable(p, variable);
		finish_variable(variable);
	}
	check_names(p);
	if (out_of_memory(p) || p->faults->errors > 0)
		return;
	check_reached(p);
	check_connect(p);
	check_used(p);
}
