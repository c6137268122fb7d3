/*
 * checker: many clients that notice everything.
 *
 *	checker [OPTION]... ADDRESS
 *
 * ADDRESS is as ListenStream= takes it: 127.0.0.1:50000, [::1]:50000, /run/marcel/socket. Each
 *client sends numbered lines and checks that every answer has the next number, and that the whole
 *of it is right. One that is answered out of order, twice, not at all, or hung up on, is counted as
 *such. One thread, one epoll, so that the server has the processor. It runs until SIGTERM or SIGINT
 *or for
 * --seconds, waits for the answers that are due, lets all clients say the end word, and sees
 *whether each gets its farewell and the end of the connection.
 *
 *	--clients=N     how many (1)
 *	--batch=N       at most so many lines in one segment (1); how many is random
 *	--size=N        pad each line to so many bytes (0)
 *	--pause=MS      between an answer and the next line, up to so long (0)
 *	--churn=N       after so many answers, end the dialogue and connect again (0: never)
 *	--slow=BYTES    read at most so much every 5 ms (0: at once)
 *	--idle          say one line, then nothing, until SIGUSR1
 *	--command=TEXT  put TEXT before each line
 *	--counted       answers begin with the number of the message, as the responder counts
 *	--replies=N     each line has so many answers, N.1 to N.N (with --counted)
 *	--seed=N        for what is random
 *	--seconds=N     how long (0: until a signal)
 *	--patience=N    so many seconds for the last answers, and as many for the farewells (20)
 *
 * SIGUSR1 lets each client say a line and forgets the waits measured so far. SIGUSR2 prints the
 * figures so far: one line, a JSON object. One is printed first, when signals are understood, and
 * one last. Their numbers are those of
 * struct tally and struct presence in client.h, times in milliseconds. Exit status 0, or 1 when
 * something was lost, doubled, garbled, miscounted or broken, or somebody was left waiting.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "base/text.h"
#include "client.h"

#define TICK_MSEC     5L
#define SIZE_MAX_LINE ((uint64_t)1024 * 1024)

static struct crowd crowd;
static usec_t patience = 20 * USEC_PER_SEC;

static _Noreturn void give_up(const char *what, const char *why)
{
	(void)fprintf(stderr, "checker: %s: %s\n", what, why);
	_exit(2);
}

static int check(int result, const char *what)
{
	if (result < 0)
		give_up(what, strerrordesc_np(errno));
	return result;
}

/* Prints the figures; whether all is well, if this is the end. */
static bool print_figures(void)
{
	const struct tally *t = &crowd.tally;
	struct presence p;

	crowd_count(&crowd, &p);
	(void)printf("{\"connected\": %" PRIu64 ", \"answers\": %" PRIu64 ", \"ticks\": %" PRIu64
		     ", \"lost\": %" PRIu64 ", \"doubled\": %" PRIu64 ", \"garbled\": %" PRIu64
		     ", \"miscounted\": %" PRIu64 ", \"broken\": %" PRIu64 ", \"early\": %" PRIu64
		     ", \"refused\": %" PRIu64 ", \"dismissed\": %" PRIu64 ", \"parted\": %" PRIu64,
		     t->connected, t->answers, t->ticks, t->lost, t->doubled, t->garbled,
		     t->miscounted, t->broken, t->early, t->refused, t->dismissed, t->parted);
	(void)printf(", \"live\": %u, \"greeted\": %u, \"unanswered\": %u, \"doubled_most\": %u"
		     ", \"median_wait_ms\": %.1f, \"longest_wait_ms\": %.1f"
		     ", \"longest_arrival_ms\": %.1f}\n",
		     p.live, p.greeted, p.unanswered, p.most, (double)p.median_wait / 1000,
		     (double)p.longest_wait / 1000, (double)p.longest_arrival / 1000);
	(void)fflush(stdout);
	return t->lost + t->doubled + t->garbled + t->miscounted + t->broken + p.live == 0;
}

static const struct option long_options[] = {
	{"clients", required_argument, NULL, 'c'},  {"batch", required_argument, NULL, 'b'},
	{"size", required_argument, NULL, 's'},     {"pause", required_argument, NULL, 'p'},
	{"churn", required_argument, NULL, 'n'},    {"slow", required_argument, NULL, 'w'},
	{"idle", no_argument, NULL, 'i'},           {"command", required_argument, NULL, 'm'},
	{"counted", no_argument, NULL, 'o'},        {"replies", required_argument, NULL, 'r'},
	{"seed", required_argument, NULL, 'e'},     {"seconds", required_argument, NULL, 't'},
	{"patience", required_argument, NULL, 'a'}, {NULL, 0, NULL, 0},
};

static void set_option(int option, struct habits *habits, usec_t *ret_duration)
{
	uint64_t value = 0;

	if (option != 'i' && option != 'o' && option != 'm' &&
	    (option == '?' || text_parse_unsigned(optarg, UINT32_MAX, &value) < 0))
		give_up("an option is wrong", option == '?' ? "unknown" : optarg);
	switch (option) {
	case 'c':
		habits->clients = (unsigned)value;
		break;
	case 'b':
		habits->batch = (unsigned)value;
		break;
	case 's':
		habits->size = value < SIZE_MAX_LINE ? value : SIZE_MAX_LINE;
		break;
	case 'p':
		habits->pause_msec = (unsigned)value;
		break;
	case 'n':
		habits->churn = value;
		break;
	case 'w':
		habits->slow = value;
		break;
	case 'i':
		habits->idle = true;
		break;
	case 'm':
		habits->command = optarg;
		break;
	case 'o':
		habits->counted = true;
		break;
	case 'r':
		habits->replies = (unsigned)value;
		break;
	case 'e':
		habits->seed = value;
		break;
	case 'a':
		patience = value * USEC_PER_SEC;
		break;
	default:
		*ret_duration = value * USEC_PER_SEC;
		break;
	}
}

/* Makes the crowd; returns for how long it is to talk, 0: until a signal. */
static usec_t read_options(int argc, char *argv[])
{
	struct habits habits = {.clients = 1, .batch = 1, .replies = 1, .command = "", .seed = 1};
	struct address server;
	usec_t duration = 0;
	int option;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(option, &habits, &duration);
	if (optind + 1 != argc || habits.clients == 0 || habits.batch == 0 || habits.replies == 0)
		give_up("usage", "checker [OPTION]... ADDRESS");
	if (address_parse(argv[optind], &server) < 0)
		give_up(argv[optind], "is no address");
	crowd_init(&crowd, &habits, &server);
	return duration;
}

static int open_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigaddset(&set, SIGUSR2);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return check(signalfd(-1, &set, SFD_CLOEXEC), "signalfd");
}

static int open_timer(void)
{
	const struct itimerspec pace = {
		.it_interval = {.tv_nsec = TICK_MSEC * 1000000},
		.it_value = {.tv_nsec = TICK_MSEC * 1000000},
	};
	int fd = check(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd");

	check(timerfd_settime(fd, 0, &pace, NULL), "timerfd");
	return fd;
}

static void on_signal(int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		give_up("signalfd", "short read");
	if (info.ssi_signo == SIGUSR1)
		crowd_ask(&crowd);
	else if (info.ssi_signo == SIGUSR2)
		(void)print_figures();
	else
		crowd.stopping = true;
}

/* Goes on towards the end once the crowd is to stop. Returns whether that is reached. */
static bool wind_up(usec_t *deadline)
{
	usec_t now = clock_now();
	struct presence p;

	if (!crowd.stopping)
		return false;
	if (*deadline == 0)
		*deadline = now + patience;
	crowd_count(&crowd, &p);
	if (!crowd.parting && ((p.unanswered == 0 && p.greeted == p.live) || now >= *deadline)) {
		crowd_part(&crowd);
		*deadline = now + patience;
	}
	return crowd.parting && (p.live == 0 || now >= *deadline);
}

static void watch(int fd, int *where)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = where}};

	check(epoll_ctl(crowd.epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

int main(int argc, char *argv[])
{
	usec_t duration = read_options(argc, argv);
	usec_t end = duration > 0 ? clock_now() + duration : USEC_NEVER;
	usec_t deadline = 0;
	struct epoll_event events[256];
	struct rlimit limit;
	int signals = open_signals(), timer = open_timer();
	bool done = false, good;

	check(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
	limit.rlim_cur = limit.rlim_max;
	check(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
	watch(signals, &signals);
	watch(timer, &timer);
	(void)print_figures();
	while (!done) {
		int n = epoll_wait(crowd.epoll, events, 256, -1);

		for (int i = 0; i < n; i++) {
			void *what = events[i].data.ptr;
			uint64_t expirations;

			if (what == &signals) {
				on_signal(signals);
			} else if (what == &timer) {
				(void)!read(timer, &expirations, sizeof(expirations));
				crowd_tick(&crowd);
				done = wind_up(&deadline);
			} else {
				crowd_handle(&crowd, what, events[i].events);
			}
		}
		if (clock_now() >= end)
			crowd.stopping = true;
	}
	good = print_figures();
	crowd_done(&crowd);
	return good ? 0 : 1;
}
