/*
 * A marceld in small, for the tests of marcelctl: the D-Bus object of marceld's control on a
 * socket, over conversations that exist only here.
 *
 *	fake-control SOCKET
 *
 * It says "ready" when it listens. Then each line of standard input makes something happen, and is
 * answered by "ok", or "what?":
 *
 *	open N PEER LISTENER RESPONDER   a conversation begins
 *	said N TEXT                      its client says something; it waits for an answer, if fifo
 *	                                 has the conversation, and else gets it back
 *	held N TURN                      what waits there (0: nothing), without anything being said
 *	switch N RESPONDER
 *	draft N TURN TEXT                of the answer to TURN, which never goes out by itself
 *	refused N TURN TEXT
 *	close N REASON
 *	lost COUNT
 *	past N TIME C|S TURN TEXT        one more line of the past, with no signal
 *	fail METHOD ERROR TEXT           METHOD is answered with this error from now on
 *	mute METHOD                      METHOD is never answered
 *	well METHOD                      as before
 *	drop                             all connections are closed
 *
 * Each call of a method is written to standard output: "Say 17 0 Bonjour". The end of input ends
 * it. The clock begins at 2026-11-22 18:30:00 UTC and goes on by one second with each thing that
 * is said. One thread; what fails ends it with a text.
 */
#include "fake-control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-id128.h>

static struct {
	char bytes[3 * FAKE_TEXT_MAX]; /* of standard input, as far as they have come */
	size_t length;
} input;

/* Connections */

static void forget_client(size_t i)
{
	(void)sd_bus_detach_event(fake.clients[i]);
	fake.clients[i] = sd_bus_close_unref(fake.clients[i]);
}

static int on_disconnected(sd_bus_message *signal, void *context, sd_bus_error *ret_error)
{
	(void)context;
	(void)ret_error;
	for (size_t i = 0; i < N_CLIENTS; i++) {
		if (fake.clients[i] == sd_bus_message_get_bus(signal))
			forget_client(i);
	}
	return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *context)
{
	const int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	sd_id128_t id;
	sd_bus *bus = NULL;

	(void)source;
	(void)events;
	(void)context;
	fake_check(client < 0 ? -errno : 0, "accept");
	fake_check(sd_id128_randomize(&id), "identity");
	fake_check(sd_bus_new(&bus), "bus");
	fake_check(sd_bus_set_fd(bus, client, client), "bus");
	fake_check(sd_bus_set_server(bus, 1, id), "bus");
	fake_check(fake_add_object(bus), "bus");
	fake_check(sd_bus_match_signal(bus, NULL, "org.freedesktop.DBus.Local",
				       "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
				       "Disconnected", on_disconnected, NULL),
		   "bus");
	fake_check(sd_bus_start(bus), "bus");
	fake_check(sd_bus_attach_event(bus, fake.event, 0), "bus");
	for (size_t i = 0; i < N_CLIENTS; i++) {
		if (fake.clients[i] != NULL)
			continue;
		fake.clients[i] = bus;
		return 0;
	}
	sd_bus_close_unref(bus);
	return 0;
}

/* What standard input says */

/* Cuts the next word off *REST. */
static const char *word(char **rest)
{
	const char *found = *rest != NULL ? strsep(rest, " ") : NULL;

	return found != NULL ? found : "";
}

static uint64_t number(char **rest)
{
	return strtoull(word(rest), NULL, 10);
}

static void client_says(struct conversation *c, const char *text)
{
	c->turns++;
	fake_say(c, "C", c->turns, text);
	if (!fake_is_held(c))
		fake_say(c, "S", c->turns, text);
	else if (c->waiting == 0)
		fake_set_waiting(c, c->turns);
}

/* The orders that name a conversation there is. Returns whether it was one. */
static bool obey_about(const char *order, struct conversation *c, char *rest)
{
	if (strcmp(order, "said") == 0) {
		client_says(c, rest != NULL ? rest : "");
	} else if (strcmp(order, "held") == 0) {
		fake_set_waiting(c, number(&rest));
	} else if (strcmp(order, "switch") == 0) {
		fake_set_responder(c, word(&rest));
	} else if (strcmp(order, "close") == 0) {
		fake_end(c, word(&rest));
	} else if (strcmp(order, "draft") == 0) {
		const uint64_t turn = number(&rest);

		fake_emit("Draft", "ttst", c->number, turn, rest != NULL ? rest : "", UINT64_C(0));
	} else if (strcmp(order, "refused") == 0) {
		const uint64_t turn = number(&rest);

		fake_emit("Refused", "tts", c->number, turn, rest != NULL ? rest : "");
	} else if (strcmp(order, "past") == 0) {
		const uint64_t time = number(&rest);
		const char *who = word(&rest);
		const uint64_t turn = number(&rest);

		fake_remember(c, time, who, turn, rest != NULL ? rest : "");
	} else {
		return false;
	}
	return true;
}

static bool obey(char *line)
{
	char *rest = line;
	const char *order = word(&rest);
	struct conversation *c;

	if (strcmp(order, "open") == 0) {
		const uint64_t n = number(&rest);
		const char *peer = word(&rest);
		const char *listener = word(&rest);

		fake_open(n, peer, listener, word(&rest));
	} else if (strcmp(order, "lost") == 0) {
		fake_emit("Lost", "t", number(&rest));
	} else if (strcmp(order, "fail") == 0 || strcmp(order, "mute") == 0) {
		const char *method = word(&rest);
		const char *error = word(&rest);

		fake_spell(method, error, rest != NULL ? rest : "", false);
	} else if (strcmp(order, "well") == 0) {
		fake_spell(word(&rest), "", "", true);
	} else if (strcmp(order, "drop") == 0) {
		for (size_t i = 0; i < N_CLIENTS; i++) {
			if (fake.clients[i] != NULL)
				forget_client(i);
		}
	} else {
		c = fake_find(number(&rest));
		return c != NULL && obey_about(order, c, rest);
	}
	return true;
}

static int on_input(sd_event_source *source, int fd, uint32_t events, void *context)
{
	char *end_of_line;
	ssize_t n;

	(void)source;
	(void)events;
	(void)context;
	n = read(fd, input.bytes + input.length, sizeof(input.bytes) - input.length - 1);
	if (n <= 0)
		return sd_event_exit(fake.event, 0);
	input.length += (size_t)n;
	input.bytes[input.length] = '\0';
	while ((end_of_line = strchr(input.bytes, '\n')) != NULL) {
		const size_t used = (size_t)(end_of_line + 1 - input.bytes);

		*end_of_line = '\0';
		fake_report("%s", obey(input.bytes) ? "ok" : "what?");
		memmove(input.bytes, input.bytes + used, input.length - used + 1);
		input.length -= used;
	}
	return 0;
}

static int listen_on(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	fake_check(fd < 0 ? -errno : 0, "socket");
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	(void)unlink(path);
	fake_check(bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0,
		   path);
	fake_check(listen(fd, N_CLIENTS) < 0 ? -errno : 0, path);
	return fd;
}

int main(int argc, char **argv)
{
	int r;

	if (argc != 2) {
		(void)fputs("usage: fake-control SOCKET\n", stderr);
		return 64;
	}
	fake.now = BEGIN_USEC;
	fake_check(sd_event_new(&fake.event), "event");
	fake_check(sd_event_add_io(fake.event, NULL, listen_on(argv[1]), EPOLLIN, on_connection,
				   NULL),
		   "event");
	fake_check(sd_event_add_io(fake.event, NULL, STDIN_FILENO, EPOLLIN, on_input, NULL),
		   "event");
	fake_report("ready");
	r = sd_event_loop(fake.event);
	for (size_t i = 0; i < N_CLIENTS; i++) {
		if (fake.clients[i] != NULL)
			forget_client(i);
	}
	for (size_t i = 0; i < N_CONVERSATIONS; i++) {
		if (fake.list[i].live)
			fake_end(&fake.list[i], "stop");
	}
	sd_event_unref(fake.event);
	return r < 0 ? 1 : 0;
}
