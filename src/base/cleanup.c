/* The release functions behind the auto_* attributes; see cleanup.h. */
#include "base/cleanup.h"

#include <errno.h>

void close_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}

void free_pointer(void *p)
{
	free(*(void **)p);
}

void close_file(FILE **f)
{
	if (*f != NULL)
		(void)fclose(*f);
}
