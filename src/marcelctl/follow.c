/*
 * marcelctl follow: what is said, as it is said, in one conversation or in all.
 *
 * It asks for signals first and for the past then, so that nothing falls between; what comes by
 * both ways is shown once. When marceld ends, it waits for the next one, which has the same
 * conversations: the socket's directory tells when there is one (inotify), and growing pauses do
 * where that can't be watched. What was said meanwhile is read from the past again.
 *
 * It ends with the conversation, when nobody reads what it writes any more, and by SIGINT, SIGTERM
 * and SIGHUP. One thread; nothing happens in it without cause.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/i18n.h"
#include "marcelctl/charset.h"
#include "marcelctl/follow-print.h"
#include "marcelctl/live.h"
#include "marcelctl/properties.h"
#include "marcelctl/say.h"

static const struct option options[] = {
	LIVE_OPTIONS,
	LIVE_OPTION_JSON,
	{NULL, 0, NULL, 0},
};

#define PAUSE_FIRST (100 * USEC_PER_MSEC)
#define PAUSE_MAX   (5 * USEC_PER_SEC)

/* Something that was shown from the past, and whose signal may still come. */
struct shown {
	uint64_t number, time, turn;
	char direction;
};

/* The last draft of a conversation that was shown. */
struct draft {
	uint64_t number, turn;
	char *text;
	bool open; /* it is there still, as far as is known */
};

struct follow {
	struct link_options to;
	struct follow_style style;
	uint64_t number; /* 0: all */
	sd_event *event;
	struct link link;       /* bus NULL: there is none now */
	sd_event_source *soon;  /* on_soon(), when something is to be done outside of a signal */
	sd_event_source *pause; /* on_pause(), until the next attempt */
	sd_event_source *watch; /* on_directory(), of the socket; NULL: not watched */
	char name[512];         /* of the socket there */
	usec_t length;          /* of the next pause */
	bool gone;              /* the link is over */
	bool missed;            /* signals found no room */
	uint64_t first;         /* what was said before is not shown; 0: everything is */
	uint64_t last;          /* when the last thing that is shown was said */
	struct draft *drafts;
	size_t n_drafts;
	struct shown *shown;
	size_t n_shown;
};

/* Standard output may have been closed, which is a good end. */
static void check_output(struct follow *f)
{
	if (ferror(stdout) != 0)
		(void)sd_event_exit(f->event, errno == EPIPE ? EXIT_OK : CTL_FAILED);
}

static void remember_shown(struct follow *f, const struct link_event *said)
{
	struct shown *more = reallocarray(f->shown, f->n_shown + 1, sizeof(*more));

	if (more == NULL)
		return;
	f->shown = more;
	f->shown[f->n_shown++] = (struct shown){
		.number = said->number,
		.time = said->time,
		.turn = said->turn,
		.direction = said->direction[0],
	};
}

/* Whether SAID was shown from the past; it is forgotten then. */
static bool was_shown(struct follow *f, const struct link_event *said)
{
	for (size_t i = 0; i < f->n_shown; i++) {
		const struct shown *shown = &f->shown[i];

		if (shown->number == said->number && shown->time == said->time &&
		    shown->turn == said->turn && shown->direction == said->direction[0]) {
			f->shown[i] = f->shown[--f->n_shown];
			return true;
		}
	}
	return false;
}

static void print(struct follow *f, const struct link_event *event)
{
	follow_print(&f->style, event);
	check_output(f);
}

/* The draft of the conversation NUMBER that was shown last; NULL: none was. */
static struct draft *find_draft(struct follow *f, uint64_t number)
{
	for (size_t i = 0; i < f->n_drafts; i++) {
		if (f->drafts[i].number == number)
			return &f->drafts[i];
	}
	return NULL;
}

static void forget_draft(struct follow *f, uint64_t number)
{
	struct draft *draft = find_draft(f, number);

	if (draft == NULL)
		return;
	free(draft->text);
	*draft = f->drafts[--f->n_drafts];
}

/* Where memory is short, it may be shown twice. */
static void remember_draft(struct follow *f, const struct link_event *event)
{
	struct draft *more = reallocarray(f->drafts, f->n_drafts + 1, sizeof(*more));
	char *text = strdup(event->text);

	if (more != NULL)
		f->drafts = more;
	if (more == NULL || text == NULL) {
		free(text);
		return;
	}
	f->drafts[f->n_drafts++] = (struct draft){
		.number = event->number,
		.turn = event->turn,
		.text = text,
		.open = true,
	};
}

/* Forgets the drafts of conversations that are not among the N of LIST. */
static void forget_ended(struct follow *f, const struct link_conversation *list, size_t n)
{
	for (size_t i = f->n_drafts; i > 0; i--) {
		const uint64_t number = f->drafts[i - 1].number;
		size_t at = 0;

		while (at < n && list[at].number != number)
			at++;
		if (at == n)
			forget_draft(f, number);
	}
}

/* Shows the draft that EVENT tells of, or that there is none any more. It comes by another marceld
 * that goes on with it, too, which may have none at first, and of one conversation by two ways. */
static void on_draft(void *context, const struct link_event *event)
{
	struct follow *f = context;
	struct draft *draft = find_draft(f, event->number);
	const bool was_open = draft != NULL && draft->open;

	if (draft != NULL)
		draft->open = event->turn != 0;
	if (event->turn == 0) {
		if (was_open || f->number == 0)
			print(f, event);
		return;
	}
	if (draft != NULL && draft->turn == event->turn && strcmp(draft->text, event->text) == 0)
		return;
	forget_draft(f, event->number);
	remember_draft(f, event);
	print(f, event);
}

static void on_signal(void *context, const struct link_event *event)
{
	struct follow *f = context;

	if (strcmp(event->name, "Gone") == 0) {
		f->gone = true;
		(void)sd_event_source_set_enabled(f->soon, SD_EVENT_ONESHOT);
		return;
	}
	if (strcmp(event->name, "Lost") == 0) {
		f->missed = true;
		(void)sd_event_source_set_enabled(f->soon, SD_EVENT_ONESHOT);
	} else if (f->number != 0 && event->number != f->number) {
		return;
	}
	if (strcmp(event->name, "Message") == 0) {
		/* The past goes not so far back as signals that are late. */
		if (was_shown(f, event) || event->time < f->first)
			return;
		f->first = 0;
		if (event->time > f->last)
			f->last = event->time;
	}
	if (strcmp(event->name, "Draft") == 0)
		on_draft(f, event);
	else
		print(f, event);
	if (strcmp(event->name, "Closed") == 0)
		forget_draft(f, event->number);
	if (f->number != 0 && strcmp(event->name, "Closed") == 0)
		(void)sd_event_exit(f->event, EXIT_OK);
}

/* The past of a conversation, of which MARK is the last that was shown before. */
struct past {
	struct follow *f;
	uint64_t mark;
};

static void on_past(void *context, const struct link_event *said)
{
	struct past *past = context;

	remember_shown(past->f, said);
	if (past->mark == 0 && past->f->first == 0)
		past->f->first = said->time;
	if (said->time <= past->mark)
		return;
	if (said->time > past->f->last)
		past->f->last = said->time;
	print(past->f, said);
}

static void tell_nobody(void *context, const char *line)
{
	(void)context;
	(void)line;
}

/* A draft, or that there is none, until it is shown. */
struct kept_draft {
	struct link_event event; /* name NULL: nothing is known */
	char *text;              /* owned */
};

static void keep_draft(void *context, const struct link_event *event)
{
	struct kept_draft *kept = context;

	kept->text = strdup(event->text);
	if (kept->text == NULL)
		return;
	kept->event = *event;
	kept->event.text = kept->text;
}

/* Gets the draft that is there already, of the one conversation. If that is over by now, or marceld
 * is gone, a signal says so. */
static struct kept_draft fetch_draft(struct follow *f)
{
	struct kept_draft kept = {.text = NULL};
	link_tell_fn *tell = f->link.tell;

	f->link.tell = tell_nobody;
	(void)properties_draft(&f->link, f->number, keep_draft, &kept);
	f->link.tell = tell;
	return kept;
}

static void show_draft(struct follow *f, struct kept_draft *kept)
{
	if (kept->event.name != NULL)
		on_draft(f, &kept->event);
	free(kept->text);
}

/* Shows the past of the conversation NUMBER, behind MARK, and its draft if it is the only one. The
 * draft is fetched first: then the past has what it answers. Returns 0 or a negative errno. */
static int show_past(struct follow *f, uint64_t number, uint64_t mark)
{
	struct kept_draft kept = {.text = NULL};
	struct past past = {.f = f, .mark = mark};
	int r;

	if (f->number != 0)
		kept = fetch_draft(f);
	r = link_past(&f->link, number, on_past, &past);
	if (r >= 0)
		show_draft(f, &kept);
	else
		free(kept.text);
	return r;
}

/* Shows what the past of the conversation NUMBER has from behind MARK. Returns 0, also if it is
 * over by now, which a signal says; or a negative errno. */
static int catch_up_with(struct follow *f, uint64_t number, uint64_t mark)
{
	link_tell_fn *tell = f->link.tell;
	int r;

	f->link.tell = tell_nobody;
	r = show_past(f, number, mark);
	f->link.tell = tell;
	return r == -ENOENT ? 0 : r;
}

/* Shows what was said since the last thing that was shown. Returns 0 or a negative errno. */
static int catch_up(struct follow *f)
{
	/* One conversation's past says nothing about what was shown of another. */
	const uint64_t mark = f->last;
	struct link_conversation *list = NULL;
	bool there = false;
	int n;
	int r = 0;

	n = link_list(&f->link, &list);
	if (n < 0)
		return n;
	forget_ended(f, list, (size_t)n);
	for (int i = 0; i < n && r != -ECONNRESET; i++) {
		if (f->number != 0 && list[i].number != f->number)
			continue;
		there = true;
		r = catch_up_with(f, list[i].number, mark);
	}
	link_free_list(list, (size_t)n);
	if (r < 0)
		return r;
	if (f->number != 0 && !there) {
		const struct link_event over = {.name = "Closed", .number = f->number, .text = "-"};

		print(f, &over);
		(void)sd_event_exit(f->event, EXIT_OK);
	}
	return 0;
}

/* Ends the link, if there is one. */
static void disconnect(struct follow *f)
{
	if (f->link.bus == NULL)
		return;
	(void)sd_bus_detach_event(f->link.bus);
	link_done(&f->link);
	f->gone = false;
}

/* Opens a link, subscribes, and shows what there is to show. Returns 0 or a negative errno; QUIET:
 * without telling. */
static int connect_now(struct follow *f, bool quiet)
{
	int r;

	r = link_open(&f->to, quiet, &f->link);
	if (r < 0)
		return r;
	if (quiet)
		f->link.tell = tell_nobody;
	f->n_shown = 0;
	r = link_subscribe(&f->link, on_signal, f);
	if (r >= 0 && quiet) {
		follow_print_found(&f->style);
		check_output(f);
		r = catch_up(f);
	} else if (r >= 0 && f->number != 0) {
		r = show_past(f, f->number, 0);
	}
	if (r >= 0)
		r = sd_bus_attach_event(f->link.bus, f->event, SD_EVENT_PRIORITY_NORMAL);
	if (r < 0)
		disconnect(f);
	return r < 0 ? r : 0;
}

static int on_directory(sd_event_source *source, const struct inotify_event *event, void *context)
{
	struct follow *f = context;

	(void)source;
	if (event->len > 0 && strcmp(event->name, f->name) == 0)
		(void)sd_event_source_set_enabled(f->soon, SD_EVENT_ONESHOT);
	return 0;
}

/* Watches where the socket is to appear, if that is possible. */
static void watch_directory(struct follow *f)
{
	char path[512];
	char *slash;

	if (f->watch != NULL || f->to.bus)
		return;
	(void)link_path(&f->to, path, sizeof(path));
	slash = strrchr(path, '/');
	(void)snprintf(f->name, sizeof(f->name), "%s", slash != NULL ? slash + 1 : path);
	if (slash != NULL)
		slash[slash == path ? 1 : 0] = '\0';
	if (sd_event_add_inotify(f->event, &f->watch, slash != NULL ? path : ".",
				 IN_CREATE | IN_MOVED_TO | IN_ATTRIB, on_directory, f) < 0)
		f->watch = NULL;
}

static void stop_waiting(struct follow *f)
{
	f->watch = sd_event_source_disable_unref(f->watch);
	f->length = PAUSE_FIRST;
	(void)sd_event_source_set_enabled(f->pause, SD_EVENT_OFF);
}

/* Tries to connect; if that fails, waits for the next reason to try. */
static void try_again(struct follow *f)
{
	/* Before the attempt, so that what comes after it is noticed. */
	watch_directory(f);
	if (connect_now(f, true) >= 0) {
		stop_waiting(f);
		return;
	}
	(void)sd_event_source_set_time_relative(f->pause, f->length);
	(void)sd_event_source_set_enabled(f->pause, SD_EVENT_ONESHOT);
	f->length = f->length < PAUSE_MAX / 2 ? 2 * f->length : PAUSE_MAX;
}

static int on_pause(sd_event_source *source, uint64_t time, void *context)
{
	(void)source;
	(void)time;
	try_again(context);
	return 0;
}

static int on_soon(sd_event_source *source, void *context)
{
	struct follow *f = context;

	(void)source;
	if (f->gone) {
		disconnect(f);
		follow_print_lost(&f->style);
		check_output(f);
	}
	if (f->link.bus == NULL) {
		try_again(f);
	} else if (f->missed) {
		f->missed = false;
		if (catch_up(f) == -ECONNRESET)
			f->gone = true;
	}
	return 0;
}

/* Nobody reads standard output any more. */
static int on_output(sd_event_source *source, int fd, uint32_t events, void *context)
{
	(void)fd;
	(void)context;
	if ((events & (EPOLLERR | EPOLLHUP)) != 0)
		(void)sd_event_exit(sd_event_source_get_event(source), EXIT_OK);
	return 0;
}

static int add_sources(struct follow *f)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t set;
	int r;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < 3; i++)
		(void)sigaddset(&set, signals[i]);
	if (sigaction(SIGPIPE, &ignore, NULL) < 0)
		return -errno;
	r = -pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (r >= 0)
		r = sd_event_new(&f->event);
	/* Without a function, a signal ends the loop with 0. */
	for (size_t i = 0; r >= 0 && i < 3; i++)
		r = sd_event_add_signal(f->event, NULL, signals[i], NULL, NULL);
	if (r >= 0)
		r = sd_event_add_defer(f->event, &f->soon, on_soon, f);
	if (r >= 0)
		r = sd_event_source_set_enabled(f->soon, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(f->event, &f->pause, CLOCK_MONOTONIC, USEC_PER_SEC,
					       0, on_pause, f);
	if (r >= 0)
		r = sd_event_source_set_enabled(f->pause, SD_EVENT_OFF);
	/* A file can't be waited for, and need not. */
	if (r >= 0)
		(void)sd_event_add_io(f->event, NULL, STDOUT_FILENO, 0, on_output, f);
	return r;
}

static int follow(struct follow *f)
{
	int r = add_sources(f);

	if (r < 0) {
		say_error("%s", say_errno(-r));
		return CTL_FAILED;
	}
	if (connect_now(f, false) < 0)
		return CTL_FAILED;
	r = sd_event_loop(f->event);
	if (r < 0) {
		say_error("%s", say_errno(-r));
		return CTL_FAILED;
	}
	if (r == CTL_FAILED)
		say_error(_("standard output: %s"), say_errno(errno));
	return r;
}

int verb_follow(int argc, char **argv)
{
	struct follow f = {.length = PAUSE_FIRST};
	struct live live = {.json = false};
	int status;
	int n;

	if (!live_options(argc, argv, options, &live))
		return EXIT_USAGE;
	n = verb_arguments(argc, argv, 0, 1);
	if (n < 0 || (n == 1 && live_number(argv[optind], &f.number) < 0))
		return EXIT_USAGE;
	f.to = live.to;
	if (!live.json)
		charset_output();
	f.style = (struct follow_style){.json = live.json, .all = n == 0};
	if (n == 0)
		f.last = clock_realtime();
	status = follow(&f);
	disconnect(&f);
	sd_event_source_unref(f.watch);
	sd_event_source_unref(f.pause);
	sd_event_source_unref(f.soon);
	sd_event_unref(f.event);
	for (size_t i = 0; i < f.n_drafts; i++)
		free(f.drafts[i].text);
	free(f.drafts);
	free(f.shown);
	return status;
}
