/*
 * The programs speak their user's language: _() looks a text up in the message catalog of the
 * locale (gettext), N_() only marks one for translation. English is the source.
 */
#pragma once

#include <libintl.h>

/* The names are those of gettext(1).
 * NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
#define _(text)  gettext(text)
#define N_(text) (text)
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */

/*
 * Sets the locale from the environment and binds the catalogs of the installed package, or those
 * below the directory named by the environment's MARCEL_LOCALEDIR. Call it first in main(),
 * before any thread exists. Without a catalog for the locale, the texts stay English.
 */
void i18n_init(void);
