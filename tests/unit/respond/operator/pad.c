/*
 * The pad: orders come out as they came in, once each; what is refused is told; and if the process
 * dies after any instruction, the next one finds all of it.
 *
 * The last is tried as in converse/commit.c: a child runs one instruction at a time, and after each
 * of them this process goes on with a copy of the pad, and of what is left in the pipe, as if the
 * child had died there.
 */
#include "respond/operator/pad.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "marcel/responder.h"
#include "respond/script/expand.h"

#define LOG_MAX ((size_t)64 * 1024)

/* Texts one after another, each with a LF: orders, or what was refused, with the reason's number in
 * front. */
struct log {
	size_t used;
	char bytes[LOG_MAX];
};

/* A pad, a pipe, and what came of them. */
struct bench {
	_Alignas(uint64_t) char pad[MARCEL_PAD_SIZE];
	uint64_t taken;
	struct log refused;
	struct log orders;
};

static struct bench *bench;
static int ends[2];

static void log_add(struct log *log, const char *text, size_t length)
{
	assert_true(log->used + length + 1 <= LOG_MAX);
	if (length > 0)
		(void)memcpy(log->bytes + log->used, text, length);
	log->bytes[log->used + length] = '\n';
	log->used += length + 1;
}

static void refused(void *context, enum pad_refusal refusal, const char *text, size_t length)
{
	struct log *log = context;
	char line[PAD_LINE_MAX + 2];

	assert_true(length <= PAD_LINE_MAX);
	line[0] = (char)('0' + refusal);
	(void)memcpy(line + 1, text, length);
	log_add(log, line, length + 1);
}

static void make_pipe(int fds[2])
{
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_true(fcntl(fds[1], F_SETPIPE_SZ, 256 * 1024) > 0);
}

static int set_up(void **state)
{
	(void)state;
	bench = calloc(1, sizeof(*bench));
	assert_non_null(bench);
	(void)memset(bench->pad, 0xa5, sizeof(bench->pad));
	assert_false(pad_is_sound(bench->pad, 0));
	pad_reset(bench->pad);
	make_pipe(ends);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)close(ends[0]);
	(void)close(ends[1]);
	free(bench);
	return 0;
}

static void feed_bytes(const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = write(ends[1], bytes, length);

		assert_true(n > 0);
		bytes += n;
		length -= (size_t)n;
	}
}

static void feed(const char *bytes)
{
	feed_bytes(bytes, strlen(bytes));
}

static int fill(usec_t now)
{
	int left = -1;
	int r = pad_fill(bench->pad, ends[0], bench->taken, now, refused, &bench->refused);

	assert_true(r == 0 || r == 1);
	assert_int_equal(ioctl(ends[0], FIONREAD, &left), 0);
	assert_int_equal(left, 0);
	assert_true(pad_is_sound(bench->pad, bench->taken));
	return r;
}

/* Takes at most N orders out. */
static void take(size_t n)
{
	char line[PAD_LINE_MAX];
	size_t length;

	while (n-- > 0 && pad_next(bench->pad, bench->taken, line, &length, &bench->taken))
		log_add(&bench->orders, line, length);
}

static void check_log(const struct log *log, const char *expected)
{
	assert_int_equal(log->used, strlen(expected));
	assert_memory_equal(log->bytes, expected, log->used);
}

static void test_lines(void **state)
{
	(void)state;
	assert_int_equal(fill(1), 0);
	feed("one\ntwo\n\nfour");
	assert_int_equal(fill(1), 1);
	assert_true(pad_waits(bench->pad, bench->taken));
	take(2);
	check_log(&bench->orders, "one\ntwo\n");
	feed(" and five\nsix\r\n");
	assert_int_equal(fill(2), 1);
	take(10);
	check_log(&bench->orders, "one\ntwo\n\nfour and five\nsix\r\n");
	check_log(&bench->refused, "");
	assert_false(pad_waits(bench->pad, bench->taken));
	assert_int_equal(fill(2), 0);
}

static void test_nul(void **state)
{
	(void)state;
	feed_bytes("a\0b\n\0\nc\n", 8);
	assert_int_equal(fill(1), 1);
	take(10);
	assert_int_equal(bench->orders.used, 8);
	assert_memory_equal(bench->orders.bytes, "a\0b\n\0\nc\n", 8);
}

static void test_unfinished(void **state)
{
	(void)state;
	feed("begun");
	assert_int_equal(fill(1000), 1);
	assert_int_equal(pad_deadline(bench->pad), 1000 + PAD_PATIENCE);
	assert_false(pad_waits(bench->pad, bench->taken));
	feed(" on");
	assert_int_equal(fill(1000 + PAD_PATIENCE / 2), 1);
	assert_int_equal(pad_deadline(bench->pad), 1000 + PAD_PATIENCE);
	pad_expire(bench->pad, 1000 + PAD_PATIENCE - 1, refused, &bench->refused);
	check_log(&bench->refused, "");
	pad_expire(bench->pad, 1000 + PAD_PATIENCE, refused, &bench->refused);
	check_log(&bench->refused, "1begun on\n");
	assert_int_equal(pad_deadline(bench->pad), 0);
	pad_expire(bench->pad, 1000 + PAD_PATIENCE, refused, &bench->refused);
	feed("next\n");
	assert_int_equal(fill(1001 + PAD_PATIENCE), 1);
	take(9);
	check_log(&bench->orders, "next\n");
	check_log(&bench->refused, "1begun on\n");
}

/* Nobody has looked in time: what comes is not its rest. */
static void test_unfinished_then_more(void **state)
{
	(void)state;
	feed("whole\nbegun");
	assert_int_equal(fill(1000), 1);
	feed("next\nlast");
	assert_int_equal(fill(1000 + PAD_PATIENCE), 1);
	check_log(&bench->refused, "1begun\n");
	assert_int_equal(pad_deadline(bench->pad), 1000 + 2 * PAD_PATIENCE);
	take(9);
	check_log(&bench->orders, "whole\nnext\n");
}

/* LENGTH times LETTER, and a LF, come. */
static void feed_line(char letter, size_t length)
{
	char *line = malloc(length + 1);

	assert_non_null(line);
	(void)memset(line, letter, length);
	line[length] = '\n';
	feed_bytes(line, length + 1);
	free(line);
}

static void test_long(void **state)
{
	(void)state;
	feed_line('a', PAD_LINE_MAX);
	assert_int_equal(fill(1), 1);
	take(1);
	assert_int_equal(bench->orders.used, PAD_LINE_MAX + 1);
	feed_line('b', PAD_LINE_MAX + 1);
	feed("c\n");
	assert_int_equal(fill(1), 1);
	assert_int_equal(bench->refused.bytes[0], '0');
	assert_int_equal(bench->refused.used, 1 + PAD_LINE_MAX + 1);
	take(1);
	assert_memory_equal(bench->orders.bytes + bench->orders.used - 4, "a\nc\n", 4);
}

/* A very long line is refused once, however it comes; what follows it counts. */
static void test_very_long(void **state)
{
	char piece[5000];

	(void)state;
	(void)memset(piece, 'x', sizeof(piece));
	for (size_t i = 0; i < 200; i++) {
		feed_bytes(piece, sizeof(piece));
		if (i % 3 == 0)
			(void)fill(i * PAD_PATIENCE);
	}
	feed("\nafter\n");
	assert_int_equal(fill(1), 1);
	assert_int_equal(bench->refused.used, 1 + PAD_LINE_MAX + 1);
	take(9);
	check_log(&bench->orders, "after\n");
}

static void test_full(void **state)
{
	size_t n = PAD_ROOM / 100;

	(void)state;
	for (size_t i = 0; i < n; i++)
		feed_line('a', 99);
	assert_int_equal(fill(1), 1);
	check_log(&bench->refused, "");
	feed_line('b', 99);
	feed("s\nsm");
	assert_int_equal(fill(1), 1);
	assert_int_equal(bench->refused.used, 101);
	assert_memory_equal(bench->refused.bytes, "2bbb", 4);
	take(1);
	feed("all\n");
	feed_line('c', 99);
	feed_line('d', 99);
	assert_int_equal(fill(1), 1);
	assert_int_equal(bench->refused.used, 202);
	assert_memory_equal(bench->refused.bytes + 101, "2ddd", 4);
	take(SIZE_MAX);
	assert_int_equal(bench->orders.used, n * 100 + strlen("s\nsmall\n") + 100);
	assert_memory_equal(bench->orders.bytes + n * 100, "s\nsmall\nccc", 11);
}

/* An order that has begun is refused as soon as there is no room for it, and skipped to its end. */
static void test_full_begun(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		feed_line('a', 4000);
	feed("0123456789012345678901234567");
	assert_int_equal(fill(1), 1);
	check_log(&bench->refused, "");
	feed("x");
	assert_int_equal(fill(1), 1);
	check_log(&bench->refused, "20123456789012345678901234567x\n");
	feed("rest\nfits\n");
	assert_int_equal(fill(1), 1);
	check_log(&bench->refused, "20123456789012345678901234567x\n");
	take(3);
	bench->orders.used = 0;
	take(9);
	check_log(&bench->orders, "fits\n");
}

static void test_closed(void **state)
{
	(void)state;
	(void)close(ends[1]);
	ends[1] = -1;
	assert_int_equal(pad_fill(bench->pad, ends[0], 0, 1, refused, &bench->refused), -EPIPE);
	assert_int_equal(pad_fill(bench->pad, -1, 0, 1, refused, &bench->refused), -EBADF);
}

/* Any lengths in any pieces, the ring round and round. */
static void test_random(void **state)
{
	struct log *sent = calloc(1, sizeof(*sent));
	size_t fed = 0, checked = 0;
	uint64_t dice = 1;

	(void)state;
	assert_non_null(sent);
	for (unsigned round = 0; round < 20000; round++) {
		char line[300];
		size_t length = (size_t)random_below(&dice, sizeof(line));

		for (size_t i = 0; i < length; i++)
			line[i] = (char)('a' + random_below(&dice, 26));
		log_add(sent, line, length);
		length = (size_t)random_below(&dice, (sent->used - fed + 1));
		feed_bytes(sent->bytes + fed, length);
		fed += length;
		(void)fill(1);
		take((size_t)random_below(&dice, 6));
		if (sent->used < LOG_MAX / 2)
			continue;
		take(SIZE_MAX);
		feed_bytes(sent->bytes + fed, sent->used - fed);
		(void)fill(1);
		take(SIZE_MAX);
		assert_int_equal(bench->orders.used, sent->used);
		assert_memory_equal(bench->orders.bytes, sent->bytes, sent->used);
		checked += sent->used;
		bench->orders.used = sent->used = fed = 0;
	}
	assert_int_equal(bench->refused.used, 0);
	assert_true(checked > PAD_ROOM * 10);
	free(sent);
}

static void test_unsound(void **state)
{
	(void)state;
	assert_true(pad_is_sound(bench->pad, 0));
	assert_false(pad_is_sound(bench->pad, 1));
	feed("a\n");
	(void)fill(1);
	assert_true(pad_is_sound(bench->pad, 2));
	assert_false(pad_is_sound(bench->pad, 3));
	bench->pad[0] ^= 1;
	assert_false(pad_is_sound(bench->pad, 0));
}

/* Dying after every instruction. */

/* Instrumented by TSan each store is a hundred instructions, of which none is ours. */
#if defined(__SANITIZE_THREAD__)
#define STEPS_ARE_OURS false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STEPS_ARE_OURS false
#endif
#endif
#ifndef STEPS_ARE_OURS
#define STEPS_ARE_OURS true
#endif

/* What comes, when, and how many orders are taken out afterwards. */
struct piece {
	const char *bytes;
	char letter; /* or so many times this */
	size_t length;
	usec_t now;
	size_t takes;
};

static const struct piece pieces[] = {
	{.bytes = "one\ntwo\nthr", .now = 1, .takes = 1},
	{.bytes = "ee\n", .now = 2, .takes = 1},
	{.bytes = "begun", .now = 3},
	{.bytes = "late\nmore", .now = 4 + PAD_PATIENCE, .takes = 1},
	{.bytes = " and more\n", .now = 5 + PAD_PATIENCE},
	{.letter = 'x', .length = 4100, .now = 6},
	{.bytes = "rest\n", .now = 6},
	{.letter = 'w', .length = 4000, .now = 7},
	{.bytes = "01234567890123456789012345678901234567890123456789"
		  "01234567890123456789012345678901234567890123456789"
		  "\nover it\ngood\nhalf",
	 .now = 7},
	{.letter = 'y', .length = 4000, .now = 8},
	{.bytes = "\n", .now = 8},
	{.letter = 'z', .length = 4050, .now = 8, .takes = 2},
	{.bytes = "\nshort\n", .now = 8},
	{.letter = 'f', .length = 4000, .now = 8},
	{.bytes = "ull\n\nlast\n", .now = 8, .takes = 3},
	{.letter = 'v', .length = 4000, .now = 8},
	{.bytes = "\nthe end\n", .now = 9, .takes = 100},
};
#define N_PIECES (sizeof(pieces) / sizeof(pieces[0]))

/* Shared with the child. */
struct stage {
	_Alignas(uint64_t) char pad[MARCEL_PAD_SIZE];
	_Atomic uint64_t taken;
	_Atomic size_t wanted; /* pieces */
	_Atomic size_t fed;
	_Atomic size_t told; /* bytes of refused.bytes */
	struct log refused;
};

static struct stage *stage;

/* What an undisturbed run comes to, after each piece. */
static struct {
	size_t refused;
	size_t orders;
} after[N_PIECES + 1];

static void feed_piece(const struct piece *piece)
{
	char *bytes;

	if (piece->bytes != NULL) {
		feed(piece->bytes);
		return;
	}
	bytes = malloc(piece->length);
	assert_non_null(bytes);
	(void)memset(bytes, piece->letter, piece->length);
	feed_bytes(bytes, piece->length);
	free(bytes);
}

static void run_undisturbed(void)
{
	for (size_t i = 0; i < N_PIECES; i++) {
		struct log orders;
		uint64_t taken;

		feed_piece(&pieces[i]);
		(void)fill(pieces[i].now);
		/* What waits counts; it is taken out later. */
		taken = bench->taken;
		orders = bench->orders;
		take(SIZE_MAX);
		after[i + 1].orders = bench->orders.used;
		after[i + 1].refused = bench->refused.used;
		bench->taken = taken;
		bench->orders = orders;
		take(pieces[i].takes);
	}
	assert_int_equal(after[N_PIECES].orders, bench->orders.used);
}

static void refused_in_child(void *context, enum pad_refusal refusal, const char *text,
			     size_t length)
{
	(void)context;
	refused(&stage->refused, refusal, text, length);
	atomic_store(&stage->told, stage->refused.used);
}

static _Noreturn void run_child(void)
{
	char line[PAD_LINE_MAX];
	uint64_t taken = 0;
	size_t length;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(3);
	(void)raise(SIGSTOP);
	for (size_t i = 0; i < N_PIECES; i++) {
		atomic_store(&stage->wanted, i + 1);
		while (atomic_load(&stage->fed) < i + 1)
			;
		if (pad_fill(stage->pad, ends[0], taken, pieces[i].now, refused_in_child, NULL) < 0)
			_exit(4);
		for (size_t n = pieces[i].takes;
		     n > 0 && pad_next(stage->pad, taken, line, &length, &taken); n--)
			atomic_store(&stage->taken, taken);
	}
	_exit(0);
}

/* The bytes of PIECE, or of all before, that are still in the pipe, go to TO. */
static void copy_rest(int to, size_t fed)
{
	int left = 0;
	size_t total = 0, from;
	char *all;

	assert_int_equal(ioctl(ends[0], FIONREAD, &left), 0);
	if (left == 0)
		return;
	assert_true(fed > 0);
	for (size_t i = 0; i < fed; i++)
		total += pieces[i].bytes != NULL ? strlen(pieces[i].bytes) : pieces[i].length;
	all = malloc(total + 1);
	assert_non_null(all);
	from = 0;
	for (size_t i = 0; i < fed; i++) {
		size_t length = pieces[i].bytes != NULL ? strlen(pieces[i].bytes)
							: pieces[i].length;

		if (pieces[i].bytes != NULL)
			(void)memcpy(all + from, pieces[i].bytes, length);
		else
			(void)memset(all + from, pieces[i].letter, length);
		from += length;
	}
	assert_int_equal(write(to, all + total - (size_t)left, (size_t)left), left);
	free(all);
}

/* The refusals from the byte AT of the whole on are TOLD, of which the first may be the one before:
 * it is told twice. */
static void check_refused(const struct log *whole, size_t at, size_t end, const struct log *told)
{
	size_t before = at > 0 ? at - 1 : 0;

	while (before > 0 && whole->bytes[before - 1] != '\n')
		before--;
	if (told->used == end - at && memcmp(told->bytes, whole->bytes + at, end - at) == 0)
		return;
	assert_int_equal(told->used, end - before);
	assert_memory_equal(told->bytes, whole->bytes + before, end - before);
}

/* Goes on as if the child were dead. */
static void look(struct bench *copy, const int fds[2])
{
	size_t fed = atomic_load(&stage->fed);
	size_t carried = 0;
	char line[PAD_LINE_MAX];
	size_t length;

	(void)memcpy(copy->pad, stage->pad, sizeof(copy->pad));
	copy->taken = atomic_load(&stage->taken);
	copy->refused.used = copy->orders.used = 0;
	assert_true(pad_is_sound(copy->pad, copy->taken));
	pad_recover(copy->pad, copy->taken, fed > 0 ? pieces[fed - 1].now : 0, refused,
		    &copy->refused);
	copy_rest(fds[1], fed);
	assert_true(pad_fill(copy->pad, fds[0], copy->taken, fed > 0 ? pieces[fed - 1].now : 0,
			     refused, &copy->refused) >= 0);
	while (pad_next(copy->pad, copy->taken, line, &length, &copy->taken))
		log_add(&copy->orders, line, length);
	/* The stream has one byte for each of an order and its LF: so many were carried out. */
	carried = atomic_load(&stage->taken);
	assert_int_equal(carried + copy->orders.used, after[fed].orders);
	assert_memory_equal(copy->orders.bytes, bench->orders.bytes + carried, copy->orders.used);
	check_refused(&bench->refused, atomic_load(&stage->told), after[fed].refused,
		      &copy->refused);
}

static void test_death(void **state)
{
	struct bench *copy = calloc(1, sizeof(*copy));
	uint64_t steps = 0;
	int fds[2];
	int status;
	pid_t child;

	(void)state;
	if (!STEPS_ARE_OURS)
		skip();
	assert_non_null(copy);
	make_pipe(fds);
	run_undisturbed();
	stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	assert_ptr_not_equal(stage, MAP_FAILED);
	pad_reset(stage->pad);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		run_child();
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status))
		skip(); /* nobody may trace here */
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_EXITKILL), 0);
	do {
		size_t fed = atomic_load(&stage->fed);

		look(copy, fds);
		if (atomic_load(&stage->wanted) > fed) {
			feed_piece(&pieces[fed]);
			atomic_store(&stage->fed, fed + 1);
		}
		steps++;
	} while (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0 &&
		 waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(atomic_load(&stage->taken), after[N_PIECES].orders);
	print_message("%ju instructions\n", (uintmax_t)steps);
	(void)munmap(stage, sizeof(*stage));
	(void)close(fds[0]);
	(void)close(fds[1]);
	free(copy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lines),      TEST(test_nul),
		TEST(test_unfinished), TEST(test_unfinished_then_more),
		TEST(test_long),       TEST(test_very_long),
		TEST(test_full),       TEST(test_full_begun),
		TEST(test_closed),     TEST(test_random),
		TEST(test_unsound),    TEST(test_death),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
