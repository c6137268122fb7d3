/*
 * Sockets bound by hand: what can be connected to, what is in the way, what is left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "in-child.h"
#include "listen/sockets.h"

#define BACKLOG 16

struct fixture {
	struct listeners listeners;
	struct report report;
	char directory[64];
	char path[96]; /* of a file in it, which need not exist */
	int next_fd;   /* the lowest descriptor that was free */
};

static int lowest_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)close(fd);
	return fd;
}

static int make(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){.listeners = LISTENERS_INIT, .report = REPORT_INIT};
	fixture.next_fd = lowest_free_fd();
	(void)snprintf(fixture.directory, sizeof(fixture.directory), "/tmp/marcel-bind-XXXXXX");
	if (mkdtemp(fixture.directory) == NULL)
		return -1;
	(void)snprintf(fixture.path, sizeof(fixture.path), "%s/socket", fixture.directory);
	*state = &fixture;
	return 0;
}

/* Whatever the test did, nothing may be left: no descriptor, no socket file. */
static int end(void **state)
{
	struct fixture *fixture = *state;

	listeners_close(&fixture->listeners);
	listeners_close(&fixture->listeners); /* an empty one is fine */
	report_done(&fixture->report);
	(void)unlink(fixture->path);
	if (rmdir(fixture->directory) < 0 || lowest_free_fd() != fixture->next_fd) {
		print_error("something is left behind in %s\n", fixture->directory);
		return -1;
	}
	return 0;
}

/* Binds ADDRESS, which must work, and returns the listener (valid until the next one is bound). */
static const struct listener *must_bind(struct fixture *fixture, const char *address)
{
	size_t before = fixture->listeners.count;
	int r;

	r = listeners_bind(&fixture->listeners, "web", address, BACKLOG, &fixture->report);
	if (r < 0 && fixture->report.kept > 0)
		print_error("%s\n", fixture->report.texts[0]);
	assert_int_equal(r, 0);
	assert_int_equal(fixture->report.count, 0);
	assert_int_equal(fixture->listeners.count, before + 1);
	return &fixture->listeners.items[before];
}

/* Binding ADDRESS must fail with ERROR and tell EXPECTED. */
static void must_fail(struct fixture *fixture, const char *address, int error, const char *expected)
{
	size_t before = fixture->listeners.count;
	int fd = lowest_free_fd();

	assert_int_equal(listeners_bind(&fixture->listeners, "", address, BACKLOG,
					&fixture->report),
			 error);
	assert_int_equal(fixture->report.kept, 1);
	assert_string_equal(fixture->report.texts[0], expected);
	assert_int_equal(fixture->listeners.count, before);
	assert_int_equal(lowest_free_fd(), fd);
	report_done(&fixture->report);
}

/* A blocking stream socket connected to TEXT, or -errno. */
static int try_connect(const char *text)
{
	struct address address;
	int fd;

	assert_int_equal(address_parse(text, &address), 0);
	fd = socket(address.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, &address.sa, address.length) < 0) {
		int error = errno;

		(void)close(fd);
		return -error;
	}
	return fd;
}

/* Takes the connection that a successful connect() has put into LISTENER's queue. */
static int take_connection(const struct listener *listener)
{
	struct pollfd ready = {.fd = listener->fd, .events = POLLIN};
	int fd;

	assert_int_equal(poll(&ready, 1, 10000), 1);
	fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* A client that connects to TEXT is accepted on LISTENER, and its bytes arrive. */
static void must_serve(const struct listener *listener, const char *text)
{
	int client = try_connect(text);
	int server;
	char byte = 0;

	assert_true(client >= 0);
	server = take_connection(listener);
	assert_int_equal(write(client, "x", 1), 1);
	assert_int_equal(read(server, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	(void)close(server);
	(void)close(client);
}

static unsigned port_of(const struct listener *listener)
{
	struct address address;

	assert_int_equal(address_parse(listener->address, &address), 0);
	return ntohs(address.sa.sa_family == AF_INET ? address.in.sin_port : address.in6.sin6_port);
}

static void listens_on_ipv4(void **state)
{
	const struct listener *listener = must_bind(*state, "127.0.0.1:0");

	assert_memory_equal(listener->address, "127.0.0.1:", 10);
	assert_true(port_of(listener) > 0);
	assert_string_equal(listener->name, "web");
	assert_false(listener->inherited);
	must_serve(listener, listener->address);
}

static void never_blocks_nor_leaks_into_programs(void **state)
{
	const struct listener *listener = must_bind(*state, "127.0.0.1:0");

	assert_int_equal(accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(fcntl(listener->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static bool has_ipv6(void)
{
	struct address address;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return false;
	assert_int_equal(address_parse("[::1]:0", &address), 0);
	r = bind(fd, &address.sa, address.length);
	(void)close(fd);
	return r == 0;
}

static void listens_on_ipv6(void **state)
{
	const struct listener *listener;

	if (!has_ipv6())
		skip();
	listener = must_bind(*state, "[::1]:0");
	assert_memory_equal(listener->address, "[::1]:", 6);
	must_serve(listener, listener->address);
}

static void a_bare_port_serves_both_families(void **state)
{
	const struct listener *listener;
	char text[64];

	if (!has_ipv6())
		skip();
	listener = must_bind(*state, "0");
	assert_memory_equal(listener->address, "[::]:", 5);
	(void)snprintf(text, sizeof(text), "127.0.0.1:%u", port_of(listener));
	must_serve(listener, text);
	(void)snprintf(text, sizeof(text), "[::1]:%u", port_of(listener));
	must_serve(listener, text);
}

/* From here on this process has no IPv6: socket() says so, as a kernel without it does. */
static int forbid_ipv6(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

static void bind_without_ipv6(void *context, FILE *say)
{
	struct listeners listeners = LISTENERS_INIT;
	struct report report = REPORT_INIT;
	int fd;

	(void)context;
	if (forbid_ipv6() < 0) {
		(void)fprintf(say, "no seccomp");
		return;
	}
	(void)fprintf(say, "%d ", listeners_bind(&listeners, "", "0", BACKLOG, &report));
	for (size_t i = 0; i < listeners.count; i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "127.0.0.1:%u", port_of(&listeners.items[i]));
		fd = try_connect(text);
		(void)fprintf(say, "%.8s %s ", listeners.items[i].address,
			      fd >= 0 ? "connected" : "refused");
		(void)close(fd);
	}
	/* Who names an IPv6 address gets no other one instead. */
	(void)fprintf(say, "%s",
		      listeners_bind(&listeners, "", "[::]:0", BACKLOG, &report) == -EAFNOSUPPORT
			      ? report.texts[0]
			      : "bound");
	listeners_close(&listeners);
	report_done(&report);
}

static void a_bare_port_does_without_ipv6(void **state)
{
	char said[SAID_MAX];

	(void)state;
	in_child(bind_without_ipv6, NULL, said);
	if (strcmp(said, "no seccomp") == 0)
		skip();
	assert_string_equal(said, "0 0.0.0.0: connected cannot listen on [::]:0: "
				  "Address family not supported by protocol");
}

static void says_that_a_port_is_in_use(void **state)
{
	char address[ADDRESS_TEXT_MAX];
	char expected[256];

	(void)snprintf(address, sizeof(address), "%s", must_bind(*state, "127.0.0.1:0")->address);
	(void)snprintf(expected, sizeof(expected), "cannot listen on %.64s: Address already in use",
		       address);
	must_fail(*state, address, -EADDRINUSE, expected);
}

/* The server closed first: its port waits for stray segments, and can be taken all the same. */
static void takes_a_port_again_at_once(void **state)
{
	struct fixture *fixture = *state;
	const struct listener *listener = must_bind(fixture, "127.0.0.1:0");
	char address[ADDRESS_TEXT_MAX];
	int client;
	int server;
	char byte;

	(void)snprintf(address, sizeof(address), "%s", listener->address);
	client = try_connect(address);
	assert_true(client >= 0);
	server = take_connection(listener);
	assert_int_equal(shutdown(server, SHUT_WR), 0);
	assert_int_equal(read(client, &byte, 1), 0);
	(void)close(client);
	assert_int_equal(read(server, &byte, 1), 0);
	(void)close(server);
	listeners_close(&fixture->listeners);
	must_serve(must_bind(fixture, address), address);
}

static void explains_what_is_no_address(void **state)
{
	must_fail(*state, "localhost:50000", -EINVAL,
		  "'localhost:50000' is no address: no IPv4 address stands before the colon "
		  "(names are not looked up)");
	must_fail(*state, "127.0.0.1:65536", -EINVAL,
		  "'127.0.0.1:65536' is no address: a port is a number from 0 to 65535");
	if (has_ipv6())
		must_fail(*state, "[fe80::1]:0", -EINVAL,
			  "cannot listen on [fe80::1]:0: a link-local address needs its interface: "
			  "[fe80::1%eth0]:50000");
	/* Reserved for documentation (RFC 5737): nobody has it. */
	must_fail(*state, "203.0.113.77:0", -EADDRNOTAVAIL,
		  "cannot listen on 203.0.113.77:0: Cannot assign requested address");
}

static void bind_without_descriptors(void *context, FILE *say)
{
	struct listeners listeners = LISTENERS_INIT;
	struct report report = REPORT_INIT;
	struct rlimit limit;
	struct rlimit none;

	(void)context;
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
	if (setrlimit(RLIMIT_NOFILE, &none) == 0)
		(void)fprintf(say, "%d ",
			      listeners_bind(&listeners, "", "127.0.0.1:0", BACKLOG, &report));
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	(void)fprintf(say, "%s", report.kept > 0 ? report.texts[0] : "");
	listeners_close(&listeners);
	report_done(&report);
}

static void says_that_descriptors_are_short(void **state)
{
	char expected[128];
	char said[SAID_MAX];

	(void)state;
	(void)snprintf(expected, sizeof(expected),
		       "%d cannot listen on 127.0.0.1:0: Too many open files", -EMFILE);
	in_child(bind_without_descriptors, NULL, said);
	assert_string_equal(said, expected);
}

static void listens_on_a_path(void **state)
{
	struct fixture *fixture = *state;
	const struct listener *listener = must_bind(fixture, fixture->path);

	assert_string_equal(listener->address, fixture->path);
	must_serve(listener, fixture->path);
	assert_int_equal(access(fixture->path, F_OK), 0);
	listeners_close(&fixture->listeners);
	assert_int_equal(access(fixture->path, F_OK), -1);
}

static void listens_on_an_abstract_name(void **state)
{
	struct fixture *fixture = *state;
	char name[128];
	char expected[256];

	(void)snprintf(name, sizeof(name), "@%s", fixture->path);
	must_serve(must_bind(fixture, name), name);
	(void)snprintf(expected, sizeof(expected), "cannot listen on %s: Address already in use",
		       name);
	must_fail(fixture, name, -EADDRINUSE, expected);
}

/* Binds a socket of TYPE to the fixture's path and leaves its file; the caller closes it. */
static int bind_path(const struct fixture *fixture, int type)
{
	struct address address;
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(address_parse(fixture->path, &address), 0);
	assert_int_equal(bind(fd, &address.sa, address.length), 0);
	return fd;
}

static void replaces_a_stale_socket(void **state)
{
	struct fixture *fixture = *state;

	(void)close(bind_path(fixture, SOCK_STREAM));
	assert_int_equal(try_connect(fixture->path), -ECONNREFUSED);
	must_serve(must_bind(fixture, fixture->path), fixture->path);
	/* Also one of its own, when nothing removed it at the end of its process. */
	(void)close(fixture->listeners.items[0].fd);
	fixture->listeners.count = 0;
	must_serve(must_bind(fixture, fixture->path), fixture->path);
}

static void leaves_a_live_socket(void **state)
{
	struct fixture *fixture = *state;
	/* Also one that does not listen yet, and those that are no streams. */
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	char expected[256];
	int other;

	(void)snprintf(expected, sizeof(expected),
		       "cannot listen on %s: another program uses this socket", fixture->path);
	must_bind(fixture, fixture->path);
	must_fail(fixture, fixture->path, -EADDRINUSE, expected);
	/* The first client it sees is this one, not one that only looked whether it lives. */
	must_serve(&fixture->listeners.items[0], fixture->path);
	listeners_close(&fixture->listeners);

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		other = bind_path(fixture, types[i]);
		must_fail(fixture, fixture->path, -EADDRINUSE, expected);
		assert_int_equal(unlink(fixture->path), 0);
		(void)close(other);
	}
}

/* One whose queue of connections is full is alive too. */
static void leaves_a_busy_socket(void **state)
{
	struct fixture *fixture = *state;
	char expected[256];
	int busy = bind_path(fixture, SOCK_STREAM);
	int client;

	(void)snprintf(expected, sizeof(expected),
		       "cannot listen on %s: another program uses this socket", fixture->path);
	assert_int_equal(listen(busy, 0), 0);
	client = try_connect(fixture->path);
	assert_true(client >= 0);
	must_fail(fixture, fixture->path, -EADDRINUSE, expected);
	(void)close(client);
	(void)close(busy);
}

static void leaves_other_files(void **state)
{
	struct fixture *fixture = *state;
	char expected[256];

	(void)snprintf(expected, sizeof(expected),
		       "cannot listen on %s: a file that is no socket is in the way",
		       fixture->path);
	assert_int_equal(close(open(fixture->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	must_fail(fixture, fixture->path, -EADDRINUSE, expected);
	assert_int_equal(unlink(fixture->path), 0);
	assert_int_equal(symlink("/nowhere", fixture->path), 0);
	must_fail(fixture, fixture->path, -EADDRINUSE, expected);
	assert_int_equal(unlink(fixture->path), 0);
	must_fail(fixture, "/nowhere/at/all", -ENOENT,
		  "cannot listen on /nowhere/at/all: No such file or directory");
}

/* What stands at the path at the end may be somebody else's by then. */
static void removes_only_its_own_file(void **state)
{
	struct fixture *fixture = *state;
	int other;

	must_bind(fixture, fixture->path);
	assert_int_equal(unlink(fixture->path), 0);
	other = bind_path(fixture, SOCK_STREAM);
	listeners_close(&fixture->listeners);
	assert_int_equal(access(fixture->path, F_OK), 0);
	(void)close(other);

	/* Gone already: nothing happens. */
	must_bind(fixture, fixture->path);
	assert_int_equal(unlink(fixture->path), 0);
	listeners_close(&fixture->listeners);
}

static void listens_on_vsock(void **state)
{
	const struct listener *listener;
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		skip();
	(void)close(fd);
	/* This port means any; the kernel picks one. */
	listener = must_bind(*state, "vsock::4294967295");
	assert_memory_equal(listener->address, "vsock::", 7);
	assert_string_not_equal(listener->address, "vsock::4294967295");
}

static void binds_a_list(void **state)
{
	struct fixture *fixture = *state;
	struct listeners *listeners = &fixture->listeners;
	struct report *report = &fixture->report;
	char list[256];

	(void)snprintf(list, sizeof(list), "  127.0.0.1:0\t%s  127.0.0.1:0 ", fixture->path);
	assert_int_equal(listeners_bind_all(listeners, "desk", list, BACKLOG, report), 0);
	assert_int_equal(listeners->count, 3);
	assert_string_equal(listeners->items[1].address, fixture->path);
	assert_string_equal(listeners->items[2].name, "desk");
	assert_int_equal(listeners_bind_all(listeners, "", "", BACKLOG, report), 0);
	assert_int_equal(listeners->count, 3);

	/* Every fault is told, and what could be bound is. */
	assert_int_equal(listeners_bind_all(listeners, "", "nonsense 127.0.0.1:0 203.0.113.77:0",
					    BACKLOG, report),
			 -EINVAL);
	assert_int_equal(listeners->count, 4);
	assert_int_equal(report->count, 2);
	assert_non_null(strstr(report->texts[0], "'nonsense' is no address"));
	assert_non_null(strstr(report->texts[1], "cannot listen on 203.0.113.77:0"));
}

static void cuts_a_long_name(void **state)
{
	struct fixture *fixture = *state;
	char name[400];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(listeners_bind(&fixture->listeners, name, "127.0.0.1:0", BACKLOG,
					&fixture->report),
			 0);
	assert_int_equal(strlen(fixture->listeners.items[0].name), 255);
}

#define BIND_TEST(name) cmocka_unit_test_setup_teardown(name, make, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BIND_TEST(listens_on_ipv4),
		BIND_TEST(never_blocks_nor_leaks_into_programs),
		BIND_TEST(listens_on_ipv6),
		BIND_TEST(a_bare_port_serves_both_families),
		BIND_TEST(a_bare_port_does_without_ipv6),
		BIND_TEST(says_that_a_port_is_in_use),
		BIND_TEST(takes_a_port_again_at_once),
		BIND_TEST(explains_what_is_no_address),
		BIND_TEST(says_that_descriptors_are_short),
		BIND_TEST(listens_on_a_path),
		BIND_TEST(listens_on_an_abstract_name),
		BIND_TEST(replaces_a_stale_socket),
		BIND_TEST(leaves_a_live_socket),
		BIND_TEST(leaves_a_busy_socket),
		BIND_TEST(leaves_other_files),
		BIND_TEST(removes_only_its_own_file),
		BIND_TEST(listens_on_vsock),
		BIND_TEST(binds_a_list),
		BIND_TEST(cuts_a_long_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
