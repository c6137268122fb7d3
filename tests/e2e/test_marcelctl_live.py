"""marcelctl's verbs against the real marceld."""

import json
import os
import re
import socket
import threading

import pytest

from daemon_tools import FAREWELL, GREETING_TEXT, PATIENCE, wait_until
from marcelctl_tools import FAILED, Running, call


FIFO = """[dialogue]
responder = fifo
[fifo]
directory = {}
absent_after = infinity
"""


class Real:
    """A marceld with an operator channel and a control socket."""

    def __init__(self, marceld, directory, config=FIFO, **options):
        self.path = directory / "control"
        self.daemon = marceld(config.format(directory / "operator"), control=self.path, **options)

    def list(self, *arguments):
        return json.loads(call(self, "list", "--json", *arguments).out)

    def connect(self):
        """A client and its number."""
        before = {one["number"] for one in self.list()}
        peer = self.daemon.connect()
        return peer, *({one["number"] for one in self.list()} - before)


@pytest.fixture
def real(marceld, tmp_path):
    return Real(marceld, tmp_path)


def test_real_status(real):
    status = json.loads(call(real, "status", "--json").out)
    assert status["running"] and status["listeners"] == real.daemon.addresses
    assert status["configuration"] == os.fspath(real.daemon.config_file)
    assert {"echo", "fifo"} <= set(status["responders"])
    assert status["operator_directory"] == os.fspath(real.path.parent / "operator")
    assert (status["conversations"], status["waiting"]) == (0, 0)
    assert call(real, "status").out.startswith(f"marceld {status['version']} runs since ")
    real.connect()
    assert json.loads(call(real, "status", "--json").out)["conversations"] == 1


def test_real_status_of_listeners(marceld, tmp_path):
    """Who asks stands elsewhere than who started it, and did not choose the ports."""
    path = tmp_path / "control"
    (tmp_path / "my.ini").write_text("[server]\nlisten = 127.0.0.1:0\n"
                                     "[listener desk]\nlisten = 127.0.0.1:0\n")
    daemon = marceld(listen=[], args=["-c", "./my.ini"], config_file=False, cwd=tmp_path,
                     control=path, wait=False)
    daemon.wait_ready(2)
    status = json.loads(call(path, "status", "--json").out)
    assert status["configuration"] == f"{tmp_path}/my.ini"
    named = dict(zip(status["listener_names"], status["listeners"]))
    assert set(named) == {"", "desk"} and sorted(named.values()) == sorted(daemon.addresses)
    text = call(path, "status").out
    assert f"  configuration  {tmp_path}/my.ini\n" in text
    shown = [named[name] + (f" ({name})" if name else "") for name in status["listener_names"]]
    assert f"  listens on     {', '.join(shown)}\n" in text
    with socket.create_connection(named["desk"].split(":")):
        wait_until(lambda: json.loads(call(path, "list", "--json").out), "a conversation")
        assert json.loads(call(path, "list", "--json").out)[0]["listener"] == "desk"


def test_real_dialogue(real):
    peer, number = real.connect()
    peer.send("Bonjour\n")
    with Running("follow", "--control", real.path, number) as follow:
        follow.wait_for("C> Bonjour")
        call(real, "say", "--turn", "1", number, "Bonjour", "à", "vous")
        peer.expect("Bonjour à vous\n")
        result = call(real, "say", "--turn", "1", number, "encore", status=FAILED)
        assert f"'marcelctl show {number}'" in result.err
        peer.send(b"\x1b[31m\xff\n")
        follow.expect("S> Bonjour à vous")
        follow.wait_for(r"C> \e[31m\xff")
        call(real, "give", number, "echo")
        follow.wait_for("-- answers now: echo")
        peer.expect(b"") and peer.send("deux\n").expect("deux\n")
        result = call(real, "say", number, "x", status=FAILED)
        assert f"marcelctl take {number}" in result.err
        call(real, "take", number)
        assert real.list()[0]["suspended"] == "echo"
        peer.send("trois\n")
        wait_until(lambda: real.list("--waiting"), "a message that waits")
        assert "an operator holds" in call(real, "take", number, status=FAILED).err
        call(real, "say", number, "-", input=b"un\n\nquatre")
        peer.expect("un\n\nquatre\n")
        call(real, "give", number)
        assert real.list()[0]["responder"] == "echo"
        result = call(real, "give", number, "ecko", status=FAILED)
        assert "(did you mean 'echo'?)" in result.err
        call(real, "close", number)
        peer.expect_end(FAREWELL)
        peer.close()
        follow.wait_for("-- over: operator")
        follow.end()
    wait_until(lambda: not real.list(), "an end of the conversation")
    for arguments in (["show"], ["close"], ["take"], ["give", number, "echo"], ["say", number, "x"]):
        arguments = arguments if len(arguments) > 1 else [*arguments, number]
        result = call(real, *arguments, status=FAILED)
        assert f"there is no conversation {number}" in result.err


def test_real_show(real):
    peer, number = real.connect()
    peer.send("Bonjour\n")
    wait_until(lambda: real.list("--waiting"), "a message that waits")
    shown = json.loads(call(real, "show", "--json", number).out)
    assert shown["peer"] == peer.address() and shown["waiting"] == 1 and shown["bytes_in"] == 8
    assert [(said["direction"], said["turn"], said["text"]) for said in shown["past"]] == [
        ("S", 0, GREETING_TEXT), ("C", 1, "Bonjour")]
    assert re.search(r"^\d\d:\d\d:\d\d C> #1 Bonjour$", call(real, "show", number).out, re.M)


def test_real_waits_since_its_message_came(real):
    peer, number = real.connect()
    peer.send("un\n")
    wait_until(lambda: real.list()[0]["turns"] == 1, "a message")
    first = real.list()[0]["waiting_since"]
    peer.send("deux\n")
    wait_until(lambda: real.list()[0]["turns"] == 2, "another one")
    last = real.list()[0]["last"]
    assert real.list()[0]["waiting_since"] == first < last
    call(real, "say", "--turn", "1", number, "un aussi")
    assert real.list()[0]["waiting"] == 2 and first < real.list()[0]["waiting_since"] <= last


def test_real_closing(real):
    """Who was told farewell, and does not hang up, keeps nobody waiting."""
    peer, number = real.connect()
    peer.send("Bonjour\n")
    wait_until(lambda: real.list("--waiting"), "a message that waits")
    assert real.list()[0]["closing"] is False
    call(real, "close", number)
    peer.expect(FAREWELL)
    call(real, "close", number)
    for arguments in (["say", number, "x"], ["say", "--turn", "1", number, "x"],
                      ["take", number], ["give", number, "echo"]):
        result = call(real, *arguments, status=FAILED)
        assert f"conversation {number} is closing" in result.err
    assert real.list("--waiting") == []
    assert [(c["waiting"], c["waiting_since"], c["closing"]) for c in real.list()] == [
        (0, None, True)]
    assert re.search(r"fifo +1 +closing$", call(real, "list").out, re.M)
    assert json.loads(call(real, "show", "--json", number).out)["closing"] is True
    assert re.search(r"^  closing   for \d", call(real, "show", number).out, re.M)
    peer.close()
    wait_until(lambda: not real.list(), "an end of the conversation")


def test_real_follow_in_the_middle(marceld, tmp_path):
    """What comes by the past and what comes by signals meet without a gap, and nothing twice."""
    real = Real(marceld, tmp_path, config="")
    peer, number = real.connect()
    over = threading.Event()

    def talk():
        for i in range(100000):
            peer.send(f"{i}\n").expect(f"{i}\n")
            if over.is_set():
                return

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        for _ in range(5):
            with Running("follow", "--control", real.path, number) as follow:
                follow.wait_for("C> ")
                first = int(follow.wait_for("C> ")[3:])
                for i in range(first, first + 300):
                    follow.expect(f"S> {i}", f"C> {i + 1}")
    finally:
        over.set()
        thread.join(PATIENCE)


def test_real_reload(real):
    call(real, "reload")
    real.daemon.configure("[dialogue]\ngreating = x\nresponder = nobody\n")
    result = call(real, "reload", status=FAILED)
    lines = result.err.splitlines()
    assert lines[0] == ("marcelctl: the configuration is bad, and the one before stays in force:")
    assert re.search(r"marcel\.ini:2: .*'greating'.*did you mean 'greeting'", lines[1])
    assert all(line.startswith("marcelctl: ") and len(line) > 12 for line in lines), lines


def test_real_metrics(real):
    real.connect()
    text = call(real, "metrics").out
    assert re.search(r"^marcel_conversations 1$", text, re.M)
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) \w+ .+|\w+(\{.*\})? [0-9.]+", line), line


def test_real_restart(manager, tmp_path):
    """Conversations go on, and so does who follows them."""
    manager.config = FIFO.format(tmp_path / "operator")
    manager.start()
    peer = manager.connect()
    number = json.loads(call(manager.control, "list", "--json").out)[0]["number"]
    peer.send("avant\n")
    with Running("follow", "--control", manager.control, number) as follow:
        follow.wait_for("C> avant")
        manager.restart()
        follow.wait_for("-- marceld is back")
        call(manager.control, "say", number, "après")
        peer.expect("après\n")
        follow.wait_for("S> après")
        call(manager.control, "close", number)
        peer.expect_end(FAREWELL)
        peer.close()
        follow.wait_for("-- over: operator")
        follow.end()
