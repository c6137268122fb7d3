/*
 * What the parts of the operator channel share: the channel, its places, and the table in shared
 * memory that the next process takes over.
 *
 * Everything in struct channel and struct place is guarded by channel.lock, except where it says
 * otherwise. Events have a lock of their own, which may be taken under that one. Descriptors of
 * directories are set when the channel opens, before any other thread uses it, and then stay.
 *
 * NOTE ON PLACES. A place is in the map from before anybody can see its FIFO until it ends, so a
 * line for it always finds it: one that an earlier process made stands there too, unclaimed, until
 * its conversation's thread comes for it. Ended places are dying: the vault may still hold their
 * FIFO, so a writer who has it open gets no EPIPE yet. They are kept until the vault has let them
 * go, and whatever is written there is refused; where that cannot be waited for, it is filled up.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/vault.h"
#include "respond/keepsake.h"
#include "respond/operator/channel.h"

/* Names in the channel's directory; those with a dot are the daemon's own affair. */
#define NAME_IN            "in"
#define NAME_OUT           "out"
#define NAME_INFO          "info"
#define NAME_EVENTS        "events"
#define NAME_CONVERSATIONS "conversations"
#define NAME_WAITING       "waiting"
#define NAME_NEW_IN        ".in.new"
#define NAME_NEW_INFO      ".info.new"
#define NAME_LOCK          ".lock"
#define OLD_PREFIX         ".old-"

/* Its directories are not for everybody. */
#define DIRECTORY_MODE 0750

/* Names in the store. */
#define KEEP_VAULT_IN  KEEPSAKE_PREFIX "operator-in"
#define KEEP_VAULT_OUT KEEPSAKE_PREFIX "operator-out"
#define KEEP_FIFO      KEEPSAKE_PREFIX "operator-fifo"
#define KEEP_TABLE     KEEPSAKE_PREFIX "operator-table"
#define KEEP_INOTIFY   KEEPSAKE_PREFIX "operator-inotify"

/* So many FIFOs can be kept beyond the process; what is above is served without. */
#define KEEP_SLOTS 16384
#define NO_SLOT    UINT32_MAX

/* What is read from DIRECTORY/in at once, and the longest line before it. */
#define IN_READ 65536
#define IN_SIZE (IN_READ + CHANNEL_LINE_MAX + 1)

/* A FIFO in the vault: whose it is. NUMBER 0: free. Plain memory. */
struct keep_entry {
	uint64_t number;
	uint64_t dev;
	uint64_t ino;
	uint64_t link;  /* the number of its link in waiting/; 0: none */
	uint64_t ended; /* 1: the place has ended; its FIFO is to be let go */
};

/* Half of what was read from DIRECTORY/in: its bytes up to DONE were passed on. Behind what was
 * read there are zeros, so that the next process sees how far it goes. What becomes of those behind
 * DONE stands in its upper bits, so that both change at once, whenever the process dies. */
#define DONE_SKIPPING (UINT64_C(1) << 63) /* up to the next LF they belong to a line too long */
#define DONE_TORN     (UINT64_C(1) << 62) /* the same, to one that was unfinished */
#define DONE_FLAGS    (DONE_SKIPPING | DONE_TORN)
struct keep_half {
	_Atomic uint64_t done;
	char bytes[IN_SIZE];
};

/* Plain memory that outlives the process, in a memfd. A change of it is a change of the magic. */
struct keep_table {
	uint64_t magic;
	uint64_t last_event;     /* the number of the last event */
	uint64_t last_link;      /* the number of the last link in waiting/ */
	_Atomic uint32_t active; /* which half is in use */
	uint32_t skipping;       /* as DONE_SKIPPING, by an older marceld */
	struct keep_half halves[2];
	struct keep_entry entries[KEEP_SLOTS];
};

/* The place of one conversation. */
struct place {
	struct place *next; /* of the same bucket, or dying */
	struct place *next_watched;
	uint64_t number;
	uint32_t slot; /* of the vault and the table; NO_SLOT: it is not kept */
	int fd;        /* the FIFO; -1 while it is being made */
	int watch;     /* of inotify; -1: none */
	bool claimed;  /* a conversation's thread has it */
	bool carried;  /* it came from an earlier process, and nobody has claimed it yet */
	bool ending;   /* nothing is passed on to it any more */
	bool astray;   /* its `in` is not the FIFO any more; told */
	uint64_t link;
	bool link_unsure; /* another process may have died before it made the link, or removed it */

	/* Once claimed, of its conversation's thread. */
	bool has_directory;
	bool out_fails;  /* told */
	bool link_fails; /* told */
	uint8_t id[16];
	char *peer;
	char *listener;
	char *responder;
	uint64_t opened;
	uint64_t turn;
	uint64_t oldest;      /* open turn, as in info */
	uint64_t draft_turn;  /* as in place_draft() */
	uint64_t draft_until; /* the same */
	uint64_t said;        /* when the last line was said that `out` had when the place was made,
			       * CLOCK_REALTIME microseconds; 0: it had none */
};

/* An ended conversation's directory, and when to remove it. */
struct grave {
	struct grave *next;
	uint64_t number;
	usec_t ended; /* CLOCK_REALTIME */
	usec_t due;   /* USEC_NEVER: only when there is no room for it */
	uint64_t size;
};

/*
 * NOTE ON ROOM. Clients decide how many conversations there are and how much is said, and the
 * directory is most often in /run, which others need. So what is over is kept only as long as it is
 * not more than this; and while the file system has less free than the smaller of these two,
 * nothing that is over is kept, and nothing is written to `out`.
 */
#define GRAVES_MAX      1000
#define GRAVES_SIZE_MAX (UINT64_C(32) * 1024 * 1024)
#define RESERVED_SHARE  8
#define RESERVED_MAX    (UINT64_C(64) * 1024 * 1024)

#define CHANNEL_BUCKETS 4096

/* What has been recorded, so that it is recorded once; and not every moment where it comes and
 * goes, as on a disk that is nearly full. One for each kind of trouble, for it mutes no other. */
enum channel_told {
	TOLD_TABLE,
	TOLD_VAULT,
	TOLD_NUMBER,
	TOLD_EVENTS,
	TOLD_OUT,
	TOLD_INFO,
	TOLD_WAITING,
	TOLD_WATCH_FIFO,
	TOLD_WATCH_DIRECTORY,
	TOLD_IN,
	TOLD_REMOVE,
	TOLD_COUNT,
};

struct channel {
	struct lock lock;
	char *directory; /* NULL: there is no channel */
	usec_t grace;

	/* -1: it can't be had. */
	int dir;
	int conversations;
	int waiting;
	int lock_file;
	int inotify;
	int watch; /* of the directory */
	int wake;  /* an eventfd */
	int in;    /* DIRECTORY/in. Of the thread, once that runs */

	pthread_t thread;
	usec_t notices_at; /* not before: when inotify is looked at. Of the thread */

	struct place *map[CHANNEL_BUCKETS];
	struct place *watched[CHANNEL_BUCKETS]; /* by their watch */
	struct place *dying;
	usec_t dying_due;          /* when to look at those again; USEC_NEVER: there are none */
	struct grave *first_grave; /* the oldest */
	struct grave *last_grave;
	uint64_t n_graves;
	uint64_t graves_size; /* in bytes */
	uint64_t judging; /* the number whose directory is being ended, for nobody came; 0: none */
	struct bell judged; /* it changed */
	usec_t claim_until; /* when what nobody claimed is dropped; USEC_NEVER: that is done */

	struct vault vault;
	struct keep_table *table;
	struct place **by_slot; /* KEEP_SLOTS entries */
	uint32_t *free_slots;
	uint32_t n_free;
	int kept[3]; /* of an earlier process: the vault's in and out, the memfd of the table */

	_Atomic usec_t told_at[TOLD_COUNT]; /* 0: never */
	_Atomic bool told[TOLD_COUNT];
	bool opened;
	bool running; /* the thread does */
	bool stop;
	bool inherited; /* an earlier process's vault was found */
	bool over;      /* no process goes on with it; what is not open stays so */
};

extern struct channel channel;

/* How long an unfinished line may stay so, and what an earlier process left unclaimed; and for how
 * long trouble that has gone and comes again is not recorded. Tests want less. Before
 * channel_open(). */
extern usec_t channel_patience;
extern usec_t channel_claim_time;
extern usec_t channel_quiet_time;

/*
 * Records WHAT with the error R (negative) unless it is recorded already; ABOUT may be NULL. Called
 * each time that it fails: what began in the quiet time and lasts is recorded after it. / Notes
 * that it works again. Any thread.
 */
void channel_complain(enum channel_told told, const struct place *about, const char *what, int r);
void channel_recovered(enum channel_told told);

/* Records WHAT of PLACE and tells the event "trouble". Conversation's thread, or under the lock. */
void channel_trouble(const struct place *place, const char *what, int r);

/* Opens the channel if that has not been done. Returns 0, -ENOMEM, or -ESHUTDOWN: it is over. Takes
 * the lock. */
int channel_ensure_open(void);

/* Makes the thread look around. Any thread. / Whether it is to end. Takes the lock. */
void channel_wake(void);
bool channel_should_stop(void);

/* The map, under the lock. */
struct place *channel_find(uint64_t number);
void channel_add(struct place *place);
void channel_remove(struct place *place);
struct place *place_new(uint64_t number);
void place_free(struct place *place); /* closes its FIFO */

/* channel-events.c. Finds the number to go on with. Under the lock. */
void events_open(void);
void events_close(void);

/* Writes TIME (CLOCK_REALTIME microseconds) as RFC 3339 / as in `out`, in local time. */
#define STAMP_SIZE 40
void stamp_event(usec_t time, char stamp[STAMP_SIZE]);
void stamp_out(usec_t time, char stamp[STAMP_SIZE]);

/* A line of text that is longer than TEXT_MAX bytes is cut in files, with a note of how much of the
 * WHOLE bytes that it had is missing. */
#define FILE_TEXT_MAX ((size_t)65536)
size_t escape_for_file(char *buffer, size_t size, const char *text, size_t length, size_t whole);
#define FILE_TEXT_SIZE(length) \
	(TEXT_ESCAPED_MAX((length) < FILE_TEXT_MAX ? (length) : FILE_TEXT_MAX) + 40)

/*
 * channel-keep.c: the vault, the table, and what is in them. Under the lock.
 *
 * keep_claim(): takes what an earlier process stored, so that it is not dropped; returns whether
 * there is something. keep_open(): goes on with it, or makes it anew; carried places come into the
 * map or among the dying ones. Returns 0 or -ENOMEM.
 */
bool keep_claim(void);
int keep_open(void);
void keep_close(void);

/* Keeps PLACE's FIFO / says that it has ended / gives its slot back, when nobody holds it. */
void keep_add(struct place *place);
void keep_end(struct place *place);
void keep_release(struct place *place);

/* Has the vault let go of what has ended. Returns 0, or a negative errno: not yet. / Whether that
 * is better done soon. */
int keep_clean(void);
bool keep_is_due(void);

/* channel-orders.c: DIRECTORY/in. Of the thread, or while it does not run. */
void orders_open(void);
void orders_end(void); /* refuses all that is there, and comes */
void orders_close(void);
void orders_look(void);  /* something may have happened to its name */
void orders_read(void);  /* it may be readable */
usec_t orders_due(void); /* when the next one is to be called */
void orders_pass_time(usec_t now);

/* channel-sweep.c: what is over. Of the thread, without the lock. */
void sweep_begin(void);
void sweep_dying(usec_t now);
void sweep_unclaimed(usec_t now);
void sweep_graves(usec_t now);
usec_t sweep_due(void); /* takes the lock */

/* Whether there is room on the file system of DIR (NOTE ON ROOM). Any thread. */
bool sweep_has_room(int dir);

/* Makes the grave of NUMBER, whose directory DIR is as it is to stay; NULL: without memory it stays
 * until the next process finds it. Any thread. / Puts GRAVE, which may be NULL, on the list / PLACE
 * among the dying. Under the lock. */
struct grave *sweep_dig(uint64_t number, int dir);
void sweep_bury(struct grave *grave);
void sweep_let_die(struct place *place);

/* channel-queue.c. Whoever is not the channel's thread and opens anything in its directories does
 * so between these two, not under the lock, and in no other such two. */
void queue_enter(void);
void queue_leave(void);

/* channel-notice.c: inotify. Takes what an earlier process stored / makes one if there is none;
 * under the lock, or before other threads. / Takes a batch of what it has to tell, and looks at
 * what that is about. Of the thread. */
void notice_claim(void);
void notice_open(void);
void notice_take(void);

/* channel-place.c. Opens the directory of NUMBER (O_PATH); returns a descriptor or an errno. */
int place_open_directory(uint64_t number);

/* Refuses what is unread in FD, the FIFO of the conversation NUMBER, which is over. FINAL: as
 * fifo_finish(), else as fifo_drain(). Any thread. */
void place_refuse_unread(uint64_t number, int fd, bool final);

/* Looks whether `in` is still its FIFO: of the N places with these WATCHES / of all that have one.
 * Take the lock. */
void places_look(const int watches[], size_t n);
void places_look_at_all(void);

/* channel-show.c. Makes `info` in DIR anew, wholly or not at all: LENGTH bytes at BYTES / from what
 * PLACE is; ENDED is the reason of its end, or NULL. */
int place_replace_info(int dir, const char *bytes, size_t length);
void place_write_info(const struct place *place, const char *ended);

/* Reads `info` in DIR: returns its length, or a negative errno. / Whether LENGTH bytes of one have
 * a line that begins with LINE (a key and "=", or more), which is not the first. / Whether it is
 * about PLACE's conversation, by its id. */
#define INFO_MAX   4096
#define INFO_ENDED "ended="
#define INFO_LOST  "lost" /* what it is then, if nobody came for it */
ssize_t place_read_info(int dir, char bytes[INFO_MAX]);
bool info_says(const char *bytes, size_t length, const char *line);
bool info_is_of(const char *bytes, size_t length, const struct place *place);

/* When the last line of PLACE's `out` was said, CLOCK_REALTIME microseconds; 0: there is none. */
usec_t place_last_said(const struct place *place);

/* Writes the last line of `out` in DIR / removes PLACE's link in waiting/, if it has one. */
void place_end_out(int dir, const char *reason);
void place_unlink_waiting(struct place *place);

/* The name of a link in waiting/. */
#define LINK_SIZE 48
void waiting_name(uint64_t link, uint64_t number, char name[LINK_SIZE]);
