/* Reading the command line; see options.h. */
#include "daemon/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/i18n.h"

enum long_option {
	OPTION_CHECK_CONFIG = 256,
	OPTION_CONTROL,
	OPTION_LOG,
	OPTION_VERSION,
};

/* The exit status once standard output has all that was printed; or could not take it. */
static int printed(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_OK;
	perror("marceld");
	return EXIT_OSERR;
}

static int usage(FILE *stream)
{
	(void)fprintf(
		stream,
		_("Usage: %s [OPTION]...\n"
		  "Hold conversations: greet whoever connects and answer each message.\n"
		  "\n"
		  "  -c, --config=FILE        read FILE instead of %s\n"
		  "  -l, --listen=ADDRESS     listen on ADDRESS: PORT, ADDRESS:PORT, [ADDRESS6]:PORT,\n"
		  "                           /PATH, @NAME or vsock:CID:PORT; may be given several times\n"
		  "  -r, --responder=NAME     answer with the responder NAME\n"
		  "  -s, --script=FILE        answer by the script FILE (see marcel-script(5))\n"
		  "      --control=PATH       where marcelctl reaches the daemon; none for nowhere\n"
		  "      --log=OUTPUT         record to the journal, as text or as json (on standard\n"
		  "                           error); auto by default\n"
		  "      --check-config       print the effective configuration and exit\n"
		  "      --version            print the version and exit\n"
		  "  -h, --help               print this text and exit\n"),
		"marceld", CONFIG_FILE_DEFAULT);
	return stream == stdout ? printed() : EXIT_USAGE;
}

static int misused(const char *text, const char *value)
{
	(void)fprintf(stderr, "marceld: ");
	/* TEXT is one of the translated formats below, each with one %s. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)fprintf(stderr, text, value);
#pragma GCC diagnostic pop
	(void)fprintf(stderr, "\n%s\n", _("Try 'marceld --help'."));
	return EXIT_USAGE;
}

static int parse_log(const char *name, enum record_output *ret_output)
{
	static const char *const names[] = {
		[RECORD_OUTPUT_AUTO] = "auto",
		[RECORD_OUTPUT_JOURNAL] = "journal",
		[RECORD_OUTPUT_TEXT] = "text",
		[RECORD_OUTPUT_JSON] = "json",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret_output = (enum record_output)i;
			return -1;
		}
	}
	return misused(_("--log can be auto, journal, text or json, not '%s'"), name);
}

static int take_option(struct options *options, int option)
{
	switch (option) {
	case 'c':
		options->file = optarg;
		return -1;
	case 'l':
		options->listen[options->n_listen++] = optarg;
		return -1;
	case 'r':
		options->overrides.responder = optarg;
		return -1;
	case 's':
		options->overrides.script = optarg;
		return -1;
	case OPTION_CHECK_CONFIG:
		options->check_config = true;
		return -1;
	case OPTION_CONTROL:
		options->overrides.control = optarg;
		return -1;
	case OPTION_LOG:
		return parse_log(optarg, &options->log);
	case OPTION_VERSION:
		(void)printf("marceld %s\n", MARCEL_VERSION);
		return printed();
	case 'h':
		return usage(stdout);
	default:
		/* getopt_long(3) has said what is wrong. */
		(void)fprintf(stderr, "%s\n", _("Try 'marceld --help'."));
		return EXIT_USAGE;
	}
}

int options_parse(int argc, char *argv[], struct options *options)
{
	static const struct option long_options[] = {
		{"config", required_argument, NULL, 'c'},
		{"listen", required_argument, NULL, 'l'},
		{"responder", required_argument, NULL, 'r'},
		{"script", required_argument, NULL, 's'},
		{"control", required_argument, NULL, OPTION_CONTROL},
		{"log", required_argument, NULL, OPTION_LOG},
		{"check-config", no_argument, NULL, OPTION_CHECK_CONFIG},
		{"version", no_argument, NULL, OPTION_VERSION},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;

	*options = (struct options){.log = RECORD_OUTPUT_AUTO};
	options->listen = calloc((size_t)argc, sizeof(*options->listen));
	if (options->listen == NULL)
		return EXIT_OSERR;
	/* The one thread there is. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while ((option = getopt_long(argc, argv, "c:l:r:s:h", long_options, NULL)) != -1) {
		int status = take_option(options, option);

		if (status >= 0)
			return status;
	}
	if (optind < argc)
		return misused(_("unexpected argument '%s'"), argv[optind]);
	return -1;
}
