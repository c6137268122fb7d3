/*
 * marcelctl say: says something in a conversation that an operator holds. Each line is an order, as
 * on the operator channel: text, or "/..." (marcel-operator(7)).
 *
 * It ends when marceld has done it or refused it; if neither comes for a while, the client does not
 * read what it is sent, and the order waits there: that is told, too. One thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/i18n.h"
#include "base/text.h"
#include "marcelctl/live.h"
#include "marcelctl/say.h"

enum {
	OPTION_TURN = LIVE_OWN
};

static const struct option options[] = {
	LIVE_OPTIONS,
	{"turn", required_argument, NULL, OPTION_TURN},
	{NULL, 0, NULL, 0},
};

struct saying {
	struct live live;
	uint64_t number;
	uint64_t turn; /* 0: any */
	struct link link;
};

/* D-Bus takes nothing else. */
static bool is_utf8(const char *text, size_t length)
{
	size_t at = 0;

	while (at < length) {
		const size_t n = text_utf8_length(text + at, length - at);

		if (n == 0 || text[at] == '\0')
			return false;
		at += n;
	}
	return true;
}

/* Says one line, LENGTH bytes and a NUL behind them. Returns 0 or a negative errno after telling.
 */
static int say_line(struct saying *saying, const char *line, size_t length)
{
	if (!is_utf8(line, length)) {
		say_error(_("this is not UTF-8, or has a NUL in it; other bytes can be written to "
			    "the conversation's FIFO, see marcel-operator(7)"));
		return -EILSEQ;
	}
	return link_call(&saying->link, "Say", NULL, "tts", saying->number, saying->turn, line);
}

/* Says each line of standard input as it comes. */
static int say_input(struct saying *saying)
{
	auto_free char *line = NULL;
	size_t room = 0;
	ssize_t length;

	while ((length = getline(&line, &room, stdin)) > 0) {
		int r;

		if (line[length - 1] == '\n')
			line[--length] = '\0';
		r = say_line(saying, line, (size_t)length);
		if (r < 0)
			return r;
	}
	if (ferror(stdin) == 0)
		return 0;
	say_error(_("standard input: %s"), say_errno(errno));
	return -EIO;
}

/* Says each line of TEXT. */
static int say_text(struct saying *saying, char *text)
{
	char *rest = text;
	const char *line;
	int r = 0;

	while (r >= 0 && (line = strsep(&rest, "\n")) != NULL)
		r = say_line(saying, line, strlen(line));
	return r;
}

/* The words, joined by blanks; the caller frees it. */
static char *join(char **words, int n)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	for (int i = 0; i < n; i++)
		(void)fprintf(out, "%s%s", i > 0 ? " " : "", words[i]);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static bool take_option(struct saying *saying, int c)
{
	if (c != OPTION_TURN)
		return live_option(&saying->live, c);
	if (text_parse_unsigned(optarg, UINT64_MAX, &saying->turn) == 0 && saying->turn > 0)
		return true;
	say_error(_("'%s': a message is named by its number, as in 'marcelctl show ID'"), optarg);
	return false;
}

/*
 * Options may stand before and behind the number, but not behind the first word of the text, which
 * is nobody's option. Returns how many words there are, which begin at argv[optind], or -1.
 */
static int read_arguments(struct saying *saying, int argc, char **argv)
{
	int c;

	while ((c = verb_option(argc, argv, "+:", options)) != -1) {
		if (!take_option(saying, c))
			return -1;
	}
	if (verb_arguments(argc, argv, 1, -1) < 0 || live_number(argv[optind], &saying->number) < 0)
		return -1;
	optind++;
	while ((c = verb_option(argc, argv, "+:", options)) != -1) {
		if (!take_option(saying, c))
			return -1;
	}
	return verb_arguments(argc, argv, 1, -1);
}

int verb_say(int argc, char **argv)
{
	struct saying saying = {.number = 0};
	auto_free char *text = NULL;
	bool input;
	int n;
	int r;

	n = read_arguments(&saying, argc, argv);
	if (n < 0)
		return EXIT_USAGE;
	input = n == 1 && strcmp(argv[optind], "-") == 0;
	text = join(argv + optind, n);
	if (text == NULL)
		return CTL_FAILED;
	if (saying.turn > 0 && (input || strchr(text, '\n') != NULL)) {
		say_error(_("--turn answers one message with one line"));
		return EXIT_USAGE;
	}
	if (link_open(&saying.live.to, false, &saying.link) < 0)
		return CTL_FAILED;
	saying.link.patience = LIVE_PATIENCE;
	r = input ? say_input(&saying) : say_text(&saying, text);
	link_done(&saying.link);
	return r < 0 ? CTL_FAILED : EXIT_OK;
}
