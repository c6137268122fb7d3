/*
 * Opening and closing the operator channel, its map of places, and its thread; see channel.h.
 *
 * The thread sleeps in poll() until something comes by DIRECTORY/in, something happened to a name
 * (inotify), somebody calls it (an eventfd), or something is due.
 */
#include "respond/operator/channel.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "record/record.h"
#include "respond/operator/channel-fifo.h"
#include "respond/operator/channel-priv.h"
#include "respond/operator/pad.h"

#define PARENT_MODE 0755
#define LOCK_MODE   0600

#define NOTHING                                                                                  \
	.dir = -1, .conversations = -1, .waiting = -1, .lock_file = -1, .inotify = -1,           \
	.watch = -1, .wake = -1, .in = -1, .kept = {-1, -1, -1}, .vault = {.in = -1, .out = -1}, \
	.dying_due = USEC_NEVER, .claim_until = USEC_NEVER

struct channel channel = {.lock = LOCK_INIT("operator channel"), NOTHING};

usec_t channel_patience = PAD_PATIENCE;
usec_t channel_claim_time = 180 * USEC_PER_SEC;
usec_t channel_quiet_time = 60 * USEC_PER_SEC;

/* What is told of trouble. */

static void record_trouble(const struct place *place, const char *what, int r)
{
	const struct record_about about = {
		.number = place != NULL ? place->number : 0,
		.id = place != NULL ? place->id : NULL,
		.peer = place != NULL ? place->peer : NULL,
		.listener = place != NULL ? place->listener : NULL,
	};
	const struct record_field fields[] = {{"MARCEL_DIRECTORY", channel.directory}};

	record_event(RECORD_TROUBLE, about.peer != NULL ? &about : NULL, fields,
		     channel.directory != NULL ? 1 : 0, "Operator channel: %s: %s", what,
		     strerrordesc_np(-r));
}

void channel_complain(enum channel_told told, const struct place *about, const char *what, int r)
{
	usec_t last = atomic_load(&channel.told_at[told]);
	usec_t now = clock_now();

	if (last != 0 && clock_deadline(last, channel_quiet_time) > now)
		return;
	if (atomic_exchange(&channel.told[told], true))
		return;
	atomic_store(&channel.told_at[told], now);
	record_trouble(about, what, r);
}

void channel_recovered(enum channel_told told)
{
	/* Most often it is clear already, and reading is cheaper. */
	if (atomic_load(&channel.told[told]))
		atomic_store(&channel.told[told], false);
}

void channel_trouble(const struct place *place, const char *what, int r)
{
	char text[256];
	int n;

	record_trouble(place, what, r);
	n = snprintf(text, sizeof(text), "%s: %s", what, strerrordesc_np(-r));
	channel_tell(EVENT_TROUBLE, place != NULL ? place->number : 0, 0, NULL, text,
		     n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* The map. */

static struct place **bucket_of(uint64_t number)
{
	return &channel.map[number % CHANNEL_BUCKETS];
}

struct place *channel_find(uint64_t number)
{
	struct place *place = *bucket_of(number);

	while (place != NULL && place->number != number)
		place = place->next;
	return place;
}

void channel_add(struct place *place)
{
	struct place **bucket = bucket_of(place->number);

	place->next = *bucket;
	*bucket = place;
}

void channel_remove(struct place *place)
{
	struct place **at = bucket_of(place->number);

	while (*at != place)
		at = &(*at)->next;
	*at = place->next;
	place->next = NULL;
}

struct place *place_new(uint64_t number)
{
	struct place *place = calloc(1, sizeof(*place));

	if (place == NULL)
		return NULL;
	place->number = number;
	place->slot = NO_SLOT;
	place->fd = -1;
	place->watch = -1;
	return place;
}

void place_free(struct place *place)
{
	if (place == NULL)
		return;
	close_fd(&place->fd);
	free(place->peer);
	free(place->listener);
	free(place->responder);
	free(place);
}

/* Opening. */

/* Makes the directories that PATH, which is changed and changed back, goes through, as far as they
 * are missing. */
static int make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		int r;

		*slash = '\0';
		r = mkdir(path, PARENT_MODE) < 0 && errno != EEXIST ? -errno : 0;
		*slash = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

/* Makes the directory NAME in DIR if need be, and opens it. -EPERM: it is somebody else's, who
 * would say who may read what is in it. */
static int open_directory(int dir, const char *name)
{
	auto_close int fd = -1;
	struct stat st;

	if (mkdirat(dir, name, DIRECTORY_MODE) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return -EPERM;
	return take_fd(&fd);
}

/* Sees to it that no other daemon uses the directory. The kernel drops the lock with the process.
 * Operators cannot open the file, so they cannot lock it. */
static int take_lock(void)
{
	auto_close int fd = openat(channel.dir, NAME_LOCK,
				   O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
				   LOCK_MODE);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	channel.lock_file = take_fd(&fd);
	return 0;
}

/* One of the directories in the channel's own; without it the rest works. */
static int open_part(const char *name)
{
	int fd = open_directory(channel.dir, name);

	if (fd < 0)
		channel_trouble(NULL, name, fd == -ELOOP ? -ENOTDIR : fd);
	return fd < 0 ? -1 : fd;
}

/* Opens the directory and what is in it. What can't be had is told once, here. */
static void open_files(void)
{
	int r = make_parents(channel.directory);

	if (r == 0)
		r = open_directory(AT_FDCWD, channel.directory);
	if (r < 0) {
		record_trouble(NULL,
			       r == -EPERM ? "Its directory belongs to somebody else, so there are "
					     "no files for operators"
					   : "There are no files for operators",
			       r);
		return;
	}
	channel.dir = r;
	r = take_lock();
	if (r < 0) {
		record_trouble(NULL,
			       r == -EWOULDBLOCK
				       ? "Another marceld uses its directory, so there are no "
					 "files for operators"
				       : "There are no files for operators",
			       r);
		close_fd(&channel.dir);
		return;
	}
	events_open();
	channel.conversations = open_part(NAME_CONVERSATIONS);
	channel.waiting = open_part(NAME_WAITING);
	notice_open();
	orders_open();
}

/* The thread. */

static usec_t earlier(usec_t a, usec_t b)
{
	return a < b ? a : b;
}

bool channel_should_stop(void)
{
	bool stop;

	lock_take(&channel.lock);
	stop = channel.stop;
	lock_drop(&channel.lock);
	return stop;
}

/* Sleeps until there is something to do, and does it. */
static void turn_round(void)
{
	usec_t due = earlier(orders_due(), sweep_due());
	usec_t now = clock_now();
	bool pauses = now < channel.notices_at;
	struct pollfd polls[] = {
		{.fd = channel.wake, .events = POLLIN},
		{.fd = pauses ? -1 : channel.inotify, .events = POLLIN},
		{.fd = channel.in, .events = POLLIN},
	};
	uint64_t count;

	if (pauses)
		due = earlier(due, channel.notices_at);
	if (poll(polls, sizeof(polls) / sizeof(polls[0]), clock_poll_msec(clock_left(due, now))) <
	    0)
		return;
	if (polls[0].revents != 0)
		(void)!read(channel.wake, &count, sizeof(count));
	if (polls[1].revents != 0)
		notice_take();
	if (polls[2].revents != 0)
		orders_read();
	now = clock_now();
	orders_pass_time(now);
	sweep_dying(now);
	sweep_unclaimed(now);
	sweep_graves(now);
}

static void *run(void *argument)
{
	(void)argument;
	/* What an earlier process read and did not pass on. */
	orders_read();
	sweep_begin();
	while (!channel_should_stop())
		turn_round();
	return NULL;
}

void channel_wake(void)
{
	const uint64_t one = 1;

	if (channel.wake >= 0)
		(void)!write(channel.wake, &one, sizeof(one));
}

static void start_thread(void)
{
	int r = 0;

	channel.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (channel.wake < 0)
		r = -errno;
	if (r == 0)
		r = thread_start(&channel.thread, "operator", NULL, 0, run, NULL);
	channel.running = r == 0;
	if (r < 0)
		record_trouble(NULL, "Nobody reads orders for any conversation", r);
}

/* Under the lock. */
static int open_all(void)
{
	int r;

	r = keep_open();
	if (r < 0) {
		keep_close();
		return r;
	}
	bell_init(&channel.judged);
	if (channel.inherited)
		channel.claim_until = clock_deadline(clock_now(), channel_claim_time);
	open_files();
	channel.opened = true;
	start_thread();
	return 0;
}

int channel_ensure_open(void)
{
	int r = 0;

	lock_take(&channel.lock);
	if (channel.directory == NULL)
		r = -ENOENT;
	else if (!channel.opened && channel.over)
		r = -ESHUTDOWN;
	else if (!channel.opened)
		r = open_all();
	lock_drop(&channel.lock);
	return r;
}

int channel_open(const char *directory, usec_t grace, bool now)
{
	bool carried;
	int fd;

	size_t length = strlen(directory);

	/* With a slash behind it, a symbolic link would be followed. */
	while (length > 1 && directory[length - 1] == '/')
		length--;
	channel.directory = strndup(directory, length);
	if (channel.directory == NULL)
		return -ENOMEM;
	channel.grace = grace;
	/* Conversations that come along find their FIFOs only if they are taken over in time. */
	carried = keep_claim();
	fd = keepsake_take_fd(KEEP_FIFO);
	channel.in = fd < 0 ? -1 : fd;
	if (!now && !carried && fd < 0)
		return 0;
	notice_claim();
	return channel_ensure_open();
}

static void free_places(struct place *first)
{
	struct place *next;

	for (; first != NULL; first = next) {
		next = first->next;
		place_free(first);
	}
}

void channel_rest(void)
{
	bool running;

	lock_take(&channel.lock);
	running = channel.running;
	channel.stop = true;
	lock_drop(&channel.lock);
	if (!running)
		return;
	channel_wake();
	thread_join(channel.thread);
	lock_take(&channel.lock);
	channel.running = false;
	lock_drop(&channel.lock);
}

void channel_end(void)
{
	bool opened;

	/* Before the thread rests, so that whoever opens the channel has done so, or never will. */
	lock_take(&channel.lock);
	channel.over = true;
	opened = channel.opened;
	lock_drop(&channel.lock);
	channel_rest();
	if (!opened)
		return;
	/* Whoever keeps it open would let writers think that they are read. */
	keepsake_unstore_fd(KEEP_FIFO);
	/* Closing it is not to hold the service manager up, either. */
	keepsake_unstore_fd(KEEP_INOTIFY);
	orders_end();
}

void channel_close(void)
{
	struct grave *next;

	channel_rest();
	/* There may be more by now. */
	if (channel.over && channel.opened)
		orders_end();
	orders_close();
	if (channel.opened) {
		sweep_dying(USEC_NEVER);
		bell_done(&channel.judged);
	}
	for (size_t i = 0; i < CHANNEL_BUCKETS; i++)
		free_places(channel.map[i]);
	free_places(channel.dying);
	for (struct grave *g = channel.first_grave; g != NULL; g = next) {
		next = g->next;
		free(g);
	}
	events_close();
	keep_close();
	close_fd(&channel.in);
	close_fd(&channel.wake);
	close_fd(&channel.inotify);
	close_fd(&channel.waiting);
	close_fd(&channel.conversations);
	close_fd(&channel.lock_file);
	close_fd(&channel.dir);
	free(channel.directory);
	channel = (struct channel){.lock = LOCK_INIT("operator channel"), NOTHING};
}
