/*
 * marcel: a client for conversations, on a terminal or as a filter.
 *
 * The way through: options.c reads the command line, connect.c makes the connection, then
 * terminal.c or filter.c holds the dialogue over session.c, in the dialect that dialect.c tells.
 * One thread.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/i18n.h"
#include "base/startup.h"
#include "marcel/connect.h"
#include "marcel/filter.h"
#include "marcel/options.h"
#include "marcel/say.h"
#include "marcel/session.h"
#include "marcel/terminal.h"

static int converse(const struct options *options)
{
	const bool on_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	struct report report = REPORT_INIT;
	int fd;

	fd = connect_to(options, &report);
	if (fd < 0) {
		(void)fprintf(stderr, "%s\n", _("The connection could not be made."));
		say_report(&report);
		report_done(&report);
		return CLIENT_NOT_CONNECTED;
	}
	report_done(&report);
	if (on_terminal)
		return terminal_run(fd, options->dialect);
	return filter_run(fd, options->dialect);
}

/* What was printed must have arrived: a full disk is a failure. */
static int print(const char *text)
{
	if (fputs(text, stdout) == EOF || fflush(stdout) == EOF) {
		say_error(_("standard output: %s"), say_errno(errno));
		return CLIENT_BROKE;
	}
	return EXIT_OK;
}

static int print_help(void)
{
	return print(_(
		"Usage: marcel [OPTION]... [HOST [PORT]]\n"
		"Talks with a server; without arguments, with the one on localhost, port 50000.\n"
		"On a terminal what you type is sent line by line; otherwise each line of standard\n"
		"input is a message and the replies go to standard output.\n"
		"\n"
		"HOST may also be /PATH, @ABSTRACT or vsock:CID:PORT; no PORT follows then.\n"
		"\n"
		"How the server ends its messages is heard in its greeting. To say it instead:\n"
		"      --line     messages end with LF\n"
		"      --crlf     messages end with CR and LF\n"
		"      --raw      messages have no end, as in the first teaching server\n"
		"\n"
		"  -4, -6         use only IPv4, only IPv6\n"
		"  -h, --help     show this and end\n"
		"      --version  show the version and end\n"
		"\n"
		"Exit status: 0 after a proper end, 1 when the connection broke, 2 when it could not\n"
		"be made, 64 when the command line is wrong.\n"));
}

int main(int argc, char **argv)
{
	struct report report = REPORT_INIT;
	struct options options;

	startup_fill_descriptors();
	i18n_init();
	startup_speak_utf8();
	if (options_parse(argc, argv, &options, &report) < 0) {
		say_report(&report);
		report_done(&report);
		(void)fprintf(stderr, "%s\n", _("Try 'marcel --help' for more information."));
		return EXIT_USAGE;
	}
	if (options.help)
		return print_help();
	if (options.version)
		return print("marcel " MARCEL_VERSION "\n");
	return converse(&options);
}
