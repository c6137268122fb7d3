/*
 * marcelctl reload: has marceld read its configuration again, and shows what is wrong with it. One
 * thread.
 */
#include "base/clock.h"
#include "base/error.h"
#include "marcelctl/live.h"
#include "marcelctl/say.h"

static const struct option options[] = {
	LIVE_OPTIONS,
	{NULL, 0, NULL, 0},
};

/* Responders may have much to read. */
#define PATIENCE (60 * USEC_PER_SEC)

int verb_reload(int argc, char **argv)
{
	struct live live = {.json = false};
	struct link link;
	int r;

	if (!live_options(argc, argv, options, &live) || verb_arguments(argc, argv, 0, 0) < 0)
		return EXIT_USAGE;
	if (link_open(&live.to, false, &link) < 0)
		return CTL_FAILED;
	link.patience = PATIENCE;
	r = link_call(&link, "Reload", NULL, NULL);
	link_done(&link);
	return r < 0 ? CTL_FAILED : EXIT_OK;
}
