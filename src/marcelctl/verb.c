/* Reading the options of a verb; see verb.h. */
#include "marcelctl/verb.h"

#include <stdbool.h>
#include <string.h>

#include "base/i18n.h"
#include "marcelctl/say.h"

static const struct option *option_of(int value, const struct option *options)
{
	for (; options->name != NULL; options++) {
		if (options->val == value)
			return options;
	}
	return NULL;
}

/* getopt_long() gave C, a fault; ARGUMENT is the one it looked at. */
static void tell_fault(int c, const char *argument, const struct option *options)
{
	const struct option *known = optopt != 0 ? option_of(optopt, options) : NULL;

	if (c == ':')
		say_error(_("'%s': this option wants a value"), argument);
	else if (optopt == 0)
		say_error(_("unknown option '%s'"), argument);
	else if (known != NULL && strncmp(argument, "--", 2) == 0)
		say_error(_("'%s': this option takes no value"), argument);
	else
		say_error(_("unknown option '-%c'"), optopt);
}

int verb_option(int argc, char **argv, const char *short_options, const struct option *options)
{
	const int looked_at = optind > 0 ? optind : 1;
	int c;

	opterr = 0;
	/* Its state is global; this is the main thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	c = getopt_long(argc, argv, short_options, options, NULL);
	if (c != '?' && c != ':')
		return c;
	tell_fault(c, argv[optind > looked_at ? optind - 1 : looked_at], options);
	return '?';
}

int verb_arguments(int argc, char **argv, int least, int most)
{
	const int count = argc - optind;

	if (count < least) {
		say_error(_("'%s' wants more arguments"), argv[0]);
		return -1;
	}
	if (most >= 0 && count > most) {
		say_error(_("too many arguments: '%s'"), argv[optind + most]);
		return -1;
	}
	return count;
}
