/* Appending replies; the contract is in marcel/responder.h, the layout in sink.h. */
#include "respond/sink.h"

#include <errno.h>
#include <string.h>

static bool fits(const struct marcel_sink *sink, size_t length, size_t end_length)
{
	size_t left = sink->room - sink->used;

	return length <= left && end_length <= left - length;
}

/* Goes on in the larger buffer, with all that is said already. */
static void spill(struct marcel_sink *sink)
{
	(void)memcpy(sink->spill, sink->bytes - sink->before, sink->before + sink->used);
	sink->bytes = sink->spill + sink->before;
	sink->room = sink->spill_room - sink->before;
	sink->spill = NULL;
	sink->spilled = true;
}

static int append(struct marcel_sink *sink, const char *text, size_t length, size_t end_length)
{
	char *to;

	if (!fits(sink, length, end_length) && sink->spill != NULL)
		spill(sink);
	if (!fits(sink, length, end_length))
		return -ENOSPC;
	to = sink->bytes + sink->used;
	if (length > 0)
		(void)memcpy(to, text, length);
	if (end_length > 0)
		(void)memcpy(to + length, sink->line_end, end_length);
	sink->used += length + end_length;
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
