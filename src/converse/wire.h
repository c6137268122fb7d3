/*
 * The wire: a conversation's socket, read and written by plain blocking calls that others can
 * interrupt.
 *
 * NOTE ON WAKING. A thread with nothing but its socket sleeps in recv() or send(). Whoever wants
 * something of it puts mail into its box, sets O_NONBLOCK on the socket and sends the thread a
 * signal whose handler does nothing. A call that was not yet entered then returns EAGAIN, one
 * asleep returns EINTR, and before each call the box is looked at: mail is never missed, and no
 * poll() is paid for each message. An EAGAIN with O_NONBLOCK set is such a wake-up; without it,
 * it is the socket's own time-out (SO_RCVTIMEO, SO_SNDTIMEO).
 *
 * The conversation's thread calls everything but what says otherwise; wire_wake() and
 * wire_progress() may be called by any thread between wire_init() and the joining of that thread.
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

/* What is in the box; bits. */
#define MAIL_STOP   0x1u  /* say farewell and end */
#define MAIL_ABORT  0x2u  /* end now; nothing more is sent */
#define MAIL_FREEZE 0x4u  /* stop where you are: another process carries on */
#define MAIL_WISH   0x8u  /* somebody wants something of the conversation (watch.h) */
#define MAIL_SIDE   0x10u /* the thread's own: the descriptor beside the socket is readable */

struct wire {
	int fd;                 /* owned; open until wire_done() */
	struct lock lock;       /* guards the two below */
	pthread_t thread;       /* who to signal */
	bool awake;             /* there is a thread to signal */
	bool peeks;             /* see the note on peeking */
	int side;               /* the thread's own: see the note on the side; -1: none */
	bool side_had_word;     /* the last wait ended for it */
	_Atomic unsigned mail;  /* MAIL_*: set by wakers, taken by the thread */
	_Atomic uint64_t steps; /* odd: the thread owes progress; even: it waits for the client */
	usec_t receive_timeout; /* what SO_RCVTIMEO is set to */
	usec_t send_timeout;    /* what SO_SNDTIMEO is set to */
};

/* Lets the signal that wakes conversations do nothing but wake. Main thread, before any other. */
void wire_init_signal(void);

/*
 * Makes WIRE of the connected, blocking stream socket FD, which it owns from now on. CARRIED:
 * another process has used it, and left its time-outs on it. Main thread.
 */
void wire_init(struct wire *wire, int fd, bool carried);

/*
 * Closes the socket, which sends nothing to the client if another process holds a duplicate. The
 * main thread, when the conversation's thread has been joined.
 */
void wire_done(struct wire *wire);

/* Says which thread is to be woken from now on. That thread itself. */
void wire_attach(struct wire *wire);

/*
 * Reads at most ROOM bytes to BUFFER. Returns how many; 0 at the end of input; -EAGAIN after
 * TIMEOUT without any; -EINTR when there is mail; -ECONNRESET, -ETIMEDOUT (a dead peer, tcp(7)) and
 * the like when the connection is gone.
 */
ssize_t wire_receive(struct wire *wire, void *buffer, size_t room, usec_t timeout);

/*
 * NOTE ON PEEKING. TCP counts what was ever read, unix sockets do not. With `peeks` set, input
 * is read in two steps: wire_receive() only looks (MSG_PEEK), the caller notes in shared memory how
 * far it has come, and wire_consume() takes it out. SO_PEEK_OFF makes the kernel keep the
 * distance between looking and taking in the socket (socket(7)), so that whoever comes after a
 * SIGKILL can tell which of the steps were done.
 */

/*
 * NOTE ON THE SIDE. A responder may have a descriptor of its own, such as an operator's FIFO, that
 * is to be read whatever the client does. With `side` set, every wait is a ppoll() for both, and
 * when it is readable, MAIL_SIDE is in the box: the wait ends as for any mail. A side that is never
 * quiet does not keep the socket from its turn. Only such conversations pay for the ppoll().
 */

/*
 * Takes LENGTH bytes out that wire_receive() looked at, to BUFFER again. With `peeks` only. Returns
 * 0, or a negative errno when the connection is gone: then they may come again.
 */
int wire_consume(struct wire *wire, void *buffer, size_t length);

/*
 * Writes at least one of LENGTH bytes at BYTES. Returns how many; -EAGAIN when the client took none
 * for TIMEOUT; -EINTR when there is mail; -EPIPE and the like when the connection is gone.
 */
ssize_t wire_send(struct wire *wire, const void *bytes, size_t length, usec_t timeout);

/*
 * Waits for TIMEOUT, reading nothing; with INPUT only until the client has sent something. Returns
 * 0 when it has; -EAGAIN after TIMEOUT; -EINTR when there is mail; -ECONNRESET and the like when
 * the connection is gone in both directions. A client that has only closed its sending side is
 * waited for.
 */
int wire_wait(struct wire *wire, bool input, usec_t timeout);

/* Takes what is in the box: MAIL_* bits, 0 if it is empty. */
unsigned wire_take_mail(struct wire *wire);

/* Shuts the sending side: the client sees the end of input after all that was sent. */
void wire_shut(struct wire *wire);

/*
 * Whether all that was sent, the end included, has reached the client's host, and nothing it sent
 * waits unread: then close() loses nothing. Always true for sockets other than TCP once nothing
 * waits unread.
 */
bool wire_is_settled(const struct wire *wire);

/*
 * Lets no one wake the thread any more. With RESET, the connection is broken off at once and what
 * the client did not take is dropped, also while another process holds a duplicate of the socket:
 * for TCP connect(2) to AF_UNSPEC does what SO_LINGER and close() then can't.
 */
void wire_detach(struct wire *wire, bool reset);

/*
 * A wait that is not for the client, but for other threads: between these two calls the thread
 * owes no progress.
 */
void wire_rest(struct wire *wire);
void wire_work(struct wire *wire);

/* Puts MAIL into the box and wakes the thread, wherever it is. Any thread. Nothing to fail. */
void wire_wake(struct wire *wire, unsigned mail);

/* A number that is odd while the thread owes progress and changes whenever it makes some. */
uint64_t wire_progress(const struct wire *wire);
