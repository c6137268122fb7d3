"""What marceld writes down: the records as --log=json and --log=text show them.

The journal itself, with its fields and catalogue, is the booted system's to test.
"""

import os
import re

import pytest

from daemon_tools import FAREWELL, GREETING_TEXT, PATIENCE

IDENTITY = re.compile(r"[0-9a-f]{32}")


def dialogue(server, *messages):
    """One conversation of MESSAGES (without line ends) up to "fin"; gives the client's address."""
    peer = server.connect()
    address = peer.address()
    for message in messages:
        peer.send(message + b"\n").expect(message + b"\n")
    peer.send("fin\n").expect_end(FAREWELL)
    server.wait_record("closed", peer=address)
    return address


def test_a_conversation_reads_like_the_screens_of_the_seed(echo):
    address = dialogue(echo, b"bonjour", "ça va ?".encode())
    mine = [record for record in echo.records() if record.get("peer") == address]
    assert [record.kind for record in mine] == ["opened"] + ["said"] * 7 + ["closed"]
    assert [record.message for record in mine[1:-1]] == [
        f"S> {GREETING_TEXT}", "C> bonjour", "S> bonjour", "C> ça va ?", "S> ça va ?", "C> fin",
        "S> fin"]
    assert [record["turn"] for record in mine[1:-1]] == [0, 1, 1, 2, 2, 3, 3]
    assert len({record["conversation"] for record in mine}) == 1
    assert len({record["conversation_id"] for record in mine}) == 1
    assert IDENTITY.fullmatch(mine[0]["conversation_id"])
    for record in mine:
        assert IDENTITY.fullmatch(record["message_id"])
        assert record["timestamp"] > 1.7e15


def test_every_kind_has_a_message_id_of_its_own(echo):
    dialogue(echo, b"a")
    echo.peers.pop().close()
    echo.stop()
    ids = {}
    for record in echo.records():
        assert ids.setdefault(record.kind, record["message_id"]) == record["message_id"]
    assert len(set(ids.values())) == len(ids) >= 6


def test_the_record_of_an_end(echo):
    peer = echo.connect().send("abc\n").expect("abc\n").send("fin\n").expect_end(FAREWELL)
    closed = echo.wait_record("closed", peer=peer.address())
    assert closed["reason"] == "end-word"
    assert closed["turns"] == "2" and closed["bytes_in"] == "8"
    assert int(closed["bytes_out"]) == len(GREETING_TEXT.encode()) + 1 + 4 + 4


@pytest.mark.parametrize("way, reason", [
    (lambda peer: peer.send("fin\n").read_to_end(), "end-word"),
    (lambda peer: peer.send("\n").read_to_end(), "empty-message"),
    (lambda peer: peer.half_close().read_to_end(), "end-of-input"),
    (lambda peer: peer.send("a").half_close().read_to_end(), "end-of-input"),
    (lambda peer: peer.reset(), "reset"),
    (lambda peer: peer.send("x" * 100 + "\n").read_to_end(), "too-long"),
])
def test_reasons(marceld, way, reason):
    server = marceld("[dialogue]\nmessage_max = 50\n")
    way(server.connect())
    assert server.wait_record("closed")["reason"] == reason


def test_transcript_sizes(marceld):
    server = marceld("[journal]\ntranscript = sizes\n")
    dialogue(server, b"secret", b"s")
    said = server.records("said")
    assert [record.message for record in said[1:5]] \
        == ["C> (6 bytes)", "S> (6 bytes)", "C> (1 byte)", "S> (1 byte)"]
    assert said[1]["size"] == 6
    assert "secret" not in server.errors() and "Envoyez" not in server.errors()


def test_transcript_off(marceld):
    server = marceld("[journal]\ntranscript = off\n")
    dialogue(server, b"secret")
    assert not server.records("said") and "secret" not in server.errors()
    assert len(server.records("opened")) == len(server.records("closed")) == 1


def test_transcript_max(marceld):
    server = marceld("[journal]\ntranscript_max = 10\n")
    dialogue(server, b"0123456789", b"0123456789abc")
    said = [record for record in server.records("said") if record.message.startswith("C> ")]
    assert said[0].message == "C> 0123456789" and "kept" not in said[0]
    assert said[1].message.startswith("C> 0123456789") and "abc" not in said[1].message
    assert "13" in said[1].message and said[1]["size"] == 13


def test_transcript_max_does_not_cut_characters(marceld):
    server = marceld("[journal]\ntranscript_max = 10\n")
    dialogue(server, "éééééééééé".encode(), "xéééééééééé".encode())
    for record in server.records("said"):
        assert "\\x" not in record.message and "\ufffd" not in record.message


NASTY = [
    # what a client says, how it is shown
    (b"\x1b[2J\x1b]0;title\x07", r"\e[2J\e]0;title\x07"),
    (b"a\tb\rc", r"a\tb\rc"),
    (b"\0\x01\x7f", r"\x00\x01\x7f"),
    (b"\xff\xfe", r"\xff\xfe"),
    (b"\xc2\x9b31m", r"\xc2\x9b31m"),
    ("\u202egnp.exe".encode(), r"\xe2\x80\xaegnp.exe"),
    ("\u2028".encode(), r"\xe2\x80\xa8"),
    (rb"a\nb", r"a\\nb"),
    (b'"quoted"', '"quoted"'),
    ("déjà vu 漢字 🙂".encode(), "déjà vu 漢字 🙂"),
]


@pytest.mark.parametrize("log", ["json", "text"])
def test_nothing_that_a_client_says_reaches_a_terminal_raw(marceld, log):
    server = marceld("", log=log)
    dialogue_of = server.connect()
    for said, _ in NASTY:
        dialogue_of.send(said + b"\n").expect(said + b"\n")
    dialogue_of.send("fin\n").expect_end(FAREWELL).close()
    server.stop()
    written = server.errors()
    assert not re.search("[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", written)
    if log == "json":
        messages = [record.message for record in server.records("said")]
        for _, shown in NASTY:
            assert f"C> {shown}" in messages and f"S> {shown}" in messages
    else:
        lines = written.splitlines()
        for _, shown in NASTY:
            assert any(line.endswith(f"] C> {shown}") for line in lines), (shown, written)


def test_one_record_is_one_line(marceld):
    server = marceld("[dialogue]\nframing = raw\nend_words =\n", log="text")
    peer = server.connect(greeting=GREETING_TEXT.encode())
    peer.send("un\n[1 127.0.0.1:1] S> faux\n").expect("un\n[1 127.0.0.1:1] S> faux\n")
    peer.half_close().expect_end(b"fin")
    server.stop()
    assert r"C> un\n[1 127.0.0.1:1] S> faux\n" in server.errors()
    assert "\n[1 127.0.0.1:1] S> faux" not in server.errors()


def test_text_for_people(marceld):
    server = marceld("", log="text")
    peer = server.connect()
    address = peer.address()
    peer.send("bonjour\nfin\n").expect_end(b"bonjour\n" + FAREWELL).close()
    server.stop()
    lines = server.errors().splitlines()
    mine = [line for line in lines if address in line]
    assert any(re.fullmatch(rf"\[\d+ {re.escape(address)}\] C> bonjour", line) for line in mine)
    assert any(re.fullmatch(rf"\[\d+ {re.escape(address)}\] S> bonjour", line) for line in mine)


def test_text_is_what_one_gets_without_a_journal(marceld):
    server = marceld("", log=None)
    server.connect().send("bonjour\nfin\n").expect_end(b"bonjour\n" + FAREWELL).close()
    server.stop()
    assert "C> bonjour" in server.errors() and "{" not in server.errors()


def test_ready_says_where(echo):
    assert str(echo.port) in echo.wait_record("ready").message


# When nobody takes the records: standard error is a pipe that is full


def flood(server, messages):
    """One conversation of so many MESSAGES, at full speed."""
    peer = server.connect()
    lines = b"".join(b"%0999d\n" % number for number in range(100))
    for _ in range(messages // 100):
        peer.send(lines).expect(lines)
    peer.send("fin\n").expect_end(FAREWELL)


def test_conversations_go_on_when_nobody_takes_the_records(marceld):
    server = marceld("")
    server.hold_errors()
    flood(server, 50000)  # twice the ring's 64 MB, said and answered
    for _ in range(100):
        with server.connect() as peer:
            peer.send("a\nfin\n").expect_end(b"a\n" + FAREWELL)
    server.release_errors()
    # Transcript lines were dropped, and are counted; every end is there.
    server.wait_record("closed", count=101)
    dropped = server.wait_record("dropped")
    assert re.search(r"[1-9]\d*", dropped.message)


def test_a_stop_when_nobody_takes_the_records(marceld):
    server = marceld("[server]\nstop_timeout = 1s\n")
    server.hold_errors()
    flood(server, 1000)
    peer = server.connect()
    server.process.terminate()
    peer.expect_end(FAREWELL)
    assert server.process.wait(PATIENCE) == 0
    server.release_errors()
    server.wait()


def test_a_closed_standard_error_stops_nothing(marceld):
    server = marceld("", prefix=["/bin/sh", "-c", 'exec "$@" 2>&-', "sh"])
    server.connect().send("a\nfin\n").expect_end(b"a\n" + FAREWELL)


def test_a_reader_that_is_gone_stops_nothing(marceld):
    # As in `marceld 2>&1 | head -1`: no SIGPIPE may end it.
    reader, writer = os.pipe()
    os.close(reader)
    server = marceld("", stderr=writer)
    os.close(writer)
    for _ in range(3):
        server.connect().send("a\nfin\n").expect_end(b"a\n" + FAREWELL)
