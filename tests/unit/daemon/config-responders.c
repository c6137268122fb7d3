/*
 * Responders in the configuration: they get their settings once for each face, tell their faults
 * with file and line, and are unloaded when the last who holds the configuration drops it.
 *
 * The registry of responders is replaced by one that also knows "probe", which has settings.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "config-helpers.h"
#include "respond/echo.h"
#include "respond/registry.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int probe_loads;
static int probe_unloads;

/* Takes `answer`, any text; `fault` is told; `error` is returned as an errno without a word. */
static int probe_load(const struct marcel_settings *settings, marcel_fault_fn *fault, void *context,
		      void **ret_shared)
{
	const char *answer = "";
	int r = 0;

	probe_loads++;
	assert_string_equal(settings->section, "probe");
	for (size_t i = 0; i < settings->count; i++) {
		const struct marcel_setting *setting = &settings->settings[i];

		if (strcmp(setting->name, "answer") == 0) {
			answer = setting->value;
		} else if (strcmp(setting->name, "error") == 0) {
			return -EPIPE;
		} else {
			fault(context, settings->file, setting->line, "that is a fault");
			r = strcmp(setting->name, "fault") == 0 ? -EINVAL : 0;
		}
	}
	if (r == 0)
		*ret_shared = strdup(answer);
	return r;
}

static void probe_unload(void *shared)
{
	probe_unloads++;
	free(shared);
}

static int probe_respond(struct marcel_conversation *conversation, const char *message,
			 size_t length, struct marcel_sink *sink)
{
	(void)conversation;
	(void)message;
	(void)length;
	(void)sink;
	return 0;
}

static const struct marcel_responder_ops probe = {
	.abi = MARCEL_RESPONDER_ABI,
	.name = "probe",
	.load = probe_load,
	.unload = probe_unload,
	.respond = probe_respond,
};

static const struct marcel_responder_ops *const responders[] = {&echo_responder, &probe};

const struct marcel_responder_ops *responder_find(const char *name)
{
	for (size_t i = 0; i < COUNT(responders); i++)
		if (strcmp(responders[i]->name, name) == 0)
			return responders[i];
	return NULL;
}

const struct marcel_responder_ops *const *responder_list(size_t *ret_count)
{
	*ret_count = COUNT(responders);
	return responders;
}

static int reset(void **state)
{
	(void)state;
	probe_loads = 0;
	probe_unloads = 0;
	return 0;
}

static void a_responder_is_loaded_for_each_face(void **state)
{
	struct config *config = parse("[probe]\nanswer = 42\n[dialogue]\nresponder = probe\n"
				      "[listener a]\n[listener b]\nresponder = echo\n");

	(void)state;
	assert_int_equal(probe_loads, 2);
	assert_ptr_equal(config->faces[0].responder, &probe);
	assert_string_equal(config->faces[0].responder_shared, "42");
	assert_string_equal(config_face(config, "a")->responder_shared, "42");
	assert_ptr_not_equal(config_face(config, "a")->responder_shared,
			     config->faces[0].responder_shared);
	assert_ptr_equal(config_face(config, "b")->responder, &echo_responder);
	assert_null(config_face(config, "b")->responder_shared);

	assert_ptr_equal(config_ref(config), config);
	config_unref(config);
	assert_int_equal(probe_unloads, 0);
	config_unref(config);
	assert_int_equal(probe_unloads, 2);
	config_unref(NULL);
}

/* Settings are printed as they were written. */
static void settings_of_responders_are_printed(void **state)
{
	auto_free char *printed = print_text("[probe]\nanswer =  42 ; or so\n[echo]\n");
	auto_free char *again = print_text(printed);

	(void)state;
	assert_non_null(strstr(printed, "\n[probe]\nanswer = 42 ; or so\n"));
	assert_null(strstr(printed, "[echo]"));
	assert_string_equal(again, printed);
}

static const struct {
	const char *text;
	const char *fault; /* the first; there are `count` */
	size_t count;
	int loads;
	int unloads;
} probe_faults[] = {
	/* One fault, though two faces have the responder. */
	{"[listener a]\n[dialogue]\nresponder = probe\n[probe]\nfault = x\n",
	 "x.ini:5: that is a fault", 1, 1, 0},
	/* A responder that tells a fault has failed, whatever it returns. */
	{"[dialogue]\nresponder = probe\n[probe]\nanswer = x\nodd = x\n",
	 "x.ini:5: that is a fault", 1, 1, 1},
	{"[listener a]\nresponder = probe\n[probe]\nerror = x\n",
	 "x.ini: responder 'probe': Broken pipe", 1, 1, 0},
	/* Faults elsewhere do not hide it, and the faces that were loaded are unloaded. */
	{"[dialogue]\nresponder = probe\nfarewel = x\n[listener a]\n[probe]\nanswer = x\n",
	 "x.ini:3: unknown key 'farewel' in [dialogue] (did you mean 'farewell'?)", 1, 2, 2},
	{"[dialogue]\nresponder = probe\nfarewel = x\n[probe]\nfault = x\n",
	 "x.ini:3: unknown key 'farewel' in [dialogue] (did you mean 'farewell'?)", 2, 1, 0},
	/* Also where no face has it: conversations can be given to it. */
	{"[probe]\nanswer = x\nother = x\n[probe]\nanswer = y\n",
	 "x.ini:5: duplicate key 'answer' in [probe] (it is on line 2 already)", 2, 1, 1},
	{"[dialogue]\nresponder = prob\n",
	 "x.ini:2: responder is one of echo, probe, not 'prob' (did you mean 'probe'?)", 1, 1, 1},
};

static void faults_of_responders_are_told(void **state)
{
	for (size_t i = 0; i < COUNT(probe_faults); i++) {
		const char *text = probe_faults[i].text;
		struct report report = REPORT_INIT;
		struct config *config = NULL;

		(void)reset(state);
		assert_int_equal(config_parse("x.ini", text, strlen(text), NULL, &report, &config),
				 -EINVAL);
		assert_null(config);
		assert_string_equal(report.texts[0], probe_faults[i].fault);
		assert_int_equal(report.count, probe_faults[i].count);
		assert_int_equal(probe_loads, probe_faults[i].loads);
		assert_int_equal(probe_unloads, probe_faults[i].unloads);
		report_done(&report);
	}
}

static void the_command_line_overrides_the_file(void **state)
{
	static const char text[] = "[dialogue]\nresponder = echo\n"
				   "[listener own]\nresponder = echo\n[listener other]\n";
	struct config_overrides overrides = {.responder = "probe"};
	struct report report = REPORT_INIT;
	struct config *config = NULL;
	auto_free char *printed = NULL;

	(void)state;
	assert_int_equal(config_parse("x.ini", text, strlen(text), &overrides, &report, &config),
			 0);
	assert_ptr_equal(config_face(config, "")->responder, &probe);
	assert_ptr_equal(config_face(config, "other")->responder, &probe);
	assert_ptr_equal(config_face(config, "own")->responder, &echo_responder);
	printed = print(config);
	assert_non_null(strstr(printed, "[dialogue]\nresponder = probe\n"));
	config_unref(config);
	config = NULL;

	overrides.responder = "ecko";
	assert_int_equal(config_parse("x.ini", text, strlen(text), &overrides, &report, &config),
			 -EINVAL);
	assert_null(config);
	assert_int_equal(report.count, 1);
	assert_string_equal(report.texts[0], "-r: responder is one of echo, probe, not 'ecko' (did "
					     "you mean 'echo'?)");
	report_done(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_responder_is_loaded_for_each_face, reset),
		cmocka_unit_test_setup(settings_of_responders_are_printed, reset),
		cmocka_unit_test_setup(faults_of_responders_are_told, reset),
		cmocka_unit_test_setup(the_command_line_overrides_the_file, reset),
	};

	return cmocka_run_group_tests_name("daemon/config-responders", tests, NULL, NULL);
}
