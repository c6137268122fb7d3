/*
 * The vault with real sockets: what is live is found again, what is dead is let go, and a process
 * that is killed at any instant loses nothing.
 *
 * The test holds the far end of each socket. A byte written there comes out of the descriptor that
 * the vault gave, or it is not the same connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../converse/pairs.h"
#include "base/vault.h"

#define SLOTS 400

/* What is known of each slot; in shared memory, for the test of kills. */
struct board {
	_Atomic uint64_t inode[SLOTS]; /* of the socket that must be found; 0: it may be missing */
};

struct world {
	struct vault vault;
	struct board *board;
	int near[SLOTS]; /* the daemon's ends, -1 when closed */
	int far[SLOTS];  /* the clients' */
};

static uint64_t inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static int near_end(void *context, uint32_t slot)
{
	const struct world *world = context;

	return world->near[slot];
}

static uint32_t owner_of(void *context, int fd)
{
	const struct world *world = context;
	uint64_t inode = inode_of(fd);

	for (uint32_t i = 0; i < SLOTS; i++)
		if (atomic_load(&world->board->inode[i]) == inode)
			return i;
	return VAULT_NOBODY;
}

static void connect_slot(struct world *world, uint32_t slot)
{
	struct pair pair = unix_pair();

	world->near[slot] = pair.server;
	world->far[slot] = pair.client;
}

static void keep(struct world *world, uint32_t slot)
{
	assert_int_equal(vault_keep(&world->vault, slot, world->near[slot]), 0);
	atomic_store(&world->board->inode[slot], inode_of(world->near[slot]));
}

/* The conversation has ended, and its near end is closed; the vault may still hold it. */
static void end(struct world *world, uint32_t slot)
{
	atomic_store(&world->board->inode[slot], 0);
	vault_forget(&world->vault, slot);
	(void)close(world->near[slot]);
	world->near[slot] = -1;
}

static void hang_up(struct world *world, uint32_t slot)
{
	(void)close(world->far[slot]);
	world->far[slot] = -1;
}

/* Whether the far end sees the end of input: nobody holds the near one. */
static bool is_dropped(const struct world *world, uint32_t slot)
{
	char byte;

	return recv(world->far[slot], &byte, 1, MSG_DONTWAIT) == 0;
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct rlimit limit;

	if (world == NULL)
		return -1;
	*state = world;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	world->board = mmap(NULL, sizeof(*world->board), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (world->board == MAP_FAILED)
		return -1;
	for (uint32_t i = 0; i < SLOTS; i++)
		world->near[i] = world->far[i] = -1;
	return vault_init(&world->vault, SLOTS);
}

static int tear_down(void **state)
{
	struct world *world = *state;

	vault_done(&world->vault);
	for (uint32_t i = 0; i < SLOTS; i++) {
		if (world->near[i] >= 0)
			(void)close(world->near[i]);
		if (world->far[i] >= 0)
			(void)close(world->far[i]);
	}
	(void)munmap(world->board, sizeof(*world->board));
	free(world);
	return 0;
}

/* The process dies, near ends and all; another one takes the pair over and reads it. */
static void die_and_adopt(struct world *world)
{
	int in = fcntl(world->vault.in, F_DUPFD_CLOEXEC, 0);
	int out = fcntl(world->vault.out, F_DUPFD_CLOEXEC, 0);

	assert_true(in >= 0 && out >= 0);
	vault_done(&world->vault);
	for (uint32_t i = 0; i < SLOTS; i++) {
		if (world->near[i] >= 0)
			(void)close(world->near[i]);
		world->near[i] = -1;
	}
	assert_int_equal(vault_adopt(&world->vault, in, out, SLOTS), 0);
	assert_int_equal(vault_read(&world->vault, world->near, owner_of, world), 0);
}

/* Each live slot has its own connection, and no other has any. Returns how many. */
static uint32_t check_all(const struct world *world)
{
	uint32_t live = 0;

	for (uint32_t i = 0; i < SLOTS; i++) {
		uint32_t sent = i, came = UINT32_MAX;

		if (atomic_load(&world->board->inode[i]) == 0) {
			assert_int_equal(world->near[i], -1);
			continue;
		}
		live++;
		assert_true(world->near[i] >= 0);
		assert_int_equal(send(world->far[i], &sent, sizeof(sent), MSG_NOSIGNAL),
				 sizeof(sent));
		assert_int_equal(recv(world->near[i], &came, sizeof(came), MSG_DONTWAIT),
				 sizeof(came));
		assert_int_equal(came, i);
		assert_int_equal(fcntl(world->near[i], F_GETFD), FD_CLOEXEC);
	}
	assert_int_equal(world->vault.live, live);
	return live;
}

static void test_empty(void **state)
{
	struct world *world = *state;

	die_and_adopt(world);
	assert_int_equal(check_all(world), 0);
	assert_int_equal(vault_clean(&world->vault, near_end, world), 0);
	vault_forget(&world->vault, 7);
	assert_int_equal(check_all(world), 0);
}

/* Found again: as appended, after cleaning, and a second time; reading takes nothing out. */
static void test_found_again(void **state)
{
	struct world *world = *state;

	for (uint32_t i = 0; i < SLOTS; i++) {
		connect_slot(world, i);
		keep(world, i);
	}
	for (int i = 0; i < 3; i++) {
		die_and_adopt(world);
		assert_int_equal(check_all(world), SLOTS);
		assert_int_equal(world->vault.dead, 0);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(vault_clean(&world->vault, near_end, world), 0);
		die_and_adopt(world);
		assert_int_equal(check_all(world), SLOTS);
		assert_int_equal(world->vault.dead, 0);
		assert_int_equal(world->vault.n, 2); /* of 253 and the rest */
	}
}

/* What has ended is held until the next cleaning, and no longer. */
static void test_dropped(void **state)
{
	struct world *world = *state;

	for (uint32_t i = 0; i < SLOTS; i++) {
		connect_slot(world, i);
		keep(world, i);
	}
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = (uint32_t)round; i < SLOTS; i += 4) {
			end(world, i);
			assert_false(is_dropped(world, i));
		}
		if (round == 1) /* found, and owned by nobody */
			die_and_adopt(world);
		assert_int_equal(vault_clean(&world->vault, near_end, world), 0);
		assert_int_equal(world->vault.dead, 0);
		for (uint32_t i = (uint32_t)round; i < SLOTS; i += 4)
			assert_true(is_dropped(world, i));
		assert_int_equal(check_all(world), SLOTS - SLOTS / 4 * (uint32_t)(round + 1));
	}
	die_and_adopt(world);
	assert_int_equal(check_all(world), SLOTS / 4);
}

/* A slot's next socket replaces the one before, which is told apart by its inode. */
static void test_slot_reused(void **state)
{
	struct world *world = *state;

	for (int round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < SLOTS; i++) {
			if (round > 0) {
				end(world, i);
				hang_up(world, i);
			}
			connect_slot(world, i);
			keep(world, i);
		}
		if (round == 2)
			assert_int_equal(vault_clean(&world->vault, near_end, world), 0);
		die_and_adopt(world);
		assert_int_equal(check_all(world), SLOTS);
	}
}

/* By an owner who says slot 0 whatever it is shown. */
static uint32_t all_of_slot_0(void *context, int fd)
{
	(void)context;
	(void)fd;
	return 0;
}

/* Of several sockets for one slot the last counts, the others are closed in this process. */
static void test_newest_counts(void **state)
{
	struct world *world = *state;
	struct vault next;
	int found[SLOTS];
	int in, out;

	for (uint32_t i = 0; i < 300; i++) {
		connect_slot(world, i);
		keep(world, i);
		if (i == 200)
			assert_int_equal(vault_clean(&world->vault, near_end, world), 0);
	}
	for (uint32_t i = 0; i < SLOTS; i++)
		found[i] = -1;
	in = fcntl(world->vault.in, F_DUPFD_CLOEXEC, 0);
	out = fcntl(world->vault.out, F_DUPFD_CLOEXEC, 0);
	assert_int_equal(vault_adopt(&next, in, out, SLOTS), 0);
	assert_int_equal(vault_read(&next, found, all_of_slot_0, NULL), 0);
	assert_int_equal(inode_of(found[0]), inode_of(world->near[299]));
	assert_int_equal(next.live, 1);
	assert_int_equal(next.dead, 299);
	vault_done(&next);
	/* The same socket twice, as a kill between sending and dropping leaves it. */
	keep(world, 0);
	keep(world, 0);
	(void)close(found[0]);
	die_and_adopt(world);
	assert_int_equal(check_all(world), 300);
	assert_int_equal(world->vault.dead, 2);
}

/* A full pair says so, still knows all it held, and is as good as new once it is cleaned. */
static void test_full(void **state)
{
	struct world *world = *state;
	size_t held = 0;
	int r;

	connect_slot(world, 0);
	connect_slot(world, 1);
	keep(world, 1);
	while ((r = vault_keep(&world->vault, 0, world->near[0])) == 0)
		held++;
	assert_int_equal(r, -EAGAIN);
	assert_true(held >= world->vault.n_max - 1);
	assert_true(vault_needs_cleaning(&world->vault));
	atomic_store(&world->board->inode[0], inode_of(world->near[0]));
	assert_int_equal(world->vault.dead, held - 1);
	assert_int_equal(vault_keep(&world->vault, 0, world->near[0]), -EAGAIN);
	assert_int_equal(check_all(world), 2);
	die_and_adopt(world);
	assert_int_equal(check_all(world), 2);
	/* One of its messages ends, and there may be room again without losing what counts. */
	r = vault_clean(&world->vault, near_end, world);
	assert_true(r == 0 || r == -EAGAIN);
	assert_int_equal(check_all(world), 2);
	die_and_adopt(world);
	assert_int_equal(check_all(world), 2);
}

/* Cleaned when it says so, it never gets full. */
static void test_cleaned_in_time(void **state)
{
	struct world *world = *state;

	for (uint32_t i = 0; i < 10; i++)
		connect_slot(world, i);
	for (size_t i = 0; i < 3 * world->vault.n_max; i++) {
		keep(world, (uint32_t)(i % 10));
		if (vault_needs_cleaning(&world->vault))
			assert_int_equal(vault_clean(&world->vault, near_end, world), 0);
	}
	die_and_adopt(world);
	assert_int_equal(check_all(world), 10);
}

static void test_garbage_ends(void **state)
{
	struct vault vault;
	int ends[2];

	(void)state;
	assert_int_equal(vault_adopt(&vault, -1, -1, SLOTS), -EINVAL);
	vault_done(&vault);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(vault_adopt(&vault, ends[1], ends[0], SLOTS), -EINVAL);
	vault_done(&vault);
	assert_int_equal(fcntl(ends[0], F_GETFD), -1); /* owned, so closed */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(vault_adopt(&vault, ends[0], ends[1], SLOTS), -EINVAL);
	vault_done(&vault);
	assert_int_equal(vault_adopt(&vault, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
				     socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), SLOTS),
			 -EINVAL);
	vault_done(&vault);
}

/*
 * Lives on the pair: keeps, forgets and cleans until it is killed. Sockets come and go by their
 * place in the vault only; their near ends all stay open here.
 */
static _Noreturn void live(struct world *world, int ready, uint64_t seed)
{
	struct board *board = world->board;

	for (uint64_t round = 0;; round++) {
		uint32_t slot = (uint32_t)(at_random(&seed) % SLOTS);
		uint64_t inode = inode_of(world->near[slot]);

		if (round == 100 && write(ready, "", 1) != 1)
			_exit(1);
		if (atomic_load(&board->inode[slot]) != 0) {
			atomic_store(&board->inode[slot], 0);
			vault_forget(&world->vault, slot);
		} else {
			if (vault_keep(&world->vault, slot, world->near[slot]) != 0)
				_exit(2);
			atomic_store(&board->inode[slot], inode);
		}
		if ((round % 8 == 0 || vault_needs_cleaning(&world->vault)) &&
		    vault_clean(&world->vault, near_end, world) != 0)
			_exit(3);
	}
}

/* One child adopts the pair, lives and is killed at some moment. */
static void live_and_die(struct world *world, uint64_t *seed)
{
	uint64_t moment, after;
	int pair[2], status;
	pid_t child;
	char byte;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	moment = at_random(seed) % 200;
	after = at_random(seed);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		live(world, pair[1], after | 1);
	(void)close(pair[1]);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	(void)close(pair[0]);
	/* Any moment will do: the child goes on while this counts. */
	for (volatile uint64_t i = 0; i < moment * 1000; i = i + 1)
		;
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

/*
 * Killed at any moment, mostly in the middle of cleaning: what is live is in the vault. Near ends
 * are closed here too before each look, so that a connection lives by the vault alone.
 */
static void test_kill(void **state)
{
	struct world *world = *state;
	uint64_t seed = 20240229;

	for (unsigned i = 0; i < repeat(100); i++) {
		for (uint32_t slot = 0; slot < SLOTS; slot++) {
			if (atomic_load(&world->board->inode[slot]) != 0)
				continue;
			if (world->far[slot] >= 0)
				(void)close(world->far[slot]);
			connect_slot(world, slot);
		}
		live_and_die(world, &seed);
		die_and_adopt(world);
		(void)check_all(world);
		assert_int_equal(vault_clean(&world->vault, near_end, world), 0);
		for (uint32_t slot = 0; slot < SLOTS; slot++)
			if (atomic_load(&world->board->inode[slot]) == 0)
				assert_true(is_dropped(world, slot));
		(void)check_all(world);
	}
}

/*
 * Becomes another user with the LIMIT of descriptors. The bound is for all processes of a user: one
 * that hardly anybody is just now. It is not for root.
 */
static void become_bounded(uint64_t limit)
{
	const struct rlimit bound = {.rlim_cur = limit, .rlim_max = limit};
	const uid_t user = (uid_t)(65000 + getpid() % 500);

	if (setgroups(0, NULL) < 0 || setresgid(user, user, user) < 0 ||
	    setresuid(user, user, user) < 0 || setrlimit(RLIMIT_NOFILE, &bound) < 0)
		_exit(10);
}

/* Puts SLOT into VAULT in place of what it has there, and cleans when that is due. */
static void renew(struct world *world, struct vault *vault, uint32_t slot)
{
	int r;

	vault_forget(vault, slot);
	if (vault_needs_cleaning(vault)) {
		r = vault_clean(vault, near_end, world);
		if (r != 0)
			_exit(r == -ETOOMANYREFS ? 13 : 14);
	}
	r = vault_keep(vault, slot, world->near[slot]);
	if (r != 0)
		_exit(r == -ETOOMANYREFS ? 11 : 12);
}

/*
 * 300 live, and no more to spare than the vault asks for before it wants to be cleaned: the
 * kernel's bound is never met.
 */
static _Noreturn void churn(struct world *world)
{
	const uint64_t limit = 300 + 2 * VAULT_BATCH;
	struct vault *vault = &world->vault;
	uint32_t most = 0;

	become_bounded(limit);
	vault_set_limit(vault, limit, limit);
	for (uint32_t i = 0; i < 10000; i++) {
		renew(world, vault, i % 300);
		if (vault->live + vault->dead > most)
			most = vault->live + vault->dead;
	}
	_exit(most > 300 ? 0 : 15);
}

/* Two vaults keep to one bound, though nothing happens in the one while the other grows. */
static _Noreturn void churn_two(struct world *world)
{
	const uint64_t limit = (uint64_t)3 * VAULT_BATCH;
	const uint32_t live = 265;
	struct vault other;

	become_bounded(limit);
	if (vault_init(&other, SLOTS) < 0)
		_exit(16);
	vault_set_limit(&world->vault, limit, vault_share(limit, 2));
	vault_set_limit(&other, limit, vault_share(limit, 2));
	for (uint32_t i = 0; i < live + VAULT_BATCH; i++)
		renew(world, &world->vault, i % live);
	for (uint32_t i = 0; i < 10 * live; i++)
		renew(world, &other, i % live);
	for (uint32_t i = 0; i < 10 * live; i++)
		renew(world, &world->vault, i % live);
	_exit(world->vault.live == live && other.live == live ? 0 : 15);
}

/* Above the bound, which is lower now, it lets go of what it can, and then has room again. */
static _Noreturn void come_down(struct world *world)
{
	struct vault *vault = &world->vault;
	const struct rlimit lower = {.rlim_cur = 50, .rlim_max = 50};
	int r;

	become_bounded(400);
	vault_set_limit(vault, 100, 100);
	for (uint32_t i = 0; i < 100; i++)
		if (vault_keep(vault, i, world->near[i]) != 0)
			_exit(11);
	if (vault_keep(vault, 100, world->near[100]) != -ETOOMANYREFS)
		_exit(12);
	if (setrlimit(RLIMIT_NOFILE, &lower) < 0)
		_exit(10);
	if (vault_clean(vault, near_end, world) != -ETOOMANYREFS || vault->live != 100)
		_exit(13);
	for (uint32_t i = 0; i < 70; i++)
		if (i != 50)
			vault_forget(vault, i);
	r = vault_clean(vault, near_end, world);
	_exit(r == 0 && vault->live == 31 && vault->dead == 0 ? 0 : 14);
}

static void in_child(struct world *world, void (*function)(struct world *world))
{
	int status;
	pid_t child;

	if (geteuid() != 0)
		skip();
	for (uint32_t i = 0; i < 300; i++)
		connect_slot(world, i);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		function(world);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_bounded(void **state)
{
	in_child(*state, churn);
}

static void test_two_bounded(void **state)
{
	in_child(*state, churn_two);
}

static void test_above_the_bound(void **state)
{
	in_child(*state, come_down);
}

#define WORLD_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_empty),
		WORLD_TEST(test_found_again),
		WORLD_TEST(test_dropped),
		WORLD_TEST(test_slot_reused),
		WORLD_TEST(test_newest_counts),
		WORLD_TEST(test_full),
		WORLD_TEST(test_cleaned_in_time),
		cmocka_unit_test(test_garbage_ends),
		WORLD_TEST(test_kill),
		WORLD_TEST(test_bounded),
		WORLD_TEST(test_two_bounded),
		WORLD_TEST(test_above_the_bound),
	};

	return cmocka_run_group_tests_name("handover/vault", tests, NULL, NULL);
}
