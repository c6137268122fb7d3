/*
 * The state of a conversation by a script: its beginning, its soundness, and moving it to and from
 * a run. See run.h and run-priv.h.
 *
 * The header is copied rather than used in place, so a state may lie at any address. What
 * script_state_is_sound() has let pass can hold any numbers that the interpreter doesn't use as a
 * place: times, counts and random bits are good whatever they are.
 */
#include <string.h>

#include "respond/script/run-priv.h"

size_t script_state_begin_size(const struct script *script)
{
	(void)script;
	return sizeof(struct state);
}

void script_begin(const struct script *script, void *state, size_t *ret_used, uint64_t seed)
{
	struct state begun = {
		.version = script->version,
		.random = seed,
		.scope = script->is_list ? 0 : script->first_scope,
	};

	if (script->manners.frames)
		begun.framing = script->manners.framing;
	(void)memcpy(state, &begun, sizeof(begun));
	*ret_used = sizeof(begun);
}

uint64_t script_state_version(const void *state, size_t used)
{
	uint64_t version;

	if (used < sizeof(struct state))
		return 0;
	(void)memcpy(&version, (const char *)state + offsetof(struct state, version),
		     sizeof(version));
	return version;
}

/* The heap of the state at BYTES, of which USED matter. */
static struct heap heap_of(void *bytes, size_t used)
{
	return (struct heap){
		.bytes = (char *)bytes + sizeof(struct state),
		.room = MARCEL_STATE_MAX - sizeof(struct state),
		.used = used - sizeof(struct state),
	};
}

/* The same, only to be read. */
static struct heap heap_within(const void *bytes, size_t used)
{
	const union {
		const void *read_only;
		void *bytes;
	} same = {.read_only = bytes};

	return heap_of(same.bytes, used);
}

static bool framing_is_sound(const struct marcel_framing *framing)
{
	if (framing->kind > MARCEL_FRAMING_BYTES || framing->line_end > MARCEL_LINE_CRLF)
		return false;
	if (framing->kind == MARCEL_FRAMING_PREFIX)
		return framing->size == 1 || framing->size == 2 || framing->size == 4;
	return framing->kind != MARCEL_FRAMING_RECORD ||
	       (framing->size > 0 && framing->size <= MARCEL_REPLY_MAX);
}

/* Whether COURSE stands where it can stand. */
static bool course_is_sound(const struct script *script, const struct course *course)
{
	enum action action;

	if (course->how >= SUSPENSIONS || (course->flags & ~RULE_FLAGS) != 0)
		return false;
	if (course->how == SUSPENDED_NOT)
		return true;
	if (course->resume_at == USEC_NEVER && course->how != SUSPENDED_COLLECT &&
	    course->how != SUSPENDED_HAND)
		return false;
	if (script->is_list)
		return course->how == SUSPENDED_REPLY && course->pc < script->n_replies;
	if (course->rule >= script->n_rules)
		return false;
	if (course->how == SUSPENDED_REPLY)
		return script->rules[course->rule].kind == RULE_GET;
	/* A rule that waits at its very end is done at once. */
	if (course->how == SUSPENDED_WAIT)
		return course->pc <= script->n_code;
	if (course->pc >= script->n_code)
		return false;
	action = script->code[course->pc].action;
	switch ((enum suspension)course->how) {
	case SUSPENDED_DRIP:
		return action == ACTION_DRIP;
	case SUSPENDED_COLLECT:
		return action == ACTION_COLLECT;
	case SUSPENDED_HAND:
	case SUSPENDED_DRAFT:
		return action == ACTION_HAND;
	case SUSPENDED_NOT:
	case SUSPENDED_WAIT:
	case SUSPENDED_ROOM:
	case SUSPENDED_REPLY:
		break;
	}
	return true;
}

/* Whether what is under way and below goes together. */
static bool courses_are_sound(const struct script *script, const struct state *state)
{
	bool collects = state->now.how == SUSPENDED_COLLECT ||
			state->below.how == SUSPENDED_COLLECT;

	if (!course_is_sound(script, &state->now) || !course_is_sound(script, &state->below))
		return false;
	if (state->now.how == SUSPENDED_NOT && state->below.how != SUSPENDED_NOT)
		return false;
	if (state->now.how == SUSPENDED_COLLECT && state->below.how == SUSPENDED_COLLECT)
		return false;
	return collects || state->framing.kind != MARCEL_FRAMING_BYTES;
}

bool script_state_is_sound(const struct script *script, const void *state, size_t used)
{
	struct heap heap;
	struct state seen;

	if (used < sizeof(struct state) || used > MARCEL_STATE_MAX)
		return false;
	(void)memcpy(&seen, state, sizeof(seen));
	if (seen.version != script->version || (seen.flags & ~STATE_FLAGS) != 0)
		return false;
	if (seen.scope >= (script->n_scopes > 0 ? script->n_scopes : 1))
		return false;
	if (!framing_is_sound(&seen.framing) || !framing_is_sound(&seen.former))
		return false;
	if (!courses_are_sound(script, &seen))
		return false;
	heap = heap_within(state, used);
	return heap_is_sound(&heap, script->n_variables + HEAP_OWN_VALUES, script->n_counters);
}

void state_load(struct run *run, void *bytes, size_t used)
{
	(void)memcpy(&run->state, bytes, sizeof(run->state));
	run->heap = heap_of(bytes, used);
	run->view = (struct view){
		.variables = run->script->variables,
		.n_variables = run->script->n_variables,
		.heap = &run->heap,
		.world = run->world,
		.random = run->state.random,
		.serial = run->state.serial,
	};
}

void state_store(const struct run *run, void *bytes, size_t *ret_used)
{
	struct state state = run->state;

	state.random = run->view.random;
	state.serial = run->view.serial;
	(void)memcpy(bytes, &state, sizeof(state));
	*ret_used = sizeof(state) + run->heap.used;
}

bool script_take_secret(void *state, size_t used)
{
	struct state seen;
	bool secret;

	if (used < sizeof(seen))
		return false;
	(void)memcpy(&seen, state, sizeof(seen));
	secret = (seen.flags & STATE_SECRET_NEXT) != 0;
	seen.flags &= ~STATE_SECRET_NEXT;
	(void)memcpy(state, &seen, sizeof(seen));
	return secret;
}

bool script_asks_secret(const void *state, size_t used)
{
	struct state seen;

	if (used < sizeof(seen))
		return false;
	(void)memcpy(&seen, state, sizeof(seen));
	return (seen.flags & (STATE_SECRET_NEXT | STATE_COLLECT_SECRET)) != 0;
}

bool script_state_draft(const struct script *script, const void *state, size_t used,
			struct script_draft *ret_draft)
{
	const struct heap heap = heap_within(state, used);
	const struct instruction *hand;
	const struct course *course;
	struct state seen;
	struct span draft = {.bytes = ""};
	uint32_t id = kept_drip(script, &(struct state){.version = 0});

	(void)memcpy(&seen, state, sizeof(seen));
	course = &seen.below;
	if (seen.now.how == SUSPENDED_HAND) {
		course = &seen.now;
		id = kept_drip(script, &seen);
	}
	if (course->how != SUSPENDED_HAND)
		return false;
	hand = &script->code[course->pc];
	if (hand->text.n_parts == 0)
		return false;
	if (text_never_changes(&hand->text))
		draft = (struct span){hand->text.parts[0].bytes, hand->text.parts[0].length};
	else if (!heap_get(&heap, id, &draft))
		return false;
	*ret_draft = (struct script_draft){draft.bytes, draft.length, course->resume_at};
	return true;
}

void script_state_settle_draft(void *state)
{
	struct state seen;
	struct course *course = &seen.below;

	(void)memcpy(&seen, state, sizeof(seen));
	if (seen.now.how == SUSPENDED_HAND)
		course = &seen.now;
	if (course->how != SUSPENDED_HAND)
		return;
	course->resume_at = USEC_NEVER;
	(void)memcpy(state, &seen, sizeof(seen));
}

const char *script_state_name(const struct script *script, const void *state)
{
	struct state seen;

	(void)memcpy(&seen, state, sizeof(seen));
	return seen.scope < script->n_scopes ? script->scopes[seen.scope].name : "always";
}

ssize_t script_state_value(const struct script *script, const void *state, size_t used,
			   uint32_t variable, char *buffer, size_t size)
{
	const struct heap heap = heap_within(state, used);
	const struct view view = {
		.variables = script->variables,
		.n_variables = script->n_variables,
		.heap = &heap,
	};
	struct expansion value = {.bytes = NULL};
	ssize_t length = -1;

	if (variable >= script->n_variables)
		return -1;
	if (!heap_has(&heap, variable) && !script->variables[variable].has_initial)
		return -1;
	if (expand_variable(&view, variable, &value) == 0) {
		length = (ssize_t)value.length;
		if (value.length > 0 && size > 0)
			(void)memcpy(buffer, value.bytes,
				     value.length < size ? value.length : size);
	}
	expansion_done(&value);
	return length;
}
