/*
 * Events in bounded memory: a ring of bytes, each event followed by its text. Pure; whoever owns a
 * ring guards it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "converse/watch-priv.h"

int ring_make(struct watch_ring *ring, size_t size)
{
	*ring = (struct watch_ring){.bytes = malloc(size), .size = size};
	return ring->bytes != NULL ? 0 : -ENOMEM;
}

/* Copies LENGTH bytes between the ring, from stream offset AT on, and memory. */
static void put_bytes(struct watch_ring *ring, uint64_t at, const void *from, size_t length)
{
	size_t offset = (size_t)(at % ring->size);
	size_t first = length < ring->size - offset ? length : ring->size - offset;

	if (first > 0)
		(void)memcpy(ring->bytes + offset, from, first);
	if (length > first)
		(void)memcpy(ring->bytes, (const char *)from + first, length - first);
}

static void get_bytes(const struct watch_ring *ring, uint64_t at, void *to, size_t length)
{
	size_t offset = (size_t)(at % ring->size);
	size_t first = length < ring->size - offset ? length : ring->size - offset;

	if (first > 0)
		(void)memcpy(to, ring->bytes + offset, first);
	if (length > first)
		(void)memcpy((char *)to + first, ring->bytes, length - first);
}

static size_t size_of(const struct watch_event *event)
{
	return sizeof(*event) + event->length;
}

bool queue_put(struct watch_ring *ring, const struct watch_event *event, const char *text)
{
	if (size_of(event) > ring->size - (size_t)(ring->end - ring->begin))
		return false;
	put_bytes(ring, ring->end, event, sizeof(*event));
	put_bytes(ring, ring->end + sizeof(*event), text, event->length);
	ring->end += size_of(event);
	return true;
}

bool queue_take(struct watch_ring *ring, struct watch_event *ret_event, char text[WATCH_TEXT_MAX])
{
	if (ring->begin == ring->end)
		return false;
	get_bytes(ring, ring->begin, ret_event, sizeof(*ret_event));
	get_bytes(ring, ring->begin + sizeof(*ret_event), text, ret_event->length);
	ring->begin += size_of(ret_event);
	return true;
}
