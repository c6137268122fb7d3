/*
 * The object on the socket: what it shows, what it tells of itself, and what it says no to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control-test.h"

static void show(struct scene *scene, uint64_t number, const char *peer)
{
	struct watch_view view = {
		.number = number,
		.id = {0x01, 0x23, 0xab, [15] = 0xff},
		.listener = "127.0.0.1:50000",
		.responder = "script",
		.speaker = "fifo",
		.suspended = "",
		.opened = 11,
		.turns = 12,
		.waiting = 13,
		.waiting_since = 14,
		.last = 15,
		.bytes_in = 16,
		.bytes_out = 17,
	};

	(void)memcpy(view.peer, peer, strlen(peer));
	fake_show(scene->watch, &view);
}

static void lists_conversations(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene);
	sd_bus_message *reply = call(bus, "ListConversations", "");
	const char *id, *peer, *listener, *responder, *speaker, *suspended;
	uint64_t number, opened, turns, waiting, since, last;

	assert_int_equal(sd_bus_message_enter_container(reply, 'a', "(tssssssttttt)"), 1);
	assert_int_equal(sd_bus_message_at_end(reply, false), 1);
	(void)sd_bus_message_unref(reply);

	show(scene, 17, "127.0.0.1:4711");
	show(scene, 18, "\xff\x1b[31m");
	reply = call(bus, "ListConversations", "");
	assert_int_equal(sd_bus_message_enter_container(reply, 'a', "(tssssssttttt)"), 1);
	assert_int_equal(sd_bus_message_read(reply, "(tssssssttttt)", &number, &id, &peer,
					     &listener, &responder, &speaker, &suspended, &opened,
					     &turns, &waiting, &since, &last),
			 1);
	assert_int_equal(number, 17);
	assert_string_equal(id, "0123ab000000000000000000000000ff");
	assert_string_equal(peer, "127.0.0.1:4711");
	assert_string_equal(listener, "127.0.0.1:50000");
	assert_string_equal(responder, "script");
	assert_string_equal(speaker, "fifo");
	assert_string_equal(suspended, "");
	assert_int_equal(opened, 11);
	assert_int_equal(turns, 12);
	assert_int_equal(waiting, 13);
	assert_int_equal(since, 14);
	assert_int_equal(last, 15);
	assert_int_equal(sd_bus_message_read(reply, "(tssssssttttt)", &number, &id, &peer,
					     &listener, &responder, &speaker, &suspended, &opened,
					     &turns, &waiting, &since, &last),
			 1);
	assert_int_equal(number, 18);
	assert_string_equal(peer, "\\xff\\e[31m");
	assert_int_equal(sd_bus_message_at_end(reply, false), 1);
	(void)sd_bus_message_unref(reply);
	hang_up(bus);
}

static void tells_of_one(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene);
	sd_bus_message *reply;
	const char *name, *type;
	unsigned texts = 0, numbers = 0;
	const struct watch_draft draft = {.turn = 3,
					  .until = 4711,
					  .text = "d\xff",
					  .length = 2,
					  .whole = 2};

	call_fails(bus, "NoSuchConversation", "GetConversation", "t", UINT64_C(17));
	show(scene, 17, "here");
	fake_draft(scene->watch, &draft);
	reply = call(bus, "GetConversation", "t", UINT64_C(17));
	assert_int_equal(sd_bus_message_enter_container(reply, 'a', "{sv}"), 1);
	while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
		const char *text;
		uint64_t number;

		assert_int_equal(sd_bus_message_read_basic(reply, 's', &name), 1);
		assert_int_equal(sd_bus_message_peek_type(reply, NULL, &type), 1);
		if (type[0] == 's') {
			assert_int_equal(sd_bus_message_read(reply, "v", "s", &text), 1);
			texts++;
			if (strcmp(name, "Peer") == 0)
				assert_string_equal(text, "here");
			if (strcmp(name, "Draft") == 0)
				assert_string_equal(text, "d\\xff");
		} else {
			assert_int_equal(sd_bus_message_read(reply, "v", "t", &number), 1);
			numbers++;
			if (strcmp(name, "BytesOut") == 0)
				assert_int_equal(number, 17);
			if (strcmp(name, "DraftTurn") == 0)
				assert_int_equal(number, 3);
			if (strcmp(name, "DraftUntil") == 0)
				assert_int_equal(number, 4711);
		}
		assert_int_equal(sd_bus_message_exit_container(reply), 1);
	}
	assert_int_equal(texts, 7);
	assert_int_equal(numbers, 11);
	(void)sd_bus_message_unref(reply);
	fake_hide(scene->watch, 17);
	call_fails(bus, "NoSuchConversation", "GetConversation", "t", UINT64_C(17));
	hang_up(bus);
}

static void tells_the_past(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene);
	const struct watch_event said =
		{.kind = WATCH_SAID, .time = 5, .who = 'C', .turn = 1, .length = 6, .whole = 6};
	const struct watch_event secret = {.kind = WATCH_SAID,
					   .time = 6,
					   .who = 'S',
					   .turn = 2,
					   .withheld = true};
	sd_bus_message *reply;
	const char *who, *text;
	uint64_t time, turn;

	call_fails(bus, "NoSuchConversation", "GetPast", "t", UINT64_C(1));
	show(scene, 1, "");
	fake_past(scene->watch, &said, "\xc3\xa9 \n\xff\\");
	fake_past(scene->watch, &secret, "");
	reply = call(bus, "GetPast", "t", UINT64_C(1));
	assert_int_equal(sd_bus_message_enter_container(reply, 'a', "(tsts)"), 1);
	assert_int_equal(sd_bus_message_read(reply, "(tsts)", &time, &who, &turn, &text), 1);
	assert_int_equal(time, 5);
	assert_string_equal(who, "C");
	assert_int_equal(turn, 1);
	assert_string_equal(text, "\xc3\xa9 \\n\\xff\\\\");
	assert_int_equal(sd_bus_message_read(reply, "(tsts)", &time, &who, &turn, &text), 1);
	assert_string_equal(who, "S");
	assert_string_equal(text, "(withheld)");
	assert_int_equal(sd_bus_message_read(reply, "(tsts)", &time, &who, &turn, &text), 0);
	(void)sd_bus_message_unref(reply);
	hang_up(bus);
}

static uint64_t get_number(sd_bus *bus, const char *name)
{
	uint64_t value;

	assert_true(sd_bus_get_property_trivial(bus, OBJECT_NAME, OBJECT_PATH, OBJECT_NAME, name,
						NULL, 't', &value) >= 0);
	return value;
}

static void assert_text(sd_bus *bus, const char *name, const char *wanted)
{
	char *text;

	assert_true(sd_bus_get_property_string(bus, OBJECT_NAME, OBJECT_PATH, OBJECT_NAME, name,
					       NULL, &text) >= 0);
	assert_string_equal(text, wanted);
	free(text);
}

static void assert_list(sd_bus *bus, const char *name, const char *first, const char *second)
{
	char **list;

	assert_true(sd_bus_get_property_strv(bus, OBJECT_NAME, OBJECT_PATH, OBJECT_NAME, name, NULL,
					     &list) >= 0);
	assert_string_equal(list[0], first);
	assert_string_equal(list[1], second);
	assert_null(list[2]);
	for (size_t i = 0; list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

static void tells_of_itself(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene);
	const struct watch_sums sums = {.live = 3, .begun = 40, .waiting = 2};

	fake_sums(scene->watch, &sums);
	assert_text(bus, "Version", "1.2.3");
	assert_text(bus, "Configuration", "/etc/marcel.ini");
	assert_text(bus, "OperatorDirectory", "/run/marcel/operator");
	assert_list(bus, "Listeners", "127.0.0.1:50000", "[::1]:50000");
	assert_list(bus, "ListenerNames", "", "desk");
	assert_list(bus, "Responders", "echo", "fifo");
	assert_int_equal(get_number(bus, "Started"), 1234567890123456);
	assert_int_equal(get_number(bus, "Conversations"), 3);
	assert_int_equal(get_number(bus, "ConversationsTotal"), 40);
	assert_int_equal(get_number(bus, "Waiting"), 2);
	hang_up(bus);
}

static void gives_metrics(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene);
	const struct watch_sums sums = {.live = 1,
					.begun = 2,
					.carried = 3,
					.messages = 4,
					.bytes_in = 5,
					.bytes_out = 6,
					.waiting = 7,
					.orders = 8,
					.refused = 9,
					.dropped = 10,
					.ended = {[END_END_WORD] = 11}};
	static const char *const lines[] = {
		"\nmarcel_conversations 1\n",
		"\nmarcel_conversations_total 2\n",
		"\nmarcel_conversations_carried_total 3\n",
		"\nmarcel_messages_total 4\n",
		"\nmarcel_bytes_received_total 5\n",
		"\nmarcel_bytes_sent_total 6\n",
		"\nmarcel_conversations_waiting 7\n",
		"\nmarcel_orders_total 8\n",
		"\nmarcel_orders_refused_total 9\n",
		"\nmarcel_events_dropped_total 10\n",
		"\nmarcel_conversations_ended_total{reason=\"end-word\"} 11\n",
		"\nmarcel_conversations_ended_total{reason=\"reset\"} 0\n",
		"\nmarcel_start_time_seconds 1234567890.123456\n",
		"\nmarcel_build_info{version=\"1.2.3\"} 1\n",
		"\n# TYPE marcel_conversations_total counter\n",
	};
	sd_bus_message *reply;
	const char *text;

	fake_sums(scene->watch, &sums);
	reply = call(bus, "GetMetrics", "");
	assert_int_equal(sd_bus_message_read(reply, "s", &text), 1);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (strstr(text, lines[i]) == NULL)
			fail_msg("no %s in %s", lines[i], text);
	(void)sd_bus_message_unref(reply);
	hang_up(bus);
}

/* As busctl does: Hello first, for there might be a bus. */
static void takes_those_who_expect_a_bus(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene);
	sd_bus *strict;
	char address[128];
	const char *name;
	sd_bus_message *reply;

	(void)snprintf(address, sizeof(address), "unix:path=%s", scene->socket);
	assert_true(sd_bus_new(&strict) >= 0);
	assert_true(sd_bus_set_address(strict, address) >= 0);
	assert_true(sd_bus_set_bus_client(strict, true) >= 0);
	assert_true(sd_bus_start(strict) >= 0);
	assert_int_equal(get_number(strict, "Waiting"), 0);
	assert_true(sd_bus_get_unique_name(strict, &name) >= 0);
	assert_string_equal(name, ":1.1");
	assert_true(sd_bus_call_method(strict, "org.freedesktop.DBus", "/org/freedesktop/DBus",
				       "org.freedesktop.DBus", "GetNameOwner", NULL, &reply, "s",
				       OBJECT_NAME) >= 0);
	assert_true(sd_bus_message_read(reply, "s", &name) >= 0);
	assert_string_equal(name, ":1.0");
	(void)sd_bus_message_unref(reply);
	assert_int_equal(get_number(bus, "Waiting"), 0);
	hang_up(strict);
	hang_up(bus);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scene_begin, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lists_conversations), TEST(tells_of_one),  TEST(tells_the_past),
		TEST(tells_of_itself),     TEST(gives_metrics), TEST(takes_those_who_expect_a_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
