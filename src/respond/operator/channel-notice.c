/*
 * What happened to names: somebody removes or replaces a FIFO.
 *
 * NOTE ON CLOSING. The last close(2) of an inotify instance, also that by exit(2), waits until the
 * kernel's workers have freed its watches: on a machine with more to do than it can, a restart took
 * 5 to 31 seconds by that, instead of 0.1. So the service manager holds it as well, and the next
 * process goes on with it. A watch that is added again is the one that was there; what it has to
 * tell of others, or of what was before, is about nobody, or makes somebody look who finds nothing.
 */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "respond/operator/channel-priv.h"

/* Whether FD is an inotify instance. */
static bool is_inotify(int fd)
{
	static const char wanted[] = "anon_inode:inotify";
	char path[64], name[sizeof(wanted)];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name));
	return n == (ssize_t)strlen(wanted) && memcmp(name, wanted, strlen(wanted)) == 0;
}

void notice_claim(void)
{
	auto_close int fd = keepsake_take_fd(KEEP_INOTIFY);

	if (fd >= 0 && is_inotify(fd))
		channel.inotify = take_fd(&fd);
}

void notice_open(void)
{
	if (channel.inotify >= 0)
		return;
	channel.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (channel.inotify >= 0)
		keepsake_store_fd(KEEP_INOTIFY, channel.inotify);
}

/* Who may write to a FIFO can make notices without end, by its times; each look takes the lock. So
 * there is a pause after each batch, in which they gather. */
#define NOTICES_PAUSE (50 * USEC_PER_MSEC)
#define NOTICES_SIZE  4096
#define NOTICES_MAX   (NOTICES_SIZE / sizeof(struct inotify_event))

/* Adds WATCH to the *N in WATCHES, where it stands once. */
static void add_watch(int watches[NOTICES_MAX], size_t *n, int watch)
{
	for (size_t i = *n; i-- > 0;)
		if (watches[i] == watch)
			return;
	watches[(*n)++] = watch;
}

void notice_take(void)
{
	char bytes[NOTICES_SIZE] __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *event;
	ssize_t length = read(channel.inotify, bytes, sizeof(bytes));
	bool directory = false, all = false;
	int watches[NOTICES_MAX];
	size_t n = 0;

	for (ssize_t at = 0; at < length; at += (ssize_t)(sizeof(*event) + event->len)) {
		event = (const struct inotify_event *)(const void *)(bytes + at);
		/* That a watch has ended is our own doing. */
		if ((event->mask & IN_Q_OVERFLOW) != 0)
			directory = all = true;
		else if (event->wd == channel.watch)
			directory = true;
		else if ((event->mask & ~(uint32_t)IN_IGNORED) != 0)
			add_watch(watches, &n, event->wd);
	}
	if (directory)
		orders_look();
	if (all)
		places_look_at_all();
	else
		places_look(watches, n);
	channel.notices_at = clock_deadline(clock_now(), NOTICES_PAUSE);
}
