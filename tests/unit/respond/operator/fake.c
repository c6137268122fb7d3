/* What stands in for the daemon and the operator channel; see fake.h. */
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "respond/operator/channel.h"

struct fake_draft fake_draft;
struct fake fake;
usec_t fake_now;

/* The linker's name for what it wraps is not ours to choose. */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,readability-identifier-naming) */
usec_t __wrap_clock_now(void);

usec_t __wrap_clock_now(void)
{
	return fake_now;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,readability-identifier-naming) */

static size_t room(void)
{
	return sizeof(fake.log) - strlen(fake.log);
}

/* Appends to the log. */
#define WRITE(...)                                                                       \
	assert_true((size_t)snprintf(fake.log + strlen(fake.log), room(), __VA_ARGS__) < \
		    sizeof(fake.log) / 2)

static void note_text(const char *text, size_t length)
{
	static const char withheld[] = "(withheld)";
	size_t used = strlen(fake.log);

	if (length == MARCEL_WITHHELD) {
		text = withheld;
		length = sizeof(withheld) - 1;
	}
	assert_true(length + 2 < room());
	if (text != NULL && length > 0)
		(void)memcpy(fake.log + used, text, length);
	fake.log[used + length] = '\n';
	fake.log[used + length + 1] = '\0';
}

static int make(const char *how, const struct place_about *about, struct place **ret_place)
{
	assert_int_equal(about->number, 17);
	assert_int_equal(about->opened, 4711);
	WRITE("%s %s\n", how, about->responder);
	if (fake.no_place)
		return -EMFILE;
	*ret_place = (struct place *)(void *)&fake;
	return 0;
}

int place_make(const struct place_about *about, struct place **ret_place)
{
	return make("make", about, ret_place);
}

int place_find(const struct place_about *about, struct place **ret_place, bool *ret_lost)
{
	*ret_lost = fake.lost;
	return make("find", about, ret_place);
}

int place_fd(const struct place *place)
{
	(void)place;
	return fake.fds[0];
}

void place_fail(const struct place *place, int r)
{
	assert_non_null(place);
	WRITE("fail %s\n", strerrorname_np(-r));
}

void place_say(struct place *place, char who, uint64_t turn, const char *text, size_t length)
{
	assert_non_null(place);
	WRITE("out %c #%" PRIu64 " ", who, turn);
	note_text(text, length);
}

void place_recall(struct place *place, const struct marcel_line *line)
{
	assert_non_null(place);
	WRITE("past %c #%" PRIu64 " ", line->who, line->turn);
	note_text(line->text, line->length);
}

void place_draft(struct place *place, uint64_t turn, uint64_t until)
{
	assert_non_null(place);
	fake_draft.turn = turn;
	fake_draft.until = until;
}

void place_show(struct place *place, uint64_t turn, uint64_t waiting)
{
	assert_non_null(place);
	WRITE("show %" PRIu64 " %" PRIu64 "\n", turn, waiting);
}

void place_close(struct place *place, const char *reason, bool left)
{
	assert_non_null(place);
	WRITE("%s %s\n", left ? "left" : "close", reason);
}

void channel_tell(enum channel_event event, uint64_t conversation, uint64_t turn, const char *word,
		  const char *text, size_t length)
{
	static const char *const names[] = {
		[EVENT_MESSAGE] = "message", [EVENT_SENT] = "sent",   [EVENT_REFUSED] = "refused",
		[EVENT_ABSENT] = "absent",   [EVENT_DRAFT] = "draft", [EVENT_DONE] = "done",
		[EVENT_TROUBLE] = "trouble",
	};

	assert_int_equal(conversation, 17);
	assert_non_null(names[event]);
	WRITE("%s", names[event]);
	if (turn != 0)
		WRITE(" #%" PRIu64, turn);
	if (word != NULL)
		WRITE(" %s:", word);
	if (text != NULL)
		WRITE(" ");
	note_text(text, length);
}

void channel_refuse(uint64_t conversation, uint64_t turn, const char *word, const char *text,
		    size_t length)
{
	channel_tell(EVENT_REFUSED, conversation, turn, word, text, length);
	fake.refused++;
}

void channel_obeyed(void)
{
	fake.obeyed++;
}

void channel_refuse_rest(uint64_t conversation, uint64_t n)
{
	assert_int_equal(conversation, 17);
	WRITE("refused %" PRIu64 " more\n", n);
}

int fake_set_up(void **state)
{
	(void)state;
	fake_draft = (struct fake_draft){.turn = 0};
	fake = (struct fake){.room = sizeof(fake.said)};
	fake_now = 1000 * USEC_PER_SEC;
	assert_int_equal(pipe2(fake.fds, O_NONBLOCK | O_CLOEXEC), 0);
	(void)memset(fake.pad, 0xa5, sizeof(fake.pad));
	return 0;
}

int fake_tear_down(void **state)
{
	(void)state;
	(void)close(fake.fds[0]);
	(void)close(fake.fds[1]);
	return 0;
}

static void said(void *context, const char *text, size_t length)
{
	struct marcel_conversation *seen = context;

	if (fake.ops->said != NULL)
		fake.ops->said(seen, MARCEL_SERVER, text, length);
}

static void noted(void *context, enum marcel_note what, const char *rule, const char *text,
		  size_t length)
{
	static const char *const names[] = {"log", "unanswered", "stopped", "overflow", "refused"};

	(void)context;
	(void)rule;
	WRITE("note %s ", names[what]);
	note_text(text, length);
}

/* A turn in the making: a copy, which counts when it is committed. */
struct turn {
	struct marcel_conversation seen;
	_Alignas(uint64_t) char state[MARCEL_STATE_MAX];
};

static struct turn present;

static struct marcel_conversation *begin(void)
{
	present.seen = fake.c;
	(void)memcpy(present.state, fake.state, sizeof(present.state));
	present.seen.state = present.state;
	present.seen.secret = false;
	fake.sink = (struct marcel_sink){
		.bytes = fake.said,
		.room = fake.room - 1,
		.line_end = "\n",
		.line_end_length = 1,
		.prefix = fake.prefix,
		.said = said,
		.note = noted,
		.context = &present.seen,
	};
	return &present.seen;
}

/* What the daemon hears of the draft. */
static void take_draft(void)
{
	(void)snprintf(fake_draft.text, sizeof(fake_draft.text), "-");
	fake_draft.text_until = 0;
	if (fake.c.draft_turn == 0 || present.seen.draft == NULL)
		return;
	assert_true(present.seen.draft_length < sizeof(fake_draft.text));
	(void)memcpy(fake_draft.text, present.seen.draft, present.seen.draft_length);
	fake_draft.text[present.seen.draft_length] = '\0';
	fake_draft.text_until = clock_shown(present.seen.draft_until);
}

/* R is what the call came to. */
static int commit(int r)
{
	fake.said[fake.sink.used] = '\0';
	if (r < 0) {
		/* What is the process's own is not a matter of committing. */
		fake.c.wake_fd = present.seen.wake_fd;
		fake.c.local = present.seen.local;
		return r;
	}
	fake.c = present.seen;
	fake.c.state = fake.state;
	/* The operator's own tests say what the draft is. */
	if (strcmp(fake.ops->name, "fifo") != 0) {
		take_draft();
		fake.c.draft = NULL;
	}
	(void)memcpy(fake.state, present.state, sizeof(fake.state));
	return r;
}

int fake_open(const struct marcel_responder_ops *ops, void *shared)
{
	static const uint8_t id[16] = {1};

	fake.ops = ops;
	fake.c = (struct marcel_conversation){
		.shared = shared,
		.state = fake.state,
		.state_size = ops->state_size,
		.state_used = ops->state_begin > 0 ? ops->state_begin : ops->state_size,
		.number = 17,
		.peer = "127.0.0.1:4711",
		.listener = "marcel",
		.opened = 4711,
		.id = id,
		.wake_fd = -1,
		.pad = fake.pad,
		.loaded = fake.c.loaded,
	};
	return commit(ops->open(begin()));
}

int fake_message(const char *text)
{
	struct marcel_conversation *seen = begin();

	seen->turn = fake.c.turn + 1;
	return commit(fake.ops->respond(seen, text, strlen(text), &fake.sink));
}

int fake_wake(enum marcel_wake reason)
{
	struct marcel_conversation *seen = begin();

	if (reason == MARCEL_WAKE_TIMER)
		seen->wake_at = 0;
	return commit(fake.ops->wake(seen, reason, &fake.sink));
}

int fake_order(uint64_t turn, const char *line)
{
	const struct marcel_order order = {turn, line, strlen(line)};

	return commit(fake.ops->order(begin(), &order, &fake.sink));
}

int fake_write(const char *lines)
{
	assert_int_equal(write(fake.fds[1], lines, strlen(lines)), strlen(lines));
	return fake.ops->drain(&fake.c);
}

int fake_obey(const char *lines)
{
	char said_before[sizeof(fake.said)] = "";
	size_t used = 0;
	int r = fake_write(lines);

	if (r == 1)
		r = fake_wake(MARCEL_WAKE_READY);
	for (;;) {
		(void)memcpy(said_before + used, fake.said, fake.sink.used);
		used += fake.sink.used;
		if (r != MARCEL_CONTINUE || fake.c.wake_at == 0 || fake.c.wake_at > fake_now)
			break;
		r = fake_wake(MARCEL_WAKE_TIMER);
	}
	said_before[used] = '\0';
	(void)memcpy(fake.said, said_before, used + 1);
	return r;
}

int fake_pass(usec_t usec)
{
	usec_t until = fake_now + usec;
	int r = MARCEL_CONTINUE;

	fake.said[0] = '\0';
	while (r == MARCEL_CONTINUE && fake.c.wake_at != 0 && fake.c.wake_at <= until) {
		if (fake.c.wake_at > fake_now)
			fake_now = fake.c.wake_at;
		r = fake_wake(MARCEL_WAKE_TIMER);
	}
	fake_now = until;
	return r;
}

int fake_restore(void)
{
	fake.c.wake_fd = -1;
	fake.c.local = NULL;
	fake.c.waiting = 0;
	fake.c.draft_turn = 0;
	fake.c.speaker = NULL;
	return commit(fake.ops->restore(begin(), fake.ops->state_version));
}

void fake_close(const char *reason, const char *to)
{
	struct marcel_conversation *seen = begin();

	seen->reason = reason;
	seen->give_to = to;
	fake.ops->close(seen);
}

void fake_expect(const char *expected)
{
	assert_string_equal(fake.log, expected);
	fake.log[0] = '\0';
}

void fake_expect_said(const char *expected)
{
	assert_string_equal(fake.said, expected);
}
