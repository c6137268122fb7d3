/*
 * Resuming: the part of the handover that goes through the saved conversations one by one. The
 * reasoning is in handover.c.
 *
 * Each conversation found in the table is matched with its socket by SO_COOKIE, reconciled with
 * what the kernel counted, and started by the roster's ordinary constructor. What does not fit
 * together is ended and recorded with its reason; it never stops the others.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "handover/counters.h"
#include "handover/handover.h"
#include "handover/losses.h"
#include "record/record.h"
#include "respond/keepsake.h"

#define CRASHES_MAX 3

/* A saved conversation on its way into the present table. */
struct candidate {
	uint64_t cookie;
	uint32_t from; /* its slot in the table that is read */
	uint32_t to;   /* its slot in the present table */
};

struct resumption {
	struct handover *handover;
	struct roster *roster;
	const void *map; /* the table that is read; the present one's own, if it was adopted */
	const struct snapshot_layout *layout;
	bool in_place;
	struct candidate *candidates; /* by cookie */
	size_t n;
	int *fds;       /* by slot of the present table: its socket, or -1 */
	int *strangers; /* accepted clients that nobody has greeted */
	size_t n_strangers;
};

static const char *loss_name(enum handover_loss loss)
{
#define LOSS_NAME(NAME, reason, sentence) [LOSS_##NAME] = (reason),
	static const char *const names[LOSS_COUNT] = {HANDOVER_LOSSES(LOSS_NAME)};
#undef LOSS_NAME

	return names[loss];
}

static const char *loss_sentence(enum handover_loss loss)
{
#define LOSS_SENTENCE(NAME, reason, sentence) [LOSS_##NAME] = (sentence),
	static const char *const sentences[LOSS_COUNT] = {HANDOVER_LOSSES(LOSS_SENTENCE)};
#undef LOSS_SENTENCE

	return sentences[loss];
}

static struct record_about about_of(const struct snapshot *snapshot)
{
	return (struct record_about){
		.number = snapshot->number,
		.id = snapshot->id,
		.peer = snapshot->peer,
		.listener = snapshot->listener,
	};
}

/* Records that a conversation could not come along; SNAPSHOT NULL: nothing is known of it. */
static void record_loss(struct handover *h, const struct snapshot *snapshot,
			enum handover_loss loss)
{
	const struct record_field reason = {"MARCEL_REASON", loss_name(loss)};
	struct record_about about;

	h->figures.lost++;
	if (snapshot == NULL) {
		record_event(RECORD_NOT_CARRIED, NULL, &reason, 1,
			     "A conversation could not come along: %s", loss_sentence(loss));
		return;
	}
	about = about_of(snapshot);
	record_event(RECORD_NOT_CARRIED, &about, &reason, 1,
		     "Conversation %" PRIu64 " with %s could not come along: %s", snapshot->number,
		     snapshot->peer, loss_sentence(loss));
}

/* Says of a conversation that its client may see something twice. */
static void record_repeated(const struct snapshot *snapshot)
{
	struct record_about about = about_of(snapshot);

	record_event(RECORD_NOTICE, &about, NULL, 0,
		     "Conversation %" PRIu64 ": the last reply may reach the client twice",
		     snapshot->number);
}

static int compare_candidates(const void *a, const void *b)
{
	const struct candidate *left = a, *right = b;

	return (left->cookie > right->cookie) - (left->cookie < right->cookie);
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

/* Remembers a client that can begin once the others have been resumed. */
static void keep_stranger(struct resumption *r, int fd)
{
	int *more = reallocarray(r->strangers, r->n_strangers + 1, sizeof(*more));
	int own;

	if (more == NULL)
		return;
	r->strangers = more;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own >= 0)
		r->strangers[r->n_strangers++] = own;
}

/*
 * A descriptor that no saved conversation owns: a new client; what is left of an old one; or one
 * whose state was lost, and whose client is to see an orderly end. The vault's copy stays open
 * until it is cleaned, so it has to be shut down to be over.
 */
static void meet_stranger(struct resumption *r, int fd)
{
	struct handover *h = r->handover;
	struct counters counters;
	bool is_socket = counters_read(fd, &counters) == 0;

	if (is_socket && counters.tcp && counters.connected && counters.read == 0 &&
	    counters.written == 0) {
		keep_stranger(r, fd);
		return;
	}
	(void)shutdown(fd, SHUT_RDWR);
	if (!is_socket)
		record_loss(h, NULL, LOSS_NOT_A_SOCKET);
	else if (counters.connected && !h->resuming)
		record_loss(h, NULL, LOSS_NO_STATE);
}

/* A vault_owner_fn. */
static uint32_t find_owner(void *context, int fd)
{
	struct resumption *r = context;
	struct candidate key = {.cookie = cookie_of(fd)};
	const struct candidate *found = NULL;

	if (key.cookie != 0 && r->n > 0)
		found = bsearch(&key, r->candidates, r->n, sizeof(key), compare_candidates);
	if (found != NULL)
		return found->to;
	meet_stranger(r, fd);
	return VAULT_NOBODY;
}

/* Lists the saved conversations and gives each its place in the present table. */
static int list_candidates(struct resumption *r)
{
	r->candidates = calloc((size_t)r->layout->used + 1, sizeof(*r->candidates));
	if (r->candidates == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->layout->used; i++) {
		struct snapshot snapshot;
		uint32_t to = i;
		int found = snapshot_read_slot(r->layout, r->map, i, &snapshot);

		if (found == 0)
			continue;
		if (found > 0 && !r->in_place && roster_reserve(r->roster, &to) < 0) {
			record_loss(r->handover, &snapshot, LOSS_SYSTEM);
			continue;
		}
		if (found < 0) {
			record_loss(r->handover, &snapshot, LOSS_BAD_STATE);
			if (r->in_place)
				roster_discard(r->roster, i);
			continue;
		}
		r->candidates[r->n++] =
			(struct candidate){.cookie = snapshot.cookie, .from = i, .to = to};
	}
	qsort(r->candidates, r->n, sizeof(*r->candidates), compare_candidates);
	return 0;
}

/*
 * Sets the streams of SNAPSHOT to where they really are. *RET_REPEATED says that the last reply may
 * reach the client twice.
 */
static enum handover_loss reconcile(struct snapshot *s, int fd, bool *ret_repeated)
{
	struct counters counters;

	*ret_repeated = false;
	if (counters_read(fd, &counters) < 0)
		return LOSS_NOT_A_SOCKET;
	if (!counters.tcp) {
		*ret_repeated = s->out_sent < s->turn.out_end;
		return LOSS_NONE;
	}
	/* Its thread will see the end, and say so. */
	if (!counters.connected || s->turn.phase == PHASE_LINGER)
		return LOSS_NONE;
	if (counters.read < s->turn.in_taken ||
	    counters.read - s->turn.in_base > slot_in_room(&s->turn) ||
	    counters.written < s->turn.out_base || counters.written > s->turn.out_end)
		return LOSS_MISMATCH;
#ifndef MARCEL_FAULTY_RESUME /* the tests build it without, and must notice */
	s->in_read = counters.read;
	s->out_sent = counters.written;
#endif
	return LOSS_NONE;
}

/* Finishes what was begun with a socket that is read by looking first (wire.h). */
static void finish_peeking(struct snapshot *s, int fd)
{
	const int from_the_start = 0;
	char scratch[4096];
	int ahead = 0;
	socklen_t size = sizeof(ahead);
	uint64_t left = s->in_read - s->in_consumed;

	/* vsock has no such offset: what was noted counts as taken, and may come again. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &ahead, &size) < 0 || ahead < 0)
		ahead = 0;
	/*
	 * What was noted and not taken out is what the kernel is still ahead by; if this is cut
	 * short, the next process sees the same.
	 */
	while (ahead > 0 && left > 0) {
		size_t most = left < (uint64_t)ahead ? (size_t)left : (size_t)ahead;
		ssize_t n = recv(fd, scratch, most < sizeof(scratch) ? most : sizeof(scratch),
				 MSG_DONTWAIT);

		if (n <= 0)
			break;
		left -= (uint64_t)n;
		ahead -= (int)n;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &from_the_start, sizeof(from_the_start));
	s->in_consumed = s->in_read;
}

/* Counts a crash in this conversation's turn. Returns whether there were too many. */
static bool crashed_too_often(const struct resumption *r, struct snapshot *s)
{
	/* An orderly handover ends turns in their middle as well. */
	if (!s->in_flight || atomic_load(&r->roster->table.header->handed_over_at) != 0)
		return false;
	s->crashes++;
	/* A crash before its next turn begins is not its own. */
	s->in_flight = false;
	return s->crashes >= CRASHES_MAX;
}

/* Whether what RESPONDER needs besides SIZE bytes of state at STATE came along. */
static bool has_keepsake(const struct snapshot *s, const struct marcel_responder_ops *responder,
			 const void *state, size_t size)
{
	char name[KEEPSAKE_NAME_MAX];

	if (responder->keepsake == NULL || s->turn.phase >= PHASE_PARTING)
		return true;
	if (responder->keepsake(state, size, name, sizeof(name)) < 0)
		return false;
	return name[0] == '\0' || keepsakes_need(name);
}

/* Whether a state of SIZE bytes can be one of RESPONDER's present version. */
static bool has_right_size(size_t size, const struct marcel_responder_ops *responder)
{
	/* Such a one says itself how much of the state matters. */
	if (responder->state_begin > 0)
		return size <= responder->state_size;
	return size == responder->state_size;
}

/* Whether FLAGS of TURN_* can be those of RESPONDER: only wake() makes it want messages again. */
static bool has_right_flags(const struct snapshot *s, uint8_t flags,
			    const struct marcel_responder_ops *responder)
{
	return (flags & TURN_HOLDS) == 0 || responder->wake != NULL ||
	       s->turn.phase >= PHASE_PARTING;
}

/* Finds who is suspended, and sees that it can read its state. */
static enum handover_loss find_below(struct resumption *r, const struct snapshot *s,
				     struct roster_resumption *ret)
{
	struct handover *h = r->handover;
	const struct slot_switch *tail = slot_switch(&s->turn, s->state);
	const struct marcel_responder_ops *ops;
	void *shared;

	if (s->below[0] == '\0')
		return LOSS_NONE;
	if (!h->hooks.find_responder(h->hooks.context, s->below, &ops, &shared))
		return LOSS_NO_RESPONDER;
	if (!has_right_flags(s, tail->below_flags, ops))
		return LOSS_BAD_STATE;
	if (!has_keepsake(s, ops, s->state + MARCEL_STATE_MAX - s->turn.tail, tail->below_size))
		return LOSS_NO_KEEPSAKE;
	if ((tail->below_version != ops->state_version || !has_right_size(tail->below_size, ops)) &&
	    ops->restore == NULL)
		return LOSS_OTHER_STATE;
	ret->below = (struct conversation_below){ops, shared};
	return LOSS_NONE;
}

/* Finds the responder the state is for, and sees that it can read it. */
static enum handover_loss find_responder(struct resumption *r, const struct snapshot *s,
					 const struct conversation_origin *origin,
					 struct roster_resumption *ret)
{
	struct handover *h = r->handover;
	const struct face *face = origin->face;
	enum handover_loss loss;

	*ret = (struct roster_resumption){
		.origin = *origin,
		.responder = face->responder,
		.shared = face->responder_shared,
		.suspect = s->crashes > 0,
	};
	if (strcmp(face->responder->name, s->responder) != 0 &&
	    !h->hooks.find_responder(h->hooks.context, s->responder, &ret->responder, &ret->shared))
		return LOSS_NO_RESPONDER;
	if (!has_right_flags(s, s->turn.flags, ret->responder))
		return LOSS_BAD_STATE;
	if (!has_keepsake(s, ret->responder, s->state, s->turn.state_size))
		return LOSS_NO_KEEPSAKE;
	loss = find_below(r, s, ret);
	if (loss != LOSS_NONE)
		return loss;
	if (s->turn.state_version == ret->responder->state_version &&
	    has_right_size(s->turn.state_size, ret->responder))
		return LOSS_NONE;
	return ret->responder->restore != NULL ? LOSS_NONE : LOSS_OTHER_STATE;
}

/* Puts what is known now into the slot, wherever it was read from. */
static void settle_slot(struct resumption *r, const struct candidate *c, const struct snapshot *s)
{
	struct slot_head *head = &r->roster->table.heads[c->to];

	if (!r->in_place) {
		struct slot slot = table_slot(&r->roster->table, c->to);

		snapshot_write_slot(s, &slot);
		return;
	}
	head->crashes = s->crashes;
	atomic_store(&head->in_flight, 0);
	atomic_store(&head->in_read, s->in_read);
	atomic_store(&head->out_sent, s->out_sent);
	atomic_store(&head->in_consumed, s->in_consumed);
}

/* Carries on with one conversation on the socket *FD, which it takes if that works. */
static enum handover_loss resume_one(struct resumption *r, const struct candidate *c,
				     struct snapshot *s, int *fd)
{
	struct handover *h = r->handover;
	struct conversation_origin origin;
	struct roster_resumption how;
	enum handover_loss loss;
	bool repeated;

	loss = reconcile(s, *fd, &repeated);
	if (loss != LOSS_NONE)
		return loss;
	if (crashed_too_often(r, s))
		return LOSS_CRASHES;
	(void)memcpy(origin.key, s->key, sizeof(origin.key));
	origin.keyed = s->keyed;
	h->hooks.admit(h->hooks.context, s->listener, &origin);
	loss = find_responder(r, s, &origin, &how);
	if (loss == LOSS_NONE) {
		finish_peeking(s, *fd);
		settle_slot(r, c, s);
		if (roster_resume(r->roster, c->to, *fd, &how) < 0)
			loss = LOSS_SYSTEM;
	}
	if (loss != LOSS_NONE) {
		h->hooks.dismiss(h->hooks.context, &origin);
		return loss;
	}
	(void)take_fd(fd);
	/* What only lingers is over already, as its client knows. */
	h->figures.carried += s->turn.phase != PHASE_LINGER;
	if (repeated) {
		h->figures.repeated++;
		record_repeated(s);
	}
	return LOSS_NONE;
}

/* Whether the client has seen nothing of it, nor marceld anything of the client. */
static bool has_not_begun(const struct snapshot *s)
{
	return s->turn.phase == PHASE_GREETING && s->turn.out_end == 0 && s->in_read == 0 &&
	       s->turn.messages == 0;
}

static void resume_each(struct resumption *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct candidate *c = &r->candidates[i];
		int *fd = &r->fds[c->to];
		enum handover_loss loss = LOSS_NO_SOCKET;
		struct snapshot snapshot;

		if (snapshot_read_slot(r->layout, r->map, c->from, &snapshot) != 1)
			continue;
		if (*fd >= 0)
			loss = resume_one(r, c, &snapshot, fd);
		if (loss == LOSS_NONE)
			continue;
		/* Without a socket, such a one was not in the vault yet (handover.c, 2). */
		if (*fd >= 0 || !has_not_begun(&snapshot))
			record_loss(r->handover, &snapshot, loss);
		if (*fd >= 0) {
			(void)shutdown(*fd, SHUT_RDWR);
			close_fd(fd);
		}
		vault_forget(&r->handover->vault, c->to);
		roster_discard(r->roster, c->to);
	}
}

static void welcome_strangers(struct resumption *r)
{
	for (size_t i = 0; i < r->n_strangers; i++)
		r->handover->hooks.welcome(r->handover->hooks.context, r->strangers[i]);
}

/* Opens the vault that was kept, or a new one. */
static int open_vault(struct handover *h, uint32_t slots)
{
	int in = take_fd(&h->ends[0]), out = take_fd(&h->ends[1]);

	if (in >= 0 && out >= 0 && vault_adopt(&h->vault, in, out, slots) == 0)
		return 1;
	if (in >= 0 && h->vault.in < 0)
		close_fd(&in);
	if (out >= 0 && h->vault.out < 0)
		close_fd(&out);
	vault_done(&h->vault);
	h->new_vault = true;
	return vault_init(&h->vault, slots);
}

/* Reads the vault; says what could not be had. */
static int read_vault(struct resumption *r)
{
	int lost = vault_read(&r->handover->vault, r->fds, find_owner, r);

	if (lost > 0)
		record_note(RECORD_NOT_CARRIED,
			    "The limit of descriptors (LimitNOFILE=) is too low to take all sockets "
			    "over: %d messages were cut",
			    lost);
	return lost < 0 ? lost : 0;
}

static int resume_all(struct resumption *r)
{
	uint32_t capacity = r->roster->table.header->capacity;
	int adopted = open_vault(r->handover, capacity);
	int error = 0;

	if (adopted < 0)
		return adopted;
	vault_set_limit(&r->handover->vault, r->handover->limit, r->handover->share);
	r->fds = malloc(capacity * sizeof(*r->fds));
	if (r->fds == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < capacity; i++)
		r->fds[i] = -1;
	if (r->handover->resuming)
		error = list_candidates(r);
	if (error == 0 && adopted > 0)
		error = read_vault(r);
	if (error == 0)
		resume_each(r);
	welcome_strangers(r);
	return error;
}

int handover_resume(struct handover *h, struct roster *roster)
{
	struct snapshot_layout own = {.version = 0};
	struct resumption r = {.handover = h, .roster = roster};
	int error;

	h->roster = roster;
	if (!h->enabled)
		return 0;
	r.in_place = h->source.map == NULL;
	r.map = r.in_place ? roster->table.header : h->source.map;
	r.layout = r.in_place ? &own : &h->source.layout;
	if (r.in_place)
		error = snapshot_read_header(roster->table.header, sizeof(*roster->table.header),
					     roster->table.header->size, &own);
	else
		error = 0;
	if (error == 0)
		error = resume_all(&r);
	free(r.candidates);
	free(r.fds);
	free(r.strangers);
	return error;
}
