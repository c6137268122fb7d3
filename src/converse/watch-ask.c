/*
 * What the control asks of the watch: looking at conversations, wishes, and events; see watch.h.
 *
 * Any one thread but a conversation's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "converse/conversation.h"
#include "converse/watch-priv.h"
#include "respond/past.h"

static bool is_live(const struct watched *w)
{
	return w->conversation != NULL;
}

/* Fills VIEW with what W says, which is locked and live. */
static void look(const struct watched *w, struct watch_view *view)
{
	const struct conversation *c = w->conversation;
	const struct slot_head *head = c->slot.head;
	const struct slot_card *card = &c->slot.near->card;

	*view = (struct watch_view){
		.number = head->number,
		.opened = head->opened,
		.turns = w->turns,
		.waiting = w->waiting,
		.waiting_since = w->waiting_since,
		.closing = w->closing,
		.last = w->last,
		.bytes_in = atomic_load(&head->in_read),
		.bytes_out = atomic_load(&head->out_sent),
	};
	(void)memcpy(view->id, head->id, sizeof(view->id));
	(void)snprintf(view->peer, sizeof(view->peer), "%s", card->peer);
	(void)snprintf(view->listener, sizeof(view->listener), "%s", card->listener);
	(void)memcpy(view->responder, w->responder, sizeof(view->responder));
	(void)memcpy(view->speaker, w->speaker, sizeof(view->speaker));
	(void)memcpy(view->suspended, w->suspended, sizeof(view->suspended));
}

/* Finds the conversation NUMBER and locks its watched part; NULL when there is none. */
LOCK_ATTRIBUTE(no_thread_safety_analysis)
static struct watched *find(struct watch *watch, uint64_t number)
{
	uint32_t top = atomic_load(&watch->top);

	for (uint32_t i = 0; number != 0 && i < top; i++) {
		struct watched *w = &watch->watched[i];

		if (atomic_load_explicit(&w->number, memory_order_acquire) != number)
			continue;
		lock_take(&w->lock);
		if (is_live(w) && w->conversation->slot.head->number == number)
			return w;
		lock_drop(&w->lock);
	}
	return NULL;
}

LOCK_ATTRIBUTE(no_thread_safety_analysis)
static void leave(struct watched *w)
{
	lock_drop(&w->lock);
}

int watch_look(struct watch *watch, uint64_t number, struct watch_view *ret_view)
{
	struct watched *w = find(watch, number);

	if (w == NULL)
		return -ENOENT;
	look(w, ret_view);
	leave(w);
	return 0;
}

int watch_look_draft(struct watch *watch, uint64_t number, struct watch_draft *ret_draft,
		     char text[WATCH_TEXT_MAX])
{
	struct watched *w = find(watch, number);

	if (w == NULL)
		return -ENOENT;
	*ret_draft = w->draft;
	if (w->draft.length > 0)
		(void)memcpy(text, w->draft_text, w->draft.length);
	leave(w);
	ret_draft->text = text;
	return 0;
}

void watch_each(struct watch *watch, watch_each_fn *function, void *context)
{
	uint32_t top = atomic_load(&watch->top);
	struct watch_view view;
	bool more = true;

	for (uint32_t i = 0; more && i < top; i++) {
		struct watched *w = &watch->watched[i];
		bool found;

		if (atomic_load_explicit(&w->number, memory_order_acquire) == 0)
			continue;
		lock_take(&w->lock);
		found = is_live(w);
		if (found)
			look(w, &view);
		lock_drop(&w->lock);
		if (found)
			more = function(context, &view);
	}
}

static bool add_up(void *context, const struct watch_view *view)
{
	struct watch_sums *sums = context;

	sums->live++;
	sums->messages += view->turns;
	sums->bytes_in += view->bytes_in;
	sums->bytes_out += view->bytes_out;
	sums->waiting += view->waiting != 0;
	return true;
}

/* Lets *NOW be no less than *SHOWN, and keeps it there. */
static void only_grow(uint64_t *now, uint64_t *shown)
{
	if (*now < *shown)
		*now = *shown;
	*shown = *now;
}

void watch_sum(struct watch *watch, struct watch_sums *ret_sums)
{
	struct watch_sums sums;

	lock_take(&watch->lock);
	sums = watch->sums;
	sums.dropped = watch->dropped_ever + watch->dropped;
	lock_drop(&watch->lock);
	watch_each(watch, add_up, &sums);
	/* Who ends between the two is in neither. */
	lock_take(&watch->lock);
	only_grow(&sums.messages, &watch->shown.messages);
	only_grow(&sums.bytes_in, &watch->shown.bytes_in);
	only_grow(&sums.bytes_out, &watch->shown.bytes_out);
	lock_drop(&watch->lock);
	*ret_sums = sums;
}

int watch_past(struct watch *watch, uint64_t number, marcel_line_fn *function, void *context)
{
	struct watched *w = find(watch, number);
	struct marcel_past copy;

	if (w == NULL)
		return -ENOENT;
	/* Else not even a page is to be touched. */
	if (w->has_past && atomic_load_explicit(&watch->keeps_past, memory_order_relaxed))
		past_copy(w->conversation->slot.past, &copy);
	else
		past_init(&copy);
	leave(w);
	past_each(&copy, function, context);
	return 0;
}

/* Answers NODE for W, which is closing; it was locked by find(). Returns as watch_wish() does. */
LOCK_ATTRIBUTE(no_thread_safety_analysis)
static int wish_closing(struct watch *watch, struct watched *w, struct wish_node *node)
{
	const bool close = node->wish.kind == WISH_CLOSE;

	if (close) {
		/* While its last words are sent, that may take less time now. */
		w->wants_end = true;
		wire_wake(&w->conversation->wire, MAIL_WISH);
	}
	leave(w);
	if (close)
		watch_put_answer(watch, node, 0);
	else
		watch_free_wishes(node);
	return close ? 0 : -ESHUTDOWN;
}

/* Whether WISH finds room among those that wait in W, which is locked. One that ends the
 * conversation always does: what waits may wait for a client who reads nothing. */
static bool has_room(const struct watched *w, const struct wish *wish)
{
	const struct wish_node *node = w->wishes;

	if (w->n_wishes < WISHES_MAX)
		return true;
	while (node != NULL && node->wish.kind != WISH_CLOSE)
		node = node->next;
	return wish->kind == WISH_CLOSE && node == NULL;
}

int watch_wish(struct watch *watch, uint64_t number, const struct wish *wish)
{
	struct wish_node **end, *node;
	struct watched *w;

	if (wish->kind == WISH_SAY && wish->length > WISH_LINE_MAX)
		return -E2BIG;
	node = calloc(1, sizeof(*node));
	if (node == NULL)
		return -ENOMEM;
	node->wish = *wish;
	node->wish.line = malloc(wish->length + 1);
	if (node->wish.line == NULL) {
		free(node);
		return -ENOMEM;
	}
	if (wish->length > 0)
		(void)memcpy(node->wish.line, wish->line, wish->length);
	node->wish.line[wish->length] = '\0';
	w = find(watch, number);
	if (w != NULL && w->closing != 0)
		return wish_closing(watch, w, node);
	if (w == NULL || !has_room(w, wish)) {
		if (w != NULL)
			leave(w);
		watch_free_wishes(node);
		return w == NULL ? -ENOENT : -ENOBUFS;
	}
	for (end = &w->wishes; *end != NULL; end = &(*end)->next)
		;
	*end = node;
	w->n_wishes++;
	wire_wake(&w->conversation->wire, MAIL_WISH);
	leave(w);
	return 0;
}

void watch_listen(struct watch *watch, bool listen)
{
	lock_take(&watch->lock);
	if (listen && watch->queue.bytes == NULL)
		(void)ring_make(&watch->queue, QUEUE_SIZE);
	atomic_store(&watch->listens, listen);
	lock_drop(&watch->lock);
}

/* Takes the oldest answer out, if all that happened before it is told; NULL when there is none.
 * What happens after it doesn't put it off, however much that is. Its lock is held. */
static struct wish_node *take_answer(struct watch *watch)
{
	struct wish_node *node = watch->answers;

	if (node == NULL || node->after > watch->queue.begin)
		return NULL;
	watch->answers = node->next;
	return node;
}

int watch_next(struct watch *watch, struct watch_event *ret_event, char text[WATCH_TEXT_MAX],
	       uint64_t *ret_dropped)
{
	struct wish_node *node;
	uint64_t count;
	int r = 0;

	lock_take(&watch->lock);
	*ret_dropped = watch->dropped;
	watch->dropped_ever += watch->dropped;
	watch->dropped = 0;
	node = take_answer(watch);
	if (node == NULL && watch->queue.bytes != NULL &&
	    queue_take(&watch->queue, ret_event, text))
		r = 1;
	if (r == 0 && node == NULL)
		(void)!read(watch->event, &count, sizeof(count));
	lock_drop(&watch->lock);
	if (node == NULL)
		return r;
	*ret_event = (struct watch_event){
		.kind = WATCH_DONE,
		.time = clock_realtime(),
		.ticket = node->wish.ticket,
		.result = node->result,
	};
	node->next = NULL;
	watch_free_wishes(node);
	return 1;
}
