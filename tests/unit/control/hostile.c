/*
 * Clients of the socket that mean no good, or can't help it: silent ones, garbage, floods, crowds,
 * and those who don't read. Each is got rid of, and others are served meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "control-test.h"

#define CROWD 100
#define GREETING                                      \
	"\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\n" \
	"BEGIN\r\n"

/* A little-endian message's header: a call whose fields and body are so long. */
struct header {
	char endian, type, flags, version;
	uint32_t body, serial, fields;
};

static void put(int fd, const void *bytes, size_t size)
{
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
}

/* Somebody else is served. */
static void is_well(struct scene *scene)
{
	sd_bus *bus = scene_connect(scene);

	(void)sd_bus_message_unref(call(bus, "ListConversations", ""));
	hang_up(bus);
}

/* Takes CLIENT_PATIENCE, for all at the same time. */
static void drops_those_who_say_nothing(void **state)
{
	struct scene *scene = *state;
	static const char half[] = "\0AUTH EXTERNAL 30\r\nNEGOT";
	static const char strange[] = "\0AUTH\r\nAUTH MAGIC\r\nDATA zz\r\nBEGIN\r\n";
	int silent = scene_connect_raw(scene), begun = scene_connect_raw(scene);
	int stranger = scene_connect_raw(scene);

	put(begun, half, sizeof(half) - 1);
	put(stranger, strange, sizeof(strange) - 1);
	is_well(scene);
	read_to_end(silent);
	read_to_end(begun);
	read_to_end(stranger);
	close_fd(&silent);
	close_fd(&begun);
	close_fd(&stranger);
	is_well(scene);
}

static void drops_garbage(void **state)
{
	struct scene *scene = *state;
	static const struct {
		const char *bytes;
		size_t size;
	} faults[] = {
#define FAULT(text) {(text), sizeof(text) - 1}
		FAULT("GET / HTTP/1.0\r\n\r\n"),
		FAULT("\xff\xff\xff\xff\r\n\r\n\r\n"),
		/* Bytes that are no message; of another version; too long in each way there is. */
		FAULT(GREETING "0123456789abcdef"),
		FAULT(GREETING "l\1\0\2\0\0\0\0\1\0\0\0\0\0\0\0"),
		FAULT(GREETING "l\1\0\1\0\0\0\x07\1\0\0\0\0\0\0\0"),
		FAULT(GREETING "l\1\0\1\0\0\0\0\1\0\0\0\0\0\0\x03"),
		FAULT(GREETING "l\1\0\1\xff\xff\xff\xff\1\0\0\0\xff\xff\xff\xff"),
		FAULT(GREETING "B\1\0\1\0\1\0\1\0\0\0\1\0\0\0\0"),
#undef FAULT
	};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		int fd = scene_connect_raw(scene);

		put(fd, faults[i].bytes, faults[i].size);
		read_to_end(fd);
		close_fd(&fd);
	}
	is_well(scene);
}

/* A greeting without an end, in one line or in many. */
static void bounds_greetings(void **state)
{
	struct scene *scene = *state;

	for (int lines = 0; lines < 2; lines++) {
		int fd = scene_connect_raw(scene);
		char many[8192];

		(void)memset(many, 'x', sizeof(many));
		many[0] = '\0';
		for (size_t i = 4; lines != 0 && i < sizeof(many); i += 8)
			(void)memcpy(many + i - 2, "\r\n", 2);
		put(fd, many, sizeof(many));
		read_to_end(fd);
		close_fd(&fd);
	}
	is_well(scene);
}

/* A message that sd-bus does not want, then more, then nobody any more. */
static void outlives_messages_that_are_none(void **state)
{
	struct scene *scene = *state;
	static const char message[] = GREETING "l\0\0\1\0\0\0\0\1\0\0\0\0\0\0\0"
					       "l\1\0\1\0\0\0\0\1\0\0\0\0\0\0\0"
					       "l\1\0\1\0\0\0\0\1\0\0\0\0\0\0\0";

	for (int i = 0; i < CROWD; i++) {
		int fd = scene_connect_raw(scene);

		put(fd, message, sizeof(message) - 1);
		close_fd(&fd);
		is_well(scene);
	}
}

/* There is room for 32; whoever comes then takes the place of who has been silent longest. */
static void bounds_crowds(void **state)
{
	struct scene *scene = *state;
	int crowd[CROWD];
	struct pollfd ended[CROWD];
	int gone = 0;

	for (int i = 0; i < CROWD; i++)
		crowd[i] = scene_connect_raw(scene);
	for (int i = 0; i < CROWD - 32; i++)
		read_to_end(crowd[i]);
	for (int i = 0; i < CROWD; i++)
		ended[i] = (struct pollfd){.fd = crowd[i], .events = POLLIN};
	assert_true(poll(ended, CROWD, 0) >= 0);
	for (int i = 0; i < CROWD; i++)
		gone += ended[i].revents != 0;
	assert_int_equal(gone, CROWD - 32);
	is_well(scene);
	for (int i = 0; i < CROWD; i++)
		close_fd(&crowd[i]);
	is_well(scene);
}

static int on_answer(sd_bus_message *reply, void *context, sd_bus_error *error)
{
	unsigned *count = context;

	(void)error;
	assert_int_equal(sd_bus_message_is_method_error(reply, NULL), 0);
	(*count)++;
	return 0;
}

/* Who is subscribed, or waits for an answer, stays; some places are for others. */
static void leaves_places_to_others(void **state)
{
	struct scene *scene = *state;
	const struct watch_view view = {.number = 1};
	sd_bus *bus[31], *waits = scene_connect(scene), *last;
	struct wish wish;
	unsigned count = 0;
	uint64_t number;

	fake_show(scene->watch, &view);
	call_later(waits, on_answer, &count, "Close", "t", UINT64_C(1));
	assert_true(sd_bus_flush(waits) >= 0);
	fake_wait_wish(scene->watch, &wish, &number);
	for (int i = 0; i < 31; i++) {
		bus[i] = scene_connect(scene);
		if (i < 24)
			(void)sd_bus_message_unref(call(bus[i], "Subscribe", ""));
		else
			call_fails(bus[i], "TooManySubscribers", "Subscribe", "");
	}
	(void)sd_bus_message_unref(call(bus[0], "Subscribe", ""));
	for (int i = 0; i < 100; i++)
		is_well(scene);
	for (int i = 0; i < 24; i++)
		(void)sd_bus_message_unref(call(bus[i], "GetMetrics", ""));
	fake_answer(scene->watch, wish.ticket, 0);
	run_until(waits, &count, 1);
	/* One that leaves makes room for another. */
	(void)sd_bus_message_unref(call(bus[0], "Unsubscribe", ""));
	last = scene_connect(scene);
	(void)sd_bus_message_unref(call(last, "Subscribe", ""));
	hang_up(last);
	hang_up(waits);
	for (int i = 0; i < 31; i++)
		hang_up(bus[i]);
}

/* Large signals need not be many. */
static void bounds_unread_bytes(void **state)
{
	struct scene *scene = *state;
	static char text[WATCH_TEXT_MAX];
	const struct watch_event event = {.kind = WATCH_SAID, .number = 1, .who = 'C'};
	sd_bus *deaf = scene_connect(scene);

	/* Each byte is told as four: less than the socket, which takes 16 MiB, and 512 of them. */
	(void)memset(text, '\1', sizeof(text));
	(void)sd_bus_message_unref(call(deaf, "Subscribe", ""));
	fake_wait_listening(scene->watch, true);
	for (unsigned i = 0; i < 1300; i++)
		fake_event(scene->watch, &event, text, sizeof(text));
	fake_wait_listening(scene->watch, false);
	is_well(scene);
	hang_up(deaf);
}

/* A subscriber that reads nothing is dropped; whoever reads gets all. */
static void drops_the_deaf(void **state)
{
	struct scene *scene = *state;
	static char text[WATCH_TEXT_MAX];
	const struct watch_event event = {.kind = WATCH_SAID, .number = 1, .who = 'C'};
	sd_bus *deaf = scene_connect(scene);

	(void)memset(text, 'x', sizeof(text));
	(void)sd_bus_message_unref(call(deaf, "Subscribe", ""));
	fake_wait_listening(scene->watch, true);
	/* Far more than the socket and the queue hold: the queue's other end never waits. */
	for (unsigned i = 0; i < 5000; i++)
		fake_event(scene->watch, &event, text, sizeof(text));
	fake_wait_listening(scene->watch, false);
	is_well(scene);
	hang_up(deaf);
}

/*
 * Requests without end whose answers nobody reads: they wait in the socket, where there is an end,
 * and others are served.
 */
static void bounds_unread_answers(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene);
	struct watch_view view = {.number = 1};
	sd_bus_message *message = NULL;
	uint64_t waiting = 0;
	int r;

	(void)memset(view.peer, 'x', sizeof(view.peer) - 1);
	(void)memset(view.listener, 'x', sizeof(view.listener) - 1);
	for (uint64_t i = 1; i <= 60; i++) {
		view.number = i;
		fake_show(scene->watch, &view);
	}
	/* The client's own queue grows only when its socket takes no more. */
	do {
		assert_true(sd_bus_message_new_method_call(bus, &message, OBJECT_NAME, OBJECT_PATH,
							   OBJECT_NAME, "ListConversations") >= 0);
		r = sd_bus_send(bus, message, NULL);
		(void)sd_bus_message_unref(message);
		assert_true(r >= 0);
		assert_true(sd_bus_get_n_queued_write(bus, &waiting) >= 0);
	} while (waiting < 1000);
	is_well(scene);
	hang_up(bus);
	is_well(scene);
}

/* The same from many who read: each gets the answer to each. */
static void answers_floods(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus[8];

	for (int i = 0; i < 8; i++)
		bus[i] = scene_connect(scene);
	for (int n = 0; n < 200; n++)
		for (int i = 0; i < 8; i++)
			(void)sd_bus_message_unref(call(bus[i], "GetMetrics", ""));
	for (int i = 0; i < 8; i++)
		hang_up(bus[i]);
}

/* Many requests in one piece, as a client may send them: all are answered. */
static void answers_what_comes_at_once(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene);
	unsigned count = 0;

	for (int i = 0; i < 2000; i++)
		call_later(bus, on_answer, &count, "GetMetrics", "");
	run_until(bus, &count, 2000);
	hang_up(bus);
}

/* One byte after the other is as good as all at once, greeting included. */
static void takes_bytes_as_they_come(void **state)
{
	struct scene *scene = *state;
	static const char fields[] = "\1\1o\0\x15\0\0\0/org/freedesktop/DBus\0\0\0"
				     "\2\1s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0"
				     "\3\1s\0\5\0\0\0Hello\0\0\0";
	const struct header header = {.endian = 'l',
				      .type = 1,
				      .version = 1,
				      .serial = 1,
				      .fields = sizeof(fields) - 1 - 2};
	char all[256];
	size_t size = sizeof(GREETING) - 1;

	(void)memcpy(all, GREETING, size);
	(void)memcpy(all + size, &header, sizeof(header));
	size += sizeof(header);
	(void)memcpy(all + size, fields, sizeof(fields) - 1);
	size += sizeof(fields) - 1;
	for (size_t piece = 1; piece <= size; piece += 5) {
		int fd = scene_connect_raw(scene);
		char got[512];
		size_t used = 0;

		for (size_t i = 0; i < size; i += piece)
			put(fd, all + i, size - i < piece ? size - i : piece);
		/* The answer names its caller. */
		while (memmem(got, used, ":1.1", 5) == NULL) {
			ssize_t n = read(fd, got + used, sizeof(got) - used);

			assert_true(n > 0);
			used += (size_t)n;
		}
		close_fd(&fd);
	}
}

/* All ends while clients are there that read, wait, or do neither. */
static void ends_with_clients(void **state)
{
	struct scene *scene = *state;
	const struct watch_view view = {.number = 1};
	static char text[WATCH_TEXT_MAX];
	const struct watch_event event = {.kind = WATCH_SAID, .number = 1, .who = 'C'};
	sd_bus *bus = scene_connect(scene), *other = scene_connect(scene);
	int silent = scene_connect_raw(scene);
	struct wish wish;
	unsigned count = 0;
	uint64_t number;

	(void)memset(text, 'x', sizeof(text));
	fake_show(scene->watch, &view);
	(void)sd_bus_message_unref(call(bus, "Subscribe", ""));
	call_later(other, on_answer, &count, "Close", "t", UINT64_C(1));
	call_later(other, on_answer, &count, "Reload", "");
	assert_true(sd_bus_flush(other) >= 0);
	fake_wait_wish(scene->watch, &wish, &number);
	/* More than its socket holds, but not so much that it is dropped. */
	for (int i = 0; i < 200; i++)
		fake_event(scene->watch, &event, text, sizeof(text));
	fake_settle(scene->watch);
	control_stop(scene->control);
	scene->control = NULL;
	fake_wait_listening(scene->watch, false);
	read_to_end(silent);
	close_fd(&silent);
	hang_up(bus);
	hang_up(other);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scene_begin, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(drops_those_who_say_nothing),
		TEST(drops_garbage),
		TEST(bounds_greetings),
		TEST(outlives_messages_that_are_none),
		TEST(bounds_crowds),
		TEST(leaves_places_to_others),
		TEST(drops_the_deaf),
		TEST(bounds_unread_bytes),
		TEST(bounds_unread_answers),
		TEST(answers_floods),
		TEST(answers_what_comes_at_once),
		TEST(takes_bytes_as_they_come),
		TEST(ends_with_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
