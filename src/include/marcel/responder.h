/*
 * What a responder implements: the part of Marcel that decides what to answer.
 *
 * Built-in responders and loadable modules implement the same table of functions. A responder
 * gets messages and puts replies into a sink; it never sees the socket. The daemon frames, sends,
 * records and, above all, keeps: what a responder remembers of a conversation is one plain state
 * of bytes without pointers, which the daemon commits together with the replies. A turn happens
 * wholly or not at all, also when the daemon is killed in its middle and another one carries on.
 *
 * Threads: load() and unload() run in the main thread. All other functions run in the
 * conversation's own thread; those of different conversations run at the same time, so what
 * `shared` points to is read-only after load() or guarded by locks of the responder's own.
 *
 * Errors are negative errno values. A responder that returns one from open(), greet(), respond() or
 * wake() ends that conversation, politely, and the journal names the error; nothing else is
 * touched. Replies put into the sink before are still sent. Only when a conversation was to be
 * taken from another responder does a failure of open() cost nothing but that: the other one goes
 * on.
 *
 * A conversation may go from one responder to another in its middle. Given to one, by MARCEL_GIVE
 * or from outside, the one before is closed, the new one is opened, and greets if it has a greet()
 * of its own. Taken by one, the one before is suspended: its state, framing and timer are kept, and
 * only restore() and close() are called; the new one is opened over it and doesn't greet. Given
 * back, the suspended one goes on where it stood, and learns nothing of what was said meanwhile. A
 * responder that uses `local`, wake_fd or the pad can't be suspended. Each of these is part of a
 * turn. So if the process dies before that turn is in force, the responder that was to go, and may
 * have been closed already, goes on: restore() is called for it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Goes up when this header changes so that older modules would misunderstand it. */
#define MARCEL_RESPONDER_ABI 1

/* The largest state a responder may keep for one conversation, in bytes. */
#define MARCEL_STATE_MAX 16384

/* Where a responder puts its replies during one call. Valid only until that call returns. */
struct marcel_sink;

/*
 * Says one reply: LENGTH bytes at TEXT, which are sent as they are, then the line end that the
 * conversation's framing calls for. The bytes are copied. Returns 0, or -ENOSPC when they do not
 * fit beside what the call has said so far; nothing is added then. An empty sink always takes
 * MARCEL_REPLY_MAX bytes. Whoever has more to say returns MARCEL_AGAIN and is called again once
 * the client has taken what was said.
 */
int marcel_say(struct marcel_sink *sink, const char *text, size_t length);

/* As marcel_say(), but sends the bytes without a line end. */
int marcel_send(struct marcel_sink *sink, const char *bytes, size_t length);

#define MARCEL_REPLY_MAX ((size_t)1024 * 1024)

/* What a note in the journal is about. */
enum marcel_note {
	MARCEL_NOTE_LOG = 0,        /* a line of the responder's own */
	MARCEL_NOTE_UNANSWERED = 1, /* there was no answer to a message, and none is to come */
	MARCEL_NOTE_STOPPED = 2,    /* a rule was given up, since it took too long */
	MARCEL_NOTE_OVERFLOW = 3,   /* the client sent more than is kept of it */
	MARCEL_NOTE_REFUSED = 4,    /* an operator's order was not carried out; the text says why */
};

/*
 * Puts LENGTH bytes at TEXT into the journal, with the conversation's number and RULE, if not NULL.
 * Control characters are escaped there. Cannot fail: what there is no room for is counted.
 */
void marcel_note(struct marcel_sink *sink, enum marcel_note note, const char *rule,
		 const char *text, size_t length);

/* What a call of a responder can ask for by its result, besides a negative errno. */
enum marcel_verdict {
	MARCEL_CONTINUE = 0, /* the message is answered; on with the next one */
	MARCEL_AGAIN = 1,    /* send what was said, then call with the same message again */
	MARCEL_CLOSE = 2,    /* send what was said, then end the dialogue without a farewell */
	MARCEL_FAREWELL = 3, /* the same, with the farewell */
	MARCEL_RESET = 4,    /* break the connection off at once (RST); what was said may be lost */
	MARCEL_GIVE = 5,     /* send what was said, then let the responder that give_to names go on:
			      * the one that was suspended when this one took the conversation, in
			      * its middle, or another one from its beginning. If there is none of
			      * that name, it has the word already, or there is no room for its
			      * state, it is as MARCEL_CONTINUE, and the journal says so; likewise,
			      * without a word, if greet() wants it that was just given to */
};

/* How bytes become messages, if a responder wants to say that itself. */
enum marcel_framing_kind {
	MARCEL_FRAMING_DEFAULT = 0, /* as configured */
	MARCEL_FRAMING_LINE = 1,    /* line_end ends a message */
	MARCEL_FRAMING_RAW = 2,     /* what one read gave is a message; replies carry no line end */
	MARCEL_FRAMING_RECORD = 3, /* each message has `size` bytes; replies are sent as they are */
	MARCEL_FRAMING_PREFIX = 4, /* before each message and each reply stands its length: a
				    * big-endian number of `size` (1, 2 or 4) bytes */
	MARCEL_FRAMING_BYTES = 5,  /* whatever came, at most `size` bytes in one piece; replies end
				    * as under the framing that was in force before */
};

enum marcel_line_end {
	MARCEL_LINE_ANY =
		0, /* LF or CRLF; replies end as the client's first line did, CRLF before that */
	MARCEL_LINE_LF = 1,   /* LF alone; a CR before it belongs to the message */
	MARCEL_LINE_CRLF = 2, /* CRLF alone; LF without CR belongs to the message */
};

#define MARCEL_FRAMING_JOIN \
	0x01u /* replies to the parts of one line become one line, joined by split */

/* Plain memory, kept with the conversation. One that makes no sense (a kind that there is not, a
 * size of 0 or, of PREFIX, none of these) is ignored, and the one before stays. */
struct marcel_framing {
	uint8_t kind;     /* enum marcel_framing_kind */
	uint8_t line_end; /* LINE: enum marcel_line_end */
	uint8_t split;    /* LINE: this byte separates messages within a line; 0: none does */
	uint8_t flags;    /* MARCEL_FRAMING_* */
	uint32_t max;     /* LINE, PREFIX, RAW: bytes of the longest message; 0, or more than
			   * message_max: message_max */
	uint64_t size;    /* RECORD, PREFIX, BYTES */
};

/* One setting of the responder's section in marcel.ini: name, value, and the line it stands on. */
struct marcel_setting {
	const char *name;
	const char *value;
	unsigned line;
};

/* What load() is told. */
struct marcel_settings {
	const char *file; /* the configuration's path, for messages */
	const char *section;
	const struct marcel_setting *settings;
	size_t count;
};

/* Tells a fault of the settings to whoever wrote them; FILE and LINE (0: none) say where. */
typedef void marcel_fault_fn(void *context, const char *file, unsigned line, const char *text);

/* Who said something; for said() and marcel_past(). */
#define MARCEL_CLIENT 'C'
#define MARCEL_SERVER 'S'

/* In the place of the length of a text that is secret. */
#define MARCEL_WITHHELD ((size_t)-1)

struct marcel_responder_ops;
struct marcel_past;

/* A responder that is ready, with what its load() made. */
struct marcel_loaded {
	const struct marcel_responder_ops *ops;
	void *shared;
};

/* What is kept beside the state, in bytes: see `pad`. */
#define MARCEL_PAD_SIZE ((size_t)16 * 1024)

/* What a responder is told about the conversation with every call. Read only, valid for the call.
 */
struct marcel_conversation {
	void *shared; /* what load() made */
	void *state;  /* state_size bytes of the responder's own */
	size_t state_size;
	uint64_t number;      /* unique on this host while it is up */
	uint64_t turn;        /* messages so far, this one included; 0 in open() and greet(), unless
			       * it goes on with another responder's conversation */
	const char *peer;     /* the client's address, such as "127.0.0.1:4711" */
	const char *listener; /* the name of the socket it came in by */
	uint64_t wake_at; /* out: CLOCK_MONOTONIC microseconds at which to call wake(); 0: never.
			   * Kept from call to call. */

	/* More that is kept from call to call, and that a responder may change. */
	struct marcel_framing framing; /* how the next message is found; zero in open(), or what the
					* responder has set from which the conversation is taken;
					* for the greeting as set there */
	bool holds;     /* no message is wanted now: respond() is not called before a call of wake()
			 * has changed it. Time, stop and a broken connection come all the same. A
			 * saved conversation that holds, of a responder without wake(), is lost */
	bool owns_end;  /* end words and empty messages are messages like others */
	bool early;     /* the client is not to speak while this one holds: WAKE_EARLY is wanted */
	bool continues; /* the next message belongs to the turn of this one and is not counted */
	size_t state_used; /* so many bytes of the state matter, at most state_size: the others are
			    * not kept. state_begin in open() */

	/* For this call only; respond() and wake() set them before they say anything. */
	bool asks_secret;   /* the next message is a secret that only this responder knows to keep:
			     * nobody   may take the conversation now. Kept from call to call */
	bool secret;        /* out: the message is to be kept out of the journal */
	const char *rule;   /* out: what decides the answer, for the journal; NULL: nothing special.
			     * Valid until the call returns */
	size_t message_end; /* in: bytes of the line end that followed the message, 0 to 2 */
	uint64_t opened;    /* in: when the conversation began, CLOCK_REALTIME microseconds */
	const uint8_t *id;  /* in: 16 bytes that no other conversation anywhere has */
	const char *reason; /* in, in close(): why it ended, as MARCEL_REASON in the journal; NULL:
			     * it goes on with another responder */
	const char *give_to; /* out: for MARCEL_GIVE, a responder's name; read after the call.
			      * in, in close() without a reason: who goes on, if known, else NULL */
	bool by_operator;    /* out: an operator wants the end that MARCEL_CLOSE or MARCEL_FAREWELL
			      * asks for, which the journal says then */
	const char *draft;   /* in: draft_length bytes that whoever hands the conversation over
			      * proposes as the next answer; NULL: nothing. To be said by itself at
			      * draft_until. out, by that one: see draft_turn */
	size_t draft_length;
	uint64_t draft_until; /* in: CLOCK_MONOTONIC microseconds; UINT64_MAX: it waits */

	/*
	 * For responders that somebody else talks to, besides the client. The three from wake_fd on
	 * are kept from call to call, but not beyond the process: restore() sets them anew.
	 */
	int wake_fd; /* whose bytes are for this conversation: drain() is called when it is
		      * readable, whatever the client does; -1: none. It stays the responder's */
	void *local; /* whatever the responder wants to find again; NULL in open() and restore() */
	uint64_t waiting;    /* the oldest turn that waits for somebody's answer; 0: none does */
	const char *speaker; /* out: who really answers, if a responder lets another one; NULL: it
			      * does so itself. A static text, kept from call to call */

	/*
	 * MARCEL_PAD_SIZE bytes that are kept like the state, beyond the process, but not committed
	 * with a turn: what is written there is there at once, whatever becomes of the turn. Not
	 * zeroed in open(). Who uses it sets uses_pad in open(). NULL for who is suspended.
	 */
	void *pad;
	bool uses_pad; /* kept from call to call, and beyond the process */

	/* in: the responders that a conversation can be handed to, ended by one without ops; NULL:
	 * none */
	const struct marcel_loaded *loaded;

	/* in: the name of who waits below, to go on where it stood if it is given to; NULL: nobody.
	 * It may be none of those that are loaded by now */
	const char *suspended;

	/* in: the daemon's own, for marcel_past(); NULL: nothing is kept */
	const struct marcel_past *past;

	/*
	 * out: `draft` is shown to somebody who may approve of it, as the answer to this turn, the
	 * oldest that waits; 0: none is. Kept from call to call, but not beyond the process:
	 * restore() sets it anew. When it has changed, or draft_until has, the three above are what
	 * the daemon tells others of it; they stay valid until it has the call's result.
	 */
	uint64_t draft_turn;
};

/* A line of the dialogue. */
struct marcel_line {
	uint64_t time;    /* CLOCK_REALTIME microseconds */
	uint64_t turn;    /* 0: before the first message */
	char who;         /* MARCEL_CLIENT, MARCEL_SERVER */
	const char *text; /* LENGTH bytes; NULL if it is secret */
	size_t length;    /* MARCEL_WITHHELD: it is secret */
	size_t whole;     /* bytes it had before it was cut, if it was */
};

typedef void marcel_line_fn(void *context, const struct marcel_line *line);

/*
 * Calls FUNCTION with what was said last in the conversation, oldest first: some 4 KiB, kept beyond
 * the process where the whole transcript is recorded, else nothing. A message that is being
 * answered is not among it before something was said to it. Cannot fail. Conversation's thread.
 */
void marcel_past(const struct marcel_conversation *conversation, marcel_line_fn *function,
		 void *context);

/* Why wake() is called. */
enum marcel_wake {
	MARCEL_WAKE_TIMER = 0, /* wake_at has come; it is 0 again */
	MARCEL_WAKE_IDLE = 1,  /* the client has been silent for idle_timeout */
	MARCEL_WAKE_STOP = 2,  /* the daemon stops */
	MARCEL_WAKE_EOF = 3,   /* the client has closed its sending side; no more messages come */
	MARCEL_WAKE_EARLY = 4, /* the client spoke while nothing had been said yet; once, and only
				* if wanted. -ENOSYS: it doesn't matter */
	MARCEL_WAKE_TOO_LONG =
		5,             /* a message is longer than framing allows. -ENOSYS: the configured
				* reply and the end; MARCEL_CONTINUE: its rest is skipped */
	MARCEL_WAKE_READY = 6, /* drain() wanted it */
};

/* An order that an operator gives to the responder of a conversation. */
struct marcel_order {
	/* Only while this turn is open, and as an answer to it alone: LINE is said as it is then;
	 * if it is empty, and draft_turn this turn, the draft is.
	 * 0: LINE is as in the operator channel, text or "/..." (marcel-operator(7)). */
	uint64_t turn;
	const char *line;
	size_t length;
};

struct marcel_responder_ops {
	uint32_t abi;     /* MARCEL_RESPONDER_ABI */
	const char *name; /* as written in responder= */

	/* Bytes of state per conversation, at most MARCEL_STATE_MAX; 0: it remembers nothing. */
	size_t state_size;

	/* Of these, how many are zeroed before open() and kept until the responder says otherwise
	 * by state_used; 0: all. Who has much room and uses little saves memory and time. */
	size_t state_begin;

	/* The version of the state's layout: a state saved under another one goes through
	 * restore(). */
	uint32_t state_version;

	/*
	 * Reads SETTINGS, tells every fault through FAULT, and makes what all conversations share.
	 * Called once for each face at start and at each reload. Returns 0 or a negative errno:
	 * -EINVAL when it told faults. May be NULL: then the section may hold nothing.
	 */
	int (*load)(const struct marcel_settings *settings, marcel_fault_fn *fault, void *context,
		    void **ret_shared);

	/* Frees what load() made, after the last conversation that uses it has ended. May be NULL.
	 */
	void (*unload)(void *shared);

	/* How many descriptors a conversation may need beside its socket, by what load() made, or
	 * at most (SHARED is NULL): so many are kept free for each. Main thread. May be NULL: none.
	 */
	unsigned (*descriptors)(const void *shared);

	/* Begins a conversation, or goes on with one that another responder had: fills the state.
	 * Returns 0 or a negative errno. May be NULL. */
	int (*open)(struct marcel_conversation *conversation);

	/*
	 * Greets the client: returns a verdict, or -ENOSYS to let the configured greeting be said.
	 * May be NULL, which means the same.
	 */
	int (*greet)(struct marcel_conversation *conversation, struct marcel_sink *sink);

	/*
	 * Answers one message: LENGTH bytes at MESSAGE, without line end, neither text nor UTF-8
	 * for sure. Returns a verdict or a negative errno. Called again with the same message after
	 * MARCEL_AGAIN. It must not take longer than half of the service's WatchdogSec=.
	 */
	int (*respond)(struct marcel_conversation *conversation, const char *message, size_t length,
		       struct marcel_sink *sink);

	/*
	 * Something other than a message happened; REASON is an enum marcel_wake. Returns a verdict
	 * but MARCEL_AGAIN (who has more to say sets wake_at to the present time and goes on when
	 * called for that), or -ENOSYS for the daemon's own behaviour: idle, stop and end of input
	 * end the dialogue with the farewell. After the last two MARCEL_CONTINUE ends it as well,
	 * without one. But after MARCEL_WAKE_EOF it may set holds and return MARCEL_AGAIN: then
	 * there is something to be said still, and MARCEL_WAKE_EOF comes again once it holds no
	 * more. In a call for MARCEL_WAKE_TIMER wake_at is 0 and may be set again. May be
	 * NULL, which means -ENOSYS.
	 */
	int (*wake)(struct marcel_conversation *conversation, enum marcel_wake reason,
		    struct marcel_sink *sink);

	/*
	 * Brings the state up to date before the conversation moves to another process in good
	 * order; the thread is stopped at the end of a turn. Returns 0 or a negative errno, which
	 * ends the conversation instead. May be NULL: then the state is always whole, and the
	 * thread may be stopped anywhere.
	 */
	int (*save)(struct marcel_conversation *conversation);

	/*
	 * Continues a conversation from the state another process left, written under layout
	 * VERSION; bytes that the old layout did not have are zero. Called at every resumption,
	 * before anything else, in a turn of its own; but if the greeting was not committed yet,
	 * open() is called again instead. Returns 0 or a negative errno, which ends the
	 * conversation politely. May be NULL when nothing has to be done, and only the present
	 * layout can be continued.
	 */
	int (*restore)(struct marcel_conversation *conversation, uint32_t version);

	/*
	 * Names what else a conversation with this state needs in order to be continued, and the
	 * daemon keeps beyond the process: writes at most SIZE bytes with the NUL to NAME. Returns
	 * 0, or a negative errno when the state is none. Called in the main thread before
	 * restore(); what is named but not there ends the conversation politely. May be NULL:
	 * nothing. A responder that has it can go on without what load() makes (shared is NULL
	 * then).
	 */
	int (*keepsake)(const void *state, size_t state_used, char *name, size_t size);

	/*
	 * There is something to be read from wake_fd: takes all of it. No turn: the state may be
	 * looked at and not changed, the pad may be changed. Also called while the client does not
	 * read what was said to it, so it must not leave anything behind that makes wake_fd
	 * readable again. Returns 1 when wake() is wanted for MARCEL_WAKE_READY as soon as there
	 * can be a turn; 0; or a negative errno: then wake_fd is not looked at any more. NULL when
	 * there is no wake_fd.
	 */
	int (*drain)(struct marcel_conversation *conversation);

	/*
	 * An operator gives ORDER. Returns a verdict but MARCEL_AGAIN, or a negative errno when the
	 * order is not carried out, which does not end the conversation: -ESTALE (the turn is not
	 * open), -EINVAL (there is no such order), -ENOTCONN (no operator has the word), -E2BIG
	 * (the line is too long), -ESRCH (there is no such responder to give it to), -ENOBUFS
	 * (there is no room for more). May be NULL, which means -ENOTCONN.
	 */
	int (*order)(struct marcel_conversation *conversation, const struct marcel_order *order,
		     struct marcel_sink *sink);

	/*
	 * WHO (MARCEL_CLIENT, MARCEL_SERVER) said LENGTH bytes at TEXT in turn conversation->turn,
	 * greeting and farewell included: for keeping or showing the dialogue. LENGTH is
	 * MARCEL_WITHHELD, and TEXT NULL, for what is secret. Called in the middle of other calls;
	 * the state may be looked at and not changed. May be NULL.
	 */
	void (*said)(const struct marcel_conversation *conversation, char who, const char *text,
		     size_t length);

	/*
	 * The conversation is over, or goes on with another responder; conversation->reason says
	 * which. What is over may be waiting for the client's end still: then a next process calls
	 * this again, without restore() (local is NULL, wake_fd -1). If the process dies before the
	 * conversation goes on with another responder, the next one calls restore(). May be NULL.
	 */
	void (*close)(struct marcel_conversation *conversation);
};

#ifdef __cplusplus
}
#endif
