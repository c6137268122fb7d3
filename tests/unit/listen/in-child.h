/*
 * Runs a piece of a test in a forked child, for what would spoil the test's own process: its
 * environment, its descriptors, what the kernel lets it do. The child says what it saw as text, and
 * the test compares; it never asserts by itself, because a failed assertion would go on in the
 * child with the tests that follow.
 */
#pragma once

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SAID_MAX 8192

/* Descriptors from here on are out of the way of those that systemd would pass. */
#define HIGH_FD 200

/*
 * Runs RUN(CONTEXT, SAY) in a child, where SAY is a stream to print to, and copies what it printed
 * into SAID. Fails the test when the child does not end by itself with status 0 (a sanitizer's
 * finding changes it).
 */
static inline void in_child(void (*run)(void *context, FILE *say), void *context,
			    char said[SAID_MAX])
{
	size_t length = 0;
	ssize_t n;
	int pair[2];
	int status;
	pid_t pid;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = fcntl(pair[1], F_DUPFD_CLOEXEC, HIGH_FD);
		FILE *say = fd >= 0 ? fdopen(fd, "w") : NULL;

		(void)close(pair[0]);
		(void)close(pair[1]);
		if (say == NULL)
			_exit(99);
		run(context, say);
		(void)fclose(say);
		exit(0); /* NOLINT(concurrency-mt-unsafe): the sanitizers look for leaks at exit */
	}
	(void)close(pair[1]);
	while ((n = read(pair[0], said + length, SAID_MAX - 1 - length)) > 0)
		length += (size_t)n;
	said[length] = '\0';
	(void)close(pair[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		print_error("the child said: %s\n", said);
	assert_int_equal(status, 0);
}
