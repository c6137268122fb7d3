/*
 * Why a conversation could not come along: one table for the enumeration, MARCEL_REASON of the
 * record, and the sentence people read.
 */
#pragma once

/* X(NAME, MARCEL_REASON, sentence) */
#define HANDOVER_LOSSES(X)                                                             \
	X(NONE, "none", "it came along")                                               \
	X(NO_SOCKET, "no-socket", "its socket is gone")                                \
	X(NOT_A_SOCKET, "not-a-socket", "what was kept for it is no connected socket") \
	X(BAD_STATE, "bad-state", "its saved state makes no sense")                    \
	X(MISMATCH, "mismatch", "its saved state and its socket do not agree")         \
	X(CRASHES, "crashes", "the daemon died in its turn again and again")           \
	X(NO_RESPONDER, "no-responder", "its responder is not there any more")         \
	X(OTHER_STATE, "other-state", "its responder cannot read the saved state")     \
	X(NO_STATE, "no-state", "its state was lost")                                  \
	X(SYSTEM, "system", "the system refused a thread or memory")                   \
	X(NO_KEEPSAKE, "no-keepsake", "the script it was held by was not kept")

#define LOSS_ENUM(NAME, reason, sentence) LOSS_##NAME,
enum handover_loss {
	HANDOVER_LOSSES(LOSS_ENUM) LOSS_COUNT
};
#undef LOSS_ENUM
