/*
 * marcelctl script check: tells what is wrong with scripts, each fault with its place, its line and
 * what would be right (respond/script/fault.h), or that nothing is. One thread.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/i18n.h"
#include "marcelctl/charset.h"
#include "marcelctl/faults.h"
#include "marcelctl/file.h"
#include "marcelctl/say.h"
#include "marcelctl/verb.h"
#include "respond/registry.h"
#include "respond/script/program.h"

enum {
	OPTION_STRICT = VERB_OPTIONS
};

static const struct option options[] = {
	{"strict", no_argument, NULL, OPTION_STRICT},
	{NULL, 0, NULL, 0},
};

static void tell_good(const char *file, const struct script *script, size_t warnings)
{
	file_put_escaped(stdout, file, strlen(file));
	if (script->is_list)
		(void)printf(_(": ok (a list of %zu replies)"), script->n_replies);
	else
		(void)printf(_(": ok (%zu states, %zu rules)"), script->n_scopes - 1,
			     script->n_rules);
	if (warnings > 0)
		(void)printf(_(", %zu warnings"), warnings);
	(void)fputc('\n', stdout);
}

/* Whether FILE is a good script. */
static bool check(const char *file, bool strict)
{
	struct script *script = NULL;
	struct faults faults = {.count = 0};
	bool good;
	int r;

	r = script_load(file, responder_is_known, &faults, &script);
	faults_print(&faults, stdout);
	good = r == 0 && !(strict && faults.warnings > 0);
	if (r == 0)
		tell_good(file, script, faults.warnings);
	else if (r != -EINVAL)
		say_error("%s: %s", file, say_errno(-r));
	faults_done(&faults);
	script_unref(script);
	return good;
}

int verb_script_check(int argc, char **argv)
{
	bool strict = false;
	bool good = true;
	int c;

	while ((c = verb_option(argc, argv, ":", options)) != -1) {
		if (c != OPTION_STRICT)
			return EXIT_USAGE;
		strict = true;
	}
	if (verb_arguments(argc, argv, 1, -1) < 0)
		return EXIT_USAGE;
	charset_output();
	for (int i = optind; i < argc; i++) {
		if (!check(argv[i], strict))
			good = false;
	}
	return say_finish(good ? EXIT_OK : CTL_FAILED);
}
