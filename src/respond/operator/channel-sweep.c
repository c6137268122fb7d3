/*
 * What is over: FIFOs that nobody is to write to any more, and directories whose grace time has
 * passed; of this process, and of earlier ones that left no word.
 *
 * A directory is given another name under the lock before it is removed, while no place of its
 * number is in the map: so a conversation that comes back makes a new one, and never loses it. When
 * there is no room for all of them, the oldest go before their time.
 *
 * The operator's thread, but where it says otherwise.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "respond/operator/channel-fifo.h"
#include "respond/operator/channel-priv.h"

/* How long ended FIFOs are collected, since the vault lets them go together; and how long to wait
 * when that could not be done. */
#define DYING_TIME  (1 * USEC_PER_SEC)
#define DYING_AGAIN (10 * USEC_PER_SEC)

static bool is_numeric(const char *name, uint64_t *ret_number)
{
	return name[0] != '0' && text_parse_unsigned(name, UINT64_MAX, ret_number) == 0;
}

bool sweep_has_room(int dir)
{
	struct statvfs fs;
	uint64_t reserved, total, free;

	/* Some file systems don't know. */
	if (fstatvfs(dir, &fs) < 0 || fs.f_blocks == 0)
		return true;
	total = (uint64_t)fs.f_blocks * fs.f_frsize;
	free = (uint64_t)fs.f_bavail * fs.f_frsize;
	reserved = total / RESERVED_SHARE;
	return free >= (reserved < RESERVED_MAX ? reserved : RESERVED_MAX);
}

/* When the conversation of the directory DIR was over, by its `info`, which is written last. */
static usec_t ended_at(int dir)
{
	struct stat st;

	if (fstatat(dir, NAME_INFO, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (usec_t)st.st_mtim.tv_sec * USEC_PER_SEC +
	       (usec_t)st.st_mtim.tv_nsec / NSEC_PER_USEC;
}

/* What the directory DIR takes, in bytes. */
static uint64_t size_of(int dir)
{
	static const char *const names[] = {".", NAME_INFO, NAME_OUT, NAME_OUT ".1"};
	uint64_t size = 0;
	struct stat st;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (fstatat(dir, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			size += (uint64_t)st.st_blocks * 512;
	return size;
}

struct grave *sweep_dig(uint64_t number, int dir)
{
	struct grave *grave = calloc(1, sizeof(*grave));
	usec_t now = clock_realtime();
	usec_t over;

	if (grave == NULL)
		return NULL;
	grave->number = number;
	grave->ended = ended_at(dir);
	grave->size = size_of(dir);
	over = clock_deadline(grave->ended < now ? grave->ended : now, channel.grace);
	grave->due = over == USEC_NEVER ? over : clock_deadline(clock_now(), clock_left(over, now));
	return grave;
}

/* Whether GRAVE is to go before OTHER; the file system's clock may stand still between two, whose
 * numbers say it then. */
static bool is_older(const struct grave *grave, const struct grave *other)
{
	return grave->ended != other->ended ? grave->ended < other->ended
					    : grave->number < other->number;
}

void sweep_bury(struct grave *grave)
{
	struct grave **at = &channel.first_grave;

	if (grave == NULL)
		return;
	/* Most often it is the newest; an earlier process's come in any order. */
	if (channel.last_grave != NULL && !is_older(grave, channel.last_grave))
		at = &channel.last_grave->next;
	while (*at != NULL && !is_older(grave, *at))
		at = &(*at)->next;
	grave->next = *at;
	*at = grave;
	if (grave->next == NULL)
		channel.last_grave = grave;
	channel.n_graves++;
	channel.graves_size += grave->size;
}

void sweep_let_die(struct place *place)
{
	place->next = channel.dying;
	channel.dying = place;
	/* They take descriptors, too. */
	if (keep_is_due())
		channel.dying_due = clock_now();
	else if (channel.dying_due == USEC_NEVER)
		channel.dying_due = clock_deadline(clock_now(), DYING_TIME);
}

usec_t sweep_due(void)
{
	usec_t due;

	lock_take(&channel.lock);
	due = channel.dying_due < channel.claim_until ? channel.dying_due : channel.claim_until;
	if (channel.first_grave != NULL && channel.first_grave->due < due)
		due = channel.first_grave->due;
	lock_drop(&channel.lock);
	return due;
}

/* FIFOs. Without the operator's thread, conversations' own do this, several at once. */

void sweep_dying(usec_t now)
{
	struct place *first = NULL, *next;
	bool gone;
	int r = 0;

	lock_take(&channel.lock);
	if (channel.dying != NULL && now >= channel.dying_due) {
		r = keep_clean();
		first = channel.dying;
		channel.dying = NULL;
		channel.dying_due = USEC_NEVER;
	}
	lock_drop(&channel.lock);
	/* With too much in flight there may be no descriptors for those to come either: what the
	 * vault holds on to is full then, so that nobody writes there what nobody reads. */
	gone = r == 0 || r == -ETOOMANYREFS;
	for (; first != NULL; first = next) {
		next = first->next;
		place_refuse_unread(first->number, first->fd, gone);
		lock_take(&channel.lock);
		if (gone) {
			keep_release(first);
		} else {
			sweep_let_die(first);
			channel.dying_due = clock_deadline(clock_now(), DYING_AGAIN);
		}
		lock_drop(&channel.lock);
		if (gone)
			place_free(first);
	}
}

/* Directories. */

/* Removes all that is in the directory NAME of DIR, but no directory with something in it, and then
 * itself. */
static int remove_directory(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const struct dirent *entry;
	DIR *stream;

	if (fd < 0)
		return -errno;
	stream = fdopendir(fd);
	if (stream == NULL) {
		close_fd(&fd);
		return -ENOMEM;
	}
	while ((entry = readdir(stream)) != NULL) { // NOLINT(concurrency-mt-unsafe): its own stream
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, entry->d_name, 0) < 0 && errno == EISDIR)
			(void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
	}
	(void)closedir(stream);
	return unlinkat(dir, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static void remove_old(const char *name)
{
	int r = remove_directory(channel.conversations, name);

	if (r < 0)
		channel_complain(TOLD_REMOVE, NULL, "A directory cannot be removed", r);
	else
		channel_recovered(TOLD_REMOVE);
}

/* Removes the directory that GRAVE is for, unless its conversation has come back since. */
static void remove_grave(const struct grave *grave)
{
	auto_close int dir = place_open_directory(grave->number);
	char name[24], aside[32];
	int r = -EBUSY;

	if (dir < 0)
		return;
	(void)snprintf(name, sizeof(name), "%" PRIu64, grave->number);
	(void)snprintf(aside, sizeof(aside), OLD_PREFIX "%" PRIu64, grave->number);
	lock_take(&channel.lock);
	/* It was here again, and ended again: it has another grave. */
	if (channel_find(grave->number) == NULL && ended_at(dir) == grave->ended)
		r = renameat(channel.conversations, name, channel.conversations, aside) < 0 ? -errno
											    : 0;
	lock_drop(&channel.lock);
	if (r == 0)
		remove_old(aside);
}

/* Takes the oldest grave off the list, if it is to go; else NULL. Under the lock. */
static struct grave *open_grave(usec_t now)
{
	struct grave *grave = channel.first_grave;

	if (grave == NULL)
		return NULL;
	if (grave->due > now && channel.n_graves <= GRAVES_MAX &&
	    channel.graves_size <= GRAVES_SIZE_MAX && sweep_has_room(channel.conversations))
		return NULL;
	channel.first_grave = grave->next;
	if (channel.first_grave == NULL)
		channel.last_grave = NULL;
	channel.n_graves--;
	channel.graves_size -= grave->size;
	return grave;
}

void sweep_graves(usec_t now)
{
	for (;;) {
		struct grave *grave;

		lock_take(&channel.lock);
		grave = open_grave(now);
		lock_drop(&channel.lock);
		if (grave == NULL)
			return;
		remove_grave(grave);
		free(grave);
	}
}

/* What earlier processes left. */

/* Adds "ended=lost" to `info` in DIR, of which LENGTH bytes were read. */
static void add_ended(int dir, const char *bytes, size_t length)
{
	static const char line[] = INFO_ENDED INFO_LOST "\n";
	char all[INFO_MAX + sizeof(line)];

	(void)memcpy(all, bytes, length);
	(void)memcpy(all + length, line, sizeof(line) - 1);
	(void)place_replace_info(dir, all, length + sizeof(line) - 1);
}

/* Ends the place of NUMBER in DIR, whose conversation nobody goes on with. */
static void end_lost(uint64_t number, int dir, const char *info, size_t length)
{
	auto_close int in = fifo_open(dir, NAME_IN);

	/* Whoever waits for it to be opened goes on, and is told. */
	if (in >= 0) {
		(void)unlinkat(dir, NAME_IN, 0);
		place_refuse_unread(number, in, true);
	}
	place_end_out(dir, "lost");
	add_ended(dir, info, length);
	channel_tell(EVENT_CLOSED, number, 0, NULL, "lost", strlen("lost"));
}

/* Looks at the directory of NUMBER, which nobody uses meanwhile. FIRST: it is the first time.
 * FINAL: nobody comes for it any more. Returns its grave; NULL: it has none now. */
static struct grave *judge(uint64_t number, bool first, bool final)
{
	auto_close int dir = place_open_directory(number);
	char info[INFO_MAX];
	ssize_t length;

	if (dir < 0)
		return NULL;
	length = place_read_info(dir, info);
	if (length < 0)
		length = 0;
	if (info_says(info, (size_t)length, INFO_ENDED)) {
		if (!first)
			return NULL;
	} else if (final) {
		end_lost(number, dir, info, (size_t)length);
	} else {
		return NULL;
	}
	return sweep_dig(number, dir);
}

/* Whether GRAVE's directory has a grave already: its conversation was over while others are looked
 * at. Under the lock. */
static bool is_buried(const struct grave *grave)
{
	const struct grave *other = channel.first_grave;

	while (other != NULL && (other->number != grave->number || other->ended != grave->ended))
		other = other->next;
	return other != NULL;
}

/* The same, unless its conversation has a place; if that comes now, it waits. */
static void judge_number(uint64_t number, bool first, bool final)
{
	struct grave *grave;

	lock_take(&channel.lock);
	if (channel_find(number) == NULL)
		channel.judging = number;
	lock_drop(&channel.lock);
	if (channel.judging == 0)
		return;
	grave = judge(number, first, final);
	lock_take(&channel.lock);
	if (grave != NULL && is_buried(grave))
		free(grave);
	else
		sweep_bury(grave);
	channel.judging = 0;
	bell_ring_all(&channel.judged);
	lock_drop(&channel.lock);
}

/* Calls FUNCTION with each name in the directory FD, which stays open. */
typedef void name_fn(const char *name, bool first, bool final);
static void each_name(int fd, name_fn *function, bool first, bool final)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	DIR *stream;

	if (own < 0)
		return;
	stream = fdopendir(own);
	if (stream == NULL) {
		close_fd(&own);
		return;
	}
	while ((entry = readdir(stream)) != NULL) // NOLINT(concurrency-mt-unsafe): its own stream
		function(entry->d_name, first, final);
	(void)closedir(stream);
}

static void judge_name(const char *name, bool first, bool final)
{
	uint64_t number;

	if (is_numeric(name, &number))
		judge_number(number, first, final);
	else if (first && strncmp(name, OLD_PREFIX, strlen(OLD_PREFIX)) == 0)
		remove_old(name);
}

/* Removes a link in waiting/ that belongs to nobody. */
static void judge_link(const char *name, bool first, bool final)
{
	const char *dash = strchr(name, '-');
	const struct place *place;
	char right[LINK_SIZE] = "";
	uint64_t number;

	(void)first;
	if (!final || dash == NULL || !is_numeric(dash + 1, &number))
		return;
	lock_take(&channel.lock);
	place = channel_find(number);
	if (place != NULL)
		waiting_name(place->link, number, right);
	if (strcmp(name, right) != 0)
		(void)unlinkat(channel.waiting, name, 0);
	lock_drop(&channel.lock);
}

static void look_around(bool first, bool final)
{
	if (channel.conversations >= 0)
		each_name(channel.conversations, judge_name, first, final);
	if (channel.waiting >= 0)
		each_name(channel.waiting, judge_link, first, final);
}

void sweep_begin(void)
{
	look_around(true, !channel.inherited);
}

void sweep_unclaimed(usec_t now)
{
	bool due;

	lock_take(&channel.lock);
	due = now >= channel.claim_until;
	if (due)
		channel.claim_until = USEC_NEVER;
	for (size_t i = 0; due && i < CHANNEL_BUCKETS; i++) {
		struct place *next;

		for (struct place *p = channel.map[i]; p != NULL; p = next) {
			next = p->next;
			if (!p->carried || p->claimed)
				continue;
			channel_remove(p);
			keep_end(p);
			sweep_let_die(p);
		}
	}
	lock_drop(&channel.lock);
	if (due)
		look_around(false, true);
}
