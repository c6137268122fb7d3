/* The echo responder: each message comes back as it was, byte for byte. */
#pragma once

#include "marcel/responder.h"

extern const struct marcel_responder_ops echo_responder;
