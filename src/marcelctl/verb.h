/*
 * The verbs of marcelctl, and how each reads its options. A verb is a function that gets its own
 * part of the command line, as main() does (argv[0] is the verb), and returns the exit status.
 * Main thread.
 */
#pragma once

#include <getopt.h>
#include <stdbool.h>

struct verb {
	const char *group; /* the word before it: "script"; NULL: none */
	const char *name;
	const char *arguments; /* for the help, marked with N_(); NULL: none */
	const char *summary;   /* the same */
	int (*run)(int argc, char **argv);
	const char *heading; /* in the help, above this verb and those behind it; NULL: none */
};

/* Long options without a letter begin above all letters. */
#define VERB_OPTIONS 256

/*
 * The next option of a verb, as getopt_long(3) gives it: its value, optarg, -1 at their end. Of
 * one that is wrong it tells what, and returns '?': the verb returns EXIT_USAGE then. SHORT
 * begins with ':'. The same if somebody wants help, but then there is nothing to tell.
 */
int verb_option(int argc, char **argv, const char *short_options, const struct option *options);

/* Whether one of the options was --help or -h: then no verb has done anything. */
bool verb_help_wanted(void);

/* Tells that there is no option ARGUMENT ("--name" or "--name=value"), and which of OPTIONS is
 * meant. */
void verb_unknown_option(const char *argument, const struct option *options);

/*
 * How many arguments follow the options; they begin at argv[optind]. Tells the user and returns -1
 * when they are fewer than LEAST or more than MOST (-1: any number).
 */
int verb_arguments(int argc, char **argv, int least, int most);

int verb_script_check(int argc, char **argv);
int verb_script_try(int argc, char **argv);
int verb_script_test(int argc, char **argv);
int verb_script_from_journal(int argc, char **argv);
int verb_script_record(int argc, char **argv);

int verb_status(int argc, char **argv);
int verb_list(int argc, char **argv);
int verb_show(int argc, char **argv);
int verb_follow(int argc, char **argv);
int verb_say(int argc, char **argv);
int verb_close(int argc, char **argv);
int verb_take(int argc, char **argv);
int verb_give(int argc, char **argv);
int verb_reload(int argc, char **argv);
int verb_metrics(int argc, char **argv);
int verb_desk(int argc, char **argv);
