/* The script responder: a file says what is answered (marcel-script(5)). */
#pragma once

#include "marcel/responder.h"

extern const struct marcel_responder_ops script_responder;
