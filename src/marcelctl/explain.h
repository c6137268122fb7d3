/*
 * Explaining an answer: which rule gave it, which others nearly did and why they did not, and how
 * the state is afterwards. For `script try --explain`; written as comments of a transcript.
 *
 * One thread.
 */
#pragma once

#include <stdio.h>

#include "converse/player.h"

/* What was traced of one rule. */
struct explained {
	const struct rule *rule;
	enum script_trace trace;
};

/* One message, and what was tried for it. */
struct explanation {
	const struct script *script;
	char *message; /* NULL: none is being explained */
	size_t length;
	const struct scope *scope; /* the state in which it came */
	struct explained *traces;
	size_t count;
	size_t room;
};

/* A message of LENGTH bytes comes in the state named STATE; it is copied. */
void explain_begin(struct explanation *explanation, const char *state, const char *message,
		   size_t length);

/* RULE was tried. */
void explain_trace(struct explanation *explanation, enum script_trace trace,
		   const struct rule *rule);

/* Writes the explanation of the message, if there is one, to OUT, and forgets it. */
void explain_write(struct explanation *explanation, FILE *out);

/* Writes the state that PLAYER is in, and its variables. */
void explain_state(const struct script *script, const struct player *player, FILE *out);

void explain_done(struct explanation *explanation);
