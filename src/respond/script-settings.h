/*
 * The settings of the script responder: the section [script], and the file that it names.
 *
 * Main thread; what load() makes is read-only afterwards, by any thread.
 */
#pragma once

#include "marcel/responder.h"
#include "respond/script/program.h"

/* What load() makes. */
struct face_script {
	const struct script *script;
};

/* As load() and unload() of the responder contract; *RET_SHARED is a struct face_script. */
int script_load_settings(const struct marcel_settings *settings, marcel_fault_fn *fault,
			 void *context, void **ret_shared);
void script_unload(void *shared);
