/*
 * Performing a rule: its actions one after another, until it is done or stands still.
 *
 * All jumps lead forward (one that didn't would end the rule), so an event performs each
 * instruction at most once, and once more those of `on overflow`.
 *
 * Decisions. After stop and end of input nothing is waited for: waits and drips go on at once, a
 * collect ends the rule, a hand finds nobody, and what finds no room is not said. A draft is said
 * when nobody has answered in time; when nobody is there at all, only if there is no `else`.
 * ${message} stays what it was while its rule stands still, up to SCRIPT_VALUE_MAX bytes.
 */
#include <errno.h>
#include <stdlib.h>

#include "respond/script/run-priv.h"

/* A list with an initial value gets that as its first item when it is first changed. */
static int make_list(struct run *run, uint32_t variable)
{
	const struct variable *known = &run->script->variables[variable];

	if (!known->has_initial || heap_has(&run->heap, variable))
		return 0;
	return heap_set(&run->heap, variable, known->initial, known->initial_length);
}

static int shift(struct run *run, const struct instruction *instruction)
{
	struct span first = {.bytes = ""};
	int r = make_list(run, instruction->variable);

	if (r < 0)
		return r;
	(void)heap_get(&run->heap, instruction->variable, &first);
	if (instruction->target != NONE && instruction->target != instruction->variable)
		r = heap_set(&run->heap, instruction->target, first.bytes, first.length);
	if (r == 0)
		(void)heap_shift(&run->heap, instruction->variable);
	return r;
}

/* SET, ADD, SHIFT, CLEAR. */
static int change_value(struct run *run, const struct instruction *instruction)
{
	struct expansion expansion = {.bytes = NULL};
	struct span value = {.bytes = ""};
	int r = 0;

	if (instruction->action == ACTION_SHIFT)
		return shift(run, instruction);
	if (instruction->action == ACTION_CLEAR) {
		heap_clear(&run->heap, instruction->variable);
		return STEP_NEXT;
	}
	if (instruction->action == ACTION_ADD)
		r = make_list(run, instruction->variable);
	if (r == 0)
		r = text_span(run, &instruction->text, &expansion, &value);
	if (r == 0)
		r = instruction->action == ACTION_ADD
			    ? heap_add(&run->heap, instruction->variable, value.bytes, value.length)
			    : heap_set(&run->heap, instruction->variable, value.bytes,
				       value.length);
	expansion_done(&expansion);
	return r < 0 ? r : (int)STEP_NEXT;
}

/* CYCLE, PICK: one of the jumps that follow. */
static int choose_way(struct run *run, const struct instruction *instruction, uint32_t *next)
{
	uint64_t way;
	int r = 0;

	if (instruction->n_ways == 0)
		return STEP_NEXT;
	if (instruction->action == ACTION_PICK) {
		way = random_below(&run->view.random, instruction->n_ways);
	} else {
		way = heap_counter(&run->heap, instruction->target) % instruction->n_ways;
		r = heap_set_counter(&run->heap, instruction->target,
				     (way + 1) % instruction->n_ways);
	}
	*next += (uint32_t)way;
	return r < 0 ? r : (int)STEP_NEXT;
}

static int wait(struct run *run, const struct instruction *instruction, uint32_t next)
{
	usec_t duration = instruction->least;
	int r;

	if (instruction->most > instruction->least)
		duration +=
			random_below(&run->view.random, instruction->most - instruction->least + 1);
	if (run->hurried || duration == 0)
		return STEP_NEXT;
	r = rule_suspend(run, SUSPENDED_WAIT, next, run_deadline(run, duration));
	return r < 0 ? r : (int)STEP_SUSPEND;
}

static bool has_else(const struct instruction *instruction, uint32_t pc)
{
	return instruction->target_pc != NONE && instruction->target_pc > pc + 1;
}

/* Whether the draft is said now that there was no answer. */
static bool says_draft(const struct instruction *instruction, uint32_t pc, bool nobody_there)
{
	return instruction->text.n_parts > 0 && !(nobody_there && has_else(instruction, pc));
}

/* What comes after a hand without an answer; NEXT is what follows it. */
static int go_without_answer(struct run *run, uint32_t pc, bool nobody_there, uint32_t *next)
{
	const struct instruction *instruction = &run->script->code[pc];

	if (says_draft(instruction, pc, nobody_there))
		return say_draft(run, instruction);
	if (has_else(instruction, pc))
		*next = instruction->target_pc;
	return STEP_NEXT;
}

/* Keeps what INSTRUCTION proposes, as it is now, if it can change. */
static int keep_draft(struct run *run, const struct instruction *instruction)
{
	struct expansion expansion = {.bytes = NULL};
	struct view before = run->view;
	struct span draft;
	int r;

	if (text_never_changes(&instruction->text))
		return 0;
	r = text_span(run, &instruction->text, &expansion, &draft);
	if (r == 0)
		r = heap_set(&run->heap, kept_drip(run->script, &run->state), draft.bytes,
			     draft.length);
	expansion_done(&expansion);
	if (r == -ENOSPC) {
		run->view = before;
		return 0;
	}
	return r;
}

static int hand(struct run *run, uint32_t pc, uint32_t *next)
{
	const struct instruction *instruction = &run->script->code[pc];
	usec_t until = instruction->stay ? USEC_NEVER : run_deadline(run, instruction->least);
	int r;

	heap_clear(&run->heap, kept_drip(run->script, &run->state));
	if (run->hurried)
		return go_without_answer(run, pc, true, next);
	r = rule_suspend(run, SUSPENDED_HAND, pc, until);
	if (r == 0)
		r = keep_draft(run, instruction);
	if (r < 0)
		return r;
	run->outcome->hand_is_fresh = run->has_event_message;
	return STEP_SUSPEND;
}

/* What ends the rule, the conversation, or what it says from now on. */
static int stop_talking(struct run *run, const struct instruction *instruction)
{
	if (instruction->action == ACTION_DROP) {
		run->state.flags |= STATE_DROPPED;
		return STEP_END;
	}
	if (instruction->action == ACTION_STRIKE) {
		run->state.strikes++;
		if (run->state.strikes < instruction->size)
			return STEP_NEXT;
	}
	run_end(run, instruction->action == ACTION_RESET ? MARCEL_RESET : MARCEL_CLOSE);
	return STEP_END;
}

static int perform(struct run *run, uint32_t pc, uint32_t *next)
{
	const struct instruction *instruction = &run->script->code[pc];
	int r;

	switch (instruction->action) {
	case ACTION_SAY:
		return say_text(run, &instruction->text, instruction->stuff, true);
	case ACTION_SEND:
		return say_text(run, &instruction->text, false, false);
	case ACTION_LOG:
		return say_log(run, &instruction->text);
	case ACTION_DRIP:
		return say_drip(run, pc, 0, true);
	case ACTION_IGNORE:
		return STEP_NEXT;
	case ACTION_SET:
	case ACTION_ADD:
	case ACTION_SHIFT:
	case ACTION_CLEAR:
		return change_value(run, instruction);
	case ACTION_CYCLE:
	case ACTION_PICK:
		return choose_way(run, instruction, next);
	case ACTION_WAIT:
		return wait(run, instruction, *next);
	case ACTION_COLLECT:
		return collect_begin(run, pc);
	case ACTION_HAND:
		return hand(run, pc, next);
	case ACTION_GOTO:
		run_enter(run, instruction->target);
		return STEP_NEXT;
	case ACTION_FRAME:
		run_set_framing(run, &instruction->framing);
		return STEP_NEXT;
	case ACTION_CLOSE:
	case ACTION_RESET:
	case ACTION_DROP:
	case ACTION_STRIKE:
		return stop_talking(run, instruction);
	case ACTION_SECRET:
		if (instruction->next)
			run->state.flags |= STATE_SECRET_NEXT;
		return STEP_NEXT;
	case ACTION_UNLESS:
		r = when_holds(run, instruction->expression);
		if (r == 0)
			*next = instruction->target_pc;
		return r < 0 ? r : (int)STEP_NEXT;
	case ACTION_JUMP:
		*next = instruction->target_pc;
		return STEP_NEXT;
	case ACTION_END:
		return STEP_END;
	}
	abort();
}

static bool text_has_message(const struct text *text)
{
	for (size_t i = 0; i < text->n_parts; i++)
		if (text->parts[i].kind == PART_MESSAGE)
			return true;
	return false;
}

static bool expression_has_message(const struct script *script, uint32_t index)
{
	const struct expression *expression;

	if (index == NONE)
		return false;
	expression = &script->expressions[index];
	if (expression->op == EXPRESSION_TEXT)
		return text_has_message(&expression->text);
	if (expression->op < EXPRESSION_EQUAL)
		return false;
	return expression_has_message(script, expression->left) ||
	       (expression->op != EXPRESSION_NOT &&
		expression_has_message(script, expression->right));
}

/* Whether the rule under way, which stands still at PC, will use the message of this event. */
static bool needs_message(const struct run *run, enum suspension how, uint32_t pc)
{
	const struct script *script = run->script;

	if (!run->has_event_message || run->rule == NULL || !run->rule->keeps_message ||
	    (run->state.now.flags & RULE_KEPT) != 0 || how == SUSPENDED_REPLY)
		return false;
	/* A drip has its text already. */
	if (how == SUSPENDED_DRIP)
		pc++;
	for (; pc < script->n_code && script->code[pc].action != ACTION_END; pc++) {
		const struct instruction *in = &script->code[pc];

		if (text_has_message(&in->text) ||
		    (in->action == ACTION_UNLESS && expression_has_message(script, in->expression)))
			return true;
	}
	return false;
}

int rule_suspend(struct run *run, enum suspension how, uint32_t pc, usec_t resume_at)
{
	struct course *now = &run->state.now;

	if (needs_message(run, how, pc)) {
		int r = heap_set(&run->heap, kept_message(run->script), run->event->bytes,
				 run->event->length);

		if (r < 0)
			return r;
		now->flags |= RULE_KEPT;
	}
	if ((now->flags & RULE_HAS_MESSAGE) != 0)
		run->state.message_length = run->message_length;
	if (how != SUSPENDED_COLLECT)
		now->flags |= RULE_TOOK_TIME;
	now->how = (uint8_t)how;
	now->pc = pc;
	now->resume_at = resume_at;
	/* What only time brings on has a time. */
	if (resume_at == USEC_NEVER && how != SUSPENDED_COLLECT && how != SUSPENDED_HAND)
		now->resume_at--;
	return 0;
}

/* Goes on behind instruction PC, of which the step R became; NEXT follows it. */
static int go_behind(struct run *run, uint32_t pc, int r, uint32_t next)
{
	while (r == STEP_NEXT && next > pc && next < run->script->n_code) {
		pc = next;
		next = pc + 1;
		r = perform(run, pc, &next);
	}
	if (r == STEP_ROOM && !run->hurried) {
		r = rule_suspend(run, SUSPENDED_ROOM, pc, run->world->now);
		if (r == 0)
			r = STEP_SUSPEND;
	}
	if (r == -ENOSPC)
		return rule_overflow(run);
	if (r < 0)
		return r;
	if (r != STEP_SUSPEND)
		rule_done(run);
	return 0;
}

int rule_go_on(struct run *run, uint32_t pc)
{
	uint32_t next = pc + 1;
	int r;

	if (pc >= run->script->n_code) {
		rule_done(run);
		return 0;
	}
	r = perform(run, pc, &next);
	return go_behind(run, pc, r, next);
}

/* RULE is the one under way now; without a message if not HAS_MESSAGE. */
static void make_current(struct run *run, uint32_t rule, bool has_message)
{
	run->state.now = (struct course){
		.rule = rule,
		.flags = has_message ? RULE_HAS_MESSAGE : 0,
	};
	run->rule = &run->script->rules[rule];
	run->outcome->rule = run->rule->name;
	if (has_message)
		run->outcome->secret = run->outcome->secret || run->rule->secret;
	run->has_event_message = has_message;
	run->message_length = has_message ? run->event->length : 0;
	run_note_stopped(run);
}

int rule_begin(struct run *run, uint32_t rule, bool has_message)
{
	if (run->state.now.how != SUSPENDED_NOT)
		run->state.below = run->state.now;
	make_current(run, rule, has_message);
	return rule_go_on(run, run->rule->pc);
}

/* Forgets what the rule under way has kept in the heap. */
static void forget_kept(struct run *run)
{
	if ((run->state.now.flags & RULE_KEPT) != 0)
		heap_clear(&run->heap, kept_message(run->script));
	heap_clear(&run->heap, kept_drip(run->script, &run->state));
}

void rule_done(struct run *run)
{
	bool took_time = (run->state.now.flags & RULE_TOOK_TIME) != 0;

	forget_kept(run);
	run->state.now = run->state.below;
	run->state.below = (struct course){.how = SUSPENDED_NOT};
	if (took_time && time_may_interrupt(&run->state))
		time_be_quiet(run);
}

int rule_overflow(struct run *run)
{
	const struct rule *rule = run->rule;
	uint32_t index = NONE;
	int r = 0;

	if (rule == NULL || rule->kind != RULE_OVERFLOW)
		r = match_event(run, RULE_OVERFLOW, &index);
	if (r < 0 && r != -ENOSPC)
		return r;
	forget_kept(run);
	if (r == 0 && index != NONE) {
		make_current(run, index, false);
		run_trace(run, TRACE_MATCHED, run->rule);
		return rule_go_on(run, run->rule->pc);
	}
	run_note(run, NOTE_OVERFLOW, NULL, 0);
	run_end(run, run_farewell(run->script));
	return 0;
}

/* Makes the rule that was suspended the present one again. Returns how it was. */
static struct course wake_up(struct run *run)
{
	struct course course = run->state.now;

	run->state.now.how = SUSPENDED_NOT;
	run->rule = &run->script->rules[course.rule];
	run->outcome->rule = run->rule->name;
	run->has_event_message = false;
	run->message_length = (course.flags & RULE_HAS_MESSAGE) != 0 ? run->state.message_length
								     : 0;
	return course;
}

int rule_answered(struct run *run)
{
	struct course *below = &run->state.below;

	if (run->state.now.how == SUSPENDED_HAND) {
		struct course course = wake_up(run);

		heap_clear(&run->heap, kept_drip(run->script, &run->state));
		return rule_go_on(run, course.pc + 1);
	}
	if (below->how == SUSPENDED_HAND) {
		below->how = SUSPENDED_WAIT;
		below->pc++;
		below->resume_at = run->world->now;
	}
	return 0;
}

int rule_unanswered(struct run *run, bool nobody_there)
{
	struct course *below = &run->state.below;
	struct course course;
	uint32_t next;
	int r;

	if (run->state.now.how == SUSPENDED_HAND || run->state.now.how == SUSPENDED_DRAFT) {
		course = wake_up(run);
		next = course.pc + 1;
		r = go_without_answer(run, course.pc, nobody_there, &next);
		if (r != STEP_ROOM || run->hurried)
			return go_behind(run, course.pc, r, next);
		r = rule_suspend(run, SUSPENDED_DRAFT, course.pc, run->world->now);
		return r == -ENOSPC ? rule_overflow(run) : r;
	}
	if (below->how == SUSPENDED_HAND) {
		const struct instruction *instruction = &run->script->code[below->pc];

		below->resume_at = run->world->now;
		if (says_draft(instruction, below->pc, nobody_there)) {
			below->how = SUSPENDED_DRAFT;
			return 0;
		}
		below->how = SUSPENDED_WAIT;
		below->pc = has_else(instruction, below->pc) ? instruction->target_pc
							     : below->pc + 1;
	}
	return 0;
}

int rule_resume(struct run *run)
{
	struct course course;
	int r;

	switch ((enum suspension)run->state.now.how) {
	case SUSPENDED_WAIT:
	case SUSPENDED_ROOM:
		course = wake_up(run);
		return rule_go_on(run, course.pc);
	case SUSPENDED_DRIP:
		course = wake_up(run);
		r = say_drip(run, course.pc, course.offset, false);
		return go_behind(run, course.pc, r, course.pc + 1);
	case SUSPENDED_HAND:
	case SUSPENDED_DRAFT:
		return rule_unanswered(run, false);
	case SUSPENDED_REPLY:
		course = wake_up(run);
		r = match_say_property(run, course.rule);
		if (r == -ENOSPC)
			return rule_overflow(run);
		if (r == 0 && run->state.now.how == SUSPENDED_NOT)
			rule_done(run);
		return r;
	case SUSPENDED_NOT:
	case SUSPENDED_COLLECT:
		break;
	}
	return 0;
}
