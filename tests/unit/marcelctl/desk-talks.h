/* Talks for the tests of the desk, and what marceld tells of them. One thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "marcelctl/desk-model.h"

#define MINUTE (60 * USEC_PER_SEC)
#define NOW    (1000000 * USEC_PER_SEC)

/* A conversation of the list, whose texts belong to it for a moment. */
struct link_conversation listed(uint64_t number, const char *responder, uint64_t waiting,
				uint64_t since);

/* One of the list in the model. */
struct desk_talk *add(struct desk_model *model, uint64_t number, const char *responder,
		      uint64_t waiting, uint64_t since);

/* A message that is said now, or a line of the past. */
struct desk_talk *say(struct desk_model *model, uint64_t number, uint64_t time, const char *who,
		      uint64_t turn, const char *text);
struct desk_talk *past(struct desk_model *model, uint64_t number, uint64_t time, const char *who,
		       uint64_t turn, const char *text);

/* Another signal. */
void tell(struct desk_model *model, const char *name, uint64_t number, uint64_t turn,
	  const char *text);

/* The N numbers are these, each with a space behind it. */
void expect_numbers(const uint64_t *numbers, size_t n, const char *wanted);

void expect_open(const struct desk_talk *talk, const char *wanted);
