/*
 * What people see of a conversation: its `out`, its `info` and its link in waiting/.
 *
 * How it fails: they are done without; told once for each conversation, recorded once for all.
 *
 * The conversation's thread, but where it says otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "respond/operator/channel-priv.h"
#include "respond/operator/channel-scroll.h"

#define INFO_MODE 0640
#define ID_SIZE   33

void waiting_name(uint64_t link, uint64_t number, char name[LINK_SIZE])
{
	(void)snprintf(name, LINK_SIZE, "%010" PRIu64 "-%" PRIu64, link, number);
}

/* What is said. */

/* Appends to `out` in DIR what LINE has behind MIDDLE; the file's time says when that was said, for
 * place_last_said(). */
static int append_out(int dir, const char *middle, const struct marcel_line *said)
{
	const struct timespec times[] = {
		{.tv_nsec = UTIME_OMIT},
		{.tv_sec = (time_t)(said->time / USEC_PER_SEC),
		 .tv_nsec = (long)(said->time % USEC_PER_SEC * 1000)},
	};
	size_t size = 128 + FILE_TEXT_SIZE(said->length);
	auto_free char *line = NULL;
	char stamp[STAMP_SIZE];
	size_t n;
	int r;

	if (!sweep_has_room(dir))
		return -ENOSPC;
	line = malloc(size);
	if (line == NULL)
		return -ENOMEM;
	stamp_out(said->time, stamp);
	n = (size_t)snprintf(line, size, "%s %s ", stamp, middle);
	n += escape_for_file(line + n, size - n - 1, said->text, said->length, said->whole);
	line[n++] = '\n';
	r = scroll_append(dir, NAME_OUT, line, n);
	if (r == 0)
		(void)utimensat(dir, NAME_OUT, times, AT_SYMLINK_NOFOLLOW);
	return r;
}

usec_t place_last_said(const struct place *place)
{
	auto_close int dir = place->has_directory ? place_open_directory(place->number) : -1;
	struct stat st;

	if (dir < 0 || fstatat(dir, NAME_OUT, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (usec_t)st.st_mtim.tv_sec * USEC_PER_SEC + (usec_t)st.st_mtim.tv_nsec / 1000;
}

/* Appends LINE to PLACE's `out`. */
static int append_line(const struct place *place, const struct marcel_line *line)
{
	auto_close int dir = place_open_directory(place->number);
	char middle[32];

	(void)snprintf(middle, sizeof(middle), "%c> #%" PRIu64, line->who, line->turn);
	return dir < 0 ? dir : append_out(dir, middle, line);
}

static void put(struct place *place, const struct marcel_line *line)
{
	int r;

	if (!place->has_directory)
		return;
	queue_enter();
	r = append_line(place, line);
	queue_leave();
	if (r == 0) {
		place->out_fails = false;
		channel_recovered(TOLD_OUT);
		return;
	}
	channel_complain(TOLD_OUT, place, "What is said cannot be written to out", r);
	if (!place->out_fails) {
		channel_tell(EVENT_TROUBLE, place->number, 0, NULL, strerrordesc_np(-r),
			     strlen(strerrordesc_np(-r)));
		/* What is over may make room. */
		channel_wake();
	}
	place->out_fails = true;
}

void place_say(struct place *place, char who, uint64_t turn, const char *text, size_t length)
{
	put(place, &(struct marcel_line){
			   .time = clock_realtime(),
			   .turn = turn,
			   .who = who,
			   .text = text,
			   .length = length,
			   .whole = length,
		   });
}

void place_recall(struct place *place, const struct marcel_line *line)
{
	if (line->time > place->said)
		put(place, line);
}

void place_end_out(int dir, const char *reason)
{
	(void)append_out(dir, "--",
			 &(struct marcel_line){
				 .time = clock_realtime(),
				 .text = reason,
				 .length = strlen(reason),
				 .whole = strlen(reason),
			 });
}

/* What is shown. */

/* Adds "KEY=VALUE\n" at *AT, which is before END. */
static void add_line(char **at, const char *end, const char *key, const char *value)
{
	size_t room = (size_t)(end - *at);
	int n = snprintf(*at, room, "%s=", key);

	if (n < 0 || (size_t)n + 2 > room)
		return;
	*at += n;
	*at += text_escape(*at, room - (size_t)n - 1, value, strlen(value), NULL);
	*(*at)++ = '\n';
}

static void add_number(char **at, const char *end, const char *key, uint64_t value)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%" PRIu64, value);
	add_line(at, end, key, digits);
}

/* PLACE's id in hexadecimal. */
static void write_id(const struct place *place, char id[ID_SIZE])
{
	for (size_t i = 0; i < sizeof(place->id); i++)
		(void)snprintf(id + 2 * i, 3, "%02x", place->id[i]);
}

int place_replace_info(int dir, const char *bytes, size_t length)
{
	auto_close int fd = -1;
	ssize_t n;
	int r;

	if (unlinkat(dir, NAME_NEW_INFO, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dir, NAME_NEW_INFO, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    INFO_MODE);
	if (fd < 0)
		return -errno;
	n = write(fd, bytes, length);
	if (n == (ssize_t)length && renameat(dir, NAME_NEW_INFO, dir, NAME_INFO) == 0)
		return 0;
	r = n >= 0 && n < (ssize_t)length ? -ENOSPC : -errno;
	(void)unlinkat(dir, NAME_NEW_INFO, 0);
	return r;
}

ssize_t place_read_info(int dir, char bytes[INFO_MAX])
{
	auto_close int fd =
		openat(dir, NAME_INFO, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, INFO_MAX);

	return n < 0 ? -errno : n;
}

bool info_says(const char *bytes, size_t length, const char *line)
{
	size_t wanted = strlen(line);

	for (const char *at = bytes; (at = memchr(at, '\n', length - (size_t)(at - bytes))); at++)
		if (length - (size_t)(at + 1 - bytes) >= wanted &&
		    memcmp(at + 1, line, wanted) == 0)
			return true;
	return false;
}

bool info_is_of(const char *bytes, size_t length, const struct place *place)
{
	char id[ID_SIZE], line[ID_SIZE + 8];

	write_id(place, id);
	(void)snprintf(line, sizeof(line), "id=%s", id);
	return info_says(bytes, length, line);
}

/* What is proposed to the operator, if anything is. */
static void add_draft(char **at, const char *end, const struct place *place)
{
	char until[STAMP_SIZE];

	if (place->draft_turn == 0)
		return;
	add_number(at, end, "draft", place->draft_turn);
	if (place->draft_until == 0)
		return;
	stamp_event(place->draft_until, until);
	add_line(at, end, "draft_until", until);
}

void place_write_info(const struct place *place, const char *ended)
{
	auto_close int dir = place->has_directory ? place_open_directory(place->number) : -1;
	char bytes[INFO_MAX];
	char *at = bytes;
	const char *end = bytes + sizeof(bytes);
	char id[ID_SIZE];
	char since[STAMP_SIZE];
	int r;

	if (!place->has_directory)
		return;
	write_id(place, id);
	stamp_event(place->opened, since);
	add_number(&at, end, "conversation", place->number);
	add_line(&at, end, "id", id);
	add_line(&at, end, "peer", place->peer);
	add_line(&at, end, "listener", place->listener);
	add_line(&at, end, "responder", place->responder);
	add_line(&at, end, "since", since);
	add_number(&at, end, "turn", place->turn);
	add_number(&at, end, "waiting", place->oldest);
	if (ended == NULL)
		add_draft(&at, end, place);
	else
		add_line(&at, end, "ended", ended);
	r = dir < 0 ? dir : place_replace_info(dir, bytes, (size_t)(at - bytes));
	if (r < 0)
		channel_complain(TOLD_INFO, place, "info cannot be written", r);
	else
		channel_recovered(TOLD_INFO);
}

/* Tells how it went with PLACE's link in waiting/: R is 0, or a negative errno. Returns whether it
 * went well. */
static bool note_link(struct place *place, const char *what, int r)
{
	if (r == 0) {
		place->link_fails = false;
		channel_recovered(TOLD_WAITING);
		return true;
	}
	channel_complain(TOLD_WAITING, place, what, r);
	if (!place->link_fails)
		channel_tell(EVENT_TROUBLE, place->number, 0, NULL, what, strlen(what));
	place->link_fails = true;
	return false;
}

/* Makes the link of PLACE, which has its number. What fails is tried again when the place is shown
 * again. */
static void make_link(struct place *place)
{
	char name[LINK_SIZE], target[64];
	int r;

	place->link_unsure = false;
	if (channel.waiting < 0)
		return;
	waiting_name(place->link, place->number, name);
	(void)snprintf(target, sizeof(target), "../" NAME_CONVERSATIONS "/%" PRIu64, place->number);
	r = symlinkat(target, channel.waiting, name) < 0 && errno != EEXIST ? -errno : 0;
	place->link_unsure = !note_link(place, "It cannot be shown as waiting", r);
}

/* Gives PLACE its link in waiting/, behind all others. */
static void set_link(struct place *place)
{
	uint64_t link;

	lock_take(&channel.lock);
	link = ++channel.table->last_link;
	place->link = link;
	if (place->slot != NO_SLOT)
		channel.table->entries[place->slot].link = link;
	lock_drop(&channel.lock);
	make_link(place);
}

void place_unlink_waiting(struct place *place)
{
	char name[LINK_SIZE];

	if (place->link == 0)
		return;
	/* First the link: what the table does not know of nobody would remove after a death. */
	waiting_name(place->link, place->number, name);
	if (channel.waiting >= 0 && unlinkat(channel.waiting, name, 0) < 0 && errno != ENOENT) {
		(void)note_link(place, "It is still shown as waiting", -errno);
		return;
	}
	place->link_fails = false;
	lock_take(&channel.lock);
	place->link = 0;
	if (place->slot != NO_SLOT)
		channel.table->entries[place->slot].link = 0;
	lock_drop(&channel.lock);
}

void place_draft(struct place *place, uint64_t turn, uint64_t until)
{
	place->draft_turn = turn;
	place->draft_until = until;
}

void place_show(struct place *place, uint64_t turn, uint64_t waiting)
{
	place->turn = turn;
	place->oldest = waiting;
	if (waiting == 0)
		place_unlink_waiting(place);
	else if (place->link == 0)
		set_link(place);
	else if (place->link_unsure)
		make_link(place);
	queue_enter();
	place_write_info(place, NULL);
	queue_leave();
}
