/*
 * A process that dies while it passes on what came in DIRECTORY/in: the next one passes on the
 * rest, all of it, and nothing that was refused. Only what was being done at that moment may be
 * done twice (channel-orders.c, NOTE ON WHAT WAS READ).
 *
 * As in pad-death.c a child runs one instruction at a time, and whenever one of them has changed
 * what others can see, this process goes on with a copy of that as if the child had died there: it
 * takes what is left in the FIFO, then all that comes later. So it also meets the rest of a line of
 * which the child has refused the beginning. How far a line was refused and that its rest is to be
 * are one word (channel-priv.h, DONE_SKIPPING); were they two, there would be a moment in which the
 * rest is an order.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../steps.h"
#include "respond/operator/channel-priv.h"
#include "respond/operator/pad.h"

#define LOG_MAX 4096

/* What comes, and when. */
struct piece {
	const char *bytes;
	char letter; /* or so many times this, behind "17 " */
	size_t length;
	usec_t now;
};

/* Lines, one after another. */
struct log {
	_Atomic size_t used;
	char bytes[LOG_MAX];
};

/* Shared with the child. */
struct stage {
	struct keep_table table;
	struct log refused;
	_Atomic size_t wanted; /* pieces */
	_Atomic size_t fed;
};

/* What one process, or two after one another, came to. */
struct outcome {
	struct log passed_on;
	struct log refused;
};

/* What others see of the child. */
struct sight {
	uint32_t active;
	uint64_t done; /* of the half that is in use */
	char bytes[IN_SIZE];
	size_t fed;
	size_t refused;
	int unread; /* in its FIFO */
};

/* A channel in small: its FIFO, and one conversation's. */
struct side {
	char directory[64];
	int dir;
	int in;
	int order; /* to read what was passed on from */
	struct place *place;
};

static struct stage *stage;
static struct log *refusals; /* this process's */
static usec_t present = 1;

/* What the next process begins with. */
static struct keep_table next_table;

/* The names are the linker's.
 * NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming,cert-dcl37-c) */
usec_t __wrap_clock_now(void);
void __wrap_channel_refuse(uint64_t number, uint64_t turn, const char *word, const char *text,
			   size_t length);

usec_t __wrap_clock_now(void)
{
	return present;
}

static void log_add(struct log *log, const char *text, size_t length)
{
	size_t used = atomic_load(&log->used);

	assert_true(used + length < LOG_MAX);
	(void)memcpy(log->bytes + used, text, length);
	atomic_store(&log->used, used + length);
}

/* Refusals, of each no more than a few bytes. */
void __wrap_channel_refuse(uint64_t number, uint64_t turn, const char *word, const char *text,
			   size_t length)
{
	char line[64];
	int n;

	assert_int_equal(turn, 0);
	n = snprintf(line, sizeof(line), "%" PRIu64 " %s: %.*s\n", number, word,
		     (int)(length < 20 ? length : 20), text);
	assert_in_range(n, 1, sizeof(line) - 1);
	log_add(refusals, line, (size_t)n);
}
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming,cert-dcl37-c) */

/* Sides. */

static void side_init(struct side *side)
{
	int fds[2];

	(void)snprintf(side->directory, sizeof(side->directory), "/tmp/marcel-orders-XXXXXX");
	assert_non_null(mkdtemp(side->directory));
	side->dir = open(side->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(side->dir >= 0);
	assert_int_equal(mkfifoat(side->dir, NAME_IN, 0600), 0);
	side->in = openat(side->dir, NAME_IN, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_true(side->in >= 0);
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	side->order = fds[0];
	side->place = place_new(17);
	assert_non_null(side->place);
	side->place->fd = fds[1];
}

static void side_done(struct side *side)
{
	place_free(side->place);
	(void)close(side->order);
	(void)close(side->in);
	(void)unlinkat(side->dir, NAME_IN, 0);
	(void)close(side->dir);
	(void)rmdir(side->directory);
}

/* This process begins with SIDE and what TABLE has. */
static void begin(const struct side *side, struct keep_table *table, struct log *refused)
{
	channel.table = table;
	channel.dir = side->dir;
	channel.in = side->in;
	channel.inotify = -1;
	refusals = refused;
	channel_add(side->place);
	orders_open();
}

static void end(const struct side *side)
{
	channel_remove(side->place);
	orders_close();
}

static void feed(const struct side *side, const struct piece *piece)
{
	char bytes[8192];
	int n = 0;

	present = piece->now;
	if (piece->bytes != NULL) {
		n = snprintf(bytes, sizeof(bytes), "%s", piece->bytes);
	} else if (piece->length > 0) {
		n = snprintf(bytes, sizeof(bytes), "17 ");
		(void)memset(bytes + n, piece->letter, piece->length);
		n += (int)piece->length;
	}
	assert_int_equal(write(side->in, bytes, (size_t)n), n);
}

/* What the channel's thread does when something has come, or it is time. */
static void go_round(void)
{
	orders_read();
	orders_pass_time(present);
}

/* Takes what was passed on. */
static void take(const struct side *side, struct log *log)
{
	char bytes[LOG_MAX];
	ssize_t n = read(side->order, bytes, sizeof(bytes));

	if (n > 0)
		log_add(log, bytes, (size_t)n);
}

static int unread(const struct side *side)
{
	int n = 0;

	assert_int_equal(ioctl(side->in, FIONREAD, &n), 0);
	return n;
}

static void outcome_clear(struct outcome *outcome)
{
	atomic_store(&outcome->passed_on.used, 0);
	atomic_store(&outcome->refused.used, 0);
}

/* The child. */

static _Noreturn void run_child(const struct side *side, const struct piece *pieces, size_t n)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(3);
	(void)raise(SIGSTOP);
	begin(side, &stage->table, &stage->refused);
	for (size_t i = 0; i < n; i++) {
		atomic_store(&stage->wanted, i + 1);
		while (atomic_load(&stage->fed) < i + 1)
			;
		present = pieces[i].now;
		go_round();
	}
	_exit(0);
}

/* Whether others see something else of the child than SIGHT has; that is what it is to have. */
static bool look(struct sight *sight, const struct side *side)
{
	const struct keep_table *table = &stage->table;
	const uint32_t active = atomic_load(&table->active);
	const struct keep_half *half = &table->halves[active & 1U];
	const uint64_t done = atomic_load(&half->done);
	const size_t fed = atomic_load(&stage->fed);
	const size_t refused = atomic_load(&stage->refused.used);
	const int left = unread(side);

	if (active == sight->active && fed == sight->fed && refused == sight->refused &&
	    left == sight->unread && done == sight->done &&
	    memcmp(half->bytes, sight->bytes, sizeof(half->bytes)) == 0)
		return false;
	(void)memcpy(sight->bytes, half->bytes, sizeof(half->bytes));
	sight->done = done;
	sight->active = active;
	sight->fed = fed;
	sight->refused = refused;
	sight->unread = left;
	return true;
}

/* The next process. */

/* ALL is what FIRST and SECOND came to, one after the other; the last of FIRST may have been done
 * again. */
static bool is_whole(const struct log *all, const struct log *first, const struct log *second)
{
	size_t before = first->used > 0 ? first->used - 1 : 0;
	size_t at[2] = {first->used, 0};

	while (before > 0 && first->bytes[before - 1] != '\n')
		before--;
	at[1] = before;
	for (size_t i = 0; i < 2; i++)
		if (at[i] + second->used == all->used &&
		    memcmp(all->bytes, first->bytes, at[i]) == 0 &&
		    memcmp(all->bytes + at[i], second->bytes, second->used) == 0)
			return true;
	return false;
}

static void must_be_whole(const struct log *all, const struct log *first, const struct log *second,
			  const char *what)
{
	if (is_whole(all, first, second))
		return;
	fail_msg("%s: is\n%.*s--\n%.*sand was to be\n%.*s", what, (int)first->used, first->bytes,
		 (int)second->used, second->bytes, (int)all->used, all->bytes);
}

/* A play: what comes, what becomes of it, and what may become of it if the process dies at a bad
 * moment. */
struct play {
	const struct piece *pieces;
	size_t n;
	struct outcome undisturbed;
	const char *continued; /* an order that is whole then; NULL: there is none */
	const char *otherwise; /* and what is passed on in all */
};

/* Goes on with the copy of what is seen of the child, which was fed SIGHT's pieces. */
static void go_on(const struct play *play, const struct sight *sight, const struct side *side,
		  struct outcome *ret)
{
	struct keep_table *table = &next_table;
	size_t next = sight->fed;

	(void)memset(&table->halves[!sight->active], 0, sizeof(table->halves[0]));
	(void)memcpy(table->halves[sight->active].bytes, sight->bytes, sizeof(sight->bytes));
	atomic_store(&table->halves[sight->active].done, sight->done);
	atomic_store(&table->active, sight->active);
	outcome_clear(ret);
	present = sight->fed > 0 ? play->pieces[sight->fed - 1].now : 1;
	begin(side, table, &ret->refused);
	/* The child takes each piece whole. */
	if (sight->unread > 0)
		feed(side, &play->pieces[next - 1]);
	assert_int_equal(unread(side), sight->unread);
	go_round();
	for (; next < play->n; next++) {
		feed(side, &play->pieces[next]);
		go_round();
	}
	take(side, &ret->passed_on);
	end(side);
}

/* FIRST is what the child came to, and SECOND the next process. */
static void check(const struct play *play, const struct outcome *first,
		  const struct outcome *second)
{
	struct log otherwise = {.used = 0};

	if (play->continued == NULL || memmem(second->passed_on.bytes, second->passed_on.used,
					      play->continued, strlen(play->continued)) == NULL) {
		must_be_whole(&play->undisturbed.passed_on, &first->passed_on, &second->passed_on,
			      "passed on");
		must_be_whole(&play->undisturbed.refused, &first->refused, &second->refused,
			      "refused");
		return;
	}
	log_add(&otherwise, play->otherwise, strlen(play->otherwise));
	must_be_whole(&otherwise, &first->passed_on, &second->passed_on, "passed on");
	assert_int_equal(second->refused.used, 0);
}

static void run_undisturbed(struct play *play)
{
	struct side side;

	side_init(&side);
	(void)memset(&next_table, 0, sizeof(next_table));
	begin(&side, &next_table, &play->undisturbed.refused);
	for (size_t i = 0; i < play->n; i++) {
		feed(&side, &play->pieces[i]);
		go_round();
	}
	take(&side, &play->undisturbed.passed_on);
	end(&side);
	side_done(&side);
}

/* Steps through the child, which waits for its first step. Returns how often it was succeeded. */
static unsigned succeed(const struct play *play, pid_t child, const struct side *its,
			const struct side *ours)
{
	static struct sight sight;
	struct outcome first = {.passed_on.used = 0}, second;
	unsigned times = 0;
	int status = 0;

	sight.unread = -1;
	do {
		size_t before = first.passed_on.used;
		size_t fed = atomic_load(&stage->fed);

		take(its, &first.passed_on);
		if (look(&sight, its) || first.passed_on.used != before) {
			atomic_store(&first.refused.used, 0);
			log_add(&first.refused, stage->refused.bytes, sight.refused);
			go_on(play, &sight, ours, &second);
			check(play, &first, &second);
			times++;
		}
		if (atomic_load(&stage->wanted) > fed) {
			feed(its, &play->pieces[fed]);
			atomic_store(&stage->fed, fed + 1);
		}
	} while (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0 &&
		 waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	/* The child, left alone to its end, has done all. */
	assert_int_equal(first.passed_on.used, play->undisturbed.passed_on.used);
	assert_int_equal(first.refused.used, play->undisturbed.refused.used);
	return times;
}

static void run_play(struct play *play)
{
	struct side its, ours;
	int status;
	pid_t child;

	if (!STEPS_ARE_OURS)
		skip();
	run_undisturbed(play);
	side_init(&its);
	side_init(&ours);
	stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	assert_ptr_not_equal(stage, MAP_FAILED);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		run_child(&its, play->pieces, play->n);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status))
		skip(); /* nobody may trace here */
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_EXITKILL), 0);
	print_message("%u moments\n", succeed(play, child, &its, &ours));
	(void)munmap(stage, sizeof(*stage));
	side_done(&ours);
	side_done(&its);
}

static void must_come_to(const struct log *log, const char *expected)
{
	assert_int_equal(log->used, strlen(expected));
	assert_memory_equal(log->bytes, expected, log->used);
}

/* Lines that are too long are refused once, with all that belongs to them, in whatever pieces; and
 * what comes between them is passed on, while the halves of the memory change places. */
static void test_too_long(void **state)
{
	static const struct piece pieces[] = {
		{.bytes = "17 one\n17 tw", .now = 1},
		{.bytes = "o\n", .now = 1},
		{.letter = 'x', .length = CHANNEL_LINE_MAX + 10, .now = 1},
		{.bytes = "17 the rest", .now = 1},
		{.bytes = "\n17 three\n", .now = 1},
		{.letter = 'y', .length = CHANNEL_LINE_MAX + 10, .now = 1},
		{.bytes = "17 of it\n17 four\n18 nobody\n", .now = 1},
		{.letter = 'z', .length = CHANNEL_LINE_MAX - 10, .now = 1},
		{.bytes = "17 is too long now", .now = 1},
		{.bytes = "17 and on\n17 five\n17 si", .now = 1},
		{.bytes = "x\n", .now = 1},
	};
	struct play play = {.pieces = pieces, .n = sizeof(pieces) / sizeof(pieces[0])};

	(void)state;
	run_play(&play);
	must_come_to(&play.undisturbed.passed_on, "one\ntwo\nthree\nfour\nfive\nsix\n");
	must_come_to(&play.undisturbed.refused, "17 too-long: xxxxxxxxxxxxxxxxxxxx\n"
						"17 too-long: yyyyyyyyyyyyyyyyyyyy\n"
						"18 no-conversation: nobody\n"
						"17 too-long: zzzzzzzzzzzzzzzzzzzz\n");
}

/* The rest of a line that was unfinished for too long is refused as well. A process that died
 * before it had given the line up gives it its time anew, and it may be ended. */
static void test_unfinished(void **state)
{
	static const struct piece pieces[] = {
		{.bytes = "17 one\n17 begun", .now = 1},
		{.length = 0, .now = 1 + PAD_PATIENCE},
		{.bytes = " and the rest", .now = 1 + PAD_PATIENCE},
		{.bytes = " of it\n17 two\n", .now = 1 + PAD_PATIENCE},
		{.bytes = "17 three\n", .now = 1 + PAD_PATIENCE},
	};
	struct play play = {
		.pieces = pieces,
		.n = sizeof(pieces) / sizeof(pieces[0]),
		.continued = "begun and the rest of it\n",
		.otherwise = "one\nbegun and the rest of it\ntwo\nthree\n",
	};

	(void)state;
	run_play(&play);
	must_come_to(&play.undisturbed.passed_on, "one\ntwo\nthree\n");
	must_come_to(&play.undisturbed.refused,
		     "17 unfinished: begun\n0 unfinished:  and the rest of it\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_unfinished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
