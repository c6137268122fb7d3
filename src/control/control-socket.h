/*
 * The place of the control socket in the file system: who may connect is said by its group and
 * mode, and at its path there is always a socket that somebody listens on, or none.
 *
 * NOTE ON THE GROUP. Under PrivateUsers= no group can be given to a file, but a setgid directory
 * gives its own to what is made in it. So the socket is bound in GROUP_DIRECTORY under a temporary
 * name, gets its mode before it listens, and is renamed to its path when all is as it should be.
 *
 * Main thread. Nothing here records.
 */
#pragma once

#include <sys/types.h>

struct control_socket {
	int fd; /* listens, non-blocking; -1: there is no socket */
	char path[108];
	dev_t device;
	ino_t inode;
	/* A negative errno: the group directory could not give its group; 0: it did, or there was
	 * none to give. */
	int group_fault;
};

#define CONTROL_SOCKET_NONE \
	{                   \
		.fd = -1    \
	}

/*
 * Makes the socket at PATH. GROUP_DIRECTORY is as in struct control_places. If it can't give its
 * group, as from another file system (-EXDEV) or by too long a path (-ENAMETOOLONG), the socket is
 * its owner's alone, and ret_socket->group_fault says why. A directory that is missing right above
 * PATH is made. Returns 0, or a negative errno with nothing left behind: -EADDRINUSE (somebody
 * listens there), -EEXIST (there is something that is no socket), -ENAMETOOLONG (no client could
 * connect to so long a path: 107 bytes, of the temporary name too).
 */
int control_socket_open(const char *path, const char *group_directory,
			struct control_socket *ret_socket);

/* Closes SOCKET and removes it from its path, if it is still the one that lies there. */
void control_socket_close(struct control_socket *socket);
