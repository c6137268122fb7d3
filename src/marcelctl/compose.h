/*
 * Composing: a script and a transcript out of an exchange, so that the script gives each message
 * the answers that it got, in the order in which it got them, and `marcelctl script test` of the
 * two agrees.
 *
 * Messages are rules with literal patterns; one that got different answers at different times has
 * a cycle of them. Data (cut.h) is collected and not compared. How long an answer took is not
 * kept, but silences in the middle of what the server says are. One thread; pure but for memory.
 */
#pragma once

#include <stddef.h>

#include "marcelctl/cut.h"
#include "marcelctl/exchange.h"

struct compose_setup {
	const char *origin; /* where the exchange comes from, for a comment: one line */
	/* How messages end; NULL: as the exchange shows. With CUT_LF the script says nothing of
	 * it, for the daemon's own framing is right. */
	const enum cut_framing *framing;
};

/* What was composed; both texts are ended by NUL. */
struct composed {
	char *script;
	size_t script_length;
	char *transcript;
	size_t transcript_length;
};

/* Returns 0 with *RET_COMPOSED, which composed_done() frees, or -ENOMEM. */
int compose(const struct exchange *exchange, const struct compose_setup *setup,
	    struct composed *ret_composed);
void composed_done(struct composed *composed);

/*
 * Writes the two to BASE.script and BASE.transcript, checks that they agree, and tells the user on
 * standard output what there is now. Returns the exit status.
 */
int compose_save(const struct composed *composed, const char *base);
