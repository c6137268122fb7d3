/* What the verbs that need a running marceld have in common; see live.h. */
#include "marcelctl/live.h"

#include <errno.h>

#include "base/error.h"
#include "base/i18n.h"
#include "base/text.h"
#include "marcelctl/say.h"

bool live_option(struct live *live, int c)
{
	switch (c) {
	case LIVE_CONTROL:
		if (optarg[0] == '\0') {
			say_error(_("--control wants the path of a socket"));
			return false;
		}
		live->to.control = optarg;
		return true;
	case LIVE_BUS:
		live->to.bus = true;
		return true;
	case LIVE_JSON:
		live->json = true;
		return true;
	default:
		return false;
	}
}

bool live_options(int argc, char **argv, const struct option *options, struct live *live)
{
	int c;

	while ((c = verb_option(argc, argv, ":", options)) != -1) {
		if (!live_option(live, c))
			return false;
	}
	return true;
}

int live_number(const char *text, uint64_t *ret_number)
{
	if (text_parse_unsigned(text, UINT64_MAX, ret_number) == 0 && *ret_number > 0)
		return 0;
	say_error(_("'%s': a conversation is named by its number, as in 'marcelctl list'"), text);
	return -EINVAL;
}

static int call_each(struct link *link, const char *method, char **ids, int n)
{
	int status = EXIT_OK;

	for (int i = 0; i < n; i++) {
		uint64_t number = 0;
		int r;

		(void)text_parse_unsigned(ids[i], UINT64_MAX, &number);
		r = link_call(link, method, NULL, "t", number);
		if (r < 0)
			status = CTL_FAILED;
		if (r == -ECONNRESET)
			break;
	}
	return status;
}

int live_call_each(int argc, char **argv, const char *method)
{
	static const struct option options[] = {
		LIVE_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	struct live live = {.json = false};
	struct link link;
	uint64_t number;
	int status;

	if (!live_options(argc, argv, options, &live) || verb_arguments(argc, argv, 1, -1) < 0)
		return EXIT_USAGE;
	for (int i = optind; i < argc; i++) {
		if (live_number(argv[i], &number) < 0)
			return EXIT_USAGE;
	}
	if (link_open(&live.to, false, &link) < 0)
		return CTL_FAILED;
	link.patience = LIVE_PATIENCE;
	status = call_each(&link, method, argv + optind, argc - optind);
	link_done(&link);
	return status;
}
