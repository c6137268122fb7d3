/*
 * Events: one numbered line for everything that happens on the operator channel.
 *
 * Numbers count without gaps, across processes: the first one goes on from the last line there is,
 * or from what an earlier process left in memory. A line that cannot be written takes no number;
 * how many there were is told in an event of its own as soon as one can be written again.
 *
 * Under a lock of their own, so that many threads can tell.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "marcel/responder.h"
#include "respond/operator/channel-priv.h"
#include "respond/operator/channel-scroll.h"
#include "respond/operator/order.h"

static struct {
	struct lock lock;
	bool open;
	uint64_t *last; /* in the table */
	uint64_t lost;  /* since something was written last */
} events = {.lock = LOCK_INIT("operator events")};

/* Set before there is another thread, and then read only. */
static struct channel_ear ear;

static const char *const names[] = {
	[EVENT_OPENED] = "opened", [EVENT_RESUMED] = "resumed", [EVENT_MESSAGE] = "message",
	[EVENT_SENT] = "sent",     [EVENT_REFUSED] = "refused", [EVENT_ABSENT] = "absent",
	[EVENT_DRAFT] = "draft",   [EVENT_DONE] = "done",       [EVENT_CLOSED] = "closed",
	[EVENT_LEFT] = "left",     [EVENT_TROUBLE] = "trouble",
};

static void local_time(usec_t time, struct tm *ret_tm)
{
	time_t seconds = (time_t)(time / USEC_PER_SEC);

	if (localtime_r(&seconds, ret_tm) == NULL)
		*ret_tm = (struct tm){.tm_mday = 1};
}

void stamp_event(usec_t time, char stamp[STAMP_SIZE])
{
	struct tm tm;
	char text[32];
	long minutes;

	local_time(time, &tm);
	minutes = tm.tm_gmtoff / 60;
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(stamp, STAMP_SIZE, "%s%c%02d:%02d", text, minutes < 0 ? '-' : '+',
		       (int)(labs(minutes) / 60 % 24), (int)(labs(minutes) % 60));
}

void stamp_out(usec_t time, char stamp[STAMP_SIZE])
{
	struct tm tm;

	local_time(time, &tm);
	(void)strftime(stamp, STAMP_SIZE, "%Y-%m-%d %H:%M:%S", &tm);
}

size_t escape_for_file(char *buffer, size_t size, const char *text, size_t length, size_t whole)
{
	size_t kept = length < FILE_TEXT_MAX ? length : FILE_TEXT_MAX;
	size_t used = 0;
	size_t n;

	if (length == MARCEL_WITHHELD) {
		(void)snprintf(buffer, size, "(withheld)");
		return strlen(buffer);
	}
	/* Not in the middle of a character. */
	for (int i = 0; kept < length && i < 3 && kept > 0; i++)
		kept -= ((unsigned char)text[kept] & 0xc0U) == 0x80U;
	n = text_escape(buffer, size, text, kept, &used);
	if (used < whole)
		n += (size_t)snprintf(buffer + n, size - n, " [+%zu bytes]", whole - used);
	return n;
}

/* Under the channel's lock, before there is another thread. */
void events_open(void)
{
	uint64_t number = 0;
	int r = scroll_last_number(channel.dir, NAME_EVENTS, &number);

	/* After a rotation the file may be empty. */
	if (r == -ENOENT)
		r = scroll_last_number(channel.dir, NAME_EVENTS ".1", &number);
	if (r < 0 && r != -ENOENT)
		channel_complain(TOLD_NUMBER, NULL, "The last number of events cannot be read", r);
	lock_take(&events.lock);
	events.last = &channel.table->last_event;
	if (*events.last < number)
		*events.last = number;
	events.open = true;
	lock_drop(&events.lock);
}

void events_close(void)
{
	lock_take(&events.lock);
	events.open = false;
	events.last = NULL;
	events.lost = 0;
	lock_drop(&events.lock);
}

/* What an event says, but for its number and time. */
struct telling {
	enum channel_event event;
	uint64_t conversation;
	uint64_t turn;
	const char *word;
	const char *text;
	size_t length;
};

/* Makes the line of T, LENGTH bytes of whose text count. Returns its length. */
static size_t compose(const struct telling *t, size_t length, char *line, size_t size)
{
	char stamp[STAMP_SIZE];
	char who[24] = "-";
	size_t n;

	stamp_event(clock_realtime(), stamp);
	if (t->conversation != 0)
		(void)snprintf(who, sizeof(who), "%" PRIu64, t->conversation);
	n = (size_t)snprintf(line, size, "%" PRIu64 " %s %s %s", *events.last + 1, stamp,
			     names[t->event], who);
	if (t->turn != 0)
		n += (size_t)snprintf(line + n, size - n, " #%" PRIu64, t->turn);
	if (t->word != NULL)
		n += (size_t)snprintf(line + n, size - n, " %s:", t->word);
	if (t->text != NULL || length == MARCEL_WITHHELD) {
		line[n++] = ' ';
		n += escape_for_file(line + n, size - n - 1, t->text, length, length);
	}
	line[n++] = '\n';
	return n;
}

/* Writes one line. Under the events' lock. Returns 0 or a negative errno. */
static int append(const struct telling *t)
{
	size_t length = t->text == NULL && t->length != MARCEL_WITHHELD ? 0 : t->length;
	size_t size = 256 + FILE_TEXT_SIZE(length);
	char *line = malloc(size);
	int r = -ENOMEM;

	if (line != NULL)
		r = scroll_append(channel.dir, NAME_EVENTS, line, compose(t, length, line, size));
	free(line);
	if (r == 0)
		++*events.last;
	return r;
}

/* Tells what could not be told before. */
static int append_lost(void)
{
	char text[64];
	int n, r;

	if (events.lost == 0)
		return 0;
	n = snprintf(text, sizeof(text), "%" PRIu64 " events could not be written", events.lost);
	r = append(&(struct telling){.event = EVENT_TROUBLE, .text = text, .length = (size_t)n});
	if (r == 0) {
		events.lost = 0;
		channel_recovered(TOLD_EVENTS);
	}
	return r;
}

void channel_tell(enum channel_event event, uint64_t conversation, uint64_t turn, const char *word,
		  const char *text, size_t length)
{
	const struct telling telling = {
		.event = event,
		.conversation = conversation,
		.turn = turn,
		.word = word,
		.text = text,
		.length = length,
	};
	int r;

	lock_take(&events.lock);
	if (events.open) {
		r = append_lost();
		if (r == 0)
			r = append(&telling);
		if (r < 0) {
			events.lost++;
			channel_complain(TOLD_EVENTS, NULL, "Events cannot be written", r);
		}
	}
	lock_drop(&events.lock);
}

void channel_listen(const struct channel_ear *listener)
{
	ear = listener != NULL ? *listener : (struct channel_ear){.refused = NULL};
}

void channel_obeyed(void)
{
	if (ear.obeyed != NULL)
		ear.obeyed(ear.context);
}

/* N orders are refused. */
static void refuse(const struct telling *t, uint64_t n)
{
	char text[ORDER_REFUSAL_MAX];

	channel_tell(EVENT_REFUSED, t->conversation, t->turn, t->word, t->text, t->length);
	if (ear.refused != NULL)
		ear.refused(ear.context, t->conversation, t->turn, n, text,
			    order_refusal(text, t->turn, t->word, t->text, t->length));
}

void channel_refuse(uint64_t conversation, uint64_t turn, const char *word, const char *text,
		    size_t length)
{
	const struct telling telling = {
		.conversation = conversation,
		.turn = turn,
		.word = word,
		.text = text,
		.length = length,
	};

	refuse(&telling, 1);
}

void channel_refuse_rest(uint64_t conversation, uint64_t n)
{
	char text[48];
	struct telling telling = {.conversation = conversation, .word = "too-many", .text = text};

	if (n == 0)
		return;
	telling.length = (size_t)snprintf(text, sizeof(text), "%" PRIu64 " more order%s", n,
					  n == 1 ? "" : "s");
	refuse(&telling, n);
}
