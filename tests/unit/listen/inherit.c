/*
 * Sockets from systemd: a child gets descriptors as systemd passes them, in LISTEN_FDS and its
 * companions, and says what it made of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "in-child.h"
#include "listen/sockets.h"

#define BACKLOG    16
#define PASSED_MAX 8
#define FIRST_FD   3 /* sd_listen_fds(3) */

/* What systemd passes to the child. */
struct passed {
	int fds[PASSED_MAX];
	int count;
	const char *names;      /* LISTEN_FDNAMES; NULL: unset */
	const char *count_text; /* LISTEN_FDS instead of the count; NULL: the count */
	int other_process;      /* LISTEN_PID names another process */
	int claim;              /* whether names that begin with "marcel-" are claimed */
};

/* Makes this process look as systemd starts one: the descriptors from 3 on, the environment. */
static void become_service(struct passed *passed)
{
	static char count[32];
	static char names[512];
	static char pid[32];
	static char *environment[4];
	char **next = environment;

	for (int i = 0; i < passed->count; i++)
		passed->fds[i] = fcntl(passed->fds[i], F_DUPFD, HIGH_FD);
	for (int i = 0; i < passed->count; i++) {
		(void)dup3(passed->fds[i], FIRST_FD + i, 0);
		(void)close(passed->fds[i]);
	}
	(void)snprintf(pid, sizeof(pid), "LISTEN_PID=%d", passed->other_process ? 1 : getpid());
	(void)snprintf(count, sizeof(count), "LISTEN_FDS=%d", passed->count);
	if (passed->count_text != NULL)
		(void)snprintf(count, sizeof(count), "LISTEN_FDS=%s", passed->count_text);
	*next++ = pid;
	*next++ = count;
	if (passed->names != NULL) {
		(void)snprintf(names, sizeof(names), "LISTEN_FDNAMES=%s", passed->names);
		*next++ = names;
	}
	*next = NULL;
	environ = environment;
}

static const char *flags_of(int fd)
{
	const bool cloexec = (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
	const bool nonblock = (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;

	if (fcntl(fd, F_GETFD) < 0)
		return "closed";
	if (cloexec)
		return nonblock ? "cloexec,nonblock" : "cloexec";
	return nonblock ? "nonblock" : "none";
}

/* The fd store's descriptors, as the daemon would take them. */
static bool claim_store(void *context, int fd, const char *name)
{
	FILE *say = context;

	if (strncmp(name, "marcel-", 7) != 0)
		return false;
	(void)fprintf(say, "claimed %d %s %s\n", fd, name, flags_of(fd));
	return true;
}

static void inherit(void *context, FILE *say)
{
	struct passed *passed = context;
	struct listeners listeners = LISTENERS_INIT;
	struct report report = REPORT_INIT;
	char port_free[ADDRESS_TEXT_MAX];
	int r;

	become_service(passed);
	r = listeners_inherit(&listeners, passed->claim ? claim_store : NULL, say, &report);
	(void)fprintf(say, "result %d\n", r);
	for (size_t i = 0; i < listeners.count; i++) {
		const struct listener *listener = &listeners.items[i];

		/* The port is anybody's guess: leave it out. */
		(void)snprintf(port_free, sizeof(port_free), "%s", listener->address);
		if (strrchr(port_free, ':') != NULL)
			*strrchr(port_free, ':') = '\0';
		(void)fprintf(say, "listener %d %s %s %s %s\n", listener->fd, listener->name,
			      port_free, flags_of(listener->fd),
			      listener->inherited ? "inherited" : "bound");
	}
	for (size_t i = 0; i < report.kept; i++)
		(void)fprintf(say, "fault %s\n", report.texts[i]);
	if (environ[0] != NULL)
		(void)fprintf(say, "environment %s\n", environ[0]);
	listeners_close(&listeners);
	report_done(&report);
	for (int i = 0; i < passed->count; i++)
		(void)fprintf(say, "%s ", flags_of(FIRST_FD + i));
}

/* A socket that listens on TEXT, made by other means than those under test. */
static int listening(const char *text)
{
	struct address address;
	int fd;

	assert_int_equal(address_parse(text, &address), 0);
	fd = socket(address.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &address.sa, address.length), 0);
	assert_int_equal(listen(fd, BACKLOG), 0);
	return fd;
}

/* Lets a child inherit what PASSED says, which this closes, and compares what it says. */
static void must_say(struct passed *passed, const char *expected)
{
	char said[SAID_MAX];

	in_child(inherit, passed, said);
	assert_string_equal(said, expected);
	for (int i = 0; i < passed->count; i++)
		(void)close(passed->fds[i]);
}

/* One descriptor that must be refused as EXPECTED says. */
static void must_refuse(int fd, const char *expected)
{
	struct passed passed = {.fds = {fd}, .count = 1, .names = "chat"};
	char text[512];

	assert_true(fd >= 0);
	(void)snprintf(text, sizeof(text), "result %d\nfault descriptor 3 ('chat') is %s\nclosed ",
		       -EINVAL, expected);
	must_say(&passed, text);
}

static void takes_what_listens(void **state)
{
	struct passed passed = {.count = 2, .names = "web:desk"};
	char path[] = "/tmp/marcel-inherit-XXXXXX";
	char expected[512];
	char socket_path[64];

	(void)state;
	assert_non_null(mkdtemp(path));
	(void)snprintf(socket_path, sizeof(socket_path), "%s/socket", path);
	passed.fds[0] = listening("127.0.0.1:0");
	passed.fds[1] = listening(socket_path);
	(void)snprintf(expected, sizeof(expected),
		       "result 2\n"
		       "listener 3 web 127.0.0.1 cloexec,nonblock inherited\n"
		       "listener 4 desk %s cloexec,nonblock inherited\n"
		       "closed closed ",
		       socket_path);
	must_say(&passed, expected);
	/* The file is systemd's, who made it. */
	assert_int_equal(unlink(socket_path), 0);
	assert_int_equal(rmdir(path), 0);
}

static void takes_ipv6(void **state)
{
	struct passed passed = {.count = 1, .names = "marcel.socket"};
	struct address address;
	int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = -1;

	(void)state;
	assert_int_equal(address_parse("[::1]:0", &address), 0);
	if (probe >= 0)
		r = bind(probe, &address.sa, address.length);
	(void)close(probe);
	if (r < 0)
		skip();
	passed.fds[0] = listening("[::1]:0");
	must_say(&passed, "result 1\n"
			  "listener 3 marcel.socket [::1] cloexec,nonblock inherited\n"
			  "closed ");
}

static void takes_vsock(void **state)
{
	struct passed passed = {.count = 1, .names = "vm"};
	int probe = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	if (probe < 0)
		skip();
	(void)close(probe);
	passed.fds[0] = listening("vsock::4294967295");
	must_say(&passed, "result 1\n"
			  "listener 3 vm vsock: cloexec,nonblock inherited\n"
			  "closed ");
}

/* Stored descriptors come after the listening ones, and before the rest when somebody mixes them;
 * what is claimed stays open and is not judged. */
static void leaves_the_store_to_its_owner(void **state)
{
	struct passed passed = {.count = 4, .claim = 1};
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	passed.names = "web:marcel-vault-a:marcel-table:web";
	passed.fds[0] = listening("127.0.0.1:0");
	passed.fds[1] = pair[0];
	passed.fds[2] = memfd_create("marcel-test", MFD_CLOEXEC);
	passed.fds[3] = listening("127.0.0.1:0");
	must_say(&passed, "claimed 4 marcel-vault-a cloexec\n"
			  "claimed 5 marcel-table cloexec\n"
			  "result 2\n"
			  "listener 3 web 127.0.0.1 cloexec,nonblock inherited\n"
			  "listener 6 web 127.0.0.1 cloexec,nonblock inherited\n"
			  "closed cloexec cloexec closed ");
	(void)close(pair[1]);
}

static void closing_leaves_the_socket_listening(void **state)
{
	struct passed passed = {.count = 1, .names = "web"};
	struct address address = {.length = sizeof(address.storage)};
	int keeper = listening("127.0.0.1:0");
	int client;

	(void)state;
	passed.fds[0] = fcntl(keeper, F_DUPFD_CLOEXEC, 0);
	must_say(&passed, "result 1\n"
			  "listener 3 web 127.0.0.1 cloexec,nonblock inherited\n"
			  "closed ");
	assert_int_equal(getsockname(keeper, &address.sa, &address.length), 0);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, &address.sa, address.length), 0);
	(void)close(client);
	(void)close(keeper);
}

/* Accept=yes passes the connection itself. */
static void refuses_a_connection(void **state)
{
	struct address address = {.length = sizeof(address.storage)};
	int listener = listening("127.0.0.1:0");
	int client;
	int pair[2];

	(void)state;
	assert_int_equal(getsockname(listener, &address.sa, &address.length), 0);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, &address.sa, address.length), 0);
	must_refuse(accept4(listener, NULL, NULL, SOCK_CLOEXEC),
		    "a connected socket: set Accept=no in the socket unit");
	(void)close(client);
	(void)close(listener);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	must_refuse(pair[0], "a connected socket: set Accept=no in the socket unit");
	(void)close(pair[1]);
}

static void refuses_other_sockets(void **state)
{
	(void)state;
	must_refuse(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
		    "a datagram socket: write ListenStream= instead of ListenDatagram=");
	must_refuse(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0),
		    "a sequential packet socket: write ListenStream= instead of "
		    "ListenSequentialPacket=");
	must_refuse(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
		    "a socket of a family that marceld does not speak");
	must_refuse(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
		    "a socket that does not listen");
}

static void refuses_what_is_no_socket(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	must_refuse(pair[0], "a FIFO or pipe, not a socket: ListenFIFO= is not for marceld");
	(void)close(pair[1]);
	must_refuse(open("/dev/null", O_RDWR | O_CLOEXEC),
		    "a device, not a socket: ListenSpecial= is not for marceld");
	must_refuse(memfd_create("marcel-test", MFD_CLOEXEC), "a file, not a socket");
	must_refuse(eventfd(0, EFD_CLOEXEC), "not a socket");
}

/* All faults are told at once, each with its name, which may hold anything. */
static void tells_every_fault(void **state)
{
	struct passed passed = {.count = 4, .names = "web:bad\033[2J:log:late"};
	char expected[512];

	(void)state;
	passed.fds[0] = listening("127.0.0.1:0");
	passed.fds[1] = eventfd(0, EFD_CLOEXEC);
	passed.fds[2] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	passed.fds[3] = listening("127.0.0.1:0");
	(void)snprintf(expected, sizeof(expected),
		       "result %d\n"
		       "listener 3 web 127.0.0.1 cloexec,nonblock inherited\n"
		       "listener 6 late 127.0.0.1 cloexec,nonblock inherited\n"
		       "fault descriptor 4 ('bad\\e[2J') is not a socket\n"
		       "fault descriptor 5 ('log') is a datagram socket: write ListenStream= "
		       "instead of ListenDatagram=\n"
		       "closed closed closed closed ",
		       -EINVAL);
	must_say(&passed, expected);
}

static void needs_no_names(void **state)
{
	struct passed passed = {.fds = {listening("127.0.0.1:0")}, .count = 1};

	(void)state;
	must_say(&passed, "result 1\n"
			  "listener 3 unknown 127.0.0.1 cloexec,nonblock inherited\n"
			  "closed ");
}

/* Variables that a parent of ours left: they are not for us. */
static void leaves_what_is_for_another_process(void **state)
{
	struct passed passed = {.fds = {listening("127.0.0.1:0")},
				.count = 1,
				.names = "web",
				.other_process = 1};

	(void)state;
	must_say(&passed, "result 0\nnone ");
}

static void refuses_a_senseless_count(void **state)
{
	struct passed passed = {.count_text = "many"};
	char expected[256];

	(void)state;
	(void)snprintf(expected, sizeof(expected),
		       "result %d\nfault the descriptors that systemd passed cannot be taken: "
		       "Invalid argument\n",
		       -EINVAL);
	must_say(&passed, expected);
}

static void finds_nothing_without_systemd(void **state)
{
	struct listeners listeners = LISTENERS_INIT;
	struct report report = REPORT_INIT;

	(void)state;
	assert_int_equal(listeners_inherit(&listeners, NULL, NULL, &report), 0);
	assert_int_equal(listeners.count, 0);
	assert_int_equal(report.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_listens),
		cmocka_unit_test(takes_ipv6),
		cmocka_unit_test(takes_vsock),
		cmocka_unit_test(leaves_the_store_to_its_owner),
		cmocka_unit_test(closing_leaves_the_socket_listening),
		cmocka_unit_test(refuses_a_connection),
		cmocka_unit_test(refuses_other_sockets),
		cmocka_unit_test(refuses_what_is_no_socket),
		cmocka_unit_test(tells_every_fault),
		cmocka_unit_test(needs_no_names),
		cmocka_unit_test(leaves_what_is_for_another_process),
		cmocka_unit_test(refuses_a_senseless_count),
		cmocka_unit_test(finds_nothing_without_systemd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
