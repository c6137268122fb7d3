/* The D-Bus object of fake-control; see fake-control.h. */
#include "fake-control.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "marcelctl/link.h"

/* A method that does not behave. */
struct spell {
	char method[FAKE_NAME_MAX];
	char error[FAKE_NAME_MAX]; /* "": no answer at all */
	char text[FAKE_TEXT_MAX];
};

static struct spell spells[N_SPELLS];

void fake_spell(const char *method, const char *error, const char *text, bool well)
{
	for (size_t i = 0; i < N_SPELLS; i++) {
		struct spell *spell = &spells[i];

		if (strcmp(spell->method, well ? method : "") != 0)
			continue;
		(void)snprintf(spell->method, sizeof(spell->method), "%s", well ? "" : method);
		(void)snprintf(spell->error, sizeof(spell->error), "%s", error);
		(void)snprintf(spell->text, sizeof(spell->text), "%s", text);
		return;
	}
}

static int fail(sd_bus_error *ret_error, const char *name, const char *text)
{
	char whole[128];

	(void)snprintf(whole, sizeof(whole), "%s%s", strchr(name, '.') == NULL ? LINK_ERROR : "",
		       name);
	return sd_bus_error_set(ret_error, whole, text);
}

/* Whether CALL's method is under a spell; *RET is what its handler is to return then. */
static bool is_spelled(sd_bus_message *call, sd_bus_error *ret_error, int *ret)
{
	for (size_t i = 0; i < N_SPELLS; i++) {
		const struct spell *spell = &spells[i];

		if (strcmp(spell->method, sd_bus_message_get_member(call)) != 0)
			continue;
		*ret = spell->error[0] == '\0' ? 1 : fail(ret_error, spell->error, spell->text);
		return true;
	}
	return false;
}

static int append_conversation(sd_bus_message *reply, const struct conversation *c)
{
	char id[33];

	(void)snprintf(id, sizeof(id), "%032" PRIx64, c->number);
	return sd_bus_message_append(reply, "(tssssssttttt)", c->number, id, c->peer, c->listener,
				     c->responder, "", c->suspended, c->opened, c->turns,
				     c->waiting, c->waiting_since, c->last);
}

static int list_conversations(sd_bus_message *call, void *context, sd_bus_error *ret_error)
{
	sd_bus_message *reply = NULL;
	int r;

	(void)context;
	fake_report("ListConversations");
	if (is_spelled(call, ret_error, &r))
		return r;
	fake_check(sd_bus_message_new_method_return(call, &reply), "reply");
	fake_check(sd_bus_message_open_container(reply, 'a', "(tssssssttttt)"), "reply");
	for (size_t i = 0; i < N_CONVERSATIONS; i++) {
		if (fake.list[i].live)
			fake_check(append_conversation(reply, &fake.list[i]), "reply");
	}
	fake_check(sd_bus_message_close_container(reply), "reply");
	r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	return r < 0 ? r : 1;
}

static int get_conversation(sd_bus_message *call, void *context, sd_bus_error *ret_error)
{
	sd_bus_message *reply = NULL;
	const struct conversation *c;
	uint64_t number = 0;
	char id[33];
	int r;

	(void)context;
	fake_check(sd_bus_message_read(call, "t", &number), "argument");
	fake_report("GetConversation %" PRIu64, number);
	if (is_spelled(call, ret_error, &r))
		return r;
	c = fake_find(number);
	if (c == NULL)
		return fail(ret_error, "NoSuchConversation", "there is no such conversation");
	(void)snprintf(id, sizeof(id), "%032" PRIx64, c->number);
	fake_check(sd_bus_message_new_method_return(call, &reply), "reply");
	fake_check(sd_bus_message_append(reply, "a{sv}", 14, "Number", "t", c->number, "Id", "s",
					 id, "Peer", "s", c->peer, "Listener", "s", c->listener,
					 "Responder", "s", c->responder, "Speaker", "s", "",
					 "Suspended", "s", c->suspended, "Opened", "t", c->opened,
					 "Turns", "t", c->turns, "Waiting", "t", c->waiting,
					 "WaitingSince", "t", c->waiting_since, "Last", "t",
					 c->last, "BytesIn", "t", UINT64_C(120), "BytesOut", "t",
					 UINT64_C(4567)),
		   "reply");
	r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	return r < 0 ? r : 1;
}

static int get_past(sd_bus_message *call, void *context, sd_bus_error *ret_error)
{
	sd_bus_message *reply = NULL;
	const struct conversation *c;
	uint64_t number = 0;
	int r;

	(void)context;
	fake_check(sd_bus_message_read(call, "t", &number), "argument");
	fake_report("GetPast %" PRIu64, number);
	if (is_spelled(call, ret_error, &r))
		return r;
	c = fake_find(number);
	if (c == NULL)
		return fail(ret_error, "NoSuchConversation", "there is no such conversation");
	fake_check(sd_bus_message_new_method_return(call, &reply), "reply");
	fake_check(sd_bus_message_open_container(reply, 'a', "(tsts)"), "reply");
	for (size_t i = c->n_past > N_LINES ? c->n_past - N_LINES : 0; i < c->n_past; i++) {
		const struct said *said = &c->past[i % N_LINES];

		fake_check(sd_bus_message_append(reply, "(tsts)", said->time, said->who, said->turn,
						 said->text),
			   "reply");
	}
	fake_check(sd_bus_message_close_container(reply), "reply");
	r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	return r < 0 ? r : 1;
}

static int on_say(sd_bus_message *call, void *context, sd_bus_error *ret_error)
{
	struct conversation *c;
	uint64_t number = 0;
	uint64_t turn = 0;
	const char *text = NULL;
	int r;

	(void)context;
	fake_check(sd_bus_message_read(call, "tts", &number, &turn, &text), "argument");
	fake_report("Say %" PRIu64 " %" PRIu64 " %s", number, turn, text);
	if (is_spelled(call, ret_error, &r))
		return r;
	c = fake_find(number);
	if (c == NULL)
		return fail(ret_error, "NoSuchConversation", "there is no such conversation");
	if (!fake_is_held(c))
		return fail(ret_error, "NotHeld", "nobody holds it");
	if (turn != 0 && turn != c->waiting)
		return fail(ret_error, "NotOpen", "that turn is not open");
	if (strcmp(text, "/close") == 0) {
		fake_end(c, "operator");
		return sd_bus_reply_method_return(call, NULL);
	}
	if (text[0] == '/' && text[1] != '/')
		return fail(ret_error, "BadOrder", "there is no such order");
	fake_say(c, "S", c->turns, text[0] == '/' ? text + 1 : text);
	fake_set_waiting(c, 0);
	return sd_bus_reply_method_return(call, NULL);
}

static int on_close(sd_bus_message *call, void *context, sd_bus_error *ret_error)
{
	struct conversation *c;
	uint64_t number = 0;
	int r;

	(void)context;
	fake_check(sd_bus_message_read(call, "t", &number), "argument");
	fake_report("Close %" PRIu64, number);
	if (is_spelled(call, ret_error, &r))
		return r;
	c = fake_find(number);
	if (c == NULL)
		return fail(ret_error, "NoSuchConversation", "there is no such conversation");
	fake_say(c, "S", c->turns, "fin");
	fake_end(c, "operator");
	return sd_bus_reply_method_return(call, NULL);
}

static int on_take(sd_bus_message *call, void *context, sd_bus_error *ret_error)
{
	struct conversation *c;
	uint64_t number = 0;
	int r;

	(void)context;
	fake_check(sd_bus_message_read(call, "t", &number), "argument");
	fake_report("Take %" PRIu64, number);
	if (is_spelled(call, ret_error, &r))
		return r;
	c = fake_find(number);
	if (c == NULL)
		return fail(ret_error, "NoSuchConversation", "there is no such conversation");
	if (fake_is_held(c))
		return fail(ret_error, "AlreadyHeld", "an operator holds it");
	memcpy(c->suspended, c->responder, sizeof(c->suspended));
	fake_set_responder(c, "fifo");
	return sd_bus_reply_method_return(call, NULL);
}

static const char *const responders[] = {"echo", "script", "fifo", NULL};

static int on_give(sd_bus_message *call, void *context, sd_bus_error *ret_error)
{
	struct conversation *c;
	const char *name = NULL;
	uint64_t number = 0;
	int r;

	(void)context;
	fake_check(sd_bus_message_read(call, "ts", &number, &name), "argument");
	fake_report("Give %" PRIu64 " %s", number, name);
	if (is_spelled(call, ret_error, &r))
		return r;
	c = fake_find(number);
	if (c == NULL)
		return fail(ret_error, "NoSuchConversation", "there is no such conversation");
	for (size_t i = 0; responders[i] != NULL; i++) {
		if (strcmp(responders[i], name) != 0)
			continue;
		c->suspended[0] = '\0';
		fake_set_responder(c, name);
		return sd_bus_reply_method_return(call, NULL);
	}
	return fail(ret_error, "NoSuchResponder", "there is no such responder");
}

static int on_plain(sd_bus_message *call, void *context, sd_bus_error *ret_error)
{
	int r;

	(void)context;
	fake_report("%s", sd_bus_message_get_member(call));
	if (is_spelled(call, ret_error, &r))
		return r;
	return sd_bus_reply_method_return(call, NULL);
}

static int get_metrics(sd_bus_message *call, void *context, sd_bus_error *ret_error)
{
	int r;

	(void)context;
	fake_report("GetMetrics");
	if (is_spelled(call, ret_error, &r))
		return r;
	return sd_bus_reply_method_return(call, "s",
					  "# HELP marcel_conversations Conversations that live.\n"
					  "# TYPE marcel_conversations gauge\n"
					  "marcel_conversations 2\n");
}

static int say_hello(sd_bus_message *call, void *context, sd_bus_error *ret_error)
{
	(void)context;
	(void)ret_error;
	return sd_bus_reply_method_return(call, "s", ":1.1");
}

/* The parameters are sd-bus's. NOLINTBEGIN(readability-function-size) */
static int get_text(sd_bus *bus, const char *path, const char *interface, const char *name,
		    sd_bus_message *reply, void *context, sd_bus_error *ret_error)
{
	(void)bus;
	(void)path;
	(void)interface;
	(void)context;
	(void)ret_error;
	if (strcmp(name, "Version") == 0)
		return sd_bus_message_append(reply, "s", "0.1.0");
	if (strcmp(name, "Configuration") == 0)
		return sd_bus_message_append(reply, "s", "/etc/marcel.ini");
	return sd_bus_message_append(reply, "s", "/run/marcel/operator");
}

static int get_texts(sd_bus *bus, const char *path, const char *interface, const char *name,
		     sd_bus_message *reply, void *context, sd_bus_error *ret_error)
{
	(void)bus;
	(void)path;
	(void)interface;
	(void)context;
	(void)ret_error;
	if (strcmp(name, "Listeners") == 0)
		return sd_bus_message_append(reply, "as", 2, "0.0.0.0:50000", "/run/marcel/socket");
	return sd_bus_message_append(reply, "as", 3, responders[0], responders[1], responders[2]);
}

static int get_number(sd_bus *bus, const char *path, const char *interface, const char *name,
		      sd_bus_message *reply, void *context, sd_bus_error *ret_error)
{
	uint64_t n = 0;

	(void)bus;
	(void)path;
	(void)interface;
	(void)context;
	(void)ret_error;
	if (strcmp(name, "Started") == 0)
		return sd_bus_message_append(reply, "t", BEGIN_USEC);
	if (strcmp(name, "ConversationsTotal") == 0)
		return sd_bus_message_append(reply, "t", fake.total);
	for (size_t i = 0; i < N_CONVERSATIONS; i++) {
		const struct conversation *c = &fake.list[i];

		n += c->live && (c->waiting != 0 || strcmp(name, "Waiting") != 0) ? 1 : 0;
	}
	return sd_bus_message_append(reply, "t", n);
}

/* NOLINTEND(readability-function-size) */

#define METHOD(name, in, out, function) \
	SD_BUS_METHOD(name, in, out, function, SD_BUS_VTABLE_UNPRIVILEGED)

static const sd_bus_vtable control[] = {
	SD_BUS_VTABLE_START(0),
	METHOD("ListConversations", "", "a(tssssssttttt)", list_conversations),
	METHOD("GetConversation", "t", "a{sv}", get_conversation),
	METHOD("GetPast", "t", "a(tsts)", get_past),
	METHOD("Say", "tts", "", on_say),
	METHOD("Close", "t", "", on_close),
	METHOD("Take", "t", "", on_take),
	METHOD("Give", "ts", "", on_give),
	METHOD("Reload", "", "", on_plain),
	METHOD("Subscribe", "", "", on_plain),
	METHOD("Unsubscribe", "", "", on_plain),
	METHOD("GetMetrics", "", "s", get_metrics),
	SD_BUS_PROPERTY("Version", "s", get_text, 0, 0),
	SD_BUS_PROPERTY("Started", "t", get_number, 0, 0),
	SD_BUS_PROPERTY("Configuration", "s", get_text, 0, 0),
	SD_BUS_PROPERTY("OperatorDirectory", "s", get_text, 0, 0),
	SD_BUS_PROPERTY("Listeners", "as", get_texts, 0, 0),
	SD_BUS_PROPERTY("Responders", "as", get_texts, 0, 0),
	SD_BUS_PROPERTY("Conversations", "t", get_number, 0, 0),
	SD_BUS_PROPERTY("ConversationsTotal", "t", get_number, 0, 0),
	SD_BUS_PROPERTY("Waiting", "t", get_number, 0, 0),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable bus_itself[] = {
	SD_BUS_VTABLE_START(0),
	METHOD("Hello", "", "s", say_hello),
	SD_BUS_VTABLE_END,
};

int fake_add_object(sd_bus *bus)
{
	const int r = sd_bus_add_object_vtable(bus, NULL, LINK_PATH, LINK_INTERFACE, control, NULL);

	return r < 0 ? r
		     : sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/DBus",
						"org.freedesktop.DBus", bus_itself, NULL);
}
