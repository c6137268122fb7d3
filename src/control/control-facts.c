/* Copying what the daemon tells of itself; see control-facts.h. */
#include "control/control-facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char *copy_text(const char *text)
{
	return strdup(text != NULL ? text : "");
}

static void free_list(char **list)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

static char **copy_list(const char *const *list)
{
	size_t n = 0;
	char **copy;

	while (list != NULL && list[n] != NULL)
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; copy != NULL && i < n; i++) {
		copy[i] = strdup(list[i]);
		if (copy[i] == NULL) {
			free_list(copy);
			return NULL;
		}
	}
	return copy;
}

int facts_copy(const struct control_facts *from, struct facts *ret_facts)
{
	struct facts copy = {
		.version = copy_text(from->version),
		.configuration = copy_text(from->configuration),
		.operator_directory = copy_text(from->operator_directory),
		.listeners = copy_list(from->listeners),
		.listener_names = copy_list(from->listener_names),
		.responders = copy_list(from->responders),
		.started = from->started,
	};

	if (copy.version == NULL || copy.configuration == NULL || copy.operator_directory == NULL ||
	    copy.listeners == NULL || copy.listener_names == NULL || copy.responders == NULL) {
		facts_done(&copy);
		return -ENOMEM;
	}
	*ret_facts = copy;
	return 0;
}

void facts_done(struct facts *facts)
{
	free(facts->version);
	free(facts->configuration);
	free(facts->operator_directory);
	free_list(facts->listeners);
	free_list(facts->listener_names);
	free_list(facts->responders);
	*facts = (struct facts){.version = NULL};
}
