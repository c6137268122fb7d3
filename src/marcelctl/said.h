/* Texts that marceld has escaped already (what clients and operators said), on standard output. */
#pragma once

/* Writes TEXT, whose backslashes stay as they are. Should there be a control character all the
 * same, it is escaped. */
void said_put(const char *text);
