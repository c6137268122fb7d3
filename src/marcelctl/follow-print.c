/* What `marcelctl follow` writes; see follow-print.h. */
#include "marcelctl/follow-print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/i18n.h"
#include "marcelctl/file.h"
#include "marcelctl/json.h"
#include "marcelctl/moment.h"
#include "marcelctl/said.h"

static void put(const char *text)
{
	file_put_escaped(stdout, text, strlen(text));
}

/* What stands before a line. NUMBER 0: it is about none. */
static void put_head(const struct follow_style *style, uint64_t time, uint64_t number)
{
	char clock[MOMENT_SIZE];

	if (!style->all)
		return;
	(void)printf("%s ", moment_clock(clock, time));
	if (number > 0)
		(void)printf("%" PRIu64 " ", number);
}

static void print_opened(const struct link_event *event)
{
	(void)fputs(_("-- begins: "), stdout);
	put(event->peer);
	(void)fputs(", ", stdout);
	put(event->listener);
	(void)fputs(", ", stdout);
	put(event->responder);
}

static void print_draft(const struct link_event *event)
{
	char clock[MOMENT_SIZE];

	(void)printf(_("-- draft for #%" PRIu64 ": "), event->turn);
	said_put(event->text);
	if (event->until != 0)
		(void)printf(_(" (goes out %s)"), moment_ahead(clock, event->until));
}

/* TEXT is what was refused behind the word for why (marcel-operator(7)); before both may be the
 * turn. */
static void print_refused(const char *text)
{
	static const struct {
		const char *word;
		const char *meaning;
	} refusals[] = {
		{"not-open", N_("that message is answered already, or there is none")},
		{"no-conversation", N_("no operator holds a conversation of that number")},
		{"not-held", N_("another responder has the conversation by now")},
		{"no-responder", N_("there is no such responder")},
		{"unknown-order", N_("there is no such order")},
		{"malformed", N_("that is no order")},
		{"too-long", N_("that is too long")},
		{"unfinished", N_("that was not finished in time")},
		{"full", N_("too many orders wait already, for the client does not read")},
		{"too-many", N_("too many were left at the end to be told one by one")},
	};
	const size_t turn = text[0] == '#' ? strspn(text + 1, "0123456789") + 1 : 0;
	const char *word = turn > 0 && text[turn] == ' ' ? text + turn + 1 : text;
	const size_t length = strcspn(word, ":");

	(void)fputs(_("-- refused: "), stdout);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (word[length] != ':' || strlen(refusals[i].word) != length ||
		    strncmp(refusals[i].word, word, length) != 0)
			continue;
		(void)printf("%.*s%s", (int)(word - text), text, _(refusals[i].meaning));
		text = word + length;
		break;
	}
	said_put(text);
}

static void print_line(const struct follow_style *style, const struct link_event *event)
{
	const bool message = strcmp(event->name, "Message") == 0;
	const bool lost = strcmp(event->name, "Lost") == 0;
	const bool draft = strcmp(event->name, "Draft") == 0;

	/* Who waits is seen by what was said, and so is what became of a draft. */
	if (strcmp(event->name, "Waiting") == 0 || (draft && event->turn == 0))
		return;
	put_head(style, message ? event->time : clock_realtime(), lost ? 0 : event->number);
	if (message) {
		said_put(event->direction);
		(void)fputs("> ", stdout);
		said_put(event->text);
	} else if (lost) {
		(void)printf(_("-- %" PRIu64 " events were lost: marcelctl was too slow"),
			     event->number);
	} else if (draft) {
		print_draft(event);
	} else if (strcmp(event->name, "Opened") == 0) {
		print_opened(event);
	} else if (strcmp(event->name, "Refused") == 0) {
		print_refused(event->text);
	} else if (strcmp(event->name, "Switched") == 0) {
		(void)fputs(_("-- answers now: "), stdout);
		put(event->text);
	} else {
		(void)fputs(_("-- over: "), stdout);
		put(event->text);
	}
	(void)putchar('\n');
}

/* The object's name of what the signal NAME calls its text. */
static const char *text_name(const char *name)
{
	if (strcmp(name, "Switched") == 0)
		return "responder";
	return strcmp(name, "Closed") == 0 ? "reason" : "text";
}

static void print_json(const struct link_event *event)
{
	const bool message = strcmp(event->name, "Message") == 0;
	const bool lost = strcmp(event->name, "Lost") == 0;
	const bool draft = strcmp(event->name, "Draft") == 0;
	char name[32];

	(void)snprintf(name, sizeof(name), "%c%s", event->name[0] | ' ', event->name + 1);
	json_begin(NULL, '{');
	json_text("event", name);
	json_number(lost ? "count" : "conversation", event->number);
	json_time("time", message ? event->time : clock_realtime());
	if (event->direction != NULL)
		json_text("direction", event->direction);
	if (message || draft || strcmp(name, "waiting") == 0 || strcmp(name, "refused") == 0)
		json_number("turn", event->turn);
	if (event->text != NULL)
		json_text(text_name(event->name), event->text);
	if (draft)
		json_time("until", event->until);
	if (event->peer != NULL) {
		json_text("peer", event->peer);
		json_text("listener", event->listener);
		json_text("responder", event->responder);
	}
	json_end('}');
	json_line(false);
}

void follow_print(const struct follow_style *style, const struct link_event *event)
{
	if (style->json)
		print_json(event);
	else
		print_line(style, event);
	(void)fflush(stdout);
}

static void print_note(const struct follow_style *style, const char *name, const char *text)
{
	if (style->json) {
		json_begin(NULL, '{');
		json_text("event", name);
		json_time("time", clock_realtime());
		json_end('}');
		json_line(false);
	} else {
		put_head(style, clock_realtime(), 0);
		(void)printf("-- %s\n", text);
	}
	(void)fflush(stdout);
}

void follow_print_lost(const struct follow_style *style)
{
	print_note(style, "disconnected",
		   _("marceld is gone; waiting for the next one (conversations go on there)"));
}

void follow_print_found(const struct follow_style *style)
{
	print_note(style, "connected", _("marceld is back"));
}
