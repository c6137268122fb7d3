/*
 * marcelctl metrics: marceld's figures in the text format of Prometheus, on standard output or in a
 * file for the textfile collector of its node exporter, which must never see half of it: it is
 * written beside and renamed. One thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "marcelctl/live.h"
#include "marcelctl/say.h"

enum {
	OPTION_TEXTFILE = LIVE_OWN
};

static const struct option options[] = {
	LIVE_OPTIONS,
	{"textfile", required_argument, NULL, OPTION_TEXTFILE},
	{NULL, 0, NULL, 0},
};

/* Makes TEXT the content of the new file FD. */
static int fill(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		const ssize_t n = write(fd, text, left);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			left -= (size_t)n;
		}
	}
	/* The collector is another user. */
	return fchmod(fd, 0644) < 0 ? -errno : 0;
}

/* Puts TEXT into FILE, whole or not at all. Returns 0 or a negative errno. */
static int write_whole(const char *file, const char *text)
{
	const char *slash = strrchr(file, '/');
	const char *name = slash != NULL ? slash + 1 : file;
	auto_free char *beside = NULL;
	auto_close int fd = -1;
	int r;

	/* Its name does not end in .prom. */
	if (asprintf(&beside, "%.*s.%s.XXXXXX", (int)(name - file), file, name) < 0) {
		beside = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fill(fd, text);
	if (r >= 0 && rename(beside, file) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(beside);
	return r;
}

static int get_metrics(const struct live *live, sd_bus_message **ret_reply, const char **ret_text)
{
	sd_bus_message *reply = NULL;
	struct link link;
	int r;

	r = link_open(&live->to, false, &link);
	if (r < 0)
		return r;
	r = link_call(&link, "GetMetrics", &reply, NULL);
	if (r >= 0) {
		r = sd_bus_message_read(reply, "s", ret_text);
		if (r < 0) {
			sd_bus_message_unref(reply);
			(void)link_tell_errno(&link, r);
		}
	}
	link_done(&link);
	if (r >= 0)
		*ret_reply = reply;
	return r < 0 ? r : 0;
}

int verb_metrics(int argc, char **argv)
{
	struct live live = {.json = false};
	sd_bus_message *reply = NULL;
	const char *text = NULL;
	const char *file = NULL;
	int r;
	int c;

	while ((c = verb_option(argc, argv, ":", options)) != -1) {
		if (c == OPTION_TEXTFILE)
			file = optarg;
		else if (!live_option(&live, c))
			return EXIT_USAGE;
	}
	if (verb_arguments(argc, argv, 0, 0) < 0)
		return EXIT_USAGE;
	if (get_metrics(&live, &reply, &text) < 0)
		return CTL_FAILED;
	if (file == NULL) {
		(void)fputs(text, stdout);
		sd_bus_message_unref(reply);
		return say_finish(EXIT_OK);
	}
	r = write_whole(file, text);
	sd_bus_message_unref(reply);
	if (r < 0)
		say_error("%s: %s", file, say_errno(-r));
	return r < 0 ? CTL_FAILED : EXIT_OK;
}
