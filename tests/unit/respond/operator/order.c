/*
 * What an operator's line means.
 */
#include "respond/operator/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* LENGTH bytes at LINE are an order of KIND for TURN with TEXT. */
static void check_bytes(const char *line, size_t length, enum order_kind kind, uint64_t turn,
			const char *text)
{
	struct order order = order_parse(line, length);

	assert_int_equal(order.kind, kind);
	assert_int_equal(order.turn, turn);
	assert_int_equal(order.length, strlen(text));
	assert_memory_equal(order.text, text, order.length);
}

static void check(const char *line, enum order_kind kind, uint64_t turn, const char *text)
{
	check_bytes(line, strlen(line), kind, turn, text);
}

static void test_texts(void **state)
{
	(void)state;
	check("Bonjour", ORDER_SAY, 0, "Bonjour");
	check(" Bonjour ", ORDER_SAY, 0, " Bonjour ");
	check("Bonjour\r", ORDER_SAY, 0, "Bonjour");
	check("Bonjour\r\r", ORDER_SAY, 0, "Bonjour\r");
	check("a /close", ORDER_SAY, 0, "a /close");
	check("\xff\x01\t", ORDER_SAY, 0, "\xff\x01\t");
	check("", ORDER_EMPTY, 0, "");
	check("\r", ORDER_EMPTY, 0, "");
	check(" ", ORDER_SAY, 0, " ");
	check("//close", ORDER_SAY, 0, "/close");
	check("//", ORDER_SAY, 0, "/");
	check("/#12 a", ORDER_SAY, 0, "#12 a");
}

static void test_turns(void **state)
{
	(void)state;
	check("#12 Bonjour", ORDER_SAY, 12, "Bonjour");
	check("#12  Bonjour\r", ORDER_SAY, 12, " Bonjour");
	check("#12 /close", ORDER_SAY, 12, "/close");
	check("#12 //close", ORDER_SAY, 12, "//close");
	check("#12 #13 a", ORDER_SAY, 12, "#13 a");
	check("#12", ORDER_SAY, 12, "");
	check("#12 ", ORDER_SAY, 12, "");
	check("#007 a", ORDER_SAY, 7, "a");
	check("#18446744073709551609 a", ORDER_SAY, UINT64_MAX - 6, "a");
	check("#18446744073709551620 a", ORDER_MALFORMED, 0, "#18446744073709551620 a");
	check("#99999999999999999999999 a", ORDER_MALFORMED, 0, "#99999999999999999999999 a");
	check("#0 a", ORDER_MALFORMED, 0, "#0 a");
	check("# a", ORDER_MALFORMED, 0, "# a");
	check("#", ORDER_MALFORMED, 0, "#");
	check("#12a b", ORDER_MALFORMED, 0, "#12a b");
	check("#-1 a", ORDER_MALFORMED, 0, "#-1 a");
}

static void test_slashes(void **state)
{
	(void)state;
	check("/done", ORDER_DONE, 0, "");
	check("/done  \r", ORDER_DONE, 0, "");
	check("/done 12", ORDER_DONE, 12, "");
	check("/done  12 ", ORDER_DONE, 12, "");
	check("/done 0", ORDER_MALFORMED, 0, "/done 0");
	check("/done it", ORDER_MALFORMED, 0, "/done it");
	check("/done 12 it", ORDER_MALFORMED, 0, "/done 12 it");
	check("/done 99999999999999999999", ORDER_MALFORMED, 0, "/done 99999999999999999999");
	check("#12 /done", ORDER_SAY, 12, "/done");
	check("/close", ORDER_CLOSE, 0, "");
	check("/close \r", ORDER_CLOSE, 0, "");
	check("/close it", ORDER_MALFORMED, 0, "/close it");
	check("/reset", ORDER_RESET, 0, "");
	check("/give script", ORDER_GIVE, 0, "script");
	check("/give   echo  ", ORDER_GIVE, 0, "echo");
	check("/give", ORDER_MALFORMED, 0, "/give");
	check("/give ", ORDER_MALFORMED, 0, "/give ");
	check("/note il s'en va", ORDER_NOTE, 0, "il s'en va");
	check("/note", ORDER_MALFORMED, 0, "/note");
	check("/closed", ORDER_UNKNOWN, 0, "/closed");
	check("/clos", ORDER_UNKNOWN, 0, "/clos");
	check("/Close", ORDER_UNKNOWN, 0, "/Close");
	check("/", ORDER_UNKNOWN, 0, "/");
	check("/ close", ORDER_UNKNOWN, 0, "/ close");
}

static void test_nul(void **state)
{
	(void)state;
	assert_int_equal(order_parse("a\0b", 3).kind, ORDER_MALFORMED);
	assert_int_equal(order_parse("a\0b", 3).length, 3);
	assert_int_equal(order_parse("\0", 1).kind, ORDER_MALFORMED);
	assert_int_equal(order_parse("#1 a\0", 5).kind, ORDER_MALFORMED);
	assert_int_equal(order_parse("/note a\0b", 9).kind, ORDER_MALFORMED);
	assert_int_equal(order_parse("a\0\r", 3).kind, ORDER_MALFORMED);
	assert_int_equal(order_parse("a\0b", 1).kind, ORDER_SAY);
}

/* Nothing is read past the length. */
static void test_bounds(void **state)
{
	(void)state;
	check_bytes("#12", 2, ORDER_SAY, 1, "");
	check_bytes("/closed", 6, ORDER_CLOSE, 0, "");
	check_bytes("//", 1, ORDER_UNKNOWN, 0, "/");
	check_bytes("/give it", 7, ORDER_GIVE, 0, "i");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),   cmocka_unit_test(test_turns),
		cmocka_unit_test(test_slashes), cmocka_unit_test(test_nul),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
