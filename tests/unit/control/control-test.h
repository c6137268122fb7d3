/*
 * What tests of the control share: a control over a fake watch, with its socket in a directory of
 * the test's own, and clients of that socket.
 */
#pragma once

#include <stdatomic.h>
#include <systemd/sd-bus.h>

#include "control/control.h"
#include "fake-watch.h"

#define OBJECT_NAME  "org.marceld.Marcel1"
#define OBJECT_PATH  "/org/marceld/Marcel1"
#define OBJECT_ERROR "org.marceld.Marcel1.Error."

struct scene {
	char directory[64];
	char socket[96];
	struct watch *watch;
	struct control *control;
	_Atomic unsigned reloads; /* that were asked for */
};

/* Setup and teardown functions of cmocka; *STATE is the scene. */
int scene_begin(void **state);
int scene_end(void **state);

/* A client of the socket, authenticated as soon as it calls something. */
sd_bus *scene_connect(struct scene *scene);

/* A client of the socket that speaks for itself. */
int scene_connect_raw(struct scene *scene);

/* Calls MEMBER with arguments as sd_bus_call_method(3) has them: its reply, or fails the test. */
sd_bus_message *call(sd_bus *bus, const char *member, const char *types, ...);

/* The same; it must fail with the error OBJECT_ERROR + NAME. */
void call_fails(sd_bus *bus, const char *name, const char *member, const char *types, ...);

/* Sends the call without waiting; FUNCTION gets the reply, with CONTEXT. */
void call_later(sd_bus *bus, sd_bus_message_handler_t function, void *context, const char *member,
		const char *types, ...);

/* Lets BUS work until *COUNT is at least WANTED. */
void run_until(sd_bus *bus, const unsigned *count, unsigned wanted);

/* Ends BUS. */
void hang_up(sd_bus *bus);

/* Reads from FD until its end, or a reset. */
void read_to_end(int fd);
