/*
 * Text as people write it and as it may be shown: durations, sizes, numbers, escaping, and the
 * nearest word to a misspelt one.
 *
 * All functions are pure, may be called from any thread, and never read past the length given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

/*
 * Parses a time span as systemd.time(7) writes it: "200ms", "5min 30s", "1h", "2.5s", "infinity";
 * a number without a unit is seconds. *RET_DURATION is in microseconds, "infinity" is USEC_NEVER.
 * Returns 0, -EINVAL (not a time span) or -ERANGE (too long for 64 bits of microseconds).
 */
int text_parse_duration(const char *text, usec_t *ret_duration);

/*
 * Writes DURATION (microseconds) into BUFFER, in the form text_parse_duration() reads ("5min 30s",
 * "400ms", "0", "infinity"), ended by NUL; 64 bytes are always enough. Returns BUFFER.
 */
char *text_format_duration(char *buffer, size_t size, usec_t duration);

/*
 * Parses a number of bytes with an optional suffix K, M, G, T (powers of 1024, as systemd reads
 * sizes): "64K". Returns 0, -EINVAL, or -ERANGE when it does not fit into 64 bits.
 */
int text_parse_size(const char *text, uint64_t *ret_size);

/* Writes SIZE in the form text_parse_size() reads ("64K", "1000"); 32 bytes are enough. */
char *text_format_size(char *buffer, size_t size_of_buffer, uint64_t size);

/* The value of C as a hexadecimal digit, -1 if it is none. */
int text_hex_digit(char c);

/* Parses a decimal number without sign or spaces. Returns 0, -EINVAL or -ERANGE (above MAX). */
int text_parse_unsigned(const char *text, uint64_t max, uint64_t *ret_number);

/* Parses yes/no, true/false, on/off, 1/0 in any case, as systemd does. Returns 0 or -EINVAL. */
int text_parse_boolean(const char *text, bool *ret_value);

/*
 * How many bytes the UTF-8 sequence at TEXT takes (1 to 4), or 0 when LENGTH bytes there begin
 * with no valid one (RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF).
 */
size_t text_utf8_length(const char *text, size_t length);

/*
 * Writes TEXT so that it can be shown on any terminal: valid UTF-8 stays, control characters
 * (C0, DEL, C1, and the Unicode characters that turn the direction of writing or break lines)
 * and invalid bytes become \n, \t, \r, \e or \xHH, a backslash becomes \\.
 *
 * Writes at most SIZE bytes with the ending NUL, whole sequences only. Returns the number of bytes
 * written without the NUL. *RET_USED, if not NULL, is how many bytes of TEXT they stand for:
 * less than LENGTH when BUFFER was too small.
 */
size_t text_escape(char *buffer, size_t size, const char *text, size_t length, size_t *ret_used);

/* The most bytes that text_escape() makes of LENGTH, ending NUL included. */
#define TEXT_ESCAPED_MAX(length) (4 * (length) + 1)

/*
 * The lines of TEXT, each as text_escape() writes it, with their line ends. The caller frees them;
 * NULL: no memory.
 */
char *text_escape_lines(const char *text);

/*
 * The entry of WORDS (N of them) that a person who wrote WORD most probably meant, or NULL when
 * none is near enough (more than a third of its letters changed).
 */
const char *text_nearest(const char *word, const char *const words[], size_t n);
