/*
 * The responders that marceld is built with; a new one adds its line here.
 *
 * The table stands alone in its file so that a program of the tests can bring another one.
 */
#include "respond/echo.h"
#include "respond/fifo-responder.h"
#include "respond/registry.h"
#include "respond/script-responder.h"

const struct marcel_responder_ops *const responder_table[] = {
	&echo_responder,
	&fifo_responder,
	&script_responder,
	NULL,
};
