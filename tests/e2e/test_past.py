"""What was said before somebody came: whoever takes a conversation over finds the dialogue so far, from
the greeting on, in `out` and over the control; also when another process goes on with it."""

import json
import signal

import pytest

from daemon_tools import FAREWELL, GREETING_TEXT, wait_until
from operator_tools import Channel, ask, fifo_config
from table import Table

SCRIPT = """marcel-script 1
frame line lf
end none
on connect              say "hello"; say "who is there?"
always
    on 'LOGIN'          say "password?"; secret next
    on 'ASK'            hand fifo; say "back"
    otherwise           say "? ${message}"
"""


@pytest.fixture(name="channel")
def channel_fixture(manager):
    with Channel(manager.runtime / "operator") as channel:
        yield channel


@pytest.fixture(name="scripted")
def scripted_fixture(manager, tmp_path):
    (tmp_path / "test.script").write_text(SCRIPT)
    manager.config = ("[dialogue]\nresponder = script\n"
                      f"[script]\nfile = {tmp_path}/test.script\n[fifo]\ngrace = 1h\n")
    manager.start()
    return manager


def said(channel, number=1):
    """What `out` says: ["S0 hello", ...]."""
    return [f"{line.who}{line.turn} {line.text}" for line in channel.out(number)]


def past(manager, number=1):
    """The same, as the control tells it."""
    lines = json.loads(ask(manager.control, "GetPast", "t", number))["data"][0]
    return [f"{who}{turn} {text}" for _, who, turn, text in lines]


def test_a_conversation_that_is_taken(manager, channel):
    manager.start()
    peer = manager.connect()
    peer.send("one\n").expect("one\n").send("\x1b[2J\n").expect("\x1b[2J\n")
    ask(manager.control, "Take", "t", 1)
    before = [f"S0 {GREETING_TEXT}", "C1 one", "S1 one", "C2 \\e[2J", "S2 \\e[2J"]
    assert said(channel) == before
    peer.send("three\n")
    channel.wait("message", 1, turn=3)
    channel.write("answer", 1)
    peer.expect("answer\n")
    ask(manager.control, "Give", "ts", 1, "echo")
    peer.send("four\n").expect("four\n")
    # Once more: each line is there once, and what was said without the operator, too.
    ask(manager.control, "Take", "t", 1)
    assert said(channel) == before + ["C3 three", "S3 answer", "--0 echo", "C4 four", "S4 four"]


def test_one_that_has_not_spoken(manager, channel):
    manager.start()
    peer = manager.connect()
    ask(manager.control, "Take", "t", 1)
    assert said(channel) == [f"S0 {GREETING_TEXT}"]
    channel.write("Bonjour", 1)
    peer.expect("Bonjour\n").send("a\n")
    channel.wait("message", 1)
    lines = [f"S0 {GREETING_TEXT}", "S0 Bonjour", "C1 a"]
    wait_until(lambda: past(manager) == lines, "the control tells it")
    wait_until(lambda: said(channel) == lines, "all of it is in out")


def test_one_that_is_handed_over(scripted, channel):
    peer = scripted.connect(b"hello\nwho is there?\n")
    peer.send("ASK\n")
    channel.wait("message", 1)
    greeting = ["S0 hello", "S0 who is there?"]
    channel.write("I am", 1)
    peer.expect("I am\nback\n").send("LOGIN\n").expect("password?\n").send("hunter2\n")
    peer.expect("? hunter2\n").send("ASK\n")
    channel.wait("message", 1, count=2)
    wait_until(lambda: said(channel) == greeting + [
        "C1 ASK", "S1 I am", "S1 back", "--0 script", "C2 LOGIN", "S2 password?",
        "C3 (withheld)", "S3 ? hunter2", "C4 ASK"], "all of it")


@pytest.mark.parametrize("again", ["restart", "kill"])
def test_another_process_goes_on(scripted, channel, again):
    peer = scripted.connect(b"hello\nwho is there?\n")
    peer.send("one\n").expect("? one\n")
    lines = ["S0 hello", "S0 who is there?", "C1 one", "S1 ? one"]
    for i in range(2, 5):
        scripted.await_rest()
        getattr(scripted, again)()
        assert past(scripted) == lines
        peer.send(f"{i}\n").expect(f"? {i}\n")
        lines += [f"C{i} {i}", f"S{i} ? {i}"]
    ask(scripted.control, "Take", "t", 1)
    assert said(channel) == lines
    scripted.await_rest()
    getattr(scripted, again)()
    channel.wait("resumed", 1)
    assert said(channel) == lines == past(scripted)
    # As much as there is room for: the last.
    ask(scripted.control, "Give", "ts", 1, "script")
    for i in range(5, 105):
        peer.send(f"{i} {'x' * 100}\n").expect(f"? {i} {'x' * 100}\n")
    scripted.await_rest()
    getattr(scripted, again)()
    kept = past(scripted)
    assert kept[-1] == f"S104 ? 104 {'x' * 100}" and 20 < len(kept) < 40
    assert [line.split()[0] for line in kept[-4:]] == ["C103", "S103", "C104", "S104"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_table_from_before_there_was_any(manager, number):
    """The conversations of an earlier marceld go on, without what it did not keep."""
    manager.start()
    peers = [manager.connect() for _ in range(3)]
    for peer in peers[:2]:
        peer.send("one\n").expect("one\n")
    manager.await_rest()
    manager.end(number)
    Table(manager.table()).drop_past()
    manager.start()
    for peer in peers:
        peer.send("two\n").expect("two\n")
    assert past(manager) == ["C2 two", "S2 two"]
    assert past(manager, 3) == [f"S0 {GREETING_TEXT}", "C1 two", "S1 two"]
    peers[0].send("fin\n").expect_end(FAREWELL)
    manager.await_rest()
    manager.kill()
    assert past(manager, 2) == ["C2 two", "S2 two"]


def test_the_greeting_stands_before_what_is_said_unasked(manager, channel):
    manager.config = fifo_config()
    manager.start()
    peer = manager.connect()
    channel.wait("opened", 1)
    channel.write("Hi", 1)
    peer.expect("Hi\n")
    assert past(manager) == [f"S0 {GREETING_TEXT}", "S0 Hi"]


def test_nobody_sees_what_another_one_said(manager, channel):
    """Memory is used again, as it was left."""
    manager.config = fifo_config()
    manager.start()
    for number in range(1, 4):
        peer = manager.connect()
        assert said(channel, number) == [f"S0 {GREETING_TEXT}"]
        peer.send(f"a secret {number}\n")
        channel.wait("message", number)
        channel.write(f"to {number}", number)
        peer.expect(f"to {number}\n").send("fin\n").expect_end(FAREWELL).close()
        channel.wait("closed", number)
    manager.config = "[journal]\ntranscript = off\n"
    manager.restart()
    number += 1
    manager.connect()
    ask(manager.control, "Take", "t", number)
    assert said(channel, number) == []


def test_nothing_is_kept_where_nothing_is_recorded(manager, channel):
    manager.config = "[journal]\ntranscript = off\n"
    manager.start()
    peer = manager.connect()
    peer.send("one\n").expect("one\n")
    ask(manager.control, "Take", "t", 1)
    assert past(manager) == said(channel) == []
