/*
 * The daemon's figures as Prometheus reads them; see control-facts.h.
 *
 * What only grows is a counter and begins with the process, as marcel_start_time_seconds says.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/control-facts.h"

static void put_head(FILE *out, const char *name, const char *type, const char *help)
{
	(void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_counter(FILE *out, const char *name, const char *help, uint64_t value)
{
	put_head(out, name, "counter", help);
	(void)fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void put_gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
	put_head(out, name, "gauge", help);
	(void)fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void put_ends(FILE *out, const struct watch_sums *sums)
{
	static const char name[] = "marcel_conversations_ended_total";

	put_head(out, name, "counter", "Conversations that ended, by reason.");
	for (int reason = 0; reason < END_REASON_COUNT; reason++)
		if (reason != END_NONE && reason != END_HANDOVER)
			(void)fprintf(out, "%s{reason=\"%s\"} %" PRIu64 "\n", name,
				      end_reason_name((enum end_reason)reason),
				      sums->ended[reason]);
}

/* The value of a label: a backslash, a quote and a line end are escaped. */
static void put_label(FILE *out, const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value == '\\' || *value == '"')
			(void)fputc('\\', out);
		if (*value == '\n')
			(void)fputs("\\n", out);
		else
			(void)fputc(*value, out);
	}
}

static void put_facts(FILE *out, const struct facts *facts)
{
	static const char start[] = "marcel_start_time_seconds";
	static const char build[] = "marcel_build_info";

	put_head(out, start, "gauge", "When the daemon was started, in seconds since 1970.");
	(void)fprintf(out, "%s %" PRIu64 ".%06" PRIu64 "\n", start, facts->started / USEC_PER_SEC,
		      facts->started % USEC_PER_SEC);
	put_head(out, build, "gauge", "Always 1; the label names the version.");
	(void)fprintf(out, "%s{version=\"", build);
	put_label(out, facts->version);
	(void)fprintf(out, "\"} 1\n");
}

static void put_all(FILE *out, const struct facts *facts, const struct watch_sums *sums)
{
	put_gauge(out, "marcel_conversations", "Conversations that are live.", sums->live);
	put_gauge(out, "marcel_conversations_waiting",
		  "Live conversations that wait for somebody's answer.", sums->waiting);
	put_counter(out, "marcel_conversations_total", "Conversations that began.", sums->begun);
	put_counter(out, "marcel_conversations_carried_total",
		    "Conversations carried over from the process before.", sums->carried);
	put_ends(out, sums);
	put_counter(out, "marcel_messages_total", "Messages from clients.", sums->messages);
	put_counter(out, "marcel_bytes_received_total", "Bytes received from clients.",
		    sums->bytes_in);
	put_counter(out, "marcel_bytes_sent_total", "Bytes sent to clients.", sums->bytes_out);
	put_counter(out, "marcel_orders_total", "Orders of operators that were carried out.",
		    sums->orders);
	put_counter(out, "marcel_orders_refused_total", "Orders of operators that were refused.",
		    sums->refused);
	put_counter(out, "marcel_events_dropped_total",
		    "Events that subscribers of the control did not get.", sums->dropped);
	put_facts(out, facts);
}

int metrics_format(const struct facts *facts, const struct watch_sums *sums, char **ret_text)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return -ENOMEM;
	put_all(out, facts, sums);
	if (fclose(out) != 0) {
		free(text);
		return -ENOMEM;
	}
	*ret_text = text;
	return 0;
}
