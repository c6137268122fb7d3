/*
 * The script responder: between the daemon's contract (marcel/responder.h) and the interpreter
 * (script/run.h), which knows nothing of sinks, versions and other responders.
 *
 * What a conversation remembers is a header, the state of a responder it is handed to, if it is,
 * and the script's own state (script-hand.h). Which version of the script that belongs to stands in
 * it: the face's own, or an older one that is a keepsake (script-versions.h).
 *
 * Fails like every responder: a negative errno ends the conversation politely.
 */
#include "respond/script-responder.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "respond/keepsake.h"
#include "respond/script-hand.h"
#include "respond/script-settings.h"
#include "respond/script-versions.h"
#include "respond/script/run.h"

/* Goes up when the layout of hand_header or of the interpreter's state changes. */
#define STATE_VERSION 1

/* The script that CONVERSATION is held by; NULL when its state is none. */
static const struct script *script_of(const struct marcel_conversation *conversation)
{
	const struct face_script *face = conversation->shared;
	uint64_t version = script_state_version(hand_script_state(conversation),
						hand_header(conversation)->script_used);

	if (face != NULL && face->script->version == version)
		return face->script;
	return version_find(version);
}

static int script_open(struct marcel_conversation *conversation)
{
	const struct face_script *face = conversation->shared;
	struct hand_header *header = hand_header(conversation);
	uint64_t seed;
	size_t used = 0;

	*header = (struct hand_header){.pc = 0};
	(void)memcpy(&seed, conversation->id, sizeof(seed));
	(void)memset(hand_script_state(conversation), 0, script_state_begin_size(face->script));
	script_begin(face->script, hand_script_state(conversation), &used, seed);
	header->script_used = (uint32_t)used;
	hand_settle(conversation);
	conversation->framing = face->script->manners.framing;
	return 0;
}

/* One call of the interpreter. */
struct call {
	struct marcel_conversation *conversation;
	struct marcel_sink *sink;
	struct script_outcome outcome;
};

/* What has to be known before the first word is recorded. */
static void announce(struct call *call)
{
	call->conversation->secret = call->conversation->secret || call->outcome.secret;
	call->conversation->rule = call->outcome.rule;
}

static int say(void *context, const char *text, size_t length)
{
	struct call *call = context;

	announce(call);
	return marcel_say(call->sink, text, length);
}

static int send_bytes(void *context, const char *bytes, size_t length)
{
	struct call *call = context;

	announce(call);
	return marcel_send(call->sink, bytes, length);
}

static void note(void *context, enum script_note what, const char *rule, const char *text,
		 size_t length)
{
	static const enum marcel_note notes[] = {
		[NOTE_LOG] = MARCEL_NOTE_LOG,
		[NOTE_UNANSWERED] = MARCEL_NOTE_UNANSWERED,
		[NOTE_STOPPED] = MARCEL_NOTE_STOPPED,
		[NOTE_OVERFLOW] = MARCEL_NOTE_OVERFLOW,
	};
	struct call *call = context;

	announce(call);
	marcel_note(call->sink, notes[what], rule, text, length);
}

/* Lets EVENT happen to the script. Returns 0 or a negative errno. */
static int run(struct call *call, const struct script *script, const struct script_event *event)
{
	struct marcel_conversation *conversation = call->conversation;
	struct hand_header *header = hand_header(conversation);
	const struct script_world world = {
		.now = clock_now(),
		.realtime = clock_realtime(),
		.peer = conversation->peer,
		.conversation = conversation->number,
		.turn = conversation->turn,
	};
	const struct script_output output = {
		.context = call,
		.say = say,
		.send = send_bytes,
		.note = note,
	};
	size_t used = header->script_used;
	int r;

	call->outcome = (struct script_outcome){.rule = NULL};
	r = script_run(script, hand_script_state(conversation), &used, event, &world, &output,
		       &call->outcome);
	header->script_used = (uint32_t)used;
	header->silent = call->outcome.silent;
	hand_settle(conversation);
	if (r < 0)
		return r;
	conversation->asks_secret = script_asks_secret(hand_script_state(conversation), used);
	announce(call);
	conversation->framing = call->outcome.framing;
	conversation->holds = call->outcome.holds;
	conversation->owns_end = call->outcome.owns_end;
	conversation->continues = call->outcome.collects;
	conversation->wake_at = call->outcome.wake_at;
	return 0;
}

/* Somebody else has the word, or not, when the call is over: the daemon calls at the earlier of the
 * two's times, and knows of the draft. */
static void settle(struct marcel_conversation *conversation, const struct script *script)
{
	uint64_t other = hand_header(conversation)->wake_at;

	if (other != 0 && (conversation->wake_at == 0 || other < conversation->wake_at))
		conversation->wake_at = other;
	hand_show_draft(conversation, script);
}

/*
 * Lets EVENT happen, and what follows from it: a hand that begins gets the message at once, and one
 * that is over lets the script go on. Returns a verdict, -ENOSYS or another negative errno.
 */
static int proceed(struct marcel_conversation *conversation, struct marcel_sink *sink,
		   const struct script *script, const struct script_event *first)
{
	struct call call = {.conversation = conversation, .sink = sink};
	struct script_event event = *first;
	int verdict = MARCEL_CONTINUE;

	for (;;) {
		enum hand_result result;
		int r = run(&call, script, &event);

		if (r < 0)
			return r;
		if (!call.outcome.hand_is_fresh &&
		    hand_is_under_way(conversation, script, call.outcome.hand))
			break;
		hand_end(conversation, script);
		if (call.outcome.hand == NULL || call.outcome.verdict != MARCEL_CONTINUE)
			break;
		event = (struct script_event){.kind = SCRIPT_UNHANDED};
		if (hand_begin(conversation, script, call.outcome.hand) < 0)
			continue;
		/* Without a message of its own it gets the next one. */
		if (!call.outcome.hand_is_fresh || first->kind != SCRIPT_MESSAGE)
			break;
		result = hand_respond(conversation, script, first->bytes, first->length, sink,
				      &verdict);
		if (result == HAND_VERDICT) {
			settle(conversation, script);
			return verdict;
		}
		if (result == HAND_CONTINUES ||
		    (result == HAND_ANSWERED && call.outcome.hand->stay))
			break;
		if (result == HAND_ANSWERED || result == HAND_GIVEN_BACK)
			event.kind = SCRIPT_ANSWERED;
	}
	settle(conversation, script);
	return call.outcome.unhandled ? -ENOSYS : (int)call.outcome.verdict;
}

/* What a result of the other responder means for the script. */
static int after_hand(struct marcel_conversation *conversation, struct marcel_sink *sink,
		      const struct script *script, enum hand_result result, int verdict)
{
	const struct instruction *hand = &script->code[hand_header(conversation)->pc - 1];
	struct script_event event = {.kind = SCRIPT_UNHANDED};

	if (result == HAND_VERDICT || result == HAND_CONTINUES ||
	    (result == HAND_ANSWERED && hand->stay)) {
		settle(conversation, script);
		return result == HAND_VERDICT ? verdict : MARCEL_CONTINUE;
	}
	if (result == HAND_ANSWERED || result == HAND_GIVEN_BACK)
		event.kind = SCRIPT_ANSWERED;
	return proceed(conversation, sink, script, &event);
}

static int script_greet(struct marcel_conversation *conversation, struct marcel_sink *sink)
{
	const struct script *script = script_of(conversation);
	const struct script_event event = {.kind = SCRIPT_CONNECT};

	if (script == NULL)
		return -EBADMSG;
	conversation->early = true;
	return proceed(conversation, sink, script, &event);
}

static int script_respond(struct marcel_conversation *conversation, const char *message,
			  size_t length, struct marcel_sink *sink)
{
	const struct script *script = script_of(conversation);
	const struct script_event event = {
		.kind = SCRIPT_MESSAGE,
		.bytes = message,
		.length = length,
		.end_length = conversation->message_end,
	};
	enum hand_result result;
	int verdict = MARCEL_CONTINUE;

	if (script == NULL)
		return -EBADMSG;
	conversation->early = false;
	if (hand_header(conversation)->pc == 0) {
		verdict = proceed(conversation, sink, script, &event);
		return verdict == -ENOSYS ? MARCEL_CONTINUE : verdict;
	}
	if (script_take_secret(hand_script_state(conversation),
			       hand_header(conversation)->script_used))
		conversation->secret = true;
	conversation->asks_secret = false;
	result = hand_respond(conversation, script, message, length, sink, &verdict);
	return after_hand(conversation, sink, script, result, verdict);
}

/* Whether SCRIPT sees to the silence of clients itself. */
static bool has_idle(const struct script *script)
{
	for (size_t i = 0; i < script->n_scopes; i++)
		if (script->scopes[i].n_others[RULE_IDLE] > 0)
			return true;
	return false;
}

static int on_idle(struct marcel_conversation *conversation, const struct script *script)
{
	/* Who waits for somebody's answer is not idle. */
	if (conversation->waiting != 0)
		return MARCEL_CONTINUE;
	/* While another responder has the word the script's own times are put off. */
	if (has_idle(script) && hand_header(conversation)->pc == 0)
		return MARCEL_CONTINUE;
	return hand_header(conversation)->silent != 0 ? MARCEL_CLOSE : -ENOSYS;
}

/* The time has come for the other responder, or for the script. */
static int on_timer(struct marcel_conversation *conversation, struct marcel_sink *sink,
		    const struct script *script)
{
	const struct script_event event = {.kind = SCRIPT_TIME};
	uint64_t other = hand_header(conversation)->wake_at;
	enum hand_result result;
	int verdict = MARCEL_CONTINUE;

	if (other == 0 || other > clock_now())
		return proceed(conversation, sink, script, &event);
	hand_header(conversation)->wake_at = 0;
	result = hand_wake(conversation, script, MARCEL_WAKE_TIMER, sink, &verdict);
	if (result != HAND_CONTINUES)
		return after_hand(conversation, sink, script, result, verdict);
	/* The script has times of its own, which the daemon's call has taken away. */
	return proceed(conversation, sink, script, &event);
}

/* Somebody has something for the other responder. */
static int on_ready(struct marcel_conversation *conversation, struct marcel_sink *sink,
		    const struct script *script)
{
	enum hand_result result;
	int verdict = MARCEL_CONTINUE;

	if (hand_header(conversation)->pc == 0)
		return MARCEL_CONTINUE;
	result = hand_wake(conversation, script, MARCEL_WAKE_READY, sink, &verdict);
	return after_hand(conversation, sink, script, result, verdict);
}

/* The client sends nothing any more; whom it was handed to may have something to say still. */
static int on_eof(struct marcel_conversation *conversation, struct marcel_sink *sink,
		  const struct script *script)
{
	const struct script_event event = {.kind = SCRIPT_EOF};
	int verdict = MARCEL_CONTINUE;

	if (hand_header(conversation)->pc != 0 &&
	    hand_wake(conversation, script, MARCEL_WAKE_EOF, sink, &verdict) == HAND_VERDICT &&
	    verdict == MARCEL_AGAIN) {
		settle(conversation, script);
		return MARCEL_AGAIN;
	}
	return proceed(conversation, sink, script, &event);
}

static int script_wake(struct marcel_conversation *conversation, enum marcel_wake reason,
		       struct marcel_sink *sink)
{
	const struct script *script = script_of(conversation);
	struct script_event event = {.kind = SCRIPT_TIME};

	if (script == NULL)
		return -EBADMSG;
	switch (reason) {
	case MARCEL_WAKE_TIMER:
		return on_timer(conversation, sink, script);
	case MARCEL_WAKE_IDLE:
		return on_idle(conversation, script);
	case MARCEL_WAKE_STOP:
		event.kind = SCRIPT_STOP;
		break;
	case MARCEL_WAKE_EOF:
		return on_eof(conversation, sink, script);
	case MARCEL_WAKE_EARLY:
		event.kind = SCRIPT_EARLY;
		break;
	case MARCEL_WAKE_TOO_LONG:
		event.kind = SCRIPT_OVERFLOW;
		break;
	case MARCEL_WAKE_READY:
		return on_ready(conversation, sink, script);
	}
	return proceed(conversation, sink, script, &event);
}

/* The state of a conversation that has not begun. */
static bool is_blank(const struct marcel_conversation *conversation)
{
	const struct hand_header *header = conversation->state;

	return conversation->state_used >= sizeof(*header) && header->script_used == 0 &&
	       header->pc == 0;
}

static int take_up(struct marcel_conversation *conversation, uint32_t version)
{
	const struct face_script *face = conversation->shared;
	struct hand_header *header = hand_header(conversation);
	const struct script *script = NULL;
	uint64_t number;
	int r;

	if (is_blank(conversation))
		return 0;
	if (version != STATE_VERSION || !hand_is_sound(conversation))
		return -EBADMSG;
	header->counted = 0;
	number = script_state_version(hand_script_state(conversation), header->script_used);
	if (face != NULL && face->script->version == number)
		script = face->script;
	if (script == NULL) {
		/* Until script_close(), also if this fails. */
		r = version_use(number, &script);
		if (r < 0)
			return r;
		header->counted = version_process();
	}
	if (!hand_is_sound_for(conversation, script) ||
	    !script_state_is_sound(script, hand_script_state(conversation), header->script_used))
		return -EBADMSG;
	r = hand_restore(conversation, script);
	if (r == 0)
		settle(conversation, script);
	return r;
}

static int script_keepsake(const void *state, size_t state_used, char *name, size_t size)
{
	/* Only read; the contract's struct just has no room for the difference. */
	struct marcel_conversation conversation = {.state_size = state_used,
						   .state_used = state_used};
	uint64_t version;

	(void)memcpy(&conversation.state, &state, sizeof(state));
	name[0] = '\0';
	if (is_blank(&conversation))
		return 0;
	if (!hand_is_sound(&conversation))
		return -EBADMSG;
	version = script_state_version(hand_script_state(&conversation),
				       hand_header(&conversation)->script_used);
	if (version == 0)
		return -EBADMSG;
	version_name(version, name, size);
	return 0;
}

static int script_restore(struct marcel_conversation *conversation, uint32_t version)
{
	char name[KEEPSAKE_NAME_MAX];
	int named =
		script_keepsake(conversation->state, conversation->state_used, name, sizeof(name));
	int r = take_up(conversation, version);

	if (named == 0 && name[0] != '\0')
		keepsake_arrived(name);
	return r;
}

static int script_drain(struct marcel_conversation *conversation)
{
	const struct script *script = script_of(conversation);

	return script != NULL ? hand_drain(conversation, script) : -EBADMSG;
}

static int script_order(struct marcel_conversation *conversation, const struct marcel_order *order,
			struct marcel_sink *sink)
{
	const struct script *script = script_of(conversation);
	enum hand_result result = HAND_CONTINUES;
	int verdict = MARCEL_CONTINUE;
	int r;

	if (script == NULL)
		return -ENOTCONN;
	r = hand_order(conversation, script, order, sink, &result, &verdict);
	if (r < 0)
		return r;
	return after_hand(conversation, sink, script, result, verdict);
}

static void script_said(const struct marcel_conversation *conversation, char who, const char *text,
			size_t length)
{
	const struct script *script;

	/* It may be said before there is a state, and after it is none any more. */
	if (is_blank(conversation) || !hand_is_sound(conversation))
		return;
	script = script_of(conversation);
	if (script != NULL && hand_is_sound_for(conversation, script))
		hand_said(conversation, script, who, text, length);
}

static void script_close(struct marcel_conversation *conversation)
{
	const struct script *script;
	uint64_t version;

	if (is_blank(conversation) || !hand_is_sound(conversation))
		return;
	version = script_state_version(hand_script_state(conversation),
				       hand_header(conversation)->script_used);
	/* One that was over when this process found it counts nowhere, and another one may be the
	 * last that does. */
	if (version_use(version, &script) < 0)
		return;
	if (hand_is_sound_for(conversation, script))
		hand_end(conversation, script);
	if (hand_header(conversation)->counted == version_process())
		version_drop(version);
	version_drop(version);
}

static unsigned script_descriptors(const void *shared)
{
	const struct face_script *face = shared;

	return face != NULL ? hand_descriptors(face->script) : 0;
}

const struct marcel_responder_ops script_responder = {
	.abi = MARCEL_RESPONDER_ABI,
	.name = "script",
	.state_size = MARCEL_STATE_MAX,
	.state_begin = sizeof(struct hand_header),
	.state_version = STATE_VERSION,
	.load = script_load_settings,
	.unload = script_unload,
	.descriptors = script_descriptors,
	.open = script_open,
	.greet = script_greet,
	.respond = script_respond,
	.wake = script_wake,
	.restore = script_restore,
	.keepsake = script_keepsake,
	.drain = script_drain,
	.order = script_order,
	.said = script_said,
	.close = script_close,
};
