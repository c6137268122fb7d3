/*
 * A conversation that crashes the daemon, in each of the ways it can: the daemon comes back, tries
 * again, and after the third crash ends that conversation; all others go on and lose nothing. One
 * that only looks guilty, because its turn was interrupted, goes on, too.
 */
#include "fatal.h"

#define INNOCENTS 6
/* As often the daemon may die of one conversation. */
#define CRASHES_MAX 3

struct trial {
	struct world world;
	struct client innocents[INNOCENTS];
	int victim;
	int deaths;
	struct text heard; /* by the victim */
};

/* Everything but the victim: a daemon that serves innocents. */
static void begin(struct trial *t, const struct marcel_responder_ops *responder)
{
	*t = (struct trial){.victim = -1};
	memset(fate, 0, sizeof(*fate));
	atomic_store(&fate->deaths_left, -1);
	world_init(&t->world, responder);
	t->world.face.dialogue.framing = FRAMING_AUTO;
	for (size_t i = 0; i < INNOCENTS; i++) {
		t->innocents[i].seed = i + 1;
		t->innocents[i].tcp = true;
		t->innocents[i].hasty = true;
		client_connect(&t->innocents[i], &t->world);
	}
	world_start(&t->world);
	while (!t->world.ready)
		assert_true(go_round(&t->world, t->innocents, INNOCENTS, true) >= 0);
}

static void bring_victim(struct trial *t)
{
	struct sockaddr_in own = {.sin_port = 0};
	socklen_t size = sizeof(own);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET},
			      sizeof(own)),
			 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
	(void)snprintf(fate->victim, sizeof(fate->victim), "%d", ntohs(own.sin_port));
	t->victim = fcntl(fd, F_DUPFD_CLOEXEC, CLIENTS_FROM);
	(void)close(fd);
	assert_int_equal(connect(t->victim, (struct sockaddr *)&t->world.address,
				 sizeof(t->world.address)),
			 0);
}

static void tell(struct trial *t, const char *text)
{
	assert_int_equal(send(t->victim, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* One round of the innocents; brings the daemon back if it has died. */
static void go_on(struct trial *t)
{
	if (go_round(&t->world, t->innocents, INNOCENTS, true) >= 0)
		return;
	t->deaths++;
	assert_int_equal(WTERMSIG(world_reap(&t->world)), SIGKILL);
	atomic_store(&fate->entered, 0);
	assert_true(t->deaths < 2 * CRASHES_MAX);
	world_start(&t->world);
}

/* Whether the victim has heard anything new; *RET_OVER: the end. */
static bool victim_hears(struct trial *t, bool *ret_over)
{
	char bytes[1024];
	ssize_t n = recv(t->victim, bytes, sizeof(bytes), MSG_DONTWAIT);

	*ret_over = n == 0 || (n < 0 && errno != EAGAIN);
	if (n > 0)
		text_add(&t->heard, bytes, (size_t)n);
	return n > 0;
}

static void wait_for_the_end(struct trial *t)
{
	bool over = false;

	while (!over) {
		go_on(t);
		(void)victim_hears(t, &over);
	}
}

static void wait_for(struct trial *t, const char *text)
{
	bool over = false;

	while (t->heard.used < strlen(text)) {
		go_on(t);
		(void)victim_hears(t, &over);
		assert_false(over);
	}
	assert_int_equal(t->heard.used, strlen(text));
	assert_memory_equal(t->heard.bytes, text, strlen(text));
}

static size_t count(const char *text, const char *word)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
		n++;
	return n;
}

/* Lets the innocents finish; exactly LOST conversations were lost on the way. */
static void end(struct trial *t, size_t lost)
{
	int deaths = t->deaths;
	bool quiet = false;
	size_t early = 0;
	char *log = world_log(&t->world);

	for (int i = 0; i < 50; i++)
		go_on(t);
	/* Records take their time. */
	while (count(log, "again and again") < lost) {
		go_on(t);
		free(log);
		log = world_log(&t->world);
	}
	free(log);
	while (!quiet) {
		assert_true(go_round(&t->world, t->innocents, INNOCENTS, false) >= 0);
		quiet = true;
		for (size_t i = 0; i < INNOCENTS; i++)
			quiet = quiet && is_quiet(&t->innocents[i]);
	}
	assert_int_equal(t->deaths, deaths);
	world_kill(&t->world);
	for (size_t i = 0; i < INNOCENTS; i++) {
		early += t->innocents[i].early;
		client_forget(&t->innocents[i]);
	}
	log = world_log(&t->world);
	if (count(log, "could not come along") > lost + early)
		show_log(&t->world);
	assert_int_equal(count(log, "again and again"), lost);
	/* A client that had just come may be lost as well, before it saw anything. */
	assert_true(count(log, "could not come along") <= lost + early);
	free(log);
	text_done(&t->heard);
	(void)close(t->victim);
	world_done(&t->world);
}

/* The victim says FIRST, then WORDS, which kill the daemon until the conversation is ended. */
static void check_guilty(const struct marcel_responder_ops *responder, const char *words)
{
	struct trial t;

	begin(&t, responder);
	bring_victim(&t);
	if (words[0] == '$') {
		tell(&t, "$\n");
		assert_int_equal(shutdown(t.victim, SHUT_WR), 0);
	} else if (words[0] != '\0') {
		tell(&t, words);
	}
	wait_for_the_end(&t);
	assert_int_equal(t.deaths, CRASHES_MAX);
	end(&t, 1);
}

static void test_in_a_message(void **state)
{
	(void)state;
	check_guilty(&plain, "hello\n!\nnever\n");
}

static void test_in_a_message_without_line_end(void **state)
{
	(void)state;
	check_guilty(&plain, "!");
}

static void test_in_a_timer(void **state)
{
	(void)state;
	check_guilty(&plain, "~\n");
}

static void test_at_the_end_of_input(void **state)
{
	(void)state;
	check_guilty(&plain, "$\n");
}

static void test_in_open(void **state)
{
	(void)state;
	check_guilty(&opening, "");
}

/* A state that is restored is no turn that went well. */
static void test_with_a_state_that_is_restored(void **state)
{
	(void)state;
	check_guilty(&restoring, "!\n");
	check_guilty(&restoring, "~\n");
}

/* Here the first crash is the test's own doing. */
static void test_in_restore(void **state)
{
	struct trial t;

	(void)state;
	begin(&t, &refusing);
	bring_victim(&t);
	wait_for(&t, "hello\n");
	world_kill(&t.world);
	world_start(&t.world);
	wait_for_the_end(&t);
	assert_int_equal(t.deaths, CRASHES_MAX);
	end(&t, 1);
}

/* Whoever gets over it is answered once, and starts anew: it may crash as often again. */
static void test_a_passing_fault(void **state)
{
	struct trial t;
	bool over = false;

	(void)state;
	begin(&t, &plain);
	bring_victim(&t);
	atomic_store(&fate->deaths_left, CRASHES_MAX - 1);
	tell(&t, "!\n");
	wait_for(&t, "hello\n1:00000040 !\n");
	assert_int_equal(t.deaths, CRASHES_MAX - 1);
	t.deaths = 0;
	atomic_store(&fate->deaths_left, CRASHES_MAX - 1);
	t.heard.used = 0;
	tell(&t, "!\n");
	while (!over && t.heard.used == 0) {
		go_on(&t);
		(void)victim_hears(&t, &over);
	}
	assert_false(over);
	assert_memory_equal(t.heard.bytes, "2:", 2);
	assert_int_equal(t.deaths, CRASHES_MAX - 1);
	end(&t, 0);
}

/* A slow turn beside a guilty one: it is not in flight again each time the daemon dies. */
static void test_one_after_another(void **state)
{
	struct trial t;

	(void)state;
	begin(&t, &plain);
	bring_victim(&t);
	for (size_t i = 0; i < (size_t)5 * INNOCENTS; i++)
		if (!t.innocents[i % INNOCENTS].ending)
			say(&t.innocents[i % INNOCENTS], "#", 1);
	while (atomic_load(&fate->entered) == 0)
		go_on(&t);
	tell(&t, "^\n");
	wait_for_the_end(&t);
	assert_int_equal(t.deaths, CRASHES_MAX);
	end(&t, 1);
}

/* A turn that an orderly restart interrupts is no crash, however often. */
static void test_restarts_are_no_crashes(void **state)
{
	struct trial t;

	(void)state;
	begin(&t, &plain);
	bring_victim(&t);
	atomic_store(&fate->blocked, true);
	tell(&t, "%\n");
	for (int i = 1; i <= 2 * CRASHES_MAX; i++) {
		while (atomic_load(&fate->entered) < i)
			go_on(&t);
		world_leave(&t.world);
		world_start(&t.world);
	}
	atomic_store(&fate->blocked, false);
	wait_for(&t, "hello\n1:00000044 %\n");
	assert_int_equal(t.deaths, 0);
	end(&t, 0);
}

static int set_up(void **state)
{
	(void)state;
	fate = mmap(NULL, sizeof(*fate), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return fate == MAP_FAILED ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_a_message),
		cmocka_unit_test(test_in_a_message_without_line_end),
		cmocka_unit_test(test_in_a_timer),
		cmocka_unit_test(test_at_the_end_of_input),
		cmocka_unit_test(test_in_open),
		cmocka_unit_test(test_with_a_state_that_is_restored),
		cmocka_unit_test(test_in_restore),
		cmocka_unit_test(test_a_passing_fault),
		cmocka_unit_test(test_one_after_another),
		cmocka_unit_test(test_restarts_are_no_crashes),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
