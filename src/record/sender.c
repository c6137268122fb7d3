/*
 * The journal thread; see sender.h.
 *
 * The thread and sender_stop() settle with one atomic, `state`, who owns the ring at the end. The
 * thread moves it from WORKING to SENDING before it calls the transport and back after it. At its
 * deadline sender_stop() moves it from SENDING to LEFT: the thread is asleep in the transport, and
 * should it ever return, it finds LEFT and touches nothing any more. Or it moves it from WORKING to
 * ENOUGH: the thread is awake, finds that before it sends again, and ends.
 *
 * A record is removed from the ring, or the file, only after it was sent. So one record may be
 * sent twice when the process dies in between; none is lost.
 */
#include "record/sender.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/lock.h"
#include "record/leftover.h"
#include "record/losses.h"
#include "record/ring.h"

/* Address space of a ring made here; memory is only taken for a backlog. */
#define OWN_SPACE ((size_t)64 * 1024 * 1024)

/* What an entry with a text has besides it, generously: see record_said(). */
#define TEXT_RESERVE 1024

enum state {
	WORKING,
	SENDING,
	ENOUGH,
	LEFT,
};

struct sender {
	struct ring ring;
	struct lock lock;     /* of the ring's appenders, stopping and done */
	struct bell more;     /* there are records, or stopping */
	struct bell finished; /* done */
	bool stopping;        /* end once the ring is empty */
	bool done;            /* the thread will do nothing any more */
	_Atomic(enum state) state;
	_Atomic uint64_t sent; /* records that left through the transport */
	pthread_t thread;
	void *own_memory; /* NULL: the ring's memory is the caller's */
	char *path;       /* of the leftover file, or NULL */

	/* The thread's alone, until it is done or LEFT. */
	struct record_transport transport;
	struct formatted formatted;
	struct leftover leftover;
	uint64_t told_at; /* position of the ring when losses were last told */

	/* Under sender_stop() alone. */
	struct sender *next_left;
	uint64_t sent_before; /* sender_keeps_up() alone */
};

/* Senders whose threads are asleep for ever: kept in sight of leak checkers. */
static struct sender *left_behind;

static bool change(struct sender *sender, enum state from, enum state to)
{
	return atomic_compare_exchange_strong(&sender->state, &from, to);
}

/* Sends ENTRY. Returns false when the thread must end at once. */
static bool send_entry(struct sender *sender, const struct entry *entry, int *ret_error)
{
	struct record_transport *transport = &sender->transport;
	int error = format_entry(&sender->formatted, transport->output, entry);

	if (error == 0) {
		if (!change(sender, WORKING, SENDING))
			return false;
		error = transport->send(transport->context, sender->formatted.parts,
					sender->formatted.n_parts);
		if (!change(sender, SENDING, WORKING))
			return false;
	}
	(void)atomic_fetch_add_explicit(&sender->sent, 1, memory_order_relaxed);
	*ret_error = error;
	return true;
}

/* As send_entry(), encoded. What can't be sent is counted. */
static bool send_bytes(struct sender *sender, const uint8_t *bytes, size_t size)
{
	struct entry_field fields[ENTRY_FIELDS_MAX];
	struct entry entry;
	int error = 0;

	if (entry_decode(bytes, size, &entry, fields) < 0) {
		ring_count_damage(&sender->ring, size);
		return true;
	}
	if (!send_entry(sender, &entry, &error))
		return false;
	if (error < 0)
		ring_refuse(&sender->ring, entry.kind);
	return true;
}

static bool tell_losses(struct sender *sender)
{
	struct losses_record record;
	struct ring_losses losses;
	int error = 0;

	sender->told_at = ring_position(&sender->ring);
	if (!ring_losses(&sender->ring, &losses))
		return true;
	losses_describe(&losses, &record);
	if (!send_entry(sender, &record.entry, &error))
		return false;
	/* If it could not be sent either, the next one tells a greater number. */
	if (error == 0)
		ring_told(&sender->ring, &losses);
	return true;
}

static bool send_leftover(struct sender *sender)
{
	const uint8_t *bytes;
	size_t size = 0;

	if (sender->path == NULL)
		return true;
	while ((bytes = leftover_peek(&sender->leftover, &size)) != NULL) {
		if (!send_bytes(sender, bytes, size))
			return false;
		leftover_advance(&sender->leftover);
	}
	ring_count_damage(&sender->ring, sender->leftover.damaged);
	if (sender->leftover.found)
		(void)unlink(sender->path);
	leftover_done(&sender->leftover);
	return true;
}

/*
 * Sends all that is in the ring, and what was lost: once the ring is empty, or, when it never is,
 * each time that as much as it can hold has been sent.
 */
static bool send_ring(struct sender *sender)
{
	const uint8_t *bytes;
	size_t size = 0;

	while ((bytes = ring_peek(&sender->ring, &size)) != NULL) {
		if (!send_bytes(sender, bytes, size))
			return false;
		ring_consume(&sender->ring);
		if (ring_position(&sender->ring) - sender->told_at >= sender->ring.capacity &&
		    !tell_losses(sender))
			return false;
	}
	return tell_losses(sender);
}

/* Sleeps until there are records. Returns false when there are none and none will come. */
static bool wait_for_more(struct sender *sender)
{
	bool more;

	lock_take(&sender->lock);
	if (ring_is_empty(&sender->ring))
		ring_rewind(&sender->ring);
	while (ring_is_empty(&sender->ring) && !sender->stopping)
		(void)bell_wait(&sender->more, &sender->lock, USEC_NEVER);
	more = !ring_is_empty(&sender->ring);
	lock_drop(&sender->lock);
	return more;
}

/*
 * Lets this thread wait its turn. A thread of the usual kind takes the processor from the one that
 * wakes it: that cost a conversation 2.7 us a record, and 20 us and more on a busy machine, instead
 * of half a microsecond. Where it is not allowed (the service's own sandbox does without it), all
 * works as well, only slower.
 */
static void step_back(void)
{
	const struct sched_param none = {.sched_priority = 0};

	(void)sched_setscheduler(0, SCHED_BATCH, &none);
}

static void *run(void *argument)
{
	struct sender *sender = argument;

	step_back();
	if (send_leftover(sender))
		while (send_ring(sender) && wait_for_more(sender))
			;
	if (atomic_load(&sender->state) == LEFT)
		return NULL;
	lock_take(&sender->lock);
	sender->done = true;
	bell_ring(&sender->finished);
	lock_drop(&sender->lock);
	return NULL;
}

/* Frees SENDER, whose thread has ended or never began. */
static void free_sender(struct sender *sender)
{
	leftover_done(&sender->leftover);
	formatted_done(&sender->formatted);
	bell_done(&sender->more);
	bell_done(&sender->finished);
	lock_done(&sender->lock);
	if (sender->own_memory != NULL)
		(void)munmap(sender->own_memory, OWN_SPACE);
	free(sender->path);
	free(sender);
}

/* Shared, for only such memory can be given back in parts; it takes pages as they are written. */
static int make_memory(struct sender *sender)
{
	void *memory = mmap(NULL, OWN_SPACE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	sender->own_memory = memory;
	return 0;
}

static int prepare(struct sender *sender, void *memory, size_t space, const char *leftover)
{
	int error;

	if (memory == NULL) {
		error = make_memory(sender);
		if (error < 0)
			return error;
		memory = sender->own_memory;
		space = OWN_SPACE;
	}
	if (leftover != NULL) {
		sender->path = strdup(leftover);
		if (sender->path == NULL)
			return -ENOMEM;
		leftover_open(&sender->leftover, leftover);
	}
	error = ring_open(&sender->ring, memory, space);
	if (error < 0)
		return error;
	sender->told_at = ring_position(&sender->ring);
	return thread_start(&sender->thread, "journal", NULL, 0, run, sender);
}

int sender_start(const struct record_transport *transport, void *memory, size_t space,
		 const char *leftover, struct sender **ret_sender)
{
	struct sender *sender = calloc(1, sizeof(*sender));
	int error;

	if (sender == NULL)
		return -ENOMEM;
	lock_init(&sender->lock, "journal ring");
	bell_init(&sender->more);
	bell_init(&sender->finished);
	sender->transport = *transport;
	error = prepare(sender, memory, space, leftover);
	if (error < 0) {
		free_sender(sender);
		return error;
	}
	*ret_sender = sender;
	return 0;
}

void sender_append(struct sender *sender, const struct entry *entry)
{
	enum record_class class = record_kind_infos[entry->kind].class;
	size_t size = entry_size(entry);
	bool was_empty = false;
	uint8_t *bytes;

	lock_take(&sender->lock);
	bytes = ring_reserve(&sender->ring, class, size);
	if (bytes != NULL) {
		entry_encode(bytes, entry);
		was_empty = ring_publish(&sender->ring, size);
	}
	lock_drop(&sender->lock);
	if (bytes == NULL)
		ring_refuse(&sender->ring, entry->kind);
	if (was_empty)
		bell_ring(&sender->more);
}

size_t sender_text_max(const struct sender *sender)
{
	return ring_record_max(&sender->ring) - TEXT_RESERVE;
}

bool sender_keeps_up(struct sender *sender)
{
	uint64_t sent = atomic_load_explicit(&sender->sent, memory_order_relaxed);
	bool moved = sent != sender->sent_before;

	sender->sent_before = sent;
	return moved || ring_is_empty(&sender->ring);
}

/* Asks the thread to end once all is sent. Returns whether it did before DEADLINE. */
static bool await_thread(struct sender *sender, usec_t deadline)
{
	bool in_time = true;
	bool done;

	lock_take(&sender->lock);
	sender->stopping = true;
	bell_ring(&sender->more);
	while (!sender->done && in_time)
		in_time = bell_wait(&sender->finished, &sender->lock, deadline);
	done = sender->done;
	lock_drop(&sender->lock);
	return done;
}

/* Puts down what the thread did not send, which touches nothing any more. */
static void keep_rest(struct sender *sender)
{
	struct ring_losses losses;
	size_t size = 0;

	if (sender->path == NULL)
		return;
	if (leftover_peek(&sender->leftover, &size) == NULL && ring_is_empty(&sender->ring) &&
	    !ring_losses(&sender->ring, &losses))
		return;
	/* If that fails as well (no space, no directory), nobody is left who could be told. */
	(void)leftover_write(sender->path, &sender->leftover, &sender->ring);
}

bool sender_stop(struct sender *sender, usec_t deadline, bool leave)
{
	bool done = await_thread(sender, deadline);

	while (!done && !change(sender, SENDING, LEFT))
		/* Awake between two records, or about to be done: it takes no time. */
		done = change(sender, WORKING, ENOUGH) && await_thread(sender, USEC_NEVER);
	if (done)
		thread_join(sender->thread);
	if (!leave)
		keep_rest(sender);
	if (done) {
		free_sender(sender);
		return true;
	}
	thread_detach(sender->thread);
	sender->next_left = left_behind;
	left_behind = sender;
	return false;
}
