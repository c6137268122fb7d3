/*
 * Making the connection, and what to do when it can't be made; see link.h.
 *
 * The control socket is connected here and not by sd-bus, so that each step that fails can be told
 * as what it is: no such file, nobody who listens, no permission, something else that listens.
 */
#include "marcelctl/link-priv.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/i18n.h"
#include "marcelctl/say.h"

#define SYSTEM_CONTROL "/run/marcel/control"

/* How long marceld may take to answer, and to be connected to. */
#define PATIENCE (10 * USEC_PER_SEC)

const char *link_path(const struct link_options *options, char *buffer, size_t size)
{
	/* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	const char *own = getenv("XDG_RUNTIME_DIR");

	if (options->control != NULL)
		(void)snprintf(buffer, size, "%s", options->control);
	else if (geteuid() == 0 || own == NULL || own[0] == '\0' ||
		 access(SYSTEM_CONTROL, F_OK) == 0 || errno == EACCES)
		(void)snprintf(buffer, size, "%s", SYSTEM_CONTROL);
	else
		(void)snprintf(buffer, size, "%s/marcel/control", own);
	return buffer;
}

const char *link_user(char *buffer, size_t size)
{
	struct passwd entry;
	struct passwd *found = NULL;
	char room[4096];

	if (getpwuid_r(geteuid(), &entry, room, sizeof(room), &found) == 0 && found != NULL)
		(void)snprintf(buffer, size, "%s", found->pw_name);
	else
		(void)snprintf(buffer, size, "%s", _("USER"));
	return buffer;
}

/* The socket at PATH may be used by a group that this user is not in: which one, and how to. */
static void tell_no_permission(const char *path)
{
	const struct group *group = NULL;
	struct stat status;
	char name[256];

	if (stat(path, &status) == 0) {
		if ((status.st_mode & S_IWGRP) == 0) {
			say_error(_("%s: permission denied: only its owner may control this "
				    "marceld"),
				  path);
			return;
		}
		/* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
		group = getgrgid(status.st_gid);
	}
	say_error(_("%s: permission denied: only root and the group %s may control marceld"), path,
		  group != NULL ? group->gr_name : LINK_GROUP);
	say_error(_("an administrator lets you with 'usermod -aG %s %s'; then log in again"),
		  group != NULL ? group->gr_name : LINK_GROUP, link_user(name, sizeof(name)));
}

/* Tells why PATH could not be connected to: ERROR, a positive errno. */
static void tell_no_connection(const char *path, int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
	case ECONNREFUSED:
		say_error(error == ECONNREFUSED ? _("%s: no marceld listens there")
						: _("%s: there is no such socket"),
			  path);
		say_error(_("is marceld running? start it with 'systemctl start marcel.socket', "
			    "or name its socket with --control"));
		break;
	case EACCES:
	case EPERM:
		tell_no_permission(path);
		break;
	case EAGAIN:
		say_error(_("%s: marceld is busy with others and takes no connection now"), path);
		break;
	case ENOTSOCK:
		say_error(_("%s: this is not a socket"), path);
		break;
	case EBADMSG:
		say_error(_("%s: this is not the control socket of a marceld"), path);
		break;
	case ETIMEDOUT:
		say_error(_("%s: marceld does not answer"), path);
		break;
	default:
		say_error("%s: %s", path, say_errno(error));
		break;
	}
}

/* Connects a socket to PATH. Returns it, or a negative errno. */
static int connect_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const size_t length = strlen(path);
	auto_close int fd = -1;
	struct stat status;

	if (length == 0)
		return -ENOENT;
	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, length);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return take_fd(&fd);
	/* The kernel refuses a file that is no socket as if nobody listened there. */
	if (errno == ECONNREFUSED && stat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
		return -ENOTSOCK;
	return errno == ECONNREFUSED ? -ECONNREFUSED : -errno;
}

/* Lets BUS greet and be greeted. Returns 0 or a negative errno. */
static int wait_ready(sd_bus *bus)
{
	const usec_t deadline = clock_deadline(clock_now(), PATIENCE);

	for (;;) {
		usec_t left;
		int r = sd_bus_is_ready(bus);

		if (r > 0)
			return 0;
		if (r == 0)
			r = sd_bus_process(bus, NULL);
		if (r < 0)
			return r;
		left = clock_left(deadline, clock_now());
		if (left == 0)
			return -ETIMEDOUT;
		if (r == 0)
			r = sd_bus_wait(bus, left);
		if (r < 0 && r != -EINTR)
			return r;
	}
}

/* Speaks D-Bus on *FD, which is the bus's from then on. Returns 0 or a negative errno; -EBADMSG:
 * who is there does not speak it. */
static int start_bus(int *fd, sd_bus **ret_bus)
{
	sd_bus *bus = NULL;
	int r;

	r = sd_bus_new(&bus);
	if (r < 0)
		return r;
	r = sd_bus_set_fd(bus, *fd, *fd);
	if (r < 0) {
		sd_bus_unref(bus);
		return r;
	}
	(void)take_fd(fd);
	r = sd_bus_start(bus);
	if (r >= 0)
		r = wait_ready(bus);
	if (r < 0) {
		sd_bus_close_unref(bus);
		return r == -ETIMEDOUT || r == -ENOMEM ? r : -EBADMSG;
	}
	*ret_bus = bus;
	return 0;
}

static int open_socket(const struct link_options *options, bool quiet, sd_bus **ret_bus)
{
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 256];
	auto_close int fd = -1;
	int r;

	(void)link_path(options, path, sizeof(path));
	fd = connect_socket(path);
	r = fd < 0 ? fd : start_bus(&fd, ret_bus);
	if (r < 0 && !quiet)
		tell_no_connection(path, -r);
	return r;
}

/* Whether marceld is on BUS. Returns 0 or a negative errno. */
static int find_service(sd_bus *bus)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	r = sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			       "org.freedesktop.DBus", "GetNameOwner", &error, NULL, "s",
			       LINK_SERVICE);
	if (r < 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		r = -ENOENT;
	sd_bus_error_free(&error);
	return r < 0 ? r : 0;
}

static int open_system_bus(bool quiet, sd_bus **ret_bus)
{
	sd_bus *bus = NULL;
	int r;

	r = sd_bus_open_system_with_description(&bus, "marcelctl");
	if (r < 0) {
		if (!quiet) {
			say_error(_("the system bus can't be reached: %s"), say_errno(-r));
			say_error(_("without --bus, marcelctl uses marceld's control socket"));
		}
		return r;
	}
	r = find_service(bus);
	if (r < 0) {
		if (!quiet && r == -ENOENT)
			say_error(_("no marceld is on the system bus; start it with 'systemctl "
				    "start marcel.socket', or use its control socket, without "
				    "--bus"));
		else if (!quiet)
			say_error(_("the system bus can't be reached: %s"), say_errno(-r));
		sd_bus_flush_close_unref(bus);
		return r;
	}
	*ret_bus = bus;
	return 0;
}

int link_open(const struct link_options *options, bool quiet, struct link *ret_link)
{
	sd_bus *bus = NULL;
	int r;

	r = options->bus ? open_system_bus(quiet, &bus) : open_socket(options, quiet, &bus);
	if (r < 0)
		return r;
	/* Also for the calls that sd-bus makes by itself. */
	(void)sd_bus_set_method_call_timeout(bus, PATIENCE);
	*ret_link = (struct link){
		.bus = bus,
		.peer = !options->bus,
		.patience = PATIENCE,
	};
	return 0;
}

void link_done(struct link *link)
{
	link->bus = sd_bus_flush_close_unref(link->bus);
}
