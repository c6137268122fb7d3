/*
 * marcelctl script try: talks to a script, without a server. What is said on both sides is written
 * as a transcript (transcript.h); what is typed on a terminal stands there already.
 *
 * Waits take their time, and timers come when they are due while the next line is awaited; with
 * --fast nothing waits and no timer comes. One thread.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/i18n.h"
#include "converse/player.h"
#include "marcelctl/explain.h"
#include "marcelctl/faults.h"
#include "marcelctl/file.h"
#include "marcelctl/prompt.h"
#include "marcelctl/say.h"
#include "marcelctl/transcript.h"
#include "marcelctl/verb.h"

enum {
	OPTION_EXPLAIN = VERB_OPTIONS,
	OPTION_FAST
};

static const struct option options[] = {
	{"explain", no_argument, NULL, OPTION_EXPLAIN},
	{"fast", no_argument, NULL, OPTION_FAST},
	{NULL, 0, NULL, 0},
};

struct trial {
	struct script *script;
	struct player *player;
	struct prompt *prompt;
	struct explanation explanation;
	bool explain;
	bool fast;
	size_t shown;  /* bytes of the player's output that were written */
	usec_t moment; /* clock_now() as far as the player knows */
};

/* Writes what the script said; the beginning of a line only if ALL. */
static void show(struct trial *trial, bool all)
{
	size_t length;
	const char *output = player_output(trial->player, &length);

	while (trial->shown < length) {
		const char *text = output + trial->shown;
		const size_t left = length - trial->shown;
		const char *end = memchr(text, '\n', left);
		size_t line = end != NULL ? (size_t)(end - text) : left;

		if (end == NULL && !all)
			return;
		trial->shown += end != NULL ? line + 1 : line;
		if (end != NULL && line > 0 && text[line - 1] == '\r')
			line--;
		prompt_clear(trial->prompt);
		transcript_write(stdout,
				 end != NULL ? TRANSCRIPT_SERVER_LINE : TRANSCRIPT_SERVER_BYTES,
				 text, line);
	}
}

/* Shows all that came of what happened last. */
static void settle(struct trial *trial)
{
	show(trial, true);
	player_forget(trial->player);
	trial->shown = 0;
	if (trial->explain) {
		prompt_clear(trial->prompt);
		explain_write(&trial->explanation, stdout);
		explain_state(trial->script, trial->player, stdout);
	}
	(void)fflush(stdout);
}

/* The watch of the player. */

static void passed(void *context, usec_t duration)
{
	struct trial *trial = context;
	struct timespec left = clock_timespec(duration);

	if (trial->fast)
		return;
	show(trial, false);
	(void)fflush(stdout);
	if (trial->moment + duration > clock_now()) {
		left = clock_timespec(clock_left(trial->moment + duration, clock_now()));
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &left, NULL);
	}
	trial->moment += duration;
}

static const char *meaning_of(enum script_note note)
{
	switch (note) {
	case NOTE_LOG:
		return _("log:");
	case NOTE_UNANSWERED:
		return _("nobody answers this");
	case NOTE_STOPPED:
		return _("was given up: too much work");
	case NOTE_OVERFLOW:
		return _("a limit was passed, and there is no 'on overflow'");
	}
	abort();
}

static void noted(void *context, enum script_note note, const char *rule, const char *text,
		  size_t length)
{
	struct trial *trial = context;

	show(trial, false);
	prompt_clear(trial->prompt);
	(void)fputs("# ", stdout);
	if (rule != NULL) {
		file_put_escaped(stdout, rule, strlen(rule));
		(void)fputs(": ", stdout);
	}
	(void)fputs(meaning_of(note), stdout);
	if (length > 0)
		(void)fputc(' ', stdout);
	file_put_escaped(stdout, text, length);
	(void)fputc('\n', stdout);
}

static void tried(void *context, enum script_trace trace, const struct rule *rule)
{
	struct trial *trial = context;

	explain_trace(&trial->explanation, trace, rule);
}

static void met(void *context, const char *message, size_t length)
{
	struct trial *trial = context;
	size_t used;
	const void *state = player_state(trial->player, &used);

	if (!trial->explain || trial->script->is_list)
		return;
	show(trial, false);
	explain_write(&trial->explanation, stdout);
	explain_begin(&trial->explanation, script_state_name(trial->script, state), message,
		      length);
}

/* What came to pass in the real world passes for the script as well. */
static int catch_up(struct trial *trial)
{
	const usec_t now = clock_now();
	const usec_t since = now > trial->moment ? now - trial->moment : 0;

	return trial->fast || since == 0 ? 0 : player_pass(trial->player, since);
}

/* How long the next line may be awaited before something else happens. */
static usec_t patience(const struct trial *trial)
{
	const usec_t due = player_due(trial->player);

	if (trial->fast || due == USEC_NEVER)
		return USEC_NEVER;
	return clock_left(clock_deadline(trial->moment, due), clock_now());
}

/* Lets the next thing happen: a line, its end, or time. Returns 0 or a negative errno. */
static int step(struct trial *trial)
{
	auto_free char *line = NULL;
	size_t length = 0;
	int r = 0;

	switch (prompt_read(trial->prompt, patience(trial), &line, &length)) {
	case PROMPT_LINE:
		r = catch_up(trial);
		if (r == 0 && player_end(trial->player) == END_NONE)
			r = player_say(trial->player, line, length);
		break;
	case PROMPT_END:
		r = catch_up(trial);
		if (r == 0)
			r = player_eof(trial->player);
		break;
	case PROMPT_TIME:
		prompt_clear(trial->prompt);
		transcript_write_time(stdout, player_due(trial->player));
		r = player_time(trial->player);
		break;
	case PROMPT_ERROR:
		return -EIO;
	}
	if (r == 0)
		settle(trial);
	return r;
}

static int converse(struct trial *trial)
{
	int r;

	trial->moment = clock_now();
	r = player_begin(trial->player);
	if (r == 0)
		settle(trial);
	while (r == 0 && player_end(trial->player) == END_NONE)
		r = step(trial);
	prompt_clear(trial->prompt);
	if (r == 0)
		transcript_write(stdout,
				 player_was_reset(trial->player) ? TRANSCRIPT_SERVER_RESET
								 : TRANSCRIPT_SERVER_END,
				 NULL, 0);
	return r;
}

static int try_script(struct trial *trial)
{
	const struct player_setup setup = {
		.script = trial->script,
		.conversation = 1,
		.seed = clock_realtime(),
		.realtime = clock_realtime(),
		.watch = {.context = trial,
			  .note = noted,
			  .trace = tried,
			  .message = met,
			  .passed = passed},
	};
	int r;

	r = player_new(&setup, &trial->player);
	if (r == 0)
		r = prompt_new(&trial->prompt);
	if (r == 0)
		r = converse(trial);
	prompt_free(trial->prompt);
	player_free(trial->player);
	explain_done(&trial->explanation);
	if (r < 0)
		say_error("%s", say_errno(-r));
	return r < 0 ? CTL_FAILED : EXIT_OK;
}

int verb_script_try(int argc, char **argv)
{
	struct trial trial = {.script = NULL};
	int status;
	int c;

	while ((c = verb_option(argc, argv, ":", options)) != -1) {
		if (c == OPTION_EXPLAIN)
			trial.explain = true;
		else if (c == OPTION_FAST)
			trial.fast = true;
		else
			return EXIT_USAGE;
	}
	if (verb_arguments(argc, argv, 1, 1) < 0)
		return EXIT_USAGE;
	trial.script = faults_load(argv[optind]);
	if (trial.script == NULL)
		return CTL_FAILED;
	trial.explanation.script = trial.script;
	status = try_script(&trial);
	script_unref(trial.script);
	return say_finish(status);
}
