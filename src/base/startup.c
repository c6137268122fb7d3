/* The beginning of programs; see startup.h. */
#include "base/startup.h"

#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

void startup_fill_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
}

void startup_speak_utf8(void)
{
	/* No other thread exists. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	if (strcmp(nl_langinfo(CODESET), "ANSI_X3.4-1968") == 0)
		(void)setlocale(LC_CTYPE, "C.UTF-8"); /* NOLINT(concurrency-mt-unsafe) */
}
