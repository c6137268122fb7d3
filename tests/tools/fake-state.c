/* The conversations of fake-control and what happens to them; see fake-control.h. */
#include "fake-control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "marcelctl/link.h"

struct fake fake;

void fake_check(int r, const char *what)
{
	if (r >= 0)
		return;
	/* One thread. NOLINTBEGIN(concurrency-mt-unsafe) */
	(void)fprintf(stderr, "fake-control: %s: %s\n", what, strerror(-r));
	exit(1);
	/* NOLINTEND(concurrency-mt-unsafe) */
}

struct conversation *fake_find(uint64_t number)
{
	for (size_t i = 0; i < N_CONVERSATIONS; i++) {
		if (fake.list[i].live && fake.list[i].number == number)
			return &fake.list[i];
	}
	return NULL;
}

bool fake_is_held(const struct conversation *c)
{
	return strcmp(c->responder, "fifo") == 0;
}

__attribute__((format(printf, 1, 2))) void fake_report(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)putchar('\n');
	(void)fflush(stdout);
}

void fake_emit(const char *name, const char *types, ...)
{
	for (size_t i = 0; i < N_CLIENTS; i++) {
		sd_bus_message *signal = NULL;
		va_list arguments;

		if (fake.clients[i] == NULL || sd_bus_is_ready(fake.clients[i]) <= 0)
			continue;
		fake_check(sd_bus_message_new_signal(fake.clients[i], &signal, LINK_PATH,
						     LINK_INTERFACE, name),
			   "signal");
		va_start(arguments, types);
		fake_check(sd_bus_message_appendv(signal, types, arguments), "signal");
		va_end(arguments);
		(void)sd_bus_send(fake.clients[i], signal, NULL);
		sd_bus_message_unref(signal);
	}
}

void fake_remember(struct conversation *c, uint64_t time, const char *who, uint64_t turn,
		   const char *text)
{
	struct said *said = &c->past[c->n_past % N_LINES];

	free(said->text);
	said->time = time;
	said->turn = turn;
	said->who[0] = who[0];
	said->text = strdup(text);
	c->n_past++;
}

void fake_say(struct conversation *c, const char *who, uint64_t turn, const char *text)
{
	fake.now += USEC_PER_SECOND;
	c->last = fake.now;
	fake_remember(c, fake.now, who, turn, text);
	fake_emit("Message", "ttsts", c->number, fake.now, who, turn, text);
}

void fake_set_waiting(struct conversation *c, uint64_t turn)
{
	if (c->waiting == turn)
		return;
	c->waiting = turn;
	c->waiting_since = turn != 0 ? fake.now : 0;
	fake_emit("Waiting", "tt", c->number, turn);
}

void fake_set_responder(struct conversation *c, const char *name)
{
	(void)snprintf(c->responder, sizeof(c->responder), "%s", name);
	fake_emit("Switched", "ts", c->number, name);
	if (!fake_is_held(c))
		fake_set_waiting(c, 0);
}

void fake_end(struct conversation *c, const char *reason)
{
	for (size_t i = 0; i < N_LINES; i++) {
		free(c->past[i].text);
		c->past[i].text = NULL;
	}
	c->live = false;
	c->n_past = 0;
	fake_emit("Closed", "ts", c->number, reason);
}

void fake_open(uint64_t number, const char *peer, const char *listener, const char *responder)
{
	for (size_t i = 0; i < N_CONVERSATIONS; i++) {
		struct conversation *c = &fake.list[i];

		if (c->live)
			continue;
		memset(c, 0, sizeof(*c));
		c->live = true;
		c->number = number;
		c->opened = fake.now;
		(void)snprintf(c->peer, sizeof(c->peer), "%s", peer);
		(void)snprintf(c->listener, sizeof(c->listener), "%s", listener);
		(void)snprintf(c->responder, sizeof(c->responder), "%s", responder);
		fake.total++;
		fake_emit("Opened", "tsss", number, c->peer, c->listener, c->responder);
		fake_say(c, "S", 0, "Vous êtes connecté au serveur Marcel. Envoyez vos messages.");
		return;
	}
}
