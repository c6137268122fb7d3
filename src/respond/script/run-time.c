/*
 * When a script's own time comes: silences (`on idle`), timers (`on every`), rules that wait.
 *
 * Decisions. Of the rules for silence that are due at one moment the one with the longest period
 * runs, of several such the first, the state's before always': so `on idle 5min` closes although
 * `on idle 1min` would speak at that moment, too. What came due several times while nothing could
 * run (the process was stopped, a rule waited) happens once. When a rule has let the client wait, a
 * silence begins anew with its end: it was not the client who was silent. A collect doesn't put off
 * anything, a wait, a drip and a hand do. `goto` enters a state even if it is the present one.
 */
#include "respond/script/run-priv.h"

/* No period is shorter: a script must not keep the processor busy on its own. */
#define PERIOD_MIN USEC_PER_MSEC

static usec_t period_of(const struct rule *rule)
{
	return rule->period > PERIOD_MIN ? rule->period : PERIOD_MIN;
}

void time_start_timers(struct run *run, uint32_t scope)
{
	const struct scope *in = &run->script->scopes[scope];

	for (size_t i = 0; i < in->n_others[RULE_EVERY]; i++) {
		const struct rule *rule = &run->script->rules[in->others[RULE_EVERY][i]];

		if (rule->timer < SCRIPT_TIMERS_MAX)
			run->state.timers[rule->timer] = run_deadline(run, period_of(rule));
	}
}

void time_stop_timers(struct run *run, uint32_t scope)
{
	const struct scope *in = &run->script->scopes[scope];

	for (size_t i = 0; i < in->n_others[RULE_EVERY]; i++) {
		const struct rule *rule = &run->script->rules[in->others[RULE_EVERY][i]];

		if (rule->timer < SCRIPT_TIMERS_MAX)
			run->state.timers[rule->timer] = 0;
	}
}

void time_be_quiet(struct run *run)
{
	run->state.quiet_since = run->world->now;
	run->state.scope_since = run->world->now;
	run->state.idle_done = run->world->now;
}

bool time_may_interrupt(const struct state *state)
{
	return state->now.how == SUSPENDED_NOT ||
	       (state->now.how == SUSPENDED_COLLECT && state->below.how == SUSPENDED_NOT);
}

/* When a rule for a silence that began at SINCE is due next, after DONE. */
static usec_t next_idle(usec_t since, usec_t period, usec_t done)
{
	usec_t behind = done > since ? done - since : 0;

	behind -= behind % period;
	return clock_deadline(clock_deadline(since, behind), period);
}

/* The scopes whose events count: the present state's first. Returns how many. */
static size_t scopes_of(const struct run *run, uint32_t scopes[2])
{
	scopes[0] = run->state.scope;
	scopes[1] = 0;
	return run->state.scope != 0 ? 2 : 1;
}

/* What a search through the rules of time goes by, and what it found. */
struct search {
	usec_t limit; /* due by then */
	const struct rule
		*after; /* those that come before this one are done with, and it; NULL: none */
	size_t after_order;
	const struct rule *best;
	size_t best_order;
	usec_t earliest; /* of all, due or not */
};

/* The order of rules for silence that are due: longer periods first, then as they stand. */
static bool comes_first(const struct rule *a, size_t a_order, const struct rule *b, size_t b_order)
{
	return period_of(a) != period_of(b) ? period_of(a) > period_of(b) : a_order < b_order;
}

static void search_idle(const struct run *run, struct search *search)
{
	uint32_t scopes[2];
	size_t n = scopes_of(run, scopes);
	size_t order = 0;

	search->best = NULL;
	for (size_t s = 0; s < n; s++) {
		const struct scope *in = &run->script->scopes[scopes[s]];
		usec_t since = scopes[s] != 0 ? run->state.scope_since : run->state.quiet_since;

		for (size_t i = 0; i < in->n_others[RULE_IDLE]; i++, order++) {
			const struct rule *rule = &run->script->rules[in->others[RULE_IDLE][i]];
			usec_t due = next_idle(since, period_of(rule), run->state.idle_done);

			if (due < search->earliest)
				search->earliest = due;
			if (due > search->limit ||
			    (search->after != NULL &&
			     !comes_first(search->after, search->after_order, rule, order)))
				continue;
			if (search->best == NULL ||
			    comes_first(rule, order, search->best, search->best_order)) {
				search->best = rule;
				search->best_order = order;
			}
		}
	}
}

static int find_idle(struct run *run, uint32_t *ret_rule)
{
	struct search search = {.limit = run->world->now, .earliest = USEC_NEVER};

	*ret_rule = NONE;
	for (;;) {
		int r;

		search_idle(run, &search);
		if (search.best == NULL)
			break;
		r = when_holds(run, search.best->when);
		if (r < 0)
			return r;
		if (r > 0) {
			*ret_rule = (uint32_t)(search.best - run->script->rules);
			break;
		}
		run_trace(run, TRACE_WHEN, search.best);
		search.after = search.best;
		search.after_order = search.best_order;
	}
	if (search.earliest <= run->world->now)
		run->state.idle_done = run->world->now;
	return 0;
}

/* The rule of the timer that is due first, the state's before always'; NULL if there is none. */
static const struct rule *first_timer(const struct run *run, usec_t limit, usec_t *ret_at)
{
	const struct rule *best = NULL;
	uint32_t scopes[2];
	size_t n = scopes_of(run, scopes);

	*ret_at = USEC_NEVER;
	for (size_t s = 0; s < n; s++) {
		const struct scope *in = &run->script->scopes[scopes[s]];

		for (size_t i = 0; i < in->n_others[RULE_EVERY]; i++) {
			const struct rule *rule = &run->script->rules[in->others[RULE_EVERY][i]];
			usec_t at = rule->timer < SCRIPT_TIMERS_MAX ? run->state.timers[rule->timer]
								    : 0;

			if (at != 0 && at <= limit && at < *ret_at) {
				*ret_at = at;
				best = rule;
			}
		}
	}
	return best;
}

/* Each timer is looked at once, since its next moment is later than now. */
static int find_every(struct run *run, uint32_t *ret_rule)
{
	const struct rule *rule;
	usec_t at;

	while ((rule = first_timer(run, run->world->now, &at)) != NULL) {
		usec_t next = clock_deadline(at, period_of(rule));
		int r;

		run->state.timers[rule->timer] =
			next > run->world->now ? next : run_deadline(run, period_of(rule));
		if (run->state.timers[rule->timer] <= run->world->now)
			run->state.timers[rule->timer] = USEC_NEVER;
		r = when_holds(run, rule->when);
		if (r < 0)
			return r;
		if (r > 0) {
			*ret_rule = (uint32_t)(rule - run->script->rules);
			return 0;
		}
		run_trace(run, TRACE_WHEN, rule);
	}
	*ret_rule = NONE;
	return 0;
}

int time_find_due(struct run *run, uint32_t *ret_rule)
{
	int r = find_every(run, ret_rule);

	return r < 0 || *ret_rule != NONE ? r : find_idle(run, ret_rule);
}

usec_t time_of_wake(const struct run *run)
{
	struct search search = {.earliest = USEC_NEVER};
	usec_t wake_at, at;

	if ((run->state.flags & (STATE_DROPPED | STATE_ENDED)) != 0)
		return 0;
	wake_at = run->state.now.how != SUSPENDED_NOT ? run->state.now.resume_at : USEC_NEVER;
	if (time_may_interrupt(&run->state) && run->script->n_scopes > 0) {
		search_idle(run, &search);
		(void)first_timer(run, USEC_NEVER - 1, &at);
		if (search.earliest < wake_at)
			wake_at = search.earliest;
		if (at < wake_at)
			wake_at = at;
	}
	if (wake_at == USEC_NEVER)
		return 0;
	return wake_at > 0 ? wake_at : 1;
}
