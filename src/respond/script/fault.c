/* Faults of a script, collected and shown; see fault.h. */
#include "respond/script/fault.h"
