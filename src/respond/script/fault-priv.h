/*
 * Collecting faults, for those who find them; what a fault is stands in fault.h.
 *
 * Texts may carry what a script holds, any bytes: they are escaped when they are added. One thread
 * at a time uses a list. Nothing here fails: without memory a fault counts, but has no text.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "respond/script/fault.h"

/* Where a fault is: its place, and the line with it, if there is one. */
struct fault_site {
	struct place where;
	const char *line; /* LENGTH bytes, or NULL; copied */
	size_t length;
};

/*
 * Adds a fault at SITE. EXPECTED (without the word itself) may be NULL. FORMAT and what follows are
 * those of printf(3). Past FAULTS_MAX errors, or as many warnings, it is only counted.
 */
void fault_add(struct faults *list, bool warning, const struct fault_site *site,
	       const char *expected, const char *format, va_list arguments)
	__attribute__((format(printf, 5, 0)));

/* Orders LIST by place within each file, errors and warnings together; equal places stay as they
 * were found. FIRST: the name of the file that comes first. */
void faults_sort(struct faults *list, const char *first);
