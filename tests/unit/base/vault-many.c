/*
 * A vault with thousands of live sockets: they lie in few messages, since reading goes by the
 * square of those.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/vault.h"

#define MANY 6000
#define FEW  2048

/* A vault_fd_fn: one descriptor stands for all. */
static int same(void *context, uint32_t slot)
{
	const int *fd = context;

	(void)slot;
	return *fd;
}

static void test_few_messages(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct rlimit limit;
	struct vault vault;
	size_t most = 0;

	(void)state;
	assert_true(fd >= 0);
	/* So many may be in flight. */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max < (rlim_t)2 * MANY || setrlimit(RLIMIT_NOFILE, &limit) < 0)
		skip();
	assert_int_equal(vault_init(&vault, MANY), 0);
	for (uint32_t i = 0; i < MANY; i++) {
		assert_int_equal(vault_keep(&vault, i, fd), 0);
		if (vault_needs_cleaning(&vault))
			assert_int_equal(vault_clean(&vault, same, &fd), 0);
		if (vault.n > most)
			most = vault.n;
	}
	assert_int_equal(vault.live, MANY);
	assert_in_range(most, 1, FEW);
	vault_done(&vault);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few_messages),
	};

	return cmocka_run_group_tests_name("base/vault-many", tests, NULL, NULL);
}
