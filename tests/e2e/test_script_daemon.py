"""What the daemon adds to a script: records with rules, patterns that are given up, connections that
end in the middle of what takes time."""

import signal
import socket
import time

import pytest

from daemon_tools import Peer

SCRIPT = """marcel-script 1
frame line any
end none
on connect              say "hello"
on stop                 say "stopping"; close
always
    on /hostile a*[bc]/u
                        say "matched"
    on "LOG {x}"        log "noted: ${x}"; say "logged"
    on "SLOW"           wait 10min; say "never"
    on "SOON"           wait 200ms; say "soon"
    on "DRIP"           drip 1 every 10min "abc"
    on "RST"            say "bye"; reset
    on "TWO"            say "one", "two"
    on 'QUIET'          ignore
"""


@pytest.fixture(name="daemon")
def daemon_fixture(marceld, tmp_path):
    path = tmp_path / "test.script"
    path.write_text(SCRIPT)
    return marceld(args=("-s", str(path)))


@pytest.fixture(name="peer")
def peer_fixture(daemon):
    peer = daemon.connect(greeting=b"hello\r\n")
    return peer


def test_lines_name_their_rule(daemon, peer):
    peer.send("TWO\n").expect("one\ntwo\n")
    rules = [daemon.wait_record("said", message=f"S> {text}")["rule"] for text in ("one", "two")]
    assert rules == ["test.script:14"] * 2
    assert "rule" not in daemon.wait_record("said", message="C> TWO")
    assert daemon.wait_record("said", message="S> hello")["rule"] == "test.script:4"


def test_notes_are_escaped(daemon, peer):
    peer.send("LOG \033[31mred\n").expect("logged\n")
    note = daemon.wait_record("responder_log")
    assert note["message"] == "noted: \\e[31mred"
    assert note["rule"] == "test.script:9"


def test_silence_is_told_unless_it_is_meant(daemon, peer):
    peer.send("QUIET\nWHAT\nTWO\n").expect("one\ntwo\n")
    daemon.wait_record("unanswered")
    assert len(daemon.records("unanswered")) == 1


def test_a_hostile_message(daemon, peer):
    before = time.process_time()
    peer.send("hostile " + "a" * 60000 + "\nTWO\n").expect("one\ntwo\n")
    assert time.process_time() - before < 60
    # The pattern begins with letters, so that is found soon; the one without is given up.
    assert not daemon.records("rule_stopped")


def test_a_hostile_pattern(marceld, tmp_path):
    path = tmp_path / "hostile.script"
    path.write_text('marcel-script 1\non /a*[bc]/u say "matched"\notherwise say "no"\n')
    daemon = marceld(args=("-s", str(path)))
    peer = daemon.connect()
    peer.send("a" * 65000 + "\n").expect("no\n")
    stopped = daemon.wait_record("rule_stopped")
    assert stopped["rule"] == "hostile.script:2"
    peer.send("xxab\n").expect("matched\n")


def test_a_reset(daemon, peer):
    peer.send("RST\n").expect("bye\n")
    with pytest.raises(ConnectionResetError):
        peer.recv()
    assert daemon.wait_record("closed")["reason"] == "responder-reset"


@pytest.mark.parametrize("what", ["SLOW", "DRIP"])
def test_a_client_that_breaks_off(daemon, peer, what):
    peer.send(f"{what}\n")
    daemon.wait_record("said", message=f"C> {what}")
    peer.reset()
    assert daemon.wait_record("closed")["reason"] == "reset"


def test_a_client_that_closes_one_side(peer):
    # It may still be waiting for what is due.
    peer.send("SOON\nTWO\n").half_close().expect_end(b"soon\none\ntwo\n")


@pytest.mark.parametrize("what", ["SLOW", "DRIP"])
def test_a_stop_does_not_wait(daemon, peer, what):
    peer.send(f"{what}\nTWO\n")
    daemon.wait_record("said", message=f"C> {what}")
    daemon.process.send_signal(signal.SIGTERM)
    rest = peer.read_to_end()
    assert rest.endswith(b"stopping\n") and b"never" not in rest and b"one" not in rest
    daemon.wait(0)


def test_much_behind_a_wait(peer):
    # More than the buffers take, while nobody reads it.
    peer.send("SOON\n" + "QUIET\n" * 20000)
    peer.socket.setblocking(False)
    sent = 0
    line = b"QUIET\n" * 1000
    deadline = time.monotonic() + 20
    peer.socket.setblocking(True)
    while sent < 4_000_000:
        assert time.monotonic() < deadline
        peer.socket.sendall(line)
        sent += len(line)
    peer.send("TWO\n").expect("soon\none\ntwo\n")


def test_on_a_unix_socket(marceld, tmp_path):
    script = tmp_path / "test.script"
    script.write_text(SCRIPT)
    path = tmp_path / "socket"
    daemon = marceld(args=("-s", str(script)), listen=(str(path),))
    with Peer(path) as peer:
        peer.expect("hello\r\n").send("SOON\nTWO\nRST\n").expect("soon\none\ntwo\nbye\n")
        try:
            assert peer.recv() == b""
        except ConnectionResetError:
            pass
    with Peer(path) as peer:
        peer.expect("hello\r\n").send("SLOW\n")
        daemon.wait_record("said", message="C> SLOW")
        peer.socket.shutdown(socket.SHUT_RDWR)
    daemon.wait_record("closed", reason="reset")
