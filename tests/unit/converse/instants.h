/*
 * Plays a script (script.h) in a child, one instruction at a time, and looks at the slot after each
 * of them: what commit.c checks, and how.
 */
#pragma once

#include <linux/sockios.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "../steps.h"
#include "converse/conversation.h"
#include "converse/endword.h"
#include "converse/table.h"
#include "converse/watch.h"
#include "handover/counters.h"
#include "handover/snapshot.h"
#include "script.h"

/* One run of a script. */
struct run {
	const struct script *script;
	struct pair pair;
	bool peeks;
	struct table table;
	struct snapshot_layout layout;
	size_t at;     /* the point seen last */
	size_t pieces; /* sent */
	uint64_t sent; /* bytes of them */
	bool ended;
	uint64_t steps;
};

static char greeting[] = "hello";
static char farewell[] = "fin";
static char too_long[] = "too long";
static char nothing[] = "";

/* What is looked at after every instruction. */

/* Who answers, who is suspended, and with what. */
static inline bool has_responders(const struct snapshot *s, const struct point *point)
{
	if (!point->taken)
		return s->turn.tail == 0 && strcmp(s->responder, "tally") == 0;
	return strcmp(s->responder, "other") == 0 && strcmp(s->below, "tally") == 0 &&
	       memcmp(s->state + MARCEL_STATE_MAX - s->turn.tail, &point->below,
		      sizeof(point->below)) == 0;
}

static inline bool is_at(const struct snapshot *s, const struct point *point)
{
	return has_responders(s, point) && s->turn.in_taken == point->in_taken &&
	       s->turn.out_end == point->out_end && s->turn.phase == point->phase &&
	       memcmp(s->state, &point->tally, sizeof(point->tally)) == 0;
}

static inline int ioctl_number(int fd, unsigned long request)
{
	int number = 0;

	assert_int_equal(ioctl(fd, request, &number), 0);
	return number;
}

/* What a unix socket tells: how much was taken out, or is noted and still to be taken out. */
static inline void count_unix(const struct run *run, const struct snapshot *s, struct counters *ret)
{
	uint64_t taken = run->sent - (uint64_t)ioctl_number(run->pair.server, SIOCINQ);
	uint64_t left = s->in_read - s->in_consumed;
	int ahead = 0;
	socklen_t size = sizeof(ahead);

	assert_int_equal(getsockopt(run->pair.server, SOL_SOCKET, SO_PEEK_OFF, &ahead, &size), 0);
	assert_true(ahead >= 0);
	/* The rule of resume.c: noted but not taken out, if the kernel is ahead by as much. */
	if ((uint64_t)ahead >= left)
		taken += left;
	if (s->turn.phase < PHASE_LINGER)
		assert_int_equal(taken, s->in_read);
	*ret = (struct counters){
		.connected = true,
		.read = taken,
		.written = (uint64_t)ioctl_number(run->pair.client, SIOCINQ),
	};
}

static inline void check_streams(const struct run *run, const struct snapshot *s,
				 const struct counters *kernel)
{
	const struct script *script = run->script;

	assert_true(s->out_sent <= kernel->written);
	assert_in_range(kernel->written, s->turn.out_base, s->turn.out_end);
	assert_memory_equal(s->out + (kernel->written - s->turn.out_base),
			    script->out.bytes + kernel->written, s->turn.out_end - kernel->written);
	if (s->turn.phase == PHASE_LINGER)
		return;
	assert_true(s->in_read <= kernel->read);
	assert_true(s->turn.in_taken <= s->in_read);
	assert_true(kernel->read - s->turn.in_base <= slot_in_room(&s->turn));
	assert_memory_equal(s->in + (s->turn.in_taken - s->turn.in_base),
			    script->in.bytes + s->turn.in_taken, kernel->read - s->turn.in_taken);
}

static inline void look(struct run *run, struct counters *ret_kernel)
{
	const struct point *points = run->script->points;
	struct snapshot s;

	run->steps++;
	assert_int_equal(snapshot_read_slot(&run->layout, run->table.header, 0, &s), 1);
	if (!is_at(&s, &points[run->at])) {
		run->at++;
		if (run->at == run->script->n_points || !is_at(&s, &points[run->at])) {
			print_error("step %" PRIu64 ", point %zu: taken %" PRIu64 ", out %" PRIu64
				    ", phase %u, count %" PRIu64 "\n",
				    run->steps, run->at, s.turn.in_taken, s.turn.out_end,
				    s.turn.phase,
				    ((const struct tally *)(const void *)s.state)->count);
			fail_msg("a turn that the dialogue does not have");
		}
	}
	if (run->peeks)
		count_unix(run, &s, ret_kernel);
	else
		assert_int_equal(counters_read(run->pair.server, ret_kernel), 0);
	if (ret_kernel->connected)
		check_streams(run, &s, ret_kernel);
}

/* The client goes on as soon as what it sent was read and the script says so. */
static inline void feed(struct run *run, const struct counters *kernel)
{
	const struct script *script = run->script;

	if (kernel->read != run->sent || run->ended)
		return;
	if (run->pieces < script->n_pieces && run->at >= script->pieces[run->pieces].after) {
		size_t length = script->pieces[run->pieces].end - run->sent;

		assert_int_equal(send(run->pair.client, script->in.bytes + run->sent, length, 0),
				 length);
		run->sent += length;
		run->pieces++;
	}
	if (run->pieces == script->n_pieces && (script->ends || run->at == script->n_points - 1)) {
		assert_int_equal(shutdown(run->pair.client, SHUT_WR), 0);
		run->ended = true;
	}
}

/* The child. */

static struct slot_head *watched;
static struct watch *watch;

/* An operator who wants the conversation, or wants it to go back, when MESSAGE says so. */
static inline void operate(const char *message, size_t length)
{
	struct wish take = {.kind = WISH_TAKE, .ticket = 1, .responder = "other"};
	struct wish give = {.kind = WISH_GIVE, .ticket = 1, .responder = "tally"};

	if (length != 4)
		return;
	if (memcmp(message, "take", 4) == 0 && watch_wish(watch, watched->number, &take) < 0)
		_exit(8);
	if (memcmp(message, "give", 4) == 0 && watch_wish(watch, watched->number, &give) < 0)
		_exit(8);
}

/* A responder is only ever asked with its turn in flight. */
static inline int respond(struct marcel_conversation *conversation, const char *message,
			  size_t length, struct marcel_sink *sink)
{
	if (atomic_load(&watched->in_flight) != 1)
		_exit(9);
	operate(message, length);
	return tally_respond(conversation, message, length, sink);
}

static inline int wake(struct marcel_conversation *conversation, enum marcel_wake reason,
		       struct marcel_sink *sink)
{
	if (atomic_load(&watched->in_flight) != 1)
		_exit(9);
	return tally_wake(conversation, reason, sink);
}

static const struct marcel_responder_ops responder = {
	.abi = MARCEL_RESPONDER_ABI,
	.name = "tally",
	.state_size = sizeof(struct tally),
	.state_version = 1,
	.respond = respond,
	.wake = wake,
};

/* Who takes conversations; its state is larger than what it uses. */
static const struct marcel_responder_ops other = {
	.abi = MARCEL_RESPONDER_ABI,
	.name = "other",
	.state_size = sizeof(struct tally) + 100,
	.state_version = 1,
	.respond = respond,
	.wake = wake,
};

static inline _Noreturn void converse(const struct run *run)
{
	static char *end_words[] = {farewell};
	static struct marcel_loaded loaded[] = {{.ops = &responder},
						{.ops = &other},
						{.ops = NULL}};
	const struct face face = {
		.name = nothing,
		.dialogue =
			{
				.greeting = greeting,
				.farewell = farewell,
				.end_words = end_words,
				.n_end_words = 1,
				.raw_pause = USEC_PER_MSEC,
				.message_max = 65536,
				.idle_timeout = 20 * USEC_PER_SEC,
				.too_long = too_long,
			},
		.responder = &responder,
		.loaded = loaded,
	};
	struct conversation c = {
		.slot = table_slot(&run->table, 0),
		.origin = {.face = &face},
		.responder = &responder,
		.framer = {.message_max = 65536, .mode = run->script->mode},
	};

	watched = c.slot.head;
	wire_init_signal();
	wire_init(&c.wire, run->pair.server, false);
	c.wire.peeks = run->peeks;
	if (watch_new(1, &watch) < 0)
		_exit(7);
	c.watch = watch;
	watch_begin(watch, &c);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(3);
	(void)raise(SIGSTOP);
	conversation_run(&c);
	_exit(atomic_load(&watched->in_flight) != 0);
}

/* Slot 0 as roster_begin() fills it. */
static inline void fill_slot(struct run *run)
{
	struct slot slot = table_slot(&run->table, 0);

	(void)snprintf(slot.near->card.peer, sizeof(slot.near->card.peer), "a client");
	(void)snprintf(slot.near->card.responder, sizeof(slot.near->card.responder), "tally");
	slot.head->number = 1;
	slot.head->turn[0].state_version = 1;
	slot.head->turn[0].state_size = sizeof(struct tally);
	slot.head->turn[0].mode = (uint8_t)run->script->mode;
	atomic_store(&slot.head->stage, STAGE_LIVE);
}

static inline void check_all_was_said(const struct run *run)
{
	const struct text *out = &run->script->out;
	struct text said = {.bytes = NULL};
	char bytes[4096];
	ssize_t n;

	while ((n = recv(run->pair.client, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		text_add(&said, bytes, (size_t)n);
	assert_int_equal(n, 0);
	assert_int_equal(said.used, out->used);
	assert_memory_equal(said.bytes, out->bytes, out->used);
	text_done(&said);
}

/* Plays SCRIPT on PAIR, which is used up. */
static inline void play(const struct script *script, struct pair pair, bool peeks)
{
	const int from_the_start = 0;
	struct run run = {.script = script, .pair = pair, .peeks = peeks};
	struct counters kernel = {.connected = false};
	int status;
	pid_t child;

	if (!STEPS_ARE_OURS)
		skip();
	if (peeks)
		assert_int_equal(setsockopt(pair.server, SOL_SOCKET, SO_PEEK_OFF, &from_the_start,
					    sizeof(from_the_start)),
				 0);
	assert_int_equal(table_init(&run.table, 1), 0);
	assert_int_equal(snapshot_read_header(run.table.header, sizeof(*run.table.header),
					      run.table.size, &run.layout),
			 0);
	fill_slot(&run);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		converse(&run);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status))
		skip(); /* nobody may trace here */
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_EXITKILL), 0);
	do {
		look(&run, &kernel);
		feed(&run, &kernel);
	} while (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0 &&
		 waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(run.at, script->n_points - 1);
	check_all_was_said(&run);
	print_message("%zu turns, %" PRIu64 " instructions\n", script->n_points, run.steps);
	table_done(&run.table);
	close_pair(pair);
}
