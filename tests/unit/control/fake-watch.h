/*
 * A watch in small, for tests of the control: conversations that are only views, events that the
 * test makes, wishes that the test answers. It stands in for converse/watch.c, whose functions that
 * the control calls it defines.
 *
 * Any thread. Failures end the test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "converse/watch.h"

struct watch *fake_watch_new(void);
void fake_watch_free(struct watch *watch);

/* Shows VIEW, in the place of an earlier one of that number / shows it no more. */
void fake_show(struct watch *watch, const struct watch_view *view);
void fake_hide(struct watch *watch, uint64_t number);

/* What watch_look_draft() gives for all that are shown: its text is copied. */
void fake_draft(struct watch *watch, const struct watch_draft *draft);

/* What watch_sum() gives. */
void fake_sums(struct watch *watch, const struct watch_sums *sums);

/* What watch_past() gives for the conversation that is shown: one line more. */
void fake_past(struct watch *watch, const struct watch_event *said, const char *text);

/*
 * Queues EVENT with LENGTH bytes of TEXT, if somebody listens; waits while the queue is full. /
 * The next event comes with so many dropped before it. / Waits until the queue is empty.
 */
void fake_event(struct watch *watch, const struct watch_event *event, const char *text,
		size_t length);
void fake_drop(struct watch *watch, uint64_t count);
void fake_settle(struct watch *watch);

/* Waits until somebody listens, or nobody does. */
void fake_wait_listening(struct watch *watch, bool listening);

/* Waits for a wish; its line is NUL-terminated and owned by the caller. */
void fake_wait_wish(struct watch *watch, struct wish *ret_wish, uint64_t *ret_number);

/* How many wishes there were so far. */
unsigned fake_wishes(struct watch *watch);

/* Answers a wish. */
void fake_answer(struct watch *watch, uint64_t ticket, int result);
