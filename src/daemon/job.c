/* Asking systemd for the unit's job; see job.h. */
#include "daemon/job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/clock.h"

#define DESTINATION "org.freedesktop.systemd1"

/* Reads property MEMBER of INTERFACE at PATH into *RET_REPLY, positioned at its value of TYPE. */
static int get(sd_bus *bus, const char *path, const char *interface, const char *member,
	       const char *type, sd_bus_message **ret_reply)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_get_property(bus, DESTINATION, path, interface, member, &error, ret_reply,
				    type);

	sd_bus_error_free(&error);
	return r;
}

/* Finds the path of our unit's object. */
static int unit_path(sd_bus *bus, sd_bus_message **ret_reply, const char **ret_path)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_call_method(bus, DESTINATION, "/org/freedesktop/systemd1",
				   DESTINATION ".Manager", "GetUnitByPID", &error, ret_reply, "u",
				   0u);

	sd_bus_error_free(&error);
	return r < 0 ? r : sd_bus_message_read(*ret_reply, "o", ret_path);
}

/* Whether a job of type stop is what ends the unit: 1 or 0, or a negative errno. */
static int is_stop(sd_bus *bus)
{
	sd_bus_message *unit = NULL, *job = NULL, *type = NULL;
	const char *unit_object, *job_object, *name;
	uint32_t id = 0;
	int r = unit_path(bus, &unit, &unit_object);

	if (r >= 0)
		r = get(bus, unit_object, DESTINATION ".Unit", "Job", "(uo)", &job);
	if (r >= 0)
		r = sd_bus_message_read(job, "(uo)", &id, &job_object);
	if (r >= 0 && id == 0)
		r = 0;
	else if (r >= 0)
		r = get(bus, job_object, DESTINATION ".Job", "JobType", "s", &type);
	if (r >= 0 && id != 0)
		r = sd_bus_message_read(type, "s", &name);
	if (r >= 0 && id != 0)
		r = strcmp(name, "stop") == 0;
	(void)sd_bus_message_unref(unit);
	(void)sd_bus_message_unref(job);
	(void)sd_bus_message_unref(type);
	return r;
}

bool job_is_restart(void)
{
	sd_bus *bus = NULL;
	bool stop = false;

	if (secure_getenv("NOTIFY_SOCKET") == NULL)
		return false;
	if (sd_bus_open_system(&bus) >= 0 && sd_bus_set_method_call_timeout(bus, USEC_PER_SEC) >= 0)
		stop = is_stop(bus) > 0;
	(void)sd_bus_flush_close_unref(bus);
	return !stop;
}
