"""marcel on a terminal: what stands on the screen, what the keys do, how the terminal is left."""

import os
import signal
import socket
import stat

import pytest

from client_tools import EXIT_BROKE, Server, Terminal, french
from daemon_tools import PATIENCE, Peer
from test_client import SEED_GREETING, seed_server

pytest.importorskip("pyte", reason="Debian's package python3-pyte draws the screen")
from wcwidth import wcwidth  # noqa: E402 (pyte brings it)

COLUMNS = 40
CONNECTED = "Connected to the server."
CLOSED = "Connection closed."
UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
HOME, END, DELETE, BACKSPACE = "\x01", "\x05", "\x1b[3~", "\x7f"
END_OF_INPUT = "\x04"


class Talk:
    """A server whose words the test puts into its mouth, and a terminal to talk to it."""

    def __init__(self, directory, greeting=b"hello\n", arguments=(), **options):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(PATIENCE)
            self.terminal = Terminal([*arguments, "127.0.0.1", str(listener.getsockname()[1])],
                                     directory, **{"columns": COLUMNS, **options})
            try:
                self.peer = Peer(listener.accept()[0])
            except OSError:
                self.terminal.__exit__()
                raise
        self.peer.send(greeting)

    def __enter__(self):
        return self.peer, self.terminal

    def __exit__(self, *_):
        self.peer.close()
        self.terminal.__exit__()


@pytest.fixture
def talk(tmp_path):
    return lambda *arguments, **options: Talk(tmp_path, *arguments, **options)


def end(peer, terminal):
    """The server closes; that is a proper end."""
    peer.close()
    terminal.wait()
    assert terminal.lines()[-1] == CLOSED


# Dialogues.

def test_a_dialogue(talk):
    with talk() as (peer, terminal):
        terminal.wait_for(CONNECTED, "S> hello", "C> ")
        terminal.type("Ça va ?\r")
        assert peer.line() == "Ça va ?\n".encode()
        peer.send("Très bien.\n")
        terminal.wait_for("C> Ça va ?", "S> Très bien.", "C> ")
        terminal.type("fin\r")
        assert peer.line() == b"fin\n"
        peer.send(b"fin\n").close()
        terminal.wait()
        assert terminal.lines() == [CONNECTED, "S> hello", "C> Ça va ?", "S> Très bien.",
                                    "C> fin", "S> fin", CLOSED]


def test_the_seeds_server(tmp_path, french):
    """The screen of the seed's client, to the letter."""
    heard = []
    with Server(seed_server(["Très bien, et vous ?"], heard)) as server:
        with Terminal(server.target, tmp_path, columns=80, env=french) as terminal:
            terminal.wait_for(f"S> {SEED_GREETING}", "C> ")
            terminal.type("Bonjour, ça va ?\r")
            terminal.wait_for("S> Très bien, et vous ?", "C> ")
            terminal.type("fin\r")
            terminal.wait()
            assert terminal.lines() == [
                "Connexion établie avec le serveur.", f"S> {SEED_GREETING}", "C> Bonjour, ça va ?",
                "S> Très bien, et vous ?", "C> fin", "Connexion interrompue."]
    assert heard == ["Bonjour, ça va ?", "fin"]


def test_an_empty_line_ends_a_raw_dialogue(tmp_path):
    heard = []
    with Server(seed_server(["un"], heard)) as server:
        with Terminal(server.target, tmp_path, columns=80) as terminal:
            terminal.wait_for(f"S> {SEED_GREETING}", "C> ")
            terminal.type("premier\r")
            terminal.wait_for("S> un", "C> ")
            terminal.type("\r")
            terminal.wait()
            assert terminal.lines()[-1] == CLOSED
    assert heard == ["premier", ""]


def test_an_empty_line_is_a_message_among_lines(talk):
    with talk() as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        terminal.type("\r")
        assert peer.line() == b"\n"
        end(peer, terminal)


def test_the_end_of_input_leaves_the_server_the_last_word(talk):
    with talk(b"hello\r\n") as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        terminal.type("a\r")
        assert peer.line() == b"a\r\n"
        terminal.type(END_OF_INPUT)
        assert peer.recv() == b""
        peer.send(b"bye\r\nand good night")
        terminal.wait_for("C> a", "S> bye", "S> and good night", cursor=0)
        end(peer, terminal)


def test_what_was_typed_before_the_dialect_was_known(talk):
    """Entered at once, sent when the server is known to speak raw."""
    with talk(b"no line end") as (peer, terminal):
        terminal.type("first\rsecond\r")
        terminal.wait_until(lambda: {"S> no line end", "C> first", "C> second"} <
                            set(terminal.lines()), "all three")
        peer.expect(b"firstsecond")
        end(peer, terminal)


def test_a_broken_connection(talk):
    with talk() as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        terminal.type("half a li")
        terminal.wait_for("C> half a li")
        peer.reset()
        terminal.wait(EXIT_BROKE)
        assert terminal.lines()[-2:] == ["marcel: the connection broke: Connection",
                                         " reset by peer"]


# Text that comes while one types.

def layout(text, at=None):
    """
    The rows that "C> " and TEXT take on the screen, and the row and column of the cursor in front
    of the character number AT (None: behind the last).
    """
    rows, column, cursor = [""], 0, None
    for number, character in enumerate("C> " + text, -3):
        for c in (" " * (8 - column % 8) if character == "\t" else character):
            if column + wcwidth(c) > COLUMNS:
                rows.append("")
                column = 0
            if number == at and cursor is None:
                cursor = len(rows) - 1, column
            rows[-1] += c
            column += wcwidth(c)
            if column == COLUMNS:
                rows.append("")
                column = 0
    if cursor is None:
        cursor = len(rows) - 1, column
    return [row.rstrip() for row in rows if row], cursor


def wait_for_screen(terminal, above, typed, at=None):
    """Waits until the screen shows the lines ABOVE and below them TYPED, with the cursor AT."""
    rows, (row, column) = layout(typed, at)
    wanted = (above + rows, row + len(above), column)
    terminal.wait_until(
        lambda: (terminal.lines(), terminal.screen.cursor.y, terminal.screen.cursor.x) == wanted,
        repr(wanted))


LONG = "une ligne longue qui ne tient pas sur une seule rangée, et qui en remplit même trois"


@pytest.mark.parametrize("typed", ["", "bonjour", LONG, "x" * 36, "x" * 37, "x" * 38, "日本語" * 12,
                                   "x" + "日本語" * 12, "a\tb\tc"])
@pytest.mark.parametrize("where", ["behind", "at home", "within"])
def test_text_that_comes_while_one_types(talk, typed, where):
    """The half-typed line stands whole below it, and the cursor in its place."""
    back = {"behind": 0, "at home": len(typed), "within": min(5, len(typed))}[where]
    with talk() as (peer, terminal):
        above = [CONNECTED, "S> hello"]
        wait_for_screen(terminal, above, "")
        terminal.type(typed + LEFT * back)
        wait_for_screen(terminal, above, typed, len(typed) - back)
        peer.send("un\ndeux\n")
        above += ["S> un", "S> deux"]
        wait_for_screen(terminal, above, typed, len(typed) - back)
        terminal.type("é")
        typed = typed[:len(typed) - back] + "é" + typed[len(typed) - back:]
        wait_for_screen(terminal, above, typed, len(typed) - back)
        terminal.type("\r")
        assert peer.line().decode() == typed + "\n"
        end(peer, terminal)


def test_text_that_comes_within_a_key(talk):
    """Between the bytes of one key, be it a letter or a sequence."""
    with talk() as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        terminal.type("ab")
        terminal.wait_for("C> ab")
        for number, key in enumerate(("é".encode(), LEFT.encode(), "日".encode())):
            for count in range(1, len(key)):
                terminal.type(key[count - 1:count])
                peer.send(b"text %d.%d\n" % (number, count))
                terminal.wait_until(lambda: f"S> text {number}.{count}" in terminal.lines(),
                                    "the text")
            terminal.type(key[-1:])
        terminal.wait_for("C> ab日é", cursor=7)
        terminal.type("\r")
        assert peer.line().decode() == "ab日é\n"
        end(peer, terminal)


def test_a_flood_of_text(talk):
    with talk() as (peer, terminal):
        terminal.type("half a li")
        peer.send(b"".join(b"line %d\n" % number for number in range(20_000)))
        terminal.wait_for("S> line 19998", "S> line 19999", "C> half a li")
        terminal.type("ne\r")
        assert peer.line() == b"half a line\n"
        end(peer, terminal)


def test_lines_pasted_all_at_once(talk):
    lines = [f"ligne numéro {number}" for number in range(200)]
    with talk() as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        # As a terminal does: no faster than it is read.
        for line in lines:
            terminal.type(line + "\r")
            terminal.read()
        for line in lines:
            assert peer.line().decode() == line + "\n"
        terminal.wait_for(f"C> {lines[-1]}", "C> ")
        end(peer, terminal)


def test_nothing_from_a_server_commands_the_terminal(talk):
    with talk() as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        peer.send(b"\x1b[2J\x1b]0;title\x07\r\x9b\xff \xe2\x80\xae \xc2\x85 a\\b\tc\r\n")
        terminal.wait_for("S> \\e[2J\\e]0;title\\x07\\r\\x9b\\xff \\xe2\\x8", "0\\xae \\xc2\\x85 a\\b      c",
                          "C> ")
        assert b"\x07" not in terminal.raw and b"\x1b]" not in terminal.raw
        end(peer, terminal)


def test_a_question_without_a_line_end(talk):
    """A server that speaks lines may still ask 'login: '; quiet makes it visible."""
    with talk() as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        peer.send(b"login: ")
        terminal.wait_for("S> login: ", "C> ")
        peer.send(b"still there?\n")
        terminal.wait_for("S> login: ", "S> still there?", "C> ")
        end(peer, terminal)


def test_a_raw_character_in_two_pieces(talk):
    with talk(b"", arguments=["--raw"]) as (peer, terminal):
        peer.send(b"caf\xc3")
        terminal.wait_for("S> caf", "C> ")
        peer.send(b"\xa9s\nnoirs")
        terminal.wait_until(lambda: terminal.lines()[-2:] == ["S> noirs", "C>"], "the rest")
        # Should the quiet have been longer than the client waits, the half is shown as what it is.
        assert terminal.lines()[1:-1] in (["S> caf", "S> és", "S> noirs"],
                                          ["S> caf", "S> \\xc3", "S> \\xa9s", "S> noirs"])
        end(peer, terminal)


# Keys.

@pytest.mark.parametrize("keys, line", [
    ("abc" + BACKSPACE + "d", "abd"),
    ("été" + BACKSPACE + BACKSPACE + "n", "én"),
    ("bc" + HOME + "a" + END + "d", "abcd"),
    ("ac" + LEFT + "b" + RIGHT + "d", "abcd"),
    ("axb" + LEFT + LEFT + DELETE, "ab"),
    ("rest" + HOME + "\x0bnew", "new"),
    ("gone\x15kept", "kept"),
    ("two words\x17one", "two one"),
    ("日本" + BACKSPACE + "国", "日国"),
    ("日本日本" + LEFT * 2 + "xy" + DELETE, "日本xy本"),
    ("e\u0301 combined", "e\u0301 combined"),
    ("a\tb", "a\tb"),
])
def test_editing(talk, keys, line):
    with talk() as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        terminal.type(keys + "\r")
        assert peer.line().decode() == line + "\n"
        end(peer, terminal)


def test_bytes_that_are_no_key(talk):
    with talk() as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        terminal.type(b"a\xff\xc3(b\xe2\x82\xacc\r")
        assert peer.line().decode() == "ab€c\n"
        end(peer, terminal)


def test_the_c_locale_knows_accents_too(talk):
    with talk("hélas\n".encode(), env={"LC_ALL": "C"}) as (peer, terminal):
        terminal.wait_for("S> hélas", "C> ")
        terminal.type("été" + BACKSPACE + "\r")
        assert peer.line().decode() == "ét\n"
        end(peer, terminal)


def test_a_terminal_that_can_do_nothing(talk):
    """Nothing can be erased there, so a line half typed is drawn anew below."""
    with talk(env={"TERM": "dumb"}) as (peer, terminal):
        terminal.wait_until(lambda: "S> hello" in terminal.lines(), "the greeting")
        terminal.type("half a li")
        terminal.wait_until(lambda: "C> half a li" in terminal.lines(), "what was typed")
        peer.send(b"text\n")
        terminal.wait_until(lambda: terminal.lines()[-2:] == ["S> text", "C> half a li"], "both")
        terminal.type("ne\r")
        assert peer.line() == b"half a line\n"
        end(peer, terminal)


def test_the_window_changes(talk):
    with talk() as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        terminal.type(LONG)
        wait_for_screen(terminal, [CONNECTED, "S> hello"], LONG)
        for columns in (100, 25, 60):
            terminal.resize(16, columns)
            # Where the rows lie after that is the terminal's own affair; the line is whole.
            terminal.wait_until(lambda: LONG in "".join(
                line.ljust(columns) for line in terminal.screen.display), "the line being typed")
        peer.send("un\n")
        terminal.wait_until(lambda: "S> un" in terminal.lines(), "text")
        terminal.type(" !\r")
        assert peer.line().decode() == LONG + " !\n"
        end(peer, terminal)


# What was typed is remembered.

def history_file(directory):
    return directory / ".local" / "state" / "marcel" / "history"


def test_lines_come_back(talk, tmp_path):
    def one(typed, expected):
        with talk() as (peer, terminal):
            terminal.wait_for("S> hello", "C> ")
            for keys, line in zip(typed, expected):
                terminal.type(keys + "\r")
                assert peer.line().decode() == line + "\n"
            end(peer, terminal)

    one(["premier été", " secret", "second", UP + UP], ["premier été", " secret", "second",
                                                        "premier été"])
    assert stat.S_IMODE(history_file(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(history_file(tmp_path).parent.stat().st_mode) == 0o700
    assert b"secret" not in history_file(tmp_path).read_bytes()
    assert os.listdir(history_file(tmp_path).parent) == ["history"]
    one([UP, UP + UP, "\x12sec\x05"], ["premier été", "second", "second"])


def test_where_lines_are_kept(talk, tmp_path):
    state = tmp_path / "state"
    for place, kept in ((state, True), ("relative", False)):
        with talk(env={"XDG_STATE_HOME": os.fspath(place)}) as (peer, terminal):
            terminal.type("kept\r")
            assert peer.line() == b"kept\n"
            end(peer, terminal)
        assert (state / "marcel" / "history").exists()
        assert history_file(tmp_path).exists() is not kept


def test_lines_that_cannot_be_kept(talk, tmp_path):
    """Not a word about it: the dialogue matters more."""
    (tmp_path / ".local").write_text("a file is in the way")
    with talk() as (peer, terminal):
        terminal.type("lost\r")
        assert peer.line() == b"lost\n"
        end(peer, terminal)


def test_a_history_of_another_making(talk, tmp_path):
    history_file(tmp_path).parent.mkdir(parents=True)
    history_file(tmp_path).write_bytes(b"\0\xff\n" * 1000)
    with talk() as (peer, terminal):
        terminal.type("x\r" + UP + "\r")
        assert peer.line() == b"x\n" and peer.line() == b"x\n"
        end(peer, terminal)


# How the terminal is left.

def test_the_mode_while_one_types_and_after(talk):
    """Every other test looks at the mode at the end, in Terminal.wait(); here it must differ first."""
    with talk() as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        assert terminal.modes() != terminal.modes_before
        terminal.type(END_OF_INPUT)
        assert peer.recv() == b""
        terminal.wait_until(lambda: terminal.lines()[-1:] == ["S> hello"], "no prompt")
        assert terminal.modes() == terminal.modes_before
        end(peer, terminal)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("typing", [True, False])
def test_signals_that_end_it(talk, tmp_path, number, typing):
    """The terminal is restored and the lines are kept; then the signal does what it does."""
    with talk() as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        terminal.type("kept\r")
        assert peer.line() == b"kept\n"
        if typing:
            terminal.type("half a li")
            terminal.wait_for("C> half a li")
        else:
            terminal.type(END_OF_INPUT)
            assert peer.recv() == b""
        os.kill(terminal.pid, number)
        terminal.wait(-number)
        assert b"kept" in history_file(tmp_path).read_bytes()


def test_the_interrupt_key(talk):
    with talk() as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        terminal.type("half a li\x03")
        terminal.wait(-signal.SIGINT)


def test_stopping_and_going_on(talk):
    """A shell that stops it and has the terminal meanwhile."""
    shell = ["sh", "-mc", '"$@"; echo stopped; read -r answer; echo "answer: $answer"; fg', "sh"]
    with talk(prefix=shell) as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        terminal.type("half a li")
        terminal.wait_for("C> half a li")
        typing = terminal.modes()
        terminal.type("\x1a")
        terminal.wait_until(lambda: "stopped" in terminal.lines(), "the shell's word")
        assert terminal.modes() == terminal.modes_before
        peer.send(b"text meanwhile\n")
        terminal.type("yes\r")
        terminal.wait_until(lambda: "answer: yes" in terminal.lines(), "the shell's question")
        terminal.wait_for("S> text meanwhile", "C> half a li")
        assert terminal.modes() == typing
        terminal.type("ne\r")
        assert peer.line() == b"half a line\n"
        end(peer, terminal)


def test_stopping_where_no_shell_would_go_on(talk):
    """Without job control the key does nothing, as the kernel has it."""
    with talk() as (peer, terminal):
        terminal.wait_for("S> hello", "C> ")
        terminal.type("half")
        terminal.wait_for("C> half")
        drawn = len(terminal.raw)
        terminal.type("\x1a")
        terminal.wait_until(lambda: terminal.raw[drawn:].endswith(b"half"), "the line again")
        terminal.type(" a line\r")
        assert peer.line() == b"half a line\n"
        end(peer, terminal)
