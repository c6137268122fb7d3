/*
 * How many threads work in the channel's directories at the same time.
 *
 * Whatever is done there takes descriptors for a moment: of a directory, of a file, of pipes. After
 * a restart, or when somebody writes to all, every conversation wants to do something there, and
 * thousands that sleep in the middle of it would take more than the daemon keeps free of clients
 * (daemon/start.c): files would be missing, and events lost. So a few work and the others wait;
 * more than there are processors would wait for one another anyhow.
 */
#include "base/lock.h"
#include "respond/operator/channel-priv.h"

/* Each has up to four descriptors open: a directory, one that is emptied, and a pipe of two. */
#define AT_ONCE 32

static struct {
	struct lock lock;
	struct bell bell; /* one may go on */
	unsigned inside;
} queue = {.lock = LOCK_INIT("operator queue"), .bell = {.cond = PTHREAD_COND_INITIALIZER}};

void queue_enter(void)
{
	lock_take(&queue.lock);
	while (queue.inside >= AT_ONCE)
		(void)bell_wait(&queue.bell, &queue.lock, USEC_NEVER);
	queue.inside++;
	lock_drop(&queue.lock);
}

void queue_leave(void)
{
	lock_take(&queue.lock);
	queue.inside--;
	lock_drop(&queue.lock);
	bell_ring(&queue.bell);
}
