/*
 * marcelctl script from-journal: what somebody answered in a conversation becomes a script that
 * answers the same. One thread.
 */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/i18n.h"
#include "marcelctl/compose.h"
#include "marcelctl/journal.h"
#include "marcelctl/say.h"
#include "marcelctl/verb.h"

enum {
	OPTION_DIRECTORY = VERB_OPTIONS,
	OPTION_FILE
};

static const struct option options[] = {
	{"directory", required_argument, NULL, OPTION_DIRECTORY},
	{"file", required_argument, NULL, OPTION_FILE},
	{"output", required_argument, NULL, 'o'},
	{NULL, 0, NULL, 0},
};

static int save(const struct journal_dialogue *dialogue, const char *id, const char *base)
{
	const enum cut_framing framing = dialogue->raw ? CUT_RAW : CUT_LF;
	struct compose_setup setup = {.framing = &framing};
	auto_free char *origin = NULL;
	struct composed composed;
	int status;
	int r;

	if (asprintf(&origin, "Made by marcelctl script from-journal of conversation %s.", id) <
	    0) {
		origin = NULL;
		say_error("%s", say_errno(ENOMEM));
		return CTL_FAILED;
	}
	setup.origin = origin;
	r = compose(&dialogue->exchange, &setup, &composed);
	if (r < 0) {
		say_error("%s", say_errno(-r));
		return CTL_FAILED;
	}
	status = compose_save(&composed, base);
	composed_done(&composed);
	return status;
}

/* Makes the script of conversation ID; BASE may be NULL. */
static int make(const struct journal_source *source, const char *id, const char *base)
{
	struct report report = REPORT_INIT;
	struct journal_dialogue dialogue;
	auto_free char *own_base = NULL;
	int status;
	int r;

	if (base == NULL) {
		if (asprintf(&own_base, "conversation-%s", id) < 0)
			own_base = NULL;
		base = own_base;
	}
	r = base != NULL ? journal_read(source, id, &report, &dialogue) : -ENOMEM;
	say_report(&report);
	if (r < 0 && report.count == 0)
		say_error(_("the journal: %s"), say_errno(-r));
	report_done(&report);
	if (r < 0)
		return CTL_FAILED;
	if (!dialogue.ended)
		say_error(_("the conversation goes on, or its end is not in the journal"));
	status = save(&dialogue, id, base);
	journal_dialogue_done(&dialogue);
	return status;
}

int verb_script_from_journal(int argc, char **argv)
{
	struct journal_source source = {.directory = NULL};
	const char *base = NULL;
	int c;

	while ((c = verb_option(argc, argv, ":o:", options)) != -1) {
		switch (c) {
		case OPTION_DIRECTORY:
			source.directory = optarg;
			break;
		case OPTION_FILE:
			source.file = optarg;
			break;
		case 'o':
			base = optarg;
			break;
		default:
			return EXIT_USAGE;
		}
	}
	if (verb_arguments(argc, argv, 1, 1) < 0)
		return EXIT_USAGE;
	return say_finish(make(&source, argv[optind], base));
}
