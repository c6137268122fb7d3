/* Making and reading lines; see line.h. */
#include "line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The numbers and the spaces between them. */
#define NUMBERS_MAX 96

size_t line_room(const struct line_form *form)
{
	return strlen(form->command) + form->size + NUMBERS_MAX;
}

/* The line without its end. */
static size_t make(const struct line_form *form, uint64_t number, char *to)
{
	size_t used = strlen(form->command);

	(void)memcpy(to, form->command, used);
	used += (size_t)snprintf(to + used, NUMBERS_MAX, "%sc%u %" PRIu64 " ", used > 0 ? " " : "",
				 form->index, number);
	for (; used < form->size; used++)
		to[used] = (char)('a' + (used + number) % 26);
	return used;
}

size_t line_make(const struct line_form *form, uint64_t number, char *to)
{
	size_t used = make(form, number, to);

	to[used] = '\n';
	return used + 1;
}

/* Takes PREFIX from the front of *TEXT. */
static bool take(const char **text, size_t *length, const char *prefix, size_t prefix_length)
{
	if (*length < prefix_length || memcmp(*text, prefix, prefix_length) != 0)
		return false;
	*text += prefix_length;
	*length -= prefix_length;
	return true;
}

static bool take_number(const char **text, size_t *length, uint64_t *ret)
{
	uint64_t number = 0;
	size_t digits = 0;

	while (digits < *length && digits < 18 && (*text)[digits] >= '0' && (*text)[digits] <= '9')
		number = number * 10 + (uint64_t)((*text)[digits++] - '0');
	*text += digits;
	*length -= digits;
	*ret = number;
	return digits > 0;
}

/* Compares without making the whole line: the load generator must cost less than the server. */
bool line_is(const struct line_form *form, uint64_t place, const char *text, size_t length)
{
	uint64_t number = (place - 1) / form->replies + 1, part = (place - 1) % form->replies + 1;
	char numbers[NUMBERS_MAX];
	size_t command = strlen(form->command), used;

	if (form->counted) {
		used = form->replies > 1
			       ? (size_t)snprintf(numbers, sizeof(numbers),
						  "%" PRIu64 ".%" PRIu64 " ", number, part)
			       : (size_t)snprintf(numbers, sizeof(numbers), "%" PRIu64 " ", number);
		if (!take(&text, &length, numbers, used))
			return false;
	}
	if (command > 0 &&
	    (!take(&text, &length, form->command, command) || !take(&text, &length, " ", 1)))
		return false;
	used = (size_t)snprintf(numbers, sizeof(numbers), "c%u %" PRIu64 " ", form->index, number);
	if (!take(&text, &length, numbers, used))
		return false;
	used += command + (command > 0);
	if (length != (form->size > used ? form->size - used : 0))
		return false;
	for (size_t i = 0; i < length; i++)
		if (text[i] != (char)('a' + (used + i + number) % 26))
			return false;
	return true;
}

int line_parse(const struct line_form *form, const char *text, size_t length,
	       struct line_parts *ret)
{
	struct line_parts parts = {.part = 1};
	const char *rest = text;
	size_t left = length;
	uint64_t index;

	if (form->counted) {
		if (!take_number(&rest, &left, &parts.count))
			return -EINVAL;
		if (form->replies > 1 &&
		    (!take(&rest, &left, ".", 1) || !take_number(&rest, &left, &parts.part)))
			return -EINVAL;
		if (!take(&rest, &left, " ", 1))
			return -EINVAL;
	}
	if (form->command[0] != '\0' &&
	    (!take(&rest, &left, form->command, strlen(form->command)) ||
	     !take(&rest, &left, " ", 1)))
		return -EINVAL;
	if (!take(&rest, &left, "c", 1) || !take_number(&rest, &left, &index) ||
	    index != form->index || !take(&rest, &left, " ", 1) ||
	    !take_number(&rest, &left, &parts.number) || parts.number == 0 || parts.part == 0 ||
	    parts.part > form->replies)
		return -EINVAL;
	/* All of it must be right, or it is no answer. */
	if (parts.count == parts.number || !form->counted) {
		uint64_t place = (parts.number - 1) * form->replies + parts.part;

		if (!line_is(form, place, text, length))
			return -EINVAL;
	}
	*ret = parts;
	return 0;
}

bool line_is_tick(const char *text, size_t length, uint64_t *ret_number)
{
	return take(&text, &length, "tick ", 5) && take_number(&text, &length, ret_number) &&
	       length == 0;
}
