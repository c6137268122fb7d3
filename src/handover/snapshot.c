/* Reading tables of earlier processes; see snapshot.h. */
#include "handover/snapshot.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "converse/end-reasons.h"
#include "converse/framer.h"

int snapshot_read_header(const void *header, size_t header_size, uint64_t file_size,
			 struct snapshot_layout *ret_layout)
{
	struct table_header h;
	bool has_past;

	if (header_size < sizeof(h))
		return -EINVAL;
	(void)memcpy(&h, header, sizeof(h));
	if (h.magic != TABLE_MAGIC)
		return -EINVAL;
	if (h.version != 1) {
		*ret_layout = (struct snapshot_layout){.version = h.version};
		return -ENOTSUP;
	}
	if (h.capacity == 0 || h.capacity > TABLE_CAPACITY_MAX || atomic_load(&h.used) > h.capacity)
		return -EINVAL;
	has_past = table_header_fits(&h, h.capacity, file_size);
	if (!has_past && !table_header_fits_without_past(&h, h.capacity, file_size))
		return -EINVAL;
	*ret_layout = (struct snapshot_layout){
		.version = h.version,
		.capacity = h.capacity,
		.used = atomic_load(&h.used),
		.ring_offset = h.ring_offset,
		.ring_size = h.ring_size,
		.heads_offset = h.heads_offset,
		.near_offset = h.near_offset,
		.states_offset = h.states_offset,
		.far_offset = h.far_offset,
		.past_offset = has_past ? h.far_offset + h.capacity * h.far_size : 0,
		.size = h.size,
		.generation = h.generation,
		.handed_over_at = atomic_load(&h.handed_over_at),
		.next_number = atomic_load(&h.next_number),
		.complete = atomic_load(&h.complete) == 1,
	};
	return 0;
}

static bool is_ended(const char *text, size_t room)
{
	return memchr(text, '\0', room) != NULL;
}

/* Whether the numbers of TURN can be those of a conversation. */
static bool turn_makes_sense(const struct slot_turn *turn)
{
	return turn->phase < PHASE_COUNT && turn->mode < MODE_COUNT &&
	       turn->line_end < LINE_END_COUNT && turn->reason < END_REASON_COUNT &&
	       framing_makes_sense(&turn->framing) && turn->in_taken >= turn->in_base &&
	       turn->in_taken - turn->in_base <= slot_in_room(turn) &&
	       turn->out_end >= turn->out_base &&
	       turn->out_end - turn->out_base <= slot_out_room(turn);
}

static bool streams_make_sense(const struct snapshot *s)
{
	/* While it lingers, input is thrown away and its place means nothing. */
	if (s->turn.phase == PHASE_LINGER)
		return true;
	return s->in_read >= s->turn.in_taken &&
	       s->in_read - s->turn.in_base <= slot_in_room(&s->turn) &&
	       s->out_sent >= s->turn.out_base && s->out_sent <= s->turn.out_end &&
	       s->in_consumed <= s->in_read;
}

/* Reads who answers if it is not whom the card names. Returns whether the state makes sense. */
static bool read_switch(struct snapshot *s)
{
	const struct slot_switch *tail = slot_switch(&s->turn, s->state);

	if (s->turn.state_size > MARCEL_STATE_MAX)
		return false;
	if (tail == NULL)
		return true;
	if (s->turn.tail < sizeof(*tail) || s->turn.tail % 16 != 0 ||
	    s->turn.tail > MARCEL_STATE_MAX - s->turn.state_size ||
	    tail->below_size > s->turn.tail - sizeof(*tail) ||
	    !framing_makes_sense(&tail->below_framing) ||
	    !is_ended(tail->responder, sizeof(tail->responder)) ||
	    !is_ended(tail->below, sizeof(tail->below)))
		return false;
	s->responder = tail->responder;
	s->below = tail->below;
	return true;
}

/* What was said in the conversation of slot INDEX, if anything can have been: of idle ones not even
 * a page is to be touched. */
static const struct marcel_past *read_past(const struct snapshot_layout *layout, const void *map,
					   uint32_t index, const struct slot_turn *turn)
{
	if (layout->past_offset == 0 || turn->messages == 0)
		return NULL;
	return (const void *)((const char *)map + layout->past_offset +
			      index * sizeof(struct marcel_past));
}

int snapshot_read_slot(const struct snapshot_layout *layout, const void *map, uint32_t index,
		       struct snapshot *ret)
{
	const char *base = map;
	const struct slot_near *near =
		(const void *)(base + layout->near_offset + index * sizeof(struct slot_near));
	const struct slot_states *states =
		(const void *)(base + layout->states_offset + index * sizeof(struct slot_states));
	const struct slot_far *far =
		(const void *)(base + layout->far_offset + index * sizeof(struct slot_far));
	const struct slot_card *card = &near->card;
	struct slot_head head;
	uint64_t sequence;

	(void)memcpy(&head, base + layout->heads_offset + index * sizeof(head), sizeof(head));
	if (atomic_load(&head.stage) != STAGE_LIVE)
		return 0;
	sequence = atomic_load(&head.sequence);
	*ret = (struct snapshot){
		.cookie = head.cookie,
		.number = head.number,
		.opened = head.opened,
		.in_read = atomic_load(&head.in_read),
		.out_sent = atomic_load(&head.out_sent),
		.in_consumed = atomic_load(&head.in_consumed),
		.crashes = head.crashes,
		.in_flight = atomic_load(&head.in_flight) != 0,
		.turn = head.turn[sequence & 1],
		.peer = "",
		.listener = "",
		.card_responder = "",
		.responder = "",
		.below = "",
	};
	(void)memcpy(ret->id, head.id, sizeof(ret->id));
	if (!is_ended(card->peer, sizeof(card->peer)) ||
	    !is_ended(card->listener, sizeof(card->listener)) ||
	    !is_ended(card->responder, sizeof(card->responder)))
		return -EINVAL;
	ret->peer = card->peer;
	ret->listener = card->listener;
	ret->card_responder = card->responder;
	ret->responder = card->responder;
	(void)memcpy(ret->key, card->key, sizeof(ret->key));
	ret->keyed = card->keyed != 0;
	ret->state = states->area[sequence & 1];
	ret->in = (ret->turn.flags & TURN_IN_FAR) != 0 ? far->in : near->in;
	ret->out = (ret->turn.flags & TURN_OUT_FAR) != 0 ? far->out : near->out;
	if ((ret->turn.more & MORE_PAD) != 0)
		ret->pad = far->pad;
	ret->past = read_past(layout, map, index, &ret->turn);
	if (!turn_makes_sense(&ret->turn) || !streams_make_sense(ret) || !read_switch(ret))
		return -EINVAL;
	return 1;
}

void snapshot_write_slot(const struct snapshot *s, const struct slot *slot)
{
	struct slot_card *card = &slot->near->card;
	struct slot_head *head = slot->head;

	(void)memcpy(card->peer, s->peer, strlen(s->peer) + 1);
	(void)memcpy(card->listener, s->listener, strlen(s->listener) + 1);
	(void)memcpy(card->responder, s->card_responder, strlen(s->card_responder) + 1);
	(void)memcpy(card->key, s->key, sizeof(card->key));
	card->keyed = s->keyed;
	if (s->turn.state_size > 0)
		(void)memcpy(slot->states->area[0], s->state, s->turn.state_size);
	if (s->turn.tail > 0)
		(void)memcpy(slot->states->area[0] + MARCEL_STATE_MAX - s->turn.tail,
			     s->state + MARCEL_STATE_MAX - s->turn.tail, s->turn.tail);
	if (s->pad != NULL)
		(void)memcpy(slot->far->pad, s->pad, MARCEL_PAD_SIZE);
	if (s->past != NULL)
		past_copy(s->past, slot->past);
	if (s->turn.phase != PHASE_LINGER)
		(void)memcpy(slot_in(slot, &s->turn), s->in,
			     (size_t)(s->in_read - s->turn.in_base));
	(void)memcpy(slot_out(slot, &s->turn), s->out,
		     (size_t)(s->turn.out_end - s->turn.out_base));
	head->cookie = s->cookie;
	head->number = s->number;
	(void)memcpy(head->id, s->id, sizeof(head->id));
	head->opened = s->opened;
	head->crashes = s->crashes;
	head->turn[0] = s->turn;
	atomic_store(&head->in_flight, s->in_flight);
	atomic_store(&head->in_read, s->in_read);
	atomic_store(&head->out_sent, s->out_sent);
	atomic_store(&head->in_consumed, s->in_consumed);
	atomic_store(&head->stage, STAGE_LIVE);
}
