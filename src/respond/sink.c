/* Appending replies; the contract is in marcel/responder.h, the layout in sink.h. */
#include "respond/sink.h"

#include <errno.h>
#include <string.h>

static int append(struct marcel_sink *sink, const char *text, size_t length, size_t end_length)
{
	char *to = sink->bytes + sink->used;

	if (length > sink->room - sink->used || end_length > sink->room - sink->used - length)
		return -ENOSPC;
	if (length > 0)
		(void)memcpy(to, text, length);
	if (end_length > 0)
		(void)memcpy(to + length, sink->line_end, end_length);
	sink->used += length + end_length;
	sink->replies++;
	if (sink->said != NULL)
		sink->said(sink->context, to, length);
	return 0;
}

int marcel_say(struct marcel_sink *sink, const char *text, size_t length)
{
	return append(sink, text, length, sink->line_end_length);
}

int marcel_send(struct marcel_sink *sink, const char *bytes, size_t length)
{
	return append(sink, bytes, length, 0);
}
