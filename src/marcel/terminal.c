/*
 * marcel on a terminal; see terminal.h.
 *
 * libedit owns the loop while a line is typed and asks read_key() for each key. There one poll()
 * waits for the keyboard, the socket and signals alike, so that nothing has to wait for a key.
 */
#include "marcel/terminal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <wchar.h>

#include <histedit.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/i18n.h"
#include "marcel/display.h"
#include "marcel/past.h"
#include "marcel/say.h"
#include "marcel/session.h"
#include "marcel/view.h"

struct terminal {
	struct session session;
	struct bytes heard; /* not shown yet */
	struct bytes typed; /* lines entered, not said yet: the dialect is not known */
	struct past past;
	struct display display;
	EditLine *edit;
	mbstate_t key;        /* the bytes of a key that have come so far */
	int signals;          /* signalfd(2) */
	sigset_t signals_set; /* what it reads */
	sigset_t signals_before;
	int fatal;        /* the signal that ends us, or 0 */
	bool input_ended; /* no line will be entered any more */
	int error;        /* negative errno of our own: no memory, no poll() */
};

enum {
	POLL_KEYS,
	POLL_SOCKET,
	POLL_SIGNALS,
	POLL_COUNT
};

/* What people of other line editors expect, and libedit does not do by itself. */
static const char *const bindings[][2] = {
	{"^R", "em-inc-search-prev"}, {"\\e[3~", "ed-delete-next-char"},
	{"\\e[1~", "ed-move-to-beg"}, {"\\e[4~", "ed-move-to-end"},
	{"\\e[1;5C", "em-next-word"}, {"\\e[1;5D", "ed-prev-word"},
	{"^I", "ed-insert"},
};

/*
 * A terminal's ways to insert and delete within a row. libedit leaves the cursor a column off when
 * it uses them beside characters that are two columns wide; without them it writes the rest anew.
 */
static const char *const unused[] = {"ic", "IC", "im", "dc", "DC", "dm"};

static bool is_over(const struct terminal *terminal)
{
	return terminal->session.ended || terminal->fatal != 0 || terminal->error != 0;
}

/* What to do with text that no LF ends: in raw it is whole; in lines quiet makes it so. */
static enum view_rest rest_of(const struct terminal *terminal, usec_t now)
{
	const struct dialect *dialect = &terminal->session.dialect;

	if (terminal->session.ended || now >= dialect->quiet_since + DIALECT_PAUSE ||
	    bytes_length(&terminal->heard) >= SESSION_QUEUE_MAX)
		return VIEW_ALL;
	return dialect->kind == DIALECT_RAW ? VIEW_TAKE : VIEW_KEEP;
}

/* Shows what was heard by NOW, as far as it can be shown yet. */
static int show(struct terminal *terminal, usec_t now)
{
	size_t length;
	size_t used;

	if (dialect_over(&terminal->session.dialect)) {
		bytes_done(&terminal->heard);
		terminal->session.ended = true;
	}
	while (view_line(&terminal->heard, rest_of(terminal, now), &length, &used)) {
		auto_free char *shown = view_render(bytes_first(&terminal->heard), length);

		if (shown == NULL)
			return -ENOMEM;
		display_line(&terminal->display, "S> ", shown);
		bytes_drop(&terminal->heard, used);
	}
	return 0;
}

/* Says the lines that were entered, once the dialect is known. */
static int speak(struct terminal *terminal, usec_t now)
{
	struct session *session = &terminal->session;
	struct bytes *typed = &terminal->typed;
	const bool ready = bytes_length(typed) > 0 || terminal->input_ended;
	size_t length;
	int r = 0;

	if (dialect_decide(&session->dialect, ready, now) == DIALECT_UNKNOWN ||
	    dialect_over(&session->dialect))
		return 0;
	while (r == 0 && bytes_line(typed, &length)) {
		if (length == 0 && session->dialect.kind == DIALECT_RAW)
			terminal->input_ended = true;
		else
			r = session_say(session, bytes_first(typed), length);
		bytes_drop(typed, length + 1);
	}
	if (terminal->input_ended)
		session_close(session);
	return r;
}

/* The terminal is ours again; whoever had it may have changed its mode and written on it. */
static void resume(struct terminal *terminal, bool typing)
{
	(void)el_set(terminal->edit, EL_PREP_TERM, 0);
	(void)el_set(terminal->edit, EL_PREP_TERM, typing ? 1 : 0);
	display_note(&terminal->display, false);
}

/* Gives the terminal back and stops, as if this signal had never been blocked. */
static void suspend(struct terminal *terminal, int number)
{
	sigset_t set;

	display_erase(&terminal->display);
	(void)fflush(stdout);
	(void)el_set(terminal->edit, EL_PREP_TERM, 0);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, number);
	(void)raise(number);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void take_signals(struct terminal *terminal, bool typing)
{
	struct signalfd_siginfo info;

	while (read(terminal->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGWINCH:
			display_resize(&terminal->display);
			break;
		case SIGTSTP:
			suspend(terminal, SIGTSTP);
			resume(terminal, typing);
			break;
		case SIGCONT:
			resume(terminal, typing);
			break;
		default:
			terminal->fatal = (int)info.ssi_signo;
			break;
		}
	}
}

static usec_t deadline(const struct terminal *terminal, usec_t now)
{
	const struct dialect *dialect = &terminal->session.dialect;

	if (bytes_length(&terminal->heard) > 0)
		return dialect->quiet_since + DIALECT_PAUSE;
	return dialect_deadline(dialect, now);
}

/* Waits until something happens. Returns whether a key was pressed, or a negative errno. */
static int wait_for_event(struct terminal *terminal, bool typing, usec_t now)
{
	const bool says = session_wants_out(&terminal->session);
	struct pollfd polled[POLL_COUNT] = {
		[POLL_KEYS] = {.fd = typing ? STDIN_FILENO : -1, .events = POLLIN},
		[POLL_SOCKET] = {.fd = terminal->session.fd,
				 .events = (short)(POLLIN | (says ? POLLOUT : 0))},
		[POLL_SIGNALS] = {.fd = terminal->signals, .events = POLLIN},
	};
	int r;

	(void)fflush(stdout);
	r = poll(polled, POLL_COUNT, clock_poll_msec(clock_left(deadline(terminal, now), now)));
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (polled[POLL_SIGNALS].revents != 0)
		take_signals(terminal, typing);
	return polled[POLL_KEYS].revents != 0;
}

/*
 * Does all there is to do but reading keys, then waits for the next event; TYPING says that a
 * line is being typed. Returns whether a key was pressed. When it is over, returns at once.
 */
static bool step(struct terminal *terminal, bool typing)
{
	usec_t now = 0;
	int r;

	r = session_receive(&terminal->session, &terminal->heard, &now);
	if (r == 0)
		r = speak(terminal, now);
	if (r == 0)
		r = show(terminal, now);
	session_send(&terminal->session);
	if (r == 0 && !is_over(terminal)) {
		if (typing)
			display_prompt(&terminal->display);
		r = wait_for_event(terminal, typing, now);
	}
	if (r < 0)
		terminal->error = r;
	return r > 0;
}

/*
 * Reads one byte from the terminal. Returns 1 when it completes the key *RET_KEY, 0 when more
 * must come, -1 when the terminal has no more.
 */
static int read_byte(struct terminal *terminal, wchar_t *ret_key)
{
	wchar_t key;
	size_t used;
	ssize_t n;
	char byte;

	n = read(STDIN_FILENO, &byte, 1);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0)
		return -1;
	/* Safe: the state is ours. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	used = mbrtowc(&key, &byte, 1, &terminal->key);
	if (used == (size_t)-2)
		return 0;
	if (used == (size_t)-1) {
		/* Not UTF-8: it is as if it had not been typed. */
		memset(&terminal->key, 0, sizeof(terminal->key));
		return 0;
	}
	*ret_key = key;
	return 1;
}

/* libedit's way to a key. Returns 1, or 0 when there will be none. */
static int read_key(EditLine *edit, wchar_t *ret_key)
{
	struct terminal *terminal = NULL;
	int r = 0;

	(void)el_get(edit, EL_CLIENTDATA, &terminal);
	while (r == 0 && !is_over(terminal)) {
		if (step(terminal, true))
			r = read_byte(terminal, ret_key);
	}
	return r > 0 ? 1 : 0;
}

/* Takes in one line, or learns that none will come. */
static int type_line(struct terminal *terminal)
{
	const char *line;
	int length = 0;

	display_note(&terminal->display, true);
	line = el_gets(terminal->edit, &length);
	if (line == NULL || length <= 0) {
		display_erase(&terminal->display);
		terminal->input_ended = true;
		return 0;
	}
	display_note(&terminal->display, false);
	past_add(&terminal->past, line);
	if (line[length - 1] == '\n')
		length--;
	if (bytes_append(&terminal->typed, line, (size_t)length) < 0)
		return -ENOMEM;
	return bytes_append(&terminal->typed, "\n", 1);
}

static void converse(struct terminal *terminal)
{
	(void)puts(_("Connected to the server."));
	while (!is_over(terminal) && !terminal->input_ended) {
		int r = type_line(terminal);

		if (r < 0)
			terminal->error = r;
	}
	/* The server has the last word. */
	(void)el_set(terminal->edit, EL_PREP_TERM, 0);
	while (!is_over(terminal))
		(void)step(terminal, false);
}

/* Has the signals that concern a terminal come through a descriptor; those ignored stay so. */
static int open_signals(struct terminal *terminal)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH, SIGCONT};
	struct sigaction action;

	(void)sigemptyset(&terminal->signals_set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			(void)sigaddset(&terminal->signals_set, numbers[i]);
	}
	(void)pthread_sigmask(SIG_BLOCK, &terminal->signals_set, &terminal->signals_before);
	terminal->signals = signalfd(-1, &terminal->signals_set, SFD_CLOEXEC | SFD_NONBLOCK);
	return terminal->signals < 0 ? -errno : 0;
}

static int open_editor(struct terminal *terminal)
{
	EditLine *edit = el_init("marcel", stdin, stdout, stderr);

	if (edit == NULL)
		return -ENOMEM;
	terminal->edit = edit;
	(void)el_set(edit, EL_CLIENTDATA, terminal);
	(void)el_set(edit, EL_EDITOR, "emacs");
	(void)el_set(edit, EL_GETCFN, read_key);
	if (terminal->past.lines != NULL)
		(void)el_set(edit, EL_HIST, history, terminal->past.lines);
	for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++)
		(void)el_set(edit, EL_BIND, bindings[i][0], bindings[i][1], NULL);
	for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++)
		(void)el_set(edit, EL_SETTC, unused[i], "", NULL);
	/* What the user wants otherwise: ~/.editrc (editrc(5)). */
	(void)el_source(edit, NULL);
	display_init(&terminal->display, edit);
	return 0;
}

/* Says how it ended. Returns the exit status. */
static int report_end(const struct terminal *terminal)
{
	const int error = terminal->error != 0 ? terminal->error : terminal->session.error;

	if (terminal->fatal != 0)
		return EXIT_OSERR;
	if (error != 0) {
		(void)fflush(stdout);
		say_error(_("the connection broke: %s"), say_errno(-error));
		return CLIENT_BROKE;
	}
	(void)puts(_("Connection closed."));
	return CLIENT_ENDED;
}

static void done(struct terminal *terminal)
{
	if (terminal->edit != NULL)
		el_end(terminal->edit);
	past_save(&terminal->past);
	past_done(&terminal->past);
	session_done(&terminal->session);
	close_fd(&terminal->signals);
	bytes_done(&terminal->heard);
	bytes_done(&terminal->typed);
}

int terminal_run(int fd, enum dialect_kind wanted)
{
	struct terminal terminal = {.signals = -1};
	int status;
	int r;

	session_init(&terminal.session, fd, wanted);
	past_load(&terminal.past);
	r = open_signals(&terminal);
	if (r == 0)
		r = open_editor(&terminal);
	if (r == 0)
		converse(&terminal);
	else
		terminal.error = r;
	status = report_end(&terminal);
	done(&terminal);
	(void)fflush(stdout);
	(void)pthread_sigmask(SIG_SETMASK, &terminal.signals_before, NULL);
	if (terminal.fatal != 0) {
		/* The terminal is restored; now the signal may do what it does. */
		(void)raise(terminal.fatal);
	}
	return status;
}
