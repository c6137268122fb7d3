/*
 * marcelctl status: whether marceld runs, since when, where, and how much it has to do.
 *
 * Exit status: 0 it runs, 3 it does not (as systemctl's), 1 that can't be told. One thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/i18n.h"
#include "marcelctl/charset.h"
#include "marcelctl/file.h"
#include "marcelctl/json.h"
#include "marcelctl/live.h"
#include "marcelctl/moment.h"
#include "marcelctl/properties.h"
#include "marcelctl/say.h"

static const struct option options[] = {
	LIVE_OPTIONS,
	LIVE_OPTION_JSON,
	{NULL, 0, NULL, 0},
};

static void print_json(const struct properties *p)
{
	json_begin(NULL, '{');
	json_boolean("running", true);
	json_text("version", properties_text(p, "Version"));
	json_time("started", properties_number(p, "Started"));
	json_text_or_null("configuration", properties_text(p, "Configuration"));
	json_text_or_null("operator_directory", properties_text(p, "OperatorDirectory"));
	json_list("listeners", properties_list(p, "Listeners"));
	json_list("listener_names", properties_list(p, "ListenerNames"));
	json_list("responders", properties_list(p, "Responders"));
	json_number("conversations", properties_number(p, "Conversations"));
	json_number("conversations_total", properties_number(p, "ConversationsTotal"));
	json_number("waiting", properties_number(p, "Waiting"));
	json_end('}');
	json_line(false);
}

static void print_text(const char *text)
{
	file_put_escaped(stdout, text, strlen(text));
}

static void print_list(const char *label, char *const *list)
{
	(void)fputs(label, stdout);
	if (list[0] == NULL)
		(void)putchar('-');
	for (size_t i = 0; list[i] != NULL; i++) {
		if (i > 0)
			(void)fputs(", ", stdout);
		print_text(list[i]);
	}
	(void)putchar('\n');
}

/* Where it listens, and behind that, which of its faces is there. An older marceld gives no names.
 */
static void print_listeners(char *const *addresses, char *const *names)
{
	(void)fputs(_("  listens on     "), stdout);
	if (addresses[0] == NULL)
		(void)putchar('-');
	for (size_t i = 0; addresses[i] != NULL; i++) {
		if (i > 0)
			(void)fputs(", ", stdout);
		print_text(addresses[i]);
		if (*names != NULL && (*names)[0] != '\0') {
			(void)fputs(" (", stdout);
			print_text(*names);
			(void)putchar(')');
		}
		if (*names != NULL)
			names++;
	}
	(void)putchar('\n');
}

static void print_line(const char *label, const char *text)
{
	(void)fputs(label, stdout);
	print_text(text);
	(void)putchar('\n');
}

static void print_status(const struct properties *p)
{
	const char *configuration = properties_text(p, "Configuration");
	const char *directory = properties_text(p, "OperatorDirectory");
	char date[MOMENT_SIZE];
	char age[MOMENT_SIZE];

	charset_output();
	(void)fputs("marceld ", stdout);
	print_text(properties_text(p, "Version"));
	(void)printf(_(" runs since %s (%s)\n"), moment_date(date, properties_number(p, "Started")),
		     moment_age(age, properties_number(p, "Started")));
	print_listeners(properties_list(p, "Listeners"), properties_list(p, "ListenerNames"));
	print_line(_("  configuration  "),
		   configuration[0] != '\0' ? configuration : _("none: built-in defaults"));
	print_list(_("  responders     "), properties_list(p, "Responders"));
	(void)printf(_("  conversations  %" PRIu64 " now, %" PRIu64 " since it runs\n"),
		     properties_number(p, "Conversations"),
		     properties_number(p, "ConversationsTotal"));
	(void)printf(_("  waiting        %" PRIu64 " for an operator's answer\n"),
		     properties_number(p, "Waiting"));
	print_line(_("  operators      "), directory[0] != '\0' ? directory : _("none"));
}

int verb_status(int argc, char **argv)
{
	struct live live = {.json = false};
	struct properties properties;
	struct link link;
	int r;

	if (!live_options(argc, argv, options, &live) || verb_arguments(argc, argv, 0, 0) < 0)
		return EXIT_USAGE;
	r = link_open(&live.to, false, &link);
	if (r == -ENOENT || r == -ECONNREFUSED || r == -ENOTDIR) {
		if (live.json)
			(void)puts("{\"running\":false}");
		return say_finish(CTL_NOT_RUNNING);
	}
	if (r < 0)
		return CTL_FAILED;
	r = properties_of_daemon(&link, &properties);
	link_done(&link);
	if (r < 0)
		return CTL_FAILED;
	if (live.json)
		print_json(&properties);
	else
		print_status(&properties);
	properties_done(&properties);
	return say_finish(EXIT_OK);
}
