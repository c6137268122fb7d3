/*
 * What the kernel knows of a connection: how many bytes the dead process took and gave.
 *
 * For TCP the kernel's counters are exact whatever instant the process died at (tcp(7), TCP_INFO):
 *
 *	bytes ever read    = bytes_received - SIOCINQ
 *	bytes ever written = bytes_acked + SIOCOUTQ
 *
 * where a FIN counts one in each direction and is subtracted by the state. Other sockets have no
 * such counters. Any thread; no state.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct counters {
	bool tcp;
	bool connected;   /* false: the connection is over, and the numbers mean nothing */
	uint64_t read;    /* bytes that recv() has ever returned */
	uint64_t written; /* bytes that send() has ever taken */
};

/* Reads the counters of the stream socket FD. Returns 0 or a negative errno (-ENOTSOCK, ...). */
int counters_read(int fd, struct counters *ret);
