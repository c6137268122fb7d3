"""The operator's desk, in tmux: driven by keys, read from the screen, with a real marceld behind."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from daemon_tools import FAREWELL, wait_until
from desk_tools import WITH_JOBS, Desk, needs_tmux
from marcelctl_tools import FAILED, ctl, write

pytestmark = needs_tmux

OPERATOR = "[dialogue]\nresponder = fifo\n[fifo]\ndirectory = {}\nabsent_after = infinity\n"
SCRIPT = """marcel-script 1
on connect      say "script here"
on "human*"     hand fifo
on "draft*"     hand fifo draft "about ${message}" for 1h
otherwise       say "script: ${message}"
"""


class House:
    """A marceld whose conversations an operator answers, and desks for him."""

    def __init__(self, marceld, directory, config=""):
        self.control = directory / "control"
        self.operator = directory / "operator"
        self.daemon = marceld(OPERATOR.format(self.operator) + config, control=self.control)
        self.desks = []

    def desk(self, *arguments, **options):
        desk = Desk(self.control, arguments, **options)
        self.desks.append(desk)
        return desk

    def connect(self, text=None):
        """A client; one that has said TEXT waits for an answer when this returns."""
        peer = self.daemon.connect()
        if text is not None:
            peer.send(text + "\n")
            wait_until(lambda: peer.address() in self.ctl("list", "--waiting").out, "its message")
        return peer

    def ctl(self, verb, *arguments, **options):
        return ctl(verb, f"--control={self.control}", *arguments, **options)


@pytest.fixture(name="house")
def house_fixture(marceld, tmp_path):
    house = House(marceld, tmp_path)
    yield house
    for desk in house.desks:
        desk.__exit__(None)


# Dialogues.


def test_two_clients(house):
    first, second = house.connect("Bonjour"), house.connect("Salut")
    desk = house.desk()
    desk.wait_list(1, 2).wait("2 waiting", "C> #1 Bonjour").wait_input("#1 S>")
    desk.type("Bonjour à vous").press("Enter")
    first.expect("Bonjour à vous\n")
    desk.wait_list(2, 1).wait("1 waiting", "S> Bonjour à vous").wait_input("S>")
    desk.press("Tab").wait("C> #1 Salut").wait_title("2  127.0.0.1:")
    desk.type("Salut toi").press("Enter")
    second.expect("Salut toi\n")
    desk.wait("0 waiting", "S> Salut toi").wait_list(1, 2)
    desk.press("Tab").wait("nobody waits")
    # Full duplex: also what nobody asked for.
    desk.type("Toujours là ?").press("Enter")
    second.expect("Toujours là ?\n")


def test_what_comes_while_one_looks_elsewhere(house):
    first = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one")
    raw = desk.record()
    second = house.connect()
    desk.wait_list(1, 2)
    second.send("two\n")
    desk.wait("2 waiting")
    wait_until(lambda: b"\a" in raw.read_bytes(), "the bell")
    assert [line[:4] for line in desk.lines()[1:3]] == ["▸  1", " ● 2"]
    desk.press("M-2").wait("C> #1 two").wait_title("2  127")
    assert [line[:4] for line in desk.lines()[1:3]] == ["   1", "▸  2"]
    # One bell for one that begins to wait, and none for the one that is open.
    second.send("three\n")
    desk.wait("C> #2 three")
    assert raw.read_bytes().count(b"\a") == 1
    first.send("four\n")
    desk.press("M-1").wait("C> #2 four")
    assert raw.read_bytes().count(b"\a") == 1


def test_a_bell_that_is_off(house):
    desk = house.desk("--no-bell")
    desk.wait("nobody is here yet", "connected to marceld")
    raw = desk.record()
    house.connect("one")
    desk.wait("C> #1 one")
    desk.press("F8").wait("bell on").press("F8").wait("bell off")
    house.connect("two")
    desk.wait("2 waiting")
    assert b"\a" not in raw.read_bytes()


def test_open_turns_one_after_another(house):
    peer = house.connect("one\ntwo\nthree")
    desk = house.desk()
    desk.wait("● ", "C> #3 three").wait_input("#1 S>")
    desk.type("first").press("Enter").wait_input("#2 S>")
    desk.press("M-n").wait_input("#3 S>")
    desk.type("third").press("Enter").wait_input("#2 S>")
    peer.send("four\n")
    desk.wait("C> #4 four")
    desk.press("M-p").wait_input("#2-4 S>").type("all of it").press("Enter").wait_input("S>")
    desk.wait("0 waiting")
    peer.expect("first\nthird\nall of it\n")


def test_two_answers_that_are_typed_at_once(house):
    peer = house.connect("one\ntwo")
    desk = house.desk()
    desk.wait("C> #2 two")
    desk.press("u", "n", "Enter", "d", "e", "u", "x", "Enter")
    peer.expect("un\ndeux\n")
    desk.wait("0 waiting").wait_input("S>")
    said = (house.operator / "conversations" / "1" / "out").read_text()
    assert re.search(r"S> #1 un\n.*S> #2 deux\n", said), said


def test_lines_that_are_entered_while_marceld_takes_none(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one")
    house.daemon.signal(signal.SIGSTOP)
    try:
        desk.press("a", "a", "Enter", "b", "b", "Enter", "c", "c", "Enter", "d", "d")
        desk.wait("still on its way: 3").wait_input("S> dd")
    finally:
        house.daemon.signal(signal.SIGCONT)
    peer.expect("aa\nbb\ncc\n")
    desk.wait("connected to marceld", "S> cc").wait_input("S> dd")
    assert not peer.has_data()


def test_a_note_answers_nothing(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").type("/note he is in a hurry").press("Enter").wait_input("#1 S>")
    desk.type("/note very much so").press("Enter").wait_input("#1 S>")
    desk.wait("● ", "1 waiting").type("yes").press("Enter").wait("0 waiting").wait_input("S>")
    peer.expect("yes\n")


def test_somebody_else_was_faster(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").type("too late").wait_input("#1 S> too late")
    house.ctl("say", "--turn", "1", "1", "faster")
    peer.expect("faster\n")
    desk.wait("S> faster", "0 waiting").wait_input("#1 is answered: too late")
    desk.press("Enter").wait("refused: somebody else has answered #1").wait_input("S> too late")
    # Nothing was sent; once the writer knows, it may be.
    peer.send("two\n")
    desk.wait("C> #2 two").wait_input("#2 S> too late").press("Enter")
    peer.expect("too late\n")
    desk.wait("0 waiting")


def test_a_line_stays_an_answer_to_what_its_writer_saw(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").type("yes").wait_input("#1 S> yes")
    house.ctl("say", "1", "no")
    peer.expect("no\n").send("delete all?\n")
    desk.wait("C> #2 delete all?").wait_input("#1 is answered: yes").press("Enter")
    desk.wait("refused: ")
    desk.wait_input("#2 S> yes")
    assert not peer.has_data()


def test_the_client_ends(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").type("answ")
    peer.send("fin\n").expect_end(FAREWELL).close()
    desk.wait("ended", "0 waiting").type("er").press("Enter").wait("this conversation has ended")
    # It goes when one looks elsewhere, unless something was typed there.
    house.connect("two")
    desk.wait("1 waiting").wait_list(2, 1).press("Tab").wait("C> #1 two").wait_list(2, 1)
    desk.press("M-2", "C-u", "M-1").wait_list(2)


def test_who_leaves_unread_is_still_there(house):
    house.connect("one")
    peer, other = house.connect("two"), house.connect("three")
    desk = house.desk()
    desk.wait_list(1, 2, 3).wait("3 waiting")
    peer.send("is anybody there?\n")
    wait_until(lambda: "#2 is anybody" in (house.operator / "events").read_text(), "its message")
    for one in (peer, other):
        one.send("fin\n").expect_end(FAREWELL).close()
    desk.wait("1 waiting").wait_list(1, 2, 3)
    assert [line[1] for line in desk.lines()[1:4]] == [" ", "●", "●"]
    desk.press("M-3").wait("C> #1 three", "-- ended").wait_list(1, 2, 3)
    desk.press("M-2").wait("C> #1 two", "C> #2 is anybody there?").wait_list(1, 2)
    desk.press("M-1").wait("C> #1 one").wait_list(1)


def test_closing(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").press("C-x").wait("Close conversation 1? (y/n)").press("n")
    # Esc, and what was typed behind it.
    desk.wait_gone("Close conversation").press("C-x").wait("(y/n)").press("M-y")
    desk.wait_gone("Close conversation").press("C-x").wait("(y/n)").press("y")
    peer.expect_end(FAREWELL).close()
    desk.wait("ended")


def test_an_empty_message_is_asked_for(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").press("Enter").wait("Send an empty message").press("Escape")
    desk.wait_gone("Send an").press("Enter").wait("Send an empty message").press("y")
    peer.expect("\n")
    desk.wait("0 waiting")


def test_orders(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").type("//etc").press("Enter")
    peer.expect("/etc\n").send("two\n")
    desk.wait("C> #2 two").type("/nonsense").press("Enter")
    desk.wait("refused: orders are /done, /close, /reset, /give NAME, /note TEXT")
    desk.wait_input("#2 S> /nonsense").press("C-u").type("/close").press("Enter")
    peer.expect_end(FAREWELL).close()


# Taking over.


@pytest.fixture(name="scripted")
def scripted_fixture(marceld, tmp_path, write):
    script = write("talk.script", SCRIPT)
    house = House(marceld, tmp_path, f"[script]\nfile = {script}\n")
    house.daemon.configure(house.daemon.config_file.read_text().replace("= fifo", "= script", 1))
    house.ctl("reload")
    yield house
    for desk in house.desks:
        desk.__exit__(None)


def test_taking_over_from_a_script_and_giving_back(scripted):
    peer = scripted.daemon.connect(b"script here\n")
    peer.send("one\n").expect("script: one\n")
    desk = scripted.desk()
    desk.wait("C> #1 one", "S> script: one", "^T takes this conversation").wait_title("script")
    desk.type("hello").press("Enter").wait("script answers here").wait_input("S> hello")
    desk.press("C-t").wait("an operator answers from now on").wait_title("you answer, script")
    desk.press("Enter")
    peer.expect("hello\n").send("two\n")
    desk.wait("C> #2 two").type("two yourself").press("Enter")
    peer.expect("two yourself\n")
    desk.press("C-t").wait("you answer here already")
    desk.press("C-g").wait("Give to: script").press("Enter")
    desk.wait("script answers from now on").wait_title("script answers")
    peer.send("three\n").expect("script: three\n")
    desk.wait("S> script: three")


def test_giving_to_another_one(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").press("C-g").wait("Give to: ").press("C-u").type("nobody")
    desk.press("Enter").wait("#1 is not answered; give all the same?").press("n")
    desk.wait_input("#1 S>").press("C-g").wait("Give to: ").press("C-u").type("nobody")
    desk.press("Enter").wait("all the same").press("y").wait("refused: ").press("C-g", "C-u").wait_input("Give to:")
    # There is one besides who answers.
    desk.press("Tab", "Tab").type("?").wait_input("Give to: echo?")
    desk.press("C-u").type("echo").press("Enter").wait("#1 is not answered").press("y")
    desk.wait_title("echo answers")
    peer.send("two\n").expect("two\n")


def test_a_script_hands_over(scripted):
    peer = scripted.daemon.connect(b"script here\n")
    desk = scripted.desk()
    desk.wait_title("script answers")
    peer.send("human please\n")
    desk.wait_title("you answer").wait("1 waiting", "C> #1 human please").wait_input("#1 S>")
    desk.type("at your service").press("Enter")
    peer.expect("at your service\n")


def test_drafts(scripted):
    peer = scripted.daemon.connect(b"script here\n")
    desk = scripted.desk()
    desk.wait_title("script answers")
    peer.send("draft one\n")
    desk.wait("-- draft: about draft one", "#1 S> Enter sends the draft, Alt-e edits it")
    desk.press("Enter").wait("Send the draft?").press("Enter")
    peer.expect("about draft one\n").send("draft two\n")
    desk.wait("-- draft: about draft two").press("M-e").wait_input("#2 S> about draft two")
    desk.type("!").press("Enter")
    peer.expect("about draft two!\n").send("three\n").expect("script: three\n")
    # One that was there before.
    peer.send("draft four\n")
    desk.wait("draft: about draft four").press("C-c")
    scripted.desk().wait("draft: about draft four")


# The screen.


def test_characters(house):
    peer = house.connect("Été 漢字 \U0001f600 e\u0301 fin.")
    desk = house.desk()
    desk.wait("C> #1 Été 漢字 \U0001f600 e\u0301 fin.")
    desk.type("où 漢字x").wait_input("#1 S> où 漢字x").press("BSpace", "BSpace")
    desk.wait_input("#1 S> où 漢").type("\U0001f600e\u0301!").press("Left", "Left", "Left", "BSpace")
    desk.wait_input("#1 S> où \U0001f600e\u0301!").press("C-e", "Enter")
    peer.expect("où \U0001f600e\u0301!\n")
    desk.wait("S> où \U0001f600e\u0301!")


def test_nothing_of_the_clients_reaches_the_terminal_raw(house):
    peer = house.connect()
    peer.send(b"a\x1b[2Jb\x07c\xffd\xc2\x9be\n")
    desk = house.desk()
    desk.wait(r"C> #1 a\e[2Jb\x07c\xffd")
    desk.wait_input("#1 S>")


def test_long_lines_are_broken_between_words(house):
    house.connect("premier deuxième troisième quatrième cinquième sixième")
    desk = house.desk()
    desk.wait("sixième")
    # The greeting takes two.
    rows = [line.split("│")[1].rstrip() for line in desk.lines()[3:6]]
    assert rows[0].endswith("C> #1 premier deuxième troisième"), rows
    assert rows[1] == 17 * " " + "quatrième cinquième sixième", rows


def test_windows_of_all_sizes(house):
    peer = house.connect("Bonjour à vous, ça va bien ? 漢字")
    house.connect("two")
    desk = house.desk()
    desk.wait_list(1, 2).wait("C> #1 Bonjour à vous").type("half")
    # One pane at a time.
    desk.resize(40, 10).wait("C> #1 Bonjour", "#1 S> half").wait_gone("Conversations", "│")
    desk.press("F2").wait("Conversations: 2").wait_list(1, 2).press("Down").press("Enter")
    desk.wait("C> #1 two").press("F2").wait("Conversations").press("Home", "Escape")
    desk.wait("C> #1 Bonjour")
    for columns, rows in ((20, 5), (8, 2), (1, 1), (24, 6), (23, 10)):
        desk.resize(columns, rows)
        if columns >= 9 and (columns < 24 or rows < 6):
            desk.wait("too small")
    desk.resize(200, 50).wait_list(1, 2).wait("C> #1 Bonjour à vous, ça va bien ? 漢字", "│")
    desk.resize(80, 24).wait_list(1, 2).wait_input("#1 S> half").press("Enter")
    peer.expect("half\n")


def test_help_and_questions_in_a_small_window(house):
    house.connect("one")
    desk = house.desk(columns=40, rows=10)
    desk.wait("C> #1 one").press("F1").wait("The keys of the desk", "Enter")
    desk.press("NPage").wait("Alt-1").press("x").wait("C> #1 one")
    desk.press("C-x").wait("Close conversation 1? (y/n)").press("Escape").wait_input("#1 S>")


def test_scrolling(house):
    desk = house.desk()
    desk.wait("nobody is here yet")
    peer = house.connect("\n".join(f"line {i}." for i in range(1, 61)))
    desk.wait("line 60.").press("PPage").wait("▼ more", "line 41.").wait_gone("line 60.")
    peer.send("line 61.\n")
    desk.wait("▼ new lines: 1", "line 41.").wait_gone("line 61.")
    # The hint has a row of its own, and what is above is told, too.
    assert desk.lines()[-4].split("│")[1].split() == ["▼", "new", "lines:", "1"]
    desk.wait_title("▲").press("PPage", "PPage", "PPage", "PPage", "PPage").wait("#1 line 1.")
    assert "▲" not in desk.lines()[0]
    desk.press("NPage").wait_gone(" line 1.").press("M->").wait("line 61.").wait_gone("▼")


def test_searching(house):
    desk = house.desk()
    desk.wait("nobody is here yet")
    house.connect("\n".join(f"{'Épine' if i in (7, 20) else 'rose'} {i}." for i in range(1, 61)))
    desk.wait("rose 60.").press("C-f").wait("Search:").type("épine").press("Enter")
    desk.wait("Épine 20.", "▼").press("C-f").wait("Search:").press("Enter").wait("Épine 7.")
    desk.press("C-f").wait("Search:").press("Enter").wait("not found: épine")


@pytest.mark.parametrize("term, env", [("screen", {"NO_COLOR": "1"}), ("vt100", {})])
def test_without_colours(house, term, env):
    house.connect("one")
    desk = house.desk(term=term, env=env)
    desk.wait("C> #1 one", "1 waiting")
    drawn = desk.text("-e")
    codes = {code for found in re.findall(r"\x1b\[([\d;]*)m", drawn) for code in found.split(";")}
    assert not codes & {str(code) for code in (*range(30, 39), *range(40, 49))}, codes
    # Bold and reverse are there.
    assert {"1", "7"} <= codes


def test_colours(house):
    house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one")
    assert "\x1b[33m" in desk.text("-e")


def test_more_conversations_than_rows(house):
    for i in range(9):
        house.connect(f"text {i + 1}")
    desk = house.desk(columns=80, rows=10)
    desk.wait_list(*range(1, 7)).wait_title("Conversations: 9", "▼ 3").wait("9 waiting, longest ")
    # Who waits longest stays in sight, whoever is open.
    desk.press("M-8").wait("C> #1 text 8").wait_list(*range(1, 7))
    desk.press("Escape").wait_list(*range(3, 9)).wait_title("▲ 2 ▼ 1")
    desk.press("End").wait_list(*range(4, 10)).wait_title("▲ 3").press("Escape")
    desk.wait_list(*range(1, 7)).wait_title("▼ 3")


def test_the_host_is_shown_before_the_port(house):
    peer = house.connect("one")
    desk = house.desk(columns=62)
    desk.wait("C> #1 one").wait("1 127.0.0.…")
    desk.resize(80, 24).wait(f"1 {peer.address()[:14]}")


def test_the_list_shows_that_it_has_the_keys_and_is_searched(house):
    for text in ("one", "two", "three"):
        house.connect(text)
    desk = house.desk()
    desk.wait("C> #1 one", "3 waiting").press("Escape").wait("/ search")
    desk.press("Down").wait("C> #1 two")
    # A bar is above the list, not above the dialogue, and another one is where one is.
    head, *entries = desk.lines("-e")[:4]
    assert re.search(r"\x1b\[7m Conversations: 3 +\x1b\[0m.*2  127", head), head
    marked = [line for line in entries if re.search(r"\x1b\[(0;)?7m", line)]
    assert len(marked) == 1 and "▸" in marked[0], marked
    desk.press("/").wait("Search the list:").type("THREE").press("Enter").wait("C> #1 three")
    desk.press("/").wait("Search the list:").type("2").press("Enter").wait("C> #1 two")
    desk.press("/").wait("Search the list:").type("six").press("Enter").wait("not found: six")


# Keys.


def test_editing(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").type("un deux trois").press("C-w").wait_input("#1 S> un deux")
    desk.press("C-a", "C-y").wait_input("#1 S> troisun deux").press("Space")
    desk.press("M-f", "C-k").wait_input("#1 S> trois un").press("C-a", "M-d")
    desk.wait_input("#1 S>  un").press("C-e", "C-u").wait_input("#1 S>").press("C-y", "Enter")
    peer.expect(" un\n").send("two\n")
    desk.wait("C> #2 two").press("Up").wait_input("#2 S>  un").press("Down").wait_input("#2 S>")


def test_what_is_pasted_is_not_sent(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").paste("un\ndeux\n").wait_input("#1 S> un␤deux␤")
    desk.press("Enter").wait("Several lines", "s: a message each").press("y")
    desk.wait_gone("Several lines").press("Enter").wait("Several lines").press("Escape").wait_input("#1 S> un␤deux")
    assert not peer.has_data()
    desk.press("Enter").wait("Several lines").press("j")
    peer.expect("un deux\n").send("two\n")
    desk.wait("C> #2 two").paste("trois\nquatre").press("Enter").wait("Several").press("s")
    peer.expect("trois\nquatre\n")
    desk.wait("0 waiting")


def test_what_is_pasted_and_finds_no_room_is_told(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").paste(4064 * "x" + "été").wait("line is full; characters left out: 3")
    desk.press("Enter").wait("3 characters had no room; send the rest?").press("n")
    desk.wait_gone("had no room").press("Enter").wait("had no room").press("y")
    peer.expect(4064 * "x" + "\n").send("two\n")
    desk.wait("C> #2 two").paste(4063 * "y" + "\n" + "z").press("C-u").type("yes").press("Enter")
    peer.expect("yes\n")


def test_quitting(house):
    house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").type("half").press("C-c").wait("Quit, and lose what was typed?")
    desk.press("n").wait_input("#1 S> half").press("C-u", "C-c")
    desk.end()


@pytest.mark.parametrize("keys", ["C-d", "C-q", "F2 q", "C-c"])
def test_ways_out(house, keys):
    desk = house.desk()
    desk.wait("nobody is here yet").press(*keys.split())
    desk.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_leave_the_terminal_as_it_was(house, number):
    desk = house.desk()
    desk.wait("connected to marceld")
    os.kill(desk.pid(), number)
    desk.end(128 + number)


def test_suspending(house):
    peer = house.connect("one")
    desk = house.desk(shell=WITH_JOBS)
    desk.wait("C> #1 one").type("half").press("C-z").wait("stopped")
    peer.send("two\n")
    desk.type("yes").press("Enter").wait("C> #2 two").wait_input("#1 S> half")
    desk.press("Enter")
    peer.expect("half\n")
    desk.wait_input("#2 S>").press("C-c").wait("answer: yes")
    desk.end()


# What it costs.


def test_a_message_changes_only_what_it_must(house):
    peer = house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one")
    raw = desk.record()
    peer.send("two, a message\n")
    desk.wait("C> #2 two, a message")
    desk.rest()
    drawn = raw.read_bytes()
    assert b"two, a message" in drawn
    # Neither the screen nor what is below nor a whole line is cleared.
    assert not re.search(rb"\x1b\[[0-3]?J|\x1bc|\x1b\[2K|\x0c", drawn), drawn
    assert len(drawn) < 400, drawn


def switches(pid):
    """How often each of marceld's threads has been put to sleep.

    Each but the main one bears a name of its own; TSan's, which looks around ten times a second, has
    the main one's.
    """
    counts = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        if task.name == str(pid) or (task / "comm").read_text() != "marceld\n":
            status = (task / "status").read_text().splitlines()
            counts[task.name] = [line for line in status if "ctxt_switches" in line]
    return counts


@pytest.mark.parametrize("waiting", [0, 3])
def test_nothing_is_done_when_nothing_happens(house, marceld, waiting):
    """Neither by the desk nor by marceld, whoever waits: an age on the screen changes now and then,
    and until then nobody looks at a clock."""
    house.connect()
    other = marceld("")
    desk = house.desk()
    desk.wait_list(1).wait("0 waiting")
    for _ in range(waiting):
        house.connect("one")
    desk.wait(f"{waiting} waiting")
    peer = other.connect()

    def is_idle():
        before = desk.rest(), switches(house.daemon.pid)
        # For longer than a second, for which somebody might set a clock.
        until = time.monotonic() + 2
        while time.monotonic() < until:
            peer.send("on\n").expect("on\n")
        return (desk.cost(), switches(house.daemon.pid)) == before

    # Not at once: both may still have something to put away, and an age is drawn now and then.
    wait_until(is_idle, "idleness")


# Connections.


def test_marceld_is_gone_and_returns(house, marceld, tmp_path):
    house.connect("one")
    desk = house.desk()
    desk.wait("C> #1 one").type("half")
    house.daemon.signal(signal.SIGKILL)
    house.daemon.wait(-signal.SIGKILL)
    desk.wait("marceld is gone, reconnecting", "C> #1 one").press("Enter")
    desk.wait_input("#1 S> half")
    returned = House(marceld, tmp_path)
    desk.wait("connected to marceld", "while marceld was away").wait_input("S> half")
    # What was shown stays as long as it is looked at.
    returned.connect("two")
    desk.wait("1 waiting", "C> #1 one").wait_input("S> half").press("Tab").wait("C> #1 two")
    desk.press("M-2").wait("C> #1 one").press("C-u", "Tab").wait("C> #1 two")
    desk.wait("Conversations: 1")


def test_marceld_restarts_and_carries_on(manager):
    manager.config = OPERATOR.format(manager.runtime / "operator")
    manager.start()
    peer = manager.connect()
    peer.send("one\n")
    with Desk(manager.control) as desk:
        desk.wait("C> #1 one").type("half")
        for turn, number in ((2, signal.SIGTERM), (3, signal.SIGKILL)):
            manager.end(number)
            desk.wait("marceld is gone, reconnecting")
            manager.start()
            desk.wait("connected to marceld", "C> #1 one", "1 waiting").wait_input("#1 S> half")
            # What is on the screen is not only what was there.
            peer.send(f"{turn}, too\n")
            desk.wait(f"C> #{turn} {turn}, too").wait_input("#1 S> half")
        desk.type(" of it").press("Enter")
        peer.expect("half of it\n")
        desk.wait_input("#2 S>")


def test_no_marceld(tmp_path):
    with Desk(tmp_path / "control") as desk:
        desk.end(FAILED)
        wait_until(lambda: b"control" in desk.errors(), "a word about it")


def test_no_terminal(tmp_path):
    result = ctl("desk", f"--control={tmp_path}/control", status=FAILED)
    assert result.err == ("marcelctl: the desk wants a terminal; without one there is desk "
                          "--plain\n")


def test_a_terminal_that_can_do_nothing(house):
    desk = house.desk(term="dumb")
    desk.end(FAILED)
    wait_until(lambda: b"this terminal can't show the desk" in desk.errors(), "a word about it")
