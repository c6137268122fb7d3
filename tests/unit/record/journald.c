/*
 * The journal's native protocol against a stand-in for journald: a socket at journald's own path,
 * in a mount namespace of the test's own. Needs root; skipped without.
 */
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../listen/in-child.h"

#include "record/record.h"

#define SOCKET_PATH   "/run/systemd/journal/socket"
#define LEFTOVER_PATH "/run/leftover"
#define THE_END       "the end"
#define NOTES         1000

static const uint8_t identity[16] = {1, 2, 3};

static const struct record_about about = {
	.number = 17,
	.id = identity,
	.peer = "127.0.0.1:4711",
	.listener = "marcel",
};

static const struct sockaddr_un journald = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};

/* Makes /run this process's own and binds journald's socket there. Returns it, or -1. */
static int be_journald(void)
{
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
		return -1;
	if (mkdir("/run/systemd", 0755) < 0 || mkdir("/run/systemd/journal", 0755) < 0)
		abort();
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&journald, sizeof(journald)) < 0)
		abort();
	return fd;
}

/* What a record that was too large for a datagram lies in. */
static char *read_memory(int fd, size_t *ret_size)
{
	struct stat status;
	char *text;

	if (fstat(fd, &status) < 0)
		abort();
	text = malloc((size_t)status.st_size + 1);
	if (text == NULL || pread(fd, text, (size_t)status.st_size, 0) != status.st_size)
		abort();
	text[status.st_size] = '\0';
	(void)close(fd);
	*ret_size = (size_t)status.st_size;
	return text;
}

/* The next record, as it came. */
static char *receive(int fd, size_t *ret_size)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	size_t room = 4 << 20;
	char *text = malloc(room + 1);
	struct iovec part = {.iov_base = text, .iov_len = room};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	ssize_t size;

	if (text == NULL)
		abort();
	size = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	if (size < 0)
		abort();
	header = CMSG_FIRSTHDR(&message);
	if (header != NULL && header->cmsg_type == SCM_RIGHTS) {
		int memory;

		free(text);
		memcpy(&memory, CMSG_DATA(header), sizeof(memory));
		return read_memory(memory, ret_size);
	}
	text[size] = '\0';
	*ret_size = (size_t)size;
	return text;
}

static void fields(void *context, FILE *say)
{
	const struct record_field more[] = {{"MARCEL_REASON", "end-word"}};
	int fd = be_journald();
	size_t size = 0;
	char *text;

	(void)context;
	if (fd < 0) {
		(void)fprintf(say, "skip");
		return;
	}
	if (record_start(RECORD_OUTPUT_JOURNAL, NULL, 0, NULL) != 0)
		abort();
	record_event(RECORD_CLOSED, &about, more, 1, "The\nend");
	text = receive(fd, &size);
	(void)fprintf(say, "%s", text);
	free(text);
	record_stop(USEC_NEVER);
}

static void test_fields(void **state)
{
	static const char *const wanted[] = {
		"MESSAGE=The\\nend\n",
		"\nMESSAGE_ID=86c9a419d68946d48e4101f407c24d86\n",
		"\nPRIORITY=6\n",
		"\nMARCEL_TIMESTAMP=",
		"\nMARCEL_CONVERSATION=17\n",
		"\nMARCEL_CONVERSATION_ID=01020300000000000000000000000000\n",
		"\nMARCEL_PEER=127.0.0.1:4711\n",
		"\nMARCEL_LISTENER=marcel\n",
		"\nMARCEL_REASON=end-word\n",
		"\nSYSLOG_IDENTIFIER=test-record-journald\n",
	};
	char said[SAID_MAX];

	(void)state;
	in_child(fields, NULL, said);
	if (strcmp(said, "skip") == 0)
		skip();
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (strstr(said, wanted[i]) == NULL)
			fail_msg("'%s' is not in '%s'", wanted[i], said);
	assert_null(strstr(said, "CODE_"));
}

/* A message that is too large for a datagram of whoever is not root: then it comes as a memfd. */
static void large(void *context, FILE *say)
{
	size_t length = 1500000, size = 0;
	char *said = malloc(length);
	int fd = be_journald();
	const char *at;
	char *text;

	(void)context;
	if (said == NULL)
		abort();
	if (fd < 0) {
		free(said);
		(void)fprintf(say, "skip");
		return;
	}
	memset(said, 'x', length);
	record_set_transcript(TRANSCRIPT_FULL, length);
	if (record_start(RECORD_OUTPUT_JOURNAL, NULL, 0, NULL) != 0)
		abort();
	record_said(&about, RECORD_CLIENT, 1, said, length);
	text = receive(fd, &size);
	at = strstr(text, "MESSAGE=C> x");
	if (at != NULL && strspn(at + 11, "x") == length)
		(void)fprintf(say, "whole");
	free(text);
	free(said);
	record_stop(USEC_NEVER);
}

static void test_a_large_message(void **state)
{
	char said[SAID_MAX];

	(void)state;
	in_child(large, NULL, said);
	if (strcmp(said, "skip") == 0)
		skip();
	assert_string_equal(said, "whole");
}

/* Notes "note 0" to "note NOTES - 1", which nobody receives, and ends at once. */
static void end_unheard(void)
{
	if (record_start(RECORD_OUTPUT_JOURNAL, NULL, 0, LEFTOVER_PATH) != 0)
		abort();
	for (int i = 0; i < NOTES; i++)
		record_note(RECORD_NOTICE, "note %d", i);
	record_stop(clock_now());
}

/* Takes one record from FD and counts which note it is. Returns false at the end of them. */
static bool take_note(int fd, unsigned seen[NOTES])
{
	size_t size = 0;
	char *text = receive(fd, &size);
	int number = -1;

	if (strcmp(text, THE_END) == 0) {
		free(text);
		return false;
	}
	for (int i = 0; i < NOTES && number < 0; i++) {
		char wanted[32];

		(void)snprintf(wanted, sizeof(wanted), "MESSAGE=note %d\n", i);
		if (strncmp(text, wanted, strlen(wanted)) == 0)
			number = i;
	}
	free(text);
	if (number >= 0)
		seen[number]++;
	return true;
}

/* Stops with all the time that it takes, and sends THE_END after the last record. */
static void *stop_in_time(void *argument)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)argument;
	record_stop(USEC_NEVER);
	if (sendto(fd, THE_END, strlen(THE_END), 0, (const struct sockaddr *)&journald,
		   sizeof(journald)) < 0)
		abort();
	(void)close(fd);
	return NULL;
}

/* A journald that does not read, and then does. */
static void stalled(void *context, FILE *say)
{
	static unsigned seen[NOTES];
	unsigned missing = 0, doubled = 0;
	int fd = be_journald();
	pthread_t stopper;

	(void)context;
	if (fd < 0) {
		(void)fprintf(say, "skip");
		return;
	}
	end_unheard();
	(void)fprintf(say, "%s ", access(LEFTOVER_PATH, F_OK) == 0 ? "left" : "nothing left");
	if (record_start(RECORD_OUTPUT_JOURNAL, NULL, 0, LEFTOVER_PATH) != 0 ||
	    pthread_create(&stopper, NULL, stop_in_time, NULL) != 0)
		abort();
	while (take_note(fd, seen))
		;
	(void)pthread_join(stopper, NULL);
	for (int i = 0; i < NOTES; i++) {
		missing += seen[i] == 0;
		doubled += seen[i] > 1;
	}
	/* The one that the first thread was about to send may come twice. */
	(void)fprintf(say, "%u missing, %s, %s", missing, doubled > 1 ? "doubled" : "no more",
		      access(LEFTOVER_PATH, F_OK) == 0 ? "file there" : "file gone");
}

static void test_a_stalled_journald(void **state)
{
	char said[SAID_MAX];

	(void)state;
	in_child(stalled, NULL, said);
	if (strcmp(said, "skip") == 0)
		skip();
	assert_string_equal(said, "left 0 missing, no more, file gone");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_a_large_message),
		cmocka_unit_test(test_a_stalled_journald),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
