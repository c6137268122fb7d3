/* Expansion of texts; see expand.h. */
#include "respond/script/expand.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "respond/script/number.h"

/* The room that an expansion begins with. */
#define ROOM_FIRST 256

/* What strftime(3) may make of one format. */
#define TIME_MAX 512

int expansion_add(struct expansion *to, const char *bytes, size_t length)
{
	if (length > SCRIPT_REPLY_MAX - to->length)
		return -ENOSPC;
	if (length > to->room - to->length) {
		size_t room = to->room > 0 ? to->room : ROOM_FIRST;
		char *more;

		while (room - to->length < length)
			room *= 2;
		more = realloc(to->bytes, room);
		if (more == NULL)
			return -ENOMEM;
		to->bytes = more;
		to->room = room;
	}
	if (length > 0)
		(void)memcpy(to->bytes + to->length, bytes, length);
	to->length += length;
	return 0;
}

void expansion_done(struct expansion *expansion)
{
	free(expansion->bytes);
	*expansion = (struct expansion){.length = 0};
}

static const struct variable *initial_of(const struct view *view, uint32_t variable)
{
	if (view->heap != NULL && heap_has(view->heap, variable))
		return NULL;
	if (variable >= view->n_variables || !view->variables[variable].has_initial)
		return NULL;
	return &view->variables[variable];
}

bool view_value(const struct view *view, uint32_t variable, struct span *ret_value)
{
	const struct variable *initial = initial_of(view, variable);

	if (initial != NULL) {
		*ret_value =
			(struct span){.bytes = initial->initial, .length = initial->initial_length};
		return true;
	}
	return view->heap != NULL && heap_get(view->heap, variable, ret_value);
}

size_t view_count(const struct view *view, uint32_t variable)
{
	if (initial_of(view, variable) != NULL)
		return 1;
	return view->heap != NULL ? heap_count(view->heap, variable) : 0;
}

int expand_variable(const struct view *view, uint32_t variable, struct expansion *to)
{
	size_t length = to->length;
	size_t cursor = 0;
	struct span item;
	int r = 0;

	if (initial_of(view, variable) != NULL)
		return view_value(view, variable, &item)
			       ? expansion_add(to, item.bytes, item.length)
			       : 0;
	if (view->heap == NULL)
		return 0;
	for (bool first = true; r == 0 && heap_next(view->heap, variable, &cursor, &item);
	     first = false) {
		if (!first)
			r = expansion_add(to, ", ", 2);
		if (r == 0)
			r = expansion_add(to, item.bytes, item.length);
	}
	if (r < 0)
		to->length = length;
	return r;
}

/* The port's colon in PEER, or NULL if it has no port: an address of IPv4 or of IPv6 in brackets.
 */
static const char *find_port(const char *peer)
{
	const char *colon = strrchr(peer, ':');

	if (colon == NULL || colon[1] == '\0' ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return NULL;
	if (peer[0] == '[')
		return colon[-1] == ']' ? colon : NULL;
	return strchr(peer, ':') == colon && colon > peer ? colon : NULL;
}

struct span peer_address(const char *peer)
{
	const char *port = find_port(peer);
	struct span address = {.bytes = peer, .length = strlen(peer)};

	if (port != NULL)
		address.length = (size_t)(port - peer);
	if (port != NULL && peer[0] == '[') {
		address.bytes++;
		address.length -= 2;
	}
	return address;
}

const char *peer_port(const char *peer)
{
	const char *port = find_port(peer);

	return port != NULL ? port + 1 : "";
}

/* The time of VIEW in UTC as FORMAT has it. */
static int add_time(const struct view *view, const char *format, struct expansion *to)
{
	time_t seconds = (time_t)(view->world->realtime / USEC_PER_SEC);
	struct tm utc;
	char text[TIME_MAX];
	size_t n;

	if (number_locale() == (locale_t)0)
		return -ENOMEM;
	if (gmtime_r(&seconds, &utc) == NULL)
		return 0;
	n = strftime_l(text, sizeof(text), format, &utc, number_locale());
	return expansion_add(to, text, n);
}

static int add_number(struct expansion *to, uint64_t number)
{
	char digits[32];

	(void)snprintf(digits, sizeof(digits), "%" PRIu64, number);
	return expansion_add(to, digits, strlen(digits));
}

static int add_serial(struct view *view, struct expansion *to)
{
	char text[64];

	if (!view->serial_is_used) {
		view->serial_is_used = true;
		view->serial++;
	}
	(void)snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64, view->world->conversation,
		       view->serial);
	return expansion_add(to, text, strlen(text));
}

/* A part that is about the world, of which there is one. */
static int add_world(const struct part *part, struct view *view, struct expansion *to)
{
	const struct script_world *world = view->world;
	const char *peer = world->peer != NULL ? world->peer : "";
	struct span address;

	switch (part->kind) {
	case PART_PEER:
		address = peer_address(peer);
		return expansion_add(to, address.bytes, address.length);
	case PART_PORT:
		return expansion_add(to, peer_port(peer), strlen(peer_port(peer)));
	case PART_TURN:
		return add_number(to, world->turn);
	case PART_CONVERSATION:
		return add_number(to, world->conversation);
	case PART_SERIAL:
		return add_serial(view, to);
	case PART_DATE:
		return add_time(view, "%a, %d %b %Y %H:%M:%S +0000", to);
	case PART_TIME:
		return add_time(view, part->bytes, to);
	case PART_TEXT:
	case PART_VARIABLE:
	case PART_MESSAGE:
	case PART_RANDOM:
		break;
	}
	abort();
}

static int add_part(const struct part *part, struct view *view, struct expansion *to)
{
	switch (part->kind) {
	case PART_TEXT:
		return expansion_add(to, part->bytes, part->length);
	case PART_VARIABLE:
		return expand_variable(view, part->variable, to);
	case PART_MESSAGE:
		return expansion_add(to, view->message.bytes, view->message.length);
	case PART_RANDOM:
		return add_number(to, random_below(&view->random, part->number));
	case PART_PEER:
	case PART_PORT:
	case PART_TURN:
	case PART_CONVERSATION:
	case PART_SERIAL:
	case PART_DATE:
	case PART_TIME:
		return view->world != NULL ? add_world(part, view, to) : 0;
	}
	abort();
}

/*
 * Whether PART is the length of something that need not be put in to be measured: of the message,
 * or of one value, which may be more than is kept of it.
 */
static bool is_length(const struct part *part, const struct view *view, uint64_t *ret_length)
{
	if (part->n_filters == 0 || part->filters[0] != FILTER_LENGTH)
		return false;
	if (part->kind == PART_MESSAGE) {
		*ret_length = view->message.length;
		return true;
	}
	if (part->kind != PART_VARIABLE || view->heap == NULL ||
	    heap_count(view->heap, part->variable) != 1)
		return false;
	*ret_length = heap_length(view->heap, part->variable);
	return true;
}

static int add_filtered(const struct part *part, struct view *view, struct expansion *to)
{
	size_t start = to->length;
	uint64_t length = 0;
	uint8_t filter = 0;
	int r;

	if (is_length(part, view, &length)) {
		r = add_number(to, length);
		filter++;
	} else {
		r = add_part(part, view, to);
	}
	for (; r == 0 && filter < part->n_filters; filter++)
		r = expand_filter((enum filter)part->filters[filter], to, start);
	return r;
}

int expand_text(const struct text *text, struct view *view, struct expansion *to)
{
	size_t length = to->length;

	for (size_t i = 0; i < text->n_parts; i++) {
		int r = add_filtered(&text->parts[i], view, to);

		if (r < 0) {
			to->length = length;
			return r;
		}
	}
	return 0;
}

uint64_t random_next(uint64_t *state)
{
	uint64_t bits = *state += UINT64_C(0x9e3779b97f4a7c15);

	bits = (bits ^ bits >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	bits = (bits ^ bits >> 27) * UINT64_C(0x94d049bb133111eb);
	return bits ^ bits >> 31;
}

uint64_t random_below(uint64_t *state, uint64_t limit)
{
	uint64_t bits;

	if (limit == 0)
		return 0;
	/* What is above the last whole multiple of limit is drawn again. */
	do
		bits = random_next(state);
	while (bits >= UINT64_MAX - UINT64_MAX % limit);
	return bits % limit;
}
