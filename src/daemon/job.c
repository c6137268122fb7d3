/* Asking systemd for the unit's job; see job.h. */
#include "daemon/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/clock.h"

#define DESTINATION "org.freedesktop.systemd1"
/* For all questions together, the connection and its authentication included. */
#define PATIENCE USEC_PER_SEC

/* A connection to the bus, and until when it has to answer. */
struct question {
	sd_bus *bus;
	usec_t deadline;
	sd_bus_message *reply; /* of the last call */
};

static int on_reply(sd_bus_message *reply, void *context, sd_bus_error *error)
{
	struct question *question = context;

	(void)error;
	question->reply = sd_bus_message_ref(reply);
	return 0;
}

/*
 * Sends CALL and waits for its reply, at most until the deadline. sd_bus_call()'s own time-out does
 * not cover the authentication before the first call. Returns 0 or a negative errno.
 */
static int ask(struct question *question, sd_bus_message *call)
{
	int r = sd_bus_call_async(question->bus, NULL, call, on_reply, question, 0);

	question->reply = sd_bus_message_unref(question->reply);
	while (r >= 0 && question->reply == NULL) {
		usec_t left = clock_left(question->deadline, clock_now());

		if (left == 0)
			return -ETIMEDOUT;
		r = sd_bus_process(question->bus, NULL);
		if (r == 0 && question->reply == NULL)
			r = sd_bus_wait(question->bus, left);
	}
	if (r < 0)
		return r;
	return sd_bus_message_is_method_error(question->reply, NULL) ? -EREMOTEIO : 0;
}

/* Asks for property NAME of INTERFACE at PATH; the reply stands at its value of TYPE then. */
static int ask_property(struct question *question, const char *path, const char *interface,
			const char *name, const char *type)
{
	sd_bus_message *call = NULL;
	int r = sd_bus_message_new_method_call(question->bus, &call, DESTINATION, path,
					       "org.freedesktop.DBus.Properties", "Get");

	if (r >= 0)
		r = sd_bus_message_append(call, "ss", interface, name);
	if (r >= 0)
		r = ask(question, call);
	(void)sd_bus_message_unref(call);
	return r < 0 ? r : sd_bus_message_enter_container(question->reply, 'v', type);
}

/* Asks for the path of our unit's object, which lives as long as the reply. */
static int ask_unit(struct question *question, const char **ret_path)
{
	sd_bus_message *call = NULL;
	int r = sd_bus_message_new_method_call(question->bus, &call, DESTINATION,
					       "/org/freedesktop/systemd1", DESTINATION ".Manager",
					       "GetUnitByPID");

	/* 0: whoever asks. */
	if (r >= 0)
		r = sd_bus_message_append(call, "u", 0u);
	if (r >= 0)
		r = ask(question, call);
	(void)sd_bus_message_unref(call);
	return r < 0 ? r : sd_bus_message_read(question->reply, "o", ret_path);
}

/* Whether a job of type stop is what ends the unit: 1 or 0, or a negative errno. */
static int is_stop(struct question *question)
{
	const char *path, *type;
	char job[256];
	uint32_t id = 0;
	int r = ask_unit(question, &path);

	if (r >= 0)
		r = ask_property(question, path, DESTINATION ".Unit", "Job", "(uo)");
	if (r >= 0)
		r = sd_bus_message_read(question->reply, "(uo)", &id, &path);
	if (r < 0 || id == 0)
		return r < 0 ? r : 0;
	/* The next reply takes the place of the one that the path lies in. */
	(void)snprintf(job, sizeof(job), "%s", path);
	r = ask_property(question, job, DESTINATION ".Job", "JobType", "s");
	if (r >= 0)
		r = sd_bus_message_read(question->reply, "s", &type);
	return r < 0 ? r : strcmp(type, "stop") == 0;
}

bool job_is_restart(void)
{
	struct question question = {.deadline = clock_now() + PATIENCE};
	bool stop = false;

	if (secure_getenv("NOTIFY_SOCKET") == NULL)
		return false;
	if (sd_bus_open_system(&question.bus) >= 0)
		stop = is_stop(&question) > 0;
	(void)sd_bus_message_unref(question.reply);
	/* Without flushing: whoever did not answer may not read either. */
	sd_bus_close(question.bus);
	(void)sd_bus_unref(question.bus);
	return !stop;
}
