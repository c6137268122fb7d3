/*
 * The pad: where orders lie between the FIFO they came in by and the turn that carries them out.
 *
 * It is what the responder contract calls a pad: memory that is kept beyond the process, and where
 * a write counts at once. Orders are numbered as bytes of one stream. Up to where they have been
 * carried out is no affair of the pad's: that stands in the conversation's state, so that an order
 * and what came of it are committed together. It is `taken` in all functions here.
 *
 * NOTE ON EXACTLY ONCE. What is true of the pad stands in one of two heads, of which `sequence`
 * says the one in force, as in a slot (converse/slot.h): bytes are written where the head in force
 * refers to nothing, then the other head is filled, then the sequence goes up. read(2) takes bytes
 * out of the FIFO and gives them to nobody else, so they must be found even if the process dies
 * before it knows that there were some: it reads into an intake of zeros, which a head has said to
 * look at; and whoever finds such a head takes all up to the last byte that is not zero. Only NULs
 * at the very end can be lost so, and an order with one is none.
 *
 * What cannot be kept is refused, told by a function of the caller's before it is forgotten: twice
 * if the process dies in between.
 *
 * One thread at a time. Fails nowhere but in read(2).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

/* The longest order in bytes, without its LF. */
#define PAD_LINE_MAX 4095

/* So many bytes of orders, each with one more, can wait. */
#define PAD_ROOM ((size_t)12032)

/* An order that is not ended for so long is given up, and so long what comes then up to the next LF
 * is taken for its rest, and refused as well: it would be said to the client, or obeyed. So long,
 * too, the rest of one that was too long may keep silent. Also in DIRECTORY/in. There are tests
 * with more patience. */
#ifndef PAD_PATIENCE
#define PAD_PATIENCE (2 * USEC_PER_SEC)
#endif

enum pad_refusal {
	PAD_TOO_LONG,
	PAD_UNFINISHED,
	PAD_FULL,
};

/* Told of each order that is refused; TEXT, LENGTH bytes of it, may be only its beginning. */
typedef void pad_refused_fn(void *context, enum pad_refusal refusal, const char *text,
			    size_t length);

/* Makes an empty pad of MARCEL_PAD_SIZE bytes at BYTES, aligned for uint64_t. Its stream begins at
 * 0. */
void pad_reset(void *bytes);

/* Whether BYTES are a pad of which TAKEN can be true. One from another process is looked at before
 * anything else. */
bool pad_is_sound(const void *bytes, uint64_t taken);

/* Takes in what an earlier process has read and not counted any more. For an order that has begun,
 * or whose rest is to come, the time begins anew. To be called in each process before anything else
 * is done. */
void pad_recover(void *bytes, uint64_t taken, usec_t now, pad_refused_fn *refused, void *context);

/*
 * Takes all that can be read from FD, which does not block: orders that find no room are refused.
 * NOW: CLOCK_MONOTONIC. Returns whether an order waits, or has begun; or a negative errno of
 * read(2), -EPIPE if there is nobody who could write.
 */
int pad_fill(void *bytes, int fd, uint64_t taken, usec_t now, pad_refused_fn *refused,
	     void *context);

/*
 * Copies the oldest order that waits, without LF, to LINE (PAD_LINE_MAX bytes). *RET_TAKEN is
 * what `taken` is once it has been carried out. Returns false when there is none.
 */
bool pad_next(const void *bytes, uint64_t taken, char *line, size_t *ret_length,
	      uint64_t *ret_taken);

/* Whether there is one. */
bool pad_waits(const void *bytes, uint64_t taken);

/* When the order that has begun is to be given up; 0: there is none. */
usec_t pad_deadline(const void *bytes);

/* Refuses it if that time has come. */
void pad_expire(void *bytes, usec_t now, pad_refused_fn *refused, void *context);

/*
 * Nothing waits behind TAKEN any more, and what has begun there is refused. What is before that
 * stays, so that a turn that did not come into force, and with it its `taken`, can be repeated.
 * That the rest of what was refused may be to come stays known as well: if the process dies before
 * the end of what this belongs to is in force, the next one goes on with the queue.
 */
void pad_close(void *bytes, uint64_t taken, usec_t now, pad_refused_fn *refused, void *context);
