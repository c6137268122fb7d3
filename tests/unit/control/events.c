/*
 * Signals: who gets which, how texts come, and that nobody is listened to for nothing.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control-test.h"

/* The signals that came, each as a line of text. */
struct heard {
	unsigned count;
	char text[32768];
};

static void put(struct heard *heard, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct heard *heard, const char *format, ...)
{
	size_t used = strlen(heard->text);
	va_list list;

	va_start(list, format);
	(void)vsnprintf(heard->text + used, sizeof(heard->text) - used, format, list);
	va_end(list);
}

/* Writes the arguments of a signal, numbers and texts. */
static int on_signal(sd_bus_message *message, void *context, sd_bus_error *error)
{
	struct heard *heard = context;
	const char *types = sd_bus_message_get_signature(message, true);

	(void)error;
	put(heard, "%s", sd_bus_message_get_member(message));
	for (; *types != '\0'; types++) {
		const char *text;
		uint64_t number;

		if (*types == 't') {
			assert_int_equal(sd_bus_message_read_basic(message, 't', &number), 1);
			put(heard, " %llu", (unsigned long long)number);
		} else {
			assert_int_equal(sd_bus_message_read_basic(message, 's', &text), 1);
			put(heard, " '%s'", text);
		}
	}
	put(heard, "\n");
	heard->count++;
	return 0;
}

/* A client that hears signals; of our sender alone, as clients of a bus ask for it. */
static sd_bus *listener(struct scene *scene, struct heard *heard)
{
	sd_bus *bus = scene_connect(scene);

	*heard = (struct heard){.count = 0};
	assert_true(sd_bus_match_signal(bus, NULL, OBJECT_NAME, OBJECT_PATH, OBJECT_NAME, NULL,
					on_signal, heard) >= 0);
	(void)sd_bus_message_unref(call(bus, "Subscribe", ""));
	return bus;
}

static void happen(struct scene *scene, const struct watch_event *event, const char *text)
{
	fake_event(scene->watch, event, text, strlen(text));
}

static void tells_what_happens(void **state)
{
	struct scene *scene = *state;
	struct heard heard;
	sd_bus *bus = listener(scene, &heard);
	const struct watch_view view = {.number = 7,
					.peer = "p\n",
					.listener = "l",
					.responder = "r"};
	struct watch_event event = {.kind = WATCH_OPENED, .number = 7, .time = 9};

	fake_wait_listening(scene->watch, true);
	fake_show(scene->watch, &view);
	happen(scene, &event, "");
	event.number = 8; /* gone already */
	happen(scene, &event, "");
	event.number = 7;
	event.kind = WATCH_SAID;
	event.turn = 2;
	event.who = 'C';
	happen(scene, &event, "Bonjour \x1b[2J\xff");
	event.who = 'S';
	event.withheld = true;
	happen(scene, &event, "");
	event.withheld = false;
	event.kind = WATCH_WAITING;
	happen(scene, &event, "");
	event.kind = WATCH_DRAFT;
	event.until = 4711;
	happen(scene, &event, "Oui\a");
	event.kind = WATCH_SWITCHED;
	happen(scene, &event, "fifo");
	event.kind = WATCH_REFUSED;
	happen(scene, &event, "not-open: Trop tard");
	event.kind = WATCH_CLOSED;
	fake_settle(scene->watch);
	fake_drop(scene->watch, 5);
	happen(scene, &event, "end-word");
	run_until(bus, &heard.count, 10);
	assert_string_equal(heard.text, "Opened 7 'p\\n' 'l' 'r'\n"
					"Opened 8 '' '' ''\n"
					"Message 7 9 'C' 2 'Bonjour \\e[2J\\xff'\n"
					"Message 7 9 'S' 2 '(withheld)'\n"
					"Waiting 7 2\n"
					"Draft 7 2 'Oui\\x07' 4711\n"
					"Switched 7 'fifo'\n"
					"Refused 7 2 'not-open: Trop tard'\n"
					"Lost 5\n"
					"Closed 7 'end-word'\n");
	hang_up(bus);
}

/* A text that is longer than events are is cut between two characters. */
static void cuts_between_characters(void **state)
{
	struct scene *scene = *state;
	const struct watch_event event = {.kind = WATCH_SAID, .number = 1, .who = 'C'};
	struct heard heard;
	sd_bus *bus = listener(scene, &heard);
	char text[WATCH_TEXT_MAX + 64];
	char *end;

	fake_wait_listening(scene->watch, true);
	for (size_t cut = 0; cut < 5; cut++) {
		static const char smile[4] = {'\xf0', '\x9f', '\x98', '\x80'};
		/* The last of the 4-byte characters is cut after so many bytes. */
		const size_t at = WATCH_TEXT_MAX - cut;

		(void)memset(text, 'x', sizeof(text));
		(void)memcpy(text + at, smile, sizeof(smile));
		heard = (struct heard){.count = 0};
		fake_event(scene->watch, &event, text, sizeof(text));
		run_until(bus, &heard.count, 1);
		end = strrchr(heard.text, 'x');
		assert_non_null(end);
		assert_string_equal(end, cut == 4 ? "x\xf0\x9f\x98\x80'\n" : "x'\n");
		assert_int_equal(end - strchr(heard.text, 'x') + 1, WATCH_TEXT_MAX - cut);
	}
	/* Bytes that are none anyway are cut anywhere. */
	(void)memset(text, '\xff', sizeof(text));
	heard = (struct heard){.count = 0};
	fake_event(scene->watch, &event, text, sizeof(text));
	run_until(bus, &heard.count, 1);
	assert_int_equal(strlen(heard.text),
			 strlen("Message 1 0 'C' 0 ''\n") + (size_t)4 * WATCH_TEXT_MAX);
	/* So is nothing of a text that is whole. */
	heard = (struct heard){.count = 0};
	happen(scene, &event, "caf\xc3");
	run_until(bus, &heard.count, 1);
	assert_string_equal(heard.text, "Message 1 0 'C' 0 'caf\\xc3'\n");
	hang_up(bus);
}

/* The watch is listened to while somebody is subscribed, and everybody hears for themselves. */
static void listens_while_it_is_wanted(void **state)
{
	struct scene *scene = *state;
	const struct watch_event event = {.kind = WATCH_WAITING, .number = 1};
	struct heard first, second, third;
	sd_bus *one = listener(scene, &first), *two;
	sd_bus *quiet = scene_connect(scene);

	third = (struct heard){.count = 0};
	assert_true(sd_bus_match_signal(quiet, NULL, NULL, OBJECT_PATH, OBJECT_NAME, NULL,
					on_signal, &third) >= 0);
	fake_wait_listening(scene->watch, true);
	two = listener(scene, &second);
	/* Twice is once. */
	(void)sd_bus_message_unref(call(two, "Subscribe", ""));
	happen(scene, &event, "");
	run_until(one, &first.count, 1);
	run_until(two, &second.count, 1);

	(void)sd_bus_message_unref(call(one, "Unsubscribe", ""));
	happen(scene, &event, "");
	run_until(two, &second.count, 2);
	(void)sd_bus_message_unref(call(one, "ListConversations", ""));
	(void)sd_bus_message_unref(call(quiet, "ListConversations", ""));
	assert_int_equal(first.count, 1);
	assert_int_equal(second.count, 2);
	assert_int_equal(third.count, 0);

	hang_up(two);
	fake_wait_listening(scene->watch, false);
	(void)sd_bus_message_unref(call(one, "Subscribe", ""));
	fake_wait_listening(scene->watch, true);
	(void)sd_bus_message_unref(call(one, "Unsubscribe", ""));
	(void)sd_bus_message_unref(call(one, "Unsubscribe", ""));
	fake_wait_listening(scene->watch, false);
	hang_up(one);
	hang_up(quiet);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scene_begin, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tells_what_happens),
		TEST(cuts_between_characters),
		TEST(listens_while_it_is_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
