/* Talks for the tests of the desk; see desk-talks.h. */
#include "desk-talks.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A conversation of the list, whose texts belong to it for a moment. */
struct link_conversation listed(uint64_t number, const char *responder, uint64_t waiting,
				uint64_t since)
{
	static char id[33];
	static char peer[] = "127.0.0.1:4711";
	static char listener[] = "tcp";
	static char name[32];
	static char nothing[] = "";

	(void)snprintf(id, sizeof(id), "%032d", (int)number);
	(void)snprintf(name, sizeof(name), "%s", responder);
	return (struct link_conversation){.number = number,
					  .id = id,
					  .peer = peer,
					  .listener = listener,
					  .responder = name,
					  .speaker = nothing,
					  .suspended = nothing,
					  .opened = NOW,
					  .waiting = waiting,
					  .waiting_since = since};
}

struct desk_talk *add(struct desk_model *model, uint64_t number, const char *responder,
		      uint64_t waiting, uint64_t since)
{
	const struct link_conversation one = listed(number, responder, waiting, since);
	struct desk_talk *talk = desk_model_listed(model, &one);

	assert_non_null(talk);
	return talk;
}

/* What a signal of a message tells. */
static struct link_event message(uint64_t number, uint64_t time, const char *who, uint64_t turn,
				 const char *text)
{
	return (struct link_event){.name = "Message",
				   .number = number,
				   .time = time,
				   .direction = who,
				   .turn = turn,
				   .text = text};
}

struct desk_talk *say(struct desk_model *model, uint64_t number, uint64_t time, const char *who,
		      uint64_t turn, const char *text)
{
	const struct link_event event = message(number, time, who, turn, text);

	return desk_model_said(model, &event, false);
}

struct desk_talk *past(struct desk_model *model, uint64_t number, uint64_t time, const char *who,
		       uint64_t turn, const char *text)
{
	const struct link_event event = message(number, time, who, turn, text);

	return desk_model_said(model, &event, true);
}

void tell(struct desk_model *model, const char *name, uint64_t number, uint64_t turn,
	  const char *text)
{
	const struct link_event event = {.name = name,
					 .number = number,
					 .turn = turn,
					 .text = text};

	(void)desk_model_event(model, &event, NOW);
}

/* The N numbers are these, each with a space behind it. */
void expect_numbers(const uint64_t *numbers, size_t n, const char *wanted)
{
	char *seen = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&seen, &size);

	assert_non_null(file);
	for (size_t i = 0; i < n; i++)
		(void)fprintf(file, "%" PRIu64 " ", numbers[i]);
	assert_int_equal(fclose(file), 0);
	assert_string_equal(seen, wanted);
	free(seen);
}

void expect_open(const struct desk_talk *talk, const char *wanted)
{
	expect_numbers(talk->open, talk->n_open, wanted);
}
