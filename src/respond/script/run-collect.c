/*
 * Collecting: messages that are data. No rule sees them and no end word is looked for.
 *
 * What is too much (the collect's own limit, the limits of values, a line longer than framing
 * allows) is read to its end and dropped; then `on overflow` runs instead of the rest of the rule.
 * What no variable needs is counted, not kept.
 *
 * Decisions. Lines are collected whole even if the framing splits them. A number of bytes that
 * isn't one is 0. A collect in a rule that runs while another collect is under way (`on idle`)
 * takes its place.
 */
#include <errno.h>
#include <string.h>

#include "respond/script/run-priv.h"

/* A number of bytes as a client writes it: digits, spaces around them. */
static uint64_t parse_count(struct span text)
{
	uint64_t count = 0;
	size_t i = 0, end = text.length;

	while (i < end && (text.bytes[i] == ' ' || text.bytes[i] == '\t'))
		i++;
	while (end > i && (text.bytes[end - 1] == ' ' || text.bytes[end - 1] == '\t'))
		end--;
	for (; i < end; i++) {
		unsigned digit = (unsigned)(text.bytes[i] - '0');

		if (text.bytes[i] < '0' || text.bytes[i] > '9')
			return 0;
		count = count > (UINT64_MAX - digit) / 10 ? UINT64_MAX : count * 10 + digit;
	}
	return count;
}

static int count_bytes(struct run *run, const struct instruction *instruction, uint64_t *ret)
{
	struct expansion expansion = {.bytes = NULL};
	struct span text;
	int r;

	*ret = instruction->bytes;
	if (instruction->text.n_parts == 0)
		return 0;
	r = text_span(run, &instruction->text, &expansion, &text);
	if (r == 0)
		*ret = parse_count(text);
	expansion_done(&expansion);
	return r;
}

/* Sets the framing for what is still to come. */
static void want(struct run *run, const struct instruction *instruction)
{
	struct marcel_framing *framing = &run->state.framing;

	if (instruction->until == COLLECT_BYTES) {
		*framing = (struct marcel_framing){
			.kind = MARCEL_FRAMING_BYTES,
			.size = run->state.missing,
		};
	} else if (framing->kind == MARCEL_FRAMING_LINE) {
		framing->split = 0;
		framing->flags &= (uint8_t)~MARCEL_FRAMING_JOIN;
	}
}

/* The collected value begins: empty. */
static int begin_value(struct run *run, const struct instruction *instruction)
{
	const struct variable *variable = &run->script->variables[instruction->variable];

	if (!variable->is_kept && !variable->is_counted)
		return 0;
	return heap_set(&run->heap, instruction->variable, "", 0);
}

int collect_begin(struct run *run, uint32_t pc)
{
	const struct instruction *instruction = &run->script->code[pc];
	struct state *state = &run->state;
	uint64_t bytes = 0;
	int r;

	if (run->hurried)
		return STEP_END;
	if (instruction->until == COLLECT_BYTES) {
		r = count_bytes(run, instruction, &bytes);
		if (r < 0)
			return r;
	}
	r = begin_value(run, instruction);
	if (r < 0)
		return r;
	if (instruction->until == COLLECT_BYTES && bytes == 0)
		return STEP_NEXT;
	r = rule_suspend(run, SUSPENDED_COLLECT, pc, USEC_NEVER);
	if (r < 0)
		return r;
	if (state->below.how == SUSPENDED_COLLECT) {
		state->below = (struct course){.how = SUSPENDED_NOT};
		state->framing = state->former;
	}
	state->former = state->framing;
	state->flags &= ~(STATE_COLLECT_OVERFLOW | STATE_COLLECT_SECRET);
	if ((state->flags & STATE_SECRET_NEXT) != 0)
		state->flags |= STATE_COLLECT_SECRET;
	state->flags &= ~STATE_SECRET_NEXT;
	state->collected = 0;
	state->missing = bytes;
	want(run, instruction);
	return STEP_SUSPEND;
}

/* From now on what comes is only counted. */
static void give_up(struct run *run, const struct instruction *instruction)
{
	run->state.flags |= STATE_COLLECT_OVERFLOW;
	heap_clear(&run->heap, instruction->variable);
}

static void add(struct run *run, const struct instruction *instruction, const char *bytes,
		size_t length)
{
	const struct variable *variable = &run->script->variables[instruction->variable];
	int r = 0;

	run->state.collected = length > UINT64_MAX - run->state.collected
				       ? UINT64_MAX
				       : run->state.collected + length;
	if ((run->state.flags & STATE_COLLECT_OVERFLOW) != 0)
		return;
	if (run->state.collected <= instruction->size && variable->is_kept)
		r = heap_append(&run->heap, instruction->variable, bytes, length, true);
	else if (run->state.collected <= instruction->size && variable->is_counted)
		r = heap_append(&run->heap, instruction->variable, bytes, length, false);
	if (r < 0 || run->state.collected > instruction->size)
		give_up(run, instruction);
}

/* One line of data, with the line end that it had. */
static void add_line(struct run *run, const struct instruction *instruction)
{
	const char *line = run->event->bytes;
	size_t length = run->event->length;
	size_t end = run->event->end_length < 2 ? run->event->end_length : 2;

	if (instruction->stuff && length > 0 && line[0] == '.') {
		line++;
		length--;
	}
	add(run, instruction, line, length);
	add(run, instruction, &"\r\n"[2 - end], end);
}

/* Whether the message closes the collect. */
static int closes(struct run *run, const struct instruction *instruction)
{
	struct expansion expansion = {.bytes = NULL};
	struct span text;
	int r;

	if (instruction->until == COLLECT_EMPTY)
		return run->event->length == 0;
	r = text_span(run, &instruction->text, &expansion, &text);
	if (r == 0)
		r = text.length == run->event->length &&
		    (text.length == 0 || memcmp(text.bytes, run->event->bytes, text.length) == 0);
	expansion_done(&expansion);
	return r;
}

/* Takes the message; returns 1 if the collect is complete with it. */
static int take(struct run *run, const struct instruction *instruction)
{
	size_t length = run->event->length;
	int r;

	if (instruction->until == COLLECT_BYTES) {
		if (length > run->state.missing)
			length = (size_t)run->state.missing;
		add(run, instruction, run->event->bytes, length);
		run->state.missing -= length;
		want(run, instruction);
		return run->state.missing == 0;
	}
	r = closes(run, instruction);
	if (r == 0)
		add_line(run, instruction);
	return r;
}

/* The rule of the collect is the present one again. */
static void make_present(struct run *run)
{
	const struct course *now = &run->state.now;

	run->rule = &run->script->rules[now->rule];
	run->outcome->rule = run->rule->name;
	run->has_event_message = false;
	run->message_length = (now->flags & RULE_HAS_MESSAGE) != 0 ? run->state.message_length : 0;
	if ((run->state.flags & STATE_COLLECT_SECRET) != 0)
		run->outcome->secret = true;
}

int collect_message(struct run *run)
{
	uint32_t pc = run->state.now.pc;
	bool overflow;
	int r;

	make_present(run);
	r = take(run, &run->script->code[pc]);
	if (r == 0)
		return 0;
	overflow = r == -ENOSPC || (run->state.flags & STATE_COLLECT_OVERFLOW) != 0;
	if (r < 0 && r != -ENOSPC)
		return r;
	run->state.framing = run->state.former;
	run->state.flags &= ~(STATE_COLLECT_OVERFLOW | STATE_COLLECT_SECRET);
	run->state.now.how = SUSPENDED_NOT;
	return overflow ? rule_overflow(run) : rule_go_on(run, pc + 1);
}

void collect_too_long(struct run *run)
{
	make_present(run);
	give_up(run, &run->script->code[run->state.now.pc]);
}
