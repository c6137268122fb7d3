/* What was said last in a conversation; see past.h. */
#include "respond/past.h"

#include <string.h>

/* What stands before a line's text. Saved. */
struct head {
	uint64_t time;
	uint64_t turn;
	uint32_t length; /* of the text that follows */
	uint32_t whole;  /* bytes it had before it was cut */
	uint8_t who;
	uint8_t withheld;
	uint8_t spare[6];
};
static_assert(sizeof(struct head) == 32, "no padding: it is saved");

static uint64_t begin_of(const struct marcel_past *past)
{
	return atomic_load_explicit(&past->begin, memory_order_relaxed);
}

static uint64_t end_of(const struct marcel_past *past)
{
	return atomic_load_explicit(&past->end, memory_order_relaxed);
}

/* Copies LENGTH bytes into the ring, from stream offset AT on / out of it. */
static void put_bytes(struct marcel_past *past, uint64_t at, const void *from, size_t length)
{
	size_t offset = (size_t)(at % PAST_ROOM);
	size_t first = length < PAST_ROOM - offset ? length : PAST_ROOM - offset;

	if (first > 0)
		(void)memcpy(past->bytes + offset, from, first);
	if (length > first)
		(void)memcpy(past->bytes, (const char *)from + first, length - first);
}

static void get_bytes(const struct marcel_past *past, uint64_t at, void *to, size_t length)
{
	size_t offset = (size_t)(at % PAST_ROOM);
	size_t first = length < PAST_ROOM - offset ? length : PAST_ROOM - offset;

	if (first > 0)
		(void)memcpy(to, past->bytes + offset, first);
	if (length > first)
		(void)memcpy((char *)to + first, past->bytes, length - first);
}

void past_add(struct marcel_past *past, const struct marcel_line *line)
{
	bool withheld = line->length == MARCEL_WITHHELD;
	size_t whole = withheld ? 0 : line->length;
	const struct head head = {
		.time = line->time,
		.turn = line->turn,
		.length = (uint32_t)(whole < PAST_TEXT_MAX ? whole : PAST_TEXT_MAX),
		.whole = (uint32_t)(whole < UINT32_MAX ? whole : UINT32_MAX),
		.who = (uint8_t)line->who,
		.withheld = withheld,
	};
	size_t size = sizeof(head) + head.length;
	uint64_t begin = begin_of(past), end = end_of(past);

	while (size > PAST_ROOM - (size_t)(end - begin)) {
		struct head oldest;

		get_bytes(past, begin, &oldest, sizeof(oldest));
		begin += sizeof(oldest) + oldest.length;
	}
	/* See the note on dying there. */
	atomic_store_explicit(&past->begin, begin, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
	put_bytes(past, end, &head, sizeof(head));
	put_bytes(past, end + sizeof(head), line->text, head.length);
	atomic_store_explicit(&past->end, end + size, memory_order_release);
}

void past_init(struct marcel_past *past)
{
	atomic_store_explicit(&past->begin, 0, memory_order_release);
	atomic_store_explicit(&past->end, 0, memory_order_release);
}

/* Reads the head of the line at *AT and moves it to the next one. Returns false at the end, and
 * where there is no line: then *AT is not the end. */
static bool next(const struct marcel_past *past, uint64_t *at, struct head *ret)
{
	uint64_t left = end_of(past) - *at;

	if (left < sizeof(*ret))
		return false;
	get_bytes(past, *at, ret, sizeof(*ret));
	if (ret->length > PAST_TEXT_MAX || ret->length > left - sizeof(*ret))
		return false;
	*at += sizeof(*ret) + ret->length;
	return true;
}

bool past_is_sound(const struct marcel_past *past)
{
	uint64_t at = begin_of(past);
	struct head head;

	if (at > end_of(past) || end_of(past) - at > PAST_ROOM)
		return false;
	while (next(past, &at, &head))
		;
	return at == end_of(past);
}

void past_trim(struct marcel_past *past, uint64_t opened, uint64_t turn)
{
	uint64_t at = begin_of(past), keep = at;
	struct head head;

	if (!past_is_sound(past)) {
		past_init(past);
		return;
	}
	while (next(past, &at, &head) && head.time < opened)
		keep = at;
	atomic_store_explicit(&past->begin, keep, memory_order_release);
	/* Turns only grow. */
	at = keep;
	while (next(past, &at, &head) && head.turn <= turn)
		keep = at;
	atomic_store_explicit(&past->end, keep, memory_order_release);
}

void past_copy(const struct marcel_past *past, struct marcel_past *copy)
{
	atomic_store_explicit(&copy->begin, begin_of(past), memory_order_relaxed);
	atomic_store_explicit(&copy->end, end_of(past), memory_order_relaxed);
	(void)memcpy(copy->bytes, past->bytes, sizeof(copy->bytes));
}

void past_each(const struct marcel_past *past, marcel_line_fn *function, void *context)
{
	uint64_t at = begin_of(past);
	char text[PAST_TEXT_MAX];
	struct head head;

	while (next(past, &at, &head)) {
		const struct marcel_line line = {
			.time = head.time,
			.turn = head.turn,
			.who = (char)head.who,
			.text = head.withheld != 0 ? NULL : text,
			.length = head.withheld != 0 ? MARCEL_WITHHELD : head.length,
			.whole = head.whole,
		};

		get_bytes(past, at - head.length, text, head.length);
		function(context, &line);
	}
}

void marcel_past(const struct marcel_conversation *conversation, marcel_line_fn *function,
		 void *context)
{
	if (conversation->past != NULL)
		past_each(conversation->past, function, context);
}
