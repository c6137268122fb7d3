/*
 * What a script says: lines, bytes, lines that drip, notes.
 *
 * What found no room is said by the same instruction once more, with the same random numbers and
 * serial: nothing shows that it was tried before. So that a drip is one text however long it takes,
 * its text is kept in the heap, unless it is always the same; it can have SCRIPT_VALUE_MAX bytes
 * then. The draft of a hand is kept there as well, so that it is what was shown to whoever could
 * approve it; one that is too long is made anew when it is said, and nobody was shown it.
 */
#include <errno.h>
#include <string.h>

#include "respond/script/run-priv.h"

int say_line(struct run *run, const char *text, size_t length)
{
	int r = run->output->say(run->output->context, text, length);

	return r == -ENOSPC ? (int)STEP_ROOM : r < 0 ? r : (int)STEP_NEXT;
}

static int send_bytes(struct run *run, const char *bytes, size_t length)
{
	int r = run->output->send(run->output->context, bytes, length);

	return r == -ENOSPC ? (int)STEP_ROOM : r < 0 ? r : (int)STEP_NEXT;
}

/* Appends TEXT with each dot that begins a line doubled (RFC 5321, 4.5.2). */
static int add_stuffed(struct expansion *to, struct span text)
{
	bool begins = true;
	size_t from = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < text.length; i++) {
		if (begins && text.bytes[i] == '.') {
			r = expansion_add(to, text.bytes + from, i - from);
			if (r == 0)
				r = expansion_add(to, ".", 1);
			from = i;
		}
		begins = text.bytes[i] == '\n';
	}
	return r < 0 ? r : expansion_add(to, text.bytes + from, text.length - from);
}

int say_text(struct run *run, const struct text *text, bool stuff, bool line)
{
	struct expansion expansion = {.bytes = NULL}, stuffed = {.bytes = NULL};
	struct view before = run->view;
	struct span span;
	int r = text_span(run, text, &expansion, &span);

	if (r == 0 && stuff) {
		r = add_stuffed(&stuffed, span);
		span = (struct span){stuffed.length > 0 ? stuffed.bytes : "", stuffed.length};
	}
	if (r == 0)
		r = line ? say_line(run, span.bytes, span.length)
			 : send_bytes(run, span.bytes, span.length);
	if (r == STEP_ROOM)
		run->view = before;
	expansion_done(&expansion);
	expansion_done(&stuffed);
	return r;
}

int say_log(struct run *run, const struct text *text)
{
	struct expansion expansion = {.bytes = NULL};
	struct span span;
	int r = text_span(run, text, &expansion, &span);

	if (r == 0)
		run_note(run, NOTE_LOG, span.bytes, span.length);
	expansion_done(&expansion);
	return r;
}

bool text_never_changes(const struct text *text)
{
	return text->n_parts == 0 || (text->n_parts == 1 && text->parts[0].kind == PART_TEXT &&
				      text->parts[0].n_filters == 0);
}

int say_draft(struct run *run, const struct instruction *hand)
{
	struct span kept;

	uint32_t id = kept_drip(run->script, &run->state);
	int r;

	if (!heap_get(&run->heap, id, &kept))
		return say_text(run, &hand->text, false, true);
	r = say_line(run, kept.bytes, kept.length);
	if (r != STEP_ROOM)
		heap_clear(&run->heap, id);
	return r;
}

/* What drips by INSTRUCTION; what changes is kept when it begins. */
static int drip_text(struct run *run, const struct instruction *instruction, bool begins,
		     struct span *ret)
{
	uint32_t id = kept_drip(run->script, &run->state);
	struct expansion expansion = {.bytes = NULL};
	int r = 0;

	*ret = (struct span){.bytes = ""};
	if (text_never_changes(&instruction->text))
		return text_span(run, &instruction->text, &expansion, ret);
	if (begins) {
		r = text_span(run, &instruction->text, &expansion, ret);
		if (r == 0)
			r = heap_set(&run->heap, id, ret->bytes, ret->length);
		expansion_done(&expansion);
		*ret = (struct span){.bytes = ""};
	}
	if (r == 0)
		(void)heap_get(&run->heap, id, ret);
	return r;
}

int say_drip(struct run *run, uint32_t pc, uint64_t offset, bool begins)
{
	const struct instruction *instruction = &run->script->code[pc];
	uint64_t size = instruction->size > 0 ? instruction->size : 1;
	struct span text;
	int r = drip_text(run, instruction, begins, &text);

	if (r < 0)
		return r;
	if (offset > text.length)
		offset = text.length;
	if (size < text.length - offset && !run->hurried) {
		r = send_bytes(run, text.bytes + offset, (size_t)size);
		if (r < 0)
			return r;
		run->state.now.offset = offset + (r == STEP_ROOM ? 0 : size);
		r = rule_suspend(run, SUSPENDED_DRIP, pc,
				 r == STEP_ROOM ? run->world->now
						: run_deadline(run, instruction->least));
		return r < 0 ? r : (int)STEP_SUSPEND;
	}
	r = say_line(run, text.bytes + offset, text.length - (size_t)offset);
	if (r == STEP_ROOM && !run->hurried) {
		run->state.now.offset = offset;
		r = rule_suspend(run, SUSPENDED_DRIP, pc, run->world->now);
		return r < 0 ? r : (int)STEP_SUSPEND;
	}
	if (!text_never_changes(&instruction->text))
		heap_clear(&run->heap, kept_drip(run->script, &run->state));
	return r;
}
