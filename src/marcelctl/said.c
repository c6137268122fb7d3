/* Texts that are escaped already; see said.h. */
#include "marcelctl/said.h"

#include <stdio.h>
#include <string.h>

#include "marcelctl/file.h"

void said_put(const char *text)
{
	while (*text != '\0') {
		const size_t length = strcspn(text, "\\");

		file_put_escaped(stdout, text, length);
		text += length;
		if (*text != '\0') {
			(void)putchar(*text);
			text++;
		}
	}
}
