/*
 * Why conversations end: one table for the enumeration, MARCEL_REASON in the journal, whether it
 * counts as and the sentence people read.
 */
#pragma once

/* X(NAME, MARCEL_REASON, sentence) */
#define END_REASONS(X)                                                                  \
	X(NONE, "none", "it has not ended")                                             \
	X(END_WORD, "end-word", "the client said an end word")                          \
	X(EMPTY, "empty-message", "the client sent an empty message")                   \
	X(INPUT, "end-of-input", "the client closed its sending side")                  \
	X(RESPONDER, "responder", "the responder closed it")                            \
	X(IDLE, "idle", "the client was silent for too long")                           \
	X(TOO_LONG, "too-long", "the client sent a message that is too long")           \
	X(STOP, "stop", "the daemon stops")                                             \
	X(STOP_DEADLINE, "stop-deadline",                                               \
	  "the daemon stops and the client did not take the farewell")                  \
	X(UNREAD, "unread", "the client did not read its replies for too long")         \
	X(RESET, "reset", "the client broke the connection")                            \
	X(DEAD, "dead", "the client's host does not answer any more")                   \
	X(RESPONDER_ERROR, "responder-error", "the responder failed")                   \
	X(SYSTEM_ERROR, "system-error", "the system refused")                           \
	X(HANDOVER, "handover", "it goes on in another process")                        \
	X(RESPONDER_RESET, "responder-reset", "the responder broke the connection off") \
	X(OPERATOR, "operator", "an operator closed it")

#define END_ENUM(NAME, reason, sentence) END_##NAME,
enum end_reason {
	END_REASONS(END_ENUM) END_REASON_COUNT
};
#undef END_ENUM

/* The value of MARCEL_REASON / the sentence for REASON; static strings. Any thread. */
const char *end_reason_name(enum end_reason reason);
const char *end_reason_sentence(enum end_reason reason);
