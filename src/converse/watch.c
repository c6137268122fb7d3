/* Watching conversations and asking things of them; see watch.h. */
#include "converse/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "converse/conversation.h"
#include "converse/watch-priv.h"
#include "respond/past.h"

int watch_new(uint32_t capacity, struct watch **ret_watch)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return -ENOMEM;
	watch->capacity = capacity;
	watch->watched = calloc(capacity, sizeof(*watch->watched));
	watch->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lock_init(&watch->lock, "the watch");
	bell_init(&watch->restored);
	if (watch->watched == NULL || watch->event < 0) {
		int r = watch->watched == NULL ? -ENOMEM : -errno;

		watch_free(watch);
		return r;
	}
	*ret_watch = watch;
	return 0;
}

void watch_free_wishes(struct wish_node *node)
{
	while (node != NULL) {
		struct wish_node *next = node->next;

		free(node->wish.line);
		free(node);
		node = next;
	}
}

/* W, which is locked, has DRAFT from now on, which lies in TEXT, owned; NULL: none. */
static void put_draft(struct watched *w, const struct watch_draft *draft, char *text)
{
	free(w->draft_text);
	w->draft_text = text;
	w->draft = (struct watch_draft){.turn = 0};
	if (draft != NULL && text != NULL) {
		w->draft = *draft;
		w->draft.text = text;
	}
}

void watch_free(struct watch *watch)
{
	if (watch == NULL)
		return;
	for (uint32_t i = 0; watch->watched != NULL && i < watch->capacity; i++) {
		struct watched *w = &watch->watched[i];

		if (!atomic_load(&w->made))
			continue;
		watch_free_wishes(w->wishes);
		free(w->draft_text);
		lock_done(&w->lock);
	}
	watch_free_wishes(watch->answers);
	free(watch->watched);
	free(watch->queue.bytes);
	close_fd(&watch->event);
	bell_done(&watch->restored);
	lock_done(&watch->lock);
	free(watch);
}

int watch_fd(const struct watch *watch)
{
	return watch->event;
}

void watch_keep_past(struct watch *watch, bool keep)
{
	if (watch != NULL)
		atomic_store(&watch->keeps_past, keep);
}

/* Makes the eventfd readable. */
static void ring(struct watch *watch)
{
	const uint64_t one = 1;

	(void)!write(watch->event, &one, sizeof(one));
}

/* The watched part of conversation C. */
static struct watched *of(struct watch *watch, const struct conversation *c)
{
	return &watch->watched[c->index];
}

static bool keeps_past(const struct watch *watch)
{
	return atomic_load_explicit(&watch->keeps_past, memory_order_relaxed);
}

static void put_name(char name[WATCH_NAME_MAX], const char *text)
{
	(void)snprintf(name, WATCH_NAME_MAX, "%s", text != NULL ? text : "");
}

/* Queues what happened, if anybody listens. */
static void tell(struct watch *watch, const struct watch_event *event, const char *text)
{
	if (!atomic_load_explicit(&watch->listens, memory_order_relaxed))
		return;
	lock_take(&watch->lock);
	if (watch->queue.bytes == NULL || !queue_put(&watch->queue, event, text))
		watch->dropped++;
	else
		ring(watch);
	lock_drop(&watch->lock);
}

static void tell_name(struct watch *watch, const struct conversation *c, enum watch_kind kind,
		      const char *name)
{
	const struct watch_event event = {
		.kind = kind,
		.number = c->slot.head->number,
		.time = clock_realtime(),
		.length = strlen(name),
		.whole = strlen(name),
	};

	tell(watch, &event, name);
}

/* Whether C is to be seen as it is only once it is restored. Who waits at the turnstile is not
 * waited for: the one before may take long. */
static bool must_restore(const struct conversation *c)
{
	return c->resumed && c->turnstile == NULL;
}

void watch_begin(struct watch *watch, struct conversation *c)
{
	const struct slot_turn *turn = slot_turn(c->slot.head);
	struct watched *w;

	if (watch == NULL)
		return;
	w = of(watch, c);
	if (!atomic_load(&w->made)) {
		lock_init(&w->lock, "a watched conversation");
		atomic_store(&w->made, true);
	}
	lock_take(&w->lock);
	w->conversation = c;
	w->turns = turn->messages;
	w->waiting = 0;
	w->waiting_since = w->last = 0;
	(void)memset(w->came, 0, sizeof(w->came));
	w->closing = 0;
	w->wants_end = false;
	w->restoring = must_restore(c);
	put_name(w->responder, c->responder->name);
	put_name(w->suspended, c->below.responder != NULL ? c->below.responder->name : NULL);
	w->speaker[0] = '\0';
	put_draft(w, NULL, NULL);
	w->has_past = false;
	atomic_store(&w->number, c->slot.head->number);
	lock_drop(&w->lock);
	if (c->index >= atomic_load(&watch->top))
		atomic_store(&watch->top, c->index + 1);
	lock_take(&watch->lock);
	if (c->resumed)
		watch->sums.carried++;
	else
		watch->sums.begun++;
	watch->restoring += must_restore(c);
	lock_drop(&watch->lock);
	if (!c->resumed)
		tell_name(watch, c, WATCH_OPENED, "");
}

void watch_restored(struct watch *watch, struct conversation *c)
{
	struct watched *w;
	bool restoring;

	if (watch == NULL)
		return;
	w = of(watch, c);
	lock_take(&w->lock);
	restoring = w->restoring;
	w->restoring = false;
	lock_drop(&w->lock);
	if (!restoring)
		return;
	lock_take(&watch->lock);
	if (--watch->restoring == 0)
		bell_ring_all(&watch->restored);
	lock_drop(&watch->lock);
}

void watch_await_restored(struct watch *watch, usec_t deadline)
{
	lock_take(&watch->lock);
	while (watch->restoring > 0 && !watch->hurries &&
	       bell_wait(&watch->restored, &watch->lock, deadline))
		;
	lock_drop(&watch->lock);
}

void watch_hurry(struct watch *watch)
{
	lock_take(&watch->lock);
	watch->hurries = true;
	bell_ring_all(&watch->restored);
	lock_drop(&watch->lock);
}

void watch_put_answer(struct watch *watch, struct wish_node *node, int result)
{
	struct wish_node **end = &watch->answers;

	node->result = result;
	node->next = NULL;
	lock_take(&watch->lock);
	node->after = watch->queue.end;
	while (*end != NULL)
		end = &(*end)->next;
	*end = node;
	/* What was said, whoever carried it out has told. */
	if (result == 0 && node->wish.kind != WISH_SAY)
		watch->sums.orders++;
	ring(watch);
	lock_drop(&watch->lock);
}

/* Takes all wishes out of W, which is locked. */
static struct wish_node *take_wishes(struct watched *w)
{
	struct wish_node *wishes = w->wishes;

	w->wishes = NULL;
	w->n_wishes = 0;
	return wishes;
}

/* Answers NODE and all behind it: wishes to end with CLOSED, others with RESULT. */
static void answer_all(struct watch *watch, struct wish_node *node, int closed, int result)
{
	while (node != NULL) {
		struct wish_node *next = node->next;

		watch_put_answer(watch, node, node->wish.kind == WISH_CLOSE ? closed : result);
		node = next;
	}
}

void watch_end(struct watch *watch, struct conversation *c, enum end_reason reason)
{
	struct wish_node *wishes;
	struct watched *w;
	uint64_t turns;

	if (watch == NULL)
		return;
	/* Its thread may never have run. */
	watch_restored(watch, c);
	w = of(watch, c);
	lock_take(&w->lock);
	w->conversation = NULL;
	atomic_store(&w->number, 0);
	/* The next one may get this memory as it is. */
	if (reason != END_HANDOVER && w->has_past)
		past_init(c->slot.past);
	put_draft(w, NULL, NULL);
	wishes = take_wishes(w);
	turns = w->turns;
	lock_drop(&w->lock);
	if (reason == END_HANDOVER)
		answer_all(watch, wishes, -ECANCELED, -ECANCELED);
	else /* who wanted its end has it */
		answer_all(watch, wishes, 0, -ENOENT);
	lock_take(&watch->lock);
	watch->sums.messages += turns;
	watch->sums.bytes_in += atomic_load(&c->slot.head->in_read);
	watch->sums.bytes_out += atomic_load(&c->slot.head->out_sent);
	watch->sums.ended[reason]++;
	lock_drop(&watch->lock);
	if (reason != END_HANDOVER)
		tell_name(watch, c, WATCH_CLOSED, end_reason_name(reason));
}

/* Adds to the past of C the lines of its greeting, which lies in the output buffer as long as
 * nothing else was said. */
static void recall_greeting(struct conversation *c)
{
	const struct slot_turn *turn = slot_turn(c->slot.head);
	const char *at = slot_out(&c->slot, turn);
	const char *end = at + (turn->out_end - turn->out_base);

	while (turn->out_base == 0 && at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		const char *next = lf != NULL ? lf + 1 : end;
		size_t length = (size_t)((lf != NULL ? lf : end) - at);

		if (lf != NULL && length > 0 && at[length - 1] == '\r')
			length--;
		past_add(c->slot.past, &(struct marcel_line){
					       .time = c->slot.head->opened,
					       .who = MARCEL_SERVER,
					       .text = at,
					       .length = length,
				       });
		at = next;
	}
}

/* Makes the past of C usable, if that was not done; GREETED: nothing was put behind its greeting so
 * far. Its lock, that of W, is held. */
static void begin_past(struct conversation *c, struct watched *w, bool greeted)
{
	uint64_t turn = slot_turn(c->slot.head)->messages;

	if (w->has_past)
		return;
	w->has_past = true;
	if (c->resumed)
		past_trim(c->slot.past, c->slot.head->opened, turn);
	else
		past_init(c->slot.past);
	if (greeted && turn == 0 && past_is_empty(c->slot.past))
		recall_greeting(c);
}

void watch_recall(struct watch *watch, struct conversation *c)
{
	struct watched *w;

	if (watch == NULL || !keeps_past(watch) || slot_turn(c->slot.head)->phase == PHASE_GREETING)
		return;
	w = of(watch, c);
	/* Nobody but this thread changes it. */
	if (w->has_past)
		return;
	lock_take(&w->lock);
	begin_past(c, w, true);
	lock_drop(&w->lock);
}

const struct marcel_past *watch_own_past(const struct watch *watch, const struct conversation *c)
{
	/* Nobody but this thread changes has_past. */
	if (watch == NULL || !keeps_past(watch) || !watch->watched[c->index].has_past)
		return NULL;
	return c->slot.past;
}

void watch_said(struct watch *watch, struct conversation *c, char who, uint64_t turn,
		const char *text, size_t length)
{
	struct watch_event event;
	struct watched *w;

	if (watch == NULL)
		return;
	event = (struct watch_event){
		.kind = WATCH_SAID,
		.number = c->slot.head->number,
		.time = clock_realtime(),
		.turn = turn,
		.who = who,
		.withheld = length == MARCEL_WITHHELD,
	};
	w = of(watch, c);
	if (!event.withheld) {
		event.whole = length;
		event.length = length < WATCH_TEXT_MAX ? length : WATCH_TEXT_MAX;
	}
	lock_take(&w->lock);
	w->last = event.time;
	if (turn > w->turns) {
		w->turns = turn;
		w->came[turn % CAME_MAX] = event.time;
	}
	/* Who only listens to the greeting costs no memory. */
	if (keeps_past(watch) && slot_turn(c->slot.head)->phase != PHASE_GREETING) {
		begin_past(c, w, false);
		past_add(c->slot.past, &(struct marcel_line){
					       .time = event.time,
					       .turn = turn,
					       .who = who,
					       .text = text,
					       .length = length,
				       });
	}
	lock_drop(&w->lock);
	tell(watch, &event, text);
}

/* Since when TURN waits, which is the oldest one from NOW on. Turns that came to another process,
 * or with too many behind them, are taken for as old as what is known of others allows. */
static usec_t waits_since(const struct watched *w, uint64_t turn, usec_t now)
{
	usec_t came;

	if (turn == 0)
		return 0;
	/* It has just come, and is told of next. */
	if (turn > w->turns)
		return now;
	if (w->turns - turn >= CAME_MAX)
		turn = w->turns - CAME_MAX + 1;
	came = w->came[turn % CAME_MAX];
	if (came != 0)
		return came;
	return w->waiting != 0 ? w->waiting_since : now;
}

void watch_waiting(struct watch *watch, struct conversation *c, uint64_t turn)
{
	const struct watch_event event = {
		.kind = WATCH_WAITING,
		.number = c->slot.head->number,
		.time = clock_realtime(),
		.turn = turn,
	};
	struct watched *w;

	if (watch == NULL)
		return;
	w = of(watch, c);
	lock_take(&w->lock);
	w->waiting_since = waits_since(w, turn, event.time);
	w->waiting = turn;
	lock_drop(&w->lock);
	tell(watch, &event, NULL);
}

void watch_draft(struct watch *watch, struct conversation *c, const struct watch_draft *draft)
{
	struct watch_event event = {.kind = WATCH_DRAFT, .number = c->slot.head->number};
	struct watch_draft kept;
	struct watched *w;
	char *text = NULL;

	if (watch == NULL)
		return;
	event.time = clock_realtime();
	if (draft != NULL) {
		kept = *draft;
		kept.whole = draft->length;
		if (kept.length > WATCH_TEXT_MAX)
			kept.length = WATCH_TEXT_MAX;
		event.turn = kept.turn;
		event.until = kept.until;
		event.length = kept.length;
		event.whole = kept.whole;
		/* An empty one has a text, too. */
		text = malloc(kept.length + 1);
		if (text != NULL && kept.length > 0)
			(void)memcpy(text, draft->text, kept.length);
	}
	w = of(watch, c);
	lock_take(&w->lock);
	put_draft(w, draft != NULL ? &kept : NULL, text);
	lock_drop(&w->lock);
	tell(watch, &event, draft != NULL ? draft->text : NULL);
}

void watch_switched(struct watch *watch, struct conversation *c, const char *responder,
		    const char *suspended, const char *speaker)
{
	struct watched *w;
	bool changed;

	if (watch == NULL)
		return;
	w = of(watch, c);
	lock_take(&w->lock);
	changed = strcmp(w->responder, responder) != 0 ||
		  strcmp(w->speaker, speaker != NULL ? speaker : "") != 0;
	put_name(w->responder, responder);
	put_name(w->suspended, suspended);
	put_name(w->speaker, speaker);
	lock_drop(&w->lock);
	if (changed)
		tell_name(watch, c, WATCH_SWITCHED, speaker != NULL ? speaker : responder);
}

void watch_refused(struct watch *watch, uint64_t number, uint64_t turn, uint64_t n,
		   const char *text, size_t length)
{
	const struct watch_event event = {
		.kind = WATCH_REFUSED,
		.number = number,
		.time = clock_realtime(),
		.turn = turn,
		.length = length < WATCH_TEXT_MAX ? length : WATCH_TEXT_MAX,
		.whole = length,
	};

	if (watch == NULL)
		return;
	lock_take(&watch->lock);
	watch->sums.refused += n;
	lock_drop(&watch->lock);
	tell(watch, &event, text);
}

void watch_obeyed(struct watch *watch)
{
	if (watch == NULL)
		return;
	lock_take(&watch->lock);
	watch->sums.orders++;
	lock_drop(&watch->lock);
}

const struct wish *watch_take_wish(struct watch *watch, struct conversation *c)
{
	struct wish_node *node;
	struct watched *w;

	if (watch == NULL)
		return NULL;
	w = of(watch, c);
	lock_take(&w->lock);
	node = w->wishes;
	lock_drop(&w->lock);
	return node != NULL ? &node->wish : NULL;
}

bool watch_wants_end(struct watch *watch, struct conversation *c)
{
	struct wish_node *node;
	struct watched *w;
	bool found;

	if (watch == NULL)
		return false;
	w = of(watch, c);
	lock_take(&w->lock);
	found = w->wants_end;
	for (node = w->wishes; node != NULL && !found; node = node->next)
		found = node->wish.kind == WISH_CLOSE;
	lock_drop(&w->lock);
	return found;
}

void watch_answer(struct watch *watch, struct conversation *c, uint64_t ticket, int result)
{
	struct watched *w = of(watch, c);
	struct wish_node *node;

	lock_take(&w->lock);
	node = w->wishes;
	if (node != NULL && node->wish.ticket == ticket) {
		w->wishes = node->next;
		w->n_wishes--;
	} else {
		node = NULL;
	}
	lock_drop(&w->lock);
	if (node != NULL)
		watch_put_answer(watch, node, result);
}

void watch_closing(struct watch *watch, struct conversation *c)
{
	struct wish_node *wishes;
	struct watched *w;

	if (watch == NULL)
		return;
	w = of(watch, c);
	lock_take(&w->lock);
	if (w->closing == 0)
		w->closing = clock_realtime();
	for (const struct wish_node *node = w->wishes; node != NULL; node = node->next)
		w->wants_end = w->wants_end || node->wish.kind == WISH_CLOSE;
	wishes = take_wishes(w);
	lock_drop(&w->lock);
	answer_all(watch, wishes, 0, -ESHUTDOWN);
}
