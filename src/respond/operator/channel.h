/*
 * The operator channel: FIFOs and plain files by which a human sees conversations and answers them
 * (marcel-operator(7)). Here is what the fifo responder needs of it; what orders mean, and when a
 * turn is open, is that one's affair.
 *
 *	in                      FIFO: orders for any conversation, "17 Bonjour", "* Bonne nuit"
 *	events                  one numbered line per event
 *	conversations/17/in     FIFO: orders for conversation 17
 *	conversations/17/out    the dialogue so far
 *	conversations/17/info   key=value
 *	waiting/0000000001-17   symbolic link: it waits for an answer; oldest first
 *
 * There is one channel per process. It opens at channel_open(), or with the first place. One thread
 * of its own, "operator", reads DIRECTORY/in and passes each line on into the FIFO of its
 * conversation; it removes the directories of conversations that are over when their grace time has
 * passed, and notices FIFOs that were replaced. A conversation's own FIFO is read by its own
 * thread.
 *
 * NOTE ON KEEPING. A FIFO's unread bytes die with its last holder, so the descriptor of each one
 * lies in a vault (base/vault.h) that the service manager keeps, and so does that of DIRECTORY/in.
 * The next process finds them by their inode, which a table in a memfd beside the vault knows.
 * Files are found by their names. Lines that were read from DIRECTORY/in and not passed on yet lie
 * in that memfd, too. What nobody has come for some minutes after a restart is over.
 *
 * How it fails: whatever the file system refuses costs only what it is about: an event if there can
 * be one, a record in the journal once (RECORD_TROUBLE), and the conversation goes on. A place
 * without a directory still has a FIFO to be written to by other ways (a pipe).
 *
 * Any thread but where it says otherwise; functions with a place: its conversation's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "marcel/responder.h"

/* The longest order in bytes without its LF: PIPE_BUF with it (pipe(7)). */
#define CHANNEL_LINE_MAX 4095

/*
 * Says which directory the channel has (an absolute path; copied) and how long directories of ended
 * conversations stay. NOW: opens it at once; else with the first place, or when an earlier process
 * left something in the store. Main thread, after that was offered (keepsake.h) and before
 * conversations. Returns 0, also when there is something that cannot be had: that is recorded.
 * -ENOMEM.
 */
int channel_open(const char *directory, usec_t grace, bool now);

/*
 * Whom the channel tells what becomes of orders, for sums and for the journal. Any thread calls
 * these, also with a lock of the channel: they are quick, and don't call the channel.
 *
 * refused(): N orders, for conversation NUMBER (0: none that could be seen), of which no responder
 * tells by marcel_note(): LENGTH bytes at TEXT, as order_refusal() makes them. / obeyed(): one was
 * carried out.
 */
struct channel_ear {
	void (*refused)(void *context, uint64_t number, uint64_t turn, uint64_t n, const char *text,
			size_t length);
	void (*obeyed)(void *context);
	void *context;
};

/* LISTENER is told from now on; copied; NULL: nobody is. Main thread, before channel_open() or
 * after channel_close(). */
void channel_listen(const struct channel_ear *listener);

/* Whether there are files for operators, which are no other process's as long as the channel is
 * open. Main thread, after channel_open(); a channel that did not open yet has none. */
bool channel_has_files(void);

/* Ends the thread: nothing is passed on any more, and what was is counted as done. Main thread,
 * also while conversations' threads run. */
void channel_rest(void);

/*
 * The same where no process is to go on with the channel: what was written to DIRECTORY/in and
 * reached nobody is refused with an event each, here and up to channel_close(). That FIFO stays,
 * but not in the store. A channel that did not open yet does not any more.
 */
void channel_end(void);

/* Ends the thread and frees everything; files and what is stored stay. Main thread, when no
 * conversation's thread runs any more. */
void channel_close(void);

/* What a conversation's directory says of it; texts are copied. */
struct place_about {
	uint64_t number;
	const uint8_t *id; /* 16 bytes */
	const char *peer;
	const char *listener;
	const char *responder; /* "fifo", or who hands over to it */
	uint64_t opened;       /* CLOCK_REALTIME microseconds */
	uint64_t turn;
};

/* The place of one conversation in the channel. */
struct place;

/*
 * Makes the place of a conversation: its directory, files and FIFO, kept in the vault before
 * anybody can see it. What is left of an older place of the same conversation goes on: the same
 * `out`. What another one of that number left does not: its `out` becomes out.1. /
 * Finds the place that an earlier process made, its FIFO with what is unread in it; *RET_LOST:
 * there was one, and it is new. Where the place was left there was none.
 *
 * Both tell the event: "opened", or "resumed". Return 0 and *RET_PLACE, owned by the caller until
 * place_close(), or to channel_close() where another process goes on with it; or -ENOMEM, -EMFILE
 * and the like: then there is no operator for it.
 */
int place_make(const struct place_about *about, struct place **ret_place);
int place_find(const struct place_about *about, struct place **ret_place, bool *ret_lost);

/* The descriptor to read orders from: O_NONBLOCK, readable when there are some. The place's own;
 * stays the same. */
int place_fd(const struct place *place);

/* Records that nothing can be read from there any more, for the error R, and tells "trouble". */
void place_fail(const struct place *place, int r);

/* Appends "TIME C> #TURN TEXT" to `out`, LENGTH bytes at TEXT escaped; MARCEL_WITHHELD: it is a
 * secret. WHO is 'C' or 'S'. */
void place_say(struct place *place, char who, uint64_t turn, const char *text, size_t length);

/* The same with LINE, which was said before the place was made, if `out` does not have it by an
 * earlier place of the conversation. */
void place_recall(struct place *place, const struct marcel_line *line);

/* There is a draft of an answer to TURN, which goes out by itself at UNTIL (CLOCK_REALTIME
 * microseconds; 0: never); TURN 0: there is none. place_show() shows it. */
void place_draft(struct place *place, uint64_t turn, uint64_t until);

/* Writes `info` anew, and sets or removes the link in waiting/: WAITING is the oldest open turn, 0:
 * none. The link keeps its place in the order as long as something waits. */
void place_show(struct place *place, uint64_t turn, uint64_t waiting);

/*
 * Ends the place: a last line in `out` with REASON, `in` is gone, the link in waiting/ removed; the
 * directory goes after the grace time. Tells the event "closed", or "left" when the
 * conversation goes on elsewhere (LEFT; REASON is its responder's name then). What is unread in the
 * FIFO is refused with an event each. PLACE is freed.
 */
void place_close(struct place *place, const char *reason, bool left);

/* The kinds of events; their names, as they stand in `events`, are these in lower case. */
enum channel_event {
	EVENT_OPENED,
	EVENT_RESUMED,
	EVENT_MESSAGE,
	EVENT_SENT,
	EVENT_REFUSED,
	EVENT_ABSENT,
	EVENT_DRAFT,
	EVENT_DONE,
	EVENT_CLOSED,
	EVENT_LEFT,
	EVENT_TROUBLE,
};

/*
 * Appends "NUMBER TIME EVENT CONVERSATION [#TURN] [WORD:] [TEXT]" to `events`: NUMBER counts
 * without gaps, WORD (may be NULL) is the reason of a refusal, "not-open", LENGTH bytes at TEXT
 * (may be NULL) are escaped; MARCEL_WITHHELD: it is a secret. CONVERSATION 0 is written as "-".
 * TURN 0: none.
 */
void channel_tell(enum channel_event event, uint64_t conversation, uint64_t turn, const char *word,
		  const char *text, size_t length);

/* The same for an order that is refused, WORD is why, where no responder tells it by marcel_note():
 * tells the ear as well. / An order was carried out: only the ear is told. */
void channel_refuse(uint64_t conversation, uint64_t turn, const char *word, const char *text,
		    size_t length);
void channel_obeyed(void);

/*
 * Where something ends, so many orders that were left there are refused with an event each: nobody
 * who writes without end, or a great many, is to hold that up. / Tells the event for the rest, N
 * orders; nothing if there is none.
 */
#define CHANNEL_REFUSED_MAX 1000
void channel_refuse_rest(uint64_t conversation, uint64_t n);
