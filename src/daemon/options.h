/*
 * The command line of marceld. Main thread, before anything else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "daemon/config.h"
#include "record/record.h"

struct options {
	const char *file;    /* -c; NULL: the default one */
	const char **listen; /* -l, in order; owned, the texts are argv's */
	size_t n_listen;
	struct config_overrides overrides;
	enum record_output log;
	bool check_config;
};

/*
 * Reads ARGV, whose strings OPTIONS then refers to. Returns -1 to go on; otherwise the program ends
 * with that exit status: --help and --version have been answered on standard output, a fault was
 * told on standard error. The caller frees options->listen in any case.
 */
int options_parse(int argc, char *argv[], struct options *options);
