/* What the tests of the configuration share: reading a text that has no faults, and printing. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/config.h"

/* TEXT as a configuration without faults. */
static inline struct config *parse(const char *text)
{
	struct report report = REPORT_INIT;
	struct config *config = NULL;
	int r = config_parse("x.ini", text, strlen(text), NULL, &report, &config);

	if (r < 0)
		fail_msg("%d, %s", r, report.kept > 0 ? report.texts[0] : "no fault told");
	assert_int_equal(report.count, 0);
	return config;
}

/*
 * What config_print() writes; the caller frees it. Not inlined: gcc 12 takes what the pointer
 * points to for the pointer itself then, and warns of it dangling.
 */
__attribute__((noinline, unused)) static char *print(const struct config *config)
{
	char *text = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&text, &length);

	assert_non_null(stream);
	assert_int_equal(config_print(config, stream), 0);
	assert_int_equal(fclose(stream), 0);
	return text;
}

/* The same for the configuration TEXT. */
static inline char *print_text(const char *text)
{
	struct config *config = parse(text);
	char *printed = print(config);

	config_unref(config);
	return printed;
}
