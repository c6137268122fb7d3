/* Reading the kernel's counters; see counters.h. */
#include "handover/counters.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* States of include/net/tcp_states.h in the kernel; <netinet/tcp.h> can't be included here too. */
enum tcp_state {
	STATE_ESTABLISHED = 1,
	STATE_SYN_SENT,
	STATE_SYN_RECV,
	STATE_FIN_WAIT1,
	STATE_FIN_WAIT2,
	STATE_TIME_WAIT,
	STATE_CLOSE,
	STATE_CLOSE_WAIT,
	STATE_LAST_ACK,
	STATE_LISTEN,
	STATE_CLOSING,
};

/* How many bytes of the counters are a FIN's. */
static unsigned fin_received(unsigned state)
{
	return (state == STATE_CLOSE_WAIT || state == STATE_LAST_ACK || state == STATE_CLOSING ||
		state == STATE_TIME_WAIT)
		       ? 1
		       : 0;
}

static unsigned fin_sent(unsigned state)
{
	return (state == STATE_FIN_WAIT1 || state == STATE_FIN_WAIT2 || state == STATE_LAST_ACK ||
		state == STATE_CLOSING || state == STATE_TIME_WAIT)
		       ? 1
		       : 0;
}

static int read_info(int fd, struct tcp_info *ret)
{
	socklen_t size = sizeof(*ret);

	(void)memset(ret, 0, sizeof(*ret));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret, &size) < 0)
		return -errno;
	return size >= offsetof(struct tcp_info, tcpi_segs_out) ? 0 : -EOPNOTSUPP;
}

int counters_read(int fd, struct counters *ret)
{
	struct tcp_info before, after;
	int protocol = 0, unread, unacknowledged;
	socklen_t size = sizeof(protocol);
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0)
		return -errno;
	if (protocol != IPPROTO_TCP) {
		*ret = (struct counters){.tcp = false, .connected = true};
		return 0;
	}
	/* Segments come in meanwhile: what belongs together was read between two equal answers. */
	do {
		r = read_info(fd, &before);
		if (r < 0)
			return r;
		if (ioctl(fd, SIOCINQ, &unread) < 0 || ioctl(fd, SIOCOUTQ, &unacknowledged) < 0)
			return -errno;
		r = read_info(fd, &after);
		if (r < 0)
			return r;
	} while (before.tcpi_state != after.tcpi_state ||
		 before.tcpi_bytes_received != after.tcpi_bytes_received ||
		 before.tcpi_bytes_acked != after.tcpi_bytes_acked);
	*ret = (struct counters){
		.tcp = true,
		.connected = after.tcpi_state != STATE_CLOSE,
		.read = after.tcpi_bytes_received,
		.written = after.tcpi_bytes_acked,
	};
	ret->read -= (uint64_t)unread + fin_received(after.tcpi_state);
	ret->written += (uint64_t)unacknowledged;
	ret->written -= fin_sent(after.tcpi_state);
	return 0;
}
