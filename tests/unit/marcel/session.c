/*
 * A session over a socket pair, whose other end the test holds: what is sent in which dialect,
 * and how ends look. TCP's resets are tried in tests/e2e/test_client.py.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "marcel/session.h"

/* Opens a session; *RET_PEER is the server's end. */
static void begin(struct session *session, enum dialect_kind kind, int *ret_peer)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	session_init(session, fds[0], kind);
	*ret_peer = fds[1];
}

static void expect(int peer, const char *text)
{
	char got[1024];
	ssize_t n = recv(peer, got, sizeof(got), MSG_DONTWAIT);

	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

static void messages_are_framed(void **state)
{
	static const struct {
		enum dialect_kind kind;
		const char *wire;
	} cases[] = {
		{DIALECT_LINE, "a\n\nb\r\n\r\n"},
		{DIALECT_CRLF, "a\r\n\r\nb\r\n\r\n"},
		{DIALECT_RAW, "ab"},
	};
	static const char *const messages[] = {"a", "", "b\r", "\r"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct session session;
		int peer;

		begin(&session, cases[i].kind, &peer);
		assert_false(session_wants_out(&session));
		for (size_t j = 0; j < sizeof(messages) / sizeof(messages[0]); j++)
			assert_int_equal(session_say(&session, messages[j], strlen(messages[j])),
					 0);
		assert_true(session_wants_out(&session));
		session_send(&session);
		assert_false(session_wants_out(&session));
		expect(peer, cases[i].wire);
		session_done(&session);
		assert_int_equal(close(peer), 0);
	}
}

static void closing_comes_after_all_messages(void **state)
{
	struct bytes heard = BYTES_INIT;
	struct session session;
	usec_t now = 0;
	int peer;

	(void)state;
	begin(&session, DIALECT_LINE, &peer);
	assert_int_equal(session_say(&session, "last", 4), 0);
	session_close(&session);
	assert_int_equal(session_say(&session, "too late", 8), 0);
	assert_true(session_wants_out(&session));
	session_send(&session);
	assert_true(session.mute);
	assert_false(session_wants_out(&session));
	expect(peer, "last\n");
	expect(peer, "");
	/* The other direction is still open. */
	assert_int_equal(send(peer, "bye\n", 4, 0), 4);
	assert_int_equal(session_receive(&session, &heard, &now), 0);
	assert_true(now > 0);
	assert_false(session.ended);
	assert_int_equal(close(peer), 0);
	assert_int_equal(session_receive(&session, &heard, &now), 0);
	assert_true(session.ended);
	assert_int_equal(session.error, 0);
	assert_memory_equal(bytes_first(&heard), "bye\n", 4);
	bytes_done(&heard);
	session_done(&session);
}

static void nothing_to_hear_is_no_end(void **state)
{
	struct bytes heard = BYTES_INIT;
	struct session session;
	usec_t now = 0;
	int peer;

	(void)state;
	begin(&session, DIALECT_UNKNOWN, &peer);
	assert_int_equal(session_receive(&session, &heard, &now), 0);
	assert_false(session.ended);
	assert_int_equal(bytes_length(&heard), 0);
	/* What is heard is told to the dialect. */
	assert_int_equal(send(peer, "hello\r\n", 7, 0), 7);
	assert_int_equal(session_receive(&session, &heard, &now), 0);
	assert_int_equal(session.dialect.kind, DIALECT_CRLF);
	bytes_done(&heard);
	session_done(&session);
	assert_int_equal(close(peer), 0);
}

static void a_server_that_is_gone(void **state)
{
	struct bytes heard = BYTES_INIT;
	struct session session;
	usec_t now = 0;
	int peer;

	(void)state;
	/* It closed properly; that our words then find nobody does not make it less proper. */
	begin(&session, DIALECT_LINE, &peer);
	assert_int_equal(send(peer, "bye\n", 4, 0), 4);
	assert_int_equal(close(peer), 0);
	assert_int_equal(session_say(&session, "unheard", 7), 0);
	session_send(&session);
	assert_true(session.mute);
	assert_int_equal(session_receive(&session, &heard, &now), 0);
	assert_true(session.ended);
	assert_int_equal(session.error, 0);
	assert_memory_equal(bytes_first(&heard), "bye\n", 4);
	session_done(&session);
	bytes_done(&heard);
	/* It closed with words of ours unread: on a unix socket that is a reset. */
	begin(&session, DIALECT_LINE, &peer);
	assert_int_equal(session_say(&session, "unread", 6), 0);
	session_send(&session);
	assert_int_equal(send(peer, "bye\n", 4, 0), 4);
	assert_int_equal(close(peer), 0);
	assert_int_equal(session_receive(&session, &heard, &now), 0);
	assert_true(session.ended);
	assert_int_equal(session.error, -ECONNRESET);
	assert_memory_equal(bytes_first(&heard), "bye\n", 4);
	session_done(&session);
	bytes_done(&heard);
}

static void a_full_socket_waits(void **state)
{
	static const char part[4096];
	struct session session;
	size_t said = 0;
	size_t got = 0;
	char buffer[65536];
	ssize_t n;
	int peer;

	(void)state;
	begin(&session, DIALECT_RAW, &peer);
	while (bytes_length(&session.wire) < SESSION_QUEUE_MAX) {
		assert_int_equal(session_say(&session, part, sizeof(part)), 0);
		said += sizeof(part);
		session_send(&session);
	}
	assert_true(session_wants_out(&session));
	session_close(&session);
	while ((n = recv(peer, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
		got += (size_t)n;
		session_send(&session);
	}
	assert_int_equal(n, 0);
	assert_int_equal(got, said);
	session_done(&session);
	assert_int_equal(close(peer), 0);
}

static void what_is_heard_is_bounded(void **state)
{
	static const char part[4096];
	struct bytes heard = BYTES_INIT;
	struct session session;
	usec_t now = 0;
	int peer;

	(void)state;
	begin(&session, DIALECT_LINE, &peer);
	while (send(peer, part, sizeof(part), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(session_receive(&session, &heard, &now), 0);
	assert_true(bytes_length(&heard) >= SESSION_QUEUE_MAX);
	assert_true(bytes_length(&heard) < (size_t)2 * SESSION_QUEUE_MAX);
	bytes_done(&heard);
	session_done(&session);
	assert_int_equal(close(peer), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_framed),
		cmocka_unit_test(closing_comes_after_all_messages),
		cmocka_unit_test(nothing_to_hear_is_no_end),
		cmocka_unit_test(a_server_that_is_gone),
		cmocka_unit_test(a_full_socket_waits),
		cmocka_unit_test(what_is_heard_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
