/* The trial responder: shows whether a turn was lost or doubled; see trial.c. */
#pragma once

#include "marcel/responder.h"

extern const struct marcel_responder_ops trial_responder;
