/*
 * checker: many clients that notice everything.
 *
 *	checker [OPTION]... HOST:PORT | /PATH
 *
 * Each client sends numbered lines and checks that every answer has the next number. A client that
 * is answered out of order, twice, not at all, or hung up on, is counted as such. One thread, one
 * epoll, so that the server has the processor. It runs until SIGTERM or SIGINT or for --seconds,
 * then waits for the answers that are due, ends all clients in order and prints one JSON object.
 *
 *	--clients=N   how many (1)
 *	--batch=N     at most so many lines in one segment (1); how many is random
 *	--size=N      pad each line to so many bytes (0)
 *	--pause=MS    between an answer and the next line, up to so long (0)
 *	--churn=N     after so many answers, end the dialogue and connect again (0: never)
 *	--slow=BYTES  read at most so much every 10 ms (0: at once)
 *	--idle        send one line, then nothing, until SIGUSR1 asks all clients for one more; the
 *	              longest wait for an answer to it is reported
 *	--seconds=N   how long (0: until a signal)
 *
 * Output: connected (clients that saw their greeting), answers, lost (a number was skipped),
 *doubled (a number came again), garbled, broken (a connection that ended by itself after its
 *greeting), early (that ended before any byte), longest_wait_ms, unanswered (at the end). Exit
 *status 0, or 1 when something was lost, doubled, garbled, broken or unanswered.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LENGTH 65536
#define TICK_MSEC       5
#define DRAIN_MSEC      20000

struct client {
	int fd; /* -1: to be connected again */
	unsigned index;
	bool greeted;
	bool ending;       /* the end word was sent */
	uint64_t sent;     /* lines sent on this connection */
	uint64_t seen;     /* answers checked on this connection */
	uint64_t due_at;   /* usec: when the next line may go */
	uint64_t asked_at; /* usec: when the oldest line without an answer was sent */
	char *out;         /* what the socket did not take yet */
	size_t out_used, out_sent, out_room;
	char in[LINE_MAX_LENGTH + 64];
	size_t in_used;
};

struct options {
	unsigned clients, batch, size, pause_msec, churn, slow, seconds;
	bool idle;
};

static struct options options = {.clients = 1, .batch = 1};
static struct {
	uint64_t connected, answers, lost, doubled, garbled, broken, early, refused, longest_wait;
} totals;

static struct client *clients;
static int epoll_fd;
static union {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_un un;
} server;
static socklen_t server_length;
static bool stopping;

static uint64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(2);
}

static void forget(struct client *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	c->greeted = c->ending = false;
	c->sent = c->seen = 0;
	c->in_used = c->out_used = c->out_sent = 0;
	c->asked_at = 0;
}

static void watch(struct client *c, int operation)
{
	struct epoll_event event = {
		.events = EPOLLIN | (c->out_sent < c->out_used ? (uint32_t)EPOLLOUT : 0u),
		.data.ptr = c,
	};

	if (options.slow > 0)
		event.events &= ~(uint32_t)EPOLLIN;
	if (epoll_ctl(epoll_fd, operation, c->fd, &event) < 0)
		fail("epoll_ctl");
}

static void open_client(struct client *c)
{
	const int on = 1, small = 4096;

	c->fd = socket(server.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		fail("socket");
	if (options.slow > 0)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (server.sa.sa_family == AF_INET) {
		/* 28,000 ports an address: spread clients over 127.0.0.0/8. */
		struct sockaddr_in own = {.sin_family = AF_INET};

		own.sin_addr.s_addr = htonl(0x7f000001u + 1u + c->index / 10000u);
		(void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
		(void)bind(c->fd, (const struct sockaddr *)&own, sizeof(own));
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	if (connect(c->fd, &server.sa, server_length) < 0) {
		totals.refused++;
		forget(c);
		c->due_at = now() + 50000;
		return;
	}
	(void)fcntl(c->fd, F_SETFL, O_NONBLOCK);
	watch(c, EPOLL_CTL_ADD);
}

/* The connection ended by itself. */
static void hung_up(struct client *c, const char *how)
{
	if (c->ending) {
		c->due_at = 0;
	} else if (!c->greeted && c->in_used == 0) {
		totals.early++;
	} else {
		totals.broken++;
		(void)fprintf(stderr,
			      "client %u: %s after %" PRIu64 " answers of %" PRIu64 " lines\n",
			      c->index, how, c->seen, c->sent);
	}
	forget(c);
}

static void flush_client(struct client *c)
{
	while (c->out_sent < c->out_used) {
		ssize_t n = send(c->fd, c->out + c->out_sent, c->out_used - c->out_sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0) {
			if (errno == EAGAIN)
				break;
			hung_up(c, strerror(errno));
			return;
		}
		c->out_sent += (size_t)n;
	}
	if (c->out_sent == c->out_used)
		c->out_sent = c->out_used = 0;
	watch(c, EPOLL_CTL_MOD);
}

static void put(struct client *c, const char *bytes, size_t length)
{
	if (c->out_used + length > c->out_room) {
		c->out_room = (c->out_used + length) * 2;
		c->out = realloc(c->out, c->out_room);
		if (c->out == NULL)
			fail("realloc");
	}
	(void)memcpy(c->out + c->out_used, bytes, length);
	c->out_used += length;
}

static size_t make_line(char *line, const struct client *c, uint64_t number)
{
	int length = snprintf(line, 64, "c%u %" PRIu64 " ", c->index, number);
	size_t used = (size_t)length;

	while (used < options.size)
		line[used] = (char)('a' + used % 26), used++;
	line[used] = '\n';
	return used + 1;
}

static void say(struct client *c)
{
	static char line[LINE_MAX_LENGTH + 64];
	unsigned n = 1 + (options.batch > 1 ? (unsigned)rand() % options.batch : 0);

	if (c->asked_at == 0)
		c->asked_at = now();
	for (unsigned i = 0; i < n; i++)
		put(c, line, make_line(line, c, ++c->sent));
	flush_client(c);
}

static void end_client(struct client *c)
{
	c->ending = true;
	put(c, "fin\n", 4);
	flush_client(c);
}

/* All answers are there. */
static void satisfied(struct client *c)
{
	uint64_t t = now();

	if (c->asked_at != 0 && t - c->asked_at > totals.longest_wait)
		totals.longest_wait = t - c->asked_at;
	c->asked_at = 0;
	if (options.churn > 0 && c->seen >= options.churn) {
		end_client(c);
		return;
	}
	if (options.idle || stopping)
		return;
	if (options.pause_msec > 0)
		c->due_at = t + (uint64_t)rand() % (options.pause_msec * 1000u);
	else
		say(c);
}

static void check_line(struct client *c, const char *line, size_t length)
{
	static char expected[LINE_MAX_LENGTH + 64];
	unsigned index;
	uint64_t number;

	if (!c->greeted) {
		c->greeted = true;
		totals.connected++;
		say(c);
		return;
	}
	if (c->ending)
		return;
	if (sscanf(line, "c%u %" SCNu64, &index, &number) != 2 || index != c->index) {
		totals.garbled++;
		(void)fprintf(stderr, "client %u: garbled '%.60s'\n", c->index, line);
		return;
	}
	if (number <= c->seen) {
		totals.doubled++;
		(void)fprintf(stderr, "client %u: %" PRIu64 " came again\n", c->index, number);
		return;
	}
	if (number != c->seen + 1) {
		totals.lost += number - c->seen - 1;
		(void)fprintf(stderr, "client %u: %" PRIu64 " instead of %" PRIu64 "\n", c->index,
			      number, c->seen + 1);
	}
	if (make_line(expected, c, number) != length + 1 || memcmp(expected, line, length) != 0)
		totals.garbled++;
	c->seen = number;
	totals.answers++;
	if (c->seen == c->sent)
		satisfied(c);
}

static void receive(struct client *c)
{
	size_t room = sizeof(c->in) - 1 - c->in_used;
	ssize_t n;
	char *lf;

	if (options.slow > 0 && room > options.slow)
		room = options.slow;
	n = recv(c->fd, c->in + c->in_used, room, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		hung_up(c, n == 0 ? "end of file" : strerror(errno));
		return;
	}
	c->in_used += (size_t)n;
	while ((lf = memchr(c->in, '\n', c->in_used)) != NULL) {
		size_t length = (size_t)(lf - c->in);

		*lf = '\0';
		check_line(c, c->in, length);
		if (c->fd < 0)
			return;
		c->in_used -= length + 1;
		(void)memmove(c->in, lf + 1, c->in_used);
	}
}

static void tick(void)
{
	uint64_t t = now();

	for (unsigned i = 0; i < options.clients; i++) {
		struct client *c = &clients[i];

		if (c->fd < 0) {
			if (!stopping && c->due_at <= t)
				open_client(c);
			continue;
		}
		if (options.slow > 0)
			receive(c);
		if (c->fd >= 0 && c->due_at != 0 && c->due_at <= t) {
			c->due_at = 0;
			if (!stopping)
				say(c);
		}
	}
}

static bool has_unanswered(void)
{
	for (unsigned i = 0; i < options.clients; i++)
		if (clients[i].fd >= 0 && clients[i].seen < clients[i].sent)
			return true;
	return false;
}

static void ask_all(void)
{
	totals.longest_wait = 0;
	for (unsigned i = 0; i < options.clients; i++)
		if (clients[i].fd >= 0 && clients[i].greeted)
			say(&clients[i]);
}

static int print_totals(void)
{
	unsigned unanswered = 0, live = 0;

	for (unsigned i = 0; i < options.clients; i++) {
		unanswered += clients[i].fd >= 0 && clients[i].seen < clients[i].sent;
		live += clients[i].fd >= 0;
	}
	(void)printf("{\"connected\": %" PRIu64 ", \"live\": %u, \"answers\": %" PRIu64
		     ", \"lost\": %" PRIu64 ", \"doubled\": %" PRIu64 ", \"garbled\": %" PRIu64
		     ", \"broken\": %" PRIu64 ", \"early\": %" PRIu64 ", \"refused\": %" PRIu64
		     ", \"unanswered\": %u, \"longest_wait_ms\": %.1f}\n",
		     totals.connected, live, totals.answers, totals.lost, totals.doubled,
		     totals.garbled, totals.broken, totals.early, totals.refused, unanswered,
		     (double)totals.longest_wait / 1000.0);
	(void)fflush(stdout);
	return totals.lost + totals.doubled + totals.garbled + totals.broken + unanswered > 0;
}

static void parse_server(const char *text)
{
	const char *colon = strrchr(text, ':');
	char host[64];

	if (text[0] == '/') {
		server.un.sun_family = AF_UNIX;
		(void)snprintf(server.un.sun_path, sizeof(server.un.sun_path), "%s", text);
		server_length = sizeof(server.un);
		return;
	}
	server.in.sin_family = AF_INET;
	server_length = sizeof(server.in);
	if (colon == NULL) {
		errno = EINVAL;
		fail(text);
	}
	(void)snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	if (inet_pton(AF_INET, host, &server.in.sin_addr) != 1) {
		errno = EINVAL;
		fail(text);
	}
	server.in.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
}

static void parse_options(int argc, char *argv[])
{
	static const struct option longs[] = {
		{"clients", required_argument, NULL, 'c'},
		{"batch", required_argument, NULL, 'b'},
		{"size", required_argument, NULL, 's'},
		{"pause", required_argument, NULL, 'p'},
		{"churn", required_argument, NULL, 'n'},
		{"slow", required_argument, NULL, 'w'},
		{"idle", no_argument, NULL, 'i'},
		{"seconds", required_argument, NULL, 't'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		unsigned value = optarg != NULL ? (unsigned)strtoul(optarg, NULL, 10) : 0;

		switch (option) {
		case 'c':
			options.clients = value;
			break;
		case 'b':
			options.batch = value;
			break;
		case 's':
			options.size = value < LINE_MAX_LENGTH ? value : LINE_MAX_LENGTH;
			break;
		case 'p':
			options.pause_msec = value;
			break;
		case 'n':
			options.churn = value;
			break;
		case 'w':
			options.slow = value;
			break;
		case 'i':
			options.idle = true;
			break;
		case 't':
			options.seconds = value;
			break;
		default:
			exit(2);
		}
	}
	if (optind + 1 != argc) {
		(void)fprintf(stderr, "usage: checker [OPTION]... HOST:PORT | /PATH\n");
		exit(2);
	}
	parse_server(argv[optind]);
}

static int open_signals(void)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigaddset(&set, SIGUSR2);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		fail("signalfd");
	return fd;
}

/* SIGUSR1: one line from everybody; SIGUSR2: print the totals; the others: come to an end. */
static void on_signal(int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		fail("signalfd");
	if (info.ssi_signo == SIGUSR1)
		ask_all();
	else if (info.ssi_signo == SIGUSR2)
		(void)print_totals();
	else
		stopping = true;
}

int main(int argc, char *argv[])
{
	struct itimerspec every = {{0, TICK_MSEC * 1000000}, {0, TICK_MSEC * 1000000}};
	struct epoll_event event = {.events = EPOLLIN};
	struct rlimit limit;
	uint64_t end = 0, drained = 0;
	int signals, timer;

	parse_options(argc, argv);
	srand(1);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	clients = calloc(options.clients, sizeof(*clients));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	signals = open_signals();
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (clients == NULL || epoll_fd < 0 || timer < 0)
		fail("checker");
	(void)timerfd_settime(timer, 0, &every, NULL);
	event.data.ptr = &signals;
	(void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, signals, &event);
	event.data.ptr = &timer;
	(void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer, &event);
	for (unsigned i = 0; i < options.clients; i++) {
		clients[i].index = i;
		clients[i].fd = -1;
		open_client(&clients[i]);
	}
	if (options.seconds > 0)
		end = now() + options.seconds * 1000000ull;
	for (;;) {
		struct epoll_event events[256];
		int n = epoll_wait(epoll_fd, events, 256, -1);

		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;
			uint64_t expirations;

			if ((void *)c == (void *)&signals)
				on_signal(signals);
			else if ((void *)c == (void *)&timer) {
				(void)!read(timer, &expirations, sizeof(expirations));
				tick();
			} else if (c->fd >= 0) {
				if ((events[i].events & EPOLLOUT) != 0)
					flush_client(c);
				if (c->fd >= 0 && (events[i].events & ~(uint32_t)EPOLLOUT) != 0)
					receive(c);
			}
		}
		if (end != 0 && now() >= end)
			stopping = true;
		if (stopping && drained == 0)
			drained = now() + DRAIN_MSEC * 1000ull;
		if (stopping && (!has_unanswered() || now() >= drained))
			return print_totals();
	}
}
