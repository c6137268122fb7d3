/*
 * Any bytes as the text of an address, and any bytes as an address that the kernel might give:
 * neither may be read or written past its end, what is shown has no control character, and what
 * was read from text is read again from what is shown.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "listen/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* NOLINT(*-identifier-naming) */

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Shows ADDRESS into SHOWN and checks what must hold for every address. */
static void show(const struct address *address, char shown[ADDRESS_TEXT_MAX])
{
	char *cut = malloc(5); /* so that a sanitizer sees a byte too many */
	uint8_t key[16];
	int r;

	check(cut != NULL);
	(void)address_format(address, shown, ADDRESS_TEXT_MAX);
	check(shown[0] != '\0');
	check(strlen(shown) < ADDRESS_TEXT_MAX);
	for (const char *p = shown; *p != '\0'; p++)
		check((unsigned char)*p >= ' ' && *p != '\x7f');
	(void)address_format(address, cut, 5);
	check(strlen(cut) < 5);
	free(cut);
	r = address_key(address, key);
	check(r == 0 || r == 1);
}

static void read_text(const char *text)
{
	char shown[ADDRESS_TEXT_MAX];
	char again[ADDRESS_TEXT_MAX];
	struct address address;
	char why[64];
	int r;

	r = address_parse(text, &address);
	if (r < 0) {
		check(address_explain(r, text, why, sizeof(why)) == why);
		check(strlen(why) < sizeof(why));
		return;
	}
	show(&address, shown);
	if (strchr(shown, '\\') != NULL)
		return; /* escaped: for reading only */
	check(address_parse(shown, &address) == 0);
	show(&address, again);
	check(strcmp(shown, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) /* NOLINT(*-identifier-naming) */
{
	struct address address;
	char shown[ADDRESS_TEXT_MAX];
	char *text = malloc(size + 1);

	check(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	read_text(text);
	free(text);

	memset(&address, 0, sizeof(address));
	address.length =
		(socklen_t)(size < sizeof(address.storage) ? size : sizeof(address.storage));
	memcpy(&address.storage, data, address.length);
	show(&address, shown);
	return 0;
}
