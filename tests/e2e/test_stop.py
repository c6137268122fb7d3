"""SIGTERM: everybody gets the farewell, nobody can hold it up, and the exit status is 0."""

import signal

from daemon_tools import DEAF, DEAF_LINE, FAREWELL, Peer, repeat

# For a client that holds up its farewell.
STUBBORN = f"[server]\nstop_timeout = 1s\n[journal]\ntranscript = off\n[dialogue]\n{DEAF}"


def test_stop_without_clients(echo):
    echo.stop()
    kinds = [record.kind for record in echo.records()]
    assert [kind for kind in kinds if kind in ("ready", "stopping", "stopped")] \
        == ["ready", "stopping", "stopped"]


def test_sigint_stops_too(echo):
    # Ctrl-C in the foreground.
    peer = echo.connect()
    echo.signal(signal.SIGINT)
    peer.expect_end(FAREWELL)
    echo.wait()


def test_everybody_gets_the_farewell(marceld):
    server = marceld("[dialogue]\nraw_pause = 10ms\n")
    silent = [server.connect() for _ in range(20)]
    lines = [server.connect().send("a\n").expect("a\n") for _ in range(20)]
    crlf = [server.connect().send("a\r\n").expect("a\r\n") for _ in range(20)]
    raw = [server.connect().send("a").expect("a") for _ in range(20)]
    server.signal(signal.SIGTERM)
    for peers, farewell in (
            (silent, b"fin\n"), (lines, b"fin\n"), (crlf, b"fin\r\n"), (raw, b"fin")):
        for peer in peers:
            peer.expect_end(farewell)
            peer.close()
    server.wait()
    closed = server.records("closed", reason="stop")
    assert len(closed) == 80


def test_an_unfinished_message_does_not_hold_it_up(marceld):
    server = marceld("[dialogue]\nframing = line\n")
    peer = server.connect().send("a\nbon").expect("a\n")
    server.signal(signal.SIGTERM)
    peer.expect_end(FAREWELL)
    server.wait()


def test_clients_that_do_not_close_do_not_hold_it_up(marceld):
    server = marceld("[server]\nstop_timeout = 1s\n")
    peers = [server.connect() for _ in range(10)]
    server.stop()
    for peer in peers:
        peer.expect_end(FAREWELL)


def test_a_client_that_does_not_read_does_not_hold_it_up(marceld):
    server = marceld(STUBBORN)
    deaf = server.connect_deaf()
    others = [server.connect() for _ in range(10)]
    server.signal(signal.SIGTERM)
    for peer in others:
        peer.expect_end(FAREWELL)
    server.wait()
    assert len(server.records("closed", reason="stop-deadline",
                              peer=deaf.address())) == 1


def test_a_client_that_talks_on_does_not_hold_it_up(marceld):
    server = marceld("[server]\nstop_timeout = 1s\n[journal]\ntranscript = off\n")
    peers = [server.connect() for _ in range(4)]
    for peer in peers:
        peer.send("a\n" * 1000)
    server.signal(signal.SIGTERM)
    for peer in peers:
        got = peer.read_to_end()
        # What was answered is whole, and the farewell is the last word.
        assert got.endswith(FAREWELL)
        answers = got[:-len(FAREWELL)]
        assert answers == b"a\n" * (len(answers) // 2)
    server.wait()


def test_replies_due_are_delivered_before_the_farewell(marceld):
    # They fill the sockets' buffers when the stop comes; the client begins to read only then.
    server = marceld(STUBBORN.replace("1s", "1min"))
    peer = server.connect_deaf()
    count = peer.sent // len(DEAF_LINE)
    server.signal(signal.SIGTERM)
    server.wait_record("stopping")
    got = peer.read_to_end()
    answers, last = got[:-len(FAREWELL)], got[-len(FAREWELL):]
    assert last == FAREWELL
    assert answers == DEAF_LINE * (len(answers) // len(DEAF_LINE))
    assert 0 < len(answers) // len(DEAF_LINE) <= count
    server.wait()


def test_a_client_in_the_midst_of_its_end(marceld):
    server = marceld("[server]\nstop_timeout = 1s\n")
    peer = server.connect().send("fin\n").expect_end(FAREWELL)
    server.stop()
    assert len(server.records("closed")) == 1
    peer.close()


def test_no_new_conversations_after_it(marceld):
    server = marceld(STUBBORN)
    deaf = server.connect_deaf()
    server.signal(signal.SIGTERM)
    server.wait_record("stopping")
    try:
        late = Peer(("127.0.0.1", server.port))
    except ConnectionRefusedError:
        late = None
    if late:
        try:
            assert late.read_to_end() in (b"", FAREWELL)
        except ConnectionResetError:
            pass
        late.close()
    deaf.close()
    server.wait()
    assert len(server.records("opened")) == 1


def test_a_second_sigterm_breaks_off_at_once(marceld):
    server = marceld(STUBBORN.replace("1s", "1h"))
    deaf = server.connect_deaf()
    server.signal(signal.SIGTERM)
    server.wait_record("stopping")
    server.signal(signal.SIGTERM)
    server.wait()
    assert server.records("closed", reason="stop-deadline", peer=deaf.address())


def test_stopping_at_any_moment(marceld):
    # Clients come, talk and go while it stops.
    for _ in range(repeat(50, least=3)):
        server = marceld("[server]\nstop_timeout = 1s\n[journal]\ntranscript = off\n")
        peers = [server.connect(greeting=b"") for _ in range(10)]
        for number, peer in enumerate(peers):
            peer.send([b"", b"a\n", b"fin\n", b"a"][number % 4])
        server.signal(signal.SIGTERM)
        for peer in peers:
            try:
                got = peer.read_to_end()
            except ConnectionResetError:
                # It was still waiting to be accepted when the listening socket was closed.
                got = b""
            assert got == b"" or b"fin" in got
            peer.close()
        server.wait()
