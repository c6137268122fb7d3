/*
 * Encoding and decoding of records; see entry.h. The layout: struct wire, peer, listener, text, and
 * each field as two lengths, the name and the value.
 */
#include "record/entry.h"

#include <errno.h>
#include <string.h>

/* As the journal has it. */
#define NAME_SIZE_MAX 64

struct wire {
	uint64_t timestamp;
	uint64_t number;
	uint64_t turn;
	uint64_t said_size;
	uint8_t id[ENTRY_ID_SIZE];
	uint32_t text_size;
	uint16_t peer_size;
	uint16_t listener_size;
	uint16_t kind;
	uint8_t flags;
	uint8_t n_fields;
	uint32_t reserved; /* 0 */
};

struct wire_field {
	uint32_t value_size;
	uint32_t name_size;
};

_Static_assert(sizeof(struct wire) == 64, "no padding that would carry old bytes");

/* Where decoding stands; a NULL `at` means that it went wrong. */
struct cursor {
	const uint8_t *at;
	size_t left;
};

size_t entry_size(const struct entry *entry)
{
	size_t size =
		sizeof(struct wire) + entry->peer.size + entry->listener.size + entry->text.size;

	for (size_t i = 0; i < entry->n_fields; i++)
		size += sizeof(struct wire_field) + entry->fields[i].name.size +
			entry->fields[i].value.size;
	return size;
}

static uint8_t *put(uint8_t *to, const void *from, size_t size)
{
	/* memcpy() from NULL is undefined even for no bytes. */
	if (size > 0)
		memcpy(to, from, size);
	return to + size;
}

void entry_encode(uint8_t *buffer, const struct entry *entry)
{
	struct wire wire = {
		.timestamp = entry->timestamp,
		.number = entry->number,
		.turn = entry->turn,
		.said_size = entry->said_size,
		.text_size = (uint32_t)entry->text.size,
		.peer_size = (uint16_t)entry->peer.size,
		.listener_size = (uint16_t)entry->listener.size,
		.kind = (uint16_t)entry->kind,
		.flags = (uint8_t)entry->flags,
		.n_fields = (uint8_t)entry->n_fields,
	};

	if ((entry->flags & ENTRY_ID) != 0)
		memcpy(wire.id, entry->id, ENTRY_ID_SIZE);
	buffer = put(buffer, &wire, sizeof(wire));
	buffer = put(buffer, entry->peer.bytes, entry->peer.size);
	buffer = put(buffer, entry->listener.bytes, entry->listener.size);
	buffer = put(buffer, entry->text.bytes, entry->text.size);
	for (size_t i = 0; i < entry->n_fields; i++) {
		const struct entry_field *field = &entry->fields[i];
		struct wire_field head = {
			.value_size = (uint32_t)field->value.size,
			.name_size = (uint32_t)field->name.size,
		};

		buffer = put(buffer, &head, sizeof(head));
		buffer = put(buffer, field->name.bytes, field->name.size);
		buffer = put(buffer, field->value.bytes, field->value.size);
	}
}

/* The next SIZE bytes; none of them if they are not there, and the cursor is broken then. */
static struct span take(struct cursor *cursor, size_t size)
{
	struct span span = {.bytes = (const char *)cursor->at, .size = size};

	if (cursor->at == NULL || size > cursor->left) {
		cursor->at = NULL;
		return (struct span){.bytes = NULL};
	}
	cursor->at += size;
	cursor->left -= size;
	return span;
}

/* Whether NAME may stand before '=' in the journal's protocol. */
static bool is_field_name(struct span name)
{
	if (name.size == 0 || name.size > NAME_SIZE_MAX)
		return false;
	for (size_t i = 0; i < name.size; i++) {
		char c = name.bytes[i];

		if (c >= 'A' && c <= 'Z')
			continue;
		if (i == 0 || (c != '_' && (c < '0' || c > '9')))
			return false;
	}
	return true;
}

static bool take_field(struct cursor *cursor, struct entry_field *ret_field)
{
	struct span bytes = take(cursor, sizeof(struct wire_field));
	struct wire_field head;

	if (cursor->at == NULL)
		return false;
	memcpy(&head, bytes.bytes, sizeof(head));
	ret_field->name = take(cursor, head.name_size);
	ret_field->value = take(cursor, head.value_size);
	return cursor->at != NULL && is_field_name(ret_field->name);
}

int entry_decode(const uint8_t *buffer, size_t size, struct entry *ret_entry,
		 struct entry_field fields[ENTRY_FIELDS_MAX])
{
	struct cursor cursor;
	struct entry entry;
	struct wire wire;

	if (size < sizeof(wire))
		return -EBADMSG;
	memcpy(&wire, buffer, sizeof(wire));
	cursor = (struct cursor){.at = buffer + sizeof(wire), .left = size - sizeof(wire)};
	if (wire.kind >= RECORD_KIND_COUNT || wire.n_fields > ENTRY_FIELDS_MAX)
		return -EBADMSG;
	entry = (struct entry){
		.kind = (enum record_kind)wire.kind,
		.flags = wire.flags,
		.timestamp = wire.timestamp,
		.number = wire.number,
		.turn = wire.turn,
		.said_size = wire.said_size,
		.fields = fields,
		.n_fields = wire.n_fields,
	};
	if ((entry.flags & ENTRY_ID) != 0)
		entry.id = buffer + offsetof(struct wire, id);
	entry.peer = take(&cursor, wire.peer_size);
	entry.listener = take(&cursor, wire.listener_size);
	entry.text = take(&cursor, wire.text_size);
	for (size_t i = 0; i < entry.n_fields; i++)
		if (!take_field(&cursor, &fields[i]))
			return -EBADMSG;
	if (cursor.at == NULL || cursor.left > 0)
		return -EBADMSG;
	*ret_entry = entry;
	return 0;
}
