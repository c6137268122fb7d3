/*
 * Echo: answers each message with itself. It remembers nothing, cannot fail, and is what the
 * daemon does when nobody has told it anything else. Runs in the conversations' threads.
 */
#include "respond/echo.h"

static int echo_respond(struct marcel_conversation *conversation, const char *message,
			size_t length, struct marcel_sink *sink)
{
	(void)conversation;
	return marcel_say(sink, message, length);
}

const struct marcel_responder_ops echo_responder = {
	.abi = MARCEL_RESPONDER_ABI,
	.name = "echo",
	.respond = echo_respond,
};
