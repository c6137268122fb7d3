/*
 * What the programs that people start have in common at the beginning of main(). The daemon has its
 * own ways.
 *
 * Call these before any thread exists. They cannot fail: what cannot be done is left as it is.
 */
#pragma once

/* Opens /dev/null as those of descriptors 0, 1 and 2 that nobody gave us: without this a socket
 * would become one of them. */
void startup_fill_descriptors(void);

/* Texts are UTF-8. The C locale knows only ASCII and would not let anyone type an accent: makes its
 * LC_CTYPE that of C.UTF-8. Call it after i18n_init(). */
void startup_speak_utf8(void);
