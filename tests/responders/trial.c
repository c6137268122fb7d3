/*
 * Trial: a responder for the tests of restarts and crashes. It answers each message with the
 * number of messages so far, then the message: a client sees at once when a turn or the state was
 * lost, doubled or torn. What a message begins with makes it do more:
 *
 *	many K ...     K replies, `N.1 many K ...` to `N.K many K ...`
 *	long BYTES     one reply of BYTES: `N ` and letters (see letter()); in pieces, with
 *	               MARCEL_AGAIN, when it is longer than what one call may say
 *	timer MS ...   answers, and from now on says `tick 1`, `tick 2`... every MS milliseconds;
 *the same interval again changes nothing, 0 ends it crash          the daemon aborts hang never
 *returns close          answers and ends without a farewell fail           fails with EIO bomb
 *answers, and from now on whoever restores this state aborts
 *
 * Its state is larger than it needs to be: all of it must always tell the same number.
 *
 * TRIAL_VERSION 2 is a later version of it, whose state begins with one more number; it restores
 * the states of version 1, and version 1 does not restore its.
 */
#include "trial.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#ifndef TRIAL_VERSION
#define TRIAL_VERSION 1
#endif

#define WITNESSES 256
#define PIECE     ((size_t)256 * 1024)

struct trial {
#if TRIAL_VERSION > 1
	uint64_t restored; /* how often it came from an earlier version */
#endif
	uint64_t messages;
	uint64_t begun; /* of the message that is being answered: pieces or replies said, plus 1 */
	uint64_t ticks;
	uint64_t interval;             /* microseconds; 0: no ticks */
	uint64_t trap;                 /* enum trap */
	uint64_t witnesses[WITNESSES]; /* each has the number of messages */
};
static_assert(sizeof(struct trial) <= MARCEL_STATE_MAX, "the state fits");

enum trap {
	TRAP_NONE,
	TRAP_RESTORE,
	TRAP_TIMER,
	TRAP_EOF,
	TRAP_STOP,
	TRAP_CLOSE,
};

static void spring(const struct trial *t, enum trap where)
{
	if (t->trap == (uint64_t)where)
		abort();
}

static bool is_torn(const struct trial *t)
{
	for (size_t i = 0; i < WITNESSES; i++)
		if (t->witnesses[i] != t->messages)
			return true;
	return false;
}

static void count_message(struct trial *t)
{
	t->messages++;
	t->begun = 1;
	for (size_t i = 0; i < WITNESSES; i++)
		t->witnesses[i] = t->messages;
}

/* The number after the command COMMAND, if MESSAGE begins with both; else returns false. */
static bool is_command(const char *message, size_t length, const char *command, uint64_t *ret)
{
	size_t n = strlen(command);

	if (length < n || memcmp(message, command, n) != 0)
		return false;
	*ret = 0;
	for (; n < length && message[n] >= '0' && message[n] <= '9' && *ret < 1000000000; n++)
		*ret = *ret * 10 + (uint64_t)(message[n] - '0');
	return n == length || message[n] == ' ';
}

/* Says NUMBERS, a space and the message, in one reply. */
static int say(struct marcel_sink *sink, const char *numbers, const char *message, size_t length)
{
	size_t used = strlen(numbers);
	char *reply = malloc(used + length + 1);
	int r;

	if (reply == NULL)
		return -ENOMEM;
	(void)memcpy(reply, numbers, used + 1);
	(void)memcpy(reply + used, message, length);
	r = marcel_say(sink, reply, used + length);
	free(reply);
	return r;
}

static int answer(const struct trial *t, struct marcel_sink *sink, const char *message,
		  size_t length)
{
	char numbers[32];

	(void)snprintf(numbers, sizeof(numbers), "%" PRIu64 " ", t->messages);
	return say(sink, numbers, message, length);
}

static int answer_many(struct trial *t, struct marcel_sink *sink, const char *message,
		       size_t length, uint64_t count)
{
	for (; t->begun <= count; t->begun++) {
		char numbers[64];
		int r;

		(void)snprintf(numbers, sizeof(numbers), "%" PRIu64 ".%" PRIu64 " ", t->messages,
			       t->begun);
		r = say(sink, numbers, message, length);
		if (r == -ENOSPC)
			return MARCEL_AGAIN;
		if (r < 0)
			return r;
	}
	return MARCEL_CONTINUE;
}

/* Byte I of the long reply to message NUMBER. */
static char letter(uint64_t number, uint64_t i)
{
	return (char)('a' + (number + i + i / 1000) % 26);
}

/* Says the reply piece by piece; `begun` is one more than the bytes said. */
static int answer_long(struct trial *t, struct marcel_sink *sink, uint64_t size)
{
	char *piece = malloc(PIECE);
	int r = 0;

	if (piece == NULL)
		return -ENOMEM;
	while (r == 0 && t->begun - 1 < size) {
		uint64_t from = t->begun - 1;
		size_t length = size - from < PIECE ? (size_t)(size - from) : PIECE;

		for (size_t i = 0; i < length; i++)
			piece[i] = letter(t->messages, from + i);
		r = from + length == size ? marcel_say(sink, piece, length)
					  : marcel_send(sink, piece, length);
		if (r == 0)
			t->begun += length;
	}
	free(piece);
	return r == -ENOSPC ? MARCEL_AGAIN : r;
}

static void set_timer(struct marcel_conversation *conversation, struct trial *t, uint64_t msec)
{
	uint64_t interval = msec * USEC_PER_MSEC;

	if (t->interval != interval)
		conversation->wake_at = interval > 0 ? clock_now() + interval : 0;
	t->interval = interval;
}

/* Sets the trap that MESSAGE names, which begins with "trap ". */
static void set_trap(struct marcel_conversation *conversation, struct trial *t, const char *message,
		     size_t length)
{
	static const char *const names[] = {
		[TRAP_RESTORE] = "trap restore", [TRAP_TIMER] = "trap timer",
		[TRAP_EOF] = "trap eof",         [TRAP_STOP] = "trap stop",
		[TRAP_CLOSE] = "trap close",
	};

	for (size_t i = TRAP_RESTORE; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == length && memcmp(names[i], message, length) == 0)
			t->trap = i;
	if (t->trap == TRAP_TIMER)
		set_timer(conversation, t, 50);
}

static _Noreturn void hang(void)
{
	for (volatile unsigned turns = 0;; turns++)
		;
}

static int obey(struct marcel_conversation *conversation, struct trial *t, const char *message,
		size_t length, struct marcel_sink *sink)
{
	uint64_t number;

	if (is_command(message, length, "many ", &number))
		return answer_many(t, sink, message, length, number);
	if (is_command(message, length, "long ", &number))
		return answer_long(t, sink, number);
	if (is_command(message, length, "timer ", &number))
		set_timer(conversation, t, number);
	if (is_command(message, length, "crash", &number))
		abort();
	if (is_command(message, length, "hang", &number))
		hang();
	if (is_command(message, length, "fail", &number))
		return -EIO;
	if (is_command(message, length, "trap", &number))
		set_trap(conversation, t, message, length);
	if (is_command(message, length, "close", &number))
		return answer(t, sink, message, length) < 0 ? -EIO : MARCEL_CLOSE;
	return answer(t, sink, message, length);
}

static int trial_respond(struct marcel_conversation *conversation, const char *message,
			 size_t length, struct marcel_sink *sink)
{
	struct trial *t = conversation->state;
	const char torn[] = "torn";
	int r;

	if (is_torn(t))
		return marcel_say(sink, torn, sizeof(torn) - 1);
	if (t->begun == 0)
		count_message(t);
	r = obey(conversation, t, message, length, sink);
	if (r != MARCEL_AGAIN)
		t->begun = 0;
	return r;
}

static int trial_wake(struct marcel_conversation *conversation, enum marcel_wake reason,
		      struct marcel_sink *sink)
{
	struct trial *t = conversation->state;
	char tick[32];
	int length;

	if (reason == MARCEL_WAKE_EOF)
		spring(t, TRAP_EOF);
	if (reason == MARCEL_WAKE_STOP)
		spring(t, TRAP_STOP);
	if (reason != MARCEL_WAKE_TIMER)
		return -ENOSYS;
	spring(t, TRAP_TIMER);
	length = snprintf(tick, sizeof(tick), "tick %" PRIu64, ++t->ticks);
	conversation->wake_at = clock_now() + t->interval;
	return marcel_say(sink, tick, (size_t)length);
}

static int trial_restore(struct marcel_conversation *conversation, uint32_t version)
{
	struct trial *t = conversation->state;

#if TRIAL_VERSION > 1
	if (version == 1) {
		(void)memmove(&t->messages, t, sizeof(*t) - sizeof(t->restored));
		t->restored = 0;
	}
	t->restored++;
#endif
	if (version > TRIAL_VERSION)
		return -ENOTSUP;
	spring(t, TRAP_RESTORE);
	return 0;
}

static void trial_close(struct marcel_conversation *conversation)
{
	spring(conversation->state, TRAP_CLOSE);
}

const struct marcel_responder_ops trial_responder = {
	.abi = MARCEL_RESPONDER_ABI,
	.name = "trial",
	.state_size = sizeof(struct trial),
	.state_version = TRIAL_VERSION,
	.respond = trial_respond,
	.wake = trial_wake,
	.restore = trial_restore,
	.close = trial_close,
};
