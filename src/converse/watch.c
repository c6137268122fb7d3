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

static bool is_live(const struct watched *w)
{
	return w->conversation != NULL;
}

int watch_new(uint32_t capacity, struct watch **ret_watch)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return -ENOMEM;
	watch->capacity = capacity;
	watch->watched = calloc(capacity, sizeof(*watch->watched));
	watch->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lock_init(&watch->lock, "the watch");
	if (watch->watched == NULL || watch->event < 0) {
		int r = watch->watched == NULL ? -ENOMEM : -errno;

		watch_free(watch);
		return r;
	}
	*ret_watch = watch;
	return 0;
}

static void free_wishes(struct wish_node *node)
{
	while (node != NULL) {
		struct wish_node *next = node->next;

		free(node->wish.line);
		free(node);
		node = next;
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
		free_wishes(w->wishes);
		free(w->past.bytes);
		lock_done(&w->lock);
	}
	free_wishes(watch->answers);
	free(watch->watched);
	free(watch->queue.bytes);
	close_fd(&watch->event);
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
	put_name(w->responder, c->responder->name);
	put_name(w->suspended, c->below.responder != NULL ? c->below.responder->name : NULL);
	w->speaker[0] = '\0';
	atomic_store(&w->number, c->slot.head->number);
	lock_drop(&w->lock);
	if (c->index >= atomic_load(&watch->top))
		atomic_store(&watch->top, c->index + 1);
	lock_take(&watch->lock);
	if (c->resumed)
		watch->sums.carried++;
	else
		watch->sums.begun++;
	lock_drop(&watch->lock);
	if (!c->resumed)
		tell_name(watch, c, WATCH_OPENED, "");
}

/* Moves NODE, which nobody else refers to, to the answers, with RESULT. */
static void answer(struct watch *watch, struct wish_node *node, int result)
{
	struct wish_node **end = &watch->answers;

	node->result = result;
	node->next = NULL;
	lock_take(&watch->lock);
	node->after = watch->queue.end;
	while (*end != NULL)
		end = &(*end)->next;
	*end = node;
	if (result == 0 && node->wish.kind == WISH_SAY)
		watch->sums.orders++;
	ring(watch);
	lock_drop(&watch->lock);
}

void watch_end(struct watch *watch, struct conversation *c, enum end_reason reason)
{
	struct wish_node *wishes;
	struct watched *w;
	uint64_t turns;

	if (watch == NULL)
		return;
	w = of(watch, c);
	lock_take(&w->lock);
	w->conversation = NULL;
	atomic_store(&w->number, 0);
	wishes = w->wishes;
	w->wishes = NULL;
	w->n_wishes = 0;
	turns = w->turns;
	free(w->past.bytes);
	w->past = (struct watch_ring){.bytes = NULL};
	lock_drop(&w->lock);
	while (wishes != NULL) {
		struct wish_node *next = wishes->next;

		if (reason == END_HANDOVER)
			answer(watch, wishes, -ECANCELED);
		else /* who wanted its end has it */
			answer(watch, wishes, wishes->wish.kind == WISH_CLOSE ? 0 : -ENOENT);
		wishes = next;
	}
	lock_take(&watch->lock);
	watch->sums.messages += turns;
	watch->sums.bytes_in += atomic_load(&c->slot.head->in_read);
	watch->sums.bytes_out += atomic_load(&c->slot.head->out_sent);
	watch->sums.ended[reason]++;
	lock_drop(&watch->lock);
	if (reason != END_HANDOVER)
		tell_name(watch, c, WATCH_CLOSED, end_reason_name(reason));
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
	if (turn > w->turns)
		w->turns = turn;
	/* Who only listens to the greeting costs no memory. */
	if (atomic_load_explicit(&watch->keeps_past, memory_order_relaxed) &&
	    (turn > 0 || w->past.bytes != NULL))
		past_put(&w->past, &event, text);
	lock_drop(&w->lock);
	tell(watch, &event, text);
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
	if (turn == 0 || w->waiting == 0)
		w->waiting_since = turn == 0 ? 0 : event.time;
	w->waiting = turn;
	lock_drop(&w->lock);
	tell(watch, &event, NULL);
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

void watch_refused(struct watch *watch, struct conversation *c, uint64_t turn, const char *text,
		   size_t length)
{
	const struct watch_event event = {
		.kind = WATCH_REFUSED,
		.number = c->slot.head->number,
		.time = clock_realtime(),
		.turn = turn,
		.length = length < WATCH_TEXT_MAX ? length : WATCH_TEXT_MAX,
		.whole = length,
	};

	if (watch == NULL)
		return;
	lock_take(&watch->lock);
	watch->sums.refused++;
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
	bool found = false;

	if (watch == NULL)
		return false;
	w = of(watch, c);
	lock_take(&w->lock);
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
		answer(watch, node, result);
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
		.last = w->last,
		.bytes_in = atomic_load(&head->in_read),
		.bytes_out = atomic_load(&head->out_sent),
	};
	(void)memcpy(view->id, head->id, sizeof(view->id));
	(void)snprintf(view->peer, sizeof(view->peer), "%s", card->peer);
	(void)snprintf(view->listener, sizeof(view->listener), "%s", card->listener);
	put_name(view->responder, w->responder);
	put_name(view->speaker, w->speaker);
	put_name(view->suspended, w->suspended);
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

int watch_past(struct watch *watch, uint64_t number, watch_past_fn *function, void *context)
{
	struct watched *w = find(watch, number);
	struct watch_ring copy = {.bytes = NULL};
	struct watch_event event;
	char text[WATCH_TEXT_MAX];
	int r = 0;

	if (w == NULL)
		return -ENOENT;
	if (w->past.bytes != NULL)
		r = ring_copy(&w->past, &copy);
	leave(w);
	while (copy.bytes != NULL && queue_take(&copy, &event, text))
		function(context, &event, text);
	free(copy.bytes);
	return r;
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
	if (w == NULL || w->n_wishes >= WISHES_MAX) {
		if (w != NULL)
			leave(w);
		free_wishes(node);
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
	free_wishes(node);
	return 1;
}
