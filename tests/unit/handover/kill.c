/*
 * SIGKILL at every moment, thousands of times: clients talk to a daemon (daemon.h) that is killed,
 * or now and then restarted in good order, while it greets, reads, answers, sends, ends, cleans its
 * vault or takes over what the one before it left. After each death every byte must be accounted
 * for (audit.h); in the end each client has heard exactly what it had to.
 */
#include <errno.h>
#include <time.h>

#include "audit.h"

#define CLIENTS 12

/* As many starts in a row may be interrupted before READY without the table being given up. */
#define EARLY_KILLS_MAX 3

struct trial {
	struct world world;
	struct client clients[CLIENTS];
	uint64_t seed;
	unsigned early_kills;
	bool calm; /* some turn was interrupted twice: a third time would look like its own fault */
	uint64_t conversations; /* seen by audits */
	uint64_t taken;         /* of these: from their responder */
};

static const struct marcel_responder_ops responder = TALLY_RESPONDER;

static int hold(struct marcel_conversation *conversation)
{
	conversation->holds = true;
	return 0;
}

static int never(struct marcel_conversation *conversation, const char *message, size_t length,
		 struct marcel_sink *sink)
{
	(void)conversation;
	(void)message;
	(void)length;
	(void)sink;
	abort();
}

/* Nothing wakes it but the end of input, which it leaves to marceld. Who holds must have this. */
static int sleep_on(struct marcel_conversation *conversation, enum marcel_wake reason,
		    struct marcel_sink *sink)
{
	(void)conversation;
	(void)reason;
	(void)sink;
	return -ENOSYS;
}

/* Whom an operator takes conversations for: no client ever notices. */
static const struct marcel_responder_ops taker = {
	.abi = MARCEL_RESPONDER_ABI,
	.name = "taker",
	.state_size = MARCEL_STATE_MAX - 512,
	.state_begin = 16,
	.open = hold,
	.respond = never,
	.wake = sleep_on,
};

/* Lets some time pass that no event tells: up to MOST microseconds. */
static void hesitate(uint64_t *seed, usec_t most)
{
	usec_t until = clock_now() + at_random(seed) % most;

	while (clock_now() < until)
		;
}

static void begin(struct trial *t, size_t n_tcp)
{
	*t = (struct trial){.seed = 88172645463325252u};
	world_init(&t->world, &responder);
	for (size_t i = 0; i < CLIENTS; i++) {
		t->clients[i].seed = i + 1;
		t->clients[i].tcp = i < n_tcp;
		t->clients[i].slow = i % 4 == 3;
		client_connect(&t->clients[i], &t->world);
	}
}

static void converse(struct trial *t, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++)
		assert_true(go_round(&t->world, t->clients, CLIENTS, true) >= 0);
}

static bool all_quiet(const struct trial *t)
{
	for (size_t i = 0; i < CLIENTS; i++)
		if (!is_quiet(&t->clients[i]))
			return false;
	return true;
}

/* Until everybody has heard everything. */
static void finish_all(struct trial *t)
{
	while (!all_quiet(t))
		assert_true(go_round(&t->world, t->clients, CLIENTS, false) >= 0);
}

/* Everybody has a turn, which forgives what was counted before, if it goes well. */
static void say_more(struct trial *t)
{
	for (size_t i = 0; i < CLIENTS; i++)
		if (has_breath(&t->clients[i]))
			say_something(&t->clients[i]);
}

/* One life of the daemon, longer or shorter. */
static void live(struct trial *t, bool killed)
{
	uint64_t chance = at_random(&t->seed);
	struct audit audit;

	/* Now and then the table is too small or too large, and is moved. */
	t->world.capacity = chance % 8 == 0 ? 40 : 32;
	t->world.takes = !t->calm;
	world_start(&t->world);
	if (t->calm) {
		say_more(t);
		finish_all(t);
		/* With nobody who had something to say, that is at once: too early once more. */
		while (!t->world.ready)
			assert_true(go_round(&t->world, t->clients, CLIENTS, false) >= 0);
	} else if (killed && t->world.n_stored >= 3 && chance % 5 == 0 &&
		   t->early_kills < EARLY_KILLS_MAX) {
		hesitate(&t->seed, 4000);
	} else {
		do
			converse(t, 1);
		while (!t->world.ready);
		converse(t, (unsigned)(chance / 64 % 30));
		hesitate(&t->seed, 300);
	}
	if (killed)
		world_kill(&t->world);
	else
		world_leave(&t->world);
	t->early_kills = t->world.ready ? 0 : t->early_kills + 1;
	audit = audit_all(&t->world, t->clients, CLIENTS, killed);
	t->conversations += audit.conversations;
	t->taken += audit.taken;
	t->calm = audit.crashes >= 2;
}

/* Everybody hears the rest, and the log has no loss but of those who had seen nothing yet. */
static void end(struct trial *t, const char *what)
{
	uint64_t served = 0, answers = 0, early = 0, repeated = 0, lost = 0;
	char *log;

	world_start(&t->world);
	finish_all(t);
	world_kill(&t->world);
	for (size_t i = 0; i < CLIENTS; i++) {
		served += t->clients[i].served;
		answers += t->clients[i].answers + t->clients[i].tally.count;
		early += t->clients[i].early;
		repeated += t->clients[i].repeated;
		assert_true(!t->clients[i].tcp || t->clients[i].repeated == 0);
		client_forget(&t->clients[i]);
	}
	log = world_log(&t->world);
	for (const char *at = log; (at = strstr(at, "could not come along")) != NULL; at++)
		lost++;
	print_message("%s: %" PRIu64 " conversations left behind were whole; %" PRIu64
		      " messages answered, %" PRIu64 " dialogues ended, %" PRIu64
		      " clients gone before their greeting, %" PRIu64 " bytes repeated\n",
		      what, t->conversations, answers, served, early, repeated);
	if (lost > early)
		print_error("%s\n", log);
	assert_true(lost <= early);
	free(log);
	world_done(&t->world);
}

static void test_killed(void **state)
{
	unsigned times = repeat(3000);
	struct trial t;

	(void)state;
	begin(&t, CLIENTS);
	for (unsigned i = 0; i < times; i++)
		live(&t, true);
	end(&t, "killed");
}

static void test_killed_or_restarted(void **state)
{
	unsigned times = repeat(1500);
	struct trial t;

	(void)state;
	begin(&t, CLIENTS / 2);
	for (unsigned i = 0; i < times; i++)
		live(&t, at_random(&t.seed) % 2 == 0);
	end(&t, "killed or restarted");
}

/* Conversations that are taken and given back all the while. */
static void test_killed_while_taken(void **state)
{
	static struct marcel_loaded loaded[] = {{.ops = &responder},
						{.ops = &taker},
						{.ops = NULL}};
	unsigned times = repeat(1500);
	struct trial t;

	(void)state;
	begin(&t, CLIENTS / 2);
	t.world.face.loaded = loaded;
	t.world.taker = taker.name;
	for (unsigned i = 0; i < times; i++)
		live(&t, at_random(&t.seed) % 4 != 0);
	t.world.takes = false;
	print_message("%" PRIu64 " conversations had been taken\n", t.taken);
	assert_true(t.taken > 0);
	end(&t, "killed while taken");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_killed_or_restarted),
		cmocka_unit_test(test_killed_while_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
