/*
 * The service manager of the daemon in daemon.h: the test's own process. It holds the listening
 * sockets and the store of descriptors, which it fills from the socket that NOTIFY_SOCKET names, as
 * systemd would, and starts the daemon with all of that.
 */
#pragma once

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "daemon.h"

static inline bool same_file(int a, int b)
{
	struct stat left, right;

	assert_int_equal(fstat(a, &left), 0);
	assert_int_equal(fstat(b, &right), 0);
	return left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

static inline void unstore_at(struct world *world, size_t i)
{
	(void)close(world->store[i].fd);
	world->n_stored--;
	memmove(&world->store[i], &world->store[i + 1],
		(world->n_stored - i) * sizeof(world->store[0]));
}

static inline void unstore_name(struct world *world, const char *name)
{
	for (size_t i = world->n_stored; i > 0; i--)
		if (strcmp(world->store[i - 1].name, name) == 0)
			unstore_at(world, i - 1);
}

/* As systemd does: what is there already is not stored again, what is new comes first. */
static inline void store_fd(struct world *world, const char *name, int fd)
{
	for (size_t i = 0; i < world->n_stored; i++) {
		if (same_file(world->store[i].fd, fd)) {
			(void)close(fd);
			return;
		}
	}
	assert_true(world->n_stored < STORE_MAX);
	memmove(&world->store[1], &world->store[0], world->n_stored * sizeof(world->store[0]));
	world->store[0].fd = fd;
	(void)snprintf(world->store[0].name, sizeof(world->store[0].name), "%s", name);
	world->n_stored++;
}

static inline int stored_fd(const struct world *world, const char *name)
{
	for (size_t i = 0; i < world->n_stored; i++)
		if (strcmp(world->store[i].name, name) == 0)
			return world->store[i].fd;
	return -1;
}

/* Does what one notification asks for. */
static inline void obey(struct world *world, const char *text, int fd)
{
	const char *at = strstr(text, "FDNAME=");
	char name[32] = "";

	if (at != NULL) {
		at += strlen("FDNAME=");
		assert_true(strcspn(at, "\n") < sizeof(name));
		memcpy(name, at, strcspn(at, "\n"));
	}
	if (strncmp(text, "FDSTORE=1", strlen("FDSTORE=1")) == 0) {
		assert_true(fd >= 0 && name[0] != '\0');
		store_fd(world, name, fd);
	} else if (strncmp(text, "FDSTOREREMOVE=1", strlen("FDSTOREREMOVE=1")) == 0) {
		unstore_name(world, name);
	} else if (strncmp(text, "READY=1", strlen("READY=1")) == 0) {
		world->ready = true;
	}
}

/* Reads every notification that has come. */
static inline void manage(struct world *world)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char text[256];
	struct iovec part = {.iov_base = text, .iov_len = sizeof(text) - 1};

	for (;;) {
		struct msghdr header = {.msg_iov = &part,
					.msg_iovlen = 1,
					.msg_control = control.bytes,
					.msg_controllen = sizeof(control.bytes)};
		ssize_t n = recvmsg(world->notify, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		struct cmsghdr *c;
		int fd = -1;

		if (n < 0)
			return;
		text[n] = '\0';
		c = CMSG_FIRSTHDR(&header);
		if (c != NULL && c->cmsg_type == SCM_RIGHTS)
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
		obey(world, text, fd);
	}
}

/* An address in the abstract namespace that nobody else has. */
static inline socklen_t own_address(struct sockaddr_un *ret, const char *what)
{
	static unsigned number;

	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(ret->sun_path + 1, sizeof(ret->sun_path) - 1, "marcel-test-%s-%d-%u", what,
		       (int)getpid(), ++number);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(ret->sun_path + 1));
}

static inline void world_init(struct world *world, const struct marcel_responder_ops *responder)
{
	static char greeting[] = "hello", fin[] = "fin", too_long[] = "too long", nothing[] = "";
	static char *end_words[] = {fin};
	struct sockaddr_un address;
	socklen_t length = own_address(&address, "notify");

	*world = (struct world){
		.responder = responder,
		.capacity = 32,
		.limit = 1024,
		.control = -1,
		.face =
			{
				.name = nothing,
				.dialogue =
					{
						.greeting = greeting,
						.farewell = fin,
						.end_words = end_words,
						.n_end_words = 1,
						.framing = FRAMING_LINE,
						.raw_pause = USEC_PER_MSEC,
						.message_max = DIALOGUE_MESSAGE_MAX,
						.idle_timeout = USEC_NEVER,
						.too_long = too_long,
					},
				.responder = responder,
			},
	};
	world->listener = tcp_listener(&world->address);
	world->unix_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	world->unix_length = own_address(&world->unix_address, "listen");
	assert_int_equal(bind(world->unix_listener, (struct sockaddr *)&world->unix_address,
			      world->unix_length),
			 0);
	assert_int_equal(listen(world->unix_listener, 4096), 0);
	world->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(world->notify, (struct sockaddr *)&address, length), 0);
	(void)snprintf(world->environment, sizeof(world->environment), "NOTIFY_SOCKET=@%s",
		       address.sun_path + 1);
	assert_int_equal(putenv(world->environment), 0); /* NOLINT(concurrency-mt-unsafe) */
	world->log = memfd_create("log", MFD_CLOEXEC);
	assert_true(world->log >= 0);
	assert_int_equal(fcntl(world->log, F_SETFL, O_APPEND), 0);
}

static inline void world_start(struct world *world)
{
	int pair[2];

	assert_int_equal(world->daemon, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	world->ready = false;
	(void)fflush(NULL);
	world->daemon = fork();
	assert_true(world->daemon >= 0);
	if (world->daemon == 0)
		daemon_run(world, pair[1]);
	(void)close(pair[1]);
	world->control = pair[0];
}

/* The log so far, ended by NUL; the caller frees it. */
static inline char *world_log(const struct world *world)
{
	off_t size = lseek(world->log, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);

	assert_non_null(text);
	assert_int_equal(pread(world->log, text, (size_t)size, 0), size);
	return text;
}

/* Shows the log's end, when a test is about to fail. */
static inline void show_log(const struct world *world)
{
	char *log = world_log(world);
	size_t length = strlen(log);

	(void)fprintf(stderr, "%s\n", log + (length > 8000 ? length - 8000 : 0));
	free(log);
}

/* Waits for the daemon's end and its last words; returns its status. */
static inline int world_reap(struct world *world)
{
	struct pollfd fds[] = {{.fd = world->control, .events = POLLIN},
			       {.fd = world->notify, .events = POLLIN}};
	int status;

	/* It may be asleep because nobody reads its notifications. */
	while (poll(fds, 2, -1) < 0 || fds[0].revents == 0)
		manage(world);
	assert_int_equal(waitpid(world->daemon, &status, 0), world->daemon);
	(void)close(world->control);
	world->daemon = 0;
	manage(world);
	return status;
}

static inline void world_kill(struct world *world)
{
	int status;

	assert_int_equal(kill(world->daemon, SIGKILL), 0);
	status = world_reap(world);
	if (!WIFSIGNALED(status))
		show_log(world);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static inline void world_leave(struct world *world)
{
	int status;

	assert_int_equal(write(world->control, "l", 1), 1);
	status = world_reap(world);
	if (status != 0)
		show_log(world);
	assert_int_equal(status, 0);
}

static inline void world_done(struct world *world)
{
	while (world->n_stored > 0)
		unstore_at(world, 0);
	(void)close(world->listener);
	(void)close(world->unix_listener);
	(void)close(world->notify);
	(void)close(world->log);
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0); /* NOLINT(concurrency-mt-unsafe) */
}
