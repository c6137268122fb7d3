/* Looking responders up; a new one adds its line here. See registry.h. */
#include "respond/registry.h"

#include <string.h>

#include "respond/echo.h"

static const struct marcel_responder_ops *const responders[] = {
	&echo_responder,
};

const struct marcel_responder_ops *responder_find(const char *name)
{
	for (size_t i = 0; i < sizeof(responders) / sizeof(responders[0]); i++)
		if (strcmp(responders[i]->name, name) == 0)
			return responders[i];
	return NULL;
}

const struct marcel_responder_ops *const *responder_list(size_t *ret_count)
{
	*ret_count = sizeof(responders) / sizeof(responders[0]);
	return responders;
}
