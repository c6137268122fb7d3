/*
 * Carrying conversations over; see handover.h.
 *
 * NOTE ON DYING. The process may die at every instant: killed, crashed, or by the watchdog. An
 * orderly restart is the same with all threads stopped at a place of their choice first. These are
 * the instants, and what the next process finds:
 *
 *  1. Before accept(): the client waits in the listening socket, which the service manager holds.
 *  2. Between accept() and vault_keep(): the socket dies with the process. The client sees the end
 *     of the connection before any byte; nothing was promised to it. There may be a slot already:
 *     it is STAGE_LIVE, nothing has begun in it, and no socket is its own. That is no loss.
 *  3. Between vault_keep() and the first commit: the slot is STAGE_LIVE in PHASE_GREETING. It is
 *     resumed, and greeted once: the kernel's counters say that nothing was sent.
 *  4. In recv(), or after it and before in_read is stored: the bytes lie in the buffer at the place
 *     that the turn in force gives them, and TCP's counters say how many there are (slot.h, note on
 *     buffers; counters.h). Unix sockets are read by looking first (wire.h, note on peeking).
 *  5. While a turn is prepared: nothing of it is in force. The message is still there and is
 *     answered by the next process. The slot says in_flight, so that a message that kills the
 *     process is known by it: see below.
 *  6. After the commit, before or in send(): the replies lie in the output buffer, and TCP's
 *     counters say how many bytes left. Unix sockets have no such counter: out_sent is stored after
 *     sending, so one reply may be sent twice, which the record of the handover says.
 *  7. While the input buffer's rest is moved to the front: the turn in force still refers to the
 *     old place, which the copy does not touch.
 *  8. While the vault is cleaned: sockets are in two messages, the later one counts; or in messages
 *     that are still there. Never in none.
 *  9. In a farewell: the phase is in the slot and goes on from there.
 * 10. At the end: it is recorded first, then the slot says PHASE_LINGER. In between, it is recorded
 *     a second time. After it, only the connection is left to be ended, which may be over already.
 *     If the slot is free and the socket still in the vault, nobody owns it: it is shut down.
 * 11. While the next process resumes: it has received nothing from the vault, only looked, and
 *     changed only counters that it would find again. It may die as well, as often as it likes;
 *     `attempts` in the table counts, and after ATTEMPTS_MAX the table is left behind, so that
 *     a table that kills whoever reads it does not end the service.
 * 12. While a script comes or goes (respond/keepsake.h): its text is in the store before the first
 *     conversation by it begins, and leaves it in the close() of the last one, which is past
 *     PHASE_PARTING then and needs it no more. A text that nobody needs, because the process died
 *     in between, is dropped once the next one is ready; until then each process finds them all. A
 *     conversation whose text is not there (the store was full, and the file has changed) ends
 *     politely as one whose state cannot be read.
 * 13. Between an operator's write and the read: the line lies in a FIFO, which a vault of its own
 *     keeps from before anybody could see its name (respond/operator/channel.h). A name that was
 *     not made yet is made by the next process. A place whose end was not finished is one that
 *     nobody comes for: after some minutes what is in its FIFO is refused.
 * 14. In read(), or after it: a conversation's orders are read into its pad, where they are found
 *     even if the thread never saw read() return (respond/operator/pad.h, note on exactly once).
 *     The pad lies in the table and is no part of a turn. How many of its orders were carried out
 *     is: so each counts once, with the replies that it led to, whose fate is that of 6.
 * 15. While a line of the FIFO for all conversations is passed on: it is counted afterwards, so
 *     that one may be passed on twice (respond/operator/channel-orders.c, note on what was read).
 * 16. While an event is written: events come before the commit that they tell of, and the turn
 *     happens again. So "sent" and "done" may stand there twice for one order; their numbers have
 *     no gap.
 * 17. While one responder follows another: who answers, and the state of who is suspended, are part
 *     of the turn (slot.h, note on switching). If the one before was closed already and the turn is
 *     not in force, it goes on: what its close() refused was told, and an operator finds a FIFO
 *     there again. Of a suspended one nothing but its state is kept, so nothing else can be lost.
 * 18. While the control is asked for something: its connections, and wishes that no thread took up,
 *     die with the process. A wish is a turn; if that is in force it happened, though nobody told
 *     who asked. The socket of the next process takes the place of the old one.
 * 19. While a line goes into the past (respond/past.h): it is there or not. The past is no part of
 *     a turn; lines of a message that was not answered are dropped by the next process. What is
 *     said again between two messages, for an order or a timer, may stand there twice.
 *
 * A message that crashes the daemon takes only its own conversation with it: a process that finds
 * in_flight counts a crash for that slot; a committed turn resets the count, and CRASHES_MAX
 * (resume.c) end the conversation. Those in question take their first turns one after another (the
 * roster's turnstile), so that no innocent turn is in flight beside a guilty one again and again.
 */
#include "handover/handover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"
#include "record/record.h"
#include "respond/keepsake.h"

#define ATTEMPTS_MAX 4

static const char *const table_names[2] = {HANDOVER_TABLE_A, HANDOVER_TABLE_B};

void handover_init(struct handover *h, uint64_t limit, const struct handover_hooks *hooks)
{
	*h = (struct handover){
		.enabled = secure_getenv("NOTIFY_SOCKET") != NULL,
		.tables = {-1, -1},
		.ends = {-1, -1},
		.limit = limit,
		.share = limit,
		.started = clock_now(),
		.source = {.fd = -1},
		.vault = {.in = -1, .out = -1},
		.hooks = *hooks,
	};
}

static void drop_source(struct handover *h)
{
	if (h->source.map != NULL)
		(void)munmap(h->source.map, h->source.layout.size);
	close_fd(&h->source.fd);
	h->source = (struct handover_source){.fd = -1};
}

void handover_done(struct handover *h)
{
	drop_source(h);
	vault_done(&h->vault);
	for (int i = 0; i < 2; i++) {
		close_fd(&h->tables[i]);
		close_fd(&h->ends[i]);
	}
}

static void unstore(const char *name)
{
	(void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

/*
 * Whether the descriptor FD is from the store of this daemon or another version of it: all names
 * there begin alike, and none is of a socket that listens.
 */
static bool is_from_store(int fd, const char *name)
{
	return strncmp(name, HANDOVER_PREFIX, strlen(HANDOVER_PREFIX)) == 0 &&
	       sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0;
}

bool handover_claim(void *handover, int fd, const char *name)
{
	struct handover *h = handover;
	const struct {
		const char *name;
		int *fd;
	} places[] = {
		{HANDOVER_TABLE_A, &h->tables[0]},
		{HANDOVER_TABLE_B, &h->tables[1]},
		{HANDOVER_VAULT_IN, &h->ends[0]},
		{HANDOVER_VAULT_OUT, &h->ends[1]},
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (strcmp(name, places[i].name) != 0)
			continue;
		/* The store is handed over newest first; a second one of a name is older. */
		if (*places[i].fd >= 0)
			close_fd(&fd);
		else
			*places[i].fd = fd;
		if (i < 2)
			h->claimed[i] = true;
		return true;
	}
	if (!is_from_store(fd, name))
		return false;
	if (strncmp(name, KEEPSAKE_PREFIX, strlen(KEEPSAKE_PREFIX)) == 0) {
		keepsakes_offer(fd, name);
		return true;
	}
	record_note(RECORD_NOTICE,
		    "The store holds '%s', which this marceld does not know: dropped", name);
	unstore(name);
	close_fd(&fd);
	return true;
}

/* Reads the header of the table at FD. */
static int read_header(int fd, struct snapshot_layout *ret_layout)
{
	struct table_header header;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	n = pread(fd, &header, sizeof(header), 0);
	if (n < 0)
		return -errno;
	return snapshot_read_header(&header, (size_t)n, (uint64_t)st.st_size, ret_layout);
}

/* Chooses the newest whole table of the two; says what is wrong with those it can't use. */
static void choose_source(struct handover *h)
{
	for (int i = 0; i < 2; i++) {
		struct snapshot_layout layout = {.version = 0};
		int r;

		if (h->tables[i] < 0)
			continue;
		r = read_header(h->tables[i], &layout);
		if (r < 0) {
			record_note(
				RECORD_NOT_CARRIED,
				r == -ENOTSUP
					? "The saved table is of version %" PRIu32
					  ", which this marceld does not know: its conversations end"
					: "The saved table is damaged (version %" PRIu32
					  "): its conversations end",
				layout.version);
			close_fd(&h->tables[i]);
			continue;
		}
		if (!layout.complete ||
		    (h->source.fd >= 0 && layout.generation < h->source.layout.generation)) {
			close_fd(&h->tables[i]);
			continue;
		}
		close_fd(&h->source.fd);
		h->source.fd = take_fd(&h->tables[i]);
		h->source.layout = layout;
		h->letter = i;
	}
}

/* Counts one more start with the table in *SOURCE. Returns how many there were since the last
 * READY. */
static uint32_t count_attempt(const struct handover_source *source)
{
	struct table_header *header =
		mmap(NULL, sizeof(*header), PROT_READ | PROT_WRITE, MAP_SHARED, source->fd, 0);
	uint32_t attempts;

	if (header == MAP_FAILED)
		return 0;
	attempts = atomic_fetch_add(&header->attempts, 1) + 1;
	(void)munmap(header, sizeof(*header));
	return attempts;
}

/* The name for a new table: one that is free, or that of a table which is of no use. */
static int free_letter(const struct handover *h)
{
	if (!h->claimed[0] || !h->claimed[1])
		return h->claimed[0] ? 1 : 0;
	return h->resuming ? !h->letter : 0;
}

/* Copies what was used of the ring of records, which nobody has sent yet. */
static void copy_records(const struct handover_source *source, struct table *table)
{
	const struct snapshot_layout *layout = &source->layout;
	off_t begin = (off_t)layout->ring_offset;
	off_t end = begin + (off_t)layout->ring_size;
	off_t at = begin;

	if (layout->ring_size != TABLE_RING_SIZE)
		return;
	for (;;) {
		off_t data = lseek(source->fd, at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(source->fd, data, SEEK_HOLE);

		if (data < 0 || hole < 0 || data >= end)
			return;
		at = hole < end ? hole : end;
		(void)memcpy((char *)table->ring + (data - begin), (const char *)source->map + data,
			     (size_t)(at - data));
	}
}

/* The table that was saved cannot be used, for ERROR: its conversations end. */
static void give_up_source(struct handover *h, int error)
{
	record_note(RECORD_NOT_CARRIED,
		    "The saved table cannot be used (%s): its conversations end",
		    strerrordesc_np(-error));
	drop_source(h);
}

/*
 * Takes the source over as it is, into *RET_TABLE, or maps it to be read into another. Returns 1 in
 * the first case, 0 in the second, or a negative errno.
 */
static int open_source(struct handover *h, uint32_t capacity, struct table *ret_table)
{
	int r;

	/* One without what was said last is shorter than what is mapped here. */
	if (h->source.layout.version == TABLE_VERSION && h->source.layout.capacity == capacity &&
	    h->source.layout.past_offset != 0) {
		r = table_adopt(ret_table, take_fd(&h->source.fd));
		return r < 0 ? r : 1;
	}
	h->source.map = mmap(NULL, h->source.layout.size, PROT_READ, MAP_SHARED, h->source.fd, 0);
	if (h->source.map == MAP_FAILED) {
		h->source.map = NULL;
		return -errno;
	}
	return 0;
}

int handover_table(struct handover *h, uint32_t capacity, struct table *ret_table)
{
	uint64_t generation = 1;
	int r;

	choose_source(h);
	if (h->source.fd >= 0 && count_attempt(&h->source) > ATTEMPTS_MAX) {
		record_note(RECORD_NOT_CARRIED,
			    "Resuming failed %d times: the saved conversations are left behind",
			    ATTEMPTS_MAX);
		drop_source(h);
	}
	if (h->source.fd >= 0) {
		generation = h->source.layout.generation + 1;
		r = open_source(h, capacity, ret_table);
		if (r < 0)
			give_up_source(h, r);
		h->resuming = r >= 0;
		if (r > 0)
			return 0;
	}
	r = table_init(ret_table, capacity);
	if (r < 0)
		return r;
	ret_table->header->generation = generation;
	h->letter = free_letter(h);
	h->new_table = true;
	if (h->source.map != NULL) {
		atomic_store(&ret_table->header->next_number, h->source.layout.next_number);
		atomic_store(&ret_table->header->handed_over_at, h->source.layout.handed_over_at);
		copy_records(&h->source, ret_table);
	}
	return 0;
}

/* Gives the descriptor FD to the service manager's store under NAME. */
static void store(int fd, const char *name)
{
	char state[128];

	/* Without FDPOLL=0 the manager would watch it, and drop it at a hang-up. */
	(void)snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	int r = 0;

	r = sd_pid_notify_with_fds(0, 0, state, &fd, 1);
	if (r < 0)
		record_note(
			RECORD_TROUBLE,
			"The service manager does not keep %s, so nothing survives a restart: %s",
			name, strerrordesc_np(-r));
}

/* Notes how long clients had to wait: from the earlier process's last word, if it had one. */
static void measure(struct handover *h)
{
	struct table_header *header = h->roster->table.header;
	usec_t left_at = atomic_exchange(&header->handed_over_at, 0);
	usec_t now = clock_now();

	h->figures.orderly = left_at != 0 && left_at <= h->started;
	h->figures.freeze = now - (h->figures.orderly ? left_at : h->started);
}

void handover_store(struct handover *h)
{
	if (!h->enabled)
		return;
	atomic_store(&h->roster->table.header->complete, 1);
	/* What had the name before is of no use; the store would keep both. */
	if (h->new_table) {
		unstore(table_names[h->letter]);
		store(h->roster->table.fd, table_names[h->letter]);
	}
	if (h->new_vault) {
		unstore(HANDOVER_VAULT_IN);
		unstore(HANDOVER_VAULT_OUT);
		store(h->vault.in, HANDOVER_VAULT_IN);
		store(h->vault.out, HANDOVER_VAULT_OUT);
	}
	keepsakes_start(store, unstore);
	/* From here on a turn that ends in its middle is a crash again. */
	measure(h);
}

static void tell(const struct handover *h)
{
	char carried[24], lost[24], freeze[24];
	const struct record_field fields[] = {
		{"MARCEL_CARRIED", carried},
		{"MARCEL_LOST", lost},
		{"MARCEL_FREEZE_USEC", freeze},
	};

	(void)snprintf(carried, sizeof(carried), "%" PRIu64, h->figures.carried);
	(void)snprintf(lost, sizeof(lost), "%" PRIu64, h->figures.lost);
	(void)snprintf(freeze, sizeof(freeze), "%" PRIu64, h->figures.freeze);
	record_event(RECORD_RESUMED, NULL, fields, sizeof(fields) / sizeof(fields[0]),
		     "Carried over %" PRIu64 " conversations after %s, lost %" PRIu64
		     "; they waited %" PRIu64 " ms; of %" PRIu64 " the last reply may be repeated",
		     h->figures.carried, h->figures.orderly ? "a handover" : "a crash",
		     h->figures.lost, h->figures.freeze / USEC_PER_MSEC, h->figures.repeated);
}

void handover_ready(struct handover *h)
{
	if (h->enabled) {
		atomic_store(&h->roster->table.header->attempts, 0);
		if (h->resuming || h->figures.lost > 0)
			tell(h);
		unstore(table_names[!h->letter]);
		drop_source(h);
		keepsakes_forget_rest();
	}
	roster_open_gate(h->roster);
}

/* A vault_fd_fn. */
static int fd_of(void *context, uint32_t slot)
{
	const struct handover *h = context;

	return h->roster->conversations[slot].wire.fd;
}

static void clean(struct handover *h)
{
	int r = vault_clean(&h->vault, fd_of, h);

	if (r < 0 && !h->complained)
		record_note(RECORD_TROUBLE, "The vault of sockets cannot be cleaned: %s",
			    strerrordesc_np(-r));
	h->complained = h->complained || r < 0;
}

static void clean_if_due(struct handover *h)
{
	if (vault_needs_cleaning(&h->vault))
		clean(h);
}

void handover_keep(struct handover *h, uint32_t index, int fd)
{
	int r;

	/* A new conversation has no wire yet, so cleaning comes before it is kept, never after. */
	clean_if_due(h);
	r = vault_keep(&h->vault, index, fd);
	/* Others of this user may have much in flight too. */
	if (r == -ETOOMANYREFS && h->vault.dead > 0) {
		clean(h);
		r = vault_keep(&h->vault, index, fd);
	}
	if (r == 0) {
		h->complained = false;
		return;
	}
	/* It is served all the same; a restart would lose it. */
	if (!h->complained)
		record_note(RECORD_TROUBLE, "A new conversation would not survive a restart: %s",
			    strerrordesc_np(-r));
	h->complained = true;
}

void handover_over(struct handover *h, uint32_t index)
{
	if (!h->enabled)
		return;
	vault_forget(&h->vault, index);
	clean_if_due(h);
}

void handover_leave(struct handover *h)
{
	atomic_store(&h->roster->table.header->handed_over_at, clock_now());
}
