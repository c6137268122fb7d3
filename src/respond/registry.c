/* Looking responders up; see registry.h. */
#include "respond/registry.h"

#include <string.h>

const struct marcel_responder_ops *responder_find(const char *name)
{
	for (size_t i = 0; responder_table[i] != NULL; i++)
		if (strcmp(responder_table[i]->name, name) == 0)
			return responder_table[i];
	return NULL;
}

const struct marcel_responder_ops *const *responder_list(size_t *ret_count)
{
	size_t count = 0;

	while (responder_table[count] != NULL)
		count++;
	*ret_count = count;
	return responder_table;
}

bool responder_is_known(const char *name)
{
	return responder_find(name) != NULL;
}
