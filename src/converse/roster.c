/* Beginning, waking and ending conversations; see roster.h. */
#include "converse/roster.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "marcel/responder.h"

/* This many free slots and stacks keep their memory: a busy daemon uses the same few. */
#define WARM_SLOTS 64

/* Maps the file that keeps the next number; it counts on from whatever it holds. */
static int map_number(const char *path, void **ret_page)
{
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;
	void *page;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (ftruncate(fd, sizeof(uint64_t)) < 0)
		return -errno;
	page = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	*ret_page = page;
	return 0;
}

static int init_numbers(struct roster *roster, const char *path)
{
	uint64_t none = 0;
	int r;

	roster->next_number = &roster->table.header->next_number;
	if (path == NULL)
		return 0;
	r = map_number(path, &roster->number_page);
	if (r < 0)
		return r;
	roster->next_number = roster->number_page;
	(void)atomic_compare_exchange_strong(roster->next_number, &none, 1);
	return 0;
}

int roster_init(struct roster *roster, uint32_t capacity, const char *number_file,
		roster_over_fn *over, void *context)
{
	int r;

	*roster =
		(struct roster){.table = {.fd = -1}, .event = -1, .over = over, .context = context};
	lock_init(&roster->lock, "the finished");
	r = table_init(&roster->table, capacity);
	if (r < 0)
		return r;
	r = stacks_init(&roster->stacks, capacity);
	if (r < 0)
		return r;
	r = init_numbers(roster, number_file);
	if (r < 0)
		return r;
	roster->conversations = calloc(capacity, sizeof(*roster->conversations));
	roster->free = calloc(capacity, sizeof(*roster->free));
	roster->finished = calloc(capacity, sizeof(*roster->finished));
	if (roster->conversations == NULL || roster->free == NULL || roster->finished == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < capacity; i++)
		roster->free[i] = capacity - 1 - i;
	roster->n_free = capacity;
	roster->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return roster->event < 0 ? -errno : 0;
}

void roster_done(struct roster *roster)
{
	close_fd(&roster->event);
	free(roster->conversations);
	free(roster->free);
	free(roster->finished);
	if (roster->number_page != NULL)
		(void)munmap(roster->number_page, sizeof(uint64_t));
	stacks_done(&roster->stacks);
	table_done(&roster->table);
	lock_done(&roster->lock);
}

/* Puts the conversation's index where the main thread finds it. In its own thread, as its last. */
static void finish(struct roster *roster, uint32_t index)
{
	const uint64_t one = 1;

	lock_take(&roster->lock);
	roster->finished[roster->n_finished++] = index;
	/* Under the lock, so that the main thread can't end the roster before this is done. */
	if (roster->n_finished == 1)
		(void)!write(roster->event, &one, sizeof(one));
	lock_drop(&roster->lock);
}

/* What a conversation's thread runs; the roster is found through the argument's pair. */
struct start {
	struct roster *roster;
	uint32_t index;
};

static void *run(void *argument)
{
	struct start start = *(struct start *)argument;

	free(argument);
	conversation_run(&start.roster->conversations[start.index]);
	finish(start.roster, start.index);
	return NULL;
}

static void fill_body(struct slot_body *body, const struct roster_arrival *arrival)
{
	const struct marcel_responder_ops *ops = arrival->origin.face->responder;
	struct slot_card *card = &body->card;

	(void)snprintf(card->peer, sizeof(card->peer), "%s", arrival->peer);
	(void)snprintf(card->listener, sizeof(card->listener), "%s", arrival->listener);
	(void)snprintf(card->responder, sizeof(card->responder), "%s", ops->name);
	card->state_version = ops->state_version;
	card->state_size = (uint32_t)ops->state_size;
	(void)memset(body->state[0], 0, ops->state_size);
}

/* A slot as it is before the first byte. */
static void fill_head(struct roster *roster, struct slot_head *head, int fd,
		      const struct face *face)
{
	socklen_t size = sizeof(head->cookie);

	(void)memset(head, 0, sizeof(*head));
	head->number = atomic_fetch_add(roster->next_number, 1);
	head->opened = clock_realtime();
	(void)!getrandom(head->id, sizeof(head->id), 0);
	(void)getsockopt(fd, SOL_SOCKET, SO_COOKIE, &head->cookie, &size);
	head->turn[0].mode = face->dialogue.framing == FRAMING_RAW    ? MODE_RAW_ONLY
			     : face->dialogue.framing == FRAMING_LINE ? MODE_LINE
								      : MODE_UNDECIDED;
	atomic_store_explicit(&head->stage, STAGE_LIVE, memory_order_release);
}

/* The framer as a turn left it. */
static struct framer restore_framer(const struct slot_turn *turn, const struct face *face)
{
	return (struct framer){
		.message_max = face->dialogue.message_max,
		.mode = (enum slot_mode)turn->mode,
		.line_end = (enum slot_line_end)turn->line_end,
		.after_raw = (turn->flags & TURN_AFTER_RAW) != 0,
	};
}

/* Makes the conversation of slot INDEX, which is filled, live: the one way there is. */
static int start_thread(struct roster *roster, uint32_t index, int fd,
			const struct conversation_origin *origin)
{
	struct conversation *c = &roster->conversations[index];
	struct slot_head *head = &roster->table.heads[index];
	struct start *start = malloc(sizeof(*start));
	char name[32];
	size_t stack_size = 0;
	void *stack;
	int r;

	if (start == NULL)
		return -EAGAIN;
	*start = (struct start){.roster = roster, .index = index};
	*c = (struct conversation){
		.index = index,
		.head = head,
		.body = &roster->table.bodies[index],
		.origin = *origin,
		.framer = restore_framer(slot_turn(head), origin->face),
	};
	wire_init(&c->wire, fd);
	(void)snprintf(name, sizeof(name), "conv-%" PRIu64, head->number);
	stack = stacks_get(&roster->stacks, index, &stack_size);
	r = thread_start(&c->thread, name, stack, stack_size, run, start);
	if (r < 0) {
		free(start);
		(void)take_fd(&c->wire.fd); /* it stays the caller's */
		wire_done(&c->wire);
	}
	return r;
}

int roster_begin(struct roster *roster, int fd, const struct roster_arrival *arrival)
{
	struct slot_head *head;
	uint32_t index;
	int r;

	if (roster->n_free == 0)
		return -ENOSPC;
	index = roster->free[roster->n_free - 1];
	head = &roster->table.heads[index];
	fill_head(roster, head, fd, arrival->origin.face);
	fill_body(&roster->table.bodies[index], arrival);
	r = start_thread(roster, index, fd, &arrival->origin);
	if (r < 0) {
		atomic_store_explicit(&head->stage, STAGE_FREE, memory_order_release);
		return r;
	}
	roster->n_free--;
	if (roster->warm > 0)
		roster->warm--;
	roster->live++;
	roster->total++;
	return 0;
}

/* Frees slot INDEX: the last WARM_SLOTS of the free ones keep their memory, the others none. */
static void free_slot(struct roster *roster, uint32_t index)
{
	uint32_t *lowest_warm = &roster->free[roster->n_free - roster->warm];

	atomic_store_explicit(&roster->table.heads[index].stage, STAGE_FREE, memory_order_release);
	if (roster->warm < WARM_SLOTS) {
		roster->free[roster->n_free] = index;
		roster->warm++;
	} else {
		table_release_body(&roster->table, index);
		stacks_release(&roster->stacks, index);
		roster->free[roster->n_free] = *lowest_warm;
		*lowest_warm = index;
	}
	roster->n_free++;
	roster->live--;
}

uint32_t roster_reap(struct roster *roster)
{
	uint64_t count;
	uint32_t reaped = 0;

	(void)!read(roster->event, &count, sizeof(count));
	for (;;) {
		struct conversation *c = NULL;

		lock_take(&roster->lock);
		if (roster->n_finished > 0)
			c = &roster->conversations[roster->finished[--roster->n_finished]];
		lock_drop(&roster->lock);
		if (c == NULL)
			return reaped;
		thread_join(c->thread);
		if (roster->over != NULL)
			roster->over(roster->context, c);
		wire_done(&c->wire);
		free_slot(roster, c->index);
		reaped++;
	}
}

/* Calls FUNCTION with every live conversation until it says that it found what it looked for. */
static struct conversation *each_live(struct roster *roster,
				      bool (*function)(struct conversation *, unsigned),
				      unsigned argument)
{
	uint32_t left = roster->live;

	for (uint32_t i = 0; left > 0 && i < roster->table.header->capacity; i++) {
		if (atomic_load_explicit(&roster->table.heads[i].stage, memory_order_relaxed) !=
		    STAGE_LIVE)
			continue;
		left--;
		if (function(&roster->conversations[i], argument))
			return &roster->conversations[i];
	}
	return NULL;
}

static bool wake_one(struct conversation *c, unsigned mail)
{
	wire_wake(&c->wire, mail);
	return false;
}

void roster_wake_all(struct roster *roster, unsigned mail)
{
	(void)each_live(roster, wake_one, mail);
}

static bool is_stuck(struct conversation *c, unsigned unused)
{
	uint64_t progress = wire_progress(&c->wire);
	bool stuck = (progress & 1) != 0 && progress == c->seen_progress;

	(void)unused;
	c->seen_progress = progress;
	return stuck;
}

const struct conversation *roster_find_stuck(struct roster *roster)
{
	return each_live(roster, is_stuck, 0);
}
