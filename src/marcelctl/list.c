/*
 * marcelctl list: the conversations there are, one a line. One thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/i18n.h"
#include "marcelctl/charset.h"
#include "marcelctl/json.h"
#include "marcelctl/live.h"
#include "marcelctl/moment.h"
#include "marcelctl/say.h"
#include "marcelctl/table.h"

enum {
	OPTION_WAITING = LIVE_OWN
};

static const struct option options[] = {
	LIVE_OPTIONS,
	LIVE_OPTION_JSON,
	{"waiting", no_argument, NULL, OPTION_WAITING},
	{NULL, 0, NULL, 0},
};

static void print_json(const struct link_conversation *list, size_t n)
{
	(void)fputs(n > 0 ? "[\n" : "[]\n", stdout);
	for (size_t i = 0; i < n; i++) {
		const struct link_conversation *c = &list[i];

		json_begin(NULL, '{');
		json_number("number", c->number);
		json_text("id", c->id);
		json_text("peer", c->peer);
		json_text("listener", c->listener);
		json_text("responder", c->responder);
		json_text_or_null("speaker", c->speaker);
		json_text_or_null("suspended", c->suspended);
		json_time("opened", c->opened);
		json_number("turns", c->turns);
		json_number("waiting", c->waiting);
		json_time("waiting_since", c->waiting_since);
		json_time("last", c->last);
		json_boolean("closing", c->closing);
		json_end('}');
		json_line(i + 1 < n);
	}
	if (n > 0)
		(void)fputs("]\n", stdout);
}

static void add_number(struct table *table, uint64_t number)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%" PRIu64, number);
	table_add(table, text);
}

/* Who answers, and behind it, who lets it or waits for its turn. */
static void add_who(struct table *table, const struct link_conversation *c)
{
	const char *front = c->speaker[0] != '\0' ? c->speaker : c->responder;
	const char *behind = c->speaker[0] != '\0' ? c->responder : c->suspended;
	char *text = NULL;

	if (behind[0] == '\0' || asprintf(&text, "%s (%s)", front, behind) < 0) {
		table_add(table, front);
		return;
	}
	table_add(table, text);
	free(text);
}

static void add_waiting(struct table *table, const struct link_conversation *c)
{
	char age[MOMENT_SIZE];
	char text[MOMENT_SIZE + 32];

	if (c->closing || c->waiting == 0) {
		table_add(table, c->closing ? _("closing") : "");
		return;
	}
	(void)snprintf(text, sizeof(text), "%s (#%" PRIu64 ")", moment_age(age, c->waiting_since),
		       c->waiting);
	table_add(table, text);
}

static int print_table(const struct link_conversation *list, size_t n)
{
	struct table table = {.columns = 7, .right = 0x21, .shrinks = 0x1c};
	char age[MOMENT_SIZE];
	int r;

	charset_output();
	table_add(&table, _("NUMBER"));
	table_add(&table, _("AGE"));
	table_add(&table, _("CLIENT"));
	table_add(&table, _("LISTENER"));
	table_add(&table, _("ANSWERS"));
	table_add(&table, _("TURNS"));
	table_add(&table, _("WAITING"));
	for (size_t i = 0; i < n; i++) {
		add_number(&table, list[i].number);
		table_add(&table, moment_age(age, list[i].opened));
		table_add(&table, list[i].peer);
		table_add(&table, list[i].listener);
		add_who(&table, &list[i]);
		add_number(&table, list[i].turns);
		add_waiting(&table, &list[i]);
	}
	r = table_print(&table, table_terminal_width());
	table_done(&table);
	if (r < 0)
		say_error("%s", say_errno(-r));
	return r;
}

/* The one that waits longest is first. */
static int by_waiting(const void *a, const void *b)
{
	const struct link_conversation *one = a;
	const struct link_conversation *other = b;

	if (one->waiting_since != other->waiting_since)
		return one->waiting_since < other->waiting_since ? -1 : 1;
	return (one->number > other->number) - (one->number < other->number);
}

/* Leaves those of LIST that wait, the oldest first; the others come behind. Returns how many. */
static size_t select_waiting(struct link_conversation *list, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		const struct link_conversation one = list[i];

		if (one.waiting == 0)
			continue;
		list[i] = list[kept];
		list[kept++] = one;
	}
	if (kept > 0)
		qsort(list, kept, sizeof(*list), by_waiting);
	return kept;
}

int verb_list(int argc, char **argv)
{
	struct live live = {.json = false};
	struct link_conversation *list = NULL;
	int status = EXIT_OK;
	bool waiting = false;
	struct link link;
	size_t shown;
	int n;
	int c;

	while ((c = verb_option(argc, argv, ":", options)) != -1) {
		if (c == OPTION_WAITING)
			waiting = true;
		else if (!live_option(&live, c))
			return EXIT_USAGE;
	}
	if (verb_arguments(argc, argv, 0, 0) < 0)
		return EXIT_USAGE;
	if (link_open(&live.to, false, &link) < 0)
		return CTL_FAILED;
	n = link_list(&link, &list);
	if (n > 0)
		link_mark_closing(&link, list, (size_t)n);
	link_done(&link);
	if (n < 0)
		return CTL_FAILED;
	shown = waiting ? select_waiting(list, (size_t)n) : (size_t)n;
	if (live.json)
		print_json(list, shown);
	else if (print_table(list, shown) < 0)
		status = CTL_FAILED;
	link_free_list(list, (size_t)n);
	return say_finish(status);
}
