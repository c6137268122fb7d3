/*
 * The audit: after the daemon has died, every conversation is looked at as it was left, in the
 * table and in the kernel, and compared with what its client knows (clients.h). It reads the vault,
 * by looking, as the next daemon will.
 */
#pragma once

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "clients.h"
#include "handover/counters.h"

struct audit {
	struct snapshot_layout layout;
	void *map;
	int *fds; /* by slot */
	struct vault vault;
	bool killed; /* the daemon did not leave in good order */
	uint64_t conversations;
	uint64_t taken;   /* of these: with another responder over theirs */
	uint32_t crashes; /* the most that were, or will be, counted against one of them */
};

static inline uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size), 0);
	return cookie;
}

static inline uint32_t audit_owner(void *context, int fd)
{
	const struct audit *audit = context;
	uint64_t cookie = cookie_of(fd);

	for (uint32_t i = 0; i < audit->layout.used; i++) {
		struct snapshot s;

		if (snapshot_read_slot(&audit->layout, audit->map, i, &s) == 1 &&
		    s.cookie == cookie)
			return i;
	}
	return VAULT_NOBODY;
}

/* The newest whole table of the store. Returns false when there is none. */
static inline bool find_table(const struct world *world, struct snapshot_layout *ret, int *ret_fd)
{
	static const char *const names[] = {HANDOVER_TABLE_A, HANDOVER_TABLE_B};
	bool found = false;

	for (size_t i = 0; i < 2; i++) {
		int fd = stored_fd(world, names[i]);
		struct snapshot_layout layout;
		struct table_header header;
		struct stat st;

		if (fd < 0)
			continue;
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
		assert_int_equal(snapshot_read_header(&header, sizeof(header), (uint64_t)st.st_size,
						      &layout),
				 0);
		if (!layout.complete || (found && layout.generation < ret->generation))
			continue;
		*ret = layout;
		*ret_fd = fd;
		found = true;
	}
	return found;
}

static inline int ioctl_number(int fd, unsigned long request)
{
	int number = 0;

	assert_int_equal(ioctl(fd, request, &number), 0);
	return number;
}

/*
 * What a unix socket tells: how much was taken out, or is noted and still to be; and how much was
 * sent, which the client has read before.
 */
static inline void count_unix(const struct client *client, const struct snapshot *s, int fd,
			      struct counters *ret)
{
	uint64_t taken = client->sent - (uint64_t)ioctl_number(fd, SIOCINQ);
	uint64_t left = s->in_read - s->in_consumed;
	int ahead = 0;
	socklen_t size = sizeof(ahead);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &ahead, &size), 0);
	if (ahead >= 0 && (uint64_t)ahead >= left)
		taken += left;
	if (s->turn.phase < PHASE_LINGER)
		assert_int_equal(taken, s->in_read);
	*ret = (struct counters){.connected = true, .read = taken, .written = client->seen};
}

/* The turn in force is one that CLIENT's messages make. */
static inline void check_turn(const struct client *client, const struct snapshot *s)
{
	const struct slot_turn *turn = &s->turn;
	const struct mark *mark = &client->marks[turn->messages];
	struct tally tally;

	memcpy(&tally, s->below[0] == '\0' ? s->state : s->state + MARCEL_STATE_MAX - s->turn.tail,
	       sizeof(tally));
	if (turn->phase == PHASE_GREETING) {
		assert_int_equal(turn->out_end, 0);
		assert_int_equal(turn->in_taken, 0);
		return;
	}
	if (turn->messages >= client->n_marks || tally.count != mark->tally.count)
		print_error("client %s: phase %u, flags %x, messages %" PRIu64
			    " of %zu, taken %" PRIu64 ", out %" PRIu64 ", count %" PRIu64
			    ", number %" PRIu64 "\n",
			    client->peer, turn->phase, turn->flags, turn->messages, client->n_marks,
			    turn->in_taken, turn->out_end, tally.count, s->number);
	assert_true(turn->messages < client->n_marks);
	assert_int_equal(tally.count, mark->tally.count);
	assert_int_equal(tally.sum, mark->tally.sum);
	if (tally.again > 0) {
		assert_int_equal(turn->in_taken, mark[-1].in_end);
		assert_in_range(turn->out_end, mark[-1].out_end + 1, mark->out_end);
	} else if (turn->phase <= PHASE_PARTING) {
		assert_int_equal(turn->in_taken, mark->in_end);
		assert_int_equal(turn->out_end, mark->out_end);
	} else {
		assert_int_equal(turn->out_end, client->out.used);
	}
}

/* Every byte is accounted for: KERNEL's numbers lead to places in the buffers that hold it. */
static inline void check_streams(const struct client *client, const struct snapshot *s,
				 const struct counters *kernel)
{
	assert_true(s->out_sent <= kernel->written);
	assert_true(client->seen <= kernel->written);
	assert_in_range(kernel->written, s->turn.out_base, s->turn.out_end);
	assert_memory_equal(s->out + (kernel->written - s->turn.out_base),
			    client->out.bytes + kernel->written, s->turn.out_end - kernel->written);
	if (s->turn.phase == PHASE_LINGER)
		return;
	assert_true(s->in_read <= kernel->read);
	assert_true(kernel->read <= client->sent);
	assert_true(s->turn.in_taken <= s->in_read);
	assert_true(kernel->read - s->turn.in_base <= slot_in_room(&s->turn));
	assert_memory_equal(s->in + (s->turn.in_taken - s->turn.in_base),
			    client->in.bytes + s->turn.in_taken, kernel->read - s->turn.in_taken);
}

/*
 * Where nobody counts what was sent, the last turn's replies come again from where a daemon that
 * was killed knew to be: the client is told to expect that.
 */
static inline void allow_repetition(struct client *client, const struct snapshot *s, bool killed)
{
	const struct mark *mark = &client->marks[s->turn.messages];
	uint64_t again = client->seen - s->out_sent;

	assert_true(killed || again == 0);
	if (s->turn.phase == PHASE_DIALOGUE && s->turn.messages > 0)
		assert_true(again == 0 || s->out_sent >= mark[-1].out_end);
	client->repeated += again;
	client->seen = s->out_sent;
}

static inline void audit_slot(struct audit *audit, struct client *client, uint32_t slot,
			      const struct snapshot *s)
{
	struct counters kernel;
	uint32_t crashes;

	if (audit->fds[slot] < 0) {
		/* It died between taking the slot and keeping the socket. */
		assert_int_equal(client->seen, 0);
		return;
	}
	assert_int_equal(counters_read(audit->fds[slot], &kernel), 0);
	assert_int_equal(kernel.tcp, client->tcp);
	if (!kernel.tcp)
		count_unix(client, s, audit->fds[slot], &kernel);
	check_turn(client, s);
	if (kernel.connected)
		check_streams(client, s, &kernel);
	if (!kernel.tcp)
		allow_repetition(client, s, audit->killed);
	audit->conversations++;
	audit->taken += s->below[0] != '\0';
	crashes = s->crashes + (audit->killed && s->in_flight ? 1 : 0);
	if (crashes > audit->crashes)
		audit->crashes = crashes;
}

/* The slot of CLIENT's conversation, or VAULT_NOBODY. */
static inline uint32_t find_slot(const struct audit *audit, const struct client *client,
				 struct snapshot *ret)
{
	uint32_t slot = VAULT_NOBODY;

	for (uint32_t i = 0; i < audit->layout.used; i++) {
		struct snapshot s;
		int r = snapshot_read_slot(&audit->layout, audit->map, i, &s);

		assert_true(r >= 0);
		if (r == 0 || strcmp(s.peer, client->peer) != 0)
			continue;
		assert_int_equal(slot, VAULT_NOBODY);
		*ret = s;
		slot = i;
	}
	return slot;
}

static inline void open_audit(struct audit *audit, const struct world *world, int table)
{
	uint32_t slots = audit->layout.capacity;

	audit->map = mmap(NULL, audit->layout.size, PROT_READ, MAP_SHARED, table, 0);
	assert_true(audit->map != MAP_FAILED);
	audit->fds = malloc(slots * sizeof(*audit->fds));
	assert_non_null(audit->fds);
	for (uint32_t i = 0; i < slots; i++)
		audit->fds[i] = -1;
	assert_int_equal(vault_adopt(&audit->vault,
				     fcntl(stored_fd(world, HANDOVER_VAULT_IN), F_DUPFD_CLOEXEC, 0),
				     fcntl(stored_fd(world, HANDOVER_VAULT_OUT), F_DUPFD_CLOEXEC,
					   0),
				     slots),
			 0);
	assert_int_equal(vault_read(&audit->vault, audit->fds, audit_owner, audit), 0);
}

static inline void close_audit(struct audit *audit)
{
	for (uint32_t i = 0; i < audit->layout.capacity; i++)
		close_fd(&audit->fds[i]);
	free(audit->fds);
	vault_done(&audit->vault);
	(void)munmap(audit->map, audit->layout.size);
}

/* Compares what the daemon left with what CLIENTS know, and tells what there was. */
static inline struct audit audit_all(const struct world *world, struct client *clients, size_t n,
				     bool killed)
{
	struct audit audit = {.killed = killed};
	int table;

	if (!find_table(world, &audit.layout, &table))
		return audit;
	/* What was sent to a unix socket is only known once it is read. */
	for (size_t i = 0; i < n; i++)
		while (!clients[i].tcp && hear(&clients[i], world, SIZE_MAX))
			;
	open_audit(&audit, world, table);
	for (size_t i = 0; i < n; i++) {
		struct snapshot s = {.number = 0};
		uint32_t slot = find_slot(&audit, &clients[i], &s);

		if (slot != VAULT_NOBODY)
			audit_slot(&audit, &clients[i], slot, &s);
		else
			/* Not accepted yet, or over. */
			assert_true(clients[i].seen == 0 || clients[i].ending);
	}
	close_audit(&audit);
	return audit;
}
