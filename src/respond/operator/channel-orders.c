/*
 * DIRECTORY/in: orders for any conversation. Each line is passed on into the FIFO of its
 * conversation, or refused with an event.
 *
 * NOTE ON WHAT WAS READ. Bytes are read from the FIFO into shared memory, which outlives the
 * process, behind what was read before and before nothing but zeros; a line is passed on first and
 * then counted as done. So wherever the process is killed, the next one sees how far the bytes go
 * (no order holds a NUL) and begins with the first line that is not done: that one may be passed on
 * twice, and nothing is lost. What remains of a line that was refused goes with it, if it comes in
 * time; else it would be an order of its own. There are two halves, since bytes could not be moved
 * within one without a moment in which they are wrong.
 *
 * The operator's thread; orders_open(), orders_end() and orders_close() before and after it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "respond/operator/channel-fifo.h"
#include "respond/operator/channel-priv.h"

/* How much of a line that is too long an event shows. */
#define SHOWN_MAX 80

/* How long to wait before DIRECTORY/in is made, when it could not be: at first, and at most. */
#define RENEW_FIRST (100 * USEC_PER_MSEC)
#define RENEW_MAX   (10 * USEC_PER_SEC)

static struct {
	size_t used;      /* bytes in the present half */
	usec_t deadline;  /* of a line that is not finished; USEC_NEVER: there is none */
	bool pipe_only;   /* the name `in` is somebody else's; told */
	bool over;        /* nothing is passed on any more */
	bool ending;      /* the FIFO is not read from any more after this */
	uint64_t refused; /* meanwhile */
	usec_t renew_at;  /* not before: it could not be made; USEC_NEVER: that is not so */
	usec_t pause;     /* until then, from the last time on */
} orders = {.deadline = USEC_NEVER, .renew_at = USEC_NEVER};

static struct keep_half *half(void)
{
	return &channel.table->halves[atomic_load(&channel.table->active) & 1U];
}

/* Who an order is for. */
struct address {
	bool all;
	uint64_t number; /* 0: nobody who could be said */
	const char *text;
	size_t length;
};

/* Reads "N text" or "* text". Returns 0 or -EINVAL. */
static int parse_address(const char *line, size_t length, struct address *ret)
{
	const char *space = memchr(line, ' ', length);
	char digits[24];
	size_t n;
	int r;

	*ret = (struct address){.number = 0};
	if (space == NULL)
		return -EINVAL;
	n = (size_t)(space - line);
	ret->text = space + 1;
	ret->length = length - n - 1;
	if (n == 1 && line[0] == '*') {
		ret->all = true;
		return 0;
	}
	if (n == 0 || n >= sizeof(digits))
		return -EINVAL;
	(void)memcpy(digits, line, n);
	digits[n] = '\0';
	r = text_parse_unsigned(digits, UINT64_MAX, &ret->number);
	return r < 0 || ret->number == 0 ? -EINVAL : 0;
}

static void tell_refused(uint64_t number, const char *word, const char *text, size_t length)
{
	if (!orders.ending || orders.refused++ < CHANNEL_REFUSED_MAX)
		channel_refuse(number, 0, word, text, length);
}

/* Refuses a line, or the beginning of one. Shows whom it was for, if that can be seen. */
static void refuse(const char *word, const char *line, size_t length)
{
	struct address address;

	if (parse_address(line, length, &address) < 0 || address.all)
		tell_refused(0, word, line, length);
	else
		tell_refused(address.number, word, address.text, address.length);
}

/* Writes LENGTH bytes at LINE, LF included, into PLACE's FIFO, under the lock. Returns whether it
 * was taken: all at once or not at all (pipe(7)). */
static bool pass_on(const struct place *place, const char *line, size_t length)
{
	return write(place->fd, line, length) == (ssize_t)length;
}

/* Passes LINE, LF included, on to all; tells who has no room. Returns how many there are. */
static size_t pass_on_to_all(const char *line, size_t length)
{
	size_t n = 0;

	lock_take(&channel.lock);
	for (size_t i = 0; i < CHANNEL_BUCKETS; i++) {
		for (const struct place *p = channel.map[i]; p != NULL; p = p->next) {
			if (p->fd < 0 || p->ending)
				continue;
			n++;
			if (!pass_on(p, line, length))
				tell_refused(p->number, "full", line, length - 1);
		}
	}
	lock_drop(&channel.lock);
	return n;
}

/* Passes LENGTH bytes at LINE on, or refuses them. */
static void route(const char *line, size_t length)
{
	char order[CHANNEL_LINE_MAX + 1];
	struct address address;
	const char *word = NULL;
	const struct place *place;

	if (length > 0 && line[length - 1] == '\r')
		length--;
	if (memchr(line, '\0', length) != NULL || parse_address(line, length, &address) < 0) {
		tell_refused(0, "malformed", line, length);
		return;
	}
	(void)memcpy(order, address.text, address.length);
	order[address.length] = '\n';
	if (address.all) {
		if (orders.over || pass_on_to_all(order, address.length + 1) == 0)
			tell_refused(0, "no-conversation", line, length);
		return;
	}
	lock_take(&channel.lock);
	place = channel_find(address.number);
	if (orders.over || place == NULL || place->fd < 0 || place->ending)
		word = "no-conversation";
	else if (!pass_on(place, order, address.length + 1))
		word = "full";
	lock_drop(&channel.lock);
	if (word != NULL)
		tell_refused(address.number, word, address.text, address.length);
}

/* Goes on in the other half, so that there is room for a whole read. */
static void change_halves(void)
{
	struct keep_half *from = half();
	uint32_t other = !(atomic_load(&channel.table->active) & 1U);
	struct keep_half *to = &channel.table->halves[other];
	uint64_t done = atomic_load(&from->done);
	size_t at = (size_t)(done & ~DONE_FLAGS);
	size_t rest = orders.used - at;

	(void)memset(to->bytes, 0, sizeof(to->bytes));
	(void)memcpy(to->bytes, from->bytes + at, rest);
	atomic_store(&to->done, done & DONE_FLAGS);
	atomic_store(&channel.table->active, other);
	orders.used = rest;
}

/* So many bytes of H were passed on. */
static size_t done_of(const struct keep_half *h)
{
	return (size_t)(atomic_load(&h->done) & ~DONE_FLAGS);
}

/* A line of H, LENGTH bytes at LINE without its LF, has come; or some of one that is too long. */
static void take_line(const struct keep_half *h, const char *line, size_t length)
{
	uint64_t done = atomic_load(&h->done);

	if ((done & DONE_SKIPPING) != 0)
		return;
	if (length > CHANNEL_LINE_MAX)
		refuse("too-long", line, SHOWN_MAX);
	else if ((done & DONE_TORN) != 0)
		refuse("unfinished", line, length);
	else
		route(line, length);
}

/* Passes on what is whole, and sees to what is too long. */
static void handle(void)
{
	struct keep_half *h = half();
	bool news = false;

	while (done_of(h) < orders.used) {
		size_t done = done_of(h);
		const char *line = h->bytes + done;
		size_t left = orders.used - done;
		const char *lf = memchr(line, '\n', left);
		size_t length = lf != NULL ? (size_t)(lf - line) : left;

		/* The next process goes on with it; or orders_end(). */
		if (!orders.ending && channel_should_stop()) {
			orders.deadline = USEC_NEVER;
			return;
		}
		if (lf == NULL && length <= CHANNEL_LINE_MAX &&
		    (atomic_load(&h->done) & DONE_SKIPPING) == 0)
			break;
		take_line(h, line, length);
		if (lf != NULL)
			atomic_store(&h->done, done + length + 1);
		else
			atomic_store(&h->done, orders.used | DONE_SKIPPING);
		news = true;
	}
	/* Nobody is waited for for ever: for the end of a line, or of what is not wanted. */
	if (atomic_load(&h->done) == orders.used)
		orders.deadline = USEC_NEVER;
	else if (news || orders.deadline == USEC_NEVER)
		orders.deadline = clock_deadline(clock_now(), channel_patience);
}

/* Returns how many bytes there were. */
static size_t read_some(void)
{
	ssize_t n = 0;

	/* What handle() leaves is never longer than a line; but it may have been told to stop, in
	 * this process or an earlier one, or died. */
	if (orders.used - done_of(half()) > CHANNEL_LINE_MAX)
		handle();
	if (orders.used - done_of(half()) > CHANNEL_LINE_MAX)
		return 0;
	if (sizeof(half()->bytes) - orders.used < IN_READ)
		change_halves();
	if (channel.in >= 0)
		n = read(channel.in, half()->bytes + orders.used, IN_READ);
	if (n > 0)
		orders.used += (size_t)n;
	handle();
	return n > 0 ? (size_t)n : 0;
}

void orders_read(void)
{
	(void)read_some();
}

/* Refuses what has begun and not been ended; or waits for the rest of such no longer. */
static void expire(void)
{
	struct keep_half *h = half();
	size_t done = done_of(h);

	if (done == orders.used) {
		atomic_store(&h->done, done);
		orders.deadline = USEC_NEVER;
		return;
	}
	refuse("unfinished", h->bytes + done, orders.used - done);
	/* What comes now is its rest. */
	atomic_store(&h->done, orders.used | DONE_TORN);
	orders.deadline = clock_deadline(orders.deadline, channel_patience);
}

/* A fifo_line_fn: the last lines of a FIFO that has no name any more. */
static void route_line(void *context, const char *line, size_t length)
{
	(void)context;
	route(line, length);
}

/* Reads all there is now: a writer may never stop. What has no end never will have one. Then
 * FINISH: as fifo_finish(). */
static void read_to_the_end(bool finish)
{
	int inside = 0;
	size_t left, n;

	orders.ending = true;
	orders.refused = 0;
	if (channel.in >= 0 && ioctl(channel.in, FIONREAD, &inside) < 0)
		inside = 0;
	for (left = (size_t)inside; (n = read_some()) > 0 && n < left; left -= n)
		;
	if (orders.used > done_of(half()))
		expire();
	atomic_store(&half()->done, orders.used);
	orders.deadline = USEC_NEVER;
	if (finish)
		fifo_finish(channel.in, route_line, NULL);
	if (orders.refused > CHANNEL_REFUSED_MAX)
		channel_refuse_rest(0, orders.refused - CHANNEL_REFUSED_MAX);
	orders.ending = false;
}

/* Makes DIRECTORY/in under a name that nobody looks at, and then gives it its own. */
static int make_in(void)
{
	auto_close int fd = fifo_make(channel.dir, NAME_NEW_IN);

	if (fd < 0)
		return fd;
	keepsake_store_fd(KEEP_FIFO, fd);
	if (renameat2(channel.dir, NAME_NEW_IN, channel.dir, NAME_IN, RENAME_NOREPLACE) < 0) {
		int r = -errno;

		keepsake_unstore_fd(KEEP_FIFO);
		(void)unlinkat(channel.dir, NAME_NEW_IN, 0);
		return r;
	}
	return take_fd(&fd);
}

/* Opens what an earlier daemon left, so that whoever waits for it to be opened goes on; or makes
 * it. */
static int open_in(void)
{
	int fd = fifo_open(channel.dir, NAME_IN);

	if (fd == -ENOENT)
		return make_in();
	if (fd >= 0)
		keepsake_store_fd(KEEP_FIFO, fd);
	return fd;
}

/* Nothing may happen to the directory when there is room again; and trying happens to it. */
static void renew_later(void)
{
	orders.pause = orders.pause == 0 ? RENEW_FIRST : orders.pause * 2;
	if (orders.pause > RENEW_MAX)
		orders.pause = RENEW_MAX;
	orders.renew_at = clock_deadline(clock_now(), orders.pause);
}

static void renewed(void)
{
	orders.renew_at = USEC_NEVER;
	orders.pause = 0;
	orders.pipe_only = false;
}

/* The name is gone: a new FIFO gets it. What is in the old one is passed on before. */
static void renew_in(void)
{
	int fd = open_in();

	if (fd < 0) {
		channel_complain(TOLD_IN, NULL, "in", fd);
		renew_later();
		return;
	}
	if (channel.in >= 0) {
		read_to_the_end(true);
		close_fd(&channel.in);
	}
	channel.in = fd;
	renewed();
	channel_recovered(TOLD_IN);
}

void orders_look(void)
{
	struct stat st;
	int r = fstatat(channel.dir, NAME_IN, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;

	if (r == 0 && channel.in >= 0 && fifo_is(channel.dir, NAME_IN, channel.in)) {
		renewed();
		return;
	}
	if (!orders.pipe_only)
		channel_trouble(NULL, r < 0 ? "in was removed" : "in was replaced",
				r < 0 ? r : -EEXIST);
	orders.pipe_only = true;
	if (r == 0 && !S_ISFIFO(st.st_mode)) {
		/* Its end is seen. */
		orders.renew_at = USEC_NEVER;
		return;
	}
	if (orders.renew_at == USEC_NEVER || orders.renew_at <= clock_now())
		renew_in();
}

usec_t orders_due(void)
{
	return orders.deadline < orders.renew_at ? orders.deadline : orders.renew_at;
}

void orders_pass_time(usec_t now)
{
	if (orders.deadline <= now)
		expire();
	if (orders.renew_at <= now)
		orders_look();
}

/* How far the bytes go that an earlier process read. */
static void find_used(void)
{
	struct keep_half *h = half();

	orders.used = sizeof(h->bytes);
	while (orders.used > 0 && h->bytes[orders.used - 1] == '\0')
		orders.used--;
	if (done_of(h) > sizeof(h->bytes))
		atomic_store(&h->done, 0);
	if (orders.used < done_of(h))
		orders.used = done_of(h);
	if (channel.table->skipping != 0)
		atomic_fetch_or(&h->done, DONE_SKIPPING);
	channel.table->skipping = 0;
}

void orders_open(void)
{
	char path[64];
	int r;

	find_used();
	if (channel.inotify >= 0) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", channel.dir);
		channel.watch =
			inotify_add_watch(channel.inotify, path,
					  IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO);
		if (channel.watch < 0)
			channel_complain(TOLD_WATCH_DIRECTORY, NULL, "Nobody watches its directory",
					 -errno);
	}
	/* Killed before it had its name. */
	if (channel.in >= 0 && fifo_is(channel.dir, NAME_NEW_IN, channel.in))
		(void)renameat2(channel.dir, NAME_NEW_IN, channel.dir, NAME_IN, RENAME_NOREPLACE);
	/* What is unread there goes first, whatever has become of its name: that is seen to by the
	 * thread, which has no lock and can pass it on. */
	if (channel.in >= 0) {
		if (!fifo_is(channel.dir, NAME_IN, channel.in))
			orders.renew_at = clock_now();
		return;
	}
	r = open_in();
	if (r >= 0) {
		channel.in = r;
		return;
	}
	channel_trouble(NULL, "in", r);
	orders.pipe_only = true;
	if (r != -EEXIST)
		renew_later();
}

void orders_end(void)
{
	orders.over = true;
	read_to_the_end(false);
}

void orders_close(void)
{
	orders.over = false;
	orders.used = 0;
	orders.deadline = USEC_NEVER;
	renewed();
}
