/*
 * Addresses as tables: what is written, what it means, how it is shown again; then the keys that
 * tell hosts apart.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "listen/address.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define REPEAT_10(x)  x x x x x x x x x x
#define REPEAT_100(x) REPEAT_10(REPEAT_10(x))

#define WORD_105 REPEAT_100("p") "ppppp"
#define PATH_106 "/" WORD_105
#define PATH_107 "/p" WORD_105
#define PATH_108 "/pp" WORD_105
#define NAME_107 "@pp" WORD_105 /* '@' and 107 bytes: 108 with the NUL that '@' stands for */
#define NAME_108 "@ppp" WORD_105

/* What address_parse() takes, and how address_format() shows it; NULL: as it was written. */
static const struct {
	const char *text;
	int family;
	const char *shown;
} good[] = {
	{"50000", AF_INET6, "[::]:50000"},
	{"0", AF_INET6, "[::]:0"},
	{"65535", AF_INET6, "[::]:65535"},
	{"127.0.0.1:50000", AF_INET, NULL},
	{"0.0.0.0:0", AF_INET, NULL},
	{"255.255.255.255:65535", AF_INET, NULL},
	{"[::]:50000", AF_INET6, NULL},
	{"[::1]:0", AF_INET6, NULL},
	{"[2001:DB8:0:0::7]:65535", AF_INET6, "[2001:db8::7]:65535"},
	{"[::ffff:192.0.2.1]:7", AF_INET6, "192.0.2.1:7"},
	{"[::192.0.2.1]:7", AF_INET6, NULL},
	{"[fe80::1%lo]:5", AF_INET6, NULL},
	{"[fe80::1%1]:5", AF_INET6, "[fe80::1%lo]:5"},
	{"[fe80::1%4294967295]:5", AF_INET6, NULL},
	{"/run/marcel/chat", AF_UNIX, NULL},
	{"/", AF_UNIX, NULL},
	{"/with space:and@signs", AF_UNIX, NULL},
	{"/r\303\251ponse", AF_UNIX, NULL},
	{"/escape\033[2J\n", AF_UNIX, "/escape\\e[2J\\n"},
	{"/byte\377", AF_UNIX, "/byte\\xff"},
	{PATH_106, AF_UNIX, NULL},
	{PATH_107, AF_UNIX, NULL},
	{"@abstract", AF_UNIX, NULL},
	{"@/", AF_UNIX, NULL},
	{"@@", AF_UNIX, NULL},
	{NAME_107, AF_UNIX, NULL},
	{"vsock:3:50000", AF_VSOCK, NULL},
	{"vsock::50000", AF_VSOCK, NULL},
	{"vsock:4294967295:1", AF_VSOCK, "vsock::1"},
	{"vsock:0:0", AF_VSOCK, NULL},
	{"vsock:4294967294:4294967295", AF_VSOCK, NULL},
};

/* What is refused, and a part of what the person is told. */
static const struct {
	const char *text;
	int error;
	const char *why;
} bad[] = {
	{"", -EINVAL, "write a port, ADDRESS:PORT"},
	{" 50000", -EINVAL, "write a port, ADDRESS:PORT"},
	{"-1", -EINVAL, "write a port, ADDRESS:PORT"},
	{"port", -EINVAL, "write a port, ADDRESS:PORT"},
	{"127.0.0.1", -EINVAL, "write a port, ADDRESS:PORT"},
	{"run/marcel", -EINVAL, "write a port, ADDRESS:PORT"},
	{"65536", -EINVAL, "0 to 65535"},
	{"18446744073709551616", -EINVAL, "0 to 65535"},
	{"127.0.0.1:65536", -EINVAL, "0 to 65535"},
	{"127.0.0.1:", -EINVAL, "0 to 65535"},
	{"127.0.0.1:+5", -EINVAL, "0 to 65535"},
	{"127.0.0.1:5 ", -EINVAL, "0 to 65535"},
	{"127.0.0.1:http", -EINVAL, "0 to 65535"},
	{":50000", -EINVAL, "no IPv4 address"},
	{"*:50000", -EINVAL, "no IPv4 address"},
	{"localhost:50000", -EINVAL, "names are not looked up"},
	{"127.0.0.256:5", -EINVAL, "no IPv4 address"},
	{"127.1:5", -EINVAL, "no IPv4 address"},
	{"127.000000000000000000000000000.1:5", -EINVAL, "no IPv4 address"},
	{"::1:50000", -EINVAL, "stands in brackets"},
	{"::1", -EINVAL, "stands in brackets"},
	{"1.2.3.4:5:6", -EINVAL, "stands in brackets"},
	{"[::1]", -EINVAL, "write [ADDRESS6]:PORT"},
	{"[::1", -EINVAL, "write [ADDRESS6]:PORT"},
	{"[::1]50000", -EINVAL, "write [ADDRESS6]:PORT"},
	{"[::1]:", -EINVAL, "0 to 65535"},
	{"[::1]:65536", -EINVAL, "0 to 65535"},
	{"[]:5", -EINVAL, "no IPv6 address"},
	{"[127.0.0.1]:5", -EINVAL, "no IPv6 address"},
	{"[::g]:5", -EINVAL, "no IPv6 address"},
	{"[" REPEAT_100("0") "]:5", -EINVAL, "no IPv6 address"},
	{"[fe80::1%]:5", -EINVAL, "no such network interface"},
	{"[fe80::1%0]:5", -EINVAL, "no such network interface"},
	{"[fe80::1%4294967296]:5", -EINVAL, "no such network interface"},
	{"[fe80::1%nowhere]:5", -EINVAL, "no such network interface"},
	{"[fe80::1%lo%lo]:5", -EINVAL, "no such network interface"},
	{"@", -EINVAL, "a name must follow"},
	{PATH_108, -ENAMETOOLONG, "at most 107 bytes"},
	{"/" REPEAT_10(REPEAT_100("p")), -ENAMETOOLONG, "at most 107 bytes"},
	{NAME_108, -ENAMETOOLONG, "at most 107 bytes"},
	{"vsock:", -EINVAL, "write vsock:CID:PORT"},
	{"vsock:50000", -EINVAL, "write vsock:CID:PORT"},
	{"vsock:3:", -EINVAL, "vsock port"},
	{"vsock:3:4:5", -EINVAL, "vsock port"},
	{"vsock:3:4294967296", -EINVAL, "vsock port"},
	{"vsock:4294967296:3", -EINVAL, "CID"},
	{"vsock:00000000003:3", -EINVAL, "CID"},
	{"vsock:x:3", -EINVAL, "CID"},
	{"vsock-stream:3:4", -EINVAL, "stands in brackets"},
};

static void reads_and_shows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		const char *expected = good[i].shown != NULL ? good[i].shown : good[i].text;
		char shown[ADDRESS_TEXT_MAX];
		struct address address;

		print_message("%s\n", expected);
		assert_int_equal(address_parse(good[i].text, &address), 0);
		assert_int_equal(address.sa.sa_family, good[i].family);
		assert_ptr_equal(address_format(&address, shown, sizeof(shown)), shown);
		assert_string_equal(shown, expected);
	}
}

/* What is shown can be read again, and is the same address then. */
static void survives_a_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		char shown[ADDRESS_TEXT_MAX];
		char again[ADDRESS_TEXT_MAX];
		struct address address;

		assert_int_equal(address_parse(good[i].text, &address), 0);
		(void)address_format(&address, shown, sizeof(shown));
		if (strchr(shown, '\\') != NULL)
			continue; /* escaped: for reading only */
		assert_int_equal(address_parse(shown, &address), 0);
		assert_string_equal(address_format(&address, again, sizeof(again)), shown);
	}
}

static void refuses_and_explains(void **state)
{
	struct address untouched;

	(void)state;
	memset(&untouched, 0x5a, sizeof(untouched));
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct address address = untouched;
		char why[384];

		print_message("%.60s\n", bad[i].text);
		assert_int_equal(address_parse(bad[i].text, &address), bad[i].error);
		assert_memory_equal(&address, &untouched, sizeof(address));
		assert_ptr_equal(address_explain(bad[i].error, bad[i].text, why, sizeof(why)), why);
		assert_non_null(strstr(why, bad[i].why));
	}
}

static void explains_in_one_line(void **state)
{
	char why[384];
	char tiny[8];

	(void)state;
	assert_string_equal(address_explain(-EINVAL, "x\033[2J\n", why, sizeof(why)),
			    "'x\\e[2J\\n' is no address: write a port, ADDRESS:PORT, "
			    "[ADDRESS6]:PORT, /path, @name or vsock:CID:PORT");
	/* A long text is cut, visibly, and the reason stays. */
	(void)address_explain(-ENAMETOOLONG, "/" REPEAT_10(REPEAT_100("p")), why, sizeof(why));
	assert_non_null(strstr(why, "ppp...' is no address: a unix socket"));
	(void)address_explain(-EINVAL, "x", tiny, sizeof(tiny));
	assert_string_equal(tiny, "'x' is ");
}

static void fills_in_what_the_kernel_takes(void **state)
{
	struct address address;

	(void)state;
	assert_int_equal(address_parse("127.0.0.1:258", &address), 0);
	assert_int_equal(address.length, sizeof(struct sockaddr_in));
	assert_int_equal(ntohl(address.in.sin_addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(ntohs(address.in.sin_port), 258);

	assert_int_equal(address_parse("258", &address), 0);
	assert_int_equal(address.length, sizeof(struct sockaddr_in6));
	assert_true(IN6_IS_ADDR_UNSPECIFIED(&address.in6.sin6_addr));
	assert_int_equal(ntohs(address.in6.sin6_port), 258);

	assert_int_equal(address_parse("[fe80::1%lo]:5", &address), 0);
	assert_int_equal(address.in6.sin6_scope_id, if_nametoindex("lo"));

	assert_int_equal(address_parse(PATH_107, &address), 0);
	assert_int_equal(address.length, sizeof(struct sockaddr_un));
	assert_int_equal(address.un.sun_path[107], '\0');

	assert_int_equal(address_parse("@abc", &address), 0);
	assert_int_equal(address.length, offsetof(struct sockaddr_un, sun_path) + 4);
	assert_memory_equal(address.un.sun_path, "\0abc", 4);

	assert_int_equal(address_parse("vsock::7", &address), 0);
	assert_int_equal(address.length, sizeof(struct sockaddr_vm));
	assert_true(address.vm.svm_cid == VMADDR_CID_ANY);
	assert_int_equal(address.vm.svm_port, 7);
}

/* Addresses as the kernel gives them, which no text makes. */
static void shows_odd_ones(void **state)
{
	struct address address;
	char shown[ADDRESS_TEXT_MAX];
	char tiny[2];

	(void)state;
	memset(&address, 0, sizeof(address));
	assert_string_equal(address_format(&address, shown, sizeof(shown)), "unknown");
	address.sa.sa_family = AF_NETLINK;
	address.length = sizeof(address.storage);
	assert_string_equal(address_format(&address, shown, sizeof(shown)), "unknown");
	address.sa.sa_family = AF_INET6; /* cut short */
	address.length = sizeof(address.in);
	assert_string_equal(address_format(&address, shown, sizeof(shown)), "unknown");

	address.sa.sa_family = AF_UNIX;
	address.length = sizeof(sa_family_t);
	assert_string_equal(address_format(&address, shown, sizeof(shown)), "unix");
	/* A path that fills sun_path has no NUL (unix(7)); nothing after it is read. */
	memset(&address.storage, '\1', sizeof(address.storage));
	address.sa.sa_family = AF_UNIX;
	address.length = sizeof(address.storage);
	(void)address_format(&address, shown, sizeof(shown));
	assert_int_equal(strlen(shown), 4 * sizeof(address.un.sun_path));
	/* An abstract name of 107 NULs needs the most room of all but that. */
	memset(address.un.sun_path, 0, sizeof(address.un.sun_path));
	(void)address_format(&address, shown, sizeof(shown));
	assert_int_equal(strlen(shown), 1 + 4 * (sizeof(address.un.sun_path) - 1));
	assert_string_equal(address_format(&address, tiny, sizeof(tiny)), "@");
}

/* Pairs of addresses that are, or are not, one host for the limits. */
static const struct {
	const char *one;
	const char *other;
	int same;
} hosts[] = {
	{"192.0.2.1:1", "192.0.2.1:2", 1},
	{"192.0.2.1:1", "192.0.2.2:1", 0},
	{"192.0.2.1:1", "[::ffff:192.0.2.1]:1", 1},
	{"[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", 0},
	{"[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:1", 1},
	{"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", 0},
	{"[fe80::1%lo]:1", "[fe80::2%lo]:1", 0},
	{"vsock:3:1", "vsock:3:2", 1},
	{"vsock:3:1", "vsock:4:1", 0},
	{"vsock:3:1", "0.0.0.3:1", 0},
};

static void tells_hosts_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		struct address one;
		struct address other;
		uint8_t key[16];
		uint8_t other_key[16];

		print_message("%s %s\n", hosts[i].one, hosts[i].other);
		assert_int_equal(address_parse(hosts[i].one, &one), 0);
		assert_int_equal(address_parse(hosts[i].other, &other), 0);
		assert_int_equal(address_key(&one, key), 1);
		assert_int_equal(address_key(&other, other_key), 1);
		assert_int_equal(memcmp(key, other_key, sizeof(key)) == 0, hosts[i].same);
	}
}

static void makes_keys(void **state)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};
	static const uint8_t network[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1};
	uint8_t key[16];
	struct address address;

	(void)state;
	assert_int_equal(address_parse("192.0.2.1:1", &address), 0);
	assert_int_equal(address_key(&address, key), 1);
	assert_memory_equal(key, mapped, sizeof(key));
	assert_int_equal(address_parse("[2001:db8:0:1:2:3:4:5]:1", &address), 0);
	assert_int_equal(address_key(&address, key), 1);
	assert_memory_equal(key, network, sizeof(key));
	/* No host: the key stays as it was. */
	assert_int_equal(address_parse("/run/x", &address), 0);
	assert_int_equal(address_key(&address, key), 0);
	assert_memory_equal(key, network, sizeof(key));
	address.length = 0;
	assert_int_equal(address_key(&address, key), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_shows),
		cmocka_unit_test(survives_a_round_trip),
		cmocka_unit_test(refuses_and_explains),
		cmocka_unit_test(explains_in_one_line),
		cmocka_unit_test(fills_in_what_the_kernel_takes),
		cmocka_unit_test(shows_odd_ones),
		cmocka_unit_test(tells_hosts_apart),
		cmocka_unit_test(makes_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
