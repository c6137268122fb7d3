/*
 * Recording; see record.h. Here a record is put together; sender.c takes it from there.
 *
 * A record made before record_start() or after record_stop() is formatted and sent by its own
 * thread. After a stop that had to leave the journal thread asleep, that would hang the caller as
 * well: such records go to the leftover file.
 */
#include "record/record.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "record/leftover.h"
#include "record/record-priv.h"
#include "record/sender.h"

/* Longer texts of events need memory while they are made. */
#define EVENT_TEXT_USUAL 512

/* What the encoding has room for; nothing that exists is longer. */
#define NAME_SIZE_MAX  1024
#define VALUE_SIZE_MAX ((size_t)64 * 1024)

/* Set by record_start() and record_stop(), read by every thread. */
static struct sender *_Atomic current;

/* The transcript's settings. Each is read alone: a reload may mix old and new for one message. */
static _Atomic(enum transcript_policy) transcript_policy = TRANSCRIPT_FULL;
static _Atomic size_t transcript_max = 4096;

/* Main thread only: where records go outside of start and stop. */
static enum record_output direct_output = RECORD_OUTPUT_AUTO;
static char *stalled_leftover;
static bool stalled;

static struct span span_of(const char *text, size_t max)
{
	if (text == NULL)
		return (struct span){.bytes = NULL};
	return (struct span){.bytes = text, .size = strnlen(text, max)};
}

static void send_directly(const struct entry *entry)
{
	struct formatted formatted = {.buffer = NULL};
	struct record_transport transport;

	if (stalled) {
		if (stalled_leftover != NULL)
			(void)leftover_append(stalled_leftover, entry);
		return;
	}
	transport = transport_for(direct_output);
	if (format_entry(&formatted, transport.output, entry) == 0)
		(void)transport.send(transport.context, formatted.parts, formatted.n_parts);
	formatted_done(&formatted);
}

static void append(const struct entry *entry)
{
	struct sender *sender = atomic_load_explicit(&current, memory_order_acquire);

	if (sender != NULL)
		sender_append(sender, entry);
	else
		send_directly(entry);
}

static void set_about(struct entry *entry, const struct record_about *about)
{
	entry->timestamp = clock_realtime();
	if (about == NULL)
		return;
	entry->flags |= ENTRY_ABOUT;
	entry->number = about->number;
	if (about->id != NULL) {
		entry->flags |= ENTRY_ID;
		entry->id = about->id;
	}
	entry->peer = span_of(about->peer, NAME_SIZE_MAX);
	entry->listener = span_of(about->listener, NAME_SIZE_MAX);
}

__attribute__((format(printf, 5, 0))) static void
record_arguments(enum record_kind kind, const struct record_about *about,
		 const struct record_field *fields, size_t n_fields, const char *format,
		 va_list arguments)
{
	struct entry_field entry_fields[ENTRY_FIELDS_MAX];
	struct entry entry = {.kind = kind, .fields = entry_fields};
	char usual[EVENT_TEXT_USUAL];
	auto_free char *longer = NULL;
	char *text = usual;
	va_list again;
	int length;

	va_copy(again, arguments);
	length = vsnprintf(usual, sizeof(usual), format, arguments);
	if (length >= (int)sizeof(usual)) {
		if (vasprintf(&longer, format, again) < 0)
			longer = NULL; /* then its beginning must do */
		else
			text = longer;
	}
	va_end(again);
	if (length < 0)
		usual[0] = '\0';

	set_about(&entry, about);
	entry.text = span_of(text, VALUE_SIZE_MAX);
	for (size_t i = 0; i < n_fields && i < ENTRY_FIELDS_MAX; i++)
		entry_fields[entry.n_fields++] = (struct entry_field){
			.name = span_of(fields[i].name, NAME_SIZE_MAX),
			.value = span_of(fields[i].value, VALUE_SIZE_MAX),
		};
	append(&entry);
}

void record_event(enum record_kind kind, const struct record_about *about,
		  const struct record_field *fields, size_t n_fields, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	record_arguments(kind, about, fields, n_fields, format, arguments);
	va_end(arguments);
}

void record_note(enum record_kind kind, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	record_arguments(kind, NULL, NULL, 0, format, arguments);
	va_end(arguments);
}

/* How many of LENGTH bytes at TEXT to keep so that at most MAX are and no character is cut. */
static size_t cut(const char *text, size_t length, size_t max)
{
	size_t kept = max;

	if (length <= max)
		return length;
	/* A character of UTF-8 has at most three bytes after its first; other bytes may be cut
	 * anywhere. */
	while (kept > 0 && max - kept < 3 && ((unsigned char)text[kept] & 0xC0) == 0x80)
		kept--;
	return ((unsigned char)text[kept] & 0xC0) == 0x80 ? max : kept;
}

/* A line of the transcript as far as it is known before its text. */
static struct entry said_entry(const struct record_about *about, enum record_speaker speaker,
			       uint64_t turn)
{
	struct entry entry = {
		.kind = RECORD_SAID,
		.flags = speaker == RECORD_CLIENT ? ENTRY_CLIENT : ENTRY_SERVER,
		.turn = turn,
	};

	set_about(&entry, about);
	return entry;
}

void record_said(const struct record_about *about, enum record_speaker speaker, uint64_t turn,
		 const char *text, size_t length)
{
	record_said_by(about, speaker, turn, NULL, text, length);
}

void record_said_by(const struct record_about *about, enum record_speaker speaker, uint64_t turn,
		    const char *rule, const char *text, size_t length)
{
	enum transcript_policy policy =
		atomic_load_explicit(&transcript_policy, memory_order_relaxed);
	struct entry_field field = {
		.name = {.bytes = "MARCEL_RULE", .size = strlen("MARCEL_RULE")},
	};
	struct sender *sender;
	struct entry entry;
	size_t max;

	if (policy == TRANSCRIPT_OFF)
		return;
	entry = said_entry(about, speaker, turn);
	entry.said_size = length;
	if (rule != NULL) {
		field.value = (struct span){.bytes = rule, .size = strlen(rule)};
		entry.fields = &field;
		entry.n_fields = 1;
	}
	if (policy == TRANSCRIPT_SIZES) {
		entry.flags |= ENTRY_SIZE;
	} else {
		sender = atomic_load_explicit(&current, memory_order_acquire);
		max = atomic_load_explicit(&transcript_max, memory_order_relaxed);
		if (sender != NULL && max > sender_text_max(sender))
			max = sender_text_max(sender);
		entry.text = (struct span){.bytes = text, .size = cut(text, length, max)};
	}
	append(&entry);
}

void record_withheld(const struct record_about *about, enum record_speaker speaker, uint64_t turn)
{
	struct entry entry;

	if (atomic_load_explicit(&transcript_policy, memory_order_relaxed) == TRANSCRIPT_OFF)
		return;
	entry = said_entry(about, speaker, turn);
	entry.flags |= ENTRY_SECRET;
	append(&entry);
}

void record_set_transcript(enum transcript_policy policy, size_t max)
{
	atomic_store_explicit(&transcript_max, max, memory_order_relaxed);
	atomic_store_explicit(&transcript_policy, policy, memory_order_relaxed);
}

int record_start_with(const struct record_transport *transport, void *ring, size_t space,
		      const char *leftover)
{
	struct sender *sender;
	char *path = NULL;
	int error;

	if (leftover != NULL) {
		path = strdup(leftover);
		if (path == NULL)
			return -ENOMEM;
	}
	error = sender_start(transport, ring, space, leftover, &sender);
	if (error < 0) {
		free(path);
		return error;
	}
	free(stalled_leftover);
	stalled_leftover = path;
	stalled = false;
	atomic_store_explicit(&current, sender, memory_order_release);
	return 0;
}

int record_start(enum record_output output, void *ring, size_t space, const char *leftover)
{
	struct record_transport transport = transport_for(output);
	int error = record_start_with(&transport, ring, space, leftover);

	if (error == 0)
		direct_output = output;
	return error;
}

void record_stop(usec_t deadline)
{
	struct sender *sender = atomic_exchange(&current, NULL);

	if (sender == NULL)
		return;
	stalled = !sender_stop(sender, deadline, false);
	if (!stalled) {
		free(stalled_leftover);
		stalled_leftover = NULL;
	}
}

void record_set_output(enum record_output output)
{
	direct_output = output;
}

void record_leave(void)
{
	struct sender *sender = atomic_exchange(&current, NULL);

	if (sender != NULL)
		stalled = !sender_stop(sender, clock_now(), true);
}

bool record_is_keeping_up(void)
{
	struct sender *sender = atomic_load_explicit(&current, memory_order_acquire);

	return sender == NULL || sender_keeps_up(sender);
}
