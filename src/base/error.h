/*
 * How Marcel's functions fail, said once.
 *
 * - A function that can fail for reasons of the system returns int: zero or a positive result on
 *   success, a negative errno otherwise (-ENOMEM). Callers pass a negative errno up as it is;
 *   whoever can do something about it does.
 * - Positive codes other than plain results are a module's own, listed in its header, and meant
 *   for its immediate caller.
 * - A function either logs or returns an error, never both: each error is told once, by the
 *   function that gives up. The pure parts never log.
 * - Outputs are named ret_x and are untouched on failure. free and done functions accept NULL
 *   and half-built objects.
 * - A fault of the person who wrote a file or a command line carries a text for that person,
 *   with file and line and what would be right: see struct report in base/report.h.
 */
#pragma once

/* Exit statuses of the programs; the values are those of sysexits(3). */
enum exit_status {
	EXIT_OK = 0,
	EXIT_USAGE = 64,  /* EX_USAGE: the command line is wrong */
	EXIT_OSERR = 71,  /* EX_OSERR: the system refused, such as a port in use */
	EXIT_CONFIG = 78, /* EX_CONFIG: the configuration is wrong */
};
