/*
 * marcelctl script record: stands between real clients and a real server, and writes a script and
 * a transcript of each connection when it is over.
 *
 * One poll() waits for the listening socket, all connections and the signals that end it. One
 * thread.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/i18n.h"
#include "marcelctl/compose.h"
#include "marcelctl/relay.h"
#include "marcelctl/say.h"
#include "marcelctl/upstream.h"
#include "marcelctl/verb.h"

#define RELAYS_MAX 64

enum {
	OPTION_ONCE = VERB_OPTIONS
};

static const struct option options[] = {
	{"listen", required_argument, NULL, 'l'},
	{"once", no_argument, NULL, OPTION_ONCE},
	{"output", required_argument, NULL, 'o'},
	{NULL, 0, NULL, 0},
};

struct recording {
	const char *server;
	const char *address;
	const char *base;
	bool once;
	int listener;
	int signals;
	struct relay relays[RELAYS_MAX];
	unsigned numbers[RELAYS_MAX]; /* of the connections */
	size_t count;
	unsigned accepted;
	bool over;
	int status;
};

/* Where poll(2) is asked: the signals, the listening socket, two of each relay. */
enum {
	POLL_SIGNALS,
	POLL_LISTENER,
	POLL_RELAYS
};

/* Writes what relay INDEX kept. */
static int save(struct recording *recording, size_t index)
{
	const struct relay *relay = &recording->relays[index];
	auto_free char *origin = NULL;
	auto_free char *base = NULL;
	struct composed composed;
	int status;
	int r;

	if (relay->error < 0) {
		say_error(_("connection %u was not kept whole: %s"), recording->numbers[index],
			  say_errno(-relay->error));
		return CTL_FAILED;
	}
	if (asprintf(&origin, "Recorded by marcelctl script record from %s.", recording->server) <
	    0)
		origin = NULL;
	r = recording->once ? asprintf(&base, "%s", recording->base)
			    : asprintf(&base, "%s-%u", recording->base, recording->numbers[index]);
	if (r < 0)
		base = NULL;
	r = origin != NULL && base != NULL
		    ? compose(&relay->exchange, &(struct compose_setup){.origin = origin},
			      &composed)
		    : -ENOMEM;
	if (r < 0) {
		say_error("%s", say_errno(-r));
		return CTL_FAILED;
	}
	status = compose_save(&composed, base);
	composed_done(&composed);
	return say_finish(status);
}

/* Relay INDEX is over, or everything is. */
static void finish(struct recording *recording, size_t index)
{
	const int status = save(recording, index);

	if (status != EXIT_OK)
		recording->status = status;
	relay_done(&recording->relays[index]);
	recording->count--;
	recording->relays[index] = recording->relays[recording->count];
	/* A way knows its sockets, not its relay: it may move. */
	recording->numbers[index] = recording->numbers[recording->count];
	if (recording->once)
		recording->over = true;
}

static void accept_client(struct recording *recording)
{
	auto_close int client =
		accept4(recording->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct report report = REPORT_INIT;
	auto_close int server = -1;

	if (client < 0)
		return;
	server = upstream_connect(recording->server, &report);
	say_report(&report);
	report_done(&report);
	if (server < 0) {
		recording->status = CTL_FAILED;
		recording->over = recording->once;
		return;
	}
	if (relay_init(&recording->relays[recording->count], take_fd(&client), take_fd(&server)) <
	    0) {
		recording->status = CTL_FAILED;
		return;
	}
	recording->numbers[recording->count] = ++recording->accepted;
	recording->count++;
}

/* Fills POLLED; a socket of which nothing is wanted is left out, for its end would wake us. */
static nfds_t prepare(const struct recording *recording, struct pollfd *polled)
{
	const bool more = recording->count < RELAYS_MAX &&
			  !(recording->once && recording->accepted > 0);
	nfds_t n = POLL_RELAYS;

	polled[POLL_SIGNALS] = (struct pollfd){.fd = recording->signals, .events = POLLIN};
	polled[POLL_LISTENER] =
		(struct pollfd){.fd = more ? recording->listener : -1, .events = POLLIN};
	for (size_t i = 0; i < recording->count; i++) {
		const struct relay *relay = &recording->relays[i];
		const short client = relay_wants_client(relay);
		const short server = relay_wants_server(relay);

		polled[n++] =
			(struct pollfd){.fd = client != 0 ? relay->client : -1, .events = client};
		polled[n++] =
			(struct pollfd){.fd = server != 0 ? relay->server : -1, .events = server};
	}
	return n;
}

static void step(struct recording *recording)
{
	struct pollfd polled[POLL_RELAYS + 2 * RELAYS_MAX];
	const nfds_t n = prepare(recording, polled);

	if (poll(polled, n, -1) < 0) {
		if (errno != EINTR) {
			say_error("poll: %s", say_errno(errno));
			recording->status = CTL_FAILED;
			recording->over = true;
		}
		return;
	}
	if (polled[POLL_SIGNALS].revents != 0)
		recording->over = true;
	for (size_t i = recording->count; i-- > 0;) {
		relay_step(&recording->relays[i], polled[POLL_RELAYS + 2 * i].revents,
			   polled[POLL_RELAYS + 2 * i + 1].revents);
		if (recording->relays[i].over)
			finish(recording, i);
	}
	if (polled[POLL_LISTENER].revents != 0 && !recording->over)
		accept_client(recording);
}

static int open_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int record(struct recording *recording)
{
	struct report report = REPORT_INIT;
	char text[ADDRESS_TEXT_MAX];
	struct address bound;

	recording->signals = open_signals();
	recording->listener = upstream_listen(recording->address, &bound, &report);
	say_report(&report);
	report_done(&report);
	if (recording->listener < 0 || recording->signals < 0)
		return CTL_FAILED;
	(void)printf("ready on %s\n", address_format(&bound, text, sizeof(text)));
	recording->status = say_finish(EXIT_OK);
	while (!recording->over)
		step(recording);
	while (recording->count > 0)
		finish(recording, recording->count - 1);
	if (bound.sa.sa_family == AF_UNIX && bound.un.sun_path[0] == '/')
		(void)unlink(bound.un.sun_path);
	return recording->status;
}

int verb_script_record(int argc, char **argv)
{
	static struct recording recording = {.address = "127.0.0.1:0",
					     .listener = -1,
					     .signals = -1};
	int status;
	int c;

	while ((c = verb_option(argc, argv, ":l:o:", options)) != -1) {
		switch (c) {
		case 'l':
			recording.address = optarg;
			break;
		case 'o':
			recording.base = optarg;
			break;
		case OPTION_ONCE:
			recording.once = true;
			break;
		default:
			return EXIT_USAGE;
		}
	}
	if (verb_arguments(argc, argv, 1, 1) < 0)
		return EXIT_USAGE;
	if (recording.base == NULL) {
		say_error(_("where to? --output BASE makes BASE.script and BASE.transcript"));
		return EXIT_USAGE;
	}
	recording.server = argv[optind];
	status = record(&recording);
	close_fd(&recording.listener);
	close_fd(&recording.signals);
	return status;
}
