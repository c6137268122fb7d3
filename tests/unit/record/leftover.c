/*
 * What one process could not send, the next one sends: through the leftover file after a stop that
 * hit its deadline, and through a ring that survived its process.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector.h"
#include "record/record.h"
#include "ring-tools.h"

#define SPACE CHUNKED_SPACE

/* A directory of each test's own. */
static char directory[64];
static char path[128];
static char path_aside[128];

static int make_directory(void **state)
{
	(void)state;
	memcpy(directory, "/tmp/record-test-XXXXXX", sizeof("/tmp/record-test-XXXXXX"));
	if (mkdtemp(directory) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/leftover", directory);
	(void)snprintf(path_aside, sizeof(path_aside), "%s/leftover.new", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)unlink(path_aside);
	return rmdir(directory);
}

static void start(struct collector *collector, void *memory, const char *leftover)
{
	struct record_transport transport = collector_transport(collector, RECORD_OUTPUT_TEXT);

	assert_int_equal(record_start_with(&transport, memory, memory == NULL ? 0 : SPACE,
					   leftover),
			 0);
}

static void begin(struct collector *collector, void *memory, const char *leftover)
{
	collector_init(collector);
	start(collector, memory, leftover);
}

/* Notes "NAME FIRST" to "NAME LAST - 1". */
static void note(const char *name, int first, int last)
{
	for (int i = first; i < last; i++)
		record_note(RECORD_NOTICE, "%s %d", name, i);
}

static void assert_notes(const struct collector *collector, size_t at, const char *name, int first,
			 int last)
{
	for (int i = first; i < last; i++) {
		char wanted[64];

		(void)snprintf(wanted, sizeof(wanted), "%s %d\n\n", name, i);
		assert_true(at < collector->n);
		assert_string_equal(collector->records[at++], wanted);
	}
}

/* One that lives on with its thread asleep, as at the end of a process. */
static struct collector *stalled_collector(void)
{
	static struct collector collectors[32];
	static size_t n;

	assert_true(n < 32);
	return &collectors[n++];
}

/*
 * What a process does that ends while its journal is stalled; its thread sleeps until the end of
 * the test. Notes of NAME from 0 to COUNT - 1 stay behind.
 */
static struct collector *end_stalled(void *memory, const char *leftover, const char *name,
				     int count)
{
	struct collector *collector = stalled_collector();

	collector_init(collector);
	collector->blocked = true;
	start(collector, memory, leftover);
	note(name, 0, count);
	collector_await_stall(collector);
	record_stop(clock_now());
	assert_int_equal(collector->n, 0);
	return collector;
}

/* Starts anew and returns what was sent, up to N records; frees nothing. */
static void send_rest(struct collector *collector, void *memory, const char *leftover)
{
	begin(collector, memory, leftover);
	record_stop(USEC_NEVER);
}

static void test_a_stalled_stop_leaves_the_rest(void **state)
{
	struct collector collector;
	struct stat status;

	(void)state;
	(void)end_stalled(NULL, path, "left", 100);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_not_equal(access(path_aside, F_OK), 0);
	begin(&collector, NULL, path);
	note("new", 0, 10);
	record_stop(USEC_NEVER);
	assert_int_equal(collector.n, 110);
	assert_notes(&collector, 0, "left", 0, 100);
	assert_notes(&collector, 100, "new", 0, 10);
	assert_int_not_equal(access(path, F_OK), 0);
	collector_done(&collector);
}

static void test_a_deadline_is_waited_for(void **state)
{
	struct collector *collector = stalled_collector();
	usec_t deadline;

	(void)state;
	collector_init(collector);
	collector->blocked = true;
	start(collector, NULL, path);
	note("left", 0, 3);
	deadline = clock_now() + 50 * USEC_PER_MSEC;
	record_stop(deadline);
	assert_true(clock_now() >= deadline);
	assert_int_equal(access(path, F_OK), 0);
}

static void test_a_thread_that_wakes_up_later_sends_nothing_more(void **state)
{
	void *memory = shared_memory(SPACE);
	struct collector *stalled;
	struct collector collector;

	(void)state;
	stalled = end_stalled(memory, NULL, "left", 100);
	collector_block(stalled, false);
	collector_await_end(stalled);
	assert_int_equal(stalled->n, 1);
	send_rest(&collector, memory, NULL);
	assert_int_equal(collector.n, 100);
	assert_notes(&collector, 0, "left", 0, 100);
	collector_done(&collector);
}

static void test_stalled_again(void **state)
{
	struct collector collector;

	(void)state;
	(void)end_stalled(NULL, path, "first", 50);
	(void)end_stalled(NULL, path, "second", 50);
	(void)end_stalled(NULL, path, "third", 50);
	send_rest(&collector, NULL, path);
	assert_int_equal(collector.n, 150);
	assert_notes(&collector, 0, "first", 0, 50);
	assert_notes(&collector, 50, "second", 0, 50);
	assert_notes(&collector, 100, "third", 0, 50);
	collector_done(&collector);
}

static void test_stalled_again_in_the_middle_of_the_file(void **state)
{
	struct collector *second = stalled_collector();
	struct collector collector;

	(void)state;
	(void)end_stalled(NULL, path, "first", 50);
	begin(second, NULL, path);
	collector_await(second, 20);
	collector_block(second, true);
	note("second", 0, 50);
	collector_await_stall(second);
	record_stop(clock_now());
	/* What had not been sent when it was blocked comes now, and nothing twice. */
	send_rest(&collector, NULL, path);
	assert_int_equal(second->n + collector.n, 100);
	for (size_t i = 0; i < collector.n; i++) {
		int number = (int)(second->n + i);

		assert_notes(&collector, i, number < 50 ? "first" : "second", number % 50,
			     number % 50 + 1);
	}
	collector_done(&collector);
}

static void keep_last(struct collector *collector, const struct iovec *parts, size_t n_parts)
{
	free(collector->context);
	collector->context = join_parts(parts, n_parts);
}

static void test_drops_are_left_over_too(void **state)
{
	struct collector collector;
	struct collector *stalled = stalled_collector();
	const struct record_about about = {.number = 1};
	char wanted[64];

	(void)state;
	collector_init(stalled);
	stalled->blocked = true;
	start(stalled, shared_memory(SPACE), path);
	record_set_transcript(TRANSCRIPT_FULL, 4096);
	for (int i = 0; i < 20000; i++)
		record_said(&about, RECORD_CLIENT, 1, "0123456789", 10);
	collector_await_stall(stalled);
	record_stop(clock_now());
	collector_init(&collector);
	collector.look = keep_last;
	start(&collector, NULL, path);
	record_stop(USEC_NEVER);
	assert_in_range(collector.n, 1000, 20000);
	(void)snprintf(wanted, sizeof(wanted), "Dropped %zu lines of the transcript,",
		       20000 - (collector.n - 1));
	assert_non_null(strstr(collector.context, wanted));
	free(collector.context);
	collector_done(&collector);
}

static void test_a_ring_that_survived(void **state)
{
	void *memory = shared_memory(SPACE);
	struct collector collector;
	int status;
	pid_t child;

	(void)state;
	(void)fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		collector_init(&collector);
		collector.blocked = true;
		start(&collector, memory, NULL);
		note("survived", 0, 100);
		collector_await_stall(&collector);
		(void)raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	begin(&collector, memory, NULL);
	note("new", 0, 10);
	record_stop(USEC_NEVER);
	assert_int_equal(collector.n, 110);
	assert_notes(&collector, 0, "survived", 0, 100);
	assert_notes(&collector, 100, "new", 0, 10);
	collector_done(&collector);
	send_rest(&collector, memory, NULL);
	assert_int_equal(collector.n, 0);
	collector_done(&collector);
}

static void test_the_file_comes_before_the_ring(void **state)
{
	void *memory = shared_memory(SPACE);
	struct collector collector;
	struct ring ring;

	(void)state;
	(void)end_stalled(NULL, path, "file", 10);
	(void)end_stalled(memory, NULL, "ring", 10);
	assert_int_equal(ring_open(&ring, memory, SPACE), 0);
	assert_false(ring_is_empty(&ring));
	send_rest(&collector, memory, path);
	assert_int_equal(collector.n, 20);
	assert_notes(&collector, 0, "file", 0, 10);
	assert_notes(&collector, 10, "ring", 0, 10);
	assert_true(ring_is_empty(&ring));
	collector_done(&collector);
}

static void test_the_ring_is_empty_once_it_was_written_down(void **state)
{
	void *memory = shared_memory(SPACE);
	struct ring ring;

	(void)state;
	(void)end_stalled(memory, path, "left", 10);
	assert_int_equal(ring_open(&ring, memory, SPACE), 0);
	assert_true(ring_is_empty(&ring));
}

static void test_leaving_leaves_the_rest_in_the_ring(void **state)
{
	struct collector *stalled = stalled_collector();
	void *memory = shared_memory(SPACE);
	struct collector collector;

	(void)state;
	collector_init(stalled);
	stalled->blocked = true;
	start(stalled, memory, path);
	note("left", 0, 10);
	collector_await_stall(stalled);
	record_leave();
	assert_int_not_equal(access(path, F_OK), 0);
	send_rest(&collector, memory, path);
	assert_int_equal(collector.n, 10);
	assert_notes(&collector, 0, "left", 0, 10);
	collector_done(&collector);
}

static void test_leaving_in_the_middle_of_the_file(void **state)
{
	struct collector *stalled = stalled_collector();
	void *memory = shared_memory(SPACE);
	struct collector collector;

	(void)state;
	(void)end_stalled(NULL, path, "file", 10);
	collector_init(stalled);
	stalled->blocked = true;
	start(stalled, memory, path);
	note("ring", 0, 10);
	collector_await_stall(stalled);
	record_leave();
	send_rest(&collector, memory, path);
	assert_int_equal(collector.n, 20);
	assert_notes(&collector, 0, "file", 0, 10);
	assert_notes(&collector, 10, "ring", 0, 10);
	collector_done(&collector);
}

static void test_no_place_for_the_file(void **state)
{
	void *memory = shared_memory(SPACE);
	struct collector collector;

	(void)state;
	(void)end_stalled(memory, "/nonexistent/leftover", "left", 10);
	send_rest(&collector, memory, "/nonexistent/leftover");
	assert_int_equal(collector.n, 10);
	assert_notes(&collector, 0, "left", 0, 10);
	collector_done(&collector);
}

static void test_records_after_a_stalled_stop(void **state)
{
	struct collector collector;

	(void)state;
	(void)end_stalled(NULL, path, "left", 10);
	/* From the main thread, straight to where they go: that must not hang now. */
	note("late", 0, 5);
	send_rest(&collector, NULL, path);
	assert_int_equal(collector.n, 15);
	assert_notes(&collector, 0, "left", 0, 10);
	assert_notes(&collector, 10, "late", 0, 5);
	collector_done(&collector);
}

static void write_file(const char *name, const void *bytes, size_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	(void)close(fd);
}

static void test_files_that_make_no_sense(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *told; /* NULL: nothing */
	} files[] = {
		{"", 0, NULL},
		{"marcelR1", 8, NULL},
		{"x", 1, "MARCEL_DROPPED_DAMAGED=1"},
		{"something else", 14, "MARCEL_DROPPED_DAMAGED=14"},
		{"marcelR1\xff\xff\xff\xff", 12, "MARCEL_DROPPED_DAMAGED=4"},
		{"marcelR1\0\0\0\0", 12, "MARCEL_DROPPED_DAMAGED=4"},
		{"marcelR1\3\0\0\0xyz", 15, "MARCEL_DROPPED_DAMAGED=3"},
		{"marcelR1\3\0\0\0xy", 14, "MARCEL_DROPPED_DAMAGED=6"},
		{"marcelR1\3\0", 10, "MARCEL_DROPPED_DAMAGED=2"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct record_transport transport;
		struct collector collector;

		collector_init(&collector);
		write_file(path, files[i].bytes, files[i].size);
		transport = collector_transport(&collector, RECORD_OUTPUT_JOURNAL);
		assert_int_equal(record_start_with(&transport, NULL, 0, path), 0);
		record_stop(USEC_NEVER);
		assert_int_equal(collector.n, files[i].told != NULL);
		if (files[i].told != NULL)
			assert_true(has_part(collector.records[0], files[i].told));
		assert_int_not_equal(access(path, F_OK), 0);
		collector_done(&collector);
	}
}

static void test_a_file_that_is_cut_short(void **state)
{
	struct collector collector;
	struct stat status;

	(void)state;
	(void)end_stalled(NULL, path, "left", 10);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(truncate(path, status.st_size - 1), 0);
	send_rest(&collector, NULL, path);
	assert_int_equal(collector.n, 10); /* nine of them, and what was lost */
	assert_notes(&collector, 0, "left", 0, 9);
	collector_done(&collector);
}

static void test_links_are_not_followed(void **state)
{
	struct collector collector;
	char target[160];
	struct stat status;

	(void)state;
	(void)snprintf(target, sizeof(target), "%s/target", directory);
	write_file(target, "precious", 8);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(symlink(target, path_aside), 0);
	(void)end_stalled(NULL, path, "left", 10);
	assert_int_equal(lstat(path, &status), 0);
	assert_true(S_ISREG(status.st_mode));
	assert_int_equal(stat(target, &status), 0);
	assert_int_equal(status.st_size, 8);
	/* Nor when reading. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(target, path), 0);
	send_rest(&collector, NULL, path);
	assert_int_equal(collector.n, 0);
	assert_int_equal(stat(target, &status), 0);
	assert_int_equal(unlink(target), 0);
	collector_done(&collector);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, for TSan forks no process that has threads. */
		TEST(test_a_ring_that_survived),
		TEST(test_a_stalled_stop_leaves_the_rest),
		TEST(test_a_deadline_is_waited_for),
		TEST(test_a_thread_that_wakes_up_later_sends_nothing_more),
		TEST(test_stalled_again),
		TEST(test_stalled_again_in_the_middle_of_the_file),
		TEST(test_drops_are_left_over_too),
		TEST(test_the_file_comes_before_the_ring),
		TEST(test_the_ring_is_empty_once_it_was_written_down),
		TEST(test_leaving_leaves_the_rest_in_the_ring),
		TEST(test_leaving_in_the_middle_of_the_file),
		TEST(test_no_place_for_the_file),
		TEST(test_records_after_a_stalled_stop),
		TEST(test_files_that_make_no_sense),
		TEST(test_a_file_that_is_cut_short),
		TEST(test_links_are_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
