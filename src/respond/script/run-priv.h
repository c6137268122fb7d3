/*
 * What the files of the interpreter share. run.c lets events happen; run-match.c finds the rule for
 * one; run-act.c performs actions, run-say.c those that say something, run-collect.c those that
 * take messages as data; run-when.c evaluates conditions; run-time.c knows what is due when;
 * state.c checks and moves the state.
 *
 * Functions return 0, or a negative errno. -ENOSPC means that a limit of the conversation's values
 * was passed, which rule_overflow() sees to; others end script_run().
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "respond/script/expand.h"
#include "respond/script/heap.h"
#include "respond/script/number.h"
#include "respond/script/program.h"
#include "respond/script/run.h"

/* Why a rule stands still. Saved: a value never changes its meaning. */
enum suspension {
	SUSPENDED_NOT = 0,
	SUSPENDED_WAIT = 1,    /* it goes on at pc when resume_at has come */
	SUSPENDED_ROOM = 2,    /* the same; instruction pc found no room for what it says */
	SUSPENDED_DRIP = 3,    /* the drip at pc says its next piece at resume_at */
	SUSPENDED_COLLECT = 4, /* the collect at pc takes messages */
	SUSPENDED_HAND = 5,    /* the hand at pc lasts until resume_at */
	SUSPENDED_DRAFT = 6,   /* the hand at pc is over; its draft found no room */
	SUSPENDED_REPLY = 7,   /* a property's value, or reply pc of a list, found no room */
};
#define SUSPENSIONS (SUSPENDED_REPLY + 1)

#define RULE_HAS_MESSAGE 0x01u /* it runs for a message, whose length is message_length */
#define RULE_KEPT        0x02u /* that message is in the heap */
#define RULE_TOOK_TIME   0x04u /* it has let the client wait */
#define RULE_FLAGS       0x07u

/* A rule that is under way. */
struct course {
	uint64_t resume_at; /* CLOCK_MONOTONIC; USEC_NEVER: time alone does not bring it on */
	uint64_t offset;    /* SUSPENDED_DRIP: bytes said */
	uint32_t rule;
	uint32_t pc;
	uint8_t how; /* enum suspension */
	uint8_t flags;
	uint8_t spare[6];
};

#define STATE_STARTED          0x01u /* the first event has been; the times below mean something */
#define STATE_DROPPED          0x02u /* `drop`: nothing is said any more */
#define STATE_ENDED            0x04u /* it was closed */
#define STATE_SECRET_NEXT      0x08u /* the next message is secret */
#define STATE_COLLECT_SECRET   0x10u /* all that the collect takes is */
#define STATE_COLLECT_OVERFLOW 0x20u /* it was too much */
#define STATE_SERIAL_USED      0x40u /* in the event that goes on when there is room */
#define STATE_FLAGS            0x7fu

/*
 * The header of a state; the heap follows it. `now` is the rule under way. An event that comes
 * while it stands still (early, idle during a collect) has its rule run first: then `now` is that,
 * and `below` what goes on afterwards. There is no third.
 */
struct state {
	uint64_t version;
	uint64_t random;
	uint64_t serial;
	uint64_t strikes;
	struct course now;
	struct course below;
	uint64_t quiet_since; /* the client's last message, or what else ends a silence */
	uint64_t scope_since; /* the same, or when the present state was entered */
	uint64_t idle_done;   /* what was due by then has been */
	uint64_t timers[SCRIPT_TIMERS_MAX]; /* when `on every` is due; 0: not under way */
	struct marcel_framing framing;      /* of the next message */
	struct marcel_framing former;       /* what it is again after a collect */
	uint64_t collected;                 /* bytes so far */
	uint64_t missing;                   /* COLLECT_BYTES: bytes still to come */
	uint64_t message_length;
	uint32_t scope;
	uint32_t flags;
};
static_assert(sizeof(struct state) <= 512, "most of a state is for values");

/* What the interpreter itself keeps in the heap has ids behind those of the variables. */
#define HEAP_OWN_VALUES 3
static inline uint32_t kept_message(const struct script *script)
{
	return (uint32_t)script->n_variables;
}
static inline uint32_t kept_drip(const struct script *script, const struct state *state)
{
	return (uint32_t)script->n_variables + 1 + (state->below.how != SUSPENDED_NOT);
}

/* So many rules that were given up for one message are told. */
#define STOPPED_MAX 4

/* One call of script_run(). */
struct run {
	const struct script *script;
	const struct script_event *event;
	const struct script_world *world;
	const struct script_output *output;
	struct script_outcome *outcome;
	struct state state; /* a copy, put back in the end */
	struct heap heap;   /* in place */
	struct view view;
	const struct rule *rule; /* the one under way, or NULL */
	bool has_event_message;  /* it runs for the message of this very event */
	uint64_t message_length;
	uint32_t stopped[STOPPED_MAX]; /* to be told once it is known whether the message is secret
					*/
	size_t n_stopped;
	bool hurried; /* stop or eof: nothing is waited for */
};

/* state.c. Loads the state into RUN, and puts it back. */
void state_load(struct run *run, void *bytes, size_t used);
void state_store(const struct run *run, void *bytes, size_t *ret_used);

/* run.c. Ends the conversation. */
void run_end(struct run *run, enum marcel_verdict verdict);
/* The verdict for an end with the daemon's farewell: `end none` forbids it. */
enum marcel_verdict run_farewell(const struct script *script);
void run_note(const struct run *run, enum script_note note, const char *text, size_t length);
/* Tells the rules that were given up. */
void run_note_stopped(struct run *run);
void run_trace(const struct run *run, enum script_trace trace, const struct rule *rule);
/* Enters state SCOPE: its timers begin. */
void run_enter(struct run *run, uint32_t scope);
/* The framing of the next message that no collect takes. */
void run_set_framing(struct run *run, const struct marcel_framing *framing);

/* run-match.c. Answers the message of the event. */
int match_message(struct run *run);
/* Finds the first rule of KIND whose condition holds: the state's, then always'. *RET_RULE is NONE
 * if there is none. */
int match_event(struct run *run, enum rule_kind kind, uint32_t *ret_rule);
/* Says the property that rule INDEX gets. */
int match_say_property(struct run *run, uint32_t index);

/* run-act.c. Begins rule RULE; what is under way is put below. */
int rule_begin(struct run *run, uint32_t rule, bool has_message);
/* Goes on with the rule under way at PC, until it is done or stands still. */
int rule_go_on(struct run *run, uint32_t pc);
/* It stands still at PC, for the reason HOW, until RESUME_AT. */
int rule_suspend(struct run *run, enum suspension how, uint32_t pc, usec_t resume_at);
/* The rule under way, or the answer to a message, passed a limit: `on overflow` instead. */
int rule_overflow(struct run *run);
/* Goes on with the rule that was suspended, now that its time has come. */
int rule_resume(struct run *run);
/* Forgets the rule under way; what was below goes on. */
void rule_done(struct run *run);
/* The hand under way is over; with an answer, or without one. */
int rule_answered(struct run *run);
int rule_unanswered(struct run *run, bool nobody_there);

/* What became of an instruction. */
enum step {
	STEP_NEXT,    /* on with the next */
	STEP_END,     /* the rule is done */
	STEP_ROOM,    /* no room for what it says: once more later */
	STEP_SUSPEND, /* the rule is suspended already */
};

/* run-say.c: what of instructions says something; they return an enum step or a negative errno. */
int say_line(struct run *run, const char *text, size_t length);
int say_text(struct run *run, const struct text *text, bool stuff, bool line);
int say_log(struct run *run, const struct text *text);
/* The draft of HAND: as it was kept when the hand began, if it was. */
int say_draft(struct run *run, const struct instruction *hand);
/* Whether TEXT is always the same. */
bool text_never_changes(const struct text *text);
/* Drips what is left from OFFSET on; BEGINS: for the first time. */
int say_drip(struct run *run, uint32_t pc, uint64_t offset, bool begins);

/* run-collect.c: an enum step or a negative errno / a message of the collect under way. */
int collect_begin(struct run *run, uint32_t pc);
int collect_message(struct run *run);
/* A message of it was too long. */
void collect_too_long(struct run *run);

/* run-when.c: 1 if expression INDEX holds (NONE always does), 0 or a negative errno. */
int when_holds(struct run *run, uint32_t index);
/* TEXT without copying if that is possible, else by way of TO. */
int text_span(struct run *run, const struct text *text, struct expansion *to, struct span *ret);

/* run-time.c. Sets `on every` of SCOPE going, or still. */
void time_start_timers(struct run *run, uint32_t scope);
void time_stop_timers(struct run *run, uint32_t scope);
/* A silence begins. */
void time_be_quiet(struct run *run);
/* Finds the rule that is due, marks it as done, NONE if there is none. */
int time_find_due(struct run *run, uint32_t *ret_rule);
/* When SCRIPT_TIME is to come; 0: never. */
usec_t time_of_wake(const struct run *run);
/* Whether an event may have its rule run over what is under way. */
bool time_may_interrupt(const struct state *state);

static inline usec_t run_deadline(const struct run *run, usec_t duration)
{
	return clock_deadline(run->world->now, duration);
}
