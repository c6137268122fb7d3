/*
 * End words as a table: which message is which word, but for upper and lower case.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "converse/endword.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define BYTES(string) (string), sizeof(string) - 1

/* UTF-8 in octal: é \303\251, É \303\211, ß \303\237, ẞ \341\272\236, ш \321\210, Ш \320\250. */
static const struct {
	const char *word;
	const char *message;
	size_t length;
	bool match;
} cases[] = {
	{"fin", BYTES("fin"), true},
	{"fin", BYTES("FIN"), true},
	{"FiN", BYTES("fIn"), true},
	{"fin", BYTES("fi"), false},
	{"fin", BYTES("fine"), false},
	{"fin", BYTES(" fin"), false},
	{"fin", BYTES("fin "), false},
	{"fin", BYTES("fin\r"), false},
	{"fin", BYTES("fin\0"), false},
	{"fin", BYTES("f\0n"), false},
	{"fin", BYTES(""), false},
	{"", BYTES(""), true},
	{"", BYTES("\0"), false},
	{"", BYTES("fin"), false},
	{"adi\303\251", BYTES("adi\303\251"), true},
	{"adi\303\251", BYTES("ADI\303\211"), true},
	{"ADI\303\211", BYTES("adi\303\251"), true},
	{"adi\303\251", BYTES("adie"), false},
	{"adi\303\251", BYTES("adi\303"), false},
	{"adi\303\251", BYTES("adie\314\201"), false},
	{"schlu\303\237", BYTES("SCHLU\303\237"), true},
	{"schlu\303\237", BYTES("SCHLU\341\272\236"), true},
	{"schlu\303\237", BYTES("SCHLUSS"), false},
	{"\321\210", BYTES("\320\250"), true},
	/* Punctuation next to the letters, which a bit of difference would turn into them. */
	{"@[", BYTES("`{"), false},
	{"fin!", BYTES("fin\001"), false},
	/* Stray bytes are nothing but themselves: \311 is E with an accent in Latin-1 only. */
	{"\351", BYTES("\351"), true},
	{"\351", BYTES("\311"), false},
	{"\351", BYTES("\303\251"), false},
	{"\303\251", BYTES("\351"), false},
	{"\303", BYTES("\303"), true},
	{"a\377", BYTES("A\377"), true},
	{"a\377", BYTES("A\376"), false},
	/* An overlong "f", a surrogate, and what is beyond Unicode. */
	{"f", BYTES("\301\246"), false},
	{"\355\240\200", BYTES("\355\240\200"), true},
	{"\355\240\200", BYTES("\355\240\201"), false},
	{"\364\220\200\200", BYTES("\364\220\200\200"), true},
	{"\360\237\221\213", BYTES("\360\237\221\213"), true},
	{"\360\237\221\213", BYTES("\360\237\221\214"), false},
};

/* In memory of exactly LENGTH bytes, so that reading on is seen. */
static bool match_exactly(char *const words[], size_t n, const char *message, size_t length)
{
	char *exact = malloc(length > 0 ? length : 1);
	bool match;

	assert_non_null(exact);
	(void)memcpy(exact, message, length);
	match = endword_matches(words, n, exact, length);
	free(exact);
	return match;
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *word = strdup(cases[i].word);

		assert_non_null(word);
		if (match_exactly(&word, 1, cases[i].message, cases[i].length) != cases[i].match)
			fail_msg("case %zu: \"%s\" and \"%s\"", i, cases[i].word, cases[i].message);
		free(word);
	}
}

static void test_lists(void **state)
{
	char fin[] = "fin", bye[] = "bye", adieu[] = "adieu";
	char *words[] = {fin, bye, adieu};

	(void)state;
	assert_true(match_exactly(words, 3, BYTES("Bye")));
	assert_true(match_exactly(words, 3, BYTES("ADIEU")));
	assert_false(match_exactly(words, 2, BYTES("ADIEU")));
	assert_false(match_exactly(words, 3, BYTES("finbye")));
	assert_false(match_exactly(words, 0, BYTES("fin")));
	assert_false(match_exactly(NULL, 0, BYTES("")));
}

/* Before endword_init() only ASCII letters have cases. */
static void test_unprepared(void **state)
{
	char word[] = "adi\303\251";
	char *words[] = {word};

	(void)state;
	assert_true(match_exactly(words, 1, BYTES("ADI\303\251")));
	assert_false(match_exactly(words, 1, BYTES("ADI\303\211")));
	endword_init();
	assert_true(match_exactly(words, 1, BYTES("ADI\303\211")));
	endword_init();
	assert_true(match_exactly(words, 1, BYTES("ADI\303\211")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unprepared), /* first: it prepares for the others */
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests_name("converse/endword", tests, NULL, NULL);
}
