/*
 * A process that appends to a shared ring, and takes from it, is killed: the next one finds every
 * record that had been appended and not taken, whole, in order, and nothing else. First 200 times
 * at random, then, by single steps, after each instruction of the few that matter.
 */
#include <signal.h>
#include <stdatomic.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../steps.h"
#include "ring-tools.h"

#define KILLS 200

/* In shared memory too: what the child knows to have done. */
struct ledger {
	_Atomic uint64_t appended; /* records that were published for certain */
	_Atomic uint64_t taken;    /* records that may have been taken: counted before */
};

/* Appends and takes at random until it is killed; writes a byte to FD at some moment. */
static _Noreturn void live(struct ring *ring, struct ledger *ledger, int fd, uint64_t seed)
{
	uint64_t moment = at_random(&seed) % 20000;

	for (uint64_t step = 0;; step++) {
		uint64_t next = atomic_load(&ledger->appended);
		uint64_t oldest = atomic_load(&ledger->taken);
		bool empty = oldest == next;

		if (step == moment && write(fd, "", 1) != 1)
			_exit(1);
		if (empty)
			ring_rewind(ring);
		/* Phases of filling up and phases of emptying. */
		if ((empty || step / 4096 % 2 == 0) &&
		    append_numbered(ring, RECORD_ESSENTIAL, next)) {
			atomic_store(&ledger->appended, next + 1);
		} else if (!empty) {
			atomic_store(&ledger->taken, oldest + 1);
			ring_consume(ring);
		}
	}
}

/* Starts a child on MEMORY, kills it at a moment of its own choice. */
static void live_and_die(void *memory, struct ledger *ledger, uint64_t seed)
{
	int pair[2], status;
	pid_t child;
	char byte;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct ring ring;

		if (ring_open(&ring, memory, CHUNKED_SPACE) != 0)
			_exit(2);
		live(&ring, ledger, pair[1], seed);
	}
	(void)close(pair[1]);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	(void)close(pair[0]);
}

/* Checks what lies in the ring against LEDGER, and corrects LEDGER to it. */
static void check(void *memory, size_t space, struct ledger *ledger)
{
	uint64_t oldest = atomic_load(&ledger->taken);
	uint64_t next = atomic_load(&ledger->appended);
	struct ring_losses losses;
	struct ring ring;
	uint64_t position, number;
	const uint8_t *bytes;
	size_t size = 0;

	assert_int_equal(ring_open(&ring, memory, space), 0);
	assert_false(ring_losses(&ring, &losses));
	position = ring_position(&ring);
	bytes = ring_next(&ring, &position, &size);
	if (bytes == NULL) {
		assert_int_equal(oldest, next);
		return;
	}
	memcpy(&number, bytes, sizeof(number));
	/* The one being taken when it died may still be there. */
	assert_true(number == oldest || number + 1 == oldest);
	atomic_store(&ledger->taken, number);
	for (; bytes != NULL; bytes = ring_next(&ring, &position, &size))
		assert_true(is_numbered(bytes, size, number++));
	/* The one being appended may just be there. */
	assert_true(number == next || number == next + 1);
	atomic_store(&ledger->appended, number);
}

static void test_killed_at_any_instruction(void **state)
{
	void *memory = shared_memory(CHUNKED_SPACE);
	struct ledger *ledger = shared_memory(sizeof(*ledger));
	uint64_t seed = (uint64_t)getpid();

	(void)state;
	for (int i = 0; i < KILLS; i++) {
		live_and_die(memory, ledger, at_random(&seed));
		check(memory, CHUNKED_SPACE, ledger);
	}
	print_message("%d kills, %ju records\n", KILLS, (uintmax_t)atomic_load(&ledger->appended));
}

/* What is stepped through: appending across the end of the memory, taking, rewinding. */
static void live_slowly(struct ring *ring, struct ledger *ledger)
{
	for (int i = 0; i < 30; i++) {
		uint64_t next = atomic_load(&ledger->appended);

		if (append_numbered(ring, RECORD_ESSENTIAL, next))
			atomic_store(&ledger->appended, next + 1);
	}
	while (!ring_is_empty(ring)) {
		atomic_store(&ledger->taken, atomic_load(&ledger->taken) + 1);
		ring_consume(ring);
	}
	ring_rewind(ring);
	if (append_numbered(ring, RECORD_ESSENTIAL, atomic_load(&ledger->appended)))
		atomic_store(&ledger->appended, atomic_load(&ledger->appended) + 1);
}

/* Puts the ring just before the end of its memory, with one record in it. */
static void go_near_the_end(struct ring *ring, struct ledger *ledger)
{
	uint64_t next = 0;

	while (ring_position(ring) < ring->capacity - 300) {
		assert_true(append_numbered(ring, RECORD_ESSENTIAL, next++));
		take_numbered(ring, next - 1);
	}
	assert_true(append_numbered(ring, RECORD_ESSENTIAL, next));
	atomic_store(&ledger->taken, next);
	atomic_store(&ledger->appended, next + 1);
}

static pid_t start_traced(struct ring *ring, struct ledger *ledger)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(3);
		(void)raise(SIGSTOP);
		live_slowly(ring, ledger);
		_exit(0);
	}
	return child;
}

static void test_killed_after_each_instruction(void **state)
{
	uint8_t *memory = shared_memory(SMALL_SPACE);
	uint8_t *copy = shared_memory(SMALL_SPACE);
	struct ledger *ledger = shared_memory(sizeof(*ledger));
	struct ring ring;
	int status, steps = 0;
	pid_t child;

	(void)state;
	if (!STEPS_ARE_OURS)
		skip();
	assert_int_equal(ring_open(&ring, memory, SMALL_SPACE), 0);
	go_near_the_end(&ring, ledger);
	child = start_traced(&ring, ledger);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status))
		skip(); /* nobody may trace here */
	while (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0 &&
	       waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
		struct ledger seen = {atomic_load(&ledger->appended), atomic_load(&ledger->taken)};

		memcpy(copy, memory, SMALL_SPACE);
		check(copy, SMALL_SPACE, &seen);
		steps++;
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(ring_position(&ring), ring.capacity * 2);
	print_message("%d instructions\n", steps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_after_each_instruction),
		cmocka_unit_test(test_killed_at_any_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
