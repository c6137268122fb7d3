"""Conversations go on in the next process, whatever they were at: after a restart and after a kill.

Under a service manager in small (manager.py), so that sanitizers see it too; tests/systemd has the
same with the real one, under load.
"""

import signal
import socket

import pytest

from daemon_tools import FAREWELL, GREETING, repeat, wait_until

@pytest.fixture(params=["restart", "kill"])
def again(request):
    """again(manager): another daemon in place of the present one; it was at rest."""
    def make(manager):
        # On unix sockets a kill in the middle of a turn may repeat it.
        manager.await_rest()
        return getattr(manager, request.param)()
    return make


@pytest.fixture(name="at_once", params=["restart", "kill"])
def at_once_fixture(request):
    """at_once(manager): the same, whatever it was at."""
    return lambda manager: getattr(manager, request.param)()


def test_a_conversation_goes_on(manager, again):
    manager.start()
    peer, local = manager.connect(), manager.connect_unix()
    peer.send("un\n").expect("un\n")
    local.send("eins\n").expect("eins\n")
    daemon = again(manager)
    record = daemon.wait_record("resumed")
    assert (record["carried"], record["lost"]) == ("2", "0")
    peer.send("deux\nfin\n").expect_end(b"deux\nfin\n")
    local.send("zwei\nfin\n").expect_end(b"zwei\nfin\n")
    ended = daemon.wait_record("closed", 2)
    assert ended["turns"] == "3" and ended["reason"] == "end-word"


def test_again_and_again(manager, again):
    manager.start()
    peers = [manager.connect() for _ in range(10)] + [manager.connect_unix() for _ in range(10)]
    for round_ in range(repeat(100, least=5)):
        again(manager)
        for number, peer in enumerate(peers):
            peer.send(f"{round_} {number}\n")
        for number, peer in enumerate(peers):
            peer.expect(f"{round_} {number}\n")


def test_half_a_message(manager, again):
    manager.start()
    peers = [manager.connect(), manager.connect_unix()]
    for peer in peers:
        peer.send("deux moi")
    again(manager)
    for peer in peers:
        peer.send("tiés\nfin\n").expect_end("deux moitiés\nfin\n".encode())


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_half_of_a_long_message(manager, at_once, kind):
    # In auto a pause between two pieces would make each a message of its own.
    manager.config = "[dialogue]\nmessage_max = 1M\nframing = line\n"
    manager.start()
    peer = manager.connect() if kind == "tcp" else manager.connect_unix()
    manager.await_rest()
    message = bytes(97 + i % 26 for i in range(900_000))
    for start in range(0, len(message), 300_000):
        # Some of it is in the daemon, some on the way.
        peer.send(message[start:start + 300_000])
        at_once(manager)
    peer.send(b"\nfin\n").expect_end(message + b"\nfin\n")


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_many_messages_on_the_way(manager, at_once, kind):
    manager.start()
    peer = manager.connect() if kind == "tcp" else manager.connect_unix()
    lines = b"".join(b"%d %s\n" % (number, b"x" * (number % 700)) for number in range(3000))
    # As much as goes without reading: answers are waiting everywhere.
    peer.socket.setblocking(False)
    sent = 0
    try:
        while sent < len(lines):
            sent += peer.socket.send(lines[sent:sent + 50_000])
    except BlockingIOError:
        pass
    peer.socket.settimeout(60)
    if kind == "tcp":
        at_once(manager)
    else:
        manager.restart()  # a kill may repeat the turn in flight
    got = lines[:sent].rfind(b"\n") + 1
    peer.expect(lines[:got])
    rest = lines[sent:lines.index(b"\n", sent - 1) + 1]
    peer.send(rest + b"fin\n").expect_end(lines[got:sent] + rest + b"fin\n")


def test_line_ends_and_framing_are_remembered(manager, again):
    manager.start()
    crlf, raw, undecided = manager.connect(), manager.connect(), manager.connect()
    crlf.send("a\r\n").expect("a\r\n")
    raw.send("roh").expect("roh")
    undecided.send("halb")
    again(manager)
    crlf.send("b\nfin\n").expect_end(b"b\r\nfin\r\n")
    raw.send("noch").expect("noch")
    raw.send("fin").expect_end(b"fin")
    undecided.send(" ganz\n").expect("halb ganz\n")


def test_a_client_that_has_half_closed(manager, again):
    manager.start()
    peer = manager.connect()
    huge = b"x" * 60_000 + b"\n"
    peer.send_until_blocked(huge, most=200 * len(huge))
    deaf = peer
    end = manager.connect()
    end.send("a\nb\nohne Ende").socket.shutdown(socket.SHUT_WR)
    again(manager)
    end.expect_end(b"a\nb\nohne Ende\nfin\n")
    deaf.socket.shutdown(socket.SHUT_WR)
    again(manager)
    rest = b""
    while data := deaf.recv():
        rest += data
    assert rest.endswith(b"\nfin\n") and set(rest[:-4].split(b"\n")[:-2]) == {huge[:-1]}


def test_out_of_band_data(manager, again):
    manager.start()
    peer = manager.connect()
    peer.send("a\n").expect("a\n")
    again(manager)
    peer.socket.send(b"!", socket.MSG_OOB)
    peer.send("b\n").expect("!b\n")
    peer.socket.send(b"?", socket.MSG_OOB)
    again(manager)
    peer.send("c\n").expect("?c\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_client_that_left_meanwhile(manager, number):
    manager.start()
    gone, stays = manager.connect(), manager.connect()
    gone.send("a\n").expect("a\n")
    manager.end(number)
    gone.close()
    daemon = manager.start()
    stays.send("b\n").expect("b\n")
    assert daemon.wait_record("closed")["peer"]
    assert not daemon.records("not_carried")


def test_a_client_that_reset_the_connection_meanwhile(manager):
    manager.start()
    gone, stays = manager.connect(), manager.connect()
    gone.send("a\n").expect("a\n")
    manager.end(signal.SIGKILL)
    gone.reset()
    daemon = manager.start()
    stays.send("b\n").expect("b\n")
    daemon.wait_record("closed")


def test_clients_that_come_meanwhile_wait(manager):
    manager.start()
    manager.end()
    early = [manager.connect(greeting=b"") for _ in range(5)]
    early += [manager.connect_unix(greeting=b"") for _ in range(5)]
    for peer in early:
        peer.send("a\n")
    manager.start()
    for peer in early:
        peer.expect(GREETING + b"a\n")


def test_everybody_is_greeted_once(manager, at_once):
    manager.start()
    for _ in range(repeat(50, least=5)):
        # Some are greeted by this daemon, some by the next one.
        peers = [manager.connect(greeting=b"") for _ in range(20)]
        at_once(manager)
        for peer in peers:
            peer.send("fin\n")
        for peer in peers:
            try:
                peer.expect_end(GREETING + FAREWELL)
            except AssertionError:
                # Killed between accept() and the vault: nothing was promised, nothing was said.
                assert peer.recv() == b""


def test_the_end_of_a_conversation(manager, at_once):
    manager.start()
    peers = [manager.connect() for _ in range(20)]
    for peer in peers:
        peer.send("a\nfin\n")
    at_once(manager)
    for peer in peers:
        peer.expect_end(b"a\nfin\n")


def test_idle_clients_are_still_dismissed(manager, again):
    manager.config = "[dialogue]\nidle_timeout = 500ms\n"
    manager.start()
    peer = manager.connect()
    again(manager)
    peer.expect_end(FAREWELL)


def test_limits_still_count(manager, again):
    manager.config = "[limits]\nconversations = 3\nper_address = 3\nrefusal = voll\n"
    manager.start()
    peers = [manager.connect() for _ in range(3)]
    again(manager)
    manager.connect(greeting=b"voll\n").expect_end().close()
    peers[0].send("fin\n").expect_end(FAREWELL)
    peers[0].close()
    wait_until(lambda: manager.connect(greeting=b"").line() == GREETING, "room for one more")


def test_a_reload_and_a_restart(manager, again):
    # Those that go on after a restart meet the configuration of the new daemon.
    manager.start()
    peer = manager.connect()
    manager.config = "[dialogue]\nfarewell = adieu\n"
    again(manager)
    peer.send("fin\n").expect_end(b"adieu\n")


def test_nothing_is_left_over(manager, again):
    daemon = manager.start()
    before = daemon.fds()
    for _ in range(3):
        peers = [manager.connect() for _ in range(50)]
        daemon = again(manager)
        for peer in peers:
            peer.send("fin\n").expect_end(FAREWELL)
            peer.close()
    daemon = again(manager)
    # The control may look for the bus by then, which takes some; clients would be many.
    wait_until(lambda: daemon.fds() <= before + 4, f"no more than {before} descriptors")
    # One table, the two ends of the vault.
    wait_until(lambda: len(manager.state_names()) == 3, "three descriptors in the store")


def test_numbers_are_never_used_again(manager, again):
    daemon = manager.start()
    manager.connect().send("fin\n").expect_end(FAREWELL)
    manager.connect()
    first = daemon.wait_record("opened", 2)["conversation"]
    daemon = again(manager)
    manager.connect()
    assert int(daemon.wait_record("opened")["conversation"]) > int(first)


def test_without_a_store_a_restart_is_a_stop(marceld):
    daemon = marceld("")
    peer = daemon.connect()
    daemon.signal(signal.SIGTERM)
    peer.expect_end(FAREWELL)
