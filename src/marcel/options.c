/* marcel's command line; see options.h. */
#include "marcel/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "base/i18n.h"
#include "base/text.h"

/* Long options without a letter begin above all letters. */
enum {
	OPTION_LINE = 256,
	OPTION_CRLF,
	OPTION_RAW,
	OPTION_VERSION
};

static const struct option long_options[] = {
	{"line", no_argument, NULL, OPTION_LINE},       {"crlf", no_argument, NULL, OPTION_CRLF},
	{"raw", no_argument, NULL, OPTION_RAW},         {"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPTION_VERSION}, {NULL, 0, NULL, 0},
};

/* getopt_long() gave '?'; ARGUMENT is the one it looked at. */
static void report_option(const char *argument, struct report *report)
{
	if (optopt == 0)
		report_add(report, _("unknown option '%s'"), argument);
	else if (optopt < OPTION_LINE)
		report_add(report, _("unknown option '-%c'"), optopt);
	else
		report_add(report, _("'%s': this option takes no value"), argument);
}

static int parse_options(int argc, char **argv, struct options *options, struct report *report)
{
	opterr = 0;
	for (;;) {
		const int looked_at = optind;
		/* Its state is global; the caller is the main thread. NOLINTNEXTLINE */
		const int c = getopt_long(argc, argv, "46h", long_options, NULL);

		switch (c) {
		case -1:
			return 0;
		case '4':
			options->family = AF_INET;
			break;
		case '6':
			options->family = AF_INET6;
			break;
		case OPTION_LINE:
			options->dialect = DIALECT_LINE;
			break;
		case OPTION_CRLF:
			options->dialect = DIALECT_CRLF;
			break;
		case OPTION_RAW:
			options->dialect = DIALECT_RAW;
			break;
		case 'h':
			options->help = true;
			break;
		case OPTION_VERSION:
			options->version = true;
			break;
		default:
			report_option(argv[optind > looked_at ? optind - 1 : optind], report);
			return -EINVAL;
		}
	}
}

static bool is_number(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* Whether TEXT has a form that only address_parse() knows. */
static bool is_address(const char *text)
{
	return text[0] == '/' || text[0] == '@' || text[0] == '[' ||
	       strncmp(text, "vsock:", strlen("vsock:")) == 0;
}

static int check_port(const char *port, struct report *report)
{
	uint64_t number = 0;

	/* getaddrinfo() would take 65536 for 0. */
	if (port[0] != '\0' && !is_number(port))
		return 0;
	if (text_parse_unsigned(port, UINT16_MAX, &number) == 0 && number > 0)
		return 0;
	report_add(report, _("'%s': a port is a number from 1 to 65535 or the name of a service"),
		   port);
	return -EINVAL;
}

/* The only argument: a host, HOST:PORT, or an address of another form. */
static int parse_target(char *text, struct options *options, struct report *report)
{
	char *colon = strchr(text, ':');
	char why[512];
	int r;

	if (is_address(text)) {
		options->by_address = true;
		r = address_parse(text, &options->address);
		if (r == 0)
			return 0;
		report_add(report, "%s", address_explain(r, text, why, sizeof(why)));
		return -EINVAL;
	}
	if (is_number(text)) {
		report_add(report, _("'%s' is a port; write: marcel %s %s"), text, OPTIONS_HOST,
			   text);
		return -EINVAL;
	}
	options->host = text;
	/* One colon parts a port from its host, more of them are an IPv6 address. */
	if (colon != NULL && strchr(colon + 1, ':') == NULL) {
		*colon = '\0';
		options->port = colon + 1;
		return check_port(options->port, report);
	}
	return 0;
}

static int parse_host_and_port(char **arguments, struct options *options, struct report *report)
{
	if (is_address(arguments[0])) {
		report_add(report, _("no port goes with the address '%s'"), arguments[0]);
		return -EINVAL;
	}
	options->host = arguments[0];
	options->port = arguments[1];
	return check_port(options->port, report);
}

int options_parse(int argc, char **argv, struct options *ret_options, struct report *report)
{
	struct options options = {.family = AF_UNSPEC, .host = OPTIONS_HOST, .port = OPTIONS_PORT};
	int arguments;
	int r;

	r = parse_options(argc, argv, &options, report);
	if (r < 0)
		return r;
	arguments = argc - optind;
	if (arguments > 2) {
		report_add(report, _("too many arguments: '%s'"), argv[optind + 2]);
		return -EINVAL;
	}
	if (arguments == 2)
		r = parse_host_and_port(argv + optind, &options, report);
	else if (arguments == 1)
		r = parse_target(argv[optind], &options, report);
	if (r < 0)
		return r;
	if (options.host[0] == '\0') {
		report_add(report, _("the host is an empty word"));
		return -EINVAL;
	}
	*ret_options = options;
	return 0;
}
