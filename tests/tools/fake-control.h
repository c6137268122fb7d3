/*
 * What the parts of fake-control (see fake-control.c) share: the conversations and what happens to
 * them (fake-state.c), and the D-Bus object over them (fake-object.c). One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define BEGIN_USEC      UINT64_C(1795372200000000)
#define USEC_PER_SECOND UINT64_C(1000000)

#define N_CONVERSATIONS 256
#define N_CLIENTS       16
#define N_LINES         64
#define N_SPELLS        16
#define FAKE_NAME_MAX   64
#define FAKE_TEXT_MAX   4096

struct said {
	uint64_t time, turn;
	char who[2];
	char *text;
};

struct conversation {
	bool live;
	uint64_t number, opened, turns, waiting, waiting_since, last;
	char peer[FAKE_NAME_MAX], listener[FAKE_NAME_MAX], responder[FAKE_NAME_MAX],
		suspended[FAKE_NAME_MAX];
	struct said past[N_LINES];
	size_t n_past;
};

struct fake {
	sd_event *event;
	struct conversation list[N_CONVERSATIONS];
	sd_bus *clients[N_CLIENTS];
	uint64_t now;
	uint64_t total;
};
extern struct fake fake;

/* Ends the program with a text about WHAT if R is a negative errno. */
void fake_check(int r, const char *what);

/* Writes a line to standard output. */
__attribute__((format(printf, 1, 2))) void fake_report(const char *format, ...);

/* The live conversation NUMBER, or NULL. */
struct conversation *fake_find(uint64_t number);
bool fake_is_held(const struct conversation *c);

/* What happens, with its signals. */
void fake_emit(const char *name, const char *types, ...);
void fake_open(uint64_t number, const char *peer, const char *listener, const char *responder);
void fake_say(struct conversation *c, const char *who, uint64_t turn, const char *text);
void fake_set_waiting(struct conversation *c, uint64_t turn);
void fake_set_responder(struct conversation *c, const char *name);
void fake_end(struct conversation *c, const char *reason);

/* One more line of the past; no signal. */
void fake_remember(struct conversation *c, uint64_t time, const char *who, uint64_t turn,
		   const char *text);

/* From now on METHOD fails with ERROR ("": is never answered); WELL: does as it should. */
void fake_spell(const char *method, const char *error, const char *text, bool well);

/* Gives BUS the object. Returns 0 or a negative errno. */
int fake_add_object(sd_bus *bus);
