/*
 * An answer, and whether it is the one expected: bytes that a script sent, beside the steps of a
 * transcript (transcript.h) that say what the server does. Pure but for memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "marcelctl/transcript.h"

/* What became of the connection after the answer. */
enum answer_end {
	ANSWER_OPEN,
	ANSWER_CLOSED,
	ANSWER_RESET,
};

/* A line, the rest that is none, or the connection's end. */
struct answer_part {
	enum transcript_kind kind; /* SERVER_LINE, SERVER_BYTES, SERVER_END or SERVER_RESET */
	const char *bytes;         /* without the line end */
	size_t length;
};

struct answer {
	struct answer_part *parts;
	size_t count;
};

/*
 * Whether LENGTH bytes at SAID and END are what N STEPS expect. LAST: nothing follows them, so that
 * the end may go without saying.
 */
bool answer_fits(const struct transcript_step *steps, size_t n, const char *said, size_t length,
		 enum answer_end end, bool last);

/*
 * Parts LENGTH bytes at SAID, which must stay, into lines. Returns 0 with *RET_ANSWER, which
 * answer_done() frees, or -ENOMEM.
 */
int answer_split(const char *said, size_t length, enum answer_end end, struct answer *ret_answer);
void answer_done(struct answer *answer);

/* What to do with the next step and the next part to get from one to the other. */
enum answer_edit {
	ANSWER_SAME,    /* both are the same */
	ANSWER_MISSING, /* the step was expected and did not come */
	ANSWER_EXTRA,   /* the part came and was not expected */
};

/*
 * Compares N STEPS with ANSWER. Returns 0 with the fewest edits, *RET_COUNT of them, in
 * *RET_EDITS, which the caller frees; or -ENOMEM.
 */
int answer_compare(const struct transcript_step *steps, size_t n, const struct answer *answer,
		   enum answer_edit **ret_edits, size_t *ret_count);
