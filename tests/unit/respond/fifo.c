/*
 * The fifo responder, with a channel that is none: what it makes of messages, orders and time.
 */
#include <errno.h>

#include "fifo-held.h"
#include "respond/echo.h"
#include "respond/fifo-priv.h"
#include "respond/operator/channel.h"

#define ABSENT "Personne n'est là pour l'instant ; votre message est gardé."

static void test_answers(void **state)
{
	(void)state;
	ask("Bonjour");
	fake_expect("show 1 1\nmessage #1 Bonjour\n");
	assert_int_equal(fake.c.waiting, 1);
	assert_int_equal(fake_obey("Bonjour à vous\n"), MARCEL_CONTINUE);
	fake_expect("out S #1 Bonjour à vous\nsent Bonjour à vous\nshow 1 0\n");
	fake_expect_said("Bonjour à vous\n");
	assert_int_equal(fake.c.waiting, 0);
	assert_int_equal(fake.c.wake_at, 0);
	/* Unasked, and several. */
	assert_int_equal(fake_obey("a\n\n//b\n/#c\n"), MARCEL_CONTINUE);
	fake_expect("out S #1 a\nsent a\nout S #1 \nsent \nout S #1 /b\nsent /b\n"
		    "out S #1 #c\nsent #c\n");
	fake_expect_said("a\n\n/b\n#c\n");
}

static void test_turns(void **state)
{
	(void)state;
	ask("a");
	ask("b");
	ask("c");
	fake_expect("show 1 1\nmessage #1 a\nshow 2 1\nmessage #2 b\nshow 3 1\nmessage #3 c\n");
	(void)fake_obey("#2 for b\n#2 once more\n#4 too early\n");
	fake_expect("out S #2 for b\nsent #2 for b\n"
		    "refused #2 not-open: once more\nnote refused #2 not-open: once more\n"
		    "refused #4 not-open: too early\nnote refused #4 not-open: too early\n");
	fake_expect_said("for b\n");
	assert_int_equal(fake.c.waiting, 1);
	(void)fake_obey("#1\n");
	fake_expect("out S #1 \nsent #1 \nshow 3 3\n");
	(void)fake_obey("all\n#3 late\n");
	fake_expect("out S #3 all\nsent all\nshow 3 0\n"
		    "refused #3 not-open: late\nnote refused #3 not-open: late\n");
}

/* A script gets the word back after each. */
static void test_one_a_turn(void **state)
{
	(void)state;
	assert_int_equal(fake_write("/note first\na\nb\n"), 1);
	assert_int_equal(fake_wake(MARCEL_WAKE_READY), MARCEL_CONTINUE);
	fake_expect_said("a\n");
	assert_int_equal(fake.c.wake_at, fake_now);
	assert_int_equal(fake_wake(MARCEL_WAKE_TIMER), MARCEL_CONTINUE);
	fake_expect_said("b\n");
	assert_int_equal(fake.c.wake_at, 0);
	fake_expect("note log first\ndone /note first\nout S #0 a\nsent a\nout S #0 b\nsent b\n");
}

static void test_refused(void **state)
{
	(void)state;
	(void)fake_obey("/x\n#0 a\n/give nobody\n/give fifo\n/close now\n/note\n");
	fake_expect(
		"refused unknown-order: /x (there is /done, /close, /reset, /give NAME, /note TEXT)\n"
		"note refused unknown-order: /x (there is /done, /close, /reset, /give NAME, /note TEXT)\n"
		"refused malformed: #0 a\nnote refused malformed: #0 a\n"
		"refused no-responder: /give nobody\nnote refused no-responder: /give nobody\n"
		"refused no-responder: /give fifo\nnote refused no-responder: /give fifo\n"
		"refused malformed: /close now\nnote refused malformed: /close now\n"
		"refused malformed: /note\nnote refused malformed: /note\n");
	fake_expect_said("");
}

static const struct marcel_loaded loaded[] = {{&echo_responder, NULL}, {NULL, NULL}};

static void test_slashes(void **state)
{
	(void)state;
	assert_int_equal(fake_obey("/close\nleft\n"), MARCEL_FAREWELL);
	fake_expect("done /close\n");
	/* What is left is none of the next one's. */
	fake_close("end-word", NULL);
	fake_expect("refused no-conversation: left\nclose end-word\n");
	assert_int_equal(fake.refused, 1);
	assert_int_equal(fake.obeyed, 1);
	assert_int_equal(fake_open(&fifo_responder, shared), 0);
	assert_int_equal(fake_obey("/reset\n"), MARCEL_RESET);
	/* There is one only for whom it was taken from. */
	fake.c.loaded = loaded;
	assert_int_equal(fake_order(0, "/give script"), -ESRCH);
	fake.c.suspended = "script";
	assert_int_equal(fake_order(0, "/give scrip"), -ESRCH);
	assert_int_equal(fake_obey("/give script\n"), MARCEL_GIVE);
	assert_string_equal(fake.c.give_to, "script");
	assert_int_equal(fake_obey("/give  echo \n"), MARCEL_GIVE);
	assert_string_equal(fake.c.give_to, "echo");
	fake_expect("make fifo\nshow 0 0\ndone /reset\n"
		    "refused no-responder: /give script\nnote refused no-responder: /give script\n"
		    "refused no-responder: /give scrip\nnote refused no-responder: /give scrip\n"
		    "done /give script\ndone /give  echo \n");
	assert_int_equal(fake_write("left\n"), 1);
	fake_close(NULL, "echo");
	fake_expect("refused not-held: left\nleft echo\n");
}

/* Some messages want no answer. */
static void test_done(void **state)
{
	(void)state;
	(void)fake_obey("/done\n");
	fake_expect("done /done\n");
	ask("a");
	ask("b");
	ask("merci");
	fake.log[0] = '\0';
	assert_int_equal(fake_order(0, "/done 2"), MARCEL_CONTINUE);
	assert_int_equal(fake_order(0, "/done 2"), -ESTALE);
	fake_expect("done /done 2\nrefused #2 not-open: /done 2\nnote refused #2 not-open: "
		    "/done 2\n");
	assert_int_equal(fake.c.waiting, 1);
	assert_true(fake.c.wake_at > fake_now);
	/* The other one may have been handed over, and goes on before what comes next is said. */
	assert_int_equal(fake_write("/done\nleft\n"), 1);
	assert_int_equal(fake_wake(MARCEL_WAKE_READY), MARCEL_CONTINUE);
	fake_expect("done /done\nshow 3 0\n");
	fake_expect_said("");
	assert_int_equal(fake.c.waiting, 0);
	assert_int_equal(fake.c.wake_at, fake_now);
	assert_int_equal(fake_wake(MARCEL_WAKE_TIMER), MARCEL_CONTINUE);
	fake_expect("out S #3 left\nsent left\n");
	fake_expect_said("left\n");
	(void)fake_pass(SECONDS(1000));
	fake_expect("");
	/* Who was told that nobody is there is told so again. */
	ask("c");
	(void)fake_pass(SECONDS(30));
	fake_expect_said(ABSENT "\n");
	(void)fake_obey("/done 4\n");
	ask("d");
	(void)fake_pass(SECONDS(30));
	fake_expect_said(ABSENT "\n");
}

static void test_absent(void **state)
{
	(void)state;
	(void)fake_pass(SECONDS(100));
	fake_expect("");
	ask("a");
	(void)fake_pass(SECONDS(10));
	ask("b");
	fake_expect("show 1 1\nmessage #1 a\nshow 2 1\nmessage #2 b\n");
	(void)fake_pass(SECONDS(20) - 1);
	fake_expect("");
	(void)fake_pass(1);
	fake_expect("out S #2 " ABSENT "\nabsent #1\n");
	fake_expect_said(ABSENT "\n");
	assert_int_equal(fake.c.waiting, 1);
	/* Once, whatever comes. */
	ask("c");
	(void)fake_pass(SECONDS(1000));
	fake_expect("show 3 1\nmessage #3 c\n");
	/* Who is there after all answers one, and goes: the others know it already. */
	(void)fake_obey("#1 yes\n");
	(void)fake_pass(SECONDS(1000));
	fake_expect("out S #1 yes\nsent #1 yes\nshow 3 2\n");
	ask("d");
	(void)fake_pass(SECONDS(30));
	fake_expect("show 4 2\nmessage #4 d\nout S #4 " ABSENT "\nabsent #2\n");
}

/* Who answers one of two in time has so much time again for the other. */
static void test_not_absent(void **state)
{
	(void)state;
	ask("a");
	ask("b");
	(void)fake_pass(SECONDS(29));
	(void)fake_obey("#1 yes\n");
	fake.log[0] = '\0';
	(void)fake_pass(SECONDS(30) - 1);
	fake_expect("");
	(void)fake_obey("both\n");
	fake.log[0] = '\0';
	(void)fake_pass(SECONDS(1000));
	fake_expect("");
}

static void test_never_absent(void **state)
{
	const struct marcel_setting settings[] = {{"absent_after", "infinity", 1}};
	const struct marcel_setting silent[] = {{"absent_reply", "", 1}};
	void *other;

	(void)state;
	assert_int_equal(load(settings, 1, &other), 0);
	assert_int_equal(fake_open(&fifo_responder, other), 0);
	ask("a");
	assert_int_equal(fake.c.wake_at, 0);
	fifo_responder.unload(other);
	assert_int_equal(load(silent, 1, &other), 0);
	assert_int_equal(fake_open(&fifo_responder, other), 0);
	ask("a");
	fake.log[0] = '\0';
	(void)fake_pass(SECONDS(30));
	fake_expect("absent #1\n");
	fake_expect_said("");
	fifo_responder.unload(other);
}

/* What the client's framing has no room for is refused, and ends nothing. */
static void test_wide(void **state)
{
	char wide[301];
	const struct marcel_setting settings[] = {{"absent_reply", wide, 1}};
	static const char draft[] = "refused too-long: xxx";
	void *other;

	(void)state;
	(void)memset(wide, 'x', sizeof(wide) - 1);
	wide[sizeof(wide) - 1] = '\0';
	assert_int_equal(load(settings, 1, &other), 0);
	assert_int_equal(fake_open(&fifo_responder, other), 0);
	fake.prefix = 1;
	ask("a");
	fake.log[0] = '\0';
	assert_int_equal(fake_pass(SECONDS(30)), MARCEL_CONTINUE);
	assert_int_equal(strncmp(fake.log, draft, sizeof(draft) - 1), 0);
	assert_non_null(strstr(fake.log, "\nabsent #1\n"));
	assert_int_equal(fake.c.wake_at, 0);
	fake_close("idle", NULL);
	/* A draft; the client waits for the operator then. */
	fake.prefix = 0;
	assert_int_equal(fake_open(&fifo_responder, other), 0);
	fake.c.draft = wide;
	fake.c.draft_length = sizeof(wide) - 1;
	fake.c.draft_until = fake_now + SECONDS(5);
	((struct fifo_state *)(void *)fake.state)->flags = FLAG_DRAFT;
	fake.prefix = 1;
	ask("a");
	fake.log[0] = '\0';
	assert_int_equal(fake_pass(SECONDS(5)), MARCEL_CONTINUE);
	assert_int_equal(strncmp(fake.log, draft, sizeof(draft) - 1), 0);
	assert_int_equal(fake.c.waiting, 1);
	assert_int_equal(fake.c.wake_at, fake_now + SECONDS(30));
	fifo_responder.unload(other);
}

static void test_unfinished(void **state)
{
	(void)state;
	assert_int_equal(fake_write("begun"), 1);
	assert_int_equal(fake_wake(MARCEL_WAKE_READY), MARCEL_CONTINUE);
	assert_int_equal(fake.c.wake_at, fake_now + SECONDS(2));
	(void)fake_pass(SECONDS(2));
	fake_expect("refused unfinished: begun\nnote refused unfinished: begun\n");
	assert_int_equal(fake.c.wake_at, 0);
	(void)fake_obey(" and more\n");
	fake_expect("refused unfinished:  and more\n");
	(void)fake_obey("be");
	(void)fake_pass(SECONDS(1));
	(void)fake_obey("gun\n");
	fake_expect("out S #0 begun\nsent begun\n");
	assert_int_equal(fake.c.wake_at, 0);
}

/* The end comes before that of a line. */
static void test_unfinished_at_the_end(void **state)
{
	(void)state;
	assert_int_equal(fake_write("whole\nbegun"), 1);
	fake_close("stop", NULL);
	fake_expect("refused no-conversation: whole\nrefused unfinished: begun\nclose stop\n");
	assert_int_equal(fake.refused, 2);
	assert_int_equal(fake.obeyed, 0);
}

/* Its FIFO can't be read: that is told. */
static void test_unreadable(void **state)
{
	int kept = fake.c.wake_fd;

	(void)state;
	fake.c.wake_fd = -1;
	assert_int_equal(fake.ops->drain(&fake.c), -EBADF);
	fake.c.wake_fd = kept;
	fake_expect("fail EBADF\n");
}

/* What waits then is told, but not without bounds. */
static void test_many_at_the_end(void **state)
{
	static char lines[CHANNEL_REFUSED_MAX + 8];

	(void)state;
	(void)memset(lines, '\n', sizeof(lines) - 1);
	assert_int_equal(fake_write(lines), 1);
	fake_close("stop", NULL);
	assert_non_null(strstr(fake.log, "no-conversation: \nrefused 7 more\nclose stop\n"));
}

/* While the client doesn't read there are no turns; orders are taken in, and refused, all the
 * same. */
static void test_full(void **state)
{
	char line[4000];
	int r = 1;

	(void)state;
	(void)memset(line, 'x', sizeof(line));
	line[sizeof(line) - 2] = '\n';
	line[sizeof(line) - 1] = '\0';
	for (unsigned i = 0; i < 4; i++)
		r = fake_write(line);
	assert_int_equal(r, 1);
	assert_int_equal(strncmp(fake.log, "refused full: xxx", 17), 0);
	assert_ptr_equal(strchr(fake.log, '\n'), fake.log + strlen(fake.log) - 1);
}

/* What finds no room waits for the next turn, and is not lost. */
static void test_no_room(void **state)
{
	(void)state;
	fake.room = 4;
	assert_int_equal(fake_write("long one\nb\n"), 1);
	assert_int_equal(fake_wake(MARCEL_WAKE_READY), MARCEL_CONTINUE);
	fake_expect_said("");
	fake_expect("");
	assert_int_equal(fake.c.wake_at, fake_now);
	assert_int_equal(fake_order(0, "other"), -ENOBUFS);
	fake_expect("refused full: other\nnote refused full: other\n");
	fake.room = sizeof(fake.said);
	assert_int_equal(fake_obey(""), 0);
	assert_int_equal(fake_pass(0), MARCEL_CONTINUE);
	fake_expect("out S #0 long one\nsent long one\nout S #0 b\nsent b\n");
}

static void test_order(void **state)
{
	char line[5000];

	(void)state;
	ask("a");
	ask("b");
	fake.log[0] = '\0';
	assert_int_equal(fake_order(2, "for b"), MARCEL_CONTINUE);
	fake_expect_said("for b\n");
	assert_int_equal(fake_order(2, "late"), -ESTALE);
	assert_int_equal(fake_order(0, "#2 late"), -ESTALE);
	assert_int_equal(fake_order(1, "/close"), MARCEL_CONTINUE);
	fake_expect_said("/close\n");
	fake_expect("out S #2 for b\nsent #2 for b\n"
		    "refused #2 not-open: late\nnote refused #2 not-open: late\n"
		    "refused #2 not-open: late\nnote refused #2 not-open: late\n"
		    "out S #1 /close\nsent #1 /close\nshow 2 0\n");
	assert_int_equal(fake_order(0, "/x"), -EINVAL);
	assert_int_equal(fake_order(0, "two\nlines"), -EINVAL);
	assert_int_equal(fake_order(0, "/give echo"), -ESRCH);
	fake.c.loaded = loaded;
	assert_int_equal(fake_order(0, "/give nobody"), -ESRCH);
	assert_int_equal(fake_order(0, "/give echo"), MARCEL_GIVE);
	assert_int_equal(fake_order(0, "/close"), MARCEL_FAREWELL);
	(void)memset(line, 'x', sizeof(line));
	line[4095] = '\0';
	assert_int_equal(fake_order(0, line), MARCEL_CONTINUE);
	line[4095] = 'x';
	line[4096] = '\0';
	assert_int_equal(fake_order(0, line), -E2BIG);
}

static void test_no_place(void **state)
{
	(void)state;
	fake.no_place = true;
	assert_int_equal(fake_open(&fifo_responder, shared), 0);
	assert_int_equal(fake.c.wake_fd, -1);
	ask("a");
	assert_int_equal(fake.c.waiting, 1);
	assert_int_equal(fake_order(1, "yes"), MARCEL_CONTINUE);
	fake_expect_said("yes\n");
	assert_int_equal(fake_restore(), 0);
	assert_int_equal(fake.c.wake_fd, -1);
	fake_close("idle", NULL);
	fake_expect("make fifo\nmessage #1 a\nsent #1 yes\nfind fifo\n");
}

static void test_ends(void **state)
{
	(void)state;
	assert_int_equal(fake_wake(MARCEL_WAKE_IDLE), -ENOSYS);
	assert_int_equal(fake_wake(MARCEL_WAKE_EOF), -ENOSYS);
	ask("a");
	assert_int_equal(fake_wake(MARCEL_WAKE_STOP), -ENOSYS);
	assert_int_equal(fake_wake(MARCEL_WAKE_IDLE), MARCEL_CONTINUE);
	assert_false(fake.c.holds);
	assert_int_equal(fake_wake(MARCEL_WAKE_EOF), MARCEL_AGAIN);
	assert_true(fake.c.holds);
	(void)fake_obey("/note he waits\n");
	assert_true(fake.c.holds);
	assert_int_equal(fake_restore(), 0);
	assert_true(fake.c.holds);
	(void)fake_obey("yes\n");
	assert_false(fake.c.holds);
	assert_int_equal(fake_wake(MARCEL_WAKE_EOF), -ENOSYS);
}

/* Who hears that nobody is there needs not wait any longer. */
static void test_ends_absent(void **state)
{
	(void)state;
	ask("a");
	assert_int_equal(fake_wake(MARCEL_WAKE_EOF), MARCEL_AGAIN);
	(void)fake_pass(SECONDS(30));
	fake_expect_said(ABSENT "\n");
	assert_false(fake.c.holds);
	assert_int_equal(fake_wake(MARCEL_WAKE_EOF), -ENOSYS);
}

static void test_said(void **state)
{
	(void)state;
	fifo_responder.said(&fake.c, MARCEL_CLIENT, "a", 1);
	fifo_responder.said(&fake.c, MARCEL_CLIENT, NULL, MARCEL_WITHHELD);
	fake_expect("out C #0 a\nout C #0 (withheld)\n");
	fake.c.secret = true;
	fake.c.turn = 1;
	assert_int_equal(fifo_responder.respond(&fake.c, "secret", 6, &fake.sink), 0);
	fake_expect("show 1 1\nmessage #1 (withheld)\n");
}

static void test_settings(void **state)
{
	const struct marcel_setting good[] = {{"directory", "/x/y", 1},
					      {"absent_after", "5min", 2},
					      {"absent_reply", "Nobody", 3},
					      {"grace", "1h", 4}};
	const struct marcel_setting bad[] = {{"directory", "x", 1},
					     {"absent_after", "soon", 2},
					     {"grave", "1h", 3},
					     {"colour", "red", 4}};
	void *made;

	(void)state;
	assert_int_equal(load(good, 4, &made), 0);
	assert_string_equal(fifo_directory(made), "/x/y");
	assert_int_equal(fifo_grace(made), SECONDS(3600));
	fifo_responder.unload(made);
	assert_int_equal(load(bad, 4, &made), -EINVAL);
	assert_string_equal(faults,
			    "m.ini:1: directory in [fifo] must be an absolute path, not 'x'\n"
			    "m.ini:2: 'soon' is no duration (such as 30s, 10min, infinity)\n"
			    "m.ini:3: unknown key 'grave' in [fifo] (did you mean 'grace'?)\n"
			    "m.ini:4: unknown key 'colour' in [fifo]\n");
	assert_int_equal(fifo_grace(shared), SECONDS(600));
	assert_int_equal(fifo_directory(shared)[0], '/');
	assert_non_null(strstr(fifo_directory(shared), "/operator"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answers),    TEST(test_turns),           TEST(test_one_a_turn),
		TEST(test_refused),    TEST(test_slashes),         TEST(test_done),
		TEST(test_absent),     TEST(test_not_absent),      TEST(test_never_absent),
		TEST(test_wide),       TEST(test_unfinished),      TEST(test_unfinished_at_the_end),
		TEST(test_unreadable), TEST(test_many_at_the_end), TEST(test_full),
		TEST(test_no_room),    TEST(test_order),           TEST(test_no_place),
		TEST(test_ends),       TEST(test_ends_absent),     TEST(test_said),
		TEST(test_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
