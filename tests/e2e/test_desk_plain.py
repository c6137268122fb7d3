"""The desk as the first server was: one conversation after another, on a terminal and in a pipe."""

import os
import select
import signal
import subprocess

import pytest

from client_tools import (Terminal, environment, french, latin,  # noqa: F401 (fixtures)
                          read_exactly)
from daemon_tools import FAREWELL, PATIENCE, SANITIZER_REPORT, wait_until
from desk_tools import (OPERATOR, House, house_fixture, needs_tmux,  # noqa: F401 (fixtures)
                        scripted_fixture)
from marcelctl_tools import ctl
from script_tools import MARCELCTL

READY = "Server ready, waiting for requests ...\n"
CLOSED = "Connection closed.\n"
AGAIN = "<R>estart <T>erminate ? "


def hello(peer):
    host, port = peer.socket.getsockname()
    return f"Client connected, IP address {host}, port {port}\n"


class Plain:
    """`marcelctl desk --plain` in pipes, where characters are those of ENCODING."""

    def __init__(self, house, encoding="utf-8", **env):
        self.encoding = encoding
        self.process = subprocess.Popen(
            [MARCELCTL, "desk", "--plain", f"--control={house.control}"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**env))

    def expect(self, text):
        read_exactly(self.process.stdout, text.encode(self.encoding))
        return self

    def say(self, text):
        self.process.stdin.write(text.encode(self.encoding) + b"\n")
        self.process.stdin.flush()
        return self

    def read_until(self, end):
        got = b""
        while not got.endswith(end.encode(self.encoding)):
            assert select.select([self.process.stdout], [], [], PATIENCE)[0], got
            data = os.read(self.process.stdout.fileno(), 1)
            assert data, got
            got += data
        return got.decode(self.encoding)

    def shut(self):
        """The end of its input."""
        self.process.stdin.close()
        self.process.stdin = None

    def end(self, out="", status=0, err=""):
        rest, errors = self.process.communicate(timeout=PATIENCE)
        assert not SANITIZER_REPORT.search(errors), errors
        assert (self.process.returncode, rest.decode(self.encoding),
                errors.decode(self.encoding)) == (status, out, err)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture(name="plain")
def plain_fixture(house):
    started = []

    def start(where=house, **options):
        started.append(Plain(where, **options))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def test_one_after_another(house, plain):
    desk = plain().expect(READY)
    peer = house.connect()
    desk.expect(hello(peer))
    peer.send("Bonjour\n")
    desk.expect("C> Bonjour\nS> ").say("Bonjour à vous").expect("Bonjour à vous\n")
    peer.expect("Bonjour à vous\n").send("un\ndeux\n")
    desk.expect("C> un\nS> ").say("one").expect("one\nC> deux\nS> ").say("two").expect("two\n")
    peer.expect("one\ntwo\n").send("fin\n").expect_end(FAREWELL).close()
    desk.expect("C> fin\n" + CLOSED + AGAIN).say("R").expect("R\n" + READY)
    peer = house.connect("again")
    desk.expect(hello(peer) + "C> again\nS> ").say("yes").expect("yes\n")
    peer.expect("yes\n").close()
    desk.expect(CLOSED + AGAIN).say("t").end("t\n")


def test_whoever_has_waited_longest_is_first(house, plain):
    first, second = house.connect("one"), house.connect("two")
    desk = plain().expect(READY + hello(first) + "C> one\nS> ").say("un").expect("un\n")
    first.expect("un\n").send("fin\n").expect_end(FAREWELL).close()
    desk.expect("C> fin\n" + CLOSED + AGAIN).say("").expect("\n" + READY + hello(second))
    desk.expect("C> two\nS> ").say("deux").expect("deux\n")
    second.expect("deux\n")


def test_what_is_said_while_the_desk_reads_no_news(house, plain):
    desk = plain().expect(READY)
    os.kill(desk.process.pid, signal.SIGSTOP)
    peer = house.connect("one").send("two\n")
    wait_until(lambda: "two" in house.ctl("show", "1").out, "the second message")
    # With the news of its beginning the desk gets all that was said, of which it knows nothing yet.
    os.kill(desk.process.pid, signal.SIGCONT)
    desk.expect(hello(peer) + "C> one\nS> ").say("un").expect("un\nC> two\nS> ")
    desk.say("deux").expect("deux\n")
    peer.expect("un\ndeux\n")


def test_the_past_begins_behind_what_waits(house, plain):
    desk = plain().expect(READY)
    os.kill(desk.process.pid, signal.SIGSTOP)
    peer = house.connect("1")
    peer.send("".join(f"{n}\n" for n in range(2, 131)))
    wait_until(lambda: "messages  130\n" in house.ctl("show", "1").out, "all messages")
    # Of the first ones the past knows nothing any more; their news come behind it.
    os.kill(desk.process.pid, signal.SIGCONT)
    desk.expect(hello(peer))
    for n in range(1, 131):
        desk.expect(f"C> {n}\nS> ").say(f"to {n}").expect(f"to {n}\n")
    peer.expect("".join(f"to {n}\n" for n in range(1, 131)))


def test_what_is_not_known_any_more_waits_all_the_same(house, plain):
    peer = house.connect("one").send("x" * 2100 + "\n" + "y" * 2100 + "\n")
    wait_until(lambda: "messages  3\n" in house.ctl("show", "1").out, "all messages")
    desk = plain().expect(READY + hello(peer) + "S> ").say("un").expect("un\nS> ")
    desk.say("deux").expect("deux\nC> " + "y" * 2000)
    desk.say("trois")
    peer.expect("un\ndeux\ntrois\n")


def test_a_long_line_is_shown_once(house, plain):
    desk = plain().expect(READY)
    os.kill(desk.process.pid, signal.SIGSTOP)
    peer = house.connect("x" * 2500)
    os.kill(desk.process.pid, signal.SIGCONT)
    # The past has less of it than its news.
    desk.expect(hello(peer) + "C> " + "x" * 2500 + "\nS> ").say("y").expect("y\n")
    peer.expect("y\n").send("fin\n").expect_end(FAREWELL).close()
    desk.expect("C> fin\n" + CLOSED + AGAIN)


def test_a_list_does_not_overtake_the_end(house, plain):
    first = house.connect("one")
    house.ctl("say", "1", "un")
    first.expect("un\n")
    desk = plain().expect(READY)
    os.kill(desk.process.pid, signal.SIGSTOP)
    peer = house.connect("two")
    # For this the desk fetches the list, in which the second is not any more.
    house.ctl("give", "1", "echo")
    peer.send("last words\nfin\n").expect_end(FAREWELL)
    expected = hello(peer)
    peer.close()
    wait_until(lambda: house.ctl("list").out.count("\n") == 2, "its end")
    os.kill(desk.process.pid, signal.SIGCONT)
    desk.expect(expected + "C> two\nS> \nC> last words\nC> fin\n" + CLOSED + AGAIN)


def test_who_comes_and_goes_while_the_desk_reads_no_news(house, plain):
    desk = plain().expect(READY)
    os.kill(desk.process.pid, signal.SIGSTOP)
    peer = house.connect("one")
    peer.send("fin\n").expect_end(FAREWELL)
    expected = hello(peer)
    peer.close()
    os.kill(desk.process.pid, signal.SIGCONT)
    # News are taken in one by one.
    desk.expect(expected + "C> one\nS> \nC> fin\n" + CLOSED + AGAIN).say("t").end("t\n")


def test_the_end_of_input_is_the_end(house, plain):
    peer = house.connect("one")
    desk = plain()
    desk.expect(READY + hello(peer) + "C> one\nS> ")
    desk.end("\n")
    # The client is still there, and somebody else may answer.
    house.ctl("say", "1", "hello")
    peer.expect("hello\n")


def test_a_note_answers_nothing(house, plain):
    peer = house.connect("one")
    desk = plain().expect(READY + hello(peer) + "C> one\nS> ").say("/note he is in a hurry")
    desk.expect("/note he is in a hurry\nS> ").say("yes").expect("yes\n")
    peer.expect("yes\n").send("merci\n")
    desk.expect("C> merci\nS> ").say("/done").expect("/done\n")
    wait_until(lambda: " done 1 /done\n" in (house.operator / "events").read_text(), "it is done")
    peer.send("two\n")
    desk.expect("C> two\nS> ").say("deux").expect("deux\n")
    peer.expect("deux\n")


def test_somebody_else_answers(house, plain):
    peer = house.connect("one")
    desk = plain().expect(READY + hello(peer) + "C> one\nS> ")
    house.ctl("say", "1", "faster")
    peer.expect("faster\n").send("two\n")
    desk.expect("\nC> two\nS> ").say("mine").expect("mine\n")
    peer.expect("mine\n")


def test_an_order_is_refused(house, plain):
    peer = house.connect("one")
    desk = plain().expect(READY + hello(peer) + "C> one\nS> ").say("/nonsense")
    desk.expect("/nonsense\nS> ").say("//x").expect("//x\n")
    peer.expect("/x\n")


def test_whom_a_script_answers_is_left_alone(scripted, plain):
    peer = scripted.daemon.connect(b"script here\n")
    desk = plain(scripted).expect(READY)
    peer.send("one\n").expect("script: one\n").send("human\n")
    desk.expect(hello(peer) + "C> human\nS> ").say("yes").expect("yes\n")
    peer.expect("yes\n")


def test_marceld_dies_and_its_conversations_with_it(house, plain, marceld, tmp_path):
    peer = house.connect("one")
    desk = plain().expect(READY + hello(peer) + "C> one\nS> ")
    house.daemon.signal(signal.SIGSTOP)
    desk.say("yes").expect("yes\n")
    house.daemon.signal(signal.SIGKILL)
    house.daemon.wait(-signal.SIGKILL)
    desk.say("t")
    House(marceld, tmp_path)
    desk.expect(CLOSED + AGAIN).end("t\n", err="marcelctl: marceld is gone, reconnecting\n")


@pytest.fixture(name="kept")
def kept_fixture(manager):
    """A house whose conversations go on in the next marceld."""
    manager.config = OPERATOR.format(manager.runtime / "operator")
    manager.start()
    return Kept(manager)


class Kept:
    """A service manager, for Plain."""

    def __init__(self, manager):
        self.manager = manager
        self.control = manager.control

    def ctl(self, verb, *arguments):
        return ctl(verb, f"--control={self.control}", *arguments)

    def await_messages(self, number, count):
        wait_until(lambda: f"messages  {count}\n" in self.ctl("show", str(number)).out,
                   f"{count} messages")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_marceld_goes_before_it_has_taken_a_line(kept, plain, how):
    manager = kept.manager
    peer = manager.connect()
    peer.send("one\ntwo\n")
    kept.await_messages(1, 2)
    desk = plain(kept).expect(READY + hello(peer) + "C> one\nS> ")
    manager.daemon.signal(signal.SIGSTOP)
    desk.say("un").expect("un\n").say("deux").say("trois")
    # The end of the pipe comes now, too, and a line without end before.
    desk.process.stdin.write(b"R")
    desk.shut()
    manager.daemon.signal(how)
    manager.daemon.signal(signal.SIGCONT)
    manager.await_end(-how if how == signal.SIGKILL else 0)
    manager.start()
    peer.expect("un\ndeux\n").send("three\n")
    # One that stops in good order may have taken the first line: then it goes after the question.
    assert desk.read_until("S> trois\n").replace("S> \n", "") == (
        "C> two\nS> deux\nC> three\nS> trois\n")
    peer.expect("trois\n").send("fin\n").expect_end(FAREWELL).close()
    desk.expect("C> fin\n" + CLOSED + AGAIN + "R\n" + READY)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_marceld_restarts_and_carries_on(kept, plain, how):
    peer = kept.manager.connect()
    peer.send("one\ntwo\nthree\n")
    kept.await_messages(1, 3)
    desk = plain(kept).expect(READY + hello(peer) + "C> one\nS> ")
    kept.manager.end(how)
    desk.expect("\n")
    # What comes by a pipe waits for marceld.
    desk.say("un").say("deux").say("trois")
    kept.manager.start()
    desk.expect("S> un\nC> two\nS> deux\nC> three\nS> trois\n")
    peer.expect("un\ndeux\ntrois\n").send("fin\n").expect_end(FAREWELL).close()
    desk.expect("C> fin\n" + CLOSED + AGAIN).say("t")
    desk.end("t\n", err="marcelctl: marceld is gone, reconnecting\n")


def test_in_french(house, plain, french):  # noqa: F811
    peer = house.connect("Bonjour")
    host, port = peer.socket.getsockname()
    desk = plain(**french)
    desk.expect("Serveur prêt, en attente de requêtes ...\n"
                f"Client connecté, adresse IP {host}, port {port}\nC> Bonjour\nS> ")
    desk.say("Salut").expect("Salut\n")
    peer.expect("Salut\n").send("fin\n").expect_end(FAREWELL).close()
    desk.expect("C> fin\nConnexion interrompue.\n<R>ecommencer <T>erminer ? ").say("T").end("T\n")


def test_in_the_characters_of_the_locale(house, plain, latin):  # noqa: F811
    peer = house.connect("Ça coûte 5 € à 日本 ?")
    host, port = peer.socket.getsockname()
    desk = plain(encoding="latin-1", **latin)
    desk.expect("Serveur prêt, en attente de requêtes ...\n"
                f"Client connecté, adresse IP {host}, port {port}\nC> Ça coûte 5 EUR à ?? ?\nS> ")
    desk.say("Même ça, à Noël").expect("Même ça, à Noël\n")
    peer.expect("Même ça, à Noël\n").send("é" * 2000 + "\n")
    # The longest line, of characters that are twice as long in UTF-8.
    desk.expect("C> " + "é" * 2000 + "\nS> ").say("à" * 2000).expect("à" * 2000 + "\n")
    peer.expect("à" * 2000 + "\n").send("un\n")
    desk.expect("C> un\nS> ").say("/réponse").expect("/réponse\nS> ")
    desk.end("\n", err="marcelctl: refusé\u00a0: marceld ne comprend pas cet ordre\u00a0: un ordre est "
             "une ligne de texte, ou /done, /close, /reset, /give NOM, /note TEXTE\n")


def test_on_a_terminal_with_the_characters_of_the_locale(house, latin, tmp_path):  # noqa: F811
    pytest.importorskip("pyte")
    run = ("sh", "-c", f'exec "{MARCELCTL}" desk --plain --control="$1"')
    peer = house.connect("Où ça ?")
    with Terminal([os.fspath(house.control)], tmp_path, rows=24, columns=60, env=latin,
                  prefix=run) as terminal:
        # To the terminal's own, one byte each.
        terminal.stream.select_other_charset("@")

        def type_and_see(text, *lines):
            terminal.type(text.encode("latin-1"))
            terminal.wait_until(lambda: "\n".join(terminal.lines()).endswith("\n".join(lines)), lines)

        type_and_see("", "C> Où ça ?", "S>")
        type_and_see("à Orlèan\x7f\x7f\x7f", "C> Où ça ?", "S> à Orl")
        type_and_see("éans\n", "C> Où ça ?", "S> à Orléans")
        peer.expect("à Orléans\n")
        # What is half typed is there again behind what the client says meanwhile.
        # Typed before it listens again, it is shown twice.
        type_and_see("moitié", "S> moitié")
        peer.send("Même à Noël ?\n")
        type_and_see("", "S> moitié", "C> Même à Noël ?", "S> moitié")
        terminal.type("é\n".encode("latin-1"))
        peer.expect("moitiéé\n").send("fin\n").expect_end(FAREWELL).close()
        type_and_see("", "C> fin", "Connexion interrompue.", "<R>ecommencer <T>erminer ?")
        terminal.type("T\n")
        terminal.wait()


@needs_tmux
def test_on_a_terminal(house):
    peer = house.connect("Bonjour")
    desk = house.desk("--plain")
    desk.wait("C> Bonjour\nS>").type("été 漢x").press("BSpace", "Enter")
    peer.expect("été 漢\n").send("two\n")
    desk.wait("C> two\nS>").type("half").wait("S> half")
    # What another one answers breaks the line off.
    house.ctl("say", "1", "faster")
    peer.expect("faster\n").send("three\n")
    desk.wait("C> three\nS>").type("yes").press("Enter")
    peer.expect("yes\n").send("fin\n").expect_end(FAREWELL).close()
    desk.wait("Connection closed.\n<R>estart").type("t").press("Enter")
    desk.end()


@needs_tmux
def test_what_is_typed_ahead_is_for_nobody_else(house):
    first, second = house.connect("one"), house.connect("two")
    desk = house.desk("--plain")
    desk.wait("C> one\nS>")
    os.kill(desk.pid(), signal.SIGSTOP)
    desk.type("R").press("Enter").type("secret").press("Enter").type("more").press("Enter")
    first.send("fin\n").expect_end(FAREWELL).close()
    os.kill(desk.pid(), signal.SIGCONT)
    desk.wait("Connection closed.\n<R>estart").type("secret").press("Enter")
    desk.wait("secret\n<R>estart").type("r").press("Enter").wait("C> two\nS>")
    desk.type("yes").press("Enter")
    second.expect("yes\n")


@needs_tmux
def test_what_is_typed_while_the_client_is_silent_is_for_him(house):
    peer = house.connect("one")
    desk = house.desk("--plain")
    desk.wait("C> one\nS>").type("yes").press("Enter")
    peer.expect("yes\n")
    desk.press("Enter").type("and").wait("S> and").type(" more").press("Enter")
    peer.expect("and more\n")
    # What is half typed is there again behind what the client says meanwhile.
    desk.type("half é").wait("S> half é")
    peer.send("two\n")
    desk.wait("S> half é\nC> two\nS> half é").type(" of it").press("Enter")
    peer.expect("half é of it\n").send("fin\n").expect_end(FAREWELL).close()
    desk.wait("C> fin\nConnection closed.\n<R>estart").press("C-d")
    desk.end()
