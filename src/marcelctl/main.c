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
#include "marcelctl/charset.h"
#include "marcelctl/live.h"
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
	charset_output();
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

/* How VERB is used, in one line. */
static void print_usage(FILE *file, const struct verb *verb)
{
	(void)fprintf(file, _("Usage: marcelctl %s%s%s"), verb->group != NULL ? verb->group : "",
		      verb->group != NULL ? " " : "", verb->name);
	if (verb->arguments != NULL)
		(void)fprintf(file, " %s", _(verb->arguments));
	(void)fputc('\n', file);
}

static int print_help_of(const struct verb *verb)
{
	charset_output();
	print_usage(stdout, verb);
	(void)printf("        %s\n", _(verb->summary));
	(void)fputs(_("See 'marcelctl --help' and marcelctl(1).\n"), stdout);
	return say_finish(EXIT_OK);
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

static const struct verb *find_verb(const char *group, const char *name)
{
	for (size_t i = 0; name != NULL && i < N_VERBS; i++) {
		const char *own = verbs[i].group;

		if ((own == NULL || group == NULL ? own == group : strcmp(own, group) == 0) &&
		    strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static bool wants_help(const char *argument)
{
	return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

/* Puts the first N words of ARGV behind the WORDS (one or two) that follow them. */
static void put_behind(char **argv, int n, int words)
{
	char *front[2] = {argv[n], argv[n + words - 1]};

	(void)memmove(argv + words, argv, (size_t)n * sizeof(*argv));
	argv[words - 1] = front[1];
	argv[0] = front[0];
}

/* ARGV: LEADING words that are options of the verb behind them, and whatever follows. HELP: only
 * tells how it is used. */
static int run_verb(int argc, char **argv, int leading, bool help)
{
	const char *group = is_group(argv[leading]) ? argv[leading] : NULL;
	const int words = group != NULL ? 2 : 1;
	const struct verb *verb;
	int status;

	if (group != NULL && (argc > leading + 1 ? wants_help(argv[leading + 1]) : help))
		return print_help();
	if (argc < leading + words) {
		say_error(_("'%s' wants a verb behind it"), group);
		return usage();
	}
	verb = find_verb(group, argv[leading + words - 1]);
	if (verb == NULL) {
		tell_unknown(group, argv[leading + words - 1]);
		return usage();
	}
	if (help)
		return print_help_of(verb);
	put_behind(argv, leading, words);
	status = verb->run(argc - words + 1, argv + words - 1);
	if (verb_help_wanted())
		return print_help_of(verb);
	if (status != EXIT_USAGE)
		return status;
	print_usage(stderr, verb);
	return usage();
}

/* Options that may stand before the verb. */
static const struct option general[] = {
	LIVE_OPTIONS,
	{"help", no_argument, NULL, 0},
	{"version", no_argument, NULL, 0},
	{NULL, 0, NULL, 0},
};

/* How many words of ARGV are options for the verb behind them; -1 after telling what is wrong. */
static int count_general(int argc, char **argv)
{
	int n = 0;

	while (n < argc && argv[n][0] == '-' && !wants_help(argv[n]) &&
	       strcmp(argv[n], "--version") != 0) {
		if (strcmp(argv[n], "--bus") == 0 || strncmp(argv[n], "--control=", 10) == 0) {
			n++;
		} else if (strcmp(argv[n], "--control") != 0) {
			verb_unknown_option(argv[n], general);
			return -1;
		} else if (n + 1 == argc) {
			say_error(_("'%s': this option wants a value"), argv[n]);
			return -1;
		} else {
			n += 2;
		}
	}
	return n;
}

int main(int argc, char **argv)
{
	int leading;
	bool help;

	startup_fill_descriptors();
	i18n_init();
	startup_speak_utf8();
	charset_errors();
	argc--;
	argv++;
	leading = count_general(argc, argv);
	if (leading < 0)
		return usage();
	if (leading >= argc) {
		say_error(_("which verb?"));
		return usage();
	}
	help = strcmp(argv[leading], "help") == 0;
	if (wants_help(argv[leading]) || (help && argc == leading + 1))
		return print_help();
	if (strcmp(argv[leading], "--version") == 0) {
		(void)puts("marcelctl " MARCEL_VERSION);
		return say_finish(EXIT_OK);
	}
	if (help)
		put_behind(argv, leading, 1);
	return run_verb(help ? argc - 1 : argc, help ? argv + 1 : argv, leading, help);
}
