/*
 * Right configurations: what is set, what holds when nothing is, and what each listener's clients
 * meet; and that what is printed of a configuration reads to the same one.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "config-helpers.h"
#include "respond/echo.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define GREETING "Vous êtes connecté au serveur Marcel. Envoyez vos messages."

static void defaults_are_what_the_product_says(void **state)
{
	struct config *config = parse("");
	const struct face *face = config_face(config, "");

	(void)state;
	assert_string_equal(config->file, "x.ini");
	assert_string_equal(config->listen, "50000");
	assert_int_equal(config->backlog, 4096);
	assert_int_equal(config->stop_timeout, 5 * USEC_PER_SEC);
	assert_int_equal(config->transcript, TRANSCRIPT_FULL);
	assert_int_equal(config->transcript_max, 4096);
	assert_int_equal(config->n_faces, 1);
	assert_ptr_equal(face->owner, config);
	assert_string_equal(face->name, "");
	assert_string_equal(face->listen, "");
	assert_string_equal(face->responder_name, "echo");
	assert_ptr_equal(face->responder, &echo_responder);
	assert_string_equal(face->dialogue.greeting, GREETING);
	assert_string_equal(face->dialogue.farewell, "fin");
	assert_int_equal(face->dialogue.n_end_words, 1);
	assert_string_equal(face->dialogue.end_words[0], "fin");
	assert_true(face->dialogue.end_on_empty);
	assert_int_equal(face->dialogue.framing, FRAMING_AUTO);
	assert_int_equal(face->dialogue.raw_pause, 400 * USEC_PER_MSEC);
	assert_int_equal(face->dialogue.message_max, 65536);
	assert_int_equal(face->dialogue.idle_timeout, 1800 * USEC_PER_SEC);
	assert_string_equal(face->dialogue.too_long, "Message trop long.");
	assert_int_equal(face->limits.conversations, 10000);
	assert_int_equal(face->limits.per_address, 0);
	assert_string_equal(face->limits.refusal, "Le serveur est occupé, réessayez plus tard.");
	config_unref(config);
}

/* A line of a section, and the line that is printed of it. */
static const struct {
	const char *section;
	const char *line;
	const char *printed;
} values[] = {
	{"server", "listen=127.0.0.1:0   [::1]:50001\t/run/x @x vsock::5",
	 "listen = 127.0.0.1:0   [::1]:50001\t/run/x @x vsock::5"},
	{"server", "backlog = 1", "backlog = 1"},
	{"server", "stop_timeout = 0", "stop_timeout = 0"},
	{"server", "stop_timeout = 90", "stop_timeout = 1min 30s"},
	{"dialogue", "responder = echo", "responder = echo"},
	{"dialogue", "greeting = Bonjour ; ça va ?", "greeting = Bonjour ; ça va ?"},
	{"dialogue", "greeting=;", "greeting = ;"},
	{"dialogue", "greeting = # [x] = y : z", "greeting = # [x] = y : z"},
	{"dialogue", "greeting = \"quoted\" \\n 'and' \\x41",
	 "greeting = \"quoted\" \\n 'and' \\x41"},
	{"dialogue", "\t greeting \t= \ta  b\t ", "greeting = a  b"},
	{"dialogue", "greeting = \360\237\230\200\302\240", "greeting = \360\237\230\200\302\240"},
	{"dialogue", "greeting =", "greeting = "},
	{"dialogue", "farewell = au revoir", "farewell = au revoir"},
	{"dialogue", "end_words = fin,au revoir , Quit", "end_words = fin, au revoir, Quit"},
	{"dialogue", "end_words =", "end_words = "},
	{"dialogue", "end_on_empty = OFF", "end_on_empty = no"},
	{"dialogue", "framing = line", "framing = line"},
	{"dialogue", "framing = raw", "framing = raw"},
	{"dialogue", "raw_pause = 1ms", "raw_pause = 1ms"},
	{"dialogue", "raw_pause = 1min", "raw_pause = 1min"},
	{"dialogue", "message_max = 1", "message_max = 1"},
	{"dialogue", "message_max = 1M", "message_max = 1M"},
	{"dialogue", "message_max = 1000", "message_max = 1000"},
	{"dialogue", "idle_timeout = infinity", "idle_timeout = infinity"},
	{"dialogue", "idle_timeout = 1h 5", "idle_timeout = 1h 5s"},
	{"dialogue", "too_long =", "too_long = "},
	{"limits", "conversations = 1", "conversations = 1"},
	{"limits", "conversations = 4194304", "conversations = 4194304"},
	{"limits", "per_address = 4", "per_address = 4"},
	{"limits", "refusal = plus tard", "refusal = plus tard"},
	{"journal", "transcript = sizes", "transcript = sizes"},
	{"journal", "transcript = off", "transcript = off"},
	{"journal", "transcript_max = 1M", "transcript_max = 1M"},
	{"listener web", "framing = raw", "framing = raw"},
	{"listener web", "listen = 127.0.0.1:0", "listen = 127.0.0.1:0"},
	{"listener web", "responder = echo", "responder = echo"},
};

/* Whether LINE is in the section of TEXT that HEAD begins. */
static bool has_line(const char *text, const char *head, const char *line)
{
	const char *section = strstr(text, head);
	const char *found = section != NULL ? strstr(section, line) : NULL;
	const char *next = section != NULL ? strstr(section + 1, "\n[") : NULL;

	return found != NULL && (next == NULL || found < next);
}

/* What is printed shows the value in its section, and reads to the same again. */
static void values_are_read_and_printed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		auto_free char *text = NULL;
		auto_free char *head = NULL;
		auto_free char *line = NULL;
		auto_free char *printed = NULL;
		auto_free char *again = NULL;

		assert_true(asprintf(&text, "[%s]\n%s\n", values[i].section, values[i].line) > 0);
		assert_true(asprintf(&head, "[%s]\n", values[i].section) > 0);
		assert_true(asprintf(&line, "\n%s\n", values[i].printed) > 0);
		printed = print_text(text);
		if (!has_line(printed, head, line))
			fail_msg("'%s' in [%s] of\n%s", line, values[i].section, printed);
		again = print_text(printed);
		assert_string_equal(again, printed);
	}
}

static void long_values_are_carried_whole(void **state)
{
	static const size_t counts[] = {2000, 250000};

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		size_t size = 2 * counts[i]; /* an é has two bytes */
		char *value = malloc(size + 1);
		auto_free char *text = NULL;
		struct config *config;

		assert_non_null(value);
		for (size_t j = 0; j < size; j += 2)
			(void)memcpy(value + j, "é", 2);
		value[size] = '\0';
		assert_true(asprintf(&text, "[dialogue]\ngreeting = %s\n", value) > 0);
		config = parse(text);
		assert_string_equal(config->faces[0].dialogue.greeting, value);
		config_unref(config);
		free(value);
	}
}

static void line_ends_and_marks_do_not_count(void **state)
{
	static const char *const texts[] = {
		"[dialogue]\nfarewell = x\nend_words = a, b",
		"\357\273\277[dialogue]\nfarewell = x\nend_words = a, b\n",
		"[dialogue]\r\nfarewell = x\r\nend_words = a, b\r\n",
		"\357\273\277\r\n[dialogue]\r\nfarewell = x\nend_words = a, b\r",
		"; \001 here\n  # and\n\n[ dialogue\t]\n\tfarewell=x\n[dialogue]\nend_words=a,b\n",
		"[dialogue]\nend_words = a, b\n  farewell = x\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct config *config = parse(texts[i]);

		assert_string_equal(config->faces[0].dialogue.farewell, "x");
		assert_int_equal(config->faces[0].dialogue.n_end_words, 2);
		assert_string_equal(config->faces[0].dialogue.end_words[1], "b");
		config_unref(config);
	}
}

static void a_listener_overrides_what_it_sets(void **state)
{
	struct config *config = parse("[listener web]\n"
				      "farewell = bye\n"
				      "end_words = bye, ciao\n"
				      "[dialogue]\n"
				      "greeting = hello\n"
				      "farewell = never seen on the web\n"
				      "[listener desk]\n"
				      "[limits]\n"
				      "per_address = 2\n"
				      "[listener web]\n"
				      "per_address = 3\n"
				      "listen = 127.0.0.1:0\n");
	const struct face *usual = config_face(config, "");
	const struct face *web = config_face(config, "web");
	const struct face *desk = config_face(config, "desk");

	(void)state;
	assert_int_equal(config->n_faces, 3);
	assert_ptr_equal(config_face(config, "unknown"), usual);
	assert_ptr_not_equal(web, usual);
	assert_ptr_not_equal(desk, usual);
	assert_string_equal(web->name, "web");
	assert_ptr_equal(web->owner, config);
	assert_string_equal(web->listen, "127.0.0.1:0");
	assert_string_equal(web->dialogue.greeting, "hello");
	assert_string_equal(web->dialogue.farewell, "bye");
	assert_int_equal(web->dialogue.n_end_words, 2);
	assert_int_equal(web->limits.per_address, 3);
	assert_int_equal(web->limits.conversations, 10000);
	assert_ptr_equal(web->responder, &echo_responder);
	assert_string_equal(desk->dialogue.greeting, "hello");
	assert_string_equal(desk->dialogue.farewell, "never seen on the web");
	assert_int_equal(desk->dialogue.n_end_words, 1);
	assert_int_equal(desk->limits.per_address, 2);
	assert_string_equal(desk->listen, "");
	config_unref(config);
}

static void names_of_sockets_are_as_systemd_takes_them(void **state)
{
	char name[256];
	auto_free char *text = NULL;
	struct config *config;

	(void)state;
	(void)memset(name, 'x', sizeof(name));
	name[255] = '\0';
	assert_true(asprintf(&text,
			     "[listener a]b]\n[listener  two words ]\n[listener %s]\n"
			     "[listener ~=;#[]\n[listener server]\n",
			     name) > 0);
	config = parse(text);
	assert_int_equal(config->n_faces, 6);
	assert_string_equal(config->faces[1].name, "a]b");
	assert_string_equal(config->faces[2].name, "two words");
	assert_string_equal(config->faces[3].name, name);
	assert_string_equal(config->faces[4].name, "~=;#[");
	assert_string_equal(config_face(config, "server")->name, "server");
	config_unref(config);
}

/* Two names that are the same in their first 49 bytes, where inih cuts, are two names. */
static void long_names_are_told_apart(void **state)
{
#define FIFTY "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"
	struct config *config = parse("[listener " FIFTY "1]\nfarewell = 1\n"
				      "[listener " FIFTY "2]\nfarewell = 2\n");

	(void)state;
	assert_string_equal(config_face(config, FIFTY "1")->dialogue.farewell, "1");
	assert_string_equal(config_face(config, FIFTY "2")->dialogue.farewell, "2");
	config_unref(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_what_the_product_says),
		cmocka_unit_test(values_are_read_and_printed),
		cmocka_unit_test(long_values_are_carried_whole),
		cmocka_unit_test(line_ends_and_marks_do_not_count),
		cmocka_unit_test(a_listener_overrides_what_it_sets),
		cmocka_unit_test(names_of_sockets_are_as_systemd_takes_them),
		cmocka_unit_test(long_names_are_told_apart),
	};

	return cmocka_run_group_tests_name("daemon/config", tests, NULL, NULL);
}
