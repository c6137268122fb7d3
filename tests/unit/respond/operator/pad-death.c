/*
 * A process that dies with orders in its pad: the next one finds all of them, each once.
 *
 * As in converse/commit.c a child runs one instruction at a time, and after each of them this
 * process goes on with a copy of the pad, and of what is left in the pipe, as if the child had died
 * there.
 */
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "../../steps.h"
#include "bench.h"

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
	uint64_t taken;
} after[N_PIECES + 1];

static void feed_piece(const struct piece *piece, int to)
{
	static char letters[4100];
	const char *bytes = piece->bytes;
	size_t length = piece->length;

	if (bytes != NULL) {
		length = strlen(bytes);
	} else {
		assert_true(length <= sizeof(letters));
		(void)memset(letters, piece->letter, length);
		bytes = letters;
	}
	assert_int_equal(write(to, bytes, length), length);
}

static void run_undisturbed(void)
{
	for (size_t i = 0; i < N_PIECES; i++) {
		struct log orders;
		uint64_t taken;

		feed_piece(&pieces[i], ends[1]);
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
		after[i + 1].taken = bench->taken;
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

static void check_part(const struct log *log, size_t *at, const char *expected, size_t length)
{
	assert_true(*at + length <= log->used);
	assert_memory_equal(log->bytes + *at, expected, length);
	*at += length;
}

/* An order had begun whose time was over, and was not given up yet: it is not, for its time begins
 * anew, and the last piece goes on with what the one before it began. */
static void check_continued(const struct bench *copy, size_t fed, size_t carried)
{
	const char *orders = bench->orders.bytes;
	const char *rest = pieces[fed - 1].bytes;
	size_t before = after[fed - 1].orders;
	size_t at = 0;

	/* Undisturbed, it is refused with its rest. */
	assert_int_equal(after[fed].orders, before);
	check_part(&copy->orders, &at, orders + carried, before - carried);
	check_part(&copy->orders, &at, pieces[fed - 2].bytes, strlen(pieces[fed - 2].bytes));
	check_part(&copy->orders, &at, rest, (size_t)(strchr(rest, '\n') + 1 - rest));
	assert_int_equal(at, copy->orders.used);
	assert_int_equal(copy->refused.used, 0);
}

/* What waits in COPY is carried out, up to TAKEN. */
static void take_until(struct bench *copy, uint64_t taken)
{
	char line[PAD_LINE_MAX];
	size_t length;

	while (copy->taken < taken && pad_next(copy->pad, copy->taken, line, &length, &copy->taken))
		log_add(&copy->orders, line, length);
}

/* Goes on as if the child were dead, also with the piece that comes next: only that shows what is
 * to become of it where it is the rest of an order that was refused. */
static void look(struct bench *copy, const int fds[2])
{
	size_t fed = atomic_load(&stage->fed);
	usec_t now = fed > 0 ? pieces[fed - 1].now : 0;
	size_t carried = 0;
	bool overdue;

	(void)memcpy(copy->pad, stage->pad, sizeof(copy->pad));
	copy->taken = atomic_load(&stage->taken);
	copy->refused.used = copy->orders.used = 0;
	assert_true(pad_is_sound(copy->pad, copy->taken));
	overdue = pad_deadline(copy->pad) != 0 && pad_deadline(copy->pad) <= now;
	pad_recover(copy->pad, copy->taken, now, refused, &copy->refused);
	copy_rest(fds[1], fed);
	assert_true(pad_fill(copy->pad, fds[0], copy->taken, now, refused, &copy->refused) >= 0);
	if (fed < N_PIECES && !overdue) {
		take_until(copy, after[fed].taken);
		feed_piece(&pieces[fed], fds[1]);
		assert_true(pad_fill(copy->pad, fds[0], copy->taken, pieces[fed].now, refused,
				     &copy->refused) >= 0);
		fed++;
	}
	take_until(copy, UINT64_MAX);
	/* The stream has one byte for each of an order and its LF: so many were carried out. */
	carried = atomic_load(&stage->taken);
	if (overdue) {
		check_continued(copy, fed, carried);
		return;
	}
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
			feed_piece(&pieces[fed], ends[1]);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_death, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
