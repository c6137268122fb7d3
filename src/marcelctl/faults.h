/* Loading a script for a person who wants to know what is wrong with it. One thread. */
#pragma once

#include <stdio.h>

#include "respond/script/program.h"

/* Writes the faults of LIST to FILE, with an empty line between two, and how many more there were.
 */
void faults_print(const struct faults *list, FILE *file);

/*
 * Loads the script FILE as script_load() does and tells its faults on standard error. Returns it,
 * or NULL when there is none. The caller owns a reference.
 */
struct script *faults_load(const char *file);
