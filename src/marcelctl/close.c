/* marcelctl close: ends conversations, politely, with the farewell. One thread. */
#include "marcelctl/live.h"

int verb_close(int argc, char **argv)
{
	return live_call_each(argc, argv, "Close");
}
