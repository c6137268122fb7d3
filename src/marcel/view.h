/*
 * What a server said, made fit for a terminal: cut into lines, and harmless. Pure, one thread a
 * queue.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "marcel/bytes.h"

/* What to do with text at the end that no LF ends. */
enum view_rest {
	VIEW_KEEP, /* it waits for more */
	VIEW_TAKE, /* it is a line, but a character begun waits for its other bytes */
	VIEW_ALL,  /* it is a line */
};

/*
 * Whether HEARD begins with a line to be shown: *RET_LENGTH bytes without its line end (LF, or CR
 * and LF), *RET_USED with it. The caller shows them and drops the latter.
 */
bool view_line(struct bytes *heard, enum view_rest rest, size_t *ret_length, size_t *ret_used);

/*
 * The LENGTH bytes of TEXT as a string that no terminal takes for a command: as text_escape()
 * makes it (base/text.h), but a tab and a backslash stay what they are, for people read this.
 * The caller frees it; NULL when there is no memory.
 */
char *view_render(const char *text, size_t length);
