/* Keeping sockets in flight; the idea is in vault.h. */
#include "base/vault.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Each message's only bytes, so that the kernel has something to carry the descriptors with. */
#define NOTE_SIZE 8
static char note[NOTE_SIZE] = "socket"; /* never written to; an iovec wants it writable */

/* What one message takes of the socket's buffer, rounded up: 768 bytes were seen. */
#define MESSAGE_COST  1024
#define BUFFER_WANTED (4 * 1024 * 1024)

/* So many messages are put together: peeking goes through all those before each, which took
 * 140 ms of a restart for 6,000 and takes 18 ms for these. */
#define MESSAGES_MANY 2048

/* Near the limit of descriptors cleaning is due when so many are dead. */
#define DEAD_AT_LIMIT 16
/* Elsewhere when there are more dead than live ones, or than this part of its share: what is dead
 * lies there until something happens in this vault, while another one may want the room. */
#define DEAD_PART 8

/* What all vaults of this process hold. */
static _Atomic uint64_t in_flight;

/* Room for the control message of a batch. */
union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(VAULT_BATCH * sizeof(int))];
};

static struct vault_message *message(const struct vault *vault, uint64_t number)
{
	return &vault->messages[number % vault->room];
}

static const uint32_t *members(const struct vault_message *m)
{
	return m->members != NULL ? m->members : &m->only;
}

static int init_bookkeeping(struct vault *vault, uint32_t slots)
{
	int size = BUFFER_WANTED;
	socklen_t length = sizeof(size);

	/* The kernel gives less where it may not give more (net.core.wmem_max). */
	(void)setsockopt(vault->in, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (getsockopt(vault->in, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0)
		return -errno;
	vault->n_max = (size_t)size / MESSAGE_COST;
	/* One message more than there can be: numbers of neighbours must not collide. */
	vault->room = 2 * vault->n_max + 1;
	vault->messages = calloc(vault->room, sizeof(*vault->messages));
	vault->where = malloc(slots * sizeof(*vault->where));
	if (vault->messages == NULL || vault->where == NULL)
		return -ENOMEM;
	vault->slots = slots;
	vault->batch = VAULT_BATCH;
	vault->limit = vault->share = UINT64_MAX;
	for (uint32_t i = 0; i < slots; i++)
		vault->where[i] = VAULT_NOWHERE;
	return 0;
}

int vault_init(struct vault *vault, uint32_t slots)
{
	int pair[2];

	*vault = (struct vault){.in = -1, .out = -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	vault->in = pair[0];
	vault->out = pair[1];
	return init_bookkeeping(vault, slots);
}

/* Whether FD is one end of a pair of the vault's kind. */
static bool is_end(int fd)
{
	int domain = 0, type = 0;
	socklen_t size = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
		return false;
	size = sizeof(type);
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && domain == AF_UNIX &&
	       type == SOCK_SEQPACKET;
}

int vault_adopt(struct vault *vault, int in, int out, uint32_t slots)
{
	*vault = (struct vault){.in = in, .out = out};
	if (!is_end(in) || !is_end(out))
		return -EINVAL;
	return init_bookkeeping(vault, slots);
}

void vault_set_limit(struct vault *vault, uint64_t limit, uint64_t share)
{
	vault->limit = limit;
	vault->share = share;
	vault->batch = vault_batch(limit);
}

void vault_done(struct vault *vault)
{
	(void)atomic_fetch_sub(&in_flight, (uint64_t)vault->live + vault->dead);
	for (uint64_t i = 0; i < vault->n; i++)
		free(message(vault, vault->first + i)->members);
	free(vault->messages);
	free(vault->where);
	close_fd(&vault->in);
	close_fd(&vault->out);
	*vault = (struct vault){.in = -1, .out = -1};
}

/* Appends a message of COUNT members to the books; SLOTS may be this function's to copy. */
static int enter(struct vault *vault, const uint32_t *slots, uint16_t count)
{
	struct vault_message *m;
	uint32_t *copy = NULL;

	if (vault->n == vault->room)
		return -ENOBUFS;
	if (count > 1) {
		copy = malloc(count * sizeof(*copy));
		if (copy == NULL)
			return -ENOMEM;
		(void)memcpy(copy, slots, count * sizeof(*copy));
	}
	m = message(vault, vault->first + vault->n);
	*m = (struct vault_message){.members = copy,
				    .only = count > 0 ? slots[0] : VAULT_NOBODY,
				    .count = count};
	vault->n++;
	return 0;
}

/* SLOT's socket is in the last message now, and what was elsewhere of it is dead. */
static void move_to_last(struct vault *vault, uint32_t slot)
{
	uint64_t last = vault->first + vault->n - 1;

	vault_forget(vault, slot);
	vault->where[slot] = last;
	message(vault, last)->live++;
	vault->live++;
}

void vault_forget(struct vault *vault, uint32_t slot)
{
	if (vault->where == NULL || vault->where[slot] == VAULT_NOWHERE)
		return;
	message(vault, vault->where[slot])->live--;
	vault->where[slot] = VAULT_NOWHERE;
	vault->live--;
	vault->dead++;
}

static int send_message(const struct vault *vault, const int *fds, size_t count)
{
	union control control;
	struct iovec part = {.iov_base = note, .iov_len = sizeof(note)};
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};
	struct cmsghdr *c;

	(void)memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&header);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	(void)memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	for (;;) {
		if (sendmsg(vault->in, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

int vault_keep(struct vault *vault, uint32_t slot, int fd)
{
	int r = -ETOOMANYREFS;

	/* Above the limit, the kernel would take no batch any more. */
	if (atomic_fetch_add(&in_flight, 1) < vault->limit)
		r = enter(vault, &slot, 1);
	if (r == 0) {
		r = send_message(vault, &fd, 1);
		if (r < 0)
			vault->n--;
	}
	if (r < 0)
		(void)atomic_fetch_sub(&in_flight, 1);
	else
		move_to_last(vault, slot);
	return r < 0 ? r : 0;
}

/* Whether so many are in flight that it comes near the limit, or near the vault's share of it. */
static bool is_near_limit(const struct vault *vault)
{
	if ((uint64_t)vault->live + vault->dead + DEAD_AT_LIMIT > vault->share)
		return true;
	return atomic_load(&in_flight) + vault->batch + DEAD_AT_LIMIT > vault->limit;
}

bool vault_needs_cleaning(const struct vault *vault)
{
	/* A full pair could not be cleaned, since that sends first. */
	if (4 * vault->n >= 3 * vault->n_max || vault->n >= MESSAGES_MANY)
		return true;
	/* Near the limit a few are worth it; fewer would mean cleaning all the time. */
	if (is_near_limit(vault))
		return vault->dead >= DEAD_AT_LIMIT;
	return vault->dead > VAULT_BATCH &&
	       (vault->dead > vault->live || vault->dead > vault->share / DEAD_PART);
}

/* Drops the oldest message, which holds nothing that counts. */
static int drop_first(struct vault *vault)
{
	struct vault_message *m = message(vault, vault->first);
	char bytes[NOTE_SIZE];
	ssize_t n;

	do
		n = recv(vault->out, bytes, sizeof(bytes), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	vault->dead -= m->count;
	(void)atomic_fetch_sub(&in_flight, m->count);
	free(m->members);
	*m = (struct vault_message){.count = 0};
	vault->first++;
	vault->n--;
	return 0;
}

/* The live sockets of the oldest messages, as many as one message holds. */
struct batch {
	uint32_t slots[VAULT_BATCH];
	int fds[VAULT_BATCH];
	uint16_t count;
	size_t messages; /* the oldest ones that it empties */
};

static void gather(const struct vault *vault, size_t most, vault_fd_fn *fd_of, void *context,
		   struct batch *batch)
{
	for (; batch->messages < most; batch->messages++) {
		uint64_t number = vault->first + batch->messages;
		const struct vault_message *m = message(vault, number);

		/* One message may hold more than a batch: an earlier process had a higher limit. */
		if (batch->count > 0 && batch->count + m->live > vault->batch)
			return;
		for (size_t i = 0; i < m->count; i++) {
			uint32_t slot = members(m)[i];

			/* A dead member of this message may be a live one of another. */
			if (slot == VAULT_NOBODY || vault->where[slot] != number)
				continue;
			batch->slots[batch->count] = slot;
			batch->fds[batch->count++] = fd_of(context, slot);
		}
	}
}

static int clean_once(struct vault *vault, size_t most, vault_fd_fn *fd_of, void *context,
		      size_t *ret_messages)
{
	struct batch batch = {.count = 0};
	int r;

	/* What needs no room comes first: there may be none. */
	if (message(vault, vault->first)->live == 0) {
		*ret_messages = 1;
		return drop_first(vault);
	}
	gather(vault, most, fd_of, context, &batch);
	if (batch.count > 0) {
		r = enter(vault, batch.slots, batch.count);
		if (r < 0)
			return r;
		r = send_message(vault, batch.fds, batch.count);
		if (r < 0) {
			struct vault_message *m = message(vault, vault->first + vault->n - 1);

			free(m->members);
			m->members = NULL;
			vault->n--;
			return r;
		}
		(void)atomic_fetch_add(&in_flight, batch.count);
		for (size_t i = 0; i < batch.count; i++)
			move_to_last(vault, batch.slots[i]);
	}
	for (size_t i = 0; i < batch.messages; i++) {
		r = drop_first(vault);
		if (r < 0)
			return r;
	}
	*ret_messages = batch.messages;
	return 0;
}

int vault_clean(struct vault *vault, vault_fd_fn *fd_of, void *context)
{
	size_t left = vault->n;

	while (left > 0) {
		size_t done = 0;
		int r = clean_once(vault, left, fd_of, context, &done);

		if (r < 0)
			return r;
		left -= done;
	}
	return 0;
}

/* What one peek found. */
struct peeked {
	int fds[VAULT_BATCH];
	size_t count;
	bool truncated;
};

/* Looks at the next message. Returns 1, 0 when there is none, or a negative errno. */
static int peek(const struct vault *vault, struct peeked *ret)
{
	union control control;
	char bytes[NOTE_SIZE];
	struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(vault->out, &header, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	*ret = (struct peeked){.truncated = (header.msg_flags & MSG_CTRUNC) != 0};
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c != NULL; c = CMSG_NXTHDR(&header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		ret->count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		(void)memcpy(ret->fds, CMSG_DATA(c), ret->count * sizeof(int));
	}
	return n == 0 ? 0 : 1;
}

/* Enters a message that was found and hands its descriptors out. */
static int take_note(struct vault *vault, const struct peeked *found, int fds[],
		     vault_owner_fn *owner, void *context)
{
	uint32_t slots[VAULT_BATCH];
	int r;

	for (size_t i = 0; i < found->count; i++)
		slots[i] = owner(context, found->fds[i]);
	r = enter(vault, slots, (uint16_t)found->count);
	vault->dead += (uint32_t)found->count;
	(void)atomic_fetch_add(&in_flight, found->count);
	for (size_t i = 0; i < found->count; i++) {
		int fd = found->fds[i];

		if (slots[i] == VAULT_NOBODY || r < 0) {
			close_fd(&fd);
			continue;
		}
		/* The later entry of a socket counts; its descriptors are equal. */
		close_fd(&fds[slots[i]]);
		fds[slots[i]] = fd;
		move_to_last(vault, slots[i]);
		vault->dead--;
	}
	return r;
}

int vault_read(struct vault *vault, int fds[], vault_owner_fn *owner, void *context)
{
	const int from_the_start = 0, off = -1;
	struct peeked found = {.count = 0};
	int lost = 0;
	int r;

	/* Where an earlier reader stopped is kept in the socket. */
	if (setsockopt(vault->out, SOL_SOCKET, SO_PEEK_OFF, &from_the_start,
		       sizeof(from_the_start)) < 0)
		return -errno;
	while ((r = peek(vault, &found)) > 0) {
		lost += found.truncated;
		r = take_note(vault, &found, fds, owner, context);
		if (r < 0)
			break;
	}
	(void)setsockopt(vault->out, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off));
	return r < 0 ? r : lost;
}
