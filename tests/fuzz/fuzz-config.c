/*
 * Any bytes as a configuration. Either they are one, and then what config_print() writes of it is
 * read to the same configuration again; or there are faults, each of which is one line of UTF-8
 * without control characters that names the file.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "daemon/config.h"

#define FILE_NAME "marcel.ini"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* NOLINT(*-identifier-naming) */

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_fault(const char *text)
{
	size_t length = strlen(text);
	size_t n;

	check(strncmp(text, FILE_NAME ":", strlen(FILE_NAME ":")) == 0);
	for (; length > 0; text += n, length -= n) {
		n = text_utf8_length(text, length);
		check(n > 0 && (unsigned char)*text >= ' ');
	}
}

/* What config_print() writes of CONFIG; the caller frees it. */
static char *print(const struct config *config, size_t *ret_length)
{
	char *text = NULL;
	FILE *stream = open_memstream(&text, ret_length);

	check(stream != NULL);
	check(config_print(config, stream) == 0);
	check(fclose(stream) == 0);
	return text;
}

static void check_again(const struct config *config)
{
	struct report report = REPORT_INIT;
	struct config *again = NULL;
	size_t length = 0;
	size_t length_again = 0;
	char *text = print(config, &length);
	char *text_again;

	check(config_parse(FILE_NAME, text, length, NULL, &report, &again) == 0);
	text_again = print(again, &length_again);
	check(length == length_again && memcmp(text, text_again, length) == 0);
	check(config->n_faces == again->n_faces);
	free(text);
	free(text_again);
	config_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) /* NOLINT(*-identifier-naming) */
{
	struct report report = REPORT_INIT;
	struct config *config = NULL;
	int r = config_parse(FILE_NAME, (const char *)data, size, NULL, &report, &config);

	check(r == 0 || r == -EINVAL);
	check((r == 0) == (report.count == 0));
	check((r == 0) == (config != NULL));
	for (size_t i = 0; i < report.kept; i++)
		check_fault(report.texts[i]);
	if (config != NULL)
		check_again(config);
	config_unref(config);
	report_done(&report);
	return 0;
}
