/* Writing what was composed, and proving that it agrees; see compose.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/i18n.h"
#include "marcelctl/compose.h"
#include "marcelctl/faults.h"
#include "marcelctl/file.h"
#include "marcelctl/play.h"
#include "marcelctl/say.h"

/* Writes one file and tells. */
static int save(const char *file, const char *text, size_t length)
{
	const int r = file_write(file, text, length);

	if (r < 0)
		say_error("%s: %s", file, say_errno(-r));
	return r;
}

/* Whether the script and the transcript in these files agree; tells if they don't. */
static bool agree(const char *script_file, const char *transcript_file)
{
	struct script *script = faults_load(script_file);
	struct transcript transcript;
	struct report report = REPORT_INIT;
	int r;

	if (script == NULL)
		return false;
	r = transcript_load(transcript_file, &report, &transcript);
	if (r == 0) {
		r = play_transcript(script, &transcript, stderr);
		transcript_done(&transcript);
	}
	say_report(&report);
	report_done(&report);
	script_unref(script);
	return r == 0;
}

int compose_save(const struct composed *composed, const char *base)
{
	auto_free char *script = NULL;
	auto_free char *transcript = NULL;

	if (asprintf(&script, "%s.script", base) < 0) {
		script = NULL;
		return CTL_FAILED;
	}
	if (asprintf(&transcript, "%s.transcript", base) < 0) {
		transcript = NULL;
		return CTL_FAILED;
	}
	if (save(script, composed->script, composed->script_length) < 0 ||
	    save(transcript, composed->transcript, composed->transcript_length) < 0)
		return CTL_FAILED;
	file_put_escaped(stdout, script, strlen(script));
	(void)fputc('\n', stdout);
	file_put_escaped(stdout, transcript, strlen(transcript));
	(void)fputc('\n', stdout);
	if (agree(script, transcript))
		return EXIT_OK;
	say_error(_("the script does not answer as the transcript says: it needs your hand"));
	return CTL_FAILED;
}
