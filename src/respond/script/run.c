/*
 * The interpreter's events; see run.h. What a state looks like is in run-priv.h.
 *
 * Decisions. A message, or one that is too long, where none is wanted (outcome.holds, a hand) is a
 * caller's mistake: -EBUSY. Other events that make no sense now, such as an answer when nothing was
 * handed to anybody, change nothing. When several things are due, each call lets one happen, and
 * wake_at is not later than now. After `drop`, stop and end of input end the dialogue in silence.
 * A message that `secret next` was meant for is one even if it reads like an end word.
 * One `on early` at a time: if a rule already runs over another, the event is left to the daemon.
 */
#include "respond/script/run.h"

#include <errno.h>
#include <stdlib.h>

#include "respond/script/run-priv.h"

void run_end(struct run *run, enum marcel_verdict verdict)
{
	run->state.flags |= STATE_ENDED;
	run->outcome->verdict = verdict;
}

enum marcel_verdict run_farewell(const struct script *script)
{
	const struct manners *manners = &script->manners;
	bool never = manners->ends && manners->n_end_words == 0 && !manners->end_on_empty;

	return never ? MARCEL_CLOSE : MARCEL_FAREWELL;
}

void run_note(const struct run *run, enum script_note note, const char *text, size_t length)
{
	if (run->output->note != NULL)
		run->output->note(run->output->context, note,
				  run->rule != NULL ? run->rule->name : NULL,
				  text != NULL ? text : "", length);
}

void run_note_stopped(struct run *run)
{
	const struct rule *rule = run->rule;

	for (size_t i = 0; i < run->n_stopped; i++) {
		run->rule = &run->script->rules[run->stopped[i]];
		run_note(run, NOTE_STOPPED, NULL, 0);
	}
	run->n_stopped = 0;
	run->rule = rule;
}

void run_trace(const struct run *run, enum script_trace trace, const struct rule *rule)
{
	if (run->output->trace != NULL)
		run->output->trace(run->output->context, trace, rule);
}

void run_enter(struct run *run, uint32_t scope)
{
	if (scope >= run->script->n_scopes)
		return;
	if (run->state.scope != 0)
		time_stop_timers(run, run->state.scope);
	run->state.scope = scope;
	run->state.scope_since = run->world->now;
	if (scope != 0)
		time_start_timers(run, scope);
}

void run_set_framing(struct run *run, const struct marcel_framing *framing)
{
	if (run->state.now.how == SUSPENDED_COLLECT || run->state.below.how == SUSPENDED_COLLECT)
		run->state.former = *framing;
	else
		run->state.framing = *framing;
}

/* Nothing is under way any more. */
static void drop_courses(struct run *run)
{
	struct state *state = &run->state;

	if (state->now.how == SUSPENDED_COLLECT || state->below.how == SUSPENDED_COLLECT)
		state->framing = state->former;
	/* What still comes of a secret is one, too. */
	if ((state->flags & STATE_COLLECT_SECRET) != 0)
		state->flags |= STATE_SECRET_NEXT;
	state->flags &= ~(STATE_COLLECT_SECRET | STATE_COLLECT_OVERFLOW);
	for (uint32_t i = 0; i < HEAP_OWN_VALUES && !run->script->is_list; i++)
		heap_clear(&run->heap, kept_message(run->script) + i);
	state->now = (struct course){.how = SUSPENDED_NOT};
	state->below = state->now;
}

/* Lets the rule for an event run; *RET_FOUND says whether there is one. */
static int run_event(struct run *run, enum rule_kind kind, bool *ret_found)
{
	uint32_t rule;
	int r = match_event(run, kind, &rule);

	*ret_found = r == 0 && rule != NONE;
	if (!*ret_found)
		return r;
	run_trace(run, TRACE_MATCHED, &run->script->rules[rule]);
	return rule_begin(run, rule, false);
}

/* CONNECT, EARLY, OVERFLOW: the daemon's business unless there is a rule. */
static int offer(struct run *run, enum rule_kind kind)
{
	bool found = false;
	int r = 0;

	if (run->state.below.how == SUSPENDED_NOT)
		r = run_event(run, kind, &found);
	run->outcome->unhandled = !found && r == 0;
	return r;
}

/* Stop, end of input: the last thing that happens. */
static int finish(struct run *run, enum rule_kind kind)
{
	bool found;
	int r;

	drop_courses(run);
	run->hurried = true;
	r = run_event(run, kind, &found);
	if (r < 0 || (run->state.flags & STATE_ENDED) != 0)
		return r;
	if (found || run_farewell(run->script) == MARCEL_CLOSE)
		run_end(run, MARCEL_CLOSE);
	else
		run->outcome->unhandled = true;
	return 0;
}

/* Whether the rule under way waits for time alone. */
static bool holds(const struct state *state)
{
	return state->now.how != SUSPENDED_NOT && state->now.how != SUSPENDED_COLLECT &&
	       state->now.how != SUSPENDED_HAND;
}

static int pass_time(struct run *run)
{
	const struct course *now = &run->state.now;
	uint32_t rule;
	int r;

	if (now->how != SUSPENDED_NOT && now->resume_at <= run->world->now) {
		if (now->how == SUSPENDED_ROOM)
			run->view.serial_is_used = (run->state.flags & STATE_SERIAL_USED) != 0;
		return rule_resume(run);
	}
	if (!time_may_interrupt(&run->state) || run->script->n_scopes == 0)
		return 0;
	r = time_find_due(run, &rule);
	if (r < 0 || rule == NONE)
		return r;
	run_trace(run, TRACE_MATCHED, &run->script->rules[rule]);
	return rule_begin(run, rule, false);
}

static int take_message(struct run *run)
{
	if (holds(&run->state) || run->state.now.how == SUSPENDED_HAND)
		return -EBUSY;
	time_be_quiet(run);
	if (run->state.now.how == SUSPENDED_COLLECT)
		return collect_message(run);
	if ((run->state.flags & STATE_SECRET_NEXT) != 0) {
		run->state.flags &= ~STATE_SECRET_NEXT;
		run->outcome->secret = true;
	}
	return match_message(run);
}

static int take_too_long(struct run *run)
{
	if (holds(&run->state))
		return -EBUSY;
	time_be_quiet(run);
	if (run->state.now.how != SUSPENDED_COLLECT)
		return offer(run, RULE_OVERFLOW);
	collect_too_long(run);
	return 0;
}

static int happen(struct run *run)
{
	switch (run->event->kind) {
	case SCRIPT_CONNECT:
		return offer(run, RULE_CONNECT);
	case SCRIPT_MESSAGE:
		return take_message(run);
	case SCRIPT_EARLY:
		return offer(run, RULE_EARLY);
	case SCRIPT_TIME:
		return pass_time(run);
	case SCRIPT_OVERFLOW:
		return take_too_long(run);
	case SCRIPT_STOP:
		return finish(run, RULE_STOP);
	case SCRIPT_EOF:
		return finish(run, RULE_EOF);
	case SCRIPT_ANSWERED:
		return rule_answered(run);
	case SCRIPT_UNHANDED:
		if (run->state.now.how == SUSPENDED_DRAFT)
			return 0;
		return rule_unanswered(run, true);
	}
	abort();
}

/* Says reply NUMBER of a plain list. */
static int say_reply(struct run *run, uint32_t number)
{
	int r = say_text(run, &run->script->replies[number], false, true);

	run->state.now = (struct course){.how = SUSPENDED_NOT};
	if (r != STEP_ROOM)
		return r < 0 ? r : 0;
	run->state.now = (struct course){
		.how = SUSPENDED_REPLY,
		.pc = number,
		.resume_at = run->world->now,
	};
	return 0;
}

/* A plain list answers messages; all else is the daemon's. */
static int happen_in_list(struct run *run)
{
	const struct course *now = &run->state.now;

	switch (run->event->kind) {
	case SCRIPT_MESSAGE:
		if (now->how != SUSPENDED_NOT)
			return -EBUSY;
		if (run->script->n_replies == 0 || run->world->turn == 0)
			return 0;
		return say_reply(run, (uint32_t)((run->world->turn - 1) % run->script->n_replies));
	case SCRIPT_TIME:
		if (now->how == SUSPENDED_REPLY && now->resume_at <= run->world->now)
			return say_reply(run, now->pc);
		return 0;
	case SCRIPT_CONNECT:
	case SCRIPT_EARLY:
	case SCRIPT_OVERFLOW:
	case SCRIPT_STOP:
	case SCRIPT_EOF:
		run->outcome->unhandled = true;
		return 0;
	case SCRIPT_ANSWERED:
	case SCRIPT_UNHANDED:
		return 0;
	}
	abort();
}

/* What of the outcome the state says. */
static void tell(struct run *run)
{
	const struct state *state = &run->state;
	struct script_outcome *outcome = run->outcome;
	bool silent = (state->flags & (STATE_DROPPED | STATE_ENDED)) != 0;

	outcome->framing = state->framing;
	outcome->holds = holds(state);
	outcome->collects = state->now.how == SUSPENDED_COLLECT ||
			    state->below.how == SUSPENDED_COLLECT;
	outcome->owns_end = run->script->manners.ends || silent || outcome->collects ||
			    (state->flags & STATE_SECRET_NEXT) != 0;
	outcome->silent = (state->flags & STATE_DROPPED) != 0 ||
			  run_farewell(run->script) == MARCEL_CLOSE;
	outcome->wake_at = time_of_wake(run);
	outcome->hand = NULL;
	if (state->now.how == SUSPENDED_HAND)
		outcome->hand = &run->script->code[state->now.pc];
	else if (state->below.how == SUSPENDED_HAND)
		outcome->hand = &run->script->code[state->below.pc];
	outcome->hand_is_fresh = outcome->hand_is_fresh && outcome->hand != NULL;
}

/* What happens after `drop`, or after the end. */
static void stay_silent(struct run *run)
{
	bool last = run->event->kind == SCRIPT_STOP || run->event->kind == SCRIPT_EOF;

	if (last || (run->state.flags & STATE_ENDED) != 0)
		run_end(run, MARCEL_CLOSE);
	/* How long it would have been a secret nobody can say any more. */
	if ((run->state.flags & STATE_SECRET_NEXT) != 0)
		run->outcome->secret = true;
}

/* NOLINTNEXTLINE(readability-function-size): a pure function has many parameters. */
int script_run(const struct script *script, void *state, size_t *used,
	       const struct script_event *event, const struct script_world *world,
	       const struct script_output *output, struct script_outcome *ret)
{
	struct run run = {
		.script = script,
		.event = event,
		.world = world,
		.output = output,
		.outcome = ret,
	};
	int r = 0;

	*ret = (struct script_outcome){.verdict = MARCEL_CONTINUE};
	state_load(&run, state, *used);
	if ((run.state.flags & STATE_STARTED) == 0) {
		run.state.flags |= STATE_STARTED;
		time_be_quiet(&run);
		if (script->n_scopes > 0)
			time_start_timers(&run, 0);
		if (run.state.scope != 0)
			time_start_timers(&run, run.state.scope);
	}
	if ((run.state.flags & (STATE_DROPPED | STATE_ENDED)) != 0)
		stay_silent(&run);
	else
		r = script->is_list ? happen_in_list(&run) : happen(&run);
	if ((run.state.flags & (STATE_DROPPED | STATE_ENDED)) != 0)
		drop_courses(&run);
	run.state.flags &= ~STATE_SERIAL_USED;
	if (run.state.now.how == SUSPENDED_ROOM && run.view.serial_is_used)
		run.state.flags |= STATE_SERIAL_USED;
	tell(&run);
	state_store(&run, state, used);
	return r;
}
