/*
 * marcelctl give: lets another responder go on with a conversation. The one that it was taken from
 * goes on where it was, and is meant if none is named. One thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/i18n.h"
#include "base/text.h"
#include "marcelctl/live.h"
#include "marcelctl/properties.h"
#include "marcelctl/say.h"

static const struct option options[] = {
	LIVE_OPTIONS,
	{NULL, 0, NULL, 0},
};

/* There is no responder NAME: tells which there are. */
static void tell_responders(struct link *link, const char *name)
{
	char **names = NULL;
	auto_free char *all = NULL;
	const char *meant;
	size_t size = 0;
	size_t n = 0;
	FILE *out;

	if (link_responders(link, &names) < 0)
		return;
	out = open_memstream(&all, &size);
	for (; out != NULL && names[n] != NULL; n++)
		(void)fprintf(out, "%s%s", n > 0 ? ", " : "", names[n]);
	meant = text_nearest(name, (const char *const *)names, n);
	if (out != NULL && fclose(out) == 0) {
		if (meant != NULL)
			say_error(_("marceld has no responder '%s' (did you mean '%s'?); it has: "
				    "%s"),
				  name, meant, all);
		else
			say_error(_("marceld has no responder '%s'; it has: %s"), name, all);
	}
	link_free_names(names);
}

static int give(struct link *link, uint64_t number, const char *name)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	auto_free char *text = NULL;
	int r;

	r = link_try(link, "Give", NULL, &error, "ts", number, name);
	if (r == -ESRCH) {
		tell_responders(link, name);
	} else if (r < 0) {
		text = link_explain(link, &error, number);
		if (text != NULL)
			link_tell(link, text);
	}
	sd_bus_error_free(&error);
	return r;
}

/* Gives it to whom it was taken from. */
static int give_back(struct link *link, uint64_t number)
{
	struct properties properties;
	const char *name;
	int r;

	r = properties_of_conversation(link, number, &properties);
	if (r < 0)
		return r;
	name = properties_text(&properties, "Suspended");
	if (name[0] != '\0') {
		r = give(link, number, name);
	} else {
		say_error(_("conversation %" PRIu64 " was taken from nobody: to whom is it to be "
			    "given?"),
			  number);
		r = -EINVAL;
	}
	properties_done(&properties);
	return r;
}

int verb_give(int argc, char **argv)
{
	struct live live = {.json = false};
	uint64_t number = 0;
	struct link link;
	int n;
	int r;

	if (!live_options(argc, argv, options, &live))
		return EXIT_USAGE;
	n = verb_arguments(argc, argv, 1, 2);
	if (n < 0 || live_number(argv[optind], &number) < 0)
		return EXIT_USAGE;
	if (link_open(&live.to, false, &link) < 0)
		return CTL_FAILED;
	link.patience = LIVE_PATIENCE;
	r = n == 2 ? give(&link, number, argv[optind + 1]) : give_back(&link, number);
	link_done(&link);
	return r < 0 ? CTL_FAILED : EXIT_OK;
}
