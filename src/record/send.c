/*
 * Where records go: the journal's socket, or standard error.
 *
 * Both may block for as long as journald, or whoever reads a pipe, sees fit; that is why only the
 * journal thread sends once it runs.
 */
/* Places in the source are of no use to whoever reads the journal of a conversation, and would be
 * that of the one call below. */
#define SD_JOURNAL_SUPPRESS_LOCATION

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>

#include "record/record-priv.h"

static int send_to_journal(void *context, const struct iovec *parts, size_t n_parts)
{
	(void)context;
	return sd_journal_sendv(parts, (int)n_parts);
}

/* Writes all of SIZE bytes, also to a terminal that somebody made nonblocking. */
static int write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, bytes, size);

		if (written >= 0) {
			bytes += written;
			size -= (size_t)written;
		} else if (errno == EAGAIN) {
			struct pollfd wait = {.fd = fd, .events = POLLOUT};

			(void)poll(&wait, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* Nobody reads a closed standard error, and that is nobody's fault. */
static int send_to_stderr(void *context, const struct iovec *parts, size_t n_parts)
{
	int error = 0;

	(void)context;
	for (size_t i = 0; i < n_parts && error == 0; i++)
		error = write_all(STDERR_FILENO, parts[i].iov_base, parts[i].iov_len);
	return error == -EPIPE || error == -EBADF ? 0 : error;
}

/* Whether standard error leads into the journal: systemd.exec(5), JOURNAL_STREAM. */
static bool stderr_is_journal(void)
{
	const char *stream = secure_getenv("JOURNAL_STREAM");
	char wanted[64];
	struct stat status;

	if (stream == NULL || fstat(STDERR_FILENO, &status) < 0)
		return false;
	(void)snprintf(wanted, sizeof(wanted), "%ju:%ju", (uintmax_t)status.st_dev,
		       (uintmax_t)status.st_ino);
	return strcmp(stream, wanted) == 0;
}

struct record_transport transport_for(enum record_output output)
{
	if (output == RECORD_OUTPUT_AUTO)
		output = stderr_is_journal() ? RECORD_OUTPUT_JOURNAL : RECORD_OUTPUT_TEXT;
	return (struct record_transport){
		.output = output,
		.send = output == RECORD_OUTPUT_JOURNAL ? send_to_journal : send_to_stderr,
	};
}
