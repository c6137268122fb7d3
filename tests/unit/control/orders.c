/*
 * Orders over the control: what reaches the conversation, what its answer becomes, and how many may
 * wait for theirs.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control-test.h"

/* What a call that was answered later came to. */
struct outcome {
	unsigned count;
	unsigned failed;
	char error[128]; /* the last one's name behind OBJECT_ERROR, or "" */
	char text[512];
};

static int on_outcome(sd_bus_message *reply, void *context, sd_bus_error *error)
{
	struct outcome *outcome = context;
	const sd_bus_error *fault = sd_bus_message_get_error(reply);
	const size_t prefix = strlen(OBJECT_ERROR);

	(void)error;
	outcome->count++;
	outcome->failed += fault != NULL ? 1 : 0;
	if (fault != NULL && strlen(fault->name) > prefix) {
		(void)snprintf(outcome->error, sizeof(outcome->error), "%s", fault->name + prefix);
		(void)snprintf(outcome->text, sizeof(outcome->text), "%s", fault->message);
	}
	return 0;
}

static void show(struct scene *scene, uint64_t number)
{
	const struct watch_view view = {.number = number, .responder = "fifo"};

	fake_show(scene->watch, &view);
}

/* Sends what is to be sent. */
static void push(sd_bus *bus)
{
	assert_true(sd_bus_flush(bus) >= 0);
}

static void says(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene);
	struct outcome outcome = {.count = 0};
	struct wish wish;
	uint64_t number;

	show(scene, 17);
	call_later(bus, on_outcome, &outcome, "Say", "tts", UINT64_C(17), UINT64_C(3),
		   "Bonjour \xc3\xa0 vous");
	push(bus);
	fake_wait_wish(scene->watch, &wish, &number);
	assert_int_equal(number, 17);
	assert_int_equal(wish.kind, WISH_SAY);
	assert_int_equal(wish.turn, 3);
	assert_int_not_equal(wish.ticket, 0);
	assert_int_equal(wish.length, strlen("Bonjour \xc3\xa0 vous"));
	assert_string_equal(wish.line, "Bonjour \xc3\xa0 vous");
	free(wish.line);
	fake_answer(scene->watch, wish.ticket, 0);
	run_until(bus, &outcome.count, 1);
	assert_int_equal(outcome.failed, 0);
	hang_up(bus);
}

static void closes_takes_and_gives(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene);
	struct outcome outcome = {.count = 0};
	static const struct {
		const char *member;
		const char *types;
		enum wish_kind kind;
		const char *responder;
	} orders[] = {
		{"Close", "t", WISH_CLOSE, ""},
		{"Take", "t", WISH_TAKE, "fifo"},
		{"Give", "ts", WISH_GIVE, "script"},
	};

	show(scene, 17);
	for (unsigned i = 0; i < 3; i++) {
		struct wish wish;
		uint64_t number;

		call_later(bus, on_outcome, &outcome, orders[i].member, orders[i].types,
			   UINT64_C(17), orders[i].responder);
		push(bus);
		fake_wait_wish(scene->watch, &wish, &number);
		assert_int_equal(number, 17);
		assert_int_equal(wish.kind, orders[i].kind);
		assert_string_equal(wish.responder, orders[i].responder);
		fake_answer(scene->watch, wish.ticket, 0);
		run_until(bus, &outcome.count, i + 1);
	}
	assert_int_equal(outcome.failed, 0);
	hang_up(bus);
}

static void names_each_refusal(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene);
	static const struct {
		int result;
		const char *error;
		const char *part; /* of the text */
	} refusals[] = {
		{-ENOENT, "NoSuchConversation", "17"},
		{-ENOTCONN, "NotHeld", "17"},
		{-ESTALE, "NotOpen", "17"},
		{-EINVAL, "BadOrder", "order"},
		{-E2BIG, "TooLong", "4095"},
		{-ENOBUFS, "Busy", "does not read"},
		{-ENOMEM, "NoMemory", "or not"},
		{-ESRCH, "NoSuchResponder", "'parrot'"},
		{-EALREADY, "AlreadyHeld", "'parrot'"},
		{-EBUSY, "NotNow", "a secret is asked for"},
		{-ESHUTDOWN, "Closing", "17 is closing"},
		{-ECANCELED, "HandingOver", "17 over to its successor"},
		{-EIO, "NotPossible", "Input/output"},
	};

	show(scene, 17);
	for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct outcome outcome = {.count = 0};
		struct wish wish;
		uint64_t number;

		call_later(bus, on_outcome, &outcome, "Give", "ts", UINT64_C(17), "parrot");
		push(bus);
		fake_wait_wish(scene->watch, &wish, &number);
		fake_answer(scene->watch, wish.ticket, refusals[i].result);
		run_until(bus, &outcome.count, 1);
		assert_string_equal(outcome.error, refusals[i].error);
		assert_non_null(strstr(outcome.text, refusals[i].part));
	}
	hang_up(bus);
}

/* A line may name a responder, too. */
static void names_no_name(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene);
	struct outcome outcome = {.count = 0};
	struct wish wish;
	uint64_t number;

	show(scene, 17);
	call_later(bus, on_outcome, &outcome, "Say", "tts", UINT64_C(17), UINT64_C(0),
		   "/give nobody");
	push(bus);
	fake_wait_wish(scene->watch, &wish, &number);
	fake_answer(scene->watch, wish.ticket, -ESRCH);
	run_until(bus, &outcome.count, 1);
	assert_string_equal(outcome.error, "NoSuchResponder");
	assert_string_equal(outcome.text, "There is no responder of the name that the order gives");
	free(wish.line);
	hang_up(bus);
}

/* What is refused before it reaches anybody. */
static void refuses_at_once(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene);
	struct outcome outcome = {.count = 0};
	char line[4097];
	struct wish wish;
	uint64_t number;

	(void)memset(line, 'x', sizeof(line));
	line[4096] = '\0';
	call_fails(bus, "NoSuchConversation", "Say", "tts", UINT64_C(17), UINT64_C(0), "x");
	call_fails(bus, "NoSuchConversation", "Close", "t", UINT64_C(17));
	show(scene, 17);
	call_fails(bus, "TooLong", "Say", "tts", UINT64_C(17), UINT64_C(0), line);
	call_fails(bus, "BadOrder", "Say", "tts", UINT64_C(17), UINT64_C(0), "one\ntwo");
	call_fails(bus, "NoSuchResponder", "Give", "ts", UINT64_C(17), line);
	call_fails(bus, "NoSuchResponder", "Give", "ts", UINT64_C(17),
		   "0123456789012345678901234567890123456789012345678901234567890123");
	assert_int_equal(fake_wishes(scene->watch), 0);
	line[4095] = '\0';
	call_later(bus, on_outcome, &outcome, "Say", "tts", UINT64_C(17), UINT64_C(0), line);
	push(bus);
	fake_wait_wish(scene->watch, &wish, &number);
	assert_int_equal(wish.length, 4095);
	assert_string_equal(wish.line, line);
	free(wish.line);
	hang_up(bus);
}

/* 64 orders wait, the next is refused; each gets its own answer. */
static void bounds_what_waits(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene), *other = scene_connect(scene);
	struct outcome outcomes[64] = {{.count = 0}}, outcome = {.count = 0};
	struct wish wish[65];
	uint64_t number;

	show(scene, 17);
	for (unsigned i = 0; i < 64; i++)
		call_later(bus, on_outcome, &outcomes[i], "Close", "t", UINT64_C(17));
	push(bus);
	for (unsigned i = 0; i < 64; i++)
		fake_wait_wish(scene->watch, &wish[i], &number);
	call_fails(bus, "TooManyOrders", "Close", "t", UINT64_C(17));
	call_fails(bus, "TooManyOrders", "Reload", "");
	/* The bound is each one's own. */
	call_later(other, on_outcome, &outcome, "Close", "t", UINT64_C(17));
	push(other);
	fake_wait_wish(scene->watch, &wish[64], &number);
	fake_answer(scene->watch, wish[64].ticket, 0);
	run_until(other, &outcome.count, 1);

	/* In any order. */
	for (unsigned i = 64; i-- > 0;) {
		fake_answer(scene->watch, wish[i].ticket, i % 2 == 0 ? 0 : -ENOTCONN);
		run_until(bus, &outcomes[i].count, 1);
		assert_int_equal(outcomes[i].failed, i % 2);
	}
	outcome.count = 0;
	call_later(bus, on_outcome, &outcome, "Close", "t", UINT64_C(17));
	push(bus);
	fake_wait_wish(scene->watch, &wish[0], &number);
	fake_answer(scene->watch, wish[0].ticket, 0);
	run_until(bus, &outcome.count, 1);
	hang_up(other);
	hang_up(bus);
}

/* A caller that goes away leaves nothing behind; the answer that comes then is nobody's. */
static void forgets_who_is_gone(void **state)
{
	struct scene *scene = *state;
	struct outcome outcome = {.count = 0};
	struct wish wish[10];
	uint64_t number;
	sd_bus *bus;

	show(scene, 17);
	for (unsigned round = 0; round < 10; round++) {
		bus = scene_connect(scene);
		call_later(bus, on_outcome, &outcome, "Close", "t", UINT64_C(17));
		call_later(bus, on_outcome, &outcome, "Reload", "");
		push(bus);
		fake_wait_wish(scene->watch, &wish[round], &number);
		hang_up(bus);
	}
	/* Each may have been answered by its connection's end. */
	outcome = (struct outcome){.count = 0};
	for (unsigned round = 0; round < 10; round++)
		fake_answer(scene->watch, wish[round].ticket, 0);
	bus = scene_connect(scene);
	(void)sd_bus_message_unref(call(bus, "ListConversations", ""));
	assert_int_equal(outcome.count, 0);
	/* Some are still waiting for an answer when all ends. */
	call_later(bus, on_outcome, &outcome, "Close", "t", UINT64_C(17));
	call_later(bus, on_outcome, &outcome, "Reload", "");
	push(bus);
	fake_wait_wish(scene->watch, &wish[0], &number);
	hang_up(bus);
}

static void wait_reloads(struct scene *scene, sd_bus *bus, unsigned wanted)
{
	/* The hook is called before the reply to a later call is made. */
	(void)sd_bus_message_unref(call(bus, "ListConversations", ""));
	assert_int_equal(atomic_load(&scene->reloads), wanted);
}

static void reloads(void **state)
{
	struct scene *scene = *state;
	sd_bus *bus = scene_connect(scene);
	struct outcome first = {.count = 0}, later = {.count = 0};
	static const char *const responders[] = {"parrot", NULL};
	const struct control_facts facts = {.version = "1.2.4", .responders = responders};
	char *text;

	/* One by a signal is nobody's. */
	control_reloaded(scene->control, 0, NULL, NULL);
	call_later(bus, on_outcome, &first, "Reload", "");
	wait_reloads(scene, bus, 1);
	for (unsigned i = 0; i < 3; i++)
		call_later(bus, on_outcome, &later, "Reload", "");
	wait_reloads(scene, bus, 1);
	control_reloaded(scene->control, 0, NULL, &facts);
	run_until(bus, &first.count, 1);
	assert_int_equal(first.failed, 0);
	assert_int_equal(later.count, 0);
	assert_true(sd_bus_get_property_string(bus, OBJECT_NAME, OBJECT_PATH, OBJECT_NAME,
					       "Version", NULL, &text) >= 0);
	assert_string_equal(text, "1.2.4");
	free(text);

	/* The others came while the first was under way: the file is read again for them. */
	wait_reloads(scene, bus, 2);
	control_reloaded(scene->control, -EINVAL, "a.ini:1: unknown\x1b key\na.ini:2: \xff\n",
			 NULL);
	run_until(bus, &later.count, 3);
	assert_int_equal(later.failed, 3);
	assert_string_equal(later.error, "BadConfiguration");
	assert_string_equal(later.text, "a.ini:1: unknown\\e key\na.ini:2: \\xff\n");

	later.count = 0;
	call_later(bus, on_outcome, &later, "Reload", "");
	wait_reloads(scene, bus, 3);
	control_reloaded(scene->control, -ENOENT, NULL, NULL);
	run_until(bus, &later.count, 1);
	assert_string_equal(later.error, "BadConfiguration");
	assert_string_equal(later.text, "No such file or directory");

	/* Neither is a fault of the file. */
	static const struct {
		int result;
		const char *error;
	} others[] = {{-ENOMEM, "NoMemory"}, {-ESHUTDOWN, "Ending"}};
	for (unsigned i = 0; i < 2; i++) {
		later.count = 0;
		call_later(bus, on_outcome, &later, "Reload", "");
		wait_reloads(scene, bus, 4 + i);
		control_reloaded(scene->control, others[i].result, NULL, NULL);
		run_until(bus, &later.count, 1);
		assert_string_equal(later.error, others[i].error);
	}
	hang_up(bus);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scene_begin, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(says),
		TEST(closes_takes_and_gives),
		TEST(names_each_refusal),
		TEST(names_no_name),
		TEST(refuses_at_once),
		TEST(bounds_what_waits),
		TEST(forgets_who_is_gone),
		TEST(reloads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
