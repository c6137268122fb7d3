/* Playing events to the interpreter; see play.h. */
#include "play.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BEGINNING (100 * USEC_PER_SEC)
/* So often something may be due at one moment. */
#define DUE_MAX 100

static void put(struct play *play, const char *mark, const char *text, size_t length)
{
	int n = snprintf(play->log + play->log_length, PLAY_LOG_MAX - play->log_length, "%s%.*s\n",
			 mark, (int)length, text);

	assert_true(n >= 0 && (size_t)n < PLAY_LOG_MAX - play->log_length);
	play->log_length += (size_t)n;
}

static int take(struct play *play, const char *mark, const char *text, size_t length)
{
	if (play->room != 0 && play->said + length > play->room)
		return -ENOSPC;
	play->said += length;
	put(play, mark, text, length);
	return 0;
}

static int on_say(void *context, const char *text, size_t length)
{
	return take(context, "", text, length);
}

static int on_send(void *context, const char *bytes, size_t length)
{
	return take(context, "~", bytes, length);
}

static void on_note(void *context, enum script_note note, const char *rule, const char *text,
		    size_t length)
{
	static const char *const marks[] = {
		[NOTE_LOG] = "#log ",
		[NOTE_UNANSWERED] = "#unanswered",
		[NOTE_STOPPED] = "#stopped",
		[NOTE_OVERFLOW] = "#overflow",
	};

	assert_true(note == NOTE_UNANSWERED ? rule == NULL : rule != NULL);
	put(context, marks[note], text, length);
}

void play_begin(struct play *play, const char *text)
{
	struct faults faults = {.count = 0};
	int r;

	*play = (struct play){.now = BEGINNING, .peer = "192.0.2.7:4711"};
	r = script_load_text("t.script", text, strlen(text), NULL, &faults, &play->script);
	for (size_t i = 0; i < faults.count; i++) {
		char fault[1000];

		(void)fault_format(&faults.list[i], fault, sizeof(fault));
		if (r < 0)
			print_message("%s\n", fault);
	}
	faults_done(&faults);
	assert_int_equal(r, 0);
	play->state = calloc(1, MARCEL_STATE_MAX);
	play->log = calloc(1, PLAY_LOG_MAX);
	assert_non_null(play->state);
	assert_non_null(play->log);
	script_begin(play->script, play->state, &play->used, 1);
	assert_int_equal(play->used, script_state_begin_size(play->script));
	play->outcome.framing = play->script->manners.framing;
}

void play_end(struct play *play)
{
	script_unref(play->script);
	free(play->state);
	free(play->log);
}

/* Moves the state to fresh memory. */
static char *hand_over(const char *state, size_t used)
{
	char *copy = calloc(1, MARCEL_STATE_MAX);

	assert_non_null(copy);
	(void)memcpy(copy, state, used);
	return copy;
}

static int run_once(struct play *play, const struct script_event *event)
{
	const struct script_world world = {
		.now = play->now,
		.realtime = UINT64_C(1795359702) * USEC_PER_SEC,
		.peer = play->peer,
		.conversation = 42,
		.turn = play->turn,
	};
	const struct script_output output = {
		.context = play,
		.say = on_say,
		.send = on_send,
		.note = on_note,
	};

	play->said = 0;
	return script_run(play->script, play->state, &play->used, event, &world, &output,
			  &play->outcome);
}

static void put_outcome(struct play *play, const struct script_outcome *before)
{
	const struct script_outcome *now = &play->outcome;
	char text[120];

	if (now->secret)
		put(play, "[secret]", "", 0);
	if (memcmp(&before->framing, &now->framing, sizeof(now->framing)) != 0) {
		(void)snprintf(text, sizeof(text), "[frame %u %" PRIu64 "]", now->framing.kind,
			       now->framing.size);
		put(play, text, "", 0);
	}
	if (now->holds && !before->holds)
		put(play, "[holds]", "", 0);
	if (now->hand != NULL && now->hand != before->hand) {
		(void)snprintf(text, sizeof(text), "[hand %s%s]", now->hand->responder,
			       now->hand_is_fresh ? " fresh" : "");
		put(play, text, "", 0);
	}
	if (now->unhandled)
		put(play, "[unhandled]", "", 0);
	if (now->verdict == MARCEL_CLOSE)
		put(play, "[close]", "", 0);
	else if (now->verdict == MARCEL_FAREWELL)
		put(play, "[farewell]", "", 0);
	else if (now->verdict == MARCEL_RESET)
		put(play, "[reset]", "", 0);
}

void play_event(struct play *play, enum script_event_kind kind, const char *message, size_t length)
{
	char *bytes = malloc(length > 0 ? length : 1);
	const struct script_event event = {
		.kind = kind,
		.bytes = bytes,
		.length = length,
		.end_length = 2,
	};
	struct script_outcome before = play->outcome;
	char *state = play->state, *first;
	size_t used = play->used, first_used, length_before = play->log_length, said;
	char *log;
	int r;

	assert_non_null(bytes);
	if (length > 0)
		(void)memcpy(bytes, message, length);
	if (kind == SCRIPT_MESSAGE && !play->outcome.collects)
		play->turn++;
	play->state = hand_over(state, used);
	r = run_once(play, &event);
	first = play->state;
	first_used = play->used;
	said = play->log_length - length_before;
	log = strndup(play->log + length_before, said);
	assert_non_null(log);

	/* Once more: the same. */
	play->state = hand_over(state, used);
	(void)memset(state, 0xee, MARCEL_STATE_MAX);
	free(state);
	play->used = used;
	play->log_length = length_before;
	assert_int_equal(run_once(play, &event), r);
	assert_int_equal(play->log_length - length_before, said);
	assert_memory_equal(play->log + length_before, log, said);
	assert_int_equal(play->used, first_used);
	assert_memory_equal(play->state, first, first_used);
	free(log);
	free(first);
	free(bytes);

	assert_true(script_state_is_sound(play->script, play->state, play->used));
	assert_true(script_state_version(play->state, play->used) == play->script->version);
	if (r == -EBUSY) {
		play->turn -= kind == SCRIPT_MESSAGE;
		put(play, "[busy]", "", 0);
	} else {
		assert_int_equal(r, 0);
	}
	put_outcome(play, &before);
}

static void pass(struct play *play, const char *step)
{
	usec_t until = play->now + strtoull(step + 1, NULL, 10) * USEC_PER_MSEC;
	unsigned due = 0;

	while (play->outcome.wake_at != 0 && play->outcome.wake_at <= until) {
		if (play->outcome.wake_at > play->now) {
			play->now = play->outcome.wake_at;
			due = 0;
		}
		assert_true(++due < DUE_MAX);
		play_event(play, SCRIPT_TIME, NULL, 0);
		/* There is no room yet. */
		if (play->room != 0 && play->outcome.holds && play->outcome.wake_at <= play->now)
			break;
	}
	play->now = until;
}

static void put_value(struct play *play, const char *name, size_t length)
{
	char value[SCRIPT_VALUE_MAX * 4];

	for (uint32_t i = 0; i < play->script->n_variables; i++) {
		const char *known = play->script->variables[i].name;
		ssize_t n;

		if (strlen(known) != length || strncmp(known, name, length) != 0)
			continue;
		n = script_state_value(play->script, play->state, play->used, i, value,
				       sizeof(value));
		put(play, n < 0 ? "(not set)" : "", value,
		    n < 0                       ? 0
		    : (size_t)n < sizeof(value) ? (size_t)n
						: sizeof(value));
		return;
	}
	fail_msg("no variable %.*s", (int)length, name);
}

static void ask(struct play *play, const char *what, size_t length)
{
	char text[60];

	if (strncmp(what, "wake", length) == 0) {
		(void)snprintf(text, sizeof(text), "[in %" PRIu64 "]",
			       (play->outcome.wake_at - play->now) / USEC_PER_MSEC);
		put(play, play->outcome.wake_at != 0 ? text : "[never]", "", 0);
	} else if (strncmp(what, "state", length) == 0) {
		put(play, script_state_name(play->script, play->state), "", 0);
	} else if (strncmp(what, "rule", length) == 0) {
		put(play, play->outcome.rule != NULL ? play->outcome.rule : "(none)", "", 0);
	} else if (strncmp(what, "own", length) == 0) {
		put(play, play->outcome.owns_end ? "own" : "daemon's",
		    play->outcome.silent ? " silent" : "", play->outcome.silent ? 7 : 0);
	} else {
		put_value(play, what, length);
	}
}

static void step(struct play *play, const char *line, size_t length)
{
	static const struct {
		const char *name;
		enum script_event_kind kind;
	} events[] = {
		{"connect", SCRIPT_CONNECT},   {"early", SCRIPT_EARLY},
		{"overflow", SCRIPT_OVERFLOW}, {"stop", SCRIPT_STOP},
		{"eof", SCRIPT_EOF},           {"answered", SCRIPT_ANSWERED},
		{"unhanded", SCRIPT_UNHANDED}, {"time", SCRIPT_TIME},
	};

	if (line[0] == '>') {
		play_event(play, SCRIPT_MESSAGE, line + (length > 1 ? 2 : 1),
			   length > 1 ? length - 2 : 0);
		return;
	}
	if (line[0] == '+') {
		pass(play, line);
		return;
	}
	if (line[0] == '?') {
		ask(play, line + 1, length - 1);
		return;
	}
	if (strncmp(line, "room ", 5) == 0) {
		play->room = strtoull(line + 5, NULL, 10);
		return;
	}
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (strlen(events[i].name) == length &&
		    strncmp(events[i].name, line, length) == 0) {
			play_event(play, events[i].kind, NULL, 0);
			return;
		}
	fail_msg("unknown step %.*s", (int)length, line);
}

void play_steps(struct play *play, const char *steps)
{
	while (*steps != '\0') {
		size_t length = strcspn(steps, "\n");

		step(play, steps, length);
		steps += length + (steps[length] != '\0');
	}
}

void expect(const char *text, const char *steps, const char *expected)
{
	struct play play;

	play_begin(&play, text);
	play_steps(&play, steps);
	if (strcmp(play.log, expected) != 0)
		print_message("SCRIPT\n%s\nSTEPS\n%s\n", text, steps);
	assert_string_equal(play.log, expected);
	play_end(&play);
}
