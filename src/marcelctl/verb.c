/* Reading the options of a verb; see verb.h. */
#include "marcelctl/verb.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/i18n.h"
#include "base/text.h"
#include "marcelctl/say.h"

/* No verb has so many. */
#define OPTIONS_MAX 16

static bool help_wanted;

bool verb_help_wanted(void)
{
	return help_wanted;
}

static const struct option *option_of(int value, const struct option *options)
{
	for (; options->name != NULL; options++) {
		if (options->val == value)
			return options;
	}
	return NULL;
}

void verb_unknown_option(const char *argument, const struct option *options)
{
	const char *names[OPTIONS_MAX] = {"help"};
	const char *meant = NULL;
	char *name;
	size_t n = 1;

	for (; options->name != NULL && n < OPTIONS_MAX; options++)
		names[n++] = options->name;
	if (strncmp(argument, "--", 2) == 0) {
		name = strndup(argument + 2, strcspn(argument + 2, "="));
		if (name != NULL)
			meant = text_nearest(name, names, n);
		free(name);
	}
	if (meant != NULL)
		say_error(_("unknown option '%s' (did you mean '--%s'?)"), argument, meant);
	else
		say_error(_("unknown option '%s'"), argument);
}

/* getopt_long() gave C, a fault; ARGUMENT is the one it looked at. */
static void tell_fault(int c, const char *argument, const struct option *options)
{
	const struct option *known = optopt != 0 ? option_of(optopt, options) : NULL;

	if (c == ':')
		say_error(_("'%s': this option wants a value"), argument);
	else if (optopt == 0)
		verb_unknown_option(argument, options);
	else if (known != NULL && strncmp(argument, "--", 2) == 0)
		say_error(_("'%s': this option takes no value"), argument);
	else
		say_error(_("unknown option '-%c'"), optopt);
}

int verb_option(int argc, char **argv, const char *short_options, const struct option *options)
{
	const int looked_at = optind > 0 ? optind : 1;
	const char *argument;
	int c;

	opterr = 0;
	/* Its state is global; this is the main thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	c = getopt_long(argc, argv, short_options, options, NULL);
	if (c != '?' && c != ':')
		return c;
	argument = argv[optind > looked_at ? optind - 1 : looked_at];
	help_wanted = strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
	if (!help_wanted)
		tell_fault(c, argument, options);
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
