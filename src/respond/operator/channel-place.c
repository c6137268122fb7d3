/*
 * Places: the directory of one conversation, with its FIFO and files; see channel.h.
 *
 * Directories are opened anew for each thing that is done in them, through that of all
 * conversations and never through a symbolic link: so a place costs one descriptor, and whatever is
 * put in their way costs no more than that thing.
 *
 * How it fails: the FIFO is made without a name (a pipe) if it can't have one; that is told.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "respond/operator/channel-fifo.h"
#include "respond/operator/channel-priv.h"

#define NUMBER_SIZE 24

static void number_name(uint64_t number, char name[NUMBER_SIZE])
{
	(void)snprintf(name, NUMBER_SIZE, "%" PRIu64, number);
}

bool channel_has_files(void)
{
	bool has;

	lock_take(&channel.lock);
	has = channel.dir >= 0;
	lock_drop(&channel.lock);
	return has;
}

int place_open_directory(uint64_t number)
{
	char name[NUMBER_SIZE];
	int fd;

	if (channel.conversations < 0)
		return -ENOENT;
	number_name(number, name);
	fd = openat(channel.conversations, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The FIFO. */

/* Whether PLACE's `in` is its FIFO. A process that was killed may have left it under its first
 * name. */
static int check_name(const struct place *place, int dir)
{
	struct stat st;

	if (fifo_is(dir, NAME_IN, place->fd))
		return 0;
	if (fifo_is(dir, NAME_NEW_IN, place->fd))
		return renameat2(dir, NAME_NEW_IN, dir, NAME_IN, RENAME_NOREPLACE) < 0 ? -errno : 0;
	return fstatat(dir, NAME_IN, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : -EEXIST;
}

/* Tells that `in` is not what it was. Under the lock, or of a place that is not seen yet. */
static void tell_astray(struct place *place, int r)
{
	char what[64];

	(void)snprintf(what, sizeof(what), "conversations/%" PRIu64 "/in was %s", place->number,
		       r == -ENOENT ? "removed" : "replaced");
	if (!place->astray)
		channel_trouble(place, what, r);
	place->astray = true;
}

/* FD is PLACE's FIFO, and kept from now on. */
static void set_fifo(struct place *place, int fd)
{
	lock_take(&channel.lock);
	place->fd = fd;
	keep_add(place);
	lock_drop(&channel.lock);
}

/* Makes PLACE's FIFO in DIR, keeps it, and only then lets it be seen. */
static int make_fifo(struct place *place, int dir)
{
	struct stat st;
	int r, fd;

	/* A FIFO that a process left, and somebody may have open; of anything else only the name
	 * is taken. */
	fd = fifo_open(dir, NAME_IN);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	r = fd >= 0 ? 0 : -ENOENT;
	if (fd < 0)
		fd = fifo_make(dir, NAME_NEW_IN);
	if (fd < 0)
		return fd;
	set_fifo(place, fd);
	if (r == 0)
		return 0;
	if (renameat2(dir, NAME_NEW_IN, dir, NAME_IN, RENAME_NOREPLACE) == 0)
		return 0;
	r = -errno;
	(void)unlinkat(dir, NAME_NEW_IN, 0);
	return fstatat(dir, NAME_IN, &st, AT_SYMLINK_NOFOLLOW) == 0 ? -EEXIST : r;
}

static struct place **watched(int watch)
{
	return &channel.watched[(unsigned)watch % CHANNEL_BUCKETS];
}

static void begin_watch(struct place *place)
{
	struct place **at;
	char path[64];
	int r = -1;

	if (channel.inotify < 0)
		return;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", place->fd);
	/* Unlinking an open file changes its attributes: the number of its names. */
	r = inotify_add_watch(channel.inotify, path, IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF);
	if (r < 0) {
		channel_complain(TOLD_WATCH_FIFO, place, "Nobody watches its FIFO", -errno);
		return;
	}
	lock_take(&channel.lock);
	place->watch = r;
	at = watched(r);
	place->next_watched = *at;
	*at = place;
	lock_drop(&channel.lock);
}

/* Under the lock. Returns the watch that PLACE had, which is to be removed, or -1. */
static int end_watch(struct place *place)
{
	int watch = place->watch;
	struct place **at;

	if (watch < 0)
		return -1;
	at = watched(watch);
	while (*at != place)
		at = &(*at)->next_watched;
	*at = place->next_watched;
	place->watch = -1;
	return watch;
}

/* Makes and opens PLACE's directory. */
static int make_directory(const struct place *place)
{
	char name[NUMBER_SIZE];

	number_name(place->number, name);
	if (mkdirat(channel.conversations, name, DIRECTORY_MODE) < 0 && errno != EEXIST)
		return -errno;
	return place_open_directory(place->number);
}

/* Takes the FIFO of another conversation, which is over, away from DIR, so that nothing that is
 * meant for that one is read by PLACE's. */
static void take_fifo(struct place *place, int dir)
{
	auto_close int in = place->fd < 0 ? fifo_open(dir, NAME_IN) : -1;

	if (in < 0)
		return;
	(void)unlinkat(dir, NAME_IN, 0);
	place_refuse_unread(place->number, in, true);
}

/*
 * Begins anew in DIR, which is to be PLACE's, if it is of another conversation that had the same
 * number: that one is over, and its `out` is put aside. NEW: PLACE is made, so what does not say
 * whose it is is another's as well. Returns 0, or a negative errno: PLACE can't have it.
 */
static int begin_anew(struct place *place, int dir, bool new)
{
	char info[INFO_MAX];
	ssize_t length = place_read_info(dir, info);
	bool known = length > 0 && info_says(info, (size_t)length, "id=");

	if (known ? info_is_of(info, (size_t)length, place) : !new)
		return 0;
	take_fifo(place, dir);
	if (known && !info_says(info, (size_t)length, INFO_ENDED)) {
		place_end_out(dir, "lost");
		channel_tell(EVENT_CLOSED, place->number, 0, NULL, "lost", strlen("lost"));
	}
	if (renameat(dir, NAME_OUT, dir, NAME_OUT ".1") < 0 && unlinkat(dir, NAME_OUT, 0) < 0 &&
	    errno != ENOENT && errno != EISDIR)
		return -errno;
	(void)unlinkat(dir, NAME_INFO, 0);
	return 0;
}

/* Whether `info` in DIR says that PLACE's conversation had its place there, and did not end it
 * itself: then there was a FIFO, too. */
static bool was_here(const struct place *place, int dir)
{
	char info[INFO_MAX];
	ssize_t length = place_read_info(dir, info);

	return length > 0 && info_is_of(info, (size_t)length, place) &&
	       (!info_says(info, (size_t)length, INFO_ENDED) ||
		info_says(info, (size_t)length, INFO_ENDED INFO_LOST "\n"));
}

/* Gives PLACE its directory and FIFO. NEW: as begin_anew(). Returns 0, *RET_LOST: it had another
 * FIFO; or a negative errno: not even a pipe. */
static int furnish(struct place *place, bool new, bool *ret_lost)
{
	auto_close int dir = -1;
	int r = -ENOENT;

	if (channel.conversations >= 0) {
		dir = make_directory(place);
		r = dir < 0 ? dir : begin_anew(place, dir, new);
		if (r < 0) {
			channel_trouble(place, "There is no directory for it", r);
			close_fd(&dir);
		}
	}
	place->has_directory = dir >= 0;
	*ret_lost = place->fd < 0 && place->has_directory && was_here(place, dir);
	if (place->fd >= 0) {
		r = r < 0 ? r : check_name(place, dir);
		if (r < 0 && place->has_directory)
			tell_astray(place, r);
	} else if (r == 0) {
		r = make_fifo(place, dir);
		if (r < 0)
			channel_trouble(place, "Its FIFO has no name", r);
	}
	if (place->fd < 0) {
		int fd = fifo_make_nameless();

		if (fd < 0)
			return fd;
		set_fifo(place, fd);
	}
	if (r == 0)
		begin_watch(place);
	return 0;
}

/* Making and finding. */

static int describe(struct place *place, const struct place_about *about)
{
	place->peer = strdup(about->peer);
	place->listener = strdup(about->listener);
	place->responder = strdup(about->responder);
	if (place->peer == NULL || place->listener == NULL || place->responder == NULL)
		return -ENOMEM;
	(void)memcpy(place->id, about->id, sizeof(place->id));
	place->opened = about->opened;
	place->turn = about->turn;
	return 0;
}

/* Takes the place of ABOUT's conversation out of the map, if it waits there, or makes one. */
static int claim(const struct place_about *about, struct place **ret_place)
{
	struct place *place;
	int r = -EBUSY;

	lock_take(&channel.lock);
	while (channel.judging == about->number)
		(void)bell_wait(&channel.judged, &channel.lock, USEC_NEVER);
	place = channel_find(about->number);
	if (place == NULL) {
		r = -ENOMEM;
		place = place_new(about->number);
		if (place != NULL)
			channel_add(place);
	}
	if (place != NULL && !place->claimed) {
		place->claimed = true;
		place->carried = false;
		*ret_place = place;
		r = 0;
	}
	lock_drop(&channel.lock);
	return r;
}

/* Takes PLACE, of which nothing came, back. */
static void discard(struct place *place)
{
	lock_take(&channel.lock);
	channel_remove(place);
	if (place->fd >= 0)
		keep_end(place);
	keep_release(place);
	lock_drop(&channel.lock);
	place_free(place);
}

/* Gives PLACE what it has in its directory. */
static int move_in(struct place *place, bool new, bool *ret_lost)
{
	int r;

	queue_enter();
	r = furnish(place, new, ret_lost);
	if (r == 0)
		place_write_info(place, NULL);
	if (r == 0 && new)
		place->said = place_last_said(place);
	queue_leave();
	return r;
}

static int enter(const struct place_about *about, enum channel_event event,
		 struct place **ret_place, bool *ret_lost)
{
	struct place *place = NULL;
	char text[512];
	bool lost = false;
	int r = channel_ensure_open();

	if (r == 0)
		r = claim(about, &place);
	if (place == NULL)
		return r;
	r = describe(place, about);
	if (r == 0)
		r = move_in(place, event == EVENT_OPENED, &lost);
	if (r < 0) {
		discard(place);
		return r;
	}
	(void)snprintf(text, sizeof(text), "%s%s%s", about->peer,
		       about->listener[0] != '\0' ? " " : "", about->listener);
	channel_tell(event, about->number, 0, NULL, text, strlen(text));
	*ret_lost = lost;
	*ret_place = place;
	return 0;
}

int place_make(const struct place_about *about, struct place **ret_place)
{
	bool lost;

	return enter(about, EVENT_OPENED, ret_place, &lost);
}

int place_find(const struct place_about *about, struct place **ret_place, bool *ret_lost)
{
	return enter(about, EVENT_RESUMED, ret_place, ret_lost);
}

int place_fd(const struct place *place)
{
	return place->fd;
}

void place_fail(const struct place *place, int r)
{
	channel_trouble(place, "Its FIFO is not read any more", r);
}

/* Ending. */

struct refusing {
	uint64_t number;
	uint64_t n; /* orders so far */
};

/* A fifo_line_fn. */
static void refuse_line(void *context, const char *line, size_t length)
{
	struct refusing *refusing = context;

	if (refusing->n++ < CHANNEL_REFUSED_MAX)
		channel_refuse(refusing->number, 0, "no-conversation", line, length);
}

void place_refuse_unread(uint64_t number, int fd, bool final)
{
	struct refusing refusing = {.number = number};

	if (final)
		fifo_finish(fd, refuse_line, &refusing);
	else
		fifo_drain(fd, refuse_line, &refusing);
	if (refusing.n > CHANNEL_REFUSED_MAX)
		channel_refuse_rest(number, refusing.n - CHANNEL_REFUSED_MAX);
}

/* Takes the name of the FIFO in DIR away. That the conversation LEFT is not in force yet: after a
 * SIGKILL it may be here still, and check_name() wants its FIFO back. */
static void take_name(int dir, bool left)
{
	if (!left || renameat(dir, NAME_IN, dir, NAME_NEW_IN) < 0)
		(void)unlinkat(dir, NAME_IN, 0);
}

/* All of place_close() but for freeing PLACE, which is dying then. Returns whether the channel's
 * thread runs, which does that. */
static bool move_out(struct place *place, const char *reason, bool left)
{
	auto_close int dir = -1;
	uint64_t number = place->number;
	struct grave *grave = NULL;
	bool swept;
	int watch;

	if (place->has_directory)
		dir = place_open_directory(number);
	/* From here on a line that comes by DIRECTORY/in finds nobody. The place stays in the map,
	 * or its directory would look like one that nobody has. */
	lock_take(&channel.lock);
	place->ending = true;
	watch = end_watch(place);
	lock_drop(&channel.lock);
	if (watch >= 0)
		(void)inotify_rm_watch(channel.inotify, watch);
	if (dir >= 0 && fifo_is(dir, NAME_IN, place->fd))
		take_name(dir, left);
	place_refuse_unread(number, place->fd, false);
	place_unlink_waiting(place);
	place->oldest = 0;
	if (dir >= 0) {
		place_end_out(dir, reason);
		place_write_info(place, reason);
		grave = sweep_dig(number, dir);
	}
	channel_tell(left ? EVENT_LEFT : EVENT_CLOSED, number, 0, NULL, reason, strlen(reason));
	lock_take(&channel.lock);
	channel_remove(place);
	keep_end(place);
	sweep_let_die(place);
	sweep_bury(grave);
	swept = channel.running;
	lock_drop(&channel.lock);
	return swept;
}

void place_close(struct place *place, const char *reason, bool left)
{
	queue_enter();
	if (move_out(place, reason, left))
		channel_wake();
	else
		sweep_dying(USEC_NEVER);
	queue_leave();
}

/* Under the lock. */
static void look(struct place *place)
{
	auto_close int dir = place_open_directory(place->number);
	int r = dir < 0 ? dir : check_name(place, dir);

	if (r < 0)
		tell_astray(place, r);
}

void places_look(const int watches[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct place *place;

		lock_take(&channel.lock);
		place = *watched(watches[i]);
		while (place != NULL && place->watch != watches[i])
			place = place->next_watched;
		if (place != NULL && !place->astray)
			look(place);
		lock_drop(&channel.lock);
	}
}

void places_look_at_all(void)
{
	lock_take(&channel.lock);
	/* This happens when somebody plays with the files, so it may take a while. */
	for (size_t i = 0; i < CHANNEL_BUCKETS; i++)
		for (struct place *p = channel.watched[i]; p != NULL; p = p->next_watched)
			if (!p->astray)
				look(p);
	lock_drop(&channel.lock);
}
