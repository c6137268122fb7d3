/* The responders of the test daemons: marceld's own, and trial. */
#include "respond/echo.h"
#include "respond/fifo-responder.h"
#include "respond/registry.h"
#include "respond/script-responder.h"
#include "trial.h"

const struct marcel_responder_ops *const responder_table[] = {
	&echo_responder, &fifo_responder, &script_responder, &trial_responder, NULL,
};
