/*
 * marcelctl show: all that marceld tells of one conversation, and what was said last. One thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/i18n.h"
#include "marcelctl/charset.h"
#include "marcelctl/file.h"
#include "marcelctl/json.h"
#include "marcelctl/live.h"
#include "marcelctl/moment.h"
#include "marcelctl/properties.h"
#include "marcelctl/said.h"
#include "marcelctl/say.h"

static const struct option options[] = {
	LIVE_OPTIONS,
	LIVE_OPTION_JSON,
	{NULL, 0, NULL, 0},
};

static void print_text(const char *text)
{
	file_put_escaped(stdout, text, strlen(text));
}

static void print_line(const char *label, const char *text)
{
	(void)fputs(label, stdout);
	print_text(text[0] != '\0' ? text : "-");
	(void)putchar('\n');
}

/* Who answers, and why it does. */
static void print_who(const struct properties *p)
{
	const char *responder = properties_text(p, "Responder");
	const char *speaker = properties_text(p, "Speaker");
	const char *suspended = properties_text(p, "Suspended");

	(void)fputs(_("  answers   "), stdout);
	print_text(speaker[0] != '\0' ? speaker : responder);
	if (speaker[0] != '\0') {
		(void)fputs(_(", by leave of "), stdout);
		print_text(responder);
	} else if (suspended[0] != '\0') {
		(void)fputs(_(", taken from "), stdout);
		print_text(suspended);
	}
	(void)putchar('\n');
}

/* What is proposed as the answer; the text comes escaped. */
static void print_draft(const struct properties *p)
{
	const uint64_t turn = properties_number(p, "DraftTurn");
	const uint64_t until = properties_number(p, "DraftUntil");
	char date[MOMENT_SIZE];

	if (turn == 0)
		return;
	(void)printf(_("  draft     for #%" PRIu64 ": "), turn);
	said_put(properties_text(p, "Draft"));
	(void)putchar('\n');
	if (until != 0)
		(void)printf(_("  goes out  %s\n"), moment_ahead(date, until));
}

static void print_facts(const struct properties *p)
{
	const uint64_t opened = properties_number(p, "Opened");
	const uint64_t waiting = properties_number(p, "Waiting");
	const uint64_t closing = properties_number(p, "Closing");
	char date[MOMENT_SIZE];
	char age[MOMENT_SIZE];

	(void)printf(_("conversation %" PRIu64 "\n"), properties_number(p, "Number"));
	print_line(_("  client    "), properties_text(p, "Peer"));
	print_line(_("  listener  "), properties_text(p, "Listener"));
	print_who(p);
	(void)printf(_("  since     %s (%s)\n"), moment_date(date, opened),
		     moment_age(age, opened));
	(void)printf(_("  messages  %" PRIu64 "\n"), properties_number(p, "Turns"));
	if (waiting > 0)
		(void)printf(_("  waiting   for an answer to #%" PRIu64 ", for %s\n"), waiting,
			     moment_age(age, properties_number(p, "WaitingSince")));
	print_draft(p);
	if (closing > 0)
		(void)printf(_("  closing   for %s\n"), moment_age(age, closing));
	(void)printf(_("  bytes     %" PRIu64 " received, %" PRIu64 " sent\n"),
		     properties_number(p, "BytesIn"), properties_number(p, "BytesOut"));
	print_line(_("  id        "), properties_text(p, "Id"));
}

/* The texts come escaped. */
static void print_said(void *context, const struct link_event *said)
{
	bool *any = context;
	char clock[MOMENT_SIZE];

	if (!*any)
		(void)putchar('\n');
	*any = true;
	(void)printf("%s ", moment_clock(clock, said->time));
	said_put(said->direction);
	(void)fputs("> ", stdout);
	/* By this number it can be answered. */
	if (strcmp(said->direction, "C") == 0)
		(void)printf("#%" PRIu64 " ", said->turn);
	said_put(said->text);
	(void)putchar('\n');
}

static void print_json_draft(const struct properties *p)
{
	const uint64_t turn = properties_number(p, "DraftTurn");

	if (turn == 0) {
		json_null("draft");
		return;
	}
	json_begin("draft", '{');
	json_number("turn", turn);
	json_text("text", properties_text(p, "Draft"));
	json_time("until", properties_number(p, "DraftUntil"));
	json_end('}');
}

static void print_json(const struct properties *p)
{
	json_begin(NULL, '{');
	json_number("number", properties_number(p, "Number"));
	json_text("id", properties_text(p, "Id"));
	json_text("peer", properties_text(p, "Peer"));
	json_text("listener", properties_text(p, "Listener"));
	json_text("responder", properties_text(p, "Responder"));
	json_text_or_null("speaker", properties_text(p, "Speaker"));
	json_text_or_null("suspended", properties_text(p, "Suspended"));
	json_time("opened", properties_number(p, "Opened"));
	json_number("turns", properties_number(p, "Turns"));
	json_number("waiting", properties_number(p, "Waiting"));
	json_time("waiting_since", properties_number(p, "WaitingSince"));
	print_json_draft(p);
	json_time("last", properties_number(p, "Last"));
	json_boolean("closing", properties_number(p, "Closing") > 0);
	json_number("bytes_in", properties_number(p, "BytesIn"));
	json_number("bytes_out", properties_number(p, "BytesOut"));
	json_begin("past", '[');
}

static void print_json_said(void *context, const struct link_event *said)
{
	(void)context;
	json_begin(NULL, '{');
	json_time("time", said->time);
	json_text("direction", said->direction);
	json_number("turn", said->turn);
	json_text("text", said->text);
	json_end('}');
}

static int show(struct link *link, uint64_t number, bool json)
{
	struct properties properties;
	bool any = false;
	int r;

	r = properties_of_conversation(link, number, &properties);
	if (r < 0)
		return r;
	if (!json)
		charset_output();
	if (json)
		print_json(&properties);
	else
		print_facts(&properties);
	r = link_past(link, number, json ? print_json_said : print_said, &any);
	if (json) {
		json_end(']');
		json_end('}');
		json_line(false);
	}
	properties_done(&properties);
	return r;
}

int verb_show(int argc, char **argv)
{
	struct live live = {.json = false};
	uint64_t number;
	struct link link;
	int r;

	if (!live_options(argc, argv, options, &live) || verb_arguments(argc, argv, 1, 1) < 0 ||
	    live_number(argv[optind], &number) < 0)
		return EXIT_USAGE;
	if (link_open(&live.to, false, &link) < 0)
		return CTL_FAILED;
	r = show(&link, number, live.json);
	link_done(&link);
	return say_finish(r < 0 ? CTL_FAILED : EXIT_OK);
}
