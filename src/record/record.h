/*
 * Records: what happened, told to the journal.
 *
 * Every event is one structured record. Whoever calls these functions never waits for journald:
 * records go into a bounded ring, and one thread takes them from there and sends them
 * (sd_journal_sendv(3), or lines or JSON objects on standard error when no journal listens). When
 * the ring fills up, transcript lines are dropped first, then what is merely informative; both are
 * counted, and one record tells the counts afterwards. Ends and refusals are dropped last, and
 * never without being counted.
 *
 * There is one ring and one thread per process: record_start() makes them, record_stop() ends
 * them. Between the two every other function may be called from any thread; before and after, only
 * from the main thread, and records go straight to their destination from there. The process must
 * block or ignore SIGPIPE: standard error may be a pipe that nobody reads any more.
 *
 * A record is known to be sent only afterwards, so a process killed in between leaves it for the
 * next one to send again: once or twice, never not at all.
 *
 * Fields in the journal: MESSAGE, MESSAGE_ID, PRIORITY; MARCEL_TIMESTAMP, microseconds of
 * CLOCK_REALTIME when it happened (journald's own time is that of the sending); of a conversation
 * MARCEL_CONVERSATION, MARCEL_CONVERSATION_ID (32 hexadecimal digits), MARCEL_PEER and
 * MARCEL_LISTENER; of the transcript MARCEL_TURN, MARCEL_RULE (what decided the answer),
 * MARCEL_SIZE (bytes of the whole message) and, when MESSAGE has only a part of it, MARCEL_KEPT
 * (bytes of that part); of RECORD_DROPPED MARCEL_DROPPED_TRANSCRIPT, _INFORMATIVE, _ESSENTIAL
 * (records), and if there were any _CLOSED, _REFUSED (records of these kinds) and _DAMAGED (bytes
 * found unreadable after a crash); and the caller's own.
 *
 * JSON has the same as one object a line: timestamp, kind (the name in kinds.h), priority, message,
 * message_id, conversation, conversation_id, peer, listener, turn, size, kept, and any further
 * field without MARCEL_ and in lower case (MARCEL_REASON is "reason"). Numbers are timestamp,
 * priority, conversation, turn, size and kept; the others are strings. Text on standard error is
 * "[CONVERSATION PEER] MESSAGE", or MESSAGE alone.
 *
 * In every output each value has passed through text_escape(): one record is one line of valid
 * UTF-8 without control characters.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "record/kinds.h"

/* Where records go. */
enum record_output {
	RECORD_OUTPUT_AUTO,    /* the journal if standard error is connected to it, else text */
	RECORD_OUTPUT_JOURNAL, /* native protocol of systemd-journald */
	RECORD_OUTPUT_TEXT,    /* readable lines on standard error */
	RECORD_OUTPUT_JSON,    /* one JSON object a line on standard error */
};

/* How much of what is said is recorded: [journal] transcript. */
enum transcript_policy {
	TRANSCRIPT_FULL,  /* the text, up to transcript_max bytes of each message */
	TRANSCRIPT_SIZES, /* only how long each message was */
	TRANSCRIPT_OFF,   /* nothing */
};

/* The conversation that a record is about. The texts are copied. */
struct record_about {
	uint64_t number;      /* MARCEL_CONVERSATION */
	const uint8_t *id;    /* MARCEL_CONVERSATION_ID: 16 bytes */
	const char *peer;     /* MARCEL_PEER */
	const char *listener; /* MARCEL_LISTENER */
};

/*
 * One more field of a record. NAME as sd_journal_send(3) wants it: "MARCEL_REASON". A record takes
 * 16 of them, each value up to 64 KiB; what is above is left out.
 */
struct record_field {
	const char *name;
	const char *value; /* ended by NUL */
};

/*
 * Makes the ring and starts the thread. SPACE bytes at RING (page aligned, zeroed or left by a
 * process that was killed) hold the ring: records that lie there unsent are sent first. With a
 * NULL RING the ring's memory is made here. LEFTOVER, if not NULL, is the path of a file in which
 * record_stop() leaves what it could not send and from which this call takes what an earlier
 * process left. Main thread. Returns 0, -EINVAL (SPACE is below RING_SPACE_MIN of ring.h), -ENOMEM
 * or -EAGAIN (no thread to be had).
 */
int record_start(enum record_output output, void *ring, size_t space, const char *leftover);

/*
 * Sends what is in the ring, at most until DEADLINE (clock_now() time), ends the thread and leaves
 * the rest in the leftover file (without one: in the caller's ring). A journald that does not read
 * cannot hold this up; the thread that sleeps there is left behind, so end the process soon. The
 * ring's memory must stay mapped until then. Main thread, when no other thread records any more.
 */
void record_stop(usec_t deadline);

/* Where records go until record_start(), which says it anew; RECORD_OUTPUT_AUTO by default. Main
 * thread. */
void record_set_output(enum record_output output);

/*
 * Ends the thread at once and leaves what was not sent in the ring, for a process that takes the
 * ring's memory over. Main thread, when no other thread records any more.
 */
void record_leave(void);

/*
 * Sets what record_said() keeps; MAX is in bytes of one message (more than about 2 MiB, or a
 * sixteenth of a smaller ring, is never kept). At first: TRANSCRIPT_FULL, 4096. Main thread, at
 * start and reload.
 */
void record_set_transcript(enum transcript_policy policy, size_t max);

/*
 * Records an event of KIND about a conversation (ABOUT, or NULL) with N_FIELDS more fields; the
 * text is made as by printf(3) and becomes MESSAGE=. Control characters are escaped when sent.
 */
__attribute__((format(printf, 5, 6))) void record_event(enum record_kind kind,
							const struct record_about *about,
							const struct record_field *fields,
							size_t n_fields, const char *format, ...);

/* As record_event() without a conversation or fields. */
__attribute__((format(printf, 2, 3))) void record_note(enum record_kind kind, const char *format,
						       ...);

/* Who said a line of the transcript. */
enum record_speaker {
	RECORD_CLIENT, /* "C> bonjour" */
	RECORD_SERVER, /* "S> Bonjour à vous" */
};

/*
 * Records that LENGTH bytes at TEXT were said in turn TURN, as the transcript policy wants it. With
 * TRANSCRIPT_OFF this costs one load. TEXT is cut between two characters.
 */
void record_said(const struct record_about *about, enum record_speaker speaker, uint64_t turn,
		 const char *text, size_t length);

/* The same for a line that a rule of the responder has to do with: MARCEL_RULE=RULE (NULL: none).
 */
void record_said_by(const struct record_about *about, enum record_speaker speaker, uint64_t turn,
		    const char *rule, const char *text, size_t length);

/* Only that something was said: nothing of it is recorded, not even its length. */
void record_withheld(const struct record_about *about, enum record_speaker speaker, uint64_t turn);

/*
 * Whether the journal thread has sent something since the last call, or has nothing to send. False
 * means that journald stalls, which is no failure of ours: for diagnostics, not for the watchdog.
 * Main thread.
 */
bool record_is_keeping_up(void);
