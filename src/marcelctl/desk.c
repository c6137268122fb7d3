/*
 * `marcelctl desk`: the operator's desk, full screen or (--plain) as one conversation after another
 * on an ordinary terminal; see desk.h.
 *
 * Here are the options and the loop: it sleeps until a key is pressed, marceld tells something, a
 * signal comes, or an age that is shown changes; nothing is looked at again and again. However it
 * ends, the terminal is as it was.
 */
#include "marcelctl/desk.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/i18n.h"
#include "marcelctl/desk-plain.h"
#include "marcelctl/live.h"
#include "marcelctl/say.h"
#include "marcelctl/verb.h"

/* The screen is drawn at the latest after so many news. */
#define NEWS_MAX 64

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH, SIGCONT};
#define N_SIGNALS (sizeof(signals) / sizeof(signals[0]))

enum {
	OPTION_PLAIN = LIVE_OWN,
	OPTION_NO_BELL,
};

static const struct option options[] = {
	LIVE_OPTIONS,
	{"plain", no_argument, NULL, OPTION_PLAIN},
	{"no-bell", no_argument, NULL, OPTION_NO_BELL},
	{NULL, 0, NULL, 0},
};

void desk_suspend(struct desk *desk)
{
	sigset_t set;

	desk_view_leave();
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTSTP);
	/* Whoever shares the terminal with us stops as well, as with the key. */
	(void)kill(0, SIGTSTP);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	desk_view_return();
	desk->changed = true;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
	struct desk *desk = context;

	(void)source;
	switch (info->ssi_signo) {
	case SIGWINCH:
		desk_view_resize();
		break;
	case SIGTSTP:
		desk_suspend(desk);
		break;
	case SIGCONT:
		desk_view_return();
		break;
	default:
		desk->fatal = (int)info->ssi_signo;
		break;
	}
	desk->changed = true;
	return 0;
}

static int on_keys(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct desk *desk = context;

	(void)source;
	(void)fd;
	desk_keys_take(desk);
	if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		desk->fatal = SIGHUP;
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t now, void *context)
{
	struct desk *desk = context;

	(void)source;
	desk->woken = now;
	desk->changed = true;
	return 0;
}

/* Has the timer wake us when an age on the screen changes, but not more often than one of them does
 * by itself; or when a line takes long. */
static void set_timer(struct desk *desk)
{
	const uint64_t pause = desk->woken + DESK_AGE_STEP * USEC_PER_SEC;
	const uint64_t now = clock_realtime();
	uint64_t next = USEC_NEVER;
	uint64_t late;
	char age[32];

	for (size_t i = 0; desk_view_shows_list(desk) && i < desk->model.count; i++) {
		const struct desk_talk *talk = desk->model.order[i];
		uint64_t change;

		/* Those that wait come first. */
		if (talk->waiting == 0)
			break;
		change = desk_age(age, sizeof(age), talk->waiting_since, now);
		next = change < next ? change : next;
	}
	if (next < pause)
		next = pause;
	(void)desk_model_late(&desk->model, now, &late);
	next = late < next ? late : next;
	if (next != USEC_NEVER)
		(void)sd_event_source_set_time(desk->timer, next);
	(void)sd_event_source_set_enabled(desk->timer,
					  next != USEC_NEVER ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void said(void *context, struct desk_talk *talk)
{
	desk_act_said(context, talk);
}

static void waits(void *context, struct desk_talk *talk)
{
	struct desk *desk = context;
	const bool seen = talk->number == desk->open && talk->was_open;

	if (!desk->silent && !seen)
		desk_view_bell();
	talk->was_open = talk->number == desk->open;
}

static void news(void *context)
{
	desk_act_news(context);
}

static void done(void *context, const struct desk_result *result)
{
	desk_act_done(context, result);
}

static void told(void *context, const char *line)
{
	desk_say(context, "%s", line);
}

static const struct desk_hooks hooks = {.said = said,
					.waits = waits,
					.news = news,
					.done = done,
					.told = told};

static int open_events(struct desk *desk)
{
	int r;

	r = sd_event_add_time(desk->event, &desk->timer, CLOCK_REALTIME, USEC_NEVER, USEC_PER_SEC,
			      on_timer, desk);
	if (r >= 0)
		r = sd_event_source_set_enabled(desk->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_io(desk->event, NULL, STDIN_FILENO, EPOLLIN, on_keys, desk);
	for (size_t i = 0; r >= 0 && i < N_SIGNALS; i++)
		r = sd_event_add_signal(desk->event, NULL, signals[i], on_signal, desk);
	return r;
}

/* Until it is over. Returns 0 or a negative errno. */
static int work(struct desk *desk)
{
	unsigned undrawn = 0;
	int r = 0;

	while (r >= 0 && !desk->over && desk->fatal == 0) {
		if (desk->changed && (r == 0 || undrawn >= NEWS_MAX)) {
			desk_view_draw(desk);
			set_timer(desk);
			undrawn = 0;
		}
		r = sd_event_run(desk->event, desk->changed ? 0 : UINT64_MAX);
		undrawn++;
		desk_link_tend(desk->link);
	}
	return r < 0 ? r : 0;
}

/* Shows the desk until it is over. Returns 0 or a negative errno. */
static int show(struct desk *desk)
{
	struct sigaction stop;
	int r;

	(void)sigaction(SIGTSTP, NULL, &stop);
	r = desk_view_begin();
	if (r < 0)
		return r;
	/* ncurses has ideas of its own about it. */
	(void)sigaction(SIGTSTP, &stop, NULL);
	desk_keys_begin();
	r = open_events(desk);
	if (r >= 0) {
		desk_act_news(desk);
		desk_act_open(desk, desk->model.count > 0 ? desk->model.order[0]->number : 0);
		r = work(desk);
	}
	desk_view_end();
	return r;
}

static void desk_done(struct desk *desk)
{
	desk_link_free(desk->link);
	(void)sd_event_source_disable_unref(desk->timer);
	(void)sd_event_unref(desk->event);
	desk_model_done(&desk->model);
	desk_edit_done(&desk->answer);
	desk_cut_done(&desk->cut);
	desk_history_done(&desk->history);
	free(desk->heir);
	free(desk->wanted);
}

/* Lets the signal NUMBER do what it does when nobody minds it. */
static void end_by(int number)
{
	const struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t set;

	(void)sigaction(number, &action, NULL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, number);
	(void)raise(number);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static int run_desk(const struct link_options *where, bool silent)
{
	struct desk desk = {.found = -1, .silent = silent};
	sigset_t set;
	int fatal;
	int r;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		say_error("%s", _("the desk wants a terminal; without one there is desk --plain"));
		return CTL_FAILED;
	}
	(void)sigemptyset(&set);
	for (size_t i = 0; i < N_SIGNALS; i++)
		(void)sigaddset(&set, signals[i]);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	r = sd_event_new(&desk.event);
	if (r >= 0) {
		r = desk_link_new(desk.event, where, &desk.model, &hooks, &desk, &desk.link);
		if (r < 0) {
			/* It has told. */
			desk_done(&desk);
			return CTL_FAILED;
		}
		r = show(&desk);
	}
	fatal = desk.fatal;
	desk_done(&desk);
	if (fatal != 0)
		end_by(fatal);
	if (r == -ENOTTY)
		say_error("%s", _("this terminal can't show the desk; there is desk --plain"));
	else if (r < 0)
		say_error("%s", say_errno(-r));
	return r < 0 ? CTL_FAILED : EXIT_OK;
}

int verb_desk(int argc, char **argv)
{
	struct live live = {.json = false};
	bool plain = false;
	bool silent = false;
	int c;

	while ((c = verb_option(argc, argv, ":", options)) != -1) {
		switch (c) {
		case OPTION_PLAIN:
			plain = true;
			break;
		case OPTION_NO_BELL:
			silent = true;
			break;
		default:
			if (!live_option(&live, c))
				return EXIT_USAGE;
		}
	}
	if (verb_arguments(argc, argv, 0, 0) < 0)
		return EXIT_USAGE;
	return plain ? desk_plain(&live.to) : run_desk(&live.to, silent);
}
