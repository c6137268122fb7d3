/*
 * marcelctl script test: plays transcripts against a script, shows where the answers differ, and
 * counts. One thread.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/i18n.h"
#include "marcelctl/charset.h"
#include "marcelctl/faults.h"
#include "marcelctl/file.h"
#include "marcelctl/play.h"
#include "marcelctl/say.h"
#include "marcelctl/verb.h"

enum {
	OPTION_TAP = VERB_OPTIONS
};

static const struct option options[] = {
	{"tap", no_argument, NULL, OPTION_TAP},
	{NULL, 0, NULL, 0},
};

/* Plays FILE; what is wrong goes to OUT. Returns whether nothing is, or a negative errno. */
static int test(struct script *script, const char *file, FILE *out)
{
	struct report report = REPORT_INIT;
	struct transcript transcript;
	int r;

	r = transcript_load(file, &report, &transcript);
	if (r == 0) {
		r = play_transcript(script, &transcript, out);
		transcript_done(&transcript);
		return r < 0 ? r : r == 0;
	}
	for (size_t i = 0; i < report.kept; i++) {
		file_put_escaped(out, report.texts[i], strlen(report.texts[i]));
		(void)fputc('\n', out);
	}
	report_done(&report);
	return r == -EINVAL ? 0 : r;
}

/* Writes the lines of TEXT as comments of TAP. */
static void print_comments(const char *text)
{
	while (*text != '\0') {
		const size_t length = strcspn(text, "\n");

		(void)printf("# %.*s\n", (int)length, text);
		text += length;
		text += *text == '\n';
	}
}

/* Tests transcript NUMBER, named FILE, and tells. Returns as test(). */
static int test_one(struct script *script, const char *file, int number, bool tap)
{
	auto_free char *text = NULL;
	size_t length;
	FILE *out = tap ? open_memstream(&text, &length) : stdout;
	int r;

	if (out == NULL)
		return -ENOMEM;
	r = test(script, file, out);
	if (!tap)
		return r;
	if (fclose(out) == EOF)
		return -ENOMEM;
	if (r < 0)
		return r;
	(void)printf("%s %d - ", r > 0 ? "ok" : "not ok", number);
	file_put_escaped(stdout, file, strlen(file));
	(void)fputc('\n', stdout);
	print_comments(text);
	return r;
}

static int test_all(struct script *script, char **files, int count, bool tap)
{
	int passed = 0;
	int r = 0;

	if (tap)
		(void)printf("TAP version 13\n1..%d\n", count);
	for (int i = 0; i < count && r >= 0; i++) {
		r = test_one(script, files[i], i + 1, tap);
		passed += r > 0;
	}
	if (r < 0) {
		say_error("%s", say_errno(-r));
		return CTL_FAILED;
	}
	if (!tap)
		(void)printf(_("%d passed, %d failed\n"), passed, count - passed);
	return passed == count ? EXIT_OK : CTL_FAILED;
}

int verb_script_test(int argc, char **argv)
{
	struct script *script;
	bool tap = false;
	int status;
	int c;

	while ((c = verb_option(argc, argv, ":", options)) != -1) {
		if (c != OPTION_TAP)
			return EXIT_USAGE;
		tap = true;
	}
	if (verb_arguments(argc, argv, 2, -1) < 0)
		return EXIT_USAGE;
	script = faults_load(argv[optind]);
	if (script == NULL)
		return CTL_FAILED;
	if (!tap)
		charset_output();
	status = test_all(script, argv + optind + 1, argc - optind - 1, tap);
	script_unref(script);
	return say_finish(status);
}
