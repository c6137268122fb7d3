/*
 * The versions of scripts that conversations are held by.
 *
 * A script is immutable. A reload makes a new version, and conversations keep theirs, also in the
 * next process: the text of each version in use is a keepsake (keepsake.h). Versions are counted by
 * the faces that offer them and the resumed conversations that need one which no face offers.
 *
 * Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "respond/script/program.h"

/*
 * Counts one user of SCRIPT, whose reference is taken over: the same script may be there already,
 * then that one is used. Returns the one to use, which lives until version_drop(); NULL: no memory.
 */
const struct script *version_add(struct script *script);

/* Counts one user of version NUMBER, read from its keepsake if need be. Returns 0, -ENOENT (it was
 * not kept) or another negative errno. */
int version_use(uint64_t number, const struct script **ret_script);

/* A number that stands for this process, not 0: what counted in another one counts no more. */
uint32_t version_process(void);

/* Version NUMBER, which somebody uses: NULL if nobody does. */
const struct script *version_find(uint64_t number);

/* Counts one user less. */
void version_drop(uint64_t number);

/* The name of the keepsake that holds the version; SIZE as KEEPSAKE_NAME_MAX. */
void version_name(uint64_t version, char *name, size_t size);
