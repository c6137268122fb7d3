/* What the files of the link share; see link.h. */
#pragma once

#include "marcelctl/link.h"

/* Who may control marceld, besides root. */
#define LINK_GROUP "marcel-operator"

/* The name of the user, into BUFFER. Returns BUFFER. */
const char *link_user(char *buffer, size_t size);
