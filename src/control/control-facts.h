/*
 * A copy of what the daemon tells of itself (struct control_facts), and the metrics made of it.
 * Owned and used by one thread at a time.
 */
#pragma once

#include "control/control.h"

struct facts {
	char *version;
	char *configuration;
	char *operator_directory;
	char **listeners;      /* ended by NULL */
	char **listener_names; /* the same */
	char **responders;     /* the same */
	usec_t started;
};

/* Copies FROM, whose texts may be NULL, into *RET_FACTS: facts_done(). Returns 0 or -ENOMEM. */
int facts_copy(const struct control_facts *from, struct facts *ret_facts);

/* Frees what FACTS holds; it is empty afterwards. */
void facts_done(struct facts *facts);

/*
 * Makes the figures of SUMS and FACTS into the text that Prometheus reads (exposition format
 * 0.0.4), which the caller must free. Returns 0 or -ENOMEM.
 */
int metrics_format(const struct facts *facts, const struct watch_sums *sums, char **ret_text);
