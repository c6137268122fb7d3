/*
 * The load generator of tests/bench/run: many conversations with one echo server on TCP, every
 * answer checked, as cheap as it can be so that the server is what gets measured.
 *
 *	bench-client MODE PORT [-c CLIENTS] [-s SIZE] [-t SECONDS] [-n COUNT] [-g]
 *
 *	talk     CLIENTS connections send lines of SIZE bytes (line end included), each the next
 *	         when the last is answered, for SECONDS or until COUNT answers have come. One
 *	         thread with epoll.
 *	connect  CLIENTS threads connect, get one line answered, half-close, read to the end of
 *	         file, close, and begin again: for SECONDS or COUNT times.
 *	idle     CLIENTS connections get one line answered each and then stay open, silent, until
 *	         standard input ends; says "open" on standard output once all are.
 *
 * -g: the server greets with one line first. The result is one JSON object on standard output.
 * A wrong answer, a broken connection or 60 s without any answer: a message and status 1. Only
 * 127.0.0.1 is talked to, from as many addresses of 127.0.0.0/8 as the ports call for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define SIZE_MAX_LINE    65536
#define PORTS_PER_SOURCE 5000
#define SILENCE_MAX_SEC  60

struct options {
	in_port_t port;
	unsigned clients;
	size_t size;
	usec_t duration; /* 0: by count */
	uint64_t count;  /* 0: by duration */
	bool greeted;
};

/* One connection: the line it has sent and how much of the answer has come. */
struct link {
	int fd;
	size_t answered;
	uint64_t serial;
	char *line; /* options.size bytes */
};

static struct options options = {.clients = 16, .size = 16};
static _Atomic uint64_t connections; /* so far; picks the source address */

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)fputs("bench-client: ", stderr);
	(void)vfprintf(stderr, format, arguments);
	(void)fputc('\n', stderr);
	va_end(arguments);
	_exit(1);
}

static void check(int result, const char *what)
{
	if (result < 0)
		die("%s: %s", what, strerrordesc_np(errno));
}

/* Reads exactly LENGTH bytes. */
static void read_all(int fd, char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = recv(fd, bytes, length, 0);

		if (n == 0)
			die("the server closed the connection");
		check((int)n, "recv");
		bytes += n;
		length -= (size_t)n;
	}
}

static void send_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

		check((int)n, "send");
		bytes += n;
		length -= (size_t)n;
	}
}

/* Connects, reads the greeting if there is one, and returns a blocking socket. */
static int open_link(void)
{
	const struct timeval silence = {.tv_sec = SILENCE_MAX_SEC};
	const uint64_t n = atomic_fetch_add(&connections, 1);
	const uint32_t source = INADDR_LOOPBACK + (uint32_t)(n / PORTS_PER_SOURCE % 200);
	struct sockaddr_in here = {
		.sin_family = AF_INET,
		.sin_addr = {.s_addr = htonl(source)},
	};
	struct sockaddr_in there = {
		.sin_family = AF_INET,
		.sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)},
		.sin_port = htons(options.port),
	};
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char c = 0;

	check(fd, "socket");
	check(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)), "setsockopt");
	check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "setsockopt");
	check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence)), "setsockopt");
	check(bind(fd, (const struct sockaddr *)&here, sizeof(here)), "bind");
	check(connect(fd, (const struct sockaddr *)&there, sizeof(there)), "connect");
	while (options.greeted && c != '\n')
		read_all(fd, &c, 1);
	return fd;
}

static void link_init(struct link *link)
{
	*link = (struct link){.fd = open_link(), .line = malloc(options.size)};
	if (!link->line)
		die("no memory");
	memset(link->line, '.', options.size);
	link->line[options.size - 1] = '\n';
}

static void link_done(struct link *link)
{
	close_fd(&link->fd);
	free(link->line);
}

/* Sends the link's next line: digits that differ from those of the line before. */
static void link_ask(struct link *link)
{
	const size_t room = options.size - 1;
	uint64_t serial = ++link->serial;

	for (size_t i = 0; i < room && i < 8; i++, serial /= 10)
		link->line[i] = (char)('0' + serial % 10);
	link->answered = 0;
	send_all(link->fd, link->line, options.size);
}

/* Takes what has come, without waiting if FLAGS say so. True once the whole line is answered. */
static bool link_take(struct link *link, int flags)
{
	static _Thread_local char answer[SIZE_MAX_LINE];
	ssize_t n = recv(link->fd, answer, options.size - link->answered, flags);

	if (n == 0)
		die("the server closed the connection");
	if (n < 0 && flags != 0 && errno == EAGAIN)
		return false;
	check((int)n, "recv");
	if (memcmp(answer, link->line + link->answered, (size_t)n) != 0)
		die("a wrong answer to line %" PRIu64, link->serial);
	link->answered += (size_t)n;
	return link->answered == options.size;
}

static double cpu_seconds(void)
{
	struct rusage usage;

	check(getrusage(RUSAGE_SELF, &usage), "getrusage");
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void print_result(uint64_t count, usec_t elapsed, double cpu)
{
	const double seconds = (double)elapsed / (double)USEC_PER_SEC;

	printf("{\"count\": %" PRIu64 ", \"seconds\": %.6f, \"rate\": %.1f, "
	       "\"cpu\": %.3f}\n",
	       count, seconds, (double)count / seconds, cpu / seconds);
}

static struct link *open_links(unsigned clients)
{
	struct link *links = calloc(clients, sizeof(*links));

	if (!links)
		die("no memory");
	for (unsigned i = 0; i < clients; i++)
		link_init(&links[i]);
	return links;
}

static void close_links(struct link *links, unsigned clients)
{
	for (unsigned i = 0; i < clients; i++)
		link_done(&links[i]);
	free(links);
}

/* Whether a run that began at START and has COUNT answers may ask for more. */
static bool goes_on(usec_t start, uint64_t count)
{
	if (options.count > 0)
		return count < options.count;
	return clock_now() - start < options.duration;
}

static void talk(void)
{
	const unsigned clients = options.clients;
	struct link *links = open_links(clients);
	struct epoll_event events[64];
	uint64_t asked = clients;
	uint64_t answered = 0;
	auto_close int poller = epoll_create1(EPOLL_CLOEXEC);
	const double cpu = cpu_seconds();
	const usec_t start = clock_now();

	check(poller, "epoll_create1");
	for (unsigned i = 0; i < clients; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = &links[i]}};

		check(epoll_ctl(poller, EPOLL_CTL_ADD, links[i].fd, &event), "epoll_ctl");
		link_ask(&links[i]);
	}
	while (answered < asked) {
		const int n = epoll_wait(poller, events, 64, SILENCE_MAX_SEC * 1000);

		check(n, "epoll_wait");
		if (n == 0)
			die("no answer for %d s", SILENCE_MAX_SEC);
		for (int i = 0; i < n; i++) {
			struct link *link = events[i].data.ptr;

			if (!link_take(link, MSG_DONTWAIT))
				continue;
			answered++;
			if (goes_on(start, asked)) {
				asked++;
				link_ask(link);
			}
		}
	}
	print_result(answered, clock_now() - start, cpu_seconds() - cpu);
	close_links(links, clients);
}

struct connector {
	usec_t start;
	_Atomic uint64_t begun;
};

/* Reads to the end of file; a reset is an error. */
static void read_to_end(int fd)
{
	char rest[4096];
	ssize_t n;

	while ((n = recv(fd, rest, sizeof(rest), 0)) > 0)
		;
	check((int)n, "recv");
}

static void *connect_again_and_again(void *argument)
{
	struct connector *connector = argument;

	while (goes_on(connector->start, atomic_fetch_add(&connector->begun, 1))) {
		struct link link;

		link_init(&link);
		link_ask(&link);
		while (!link_take(&link, 0))
			;
		check(shutdown(link.fd, SHUT_WR), "shutdown");
		read_to_end(link.fd);
		link_done(&link);
	}
	return NULL;
}

static void connect_and_close(void)
{
	struct connector connector = {.start = clock_now()};
	pthread_t *threads = calloc(options.clients, sizeof(*threads));
	const double cpu = cpu_seconds();

	if (!threads)
		die("no memory");
	for (unsigned i = 0; i < options.clients; i++) {
		errno = pthread_create(&threads[i], NULL, connect_again_and_again, &connector);
		check(-errno, "pthread_create");
	}
	for (unsigned i = 0; i < options.clients; i++)
		(void)pthread_join(threads[i], NULL);
	free(threads);
	/* Each thread began one that it then did not do. */
	print_result(atomic_load(&connector.begun) - options.clients, clock_now() - connector.start,
		     cpu_seconds() - cpu);
}

static void stay_idle(void)
{
	const unsigned clients = options.clients;
	struct link *links = open_links(clients);
	char c;

	for (unsigned i = 0; i < clients; i++) {
		link_ask(&links[i]);
		while (!link_take(&links[i], 0))
			;
	}
	puts("open");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	close_links(links, clients);
}

static const struct mode {
	const char *name;
	void (*run)(void);
} modes[] = {
	{"talk", talk},
	{"connect", connect_and_close},
	{"idle", stay_idle},
};

__attribute__((noreturn)) static void usage(void)
{
	die("usage: bench-client talk|connect|idle PORT [-c CLIENTS] [-s SIZE] [-t SECONDS] "
	    "[-n COUNT] [-g]");
}

static const struct mode *read_options(int argc, char *argv[])
{
	int c;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread is there yet */
	while ((c = getopt(argc, argv, "c:s:t:n:g")) >= 0) {
		switch (c) {
		case 'c':
			options.clients = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			options.size = strtoul(optarg, NULL, 10);
			break;
		case 't':
			options.duration = (usec_t)(strtod(optarg, NULL) * (double)USEC_PER_SEC);
			break;
		case 'n':
			options.count = strtoull(optarg, NULL, 10);
			break;
		case 'g':
			options.greeted = true;
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 2)
		usage();
	options.port = (in_port_t)strtoul(argv[optind + 1], NULL, 10);
	if (options.clients < 1 || options.size < 2 || options.size > SIZE_MAX_LINE)
		usage();
	if (options.duration == 0 && options.count == 0)
		options.duration = USEC_PER_SEC;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(argv[optind], modes[i].name) == 0)
			return &modes[i];
	}
	usage();
}

int main(int argc, char *argv[])
{
	const struct mode *mode;
	struct rlimit limit;

	mode = read_options(argc, argv);
	check(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
	limit.rlim_cur = limit.rlim_max;
	check(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
	mode->run();
	return 0;
}
