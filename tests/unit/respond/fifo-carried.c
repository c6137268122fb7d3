/*
 * The fifo responder in another process, with a channel that is none: what waited goes on.
 */
#include <errno.h>

#include "fifo-held.h"
#include "respond/echo.h"

/* Everything that waits comes along. */
static void test_restore(void **state)
{
	(void)state;
	ask("a");
	ask("b");
	(void)fake_obey("#1 yes\n");
	assert_int_equal(fake_write("#2 one\ntwo\nbeg"), 1);
	fake.log[0] = '\0';
	assert_int_equal(fake_restore(), 0);
	fake_expect("find fifo\nshow 2 2\n");
	assert_int_equal(fake.c.waiting, 2);
	assert_int_equal(fake.c.wake_fd, fake.fds[0]);
	assert_int_equal(fake.c.wake_at, fake_now);
	(void)fake_obey("un\n");
	fake_expect("out S #2 one\nsent #2 one\nshow 2 0\nout S #2 two\nsent two\n"
		    "out S #2 begun\nsent begun\n");
}

/* However long the restart takes, an order that has begun may be ended. */
static void test_restore_unfinished(void **state)
{
	(void)state;
	assert_int_equal(fake_write("begun"), 1);
	assert_int_equal(fake_wake(MARCEL_WAKE_READY), MARCEL_CONTINUE);
	fake_now += SECONDS(60);
	assert_int_equal(fake_restore(), 0);
	assert_int_equal(fake.c.wake_at, fake_now + SECONDS(2));
	(void)fake_pass(SECONDS(1));
	fake.log[0] = '\0';
	(void)fake_obey(" and ended\nnext");
	fake_expect("out S #0 begun and ended\nsent begun and ended\n");
	(void)fake_pass(SECONDS(2));
	fake_expect("refused unfinished: next\nnote refused unfinished: next\n");
}

/* The process died after it had answered, and before that was true. */
static void test_died(void **state)
{
	static char before[sizeof(fake.state)];

	(void)state;
	ask("a");
	assert_int_equal(fake_write("yes\n"), 1);
	(void)memcpy(before, fake.state, sizeof(before));
	(void)fake_wake(MARCEL_WAKE_READY);
	fake_expect_said("yes\n");
	(void)memcpy(fake.state, before, sizeof(before));
	assert_int_equal(fake_restore(), 0);
	assert_int_equal(fake.c.waiting, 1);
	fake.log[0] = '\0';
	assert_int_equal(fake_pass(0), MARCEL_CONTINUE);
	fake_expect("out S #1 yes\nsent yes\nshow 1 0\n");
}

static void test_restore_broken(void **state)
{
	(void)state;
	ask("a");
	(void)fake_obey("x\n");
	ask("b");
	(void)memset(fake.pad, 0, 64);
	fake.log[0] = '\0';
	assert_int_equal(fake_restore(), 0);
	fake_expect("find fifo\ntrouble queued orders are lost\nshow 2 2\n");
	(void)fake_obey("yes\n");
	fake_expect("out S #2 yes\nsent yes\nshow 2 0\n");
	assert_int_equal(fifo_responder.restore(&fake.c, 99), -ENOTSUP);
}

static void test_restore_without_fifo(void **state)
{
	(void)state;
	fake.lost = true;
	fake.log[0] = '\0';
	assert_int_equal(fake_restore(), 0);
	fake_expect("find fifo\ntrouble its FIFO was lost, with the orders in it\nshow 0 0\n");
}

/* It was over, but the client's end was waited for when another process came. */
static void test_closed_again(void **state)
{
	(void)state;
	assert_int_equal(fake_obey("/close\n"), MARCEL_FAREWELL);
	assert_int_equal(fake_write("left\nbegun"), 1);
	fake.log[0] = '\0';
	fake_close("operator", NULL);
	fake_expect("refused no-conversation: left\nrefused unfinished: begun\nclose operator\n");
	fake.c.local = NULL;
	fake.c.wake_fd = -1;
	fake_close("operator", NULL);
	fake_expect("");
}

/* The process died when it had told that the orders behind that one were refused, and before the
 * conversation went elsewhere. */
static void test_died_giving(void **state)
{
	static char before[sizeof(fake.state)];
	static const struct marcel_loaded loaded[] = {{&echo_responder, NULL}, {NULL, NULL}};

	(void)state;
	fake.c.loaded = loaded;
	(void)fake_obey("on\n");
	assert_int_equal(fake_write("/give echo\nleft\nbegun"), 1);
	(void)memcpy(before, fake.state, sizeof(before));
	assert_int_equal(fake_wake(MARCEL_WAKE_READY), MARCEL_GIVE);
	fake.log[0] = '\0';
	fake_close(NULL, "echo");
	fake_expect("refused not-held: left\nrefused unfinished: begun\nleft echo\n");
	(void)memcpy(fake.state, before, sizeof(before));
	assert_int_equal(fake_restore(), 0);
	fake.log[0] = '\0';
	assert_int_equal(fake_wake(MARCEL_WAKE_READY), MARCEL_GIVE);
	fake_expect("done /give echo\n");
	/* With it the rest of what had begun is refused, and with that nothing else. */
	(void)fake_obey(" this\non\n");
	fake_expect("refused unfinished:  this\nout S #0 on\nsent on\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_restore),        TEST(test_restore_unfinished),   TEST(test_died),
		TEST(test_restore_broken), TEST(test_restore_without_fifo), TEST(test_closed_again),
		TEST(test_died_giving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
