/*
 * Standard error as the place where records go: whole lines, also through a pipe that is full,
 * closed or nonblocking, and the choice between it and the journal.
 */
#include <inttypes.h>
#include <sys/stat.h>

#include "../listen/in-child.h"

#include "record/record-priv.h"
#include "record/record.h"

#define LINES 2000

static const struct record_about about = {.number = 17, .peer = "127.0.0.1:4711"};

/* Makes the writing end of a new pipe standard error. Returns the reading end. */
static int pipe_stderr(int flags)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC | flags) < 0 || dup3(pair[1], STDERR_FILENO, 0) < 0)
		abort();
	(void)close(pair[1]);
	return pair[0];
}

/* Copies what comes from FD into SAY until it ends. */
static void copy(int fd, FILE *say)
{
	char buffer[512];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		(void)fwrite(buffer, (size_t)n, 1, say);
}

static void record_in(enum record_output output, FILE *say)
{
	int reader = pipe_stderr(0);

	if (record_start(output, NULL, 0, NULL) != 0)
		abort();
	record_said(&about, RECORD_CLIENT, 1, "bonjour", 7);
	record_note(RECORD_READY, "ready on %s", "127.0.0.1:50000");
	record_stop(USEC_NEVER);
	record_note(RECORD_STOPPED, "stopped");
	(void)close(STDERR_FILENO);
	copy(reader, say);
}

static void text(void *context, FILE *say)
{
	(void)context;
	record_in(RECORD_OUTPUT_TEXT, say);
}

static void test_text(void **state)
{
	char said[SAID_MAX];

	(void)state;
	in_child(text, NULL, said);
	assert_string_equal(said, "[17 127.0.0.1:4711] C> bonjour\n"
				  "ready on 127.0.0.1:50000\n"
				  "stopped\n");
}

static void json(void *context, FILE *say)
{
	(void)context;
	record_in(RECORD_OUTPUT_JSON, say);
}

static void test_json(void **state)
{
	char said[SAID_MAX];

	(void)state;
	in_child(json, NULL, said);
	assert_int_equal(strncmp(said, "{\"timestamp\":", 13), 0);
	assert_non_null(
		strstr(said, "\"kind\":\"said\",\"priority\":6,\"message\":\"C> bonjour\","));
	assert_non_null(strstr(said, "}\n{\"timestamp\":"));
	assert_non_null(strstr(said, "\"kind\":\"stopped\""));
}

/* Appends far more than a pipe holds while nobody reads, then reads everything. */
static void fill_pipe(FILE *say, int flags)
{
	int reader = pipe_stderr(flags);
	int lines = 0;
	FILE *stream;
	char line[256];

	if (record_start(RECORD_OUTPUT_TEXT, NULL, 0, NULL) != 0)
		abort();
	for (int i = 0; i < LINES; i++)
		record_note(RECORD_NOTICE, "%0100d", i);
	(void)fcntl(reader, F_SETFL, 0);
	stream = fdopen(reader, "r");
	while (lines < LINES && fgets(line, sizeof(line), stream) != NULL) {
		char wanted[256];

		(void)snprintf(wanted, sizeof(wanted), "%0100d\n", lines);
		if (strcmp(line, wanted) != 0)
			(void)fprintf(say, "line %d is %s", lines, line);
		lines++;
	}
	record_stop(USEC_NEVER);
	(void)fclose(stream);
	(void)fprintf(say, "%d lines", lines);
}

static void full(void *context, FILE *say)
{
	(void)context;
	fill_pipe(say, 0);
}

static void nonblocking(void *context, FILE *say)
{
	(void)context;
	fill_pipe(say, O_NONBLOCK);
}

static void test_a_full_pipe_holds_up_nobody(void **state)
{
	char said[SAID_MAX];

	(void)state;
	in_child(full, NULL, said);
	assert_string_equal(said, "2000 lines");
	in_child(nonblocking, NULL, said);
	assert_string_equal(said, "2000 lines");
}

static void closed(void *context, FILE *say)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	(void)sigaction(SIGPIPE, &ignore, NULL);
	if (context != NULL)
		(void)close(STDERR_FILENO);
	else
		(void)close(pipe_stderr(0));
	record_note(RECORD_NOTICE, "before");
	if (record_start(RECORD_OUTPUT_AUTO, NULL, 0, NULL) != 0)
		abort();
	for (int i = 0; i < 100; i++)
		record_note(RECORD_NOTICE, "%d", i);
	record_stop(USEC_NEVER);
	(void)fprintf(say, "alive");
}

static void test_nobody_reads(void **state)
{
	char said[SAID_MAX];

	(void)state;
	in_child(closed, NULL, said);
	assert_string_equal(said, "alive");
	in_child(closed, said, said);
	assert_string_equal(said, "alive");
}

/* Says what AUTO means with $JOURNAL_STREAM as FORMAT makes it of standard error. */
static void choose(void *context, FILE *say)
{
	const char *format = context;
	static char variable[128];
	struct stat status;
	enum record_output output;

	(void)pipe_stderr(0);
	if (fstat(STDERR_FILENO, &status) < 0)
		abort();
	if (strcmp(format, "none") == 0)
		(void)unsetenv("JOURNAL_STREAM"); /* NOLINT(concurrency-mt-unsafe): one thread */
	else if (strcmp(format, "same") == 0)
		(void)snprintf(variable, sizeof(variable), "JOURNAL_STREAM=%ju:%ju",
			       (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
	else if (strcmp(format, "other") == 0)
		(void)snprintf(variable, sizeof(variable), "JOURNAL_STREAM=%ju:%ju",
			       (uintmax_t)status.st_dev, (uintmax_t)status.st_ino + 1);
	else
		(void)snprintf(variable, sizeof(variable), "JOURNAL_STREAM=%s", format);
	if (variable[0] != '\0')
		(void)putenv(variable); /* NOLINT(concurrency-mt-unsafe): one thread */
	output = transport_for(RECORD_OUTPUT_AUTO).output;
	(void)fprintf(say, "%s", output == RECORD_OUTPUT_JOURNAL ? "journal" : "text");
}

static void test_auto(void **state)
{
	static const struct {
		const char *stream;
		const char *wanted;
	} streams[] = {
		{"none", "text"}, {"same", "journal"}, {"other", "text"},
		{"", "text"},     {"x:y", "text"},     {"8:", "text"},
	};
	char said[SAID_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		char stream[32];

		(void)snprintf(stream, sizeof(stream), "%s", streams[i].stream);
		in_child(choose, stream, said);
		assert_string_equal(said, streams[i].wanted);
	}
}

static void test_what_was_asked_for_is_taken(void **state)
{
	static const enum record_output outputs[] = {RECORD_OUTPUT_JOURNAL, RECORD_OUTPUT_TEXT,
						     RECORD_OUTPUT_JSON};

	(void)state;
	for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++)
		assert_int_equal(transport_for(outputs[i]).output, outputs[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_a_full_pipe_holds_up_nobody),
		cmocka_unit_test(test_nobody_reads),
		cmocka_unit_test(test_auto),
		cmocka_unit_test(test_what_was_asked_for_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
