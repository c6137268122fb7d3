/*
 * Any bytes as a script, and as a bundle. Either they are one, and then all its numbers lead to
 * something, and its bundle makes the same script again; or there are faults, which can be shown on
 * any terminal. No file is opened: the script has no name.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "respond/script/program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* NOLINT(*-identifier-naming) */

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_fault(const struct fault *fault)
{
	char text[8192];
	size_t length = fault_format(fault, text, sizeof(text));
	size_t n;

	check(length < sizeof(text) && length == strlen(text));
	check(fault->text != NULL && fault->where.file != NULL);
	for (size_t i = 0; i < length; i += n) {
		n = text_utf8_length(text + i, length - i);
		check(n > 0);
		check((unsigned char)text[i] >= ' ' || text[i] == '\n' || text[i] == '\t');
		check(text[i] != 0x7F);
	}
}

static void check_faults(int r, struct faults *faults)
{
	check(r == 0 || r == -EINVAL);
	check((r == 0) == (faults->errors == 0));
	for (size_t i = 0; i < faults->count; i++)
		check_fault(&faults->list[i]);
	faults_done(faults);
}

static bool is_index(uint32_t index, size_t n)
{
	return index == NONE || index < n;
}

static void check_text(const struct script *script, const struct text *text)
{
	for (size_t i = 0; i < text->n_parts; i++) {
		const struct part *part = &text->parts[i];

		check(part->kind <= PART_RANDOM && part->n_filters <= SCRIPT_FILTERS_MAX);
		check(part->kind != PART_VARIABLE || part->variable < script->n_variables);
		check(part->kind != PART_TEXT || part->length > 0);
	}
}

/* Instruction PC leads forward, and within the code of its own rule. */
static void check_instruction(const struct script *script, uint32_t pc, uint32_t end)
{
	const struct instruction *in = &script->code[pc];
	bool jumps = in->action == ACTION_JUMP || in->action == ACTION_UNLESS ||
		     in->action == ACTION_HAND;

	check_text(script, &in->text);
	check(!jumps || (in->target_pc > pc && in->target_pc < end));
	check((in->action == ACTION_UNLESS) == (in->expression < script->n_expressions));
	check(is_index(in->variable, script->n_variables));
	if (in->action == ACTION_GOTO)
		check(in->target < script->n_scopes);
	if (in->action == ACTION_CYCLE)
		check(in->target < script->n_counters);
	if (in->action == ACTION_CYCLE || in->action == ACTION_PICK) {
		check(in->n_ways > 0 && in->n_ways < end - pc);
		for (uint32_t i = 1; i <= in->n_ways; i++)
			check(in[i].action == ACTION_JUMP);
	}
}

static void check_rules(const struct script *script)
{
	for (size_t i = 0; i < script->n_rules; i++) {
		const struct rule *rule = &script->rules[i];
		size_t end = i + 1 < script->n_rules ? script->rules[i + 1].pc : script->n_code;

		check(rule->pc < end && end <= script->n_code);
		check(script->code[end - 1].action == ACTION_END);
		check(is_index(rule->when, script->n_expressions));
		for (size_t k = 0; k < PATTERN_CAPTURES_MAX; k++)
			check(is_index(rule->captures[k], script->n_variables));
		for (uint32_t pc = rule->pc; pc < end; pc++)
			check_instruction(script, pc, (uint32_t)end);
	}
}

static void check_expressions(const struct script *script)
{
	for (size_t i = 0; i < script->n_expressions; i++) {
		const struct expression *expression = &script->expressions[i];

		check_text(script, &expression->text);
		/* What it is made of comes before it: there are no circles. */
		check(expression->left == NONE || expression->left < i);
		check(expression->right == NONE || expression->right < i);
		check(expression->bits <= 128);
	}
}

static void check_script(const struct script *script)
{
	size_t in_scopes = 0;

	check(script->version != 0);
	check(script->is_list == (script->n_replies > 0));
	for (size_t i = 0; i < script->n_scopes; i++) {
		in_scopes += script->scopes[i].n_rules;
		for (size_t k = 0; k < RULE_KINDS; k++)
			in_scopes += script->scopes[i].n_others[k];
	}
	check(in_scopes == script->n_rules);
	check_rules(script);
	check_expressions(script);
}

static void check_again(const struct script *script)
{
	struct faults faults = {.count = 0};
	struct script *again = NULL;

	check(script_load_bundle(script->bundle, script->bundle_size, &faults, &again) == 0);
	check(again->version == script->version && again->n_code == script->n_code);
	check(again->n_rules == script->n_rules && again->n_variables == script->n_variables);
	check(again->n_scopes == script->n_scopes && again->n_replies == script->n_replies);
	for (size_t i = 0; i < script->n_code; i++)
		check(again->code[i].action == script->code[i].action &&
		      again->code[i].target_pc == script->code[i].target_pc);
	script_unref(again);
	faults_done(&faults);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) /* NOLINT(*-identifier-naming) */
{
	struct faults faults = {.count = 0};
	struct script *script = NULL;
	int r = script_load_text("", (const char *)data, size, NULL, &faults, &script);

	check_faults(r, &faults);
	check((r == 0) == (script != NULL));
	if (script != NULL) {
		check_script(script);
		check_again(script);
	}
	script_unref(script);

	script = NULL;
	r = script_load_bundle((const char *)data, size, &faults, &script);
	check_faults(r, &faults);
	if (script != NULL)
		check_script(script);
	script_unref(script);
	return 0;
}
