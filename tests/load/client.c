/* Connecting, speaking and checking; see client.h. */
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "line.h"

/* So many clients connect at once; more would only fill the queue of the listening socket. */
#define ARRIVING_MAX 500
/* Clients with one source address: there are 28,000 ports for each. */
#define CLIENTS_PER_SOURCE 10000
#define RETRY_AFTER        (50 * USEC_PER_MSEC)
#define IN_ROOM_AT_FIRST   512
#define FAREWELL           "fin"

struct client {
	int fd; /* -1: to be connected at due_at */
	unsigned index;
	bool greeted;
	bool ending;   /* the end word was said */
	bool farewell; /* the farewell came */
	char greeting[128];
	size_t greeting_length; /* 0: it was longer */
	bool blocked;           /* its socket took not all: it is watched for room */
	uint64_t said;          /* lines on this connection */
	uint64_t seen;          /* answers on this connection */
	uint64_t ticked;        /* the last tick's number */
	usec_t due_at;          /* when to connect or to say the next line; 0: not */
	usec_t asked_at; /* when the oldest line without an answer was said; or when it connected */
	usec_t longest_wait, longest_arrival;
	unsigned doubled;
	char *out; /* what the socket did not take yet */
	size_t out_used, out_sent, out_room;
	char *in;
	size_t in_used, in_room;
};

static _Noreturn void give_up(const char *what)
{
	(void)fprintf(stderr, "checker: %s: %s\n", what, strerrordesc_np(errno));
	_exit(2);
}

/* Tells a fault, unless there were very many. */
__attribute__((format(printf, 3, 4))) static void tell(struct crowd *crowd, const struct client *c,
						       const char *format, ...)
{
	char text[256];
	va_list arguments;

	if (crowd->told++ >= 50)
		return;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	(void)fprintf(stderr, "client %u: %s\n", c->index, text);
}

/* A number below LIMIT (not 0): xorshift, which any seed but 0 will do for. */
static uint64_t pick(struct crowd *crowd, uint64_t limit)
{
	crowd->random ^= crowd->random << 13;
	crowd->random ^= crowd->random >> 7;
	crowd->random ^= crowd->random << 17;
	return crowd->random % limit;
}

static uint64_t answers_due(const struct crowd *crowd, const struct client *c)
{
	return c->said * crowd->habits.replies;
}

static struct line_form form(const struct crowd *crowd, const struct client *c)
{
	return (struct line_form){
		.index = c->index,
		.command = crowd->habits.command,
		.size = crowd->habits.size,
		.counted = crowd->habits.counted,
		.replies = crowd->habits.replies,
	};
}

/* The connection is over; another one follows at DUE_AT. */
static void forget(struct crowd *crowd, struct client *c, usec_t due_at)
{
	if (c->fd >= 0) {
		close_fd(&c->fd);
		crowd->absent++;
		crowd->arriving -= !c->greeted;
	}
	c->greeted = c->ending = c->farewell = c->blocked = false;
	c->said = c->seen = c->ticked = c->greeting_length = 0;
	c->in_used = c->out_used = c->out_sent = 0;
	c->asked_at = 0;
	c->due_at = due_at;
}

static void watch(const struct crowd *crowd, struct client *c, int operation)
{
	struct epoll_event event = {
		.events = (crowd->habits.slow > 0 ? 0 : (uint32_t)EPOLLIN) |
			  (c->blocked ? (uint32_t)EPOLLOUT : 0),
		.data = {.ptr = c},
	};

	if (epoll_ctl(crowd->epoll, operation, c->fd, &event) < 0)
		give_up("epoll_ctl");
}

/* Spreads IPv4 clients over 127.0.0.0/8. */
static void choose_source(const struct client *c)
{
	const int on = 1;
	struct sockaddr_in own = {
		.sin_family = AF_INET,
		.sin_addr = {.s_addr = htonl(INADDR_LOOPBACK + c->index / CLIENTS_PER_SOURCE)},
	};

	(void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	(void)bind(c->fd, (const struct sockaddr *)&own, sizeof(own));
}

static void connect_client(struct crowd *crowd, struct client *c)
{
	const int on = 1, small = 4096;
	int family = crowd->server.sa.sa_family;

	c->due_at = 0;
	c->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		give_up("socket");
	if (crowd->habits.slow > 0)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (family == AF_INET)
		choose_source(c);
	if (family != AF_UNIX)
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->asked_at = clock_now();
	if (connect(c->fd, &crowd->server.sa, crowd->server.length) < 0 && errno != EINPROGRESS) {
		/* A unix socket's queue is full: it will be shorter soon. */
		crowd->tally.refused += errno != EAGAIN;
		close_fd(&c->fd);
		c->due_at = clock_now() + RETRY_AFTER;
		return;
	}
	crowd->absent--;
	crowd->arriving++;
	watch(crowd, c, EPOLL_CTL_ADD);
}

/* The connection ended by itself; ERROR is 0 for an end of file. */
static void hung_up(struct crowd *crowd, struct client *c, int error)
{
	usec_t retry = 0;

	if (c->farewell && error == 0 && c->in_used == 0) {
		crowd->tally.parted += c->ending;
		crowd->tally.dismissed += !c->ending;
		/* Who was shown the door does not come back. */
		retry = c->ending ? 0 : USEC_NEVER;
	} else if (error == ECONNREFUSED) {
		crowd->tally.refused++;
		retry = RETRY_AFTER;
	} else if (!c->greeted && c->in_used == 0) {
		crowd->tally.early++;
	} else {
		crowd->tally.broken++;
		tell(crowd, c,
		     "%s after %" PRIu64 " answers to %" PRIu64 " lines (%s, %s, %zu bytes of one)",
		     error == 0 ? "end of file" : strerrordesc_np(error), c->seen, c->said,
		     c->ending ? "ending" : "in the middle",
		     c->farewell ? "with farewell" : "no farewell", c->in_used);
	}
	forget(crowd, c, clock_deadline(clock_now(), retry));
}

static void flush_client(struct crowd *crowd, struct client *c)
{
	while (c->out_sent < c->out_used) {
		ssize_t n = send(c->fd, c->out + c->out_sent, c->out_used - c->out_sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			/* What came before is told by reading it. */
			c->out_sent = c->out_used;
			break;
		}
		c->out_sent += (size_t)n;
	}
	if (c->out_sent == c->out_used)
		c->out_sent = c->out_used = 0;
	if (c->blocked != (c->out_used > 0)) {
		c->blocked = c->out_used > 0;
		watch(crowd, c, EPOLL_CTL_MOD);
	}
}

/* Room for LENGTH bytes more at the end of what is to be sent. */
static char *room_to_say(struct client *c, size_t length)
{
	if (c->out_used + length > c->out_room) {
		size_t room = (c->out_used + length) * 2;
		char *more = realloc(c->out, room);

		if (more == NULL)
			give_up("realloc");
		c->out = more;
		c->out_room = room;
	}
	return c->out + c->out_used;
}

static void say_lines(struct crowd *crowd, struct client *c)
{
	const struct line_form line = form(crowd, c);
	uint64_t count = 1;

	if (crowd->habits.batch > 1)
		count += pick(crowd, crowd->habits.batch);
	if (c->asked_at == 0)
		c->asked_at = clock_now();
	while (count-- > 0)
		c->out_used += line_make(&line, ++c->said, room_to_say(c, line_room(&line)));
	flush_client(crowd, c);
}

static void say_end_word(struct crowd *crowd, struct client *c)
{
	const char end_word[] = FAREWELL "\n";

	c->ending = true;
	(void)memcpy(room_to_say(c, sizeof(end_word)), end_word, sizeof(end_word) - 1);
	c->out_used += sizeof(end_word) - 1;
	flush_client(crowd, c);
}

static void satisfied(struct crowd *crowd, struct client *c)
{
	usec_t now = clock_now();
	usec_t waited = c->asked_at != 0 ? now - c->asked_at : 0;

	if (waited > c->longest_wait)
		c->longest_wait = waited;
	c->asked_at = 0;
	if (crowd->parting || (crowd->habits.churn > 0 && c->seen >= crowd->habits.churn))
		say_end_word(crowd, c);
	else if (crowd->habits.idle || crowd->stopping)
		return;
	else if (crowd->habits.pause_msec > 0)
		c->due_at = now + 1 + pick(crowd, crowd->habits.pause_msec * USEC_PER_MSEC);
	else
		say_lines(crowd, c);
}

static void greeted(struct crowd *crowd, struct client *c)
{
	usec_t waited = clock_now() - c->asked_at;

	if (waited > c->longest_arrival)
		c->longest_arrival = waited;
	c->greeted = true;
	c->asked_at = 0;
	crowd->arriving--;
	crowd->tally.connected++;
	if (crowd->parting)
		say_end_word(crowd, c);
	else if (!crowd->stopping)
		say_lines(crowd, c);
}

static void check_tick(struct crowd *crowd, struct client *c, uint64_t number)
{
	if (number == c->ticked + 1) {
		crowd->tally.ticks++;
	} else {
		tell(crowd, c, "tick %" PRIu64 " after tick %" PRIu64, number, c->ticked);
		if (number <= c->ticked)
			crowd->tally.doubled++;
		else
			crowd->tally.lost += number - c->ticked - 1;
	}
	c->ticked = number;
}

/* So much of an answer is enough to recognize where it begins. */
#define HEAD 6

/* Whether the LENGTH bytes at BEGUN are beginnings of the answer that follows them. */
static bool are_beginnings(const char *begun, size_t length)
{
	const char *answer = begun + length;

	while (begun < answer) {
		const char *next =
			memmem(begun + 1, (size_t)(answer - begun) - 1 + HEAD, answer, HEAD);
		size_t size = next != NULL ? (size_t)(next - begun) : 0;

		if (size == 0 || memcmp(begun, answer, size) != 0)
			return false;
		begun = next;
	}
	return true;
}

/*
 * Whether LINE is the beginning of the next answer, perhaps several times, and then that answer as
 * a whole: a daemon that was killed while it sent begins again where the kernel does not count what
 * was taken.
 */
static bool is_begun_again(const struct client *c, const struct line_form *expected,
			   const char *line, size_t length)
{
	for (size_t begun = 1; begun + HEAD <= length; begun++)
		if (line[begun] == line[0] &&
		    line_is(expected, c->seen + 1, line + begun, length - begun))
			return are_beginnings(line, begun);
	return false;
}

static bool is_greeting_again(const struct client *c, const char *line, size_t length)
{
	return c->seen == 0 && !c->farewell && length == c->greeting_length &&
	       memcmp(line, c->greeting, length) == 0;
}

/* An answer that is not the next one: what else may it be? */
static void judge_answer(struct crowd *crowd, struct client *c, const struct line_form *expected,
			 const char *line, size_t length)
{
	struct line_parts parts;
	uint64_t place;

	if (is_greeting_again(c, line, length)) {
		crowd->tally.doubled++;
		c->doubled++;
		tell(crowd, c, "greeted again");
		return;
	}
	if (is_begun_again(c, expected, line, length)) {
		crowd->tally.doubled++;
		c->doubled++;
		c->seen++;
		tell(crowd, c, "answer %" PRIu64 " was begun twice", c->seen);
		return;
	}
	if (c->farewell || line_parse(expected, line, length, &parts) < 0) {
		crowd->tally.garbled++;
		tell(crowd, c, "garbled (%zu bytes): %.*s", length,
		     (int)(length < 80 ? length : 80), line);
		return;
	}
	place = (parts.number - 1) * expected->replies + parts.part;
	if (expected->counted && parts.count != parts.number) {
		crowd->tally.miscounted++;
		tell(crowd, c, "line %" PRIu64 " was counted as %" PRIu64, parts.number,
		     parts.count);
	}
	if (place <= c->seen) {
		crowd->tally.doubled++;
		c->doubled++;
		tell(crowd, c, "answer %" PRIu64 " came again after %" PRIu64, place, c->seen);
		return;
	}
	if (place > c->seen + 1) {
		crowd->tally.lost += place - c->seen - 1;
		tell(crowd, c, "answer %" PRIu64 " after %" PRIu64, place, c->seen);
	}
	c->seen = place;
}

static void check_line(struct crowd *crowd, struct client *c, const char *line, size_t length)
{
	const struct line_form expected = form(crowd, c);
	uint64_t tick;

	if (!c->greeted) {
		if (length <= sizeof(c->greeting)) {
			(void)memcpy(c->greeting, line, length);
			c->greeting_length = length;
		}
		greeted(crowd, c);
		return;
	}
	if (length == strlen(FAREWELL) && memcmp(line, FAREWELL, length) == 0) {
		crowd->tally.doubled += c->farewell;
		c->farewell = true;
		return;
	}
	if (line_is_tick(line, length, &tick)) {
		check_tick(crowd, c, tick);
		return;
	}
	if (c->farewell || !line_is(&expected, c->seen + 1, line, length)) {
		judge_answer(crowd, c, &expected, line, length);
	} else {
		c->seen++;
		crowd->tally.answers++;
	}
	if (c->seen == answers_due(crowd, c) && !c->ending)
		satisfied(crowd, c);
}

/* Checks all whole lines that have come. */
static void check_input(struct crowd *crowd, struct client *c)
{
	size_t start = 0;
	const char *end;

	while ((end = memchr(c->in + start, '\n', c->in_used - start)) != NULL) {
		size_t length = (size_t)(end - (c->in + start));

		check_line(crowd, c, c->in + start, length);
		start += length + 1;
	}
	(void)memmove(c->in, c->in + start, c->in_used - start);
	c->in_used -= start;
}

static void receive(struct crowd *crowd, struct client *c)
{
	size_t room;
	ssize_t n;

	if (c->in_used == c->in_room) {
		size_t more = c->in_room == 0 ? IN_ROOM_AT_FIRST : 2 * c->in_room;
		char *larger = realloc(c->in, more);

		if (larger == NULL)
			give_up("realloc");
		c->in = larger;
		c->in_room = more;
	}
	room = c->in_room - c->in_used;
	if (crowd->habits.slow > 0 && room > crowd->habits.slow)
		room = crowd->habits.slow;
	n = recv(c->fd, c->in + c->in_used, room, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		hung_up(crowd, c, n == 0 ? 0 : errno);
		return;
	}
	c->in_used += (size_t)n;
	check_input(crowd, c);
}

void crowd_init(struct crowd *crowd, const struct habits *habits, const struct address *server)
{
	*crowd = (struct crowd){
		.habits = *habits,
		.server = *server,
		.clients = calloc(habits->clients, sizeof(*crowd->clients)),
		.epoll = epoll_create1(EPOLL_CLOEXEC),
		.absent = habits->clients,
		.random = habits->seed | 1,
	};
	if (crowd->clients == NULL || crowd->epoll < 0)
		give_up("crowd");
	for (unsigned i = 0; i < habits->clients; i++)
		crowd->clients[i] = (struct client){.fd = -1, .index = i, .due_at = 1};
}

void crowd_done(struct crowd *crowd)
{
	for (unsigned i = 0; i < crowd->habits.clients; i++) {
		close_fd(&crowd->clients[i].fd);
		free(crowd->clients[i].in);
		free(crowd->clients[i].out);
	}
	free(crowd->clients);
	close_fd(&crowd->epoll);
}

void crowd_tick(struct crowd *crowd)
{
	const struct habits *habits = &crowd->habits;
	usec_t now = clock_now();

	if (habits->slow == 0 && habits->pause_msec == 0 && (crowd->absent == 0 || crowd->stopping))
		return;
	for (unsigned i = 0; i < habits->clients; i++) {
		struct client *c = &crowd->clients[i];

		if (c->fd < 0) {
			if (!crowd->stopping && c->due_at <= now && crowd->arriving < ARRIVING_MAX)
				connect_client(crowd, c);
			continue;
		}
		if (habits->slow > 0)
			receive(crowd, c);
		if (c->fd >= 0 && c->due_at != 0 && c->due_at <= now) {
			c->due_at = 0;
			if (!crowd->stopping && !c->farewell)
				say_lines(crowd, c);
		}
	}
}

void crowd_handle(struct crowd *crowd, struct client *c, uint32_t events)
{
	if (c->fd >= 0 && (events & EPOLLOUT) != 0)
		flush_client(crowd, c);
	if (c->fd >= 0 && (events & ~(uint32_t)EPOLLOUT) != 0)
		receive(crowd, c);
}

void crowd_ask(struct crowd *crowd)
{
	for (unsigned i = 0; i < crowd->habits.clients; i++) {
		struct client *c = &crowd->clients[i];

		c->longest_wait = 0;
		if (c->fd >= 0 && c->greeted && !c->ending)
			say_lines(crowd, c);
	}
}

void crowd_part(struct crowd *crowd)
{
	crowd->parting = true;
	for (unsigned i = 0; i < crowd->habits.clients; i++) {
		struct client *c = &crowd->clients[i];

		if (c->fd >= 0 && c->greeted && !c->ending && c->seen == answers_due(crowd, c))
			say_end_word(crowd, c);
	}
}

static int compare_waits(const void *a, const void *b)
{
	const usec_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

void crowd_count(const struct crowd *crowd, struct presence *ret)
{
	unsigned n = crowd->habits.clients;
	usec_t *waits = calloc(n, sizeof(*waits));

	if (waits == NULL)
		give_up("calloc");
	*ret = (struct presence){.live = n - crowd->absent};
	for (unsigned i = 0; i < n; i++) {
		const struct client *c = &crowd->clients[i];

		waits[i] = c->longest_wait;
		if (c->longest_arrival > ret->longest_arrival)
			ret->longest_arrival = c->longest_arrival;
		if (c->doubled > ret->most)
			ret->most = c->doubled;
		if (c->fd < 0 || !c->greeted)
			continue;
		ret->greeted++;
		ret->unanswered += !c->farewell && c->seen < answers_due(crowd, c);
	}
	qsort(waits, n, sizeof(*waits), compare_waits);
	ret->median_wait = waits[n / 2];
	ret->longest_wait = waits[n - 1];
	free(waits);
}
