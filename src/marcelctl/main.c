/*
 * marcelctl: what one does with Marcel beside talking. Its first argument, or its first two, name
 * a verb; each verb is a file of its own (script-check.c is `marcelctl script check`), and the
 * table below knows them all.
 *
 * Exit status: 0; 1 when what was asked for did not succeed; 3 when `marcelctl status` finds no
 * marceld; 64 when the command line is wrong.
 * One thread.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/i18n.h"
#include "base/startup.h"
#include "base/text.h"
#include "marcelctl/say.h"
#include "marcelctl/verb.h"

static const struct verb verbs[] = {
	{NULL, "status", N_("[--json]"), N_("tell whether marceld runs, and how it does"),
	 verb_status, N_("A running marceld:")},
	{NULL, "reload", NULL,
	 N_("have the configuration read again, and tell what is wrong with it"), verb_reload,
	 NULL},
	{NULL, "metrics", N_("[--textfile FILE]"), N_("give figures to Prometheus"), verb_metrics,
	 NULL},
	{NULL, "list", N_("[--waiting] [--json]"), N_("show all conversations, or those that wait"),
	 verb_list, N_("Conversations:")},
	{NULL, "show", N_("[--json] ID"), N_("show one, and what was said last"), verb_show, NULL},
	{NULL, "follow", N_("[--json] [ID]"), N_("show what is said, as it is said"), verb_follow,
	 NULL},
	{NULL, "take", N_("ID..."), N_("answer in the place of whoever does"), verb_take, NULL},
	{NULL, "say", N_("[--turn N] ID TEXT..."),
	 N_("answer; '-' says the lines of standard input"), verb_say, NULL},
	{NULL, "give", N_("ID [RESPONDER]"),
	 N_("let another one answer, by default whom it was taken from"), verb_give, NULL},
	{NULL, "close", N_("ID..."), N_("end it, with the farewell"), verb_close, NULL},
	{NULL, "desk", N_("[--plain] [--no-bell]"),
	 N_("answer all of them on a full screen, or one after another"), verb_desk, NULL},
	{"script", "check", N_("[--strict] FILE..."), N_("tell what is wrong with scripts"),
	 verb_script_check, N_("Scripts; none of these needs a running marceld:")},
	{"script", "try", N_("[--explain] [--fast] FILE"), N_("talk to a script, without a server"),
	 verb_script_try, NULL},
	{"script", "test", N_("[--tap] FILE TRANSCRIPT..."),
	 N_("play transcripts and compare the answers"), verb_script_test, NULL},
	{"script", "from-journal", N_("[--output BASE] ID"),
	 N_("make a script of a conversation in the journal"), verb_script_from_journal, NULL},
	{"script", "record", N_("[--listen ADDRESS] [--once] --output BASE SERVER"),
	 N_("stand between a client and a server, and make a script of what they say"),
	 verb_script_record, NULL},
};
#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static int print_help(void)
{
	(void)fputs(_("Usage: marcelctl VERB [OPTION]... [ARGUMENT]...\n"
		      "Looks after a running marceld, answers in its conversations, and makes "
		      "scripts.\n"),
		    stdout);
	for (size_t i = 0; i < N_VERBS; i++) {
		if (verbs[i].heading != NULL)
			(void)printf("\n%s\n", _(verbs[i].heading));
		(void)printf("  %s%s%s", verbs[i].group != NULL ? verbs[i].group : "",
			     verbs[i].group != NULL ? " " : "", verbs[i].name);
		if (verbs[i].arguments != NULL)
			(void)printf(" %s", _(verbs[i].arguments));
		(void)printf("\n        %s\n", _(verbs[i].summary));
	}
	(void)fputs(
		_("\n"
		  "Verbs that need a running marceld find it by themselves, or by\n"
		  "      --control PATH  its control socket\n"
		  "      --bus           the system bus\n"
		  "\n"
		  "  -h, --help     show this and end\n"
		  "      --version  show the version and end\n"
		  "\n"
		  "Exit status: 0, 1 when something failed or was refused or found wrong, 3 when\n"
		  "'status' finds no marceld, 64 when the command line is wrong. See marcelctl(1).\n"),
		stdout);
	return say_finish(EXIT_OK);
}

static int usage(void)
{
	(void)fprintf(stderr, "%s\n", _("Try 'marcelctl --help' for more information."));
	return EXIT_USAGE;
}

/* There is no verb NAME in GROUP (NULL: none was named). */
static void tell_unknown(const char *group, const char *name)
{
	const char *words[N_VERBS];
	const char *meant;
	size_t n = 0;

	for (size_t i = 0; i < N_VERBS; i++) {
		const char *own = verbs[i].group;

		if (group == NULL)
			words[n++] = own != NULL ? own : verbs[i].name;
		else if (own != NULL && strcmp(own, group) == 0)
			words[n++] = verbs[i].name;
	}
	meant = text_nearest(name, words, n);
	if (meant != NULL)
		say_error(_("unknown verb '%s' (did you mean '%s'?)"), name, meant);
	else
		say_error(_("unknown verb '%s'"), name);
}

static bool is_group(const char *word)
{
	for (size_t i = 0; i < N_VERBS; i++) {
		if (verbs[i].group != NULL && strcmp(verbs[i].group, word) == 0)
			return true;
	}
	return false;
}

static int run_verb(int argc, char **argv)
{
	const char *group = is_group(argv[0]) ? argv[0] : NULL;
	const int skipped = group != NULL ? 1 : 0;

	if (argc <= skipped) {
		say_error(_("'%s' wants a verb behind it"), group);
		return usage();
	}
	for (size_t i = 0; i < N_VERBS; i++) {
		int status;

		if ((verbs[i].group == NULL) != (group == NULL) ||
		    (group != NULL && strcmp(verbs[i].group, group) != 0) ||
		    strcmp(verbs[i].name, argv[skipped]) != 0)
			continue;
		status = verbs[i].run(argc - skipped, argv + skipped);
		return status == EXIT_USAGE ? usage() : status;
	}
	tell_unknown(group, argv[skipped]);
	return usage();
}

int main(int argc, char **argv)
{
	startup_fill_descriptors();
	i18n_init();
	startup_speak_utf8();
	if (argc < 2) {
		say_error(_("which verb?"));
		return usage();
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return print_help();
	for (int i = 2; i < argc && i < 4; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return print_help();
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)puts("marcelctl " MARCEL_VERSION);
		return say_finish(EXIT_OK);
	}
	if (argv[1][0] == '-') {
		say_error(_("unknown option '%s'"), argv[1]);
		return usage();
	}
	return run_verb(argc - 1, argv + 1);
}
