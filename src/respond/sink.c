/* Appending replies; the contract is in marcel/responder.h, the layout in sink.h. */
#include "respond/sink.h"

#include <errno.h>
#include <string.h>

static bool fits(const struct marcel_sink *sink, size_t length)
{
	return length <= sink->room - sink->used;
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

/* What stands around a reply. */
struct frame_of_reply {
	char front[8];
	size_t front_length;
	const char *end;
	size_t end_length;
};

static int append(struct marcel_sink *sink, const char *text, size_t length,
		  const struct frame_of_reply *around)
{
	size_t ends = around->front_length + around->end_length;
	char *to;

	if (length > SIZE_MAX - ends)
		return -ENOSPC;
	if (!fits(sink, length + ends) && sink->spill != NULL)
		spill(sink);
	if (!fits(sink, length + ends))
		return -ENOSPC;
	to = sink->bytes + sink->used;
	(void)memcpy(to, around->front, around->front_length);
	to += around->front_length;
	if (length > 0)
		(void)memcpy(to, text, length);
	if (around->end_length > 0)
		(void)memcpy(to + length, around->end, around->end_length);
	sink->used += length + ends;
	if (sink->said != NULL)
		sink->said(sink->context, to, length);
	return 0;
}

/* The length of a reply as a big-endian number; -EMSGSIZE: it is too long for that. */
static int put_prefix(struct frame_of_reply *around, size_t prefix, size_t length)
{
	if (prefix < sizeof(length) && length >> (8 * prefix) != 0)
		return -EMSGSIZE;
	for (size_t i = 0; i < prefix; i++)
		around->front[i] = (char)(length >> (8 * (prefix - 1 - i)));
	around->front_length = prefix;
	return 0;
}

int marcel_say(struct marcel_sink *sink, const char *text, size_t length)
{
	struct frame_of_reply around = {.end = sink->line_end};
	int r;

	if (sink->prefix > 0) {
		r = put_prefix(&around, sink->prefix, length);
		if (r < 0)
			return r;
	} else if (sink->join != 0) {
		around.front[0] = sink->join;
		around.front_length = sink->joined;
	} else {
		around.end_length = sink->line_end_length;
	}
	r = append(sink, text, length, &around);
	if (r == 0 && sink->join != 0)
		sink->joined = true;
	return r;
}

int marcel_send(struct marcel_sink *sink, const char *bytes, size_t length)
{
	return append(sink, bytes, length, &(struct frame_of_reply){.end_length = 0});
}

int sink_end_line(struct marcel_sink *sink)
{
	sink_said_fn *said = sink->said;
	int r;

	if (!sink->joined)
		return 0;
	/* The transcript has it all already. */
	sink->said = NULL;
	r = append(sink, "", 0,
		   &(struct frame_of_reply){.end = sink->line_end,
					    .end_length = sink->line_end_length});
	sink->said = said;
	if (r == 0)
		sink->joined = false;
	return r;
}

void marcel_note(struct marcel_sink *sink, enum marcel_note note, const char *rule,
		 const char *text, size_t length)
{
	if (sink->note != NULL)
		sink->note(sink->context, note, rule, text, length);
}
