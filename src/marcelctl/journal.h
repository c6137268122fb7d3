/*
 * A conversation out of the journal: the records of its transcript become an exchange, as far as
 * they hold all that was said. What they don't hold (texts that were cut short, left out or kept
 * secret, records that were dropped) is a fault, for a script could not answer as it was answered.
 *
 * One thread.
 */
#pragma once

#include <stdbool.h>

#include "base/report.h"
#include "marcelctl/exchange.h"

/* Which journal: that of the system, unless one of these says otherwise. */
struct journal_source {
	const char *directory; /* or NULL */
	const char *file;      /* or NULL */
};

struct journal_dialogue {
	struct exchange exchange;
	bool raw;   /* messages hold line ends of their own, so lines did not end them */
	bool ended; /* the journal has its end, too */
	char *peer; /* the client's address, or NULL */
};

/*
 * Reads the conversation ID: its number, or the 32 hexadecimal digits that no other conversation
 * anywhere has. Returns 0 with *RET_DIALOGUE, which journal_dialogue_done() frees; -EINVAL or
 * -ENOENT with the reasons in REPORT; -ENOMEM; or another negative errno of sd-journal(3).
 */
int journal_read(const struct journal_source *source, const char *id, struct report *report,
		 struct journal_dialogue *ret_dialogue);
void journal_dialogue_done(struct journal_dialogue *dialogue);
