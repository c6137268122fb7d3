/* Named values; see properties.h. */
#include "marcelctl/properties.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void free_property(struct property *property)
{
	free(property->name);
	free(property->text);
	link_free_names(property->list);
}

void properties_done(struct properties *properties)
{
	for (size_t i = 0; i < properties->count; i++)
		free_property(&properties->list[i]);
	free(properties->list);
	*properties = (struct properties){.list = NULL};
}

/* Reads the variant that comes next, whatever it holds. */
static int read_value(sd_bus_message *message, struct property *property)
{
	const char *contents = NULL;
	const char *text = NULL;
	char type;
	int r;

	r = sd_bus_message_peek_type(message, &type, &contents);
	if (r <= 0 || contents == NULL)
		return r < 0 ? r : -EBADMSG;
	if (strcmp(contents, "t") == 0)
		return sd_bus_message_read(message, "v", "t", &property->number);
	if (strcmp(contents, "s") == 0) {
		r = sd_bus_message_read(message, "v", "s", &text);
		property->text = r > 0 ? strdup(text) : NULL;
		return r > 0 && property->text == NULL ? -ENOMEM : r;
	}
	if (strcmp(contents, "as") != 0)
		return sd_bus_message_skip(message, "v");
	r = sd_bus_message_enter_container(message, 'v', "as");
	if (r > 0)
		r = sd_bus_message_read_strv(message, &property->list);
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* Reads the next name and value. Returns 1; 0 after the last; or a negative errno. */
static int read_property(sd_bus_message *message, struct properties *properties)
{
	struct property property = {.name = NULL};
	struct property *more;
	const char *name = NULL;
	int r;

	r = sd_bus_message_enter_container(message, 'e', "sv");
	if (r <= 0)
		return r;
	more = reallocarray(properties->list, properties->count + 1, sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	properties->list = more;
	r = sd_bus_message_read(message, "s", &name);
	if (r > 0)
		r = read_value(message, &property);
	if (r >= 0)
		r = sd_bus_message_exit_container(message);
	if (r >= 0) {
		property.name = strdup(name);
		r = property.name == NULL ? -ENOMEM : 1;
	}
	if (r < 0)
		free_property(&property);
	else
		properties->list[properties->count++] = property;
	return r;
}

static int read_all(struct link *link, sd_bus_message *message, struct properties *ret_properties)
{
	struct properties properties = {.list = NULL};
	int r;

	r = sd_bus_message_enter_container(message, 'a', "{sv}");
	while (r > 0)
		r = read_property(message, &properties);
	sd_bus_message_unref(message);
	if (r < 0) {
		properties_done(&properties);
		return link_tell_errno(link, r);
	}
	*ret_properties = properties;
	return 0;
}

int properties_of_daemon(struct link *link, struct properties *ret_properties)
{
	sd_bus_message *reply = NULL;
	const int r = link_get_all(link, &reply);

	return r < 0 ? r : read_all(link, reply, ret_properties);
}

int properties_of_conversation(struct link *link, uint64_t number,
			       struct properties *ret_properties)
{
	sd_bus_message *reply = NULL;
	const int r = link_call(link, "GetConversation", &reply, "t", number);

	return r < 0 ? r : read_all(link, reply, ret_properties);
}

static const struct property *find(const struct properties *properties, const char *name)
{
	static const struct property none = {.name = NULL};

	for (size_t i = 0; i < properties->count; i++) {
		if (strcmp(properties->list[i].name, name) == 0)
			return &properties->list[i];
	}
	return &none;
}

uint64_t properties_number(const struct properties *properties, const char *name)
{
	return find(properties, name)->number;
}

const char *properties_text(const struct properties *properties, const char *name)
{
	const char *text = find(properties, name)->text;

	return text != NULL ? text : "";
}

char *const *properties_list(const struct properties *properties, const char *name)
{
	static char *const nothing[] = {NULL};
	char *const *list = find(properties, name)->list;

	return list != NULL ? list : nothing;
}

int properties_draft(struct link *link, uint64_t number, link_event_fn *function, void *context)
{
	struct properties properties = {.list = NULL};
	const int r = properties_of_conversation(link, number, &properties);

	if (r < 0)
		return r;
	function(context, &(struct link_event){
				  .name = "Draft",
				  .number = number,
				  .turn = properties_number(&properties, "DraftTurn"),
				  .text = properties_text(&properties, "Draft"),
				  .until = properties_number(&properties, "DraftUntil"),
			  });
	properties_done(&properties);
	return 0;
}
