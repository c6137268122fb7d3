/* Gathering an exchange; see exchange.h. */
#include "marcelctl/exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Pieces that are not further apart than this were said in one go. */
#define CLOSE_BY (50 * USEC_PER_MSEC)

static int append(struct stream *stream, const char *bytes, size_t length)
{
	if (length > EXCHANGE_MAX - stream->length)
		return -EFBIG;
	if (stream->length + length > stream->room) {
		size_t room = stream->room > 0 ? 2 * stream->room : 4096;
		char *more;

		while (room < stream->length + length)
			room *= 2;
		more = realloc(stream->bytes, room);
		if (more == NULL)
			return -ENOMEM;
		stream->bytes = more;
		stream->room = room;
	}
	if (length > 0)
		memcpy(stream->bytes + stream->length, bytes, length);
	stream->length += length;
	return 0;
}

static struct exchange_event *new_event(struct exchange *exchange)
{
	if (exchange->count == exchange->room) {
		const size_t room = exchange->room > 0 ? 2 * exchange->room : 64;
		struct exchange_event *more = reallocarray(exchange->events, room, sizeof(*more));

		if (more == NULL)
			return NULL;
		exchange->events = more;
		exchange->room = room;
	}
	return &exchange->events[exchange->count++];
}

int exchange_add(struct exchange *exchange, enum exchange_kind kind, usec_t when, const char *bytes,
		 size_t length)
{
	struct stream *stream = kind == EXCHANGE_CLIENT ? &exchange->client : &exchange->server;
	struct exchange_event *event = NULL;
	int r;

	if (exchange->count > 0)
		event = &exchange->events[exchange->count - 1];
	if (event == NULL || event->kind != kind || event->until + CLOSE_BY < when) {
		event = new_event(exchange);
		if (event == NULL)
			return -ENOMEM;
		*event = (struct exchange_event){.kind = kind,
						 .when = when,
						 .from = stream->length,
						 .to = stream->length};
	}
	r = append(stream, bytes, length);
	if (r < 0)
		return r;
	event->to += length;
	event->until = when;
	return 0;
}

void exchange_done(struct exchange *exchange)
{
	free(exchange->events);
	free(exchange->client.bytes);
	free(exchange->server.bytes);
	*exchange = (struct exchange){.events = NULL};
}
