"""Dialogues at the operator's desk: who waits is answered, in the order that one wants, and whoever
leaves or is faster is seen."""

import re
import signal

from daemon_tools import FAREWELL, wait_until
from desk_tools import house_fixture, needs_tmux  # noqa: F401 (a fixture)

pytestmark = needs_tmux


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
