/* Binding the message catalogs; see i18n.h. */
#include "base/i18n.h"

#include <locale.h>
#include <stdlib.h>

void i18n_init(void)
{
	const char *directory = secure_getenv("MARCEL_LOCALEDIR");

	/* Before any thread, as i18n.h says. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	(void)setlocale(LC_ALL, "");
	(void)bindtextdomain("marcel", directory != NULL ? directory : MARCEL_LOCALE_DIR);
	(void)bind_textdomain_codeset("marcel", "UTF-8");
	(void)textdomain("marcel");
}
