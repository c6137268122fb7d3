/*
 * Numbers of conversations come once: counting on exactly after an orderly end, skipping at most a
 * block after a crash, and doing without a file that is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "converse/numbers.h"

#define BLOCK UINT64_C(1000) /* so many may be skipped after a crash */

static char directory[64];
static char path[96]; /* of the file of numbers */

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(directory, sizeof(directory), "/tmp/marcel-numbers-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/numbers", directory);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)remove(path);
	return rmdir(directory);
}

static void write_file(const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	(void)close(fd);
}

/* What the file says; it holds nothing else. */
static uint64_t read_file(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t bytes[2];

	assert_true(fd >= 0);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), sizeof(bytes[0]));
	(void)close(fd);
	return bytes[0];
}

/* A whole life in which COUNT numbers are taken, the first of which is FIRST. */
static void live(uint64_t first, uint64_t count, bool orderly)
{
	struct numbers numbers;
	_Atomic uint64_t next = 4711; /* not trusted */

	assert_int_equal(numbers_init(&numbers, &next, false, path), 0);
	for (uint64_t i = 0; i < count; i++) {
		assert_int_equal(numbers_take(&numbers), first + i);
		/* What would be read now, by one who comes after a crash. */
		assert_true(read_file() > first + i);
		assert_true(read_file() <= first + i + BLOCK);
	}
	if (orderly)
		numbers_done(&numbers);
	else
		(void)close(numbers.fd);
}

static void test_orderly(void **state)
{
	struct stat st;

	(void)state;
	live(1, 3, true);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(read_file(), 4);
	live(4, 0, true);
	live(4, 2 * BLOCK + 7, true);
	live(4 + 2 * BLOCK + 7, 1, true);
}

/* After a crash the file's number is used, which no one reached. */
static void test_crash(void **state)
{
	uint64_t reached = 1;

	(void)state;
	for (uint64_t count = 1; count <= 2 * BLOCK + 1; count += BLOCK / 2) {
		uint64_t bound;

		live(reached, count, false);
		bound = read_file();
		assert_true(bound >= reached + count);
		assert_true(bound < reached + count + BLOCK);
		reached = bound;
	}
}

/* The table is right, whatever the file says. */
static void test_trusted(void **state)
{
	struct numbers numbers;
	_Atomic uint64_t next = 0;
	uint64_t older;

	(void)state;
	live(1, 1, false);
	older = read_file();
	for (uint64_t from = 2; from < 5 * BLOCK; from += BLOCK - 1) {
		atomic_store(&next, from);
		assert_int_equal(numbers_init(&numbers, &next, true, path), 0);
		assert_int_equal(atomic_load(&next), from);
		assert_int_equal(numbers_take(&numbers), from);
		assert_true(read_file() > from);
		(void)close(numbers.fd);
	}
	assert_true(older <= read_file());
}

/* Files that say nothing are begun anew and used from then on. */
static void test_nothing_said(void **state)
{
	uint64_t zero = 0;

	(void)state;
	write_file("", 0);
	live(1, 2, true);
	live(3, 1, true);
	write_file("seven b", 7);
	live(1, 2, true);
	live(3, 1, true);
	write_file(&zero, sizeof(zero));
	live(1, 2, true);
}

/* Garbage of the right size is a number as any other: counting goes on there. */
static void test_garbage(void **state)
{
	uint64_t garbage = UINT64_C(0x1234567890abcdef);

	(void)state;
	write_file(&garbage, sizeof(garbage));
	live(garbage, 3, true);
	live(garbage + 3, 3, true);
}

/* No file there: everything else works, and the number in the table counts. */
static void use_without(const char *where, int expected)
{
	struct numbers numbers;
	_Atomic uint64_t next = 4711;

	assert_int_equal(numbers_init(&numbers, &next, false, where), expected);
	for (uint64_t i = 1; i <= 2 * BLOCK; i++)
		assert_int_equal(numbers_take(&numbers), i);
	numbers_done(&numbers);
	assert_int_equal(atomic_load(&next), 2 * BLOCK + 1);
	assert_int_equal(numbers_init(&numbers, &next, true, where), expected);
	assert_int_equal(numbers_take(&numbers), 2 * BLOCK + 1);
	numbers_done(&numbers);
}

static void test_no_file(void **state)
{
	char below[128];

	(void)state;
	use_without(NULL, 0);
	(void)snprintf(below, sizeof(below), "%s/missing/numbers", directory);
	use_without(below, -ENOENT);
	assert_int_equal(mkdir(path, 0700), 0);
	use_without(path, -EISDIR);
	assert_int_equal(rmdir(path), 0);
	/* Does not wait for a writer. */
	assert_int_equal(mkfifo(path, 0600), 0);
	use_without(path, -EINVAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	use_without(path, -ELOOP);
}

/* In shared memory: what a child took. */
struct used {
	_Atomic uint64_t first;
	_Atomic uint64_t last;
};

/* Takes numbers until it is killed. */
static _Noreturn void take_on(struct used *used, int fd)
{
	struct numbers numbers;
	_Atomic uint64_t next = 0;

	if (numbers_init(&numbers, &next, false, path) != 0)
		_exit(1);
	for (unsigned i = 0;; i++) {
		atomic_store(&used->last, numbers_take(&numbers));
		if (i == 0)
			atomic_store(&used->first, atomic_load(&used->last));
		if (i == 20 && write(fd, "", 1) != 1)
			_exit(2);
	}
}

/* SIGKILL at any moment: what comes next was never used. */
static void test_kill(void **state)
{
	struct used *used = mmap(NULL, sizeof(*used), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(used != MAP_FAILED);
	for (int i = 0; i < 30; i++) {
		uint64_t before = atomic_load(&used->last);
		int pair[2], status;
		pid_t child;
		char byte;

		assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
		child = fork();
		assert_true(child >= 0);
		if (child == 0)
			take_on(used, pair[1]);
		(void)close(pair[1]);
		assert_int_equal(read(pair[0], &byte, 1), 1);
		(void)close(pair[0]);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		assert_true(atomic_load(&used->first) > before);
		assert_true(atomic_load(&used->first) <= before + BLOCK + 1);
		assert_true(read_file() > atomic_load(&used->last));
	}
	(void)munmap(used, sizeof(*used));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_orderly, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_crash, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_trusted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_garbage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kill, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("converse/numbers", tests, NULL, NULL);
}
