/*
 * Looking for the system bus: how long the control waits before it looks again, and that it finds
 * one that comes up later.
 *
 * Time is the test's. The control's thread stands still where it sets its timer, until the test has
 * seen for how long and lets it go on; the timer is over then. A bus is one of the test's own, of
 * which there is only what the control wants of it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/lock.h"
#include "control/control.h"
#include "fake-watch.h"
#include "record/record.h"

#define PATIENCE (60 * USEC_PER_SEC)

#define BUS     "org.freedesktop.DBus"
#define OUR_BUS ":1.7" /* what it calls the control */

/* The control's pauses. */
static struct {
	struct lock lock;
	struct bell changed;
	unsigned looks;  /* for a bus, so far */
	unsigned pauses; /* begun */
	unsigned passed; /* let go by the test */
	usec_t length;   /* of the last one */
	bool over;       /* the test is: nobody stands still any more */
} pauses = {.lock = LOCK_INIT("pauses")};

/* Where the bus is to be. */
static char bus_address[128];

/* When the control's thread looked at the clock last. */
static _Thread_local usec_t seen;

/* The names are the linker's.
 * NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming,cert-dcl37-c) */
usec_t __real_clock_now(void);
int __real_sd_bus_set_address(sd_bus *bus, const char *address);
int __real_sd_event_source_set_time(sd_event_source *source, uint64_t usec);
usec_t __wrap_clock_now(void);
int __wrap_sd_bus_set_address(sd_bus *bus, const char *address);
int __wrap_sd_event_source_set_time(sd_event_source *source, uint64_t usec);

usec_t __wrap_clock_now(void)
{
	seen = __real_clock_now();
	return seen;
}

int __wrap_sd_bus_set_address(sd_bus *bus, const char *address)
{
	(void)address;
	lock_take(&pauses.lock);
	pauses.looks++;
	lock_drop(&pauses.lock);
	return __real_sd_bus_set_address(bus, bus_address);
}

int __wrap_sd_event_source_set_time(sd_event_source *source, uint64_t usec)
{
	bool over;

	lock_take(&pauses.lock);
	pauses.length = usec - seen;
	pauses.pauses++;
	bell_ring_all(&pauses.changed);
	while (pauses.passed < pauses.pauses && !pauses.over)
		(void)bell_wait(&pauses.changed, &pauses.lock, USEC_NEVER);
	over = pauses.over;
	lock_drop(&pauses.lock);
	return __real_sd_event_source_set_time(source, over ? USEC_NEVER : 0);
}
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming,cert-dcl37-c) */

/* A control that looks for a bus, and where that is to be. */
struct scene {
	char directory[64];
	char path[96];
	struct watch *watch;
	struct control *control;
	int listener; /* of the bus; -1: there is none */
};

static int begin(void **state)
{
	static const char *const none[] = {NULL};
	const struct control_places places = {.bus = true};
	const struct control_hooks hooks = {.reload = NULL};
	const struct control_facts facts = {
		.version = "1.2.3",
		.configuration = "/etc/marcel.ini",
		.operator_directory = "/run/marcel/operator",
		.listeners = none,
		.listener_names = none,
		.responders = none,
	};
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_non_null(scene);
	scene->listener = -1;
	(void)snprintf(scene->directory, sizeof(scene->directory), "/tmp/marcel-bus-XXXXXX");
	assert_non_null(mkdtemp(scene->directory));
	(void)snprintf(scene->path, sizeof(scene->path), "%s/bus", scene->directory);
	(void)snprintf(bus_address, sizeof(bus_address), "unix:path=%s", scene->path);
	pauses.looks = pauses.pauses = pauses.passed = 0;
	pauses.over = false;
	bell_init(&pauses.changed);
	scene->watch = fake_watch_new();
	assert_int_equal(record_start(RECORD_OUTPUT_TEXT, NULL, (size_t)1 << 20, NULL), 0);
	assert_int_equal(control_start(scene->watch, &places, &facts, &hooks, &scene->control), 0);
	*state = scene;
	return 0;
}

static void bus_ends(struct scene *scene)
{
	close_fd(&scene->listener);
	(void)unlink(scene->path);
}

static int end(void **state)
{
	struct scene *scene = *state;

	lock_take(&pauses.lock);
	pauses.over = true;
	bell_ring_all(&pauses.changed);
	lock_drop(&pauses.lock);
	control_stop(scene->control);
	record_stop(clock_deadline(clock_now(), PATIENCE));
	fake_watch_free(scene->watch);
	bell_done(&pauses.changed);
	bus_ends(scene);
	assert_int_equal(rmdir(scene->directory), 0);
	free(scene);
	return 0;
}

/* Waits until the control has looked once more, in vain, and pauses; for so many seconds. */
static void must_pause(usec_t seconds)
{
	usec_t deadline = clock_deadline(clock_now(), PATIENCE);
	bool in_time = true;
	unsigned looks, n;
	usec_t length;

	lock_take(&pauses.lock);
	while (pauses.pauses == pauses.passed && in_time)
		in_time = bell_wait(&pauses.changed, &pauses.lock, deadline);
	looks = pauses.looks;
	n = pauses.pauses;
	length = pauses.length;
	lock_drop(&pauses.lock);
	assert_true(in_time);
	assert_int_equal(length, seconds * USEC_PER_SEC);
	assert_int_equal(looks, n);
}

/* Lets the pause be over, which must_pause() has seen. */
static void pass(void)
{
	lock_take(&pauses.lock);
	pauses.passed++;
	bell_ring_all(&pauses.changed);
	lock_drop(&pauses.lock);
}

/* The test's bus. */

static void bus_comes(struct scene *scene)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", scene->path);
	scene->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(scene->listener >= 0);
	assert_int_equal(bind(scene->listener, (const struct sockaddr *)&address, sizeof(address)),
			 0);
	assert_int_equal(listen(scene->listener, 4), 0);
}

/* Waits for the control to connect. */
static int bus_accept(const struct scene *scene)
{
	const struct timeval patience = clock_timeval(PATIENCE);
	int fd;

	assert_int_equal(setsockopt(scene->listener, SOL_SOCKET, SO_RCVTIMEO, &patience,
				    sizeof(patience)),
			 0);
	fd = accept4(scene->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Whether the control gets the name that it asks for; and that it has asked. */
struct desk {
	bool gives;
	bool asked;
};

/* A sd_bus_message_handler_t: Hello and RequestName. */
static int on_call(sd_bus_message *message, void *context, sd_bus_error *error)
{
	struct desk *desk = context;

	(void)error;
	if (sd_bus_message_is_method_call(message, BUS, "Hello") > 0)
		return sd_bus_reply_method_return(message, "s", OUR_BUS);
	if (sd_bus_message_is_method_call(message, BUS, "RequestName") <= 0)
		return 0;
	desk->asked = true;
	if (desk->gives)
		return sd_bus_reply_method_return(message, "u", 1);
	return sd_bus_reply_method_errorf(message, SD_BUS_ERROR_ACCESS_DENIED, "Not to you");
}

/* Waits for the control to connect, and to ask for the name; which it gets, or not. */
static sd_bus *bus_serve(const struct scene *scene, bool gives)
{
	struct desk desk = {.gives = gives};
	int fd = bus_accept(scene);
	const sd_id128_t id = {.bytes = {1}};
	sd_bus *bus;

	assert_true(sd_bus_new(&bus) >= 0);
	assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
	assert_true(sd_bus_set_server(bus, true, id) >= 0);
	assert_true(sd_bus_add_filter(bus, NULL, on_call, &desk) >= 0);
	assert_true(sd_bus_start(bus) >= 0);
	while (!desk.asked) {
		int r = sd_bus_process(bus, NULL);

		assert_true(r >= 0);
		if (r == 0)
			assert_true(sd_bus_wait(bus, PATIENCE) > 0);
	}
	assert_true(sd_bus_flush(bus) >= 0);
	return bus;
}

/* Waits until the control has seen all that BUS sent; then BUS ends. */
static void hang_up(sd_bus *bus)
{
	sd_bus_message *reply = NULL;

	assert_true(sd_bus_call_method(bus, NULL, "/", BUS ".Peer", "Ping", NULL, &reply, NULL) >=
		    0);
	(void)sd_bus_message_unref(reply);
	sd_bus_close(bus);
	(void)sd_bus_unref(bus);
}

/* Pauses that double, up to a minute. */
static const usec_t doubling[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
#define N_DOUBLING (sizeof(doubling) / sizeof(doubling[0]))

static void looks_ever_less_often(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_DOUBLING; i++) {
		must_pause(doubling[i]);
		pass();
	}
	must_pause(60);
}

/* It may be that somebody else than a bus listens there, or one that is about to end. */
static void is_hung_up_on(void **state)
{
	struct scene *scene = *state;

	must_pause(1);
	bus_comes(scene);
	pass();
	for (size_t i = 1; i < N_DOUBLING; i++) {
		(void)close(bus_accept(scene));
		must_pause(doubling[i]);
		pass();
	}
	(void)close(bus_accept(scene));
	must_pause(60);
}

static void is_refused_the_name(void **state)
{
	struct scene *scene = *state;

	must_pause(1);
	bus_comes(scene);
	pass();
	for (size_t i = 1; i < N_DOUBLING; i++) {
		sd_bus *bus = bus_serve(scene, false);

		must_pause(doubling[i]);
		sd_bus_close(bus);
		(void)sd_bus_unref(bus);
		pass();
	}
	(void)close(bus_accept(scene));
	must_pause(60);
}

/* However late it comes; and once it was there, it is looked for as at first. */
static void finds_one_that_comes(void **state)
{
	struct scene *scene = *state;

	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < 4; i++) {
			must_pause(doubling[i]);
			pass();
		}
		must_pause(doubling[4]);
		bus_comes(scene);
		pass();
		hang_up(bus_serve(scene, true));
		bus_ends(scene);
	}
	must_pause(1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(looks_ever_less_often),
		TEST(is_hung_up_on),
		TEST(is_refused_the_name),
		TEST(finds_one_that_comes),
	};

	return cmocka_run_group_tests_name("control/bus", tests, NULL, NULL);
}
