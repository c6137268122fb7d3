/*
 * Keepsakes: bytes that conversations need for as long as they live, in whatever process.
 *
 * A script may change on disk while conversations go on by the old one. So the text of every
 * script in use is kept like the conversations themselves: as a memfd in the service manager's
 * store, under a name made of its version. The next process finds it there.
 *
 * A keepsake is counted: each keepsake_keep() is undone by a keepsake_drop(). What an earlier
 * process left counts for nothing until somebody needs it. Without a service manager that keeps
 * descriptors, or before keepsakes_start(), nothing is stored; all the rest works.
 *
 * Any thread but where it says otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* All names begin so. At most KEEPSAKE_NAME_MAX bytes with the NUL; as FDNAME= of sd_notify(3). */
#define KEEPSAKE_PREFIX   "marcel-keep-"
#define KEEPSAKE_NAME_MAX 64

/* How descriptors get into the service manager's store and out of it. */
typedef void keepsake_store_fn(int fd, const char *name);
typedef void keepsake_unstore_fn(const char *name);

/* Takes over FD, which an earlier process stored as NAME. Main thread. */
void keepsakes_offer(int fd, const char *name);

/* From now on STORE and UNSTORE are called for what is kept and dropped; at once for what is kept
 * already and was not offered. Main thread. */
void keepsakes_start(keepsake_store_fn *store, keepsake_unstore_fn *unstore);

/*
 * Notes that a conversation that is being resumed will keep NAME; its thread undoes that by
 * keepsake_arrived(), so that what one drops is not lost for another. Returns whether it is there.
 * / Drops what was offered and neither kept nor needed. Main thread, before resumed conversations
 * go on.
 */
bool keepsakes_need(const char *name);
void keepsakes_forget_rest(void);

/* Frees everything; what is stored stays stored. Main thread. */
void keepsakes_done(void);

/*
 * Keeps SIZE bytes at BYTES, which are copied, as NAME. The same name always stands for the same
 * bytes: if it is kept already it only counts once more. Returns 0 or a negative errno: then it is
 * not kept for another process, and not counted.
 */
int keepsake_keep(const char *name, const void *bytes, size_t size);

/* A conversation that keepsakes_need() was called for has kept NAME by now, or does without. */
void keepsake_arrived(const char *name);

/* Counts one less; the last one takes it out of the store, unless somebody needs it. */
void keepsake_drop(const char *name);

/* Gives the bytes that are kept as NAME, or that were offered. Returns 0 with *RET_BYTES owned by
 * the caller (free(3)), -ENOENT, or another negative errno. */
int keepsake_read(const char *name, void **ret_bytes, size_t *ret_size);

/*
 * The same for descriptors that are more than bytes, such as FIFOs: one owner each, no counting.
 *
 * keepsake_take_fd() gives what an earlier process stored as NAME, owned by the caller, or -ENOENT;
 * keepsakes_forget_rest() leaves it alone then. keepsake_store_fd() stores FD (a duplicate is kept)
 * in the place of what has the name NAME, at keepsakes_start() if that is still to come.
 * keepsake_unstore_fd() takes it out. Names begin with KEEPSAKE_PREFIX.
 */
int keepsake_take_fd(const char *name);
int keepsake_store_fd(const char *name, int fd);
void keepsake_unstore_fd(const char *name);
