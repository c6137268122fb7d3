/*
 * Any events, in any order and at any time, on any state: the interpreter stays within its memory,
 * says the same when it is asked twice, and always leaves a sound state; nothing but the state's
 * used bytes matters. A state of any bytes is either refused or as good as any other.
 *
 * The input: a byte that chooses one of the scripts below, or FROM_INPUT: then the script's text
 * follows, up to a byte 0xff. Then events: a byte, its kind in the lower half, and what follows it
 * (see step()).
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "respond/script/run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* NOLINT(*-identifier-naming) */

/* More than any script here comes to; a loop would pass it. */
#define STEPS_MAX 400

static const char *const texts[] = {
	"marcel-script 1\n"
	"frame line any split ';' join max 500\n"
	"prop VOLT float 0..30 = 5 get 'VOLT?' as \"%+.6E\" set 'VOLT {}' error \"-222\"\n"
	"prop N int -5..5 = 0 get 'N?' set 'N {}'\n"
	"prop OUT bool = off get 'OUT?' set 'OUT {}' error \"bad\"\n"
	"prop NAME text = \"x\" get 'NAME?' set 'NAME {}'\n"
	"on 'ERR?' shift errors into e; say \"${e} ${e|length}\"\n"
	"on 'PRESET' set VOLT = \"${random 9}\"; set N 3\n"
	"on overflow say \"over\"; wait 1s; say \"flow\"\n"
	"on early say \"early\"; wait 1s; close when count(errors) > 3\n"
	"on connect wait 1s..3s; say \"hello ${random 6}\"\n"
	"otherwise log \"what? ${message}\"; ignore\n",

	"marcel-script 1\n"
	"match nocase\n"
	"end 'bye', empty\n"
	"let host = \"h\"\n"
	"on 'C' say \"go\"; collect body until \".\" unstuff max 60; say \"${body|length}\", ${body} stuff\n"
	"on 'E' secret next; collect head until empty; say \"${head|upper|base64}\"; add l \"${message}\"\n"
	"on \"B {n}\" collect b ${n} bytes; say \"[${b}] ${message} ${turn}\"\n"
	"on 'D' when count(l) < 3 add l \"${date} ${serial}\"; drip 2 every 5ms \"${l} ${random 100}\"\n"
	"on 'S' shift l into first; say \"${first}${l}\"; clear l\n"
	"on 'BIG {x}' set v = \"${v}${v}${v}${v}${x}\"; say \"${v|length}\"; log ${v}\n"
	"on idle 10s say \"still there?\"; wait 2s; say \"${message}!\"\n"
	"on idle 20s when count(l) > 1 say \"bye\"; close\n"
	"on every 7s say \"tick ${random 3}\" when length == 0\n"
	"on overflow say \"500\"\n"
	"on eof say \"eof ${v|length}\"; drip 1 every 1h \"end\"\n"
	"on stop wait 5min; say \"stop\"; collect x until \".\"; say \"never ${x}\"\n",

	"marcel-script 1\n"
	"end none\n"
	"always\n"
	"  on 'Q' say \"bye\"; close\n"
	"  on 'R' reset\n"
	"  on 'DROP' drop\n"
	"  on 'H {w}' hand echo draft \"draft ${w}\" for 10s else { say \"nobody\"; strike 5 }; say \"after ${w} ${message}\"\n"
	"  on 'HS' hand fifo stay; say \"back\"\n"
	"  on 'HE' hand fifo for 3s else say \"else\"\n"
	"  on 'HD' hand fifo draft \"d\" for 3s; say \"then\"\n"
	"  on every 4s say \"always\" when count(l) > 0 else { add l \"x\" }\n"
	"  on idle 30s goto a\n"
	"  otherwise say \"?\"; strike 20\n"
	"state a\n"
	"  on 'G' goto b; say \"in b\"\n"
	"  on 'P' pick say \"1\" | { say \"2\"; wait 1ms; say \"2b\" } | ignore\n"
	"  on 'Y' cycle { say \"one\" } | say \"two\" | { wait 1s..2s; say \"three\" }\n"
	"  on /(?<k>[a-z]+)=(?<v>[^;]*)/u when ${k} == \"key\" or ${v} >= 10 and not peer in \"10.0.0.0/8\" set key = ${v}; say \"${k}=${v}\"\n"
	"  on \"n {n:int} {x:number} {w:word}*\" say \"${n} ${x} ${w}\" when ${n} < ${x} else say \"not\"\n"
	"state b\n"
	"  on connect say \"never\"\n"
	"  on 'G' goto a\n"
	"  on every 1s say \"tick\"; wait 100ms; say \"tock\"\n"
	"  on idle 3s say \"idle in b\"; collect z until \"end\"; say \"${z|lower}\"; goto a\n"
	"  on 'F1' frame record 4; say \"four\"\n"
	"  on 'F2' frame prefix 2; say \"two\"\n"
	"  on 'F3' frame raw; send \"a\", \"b\"\n"
	"  on 'F4' frame line lf max 20; say \"lf\"\n"
	"  on 'T' say text1; collect c 5 bytes max 3; say \"${c}\"\n"
	"  on overflow set big = \"${big}${big}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"; say \"${big|length}\"\n"
	"text text1 <<END\n"
	"one ${key}\n"
	".two ${time %H:%M} ${peer}:${port} ${conversation} ${random 6}\n"
	"END\n",

	"one\ntwo ${message}\nthree\n",
};
#define TEXTS      (sizeof(texts) / sizeof(texts[0]))
#define FROM_INPUT 0xf0
#define TEXT_MAX   200

static const char *const words[] = {
	"VOLT?",
	"VOLT 3",
	"VOLT 99",
	"N?",
	"N 4",
	"OUT?",
	"OUT on",
	"NAME a b",
	"NAME?",
	"ERR?",
	"PRESET",
	"C",
	".",
	"..",
	"E",
	"",
	"B 5",
	"B 0",
	"B x",
	"B 99999999999999999999",
	"D",
	"S",
	"BIG 0123456789012345678901234567890123456789",
	"bye",
	"Q",
	"R",
	"DROP",
	"H a",
	"HS",
	"HE",
	"HD",
	"G",
	"P",
	"Y",
	"key=12",
	"a=1;b=2",
	"n 1 2.5 w!",
	"n 3 -1 w",
	"F1",
	"F2",
	"F3",
	"F4",
	"T",
	"end",
};
#define WORDS (sizeof(words) / sizeof(words[0]))

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* A conversation; what it has said is a number that depends on each byte. */
struct talk {
	const struct script *script;
	char *state; /* MARCEL_STATE_MAX bytes */
	size_t used;
	usec_t now;
	uint64_t turn;
	size_t room; /* bytes that each call may say */
	struct script_outcome outcome;
};

struct said {
	size_t room;
	uint64_t hash;
	bool began; /* something was said */
	const struct script_outcome *outcome;
	bool secret;
};

static void mix(struct said *said, uint64_t salt, const char *bytes, size_t length)
{
	said->hash = (said->hash ^ salt ^ length) * 1099511628211u;
	for (size_t i = 0; i < length; i++)
		said->hash = (said->hash ^ (uint8_t)bytes[i]) * 1099511628211u;
	if (!said->began)
		said->secret = said->outcome->secret;
	said->began = true;
}

static int take(struct said *said, uint64_t salt, const char *bytes, size_t length)
{
	if (length + 2 > said->room)
		return -ENOSPC;
	said->room -= length + 2;
	mix(said, salt, bytes, length);
	return 0;
}

static int on_say(void *context, const char *text, size_t length)
{
	check(length <= SCRIPT_REPLY_MAX);
	return take(context, 1, text, length);
}

static int on_send(void *context, const char *bytes, size_t length)
{
	return take(context, 2, bytes, length);
}

static void on_note(void *context, enum script_note note, const char *rule, const char *text,
		    size_t length)
{
	mix(context, 3 + (uint64_t)note, text, length);
	check(rule == NULL || strlen(rule) > 0);
}

static void on_trace(void *context, enum script_trace trace, const struct rule *rule)
{
	(void)context;
	(void)trace;
	check(strlen(rule->name) > 0);
}

/* Runs EVENT on a copy of the state that is all there is of it. */
static uint64_t run(const struct talk *talk, const struct script_event *event, char *state,
		    size_t *used, struct script_outcome *outcome)
{
	const struct script_world world = {
		.now = talk->now,
		.realtime = 1700000000 * USEC_PER_SEC + talk->now,
		.peer = "192.0.2.7:4711",
		.conversation = 42,
		.turn = talk->turn,
	};
	struct said said = {.room = talk->room, .hash = 14695981039346656037u, .outcome = outcome};
	const struct script_output output = {
		.context = &said,
		.say = on_say,
		.send = on_send,
		.note = on_note,
		.trace = on_trace,
		.explain = talk->turn % 2 == 0,
	};
	int r;

	r = script_run(talk->script, state, used, event, &world, &output, outcome);
	check(r == 0 || r == -EBUSY);
	check(*used <= MARCEL_STATE_MAX);
	/* What is secret is known before anything is said. */
	check(!said.began || said.secret == outcome->secret);
	return said.hash ^ (uint64_t)r;
}

/* Copies of the state: what is behind its used bytes there is what was left by others. */
static char copies[3][MARCEL_STATE_MAX];

static void happen(struct talk *talk, const struct script_event *event)
{
	char *first = talk->state == copies[0] ? copies[1] : copies[0], *second = copies[2];
	size_t first_used = talk->used, second_used = talk->used;
	struct script_outcome outcome;
	uint64_t said;

	memcpy(first, talk->state, talk->used);
	memcpy(second, talk->state, talk->used);
	/* The old one is gone: who takes over has but the copy. */
	memset(talk->state, 0xa5, talk->used);
	said = run(talk, event, first, &first_used, &talk->outcome);
	check(run(talk, event, second, &second_used, &outcome) == said);
	check(first_used == second_used && memcmp(first, second, first_used) == 0);
	check(memcmp(&outcome.framing, &talk->outcome.framing, sizeof(outcome.framing)) == 0);
	check(outcome.wake_at == talk->outcome.wake_at && outcome.hand == talk->outcome.hand);
	check(!talk->outcome.holds || talk->outcome.wake_at != 0);
	talk->state = first;
	talk->used = first_used;
}

/* Takes up to MOST bytes of the input, as many as the next byte says. */
static const char *take_bytes(const uint8_t **data, size_t *size, size_t most, size_t *ret_length)
{
	const char *bytes;
	size_t length = 0;

	if (*size > 0) {
		length = **data < most ? **data : most;
		(*data)++;
		(*size)--;
	}
	if (length > *size)
		length = *size;
	bytes = (const char *)*data;
	*data += length;
	*size -= length;
	*ret_length = length;
	return bytes;
}

static void say(struct talk *talk, const char *text, size_t length, size_t end_length)
{
	/* Where its memory ends, so that a byte read too far is seen. */
	char *message = malloc(length > 0 ? length : 1);
	struct script_event event = {
		.kind = SCRIPT_MESSAGE,
		.bytes = message,
		.length = length,
		.end_length = end_length,
	};

	check(message != NULL);
	memcpy(message, text, length);
	if (!talk->outcome.collects)
		talk->turn++;
	happen(talk, &event);
	free(message);
}

/* Changes bytes of the state; it is gone on with only if that leaves it sound. */
static void damage(struct talk *talk, const char *bytes, size_t length)
{
	char *state = talk->state == copies[0] ? copies[1] : copies[0];
	size_t used = talk->used;

	memcpy(state, talk->state, used);
	for (size_t i = 0; i + 2 < length; i += 3) {
		size_t at = (size_t)(uint8_t)bytes[i] << 8 | (uint8_t)bytes[i + 1];

		if (i == 0 && (bytes[i] & 0x40) != 0)
			used = at % 2048;
		else
			state[at % (used > 0 ? used : 1)] = bytes[i + 2];
	}
	if (script_state_is_sound(talk->script, state, used)) {
		talk->state = state;
		talk->used = used;
	}
}

static void look(const struct talk *talk)
{
	char value[64];

	check(script_state_name(talk->script, talk->state) != NULL);
	for (uint32_t i = 0; i < talk->script->n_variables; i++)
		(void)script_state_value(talk->script, talk->state, talk->used, i, value,
					 sizeof(value));
}

/* One event of the input. */
static void step(struct talk *talk, const uint8_t **data, size_t *size)
{
	static const enum script_event_kind plain[] = {
		SCRIPT_CONNECT, SCRIPT_EARLY,    SCRIPT_OVERFLOW, SCRIPT_STOP,
		SCRIPT_EOF,     SCRIPT_ANSWERED, SCRIPT_UNHANDED, SCRIPT_TIME,
	};
	uint8_t op = **data;
	const char *bytes;
	size_t length;

	(*data)++;
	(*size)--;
	switch (op & 0x0f) {
	case 0:
	case 1:
	case 2:
		bytes = take_bytes(data, size, 1, &length);
		length = length > 0 ? (uint8_t)bytes[0] % WORDS : op >> 4;
		say(talk, words[length], strlen(words[length]), op >> 4 & 2);
		break;
	case 3:
	case 4:
		bytes = take_bytes(data, size, 255, &length);
		say(talk, bytes, length, (op >> 4) % 3);
		break;
	case 5:
	case 6:
	case 7:
		if (talk->outcome.wake_at > talk->now)
			talk->now = talk->outcome.wake_at;
		happen(talk, &(struct script_event){.kind = SCRIPT_TIME});
		break;
	case 8:
		talk->now += (uint64_t)1000 << (op >> 4);
		happen(talk, &(struct script_event){.kind = SCRIPT_TIME});
		break;
	case 9:
		bytes = take_bytes(data, size, 60, &length);
		damage(talk, bytes, length);
		break;
	case 10:
		talk->room = op >> 4 == 0 ? SIZE_MAX : (size_t)2 << (op >> 4);
		break;
	case 11:
		look(talk);
		break;
	default:
		happen(talk, &(struct script_event){.kind = plain[(op >> 4) % 8]});
		break;
	}
}

static struct script *load(const char *text, size_t length)
{
	struct faults faults = {.count = 0};
	struct script *script = NULL;

	if (script_load_text("fuzz.script", text, length, NULL, &faults, &script) < 0)
		script = NULL;
	faults_done(&faults);
	return script;
}

/* The script that the input begins with or chooses. */
static struct script *choose(const uint8_t **data, size_t *size)
{
	static struct script *loaded[TEXTS];
	unsigned choice = (*data)[0];
	const uint8_t *end;
	struct script *script;

	(*data)++;
	(*size)--;
	if (choice >= FROM_INPUT) {
		end = *size > 0 ? memchr(*data, 0xff, *size) : NULL;
		if (end == NULL || end - *data > TEXT_MAX)
			return NULL;
		script = load((const char *)*data, (size_t)(end - *data));
		*size -= (size_t)(end + 1 - *data);
		*data = end + 1;
		return script;
	}
	choice %= TEXTS;
	if (loaded[choice] == NULL) {
		loaded[choice] = load(texts[choice], strlen(texts[choice]));
		check(loaded[choice] != NULL);
	}
	return script_ref(loaded[choice]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) /* NOLINT(*-identifier-naming) */
{
	struct talk talk = {.now = USEC_PER_SEC, .room = SIZE_MAX};
	struct script *script;

	if (size < 2)
		return 0;
	script = choose(&data, &size);
	if (script == NULL)
		return 0;
	talk.script = script;
	talk.state = copies[0];
	memset(talk.state, 0, MARCEL_STATE_MAX);
	script_begin(script, talk.state, &talk.used, 7);
	check(talk.used == script_state_begin_size(script));
	check(script_state_version(talk.state, talk.used) == script->version);
	for (unsigned i = 0; size > 0 && i < STEPS_MAX; i++)
		step(&talk, &data, &size);
	check(script_state_is_sound(script, talk.state, talk.used));
	script_unref(script);
	return 0;
}
