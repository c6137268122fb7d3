/*
 * Unit test: the link (marcelctl/link.h), against a marceld in small (tests/tools/fake-control.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "marcelctl/link.h"

/* A running fake-control. */
struct fake {
	char directory[64];
	char socket[80];
	pid_t pid;
	FILE *to;
	FILE *from;
	struct link_options options;
};

static void read_line(struct fake *fake, char *buffer, size_t size)
{
	assert_non_null(fgets(buffer, (int)size, fake->from));
	buffer[strcspn(buffer, "\n")] = '\0';
}

/* The next line is TEXT. */
static void expect(struct fake *fake, const char *text)
{
	char line[8192];

	read_line(fake, line, sizeof(line));
	assert_string_equal(line, text);
}

static void order(struct fake *fake, const char *text)
{
	(void)fprintf(fake->to, "%s\n", text);
	(void)fflush(fake->to);
	expect(fake, "ok");
}

static void start(struct fake *fake)
{
	char name[] = FAKE_CONTROL;
	char *arguments[] = {name, fake->socket, NULL};
	posix_spawn_file_actions_t actions;
	int in[2];
	int out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO), 0);
	assert_int_equal(posix_spawn(&fake->pid, FAKE_CONTROL, &actions, NULL, arguments, environ),
			 0);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(in[0]);
	(void)close(out[1]);
	fake->to = fdopen(in[1], "w");
	fake->from = fdopen(out[0], "r");
	assert_non_null(fake->to);
	assert_non_null(fake->from);
	expect(fake, "ready");
}

static void stop(struct fake *fake)
{
	int status;

	(void)fclose(fake->to);
	assert_int_equal(waitpid(fake->pid, &status, 0), fake->pid);
	assert_int_equal(status, 0);
	(void)fclose(fake->from);
}

static int set_up(void **state)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	assert_non_null(fake);
	(void)snprintf(fake->directory, sizeof(fake->directory), "/tmp/marcel-link-XXXXXX");
	assert_non_null(mkdtemp(fake->directory));
	(void)snprintf(fake->socket, sizeof(fake->socket), "%s/control", fake->directory);
	fake->options.control = fake->socket;
	start(fake);
	*state = fake;
	return 0;
}

static int tear_down(void **state)
{
	struct fake *fake = *state;

	stop(fake);
	(void)unlink(fake->socket);
	(void)rmdir(fake->directory);
	free(fake);
	return 0;
}

/* What was told, all lines behind one another. */
struct told {
	char text[4096];
};

static void take_line(void *context, const char *line)
{
	struct told *told = context;
	const size_t length = strlen(told->text);

	(void)snprintf(told->text + length, sizeof(told->text) - length, "%s\n", line);
}

static struct link connected(struct fake *fake, struct told *told)
{
	struct link link;

	assert_int_equal(link_open(&fake->options, false, &link), 0);
	assert_true(link.peer);
	link.tell = take_line;
	link.tell_context = told;
	return link;
}

static void test_list(void **state)
{
	struct fake *fake = *state;
	struct told told = {""};
	struct link_conversation *list = NULL;
	struct link link = connected(fake, &told);

	assert_int_equal(link_list(&link, &list), 0);
	link_free_list(list, 0);
	expect(fake, "ListConversations");
	order(fake, "open 18 127.0.0.1:4712 desk fifo");
	order(fake, "open 17 127.0.0.1:4711 marcel echo");
	order(fake, "said 18 Bonjour");
	assert_int_equal(link_list(&link, &list), 2);
	expect(fake, "ListConversations");
	assert_int_equal(list[0].number, 17);
	assert_string_equal(list[0].peer, "127.0.0.1:4711");
	assert_string_equal(list[0].responder, "echo");
	assert_int_equal(list[1].number, 18);
	assert_string_equal(list[1].id, "00000000000000000000000000000012");
	assert_string_equal(list[1].listener, "desk");
	assert_int_equal(list[1].turns, 1);
	assert_int_equal(list[1].waiting, 1);
	assert_int_not_equal(list[1].waiting_since, 0);
	link_free_list(list, 2);
	assert_string_equal(told.text, "");
	link_done(&link);
}

static void test_responders(void **state)
{
	struct fake *fake = *state;
	struct told told = {""};
	struct link link = connected(fake, &told);
	char **names = NULL;

	assert_int_equal(link_responders(&link, &names), 0);
	assert_string_equal(names[0], "echo");
	assert_string_equal(names[2], "fifo");
	assert_null(names[3]);
	link_free_names(names);
	link_done(&link);
}

/* Calls METHOD of conversation 17 under each error, and compares what is returned and told. */
static void test_errors(void **state)
{
	static const struct {
		const char *error;
		int r;
		const char *told; /* some of it */
	} cases[] = {
		{"NoSuchConversation x", -ENOENT, "there is no conversation 17"},
		{"NotHeld x", -ENOTCONN, "take it first: marcelctl take 17"},
		{"NotOpen x", -ESTALE, "marcelctl show 17"},
		{"BadOrder x", -EINVAL,
		 "does not understand this order: an order is one line of text"},
		{"TooLong x", -E2BIG, "at most 4,095 bytes"},
		{"Busy x", -ENOBUFS, "too many orders wait for conversation 17"},
		{"TooManyOrders x", -EAGAIN, "too many of your orders"},
		{"TooManyAnswers x", -EAGAIN, "the system bus has not taken"},
		{"TooManySubscribers x", -EUSERS, "too many programs follow"},
		{"NoMemory x", -ENOMEM, "it may have done this, or not"},
		{"Ending x", -ESHUTDOWN, "marceld is about to end"},
		{"NoSuchResponder x", -ESRCH, "no such responder"},
		{"AlreadyHeld x", -EALREADY, "an operator holds conversation 17 already"},
		{"NotNow x", -EBUSY, "conversation 17 is at a point where nobody else"},
		{"Closing x", -ESHUTDOWN, "conversation 17 is closing"},
		{"HandingOver x", -ECANCELED, "takes conversation 17 along: try again"},
		{"NotPossible because \x1b[31m", -EOPNOTSUPP, "because \\e[31m"},
		{"BadConfiguration x", -EBADMSG, "stays in force:\nx\n"},
		{"org.freedesktop.DBus.Error.UnknownMethod no Say", -EBADR, "older than marcelctl"},
		{"org.freedesktop.DBus.Error.AccessDenied x", -EACCES,
		 "usermod -aG marcel-operator"},
		{"org.freedesktop.DBus.Error.NoReply x", -ETIMEDOUT,
		 "conversation 17: its client does not read"},
		{"org.example.Strange it is strange", -EIO, "it is strange"},
	};
	struct fake *fake = *state;
	struct told told = {""};
	struct link link = connected(fake, &told);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[256];

		(void)snprintf(line, sizeof(line), "fail Close %s", cases[i].error);
		order(fake, line);
		told.text[0] = '\0';
		assert_int_equal(link_call(&link, "Close", NULL, "t", UINT64_C(17)), cases[i].r);
		assert_non_null(strstr(told.text, cases[i].told));
		expect(fake, "Close 17");
		order(fake, "well Close");
	}
	told.text[0] = '\0';
	assert_int_equal(link_call(&link, "Juggle", NULL, NULL), -EBADR);
	assert_non_null(strstr(told.text, "older than marcelctl"));
	link_done(&link);
}

static void test_no_reply(void **state)
{
	struct fake *fake = *state;
	struct told told = {""};
	struct link link = connected(fake, &told);

	order(fake, "mute Reload");
	order(fake, "mute GetPast");
	link.patience = 1000;
	assert_int_equal(link_call(&link, "GetPast", NULL, "t", UINT64_C(17)), -ETIMEDOUT);
	assert_string_equal(told.text, "marceld does not answer\n");
	told.text[0] = '\0';
	assert_int_equal(link_call(&link, "Reload", NULL, NULL), -ETIMEDOUT);
	assert_string_equal(told.text, "marceld does not answer\n");
	link_done(&link);
}

static void test_broken_off(void **state)
{
	struct fake *fake = *state;
	struct told told = {""};
	struct link link = connected(fake, &told);

	order(fake, "drop");
	assert_int_equal(link_call(&link, "Reload", NULL, NULL), -ECONNRESET);
	assert_non_null(strstr(told.text, "broke off"));
	link_done(&link);
}

/* Events, as lines of text. */
struct heard {
	char text[4096];
	int count;
};

static const char *shown(const char *text)
{
	return text != NULL ? text : "-";
}

static void hear(void *context, const struct link_event *event)
{
	struct heard *heard = context;
	const size_t length = strlen(heard->text);

	(void)snprintf(heard->text + length, sizeof(heard->text) - length,
		       "%s %" PRIu64 " %" PRIu64 " %s %s %s %s %s\n", event->name, event->number,
		       event->turn, shown(event->direction), shown(event->text), shown(event->peer),
		       shown(event->listener), shown(event->responder));
	heard->count++;
}

static void process(struct link *link, struct heard *heard, int count)
{
	while (heard->count < count) {
		const int r = sd_bus_process(link->bus, NULL);

		assert_true(r >= 0);
		if (r == 0)
			assert_true(sd_bus_wait(link->bus, 20000000) > 0);
	}
}

static void test_signals(void **state)
{
	struct fake *fake = *state;
	struct told told = {""};
	struct heard heard = {"", 0};
	struct link link = connected(fake, &told);

	assert_int_equal(link_subscribe(&link, hear, &heard), 0);
	expect(fake, "Subscribe");
	order(fake, "open 17 127.0.0.1:4711 marcel script");
	order(fake, "switch 17 fifo");
	order(fake, "said 17 Ça va ?");
	order(fake, "refused 17 12 not-open: trop tard");
	order(fake, "lost 3");
	order(fake, "close 17 end-word");
	process(&link, &heard, 8);
	assert_string_equal(
		heard.text,
		"Opened 17 0 - - 127.0.0.1:4711 marcel script\n"
		"Message 17 0 S Vous êtes connecté au serveur Marcel. Envoyez vos messages. "
		"- - -\n"
		"Switched 17 0 - fifo - - -\n"
		"Message 17 1 C Ça va ? - - -\n"
		"Waiting 17 1 - - - - -\n"
		"Refused 17 12 - not-open: trop tard - - -\n"
		"Lost 3 0 - - - - -\n"
		"Closed 17 0 - end-word - - -\n");
	order(fake, "drop");
	for (;;) {
		const int r = sd_bus_process(link.bus, NULL);

		if (r < 0)
			break;
		if (r == 0)
			(void)sd_bus_wait(link.bus, 20000000);
	}
	assert_int_equal(sd_bus_is_open(link.bus), 0);
	assert_non_null(strstr(heard.text, "Gone 0 0"));
	link_done(&link);
}

static void test_past(void **state)
{
	struct fake *fake = *state;
	struct told told = {""};
	struct heard heard = {"", 0};
	struct link link = connected(fake, &told);

	order(fake, "open 17 127.0.0.1:4711 marcel echo");
	order(fake, "said 17 a\\nb");
	assert_int_equal(link_past(&link, 17, hear, &heard), 0);
	assert_string_equal(heard.text,
			    "Message 17 0 S Vous êtes connecté au serveur Marcel. Envoyez vos "
			    "messages. - - -\n"
			    "Message 17 1 C a\\nb - - -\n"
			    "Message 17 1 S a\\nb - - -\n");
	assert_int_equal(link_past(&link, 18, hear, &heard), -ENOENT);
	assert_non_null(strstr(told.text, "there is no conversation 18"));
	link_done(&link);
}

static void test_cannot_connect(void **state)
{
	struct fake *fake = *state;
	struct link_options options = {.control = "/nowhere/control"};
	struct link link;
	char path[200];

	assert_int_equal(link_open(&options, true, &link), -ENOENT);
	options.control = fake->directory;
	assert_int_equal(link_open(&options, true, &link), -ENOTSOCK);
	(void)snprintf(path, sizeof(path), "%s/%0120d", fake->directory, 0);
	options.control = path;
	assert_int_equal(link_open(&options, true, &link), -ENAMETOOLONG);
	options.control = "";
	assert_int_equal(link_open(&options, true, &link), -ENOENT);
}

static void test_paths(void **state)
{
	const struct link_options given = {.control = "there"};
	const struct link_options none = {.control = NULL};
	char buffer[64];

	(void)state;
	assert_string_equal(link_path(&given, buffer, sizeof(buffer)), "there");
	(void)link_path(&none, buffer, sizeof(buffer));
	assert_non_null(strstr(buffer, "/control"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_list, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_responders, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_reply, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broken_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_signals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_past, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cannot_connect, set_up, tear_down),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
