/*
 * Drafts: what a script would say if the operator approves (`hand fifo draft`). marceld tells them
 * in the operator channel's `events` alone, so the desk looks there when a client begins to wait.
 * Without the file, or without the right to read it, there are just no drafts to be seen. Main
 * thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Looks into DIRECTORY/events, its last DESK_DRAFT_LOOK bytes, for the draft of an answer to TURN
 * in the conversation NUMBER. Returns it, escaped, to be freed by the caller; NULL: there is none.
 */
char *desk_draft_find(const char *directory, uint64_t number, uint64_t turn);

/* The same in LENGTH bytes of such a file. */
char *desk_draft_in(const char *text, size_t length, uint64_t number, uint64_t turn);

#define DESK_DRAFT_LOOK ((size_t)64 * 1024)
