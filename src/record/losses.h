/*
 * The one record that tells how many were dropped. Pure; any thread.
 */
#pragma once

#include "record/entry.h"
#include "record/ring.h"

/* Three classes, two kinds, damage. */
#define LOSSES_FIELDS_MAX 6

/* A record and the memory that it points to: don't copy it. */
struct losses_record {
	struct entry entry;
	struct entry_field fields[LOSSES_FIELDS_MAX];
	char numbers[LOSSES_FIELDS_MAX][24];
	char text[192];
};

/* Makes *RET_RECORD the RECORD_DROPPED that tells LOSSES; its time is now. */
void losses_describe(const struct ring_losses *losses, struct losses_record *ret_record);
