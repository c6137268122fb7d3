/*
 * Named values as D-Bus has them (a{sv}): what marceld tells of itself and of one conversation.
 * Names that are not known yet are kept and do no harm. One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "marcelctl/link.h"

struct property {
	char *name;
	char *text;  /* NULL: not a text */
	char **list; /* NULL: not a list of texts; else ended by NULL */
	uint64_t number;
};

struct properties {
	struct property *list;
	size_t count;
};

/* What marceld tells of itself / of the conversation NUMBER. Returns 0 and *RET_PROPERTIES, to be
 * ended by properties_done(), or a negative errno after telling. */
int properties_of_daemon(struct link *link, struct properties *ret_properties);
int properties_of_conversation(struct link *link, uint64_t number,
			       struct properties *ret_properties);

/* The draft in the conversation NUMBER: calls FUNCTION with a "Draft", also if there is none; turn
 * 0 then. Returns 0, or a negative errno after telling, without a call. */
int properties_draft(struct link *link, uint64_t number, link_event_fn *function, void *context);

void properties_done(struct properties *properties);

/* The value of NAME; 0, "" and an empty list if there is none. Valid until properties_done(). */
uint64_t properties_number(const struct properties *properties, const char *name);
const char *properties_text(const struct properties *properties, const char *name);
char *const *properties_list(const struct properties *properties, const char *name);
