/* Accepting clients, and pausing when something is short; see acceptor.h. */
#include "listen/acceptor.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "record/record.h"

#define PAUSE      USEC_PER_SEC
#define TELL_EVERY (60 * USEC_PER_SEC)
/* After this many clients of one socket, others and ended conversations have their turn. */
#define ACCEPT_AT_ONCE 64

/* A peer that is silent is asked after this many seconds, then at these intervals, so often. */
#define KEEPALIVE_IDLE     60
#define KEEPALIVE_INTERVAL 15
#define KEEPALIVE_COUNT    4
/* Data that was not acknowledged for this long ends a connection: milliseconds (tcp(7)). */
#define USER_TIMEOUT 120000u

/*
 * Options of TCP. They are set on the listening socket, from which later clients inherit them on
 * Linux at no cost; and on each client that waited there already. On other families they fail, and
 * mean nothing there.
 */
static void prepare(int fd)
{
	const int on = 1, idle = KEEPALIVE_IDLE, interval = KEEPALIVE_INTERVAL;
	const int count = KEEPALIVE_COUNT;
	const unsigned user_timeout = USER_TIMEOUT;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	/* Out-of-band data stays in the stream: urgent bytes are bytes like others. */
	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof(user_timeout));
}

static void watch(struct acceptor *acceptor, bool on)
{
	for (size_t i = 0; i < acceptor->n_gates; i++)
		if (acceptor->gates[i].source != NULL)
			(void)sd_event_source_set_enabled(acceptor->gates[i].source,
							  on ? SD_EVENT_ON : SD_EVENT_OFF);
}

/* Stops accepting for a while because of ERROR, and says so once in a while. */
static void pause_accepting(struct acceptor *acceptor, int error, const char *what)
{
	usec_t now = clock_now();

	acceptor->paused = true;
	watch(acceptor, false);
	(void)sd_event_source_set_time(acceptor->retry, now + PAUSE);
	(void)sd_event_source_set_enabled(acceptor->retry, SD_EVENT_ONESHOT);
	if (acceptor->told != 0 && now - acceptor->told < TELL_EVERY)
		return;
	acceptor->told = now;
	acceptor->in_shortage = true;
	record_note(
		RECORD_SHORTAGE,
		"Cannot accept more clients: %s failed (%s); %u conversations go on, new clients "
		"wait",
		what, strerrordesc_np(-error), acceptor->roster->live);
}

/* A client could begin: the end of a shortage is told once, if its beginning was. */
static void note_recovery(struct acceptor *acceptor)
{
	if (!acceptor->in_shortage)
		return;
	acceptor->in_shortage = false;
	record_note(RECORD_RECOVERED, "Accepting clients again; %u conversations go on",
		    acceptor->roster->live);
}

/* Tells a client that it can't stay, and why to the journal. Takes FD over. */
static void refuse(int fd, const struct roster_arrival *arrival, enum admit_verdict verdict)
{
	const struct record_field fields[] = {
		{"MARCEL_REASON", admit_reason(verdict)},
		{"MARCEL_PEER", arrival->peer},
		{"MARCEL_LISTENER", arrival->listener},
	};
	char *text = arrival->origin.face->limits.refusal;
	struct iovec parts[] = {
		{.iov_base = text, .iov_len = strlen(text)},
		{.iov_base = (char[]){'\n'}, .iov_len = 1},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	if (text[0] != '\0')
		(void)sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	close_fd(&fd);
	record_event(RECORD_REFUSED, NULL, fields, sizeof(fields) / sizeof(fields[0]),
		     "Refused %s: %s", arrival->peer, admit_sentence(verdict));
}

/*
 * Begins the conversation of the client at FD, or refuses it; either way FD is taken over. Returns
 * a negative errno when it can't begin yet for want of a thread: FD is still the caller's then.
 */
static int welcome(struct acceptor *acceptor, int fd, const struct listener *listener,
		   const struct address *address)
{
	char peer[ADDRESS_TEXT_MAX];
	struct roster_arrival arrival = {
		.peer = address_format(address, peer, sizeof(peer)),
		.listener = listener->name,
	};
	struct conversation_origin *origin = &arrival.origin;
	enum admit_verdict verdict;
	const uint8_t *key;
	int r;

	origin->face = acceptor->hooks.face(acceptor->hooks.context, listener->name);
	origin->keyed = address_key(address, origin->key) > 0;
	key = origin->keyed ? origin->key : NULL;
	r = admit_face(&acceptor->admit, origin->face->name, &origin->counted_as);
	verdict = r < 0 ? ADMIT_MEMORY
			: admit_take(&acceptor->admit, origin->counted_as, &origin->face->limits,
				     key);
	if (verdict == ADMIT_OK) {
		r = roster_begin(acceptor->roster, fd, &arrival);
		if (r == 0) {
			note_recovery(acceptor);
			return 0;
		}
		admit_drop(&acceptor->admit, origin->counted_as, key);
	}
	if (r < 0) {
		acceptor->hooks.unface(acceptor->hooks.context, origin->face);
		return r;
	}
	refuse(fd, &arrival, verdict);
	acceptor->hooks.unface(acceptor->hooks.context, origin->face);
	return 0;
}

/* Begins the conversation that could not begin before. Returns false if it still can't. */
static bool welcome_waiting(struct acceptor *acceptor)
{
	int r;

	if (acceptor->waiting < 0)
		return true;
	r = welcome(acceptor, acceptor->waiting, acceptor->waiting_at, &acceptor->waiting_address);
	if (r < 0) {
		pause_accepting(acceptor, r, "beginning a conversation");
		return false;
	}
	acceptor->waiting = -1;
	return true;
}

/* Errors that are the one client's, which has gone again, or the network's (accept(2)). */
static bool is_passing(int error)
{
	switch (error) {
	case ECONNABORTED:
	case EINTR:
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case EOPNOTSUPP:
	case EPERM:
		return true;
	default:
		return false;
	}
}

/* Accepts one client. Returns false when there is none, or accepting has to pause. */
static bool accept_one(struct acceptor *acceptor, struct acceptor_gate *gate)
{
	const struct listener *listener = gate->listener;
	struct address address = {.length = sizeof(address.storage)};
	int fd, r;

	/* The last descriptors are not for clients (start.c). */
	if (acceptor->roster->n_free == 0) {
		pause_accepting(acceptor, -EMFILE, "finding room for another conversation");
		return false;
	}
	fd = accept4(listener->fd, &address.sa, &address.length, SOCK_CLOEXEC);
	if (fd < 0) {
		gate->drained = gate->drained || errno == EAGAIN;
		if (is_passing(errno))
			return true;
		if (errno != EAGAIN)
			pause_accepting(acceptor, -errno, "accept");
		return false;
	}
	if (!gate->drained)
		prepare(fd);
	r = welcome(acceptor, fd, listener, &address);
	if (r < 0) {
		acceptor->waiting = fd;
		acceptor->waiting_at = listener;
		acceptor->waiting_address = address;
		pause_accepting(acceptor, r, "beginning a conversation");
		return false;
	}
	return true;
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *argument)
{
	struct acceptor_gate *gate = argument;

	(void)source;
	(void)fd;
	(void)events;
	for (unsigned n = 0; n < ACCEPT_AT_ONCE && !gate->acceptor->paused; n++)
		if (!accept_one(gate->acceptor, gate))
			break;
	return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *argument)
{
	(void)source;
	(void)usec;
	acceptor_resume(argument);
	return 0;
}

void acceptor_resume(struct acceptor *acceptor)
{
	if (!acceptor->paused)
		return;
	acceptor->paused = false;
	(void)sd_event_source_set_enabled(acceptor->retry, SD_EVENT_OFF);
	if (welcome_waiting(acceptor))
		watch(acceptor, true);
}

static int add_gate(struct acceptor *acceptor, const struct listener *listener)
{
	struct acceptor_gate *gate = &acceptor->gates[acceptor->n_gates++];
	int r;

	*gate = (struct acceptor_gate){.acceptor = acceptor, .listener = listener};
	prepare(listener->fd);
	r = sd_event_add_io(acceptor->loop, &gate->source, listener->fd, EPOLLIN, on_client, gate);
	if (r < 0)
		return r;
	/* Ended conversations first: they make room. */
	return sd_event_source_set_priority(gate->source, SD_EVENT_PRIORITY_IDLE);
}

int acceptor_init(struct acceptor *acceptor, sd_event *loop, struct roster *roster,
		  const struct listeners *listeners, const struct acceptor_hooks *hooks)
{
	int r;

	*acceptor = (struct acceptor){
		.loop = loop,
		.roster = roster,
		.admit = ADMIT_INIT,
		.hooks = *hooks,
		.waiting = -1,
	};
	acceptor->gates = calloc(listeners->count, sizeof(*acceptor->gates));
	if (acceptor->gates == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < listeners->count; i++) {
		r = add_gate(acceptor, &listeners->items[i]);
		if (r < 0)
			return r;
	}
	r = sd_event_add_time(loop, &acceptor->retry, CLOCK_MONOTONIC, 0, 0, on_retry, acceptor);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(acceptor->retry, SD_EVENT_OFF);
}

void acceptor_stop(struct acceptor *acceptor)
{
	for (size_t i = 0; i < acceptor->n_gates; i++)
		sd_event_source_disable_unref(acceptor->gates[i].source);
	sd_event_source_disable_unref(acceptor->retry);
	acceptor->retry = NULL;
	free(acceptor->gates);
	acceptor->gates = NULL;
	acceptor->n_gates = 0;
	close_fd(&acceptor->waiting);
	acceptor->paused = false;
}

void acceptor_done(struct acceptor *acceptor)
{
	acceptor_stop(acceptor);
	admit_done(&acceptor->admit);
}

void acceptor_count(struct acceptor *acceptor, struct conversation_origin *origin)
{
	origin->counted_as = 0;
	/* Without memory it is counted on the first face, or not at all: it goes on in any case. */
	(void)admit_face(&acceptor->admit, origin->face->name, &origin->counted_as);
	(void)admit_take(&acceptor->admit, origin->counted_as, NULL,
			 origin->keyed ? origin->key : NULL);
}

void acceptor_uncount(struct acceptor *acceptor, const struct conversation_origin *origin)
{
	admit_drop(&acceptor->admit, origin->counted_as, origin->keyed ? origin->key : NULL);
}

/* The listening socket that the client at FD came in by: the one with its port or path. */
static const struct listener *find_listener(const struct acceptor *acceptor, int fd)
{
	struct address own = {.length = sizeof(own.storage)};

	if (getsockname(fd, &own.sa, &own.length) < 0)
		return NULL;
	for (size_t i = 0; i < acceptor->n_gates; i++) {
		const struct listener *listener = acceptor->gates[i].listener;
		struct address theirs = {.length = sizeof(theirs.storage)};

		if (getsockname(listener->fd, &theirs.sa, &theirs.length) == 0 &&
		    address_same_door(&own, &theirs))
			return listener;
	}
	return NULL;
}

void acceptor_take(struct acceptor *acceptor, int fd)
{
	struct address address = {.length = sizeof(address.storage)};
	const struct listener *listener = find_listener(acceptor, fd);

	prepare(fd);
	if (listener == NULL || getpeername(fd, &address.sa, &address.length) < 0 ||
	    welcome(acceptor, fd, listener, &address) < 0) {
		/* The vault has it, too: closing alone would leave the client waiting. */
		(void)shutdown(fd, SHUT_RDWR);
		close_fd(&fd);
	}
}

void acceptor_over(struct acceptor *acceptor, const struct conversation *conversation)
{
	acceptor_uncount(acceptor, &conversation->origin);
	acceptor_resume(acceptor);
}
