/*
 * The conversation's output: committed bytes go to the client, as many as it takes at once.
 */
#include <errno.h>

#include "converse/conversation-priv.h"
#include "converse/table.h"
#include "converse/turn.h"
#include "converse/watch.h"

/* How long a client that an operator wants to be rid of may take nothing. */
#define CLOSING_TIMEOUT (5 * USEC_PER_SEC)
/* Replies are sent when this much has gathered, even if more messages are there. */
#define FLUSH_AT ((size_t)64 * 1024)

/* Lets the responder take what its descriptor has. */
static void drain(struct conversation *c)
{
	int r = turn_drain(c);

	if (r > 0)
		c->ready = true;
	else if (r < 0)
		c->wire.side = -1;
}

enum end_reason interrupted(struct conversation *c)
{
	unsigned mail = wire_take_mail(&c->wire);

	if ((mail & MAIL_SIDE) != 0)
		drain(c);
	if ((mail & MAIL_WISH) != 0)
		c->wished = true;
	if ((mail & MAIL_STOP) != 0)
		c->stopping = true;
	if ((mail & MAIL_ABORT) != 0)
		c->aborted = true;
	if ((mail & MAIL_FREEZE) != 0)
		c->frozen = true;
	if (c->aborted)
		return END_STOP_DEADLINE;
	return c->frozen ? END_HANDOVER : END_NONE;
}

enum end_reason wire_reason(int error)
{
	switch (error) {
	case -ETIMEDOUT:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		return END_DEAD;
	case -ECONNRESET:
	case -EPIPE:
	case -ECONNABORTED:
	case -ENOTCONN:
		return END_RESET;
	default:
		return END_SYSTEM_ERROR;
	}
}

/* Gives back what a large reply took, now that it is sent. */
static void trim(struct conversation *c)
{
	const struct slot_turn *turn = slot_turn(c->slot.head);

	if ((turn->flags & TURN_OUT_FAR) != 0 && turn->out_end - turn->out_base > KEEP_AT_MOST)
		table_release_range(c->slot.far->out + KEEP_AT_MOST, SLOT_FAR_OUT - KEEP_AT_MOST);
}

/* How long the client may take nothing. */
static usec_t send_timeout(const struct conversation *c)
{
	usec_t timeout = c->origin.face->dialogue.idle_timeout;

	return c->closing && timeout > CLOSING_TIMEOUT ? CLOSING_TIMEOUT : timeout;
}

enum end_reason output_flush(struct conversation *c)
{
	const struct slot_turn *turn = slot_turn(c->slot.head);
	uint64_t sent = out_sent(c);

	if (sent == turn->out_end)
		return END_NONE;
	while (sent < turn->out_end) {
		const char *from = slot_out(&c->slot, turn) + (sent - turn->out_base);
		ssize_t n =
			wire_send(&c->wire, from, (size_t)(turn->out_end - sent), send_timeout(c));

		if (n >= 0) {
			sent += (uint64_t)n;
			atomic_store_explicit(&c->slot.head->out_sent, sent, memory_order_release);
		} else if (n == -EINTR) {
			enum end_reason reason = interrupted(c);

			if (reason != END_NONE)
				return reason;
			c->closing = c->closing || (c->wished && watch_wants_end(c->watch, c));
		} else {
			if (n == -EAGAIN)
				return c->closing ? END_OPERATOR : END_UNREAD;
			return wire_reason((int)n);
		}
	}
	trim(c);
	return END_NONE;
}

bool output_is_due(const struct conversation *c)
{
	const struct slot_turn *turn = slot_turn(c->slot.head);

	if (out_sent(c) == turn->out_end)
		return false;
	/*
	 * Where the kernel does not count what was sent, no more than one turn's replies gather:
	 * after a SIGKILL they may be sent again. What was sent of those in the buffer takes room
	 * until all of them are.
	 */
	return c->wire.peeks || turn->out_end - turn->out_base >= FLUSH_AT;
}
