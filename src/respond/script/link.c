/*
 * From drafts to a script: instructions get their final numbers, rules their places in scopes, and
 * everything moves into the arena that lives on.
 */
#include "respond/script/parse-priv.h"

#include <errno.h>
#include <string.h>

/* How many instructions a draft becomes. */
static size_t code_of(const struct parser *p, const struct draft_instruction *draft)
{
	switch (draft->kind) {
	case DRAFT_NOTHING:
		return 0;
	case DRAFT_BLOCK:
		return block_find(p, draft->name)->n_lines;
	case DRAFT_WAYS:
		return 1 + (size_t)draft->in.n_ways;
	case DRAFT_PLAIN:
	case DRAFT_GOTO:
		return 1;
	}
	abort();
}

/* MAP[i]: the number of draft I's first instruction, for I up to n_code. */
static bool make_map(struct parser *p, uint32_t *map)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_code; i++) {
		map[i] = (uint32_t)n;
		n += code_of(p, &p->code[i]);
		if (n > SCRIPT_CODE_MAX)
			return fault_at(p, p->code[i].spot, "a shorter script",
					"more than %zu actions, each line of a text counted",
					SCRIPT_CODE_MAX);
	}
	map[p->n_code] = (uint32_t)n;
	return true;
}

static void place_draft(const struct parser *p, const struct draft_instruction *draft, size_t i,
			const uint32_t *map, struct instruction *to)
{
	const struct draft_block *block;

	switch (draft->kind) {
	case DRAFT_NOTHING:
		return;
	case DRAFT_BLOCK:
		block = block_find(p, draft->name);
		for (size_t k = 0; k < block->n_lines; k++) {
			to[k] = draft->in;
			to[k].text = block->lines[k];
		}
		return;
	case DRAFT_WAYS:
		to[0] = draft->in;
		for (size_t k = 0; k < draft->in.n_ways; k++) {
			to[k + 1] = draft->in;
			to[k + 1].action = ACTION_JUMP;
			to[k + 1].target = NONE;
			to[k + 1].n_ways = 0;
			to[k + 1].target_pc = map[draft->ways[k]];
		}
		return;
	case DRAFT_PLAIN:
	case DRAFT_GOTO:
		to[0] = draft->in;
		if (draft->in.target_pc != NONE)
			to[0].target_pc = map[draft->in.target_pc];
		else if (draft->in.action == ACTION_HAND)
			to[0].target_pc = map[i] + 1;
		return;
	}
	abort();
}

static int link_code(struct parser *p, struct script *script)
{
	uint32_t *map = arena_array(p->scratch, p->n_code + 1, sizeof(uint32_t));
	struct instruction *code;

	if (map == NULL)
		return -ENOMEM;
	if (!make_map(p, map))
		return -EINVAL;
	script->n_code = map[p->n_code];
	code = arena_array(p->keep, script->n_code, sizeof(*code));
	if (code == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_code; i++)
		place_draft(p, &p->code[i], i, map, code + map[i]);
	script->code = code;
	for (size_t i = 0; i < p->n_rules; i++)
		p->rules[i].rule.pc = map[p->rules[i].rule.pc];
	return 0;
}

static bool text_has_message(const struct text *text)
{
	for (size_t i = 0; i < text->n_parts; i++) {
		if (text->parts[i].kind == PART_MESSAGE)
			return true;
	}
	return false;
}

static bool expression_has_message(const struct parser *p, uint32_t index)
{
	const struct expression *expression;

	if (index == NONE)
		return false;
	expression = &p->expressions[index];
	return text_has_message(&expression->text) || expression_has_message(p, expression->left) ||
	       expression_has_message(p, expression->right);
}

/* Whether the message is used in the instructions from PC to END. */
static bool keeps_message(const struct parser *p, const struct script *script, size_t pc,
			  size_t end)
{
	for (; pc < end; pc++) {
		const struct instruction *in = &script->code[pc];

		if (text_has_message(&in->text) || expression_has_message(p, in->expression))
			return true;
	}
	return false;
}

static int link_rules(struct parser *p, struct script *script)
{
	struct rule *rules = arena_array(p->keep, p->n_rules, sizeof(*rules));

	if (rules == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_rules; i++) {
		struct rule *rule = &p->rules[i].rule;
		size_t end = i + 1 < p->n_rules ? p->rules[i + 1].rule.pc : script->n_code;

		rule->keeps_message = keeps_message(p, script, rule->pc, end);
		for (size_t k = 0; k < PATTERN_CAPTURES_MAX; k++) {
			if (rule->captures[k] != NONE &&
			    !p->variables[rule->captures[k]].variable.is_kept)
				rule->captures[k] = NONE;
		}
		rules[i] = *rule;
		/* The pattern belongs to the script now. */
		rule->pattern = NULL;
	}
	script->rules = rules;
	script->n_rules = p->n_rules;
	return 0;
}

static bool has_pattern(enum rule_kind kind)
{
	return kind == RULE_MESSAGE || kind == RULE_GET || kind == RULE_SET;
}

/* Room for the rules of SCOPE, which are counted in it; the counts go back to 0. */
static bool make_lists(struct parser *p, struct scope *scope, uint32_t *lists[RULE_KINDS + 1])
{
	lists[RULE_KINDS] = arena_array(p->keep, scope->n_rules, sizeof(uint32_t));
	scope->rules = lists[RULE_KINDS];
	scope->n_rules = 0;
	for (size_t i = 0; i < RULE_KINDS; i++) {
		lists[i] = arena_array(p->keep, scope->n_others[i], sizeof(uint32_t));
		scope->others[i] = lists[i];
		scope->n_others[i] = 0;
	}
	return !p->keep->failed;
}

/* The rules of SCOPES, each in its order. */
static int sort_rules(struct parser *p, struct script *script, struct scope *scopes)
{
	uint32_t *(*lists)[RULE_KINDS + 1] =
		arena_array(p->scratch, script->n_scopes, sizeof(*lists));

	if (lists == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_rules; i++) {
		struct scope *scope = &scopes[p->rules[i].scope];

		if (has_pattern(script->rules[i].kind))
			scope->n_rules++;
		else
			scope->n_others[script->rules[i].kind]++;
	}
	for (size_t i = 0; i < script->n_scopes; i++) {
		if (!make_lists(p, &scopes[i], lists[i]))
			return -ENOMEM;
	}
	for (size_t i = 0; i < p->n_rules; i++) {
		uint32_t number = p->rules[i].scope;
		struct scope *scope = &scopes[number];
		enum rule_kind kind = script->rules[i].kind;

		if (has_pattern(kind))
			lists[number][RULE_KINDS][scope->n_rules++] = (uint32_t)i;
		else
			lists[number][kind][scope->n_others[kind]++] = (uint32_t)i;
	}
	return 0;
}

static int link_scopes(struct parser *p, struct script *script)
{
	struct scope *scopes = arena_array(p->keep, p->n_scopes, sizeof(*scopes));
	const struct pattern **patterns =
		arena_array(p->scratch, p->n_rules, sizeof(struct pattern *));
	int r;

	if (scopes == NULL || patterns == NULL)
		return -ENOMEM;
	/* From here on who frees the script frees the matchers. */
	script->scopes = scopes;
	script->n_scopes = p->n_scopes;
	script->first_scope = p->n_scopes > 1 ? 1 : 0;
	r = sort_rules(p, script, scopes);
	for (size_t i = 0; r == 0 && i < p->n_scopes; i++) {
		struct scope *scope = &scopes[i];

		scope->name = p->scopes[i].name;
		scope->where = place_of(p->scopes[i].spot);
		for (size_t k = 0; k < scope->n_rules; k++)
			patterns[k] = script->rules[scope->rules[k]].pattern;
		r = matcher_new(patterns, scope->n_rules, &scope->matcher);
	}
	return r;
}

static int link_tables(struct parser *p, struct script *script)
{
	struct variable *variables = arena_array(p->keep, p->n_variables, sizeof(*variables));
	struct property *properties = arena_array(p->keep, p->n_properties, sizeof(*properties));
	struct expression *expressions =
		arena_array(p->keep, p->n_expressions, sizeof(*expressions));

	if (variables == NULL || properties == NULL || expressions == NULL)
		return -ENOMEM;
	script->errors_list = NONE;
	for (size_t i = 0; i < p->n_variables; i++) {
		variables[i] = p->variables[i].variable;
		if (strcmp(variables[i].name, "errors") == 0)
			script->errors_list = (uint32_t)i;
	}
	for (size_t i = 0; i < p->n_properties; i++)
		properties[i] = p->properties[i].property;
	if (p->n_expressions > 0)
		(void)memcpy(expressions, p->expressions, p->n_expressions * sizeof(*expressions));
	script->variables = variables;
	script->n_variables = p->n_variables;
	script->properties = properties;
	script->n_properties = p->n_properties;
	script->expressions = expressions;
	script->n_expressions = p->n_expressions;
	return 0;
}

int link_script(struct parser *p, struct script *script)
{
	int r = link_code(p, script);

	script->manners = p->manners;
	script->nocase = p->nocase;
	script->n_counters = p->n_counters;
	script->n_timers = p->n_timers;
	if (r == 0)
		r = link_tables(p, script);
	if (r == 0)
		r = link_rules(p, script);
	return r == 0 ? link_scopes(p, script) : r;
}
