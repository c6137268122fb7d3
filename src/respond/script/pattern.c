/* Compiling patterns and comparing messages with them; see pattern.h. */
#include "respond/script/pattern.h"
