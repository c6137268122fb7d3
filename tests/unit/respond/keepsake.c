/*
 * Keepsakes: what is kept, needed and dropped in every order, and what the store is told of it.
 */
#include "respond/keepsake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME  KEEPSAKE_PREFIX "a"
#define OTHER KEEPSAKE_PREFIX "b"

/* What the store was told: "+name" and "-name", one after another. */
static char told[512];

static void tell(char sign, const char *name)
{
	const char *what = name + strlen(KEEPSAKE_PREFIX);
	size_t used = strlen(told);
	size_t length = strlen(what);

	assert_true(used + length + 3 <= sizeof(told));
	told[used] = sign;
	(void)memcpy(told + used + 1, what, length + 1);
	(void)memcpy(told + used + 1 + length, " ", 2);
}

static void store(int fd, const char *name)
{
	assert_true(fd >= 0);
	tell('+', name);
}

static void unstore(const char *name)
{
	tell('-', name);
}

static int set_up(void **state)
{
	(void)state;
	told[0] = '\0';
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	keepsakes_done();
	return 0;
}

static int earlier(const char *bytes)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
	return fd;
}

static void assert_kept(const char *name, const char *wanted)
{
	void *bytes = NULL;
	size_t size = 0;

	if (wanted == NULL) {
		assert_int_equal(keepsake_read(name, &bytes, &size), -ENOENT);
		return;
	}
	assert_int_equal(keepsake_read(name, &bytes, &size), 0);
	assert_int_equal(size, strlen(wanted));
	assert_memory_equal(bytes, wanted, size);
	free(bytes);
}

static void test_count(void **state)
{
	(void)state;
	assert_int_equal(keepsake_keep(NAME, "one", 3), 0);
	assert_string_equal(told, "");
	keepsakes_start(store, unstore);
	assert_string_equal(told, "+a ");
	assert_int_equal(keepsake_keep(NAME, "one", 3), 0);
	assert_int_equal(keepsake_keep(OTHER, "", 0), 0);
	assert_string_equal(told, "+a +b ");
	keepsake_drop(NAME);
	assert_kept(NAME, "one");
	assert_kept(OTHER, "");
	keepsake_drop(NAME);
	assert_string_equal(told, "+a +b -a ");
	assert_kept(NAME, NULL);
	keepsake_drop(NAME);
	assert_string_equal(told, "+a +b -a ");
}

static void test_what_is_left_and_not_needed(void **state)
{
	(void)state;
	keepsakes_offer(earlier("one"), NAME);
	keepsakes_offer(earlier("two"), OTHER);
	assert_int_equal(keepsake_keep(OTHER, "two", 3), 0);
	keepsakes_start(store, unstore);
	/* The store has them. */
	assert_string_equal(told, "");
	keepsakes_forget_rest();
	assert_string_equal(told, "-a ");
	assert_kept(OTHER, "two");
}

/* Two conversations come along; one is over before the other has taken up its script. */
static void test_what_one_drops_another_needs(void **state)
{
	(void)state;
	keepsakes_offer(earlier("one"), NAME);
	assert_true(keepsakes_need(NAME));
	assert_true(keepsakes_need(NAME));
	assert_false(keepsakes_need(OTHER));
	keepsakes_start(store, unstore);
	keepsakes_forget_rest();
	assert_int_equal(keepsake_keep(NAME, "one", 3), 0);
	keepsake_arrived(NAME);
	keepsake_drop(NAME);
	assert_kept(NAME, "one");
	assert_int_equal(keepsake_keep(NAME, "one", 3), 0);
	keepsake_arrived(NAME);
	assert_kept(NAME, "one");
	assert_string_equal(told, "");
	keepsake_drop(NAME);
	assert_string_equal(told, "-a ");
}

/* One that fails to take it up needs it no more, either. */
static void test_who_does_without(void **state)
{
	(void)state;
	keepsakes_offer(earlier("one"), NAME);
	assert_true(keepsakes_need(NAME));
	keepsakes_start(store, unstore);
	keepsake_arrived(NAME);
	assert_string_equal(told, "-a ");
	keepsake_arrived(NAME);
	assert_kept(NAME, NULL);
}

/* Descriptors have one owner each, who takes them from the process before and replaces them. */
static void test_descriptors(void **state)
{
	int fd, taken;

	(void)state;
	keepsakes_offer(earlier("one"), NAME);
	keepsakes_offer(earlier("two"), OTHER);
	taken = keepsake_take_fd(NAME);
	assert_true(taken >= 0);
	assert_int_equal(keepsake_take_fd(NAME), -ENOENT);
	assert_int_equal(keepsake_take_fd(KEEPSAKE_PREFIX "c"), -ENOENT);
	assert_kept(NAME, NULL);
	keepsakes_start(store, unstore);
	keepsakes_forget_rest();
	assert_string_equal(told, "-b ");
	fd = earlier("three");
	assert_int_equal(keepsake_store_fd(NAME, fd), 0);
	assert_string_equal(told, "-b -a +a ");
	assert_int_equal(close(fd), 0);
	keepsakes_forget_rest();
	assert_string_equal(told, "-b -a +a ");
	/* It is ours, not an earlier process's. */
	assert_int_equal(keepsake_take_fd(NAME), -ENOENT);
	keepsake_unstore_fd(NAME);
	keepsake_unstore_fd(NAME);
	assert_string_equal(told, "-b -a +a -a ");
	assert_int_equal(keepsake_store_fd(NAME, -1), -EBADF);
	assert_int_equal(close(taken), 0);
}

/* What is stored before there is a store gets there later, unless it was taken back. */
static void test_early_descriptors(void **state)
{
	const char *third = KEEPSAKE_PREFIX "c", *fourth = KEEPSAKE_PREFIX "d";
	int fd = earlier("one");

	(void)state;
	keepsakes_offer(earlier("old"), third);
	keepsakes_offer(earlier("old"), fourth);
	assert_int_equal(keepsake_store_fd(third, fd), 0);
	assert_int_equal(keepsake_store_fd(third, fd), 0);
	keepsake_unstore_fd(fourth);
	assert_int_equal(keepsake_take_fd(fourth), -ENOENT);
	assert_int_equal(keepsake_store_fd(NAME, fd), 0);
	assert_int_equal(keepsake_store_fd(OTHER, fd), 0);
	assert_int_equal(keepsake_store_fd(OTHER, fd), 0);
	keepsake_unstore_fd(NAME);
	assert_string_equal(told, "");
	keepsakes_start(store, unstore);
	assert_string_equal(told, "+b -c +c ");
	keepsakes_forget_rest();
	assert_string_equal(told, "+b -c +c -d ");
	assert_int_equal(close(fd), 0);
}

static void test_names(void **state)
{
	char name[KEEPSAKE_NAME_MAX + 1];

	(void)state;
	(void)memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(keepsake_keep(name, "", 0), -ENAMETOOLONG);
	keepsakes_offer(earlier("one"), name);
	assert_kept(name, NULL);
	assert_int_equal(keepsake_store_fd(name, 0), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_left_and_not_needed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_one_drops_another_needs, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_who_does_without, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_descriptors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_early_descriptors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
