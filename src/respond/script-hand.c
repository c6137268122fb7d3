/*
 * Handing a conversation to another responder for a while; see script-hand.h.
 *
 * What the contract says is the responder's own (wake_fd, local, the pad, waiting) is that other
 * one's, for a script has none of it. An answer is what was said while no turn waits any more: a
 * responder that says something by the way, and has not answered, says so by `waiting`.
 */
#include "respond/script-hand.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "respond/registry.h"
#include "respond/sink.h"

struct hand_header *hand_header(const struct marcel_conversation *conversation)
{
	return conversation->state;
}

/* The room of the other responder's state: aligned, so that the script's behind it is, too. */
static size_t room_for(size_t state_size)
{
	return (state_size + 15) / 16 * 16;
}

void *hand_script_state(const struct marcel_conversation *conversation)
{
	return (char *)conversation->state + sizeof(struct hand_header) +
	       hand_header(conversation)->room;
}

void hand_settle(struct marcel_conversation *conversation)
{
	const struct hand_header *header = hand_header(conversation);

	conversation->state_used = sizeof(*header) + header->room + header->script_used;
}

bool hand_is_sound(const struct marcel_conversation *conversation)
{
	const struct hand_header *header = hand_header(conversation);

	return conversation->state_used >= sizeof(*header) && header->room <= HAND_STATE_MAX &&
	       header->room % 16 == 0 && header->used <= header->room &&
	       header->script_used <= MARCEL_STATE_MAX &&
	       conversation->state_used == sizeof(*header) + header->room + header->script_used &&
	       (header->pc != 0 || header->room == 0);
}

bool hand_is_sound_for(const struct marcel_conversation *conversation, const struct script *script)
{
	const struct hand_header *header = hand_header(conversation);

	return header->pc == 0 ||
	       (header->pc <= script->n_code && script->code[header->pc - 1].action == ACTION_HAND);
}

/* Gives the other responder's state ROOM bytes; the script's moves. */
static void make_room(struct marcel_conversation *conversation, size_t room)
{
	struct hand_header *header = hand_header(conversation);
	void *before = hand_script_state(conversation);

	header->room = (uint32_t)room;
	(void)memmove(hand_script_state(conversation), before, header->script_used);
	hand_settle(conversation);
}

unsigned hand_descriptors(const struct script *script)
{
	unsigned most = 0;

	for (size_t i = 0; i < script->n_code; i++) {
		const char *name = script->code[i].responder;
		const struct marcel_responder_ops *ops = name != NULL ? responder_find(name) : NULL;
		unsigned n = ops != NULL && ops->descriptors != NULL ? ops->descriptors(NULL) : 0;

		if (n > most)
			most = n;
	}
	return most;
}

/* The responder of the hand under way. */
static const struct marcel_responder_ops *handed_to(const struct marcel_conversation *conversation,
						    const struct script *script)
{
	return responder_find(script->code[hand_header(conversation)->pc - 1].responder);
}

/* Whether OPS can be used, and *RET_SHARED, what its load() has made. */
static bool is_ready(const struct marcel_conversation *conversation,
		     const struct marcel_responder_ops *ops, void **ret_shared)
{
	const struct marcel_loaded *loaded = conversation->loaded;

	*ret_shared = NULL;
	if (ops == NULL)
		return false;
	while (loaded != NULL && loaded->ops != NULL && loaded->ops != ops)
		loaded++;
	if (loaded != NULL && loaded->ops != NULL) {
		*ret_shared = loaded->shared;
		return true;
	}
	return ops->load == NULL;
}

/* What the other responder sees: the same conversation with a state of its own. */
static struct marcel_conversation view(const struct marcel_conversation *conversation,
				       const struct script *script,
				       const struct marcel_responder_ops *ops)
{
	const struct hand_header *header = hand_header(conversation);
	struct marcel_conversation seen = *conversation;
	struct script_draft draft;

	(void)is_ready(conversation, ops, &seen.shared);
	seen.state = (char *)conversation->state + sizeof(*header);
	seen.state_size = ops->state_size;
	seen.state_used = header->used;
	seen.wake_at = header->wake_at;
	seen.holds = header->holds != 0;
	seen.give_to = NULL;
	/* It goes on when it is given to, as who was suspended does. */
	seen.suspended = "script";
	if (script_state_draft(script, hand_script_state(conversation), header->script_used,
			       &draft)) {
		seen.draft = draft.bytes;
		seen.draft_length = draft.length;
		seen.draft_until = draft.until;
	}
	return seen;
}

void hand_show_draft(struct marcel_conversation *conversation, const struct script *script)
{
	struct script_draft draft;

	if (conversation->draft_turn == 0 ||
	    !script_state_draft(script, hand_script_state(conversation),
				hand_header(conversation)->script_used, &draft))
		return;
	conversation->draft = draft.bytes;
	conversation->draft_length = draft.length;
	conversation->draft_until = draft.until;
}

static void take_over(struct marcel_conversation *conversation,
		      const struct marcel_conversation *seen)
{
	struct hand_header *header = hand_header(conversation);

	/* Its turn was answered otherwise, or it is said already. */
	if (conversation->draft_turn != 0 && seen->draft_turn == 0)
		script_state_settle_draft(hand_script_state(conversation));
	if (seen->state_used <= header->room)
		header->used = (uint32_t)seen->state_used;
	header->wake_at = seen->wake_at;
	if (header->holds != 0 || seen->holds)
		conversation->holds = seen->holds;
	header->holds = seen->holds;
	conversation->secret = conversation->secret || seen->secret;
	conversation->wake_fd = seen->wake_fd;
	conversation->local = seen->local;
	conversation->uses_pad = seen->uses_pad;
	conversation->waiting = seen->waiting;
	conversation->draft_turn = seen->draft_turn;
	conversation->give_to = seen->give_to;
	conversation->by_operator = seen->by_operator;
}

/* Nobody but the script has the word. */
static void be_alone(struct marcel_conversation *conversation)
{
	conversation->wake_fd = -1;
	conversation->local = NULL;
	conversation->uses_pad = false;
	conversation->waiting = 0;
	conversation->draft_turn = 0;
	conversation->speaker = NULL;
}

/* The script's state is all there is again. */
static void leave(struct marcel_conversation *conversation)
{
	struct hand_header *header = hand_header(conversation);

	make_room(conversation, 0);
	header->pc = header->used = header->version = 0;
	header->wake_at = 0;
	header->holds = 0;
	be_alone(conversation);
}

bool hand_is_under_way(const struct marcel_conversation *conversation, const struct script *script,
		       const struct instruction *instruction)
{
	return instruction != NULL &&
	       hand_header(conversation)->pc == (uint32_t)(instruction - script->code) + 1;
}

int hand_begin(struct marcel_conversation *conversation, const struct script *script,
	       const struct instruction *instruction)
{
	const struct marcel_responder_ops *ops = responder_find(instruction->responder);
	struct hand_header *header = hand_header(conversation);
	struct marcel_conversation seen;
	void *shared;
	int r = 0;

	if (!is_ready(conversation, ops, &shared))
		return -ENOENT;
	if (room_for(ops->state_size) > HAND_STATE_MAX)
		return -EFBIG;
	make_room(conversation, room_for(ops->state_size));
	header->pc = (uint32_t)(instruction - script->code) + 1;
	header->used = (uint32_t)(ops->state_begin > 0 ? ops->state_begin : ops->state_size);
	header->version = ops->state_version;
	header->wake_at = 0;
	be_alone(conversation);
	conversation->speaker = ops->name;
	seen = view(conversation, script, ops);
	(void)memset(seen.state, 0, header->room);
	if (ops->open != NULL)
		r = ops->open(&seen);
	if (r < 0)
		leave(conversation);
	else
		take_over(conversation, &seen);
	return r;
}

void hand_end(struct marcel_conversation *conversation, const struct script *script)
{
	struct hand_header *header = hand_header(conversation);
	const struct marcel_responder_ops *ops;
	struct marcel_conversation seen;

	if (header->pc == 0)
		return;
	ops = handed_to(conversation, script);
	if (ops != NULL && ops->close != NULL) {
		seen = view(conversation, script, ops);
		seen.give_to = conversation->give_to != NULL ? conversation->give_to : "script";
		ops->close(&seen);
	}
	leave(conversation);
}

/* What the other responder's call came to, which returned VERDICT, after it SAID something or not;
 * SEEN is what it made of the conversation. */
static enum hand_result judge(struct marcel_conversation *conversation,
			      const struct marcel_conversation *seen, int verdict, bool said,
			      int *ret_verdict)
{
	bool waited = conversation->waiting != 0;

	take_over(conversation, seen);
	switch (verdict) {
	case MARCEL_CONTINUE:
		return (said || waited) && seen->waiting == 0 ? HAND_ANSWERED : HAND_CONTINUES;
	case MARCEL_GIVE:
		if (seen->give_to != NULL && strcmp(seen->give_to, "script") == 0)
			return HAND_GIVEN_BACK;
		*ret_verdict = verdict;
		return HAND_VERDICT;
	case MARCEL_AGAIN:
	case MARCEL_CLOSE:
	case MARCEL_FAREWELL:
	case MARCEL_RESET:
		*ret_verdict = verdict;
		return HAND_VERDICT;
	default:
		return HAND_FAILED;
	}
}

enum hand_result hand_respond(struct marcel_conversation *conversation, const struct script *script,
			      const char *message, size_t length, struct marcel_sink *sink,
			      int *ret_verdict)
{
	const struct marcel_responder_ops *ops = handed_to(conversation, script);
	size_t before = sink->used;
	struct marcel_conversation seen;
	int r;

	if (ops == NULL || ops->respond == NULL)
		return HAND_FAILED;
	seen = view(conversation, script, ops);
	r = ops->respond(&seen, message, length, sink);
	return judge(conversation, &seen, r, sink->used > before, ret_verdict);
}

enum hand_result hand_wake(struct marcel_conversation *conversation, const struct script *script,
			   enum marcel_wake reason, struct marcel_sink *sink, int *ret_verdict)
{
	const struct marcel_responder_ops *ops = handed_to(conversation, script);
	size_t before = sink->used;
	struct marcel_conversation seen;
	int r;

	if (ops == NULL || (ops->wake == NULL && reason == MARCEL_WAKE_TIMER))
		return HAND_FAILED;
	/* One without a descriptor of its own has nothing to do with these. */
	if (ops->drain == NULL && reason != MARCEL_WAKE_TIMER)
		return HAND_CONTINUES;
	seen = view(conversation, script, ops);
	if (reason == MARCEL_WAKE_TIMER)
		seen.wake_at = 0;
	r = ops->wake(&seen, reason, sink);
	return judge(conversation, &seen, r, sink->used > before, ret_verdict);
}

int hand_order(struct marcel_conversation *conversation, const struct script *script,
	       const struct marcel_order *order, struct marcel_sink *sink,
	       enum hand_result *ret_result, int *ret_verdict)
{
	const struct marcel_responder_ops *ops;
	size_t before = sink->used;
	struct marcel_conversation seen;
	int r;

	if (hand_header(conversation)->pc == 0)
		return -ENOTCONN;
	ops = handed_to(conversation, script);
	if (ops == NULL || ops->order == NULL)
		return -ENOTCONN;
	seen = view(conversation, script, ops);
	r = ops->order(&seen, order, sink);
	if (r < 0) {
		take_over(conversation, &seen);
		return r;
	}
	*ret_result = judge(conversation, &seen, r, sink->used > before, ret_verdict);
	return 0;
}

int hand_drain(struct marcel_conversation *conversation, const struct script *script)
{
	const struct marcel_responder_ops *ops;
	struct marcel_conversation seen;

	if (hand_header(conversation)->pc == 0)
		return -ENODEV;
	ops = handed_to(conversation, script);
	if (ops == NULL || ops->drain == NULL)
		return -ENODEV;
	seen = view(conversation, script, ops);
	return ops->drain(&seen);
}

void hand_said(const struct marcel_conversation *conversation, const struct script *script,
	       char who, const char *text, size_t length)
{
	const struct marcel_responder_ops *ops;
	struct marcel_conversation seen;

	if (hand_header(conversation)->pc == 0)
		return;
	ops = handed_to(conversation, script);
	if (ops == NULL || ops->said == NULL)
		return;
	seen = view(conversation, script, ops);
	ops->said(&seen, who, text, length);
}

int hand_restore(struct marcel_conversation *conversation, const struct script *script)
{
	struct hand_header *header = hand_header(conversation);
	const struct marcel_responder_ops *ops;
	struct marcel_conversation seen;
	void *shared;
	int r;

	if (header->pc == 0)
		return 0;
	ops = handed_to(conversation, script);
	if (!is_ready(conversation, ops, &shared) || ops->state_size > header->room)
		return -ENOENT;
	conversation->speaker = ops->name;
	if (ops->restore == NULL)
		return header->version == ops->state_version && header->used <= ops->state_size
			       ? 0
			       : -EBADMSG;
	seen = view(conversation, script, ops);
	r = ops->restore(&seen, header->version);
	if (r < 0)
		return r;
	header->version = ops->state_version;
	take_over(conversation, &seen);
	return 0;
}
