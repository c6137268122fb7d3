/* The watch in small; see fake-watch.h. */
#include "fake-watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"

#define QUEUE_MAX  256
#define SHOWN_MAX  64
#define PATIENCE   (60 * USEC_PER_SEC)
#define WISHES_MAX 4096

struct queued {
	struct watch_event event;
	char text[WATCH_TEXT_MAX];
};

struct asked {
	struct wish wish;
	uint64_t number;
};

struct watch {
	struct lock lock;
	struct bell changed;
	int event;
	struct queued queue[QUEUE_MAX];
	unsigned head, tail;
	struct {
		uint64_t ticket;
		int result;
	} answers[WISHES_MAX];
	unsigned answers_head, answers_tail;
	struct asked asked[WISHES_MAX];
	unsigned asked_head, asked_tail;
	struct watch_view shown[SHOWN_MAX];
	unsigned n_shown;
	struct queued past[8];
	unsigned n_past;
	struct watch_draft draft;
	char draft_text[WATCH_TEXT_MAX];
	struct watch_sums sums;
	uint64_t dropped;
	bool listening;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

struct watch *fake_watch_new(void)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	require(watch != NULL);
	lock_init(&watch->lock, "fake watch");
	bell_init(&watch->changed);
	watch->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	require(watch->event >= 0);
	return watch;
}

void fake_watch_free(struct watch *watch)
{
	while (watch->asked_head < watch->asked_tail)
		free(watch->asked[watch->asked_head++].wish.line);
	close_fd(&watch->event);
	bell_done(&watch->changed);
	lock_done(&watch->lock);
	free(watch);
}

static struct watch_view *find(struct watch *watch, uint64_t number)
{
	for (unsigned i = 0; i < watch->n_shown; i++)
		if (watch->shown[i].number == number)
			return &watch->shown[i];
	return NULL;
}

void fake_show(struct watch *watch, const struct watch_view *view)
{
	struct watch_view *place;

	lock_take(&watch->lock);
	place = find(watch, view->number);
	if (place == NULL) {
		require(watch->n_shown < SHOWN_MAX);
		place = &watch->shown[watch->n_shown++];
	}
	*place = *view;
	lock_drop(&watch->lock);
}

void fake_hide(struct watch *watch, uint64_t number)
{
	struct watch_view *place;

	lock_take(&watch->lock);
	place = find(watch, number);
	require(place != NULL);
	*place = watch->shown[--watch->n_shown];
	lock_drop(&watch->lock);
}

void fake_draft(struct watch *watch, const struct watch_draft *draft)
{
	require(draft->length <= sizeof(watch->draft_text));
	lock_take(&watch->lock);
	watch->draft = *draft;
	(void)memcpy(watch->draft_text, draft->text, draft->length);
	lock_drop(&watch->lock);
}

void fake_sums(struct watch *watch, const struct watch_sums *sums)
{
	lock_take(&watch->lock);
	watch->sums = *sums;
	lock_drop(&watch->lock);
}

void fake_past(struct watch *watch, const struct watch_event *said, const char *text)
{
	struct queued *line;

	lock_take(&watch->lock);
	require(watch->n_past < 8);
	line = &watch->past[watch->n_past++];
	line->event = *said;
	(void)memcpy(line->text, text, said->length);
	lock_drop(&watch->lock);
}

static void ring(struct watch *watch)
{
	require(eventfd_write(watch->event, 1) == 0);
}

/* Waits, with the lock, for something to change. */
static void wait_change(struct watch *watch) REQUIRES_LOCK(watch->lock)
{
	require(bell_wait(&watch->changed, &watch->lock, clock_deadline(clock_now(), PATIENCE)));
}

void fake_event(struct watch *watch, const struct watch_event *event, const char *text,
		size_t length)
{
	lock_take(&watch->lock);
	while (watch->listening && watch->tail - watch->head == QUEUE_MAX)
		wait_change(watch);
	if (watch->listening) {
		struct queued *place = &watch->queue[watch->tail++ % QUEUE_MAX];

		place->event = *event;
		place->event.whole = length;
		place->event.length = length < WATCH_TEXT_MAX ? length : WATCH_TEXT_MAX;
		(void)memcpy(place->text, text, place->event.length);
		ring(watch);
	}
	lock_drop(&watch->lock);
}

void fake_drop(struct watch *watch, uint64_t count)
{
	lock_take(&watch->lock);
	watch->dropped += count;
	lock_drop(&watch->lock);
}

void fake_settle(struct watch *watch)
{
	lock_take(&watch->lock);
	while (watch->tail != watch->head)
		wait_change(watch);
	lock_drop(&watch->lock);
}

void fake_wait_listening(struct watch *watch, bool listening)
{
	lock_take(&watch->lock);
	while (watch->listening != listening)
		wait_change(watch);
	lock_drop(&watch->lock);
}

void fake_wait_wish(struct watch *watch, struct wish *ret_wish, uint64_t *ret_number)
{
	lock_take(&watch->lock);
	while (watch->asked_head == watch->asked_tail)
		wait_change(watch);
	*ret_wish = watch->asked[watch->asked_head].wish;
	*ret_number = watch->asked[watch->asked_head].number;
	watch->asked_head++;
	lock_drop(&watch->lock);
}

unsigned fake_wishes(struct watch *watch)
{
	unsigned n;

	lock_take(&watch->lock);
	n = watch->asked_tail;
	lock_drop(&watch->lock);
	return n;
}

void fake_answer(struct watch *watch, uint64_t ticket, int result)
{
	lock_take(&watch->lock);
	require(watch->answers_tail < WISHES_MAX);
	watch->answers[watch->answers_tail].ticket = ticket;
	watch->answers[watch->answers_tail++].result = result;
	ring(watch);
	lock_drop(&watch->lock);
}

/*
 * What the control calls.
 */

int watch_fd(const struct watch *watch)
{
	return watch->event;
}

void watch_listen(struct watch *watch, bool listen)
{
	lock_take(&watch->lock);
	watch->listening = listen;
	bell_ring_all(&watch->changed);
	lock_drop(&watch->lock);
}

/* Nothing is ever resumed here. */
void watch_await_restored(struct watch *watch, usec_t deadline)
{
	(void)watch;
	(void)deadline;
}

void watch_hurry(struct watch *watch)
{
	(void)watch;
}

/* With the lock: the next event, if there is one. */
static int next(struct watch *watch, struct watch_event *ret_event, char *text,
		uint64_t *ret_dropped)
{
	const struct queued *place;
	eventfd_t count;

	*ret_dropped = 0;
	if (watch->answers_head < watch->answers_tail) {
		*ret_event = (struct watch_event){
			.kind = WATCH_DONE,
			.ticket = watch->answers[watch->answers_head].ticket,
			.result = watch->answers[watch->answers_head].result,
		};
		watch->answers_head++;
		return 1;
	}
	if (watch->tail == watch->head) {
		(void)eventfd_read(watch->event, &count);
		return 0;
	}
	place = &watch->queue[watch->head++ % QUEUE_MAX];
	*ret_event = place->event;
	(void)memcpy(text, place->text, place->event.length);
	*ret_dropped = watch->dropped;
	watch->dropped = 0;
	bell_ring_all(&watch->changed);
	return 1;
}

int watch_next(struct watch *watch, struct watch_event *ret_event, char text[WATCH_TEXT_MAX],
	       uint64_t *ret_dropped)
{
	int r;

	lock_take(&watch->lock);
	r = next(watch, ret_event, text, ret_dropped);
	lock_drop(&watch->lock);
	return r;
}

int watch_look(struct watch *watch, uint64_t number, struct watch_view *ret_view)
{
	const struct watch_view *found;

	lock_take(&watch->lock);
	found = find(watch, number);
	if (found != NULL)
		*ret_view = *found;
	lock_drop(&watch->lock);
	return found != NULL ? 0 : -ENOENT;
}

int watch_look_draft(struct watch *watch, uint64_t number, struct watch_draft *ret_draft,
		     char text[WATCH_TEXT_MAX])
{
	bool there;

	lock_take(&watch->lock);
	there = find(watch, number) != NULL;
	*ret_draft = watch->draft;
	(void)memcpy(text, watch->draft_text, sizeof(watch->draft_text));
	ret_draft->text = text;
	lock_drop(&watch->lock);
	return there ? 0 : -ENOENT;
}

void watch_each(struct watch *watch, watch_each_fn *function, void *context)
{
	lock_take(&watch->lock);
	for (unsigned i = 0; i < watch->n_shown && function(context, &watch->shown[i]); i++)
		continue;
	lock_drop(&watch->lock);
}

void watch_sum(struct watch *watch, struct watch_sums *ret_sums)
{
	lock_take(&watch->lock);
	*ret_sums = watch->sums;
	lock_drop(&watch->lock);
}

int watch_past(struct watch *watch, uint64_t number, marcel_line_fn *function, void *context)
{
	bool there;

	lock_take(&watch->lock);
	there = find(watch, number) != NULL;
	for (unsigned i = 0; there && i < watch->n_past; i++)
		function(context, &(struct marcel_line){
					  .time = watch->past[i].event.time,
					  .turn = watch->past[i].event.turn,
					  .who = watch->past[i].event.who,
					  .text = watch->past[i].text,
					  .length = watch->past[i].event.withheld
							    ? MARCEL_WITHHELD
							    : watch->past[i].event.length,
					  .whole = watch->past[i].event.whole,
				  });
	lock_drop(&watch->lock);
	return there ? 0 : -ENOENT;
}

int watch_wish(struct watch *watch, uint64_t number, const struct wish *wish)
{
	bool there;

	lock_take(&watch->lock);
	there = find(watch, number) != NULL;
	if (there) {
		struct asked *asked = &watch->asked[watch->asked_tail++];

		require(watch->asked_tail <= WISHES_MAX);
		asked->number = number;
		asked->wish = *wish;
		asked->wish.line = NULL;
		if (wish->kind == WISH_SAY) {
			asked->wish.line = calloc(1, wish->length + 1);
			require(asked->wish.line != NULL);
			(void)memcpy(asked->wish.line, wish->line, wish->length);
		}
		bell_ring_all(&watch->changed);
	}
	lock_drop(&watch->lock);
	return there ? 0 : -ENOENT;
}
