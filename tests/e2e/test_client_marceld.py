"""marcel and marceld, with each other: in each framing, as a filter and on a terminal."""

import pytest

from client_tools import Terminal, run
from daemon_tools import FAREWELL, GREETING, GREETING_TEXT


@pytest.mark.parametrize("framing", ["auto", "line"])
def test_lines(marceld, framing):
    daemon = marceld(f"[dialogue]\nframing = {framing}\n")
    run(["127.0.0.1", str(daemon.port)], "Ça va ?\nfin\n".encode()).expect(
        GREETING + "Ça va ?\n".encode() + FAREWELL)
    assert daemon.wait_record("closed")["reason"] == "end-word"


def test_raw(marceld):
    daemon = marceld("[dialogue]\nframing = raw\n")
    run(["127.0.0.1", str(daemon.port)], "Ça va ?\nTrès bien.\nfin\n".encode()).expect(
        f"{GREETING_TEXT}Ça va ?Très bien.fin".encode())
    assert daemon.wait_record("closed")["reason"] == "end-word"


def test_the_end_of_input(echo):
    run(["127.0.0.1", str(echo.port)], b"a\nb").expect(GREETING + b"a\nb\n" + FAREWELL)
    run(["127.0.0.1", str(echo.port)]).expect(GREETING + FAREWELL)


def test_as_fast_as_it_goes(echo):
    """The client sends without waiting for replies, and loses none."""
    text = b"".join(b"ligne %d\n" % number for number in range(100_000))
    run(["127.0.0.1", str(echo.port)], text).expect(GREETING + text + FAREWELL)


def test_on_a_terminal(echo, tmp_path):
    with Terminal(["127.0.0.1", str(echo.port)], tmp_path, columns=80) as terminal:
        terminal.wait_for(f"S> {GREETING_TEXT}", "C> ")
        terminal.type("Où êtes-vous né ?\r")
        terminal.wait_for("S> Où êtes-vous né ?", "C> ")
        terminal.type("fin\r")
        terminal.wait()
        assert terminal.lines()[-3:] == ["C> fin", "S> fin", "Connection closed."]
