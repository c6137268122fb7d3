/*
 * A script hands its client to an operator: the fifo responder over a channel that is none.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "operator/fake.h"
#include "respond/echo.h"
#include "respond/fifo-responder.h"
#include "respond/keepsake.h"
#include "respond/script-responder.h"

#define ABSENT     "Personne n'est là pour l'instant ; votre message est gardé."
#define SECONDS(n) ((n)*USEC_PER_SEC)

static const char text[] =
	"marcel-script 1\n"
	"frame line\n"
	"end none\n"
	"always\n"
	"    on \"ASK *\"       hand fifo; say \"back\"\n"
	"    on \"STAY *\"      hand fifo stay; say \"again\"\n"
	"    on \"FOR *\"       hand fifo for 40s else { say \"nobody\" }; say \"on\"\n"
	"    on \"DRAFT {x}\"   hand fifo draft \"${x} ${serial}?\" for 40s; say \"${serial}\"\n"
	"    on \"LONG {x}\"    hand fifo draft \"${x}\" stay; say \"end\"\n"
	"    on \"WIDE {x}\"    hand fifo draft \"${x}${x}\" stay; say \"end\"\n"
	"    on \"ELSE *\"      hand fifo draft \"d\" for 40s else { say \"nobody\" }\n"
	"    on \"SECRET *\"    secret; hand fifo\n"
	"    on \"TWO *\"       hand fifo draft \"one\" for 40s; hand fifo draft \"two ${x}\" for 40s\n"
	"    on \"SET {x}\"     ignore\n"
	"    on 'LATER'       hand fifo stay\n"
	"    otherwise        say \"?\"\n";

static void *script, *fifo;
static struct marcel_loaded loaded[3];

static void fault(void *context, const char *file, unsigned line, const char *what)
{
	(void)context;
	fail_msg("%s:%u: %s", file, line, what);
}

static int set_up(void **state)
{
	char path[] = "/tmp/marcel-hand-XXXXXX";
	const struct marcel_setting setting = {"file", path, 1};
	const struct marcel_settings settings = {"m.ini", "script", &setting, 1};
	const struct marcel_settings none = {"m.ini", "fifo", NULL, 0};
	int fd = mkstemp(path);

	(void)fake_set_up(state);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	(void)close(fd);
	assert_int_equal(script_responder.load(&settings, fault, NULL, &script), 0);
	(void)unlink(path);
	assert_int_equal(fifo_responder.load(&none, fault, NULL, &fifo), 0);
	loaded[0] = (struct marcel_loaded){&fifo_responder, fifo};
	loaded[1] = (struct marcel_loaded){&echo_responder, NULL};
	fake.c.loaded = loaded;
	assert_int_equal(fake_open(&script_responder, script), 0);
	return 0;
}

static int tear_down(void **state)
{
	fake_close("end-word", NULL);
	script_responder.unload(script);
	fifo_responder.unload(fifo);
	keepsakes_done();
	return fake_tear_down(state);
}

/* TEXT goes to the operator, who hears of it by LOG. */
static void ask(const char *message, const char *log)
{
	assert_int_equal(fake_message(message), MARCEL_CONTINUE);
	fake_expect(log);
	fake_expect_said("");
	assert_int_equal(fake.c.wake_fd, fake.fds[0]);
	assert_string_equal(fake.c.speaker, "fifo");
}

/* Nobody but the script has the word. */
static void check_alone(void)
{
	assert_int_equal(fake.c.wake_fd, -1);
	assert_null(fake.c.local);
	assert_null(fake.c.speaker);
	assert_false(fake.c.uses_pad);
	assert_int_equal(fake.c.waiting, 0);
	assert_int_equal(fake.c.wake_at, 0);
	assert_int_equal(fake_order(0, "a"), -ENOTCONN);
	assert_int_equal(fake_message("x"), MARCEL_CONTINUE);
	fake_expect_said("?\n");
	fake_expect("");
}

static void test_answer(void **state)
{
	(void)state;
	ask("ASK a", "make script\nshow 1 0\nshow 1 1\nmessage #1 ASK a\n");
	assert_int_equal(fake.c.waiting, 1);
	assert_int_equal(fake_obey("#2 no\n/note n\nyes\nmore\n"), MARCEL_CONTINUE);
	fake_expect_said("yes\nback\n");
	/* The rest is not for the script, nor for the next hand. */
	fake_expect("refused #2 not-open: no\nnote refused #2 not-open: no\nnote log n\n"
		    "done /note n\nout S #1 yes\nsent yes\nshow 1 0\nout S #1 back\n"
		    "refused not-held: more\nleft script\n");
	check_alone();
	ask("ASK b", "make script\nshow 3 0\nshow 3 3\nmessage #3 ASK b\n");
	assert_int_equal(fake_order(3, "yes"), MARCEL_CONTINUE);
	fake_expect_said("yes\nback\n");
	fake.log[0] = '\0';
	check_alone();
}

/* What is said in the meantime is no answer. */
static void test_absent(void **state)
{
	(void)state;
	ask("ASK a", "make script\nshow 1 0\nshow 1 1\nmessage #1 ASK a\n");
	(void)fake_pass(SECONDS(30));
	fake_expect_said(ABSENT "\n");
	assert_string_equal(fake.c.speaker, "fifo");
	(void)fake_pass(SECONDS(3000));
	assert_int_equal(fake_message("b"), MARCEL_CONTINUE);
	assert_int_equal(fake_obey("#2 late\n"), MARCEL_CONTINUE);
	fake_expect_said("late\n");
	assert_int_equal(fake.c.waiting, 1);
	assert_int_equal(fake_obey("#1 later\n"), MARCEL_CONTINUE);
	fake_expect_said("later\nback\n");
	fake.log[0] = '\0';
	check_alone();
}

static void test_for(void **state)
{
	(void)state;
	ask("FOR a", "make script\nshow 1 0\nshow 1 1\nmessage #1 FOR a\n");
	assert_int_equal(fake.c.wake_at, fake_now + SECONDS(30));
	(void)fake_pass(SECONDS(30));
	assert_int_equal(fake.c.wake_at, fake_now + SECONDS(10));
	fake.log[0] = '\0';
	(void)fake_pass(SECONDS(10));
	fake_expect_said("nobody\non\n");
	fake_expect("out S #1 nobody\nout S #1 on\nleft script\n");
	check_alone();
}

static void test_draft_approved(void **state)
{
	(void)state;
	ask("DRAFT a", "make script\nshow 1 0\nshow 1 1\nmessage #1 DRAFT a\ndraft #1 a 17-1?\n");
	(void)fake_obey("\n");
	fake_expect_said("a 17-1?\n17-2\n");
	fake_expect("out S #1 a 17-1?\nsent a 17-1?\nshow 1 0\nout S #1 17-2\nleft script\n");
	check_alone();
}

static void test_draft_replaced(void **state)
{
	(void)state;
	ask("DRAFT a", "make script\nshow 1 0\nshow 1 1\nmessage #1 DRAFT a\ndraft #1 a 17-1?\n");
	(void)fake_obey("better\n");
	fake_expect_said("better\n17-2\n");
	fake.log[0] = '\0';
	(void)fake_pass(SECONDS(100));
	fake_expect("");
	check_alone();
}

/* Once, by whoever; nobody is told meanwhile that nobody is there. */
static void test_draft_by_itself(void **state)
{
	(void)state;
	ask("DRAFT a", "make script\nshow 1 0\nshow 1 1\nmessage #1 DRAFT a\ndraft #1 a 17-1?\n");
	(void)fake_pass(SECONDS(40) - 1);
	fake_expect_said("");
	(void)fake_pass(1);
	fake_expect_said("a 17-1?\n17-2\n");
	fake_expect("out S #1 a 17-1?\nsent a 17-1?\nshow 1 0\nout S #1 17-2\nleft script\n");
	(void)fake_pass(SECONDS(100));
	check_alone();
}

/* Late, as after a stop: it goes out all the same, once. */
static void test_draft_restored(void **state)
{
	(void)state;
	ask("DRAFT a", "make script\nshow 1 0\nshow 1 1\nmessage #1 DRAFT a\ndraft #1 a 17-1?\n");
	assert_int_equal(fake_restore(), 0);
	fake_expect("find script\nshow 1 1\n");
	assert_string_equal(fake.c.speaker, "fifo");
	assert_int_equal(fake.c.waiting, 1);
	assert_int_equal(fake.c.wake_at, fake_now + SECONDS(40));
	fake_now += SECONDS(100);
	assert_int_equal(fake_restore(), 0);
	(void)fake_pass(0);
	fake_expect_said("a 17-1?\n17-2\n");
	fake.log[0] = '\0';
	check_alone();
}

/* The draft is told as TEXT, for TURN; it goes out by itself in LEFT microseconds; 0: it doesn't.
 */
static void expect_draft(uint64_t turn, const char *what, usec_t left)
{
	/* The clock may be set meanwhile, a little. */
	const usec_t until = clock_shown(fake_now + left);

	assert_int_equal(fake.c.draft_turn, turn);
	assert_int_equal(fake_draft.turn, turn);
	assert_string_equal(fake_draft.text, what);
	if (left == 0) {
		assert_int_equal(fake_draft.until, 0);
		assert_int_equal(fake_draft.text_until, 0);
		return;
	}
	assert_in_range(fake_draft.until, until - SECONDS(5), until + SECONDS(5));
	assert_in_range(fake_draft.text_until, until - SECONDS(5), until + SECONDS(5));
}

static void test_draft_told(void **state)
{
	(void)state;
	(void)fake_message("DRAFT a");
	expect_draft(1, "a 17-1?", SECONDS(40));
	fake_now += SECONDS(10);
	assert_int_equal(fake_restore(), 0);
	expect_draft(1, "a 17-1?", SECONDS(30));
	(void)fake_pass(SECONDS(30));
	fake_expect_said("a 17-1?\n17-2\n");
	expect_draft(0, "-", 0);
	(void)fake_message("LONG b");
	expect_draft(2, "b", 0);
	(void)fake_obey("c\n");
	expect_draft(0, "-", 0);
	(void)fake_message("d");
	expect_draft(0, "-", 0);
	(void)fake_obey("/give script\n");
	(void)fake_message("LONG e");
	expect_draft(4, "e", 0);
	(void)fake_obey("/give script\n");
	fake.log[0] = '\0';
	assert_int_equal(fake.c.draft_turn, 0);
	check_alone();
}

/* It goes with the message that it answers, however that one is settled, and with no other. */
static void test_draft_dropped(void **state)
{
	(void)state;
	(void)fake_message("LONG a");
	(void)fake_message("b");
	expect_draft(1, "a", 0);
	(void)fake_obey("#2 no\n");
	assert_int_equal(fake.c.waiting, 1);
	expect_draft(1, "a", 0);
	(void)fake_message("c");
	(void)fake_obey("/done 3\n");
	expect_draft(1, "a", 0);
	(void)fake_message("d");
	(void)fake_obey("/done 1\n");
	assert_int_equal(fake.c.waiting, 4);
	expect_draft(0, "-", 0);
	(void)fake_obey("/give script\n");
	(void)fake_message("LONG e");
	(void)fake_message("f");
	(void)fake_obey("#5 no\n");
	assert_int_equal(fake.c.waiting, 6);
	expect_draft(0, "-", 0);
	(void)fake_obey("/give script\n");
	fake.log[0] = '\0';
	check_alone();
}

/* Without the draft that would have gone out in time, the one who waits is told that nobody is
 * there. */
static void test_draft_dropped_in_time(void **state)
{
	(void)state;
	(void)fake_message("DRAFT a");
	(void)fake_message("b");
	(void)fake_obey("#2 no\n");
	expect_draft(1, "a 17-1?", SECONDS(40));
	(void)fake_message("c");
	(void)fake_obey("/done 1\n");
	expect_draft(0, "-", 0);
	(void)fake_pass(SECONDS(31));
	assert_non_null(strstr(fake.log, "absent #3\n"));
	/* Nor does the script say it when its time has come. */
	fake.log[0] = '\0';
	(void)fake_pass(SECONDS(60));
	fake_expect("");
	assert_int_equal(fake.c.waiting, 3);
	(void)fake_obey("/give script\n");
	fake.log[0] = '\0';
	check_alone();
}

/* For its turn alone; never one that nobody has seen. */
static void test_draft_approved_by_turn(void **state)
{
	(void)state;
	(void)fake_message("LONG a");
	(void)fake_message("b");
	assert_int_equal(fake_order(2, ""), MARCEL_CONTINUE);
	fake_expect_said("\n");
	(void)fake_obey("/give script\n");
	(void)fake_message("LONG c");
	(void)fake_message("d");
	assert_int_equal(fake_order(3, ""), MARCEL_CONTINUE);
	fake_expect_said("c\n");
	assert_int_equal(fake.c.waiting, 4);
	assert_int_equal(fake_order(3, ""), -ESTALE);
	fake_expect_said("");
	(void)fake_obey("/give script\n");
	(void)fake_message("LONG e");
	(void)fake_obey("#5\n#5\n");
	fake_expect_said("e\n");
	(void)fake_obey("/give script\n");
	fake.log[0] = '\0';
	check_alone();
}

static void test_draft_twice(void **state)
{
	(void)state;
	assert_int_equal(fake_message("SET x"), MARCEL_CONTINUE);
	ask("TWO a", "make script\nshow 2 0\nshow 2 2\nmessage #2 TWO a\ndraft #2 one\n");
	(void)fake_obey("\n");
	fake_expect_said("one\n");
	fake_expect("out S #2 one\nsent one\nshow 2 0\nleft script\nmake script\nshow 2 0\n");
	/* The second one waits for the next message. */
	ask("b", "show 3 3\nmessage #3 b\ndraft #3 two x\n");
	(void)fake_obey("\n");
	fake_expect_said("two x\n");
	fake.log[0] = '\0';
	check_alone();
}

/* What is longer than is kept is not shown; it is said in the end. */
static void test_draft_too_long(void **state)
{
	char message[5000] = "WIDE ";

	(void)state;
	(void)memset(message + 5, 'x', 3000);
	assert_int_equal(fake_message(message), MARCEL_CONTINUE);
	assert_non_null(strstr(fake.log, "\nshow 1 1\n"));
	fake.log[0] = '\0';
	(void)fake_obey("\nmore\n/give script\n");
	fake_expect_said("\nmore\nend\n");
}

/* A draft that stays is there once. */
static void test_stay(void **state)
{
	(void)state;
	ask("LONG a", "make script\nshow 1 0\nshow 1 1\nmessage #1 LONG a\ndraft #1 a\n");
	(void)fake_obey("\n");
	fake_expect_said("a\n");
	fake_expect("out S #1 a\nsent a\nshow 1 0\n");
	ask("b", "show 2 2\nmessage #2 b\n");
	(void)fake_obey("\nand\nmore\n");
	fake_expect_said("\nand\nmore\n");
	fake.log[0] = '\0';
	assert_int_equal(fake_wake(MARCEL_WAKE_IDLE), MARCEL_CLOSE);
	ask("c", "show 3 3\nmessage #3 c\n");
	assert_int_equal(fake_wake(MARCEL_WAKE_IDLE), MARCEL_CONTINUE);
	assert_int_equal(fake_obey("/give script\nlate\n"), MARCEL_CONTINUE);
	fake_expect_said("end\n");
	fake_expect("done /give script\nout S #3 end\nrefused not-held: late\nleft script\n");
	check_alone();
}

static void test_verdicts(void **state)
{
	(void)state;
	ask("STAY a", "make script\nshow 1 0\nshow 1 1\nmessage #1 STAY a\n");
	assert_int_equal(fake_order(0, "/x"), -EINVAL);
	assert_int_equal(fake_order(0, "/close"), MARCEL_FAREWELL);
	assert_int_equal(fake_order(0, "/reset"), MARCEL_RESET);
	assert_int_equal(fake_order(0, "/give echo"), MARCEL_GIVE);
	assert_string_equal(fake.c.give_to, "echo");
	fake.log[0] = '\0';
	fake_close(NULL, "echo");
	fake_expect("left echo\n");
}

static void test_closed(void **state)
{
	(void)state;
	ask("STAY a", "make script\nshow 1 0\nshow 1 1\nmessage #1 STAY a\n");
	assert_int_equal(fake_write("late\n"), 1);
	fake_close("idle", NULL);
	fake_expect("refused no-conversation: late\nclose idle\n");
}

/* Queued orders, an unfinished one, open turns: all of it comes along. */
static void test_restored(void **state)
{
	(void)state;
	ask("STAY a", "make script\nshow 1 0\nshow 1 1\nmessage #1 STAY a\n");
	ask("b", "show 2 1\nmessage #2 b\n");
	assert_int_equal(fake_write("#1 one\ntwo\nthr"), 1);
	assert_int_equal(fake_restore(), 0);
	fake_expect("find script\nshow 2 1\n");
	assert_int_equal(fake.c.wake_at, fake_now);
	assert_int_equal(fake_pass(0), MARCEL_CONTINUE);
	fake_expect("out S #1 one\nsent #1 one\nshow 2 2\nout S #2 two\nsent two\nshow 2 0\n");
	(void)fake_obey("ee\n");
	fake_expect_said("three\n");
}

static void test_nobody(void **state)
{
	(void)state;
	/* Its settings were not loaded. */
	fake.c.loaded = loaded + 1;
	assert_int_equal(fake_message("DRAFT a"), MARCEL_CONTINUE);
	fake_expect_said("a 17-1?\n17-2\n");
	assert_int_equal(fake_message("ELSE a"), MARCEL_CONTINUE);
	fake_expect_said("nobody\n");
	fake_expect("");
}

static void test_no_place(void **state)
{
	(void)state;
	fake.no_place = true;
	assert_int_equal(fake_message("ASK a"), MARCEL_CONTINUE);
	fake_expect("make script\nmessage #1 ASK a\n");
	assert_int_equal(fake.c.waiting, 1);
	assert_int_equal(fake_order(1, "yes"), MARCEL_CONTINUE);
	fake_expect_said("yes\nback\n");
}

static void test_secret(void **state)
{
	(void)state;
	ask("SECRET a", "make script\nshow 1 0\nshow 1 1\nmessage #1 (withheld)\n");
}

/* Who sends nothing any more still gets an answer, and then what the script has to say. */
static void test_eof(void **state)
{
	(void)state;
	ask("ASK a", "make script\nshow 1 0\nshow 1 1\nmessage #1 ASK a\n");
	assert_int_equal(fake_wake(MARCEL_WAKE_EOF), MARCEL_AGAIN);
	assert_true(fake.c.holds);
	(void)fake_obey("/note n\n");
	assert_true(fake.c.holds);
	assert_int_equal(fake_restore(), 0);
	assert_true(fake.c.holds);
	(void)fake_obey("yes\n");
	fake_expect_said("yes\nback\n");
	assert_false(fake.c.holds);
	assert_int_equal(fake_wake(MARCEL_WAKE_EOF), MARCEL_CLOSE);
}

static void test_eof_stay(void **state)
{
	(void)state;
	ask("STAY a", "make script\nshow 1 0\nshow 1 1\nmessage #1 STAY a\n");
	assert_int_equal(fake_wake(MARCEL_WAKE_EOF), MARCEL_AGAIN);
	assert_int_equal(fake_order(1, "yes"), MARCEL_CONTINUE);
	assert_false(fake.c.holds);
	assert_int_equal(fake_wake(MARCEL_WAKE_EOF), MARCEL_CLOSE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answer),
		TEST(test_absent),
		TEST(test_for),
		TEST(test_draft_approved),
		TEST(test_draft_replaced),
		TEST(test_draft_by_itself),
		TEST(test_draft_restored),
		TEST(test_draft_told),
		TEST(test_draft_dropped),
		TEST(test_draft_dropped_in_time),
		TEST(test_draft_approved_by_turn),
		TEST(test_draft_twice),
		TEST(test_draft_too_long),
		TEST(test_stay),
		TEST(test_verdicts),
		TEST(test_closed),
		TEST(test_restored),
		TEST(test_nobody),
		TEST(test_no_place),
		TEST(test_secret),
		TEST(test_eof),
		TEST(test_eof_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
