/*
 * Plays events to the interpreter and writes down what comes of them.
 *
 * Between any two events the conversation moves: the used bytes of its state are copied to fresh
 * memory, the old ones overwritten. Each event is run twice from the same state, which must give
 * the same bytes. So all tests that use this test suspension and purity as well.
 *
 * Steps, one a line:
 *
 *	> TEXT		a message that ended with CRLF; ">" alone: an empty one
 *	+MS		so many milliseconds pass, with each SCRIPT_TIME that comes due
 *	connect, early, overflow, stop, eof, answered, unhanded
 *	room N		each later call may say so many bytes; 0: any number
 *	?wake ?state ?rule ?own ?NAME	writes down: [in MS], the state, the rule that answered
 *last, whether end words are its own, the value of a variable
 *
 * What is written down, one a line: what was said; "~" and what was sent; "#log TEXT",
 * "#unanswered", "#stopped", "#overflow"; and in brackets what else follows, when it changes.
 */
#pragma once

#include <stddef.h>

#include "respond/script/run.h"

#define PLAY_LOG_MAX ((size_t)256 * 1024)

struct play {
	struct script *script;
	char *state; /* MARCEL_STATE_MAX bytes */
	size_t used;
	usec_t now;
	uint64_t turn;
	size_t room;
	struct script_outcome outcome;
	char *log; /* PLAY_LOG_MAX bytes, ended by NUL */
	size_t log_length;
	size_t said; /* bytes, by the last call */
	const char *peer;
};

/* Begins and ends a conversation by the script TEXT, which must be without errors. */
void play_begin(struct play *play, const char *text);
void play_end(struct play *play);

/* Lets STEPS happen. */
void play_steps(struct play *play, const char *steps);

/* Lets one event happen. */
void play_event(struct play *play, enum script_event_kind kind, const char *message, size_t length);

/* Plays STEPS to a conversation by TEXT, and asserts that EXPECTED is what is written down. */
void expect(const char *text, const char *steps, const char *expected);
