/*
 * Admission: who may begin a conversation, counted by face and by address.
 *
 * Before a conversation begins, admit_take() holds the face's limits against what goes on now, and
 * counts it; when it has ended, admit_drop() counts it off. The limit by address is one of the
 * face too: what a client does on one face takes nothing from it on another. Addresses are kept
 * in balanced trees, so that no choice of addresses makes counting slow, and only while
 * somebody converses from there.
 *
 * Main thread only: it accepts, and it joins the threads that have ended. There is no lock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct limits;

/* X(NAME, MARCEL_REASON, sentence); a reason keeps its text, since people filter by it */
#define ADMIT_VERDICTS(X)                                                                \
	X(OK, "admitted", "the conversation may begin")                                  \
	X(FULL, "full", "as many conversations as allowed go on already")                \
	X(ADDRESS, "address-limit", "as many as allowed go on already from its address") \
	X(MEMORY, "no-memory", "there is no memory to count it")

#define ADMIT_ENUM(NAME, reason, sentence) ADMIT_##NAME,
enum admit_verdict {
	ADMIT_VERDICTS(ADMIT_ENUM) ADMIT_VERDICT_COUNT
};
#undef ADMIT_ENUM

struct admit_face;

struct admit {
	struct admit_face *faces; /* by index */
	size_t n_faces;
	uint64_t total;
};

#define ADMIT_INIT            \
	{                     \
		.faces = NULL \
	}

/*
 * The number under which the face named NAME is counted here: the same name has the same number
 * as long as ADMIT lives, so that a reload which moves faces about does not mix up their counts.
 * Copies NAME. Returns 0, or -ENOMEM.
 */
int admit_face(struct admit *admit, const char *name, size_t *ret_index);

/*
 * Asks for one more conversation on the face number FACE_INDEX (from admit_face()) from the host
 * that KEY names (16 bytes, from address_key(); NULL when the client has no address to count).
 * NULL LIMITS count without judging: for a conversation that goes on and is not to be refused.
 *
 * Returns ADMIT_OK and has counted it: the caller owes one admit_drop() with the same FACE_INDEX
 * and KEY. Any other verdict is the reason to refuse, and nothing was counted.
 */
enum admit_verdict admit_take(struct admit *admit, size_t face_index, const struct limits *limits,
			      const uint8_t key[16]);

/* Counts off what admit_take() counted. Ends the process when it never did: a bug of ours. */
void admit_drop(struct admit *admit, size_t face_index, const uint8_t key[16]);

/* How many conversations go on now on the face number FACE_INDEX; on all of them: admit->total. */
uint64_t admit_count(const struct admit *admit, size_t face_index);

/* The value of MARCEL_REASON / the sentence for VERDICT; static strings. Any thread. */
const char *admit_reason(enum admit_verdict verdict);
const char *admit_sentence(enum admit_verdict verdict);

/* Frees everything; ADMIT is empty afterwards and may be used again. */
void admit_done(struct admit *admit);
