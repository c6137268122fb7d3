/*
 * Where a configuration comes from and goes to: files of every kind, the printed form, and what is
 * shipped: etc/marcel.ini and the manual page say what the table of keys says.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "config-helpers.h"
#include "daemon/config-keys.h"
#include "daemon/ini.h"

static char *read_file(const char *path)
{
	size_t length = 0;
	char *bytes = NULL;
	char *text;

	assert_int_equal(ini_file_load(path, &bytes, &length), 0);
	text = strndup(bytes, length);
	free(bytes);
	assert_non_null(text);
	return text;
}

static void printing_tells_whether_it_was_written(void **state)
{
	struct config *config = parse("");
	FILE *full = fopen("/dev/full", "we");

	(void)state;
	assert_non_null(full);
	assert_int_equal(config_print(config, full), -ENOSPC);
	(void)fclose(full);
	config_unref(config);
}

/* In a file of its own, PATH without lines that begin with a ';' being such a key. */
static char *uncomment(const char *path, size_t *ret_count)
{
	char *text = read_file(path);
	char *to = text;

	*ret_count = 0;
	for (const char *from = text; *from != '\0'; from++) {
		if (*from == ';' && (from == text || from[-1] == '\n'))
			(*ret_count)++;
		else
			*to++ = *from;
	}
	*to = '\0';
	return text;
}

static void the_shipped_file_shows_the_defaults(void **state)
{
	static const char path[] = MARCEL_SOURCE_DIR "/etc/marcel.ini";
	auto_free char *defaults = print_text("");
	auto_free char *shipped = read_file(path);
	auto_free char *as_shipped = print_text(shipped);
	auto_free char *keys = NULL;
	auto_free char *with_keys = NULL;
	size_t n_keys = 0;

	(void)state;
	assert_string_equal(as_shipped, defaults);
	keys = uncomment(path, &n_keys);
	with_keys = print_text(keys);
	assert_string_equal(with_keys, defaults);

	/* All keys are there: since none is there twice, counting is enough. */
	for (size_t i = 0; i < CONFIG_N_KEYS; i++)
		if (strcmp(config_keys[i].section, CONFIG_LISTENER) == 0)
			n_keys++;
	assert_int_equal(n_keys, CONFIG_N_KEYS);
}

static void the_manual_tells_each_key_and_its_default(void **state)
{
	auto_free char *manual = read_file(MARCEL_SOURCE_DIR "/src/daemon/marcel.ini.5");

	(void)state;
	for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
		const struct config_key *key = &config_keys[i];
		bool several = strchr(key->fallback, ' ') != NULL;
		const char *quote = several ? "\"" : "";
		auto_free char *item = NULL;
		auto_free char *end = NULL;
		const char *found;

		assert_true(asprintf(&item, "\n.It Ic %s No = ", key->name) > 0);
		if (*key->fallback != '\0')
			assert_true(asprintf(&end, " Pq Li %s%s%s\n", quote, key->fallback, quote) >
				    0);
		else
			end = strdup(" Pq none\n");
		assert_non_null(end);
		/* `listen` is there twice; one of the two has this default. */
		found = strstr(manual, item);
		while (found != NULL &&
		       strncmp(strchr(found + 1, '\n') + 1 - strlen(end), end, strlen(end)) != 0)
			found = strstr(found + 1, item);
		if (found == NULL)
			fail_msg("%s =%s", key->name, end);
	}
}

static char directory[] = "/tmp/marcel-config-XXXXXX";

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) == NULL || chdir(directory) < 0;
}

static int remove_directory(void **state)
{
	(void)state;
	return chdir("/") < 0 || rmdir(directory) < 0;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* Loading PATH gives one fault, which is FAULT. */
static void assert_refused(const char *path, const char *fault)
{
	struct report report = REPORT_INIT;
	struct config *config = NULL;

	assert_int_equal(config_load(path, NULL, &report, &config), -EINVAL);
	assert_null(config);
	assert_int_equal(report.count, 1);
	assert_string_equal(report.texts[0], fault);
	report_done(&report);
}

static void a_file_is_read(void **state)
{
	struct report report = REPORT_INIT;
	struct config *config = NULL;

	(void)state;
	write_file("x.ini", "[dialogue]\nfarewell = x\n");
	assert_int_equal(config_load("x.ini", NULL, &report, &config), 0);
	assert_string_equal(config->file, "x.ini");
	assert_string_equal(config->faces[0].dialogue.farewell, "x");
	config_unref(config);

	write_file("x.ini", "");
	assert_int_equal(config_load("x.ini", NULL, &report, &config), 0);
	assert_string_equal(config->faces[0].dialogue.farewell, "fin");
	config_unref(config);

	assert_int_equal(config_load("/dev/null", NULL, &report, &config), 0);
	config_unref(config);
	assert_int_equal(report.count, 0);

	write_file("x.ini", "[dialogue]\n\nfarewel = x\n");
	assert_refused("x.ini", "x.ini:3: unknown key 'farewel' in [dialogue] (did you mean "
				"'farewell'?)");
	assert_int_equal(unlink("x.ini"), 0);
}

static void what_cannot_be_read_is_told(void **state)
{
	(void)state;
	assert_refused("missing.ini", "missing.ini: cannot be read: No such file or directory");
	assert_refused(".", ".: is a directory, not a file");
}

static void an_unreadable_file_is_told(void **state)
{
	const uid_t user = geteuid();
	bool root = user == 0;

	(void)state;
	write_file("x.ini", "");
	assert_int_equal(chmod("x.ini", 0), 0);
	assert_int_equal(chmod(".", 0755), 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	assert_refused("x.ini", "x.ini: cannot be read: Permission denied");
	if (root)
		assert_int_equal(seteuid(user), 0);
	assert_int_equal(unlink("x.ini"), 0);
}

static void a_file_too_large_is_told(void **state)
{
	(void)state;
	write_file("x.ini", "");
	assert_int_equal(truncate("x.ini", (off_t)INI_FILE_MAX + 1), 0);
	assert_refused("x.ini", "x.ini: is larger than 16 MiB");
	assert_int_equal(truncate("x.ini", (off_t)INI_FILE_MAX), 0);
	assert_refused("x.ini", "x.ini:1: the line is longer than 1048560 bytes");
	assert_int_equal(unlink("x.ini"), 0);
}

/* Nobody writes: the answer comes at once, and not when somebody does. */
static void a_fifo_without_a_writer_is_told(void **state)
{
	(void)state;
	assert_int_equal(mkfifo("x.fifo", 0600), 0);
	assert_refused("x.fifo", "x.fifo: is a pipe that nobody has written to");
	assert_int_equal(unlink("x.fifo"), 0);
}

static void a_pipe_is_read_to_its_end(void **state)
{
	static const char text[] = "[dialogue]\nfarewell = x\n";
	struct report report = REPORT_INIT;
	struct config *config = NULL;
	char path[32];
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(write(pipes[1], text, strlen(text)), strlen(text));
	assert_int_equal(close(pipes[1]), 0);
	(void)snprintf(path, sizeof(path), "/dev/fd/%d", pipes[0]);
	assert_int_equal(config_load(path, NULL, &report, &config), 0);
	assert_string_equal(config->faces[0].dialogue.farewell, "x");
	config_unref(config);
	assert_int_equal(close(pipes[0]), 0);
}

/* The writer has to be waited for, again and again: a pipe holds 64 KiB at most. */
static void a_pipe_is_waited_for(void **state)
{
	static const char line[] = "# and so on, and so on, and so on, and so on, and so on\n";
	struct report report = REPORT_INIT;
	struct config *config = NULL;
	char path[32];
	int pipes[2];
	int status = -1;
	pid_t writer;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	writer = fork();
	assert_true(writer >= 0);
	if (writer == 0) {
		bool written = close(pipes[0]) == 0;

		for (int i = 0; i < 20000 && written; i++)
			written = write(pipes[1], line, strlen(line)) == (ssize_t)strlen(line);
		_exit(written ? 0 : 1);
	}
	assert_int_equal(close(pipes[1]), 0);
	(void)snprintf(path, sizeof(path), "/dev/fd/%d", pipes[0]);
	assert_int_equal(config_load(path, NULL, &report, &config), 0);
	config_unref(config);
	assert_int_equal(close(pipes[0]), 0);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
}

static void the_default_file_may_be_missing(void **state)
{
	struct report report = REPORT_INIT;
	struct config *config = NULL;
	auto_free char *defaults = print_text("");
	auto_free char *printed = NULL;

	(void)state;
	if (access(CONFIG_FILE_DEFAULT, F_OK) == 0)
		skip(); /* this machine has one */
	assert_int_equal(config_load(NULL, NULL, &report, &config), 0);
	assert_null(config->file);
	printed = print(config);
	assert_string_equal(printed, defaults);
	config_unref(config);
	report_done(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(printing_tells_whether_it_was_written),
		cmocka_unit_test(the_shipped_file_shows_the_defaults),
		cmocka_unit_test(the_manual_tells_each_key_and_its_default),
		cmocka_unit_test(a_file_is_read),
		cmocka_unit_test(what_cannot_be_read_is_told),
		cmocka_unit_test(an_unreadable_file_is_told),
		cmocka_unit_test(a_file_too_large_is_told),
		cmocka_unit_test(a_fifo_without_a_writer_is_told),
		cmocka_unit_test(a_pipe_is_read_to_its_end),
		cmocka_unit_test(a_pipe_is_waited_for),
		cmocka_unit_test(the_default_file_may_be_missing),
	};

	return cmocka_run_group_tests_name("daemon/config-files", tests, make_directory,
					   remove_directory);
}
