/*
 * Numbers in scripts: what counts as one, how two compare, and the values of properties.
 *
 * A number is [+-] digits [. digits] [e [+-] digits], a digit before or after the point at least,
 * spaces and tabs around it; never hexadecimal, infinite or "nan", and the same in all locales.
 *
 * Pure; any thread.
 */
#pragma once

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>

#include "respond/script/expand.h"
#include "respond/script/program.h"

/* Parses LENGTH bytes at TEXT. Returns false if they are no number, or none that a double holds. */
bool number_parse(const char *text, size_t length, double *ret_number);

/*
 * Compares A with B: as numbers if both are, digit by digit (18446744073709551615 and
 * 18446744073709551616 differ), else as bytes. Returns less than, equal to or more than 0.
 */
int value_compare(struct span a, struct span b);

/* TEXT without spaces and tabs around. */
struct span value_trim(const char *text, size_t length);

/* The C locale for functions that end in _l; (locale_t)0 if there was no memory for it. */
locale_t number_locale(void);

/*
 * Whether LENGTH bytes at VALUE fit PROPERTY: for int a whole number (5, 5.0, 5e3) that 64 bits
 * hold, for float a number, both within its limits; for bool 0, 1, on or off in any case; for text
 * anything. *RET_KEPT is the part of VALUE to keep: without spaces around, but for text.
 */
bool property_fits(const struct property *property, const char *value, size_t length,
		   struct span *ret_kept);

/* The size of what property_check_format() writes. */
#define FORMAT_FAULT_MAX 160

/*
 * Whether FORMAT can be `as` of a property of KIND: one conversion, any number of %%; d i u x X o
 * for int and bool, e E f F g G for float, s for text; flags - + space # 0, width and precision up
 * to 99; no h, l, *, $, n. Returns 0, or -EINVAL with one sentence in FAULT.
 */
int property_check_format(enum property_kind kind, const char *format,
			  char fault[FORMAT_FAULT_MAX]);

/*
 * Appends what a get of PROPERTY says when its value is VALUE: through its format if it has one,
 * else as it is, and bool as 0 or 1. Fails as expansion_add() does. A value that does not fit is
 * said as it is.
 */
int property_say(const struct property *property, struct span value, struct expansion *to);
