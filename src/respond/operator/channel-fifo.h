/*
 * FIFOs as the operator channel uses them: open for reading and writing (so that a writer that
 * leaves causes no end of file), without blocking, and never through a symbolic link.
 *
 * NOTE ON THE LAST LINE. Whoever has a FIFO open may write at any moment, also in the one between
 * our finding it empty and our closing it; that line would be gone without a word. So fifo_finish()
 * does not empty the FIFO but fills it up: then nobody can add anything, and a copy (tee(2)) shows
 * all that there will ever be. When it is closed, a writer that waits for room gets EPIPE. That
 * holds if nobody else reads it or keeps it open (the vault).
 *
 * Any thread, but one at a time for one FIFO.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* So often at most a FIFO is read from until it is empty: it may hold a megabyte, which 256 reads
 * of 4 KiB take, and a writer may never stop. */
#define FIFO_READS_MAX 256

/* Makes a FIFO NAME (0620) in the directory DIR, in the place of what a killed process may have
 * left of that name. Returns an open descriptor or a negative errno. */
int fifo_make(int dir, const char *name);

/* Opens the FIFO NAME in DIR. Returns a descriptor, -EEXIST (it is something else), or another
 * negative errno. */
int fifo_open(int dir, const char *name);

/* Makes one without a name, for orders that come by other ways. */
int fifo_make_nameless(void);

/* Whether NAME in DIR is the FIFO that FD has open. */
bool fifo_is(int dir, const char *name, int fd);

/*
 * Takes everything that is unread in FD and calls FUNCTION with each line, without its LF; also
 * with what has none. Longer ones come cut to CHANNEL_LINE_MAX. / The same until nobody can write
 * to it any more, as long as it is not read from again.
 */
typedef void fifo_line_fn(void *context, const char *line, size_t length);
void fifo_drain(int fd, fifo_line_fn *function, void *context);
void fifo_finish(int fd, fifo_line_fn *function, void *context);
