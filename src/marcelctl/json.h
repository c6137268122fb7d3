/*
 * JSON on standard output, one object a line. Strings hold printable characters only: what could
 * do something to a terminal becomes \uXXXX. Times are RFC 3339 with microseconds, in local time;
 * null stands for what is not known. Main thread; whether the writing succeeded, say_finish()
 * tells.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* An object: '{' and '}'; with the name of the member that it is, unless NULL. */
void json_begin(const char *name, char bracket);
void json_end(char bracket);

/* Members of an object, or with NAME NULL: of an array. */
void json_text(const char *name, const char *text);
void json_number(const char *name, uint64_t number);
void json_boolean(const char *name, bool value);
void json_null(const char *name);
/* CLOCK_REALTIME microseconds; 0: null. */
void json_time(const char *name, uint64_t time);
/* "" becomes null. */
void json_text_or_null(const char *name, const char *text);
/* An array of texts, ended by NULL. */
void json_list(const char *name, char *const *list);

/* The end of a line that holds a whole value; the next one begins anew. COMMA: another value of the
 * same array follows. */
void json_line(bool comma);
