/*
 * What the verbs that need a running marceld have in common: the options --control and --bus, the
 * numbers of conversations, and the call about each of some conversations. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "marcelctl/link.h"
#include "marcelctl/verb.h"

/* Exit status: no marceld runs there (as systemctl's). */
#define CTL_NOT_RUNNING 3

/* How long a conversation may take to do what it is asked for; after that, its client is taken for
 * one that does not read. In microseconds. */
#define LIVE_PATIENCE (5 * USEC_PER_SEC)

enum {
	LIVE_CONTROL = VERB_OPTIONS,
	LIVE_BUS,
	LIVE_JSON,
	LIVE_OWN, /* a verb's own options begin here */
};

/* For a verb's table of options; the second part is of those that programs may read. */
#define LIVE_OPTIONS                                        \
	{"control", required_argument, NULL, LIVE_CONTROL}, \
	{                                                   \
		"bus", no_argument, NULL, LIVE_BUS          \
	}
#define LIVE_OPTION_JSON                             \
	{                                            \
		"json", no_argument, NULL, LIVE_JSON \
	}

struct live {
	struct link_options to;
	bool json;
};

/* Takes the option C of verb_option(); false if it is none of these. */
bool live_option(struct live *live, int c);

/* Takes all options of a verb that has no others, from OPTIONS. Returns false after telling. */
bool live_options(int argc, char **argv, const struct option *options, struct live *live);

/* The number of a conversation. Returns 0, or -EINVAL after telling. */
int live_number(const char *text, uint64_t *ret_number);

/*
 * A verb without options of its own: calls METHOD about each conversation that an argument names,
 * the others, too, when it fails for one. Returns the exit status.
 */
int live_call_each(int argc, char **argv, const char *method);
