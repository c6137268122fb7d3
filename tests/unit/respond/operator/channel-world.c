/*
 * The world of the operator channel's tests; see channel-world.h.
 */
#include "channel-world.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/lock.h"
#include "record/record.h"

#define READ_MAX ((size_t)3 * 1024 * 1024)

/* Records, in the place of the real ones. */

static struct lock records_lock = LOCK_INIT("test records");
static char records[64][256];
static unsigned n_records;

__attribute__((format(printf, 2, 0))) static void note(enum record_kind kind, const char *format,
						       va_list arguments)
{
	if (kind != RECORD_TROUBLE)
		return;
	lock_take(&records_lock);
	/* It is begun by both callers. NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	(void)vsnprintf(records[n_records % 64], sizeof(records[0]), format, arguments);
	n_records++;
	lock_drop(&records_lock);
}

/* The names are the linker's.
 * NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming,cert-dcl37-c) */
__attribute__((format(printf, 5, 6))) void
__wrap_record_event(enum record_kind kind, const struct record_about *about,
		    const struct record_field *fields, size_t n_fields, const char *format, ...);
__attribute__((format(printf, 2, 3))) void __wrap_record_note(enum record_kind kind,
							      const char *format, ...);

void __wrap_record_event(enum record_kind kind, const struct record_about *about,
			 const struct record_field *fields, size_t n_fields, const char *format,
			 ...)
{
	va_list arguments;

	(void)about;
	(void)fields;
	(void)n_fields;
	va_start(arguments, format);
	note(kind, format, arguments);
	va_end(arguments);
}

void __wrap_record_note(enum record_kind kind, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	note(kind, format, arguments);
	va_end(arguments);
}
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming,cert-dcl37-c) */

unsigned world_troubles(const char *text)
{
	unsigned n = 0;

	lock_take(&records_lock);
	for (unsigned i = 0; i < n_records && i < 64; i++)
		n += strstr(records[i], text) != NULL;
	lock_drop(&records_lock);
	return n;
}

/* The directory. */

int world_set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	if (world == NULL)
		return -1;
	n_records = 0;
	(void)umask(0027);
	(void)snprintf(world->root, sizeof(world->root), "/tmp/operator-XXXXXX");
	if (mkdtemp(world->root) == NULL) {
		free(world);
		return -1;
	}
	(void)snprintf(world->path, sizeof(world->path), "%s/run/operator", world->root);
	*state = world;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

int world_tear_down(void **state)
{
	struct world *world = *state;
	/* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	int r = nftw(world->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);

	free(world);
	return r;
}

pid_t world_fork(void)
{
	static char abort_at_once[] = "CMOCKA_TEST_ABORT=1";
	pid_t child = fork();

	/* The library would go on with the next test otherwise. */
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	if (child == 0 && putenv(abort_at_once) != 0)
		_exit(2);
	return child;
}

const char *world_path(const struct world *world, const char *path)
{
	static _Thread_local char paths[4][256];
	static _Thread_local unsigned turn;
	char *whole = paths[turn++ % 4];

	(void)snprintf(whole, sizeof(paths[0]), "%s/%s", world->path, path);
	return whole;
}

const char *world_read(const struct world *world, const char *path)
{
	static _Thread_local char *bytes;
	auto_close int fd = open(world_path(world, path), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	size_t size = 0;
	ssize_t n = 1;

	free(bytes);
	bytes = calloc(1, READ_MAX + 1);
	assert_non_null(bytes);
	while (fd >= 0 && size < READ_MAX && n > 0) {
		n = read(fd, bytes + size, READ_MAX - size);
		if (n > 0)
			size += (size_t)n;
	}
	bytes[size] = '\0';
	return bytes;
}

size_t world_count(const struct world *world, const char *path, const char *text)
{
	const char *at = world_read(world, path);
	size_t n = 0;

	while ((at = strstr(at, text)) != NULL) {
		at += strlen(text);
		n++;
	}
	return n;
}

/* Lets others run for a moment; fails when they had long enough. */
static void wait_a_moment(usec_t deadline, const char *what)
{
	if (clock_now() > deadline)
		fail_msg("waited in vain for '%s'", what);
	(void)poll(NULL, 0, 1);
}

void world_await(const struct world *world, const char *path, const char *text, size_t n)
{
	usec_t deadline = clock_now() + WORLD_PATIENCE;

	while (world_count(world, path, text) < n)
		wait_a_moment(deadline, text);
	assert_int_equal(world_count(world, path, text), n);
}

void world_await_path(const struct world *world, const char *path, bool there)
{
	usec_t deadline = clock_now() + WORLD_PATIENCE;
	struct stat st;

	while ((lstat(world_path(world, path), &st) == 0) != there)
		wait_a_moment(deadline, path);
}

bool world_order(const struct world *world, const char *path, const char *line)
{
	auto_close int fd = open(world_path(world, path), O_WRONLY | O_CLOEXEC);
	char whole[8192];
	int n = snprintf(whole, sizeof(whole), "%s\n", line);

	return fd >= 0 && write(fd, whole, (size_t)n) == n;
}

void world_put(const struct world *world, const char *bytes, size_t length)
{
	auto_close int fd = open(world_path(world, "in"), O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	while (length > 0) {
		ssize_t n = write(fd, bytes, length);

		assert_true(n > 0);
		bytes += n;
		length -= (size_t)n;
	}
}

/* The channel. */

void world_open(const struct world *world, usec_t grace)
{
	assert_int_equal(channel_open(world->path, grace, true), 0);
}

struct place_about world_about(uint64_t number)
{
	static const uint8_t id[16] = {0x12, 0x34};

	return (struct place_about){
		.number = number,
		.id = id,
		.peer = "127.0.0.1:4711",
		.listener = "marcel",
		.responder = "fifo",
		.opened = clock_realtime(),
	};
}

struct place *world_place(uint64_t number)
{
	struct place_about about = world_about(number);
	struct place *place = NULL;

	assert_int_equal(place_make(&about, &place), 0);
	return place;
}

const char *world_take(const struct place *place)
{
	static _Thread_local char bytes[65536 + 1];
	struct pollfd wait = {.fd = place_fd(place), .events = POLLIN};
	ssize_t n;

	assert_int_equal(poll(&wait, 1, clock_poll_msec(WORLD_PATIENCE)), 1);
	n = read(place_fd(place), bytes, sizeof(bytes) - 1);
	assert_true(n > 0);
	bytes[n] = '\0';
	return bytes;
}

static uint64_t check_file(const struct world *world, const char *path, uint64_t next)
{
	const char *at = world_read(world, path);

	while (*at != '\0') {
		char *end;

		assert_int_equal(strtoull(at, &end, 10), next);
		assert_int_equal(*end, ' ');
		next++;
		at = strchr(at, '\n');
		assert_non_null(at);
		at++;
	}
	return next;
}

uint64_t world_check_numbers(const struct world *world, uint64_t first)
{
	uint64_t next = first;

	if (first == 1 || world_count(world, "events.1", "\n") > 0)
		next = check_file(world, "events.1", next);
	return check_file(world, "events", next) - 1;
}
