/* Scenes and clients; see control-test.h. */
#include "control-test.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "record/record.h"

#define PATIENCE (60 * USEC_PER_SEC)

static void on_reload(void *context)
{
	struct scene *scene = context;

	atomic_fetch_add(&scene->reloads, 1);
}

int scene_begin(void **state)
{
	static const char *const listeners[] = {"127.0.0.1:50000", "[::1]:50000", NULL};
	static const char *const names[] = {"", "desk", NULL};
	static const char *const responders[] = {"echo", "fifo", NULL};
	const struct control_facts facts = {
		.version = "1.2.3",
		.configuration = "/etc/marcel.ini",
		.operator_directory = "/run/marcel/operator",
		.listeners = listeners,
		.listener_names = names,
		.responders = responders,
		.started = 1234567890123456,
	};
	struct scene *scene = calloc(1, sizeof(*scene));
	struct control_places places = {.expected = true};
	struct control_hooks hooks = {.reload = on_reload};

	assert_non_null(scene);
	(void)snprintf(scene->directory, sizeof(scene->directory), "/tmp/marcel-control-XXXXXX");
	assert_non_null(mkdtemp(scene->directory));
	(void)snprintf(scene->socket, sizeof(scene->socket), "%s/control", scene->directory);
	scene->watch = fake_watch_new();
	places.socket = scene->socket;
	hooks.context = scene;
	assert_int_equal(record_start(RECORD_OUTPUT_TEXT, NULL, (size_t)1 << 20, NULL), 0);
	assert_int_equal(control_start(scene->watch, &places, &facts, &hooks, &scene->control), 0);
	*state = scene;
	return 0;
}

int scene_end(void **state)
{
	struct scene *scene = *state;

	control_stop(scene->control);
	record_stop(clock_deadline(clock_now(), PATIENCE));
	fake_watch_free(scene->watch);
	/* control_stop() has taken the socket away. */
	assert_int_equal(rmdir(scene->directory), 0);
	free(scene);
	return 0;
}

sd_bus *scene_connect(struct scene *scene)
{
	char address[128];
	sd_bus *bus;

	(void)snprintf(address, sizeof(address), "unix:path=%s", scene->socket);
	assert_true(sd_bus_new(&bus) >= 0);
	assert_true(sd_bus_set_address(bus, address) >= 0);
	assert_true(sd_bus_start(bus) >= 0);
	return bus;
}

int scene_connect_raw(struct scene *scene)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", scene->socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static sd_bus_message *make_call(sd_bus *bus, const char *member, const char *types, va_list list)
{
	sd_bus_message *message = NULL;

	assert_true(sd_bus_message_new_method_call(bus, &message, OBJECT_NAME, OBJECT_PATH,
						   OBJECT_NAME, member) >= 0);
	assert_true(sd_bus_message_appendv(message, types, list) >= 0);
	return message;
}

sd_bus_message *call(sd_bus *bus, const char *member, const char *types, ...)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *message, *reply = NULL;
	va_list list;

	va_start(list, types);
	message = make_call(bus, member, types, list);
	va_end(list);
	if (sd_bus_call(bus, message, PATIENCE, &error, &reply) < 0)
		fail_msg("%s: %s: %s", member, error.name, error.message);
	(void)sd_bus_message_unref(message);
	return reply;
}

void call_fails(sd_bus *bus, const char *name, const char *member, const char *types, ...)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *message;
	char wanted[128];
	va_list list;

	(void)snprintf(wanted, sizeof(wanted), OBJECT_ERROR "%s", name);
	va_start(list, types);
	message = make_call(bus, member, types, list);
	va_end(list);
	assert_true(sd_bus_call(bus, message, PATIENCE, &error, NULL) < 0);
	assert_string_equal(error.name, wanted);
	assert_true(strlen(error.message) > 10);
	sd_bus_error_free(&error);
	(void)sd_bus_message_unref(message);
}

void call_later(sd_bus *bus, sd_bus_message_handler_t function, void *context, const char *member,
		const char *types, ...)
{
	sd_bus_message *message;
	va_list list;

	va_start(list, types);
	message = make_call(bus, member, types, list);
	va_end(list);
	assert_true(sd_bus_call_async(bus, NULL, message, function, context, PATIENCE) >= 0);
	(void)sd_bus_message_unref(message);
}

void run_until(sd_bus *bus, const unsigned *count, unsigned wanted)
{
	usec_t deadline = clock_deadline(clock_now(), PATIENCE);

	while (*count < wanted) {
		int r = sd_bus_process(bus, NULL);

		assert_true(r >= 0);
		if (r == 0) {
			usec_t left = clock_left(deadline, clock_now());

			assert_true(left > 0);
			assert_true(sd_bus_wait(bus, left) >= 0);
		}
	}
}

void hang_up(sd_bus *bus)
{
	sd_bus_close(bus);
	(void)sd_bus_unref(bus);
}

void read_to_end(int fd)
{
	char bytes[4096];
	ssize_t n;

	do
		n = read(fd, bytes, sizeof(bytes));
	while (n > 0);
	assert_true(n == 0 || errno == ECONNRESET);
}
