/*
 * From a record to what is sent: fields for the journal, a line of text, or a line of JSON. The
 * journal thread's work.
 *
 * Everything that a peer may have written passes through text_escape() here, in every output: one
 * record is one line, and control characters never reach a terminal. The buffer is made large
 * enough before a record is written into it, so that nothing after that can fail.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <syslog.h>

#include "base/text.h"
#include "record/record-priv.h"

/* A byte of a record becomes at most this many: \xHH, with its backslash doubled in JSON. */
#define GROWTH_MAX 5
/* What the fixed names, numbers and marks of a record take at most, and of one more field. */
#define FIXED_MAX 1024
/* A buffer that a large record made larger than this is not kept. */
#define ROOM_KEPT ((size_t)256 * 1024)

#define KIND_INFO(NAME, kind_name, id, level, group) \
	[RECORD_##NAME] = {                          \
		.name = #kind_name,                  \
		.message_id = (id),                  \
		.priority = (level),                 \
		.class = RECORD_##group,             \
	},
const struct record_kind_info record_kind_infos[RECORD_KIND_COUNT] = {RECORD_KINDS(KIND_INFO)};

/* Writes the bytes of SPAN in the way of one output. */
typedef void put_function(struct formatted *out, struct span span);

static struct span span_of(const char *text)
{
	return (struct span){.bytes = text, .size = strlen(text)};
}

static int make_room(struct formatted *out, const struct entry *entry)
{
	size_t wanted = GROWTH_MAX * entry_size(entry) + FIXED_MAX;
	char *buffer;

	out->used = 0;
	out->n_parts = 0;
	if (out->room > ROOM_KEPT)
		formatted_done(out);
	if (out->room >= wanted)
		return 0;
	buffer = realloc(out->buffer, wanted);
	if (buffer == NULL)
		return -ENOMEM;
	out->buffer = buffer;
	out->room = wanted;
	return 0;
}

void formatted_done(struct formatted *formatted)
{
	free(formatted->buffer);
	formatted->buffer = NULL;
	formatted->room = 0;
	formatted->n_parts = 0;
}

__attribute__((format(printf, 2, 3))) static void put(struct formatted *out, const char *format,
						      ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(out->buffer + out->used, out->room - out->used, format, arguments);
	va_end(arguments);
	if (length > 0)
		out->used += (size_t)length;
}

static void put_escaped(struct formatted *out, struct span span)
{
	out->used += text_escape(out->buffer + out->used, out->room - out->used, span.bytes,
				 span.size, NULL);
}

/* As put_escaped(), inside a JSON string. */
static void put_json(struct formatted *out, struct span span)
{
	char piece[256];

	while (span.size > 0) {
		size_t used = 0;
		size_t length = text_escape(piece, sizeof(piece), span.bytes, span.size, &used);

		for (size_t i = 0; i < length; i++) {
			if (piece[i] == '"' || piece[i] == '\\')
				out->buffer[out->used++] = '\\';
			out->buffer[out->used++] = piece[i];
		}
		span.bytes += used;
		span.size -= used;
	}
}

static void put_bytes_said(struct formatted *out, uint64_t size)
{
	put(out, "(%" PRIu64 " %s)", size, size == 1 ? "byte" : "bytes");
}

/* What a person reads: "C> bonjour", or the text of an event. */
static void put_message(struct formatted *out, const struct entry *entry, put_function *put_span)
{
	if ((entry->flags & (ENTRY_CLIENT | ENTRY_SERVER)) == 0) {
		put_span(out, entry->text);
		return;
	}
	put(out, (entry->flags & ENTRY_CLIENT) != 0 ? "C> " : "S> ");
	if ((entry->flags & ENTRY_SECRET) != 0) {
		put(out, "(withheld)");
		return;
	}
	if ((entry->flags & ENTRY_SIZE) != 0) {
		put_bytes_said(out, entry->said_size);
		return;
	}
	put_span(out, entry->text);
	if (entry->text.size < entry->said_size) {
		put(out, "… ");
		put_bytes_said(out, entry->said_size);
	}
}

static void put_id(struct formatted *out, const uint8_t *id)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < ENTRY_ID_SIZE; i++) {
		out->buffer[out->used++] = digits[id[i] >> 4];
		out->buffer[out->used++] = digits[id[i] & 15];
	}
}

/* Begins a part; it is only an offset until end_parts(), for its end is not known. */
static void begin_part(struct formatted *out)
{
	out->parts[out->n_parts++].iov_len = out->used;
}

static void end_parts(struct formatted *out)
{
	size_t end = out->used;

	for (size_t i = out->n_parts; i-- > 0;) {
		size_t begin = out->parts[i].iov_len;

		out->parts[i].iov_base = out->buffer + begin;
		out->parts[i].iov_len = end - begin;
		end = begin;
	}
}

static void put_journal_span(struct formatted *out, const char *name, struct span value)
{
	begin_part(out);
	put(out, "%s=", name);
	put_escaped(out, value);
}

static void put_journal_number(struct formatted *out, const char *name, uint64_t value)
{
	begin_part(out);
	put(out, "%s=%" PRIu64, name, value);
}

static void format_journal(struct formatted *out, const struct entry *entry)
{
	const struct record_kind_info *info = &record_kind_infos[entry->kind];

	begin_part(out);
	put(out, "MESSAGE=");
	put_message(out, entry, put_escaped);
	begin_part(out);
	put(out, "MESSAGE_ID=%s", info->message_id);
	put_journal_number(out, "PRIORITY", (uint64_t)info->priority);
	put_journal_number(out, "MARCEL_TIMESTAMP", entry->timestamp);
	if ((entry->flags & ENTRY_ABOUT) != 0)
		put_journal_number(out, "MARCEL_CONVERSATION", entry->number);
	if ((entry->flags & ENTRY_ID) != 0) {
		begin_part(out);
		put(out, "MARCEL_CONVERSATION_ID=");
		put_id(out, entry->id);
	}
	if (entry->peer.size > 0)
		put_journal_span(out, "MARCEL_PEER", entry->peer);
	if (entry->listener.size > 0)
		put_journal_span(out, "MARCEL_LISTENER", entry->listener);
	if ((entry->flags & (ENTRY_CLIENT | ENTRY_SERVER)) != 0) {
		put_journal_number(out, "MARCEL_TURN", entry->turn);
		if ((entry->flags & ENTRY_SECRET) == 0)
			put_journal_number(out, "MARCEL_SIZE", entry->said_size);
		if ((entry->flags & ENTRY_SIZE) == 0 && entry->text.size < entry->said_size)
			put_journal_number(out, "MARCEL_KEPT", entry->text.size);
	}
	for (size_t i = 0; i < entry->n_fields; i++) {
		begin_part(out);
		put_escaped(out, entry->fields[i].name);
		put(out, "=");
		put_escaped(out, entry->fields[i].value);
	}
}

static void format_text(struct formatted *out, const struct entry *entry)
{
	begin_part(out);
	if ((entry->flags & ENTRY_ABOUT) != 0) {
		put(out, "[%" PRIu64, entry->number);
		if (entry->peer.size > 0) {
			put(out, " ");
			put_escaped(out, entry->peer);
		}
		put(out, "] ");
	}
	put_message(out, entry, put_escaped);
	put(out, "\n");
}

static void put_json_span(struct formatted *out, const char *key, struct span value)
{
	put(out, ",\"%s\":\"", key);
	put_json(out, value);
	put(out, "\"");
}

static void put_json_number(struct formatted *out, const char *key, uint64_t value)
{
	put(out, ",\"%s\":%" PRIu64, key, value);
}

/* MARCEL_REASON becomes "reason". */
static void put_json_field(struct formatted *out, const struct entry_field *field)
{
	static const char prefix[] = "MARCEL_";
	struct span name = field->name;

	if (name.size > sizeof(prefix) - 1 && memcmp(name.bytes, prefix, sizeof(prefix) - 1) == 0) {
		name.bytes += sizeof(prefix) - 1;
		name.size -= sizeof(prefix) - 1;
	}
	put(out, ",\"");
	for (size_t i = 0; i < name.size; i++) {
		char c = name.bytes[i];

		out->buffer[out->used++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	put(out, "\":\"");
	put_json(out, field->value);
	put(out, "\"");
}

static void format_json(struct formatted *out, const struct entry *entry)
{
	const struct record_kind_info *info = &record_kind_infos[entry->kind];

	begin_part(out);
	put(out, "{\"timestamp\":%" PRIu64, entry->timestamp);
	put_json_span(out, "kind", span_of(info->name));
	put_json_number(out, "priority", (uint64_t)info->priority);
	put(out, ",\"message\":\"");
	put_message(out, entry, put_json);
	put(out, "\"");
	put_json_span(out, "message_id", span_of(info->message_id));
	if ((entry->flags & ENTRY_ABOUT) != 0)
		put_json_number(out, "conversation", entry->number);
	if ((entry->flags & ENTRY_ID) != 0) {
		put(out, ",\"conversation_id\":\"");
		put_id(out, entry->id);
		put(out, "\"");
	}
	if (entry->peer.size > 0)
		put_json_span(out, "peer", entry->peer);
	if (entry->listener.size > 0)
		put_json_span(out, "listener", entry->listener);
	if ((entry->flags & (ENTRY_CLIENT | ENTRY_SERVER)) != 0) {
		put_json_number(out, "turn", entry->turn);
		if ((entry->flags & ENTRY_SECRET) == 0)
			put_json_number(out, "size", entry->said_size);
		if ((entry->flags & ENTRY_SIZE) == 0 && entry->text.size < entry->said_size)
			put_json_number(out, "kept", entry->text.size);
	}
	for (size_t i = 0; i < entry->n_fields; i++)
		put_json_field(out, &entry->fields[i]);
	put(out, "}\n");
}

int format_entry(struct formatted *formatted, enum record_output output, const struct entry *entry)
{
	int error = make_room(formatted, entry);

	if (error < 0)
		return error;
	switch (output) {
	case RECORD_OUTPUT_AUTO: /* transport_for() never leaves it */
	case RECORD_OUTPUT_JOURNAL:
		format_journal(formatted, entry);
		break;
	case RECORD_OUTPUT_TEXT:
		format_text(formatted, entry);
		break;
	case RECORD_OUTPUT_JSON:
		format_json(formatted, entry);
		break;
	}
	end_parts(formatted);
	return 0;
}
