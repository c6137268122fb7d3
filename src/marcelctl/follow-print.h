/* What `marcelctl follow` writes for each event: for people, or an object of JSON. Main thread. */
#pragma once

#include <stdbool.h>

#include "marcelctl/link.h"

struct follow_style {
	bool json;
	bool all; /* of all conversations: time and number stand before each line */
};

/* Writes EVENT and sees that it arrives; whether it did, ferror(stdout) tells. */
void follow_print(const struct follow_style *style, const struct link_event *event);

/* The link is over / there is one again. */
void follow_print_lost(const struct follow_style *style);
void follow_print_found(const struct follow_style *style);
