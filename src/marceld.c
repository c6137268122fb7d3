/*
 * marceld, the conversation daemon: always in the foreground of whoever started it.
 *
 * Everything is in daemon/; this is where the process begins.
 */
#include <stdlib.h>

#include "base/i18n.h"
#include "daemon/options.h"
#include "daemon/service.h"

int main(int argc, char *argv[])
{
	struct options options;
	int status;

	i18n_init();
	status = options_parse(argc, argv, &options);
	if (status < 0)
		status = service_run(&options);
	free(options.listen);
	return status;
}
