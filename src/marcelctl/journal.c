/*
 * Reading a conversation from the journal; see journal.h.
 *
 * A record that was sent just before marceld was killed may have been sent again by the next one:
 * the same text of the same moment from another process counts once.
 */
#include "marcelctl/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-journal.h>

#include "base/cleanup.h"
#include "base/i18n.h"
#include "base/text.h"
#include "converse/end-reasons.h"
#include "marcelctl/transcript.h"
#include "record/kinds.h"

/* "C> " and "S> ". */
#define MARK_LENGTH 3
/* The ids shown when a number is that of several conversations. */
#define IDS_MAX   8
#define ID_LENGTH 32

#define KIND_ID(NAME, name, id, priority, class) [RECORD_##NAME] = (id),
static const char *const message_ids[] = {RECORD_KINDS(KIND_ID)};

struct said {
	usec_t when;
	uint64_t turn;
	uint64_t pid;
	bool client;
	char *text;
	size_t length;
};

struct reading {
	sd_journal *journal;
	struct report *report;
	struct said *said;
	size_t count;
	size_t room;
	char ids[IDS_MAX][ID_LENGTH + 1];
	size_t n_ids;
	bool ended;
	enum end_reason reason;
	usec_t end;
	char *peer;
};

/* The value of field NAME of the present record, *RET_LENGTH bytes; NULL if it has none. */
static const char *field(const struct reading *reading, const char *name, size_t *ret_length)
{
	const size_t skipped = strlen(name) + 1;
	const void *data;
	size_t length;

	if (sd_journal_get_data(reading->journal, name, &data, &length) < 0 || length < skipped)
		return NULL;
	*ret_length = length - skipped;
	return (const char *)data + skipped;
}

/* The same as a number; false if there is none. */
static bool number_of(const struct reading *reading, const char *name, uint64_t *ret_number)
{
	size_t length;
	const char *value = field(reading, name, &length);
	char text[24];

	if (value == NULL || length >= sizeof(text))
		return false;
	memcpy(text, value, length);
	text[length] = '\0';
	return text_parse_unsigned(text, UINT64_MAX, ret_number) == 0;
}

static bool is_kind(const struct reading *reading, enum record_kind kind)
{
	size_t length;
	const char *value = field(reading, "MESSAGE_ID", &length);

	return value != NULL && length == strlen(message_ids[kind]) &&
	       memcmp(value, message_ids[kind], length) == 0;
}

/* Remembers whose record it is. */
static void take_id(struct reading *reading)
{
	size_t length;
	const char *value = field(reading, "MARCEL_CONVERSATION_ID", &length);

	if (value == NULL || length != ID_LENGTH)
		return;
	for (size_t i = 0; i < reading->n_ids; i++) {
		if (memcmp(reading->ids[i], value, length) == 0)
			return;
	}
	if (reading->n_ids < IDS_MAX)
		memcpy(reading->ids[reading->n_ids++], value, length);
}

static bool is_known(const struct reading *reading, const struct said *said)
{
	/* The first process has none before it. */
	if (reading->count == 0 || said->pid == reading->said[0].pid)
		return false;
	for (size_t i = 0; i < reading->count; i++) {
		const struct said *other = &reading->said[i];

		if (other->pid != said->pid && other->when == said->when &&
		    other->turn == said->turn && other->client == said->client &&
		    other->length == said->length &&
		    memcmp(other->text, said->text, said->length) == 0)
			return true;
	}
	return false;
}

static int keep(struct reading *reading, struct said *said)
{
	if (is_known(reading, said)) {
		free(said->text);
		return 0;
	}
	if (reading->count == reading->room) {
		const size_t room = reading->room > 0 ? 2 * reading->room : 64;
		struct said *more = reallocarray(reading->said, room, sizeof(*more));

		if (more == NULL) {
			free(said->text);
			return -ENOMEM;
		}
		reading->said = more;
		reading->room = room;
	}
	reading->said[reading->count++] = *said;
	return 0;
}

/* Whether the text of SAID, SIZE bytes when it was said, is all of it; tells if not. */
static bool is_whole(const struct reading *reading, const struct said *said, bool sized,
		     uint64_t size)
{
	if (!sized) {
		report_add(reading->report,
			   _("what the client said in turn %" PRIu64 " was kept secret"),
			   said->turn);
		return false;
	}
	if (said->length == size)
		return true;
	report_add(reading->report,
		   _("of what was said in turn %" PRIu64 " the journal does not have all %" PRIu64
		     " bytes (transcript= and transcript_max= in [journal])"),
		   said->turn, size);
	return false;
}

/* Takes in a record of something that was said. */
static int take_said(struct reading *reading)
{
	size_t length = 0;
	const char *message = field(reading, "MESSAGE", &length);
	struct said said = {.text = NULL};
	uint64_t number = 0;
	ssize_t written;
	bool sized;

	if (message == NULL || length < MARK_LENGTH ||
	    (memcmp(message, "C> ", MARK_LENGTH) != 0 && memcmp(message, "S> ", MARK_LENGTH) != 0))
		return 0;
	said.client = message[0] == 'C';
	(void)number_of(reading, "MARCEL_TIMESTAMP", &said.when);
	(void)number_of(reading, "MARCEL_TURN", &said.turn);
	(void)number_of(reading, "_PID", &said.pid);
	said.text = malloc(length + 1);
	if (said.text == NULL)
		return -ENOMEM;
	written = transcript_unescape(said.text, message + MARK_LENGTH, length - MARK_LENGTH);
	said.length = written < 0 ? 0 : (size_t)written;
	sized = number_of(reading, "MARCEL_SIZE", &number);
	if (!is_whole(reading, &said, sized, number)) {
		free(said.text);
		return 0;
	}
	return keep(reading, &said);
}

static void take_end(struct reading *reading)
{
	size_t length = 0;
	const char *reason = field(reading, "MARCEL_REASON", &length);

	reading->ended = true;
	(void)number_of(reading, "MARCEL_TIMESTAMP", &reading->end);
	for (int i = 0; i < END_REASON_COUNT && reason != NULL; i++) {
		const char *name = end_reason_name((enum end_reason)i);

		if (strlen(name) == length && memcmp(name, reason, length) == 0)
			reading->reason = (enum end_reason)i;
	}
}

static int take_record(struct reading *reading)
{
	size_t length = 0;
	const char *peer;

	take_id(reading);
	if (is_kind(reading, RECORD_CLOSED))
		take_end(reading);
	if (reading->peer == NULL) {
		peer = field(reading, "MARCEL_PEER", &length);
		reading->peer = peer != NULL ? strndup(peer, length) : NULL;
	}
	return is_kind(reading, RECORD_SAID) ? take_said(reading) : 0;
}

static int open_journal(const struct journal_source *source, sd_journal **ret_journal)
{
	const char *files[] = {source->file, NULL};

	if (source->file != NULL)
		return sd_journal_open_files(ret_journal, files, 0);
	if (source->directory != NULL)
		return sd_journal_open_directory(ret_journal, source->directory, 0);
	return sd_journal_open(ret_journal, SD_JOURNAL_LOCAL_ONLY);
}

/* Whether TEXT is the long id of a conversation. */
static bool is_long_id(const char *text)
{
	return strlen(text) == ID_LENGTH && text[strspn(text, "0123456789abcdef")] == '\0';
}

static int read_all(struct reading *reading, const char *id)
{
	char match[64];
	int r;

	(void)snprintf(match, sizeof(match), "%s=%s",
		       is_long_id(id) ? "MARCEL_CONVERSATION_ID" : "MARCEL_CONVERSATION", id);
	r = sd_journal_add_match(reading->journal, match, 0);
	/* Values are whole, however long. */
	if (r >= 0)
		r = sd_journal_set_data_threshold(reading->journal, 0);
	while (r >= 0) {
		r = sd_journal_next(reading->journal);
		if (r <= 0)
			break;
		r = take_record(reading);
	}
	return r < 0 ? r : 0;
}

/* Tells what stands against making a script of what was read. */
static int judge(const struct reading *reading, const char *id, size_t faults)
{
	if (reading->n_ids > 1) {
		report_add(reading->report, _("several conversations had the number %s; name one:"),
			   id);
		for (size_t i = 0; i < reading->n_ids; i++)
			report_add(reading->report, "  %s", reading->ids[i]);
	}
	if (reading->report->count > faults)
		return -EINVAL;
	if (reading->count == 0) {
		report_add(reading->report, _("the journal has no transcript of conversation %s"),
			   id);
		return -ENOENT;
	}
	return 0;
}

static bool has_line_ends(const struct reading *reading)
{
	for (size_t i = 0; i < reading->count; i++) {
		if (reading->said[i].client && reading->said[i].length > 0 &&
		    memchr(reading->said[i].text, '\n', reading->said[i].length) != NULL)
			return true;
	}
	return false;
}

/*
 * Where in what was said the client's end comes, or that of the daemon: before the farewell, which
 * is the last of several things that the server said in the last turn.
 */
static size_t place_of_end(const struct reading *reading)
{
	const size_t n = reading->count;
	const struct said *last = reading->said + n - 1;

	if (n < 2 || last->client || last[-1].client || last->turn != last[-1].turn)
		return n;
	return n - 1;
}

/* What the reason of the end is in an exchange, before the farewell; -1: nothing. */
static int event_before_farewell(enum end_reason reason)
{
	if (reason == END_INPUT)
		return EXCHANGE_CLIENT_END;
	return reason == END_STOP ? EXCHANGE_STOP : -1;
}

/* The same after it. */
static int event_at_end(enum end_reason reason)
{
	switch (reason) {
	case END_END_WORD:
	case END_EMPTY:
	case END_INPUT:
	case END_RESPONDER:
	case END_IDLE:
	case END_TOO_LONG:
	case END_STOP:
	case END_RESPONDER_ERROR:
	case END_OPERATOR:
		return EXCHANGE_SERVER_END;
	case END_RESPONDER_RESET:
		return EXCHANGE_RESET;
	case END_NONE:
	case END_STOP_DEADLINE:
	case END_UNREAD:
	case END_RESET:
	case END_DEAD:
	case END_SYSTEM_ERROR:
	case END_HANDOVER:
	case END_REASON_COUNT:
		break;
	}
	return -1;
}

static int add(struct exchange *exchange, const struct said *said, bool raw)
{
	const enum exchange_kind kind = said->client ? EXCHANGE_CLIENT : EXCHANGE_SERVER;
	const int r = exchange_add(exchange, kind, said->when, said->text, said->length);

	return r < 0 || raw ? r : exchange_add(exchange, kind, said->when, "\n", 1);
}

static int make_exchange(const struct reading *reading, bool raw, struct exchange *exchange)
{
	const enum end_reason reason = reading->ended ? reading->reason : END_NONE;
	const int before = event_before_farewell(reason);
	const int last = event_at_end(reason);
	const size_t place = before >= 0 ? place_of_end(reading) : reading->count + 1;
	int r = 0;

	for (size_t i = 0; i <= reading->count && r == 0; i++) {
		if (i == place)
			r = exchange_add(exchange, (enum exchange_kind)before,
					 i < reading->count ? reading->said[i].when : reading->end,
					 NULL, 0);
		if (r == 0 && i < reading->count)
			r = add(exchange, &reading->said[i], raw);
	}
	if (r == 0 && last >= 0)
		r = exchange_add(exchange, (enum exchange_kind)last, reading->end, NULL, 0);
	return r;
}

static void done(struct reading *reading)
{
	for (size_t i = 0; i < reading->count; i++)
		free(reading->said[i].text);
	free(reading->said);
	free(reading->peer);
	sd_journal_close(reading->journal);
}

int journal_read(const struct journal_source *source, const char *id, struct report *report,
		 struct journal_dialogue *ret_dialogue)
{
	struct reading reading = {.report = report};
	struct journal_dialogue dialogue = {.raw = false};
	const size_t faults = report->count;
	uint64_t number;
	int r;

	if (!is_long_id(id) && text_parse_unsigned(id, UINT64_MAX, &number) < 0) {
		report_add(report, _("'%s' is neither a conversation's number nor its id"), id);
		return -EINVAL;
	}
	r = open_journal(source, &reading.journal);
	if (r >= 0)
		r = read_all(&reading, id);
	if (r >= 0)
		r = judge(&reading, id, faults);
	if (r >= 0) {
		dialogue.raw = has_line_ends(&reading);
		dialogue.ended = reading.ended;
		r = make_exchange(&reading, dialogue.raw, &dialogue.exchange);
	}
	if (r >= 0)
		dialogue.peer = take_ptr(&reading.peer);
	done(&reading);
	if (r < 0) {
		journal_dialogue_done(&dialogue);
		return r;
	}
	*ret_dialogue = dialogue;
	return 0;
}

void journal_dialogue_done(struct journal_dialogue *dialogue)
{
	exchange_done(&dialogue->exchange);
	free(dialogue->peer);
	dialogue->peer = NULL;
}
