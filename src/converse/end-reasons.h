/*
 * Why conversations end: one table for the enumeration, MARCEL_REASON in the journal, whether it
 * counts as trouble, and the sentence people read.
 */
#pragma once

/* X(NAME, MARCEL_REASON, trouble, sentence) */
#define END_REASONS(X)                                                             \
	X(NONE, "none", 0, "it has not ended")                                     \
	X(END_WORD, "end-word", 0, "the client said an end word")                  \
	X(EMPTY, "empty-message", 0, "the client sent an empty message")           \
	X(INPUT, "end-of-input", 0, "the client closed its sending side")          \
	X(RESPONDER, "responder", 0, "the responder closed it")                    \
	X(IDLE, "idle", 0, "the client was silent for too long")                   \
	X(TOO_LONG, "too-long", 0, "the client sent a message that is too long")   \
	X(STOP, "stop", 0, "the daemon stops")                                     \
	X(STOP_DEADLINE, "stop-deadline", 1,                                       \
	  "the daemon stops and the client did not take the farewell")             \
	X(UNREAD, "unread", 1, "the client did not read its replies for too long") \
	X(RESET, "reset", 1, "the client broke the connection")                    \
	X(DEAD, "dead", 1, "the client's host does not answer any more")           \
	X(RESPONDER_ERROR, "responder-error", 1, "the responder failed")           \
	X(SYSTEM_ERROR, "system-error", 1, "the system refused")                   \
	X(HANDOVER, "handover", 0, "it goes on in another process")

#define END_ENUM(NAME, reason, trouble, sentence) END_##NAME,
enum end_reason {
	END_REASONS(END_ENUM) END_REASON_COUNT
};
#undef END_ENUM

/* The value of MARCEL_REASON / the sentence for REASON; static strings. Any thread. */
const char *end_reason_name(enum end_reason reason);
const char *end_reason_sentence(enum end_reason reason);
