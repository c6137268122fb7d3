"""The keys of the operator's desk: editing a line, pasting into it, and all ways out."""

import os
import signal

import pytest

from desk_tools import WITH_JOBS, house_fixture, needs_tmux  # noqa: F401 (a fixture)

pytestmark = needs_tmux


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
