/* Handing a conversation to another responder for a while; see script-hand.h. */
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

/* The responder of the hand under way. */
static const struct marcel_responder_ops *handed_to(const struct marcel_conversation *conversation,
						    const struct script *script)
{
	return responder_find(script->code[hand_header(conversation)->pc - 1].responder);
}

/* What the other responder sees: the same conversation with a state of its own. */
static struct marcel_conversation view(const struct marcel_conversation *conversation,
				       const struct marcel_responder_ops *ops)
{
	const struct hand_header *header = hand_header(conversation);
	struct marcel_conversation seen = *conversation;

	seen.shared = NULL;
	seen.state = (char *)conversation->state + sizeof(*header);
	seen.state_size = ops->state_size;
	seen.state_used = header->used;
	seen.wake_at = header->wake_at;
	seen.holds = false;
	return seen;
}

static void take_over(struct marcel_conversation *conversation,
		      const struct marcel_conversation *seen)
{
	struct hand_header *header = hand_header(conversation);

	if (seen->state_used <= header->room)
		header->used = (uint32_t)seen->state_used;
	header->wake_at = seen->wake_at;
	conversation->secret = conversation->secret || seen->secret;
}

/* The script's state is all there is again. */
static void leave(struct marcel_conversation *conversation)
{
	struct hand_header *header = hand_header(conversation);

	make_room(conversation, 0);
	header->pc = header->used = header->version = 0;
	header->wake_at = 0;
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
	int r = 0;

	/* One that has settings would need what its load() makes of them. */
	if (ops == NULL || ops->load != NULL)
		return -ENOENT;
	if (room_for(ops->state_size) > HAND_STATE_MAX)
		return -EFBIG;
	make_room(conversation, room_for(ops->state_size));
	header->pc = (uint32_t)(instruction - script->code) + 1;
	header->used = (uint32_t)(ops->state_begin > 0 ? ops->state_begin : ops->state_size);
	header->version = ops->state_version;
	header->wake_at = 0;
	seen = view(conversation, ops);
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
		seen = view(conversation, ops);
		ops->close(&seen);
	}
	leave(conversation);
}

static enum hand_result judge(int verdict, bool said, int *ret_verdict)
{
	switch (verdict) {
	case MARCEL_CONTINUE:
		return said ? HAND_ANSWERED : HAND_CONTINUES;
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
	seen = view(conversation, ops);
	r = ops->respond(&seen, message, length, sink);
	take_over(conversation, &seen);
	return judge(r, sink->used > before, ret_verdict);
}

enum hand_result hand_wake(struct marcel_conversation *conversation, const struct script *script,
			   struct marcel_sink *sink, int *ret_verdict)
{
	const struct marcel_responder_ops *ops = handed_to(conversation, script);
	size_t before = sink->used;
	struct marcel_conversation seen;
	int r;

	if (ops == NULL || ops->wake == NULL)
		return HAND_FAILED;
	seen = view(conversation, ops);
	seen.wake_at = 0;
	r = ops->wake(&seen, MARCEL_WAKE_TIMER, sink);
	take_over(conversation, &seen);
	return judge(r, sink->used > before, ret_verdict);
}

int hand_restore(struct marcel_conversation *conversation, const struct script *script)
{
	struct hand_header *header = hand_header(conversation);
	const struct marcel_responder_ops *ops;
	struct marcel_conversation seen;
	int r;

	if (header->pc == 0)
		return 0;
	ops = handed_to(conversation, script);
	if (ops == NULL || ops->load != NULL || ops->state_size > header->room)
		return -ENOENT;
	if (ops->restore == NULL)
		return header->version == ops->state_version && header->used <= ops->state_size
			       ? 0
			       : -EBADMSG;
	seen = view(conversation, ops);
	r = ops->restore(&seen, header->version);
	if (r < 0)
		return r;
	header->version = ops->state_version;
	take_over(conversation, &seen);
	return 0;
}
